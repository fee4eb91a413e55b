"""A small monitor with answers, outcomes, segments and two baselines, run for a few weeks in an embedded warehouse."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from bq_monitor.capture import capture_reference
from bq_monitor.config import MonitorConfig
from bq_monitor.job import run_until_done
from bq_monitor.report.of_run import page_of_run
from bq_monitor.report.page import Page
from bq_monitor.warehouse import open_warehouse
from tests.conftest import make_config

MARKUP = "<img src=x onerror=alert(1)>"
N_WEEKS, PER_DAY = 4, 40


@dataclass
class Watched:
    """The monitor and its file."""

    folder: Path
    config: MonitorConfig
    settings: dict[str, Any]

    @property
    def path(self) -> str:
        """Its configuration, as the command line takes it."""
        path = self.folder / "monitor.yaml"
        plain = self.config.model_dump(mode="json", include={"monitor", "warehouse", "source"})
        path.write_text(json.dumps({**plain, **self.settings}))
        return str(path)

    def page(self, window: str | None = None) -> Page:
        warehouse = open_warehouse(self.config.warehouse, read_only=True)
        try:
            return page_of_run(self.config, warehouse, window)
        finally:
            warehouse.close()

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """Rows of its database, read with DuckDB alone."""
        with duckdb.connect(str(self.folder / "monitor.duckdb"), read_only=True) as connection:
            found = connection.execute(sql)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def rows(rng: np.random.Generator, n: int, shift: float = 0.0) -> pd.DataFrame:
    """Loans with a score, an answer and what came true; `amount` may be shifted. A category has a hostile name."""
    amount = rng.normal(10 + shift, 2, n)
    score = rng.uniform(0.05, 0.95, n)
    region = rng.choice(["north", "south", MARKUP], n, p=[0.5, 0.3, 0.2])
    return pd.DataFrame(
        {"amount": amount, "region": region, "s": score, "p": score >= 0.5, "y": rng.uniform(size=n) < score}
    )


@cache
def shared(base: Path) -> Watched:
    """The monitor that all tests below a folder read and none changes."""
    folder = base / "shared-monitor"
    folder.mkdir()
    return watched(folder)


def watched(folder: Path) -> Watched:
    """Weeks of which the last has shifted amounts, judged one after the other."""
    rng = np.random.default_rng(7)
    settings: dict[str, Any] = {
        "features": ["amount", {"name": "region", "kind": "categorical"}],
        "prediction": {"column": "p", "kind": "binary", "positive": True, "score": "s"},
        "labels": {"column": "y"}, "performance": {"roc_auc": {"max_drop": 0.05}}, "segments": ["region"],
        "fairness": [{"group": "region", "min_ratio": 0.5}], "alerts": {"owner": "risk@bank.test", "runbook": "https://wiki.test/loans"},
        "window": {"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05"}, "detection": {"confirm": "1 of 1"},
    }  # fmt: skip
    config = make_config(folder, **settings)
    training = folder / "training.parquet"
    rows(rng, 3000).to_parquet(training)
    capture_reference(str(training), config, version="1")
    starts = pd.date_range("2026-01-05", periods=N_WEEKS, freq="7D")
    weeks = [
        rows(rng, 7 * PER_DAY, 4.0 if start == starts[-1] else 0.0).assign(
            ts=np.repeat(pd.date_range(start, periods=7), PER_DAY)
        )
        for start in starts
    ]
    pd.concat(weeks).to_parquet(folder / "log.parquet")
    for _ in run_until_done(config, f"{starts[-1] + pd.Timedelta(days=7):%Y-%m-%d}"):
        pass
    return Watched(folder, config, settings)
