"""Bytes that a query processes: the widths of the columns it names, over the rows of the partitions that it cannot skip.

Approximations: a column is read wherever the SELECT that has the table in its FROM (or one inside it) names it; a view is
read with all its columns; partitions are skipped only by `t.column OP constant` among the ANDed conditions of that very WHERE.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlglot import exp

FIXED = {"INTEGER": 8, "FLOAT": 8, "TIMESTAMP": 8, "DATETIME": 8, "DATE": 8, "BOOLEAN": 1, "NUMERIC": 16}
_COMPARISONS = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ)


def width(field: dict[str, Any], value: str) -> str:
    """SQL of the bytes of a value; NULL has none."""
    if field["mode"] == "REPEATED":
        return f"COALESCE(LIST_SUM(LIST_TRANSFORM({value}, lambda e: {width({**field, 'mode': 'NULLABLE'}, 'e')})), 0)"
    if field["type"] == "RECORD":
        return "(" + " + ".join(width(sub, f'{value}."{sub["name"]}"') for sub in field["fields"]) + ")"
    size = "2 + STRLEN(" + value + ")" if field["type"] == "STRING" else str(FIXED[field["type"]])
    return f"(CASE WHEN {value} IS NULL THEN 0 ELSE {size} END)"


def columns_read(table: exp.Table, select: exp.Expr, existing: list[str]) -> list[str]:
    """The columns of a table that its SELECT names, in the order of the table."""
    alias = table.alias_or_name
    named = {
        column.name for column in select.find_all(exp.Column) if column.table == alias or (not column.table and column.name in existing)
    }  # fmt: skip
    starred = any(isinstance(item, exp.Star) for item in select.expressions)
    return existing if starred else [name for name in existing if name in named]


def partition_conditions(table: exp.Table, select: exp.Expr, column: str) -> Iterator[exp.Expr]:
    """The conditions that skip partitions of a table cut by the day of a column, over the first instant of a partition."""
    where = select.args.get("where")
    alias = table.alias_or_name
    for condition in where.this.flatten() if where and isinstance(where.this, exp.And) else ():
        if not isinstance(condition, _COMPARISONS) or condition.expression.find(exp.Column):
            continue
        left = condition.this
        if not (isinstance(left, exp.Column) and left.name == column and left.table in (alias, "")):
            continue
        of_partition = exp.Anonymous(this="PARTITION_DAY", expressions=[left.copy()])
        bound = condition.expression.copy()
        if isinstance(condition, (exp.LT, exp.LTE)):
            yield type(condition)(this=of_partition, expression=bound)
        else:
            of_bound = exp.Anonymous(this="PARTITION_DAY", expressions=[bound])
            yield (exp.EQ if isinstance(condition, exp.EQ) else exp.GTE)(this=of_partition, expression=of_bound)
