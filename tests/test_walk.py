"""The whole way, small: capture, count, judge, commit, read a view."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from bq_monitor import capture_reference, compare, run
from tests.conftest import make_config


def frame(rng: np.random.Generator, n: int, shift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame({"amount": rng.normal(shift, 1, n), "region": rng.choice(["north", "south"], n)})


def log(rng: np.random.Generator, days: pd.DatetimeIndex, per_day: int, shift: float = 0.0) -> pd.DataFrame:
    return frame(rng, len(days) * per_day, shift).assign(ts=np.repeat(days, per_day))


@pytest.fixture
def captured(tmp_path: Path, rng: np.random.Generator) -> Path:
    capture_reference(frame(rng, 5000), make_config(tmp_path), version="1")
    return tmp_path


def test_a_shifted_feature_is_drift_and_the_other_is_ok(captured: Path, rng: np.random.Generator) -> None:
    """A week whose amounts moved by a standard deviation drifts in `amount` alone, and the views say so."""
    days = pd.date_range("2026-01-05", periods=14)
    pd.concat([log(rng, days[:7], 100), log(rng, days[7:], 100, shift=1.0)]).to_parquet(captured / "log.parquet")
    result = run(make_config(captured), "2026-01-19")
    assert len(result.windows) == 2
    found = {(r.judgement.window.end.day, r.feature): r.verdict.status for r in result.results}
    assert found == {(12, "amount"): "ok", (12, "region"): "ok", (19, "amount"): "drift", (19, "region"): "ok"}
    with duckdb.connect(str(captured / "monitor.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT feature, kind, severity FROM open_alerts ORDER BY 1").fetchall()
        health = connection.execute("SELECT health, n_features FROM model_health").fetchall()
    assert ("amount", "drift", "warning") in rows
    assert health == [(63, 2)]  # half of the features, all checks of quality: (50 x 30 + 100 x 10) / 40, halves up


def test_a_second_run_finds_nothing_to_do(captured: Path, rng: np.random.Generator) -> None:
    """A rerun at the same moment judges nothing and writes nothing."""
    log(rng, pd.date_range("2026-01-05", periods=7), 50).to_parquet(captured / "log.parquet")
    assert len(run(make_config(captured), "2026-01-12").results) == 2
    assert run(make_config(captured), "2026-01-12").results == ()


def test_compare_finds_the_shift(rng: np.random.Generator) -> None:
    """Two DataFrames, no set-up: the column that moved drifts, the other does not."""
    result = compare(frame(rng, 2000), frame(rng, 2000, shift=1.0))
    assert {item.feature: item.status for item in result.features} == {"amount": "drift", "region": "ok"}
    assert result.drift_detected
    assert result.health == 63  # as above
