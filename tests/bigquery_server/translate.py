"""GoogleSQL as DuckDB runs it: sqlglot, corrected where its answer differs from BigQuery's."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from tests.bigquery_server.errors import invalid_query

Made = TypeVar("Made")
MACROS = (
    "CREATE MACRO range_bucket(x, edges) AS "
    "CASE WHEN x IS NULL OR edges IS NULL THEN NULL ELSE LEN(LIST_FILTER(edges, lambda e: e <= x)) END",
    "CREATE MACRO every_quantile(x, n) AS QUANTILE_DISC(x, LIST_TRANSFORM(RANGE(0, n + 1), lambda i: i / n))",
    "CREATE MACRO hour_in_zone(x, zone) AS x - (x AT TIME ZONE zone - DATE_TRUNC('hour', x AT TIME ZONE zone))",
)


@lru_cache(maxsize=512)
def parse(sql: str) -> tuple[exp.Expr, ...]:
    """The statements of a text; a refusal is worded as the service's."""
    try:
        return tuple(tree for tree in sqlglot.parse(sql, read="bigquery") if tree is not None)
    except SqlglotError as error:
        raise invalid_query(f"Syntax error: {error}") from None


def to_duckdb(tree: exp.Expr) -> str:
    """A statement in DuckDB's dialect; `project.dataset` becomes the schema of a table."""
    made = tree.copy()
    for offset in [node for node in made.find_all(exp.Unnest) if isinstance(node.args.get("offset"), exp.Identifier)]:
        _count_from_zero(offset)
    for kind, rewrite in _REWRITES.items():
        for node in list(made.find_all(kind)):
            node.replace(rewrite(node))
    for table in made.find_all(exp.Table):
        if table.catalog:
            schema = exp.to_identifier(f"{table.catalog}.{table.db}", quoted=True)
            table.set("db", schema)
            table.set("catalog", None)
    return made.sql(dialect="duckdb", comments=False)


class Once(Generic[Made]):
    """What is made of a tree of `parse`, which nobody changes, made once; the tree is kept, or its id would be another's."""

    _MOST_KEPT = 4096

    def __init__(self, make: Callable[[exp.Expr], Made]) -> None:
        self._make, self._kept = make, dict[int, tuple[exp.Expr, Made]]()

    def __call__(self, tree: exp.Expr) -> Made:
        found = self._kept.get(id(tree))
        if found is None:
            if len(self._kept) >= self._MOST_KEPT:
                self._kept.clear()
            found = self._kept[id(tree)] = (tree, self._make(tree))
        return found[1]


to_duckdb_once = Once(to_duckdb)
text_once = Once(lambda tree: tree.sql(dialect="bigquery", comments=False))
tables_once = Once(lambda tree: tuple(tree.find_all(exp.Table)))
parameters_once = Once(lambda tree: frozenset(node.name for node in tree.find_all(exp.Parameter)))
ctes_once = Once(lambda tree: frozenset(item.alias for item in tree.find_all(exp.CTE)))


def _count_from_zero(unnest: exp.Unnest) -> None:
    """WITH OFFSET counts from 0, DuckDB's WITH ORDINALITY from 1."""
    select, name = unnest.find_ancestor(exp.Select), unnest.args["offset"].name
    for column in list(select.find_all(exp.Column)) if select else ():
        if column.name == name and not column.table:
            column.replace(exp.paren(exp.Sub(this=column.copy(), expression=exp.Literal.number(1))))


def _at_zone(value: exp.Expr, zone: exp.Expr) -> exp.Expr:
    return exp.AtTimeZone(this=exp.paren(value.copy()), zone=zone.copy())


def _timestamp(node: exp.Expr) -> exp.Expr:
    if zone := node.args.get("zone"):
        return _at_zone(exp.cast(node.this.copy(), "TIMESTAMP", dialect="duckdb"), zone)
    return _at_zone(exp.cast(node.this.copy(), "TIMESTAMP", dialect="duckdb"), exp.Literal.string("UTC"))


def _datetime(node: exp.Expr) -> exp.Expr:
    zone = node.args.get("expression") or exp.Literal.string("UTC")
    return _at_zone(node.this, zone)


def _date(node: exp.Expr) -> exp.Expr:
    zone = node.args.get("zone")
    return exp.cast(_at_zone(node.this, zone) if zone else node.this.copy(), "DATE")


def _hour_in_zone(node: exp.Expr) -> exp.Expr:
    zone = node.args.get("zone")
    if node.text("unit").upper() == "HOUR" and zone:
        return exp.Anonymous(this="HOUR_IN_ZONE", expressions=[node.this.copy(), zone.copy()])
    return node


def _day_of_week(node: exp.Expr) -> exp.Expr:
    if node.name.upper() == "DAYOFWEEK":  # DuckDB's Sunday is 0, GoogleSQL's 1
        return exp.paren(exp.Add(this=node.copy(), expression=exp.Literal.number(1)))
    return node


def _quantiles(node: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="EVERY_QUANTILE", expressions=[node.this.copy(), node.expression.copy()])


def _ignore_nulls(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node.this, exp.ApproxQuantiles) else node  # aggregates of DuckDB ignore them anyway


_REWRITES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.IgnoreNulls: _ignore_nulls, exp.ApproxQuantiles: _quantiles, exp.Timestamp: _timestamp, exp.Datetime: _datetime,
    exp.Date: _date, exp.TimestampTrunc: _hour_in_zone, exp.Extract: _day_of_week,
    exp.Format: lambda node: exp.func("PRINTF", node.this.copy(), *(item.copy() for item in node.expressions)),
}  # fmt: skip
