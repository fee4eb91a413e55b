"""The views, and the sums of windows, answer the same in Google's evaluator as in DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bq_monitor.report import views as shown
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Dialect, Param, Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import (
    ACTIONS,
    ALERT_EVENTS,
    ARRIVALS,
    DRIFT_RESULTS,
    NOTIFICATIONS,
    OUTCOME_HISTOGRAMS,
    PERFORMANCE_RESULTS,
    PRODUCTION_HISTOGRAMS,
    QUALITY_RESULTS,
    REFERENCE_HISTOGRAMS,
    RUNS,
    TABLES,
    Table,
)
from bq_monitor.warehouse.setup import setup_statements, view_query
from bq_monitor.warehouse.views import VIEWS

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = pytest.mark.googlesql

DAY = datetime(2026, 1, 5, tzinfo=UTC)
Contents = dict[str, list[Row]]


@dataclass(frozen=True)
class Names:
    """A BigQuery warehouse without a connection."""

    dialect: Dialect = "bigquery"

    def table(self, name: str) -> str:
        return f"`proj-1.monitoring.{name}`"


def full(name: str) -> str:
    return f"proj-1.monitoring.{name}"


def rows_of(table: Table, *rows: Row) -> list[Row]:
    """Rows with every column of a table, NULL where nothing is said."""
    empty: Row = {column.name: [] if column.type.startswith("ARRAY") else None for column in table.columns}
    unknown = {name for row in rows for name in row} - set(empty)
    assert not unknown
    return [{**empty, **row} for row in rows]


def buckets(pairs: Mapping[int, int]) -> list[Row]:
    return [{"bucket": bucket, "n": n} for bucket, n in pairs.items()]


def counts(rng: np.random.Generator, day: int, feature: str, **changes: Any) -> Row:
    """The counts of one granule of a feature, drawn."""
    n = [int(k) for k in rng.integers(1, 9, 3)]
    row: Row = {
        "monitor": "m", "model_version": "1", "reference_id": "r", "scan_definition_id": "d", "granule": DAY + timedelta(days=day),
        "segment": "all", "feature": feature, "n_rows": sum(n), "n_null": n[2], "n_finite": n[0] + n[1], "mean": float(rng.normal(1e6)),
        "second_moment": float(rng.random()), "min": float(rng.normal()), "max": float(rng.normal(9)), "data_version": "1",
        "buckets": buckets({0: n[0], 1: n[1], -1: n[2]}), "computed_at": DAY + timedelta(days=9), "run_id": "a",
    }  # fmt: skip
    if feature == "region":
        row |= {
            "n_finite": 0,
            "mean": None,
            "second_moment": None,
            "min": None,
            "max": None,
            "buckets": buckets({0: n[0], -6: n[1], -1: n[2]}),
        }
    return row | changes


def verdict(day: int, feature: str, status: str, **changes: Any) -> Row:
    start = DAY + timedelta(days=day)
    return {
        "monitor": "m", "model_version": "1", "reference_id": "r", "run_id": "a", "computed_at": start + timedelta(days=1, hours=2),
        "window_start": start, "window_end": start + timedelta(days=1), "segment": "all", "feature": feature, "role": "feature",
        "kind": "numeric", "baseline": "training", "verdict_key": f"k{day}", "n_baseline": 100, "n_current": 10, "status": status,
        "psi": 0.25, "js_distance": 0.5, "metric": "js_distance", "threshold": 0.1,
        "contributions": [{"bucket": "< 1", "baseline_share": 0.5, "current_share": 0.25, "psi": 0.173},
                          {"bucket": "NULL", "baseline_share": 0.0, "current_share": None, "psi": None}],
    } | changes  # fmt: skip


def event(day: int, feature: str | None, **changes: Any) -> Row:
    start = DAY + timedelta(days=day)
    return {
        "monitor": "m", "model_version": "1", "run_id": "a", "computed_at": start + timedelta(days=1, hours=2), "window_start": start,
        "window_end": start + timedelta(days=1), "segment": "all", "feature": feature, "baseline": "training", "verdict_key": f"k{day}",
        "kind": "drift", "severity": "warning", "message": f"{feature} drifted", "notify": True, "alert_id": f"{feature}", "event": "opened",
        "event_id": f"{feature} {day}", "since": start, "n_windows": 1, "n_clean": 0, "n_reopened": 0,
    } | changes  # fmt: skip


def answered(day: int, version: str, n: int, **changes: Any) -> Row:
    """The score of one cell of a granule, of the counting that `version` names."""
    return {
        "monitor": "m", "model_version": "1", "reference_id": "r", "scan_definition_id": "o", "granule": DAY + timedelta(days=day),
        "segment": "all", "outcome": "yes", "predicted": "no", "feature": "score", "n_rows": n, "n_null": 0, "n_finite": n, "mean": 0.25,
        "second_moment": 0.5, "min": 0.0, "max": 0.5, "buckets": buckets({0: n}), "data_version": version,
        "computed_at": DAY + timedelta(days=9), "run_id": "a",
    } | changes  # fmt: skip


def arrived(day: int, version: str, n_labelled: int, **changes: Any) -> Row:
    return {
        "monitor": "m", "model_version": "1", "reference_id": "r", "scan_definition_id": "o", "granule": DAY + timedelta(days=day),
        "n_rows": 9, "n_labelled": n_labelled, "n_labels": 4, "n_contradictory": 0, "ages": [{"days": 1, "n": 2}, {"days": 3, "n": 4}],
        "known_at": DAY + timedelta(days=9), "data_version": version, "computed_at": DAY + timedelta(days=9), "run_id": "a",
    } | changes  # fmt: skip


def scored(day: int, metric: str, value: float | None, **changes: Any) -> Row:
    start = DAY + timedelta(days=day)
    return {
        "monitor": "m", "model_version": "1", "reference_id": "r", "run_id": "a", "computed_at": start + timedelta(days=1, hours=2),
        "window_start": start, "window_end": start + timedelta(days=1), "segment": "all", "basis": "realised", "metric": metric,
        "scan_definition_id": "o", "verdict_key": f"o{day}", "is_provisional": True, "status": "ok", "value": value, "n_rows": 9, "n_labelled": 4,
        "confusion": [{"outcome": "yes", "predicted": None, "n": 4}],
        "bins": [{"bin": "< 1", "n": 4, "share": 0.5, "reference_share": None}],
    } | changes  # fmt: skip


def checked(day: int, name: str, feature: str | None, **changes: Any) -> Row:
    start = DAY + timedelta(days=day)
    return {
        "monitor": "m2", "model_version": "1", "reference_id": "r", "run_id": "a", "computed_at": start + timedelta(days=1, hours=2),
        "window_start": start, "window_end": start + timedelta(days=1), "check_name": name, "feature": feature, "verdict_key": f"k{day}",
        "status": "ok", "value": 0.5, "n_rows": 10,
    } | changes  # fmt: skip


@pytest.fixture
def contents(rng: np.random.Generator) -> Contents:
    """Three days of counts and verdicts, with superseded ones beside them, of two monitors."""
    late, other = {"computed_at": DAY + timedelta(days=12), "run_id": "b"}, {"reference_id": "r2", "model_version": "2"}
    production = [counts(rng, day, feature) for day in range(3) for feature in ("amount", "region")]
    production += [
        counts(rng, 1, "amount", **late),
        counts(rng, 1, "region", **late),
        counts(rng, 0, "amount", **other),
    ]
    production += [
        counts(rng, 0, "amount", monitor="m2", mean=None, second_moment=None, max=1e200),
        counts(rng, 0, "amount", run_id="b"),
    ]
    fine = [
        (0, None, 1.0, "< 1"),
        (1, 1.0, 2.5, "[1, 2.5)"),
        (2, 2.5, 1e20, "[2.5, 1e+20)"),
        (3, 1e20, None, ">= 1e+20"),
        (-1, None, None, "NULL"),
        (-4, None, None, "+Inf"),
    ]
    specials = [(-1, None, None, "NULL"), (-5, None, None, "other"), (-6, None, None, "unseen")]
    labels = [(0, None, None, "it's"), *specials]
    reference = [
        {"monitor": "m", "model_version": "1", "reference_id": "r", "captured_at": DAY, "baseline": "training",
         "segment": "all", "feature": feature, "role": "feature", "n_rows": n,
         "buckets": [{"bucket": b, "n": i, "lower": lower, "upper": upper, "label": label} for i, (b, lower, upper, label) in enumerate(listed)]}
        for feature, listed, n in (("amount", fine, 15), ("region", labels, 0))
    ]  # fmt: skip
    second = {"computed_at": DAY + timedelta(days=9), "run_id": "b", "verdict_key": "k2b"}
    drift = [verdict(day, feature, "ok") for day in (0, 1, 2) for feature in ("amount", "region", "age")]
    drift += [
        verdict(2, "amount", "drift", **second, metric="psi"),
        verdict(2, "region", "not_evaluated", **second),
        verdict(2, "age", "ok", **second),
    ]
    drift += [
        verdict(2, "amount", "not_evaluated", monitor="m2", reason="too few rows"),
        verdict(1, "amount", "drift", model_version="2"),
    ]
    events = [
        event(1, "age"), event(2, "age", event="resolved"), event(2, "amount"), event(2, None, kind="dataset_drift"), event(2, "x", monitor="m2"),
    ]  # fmt: skip
    told = {
        "monitor": "m",
        "notification_id": "n",
        "computed_at": DAY,
        "created_at": DAY,
        "attempt": 0,
        "status": "pending",
        "payload": "{}",
    }
    acted = {
        "monitor": "m",
        "action_id": "a",
        "computed_at": DAY,
        "created_at": DAY,
        "status": "pending",
        "run_id": "a",
    }
    runs = [
        {"monitor": "m", "run_id": run_id, "started_at": DAY, "window_end": DAY, "bytes_processed": n}
        for run_id, n in (("a", None), ("b", 9))
    ]
    later = {"computed_at": DAY + timedelta(days=12), "run_id": "b"}
    answers = [answered(0, "v1", 3), answered(0, "v2", 4, **later), answered(1, "v3", 5), answered(2, "v4", 6, **later)]
    arrivals = [arrived(0, "v1", 3), arrived(0, "v2", 4, **later), arrived(1, "v3", 5)]
    performance = [
        scored(0, "accuracy", 0.5),
        scored(0, "roc_auc", 0.75),
        scored(1, "accuracy", None, status="not_evaluated"),
    ]
    performance += [scored(0, "accuracy", 0.25, **later, verdict_key="o0b", is_provisional=False)]
    quality = [
        checked(0, "volume", None),
        checked(0, "volume", None, **later, value=0.25),
        checked(0, "null_rate", "amount"),
    ]
    quality += [checked(0, "null_rate", "region", status="drift"), checked(1, "volume", None)]
    return {
        "outcome_histograms": rows_of(OUTCOME_HISTOGRAMS, *answers), "arrivals": rows_of(ARRIVALS, *arrivals),
        "performance_results": rows_of(PERFORMANCE_RESULTS, *performance), "quality_results": rows_of(QUALITY_RESULTS, *quality),
        "production_histograms": rows_of(PRODUCTION_HISTOGRAMS, *production), "reference_histograms": rows_of(REFERENCE_HISTOGRAMS, *reference),
        "drift_results": rows_of(DRIFT_RESULTS, *drift), "alert_events": rows_of(ALERT_EVENTS, *events), "runs": rows_of(RUNS, *runs),
        "notifications": rows_of(NOTIFICATIONS, told), "actions": rows_of(ACTIONS, acted),
    }  # fmt: skip


@dataclass
class Google:
    """Our tables and views in Google's evaluator; a view's rows are what its query answers over those before it."""

    server: GoogleSQL
    tables: dict[str, dict[str, str]]
    contents: Contents

    def query(self, sql: str, params: Mapping[str, Param] | None = None) -> list[Row]:
        return self.server.evaluate(sql, self.tables, params, self.contents)


@pytest.fixture
def google(googlesql: GoogleSQL, contents: Contents) -> Google:
    tables = {full(table.name): {c.name: c.type for c in table.columns} for table in TABLES}
    opened = Google(googlesql, tables, {full(name): rows for name, rows in contents.items()})
    for view in VIEWS:
        sql = view_query(view, Names())
        rows = opened.query(sql)
        tables[full(view.name)] = dict(googlesql.analyze(sql, tables).outputs)
        opened.contents[full(view.name)] = rows
    return opened


@pytest.fixture
def filled(warehouse: DuckDBWarehouse, contents: Contents) -> DuckDBWarehouse:
    for statement in setup_statements(warehouse):
        warehouse.execute(statement)
    warehouse.commit({table: contents[table.name] for table in TABLES}, key="contents")
    return warehouse


@pytest.mark.parametrize("name", [view.name for view in VIEWS])
def test_a_view_answers_the_same(google: Google, filled: DuckDBWarehouse, name: str) -> None:
    """Over the same rows both dialects answer the same rows of each view."""
    expected = google.contents[full(name)]
    actual = filled.query(Statement(name, f"SELECT * FROM {name}"))
    assert expected
    assert [list(row) for row in actual] == [list(row) for row in expected]
    assert sorted(map(repr, map(plain, actual))) == sorted(map(repr, map(plain, expected)))


ORDER = ["window_end", "model_version", "feature"]
TWO_DAYS = shown.Stretch(DAY - timedelta(seconds=1), DAY + timedelta(days=2))


@pytest.mark.parametrize(
    "statement",
    [
        shown.fleet,
        lambda names: shown.scopes(names, "m"),
        lambda names: shown.rows(names, "drift_timeline", {"monitor": "m", "baseline": "training"}, ORDER, TWO_DAYS),
        lambda names: shown.rows(names, "run_costs", {}, ["started_at", "run_id"], TWO_DAYS, moment="started_at"),
    ],
    ids=["fleet", "scopes", "stretch", "runs"],
)  # fmt: skip
def test_what_people_are_shown_is_the_same(
    google: Google, filled: DuckDBWarehouse, statement: Callable[[Any], Statement]
) -> None:
    """The reads of the report and the dashboard answer the same rows, in the same order, in both dialects."""
    asked = statement(Names())
    expected = google.query(asked.sql, asked.params)
    actual = filled.query(statement(filled))
    assert expected
    assert list(map(plain, actual)) == list(map(plain, expected))


def test_a_stretch_is_open_at_its_start(filled: DuckDBWarehouse) -> None:
    """A window that ends when the stretch begins is not of it; one that ends with it is."""
    stretch = shown.Stretch(DAY + timedelta(days=1), DAY + timedelta(days=3))
    found = shown.Views(filled).drift("m", stretch)
    assert sorted(set(found["window_end"] - DAY)) == [timedelta(days=2), timedelta(days=3)]
    assert set(found["feature"]) == {"amount", "region", "age"}


def test_a_monitor_that_judged_nothing_is_of_the_fleet(filled: DuckDBWarehouse) -> None:
    """It has a row without health; one that never ran has none."""
    filled.commit({RUNS: rows_of(RUNS, {"monitor": "new", "run_id": "a", "started_at": DAY})}, key="new")
    fleet = shown.Views(filled).fleet()
    assert fleet["monitor"].tolist() == ["m", "new"]
    assert fleet["health"].isna().tolist() == [False, True]
    assert fleet["n_open"].tolist() == [2, 0]


def plain(row: Row) -> Row:
    """Instants as text in UTC; numbers as they are."""
    return {k: v.astimezone(UTC).isoformat() if isinstance(v, datetime) else v for k, v in row.items()}


def test_views_take_the_newest(google: Google) -> None:
    """Of superseded counts and verdicts the later run stands; alerts that are over are not open."""
    latest = google.contents[full("production_histograms_latest")]
    assert len(latest) == 3 * 2 + 2
    assert {row["run_id"] for row in latest if row["monitor"] == "m" and row["granule"] == DAY + timedelta(days=1)} == {
        "b"
    }
    (health,) = [
        row for row in google.contents[full("model_health")] if (row["monitor"], row["model_version"]) == ("m", "1")
    ]
    assert (health["n_ok"], health["n_drift"], health["n_not_evaluated"], health["health"]) == (1, 1, 1, 50)
    alerts = [(row["monitor"], row["feature"], row["kind"]) for row in google.contents[full("open_alerts")]]
    assert sorted(alerts, key=repr) == [("m", "amount", "drift"), ("m", None, "dataset_drift"), ("m2", "x", "drift")]


def test_a_window_of_answers_is_superseded_as_a_whole(google: Google) -> None:
    """The later judgement of a window stands; a number that only the earlier one has does not, in the timeline neither."""
    for view in ("performance_latest", "performance_timeline"):
        found = {(row["window_start"] - DAY, row["metric"], row["value"]) for row in google.contents[full(view)]}
        assert found == {(timedelta(0), "accuracy", 0.25), (timedelta(days=1), "accuracy", None)}


def test_arrivals_say_which_counts_of_answers_hold(google: Google) -> None:
    """Counts that the newest arrivals of their granule do not name do not: older ones, and those whose run died before it said so."""
    found = {
        (row["granule"] - DAY, row["data_version"], row["n_rows"])
        for row in google.contents[full("outcome_histograms_latest")]
    }
    assert found == {(timedelta(0), "v2", 4), (timedelta(days=1), "v3", 5)}
    arrivals = [(row["granule"] - DAY, row["n_labelled"]) for row in google.contents[full("arrivals_latest")]]
    assert sorted(arrivals) == [(timedelta(0), 4), (timedelta(days=1), 5)]


def test_the_checks_of_a_window_are_superseded_as_a_whole(google: Google) -> None:
    """Of each window the checks of the newest run stand: one that it did not make again is gone."""
    found = [
        (row["window_start"] - DAY, row["check_name"], row["feature"], row["value"])
        for row in google.contents[full("quality_latest")]
    ]
    assert sorted(found, key=repr) == [
        (timedelta(0), "volume", None, 0.25), (timedelta(days=1), "volume", None, 0.5),
    ]  # fmt: skip


def test_bucket_names_are_those_of_the_reference(google: Google) -> None:
    """The view names each bucket as its reference does."""
    rows = google.contents[full("feature_histograms")]
    assert {(row["feature"], row["bucket_name"]) for row in rows} == {
        ("amount", "< 1"), ("amount", "[1, 2.5)"), ("amount", "[2.5, 1e+20)"), ("amount", ">= 1e+20"), ("amount", "NULL"), ("amount", "+Inf"),
        ("region", "it's"), ("region", "NULL"), ("region", "other"), ("region", "unseen"),
    }  # fmt: skip


def windows(*stretches: tuple[str, int, int]) -> list[Row]:
    return [
        {
            "window_id": i,
            "reference_id": reference,
            "start_at": DAY + timedelta(days=first),
            "end_at": DAY + timedelta(days=last),
        }
        for i, (reference, first, last) in enumerate(stretches)
    ]


@pytest.mark.parametrize("monitor", ["m", "m2"])
def test_windows_are_the_same_sums(google: Google, filled: DuckDBWarehouse, monitor: str) -> None:
    """Windows that overlap, hold one day, or hold none are summed alike, moments to the last digits."""
    asked = windows(("r", 0, 3), ("r", 1, 2), ("r", 1, 9), ("r2", 0, 3), ("r", 5, 9), ("none", 0, 9))
    statement = statements.windows(Names(), monitor, "d", asked)
    expected = google.query(statement.sql, statement.params)
    actual = filled.query(statements.windows(filled, monitor, "d", asked))
    assert len(expected) == (7 if monitor == "m" else 1)
    for ours, theirs in zip(actual, expected, strict=True):
        moments = {
            name: pytest.approx(theirs[name], rel=1e-12)
            for name in ("mean", "second_moment")
            if theirs[name] is not None
        }
        assert ours == theirs | moments


def test_a_window_is_the_sum_of_its_granules(google: Google) -> None:
    """Rows, buckets and moments of a window are those of its newest granules together (Chan's formula, term by term)."""
    statement = statements.windows(Names(), "m", "d", windows(("r", 0, 3), ("r", 1, 2)))
    window, day = [row for row in google.query(statement.sql, statement.params) if row["feature"] == "amount"]
    latest = google.contents[full("production_histograms_latest")]
    days = [row for row in latest if (row["monitor"], row["reference_id"], row["feature"]) == ("m", "r", "amount")]
    (second_day,) = [row for row in days if row["granule"] == DAY + timedelta(days=1)]
    assert day["n_rows"] == second_day["n_rows"]  # the end of a window is exclusive
    assert sorted(map(repr, day["buckets"])) == sorted(map(repr, second_day["buckets"]))
    n, mean, second = (np.array([row[name] for row in days]) for name in ("n_finite", "mean", "second_moment"))
    assert window["n_rows"] == sum(row["n_rows"] for row in days)
    assert sum(item["n"] for item in window["buckets"]) == window["n_rows"]
    assert window["mean"] == pytest.approx(np.average(mean, weights=n), rel=1e-14)
    spread = float(np.sum(n * (mean - np.average(mean, weights=n)) ** 2))
    assert window["second_moment"] == pytest.approx(float(second.sum()) + spread, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("progress", lambda names: statements.progress(names, "m", "k")),
        ("stored", lambda names: statements.stored(names, "m", "d", DAY, DAY + timedelta(days=2))),
        ("verdict_keys", lambda names: statements.verdict_keys(names, "m", DAY + timedelta(days=1))),
        ("references", lambda names: statements.references(names, "m")),
        ("days", lambda names: statements.days(names, "m", "d", DAY, DAY + timedelta(days=2))),
        ("arrivals", lambda names: statements.arrivals(names, "m", "o", DAY, DAY + timedelta(days=2))),
        ("settled", lambda names: statements.settled(names, "m", "o")),
        ("performance_keys", lambda names: statements.performance_keys(names, "m", DAY)),
        ("answers", lambda names: statements.answers(names, "m", "o", windows(("r", 0, 3), ("r", 1, 2)))),
    ],
)
def test_reads_answer_the_same(google: Google, filled: DuckDBWarehouse, name: str, make: Any) -> None:
    """What a run reads of its own tables does not depend on the warehouse."""
    statement = make(Names())
    expected = google.query(statement.sql, statement.params)
    assert expected, name
    assert filled.query(make(filled)) == expected
