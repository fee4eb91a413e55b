"""Names and expressions that users write: parsed, allowed or refused, and only then written into SQL.

Nothing of a user's text reaches a statement except through here; values never do (they are query parameters).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from sqlglot import Token, TokenType, exp, parse, tokenize

from bq_monitor.errors import BqMonitorError, IdentifierError, did_you_mean
from bq_monitor.warehouse.base import Dialect

if TYPE_CHECKING:
    from bq_monitor.config import MonitorConfig

_PROJECT = re.compile(r"(?:[a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,1023}")
_TABLE = re.compile(r"\w[\w-]{0,1023}")
_LOCATION = re.compile(r"[A-Za-z0-9-]+")
_DUCKDB_TABLE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,2}")
DOT = "\ue000"
"""Stands for a dot inside a column's name while GoogleSQL is translated, which would read it as a path (private use area)."""
_FORBIDDEN_IN_COLUMN = re.compile(rf"[`\\\x00-\x1f\x7f{DOT}]")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METADATA = re.compile(r"INFORMATION_SCHEMA\.\w+|\w+\.__\w+__", re.IGNORECASE)
"""`dataset.table` of BigQuery's own views about tables and jobs."""
FILE_ENDINGS = (".parquet", ".csv", ".csv.gz", ".tsv")


def is_file(source: str) -> bool:
    """Whether a source names files (a path or glob) rather than a table."""
    return source.lower().endswith(FILE_ENDINGS) or "/" in source


def bigquery_table(text: str, project: str | None = None) -> str:
    """`project.dataset.table` (or `dataset.table` within `project`) -> its backticked path; refused otherwise."""
    parts = text.rsplit(".", 2)
    if len(parts) == 2 and project:
        parts = [project, *parts]
    if len(parts) != 3 or not (
        _PROJECT.fullmatch(parts[0]) and _DATASET.fullmatch(parts[1]) and _TABLE.fullmatch(parts[2])
        and not _METADATA.fullmatch(".".join(parts[1:]))
    ):  # fmt: skip
        raise IdentifierError(
            f"table {text!r}: not a BigQuery table; allowed: project.dataset.table of letters, digits, '_' and '-', without quotes"
        )
    return "`" + ".".join(parts) + "`"


def duckdb_table(text: str) -> str:
    """`[[database.]schema.]table` -> its quoted path; refused otherwise."""
    if not _DUCKDB_TABLE.fullmatch(text):
        raise IdentifierError(
            f"table {text!r}: not a DuckDB table; allowed: table, schema.table, or a path that ends in {', '.join(FILE_ENDINGS)}"
        )
    return ".".join(f'"{part}"' for part in text.split("."))


def duckdb_string(text: str) -> str:
    """A file path as a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_column(name: str, dialect: Dialect) -> str:
    """A column's name, quoted; names with a backtick, a backslash or a control character are refused."""
    if not name or _FORBIDDEN_IN_COLUMN.search(name):
        raise IdentifierError(
            f"column {name!r}: not a column name; allowed: any characters but backticks, backslashes and control characters"
        )
    return f"`{name.replace('.', DOT)}`" if dialect == "bigquery" else '"' + name.replace('"', '""') + '"'


def parse_bigquery_url(rest: str) -> tuple[str, str, str | None]:
    """`PROJECT/DATASET[?location=EU]` -> `(project, dataset, location)`."""
    try:
        split = urlsplit("//" + rest)
    except ValueError:  # a bracket, or a character that stands for another
        split = urlsplit("")
    project, dataset = split.netloc, split.path.strip("/")
    query = parse_qs(split.query)
    location = query.pop("location", [None])[0]
    good = (
        _PROJECT.fullmatch(project)
        and _DATASET.fullmatch(dataset)
        and (location is None or _LOCATION.fullmatch(location))
    )
    if not good or query or split.fragment:
        raise IdentifierError(
            f"warehouse: got 'bigquery://{rest}'; allowed: bigquery://PROJECT/DATASET, with ?location=EU (or another region) if needed"
        )
    return project, dataset, location


class Expression:
    """One GoogleSQL scalar expression over the columns of a single table, parsed and found harmless.

    Refused: more than one statement, subqueries, other tables, parameters and session variables, `*`, aggregates and
    window functions, comments, random values, and functions that the parser does not know (they could be anybody's).
    """

    def __init__(self, text: str, place: str) -> None:
        self.text, self.place = text, place
        self._tree = _parse(text, place)
        self.columns = _columns(self._tree)

    @property
    def column(self) -> str | None:
        """The column that the expression is, where it is nothing else."""
        return next(iter(self.columns)) if isinstance(self._tree.unnest(), exp.Column) else None

    def sql(self, dialect: Dialect) -> str:
        """The expression over the alias `t`, written anew from its syntax tree."""
        return _qualified(self._tree).sql(dialect=dialect, comments=False)

    def require_columns(self, existing: Iterable[str]) -> None:
        """Raise `IdentifierError` unless the table has every column that the expression names."""
        known = set(existing)
        for name in sorted(self.columns - known):
            raise IdentifierError(
                f"{self.place}: {self.text!r} names column {name!r}, which the table does not have; "
                f"existing: {', '.join(sorted(known))}.{did_you_mean(name, known)}"
            )


class _RefusedError(Exception):
    """Why an expression is refused."""


def _parse(text: str, place: str) -> exp.Expr:
    try:
        return _tree_of(text)
    except _RefusedError as error:
        raise IdentifierError(
            f"{place}: {error}; got {text!r}; allowed: one GoogleSQL expression over the table's own columns"
        ) from None


@lru_cache(maxsize=4096)
def _tree_of(text: str) -> exp.Expr:
    """The tree of a harmless expression, for reading only; raises `_RefusedError`."""
    try:
        if reason := _fault_of_tokens(text, tokenize(text, read="bigquery")):
            raise _RefusedError(reason)
        trees = parse(f"SELECT {text}\n", read="bigquery")
        if len(trees) != 1 or trees[0] is None:
            raise _RefusedError("more than one statement")
        select = trees[0]
        if reason := _fault_of(select):
            raise _RefusedError(reason)
        again = parse(_qualified(select).sql(dialect="bigquery", comments=False), read="bigquery")
    except _RefusedError:
        raise
    except Exception as error:  # the parser and the writer fail in many ways on what is no GoogleSQL, or too deep
        raise _RefusedError(f"does not parse ({' '.join(str(error).splitlines()[:1])})") from None
    # What is sent is what the writer makes of the tree: it must be as harmless as what was read.
    if len(again) != 1 or again[0] is None or _fault_of_shape(again[0], "t") or _columns(again[0]) != _columns(select):
        raise _RefusedError("does not mean the same when written anew")
    tree: exp.Expr = select.expressions[0]
    return tree


def _fault_of_tokens(text: str, tokens: Sequence[Token]) -> str | None:
    """Why the words of an expression are refused before they are parsed; None when they are not."""
    refused = {
        TokenType.SEMICOLON: "';' (more than one statement)", TokenType.ARROW: "a lambda",
        TokenType.L_BRACE: "a brace", TokenType.R_BRACE: "a brace",
    }  # fmt: skip
    if not tokens:
        return "empty"
    if any(token.comments for token in tokens):
        return "a comment is not allowed"
    for token in tokens:
        if token.token_type == TokenType.IDENTIFIER and "\\" in text[token.start : token.end + 1]:
            return "a backslash in a name is not allowed"  # the parser drops those that Google refuses
        if token.token_type in refused:
            return f"{refused[token.token_type]} is not allowed"
    if (
        tokens[0].token_type in (TokenType.ALIAS, TokenType.ALL, TokenType.DISTINCT)
        or tokens[-1].token_type == TokenType.COMMA
    ):
        return "not a single expression"
    return None


def _qualified(tree: exp.Expr) -> exp.Expr:
    """A copy in which every column is one of the alias `t`."""

    def qualify(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        return exp.column(exp.to_identifier(node.name, quoted=True), table="t")

    return tree.transform(qualify)


def _columns(tree: exp.Expr) -> frozenset[str]:
    return frozenset(column.name for column in tree.find_all(exp.Column))


def _fault_of(select: exp.Expr) -> str | None:
    """Why a parsed `SELECT <expression>` is not one harmless scalar expression; None when it is."""
    if reason := _fault_of_shape(select):
        return reason
    for text in select.find_all(exp.Literal, exp.RawString, exp.ByteString, exp.National):
        content = text.name.replace("\\", "") if isinstance(text, exp.RawString) else text.name
        if _FORBIDDEN_IN_COLUMN.search(content):
            return "a backtick, backslash or control character in a text"
    return None


def _fault_of_shape(select: exp.Expr, table: str = "") -> str | None:
    """The part of `_fault_of` that also holds for the expression written anew, over a table's alias and with escapes in texts."""
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return "not a single expression"
    if any(value for key, value in select.args.items() if key != "expressions" and value):
        return "a clause after the expression"
    for node in select.expressions[0].walk():
        if reason := _fault_of_node(node, table):
            return reason
    return None


def _fault_of_node(node: exp.Expr, table: str) -> str | None:
    for kind, name in _refused_nodes():
        if isinstance(node, kind):
            return f"{name} is not allowed"
    if isinstance(node, exp.Column) and (node.table != table or not _is_column_name(node.this)):
        return f"column {node.sql()!r} is not a plain column name"
    if isinstance(node, exp.Identifier) and not _is_column_name(node):
        return f"name {node.name!r} is not a plain name"
    unit = node.args.get("unit")
    word = unit if isinstance(unit, exp.Literal) else node
    if (word is unit or isinstance(node, exp.Var)) and not _WORD.fullmatch(word.name):  # it is written without quotes
        return f"{word.name!r} is not a plain word"
    if isinstance(node, exp.NetFunc) and not isinstance(node.this, exp.Host | exp.RegDomain):
        return "an unknown function is not allowed"  # a dataset may be called NET
    return None


@lru_cache(maxsize=1)
def _refused_nodes() -> tuple[tuple[tuple[type[exp.Expr], ...], str], ...]:
    return (
        ((exp.Query, exp.Subquery), "a subquery"), ((exp.Table,), "another table"), ((exp.Star,), "'*'"),
        ((exp.Parameter, exp.Placeholder), "a parameter"),
        ((exp.SessionParameter, exp.SessionUser, exp.CurrentUser, exp.CurrentRole), "a session variable"),
        ((exp.Window,), "a window function"), ((exp.AggFunc,), "an aggregate"), ((exp.Alias, exp.Aliases), "an alias"),
        ((exp.Command,), "a command"), ((exp.Dot,), "a path with dots"), ((exp.Anonymous,), "an unknown function"),
        ((exp.UDTF, exp.JSONTable, exp.XMLTable, exp.OpenJSON), "a table function"), ((exp.Lambda,), "a lambda"),
        ((exp.DDL, exp.DML), "a statement"), ((exp.ReadCSV, exp.ReadParquet), "a file"), ((exp.Rand, exp.Uuid), "a random value"),
        ((exp.AIClassify, exp.AIEmbed, exp.AIGenerate, exp.AISimilarity), "a model"), ((exp.Columns,), "a choice of columns"),
        ((exp.Operator,), "an operator by name"),
        ((exp.Limit, exp.Order, exp.Distinct), "a clause inside a function"),
    )  # fmt: skip


def _is_column_name(name: exp.Expr) -> bool:
    """Whether an identifier can be a column: letters, digits and '_', or anything that may stand between backticks."""
    if name.args.get("quoted"):
        return bool(name.name) and not _FORBIDDEN_IN_COLUMN.search(name.name)
    return re.fullmatch(r"[^\W\d]\w*", name.name) is not None


def check_config(config: MonitorConfig) -> list[str]:
    """The faults of a configuration that only its identifiers show, each with its path; nothing is connected."""
    scheme, _, rest = config.warehouse.partition("://")
    if scheme not in ("bigquery", "duckdb"):
        allowed = "bigquery://PROJECT/DATASET, duckdb:///path/file.duckdb, duckdb://"
        return [f"warehouse: got {config.warehouse!r}; allowed: {allowed}"]
    table = config.source.table
    if scheme == "bigquery":
        faults = [*_fault_of_call("warehouse", parse_bigquery_url, rest)]
        faults += _fault_of_call("source.table", bigquery_table, table, rest.partition("/")[0])
    else:
        faults = [f"warehouse: got {config.warehouse!r}; allowed: one path behind duckdb://"] if "://" in rest else []
        faults += [] if is_file(table) else _fault_of_call("source.table", duckdb_table, table)
    faults += _faults_of_labels(config, scheme, rest.partition("/")[0])
    for path, name in _named_columns(config):
        faults += _fault_of_call(path, quote_column, name, scheme)
        if scheme == "bigquery" and "." in name:
            faults.append(f"{path}: column {name!r}: BigQuery has no dots in column names; give the name alone")
    for path, text in _expressions(config):
        faults += _fault_of_call(path, Expression, text, path)
    return faults or _shown_segments(config)


def _shown_segments(config: MonitorConfig) -> list[str]:
    """Segments by a column that a sensitive feature hides: names of segments are stored in clear.

    An expression may make harmless classes of such a column; one that is the column alone does not.
    """
    hidden = {
        column
        for feature in config.declared_features() if feature.sensitive
        for column in (Expression(feature.expression, "").columns if feature.expression else {feature.name})
    }  # fmt: skip
    faults: list[str] = []
    for i, segment in enumerate(config.segments if hidden else ()):
        whole = segment.expression and Expression(segment.expression, "").column
        shown = sorted(hidden & {*segment.columns, whole})
        faults += [
            f"segments[{i}]: {name!r} is read by a sensitive feature, and names of segments are stored in clear; "
            "cut by an expression that makes classes of it, or take one of the two out"
            for name in shown
        ]
    return faults


def _faults_of_labels(config: MonitorConfig, scheme: str, project: str) -> list[str]:
    table = config.labels.table if config.labels else None
    if table is None or (scheme == "duckdb" and is_file(table)):
        return []
    test, arguments = (bigquery_table, (table, project)) if scheme == "bigquery" else (duckdb_table, (table,))
    return _fault_of_call("labels.table", test, *arguments)


def _fault_of_call(path: str, test: Callable[..., object], *args: object) -> list[str]:
    """What a check says against its arguments, with the path before it; nothing when it passes."""
    try:
        test(*args)
    except BqMonitorError as error:
        message = str(error)
        return [message if message.startswith(path) else f"{path}: {message}"]
    return []


def _expressions(config: MonitorConfig) -> list[tuple[str, str]]:
    features, segments = enumerate(config.declared_features()), enumerate(config.segments)
    named = [
        ("source.filter", config.source.filter),
        *((f"features[{i}].expression", f.expression) for i, f in features),
        *((f"segments[{i}].expression", s.expression) for i, s in segments),
    ]
    return [(path, text) for path, text in named if text is not None]


def _named_columns(config: MonitorConfig) -> list[tuple[str, str]]:
    source, prediction = config.source, config.prediction
    named = [
        ("source.timestamp", source.timestamp),
        ("source.model_version", source.model_version),
        ("source.id", source.id),
    ]
    if prediction:
        named += [("prediction.column", prediction.column), ("prediction.score", prediction.score)]
    if labels := config.labels:
        named += [(f"labels.{key}", getattr(labels, key)) for key in ("column", "id", "timestamp")]
    if latency := config.quality.latency_ms:
        named += [("quality.latency_ms.column", latency.column)]
    named += [(f"segments[{i}]", name) for i, segment in enumerate(config.segments) for name in segment.columns]
    named += [(f"features[{i}].name", feature.name) for i, feature in enumerate(config.declared_features())]
    return [(path, name) for path, name in named if name is not None]
