"""Counts by segment, and the segments worth listing, are the same in Google's evaluator as in DuckDB."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.measure.histogram import Buckets
from bq_monitor.segments import MAX_LISTED, keys, sizes_statement
from bq_monitor.warehouse.base import Dialect, Relation, Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.googlesql.differential import LOGS, Log, assert_same_rows, between, both_answers, feature, scan, seeded

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = pytest.mark.googlesql

REGIONS = (
    "EU", "eu", "", " ", "a", "a=b", "a & b", "a & grade=1", "it's", '"', "\\", "`", "--", "\U0001f600", "\u00e9", "e\u0301", "all",
    "(other)", "region IS NULL", "@part_0_0", "$part_0_0", None,
)  # fmt: skip
COLUMNS = {"ts": "TIMESTAMP", "region": "STRING", "grade": "INT64", "amount": "FLOAT64", "kind": "STRING"}
SEGMENTS = ("region", ["region", "grade"], {"name": "big", "expression": "amount > 3"})
OTHERS = ("region=(other)", "region=(other) & grade=(other)", "big=(other)")
LABELS = {None: -1, "a": 0, "b": 1}


def monitor(*segments: Any) -> MonitorConfig:
    source = {"table": LOGS, "timestamp": "ts"}
    return parse_config(
        {"monitor": "m", "warehouse": "bigquery://proj-1/monitoring", "source": source, "segments": list(segments)}
    )


def log_of_segments() -> Log:
    """Every region with every grade, over two days; numbers and texts to count."""
    pick = seeded(3)
    first = datetime(2026, 3, 28, tzinfo=UTC)
    rows = [
        {
            "ts": first + timedelta(hours=pick.randrange(60)), "region": region, "grade": grade,
            "amount": pick.choice([None, math.inf, -1.0, 3.0, 4.5]), "kind": pick.choice([None, "a", "b", "c"]),
        }
        for region in REGIONS
        for grade in (None, -1, 0, 1)
    ]  # fmt: skip
    return Log(COLUMNS, rows)


def part(name: str, given: object) -> str:
    return f"{name} IS NULL" if given is None else f"{name}={given}"


def keys_of(row: Row) -> list[str]:
    """The key of a row in each dimension of SEGMENTS."""
    big = None if row["amount"] is None else str(row["amount"] > 3).lower()
    region = part("region", row["region"])
    return [region, f"{region} & {part('grade', row['grade'])}", part("big", big)]


def segments_of(row: Row, listed: Sequence[str]) -> list[str]:
    """Where a row counts; a region that reads like an intersection ('a & b=c') cannot be told from one, so that it is never told apart."""
    reads_otherwise = re.search(r" & [^&]*(=| IS NULL)", row["region"] or "")
    apart = [key in listed and not reads_otherwise for key in keys_of(row)[:2]]
    apart.append(keys_of(row)[2] in listed)
    return ["all", *(key if own else other for key, own, other in zip(keys_of(row), apart, OTHERS, strict=True))]


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("n_listed", [0, 1, 30, 1000])
def test_every_dimension_counts_every_row(
    googlesql: GoogleSQL, warehouse: DuckDBWarehouse, timed: bool, n_listed: int
) -> None:
    """A row counts in 'all' and once in each dimension, under its own key where that is listed, else under (other)."""
    log = log_of_segments()
    known = sorted({key for row in log.rows for key in keys_of(row)})
    listed = seeded(1).sample(known, min(n_listed, len(known)))
    number = feature(log, "amount", Buckets("numeric", edges=(0.0, 3.0)))
    label = feature(log, "kind", Buckets("categorical", labels=("a", "b")))
    time = between("2026-03-28", "2026-03-30", zone="Europe/Berlin") if timed else None
    plain = scan(log, number, label, time=time)

    def make(dialect: Dialect, relation: Relation) -> list[Statement]:
        segments = keys(monitor(*SEGMENTS), relation, listed)
        return replace(plain, relation=relation, segments=segments).statements(dialect)

    expected, actual = both_answers(googlesql, warehouse, make, log)
    assert_same_rows(expected, actual)
    counting = [row for row in log.rows if time is None or time.start <= row["ts"] < time.end]
    assert len(counting) < len(log.rows) or not timed
    by_hand = Counter((s, LABELS.get(row["kind"], -6)) for row in counting for s in segments_of(row, listed))
    assert bucket_counts(expected, "kind") == by_hand
    assert {row["segment"] for row in expected if row["feature"] == "amount"} == {segment for segment, _ in by_hand}


def bucket_counts(rows: Sequence[Row], name: str) -> Counter[tuple[str, int]]:
    """Rows by segment and bucket of a feature, over all granules."""
    found: Counter[tuple[str, int]] = Counter()
    for row in rows:
        if row["feature"] == name:
            found.update({(row["segment"], item["bucket"]): item["n"] for item in row["buckets"]})
    return found


def test_moments_of_a_segment_are_those_of_its_rows(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """1, 2 and 6 of one region beside another's 10 and 20: each has its own mean, spread and extremes; 'all' has everyone's."""
    values = [("EU", 1.0), ("EU", 2.0), ("EU", 6.0), ("EU", None), ("US", 10.0), ("US", 20.0), (None, 3.0)]
    log = Log({"region": "STRING", "amount": "FLOAT64"}, [{"region": r, "amount": x} for r, x in values])
    plain = scan(log, feature(log, "amount", Buckets("numeric", edges=(2.0,))))

    def make(dialect: Dialect, relation: Relation) -> list[Statement]:
        segments = keys(monitor("region"), relation, ["region=EU", "region=US"])
        return replace(plain, relation=relation, segments=segments).statements(dialect)

    expected, actual = both_answers(googlesql, warehouse, make, log)
    assert_same_rows(expected, actual)
    found = {
        row["segment"]: (row["n_rows"], row["n_null"], row["mean"], row["second_moment"], row["min"], row["max"])
        for row in expected
    }
    assert found == {
        "all": (7, 1, 7.0, pytest.approx(256.0), 1.0, 20.0),
        "region=(other)": (1, 0, 3.0, 0.0, 3.0, 3.0),
        "region=EU": (4, 1, 3.0, pytest.approx(14.0), 1.0, 6.0),
        "region=US": (2, 0, 15.0, pytest.approx(50.0), 10.0, 20.0),
    }


TYPED: dict[str, tuple[list[Any], list[str]]] = {
    "STRING": (["x", "", None], ["=x", "=", " IS NULL"]),
    "INT64": ([0, -(2**63), None], ["=0", "=-9223372036854775808", " IS NULL"]),
    "FLOAT64": ([1.0, 0.1, math.nan, -math.inf, None], ["=1", "=0.1", "=NaN", "=-Inf", " IS NULL"]),
    "BOOL": ([True, False, None], ["=true", "=false", " IS NULL"]),
    "DATE": ([date(2026, 2, 28), None], ["=2026-02-28", " IS NULL"]),
}


@pytest.mark.parametrize("kind", TYPED)
def test_keys_of_every_type(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, kind: str) -> None:
    """A segment is called by its column and the value's text, whatever the type is; what is called NULL has no '='."""
    values, texts = TYPED[kind]
    log = Log.of_values("v", kind, values)

    def make(dialect: Dialect, relation: Relation) -> list[Statement]:
        return [sizes_statement(monitor("v"), relation, 1, dialect)]

    expected, actual = both_answers(googlesql, warehouse, make, log)
    assert actual == expected
    assert sorted(row["segment"] for row in expected) == sorted(f"v{text}" for text in texts)


@pytest.mark.parametrize("min_rows", [1, 2, 5, 1000])
def test_sizes_are_largest_first(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, min_rows: int) -> None:
    """Dimension by dimension, the larger groups first, equal ones by name; those of too few rows are left out."""
    log = log_of_segments()
    drawn = replace(log, rows=[row for i, row in enumerate(log.rows) for _ in range(1 + i % 3)])

    def make(dialect: Dialect, relation: Relation) -> list[Statement]:
        return [sizes_statement(monitor(*SEGMENTS), relation, min_rows, dialect)]

    expected, actual = both_answers(googlesql, warehouse, make, drawn)
    assert actual == expected
    sizes = Counter((position, key) for row in drawn.rows for position, key in enumerate(keys_of(row)))
    ranked = sorted((position, -n, key.encode()) for (position, key), n in sizes.items() if n >= min_rows)
    assert [(row["position"], -row["n"], row["segment"].encode()) for row in expected] == ranked


def test_sizes_list_so_many_at_most(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """Of more groups than are listed, the largest of each dimension stay; among equals, the first by name."""
    rows = [{"region": f"r{i:03}", "grade": i % 2} for i in range(MAX_LISTED + 20) for _ in range(2 if i == 110 else 1)]
    log = Log({"region": "STRING", "grade": "INT64"}, rows)

    def make(dialect: Dialect, relation: Relation) -> list[Statement]:
        return [sizes_statement(monitor("region", "grade"), relation, 1, dialect)]

    expected, actual = both_answers(googlesql, warehouse, make, log)
    assert actual == expected
    listed = [row["segment"] for row in expected if row["position"] == 0]
    assert listed == ["region=r110", *(f"region=r{i:03}" for i in range(MAX_LISTED - 1))]
    assert [row["n"] for row in expected if row["position"] == 1] == [61, 60]
