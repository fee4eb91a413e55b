"""GoogleSQL types and Python values as the messages of Google's server, both ways."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bq_monitor.warehouse.types import SqlType
from bq_monitor.warehouse.types import parse_type as parse_sql_type
from tests.googlesql.protos import types, values

INT64, BOOL, FLOAT64, STRING, BYTES, DATE, ARRAY, STRUCT, TIMESTAMP, DATETIME, NUMERIC = (
    2, 5, 7, 8, 9, 10, 16, 17, 19, 21, 23,
)  # fmt: skip
SCALARS = {
    "INT64": INT64, "BOOL": BOOL, "FLOAT64": FLOAT64, "STRING": STRING, "BYTES": BYTES,
    "DATE": DATE, "TIMESTAMP": TIMESTAMP, "DATETIME": DATETIME, "NUMERIC": NUMERIC,
}  # fmt: skip
NAMES = {number: name for name, number in SCALARS.items()}
_PLAIN = {
    INT64: "int64_value",
    BOOL: "bool_value",
    FLOAT64: "double_value",
    STRING: "string_value",
    BYTES: "bytes_value",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = decimal.Context(prec=100)


def parse_type(text: str) -> types.TypeProto:
    """`'ARRAY<STRUCT<lower FLOAT64, n INT64>>'` -> its message."""
    return _type(parse_sql_type(text))


def _type(kind: SqlType) -> types.TypeProto:
    if kind.element:
        return types.TypeProto(type_kind=ARRAY, array_type=types.ArrayTypeProto(element_type=_type(kind.element)))
    if kind.fields:
        fields = [types.StructFieldProto(field_name=name, field_type=_type(sub)) for name, sub in kind.fields]
        return types.TypeProto(type_kind=STRUCT, struct_type=types.StructTypeProto(field=fields))
    return types.TypeProto(type_kind=SCALARS[kind.name])


def type_name(kind: types.TypeProto) -> str:
    """The inverse of `parse_type`."""
    if kind.type_kind == ARRAY:
        return f"ARRAY<{type_name(kind.array_type.element_type)}>"
    if kind.type_kind == STRUCT:
        fields = (f"{field.field_name} {type_name(field.field_type)}" for field in kind.struct_type.field)
        return f"STRUCT<{', '.join(fields)}>"
    return NAMES[kind.type_kind]


def to_message(kind: types.TypeProto, value: Any) -> values.ValueProto:
    """A Python value (STRUCT = dict, ARRAY = list, NULL = None) as a message of a type."""
    message = values.ValueProto()
    if value is None:
        return message
    if kind.type_kind == ARRAY:
        message.array_value.SetInParent()
        message.array_value.element.extend(to_message(kind.array_type.element_type, item) for item in value)
    elif kind.type_kind == STRUCT:
        message.struct_value.SetInParent()
        fields = kind.struct_type.field
        message.struct_value.field.extend(to_message(field.field_type, value[field.field_name]) for field in fields)
    elif kind.type_kind in _PLAIN:
        setattr(message, _PLAIN[kind.type_kind], float(value) if kind.type_kind == FLOAT64 else value)
    else:
        _set_time_or_decimal(message, kind.type_kind, value)
    return message


def _set_time_or_decimal(message: values.ValueProto, kind: int, value: Any) -> None:
    if kind == DATE:
        message.date_value = (value - _EPOCH.date()).days
    elif kind == TIMESTAMP:
        micros = (value - _EPOCH) // timedelta(microseconds=1)
        message.timestamp_value.seconds, message.timestamp_value.nanos = micros // 10**6, micros % 10**6 * 1000
    elif kind == DATETIME:
        day = (value.year << 4 | value.month) << 5 | value.day
        message.datetime_value.bit_field_datetime_seconds = (
            (day << 5 | value.hour) << 6 | value.minute
        ) << 6 | value.second
        message.datetime_value.nanos = value.microsecond * 1000
    else:  # NUMERIC: the shortest two's complement of the value times 10^9
        n = int(_EXACT.multiply(value, decimal.Decimal(10**9)))
        message.numeric_value = n.to_bytes((n + (n < 0)).bit_length() // 8 + 1, "little", signed=True)


def from_message(kind: types.TypeProto, message: values.ValueProto) -> Any:
    """The inverse of `to_message`."""
    if message.WhichOneof("value") is None:
        return None
    if kind.type_kind == ARRAY:
        return [from_message(kind.array_type.element_type, item) for item in message.array_value.element]
    if kind.type_kind == STRUCT:
        pairs = zip(kind.struct_type.field, message.struct_value.field, strict=True)
        return {field.field_name: from_message(field.field_type, item) for field, item in pairs}
    if kind.type_kind in _PLAIN:
        return getattr(message, _PLAIN[kind.type_kind])
    return _time_or_decimal(kind.type_kind, message)


def _time_or_decimal(kind: int, message: values.ValueProto) -> date | datetime | decimal.Decimal:
    if kind == DATE:
        return _EPOCH.date() + timedelta(days=message.date_value)
    if kind == TIMESTAMP:
        stamp = message.timestamp_value
        return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    if kind == DATETIME:
        bits, micros = message.datetime_value.bit_field_datetime_seconds, message.datetime_value.nanos // 1000
        day = (bits >> 26, bits >> 22 & 15, bits >> 17 & 31)
        return datetime(*day, bits >> 12 & 31, bits >> 6 & 63, bits & 63, micros)
    return decimal.Decimal(int.from_bytes(message.numeric_value, "little", signed=True)).scaleb(-9, _EXACT)
