"""Granules on the calendar: hours and days, three types of time columns, clocks set forward and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from bq_monitor.measure.histogram import Buckets
from bq_monitor.timegrid import Granule, Grid, Span, Window
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.googlesql.differential import LOGS, Log, assert_same_counts, between, feature, scan

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = pytest.mark.googlesql

STRETCHES = [
    ("UTC", "2024-03-30", "2024-04-02"),
    ("Europe/Berlin", "2024-03-30", "2024-04-02"),
    ("Europe/Berlin", "2024-10-26", "2024-10-29"),
    ("Asia/Kolkata", "2024-03-30", "2024-04-02"),
    ("America/Santiago", "2024-09-07", "2024-09-10"),  # midnight does not exist
    ("Atlantic/Azores", "2024-10-26", "2024-10-29"),  # midnight comes twice
]
KINDS: list[tuple[str, Granule]] = [
    ("TIMESTAMP", "day"), ("TIMESTAMP", "hour"), ("DATETIME", "day"), ("DATETIME", "hour"), ("DATE", "day"),
]  # fmt: skip


def log_around(start: str, kind: str) -> Log:
    """Six days of rows, 50 minutes apart, that begin before the stretch and end after it."""
    first = datetime.fromisoformat(start) - timedelta(hours=30)
    naive = [first + timedelta(minutes=50 * k, microseconds=k % 2) for k in range(173)]
    convert: dict[str, Any] = {
        "TIMESTAMP": lambda t: t.replace(tzinfo=UTC), "DATETIME": lambda t: t, "DATE": lambda t: t.date(),
    }  # fmt: skip
    rows = [{"ts": convert[kind](moment), "x": float(i)} for i, moment in enumerate(naive)]
    return Log({"ts": kind, "x": "FLOAT64"}, rows)


@pytest.mark.parametrize("stretch", STRETCHES, ids=" ".join)
@pytest.mark.parametrize("column", KINDS, ids=" ".join)
def test_granules_on_the_local_calendar(
    googlesql: GoogleSQL, warehouse: DuckDBWarehouse, stretch: tuple[str, str, str], column: tuple[str, Granule]
) -> None:
    """Both dialects cut the same granules, at the instants where the plan expects them; `granules` counts the same rows."""
    (zone, start, end), (kind, granule) = stretch, column
    log = log_around(start, kind)
    time = between(start, end, kind=kind, granule=granule, zone=zone)
    asked = scan(log, feature(log, "x", Buckets("numeric", edges=(50.0,))), time=time)
    rows = assert_same_counts(googlesql, warehouse, asked, log)
    grid = Grid(granule, Span.parse("1d"), Span.parse("1d"), ZoneInfo(zone))
    planned = list(grid.granules(Window(time.start.astimezone(UTC), time.end.astimezone(UTC))))
    found = [row["granule"] for row in rows]
    assert found == planned if kind != "DATETIME" or granule == "day" else set(found) <= set(planned)
    statement = asked.granules("bigquery")
    expected = googlesql.evaluate(statement.sql, log.tables, statement.params, {LOGS: log.rows})
    actual = warehouse.query(replace(asked, relation=log.in_duckdb(warehouse)).granules("duckdb"))
    assert actual == expected
    assert [(row["granule"], row["n_rows"]) for row in actual] == [(row["granule"], row["n_rows"]) for row in rows]


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-06-01", 24)])
def test_a_day_in_berlin_has_its_hours(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, day: str, hours: int) -> None:
    """One row an hour: the day on which the clocks go forward has 23 granules, the one on which they go back 25."""
    first = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=12)
    log = Log({"ts": "TIMESTAMP", "x": "INT64"}, [{"ts": first + timedelta(hours=k), "x": k} for k in range(72)])
    end = str((datetime.fromisoformat(day) + timedelta(days=1)).date())
    hourly = between(day, end, granule="hour", zone="Europe/Berlin")
    item = feature(log, "x", Buckets("numeric", edges=(0.0,)))
    rows = assert_same_counts(googlesql, warehouse, scan(log, item, time=hourly), log)
    assert [row["n_rows"] for row in rows] == [1] * hours
    (whole,) = assert_same_counts(googlesql, warehouse, scan(log, item, time=replace(hourly, granule="day")), log)
    assert whole["n_rows"] == hours


def test_rows_at_the_ends(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """The first instant of a stretch counts, its end does not, and a row without time never does."""
    stamps = ["2024-01-01T00:00:00", "2024-01-01T23:59:59.999999", "2024-01-02T00:00:00", "2023-12-31T23:59:59.999999"]
    times = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in stamps]
    log = Log({"ts": "TIMESTAMP", "s": "STRING"}, [{"ts": ts, "s": "a"} for ts in [*times, None]])
    item = feature(log, "s", Buckets("categorical", labels=("a",)))
    (row,) = assert_same_counts(googlesql, warehouse, scan(log, item, time=between("2024-01-01", "2024-01-02")), log)
    assert (row["granule"], row["n_rows"]) == (datetime(2024, 1, 1, tzinfo=UTC), 2)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"])
def test_hours_in_zones_of_half_hours(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, zone: str) -> None:
    """Local hours begin at half past (or a quarter) in UTC."""
    start = datetime(2024, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    rows = [{"ts": start + timedelta(minutes=m), "x": 1.0} for m in (0, 29, 30, 59, 60)]
    log = Log({"ts": "TIMESTAMP", "x": "FLOAT64"}, rows)
    time = between("2024-01-01", "2024-01-02", granule="hour", zone=zone)
    found = assert_same_counts(googlesql, warehouse, scan(log, feature(log, "x", Buckets("numeric")), time=time), log)
    assert [(row["granule"] - start, row["n_rows"]) for row in found] == [(timedelta(0), 4), (timedelta(hours=1), 1)]
