"""Google's GoogleSQL analyzer and reference evaluator (npm package @fivetrandevelopers/zetasql) behind a few calls.

Tables are `{"project.dataset.table": {column: type}}`, parameters our own `Param`s, contents rows as dictionaries.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bq_monitor.warehouse.base import Param, Row

Tables = Mapping[str, Mapping[str, str]]
Params = Mapping[str, Param]

NOT_BIGQUERY = frozenset({
    "array_filter", "array_transform", "array_includes", "array_includes_any", "array_includes_all", "array_max",
    "array_min", "array_sum", "array_avg", "array_find", "array_find_all", "array_offset", "array_offsets",
    "array_first_n", "array_last_n", "array_remove_first_n", "array_remove_last_n", "flatten", "typeof", "pi",
    "pi_numeric", "pi_bignumeric", "zeroifnull", "nullifzero", "iferror", "iserror", "nulliferror", "from_proto",
    "to_proto", "like_all", "regexp_match",
})  # fmt: skip
"""Functions that this analyzer accepts though BigQuery does not document them."""
_MORE_FEATURES = ("CREATE_VIEWS_WITH_COLUMN_OPTIONS",)
_NO_BIGQUERY_FEATURES = ("TIMESTAMP_NANOS",)
_TOKEN = re.compile(
    r"""(?:[rRbB]{1,2})?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
    |`(?P<path>[^`\n]*)`|\#[^\n]*|--[^\n]*|/\*.*?\*/""",
    re.S | re.X,
)


class GoogleSQLError(Exception):
    """Google's message, with its position."""


@dataclass(frozen=True)
class Analysis:
    """What a statement does: how often each table is scanned, which of its columns are read, what it answers, what it calls."""

    kind: str
    scans: Mapping[str, int]
    columns: Mapping[str, set[str]]
    outputs: Sequence[tuple[str, str]]
    functions: set[str] = field(default_factory=set)


class GoogleSQL:
    """A running server; it keeps nothing between calls. Needs GOOGLESQL_HOME and grpc, which importing this module does not."""

    def __init__(self) -> None:
        import grpc

        from tests.googlesql import protos, values

        self._protos, self._values, self._call_error = protos, values, grpc.RpcError
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"localhost:{probe.getsockname()[1]}"
        self._process = subprocess.Popen(
            [protos.SERVER, *address.split(":")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        unlimited = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_http_proxy", 0),
        ]
        self._channel = grpc.insecure_channel(address, options=unlimited)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=30)
            self._stub = protos.service_grpc.ZetaSqlLocalServiceStub(self._channel)
            self._language = self._bigquery_language()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._channel.close()
        self._process.terminate()
        self._process.wait()

    def analyze(self, sql: str, tables: Tables, params: Params | None = None) -> Analysis:
        """Resolve one statement; raises `GoogleSQLError` when Google refuses it."""
        statement = self.resolve(sql, tables, params)
        kind = ""
        while "node" in statement.DESCRIPTOR.oneofs_by_name:
            kind = statement.WhichOneof("node")
            statement = getattr(statement, kind)
        scans: Counter[str] = Counter()
        columns: defaultdict[str, set[str]] = defaultdict(set)
        for scan in _find(statement, "ResolvedTableScanProto"):
            scans[scan.table.name] += 1
            columns[scan.table.name] |= {column.name for column in scan.parent.column_list}
        if "table_scan" in statement.DESCRIPTOR.fields_by_name:
            scans[statement.table_scan.table.name] -= 1  # written, not read
        outputs = [
            (item.name, self._values.type_name(item.column.type))
            for item in _find(statement, "ResolvedOutputColumnProto")
        ]
        functions = {item.name.split(":")[-1] for item in _find(statement, "FunctionRefProto")}
        return Analysis(kind.removeprefix("resolved_").removesuffix("_node"), +scans, columns, outputs, functions)

    def resolve(self, sql: str, tables: Tables, params: Params | None = None) -> Any:
        """The resolved statement as Google's message, not looked into: soon done; raises as `analyze` does."""
        return self._resolve(_split_paths(sql), tables, params or {})

    def parse(self, script: str) -> None:
        """Check the syntax of a script of several statements; raises `GoogleSQLError`."""
        request = self._protos.service.ParseRequest(sql_statement=script, options=self._language, allow_script=True)
        self._call(self._stub.Parse, request)

    def evaluate(
        self,
        sql: str,
        tables: Tables,
        params: Params | None = None,
        contents: Mapping[str, Sequence[Row]] | None = None,
    ) -> list[Row]:
        """Run one query over tables with these contents; the reference evaluator knows no shortcuts."""
        text, known = _split_paths(sql), params or {}
        statement = self._resolve(text, tables, known)
        parse_type, to_message, from_message = (
            self._values.parse_type,
            self._values.to_message,
            self._values.from_message,
        )
        request = self._protos.service.EvaluateQueryRequest(
            sql=_with_flat_names(text, statement),
            options=self._options(known),
            simple_catalog=self._catalog(tables, flat=True),
        )
        for name, columns in tables.items():
            kinds = {column: parse_type(kind) for column, kind in columns.items()}
            data = request.table_content[name].table_data
            data.SetInParent()  # no rows are contents too
            for row in (contents or {}).get(name, ()):
                data.row.add().cell.extend(to_message(kind, row[column]) for column, kind in kinds.items())
        for name, param in known.items():
            request.params.add(name=name.lower(), value=to_message(parse_type(param.type), param.value))
        answer = self._call(self._stub.EvaluateQuery, request)
        named = [(column.name, column.type) for column in answer.prepared.columns]
        return [
            {name: from_message(kind, cell) for (name, kind), cell in zip(named, row.cell, strict=True)}
            for row in answer.content.table_data.row
        ]

    def _bigquery_language(self) -> Any:
        """All finished features of the library, and what BigQuery has beyond; its timestamps are microseconds."""
        language_options = self._protos.language_options
        language = self._stub.GetLanguageOptions(self._protos.service.LanguageOptionsRequest(maximum_features=True))
        number = language_options.LanguageFeature.Value
        dropped, added = (
            {number(f"FEATURE_{name}") for name in names} for names in (_NO_BIGQUERY_FEATURES, _MORE_FEATURES)
        )
        kept = sorted((set(language.enabled_language_features) | added) - dropped)
        language.ClearField("enabled_language_features")
        language.ClearField("supported_statement_kinds")  # no list: all kinds
        language.enabled_language_features.extend(kept)
        language.product_mode = language_options.PRODUCT_EXTERNAL
        return language

    def _options(self, params: Params) -> Any:
        language_options = self._protos.language_options
        options = self._protos.analyzer_options.AnalyzerOptionsProto(
            language_options=self._language, error_message_mode=language_options.ERROR_MESSAGE_ONE_LINE, default_timezone="UTC",
            prune_unused_columns=True, parse_location_record_type=language_options.PARSE_LOCATION_RECORD_CODE_SEARCH,
        )  # fmt: skip
        rewrites = language_options.ResolvedASTRewrite.DESCRIPTOR.values
        extension = language_options.rewrite_options
        options.enabled_rewrites.extend(
            rewrite.number for rewrite in rewrites if rewrite.GetOptions().Extensions[extension].default_enabled
        )
        for name, param in params.items():
            options.query_parameters.add(name=name.lower(), type=self._values.parse_type(param.type))
        return options

    def _catalog(self, tables: Tables, *, flat: bool = False) -> Any:
        """The tables under `project.dataset.table`; flat: by one name, the only kind that can have contents."""
        root = self._protos.catalog.SimpleCatalogProto(name="root")
        root.builtin_function_options.language_options.CopyFrom(self._language)
        folders = {(): root}
        for i, (full, columns) in enumerate(tables.items(), start=1):
            path = (full,) if flat else tuple(full.split("."))
            for n in range(1, len(path)):
                if path[:n] not in folders:
                    folders[path[:n]] = folders[path[: n - 1]].catalog.add(name=path[n - 1])
            table = folders[path[:-1]].table.add(name=full, serialization_id=i)
            if not flat:
                table.name_in_catalog = path[-1]
            for column, kind in columns.items():
                table.column.add(name=column, type=self._values.parse_type(kind))
        return root

    def _resolve(self, text: str, tables: Tables, params: Params) -> Any:
        request = self._protos.service.AnalyzeRequest(
            options=self._options(params), simple_catalog=self._catalog(tables), sql_statement=text
        )
        return self._call(self._stub.Analyze, request).resolved_statement

    def _call(self, method: Any, request: Any) -> Any:
        if hasattr(request, "descriptor_pool_list"):
            request.descriptor_pool_list.definitions.add().builtin.SetInParent()
        try:
            return method(request)
        except self._call_error as error:
            raise GoogleSQLError(str(error.details()).split("\nQueryStmt\n")[0]) from None


def _split_paths(sql: str) -> str:
    """`` `p.d.t` `` -> `` `p`.`d`.`t` ``: BigQuery reads both as a path, the library takes the first for one name."""

    def split(match: re.Match[str]) -> str:
        return match[0].replace(".", "`.`") if match["path"] else match[0]

    return _TOKEN.sub(split, sql)


def _with_flat_names(text: str, statement: Any) -> str:
    """The statement with every table named by one identifier, from where the analyzer found them."""
    raw = text.encode()
    spots = {}
    for scan in _find(statement, "ResolvedTableScanProto"):
        place = scan.parent.parent.parse_location_range
        spots[place.start, place.end] = scan
    for (start, end), scan in sorted(spots.items(), reverse=True):
        alias = "" if scan.alias else f" AS `{scan.table.name.rsplit('.', 1)[-1]}`"
        raw = raw[:start] + f"`{scan.table.name}`{alias}".encode() + raw[end:]
    return raw.decode()


def _find(message: Any, name: str) -> Iterator[Any]:
    """Every message of the type called `name` inside a message, itself included."""
    if message.DESCRIPTOR.name == name:
        yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type:
            for item in value if descriptor.is_repeated else (value,):
                yield from _find(item, name)
