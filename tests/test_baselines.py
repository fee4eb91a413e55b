"""Baselines: which stretches of the past a window is compared with, and that a run compares with just those."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest

from bq_monitor import MonitorConfig, RunResult, capture_reference, run
from bq_monitor.baselines import Baseline
from bq_monitor.errors import InputError
from bq_monitor.promotion import promote
from bq_monitor.timegrid import Grid, Span, Window
from tests.conftest import make_config

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def days(baseline: Any, start: str, end: str, grid: Grid) -> list[tuple[str, str]]:
    """The stretches of a baseline, as local dates."""
    window = Window(at(start, grid.zone), at(end, grid.zone))
    found = Baseline.parse(baseline).windows(window, grid)
    assert all(past.end <= window.start for past in found)
    return [tuple(moment.astimezone(grid.zone).isoformat()[:16] for moment in (w.start, w.end)) for w in found]  # type: ignore[misc]


def grid(granule: Any, length: str, every: str, zone: ZoneInfo = BERLIN) -> Grid:
    return Grid(granule, Span.parse(length), Span.parse(every), zone)


@pytest.mark.parametrize(
    ("baseline", "length", "window", "expected"),
    [
        ("previous", "7d", ("2026-03-27", "2026-04-03"), [("2026-03-20", "2026-03-27")]),
        ("previous", "1mo", ("2026-03-01", "2026-04-01"), [("2026-02-01", "2026-03-01")]),
        ({"same_weekday": 2}, "1d", ("2026-04-01", "2026-04-02"), [("2026-03-25", "2026-03-26"), ("2026-03-18", "2026-03-19")]),
        ({"same_weekday": 2}, "10d", ("2026-04-01", "2026-04-11"), [("2026-03-18", "2026-03-28"), ("2026-03-04", "2026-03-14")]),
        ({"same_monthday": 2}, "1d", ("2026-03-31", "2026-04-01"), [("2026-01-31", "2026-02-01")]),
        ({"same_monthday": 2}, "1d", ("2026-03-30", "2026-03-31"), [("2026-01-30", "2026-01-31")]),
        ({"same_monthday": 2}, "1mo", ("2026-03-01", "2026-04-01"), [("2026-02-01", "2026-03-01"), ("2026-01-01", "2026-02-01")]),
        ("training", "7d", ("2026-03-27", "2026-04-03"), []), ("promoted", "7d", ("2026-03-27", "2026-04-03"), []),
    ],
)  # fmt: skip
def test_stretches_of_the_past(baseline: Any, length: str, window: tuple[str, str], expected: list[Any]) -> None:
    """Local days, over the change of clocks; no overlap with the window; a day that a month lacks is left out."""
    told = days(baseline, *window, grid("day", length, "1d"))
    assert told == [tuple(f"{day}T00:00" for day in pair) for pair in expected]


def test_hours_of_the_same_weekday() -> None:
    """The same hours on the clock a week before, though the clocks changed between."""
    told = days({"same_weekday": 1}, "2026-04-01T09:00", "2026-04-01T12:00", grid("hour", "3h", "3h"))
    assert told == [("2026-03-25T09:00", "2026-03-25T12:00")]


def log(rng: np.random.Generator, shifts: list[float], per_day: int = 60) -> pd.DataFrame:
    """A week for each shift, from 2026-01-05."""
    dates = np.repeat(pd.date_range("2026-01-05", periods=7 * len(shifts)), per_day)
    n = len(dates)
    amount = rng.normal(np.repeat(shifts, 7 * per_day), 1.0)
    return pd.DataFrame({"amount": amount, "region": rng.choice(["north", "south"], n), "ts": dates})


def watched(folder: Path, rng: np.random.Generator, shifts: list[float], **settings: Any) -> MonitorConfig:
    config = make_config(folder, **settings)
    training = log(rng, [0.0], 300).drop(columns="ts")
    capture_reference(training, config, version="1")
    log(rng, shifts).to_parquet(folder / "log.parquet")
    return config


def verdicts(result: RunResult, feature: str = "amount") -> dict[tuple[int, str], str]:
    """Status by the ISO week of the window and the baseline."""
    return {
        (r.judgement.window.start.isocalendar().week, r.baseline): r.verdict.status
        for r in result.results if r.feature == feature
    }  # fmt: skip


def test_a_step_is_drift_once_against_the_week_before_and_always_against_training(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """The first week has no week before: it is not evaluated there, with the reason, and never compared with itself."""
    config = watched(tmp_path, rng, [0, 0, 1.5, 1.5], baselines=["training", "previous", {"same_weekday": 2}])
    result = run(config, "2026-02-02")
    assert verdicts(result) == {
        (2, "training"): "ok", (3, "training"): "ok", (4, "training"): "drift", (5, "training"): "drift",
        (2, "previous"): "not_evaluated", (3, "previous"): "ok", (4, "previous"): "drift", (5, "previous"): "ok",
        (2, "same_weekday_2"): "not_evaluated", (3, "same_weekday_2"): "ok",
        (4, "same_weekday_2"): "drift", (5, "same_weekday_2"): "drift",
    }  # fmt: skip
    sizes = {(r.judgement.window.start.isocalendar().week, r.baseline): r.verdict.n_baseline for r in result.results}
    assert [sizes[week, "same_weekday_2"] for week in (3, 4, 5)] == [420, 840, 840]
    reasons = {r.verdict.reason for r in result.results if r.verdict.status == "not_evaluated"}
    assert reasons == {"no counts of the baseline previous yet", "no counts of the baseline same_weekday_2 yet"}
    with duckdb.connect(str(tmp_path / "monitor.duckdb"), read_only=True) as connection:
        (health,) = connection.execute("SELECT n_features, n_drift FROM model_health").fetchall()
    assert health == (2, 1)  # amount is as bad as its worst baseline says


def test_a_second_run_judges_nothing_and_a_new_baseline_reads_no_log(tmp_path: Path, rng: np.random.Generator) -> None:
    """Keys hold the baselines' rows too; another baseline is another verdict, of the same counts."""
    window = {"length": "7d", "every": "7d", "start": "2026-01-05", "restate": "35d"}
    config = watched(tmp_path, rng, [0, 0, 1.5], baselines=["training", "previous"], window=window)
    assert len(run(config, "2026-01-26").results) == 12
    assert run(config, "2026-01-26").results == ()
    more = make_config(tmp_path, baselines=["training", "previous", {"same_weekday": 1}], window=window)
    again = run(more, "2026-01-26")
    assert (len(again.results), again.n_granules_counted) == (18, 0)


def test_late_rows_of_a_baseline_restate_the_window_after_it(tmp_path: Path, rng: np.random.Generator) -> None:
    """What changes the week before changes the verdict on this week."""
    window = {"length": "7d", "every": "7d", "start": "2026-01-05", "restate": "14d"}
    config = watched(tmp_path, rng, [0, 0], baselines=["previous"], window=window)
    run(config, "2026-01-19")
    whole = pd.read_parquet(tmp_path / "log.parquet")
    late = whole[whole["ts"] == "2026-01-11"].head(40)
    pd.concat([whole, late]).to_parquet(tmp_path / "log.parquet")
    again = run(config, "2026-01-19")
    told = {r.judgement.window.start.day: r.verdict.n_baseline for r in again.results if r.feature == "amount"}
    assert told == {5: 0, 12: 460}


def test_a_promoted_stretch_is_a_baseline(tmp_path: Path, rng: np.random.Generator) -> None:
    """After a change that is here to stay, the weeks after it are compared with the promoted one: same buckets, no scan."""
    config = watched(tmp_path, rng, [0, 1.5, 1.5, 1.5], baselines=["training", "promoted"])
    first = run(config, "2026-01-26")
    assert verdicts(first)[3, "promoted"] == "not_evaluated"
    assert {r.verdict.reason for r in first.results if r.baseline == "promoted"} == {
        "nothing promoted: run 'bq-monitor reference promote'"
    }
    promoted = promote(config, "2026-01-12", "2026-01-19")
    assert (promoted.n_rows, promoted.clumping) == (420, pytest.approx(1 / 7))
    result = run(config, "2026-02-02")
    assert {key: status for key, status in verdicts(result).items() if key[0] == 5} == {
        (5, "training"): "drift",
        (5, "promoted"): "ok",
    }
    window = {"length": "7d", "every": "7d", "start": "2026-01-05", "restate": "35d"}
    again = run(make_config(tmp_path, baselines=["promoted"], window=window), "2026-02-02")
    assert {r.verdict.reason for r in again.results if r.judgement.window.start.isocalendar().week == 3} == {
        "the window is part of the promoted stretch"
    }
    with pytest.raises(InputError, match="nothing counted there for version '1'"):
        promote(config, "2025-01-12", "2025-01-19")
    with pytest.raises(
        InputError, match="promote: got 2026-01-19 00:00 to 2026-01-12 00:00 UTC; allowed: an end after"
    ):
        promote(config, "2026-01-19", "2026-01-12")
    with pytest.raises(InputError, match="version '7': no reference of it; captured are '1'"):
        promote(config, "2026-01-12", "2026-01-19", version="7")


def test_an_event_needs_its_confirmation(tmp_path: Path, rng: np.random.Generator) -> None:
    """Two of the last three windows: one stray week says nothing, the second drifted one within three does, across runs."""
    shifts = [0, 1.5, 0, 1.5, 1.5, 0]
    config = watched(tmp_path, rng, shifts, detection={"confirm": "2 of 3"})
    events: dict[int, list[str]] = {}
    for week in range(1, 7):
        result = run(config, f"2026-{'01' if week < 4 else '02'}-{[12, 19, 26, 2, 9, 16][week - 1]:02}")
        events[week] = [event.message for event in result.events if event.feature == "amount"]
        (status,) = verdicts(result).values()
        assert (status == "drift") == bool(shifts[week - 1])
    assert {week: len(found) for week, found in events.items()} == {1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 6: 0}
    assert events[4][0].endswith("in 2 of the last 3 windows")


def test_windows_with_gaps_between_confirm_each_other(tmp_path: Path, rng: np.random.Generator) -> None:
    """One day judged every seven: the windows before are weeks away, not days; runs of their own see them."""
    window = {"length": "1d", "every": "7d", "start": "2026-01-05"}
    config = watched(tmp_path, rng, [0, 1.5, 1.5, 1.5], detection={"confirm": "3 of 3"}, window=window)
    moments = ("2026-01-12", "2026-01-19", "2026-01-26", "2026-02-02")
    n_events = [len([e for e in run(config, moment).events if e.feature == "amount"]) for moment in moments]
    assert n_events == [0, 0, 0, 1]


@pytest.mark.parametrize("restate", ["0d", "3d"])
def test_a_baseline_between_windows_is_counted(tmp_path: Path, rng: np.random.Generator, restate: str) -> None:
    """The day before a window that no window holds is counted for its baseline's sake; at once or week by week alike."""
    window = {"length": "1d", "every": "7d", "start": "2026-01-05", "restate": restate}
    config = watched(tmp_path, rng, [0, 0, 0], baselines=["previous"], window=window)
    results = [r for day in (12, 19, 26) for r in run(config, f"2026-01-{day}").results if r.feature == "amount"]
    assert [(r.verdict.status, r.verdict.n_baseline) for r in results] == [("ok", 60)] * 3


def rhythm(rng: np.random.Generator, start: str, n_days: int) -> pd.DataFrame:
    """Days without drift, but each weekday has a mean of its own."""
    dates = np.repeat(pd.date_range(start, periods=n_days), 200)
    amount = rng.normal(np.array([0, 0, 0, 0, 0, 2.5, 2.5])[pd.DatetimeIndex(dates).day_of_week], 1.0)
    return pd.DataFrame({"amount": amount, "region": rng.choice(["north", "south"], len(dates)), "ts": dates})


@pytest.mark.parametrize("asked", ["run", "backfill"])
def test_a_baseline_is_whole_or_none(tmp_path: Path, rng: np.random.Generator, asked: str) -> None:
    """The week before the first window is counted though no window holds it; before the log's own begin there is none."""
    window = {"length": "7d", "every": "1d", "start": "2026-01-05"}
    config = make_config(tmp_path, baselines=["previous", {"same_weekday": 2}], window=window)
    capture_reference(rhythm(rng, "2025-10-06", 70).drop(columns="ts"), config, version="1")
    rhythm(rng, "2025-12-31", 26).to_parquet(tmp_path / "log.parquet")
    span = ("2026-01-05", "2026-01-26")
    result = run(config, "2026-01-26", backfill=span if asked == "backfill" else None)
    found = [(r.baseline, r.verdict.status, r.verdict.n_baseline) for r in result.results if r.feature == "amount"]
    assert {status for _, status, _ in found} == {"ok", "not_evaluated"}
    assert {n for name, status, n in found if name == "previous" and status == "ok"} == {1400}
    assert {n for name, status, n in found if name == "same_weekday_2" and status == "ok"} == {1400, 2800}


def test_verdicts_of_another_reference_confirm_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    """A wrong reference made two weeks drift; after the right one is captured, the first drifted week stands alone."""
    config = watched(tmp_path, rng, [1.5, 1.5, 4.0], detection={"confirm": "2 of 3"})
    assert run(config, "2026-01-19").count("drift") == 2
    right = log(rng, [1.5], 300).drop(columns="ts")
    capture_reference(right, config, version="1")
    result = run(config, "2026-01-26")
    assert verdicts(result)[4, "training"] == "drift"
    assert [event for event in result.events if event.judgement.window.start.isocalendar().week == 4] == []


def test_counts_of_another_filter_are_no_promoted_baseline(tmp_path: Path, rng: np.random.Generator) -> None:
    """What was promoted before the filter was edited counts other rows."""
    config = watched(tmp_path, rng, [0, 0, 0], baselines=["promoted"])
    run(config, "2026-01-19")
    promote(config, "2026-01-05", "2026-01-12")
    source = {"table": f"{tmp_path}/log.parquet", "timestamp": "ts", "filter": "region = 'north'"}
    result = run(make_config(tmp_path, baselines=["promoted"], source=source), "2026-01-26")
    assert {r.verdict.reason for r in result.results} == {
        "promoted under another table, filter, expression or granule: promote again"
    }


def test_overlapping_windows_confirm_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    """One bad week seen by seven daily windows is one piece of evidence."""
    window = {"length": "7d", "every": "1d", "start": "2026-01-05"}
    config = watched(tmp_path, rng, [0, 3.0], detection={"confirm": "2 of 3"}, window=window)
    result = run(config, "2026-01-19")
    assert sum(status == "drift" for status in [r.verdict.status for r in result.results if r.feature == "amount"]) >= 5
    assert [event for event in result.events if event.feature == "amount"] == []


def test_slow_drift_is_told_before_the_threshold(tmp_path: Path, rng: np.random.Generator) -> None:
    """A mean that creeps up week by week is an early hint, with the date at which it will pass."""
    shifts = [0.02 + 0.025 * week for week in range(10)]
    config = watched(tmp_path, rng, shifts, detection={"threshold": 0.15, "confirm": "1 of 1"})
    log(rng, shifts, 2000).to_parquet(tmp_path / "log.parquet")
    result = run(config, "2026-03-16")
    slow = [event for event in result.events if event.kind == "slow_drift"]
    assert {event.feature for event in slow} == {"amount"}
    assert slow[-1].severity == "info"
    assert "amount drifts slowly: its drift score rises by" in slow[-1].message
    last = [r.verdict for r in result.results if r.feature == "amount"][-1]
    assert last.status == "ok"
    assert last.trend_slope is not None
    assert 0 < last.trend_slope < 0.01
    assert last.trend_crosses_at is not None
    assert last.trend_crosses_at > datetime(2026, 3, 16, tzinfo=UTC)
