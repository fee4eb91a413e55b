"""What the rest of the package asks of a warehouse; two implementations, one meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo

from bq_monitor.timegrid import Partition
from bq_monitor.warehouse.schema import Table
from bq_monitor.warehouse.types import SqlType

Dialect = Literal["bigquery", "duckdb"]
Row = dict[str, Any]
Taken = TypeVar("Taken")


class Param(NamedTuple):
    """A query parameter: its GoogleSQL type and its value (STRUCT = dict, ARRAY = list)."""

    type: str
    value: Any


@dataclass(frozen=True)
class Statement:
    """One SQL statement, rendered in the dialect of its warehouse, its values beside it as parameters."""

    name: str
    sql: str
    params: Mapping[str, Param] = field(default_factory=dict)


@dataclass(frozen=True)
class Clause:
    """A piece of GoogleSQL with the parameters that it names."""

    sql: str
    params: Mapping[str, Param] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """How a table of BigQuery lies in storage.

    Args:
        kind: TABLE, VIEW, MATERIALIZED_VIEW, EXTERNAL or SNAPSHOT.
        location: region of its dataset.
        partition_column: the time column that cuts it, `_PARTITIONTIME` when cut by the time of loading; None when it is not cut by time.
        partition_unit: HOUR, DAY, MONTH or YEAR.
        n_rows, n_bytes: None for views.
        has_stream: whether rows wait in the streaming buffer, which no partition counts yet.
        needs_filter: whether a query must filter by the partition column.
    """

    kind: str
    location: str
    partition_column: str | None = None
    partition_unit: str | None = None
    n_rows: int | None = None
    n_bytes: int | None = None
    has_stream: bool = False
    needs_filter: bool = False


@dataclass(frozen=True)
class Relation:
    """Something that can stand after FROM in either dialect: its SQL, its columns with GoogleSQL types, and what a person calls it."""

    sql: str
    columns: Mapping[str, str]
    place: str
    layout: Layout | None = None


@dataclass(frozen=True)
class Shape:
    """How one of our own tables or views stands: its columns with their types, nested ones too, and what cuts it by time, if anything.

    Names are in lower case, since in neither warehouse case counts: look a column up by `type_of`.
    """

    columns: Mapping[str, SqlType]
    partition: str | None = None
    partition_unit: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", {name.lower(): kind for name, kind in self.columns.items()})
        object.__setattr__(self, "partition", self.partition.lower() if self.partition else None)

    def type_of(self, column: str) -> SqlType | None:
        """The type of a column; None where it is not there."""
        return self.columns.get(column.lower())


@dataclass(frozen=True)
class JobStats:
    """What statements cost. Bytes and slots are None where the warehouse does not count them (DuckDB)."""

    bytes_processed: int | None = None
    bytes_billed: int | None = None
    slot_ms: int | None = None

    def __add__(self, other: JobStats) -> JobStats:
        return JobStats(
            _sum(self.bytes_processed, other.bytes_processed), _sum(self.bytes_billed, other.bytes_billed),
            _sum(self.slot_ms, other.slot_ms),
        )  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """On what terms one run uses a warehouse: its deadline, the bytes that one statement may bill, labels of its jobs."""

    deadline_seconds: float = 1500.0
    max_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Warehouse(Protocol):
    """A connection. Every method raises `WarehouseError` (or a subclass) with a message a user can act on."""

    dialect: Dialect

    @property
    def spent(self) -> JobStats:
        """The cost of every statement since the run began."""
        ...

    def begin(self, terms: Terms) -> None:
        """Start a run: its deadline begins now, and what it spends is counted from zero."""
        ...

    def relation(self, source: str) -> Relation:
        """A table (or file) named by the user; raises `TableNotFoundError` or `InputError`."""
        ...

    def sample(self, relation: Relation, rows: int) -> Relation:
        """A seeded sample of about `rows` rows for edges and kinds, or the relation itself where it has no more, or sketches make one needless."""
        ...

    def table(self, name: str) -> str:
        """The full name of one of our own tables or views, quoted for GoogleSQL (templates are translated as a whole)."""
        ...

    def names(self) -> frozenset[str]:
        """The names of all that stands where our tables do, views too: one request for metadata, which costs nothing."""
        ...

    def shape(self, name: str) -> Shape | None:
        """How one of our own tables or views stands; None where it is not there. Metadata only: it costs nothing."""
        ...

    def query(self, statement: Statement) -> list[Row]:
        """Run a SELECT and return its rows, in the statement's order."""
        ...

    def query_each(self, statement: Statement, take: Callable[[Row], Taken]) -> list[Taken]:
        """`query`, each row as `take` keeps it: of many large rows, only a page is in memory at a time."""
        ...

    def execute(self, statement: Statement, *, key: str | None = None) -> None:
        """Run DDL or an INSERT ... SELECT; with a `key`, the same key runs at most once."""
        ...

    def commit(self, rows: Mapping[Table, Sequence[Row]], *, key: str) -> None:
        """Append rows to our tables in one transaction: all appear, or none; the same key commits at most once."""
        ...

    def estimate(self, statement: Statement) -> int | None:
        """Bytes that a statement would process, without running it; None where the warehouse does not count bytes."""
        ...

    def partitions(self, relation: Relation, zone: ZoneInfo) -> list[Partition] | None:
        """The partitions of a table by its time column, read from metadata; None where there are none, or rows still stream in.

        A DATE or DATETIME column is read on the clock of `zone`.
        """
        ...

    def missing_permissions(self, relation: Relation, permissions: Sequence[str]) -> list[str]:
        """Those of the permissions that this account does not have on a table; none where there are no permissions."""
        ...

    def location(self) -> str | None:
        """The region of the dataset that holds our tables, None where there are no regions; raises `TableNotFoundError` without one."""
        ...

    def standing_aside(self) -> AbstractContextManager[None]:
        """Within, others may use the warehouse (DuckDB: the lock of the file is let go); sources have to be named anew after."""
        ...

    def close(self) -> None:
        """Let go of the connection (and, for DuckDB, of the file's lock)."""
        ...


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b
