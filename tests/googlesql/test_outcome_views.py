"""Which counts and judgements of answers stand: the same in Google's evaluator as in DuckDB, and as told by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import (
    ARRIVALS,
    OUTCOME_HISTOGRAMS,
    PERFORMANCE_RESULTS,
    PRODUCTION_HISTOGRAMS,
    RUNS,
    TABLES,
    Table,
)
from bq_monitor.warehouse.setup import setup_statements, view_query
from bq_monitor.warehouse.views import VIEWS
from tests.googlesql.test_views import DAY, Contents, Google, Names, buckets, full, plain, rows_of

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = pytest.mark.googlesql

NAMES = ("arrivals_latest", "outcome_histograms_latest", "performance_latest", "production_histograms_latest")
KEY = {"monitor": "m", "model_version": "1", "reference_id": "r", "scan_definition_id": "d"}
Cells = Mapping[tuple[str | None, str | None], int]


def at(hours: int) -> Row:
    """When, and by which run, something was written."""
    return {"computed_at": DAY + timedelta(days=9, hours=hours), "run_id": f"run-{hours}"}


def counted(
    day: int,
    identity: str,
    cells: Cells,
    hours: int,
    features: Sequence[str] = ("score", "joint:amount"),
    **changes: Any,
) -> list[Row]:
    """One counting of the answers of a day: each cell with n rows, half of them in bucket 0."""
    return [
        {
            **KEY, "granule": DAY + timedelta(days=day), "segment": segment, "outcome": outcome, "predicted": predicted, "feature": feature,
            "n_rows": n, "n_null": 0, "n_finite": n, "mean": 0.25 * n, "second_moment": 0.5, "min": 0.0, "max": 1.0,
            "buckets": buckets({0: n // 2, 1: n - n // 2}), "data_version": identity, **at(hours), **changes,
        }
        for feature in features
        for segment in (("all", "region=EU") if feature == "score" else ("all",))
        for (outcome, predicted), n in cells.items()
    ]  # fmt: skip


def arrived(day: int, identity: str, hours: int, **changes: Any) -> Row:
    return {
        **KEY, "granule": DAY + timedelta(days=day), "n_rows": 10 + hours, "n_ids": 9, "newest_row_at": DAY, "n_labelled": 5, "n_labels": 6,
        "n_contradictory": 1, "newest_label_at": DAY, "ages": [{"days": 1, "n": 2}], "data_version": identity, **at(hours), **changes,
    }  # fmt: skip


FIRST: Cells = {("yes", "yes"): 3, (None, "yes"): 2}
SECOND: Cells = {("yes", "yes"): 4, ("no", "yes"): 1}
OTHER: dict[str, Row] = {
    "monitor": {"monitor": "m2"}, "reference": {"reference_id": "r2"}, "definition": {"scan_definition_id": "d2"},
}  # fmt: skip


def outcome_counts() -> tuple[list[Row], list[Row]]:
    """Day 0 counted again as more had come; day 1 counted again, but not to its end; day 2 never to its end; day 3 twice, as a run was cut off."""
    cells = [
        *counted(0, "a", FIRST, 1),
        *counted(0, "b", SECOND, 2),
        *counted(1, "a", FIRST, 1),
        *counted(1, "b", SECOND, 2),
    ]
    cells += counted(2, "a", FIRST, 1)
    cells += [*counted(3, "a", {**FIRST, ("no", "yes"): 5}, 1, ["score"]), *counted(3, "a", FIRST, 3)]
    arrivals = [arrived(0, "a", 1), arrived(0, "b", 2), arrived(1, "a", 1), arrived(3, "a", 3)]
    for changes in OTHER.values():
        cells += counted(0, "a", {("no", "no"): 7}, 4, **changes)
        arrivals += [arrived(0, "a", 4, **changes), arrived(1, "b", 4, **changes)]
    return cells, arrivals


def judged(
    start: int, hours: int, metrics: Sequence[str], *, key: str, provisional: bool = True, **changes: Any
) -> list[Row]:
    return [
        {
            "monitor": "m", "model_version": "1", "reference_id": "r", **at(hours), "window_start": DAY + timedelta(days=start),
            "window_end": DAY + timedelta(days=start + 7), "segment": segment, "basis": "realised", "metric": metric,
            "verdict_key": key, "scan_definition_id": "d", "is_provisional": provisional, "status": "ok", "value": 0.5 + hours / 100,
            "confusion": [{"outcome": "yes", "predicted": None, "n": 3}], **changes,
        }
        for metric in metrics
        for segment in ("all", "region=EU")
    ]  # fmt: skip


def judgements() -> list[Row]:
    """Window 0 judged twice, with fewer numbers the second time; 1 once; 2 by two runs at one moment; one of another version."""
    return [
        *judged(0, 1, ["accuracy", "roc_auc"], key="k0a"), *judged(0, 2, ["accuracy"], key="k0b", provisional=False, reference_id="r2"),
        *judged(1, 1, ["accuracy", "log_loss"], key="k1"), *judged(2, 1, ["accuracy"], key="k2a", run_id="x"),
        *judged(2, 1, ["recall"], key="k2b", run_id="y"), *judged(0, 1, ["accuracy"], key="k3", model_version="2"),
        *judged(30, 1, ["accuracy"], key="k4", provisional=False, monitor="m2"),
        *judged(60, 1, ["accuracy"], key="k5", provisional=False, monitor="m2", run_id="backfill"),
    ]  # fmt: skip


def runs() -> list[Row]:
    """Every run that judged, one of them a backfill."""
    known = sorted({(row["monitor"], row["run_id"]) for row in judgements()})
    return [
        {"monitor": monitor, "run_id": run, "is_backfill": run == "backfill", "started_at": DAY}
        for monitor, run in known
    ]


def production(feature: str, segments: Sequence[str], hours: int, day: int = 0, **changes: Any) -> list[Row]:
    return [
        {
            **KEY, "granule": DAY + timedelta(days=day), "segment": segment, "feature": feature, "n_rows": 5 + hours, "n_null": 0, "n_finite": 5,
            "mean": 1.0, "second_moment": 2.0, "min": 0.0, "max": 3.0, "buckets": buckets({0: 5 + hours}), "data_version": "5",
            **at(hours), **changes,
        }
        for segment in segments
    ]  # fmt: skip


@pytest.fixture(scope="module")
def contents() -> Contents:
    cells, arrivals = outcome_counts()
    counts = [
        *production("amount", ["all", "region=EU", "region=US"], 1), *production("amount", ["all", "region=EU"], 2),
        *production("region", ["all", "region=US"], 1), *production("amount", ["all", "region=US"], 1, day=1),
        *production("amount", ["all"], 1, reference_id="r2"),
    ]  # fmt: skip
    filled: dict[Table, list[Row]] = {
        OUTCOME_HISTOGRAMS: cells, ARRIVALS: arrivals, PERFORMANCE_RESULTS: judgements(), PRODUCTION_HISTOGRAMS: counts,
        RUNS: runs(),
    }  # fmt: skip
    return {table.name: rows_of(table, *filled.get(table, [])) for table in TABLES}


@pytest.fixture(scope="module")
def google(googlesql: GoogleSQL, contents: Contents) -> Google:
    tables = {full(table.name): {c.name: c.type for c in table.columns} for table in TABLES}
    opened = Google(googlesql, tables, {full(name): rows for name, rows in contents.items()})
    for view in VIEWS:
        if view.name in NAMES:
            sql = view_query(view, Names())
            rows = opened.query(sql)
            tables[full(view.name)] = dict(googlesql.analyze(sql, tables).outputs)
            opened.contents[full(view.name)] = rows
    return opened


@pytest.fixture(scope="module")
def filled(contents: Contents) -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse()
    for statement in setup_statements(opened):
        if not statement.name.startswith("tables/comment"):
            opened.execute(statement)
    opened.commit({table: contents[table.name] for table in TABLES}, key="contents")
    yield opened
    opened.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_view_answers_the_same(google: Google, filled: DuckDBWarehouse, name: str) -> None:
    """Over the same rows both dialects answer the same rows of each view."""
    expected, actual = google.contents[full(name)], filled.query(Statement(name, f"SELECT * FROM {name}"))
    assert expected
    assert [list(row) for row in actual] == [list(row) for row in expected]
    assert sorted(map(repr, map(plain, actual))) == sorted(map(repr, map(plain, expected)))


def stretch(window_id: int, first: int, last: int, reference: str = "r") -> Row:
    return {
        "window_id": window_id, "reference_id": reference, "start_at": DAY + timedelta(days=first), "end_at": DAY + timedelta(days=last),
    }  # fmt: skip


WINDOWS = [stretch(0, 0, 4), stretch(1, 1, 2), stretch(2, 2, 3), stretch(3, 0, 1, "r2"), stretch(4, 3, 9)]
READS = {
    "arrivals": lambda names: statements.arrivals(names, "m", "d", DAY, DAY + timedelta(days=3)),
    "settled": lambda names: statements.settled(names, "m", "d"),
    "performance_keys": lambda names: statements.performance_keys(names, "m", DAY),
    "answers": lambda names: statements.answers(names, "m", "d", WINDOWS),
    "windows": lambda names: statements.windows(names, "m", "d", WINDOWS),
}


@pytest.mark.parametrize("name", READS)
def test_reads_answer_the_same(google: Google, filled: DuckDBWarehouse, name: str) -> None:
    """What a run reads of stored answers does not depend on the warehouse, down to the order of rows."""
    statement = READS[name](Names())
    expected = google.query(statement.sql, statement.params)
    assert expected
    assert filled.query(READS[name](filled)) == expected


def cells_of(
    google: Google, window: int, feature: str, segment: str = "all"
) -> dict[tuple[str | None, str | None], int]:
    statement = statements.answers(Names(), "m", "d", WINDOWS)
    rows = google.query(statement.sql, statement.params)
    return {
        (row["outcome"], row["predicted"]): row["n_rows"]
        for row in rows
        if (row["window_id"], row["feature"], row["segment"]) == (window, feature, segment)
    }


@pytest.mark.parametrize(("feature", "segment"), [("score", "all"), ("score", "region=EU"), ("joint:amount", "all")])
def test_answers_are_the_sums_of_what_stands(google: Google, feature: str, segment: str) -> None:
    """Of a day counted again the newest counting stands, whole; one not written to its end never does; one written twice counts once."""
    found = [cells_of(google, window, feature, segment) for window in range(5)]
    assert found[0] == Counter(SECOND) + Counter(FIRST) + Counter(FIRST)  # days 0, 1, 3
    assert found[1] == FIRST  # the second counting of day 1 was not finished
    assert found[2] == {}  # no counting of day 2 was
    assert found[3] == {("no", "no"): 7}  # another reference
    assert found[4] == FIRST  # day 3, retried


def test_buckets_of_a_window_are_summed_by_cell(google: Google) -> None:
    """Each cell's buckets are the sums of those of its days."""
    statement = statements.answers(Names(), "m", "d", [stretch(0, 0, 4)])
    rows = google.query(statement.sql, statement.params)
    found = {
        (row["outcome"], row["predicted"]): [(item["bucket"], item["n"]) for item in row["buckets"]]
        for row in rows
        if (row["feature"], row["segment"]) == ("score", "all")
    }
    assert found == {
        ("yes", "yes"): [(0, 2 + 1 + 1), (1, 2 + 2 + 2)], (None, "yes"): [(0, 1 + 1), (1, 1 + 1)], ("no", "yes"): [(0, 0), (1, 1)],
    }  # fmt: skip


def test_the_newest_arrival_of_a_day_stands(google: Google) -> None:
    """A day has one arrival, that of the last finished counting."""
    statement = statements.arrivals(Names(), "m", "d", DAY, DAY + timedelta(days=9))
    rows = google.query(statement.sql, statement.params)
    assert [(row["reference_id"], (row["granule"] - DAY).days, row["n_rows"]) for row in rows] == [
        ("r", 0, 12), ("r", 1, 11), ("r", 3, 13), ("r2", 0, 14), ("r2", 1, 14),
    ]  # fmt: skip


def test_a_restated_window_supersedes_as_a_whole(google: Google) -> None:
    """A window judged again keeps no number of before, in no segment; of two runs at one moment one stands alone."""
    found = [
        (
            row["monitor"],
            row["model_version"],
            (row["window_start"] - DAY).days,
            row["metric"],
            row["segment"],
            row["verdict_key"],
        )
        for row in google.contents[full("performance_latest")]
    ]
    assert sorted(found) == sorted(
        (monitor, version, start, metric, segment, key)
        for monitor, version, start, metric, key in [
            ("m", "1", 0, "accuracy", "k0b"), ("m", "1", 1, "accuracy", "k1"), ("m", "1", 1, "log_loss", "k1"),
            ("m", "1", 2, "recall", "k2b"), ("m", "2", 0, "accuracy", "k3"), ("m2", "1", 30, "accuracy", "k4"), ("m2", "1", 60, "accuracy", "k5"),
        ]
        for segment in ("all", "region=EU")
    )  # fmt: skip
    statement = statements.performance_keys(Names(), "m", DAY + timedelta(days=7))
    keys = [row["verdict_key"] for row in google.query(statement.sql, statement.params)]
    assert keys == ["k1", "k2b"]  # each once, and none of a window that had ended by then


def test_settled_is_the_end_of_the_last_final_window(google: Google) -> None:
    """Only final judgements that stand settle a monitor, each definition for itself; one without any, or of a backfill alone, does not."""
    found: dict[tuple[str, str], tuple[datetime | None, bool]] = {}
    for monitor, definition in (("m", "d"), ("m", "new"), ("m2", "d"), ("unknown", "d")):
        statement = statements.settled(Names(), monitor, definition)
        (row,) = google.query(statement.sql, statement.params)
        found[monitor, definition] = (row["settled_to"], row["was_redefined"])
    assert found == {
        ("m", "d"): (DAY + timedelta(days=7), False), ("m", "new"): (None, True), ("m2", "d"): (DAY + timedelta(days=37), False),
        ("unknown", "d"): (None, False),
    }  # fmt: skip


def test_a_segment_that_vanished_has_no_counts(google: Google) -> None:
    """All segments of a feature are counted at once: a recount without one leaves nothing of it; other features and days stay."""
    found = [
        (row["reference_id"], (row["granule"] - DAY).days, row["feature"], row["segment"], row["n_rows"])
        for row in google.contents[full("production_histograms_latest")]
    ]
    assert sorted(found) == [
        ("r", 0, "amount", "all", 7), ("r", 0, "amount", "region=EU", 7), ("r", 0, "region", "all", 6), ("r", 0, "region", "region=US", 6),
        ("r", 1, "amount", "all", 6), ("r", 1, "amount", "region=US", 6), ("r2", 0, "amount", "all", 6),
    ]  # fmt: skip
