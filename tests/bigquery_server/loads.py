"""Load jobs: what one asks for, and rows of newline-delimited JSON as an Arrow table."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.bigquery_server.errors import ServiceError, invalid
from tests.bigquery_server.values import Json, legacy_field

_ARROW = {
    "INTEGER": pa.int64(), "FLOAT": pa.float64(), "STRING": pa.string(), "BOOLEAN": pa.bool_(), "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"), "DATETIME": pa.timestamp("us"), "NUMERIC": pa.decimal128(38, 9), "BYTES": pa.binary(),
}  # fmt: skip


@dataclass(frozen=True)
class Load:
    """The configuration of a load job; `fields` is None where the table's own are meant."""

    table: str
    fields: list[Json] | None
    write: str
    create: str
    partitioning: Json
    clustering: list[str]
    ignores_unknown: bool


def parse_load(config: Json) -> Load:
    """The `load` part of a job's configuration; raises the refusal of what the stand-in does not do."""
    if config.get("sourceFormat", "CSV") != "NEWLINE_DELIMITED_JSON" or config.get("sourceUris"):
        raise invalid("stand-in: only uploads of NEWLINE_DELIMITED_JSON are loaded")
    target = config["destinationTable"]
    fields = config.get("schema", {}).get("fields")
    return Load(
        f"{target['projectId']}.{target['datasetId']}.{target['tableId']}", [legacy_field(item) for item in fields] if fields else None,
        config.get("writeDisposition", "WRITE_APPEND"), config.get("createDisposition", "CREATE_IF_NEEDED"),
        config.get("timePartitioning", {}), config.get("clustering", {}).get("fields", []), bool(config.get("ignoreUnknownValues")),
    )  # fmt: skip


def check_schema(table: str, sent: list[Json], existing: list[Json]) -> None:
    """Refuse to append rows of another schema: columns may be missing, not new or of another type."""
    known = {item["name"]: item for item in existing}
    for item in sent:
        place = f"Provided Schema does not match Table {table.replace('.', ':', 1)}."
        if item["name"] not in known:
            raise invalid(f"{place} Cannot add fields (field: {item['name']})")
        old, new = (field["type"] for field in (known[item["name"]], item))
        if old != new:
            raise invalid(f"{place} Field {item['name']} has changed type from {old} to {new}")
        modes = ["REPEATED" if field["mode"] == "REPEATED" else "NULLABLE" for field in (known[item["name"]], item)]
        if modes[0] != modes[1]:
            raise invalid(f"{place} Field {item['name']} has changed mode from {modes[0]} to {modes[1]}")


def parse_rows(data: bytes, fields: list[Json], *, ignores_unknown: bool = False) -> pa.Table:
    """The rows of newline-delimited JSON; raises the job's failure, with the reason 'invalid', at the first that does not fit."""
    rows, position = [], 0
    for line in data.split(b"\n"):
        if line.strip():
            try:
                rows.append(_record(_parse(line), fields, ignores_unknown))
            except _BadRowError as error:
                raise _refusal(position, str(error)) from None
        position += len(line) + 1
    return pa.Table.from_pylist(rows, pa.schema([pa.field(item["name"], _arrow_type(item)) for item in fields]))


class _BadRowError(Exception):
    """What is wrong with a row."""


def _refusal(position: int, what: str) -> ServiceError:
    said = "Error while reading data, error message: JSON"
    return invalid(
        f"{said} table encountered too many errors, giving up. Rows: 1; errors: 1. "
        "Please look into the errors[] collection for more details.",
        f"{said} parsing error in row starting at position {position}: {what}",
    )


def _arrow_type(field: Json) -> pa.DataType:
    if field["mode"] == "REPEATED":
        return pa.list_(_arrow_type({**field, "mode": "NULLABLE"}))
    if field["type"] == "RECORD":
        return pa.struct([pa.field(sub["name"], _arrow_type(sub)) for sub in field["fields"]])
    return _ARROW[field["type"]]


def _parse(line: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise _BadRowError(f"Parser terminated before end of string: {constant} is no JSON")

    try:
        return json.loads(line, parse_constant=refuse)
    except ValueError as error:
        raise _BadRowError(f"Parser terminated before end of string: {error}") from None


def _record(sent: Any, fields: list[Json], ignores_unknown: bool) -> Json:
    if not isinstance(sent, dict):
        raise _BadRowError("Expected a JSON object")
    unknown = sent.keys() - {item["name"] for item in fields}
    if unknown and not ignores_unknown:
        raise _BadRowError(f"No such field: {min(unknown)}.")
    return {item["name"]: _value(sent.get(item["name"]), item, ignores_unknown) for item in fields}


def _value(sent: Any, field: Json, ignores_unknown: bool) -> Any:
    if field["mode"] == "REPEATED":
        if not isinstance(sent, list) and sent is not None:
            raise _BadRowError(f"Array specified for non-repeated field, or none for a repeated one: {field['name']}.")
        return [_value(item, {**field, "mode": "REQUIRED"}, ignores_unknown) for item in sent or ()]
    if sent is None:
        if field["mode"] == "REQUIRED":
            raise _BadRowError(f"Only optional fields can be set to NULL. Field: {field['name']}; Value: NULL")
        return None
    if field["type"] == "RECORD":
        return _record(sent, field["fields"], ignores_unknown)
    try:
        return _SCALARS[field["type"]](sent)
    except (ValueError, TypeError, KeyError, ArithmeticError):
        what = field["type"].lower()
        raise _BadRowError(f"Could not convert value to {what}. Field: {field['name']}; Value: {sent}") from None


def _text(sent: Any) -> str:
    if isinstance(sent, (dict, list)):
        raise TypeError
    return sent if isinstance(sent, str) else json.dumps(sent)


def _integer(sent: Any) -> int:
    if isinstance(sent, bool) or (isinstance(sent, float) and not sent.is_integer()):
        raise ValueError
    if not -(1 << 63) <= int(sent) < 1 << 63:
        raise ValueError
    return int(sent)


def _number(sent: Any) -> float:
    if isinstance(sent, bool):
        raise TypeError
    return float(sent)


def _truth(sent: Any) -> bool:
    return sent if isinstance(sent, bool) else {"true": True, "false": False, "1": True, "0": False}[str(sent).lower()]


def _instant(sent: Any) -> datetime:
    if isinstance(sent, (int, float)) and not isinstance(sent, bool):
        return datetime.fromtimestamp(sent, UTC)
    found = datetime.fromisoformat(sent.removesuffix(" UTC"))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _reading(sent: Any) -> datetime:
    found = datetime.fromisoformat(sent)
    if found.tzinfo:
        raise ValueError
    return found


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "STRING": _text, "INTEGER": _integer, "FLOAT": _number, "BOOLEAN": _truth, "TIMESTAMP": _instant, "DATETIME": _reading,
    "DATE": date.fromisoformat, "NUMERIC": lambda sent: Decimal(str(sent)), "BYTES": lambda sent: base64.b64decode(sent, validate=True),
}  # fmt: skip
