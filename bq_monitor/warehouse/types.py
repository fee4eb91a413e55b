"""GoogleSQL type names, the one vocabulary for columns and parameters on both warehouses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_DUCKDB = {
    "INT64": "BIGINT", "FLOAT64": "DOUBLE", "STRING": "VARCHAR", "BOOL": "BOOLEAN", "TIMESTAMP": "TIMESTAMPTZ",
    "DATETIME": "TIMESTAMP", "DATE": "DATE", "NUMERIC": "DECIMAL(38, 9)",
}  # fmt: skip
_FROM_DUCKDB = {
    **dict.fromkeys(["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"], "INT64"),
    **dict.fromkeys(["HUGEINT", "UHUGEINT", "UBIGINT", "DECIMAL", "BIGNUM"], "NUMERIC"),
    **dict.fromkeys(["FLOAT", "DOUBLE"], "FLOAT64"),
    **dict.fromkeys(["VARCHAR", "ENUM", "UUID", '"NULL"'], "STRING"),
    **dict.fromkeys(["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"], "DATETIME"),
    "BOOLEAN": "BOOL", "DATE": "DATE", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}  # fmt: skip
_FROM_BIGQUERY = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "BIGNUMERIC": "NUMERIC"}
_TO_BIGQUERY = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


@dataclass(frozen=True)
class SqlType:
    """A parsed GoogleSQL type: a scalar `name`, `ARRAY` of `element`, or `STRUCT` of `fields`."""

    name: str
    element: SqlType | None = None
    fields: tuple[tuple[str, SqlType], ...] = ()

    def __str__(self) -> str:
        """As GoogleSQL writes it: `parse_type` reads it back."""
        if self.element:
            return f"ARRAY<{self.element}>"
        if self.fields:
            return "STRUCT<" + ", ".join(f"{name} {kind}" for name, kind in self.fields) + ">"
        return self.name

    def duckdb(self) -> str:
        if self.element:
            return f"{self.element.duckdb()}[]"
        if self.fields:
            return "STRUCT(" + ", ".join(f"{name} {kind.duckdb()}" for name, kind in self.fields) + ")"
        return _DUCKDB[self.name]


@lru_cache
def parse_type(text: str) -> SqlType:
    """`'ARRAY<STRUCT<n INT64>>'` -> `SqlType`; names are our own, so a bad one is a bug and raises KeyError or ValueError."""
    tokens = re.findall(r"\w+|[<>,]", text)

    def read() -> SqlType:
        name = tokens.pop(0)
        if name == "ARRAY":
            tokens.pop(0)
            element = read()
            tokens.pop(0)
            return SqlType("ARRAY", element)
        if name != "STRUCT":
            return SqlType(name)
        fields = []
        while tokens.pop(0) != ">":
            field = tokens.pop(0)
            fields.append((field, read()))
        return SqlType("STRUCT", fields=tuple(fields))

    return read()


def from_duckdb(text: str) -> str:
    """A DuckDB type as DESCRIBE prints it -> GoogleSQL; nested and exotic types keep their own name."""
    if text.endswith("]"):
        return "ARRAY"
    base = text.split("(", 1)[0].strip().upper()
    return _FROM_DUCKDB.get(base, base)


def parse_duckdb_type(text: str) -> SqlType:
    """A DuckDB type as DESCRIBE prints it -> `SqlType`, nested ones too."""
    import duckdb

    return _of_duckdb(duckdb.sqltype(text))


def _of_duckdb(kind: Any) -> SqlType:
    if kind.id == "list":
        return SqlType("ARRAY", _of_duckdb(kind.children[0][1]))
    if kind.id == "struct":
        return SqlType("STRUCT", fields=tuple((str(name), _of_duckdb(field)) for name, field in kind.children))
    return SqlType(from_duckdb(str(kind)))


def parse_json_field(field: Mapping[str, Any]) -> SqlType:
    """A field of a BigQuery table's JSON schema -> `SqlType`."""
    name = str(field["type"])
    name = "STRUCT" if name == "RECORD" else _FROM_BIGQUERY.get(name, name)
    kind = SqlType(name, fields=tuple((str(part["name"]), parse_json_field(part)) for part in field.get("fields", ())))
    return SqlType("ARRAY", kind) if field.get("mode") == "REPEATED" else kind


def from_bigquery(field_type: str, mode: str | None) -> str:
    """A BigQuery field -> GoogleSQL type name; repeated fields are ARRAY."""
    return "ARRAY" if mode == "REPEATED" else _FROM_BIGQUERY.get(field_type, field_type)


def to_bigquery(name: str) -> str:
    """A GoogleSQL type name -> what the fields of a BigQuery table call it."""
    return _TO_BIGQUERY.get(name, name)
