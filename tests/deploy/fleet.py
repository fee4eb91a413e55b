"""A fleet of three monitors in the stand-ins, as terraform leaves it: YAML in a bucket, logs and tables in BigQuery."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import yaml

from bq_monitor import capture_reference, load_configs
from tests.bigquery_server.server import Server as BigQuery
from tests.storage_server import Server as Storage

PROJECT = "acme-ml"
TOPIC = f"projects/{PROJECT}/topics/bq-monitor-alerts"
CONFIG = "gs://acme-ml-config/fleet"
WAREHOUSE = f"bigquery://{PROJECT}/ml_monitoring?location=US"
MONITORS = ("by_region", "drifting", "steady")
FEATURES = {"amount": "numeric", "channel": "categorical"}
DAYS, PER_DAY = 14, 60
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FIRST_DAY = TODAY - timedelta(days=TODAY.weekday() + DAYS)
"""The last two whole weeks, Monday to Monday: a scheduler sends no moment, what is due is seen from the clock."""
WEEK_ENDS = (FIRST_DAY + timedelta(days=7), FIRST_DAY + timedelta(days=14))
DEFAULTS: dict[str, Any] = {
    "features": [{"name": name, "kind": kind} for name, kind in FEATURES.items()],
    "window": {"granule": "day", "length": "7d", "every": "7d", "restate": "14d", "start": f"{FIRST_DAY:%Y-%m-%d}"},
    "detection": {"confirm": "1 of 1"},
    "alerts": {"channels": ["log", "pubsub"]},
}  # fmt: skip


def put_fleet(storage: Storage) -> None:
    """One YAML a model, and what all have in common."""
    storage.put("acme-ml-config/fleet/defaults.yaml", yaml.safe_dump(DEFAULTS))
    for name in MONITORS:
        said: dict[str, Any] = {"monitor": name, "source": {"table": log_of(name), "timestamp": "predicted_at"}}
        said |= {"segments": ["region"]} if name == "by_region" else {}
        storage.put(f"acme-ml-config/fleet/{name}.yaml", yaml.safe_dump(said))


def log_of(monitor: str) -> str:
    return f"{PROJECT}.serving.{monitor}_log"


def put_logs(bigquery: BigQuery, rng: np.random.Generator) -> None:
    """Two weeks of each monitor's log; in the second one amounts of `drifting` are four times as large."""
    for dataset in ("ml_monitoring", "serving"):
        bigquery.engine.create_dataset(f"{PROJECT}.{dataset}", "US")
    for name in MONITORS:
        made = rows(rng, range(DAYS), PER_DAY)
        if name == "drifting":
            made.loc[made["predicted_at"] >= WEEK_ENDS[0], "amount"] *= 4
        bigquery.engine.load(log_of(name), "SELECT * FROM made", partition="predicted_at", made=made)


def rows(rng: np.random.Generator, days: range, per_day: int) -> pd.DataFrame:
    n = len(days) * per_day
    seconds = np.repeat(list(days), per_day) * 86400 + rng.integers(0, 86400, n)
    return pd.DataFrame({
        "predicted_at": [FIRST_DAY + timedelta(seconds=int(second)) for second in seconds],
        "amount": rng.lognormal(9, 1, n),
        "channel": rng.choice(["app", "branch", "web"], n, p=[0.5, 0.2, 0.3]),
        "region": rng.choice(["north", "south"], n),
    })  # fmt: skip


def capture(rng: np.random.Generator) -> None:
    """What each model's training pipeline does, by the client and the account of the environment."""
    for config in load_configs(CONFIG):
        capture_reference(rows(rng, range(1), 4000), config, version="")


@contextmanager
def as_deployed(names: dict[str, str]) -> Iterator[None]:
    """This process has the environment of the function."""
    with mock.patch.dict(os.environ, names):
        yield
