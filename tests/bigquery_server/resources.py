"""Tables between the catalog and the JSON of the REST API."""

from __future__ import annotations

from tests.bigquery_server.catalog import Entity, split
from tests.bigquery_server.values import Json


def table_head(name: str, entity: Entity) -> Json:
    """A table as lists give it."""
    (project, dataset), table = split(name)[0].split(".", 1), split(name)[1]
    made: Json = {
        "kind": "bigquery#table", "id": f"{project}:{dataset}.{table}", "type": entity.kind, "creationTime": str(entity.created_ms),
        "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
    }  # fmt: skip
    if entity.partition:
        made["timePartitioning"] = {"type": entity.granularity, "field": entity.partition}
        made["timePartitioning"]["requirePartitionFilter"] = entity.require_filter
        made["requirePartitionFilter"] = entity.require_filter
    if entity.cluster:
        made["clustering"] = {"fields": entity.cluster}
    if entity.expires_ms is not None:
        made["expirationTime"] = str(entity.expires_ms)
    return made


def table_resource(name: str, entity: Entity, fields: list[Json], location: str) -> Json:
    """A table as `tables.get` gives it; rows in the streaming buffer are not among `numRows`."""
    made = {
        **table_head(name, entity), "schema": {"fields": fields}, "description": entity.description, "location": location,
    }  # fmt: skip
    if entity.query is not None:
        return {**made, "view": {"query": entity.query, "useLegacySql": False}}
    changed = max((item.modified for item in entity.partitions.values()), default=None)
    made |= {"numRows": str(entity.n_rows), "numBytes": str(entity.size)}
    made["lastModifiedTime"] = str(int(changed.timestamp() * 1000) if changed else entity.created_ms)
    if entity.streaming:
        oldest = int(entity.streamed_at.timestamp() * 1000) if entity.streamed_at else entity.created_ms
        made["streamingBuffer"] = {
            "estimatedRows": str(int(entity.streaming)), "estimatedBytes": "0", "oldestEntryTime": str(oldest),
        }  # fmt: skip
    return made


def entity_of(body: Json, created_ms: int) -> Entity:
    """What the service keeps of a table that `tables.insert` makes."""
    cut = body.get("timePartitioning") or {}
    expires = body.get("expirationTime")
    return Entity(
        "TABLE", created_ms, body.get("description"),
        {item["name"]: item.get("description", "") for item in body.get("schema", {}).get("fields", [])},
        cut.get("field"), (body.get("clustering") or {}).get("fields", []), granularity=cut.get("type", "DAY"),
        require_filter=bool(body.get("requirePartitionFilter") or cut.get("requirePartitionFilter")),
        expires_ms=int(expires) if expires else None,
    )  # fmt: skip
