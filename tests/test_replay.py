"""Replay: what would have fired with other settings, from stored counts alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from bq_monitor import InputError, capture_reference, load_config, run, tables
from bq_monitor.cli import cli
from bq_monitor.config_files import load_variants
from bq_monitor.errors import ConfigError
from bq_monitor.replay import Replayed, replay
from bq_monitor.tables import timeline_table

SHIFTS = [0.0, 0.25, 0.4, 0.4, 1.5, 1.5, 0.0]


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven weeks that were judged as configured; then the log was taken away."""
    folder, rng = tmp_path_factory.mktemp("replay"), np.random.default_rng(20260101)
    settings = {
        "monitor": "loans", "warehouse": f"duckdb://{folder}/monitor.duckdb",
        "source": {"table": f"{folder}/log.parquet", "timestamp": "ts"}, "features": ["amount", "region"],
        "window": {"length": "7d", "every": "7d", "start": "2026-01-05"},
    }  # fmt: skip
    path = folder / "monitor.yaml"
    path.write_text(yaml.safe_dump(settings))
    training = pd.DataFrame({"amount": rng.normal(size=5000), "region": rng.choice(["north", "south"], 5000)})
    capture_reference(training, load_config(path), version="1")
    dates = np.repeat(pd.date_range("2026-01-05", periods=7 * len(SHIFTS)), 100)
    amount = rng.normal(np.repeat(SHIFTS, 700), 1.0)
    log = pd.DataFrame({"amount": amount, "region": rng.choice(["north", "south"], len(dates)), "ts": dates})
    log.to_parquet(folder / "log.parquet")
    run(load_config(path), "2026-02-23")
    (folder / "log.parquet").unlink()
    return path


def statuses(variant: Replayed, feature: str = "amount") -> list[str]:
    return [status for _, status in sorted(variant.statuses()[feature].items())]


def test_as_configured_is_what_was_judged(monitor: Path) -> None:
    """Without settings the replay finds the verdicts and the events that the runs stored, and reads no log: it is gone."""
    (plain,) = replay(load_variants(monitor, []))
    with duckdb.connect(str(monitor.parent / "monitor.duckdb"), read_only=True) as connection:
        stored = connection.execute(
            "SELECT feature, window_end, status, p_adjusted, drift_score FROM drift_latest"
        ).fetchall()
        events = connection.execute(
            "SELECT kind, feature, window_end FROM alert_events "
            "WHERE kind <> 'slow_drift' AND event NOT IN ('clean', 'doubtful', 'unknown', 'resolved')"
        ).fetchall()
    found = {(r.feature, r.judgement.window.end): r.verdict for r in plain.results}
    assert len(found) == len(stored) == 14
    for feature, end, status, p_adjusted, drift_score in stored:
        verdict = found[feature, end]
        assert verdict.status == status
        assert verdict.p_adjusted == pytest.approx(p_adjusted, rel=1e-9)
        assert verdict.drift_score == pytest.approx(drift_score, rel=1e-9)
    assert {(e.kind, e.feature, e.judgement.window.end) for e in plain.events} == set(events)
    assert statuses(plain) == ["ok", "ok", "drift", "event", "event", "event", "ok"]


def test_each_setting_fires_as_it_would_have(monitor: Path) -> None:
    """Thresholds, confirmation, presets, metrics and baselines; a key set twice makes two variants, two keys their product."""
    settings = [
        "detection.threshold=0.3",
        "detection.threshold=0.02",
        "detection.confirm=1 of 1",
        "detection.confirm=2 of 2",
    ]
    plain, *variants = replay(load_variants(monitor, settings))
    assert [variant.name for variant in (plain, *variants)] == [
        "as configured", "detection.threshold=0.3, detection.confirm=1 of 1", "detection.threshold=0.3, detection.confirm=2 of 2",
        "detection.threshold=0.02, detection.confirm=1 of 1", "detection.threshold=0.02, detection.confirm=2 of 2",
    ]  # fmt: skip
    assert [statuses(variant) for variant in variants] == [
        ["ok", "ok", "ok", "ok", "event", "event", "ok"], ["ok", "ok", "ok", "ok", "drift", "event", "ok"],
        ["ok", "event", "event", "event", "event", "event", "ok"], ["ok", "drift", "event", "event", "event", "event", "ok"],
    ]  # fmt: skip
    (_, chi2) = replay(load_variants(monitor, ["detection.metric=chi2_statistic"]))
    assert statuses(chi2)[1] != "ok"
    (_, previous) = replay(load_variants(monitor, ["baselines=[previous]", "detection.preset=aggressive"]))
    assert statuses(previous)[0] == "not_evaluated"
    assert statuses(previous)[3:] == ["ok", "event", "ok", "event"]


def test_other_windows_are_sums_of_the_same_counts(monitor: Path) -> None:
    """Daily windows of three days, which no run has judged; only the stretch that was asked for."""
    (_, daily) = replay(load_variants(monitor, ["window.length=3d", "window.every=1d"]), "2026-02-01", "2026-02-11")
    assert [f"{w.start:%m-%d} {w.end:%m-%d}" for w in (daily.windows[0], daily.windows[-1])] == [
        "01-30 02-02",
        "02-08 02-11",
    ]
    assert len(daily.results) == 20
    assert {r.verdict.n_current for r in daily.results} == {300}


def test_a_later_start_leaves_windows_out(monitor: Path) -> None:
    """`window.start` may be set as well."""
    (_, late) = replay(load_variants(monitor, ["window.start=2026-02-02"]))
    assert [window.start.day for window in late.windows] == [2, 9, 16]


@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        (["source.filter=amount > 1"], InputError, "changes what is counted"), (["window.granule=hour"], InputError, "changes what is counted"),
        (["detection.threshold"], InputError, "allowed: KEY=VALUE"), (["=3"], InputError, "allowed: KEY=VALUE"),
        (["detection.treshold=0.2"], ConfigError, "did you mean|Did you mean"), (["detection.threshold=2"], ConfigError, "between 0 and 1"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_replayed_is_refused(
    monitor: Path, settings: list[str], kind: type[Exception], said: str
) -> None:
    """With what is wrong and what is allowed."""
    with pytest.raises(kind, match=said):
        replay(load_variants(monitor, settings))


def test_a_stretch_that_ends_before_it_starts_is_refused(monitor: Path) -> None:
    """Told with both moments, not answered with nothing."""
    with pytest.raises(InputError, match="replay: got 2026-02-11 00:00 to 2026-02-01 00:00 UTC; allowed: an end after"):
        replay(load_variants(monitor, []), "2026-02-11", "2026-02-01")


def test_nothing_counted_is_told(tmp_path: Path) -> None:
    """Before the first run there is nothing to replay."""
    settings: dict[str, Any] = {
        "monitor": "loans", "warehouse": f"duckdb://{tmp_path}/monitor.duckdb", "features": ["amount"],
        "source": {"table": f"{tmp_path}/log.parquet", "timestamp": "ts"},
    }  # fmt: skip
    (tmp_path / "monitor.yaml").write_text(yaml.safe_dump(settings))
    capture_reference(pd.DataFrame({"amount": [1.5, 2.5] * 50}), load_config(tmp_path / "monitor.yaml"), version="1")
    with pytest.raises(InputError, match="nothing is counted yet; run it first"):
        replay(load_variants(tmp_path / "monitor.yaml", []))


def test_the_command_prints_variants_and_timelines(monitor: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a variant, a mark a window; JSON holds the same."""
    cli(["replay", str(monitor), "--set", "detection.threshold=0.3"], standalone_mode=False)
    told = capsys.readouterr().out
    assert "What would have fired" in told
    assert "..x!!!." in told
    assert "....x!." in told
    assert "! event   x drift, not confirmed   . ok" in told
    cli(["replay", str(monitor), "--set", "detection.threshold=0.3", "--json"], standalone_mode=False)
    plain, variant = json.loads(capsys.readouterr().out)
    assert (plain["settings"], variant["settings"]) == ({}, {"detection.threshold": 0.3})
    assert variant["n_windows"] == 7
    assert [event["window_end"][:10] for event in variant["events"] if event["feature"]] == ["2026-02-16"]


def test_many_windows_share_marks(monitor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeline is never wider than its hundred marks; the worst of the windows that share one is shown."""
    (_, hourly) = replay(load_variants(monitor, ["window.length=1d", "window.every=1d"]))
    assert len(timeline_table(hourly).rows[0][1]) == 49
    monkeypatch.setattr(tables, "MAX_MARKS", 10)
    drawn = tables.timeline_table(hourly)
    found = statuses(hourly)
    order = ("event", "drift", "ok")
    worst = [min(found[i : i + 5], key=order.index) for i in range(0, 49, 5)]
    marks = "".join({"event": "!", "drift": "x", "ok": "."}[status] for status in worst)
    assert len(set(marks)) > 1
    assert (drawn.head[1][-18:], drawn.rows[0][1]) == (", 5 windows a mark", marks)
