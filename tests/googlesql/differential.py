"""The same rows in Google's reference evaluator and in DuckDB, counted by the same scan."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from bq_monitor.measure.histogram import Buckets
from bq_monitor.scan import Counted, Scan, TimeRange, counted
from bq_monitor.timegrid import Granule
from bq_monitor.warehouse.base import Param, Relation, Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.identifiers import quote_column
from bq_monitor.warehouse.types import parse_type

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

LOGS = "proj-1.ds.logs"
LABELS = "proj-1.ds.labels"
MOMENTS = ("mean", "second_moment")


def seeded(seed: int) -> random.Random:
    """Draws for rows of mixed types."""
    return random.Random(seed)  # noqa: S311 - test data


@dataclass(frozen=True)
class Log:
    """A table of a user: columns with GoogleSQL types, rows as dictionaries."""

    columns: Mapping[str, str]
    rows: Sequence[Row]
    name: str = LOGS

    @classmethod
    def of_values(cls, name: str, kind: str, values: Sequence[Any]) -> Log:
        return cls({name: kind}, [{name: value} for value in values])

    @property
    def bigquery(self) -> Relation:
        return Relation(f"`{self.name}`", self.columns, self.name.rpartition(".")[2])

    @property
    def tables(self) -> dict[str, Mapping[str, str]]:
        return {self.name: self.columns}

    def in_duckdb(self, warehouse: DuckDBWarehouse, name: str = "log") -> Relation:
        """The rows as a table of DuckDB, value for value (no CSV, no pandas on the way)."""
        named = [(quote_column(column, "duckdb"), parse_type(kind).duckdb()) for column, kind in self.columns.items()]
        table = ", ".join(f"{column} {kind}" for column, kind in named)
        warehouse.execute(Statement("log", f"CREATE OR REPLACE TABLE {name} ({table})"))
        if self.rows:  # DuckDB forgets the type of an empty list
            row_type = "STRUCT<" + ", ".join(f"c{i} {kind}" for i, kind in enumerate(self.columns.values())) + ">"
            rows = [{f"c{i}": row[column] for i, column in enumerate(self.columns)} for row in self.rows]
            sql = f"INSERT INTO {name} SELECT UNNEST($rows, recursive := true)"
            warehouse.execute(Statement("log", sql, {"rows": Param(f"ARRAY<{row_type}>", rows)}))
        return warehouse.relation(name)


def feature(log: Log, name: str, buckets: Buckets, **options: Any) -> Counted:
    """A feature of a log, ready to be counted; its training column had the same type."""
    ready = counted(name, buckets, log.columns.get(name, "STRING"), log.bigquery, **options)
    assert isinstance(ready, Counted), ready
    return ready


def scan(log: Log, *features: Counted, where: str | None = None, **options: Any) -> Scan:
    parsed = Expression(where, "source.filter") if where else None
    return Scan(log.bigquery, features, "salt", filter=parsed, **options)


def between(
    start: str, end: str, *, column: str = "ts", kind: str = "TIMESTAMP", granule: Granule = "day", zone: str = "UTC"
) -> TimeRange:
    """A stretch of a time column; the ends are read in its zone."""
    local = ZoneInfo(zone)
    ends = [datetime.fromisoformat(text).replace(tzinfo=local) for text in (start, end)]
    return TimeRange(column, kind, *ends, granule, local)


def google_rows(googlesql: GoogleSQL, asked: Scan, log: Log) -> list[Row]:
    """The answer of Google's evaluator to the BigQuery statements of a scan."""
    return [
        row
        for statement in asked.statements("bigquery")
        for row in googlesql.evaluate(statement.sql, log.tables, statement.params, {LOGS: log.rows})
    ]


def duckdb_rows(warehouse: DuckDBWarehouse, asked: Scan) -> list[Row]:
    return [row for statement in asked.statements("duckdb") for row in warehouse.query(statement)]


def both_answers(
    googlesql: GoogleSQL, warehouse: DuckDBWarehouse, make: Callable[..., Sequence[Statement]], *logs: Log
) -> tuple[list[Row], list[Row]]:
    """What statements over some tables answer in Google's evaluator, and in DuckDB; `make(dialect, *relations)` gives them."""
    tables, contents = {log.name: log.columns for log in logs}, {log.name: log.rows for log in logs}
    google = [
        row
        for statement in make("bigquery", *(log.bigquery for log in logs))
        for row in googlesql.evaluate(statement.sql, tables, statement.params, contents)
    ]
    relations = [log.in_duckdb(warehouse, log.name.rpartition(".")[2]) for log in logs]
    return google, [row for statement in make("duckdb", *relations) for row in warehouse.query(statement)]


def assert_same_counts(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, asked: Scan, log: Log) -> list[Row]:
    """Both count the same, in the same order; the rows are returned."""
    expected = google_rows(googlesql, asked, log)
    assert_same_rows(expected, duckdb_rows(warehouse, replace(asked, relation=log.in_duckdb(warehouse))))
    return expected


def assert_same_rows(expected: Sequence[Row], actual: Sequence[Row]) -> None:
    """Rows of scans are equal: counts and extremes exactly, moments to 1e-9 (relative to the spread of the values)."""
    assert [_exact(row) for row in actual] == [_exact(row) for row in expected]
    for ours, theirs in zip(actual, expected, strict=True):
        for name in MOMENTS:
            assert ours[name] == (
                None if theirs[name] is None else pytest.approx(theirs[name], **_tolerance(name, theirs))
            )


def _exact(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in MOMENTS}


def _tolerance(name: str, row: Row) -> dict[str, float]:
    largest = max(abs(row["min"]), abs(row["max"]))
    return {
        "rel": 1e-9,
        "abs": 1e-14 * largest * (1 if name == "mean" else math.sqrt(row["n_finite"] * row["second_moment"])),
    }
