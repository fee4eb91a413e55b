"""Our query parameters as python-bigquery's, arrays and structs included; our tables' schemas, and rows as JSON for loads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bq_monitor.warehouse.base import Param, Row
from bq_monitor.warehouse.schema import Table
from bq_monitor.warehouse.types import SqlType, parse_type, to_bigquery


def query_parameters(params: Mapping[str, Param]) -> list[Any]:
    """Our parameters as the client's, arrays and structs included."""
    return [_parameter(name, parse_type(param.type), param.value) for name, param in params.items()]


def json_schema(table: Table) -> list[dict[str, Any]]:
    """The columns of one of our tables as the JSON schema that BigQuery takes and gives back: for loads, patches and terraform."""
    return [json_field(column.name, parse_type(column.type), column.description) for column in table.columns]


def json_field(name: str, kind: SqlType, description: str | None = None) -> dict[str, Any]:
    """One column of a JSON schema; types by the names that BigQuery gives back (INTEGER, not INT64)."""
    scalar = kind.element or kind
    field: dict[str, Any] = {
        "name": name,
        "type": to_bigquery(scalar.name),
        "mode": "REPEATED" if kind.element else "NULLABLE",
    }
    if description is not None:
        field["description"] = description
    if scalar.fields:
        field["fields"] = [json_field(part, sub) for part, sub in scalar.fields]
    return field


def schema_fields(table: Table) -> list[Any]:
    """The columns of one of our tables as the client's schema fields."""
    from google.cloud import bigquery

    return [bigquery.SchemaField.from_api_repr(field) for field in json_schema(table)]


def json_lines(rows: Sequence[Row]) -> bytes:
    """Rows as the newline-delimited JSON that a load job takes."""
    return b"".join(json.dumps(row, default=_json_value).encode() + b"\n" for row in rows)


def _json_value(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no value of a row of ours: {value!r}")


def _parameter(name: str | None, kind: SqlType, value: Any) -> Any:
    from google.cloud import bigquery

    if kind.element is not None:
        element = _parameter_type(kind.element)
        values = [_parameter(None, kind.element, item) for item in value] if kind.element.fields else list(value)
        return bigquery.ArrayQueryParameter(name, element, values)
    if kind.fields:
        return bigquery.StructQueryParameter(
            name, *(_parameter(field, sub, value[field]) for field, sub in kind.fields)
        )
    return bigquery.ScalarQueryParameter(name, kind.name, value)


def _parameter_type(kind: SqlType, name: str | None = None) -> Any:
    from google.cloud import bigquery

    if kind.element is not None:
        return bigquery.ArrayQueryParameterType(_parameter_type(kind.element), name=name)
    if kind.fields:
        return bigquery.StructQueryParameterType(
            *(_parameter_type(sub, field) for field, sub in kind.fields), name=name
        )
    return bigquery.ScalarQueryParameterType(kind.name, name=name)
