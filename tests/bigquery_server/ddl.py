"""CREATE TABLE, CREATE VIEW and ALTER TABLE ... ADD COLUMN: the statement for DuckDB, and what is kept beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlglot import exp

from tests.bigquery_server.catalog import Entity, quoted, table_key
from tests.bigquery_server.errors import invalid_query
from tests.bigquery_server.translate import Once, to_duckdb

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


create_sql_once = Once(create_sql)


def added_columns(tree: exp.Alter) -> list[exp.ColumnDef]:
    """The columns that ALTER TABLE adds; nothing else of ALTER is known here."""
    actions = list(tree.args["actions"])
    if tree.args["kind"] != "TABLE" or not all(isinstance(action, exp.ColumnDef) for action in actions):
        raise invalid_query(f"Unsupported here: {tree.sql('bigquery')}")
    return actions


def check_addition(column: exp.ColumnDef, there: Collection[str]) -> bool:
    """Whether a column is to be added; it is refused where it may be there already, or its rows would have no value."""
    if column.name.lower() in {name.lower() for name in there}:
        if not column.args.get("exists"):
            raise invalid_query(f"Column already exists: {column.name}")
        return False
    if any(isinstance(item.kind, exp.NotNullColumnConstraint) for item in column.args.get("constraints", ())):
        raise invalid_query(f"Cannot add required field {column.name} to an existing schema")
    return True


def addition_sql(name: str, column: exp.ColumnDef) -> str:
    """The statement in DuckDB's dialect. An array of the service is never NULL: rows that were there have an empty one."""
    kind = column.args["kind"]
    empty = " DEFAULT []" if kind.is_type(exp.DType.ARRAY) else ""
    return f'ALTER TABLE {quoted(name)} ADD COLUMN "{column.name}" {kind.sql(dialect="duckdb")}{empty}'


def column_description(column: exp.ColumnDef) -> str:
    return _text(_options(column).get("description")) or ""


def describe(tree: exp.Create, created_ms: int, entities: Mapping[str, Entity]) -> Entity:
    """What the service keeps of a new table or view; LIKE takes over partitioning, clustering and descriptions."""
    like = _like_once(tree)
    if like:
        return replace(entities[table_key(like.this)], created_ms=created_ms, streaming=0, buffered=[], partitions={})
    said = _said_once(tree)
    own = {"columns": dict(said.columns), "cluster": list(said.cluster), "buffered": [], "partitions": {}}
    return replace(said, created_ms=created_ms, **own)


def _said(tree: exp.Create) -> Entity:
    """What a CREATE says of its table or view."""
    partition, cluster = tree.find(exp.PartitionedByProperty), tree.find(exp.ClusterProperty)
    column, unit = _partitioning(partition) if partition else (None, "DAY")
    options = _options(tree.args.get("properties"))
    filtered = options.get("require_partition_filter")
    return Entity(
        str(tree.args["kind"]), 0, _text(options.get("description")),
        {item.name: _text(_options(item).get("description")) or "" for item in column_definitions(tree)},
        column, [item.name for item in cluster.expressions] if cluster else [],
        tree.expression.sql("bigquery") if tree.args["kind"] == "VIEW" else None, unit,
        isinstance(filtered, exp.Boolean) and bool(filtered.this),
    )  # fmt: skip


_like_once = Once(lambda tree: tree.find(exp.LikeProperty))
_said_once = Once(_said)


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
