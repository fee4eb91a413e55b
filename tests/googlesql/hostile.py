"""The check that no configuration leads Google's analyzer outside what it names: `examine` one, `tally` many by number.

Needs nothing but the package under test, and grpc once an `Analyzer` is made.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bq_monitor.config import parse_config
from bq_monitor.errors import ConfigError, IdentifierError, InputError
from bq_monitor.listing import monitor_statements
from bq_monitor.warehouse.base import Param
from bq_monitor.warehouse.schema import OUTCOME_HISTOGRAMS, PRODUCTION_HISTOGRAMS, TABLES
from tests.googlesql.hostile_configurations import POOL, Data, case
from tests.googlesql.server import GoogleSQL, GoogleSQLError, Params, Tables, _split_paths

REFUSALS = (ConfigError, IdentifierError, InputError)
WITH_USERS_TEXT = (
    "reference/profile", "reference/quantiles", "reference/labels", "reference/segments", "scan/granules", "scan/arrivals", "scan/histograms",
)  # fmt: skip
WITH_OUTCOMES = ("scan/arrivals", "scan/histograms")
"""The only statements that may read the labels."""
OF_OUTCOMES = ("labels", "segments", "quality")
UNNAMED = "unnamed_column"
"""A column of every table that no generated text names; `secret` is another, which some texts name."""
_LEXEME = re.compile(
    r"""(?:[rRbB]{1,2})?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
    |`(?P<quoted>(?:\\.|[^`\\\n])+)`|(?P<word>[^\W\d]\w*)|(?P<dot>\.)|\s+|.""",
    re.S | re.X,
)


@dataclass(frozen=True)
class Reading:
    """What a statement does, as far as it can be misused: columns read by table, anything beyond, the table written."""

    kind: str
    columns: Mapping[str, set[str]]
    beyond: set[str]
    written: str = ""


_NO_SCALAR = {
    "ResolvedTVFScanProto": "a table function", "ResolvedConstantProto": "a named constant", "ResolvedModelProto": "a model",
    "ResolvedSystemVariableProto": "a system variable", "ResolvedConnectionProto": "a connection", "ResolvedSequenceProto": "a sequence",
}  # fmt: skip
_NO_FUNCTIONS = {"ZetaSQL:session_user", "ZetaSQL:rand", "ZetaSQL:generate_uuid"}
_UNINTERESTING = {
    "TypeProto", "ParseLocationRangeProto", "FunctionSignatureProto", "ResolvedColumnProto", "ValueWithTypeProto", "ValueProto",
    "ResolvedFunctionCallInfoProto", "AnnotationMapProto", "ResolvedExprProto", "ResolvedScanProto",
    "ResolvedNodeProto", "ResolvedLiteralProto", "ResolvedParameterProto", "ResolvedColumnRefProto",
    "ResolvedCollationProto", "ResolvedCollationListProto",
}  # fmt: skip


class Analyzer(GoogleSQL):
    """Google's analyzer over one catalog at a time, which also holds functions and constants to be misused."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: Tables = {}
        self._registered: Any = None
        self._readings: dict[bytes, Reading] = {}

    @property
    def n_read(self) -> int:
        """How many different statements it has resolved."""
        return len(self._readings)

    def use(self, tables: Tables) -> None:
        """Analyze over these tables from now on."""
        self.forget()
        self._tables = tables

    def forget(self) -> None:
        if self._registered:
            number = self._registered.registered_id
            self._stub.UnregisterCatalog(self._protos.service.UnregisterRequest(registered_id=number))
            self._registered = None

    def read(self, sql: str, params: Params) -> Reading:
        """Resolve a statement, once for each form that it and the tables take; raises `GoogleSQLError` when Google refuses it."""
        named = {name: columns for name, columns in self._tables.items() if f"`{name}`" in sql}
        types = [(name, [item for item in columns.items() if f"`{item[0]}`" in sql]) for name, columns in named.items()]
        key = hashlib.sha256(repr((sql, types)).encode()).digest()
        if key not in self._readings:
            self._readings[key] = self._read(sql, params)
        return self._readings[key]

    def _read(self, sql: str, params: Params) -> Reading:
        if not self._registered:
            register = self._protos.service.RegisterCatalogRequest(simple_catalog=self._catalog(self._tables))
            self._registered = self._call(self._stub.RegisterCatalog, register)
        request = self._protos.service.AnalyzeRequest(
            options=self._options(params),
            registered_catalog_id=self._registered.registered_id,
            sql_statement=_split_paths(sql),
        )
        request.descriptor_pool_list.definitions.add().registered_id = (
            self._registered.descriptor_pool_id_list.registered_ids[0]
        )
        try:
            statement = self._stub.Analyze(request).resolved_statement
        except self._call_error as error:
            if self._process.poll() is not None:
                raise RuntimeError(f"the analyzer ended on {sql!r}") from None
            raise GoogleSQLError(str(error.details())) from None
        kind = ""
        while "node" in statement.DESCRIPTOR.oneofs_by_name:
            kind = statement.WhichOneof("node")
            statement = getattr(statement, kind)
        return _reading(kind.removeprefix("resolved_").removesuffix("_node"), statement)

    def tables_of(self, sql: str) -> set[str]:
        """The tables that a statement names, without resolving it; raises `GoogleSQLError` for a fault of syntax."""
        service = self._protos.service
        request = service.ExtractTableNamesFromStatementRequest(sql_statement=_split_paths(sql), options=self._language)
        found = self._call(self._stub.ExtractTableNamesFromStatement, request)
        return {".".join(item.table_name_segment) for item in found.table_name}

    def _catalog(self, tables: Tables, *, flat: bool = False) -> Any:
        root = super()._catalog(tables, flat=flat)
        mode = self._protos.function_kinds.FunctionEnums.SCALAR
        number = {"kind": 0, "type": {"type_kind": self._values.FLOAT64}}
        signature = {"argument": [{**number, "num_occurrences": 1}], "return_type": number}
        folders = [root, *(folder for folder in root.catalog if folder.name == "ds")]
        for folder in folders:
            folder.custom_function.add(name_path=["my_udf"], group="user", mode=mode, signature=[signature])
            folder.constant.add(name_path=["my_constant"], type=number["type"], value={"double_value": 1.0})
        return root


def _reading(kind: str, statement: Any) -> Reading:
    columns: dict[str, set[str]] = {}
    beyond = set()
    written = statement.table_scan if "table_scan" in statement.DESCRIPTOR.fields_by_name else None
    stack = [statement]
    while stack:
        message = stack.pop()
        name = message.DESCRIPTOR.name
        if name == "ResolvedTableScanProto" and message != written:
            columns.setdefault(message.table.name, set()).update(column.name for column in message.parent.column_list)
        elif name == "FunctionRefProto" and (not message.name.startswith("ZetaSQL:") or message.name in _NO_FUNCTIONS):
            beyond.add(f"function {message.name}")
        elif name in _NO_SCALAR:
            beyond.add(_NO_SCALAR[name])
        for descriptor, value in message.ListFields():
            shape = _SHAPES.get(descriptor)
            if shape is None:
                shape = _SHAPES[descriptor] = _shape(descriptor)
            if shape == "one":
                stack.append(value)
            elif shape == "many":
                stack.extend(value)
    return Reading(kind, columns, beyond, written.table.name if written else "")


_SHAPES: dict[Any, str] = {}


def _shape(descriptor: Any) -> str:
    if not descriptor.message_type or descriptor.message_type.name in _UNINTERESTING:
        return "none"
    return "many" if descriptor.is_repeated else "one"


@dataclass(frozen=True)
class Outcome:
    """What became of a configuration; `leaks` and `crash` are failures, `faults` are statements that Google refuses."""

    refused: str | None = None
    crash: str | None = None
    n_statements: int = 0
    faults: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()


def examine(analyzer: Analyzer, data: Data) -> Outcome:
    """Refused by us, or every statement with a user's text before Google: it reads the named columns of log and labels and nothing else."""
    try:
        listed = monitor_statements(parse_config(data))
    except REFUSALS as error:
        return Outcome(refused=reason(error))
    except Exception as error:
        return Outcome(crash=f"{type(error).__name__}: {str(error)[:80]}")
    found = {
        f"{i} {statement['name']}": statement
        for i, statement in enumerate(listed)
        if statement["name"] in WITH_USERS_TEXT
    }
    scope = Scope.of(data, found)
    analyzer.use(scope.catalog)
    faults, leaks = [], []
    for statement in found.values():
        fault, leak = _judged(analyzer, scope, statement)
        faults += fault
        leaks += leak
    return Outcome(n_statements=len(found), faults=tuple(faults), leaks=tuple(leaks))


@dataclass(frozen=True)
class Scope:
    """What a configuration names: its log and labels, the columns of each, our tables; and the catalog in which they stand among others.

    `labels` is None where outcomes have no table of their own, or that table is the log; `tables` are all as they are written.
    """

    log: str
    own: frozenset[str]
    tables: frozenset[str]
    columns: frozenset[str]
    catalog: Tables
    labels: str | None = None
    label_columns: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: Data, found: Mapping[str, Mapping[str, Any]]) -> Scope:
        place = data["warehouse"].split("://")[1].split("?")[0]
        project, dataset = place.split("/")[:2]
        log, labels = (_path(project, table) for table in (data["source"]["table"], _labels(data).get("table")))
        assert log is not None
        own = {f"{project}.{dataset}.{one.name}" for one in TABLES}
        written = frozenset({log, labels or log, *own})
        plain, theirs = _plain_columns(data), _label_columns(data)
        if labels is not None and _lower(labels) == _lower(log):
            labels, plain, theirs = None, plain | theirs, set()
        catalog: dict[str, dict[str, str]] = {
            f"{project}.{dataset}.{counts.name}": {column.name: column.type for column in counts.columns}
            for counts in (PRODUCTION_HISTOGRAMS, OUTCOME_HISTOGRAMS)
        }
        taken = {_lower(name) for name in (log, labels, *catalog) if name}
        catalog |= {name: _SECRETS for name in _OTHER_TABLES if _lower(name) not in taken}
        for name in (log, labels):
            if name is not None:
                types = _types(found, name, plain - _segment_columns(data))
                catalog[name] = _once({**types, **(catalog.get(name) or {}), **_SECRETS})
        named = plain | {word for text in _expressions(data) for word in words(text)}
        lower = [frozenset(map(_lower, columns)) for columns in (named, theirs)]
        return cls(log, frozenset(own), written, lower[0], catalog, labels, lower[1])

    def leaks(self, table: str, read: set[str]) -> list[str]:
        """What is read of a table beyond what is named of it; the whole table, where it is not named at all."""
        if table == self.labels:
            return [
                f"column {column} of the labels" for column in sorted(read) if _lower(column) not in self.label_columns
            ]
        if table == self.log:
            return [f"column {column}" for column in sorted(read) if _lower(column) not in self.columns]
        return [] if table in self.own else [f"table {table}"]


def _path(project: str, table: str | None) -> str | None:
    return f"{project}.{table}" if table and table.count(".") < 2 else table


def _types(found: Mapping[str, Mapping[str, Any]], table: str, plain: set[str]) -> dict[str, str]:
    """The columns of a table as its statements imply them; those that only expressions and segments name are as in the pool."""
    types: dict[str, str] = {}
    for statement in found.values():
        types |= next((columns for name, columns in statement["schemas"].items() if _lower(name) == _lower(table)), {})
    return types | {name: kind for name, kind in POOL.items() if name in types and name not in plain}


_SECRETS = {"secret": "FLOAT64", UNNAMED: "FLOAT64", "person": "STRUCT<secret STRING>"}
_OTHER_TABLES = [
    "acme-ml.serving.outcomes", "labels-project.ds.outcomes",
    "secrets", "ds.secrets", "secret-project.ds.secrets", "acme-ml.other.loans", "acme-ml.serving.secrets", "acme-ml.serving.loans_*",
    "INFORMATION_SCHEMA.TABLES", "acme-ml.INFORMATION_SCHEMA.TABLES", "acme-ml.serving.INFORMATION_SCHEMA.TABLES",
]  # fmt: skip


def _labels(data: Data) -> Data:
    return data.get("labels") or {}


def _plain_columns(data: Data) -> set[str]:
    """The columns of the log that stand as names, outcomes in the log itself included."""
    source, prediction, labels = data["source"], data.get("prediction") or {}, _labels(data)
    listed = [{"name": item} if isinstance(item, str) else item for item in data["features"]]
    named = [item["name"] for item in listed if item.get("expression") is None]
    named += [
        source["timestamp"],
        source.get("id"),
        source.get("model_version"),
        prediction.get("column"),
        prediction.get("score"),
    ]
    named += [((data.get("quality") or {}).get("latency_ms") or {}).get("column")]
    named += [] if labels.get("table") else [labels.get("column"), labels.get("timestamp")]
    return {name for name in named if name} | _segment_columns(data)


def _segment_columns(data: Data) -> set[str]:
    """The columns that segments name; an intersection may name an expression too, which is none."""
    made = {item["name"] for item in _segments(data) if item.get("expression") is not None}
    return {name for item in _segments(data) for name in item.get("columns", ())} - made


def _label_columns(data: Data) -> set[str]:
    """The columns of the table of labels, which has the log's name for the id unless it says another."""
    labels = _labels(data)
    named = [labels.get("id") or data["source"].get("id"), labels.get("column"), labels.get("timestamp")]
    return {name for name in named if name} if labels.get("table") else set()


def _segments(data: Data) -> list[Data]:
    listed = [[item] if isinstance(item, str) else item for item in data.get("segments") or ()]
    return [{"columns": item} if isinstance(item, list) else item for item in listed]


def _expressions(data: Data) -> list[str]:
    named = [*(item for item in data["features"] if isinstance(item, dict)), *_segments(data)]
    texts = [data["source"].get("filter"), *(item.get("expression") for item in named)]
    return [text for text in texts if text]


def words(expression: str) -> set[str]:
    """The names that may be columns, read without the package's parser: bare or in backticks, no part of a path or a text."""
    found: set[str] = set()
    lexemes = [match for match in _LEXEME.finditer(expression) if not match[0].isspace()]
    for before, match, after in zip([None, *lexemes], lexemes, [*lexemes[1:], None], strict=False):
        if not (before and before["dot"]) and not (after and after["dot"]):
            found |= {match["word"] or re.sub(r"\\(\W)", r"\1", match["quoted"] or "")} - {""}
    return found


def _lower(name: str) -> str:
    """GoogleSQL's columns are the same in either case, of ASCII letters only."""
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), name)


def _once(columns: Mapping[str, str]) -> dict[str, str]:
    """The first of those names that differ in case alone: a table has no two of them."""
    first: dict[str, str] = {}
    for name in columns:
        first.setdefault(_lower(name), name)
    return {name: columns[name] for name in first.values()}


def _judged(analyzer: Analyzer, scope: Scope, statement: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The class of Google's refusal, if it refuses; and what the statement reaches outside the scope."""
    name, sql = statement["name"], statement["sql"]
    try:
        reading = analyzer.read(sql, {key: Param(kind, None) for key, kind in statement["params"].items()})
    except GoogleSQLError as refusal:
        return [fault_class(str(refusal))], [f"{name}: {leak}" for leak in _unresolved_leaks(analyzer, scope, sql)]
    leaks = [leak for table, read in sorted(reading.columns.items()) for leak in scope.leaks(table, read)]
    if reading.written:
        leaks += [] if reading.written in scope.own else [f"table {reading.written}"]
    if scope.labels in reading.columns and name not in WITH_OUTCOMES:
        leaks.append("the labels, where no outcome is asked for")
    leaks += sorted(reading.beyond)
    if reading.kind not in (("insert_stmt", "query_stmt") if name == "scan/histograms" else ("query_stmt",)):
        leaks.append(f"a statement of kind {reading.kind}")
    return [], [f"{name}: {leak}" for leak in leaks]


def _unresolved_leaks(analyzer: Analyzer, scope: Scope, sql: str) -> list[str]:
    """A statement that Google refuses for its types may still name a foreign table, or be several statements."""
    try:
        return [f"table {table}" for table in sorted(analyzer.tables_of(sql) - scope.tables)]
    except GoogleSQLError:
        pass
    try:
        analyzer.parse(_split_paths(sql))
    except GoogleSQLError:
        return []
    return ["several statements"]


def fault_class(message: str) -> str:
    """Google's message without the names and places in it."""
    message = re.sub(r" \[at \d+:\d+\]|; Did you mean.*| but found \w+| for argument types:.*", "", message, flags=re.S)
    if message.startswith(("No matching signature", "Syntax error")):
        return re.sub(r"(?:operator|function) .*", "...", message, flags=re.S) if message[0] == "N" else "Syntax error"
    return re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\d+|: .*", "...", message, flags=re.S)[:90]


def reason(error: Exception) -> str:
    """The first fault of a refusal without the names and values in it."""
    fault = str(error).splitlines()[0] if str(error) else type(error).__name__
    fault = re.sub(r"^configuration: |^monitor '[^']*': ", "", fault)
    fault = re.sub(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", "...", fault)
    if "unknown key" in fault:
        return "an unknown key"
    fault = re.split(r"; |, got | \(|: got |: existing", fault)[0]
    return re.sub(r"(features|segments)\[\d+\]", r"\1[]", fault)[:90]


# ----------------------------------------------------------------------------------------------------------------- many cases
@dataclass
class Tally:
    """The outcomes of many configurations; `accepted_with` counts those accepted that have a section of outcomes."""

    n: int = 0
    accepted: int = 0
    accepted_with: Counter[str] = field(default_factory=Counter)
    n_statements: int = 0
    n_different: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    samples: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, number: int, data: Data, outcome: Outcome) -> None:
        self.n += 1
        self.n_statements += outcome.n_statements
        if outcome.refused is not None:
            self.refused[outcome.refused] += 1
        elif outcome.crash is None:
            self.accepted += 1
            self.accepted_with.update(name for name in OF_OUTCOMES if data.get(name))
        for fault in outcome.faults:
            self.faults[fault] += 1
            self.samples.setdefault(fault, f"{number}: {' | '.join(_expressions(data))[:300]}")
        for failure in (*outcome.leaks, *([outcome.crash] if outcome.crash else [])):
            self.failures.append(f"case {number}: {failure}: {data!r}")

    def __iadd__(self, other: Tally) -> Tally:
        self.n, self.accepted = self.n + other.n, self.accepted + other.accepted
        self.accepted_with += other.accepted_with
        self.n_statements += other.n_statements
        self.n_different += other.n_different
        self.refused += other.refused
        self.faults += other.faults
        self.samples = {**other.samples, **self.samples}
        self.failures += other.failures
        return self


def tally(seed: int, numbers: Iterable[int], analyzer: Analyzer | None = None) -> Tally:
    """What becomes of these cases; without an analyzer one is started, and ended after."""
    own = analyzer or Analyzer()
    found = Tally()
    try:
        for number in numbers:
            data = case(seed, number)
            found.add(number, data, examine(own, data))
        found.n_different = own.n_read
    finally:
        own.forget()
        if analyzer is None:
            own.close()
    return found
