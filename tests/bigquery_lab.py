"""A laboratory for the whole pipeline on BigQuery: the stand-in, the real client, a log of loans, the embedded warehouse beside it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from bq_monitor import RunResult
from bq_monitor.capture import build_reference, wanted_features
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.due import Asked
from bq_monitor.job import execute
from bq_monitor.reference import Reference, store_reference
from bq_monitor.warehouse.base import Warehouse
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.bigquery_server.server import Server, serve

LOG = "acme-ml.serving.log"
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEKLY = {"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05", "timezone": "Europe/Berlin"}
SETTINGS: dict[str, Any] = {
    "features": [
        "amount", "n_accounts", {"name": "region", "kind": "categorical", "top_k": 3}, "repeat_customer",
        {"name": "grade", "kind": "ordinal", "order": ["A", "B", "C"]}, {"name": "opened_at", "kind": "timestamp"},
        {"name": "ratio", "kind": "numeric", "expression": "amount / 2"},
    ],
    "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "probability"},
    "window": WEEKLY,
    "detection": {"confirm": "1 of 1"},
}  # fmt: skip


def loans(rng: np.random.Generator, days: int, per_day: int, shift: float = 0.0) -> pa.Table:
    """Loan applications of every kind of column; amounts with NULL, NaN and both infinities, two versions of the model."""
    n = days * per_day
    regions = np.array(["nörd", "süd", "it's", "rare", None], dtype=object)
    amount = rng.lognormal(9 + shift, 1, n).tolist()
    for value, places in {None: 5, math.nan: 4, math.inf: 3, -math.inf: 2}.items():
        for i in rng.choice(n, places, replace=False):
            amount[int(i)] = value
    seconds = np.repeat(np.arange(days) * 86400, per_day) + rng.integers(0, 86400, n)
    stamps = [datetime.fromtimestamp(FIRST_DAY.timestamp() + int(s), UTC) for s in seconds]
    return pa.table({
        "predicted_at": pa.array(stamps, pa.timestamp("us", tz="UTC")),
        "model_version": pa.array(rng.choice(["1", "2"], n, p=[0.9, 0.1]).tolist()),
        "amount": pa.array(amount, pa.float64()),
        "n_accounts": pa.array(rng.poisson(4, n)),
        "region": pa.array(rng.choice(regions, n, p=[0.4, 0.3, 0.2, 0.05, 0.05]).tolist(), pa.string()),
        "repeat_customer": pa.array(rng.random(n) < 0.3),
        "grade": pa.array(rng.choice(["A", "B", "C", "Z"], n).tolist()),
        "opened_at": pa.array([datetime.fromtimestamp(int(s), UTC) for s in rng.integers(10**9, 17 * 10**8, n)], pa.timestamp("us", tz="UTC")),
        "approved": pa.array(rng.random(n) < 0.6),
        "probability": pa.array(rng.beta(2, 2, n)),
    })  # fmt: skip


TOLD = {
    "alerts": {"channels": ["log"]},
    "actions": [{"on": "any", "do": "retrain", "pubsub": "projects/acme-ml/topics/retrain", "dry_run": True}],
}
"""So that every run has notifications and actions to store."""


@dataclass
class Lab:
    """The stand-in with its client and warehouse; beside it the embedded warehouse, over the same Parquet files."""

    server: Server
    client: bigquery.Client
    warehouse: BigQueryWarehouse
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    deadline_seconds: float = 60.0

    def config(self, *, embedded: bool = False) -> MonitorConfig:
        return parse_config({
            "monitor": "loans", "warehouse": "duckdb://" if embedded else "bigquery://acme-ml/mon",
            "source": {
                "table": f"{self.folder}/log.parquet" if embedded else LOG, "timestamp": "predicted_at", "model_version": "model_version",
            },
            **SETTINGS, **TOLD, **self.settings,
        })  # fmt: skip

    def write_log(self, *parts: pa.Table) -> None:
        path = self.folder / "log.parquet"
        pq.write_table(pa.concat_tables(parts), path)
        self.server.engine.load(LOG, f"SELECT * FROM '{path}'", partition="predicted_at")

    def build(self, training: pa.Table) -> Reference:
        """The reference of a table, built by the embedded engine with a known salt."""
        path = self.folder / "training.parquet"
        pq.write_table(training, path)
        engine, config = DuckDBWarehouse(), self.config(embedded=True)
        relation = engine.relation(str(path))
        wanted = wanted_features(config, relation)
        made = build_reference(engine, relation, wanted, monitor="loans", version="1", unfit="refuse", salt="salt")
        engine.close()
        return made

    def run(self, as_of: str, warehouse: Warehouse | None = None) -> RunResult:
        config = self.config()
        return execute(
            warehouse or self.warehouse, config, Asked.parse(config, as_of), deadline_seconds=self.deadline_seconds
        )

    def steps(self) -> list[str]:
        """What each query job was for, in order."""
        return [item.params["labels"]["step"] for item in self.server.queries()]

    def count(self, table: str) -> int:
        ((n,),) = self.server.engine.ask(f"SELECT COUNT(*) FROM `acme-ml.mon.{table}`")
        return int(n)


def connect(server: Server) -> bigquery.Client:
    client = bigquery.Client(
        project="acme-ml", credentials=AnonymousCredentials(), client_options={"api_endpoint": server.url}
    )
    client._http.trust_env = False  # looks for no proxy on the way to loopback, which takes its time at each request
    return client


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A stand-in; the client waits only a moment before it repeats a request."""
    waits = "google.api_core.retry.retry_unary.exponential_sleep_generator"
    monkeypatch.setattr(waits, lambda *given, **named: itertools.repeat(0.01))
    monkeypatch.setattr("bq_monitor.warehouse.jobs._FIRST_WAIT_SECONDS", 0.01)
    with serve() as running:
        running.engine.create_dataset("acme-ml.mon", "US")
        running.engine.create_dataset("acme-ml.serving", "US")
        yield running


@pytest.fixture
def lab(server: Server, tmp_path: Path) -> Iterator[Lab]:
    client = connect(server)
    made = Lab(server, client, BigQueryWarehouse("acme-ml", "mon", client=client), tmp_path)
    create_tables(made.warehouse)
    yield made
    made.warehouse.close()


@pytest.fixture
def captured(lab: Lab, rng: np.random.Generator) -> Lab:
    """A lab with a reference and fourteen days of log, the second week of it shifted."""
    store_reference(lab.warehouse, lab.build(loans(rng, 1, 3000)))
    log = loans(rng, 14, 120)
    late = log["predicted_at"].to_pandas() >= pd.Timestamp("2026-01-12", tz="UTC")
    amount = pa.array(
        [None if v is None else v * (3 if b else 1) for v, b in zip(log["amount"].to_pylist(), late, strict=True)]
    )
    lab.write_log(log.set_column(log.schema.get_field_index("amount"), "amount", amount))
    return lab
