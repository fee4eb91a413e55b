"""Two runs at once: what is stored in the end is what one quiet run stores. Of runs that are killed: test_crash_matrix.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from bq_monitor import capture_reference, load_config, run

TABLES = ("drift_latest", "production_histograms_latest", "open_alerts", "model_health", "runs")


def log(rng: np.random.Generator, days: pd.DatetimeIndex, per_day: int, shift: float = 0.0) -> pd.DataFrame:
    n = len(days) * per_day
    return pd.DataFrame(
        {
            "amount": rng.normal(shift, 1, n),
            "region": rng.choice(["north", "south"], n),
            "age": rng.integers(18, 80, n),
            "ts": np.repeat(days, per_day),
        }
    )


@pytest.fixture
def begun(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A monitor with a first week judged; since then late rows came for its sixth day, and two weeks more."""
    settings = {
        "monitor": "loans", "source": {"table": f"{tmp_path}/log.parquet", "timestamp": "ts"},
        "features": ["amount", "region", "age"],
        "window": {"length": "7d", "every": "7d", "start": "2026-01-05", "restate": "3d"},
    }  # fmt: skip
    (tmp_path / "monitor.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("BQ_MONITOR_WAREHOUSE", f"duckdb://{tmp_path}/start.duckdb")
    config = load_config(tmp_path / "monitor.yaml")
    training = log(rng, pd.date_range("2025-01-01", periods=1), 2000).drop(columns="ts")
    capture_reference(training, config, version="1")
    first = log(rng, pd.date_range("2026-01-05", periods=7), 20)
    first.to_parquet(tmp_path / "log.parquet")
    run(config, "2026-01-12")
    late = log(rng, pd.date_range("2026-01-10", periods=1), 5)
    later = log(rng, pd.date_range("2026-01-12", periods=14), 20, shift=2.0)
    pd.concat([first, late, later]).to_parquet(tmp_path / "log.parquet")
    return tmp_path


def read(path: Path, what: str) -> list[tuple[object, ...]]:
    """Rows of a table or view, less what differs from run to run."""
    leave_out = {"run_id", "computed_at", "started_at", "finished_at", "duration_seconds", "n_granules_counted"}
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = [row[0] for row in connection.execute(f"DESCRIBE {what}").fetchall() if row[0] not in leave_out]
        quoted = ", ".join(f'"{column}"' for column in columns)
        rows = connection.execute(f"SELECT {quoted} FROM {what} ORDER BY ALL").fetchall()
    return [tuple(round(x, 9) if isinstance(x, float) else x for x in row) for row in rows]


def test_two_runs_at_once_leave_one_set_of_results(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes run the same monitor at one moment: both end well, and nothing is stored twice."""
    shutil.copy(begun / "start.duckdb", begun / "alone.duckdb")
    monkeypatch.setenv("BQ_MONITOR_WAREHOUSE", f"duckdb://{begun}/alone.duckdb")
    run(load_config(begun / "monitor.yaml"), "2026-01-26")
    monkeypatch.setenv("BQ_MONITOR_WAREHOUSE", f"duckdb://{begun}/start.duckdb")
    code = "import sys; from bq_monitor import load_config, run; run(load_config(sys.argv[1]), '2026-01-26')"
    command = [sys.executable, "-W", "ignore", "-c", code, str(begun / "monitor.yaml")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, env=dict(os.environ)) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [(b"", 0), (b"", 0)]
    for what in (*TABLES, "drift_results", "production_histograms"):
        assert read(begun / "start.duckdb", what) == read(begun / "alone.duckdb", what), what
