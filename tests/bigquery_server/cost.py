"""Bytes that a query processes: the widths of the columns it names, over the rows of the partitions that it cannot skip.

Approximations: a column is read wherever the SELECT that has the table in its FROM (or one inside it) names it; a view is
read with all its columns; UPDATE, DELETE and MERGE read every column of their target. Partitions are skipped by `column OP constant`,
BETWEEN and IN among the ANDed conditions of the WHERE of that SELECT, or of one that selects from it and is given the column
unchanged. A constant names no column and no subquery; a column inside a function skips nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

FIXED = {"INTEGER": 8, "FLOAT": 8, "TIMESTAMP": 8, "DATETIME": 8, "DATE": 8, "BOOLEAN": 1, "NUMERIC": 16}
_FLIPPED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.EQ: exp.EQ,
}
_NOT_PASSED_THROUGH = ("group", "distinct", "limit", "offset", "having", "qualify")


@dataclass(frozen=True)
class Bound:
    """A condition on a partition column: its comparison (or `exp.In`) with constants."""

    operator: type[exp.Expr]
    values: tuple[exp.Expr, ...]


def width(field: dict[str, Any], value: str) -> str:
    """SQL of the bytes of a value; NULL has none."""
    if field["mode"] == "REPEATED":
        return f"COALESCE(LIST_SUM(LIST_TRANSFORM({value}, lambda e: {width({**field, 'mode': 'NULLABLE'}, 'e')})), 0)"
    if field["type"] == "RECORD":
        return "(" + " + ".join(width(sub, f'{value}."{sub["name"]}"') for sub in field["fields"]) + ")"
    lengths = {"STRING": f"2 + STRLEN({value})", "BYTES": f"2 + OCTET_LENGTH({value})"}
    size = lengths.get(field["type"]) or str(FIXED[field["type"]])
    return f"(CASE WHEN {value} IS NULL THEN 0 ELSE {size} END)"


def columns_read(table: exp.Table, scope: exp.Expr, existing: list[str]) -> list[str]:
    """The columns of a table that its SELECT names, in the order of the table."""
    if not isinstance(scope, exp.Select):
        return existing
    alias = table.alias_or_name
    named = {
        column.name for column in scope.find_all(exp.Column) if column.table == alias or (not column.table and column.name in existing)
    }  # fmt: skip
    starred = any(isinstance(item, exp.Star) for item in scope.expressions) or "*" in named
    return existing if starred else [name for name in existing if name in named]


def bounds(scope: exp.Expr, alias: str, column: str) -> Iterator[Bound]:
    """The conditions that skip partitions of the table `alias` of a SELECT, UPDATE or DELETE."""
    where = scope.args.get("where")
    for condition in _conjuncts(where.this) if where else ():
        yield from _bounds_of(condition, alias, column)
    if user := _user(scope, alias, column):
        yield from bounds(*user)


def of_partitions(bound: Bound, column: exp.Expr, unit: str, *, is_whole: bool) -> exp.Expr:
    """A bound as a condition on the first instant of a partition. `is_whole`: a partition is one value, as a day of dates is."""

    def first(value: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this="DATE_TRUNC", expressions=[exp.Literal.string(unit), value.copy()])

    if bound.operator is exp.In:
        return exp.In(this=first(column), expressions=[first(value) for value in bound.values])
    (value,) = bound.values
    if bound.operator in (exp.LT, exp.LTE):
        return bound.operator(this=first(column), expression=value.copy())
    operator = exp.GTE if bound.operator is exp.GT and not is_whole else bound.operator
    return operator(this=first(column), expression=first(value))


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    bare = condition.unnest()
    if isinstance(bare, exp.And):
        yield from _conjuncts(bare.this)
        yield from _conjuncts(bare.expression)
    else:
        yield bare


def _bounds_of(condition: exp.Expr, alias: str, column: str) -> Iterator[Bound]:
    def is_column(node: exp.Expr) -> bool:
        return isinstance(node, exp.Column) and node.name == column and node.table in (alias, "")

    if isinstance(condition, exp.Between) and is_column(condition.this):
        found = [Bound(exp.GTE, (condition.args["low"],)), Bound(exp.LTE, (condition.args["high"],))]
    elif isinstance(condition, exp.In) and is_column(condition.this) and condition.expressions:
        found = [Bound(exp.In, tuple(condition.expressions))]
    elif type(condition) in _FLIPPED and is_column(condition.this):
        found = [Bound(type(condition), (condition.expression,))]
    elif type(condition) in _FLIPPED and is_column(condition.expression):
        found = [Bound(_FLIPPED[type(condition)], (condition.this,))]
    else:
        found = []
    yield from (bound for bound in found if all(_is_constant(value) for value in bound.values))


def _is_constant(value: exp.Expr) -> bool:
    return value.find(exp.Column, exp.Query) is None


def _user(scope: exp.Expr, alias: str, column: str) -> tuple[exp.Expr, str, str] | None:
    """The SELECT that reads a subquery, or a CTE that is read once: (it, its name for the rows, its name for the column)."""
    name = _given_as(scope, alias, column)
    parent = scope.parent
    if name is None or parent is None:
        return None
    if isinstance(parent, exp.Subquery) and isinstance(parent.parent, (exp.From, exp.Join)):
        user = parent.find_ancestor(exp.Select)
        return (user, parent.alias, name) if user else None
    if isinstance(parent, exp.CTE):
        uses = [table for table in parent.root().find_all(exp.Table) if not table.db and table.name == parent.alias]
        user = uses[0].find_ancestor(exp.Select) if len(uses) == 1 else None
        return (user, uses[0].alias_or_name, name) if user else None
    return None


def _given_as(scope: exp.Expr, alias: str, column: str) -> str | None:
    """What a SELECT that passes rows on as they are calls a column of one of its tables; None where it does not."""
    if not isinstance(scope, exp.Select) or any(scope.args.get(name) for name in _NOT_PASSED_THROUGH):
        return None
    if scope.find(exp.Window):
        return None
    for item in scope.expressions:
        value = item.unalias()
        if isinstance(value, exp.Star) or (
            isinstance(value, exp.Column) and value.name == "*" and value.table == alias
        ):
            return column
        if isinstance(value, exp.Column) and value.name == column and value.table in (alias, ""):
            return str(item.alias_or_name)
    return None
