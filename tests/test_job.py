"""The job on a real embedded warehouse: what is judged, what is restated, what is counted and what is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from bq_monitor import InputError, RunResult, capture_reference, run
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BudgetError, DeadlineError
from bq_monitor.job import run_until_done
from tests.conftest import make_config


def frame(rng: np.random.Generator, n: int, shift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame({"amount": rng.normal(shift, 1, n), "region": rng.choice(["north", "south"], n)})


@dataclass
class Lab:
    """A monitor over a Parquet log that tests may rewrite."""

    folder: Path
    rng: np.random.Generator
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> MonitorConfig:
        return make_config(self.folder, **self.settings)

    def rows(self, start: str, days: int, per_day: int = 30, shift: float = 0.0) -> pd.DataFrame:
        dates = np.repeat(pd.date_range(start, periods=days), per_day)
        return frame(self.rng, days * per_day, shift).assign(ts=dates)

    def write(self, *parts: pd.DataFrame) -> None:
        pd.concat(parts).to_parquet(self.folder / "log.parquet")

    def run(self, as_of: str) -> RunResult:
        return run(self.config, as_of)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "monitor.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def lab(tmp_path: Path, rng: np.random.Generator) -> Lab:
    made = Lab(tmp_path, rng)
    capture_reference(frame(rng, 2000), made.config, version="1")
    return made


def statuses(result: RunResult) -> dict[tuple[str, str], tuple[str, str | None]]:
    return {
        (r.judgement.window.end.strftime("%m-%d"), r.feature): (r.verdict.status, r.verdict.reason)
        for r in result.results
    }


WEEKLY = {"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05"}
DAILY = {**WEEKLY, "every": "1d"}


def test_a_column_that_is_missing_is_not_evaluated_and_the_others_are(lab: Lab) -> None:
    """A monitored column that the log lacks gives a row with the reason; the log is judged all the same."""
    lab.write(lab.rows("2026-01-05", 7).drop(columns="amount"))
    result = lab.run("2026-01-12")
    assert statuses(result) == {
        ("01-12", "amount"): ("not_evaluated", "missing column"),
        ("01-12", "region"): ("ok", None),
    }
    assert result.unevaluated_features == ["amount"]


def test_a_column_that_goes_away_is_told_at_once(lab: Lab) -> None:
    """A window of which only the older days hold the column is not evaluated; one that was wholly counted before is."""
    lab.settings["window"] = DAILY
    log = lab.rows("2026-01-05", 8)
    lab.write(log[log["ts"] < "2026-01-12"])
    lab.run("2026-01-12")
    lab.write(log.drop(columns="amount"))
    assert statuses(lab.run("2026-01-13"))["01-13", "amount"] == ("not_evaluated", "missing column")
    lab.settings |= {"detection": {"threshold": 0.2}, "window": {**DAILY, "restate": "2d"}}
    found = statuses(lab.run("2026-01-13"))
    assert found["01-12", "amount"] == ("ok", None)
    assert found["01-13", "amount"] == ("not_evaluated", "missing column")


def test_a_column_of_another_type_is_not_evaluated(lab: Lab) -> None:
    """Text where training had numbers, and numbers where it had text: each says both types."""
    log = lab.rows("2026-01-05", 7)
    lab.write(log.assign(amount=log["amount"].astype(str), region=1))
    assert statuses(lab.run("2026-01-12")) == {
        ("01-12", "amount"): ("not_evaluated", "type changed: FLOAT64 in training, STRING in the log"),
        ("01-12", "region"): ("not_evaluated", "type changed: STRING in training, INT64 in the log"),
    }


def test_a_column_that_comes_back_is_counted_for_the_days_that_lack_it(lab: Lab) -> None:
    """Days counted while a column was away are counted again when a new window needs them."""
    lab.settings["window"] = DAILY
    log = lab.rows("2026-01-05", 8)
    lab.write(log[log["ts"] < "2026-01-12"].drop(columns="amount"))
    lab.run("2026-01-12")
    lab.write(log)
    result = lab.run("2026-01-13")
    assert {r.feature: r.verdict.n_current for r in result.results} == {"amount": 210, "region": 210}


def test_a_feature_that_the_reference_lacks_is_not_evaluated(lab: Lab) -> None:
    """A column added to the configuration after the capture is named, not forgotten."""
    lab.settings["features"] = ["amount", "region", "age"]
    lab.write(lab.rows("2026-01-05", 7).assign(age=30))
    found = statuses(lab.run("2026-01-12"))
    assert found["01-12", "age"] == ("not_evaluated", "not in the reference: capture it again")
    assert found["01-12", "amount"] == ("ok", None)


def test_a_window_without_rows_is_not_evaluated(lab: Lab) -> None:
    """A silent week gives a row per feature with the reason, and costs no scan."""
    lab.write(lab.rows("2026-01-05", 7), lab.rows("2026-01-19", 7))
    result = lab.run("2026-01-26")
    assert statuses(result)["01-19", "amount"] == ("not_evaluated", "no rows")
    assert [r.verdict.status for r in result.results].count("ok") == 4
    assert lab.ask(
        "SELECT COUNT(*) FROM production_histograms WHERE granule = TIMESTAMPTZ '2026-01-15 00:00:00+00'"
    ) == [(0,)]


def test_too_few_rows_are_not_evaluated(lab: Lab) -> None:
    """Fewer rows than `min_rows` are no evidence."""
    lab.write(lab.rows("2026-01-05", 7, per_day=7))
    assert statuses(lab.run("2026-01-12"))["01-12", "amount"] == ("not_evaluated", "too few rows: 49 of at least 50")


def test_late_rows_restate_a_window_and_the_older_verdict_stays(lab: Lab) -> None:
    """A day that grew is counted and judged again: both verdicts are kept, the views show the new one."""
    lab.settings["window"] = {**WEEKLY, "restate": "7d"}
    week, later = lab.rows("2026-01-05", 7), lab.rows("2026-01-12", 7)
    lab.write(week, later)
    lab.run("2026-01-12")
    lab.write(week, lab.rows("2026-01-10", 1, per_day=200, shift=3), later)
    result = lab.run("2026-01-19")
    assert statuses(result)["01-12", "amount"] == ("drift", None)
    one = "window_end = TIMESTAMPTZ '2026-01-12 00:00:00+00' AND feature = 'amount'"
    assert lab.ask(f"SELECT status, n_current FROM drift_results WHERE {one} ORDER BY computed_at") == [
        ("ok", 210),
        ("drift", 410),
    ]
    assert lab.ask(f"SELECT status, n_current FROM drift_latest WHERE {one}") == [("drift", 410)]
    day = "granule = TIMESTAMPTZ '2026-01-10 00:00:00+00' AND feature = 'amount'"
    versions = lab.ask(f"SELECT n_rows, data_version FROM production_histograms WHERE {day} ORDER BY computed_at")
    assert versions == [(30, "30"), (230, "230")]
    assert lab.ask(f"SELECT n_rows FROM production_histograms_latest WHERE {day}") == [(230,)]
    assert lab.run("2026-01-19").results == ()


def test_restating_without_a_start_never_reaches_before_the_log(lab: Lab) -> None:
    """The first window that was ever judged stays the first."""
    lab.settings["window"] = {"length": "7d", "every": "1d", "restate": "5d"}
    lab.write(lab.rows("2026-01-05", 9))
    assert [w.end.day for w in lab.run("2026-01-12").windows] == [12]
    assert [(w.start.day, w.end.day) for w in lab.run("2026-01-13").windows] == [(6, 13)]


def test_no_row_of_the_log_is_counted_twice(lab: Lab) -> None:
    """Seven-day windows every day: each day has one stored row a feature, however many windows hold it."""
    lab.settings["window"] = {**DAILY, "restate": "3d"}
    lab.write(lab.rows("2026-01-05", 12))
    assert [lab.run(f"2026-01-{d}").n_granules_counted for d in (12, 13, 14, 17)] == [7, 1, 1, 3]
    assert lab.ask("SELECT COUNT(*), COUNT(DISTINCT (granule, feature)) FROM production_histograms") == [(24, 24)]
    assert lab.ask("SELECT DISTINCT n_current FROM drift_results") == [(210,)]


def test_an_edited_threshold_rescans_nothing_and_an_edited_filter_everything(lab: Lab) -> None:
    """Counts belong to what is counted: a threshold is no part of it, a filter is."""
    lab.settings["window"] = {**DAILY, "restate": "7d"}
    lab.write(lab.rows("2026-01-05", 7))
    lab.run("2026-01-12")
    lab.settings["detection"] = {"threshold": 0.2}
    again = lab.run("2026-01-12")
    assert (len(again.results), again.n_granules_counted) == (2, 0)
    lab.settings["source"] = {"table": f"{lab.folder}/log.parquet", "timestamp": "ts", "filter": "region = 'north'"}
    filtered = lab.run("2026-01-12")
    assert (len(filtered.results), filtered.n_granules_counted) == (2, 7)
    assert {r.verdict.n_current for r in filtered.results} == {
        int((pd.read_parquet(lab.folder / "log.parquet")["region"] == "north").sum())
    }


def test_two_model_versions_and_an_unknown_one(lab: Lab) -> None:
    """Rows are judged against the reference of their own version; one without a reference is said."""
    lab.settings["source"] = {"table": f"{lab.folder}/log.parquet", "timestamp": "ts", "model_version": "v"}
    capture_reference(frame(lab.rng, 2000, shift=3.0), lab.config, version="2")
    lab.write(
        lab.rows("2026-01-05", 7).assign(v="1"), lab.rows("2026-01-05", 7, shift=3.0).assign(v="2"), lab.rows("2026-01-05", 7).assign(v="3"),
    )  # fmt: skip
    result = lab.run("2026-01-12")
    found = {(r.judgement.model_version, r.feature): (r.verdict.status, r.verdict.reason) for r in result.results}
    assert found == {
        ("1", "amount"): ("ok", None), ("1", "region"): ("ok", None), ("2", "amount"): ("ok", None), ("2", "region"): ("ok", None),
        ("3", "amount"): ("not_evaluated", "no reference for version '3'"), ("3", "region"): ("not_evaluated", "no reference for version '3'"),
    }  # fmt: skip
    assert lab.ask("SELECT DISTINCT model_version, n_current FROM drift_results WHERE status = 'ok' ORDER BY 1") == [
        ("1", 210),
        ("2", 210),
    ]


def test_a_run_leaves_its_row_and_its_events(lab: Lab) -> None:
    """What a run covered and found is one row of `runs`; what is worth saying is a row of `alert_events`."""
    lab.write(lab.rows("2026-01-05", 7), lab.rows("2026-01-12", 7, shift=2.0))
    result = lab.run("2026-01-19")
    assert [(e.kind, e.severity, e.feature) for e in result.events] == [
        ("dataset_drift", "critical", None),
        ("drift", "warning", "amount"),
    ]
    assert lab.ask("SELECT kind, severity, feature, run_id FROM alert_events ORDER BY 1") == [
        ("dataset_drift", "critical", None, result.run_id), ("drift", "warning", "amount", result.run_id),
    ]  # fmt: skip
    names = "run_id, n_windows, n_granules_counted, n_ok, n_drift, n_not_evaluated, share_drifted, dataset_drift, bytes_processed"
    assert lab.ask(f"SELECT {names} FROM runs") == [(result.run_id, 2, 14, 3, 1, 0, 0.5, True, None)]
    assert lab.ask("SELECT CAST(window_end AS DATE)::VARCHAR, CAST(granules_to AS DATE)::VARCHAR FROM runs") == [
        ("2026-01-19", "2026-01-19")
    ]
    told = result.to_dict()
    assert (told["n_ok"], told["n_drift"], len(told["results"]), len(result.to_frame())) == (3, 1, 4, 4)


@pytest.mark.parametrize("limit", [("MAX_VERDICTS", 5), ("MAX_NEW_WINDOWS", 2)])
def test_many_verdicts_are_made_in_several_runs(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]
) -> None:
    """What would take too long at once is left to the next run, which is told; in the end everything is judged once."""
    monkeypatch.setattr(f"bq_monitor.due.{limit[0]}", limit[1])
    lab.write(lab.rows("2026-01-05", 35))
    outcomes = list(run_until_done(lab.config, "2026-02-09"))
    assert [(len(outcome.windows), outcome.n_windows_left) for outcome in outcomes] == [(2, 3), (1, 2), (2, 0)]
    assert lab.ask("SELECT COUNT(*), COUNT(DISTINCT (window_start, feature)) FROM drift_results") == [(10, 10)]


def test_a_run_reports_its_steps(lab: Lab) -> None:
    """The progress callback hears of every count and every window."""
    lab.write(lab.rows("2026-01-05", 14))
    heard: list[tuple[str, int, int]] = []
    run(lab.config, "2026-01-19", progress=lambda *step: heard.append(step))
    assert heard == [("count", 0, 1), ("judge", 0, 2), ("judge", 1, 2)]


def test_predictions_and_scores_are_watched_as_such(tmp_path: Path, rng: np.random.Generator) -> None:
    """A prediction that moved is critical, that it has one answer left is said beside it; the score is judged as numbers."""
    lab = Lab(tmp_path, rng, {"prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "p"}})
    training = frame(rng, 2000).assign(approved=rng.random(2000) < 0.5, p=rng.random(2000))
    capture_reference(training, lab.config, version="1")
    lab.write(lab.rows("2026-01-05", 7).assign(approved=True, p=rng.random(210)))
    result = lab.run("2026-01-12")
    assert {(r.feature, r.role, r.kind, r.verdict.status) for r in result.results if r.role != "feature"} == {
        ("approved", "prediction", "boolean", "drift"), ("p", "score", "numeric", "ok"),
    }  # fmt: skip
    assert [(e.kind, e.severity) for e in result.events if e.feature == "approved"] == [
        ("prediction_drift", "critical"), ("quality", "warning"), ("quality", "warning"),
    ]  # fmt: skip
    assert {r.check.name for r in result.quality if r.check.status == "drift" and r.check.feature == "approved"} == {
        "vanished_categories", "constant",
    }  # fmt: skip


def test_without_a_reference_the_run_says_what_to_do(tmp_path: Path, rng: np.random.Generator) -> None:
    """A monitor without tables, or with tables and without a reference, is told the next command."""
    lab = Lab(tmp_path, rng)
    lab.write(lab.rows("2026-01-05", 7))
    with pytest.raises(Exception, match="bq-monitor init"):
        lab.run("2026-01-12")
    capture_reference(frame(rng, 200), make_config(tmp_path, monitor="another"), version="1")
    with pytest.raises(InputError, match="'loans': no reference captured; run 'bq-monitor reference capture'"):
        lab.run("2026-01-12")


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ({"timestamp": "tss"}, "no column 'tss'.*Did you mean 'ts'"),
        ({"timestamp": "region"}, "source.timestamp 'region': wrong type; got STRING"),
        ({"timestamp": "ts", "filter": "regoin = 'north'"}, "names column 'regoin'.*Did you mean 'region'"),
        ({"timestamp": "ts", "model_version": "versoin"}, "source.model_version: no column 'versoin'"),
    ],
)
def test_a_log_that_lacks_what_the_configuration_names_is_an_input_error(
    source: dict[str, str], what: str, lab: Lab
) -> None:
    """Time, filter and version columns are needed to read the log at all; the error names what exists."""
    lab.write(lab.rows("2026-01-05", 7))
    lab.settings["source"] = {"table": f"{lab.folder}/log.parquet", **source}
    with pytest.raises(ValueError, match=what):
        lab.run("2026-01-12")


def test_a_scan_over_the_budget_is_refused_before_it_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the estimate exceeds the budget nothing is counted."""
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    monkeypatch.setattr(DuckDBWarehouse, "estimate", lambda self, statement: 2000)
    lab.write(lab.rows("2026-01-05", 7))
    lab.settings["budget"] = {"max_bytes_per_run": "1KB"}
    with pytest.raises(BudgetError, match=r"would read 2,000 bytes .*allows 1,000"):
        lab.run("2026-01-12")
    assert lab.ask("SELECT COUNT(*) FROM production_histograms") == [(0,)]
    lab.settings["budget"] = {"max_bytes_per_run": "2KB"}
    assert len(lab.run("2026-01-12").results) == 2


def test_hours_are_granules_too(lab: Lab) -> None:
    """An hourly monitor counts hours and judges windows of hours."""
    lab.settings["window"] = {"granule": "hour", "length": "3h", "every": "1h", "start": "2026-01-05"}
    moments = np.repeat(pd.date_range("2026-01-05", periods=5, freq="h"), 40)
    frame(lab.rng, 200).assign(ts=moments).to_parquet(lab.folder / "log.parquet")
    result = lab.run("2026-01-05T05:00:00")
    assert [window.end.hour for window in result.windows] == [3, 4, 5]
    assert {r.verdict.n_current for r in result.results} == {120}
    assert result.n_granules_counted == 5


def test_a_row_dated_wrongly_is_an_error_not_an_endless_run(tmp_path: Path, rng: np.random.Generator) -> None:
    """One row of 1970 would make 20,000 windows; the message says which day it is and what to set."""
    config = make_config(tmp_path, features=["amount"], window={"length": "1d", "every": "1d"})
    capture_reference(pd.DataFrame({"amount": rng.normal(size=500)}), config, version="1")
    times = [pd.Timestamp("1970-01-01"), *pd.date_range("2026-01-01", periods=99, freq="h")]
    pd.DataFrame({"amount": rng.normal(size=100), "ts": times}).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(InputError, match=r"due since 1970-01-01.*Set window.start"):
        run(config, "2026-01-10")


def test_drift_of_one_version_is_not_charged_to_the_other(tmp_path: Path, rng: np.random.Generator) -> None:
    """Version 2 drifts as a whole, version 1 does not: the event of the data set names version 2 alone."""
    source = {"table": f"{tmp_path}/log.parquet", "timestamp": "ts", "model_version": "version"}
    config = make_config(tmp_path, features=["a", "b"], source=source)
    training = pd.DataFrame({"a": rng.normal(size=2000), "b": rng.normal(size=2000)})
    for version in ("1", "2"):
        capture_reference(training, config, version=version)
    parts = [
        pd.DataFrame({"a": rng.normal(shift, 1, 700), "b": rng.normal(shift, 1, 700), "version": version})
        for version, shift in (("1", 0), ("2", 2))
    ]
    days = np.repeat(pd.date_range("2026-01-05", periods=7), 100)
    pd.concat([part.assign(ts=days) for part in parts]).to_parquet(tmp_path / "log.parquet")
    events = run(config, "2026-01-12").events
    assert {event.judgement.model_version for event in events} == {"2"}
    assert sorted(event.kind for event in events) == ["dataset_drift", "drift", "drift"]


def test_a_deleted_day_is_empty_from_then_on(lab: Lab) -> None:
    """Rows that are gone from the log are gone from the window; the counts of before stay under their time."""
    lab.settings["window"] = DAILY
    log = lab.rows("2026-01-05", 7)
    lab.write(log)
    lab.run("2026-01-12")
    lab.write(log[log["ts"] != "2026-01-10"])
    result = lab.run("2026-01-12")
    assert {r.verdict.n_current for r in result.results} == {180}
    emptied = "FROM {} WHERE granule = TIMESTAMPTZ '2026-01-10 00:00:00+00' AND feature = 'amount'"
    assert lab.ask(f"SELECT n_rows, LEN(buckets) {emptied.format('production_histograms_latest')}") == [(0, 0)]
    assert lab.ask(f"SELECT n_rows {emptied.format('production_histograms')} ORDER BY computed_at") == [(30,), (0,)]
    assert lab.run("2026-01-12").results == ()
    lab.write(log)
    assert {r.verdict.n_current for r in lab.run("2026-01-12").results} == {210}


def test_a_backfill_judges_the_past_and_notifies_nobody(lab: Lab) -> None:
    """What drifted long ago is stored and seen, but no event is for anybody; the regular run goes on from where it was."""
    lab.settings["window"] = {**DAILY, "start": "2026-02-01"}
    lab.write(lab.rows("2026-01-05", 20, shift=2.0), lab.rows("2026-01-25", 20))
    past = run(lab.config, "2026-02-14", backfill=("2026-01-11", "2026-01-14"))
    assert [window.end.day for window in past.windows] == [12, 13, 14]
    assert (past.is_backfill, len(past.events)) == (True, 6)
    assert lab.ask("SELECT DISTINCT notify FROM alert_events") == [(False,)]
    assert lab.ask("SELECT is_backfill, window_end, granules_to FROM runs") == [(True, None, None)]
    assert [window.end.day for window in lab.run("2026-02-09").windows] == [8, 9]
    again = run(lab.config, "2026-02-14", backfill=("2026-01-11", "2026-01-15"))
    assert [window.end.day for window in again.windows] == [15]
    with pytest.raises(InputError, match="an end after the start"):
        run(lab.config, backfill=("2026-01-15", "2026-01-11"))


def test_a_backlog_is_worked_off_until_nothing_is_left(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded runs, one after the other, leave what one long run leaves; a long backfill is cut the same way."""
    monkeypatch.setattr("bq_monitor.job.WINDOWS_PER_CALL", 5)
    lab.settings["window"] = DAILY
    lab.write(lab.rows("2026-01-05", 20))
    runs = list(run_until_done(lab.config, "2026-01-25"))
    assert [(len(r.windows), r.n_windows_left) for r in runs] == [(5, 9), (5, 4), (4, 0)]
    assert lab.ask("SELECT COUNT(*), COUNT(DISTINCT (window_end, feature)) FROM drift_results") == [(28, 28)]
    lab.settings["detection"] = {"threshold": 0.2}
    past = list(run_until_done(lab.config, "2026-01-25", backfill=("2026-01-11", "2026-01-23")))
    assert [[window.end.day for window in r.windows] for r in past] == [
        [12, 13, 14, 15, 16],
        [17, 18, 19, 20, 21],
        [22, 23],
    ]


def test_a_deadline_ends_a_run_and_keeps_what_is_counted(lab: Lab) -> None:
    """A run without time left says so and commits nothing."""
    lab.write(lab.rows("2026-01-05", 7))
    with pytest.raises(DeadlineError, match=r"the deadline of the run.*Run again"):
        run(lab.config, "2026-01-12", deadline_seconds=1e-9)
    assert lab.ask("SELECT COUNT(*) FROM runs") == [(0,)]
    assert len(lab.run("2026-01-12").results) == 2
