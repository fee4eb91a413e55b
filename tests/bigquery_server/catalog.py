"""What the stand-in knows of its tables beside their rows: names, partitioning, the state of each partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlglot import exp

from tests.bigquery_server.errors import not_found
from tests.bigquery_server.values import Json

PARTITION_IDS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
PARTITIONS = "INFORMATION_SCHEMA.PARTITIONS"


@dataclass
class Outcome:
    """What a job answers. `schema` is None for statements without rows; `bytes_of` holds the bytes read of each table."""

    kind: str
    bytes_of: dict[str, int] = field(default_factory=dict)
    schema: list[Json] | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    affected: int | None = None

    @property
    def bytes_processed(self) -> int:
        return sum(self.bytes_of.values())


@dataclass(frozen=True)
class Partition:
    """The rows of a partition, and when they last changed."""

    n_rows: int
    checksum: int
    size: int
    modified: datetime


@dataclass
class Entity:
    """A table or view: what `tables.get` says beside its columns.

    `streaming` counts the rows that the service still holds in its streaming buffer; a test may set it. They are queried like
    all others, but belong to no partition yet: `buffered` says which rows of DuckDB's these are.
    """

    kind: str
    created_ms: int
    description: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    partition: str | None = None
    cluster: list[str] = field(default_factory=list)
    query: str | None = None
    granularity: str = "DAY"
    require_filter: bool = False
    expires_ms: int | None = None
    streaming: int = 0
    streamed_at: datetime | None = None
    buffered: list[tuple[int, int]] = field(default_factory=list)
    partitions: dict[str | None, Partition] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return sum(item.n_rows for item in self.partitions.values())

    @property
    def size(self) -> int:
        return sum(item.size for item in self.partitions.values())


def table_key(table: exp.Table) -> str:
    return f"{table.catalog}.{table.db}.{table.name}"


def colon(name: str) -> str:
    """`project.dataset.table` as the service's messages write it."""
    return name.replace(".", ":", 1)


def quoted(name: str) -> str:
    """A table in DuckDB: its dataset is a schema named `project.dataset`."""
    dataset, table = split(name)
    return f'"{dataset}"."{table}"'


def split(name: str) -> tuple[str, str]:
    """`project.dataset.table` -> (`project.dataset`, `table`)."""
    project, dataset, table = name.split(".", 2)
    return f"{project}.{dataset}", table


def check_location(datasets: Mapping[str, str], dataset: str, location: str | None) -> None:
    """Refuse a dataset that is not there, or not where the job runs."""
    home = datasets.get(dataset)
    if home is None or (location is not None and home.lower() != location.lower()):
        raise not_found(f"Dataset {colon(dataset)} was not found in location {location or 'US'}")


def missing_table(name: str, location: str) -> Exception:
    return not_found(f"Table {colon(name)} was not found in location {location}")
