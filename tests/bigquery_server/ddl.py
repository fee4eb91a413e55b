"""CREATE TABLE and CREATE VIEW: the statement for DuckDB, and what is kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from tests.bigquery_server.catalog import Entity, quoted, table_key
from tests.bigquery_server.translate import to_duckdb

_UNITS = {exp.TimestampTrunc, exp.DatetimeTrunc, exp.DateTrunc}


def create_sql(tree: exp.Create) -> str:
    """The statement in DuckDB's dialect; partitions, clusters and options are not DuckDB's business."""
    target = tree.find(exp.Table)
    assert target is not None
    name, columns = quoted(table_key(target)), column_definitions(tree)
    if tree.args["kind"] == "VIEW":
        names = ", ".join(f'"{column.name}"' for column in columns)
        return f"CREATE OR REPLACE VIEW {name} {f'({names})' if names else ''} AS {to_duckdb(tree.expression)}"
    head = f"CREATE {'OR REPLACE ' if tree.args.get('replace') else ''}TABLE {name}"
    if like := tree.find(exp.LikeProperty):
        return f"{head} AS SELECT * FROM {quoted(table_key(like.this))} LIMIT 0"
    if tree.expression:
        return f"{head} AS {to_duckdb(tree.expression)}"
    types = (f'"{column.name}" {column.args["kind"].sql(dialect="duckdb")}' for column in columns)
    return f"{head} ({', '.join(types)})"


def describe(tree: exp.Create, created_ms: int, entities: Mapping[str, Entity]) -> Entity:
    """What the service keeps of a new table or view; LIKE takes over partitioning, clustering and descriptions."""
    partition, cluster = tree.find(exp.PartitionedByProperty), tree.find(exp.ClusterProperty)
    column, unit = _partitioning(partition) if partition else (None, "DAY")
    options = _options(tree.args.get("properties"))
    filtered = options.get("require_partition_filter")
    like = tree.find(exp.LikeProperty)
    if like:
        return replace(entities[table_key(like.this)], created_ms=created_ms, streaming=0, buffered=[], partitions={})
    return Entity(
        str(tree.args["kind"]), created_ms, _text(options.get("description")),
        {item.name: _text(_options(item).get("description")) or "" for item in column_definitions(tree)},
        column, [item.name for item in cluster.expressions] if cluster else [],
        tree.expression.sql("bigquery") if tree.args["kind"] == "VIEW" else None, unit,
        isinstance(filtered, exp.Boolean) and bool(filtered.this),
    )  # fmt: skip


def expiration(tree: exp.Create) -> exp.Expr | None:
    """The expression of OPTIONS (expiration_timestamp = ...)."""
    return _options(tree.args.get("properties")).get("expiration_timestamp")


def column_definitions(tree: exp.Create) -> list[exp.Expr]:
    return list(tree.this.expressions) if isinstance(tree.this, exp.Schema) else []


def _partitioning(node: exp.PartitionedByProperty) -> tuple[str, str]:
    column = node.find(exp.Column, exp.Identifier)
    assert column is not None
    unit = node.this.text("unit") if type(node.this) in _UNITS else "DAY"
    return column.name, unit.upper()


def _options(node: exp.Expr | None) -> dict[str, exp.Expr]:
    found = node.find_all(exp.Property) if node else ()
    return {item.name: item.args["value"] for item in found if type(item) is exp.Property}


def _text(value: exp.Expr | None) -> str | None:
    return str(value.name) if value is not None else None
