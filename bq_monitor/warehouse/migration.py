"""What our tables lack against this version. Columns can be added; nothing is dropped, and no type or partition is changed."""

from __future__ import annotations

from collections.abc import Mapping

from bq_monitor.errors import BqMonitorError, SchemaError
from bq_monitor.warehouse.base import Shape, Warehouse
from bq_monitor.warehouse.schema import TABLES, Column, Table
from bq_monitor.warehouse.types import parse_type
from bq_monitor.warehouse.views import VIEWS


def table_shapes(warehouse: Warehouse) -> dict[str, Shape | None]:
    """How each of our tables stands.

    Raises:
        SchemaError: a table cannot be brought to this version by adding columns; every such fault is told.
    """
    shapes = {table.name: warehouse.shape(table.name) for table in TABLES}
    faults = [fault for table in TABLES if (shape := shapes[table.name]) for fault in _faults(table, shape, warehouse)]
    if faults:
        remedy = "Nothing was changed. Rename or move these tables, or give the monitors a dataset of their own; then run init again."
        raise SchemaError("\n".join([*faults, remedy]))
    return shapes


def missing_columns(table: Table, shape: Shape) -> tuple[Column, ...]:
    """The columns of this version that a table does not have; case does not count."""
    there = {name.lower() for name in shape.columns}
    return tuple(column for column in table.columns if column.name.lower() not in there)


def lacking_columns(warehouse: Warehouse) -> dict[str, tuple[str, ...]]:
    """The columns that our tables and views lack, by name; what is not there at all is not among them."""
    expected = {table.name: tuple(column.name for column in table.columns) for table in TABLES}
    expected |= {view.name: tuple(view.columns) for view in VIEWS}
    found = {name: _absent(names, warehouse.shape(name)) for name, names in expected.items()}
    return {name: columns for name, columns in found.items() if columns}


def outdated_error(warehouse: Warehouse, met: BqMonitorError) -> SchemaError | None:
    """The error to raise in the place of one that was met, where older tables explain it; None where they do not.

    It looks only then: a healthy run pays nothing for it.
    """
    try:
        lacking = lacking_columns(warehouse)
    except BqMonitorError:  # what was met is told instead
        return None
    if not lacking:
        return None
    error = SchemaError.outdated(lacking)
    error.add_note(f"Met as: {met}")
    return error


def _absent(names: tuple[str, ...], shape: Shape | None) -> tuple[str, ...]:
    return tuple(name for name in names if shape and name not in shape.columns)


def _faults(table: Table, shape: Shape, warehouse: Warehouse) -> list[str]:
    place = warehouse.table(table.name).strip("`")
    faults = []
    for name, expected in _types(table).items():
        got = shape.columns.get(name)
        if got is not None and got != parse_type(expected):
            faults.append(f"{place}.{name}: another type; got {got}; allowed: {expected}.")
    if warehouse.dialect == "bigquery" and shape.partition != table.partition:
        got_partition = shape.partition or "none"
        faults.append(f"{place}: another partition column; got {got_partition}; allowed: {table.partition}.")
    return faults


def _types(table: Table) -> Mapping[str, str]:
    return {column.name: column.type for column in table.columns}
