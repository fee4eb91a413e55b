"""Create our tables and views in a warehouse, or bring older ones to this version; safe to repeat, also by two at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bq_monitor.errors import SchemaError
from bq_monitor.measure.health import WEIGHTS
from bq_monitor.warehouse.base import Dialect, Shape, Statement, Warehouse
from bq_monitor.warehouse.migration import missing_columns, newer_columns, table_shapes
from bq_monitor.warehouse.render import render
from bq_monitor.warehouse.schema import TABLES, Column, Table
from bq_monitor.warehouse.statements import Names
from bq_monitor.warehouse.types import parse_type
from bq_monitor.warehouse.views import VIEWS, View


@dataclass(frozen=True)
class Setup:
    """What `create_tables` did: the tables that it made, the columns that it added to older ones, and what it left alone.

    Args:
        created: tables that were not there before; of two that set up at once, both may name one.
        added: the columns that a table lacked, by table.
        left: the views of a newer version, which stay as they are, each with the columns that this version does not know.
    """

    created: tuple[str, ...] = ()
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What it was, for people: what was made, added and left alone, then what is in place now."""
        made = [f"created {_counted(self.created, 'table')}: {', '.join(self.created)}"] if self.created else []
        added = [
            f"added {_counted(columns, 'column')} to {name}: {', '.join(columns)}"
            for name, columns in self.added.items()
        ]
        left = [
            f"left {name} alone, which a newer version made: it has {', '.join(columns)}"
            for name, columns in self.left.items()
        ]
        return [*made, *added, *left, f"{len(TABLES)} tables and {len(VIEWS)} views are in place"]


def create_missing(warehouse: Warehouse) -> tuple[str, ...]:
    """Create every table and view that is not there; what is there is neither altered nor replaced nor described anew.

    So whoever is of another version than the monitors (a training pipeline) does them no harm.

    Returns:
        The names of what was created; nothing where all was in place, which is found by metadata alone.

    Raises:
        SchemaError: a table lacks columns, has one of another type, or is partitioned otherwise; nothing was changed.
        WarehouseError: the warehouse failed.
    """
    there = warehouse.names()
    older = _older(table_shapes(warehouse, there))
    if older:
        raise SchemaError.outdated({table.name: _names(columns) for table, columns in older.items()})
    absent = [entity for entity in (*TABLES, *VIEWS) if entity.name not in there]
    for statement in _creations(absent, warehouse):
        warehouse.execute(statement)
    return tuple(entity.name for entity in absent)


def create_tables(warehouse: Warehouse) -> Setup:
    """Create every table that is missing, add the columns that older ones lack, replace the views.

    Rows that are there stay as they are: NULL in a column that is new. What is left when it is killed, a repeat finishes.
    A view with columns that this version does not know is of a newer one, and is left alone. What is created is described; on
    BigQuery tables and columns that are there keep the descriptions that they have.

    Returns:
        What was created, added and left alone; nothing where all was in place.

    Raises:
        SchemaError: a table has a column of another type, or is partitioned otherwise; nothing was changed.
        WarehouseError: the warehouse failed.
    """
    there = warehouse.names()
    shapes, left = table_shapes(warehouse, there), newer_columns(warehouse, there)
    older = _older(shapes)
    for table, columns in older.items():
        warehouse.execute(add_columns(table, columns, warehouse))
    created = [table for table in TABLES if shapes[table.name] is None]
    skipped = {f"tables/{name}" for name, shape in shapes.items() if shape}
    views = [view for view in VIEWS if view.name not in left]
    for statement in _creations((*TABLES, *views), warehouse):
        if statement.name not in skipped:
            warehouse.execute(statement)
    return Setup(_names(created), {table.name: _names(columns) for table, columns in older.items()}, left)


def setup_statements(warehouse: Names) -> list[Statement]:
    """The DDL of all tables and views, in an order in which it can run."""
    return _creations((*TABLES, *VIEWS), warehouse)


def add_columns(table: Table, columns: Sequence[Column], warehouse: Names) -> Statement:
    """Add columns to a table that is there; those that another has added meanwhile are left alone."""
    sql = render(
        "tables/add", warehouse.dialect, columns=columns, name=_name(table.name, warehouse),
        string=lambda text: _string(text, warehouse.dialect), duckdb_type=lambda text: parse_type(text).duckdb(),
    )  # fmt: skip
    return Statement("tables/add", sql)


def view_query(view: View, warehouse: Names) -> str:
    """The SELECT behind a view."""
    return render(f"views/{view.name}", warehouse.dialect, table=warehouse.table, weights=WEIGHTS)


def _creations(entities: Sequence[Table | View], warehouse: Names) -> list[Statement]:
    """The DDL of some tables and views, tables first, and on DuckDB what describes them."""
    statements = [_create_table(item, warehouse) for item in entities if isinstance(item, Table)]
    statements += [_create_view(item, warehouse) for item in entities if isinstance(item, View)]
    return statements + [_comment(item) for item in entities] if warehouse.dialect == "duckdb" else statements


def _older(shapes: Mapping[str, Shape | None]) -> dict[Table, tuple[Column, ...]]:
    """The columns that tables lack, by table."""
    lacking = {table: missing_columns(table, shape) for table in TABLES if (shape := shapes[table.name])}
    return {table: columns for table, columns in lacking.items() if columns}


def _names(items: Iterable[Table | Column]) -> tuple[str, ...]:
    return tuple(item.name for item in items)


def _counted(items: Sequence[str], what: str) -> str:
    return f"{len(items)} {what}{'s' if len(items) > 1 else ''}"


def _create_table(table: Table, warehouse: Names) -> Statement:
    sql = render(
        "tables/create", warehouse.dialect, table=table, name=_name(table.name, warehouse),
        string=lambda text: _string(text, warehouse.dialect), duckdb_type=lambda text: parse_type(text).duckdb(),
    )  # fmt: skip
    return Statement(f"tables/{table.name}", sql)


def _create_view(view: View, warehouse: Names) -> Statement:
    sql = render(
        "views/create", warehouse.dialect, view=view, name=_name(view.name, warehouse), query=view_query(view, warehouse),
        string=lambda text: _string(text, warehouse.dialect),
    )  # fmt: skip
    return Statement(f"views/{view.name}", sql)


def _comment(entity: Table | View) -> Statement:
    columns = (
        {column.name: column.description for column in entity.columns} if isinstance(entity, Table) else entity.columns
    )
    what = "TABLE" if isinstance(entity, Table) else "VIEW"
    described = [(what, f'"{entity.name}"', entity.description)]
    described += [("COLUMN", f'"{entity.name}"."{name}"', text) for name, text in columns.items()]
    sql = render("tables/comment", "duckdb", described=described, string=lambda text: _string(text, "duckdb"))
    return Statement("tables/comment", sql)


def _name(name: str, warehouse: Names) -> str:
    return warehouse.table(name) if warehouse.dialect == "bigquery" else f'"{name}"'


def _string(text: str, dialect: Dialect) -> str:
    """A description of ours as a string literal."""
    return "'" + text.replace("'", "\\'" if dialect == "bigquery" else "''") + "'"
