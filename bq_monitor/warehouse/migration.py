"""What our tables lack against this version. Columns can be added; nothing is dropped, and no type or partition is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from bq_monitor.errors import BqMonitorError, SchemaError
from bq_monitor.warehouse.base import Shape, Warehouse
from bq_monitor.warehouse.schema import TABLES, Column, Table
from bq_monitor.warehouse.types import parse_type
from bq_monitor.warehouse.views import VIEWS

_PARTITION_UNIT = "DAY"


def table_shapes(warehouse: Warehouse, there: Collection[str]) -> dict[str, Shape | None]:
    """How each of our tables stands; `there` are the names of those to look at, the others are None.

    Raises:
        SchemaError: a table cannot be brought to this version by adding columns; every such fault is told.
    """
    shapes = {table.name: warehouse.shape(table.name) if table.name in there else None for table in TABLES}
    faults = [fault for table in TABLES if (shape := shapes[table.name]) for fault in _faults(table, shape, warehouse)]
    if faults:
        remedy = "Nothing was changed. Rename or move these tables, or give the monitors a dataset of their own; then run init again."
        raise SchemaError("\n".join([*faults, remedy]))
    return shapes


def missing_columns(table: Table, shape: Shape) -> tuple[Column, ...]:
    """The columns of this version that a table does not have; case does not count."""
    absent = _absent((column.name for column in table.columns), shape)
    return tuple(column for column in table.columns if column.name in absent)


def newer_columns(warehouse: Warehouse, there: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The columns of our views, those among `there`, that this version does not know: a newer one made these views."""
    shapes = {view.name: warehouse.shape(view.name) for view in VIEWS if view.name in there}
    known = {view.name: {name.lower() for name in view.columns} for view in VIEWS}
    found = {
        name: tuple(column for column in shape.columns if column not in known[name])
        for name, shape in shapes.items() if shape
    }  # fmt: skip
    return {name: columns for name, columns in found.items() if columns}


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


def _absent(names: Iterable[str], shape: Shape | None) -> tuple[str, ...]:
    return tuple(name for name in names if shape and shape.type_of(name) is None)


def _faults(table: Table, shape: Shape, warehouse: Warehouse) -> list[str]:
    place = warehouse.table(table.name).strip("`")
    faults = []
    for name, expected in _types(table).items():
        got = shape.type_of(name)
        if got is not None and str(got).lower() != str(parse_type(expected)).lower():
            faults.append(f"{place}.{name}: another type; got {got}; allowed: {expected}.")
    return faults + _partition_faults(table, shape, place) if warehouse.dialect == "bigquery" else faults


def _partition_faults(table: Table, shape: Shape, place: str) -> list[str]:
    if shape.partition != table.partition.lower():
        return [f"{place}: another partition column; got {shape.partition or 'none'}; allowed: {table.partition}."]
    if shape.partition_unit != _PARTITION_UNIT:
        return [f"{place}: partitions of another length; got {shape.partition_unit}; allowed: {_PARTITION_UNIT}."]
    return []


def _types(table: Table) -> Mapping[str, str]:
    return {column.name: column.type for column in table.columns}
