"""The partitions of a table: what is in each, when that last changed, and INFORMATION_SCHEMA.PARTITIONS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp, parse_one

from tests.bigquery_server import cost
from tests.bigquery_server.catalog import PARTITION_IDS, PARTITIONS, Entity, Partition, quoted, split, table_key
from tests.bigquery_server.translate import tables_once
from tests.bigquery_server.values import Json

_COLUMNS = {
    "table_catalog": "VARCHAR", "table_schema": "VARCHAR", "table_name": "VARCHAR", "partition_id": "VARCHAR", "total_rows": "BIGINT",
    "total_logical_bytes": "BIGINT", "last_modified_time": "TIMESTAMPTZ", "storage_tier": "VARCHAR",
}  # fmt: skip


def survey_sql(name: str, entity: Entity, fields: list[Json]) -> str:
    """A query of (partition id, rows, checksum of the rows, bytes) of each partition; a table without them is one, of id NULL."""
    size = " + ".join(cost.width(item, f't."{item["name"]}"') for item in fields)
    arrived = " AND ".join(f"t.rowid NOT BETWEEN {first} AND {last}" for first, last in entity.buffered) or "TRUE"
    counts = f"COUNT(*), COALESCE(SUM(HASH(t)), 0), CAST(COALESCE(SUM({size}), 0) AS BIGINT) FROM {quoted(name)} AS t WHERE {arrived}"
    if entity.partition is None:
        return f"SELECT NULL, {counts}"
    form = PARTITION_IDS[entity.granularity]
    return f"SELECT COALESCE(STRFTIME(t.\"{entity.partition}\", '{form}'), '__NULL__') AS id, {counts} GROUP BY 1"


def updated(
    before: Mapping[str | None, Partition], found: list[tuple[Any, ...]], now: datetime
) -> dict[str | None, Partition]:
    """The partitions as they are; where the rows are those of before, so is the time."""
    made = {}
    for key, n_rows, checksum, size in found:
        old = before.get(key)
        is_same = old is not None and (old.n_rows, old.checksum) == (n_rows, int(checksum))
        made[key] = old if old and is_same else Partition(n_rows, int(checksum), size, now)
    return made


def is_partitions(table: exp.Table) -> bool:
    return str(table.name).upper() == PARTITIONS


def with_partitions(tree: exp.Expr, entities: Mapping[str, Entity]) -> exp.Expr:
    """The statement with the rows of INFORMATION_SCHEMA.PARTITIONS written into it."""
    if not any(is_partitions(table) for table in tables_once(tree)):
        return tree
    made = tree.copy()
    for table in [node for node in made.find_all(exp.Table) if is_partitions(node)]:
        rows = parse_one(_rows_sql(split(table_key(table))[0], entities), read="duckdb")
        table.replace(exp.Subquery(this=rows, alias=exp.TableAlias(this=exp.to_identifier(table.alias_or_name))))
    return made


def _rows_sql(dataset: str, entities: Mapping[str, Entity]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in _COLUMNS.items())
    made = [f"SELECT {nulls} WHERE FALSE"]
    for name, entity in sorted(entities.items()):
        if split(name)[0] == dataset and entity.kind == "TABLE":
            made += [_row_sql(name, key, item) for key, item in _listed(entity)]
    return " UNION ALL ".join(made)


def _listed(entity: Entity) -> Iterator[tuple[str | None, Partition]]:
    yield from sorted(entity.partitions.items(), key=lambda item: item[0] or "")
    if entity.streaming and entity.partition:
        at = entity.streamed_at or datetime.fromtimestamp(entity.created_ms / 1000, UTC)
        yield "__UNPARTITIONED__", Partition(int(entity.streaming), 0, 0, at)


def _row_sql(name: str, key: str | None, item: Partition) -> str:
    (project, dataset), table = split(name)[0].split(".", 1), split(name)[1]
    texts = [project, dataset, table, key, item.n_rows, item.size, item.modified.isoformat(), "ACTIVE"]
    cells = (
        f"CAST({'NULL' if value is None else exp.Literal.string(str(value)).sql('duckdb')} AS {kind})"
        for value, kind in zip(texts, _COLUMNS.values(), strict=True)
    )
    return "SELECT " + ", ".join(cells)
