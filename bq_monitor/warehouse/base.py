"""What the rest of the package asks of a warehouse; two implementations, one meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Dialect = Literal["bigquery", "duckdb"]
Row = dict[str, Any]


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
class Relation:
    """Something that can stand after FROM in either dialect: its SQL, its columns with GoogleSQL types, and what a person calls it."""

    sql: str
    columns: Mapping[str, str]
    place: str


@dataclass(frozen=True)
class JobStats:
    """What a statement cost. `bytes_processed` is None where the warehouse does not count bytes (DuckDB)."""

    bytes_processed: int | None = None
    slot_ms: int | None = None

    def __add__(self, other: JobStats) -> JobStats:
        return JobStats(_sum(self.bytes_processed, other.bytes_processed), _sum(self.slot_ms, other.slot_ms))


class Warehouse(Protocol):
    """A connection. Every method raises `WarehouseError` (or a subclass) with a message a user can act on."""

    dialect: Dialect
    spent: JobStats
    """The cost of every statement so far."""

    def relation(self, source: str) -> Relation:
        """A table (or file) named by the user; raises `TableNotFoundError` or `InputError`."""
        ...

    def sample(self, relation: Relation, rows: int) -> Relation:
        """A seeded sample of at most `rows` rows for edges and kinds, or the relation itself where sketches make one needless."""
        ...

    def table(self, name: str) -> str:
        """The full name of one of our own tables or views, quoted for GoogleSQL (templates are translated as a whole)."""
        ...

    def query(self, statement: Statement) -> list[Row]:
        """Run a SELECT and return its rows, in the statement's order."""
        ...

    def execute(self, statement: Statement, *, key: str | None = None) -> None:
        """Run DDL or an INSERT ... SELECT; with a `key`, the same key runs at most once."""
        ...

    def commit(self, inserts: Sequence[Statement], *, key: str) -> None:
        """Run INSERT statements as one transaction: all rows appear, or none; the same key commits at most once."""
        ...

    def estimate(self, statement: Statement) -> int | None:
        """Bytes that a statement would process, without running it; None where the warehouse does not count bytes."""
        ...

    def close(self) -> None:
        """Let go of the connection (and, for DuckDB, of the file's lock)."""
        ...


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b
