"""Create our tables and views in a warehouse; safe to repeat."""

from __future__ import annotations

from bq_monitor.measure.health import WEIGHTS
from bq_monitor.warehouse.base import Dialect, Statement, Warehouse
from bq_monitor.warehouse.render import render
from bq_monitor.warehouse.schema import TABLES, Table
from bq_monitor.warehouse.statements import Names
from bq_monitor.warehouse.types import parse_type
from bq_monitor.warehouse.views import VIEWS, View


def create_tables(warehouse: Warehouse) -> None:
    """Create every table and view that is missing, and describe their columns."""
    for statement in setup_statements(warehouse):
        warehouse.execute(statement)


def setup_statements(warehouse: Names) -> list[Statement]:
    """The DDL of all tables and views, in an order in which it can run."""
    statements = [_create_table(table, warehouse) for table in TABLES]
    statements += [_create_view(view, warehouse) for view in VIEWS]
    if warehouse.dialect == "duckdb":
        statements += [_comment(entity) for entity in (*TABLES, *VIEWS)]
    return statements


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
