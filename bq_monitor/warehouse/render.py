"""SQL templates from `sql/`: strict, one statement a file, GoogleSQL unless a file says its dialect."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bq_monitor.resources import resource
from bq_monitor.warehouse.base import Dialect
from bq_monitor.warehouse.fragments import IN_DUCKDB
from bq_monitor.warehouse.identifiers import DOT, quote_column

if TYPE_CHECKING:
    from jinja2 import Environment

_COLUMN = re.compile(r"t\.`([^`]+)`")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Autoescaping is for HTML; here every name passes identifiers.py and every value is a query parameter.
    return Environment(  # noqa: S701
        loader=FileSystemLoader(str(resource("sql"))), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def render(template: str, dialect: Dialect, /, **context: Any) -> str:
    """The SQL of `sql/TEMPLATE.sql` (or `sql/TEMPLATE.DIALECT.sql` where the fast shapes differ) in the warehouse's dialect."""
    environment = _environment()
    native = f"{template}.{dialect}.sql"
    if native in _template_names():
        return environment.get_template(native).render(context)
    sql = environment.get_template(f"{template}.sql").render(context)
    return sql if dialect == "bigquery" else _to_duckdb(sql)


def translate(expression: str, dialect: Dialect) -> str:
    """A GoogleSQL scalar expression in the warehouse's dialect."""
    if dialect == "bigquery":
        return expression
    return _known(expression) or _to_duckdb(f"SELECT {expression}").removeprefix("SELECT ")


def _known(expression: str) -> str | None:
    """A piece of `fragments` over one column, which needs no parser."""
    column = _COLUMN.search(expression)
    shape = IN_DUCKDB.get(_COLUMN.sub("{0}", expression, count=1)) if column else None
    if column is None or shape is None:
        return None
    return shape.replace("{0}", f"t.{quote_column(column[1].replace(DOT, '.'), 'duckdb')}")


@lru_cache(maxsize=1)
def _template_names() -> frozenset[str]:
    return frozenset(_environment().list_templates())


@lru_cache(maxsize=4096)
def _to_duckdb(sql: str) -> str:
    from sqlglot import exp, parse_one

    tree = parse_one(sql, read="bigquery")
    for call in list(tree.find_all(exp.Format)):  # DuckDB's FORMAT has another language; PRINTF is GoogleSQL's
        call.replace(exp.func("PRINTF", call.this, *call.expressions))
    for part in list(tree.find_all(exp.Extract)):  # DuckDB's Sunday is 0, GoogleSQL's 1
        if part.name.upper() == "DAYOFWEEK":
            part.replace(exp.paren(exp.Add(this=part.copy(), expression=exp.Literal.number(1))))
    return tree.sql(dialect="duckdb", comments=False).replace(DOT, ".")
