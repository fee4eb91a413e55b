"""A small house of warehouses for the page: a real monitor, one with ugly rows, one without tables, one without monitors."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from bq_monitor import capture_reference, load_config, run
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Row
from bq_monitor.warehouse.schema import ALERT_EVENTS, DRIFT_RESULTS, PERFORMANCE_RESULTS, QUALITY_RESULTS, RUNS, Table
from bq_monitor.warehouse.setup import create_tables

HOSTILE = ("<img src=x onerror=alert(1)>", "$a$ \U0001f3e6 *b* :red[c] [d](javascript:alert(1))", ":material/delete:", "\u0645\u0628\u0644\u063a",
           "n" * 120)  # fmt: skip
N_UGLY = 195
"""Features of the ugly monitor besides the hostile ones: 200 in all."""
FIRST_END = datetime(2026, 1, 12, tzinfo=UTC)


def frame(rng: np.random.Generator, n: int, shift: float = 0.0) -> pd.DataFrame:
    """Loans: an amount, a region, a score, the answer that follows from it, and what came true."""
    score = rng.beta(4, 2, n)
    return pd.DataFrame({
        "amount": rng.normal(shift, 1, n), "region": rng.choice(["north", "south"], n), "score": score, "approved": score > 0.6,
        "repaid": rng.random(n) < score,
    })  # fmt: skip


def make(folder: Path) -> None:
    """`loans.yaml` and `monitor.duckdb`, with six weeks of which the last two drift, and the monitor `ugly`; `bare.yaml` is of a
    warehouse without monitors, `empty.yaml` of one without tables."""
    rng = np.random.default_rng(7)
    days = np.repeat(pd.date_range("2026-01-05", periods=42), 30)
    log = frame(rng, len(days), np.repeat([0.0, 0.0, 0.0, 0.0, 2.0, 2.0], 7 * 30)).assign(ts=days)
    log.to_parquet(folder / "log.parquet")
    settings: dict[str, Any] = {
        "monitor": "loans", "warehouse": f"duckdb://{folder}/monitor.duckdb", "source": {"table": f"{folder}/log.parquet", "timestamp": "ts"},
        "features": ["amount", {"name": "region", "kind": "categorical"}],
        "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "score"}, "labels": {"column": "repaid"},
        "segments": ["region"], "performance": {"roc_auc": {"max_drop": 0.05}}, "detection": {"confirm": "1 of 1"},
        "window": {"length": "7d", "every": "7d", "start": "2026-01-05"}, "alerts": {"channels": ["log"]},
    }  # fmt: skip
    for name in ("bare", "empty"):
        there = {"monitor": name, "warehouse": f"duckdb://{folder}/{name}.duckdb"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(settings | there))
    path = folder / "loans.yaml"
    path.write_text(yaml.safe_dump(settings))
    capture_reference(frame(rng, 3000), load_config(path), version="1")
    run(load_config(path), "2026-02-16")
    warehouse = open_warehouse(f"duckdb://{folder}/monitor.duckdb")
    warehouse.commit(ugly_rows(), key="ugly")
    warehouse.close()
    bare = open_warehouse(f"duckdb://{folder}/bare.duckdb", create=True)
    create_tables(bare)
    bare.close()
    duckdb.connect(str(folder / "empty.duckdb")).close()


def ugly_rows() -> dict[Table, list[Row]]:
    """Two windows: hostile names, numbers at the ends of what a float holds, and NULL wherever a NULL may be."""
    names = [*HOSTILE, *(f"feature {i} " + "x" * 100 for i in range(N_UGLY))]
    ends = [FIRST_END, FIRST_END + timedelta(days=7)]
    extremes = [1e300, -1e300, 1e-300, 0.0, None]
    drift = [
        _row(DRIFT_RESULTS, window_end=end, feature=name, segment="all", baseline="training", status="drift" if i % 3 else "not_evaluated",
             role="feature", kind="numeric" if i % 2 else None, js_distance=extremes[i % 5], psi=extremes[(i + 1) % 5], metric="js_distance",
             drift_score=None if i % 4 else 1.0, explanation=f"{name} moved", lower=-1e300, upper=math.nan,
             contributions=[{"bucket": name, "baseline_share": None, "current_share": 1e-300, "psi": 1e300}] if i % 5 == 0 else None)
        for end in ends for i, name in enumerate(names)
    ]  # fmt: skip
    drift += [
        _row(
            DRIFT_RESULTS,
            window_end=ends[1],
            feature=None,
            segment=HOSTILE[0],
            baseline="training",
            status="ok",
            role="score",
        )
    ]
    measured = [
        _row(PERFORMANCE_RESULTS, window_end=ends[1], segment="all", basis=basis, metric=metric, status="drift", value=value, rule=HOSTILE[0],
             is_provisional=None, verdict_key="k", bins=None, explanation=HOSTILE[1])
        for basis, metric, value in (("realised", "roc_auc", 1e300), ("estimated", "roc_auc", None), ("observed", "positive_rate", 1e-300),
                                     ("realised", f"concept:{HOSTILE[0]}", None))
    ]  # fmt: skip
    checks = [
        _row(QUALITY_RESULTS, window_end=ends[1], check_name="null_rate", feature=name, status="drift", verdict_key="k")
        for name in HOSTILE
    ]
    told = [
        _row(ALERT_EVENTS, window_end=ends[1], alert_id=f"ugly{i}", event_id=f"u{i}", event="opened", kind="drift", severity="warning", feature=name,
             since=ends[0], message=name, n_windows=1, n_clean=0, n_reopened=0, notify=True, segment="all")
        for i, name in enumerate(HOSTILE)
    ]  # fmt: skip
    runs = [_row(RUNS, run_id="u", started_at=ends[1], finished_at=ends[1], is_backfill=False)]
    return {
        DRIFT_RESULTS: drift,
        PERFORMANCE_RESULTS: measured,
        QUALITY_RESULTS: checks,
        ALERT_EVENTS: told,
        RUNS: runs,
    }


def _row(table: Table, **given: Any) -> Row:
    """A row of the ugly monitor; what is not given is NULL, of arrays empty."""
    usual = {
        "monitor": "ugly",
        "model_version": "",
        "computed_at": FIRST_END,
        "run_id": "u",
        "window_start": FIRST_END - timedelta(days=7),
    }
    return {column.name: given.get(column.name, usual.get(column.name)) for column in table.columns}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house, made once; who changes alerts in it takes a copy."""
    folder = tmp_path_factory.mktemp("dashboard")
    make(folder)
    return folder
