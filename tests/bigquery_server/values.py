"""Parameters and rows between the JSON of the REST API and DuckDB."""

from __future__ import annotations

import base64
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from bq_monitor.warehouse.types import SqlType
from tests.bigquery_server.errors import ServiceError

Json = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEGACY = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_TO_DUCKDB = {
    "INTEGER": "BIGINT", "FLOAT": "DOUBLE", "STRING": "VARCHAR", "BOOLEAN": "BOOLEAN", "TIMESTAMP": "TIMESTAMPTZ", "DATETIME": "TIMESTAMP",
    "DATE": "DATE", "NUMERIC": "DECIMAL(38, 9)", "BYTES": "BLOB",
}  # fmt: skip
_FROM_DUCKDB = {
    **dict.fromkeys(["tinyint", "smallint", "integer", "bigint", "hugeint", "uinteger", "ubigint"], "INTEGER"),
    **dict.fromkeys(["float", "double"], "FLOAT"), **dict.fromkeys(["timestamp_s", "timestamp_ms", "timestamp_ns"], "DATETIME"),
    "decimal": "NUMERIC", "null": "INTEGER", "boolean": "BOOLEAN", "varchar": "STRING", "date": "DATE", "timestamp": "DATETIME",
    "timestamp with time zone": "TIMESTAMP", "blob": "BYTES",
}  # fmt: skip


def parameter(sent: Json) -> tuple[str, Any]:
    """A query parameter as sent -> its name and its value for DuckDB."""
    kind = parameter_type(sent["parameterType"])
    return sent["name"], duckdb.Value(_decode(kind, sent["parameterValue"]), duckdb.sqltype(kind.duckdb()))


def parameter_type(sent: Json) -> SqlType:
    if sent["type"] == "ARRAY":
        element = parameter_type(sent["arrayType"])
        if element.element:
            raise ServiceError(400, "invalid", "Array of arrays is not a parameter type")
        return SqlType("ARRAY", element)
    if sent["type"] == "STRUCT":
        return SqlType(
            "STRUCT", fields=tuple((item["name"], parameter_type(item["type"])) for item in sent["structTypes"])
        )
    return SqlType(sent["type"])


def _decode(kind: SqlType, sent: Json) -> Any:
    if kind.element:
        return [_decode(kind.element, item) for item in sent.get("arrayValues", [])]
    if kind.fields:
        given = sent["structValues"]
        return {name: _decode(sub, given[name]) for name, sub in kind.fields}
    text = sent.get("value")
    return None if text is None else _SCALARS[kind.name](str(text))


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_SCALARS: dict[str, Any] = {
    "STRING": str, "INT64": int, "FLOAT64": float, "NUMERIC": Decimal, "BOOL": _truth,
    "DATE": date.fromisoformat, "DATETIME": datetime.fromisoformat, "TIMESTAMP": datetime.fromisoformat,
}  # fmt: skip


def schema_field(name: str, kind: Any, description: str | None = None) -> Json:
    """A column of DuckDB as a field of a BigQuery schema, with the type names that the service answers."""
    if str(kind.id) == "list":
        return {**schema_field(name, kind.children[0][1], description), "mode": "REPEATED"}
    made: Json = {"name": name, "mode": "NULLABLE"}
    if description:
        made["description"] = description
    if str(kind.id) == "struct":
        return {**made, "type": "RECORD", "fields": [schema_field(field, sub) for field, sub in kind.children]}
    return {**made, "type": _FROM_DUCKDB[str(kind.id)]}


def legacy_field(sent: Json) -> Json:
    """A field of a schema as sent, with the type names that the service answers."""
    kind = sent["type"].upper()
    made = {**sent, "type": LEGACY.get(kind, kind), "mode": sent.get("mode", "NULLABLE")}
    if made["type"] == "RECORD":
        made["fields"] = [legacy_field(sub) for sub in sent["fields"]]
    return made


def column_type(field: Json) -> str:
    """DuckDB's type of a field."""
    if field["mode"] == "REPEATED":
        return column_type({**field, "mode": "NULLABLE"}) + "[]"
    if field["type"] == "RECORD":
        return "STRUCT(" + ", ".join(f'"{sub["name"]}" {column_type(sub)}' for sub in field["fields"]) + ")"
    return _TO_DUCKDB[field["type"]]


def cell(field: Json, value: Any, *, micros: bool) -> Json:
    """One value as `{"v": ...}`; an array is never NULL."""
    if field["mode"] == "REPEATED":
        element = {**field, "mode": "NULLABLE"}
        return {"v": [cell(element, item, micros=micros) for item in value or ()]}
    if value is None:
        return {"v": None}
    if field["type"] == "RECORD":
        return {"v": {"f": [cell(sub, value[sub["name"]], micros=micros) for sub in field["fields"]]}}
    return {"v": _text(field["type"], value, micros)}


def _text(kind: str, value: Any, micros: bool) -> str:
    if kind == "BOOLEAN":
        return "true" if value else "false"
    if kind == "FLOAT":
        if math.isnan(value):
            return "NaN"
        return repr(float(value)) if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if kind == "TIMESTAMP":
        count = (value - EPOCH) // timedelta(microseconds=1)
        return str(count) if micros else repr(count / 1e6)
    if kind == "BYTES":
        return base64.b64encode(value).decode()
    return str(value.isoformat()) if kind in ("DATE", "DATETIME") else str(value)
