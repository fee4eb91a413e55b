"""A run that is killed, wherever it is, and two runs at once: what is stored in the end is what one quiet run stores."""

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

KILLED_EVERYWHERE = """
import os, shutil, signal, sys
from bq_monitor import load_config, run, scan
from bq_monitor.warehouse import duckdb as embedded

folder, connect = sys.argv[1], embedded._connect
scan.MAX_FEATURES_PER_STATEMENT = 1  # a scan per feature, so that a run can die between two scans of one granule


class Doomed:
    '''A connection that lets the first `n` statements run, then kills its process.'''

    def __init__(self, connection, n):
        self.connection, self.n = connection, n

    def execute(self, *args):
        if self.n == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.n -= 1
        return self.connection.execute(*args)

    def __getattr__(self, name):
        return getattr(self.connection, name)


def survives(n):
    '''Whether a run in a process of its own, killed after `n` statements, comes to its end.'''
    child = os.fork()
    if child:
        return os.WEXITSTATUS(status) == 0 if os.WIFEXITED(status := os.waitpid(child, 0)[1]) else False
    try:
        embedded._connect = connect if n is None else lambda *args: Doomed(connect(*args), n)
        run(load_config(f"{folder}/monitor.yaml"), "2026-01-22")
        os._exit(0)
    except BaseException as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(9)


n, done = 0, False
while not done:
    os.environ["BQ_MONITOR_WAREHOUSE"] = f"duckdb://{folder}/killed_{n}.duckdb"
    shutil.copy(f"{folder}/start.duckdb", f"{folder}/killed_{n}.duckdb")
    done = survives(n)
    if not done and not survives(None):
        sys.exit(f"the run after one that was killed after {n} statements failed")
    n += 1
"""
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
    """A monitor with a first week judged; since then late rows came for its last day, and two weeks more."""
    settings = {
        "monitor": "loans", "source": {"table": f"{tmp_path}/log.parquet", "timestamp": "ts"},
        "features": ["amount", "region", "age"],
        "window": {"length": "7d", "every": "7d", "start": "2026-01-01", "restate": "2d"},
    }  # fmt: skip
    (tmp_path / "monitor.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("BQ_MONITOR_WAREHOUSE", f"duckdb://{tmp_path}/start.duckdb")
    config = load_config(tmp_path / "monitor.yaml")
    training = log(rng, pd.date_range("2025-01-01", periods=1), 2000).drop(columns="ts")
    capture_reference(training, config, version="1")
    first = log(rng, pd.date_range("2025-12-29", periods=7), 20)
    first.to_parquet(tmp_path / "log.parquet")
    run(config, "2026-01-05")
    later = log(rng, pd.date_range("2026-01-05", periods=14), 20, shift=2.0)
    late = log(rng, pd.date_range("2026-01-11", periods=1), 5)
    first.to_parquet(tmp_path / "log.parquet")
    run(config, "2026-01-12")
    pd.concat([first, later, late]).to_parquet(tmp_path / "log.parquet")
    return tmp_path


def read(path: Path, what: str) -> list[tuple[object, ...]]:
    """Rows of a table or view, less what differs from run to run."""
    leave_out = {"run_id", "computed_at", "started_at", "finished_at", "duration_seconds"}
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = [row[0] for row in connection.execute(f"DESCRIBE {what}").fetchall() if row[0] not in leave_out]
        quoted = ", ".join(f'"{column}"' for column in columns)
        return [tuple(row) for row in connection.execute(f"SELECT {quoted} FROM {what} ORDER BY ALL").fetchall()]


def test_a_run_killed_anywhere_is_made_good_by_the_next(begun: Path) -> None:
    """SIGKILL before each statement of a run in turn: the next run leaves what an uninterrupted one leaves."""
    import time; t = time.time()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED_EVERYWHERE, str(begun)], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    print("TIME", time.time() - t)
    *killed, quiet = sorted(begun.glob("killed_*.duckdb"), key=lambda path: int(path.stem.split("_")[1]))
    expected = {what: read(quiet, what) for what in TABLES}
    print(len(killed), {k: len(v) for k, v in expected.items()})
    for path in killed:
        assert {what: read(path, what) for what in TABLES} == expected, path.name
