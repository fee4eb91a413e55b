"""Names that users write: allowed or refused, and only then written into SQL.

Nothing of a user's text reaches a statement except through here and `expressions`; values never do (they are query parameters).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from bq_monitor.errors import IdentifierError
from bq_monitor.warehouse.base import Dialect

_PROJECT = re.compile(r"(?:[a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,1023}")
_TABLE = re.compile(r"\w[\w-]{0,1023}")
_LOCATION = re.compile(r"[A-Za-z0-9-]+")
_DUCKDB_TABLE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*){0,2}")
DOT = "\ue000"
"""Stands for a dot inside a column's name while GoogleSQL is translated, which would read it as a path (private use area)."""
FORBIDDEN_IN_COLUMN = re.compile(rf"[`\\\x00-\x1f\x7f{DOT}]")
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
    if not name or FORBIDDEN_IN_COLUMN.search(name):
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
