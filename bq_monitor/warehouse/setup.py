"""Create our tables and views in a warehouse, or bring older ones to this version; safe to repeat, also by two at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bq_monitor.measure.health import WEIGHTS
from bq_monitor.warehouse.base import Dialect, Statement, Warehouse
from bq_monitor.warehouse.migration import missing_columns, table_shapes
from bq_monitor.warehouse.render import render
from bq_monitor.warehouse.schema import TABLES, Column, Table
from bq_monitor.warehouse.statements import Names
from bq_monitor.warehouse.types import parse_type
from bq_monitor.warehouse.views import VIEWS, View


@dataclass(frozen=True)
class Setup:
    """What `create_tables` did: the tables that it made, and the columns that it added to older ones."""

    created: tuple[str, ...] = ()
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What it was, for people: each table that got columns, then what is in place now."""
        counted = {
            name: f"{len(columns)} column{'s' if len(columns) > 1 else ''}" for name, columns in self.added.items()
        }
        return [
            *(f"added {counted[name]} to {name}: {', '.join(columns)}" for name, columns in self.added.items()),
            f"{len(TABLES)} tables and {len(VIEWS)} views are in place",
        ]


def create_tables(warehouse: Warehouse) -> Setup:
    """Create every table that is missing, add the columns that older ones lack, replace the views, describe all columns.

    Rows that are there stay as they are: NULL in a column that is new. What is left when it is killed, a repeat finishes.

    Returns:
        What was created and added; nothing where all was in place.

    Raises:
        SchemaError: a table has a column of another type, or another partition column; nothing was changed.
        WarehouseError: the warehouse failed.
    """
    shapes = table_shapes(warehouse)
    older = {table: missing_columns(table, shape) for table in TABLES if (shape := shapes[table.name])}
    added = {table: columns for table, columns in older.items() if columns}
    for table, columns in added.items():
        warehouse.execute(add_columns(table, columns, warehouse))
    standing = {f"tables/{table.name}" for table in older}
    for statement in setup_statements(warehouse):
        if statement.name not in standing:
            warehouse.execute(statement)
    created = tuple(table.name for table in TABLES if table not in older)
    return Setup(created, {table.name: tuple(column.name for column in columns) for table, columns in added.items()})


def setup_statements(warehouse: Names) -> list[Statement]:
    """The DDL of all tables and views, in an order in which it can run."""
    statements = [_create_table(table, warehouse) for table in TABLES]
    statements += [_create_view(view, warehouse) for view in VIEWS]
    if warehouse.dialect == "duckdb":
        statements += [_comment(entity) for entity in (*TABLES, *VIEWS)]
    return statements


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
