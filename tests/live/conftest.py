"""A dataset of its own in the project of BQ_MONITOR_LIVE_PROJECT, deleted in the end. Costs a few cents.

gcloud auth application-default login
BQ_MONITOR_LIVE_PROJECT=my-project [BQ_MONITOR_LIVE_LOCATION=EU] python -m pytest -m live tests/live
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.cloud import bigquery

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.setup import create_tables


@dataclass
class Live:
    """A fresh dataset with our tables in it, and the client that may look at both sides."""

    client: bigquery.Client
    warehouse: BigQueryWarehouse
    dataset: str
    location: str

    def config(self, **changes: Any) -> MonitorConfig:
        project = self.client.project
        return parse_config({
            "monitor": "live", "warehouse": f"bigquery://{project}/{self.dataset}?location={self.location}",
            "source": {"table": f"{project}.{self.dataset}.log", "timestamp": "predicted_at"},
            "features": ["amount", {"name": "region", "kind": "categorical"}],
            "window": {"length": "7d", "every": "1d", "start": "2026-01-05"}, **changes,
        })  # fmt: skip

    def name(self, table: str) -> str:
        return f"{self.client.project}.{self.dataset}.{table}"

    def count(self, table: str) -> int:
        (row,) = self.client.query(f"SELECT COUNT(*) AS n FROM `{self.name(table)}`").result()
        return int(row["n"])


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    project = os.environ.get("BQ_MONITOR_LIVE_PROJECT")
    if not project:
        pytest.skip("live tests want a project: set BQ_MONITOR_LIVE_PROJECT")
    location = os.environ.get("BQ_MONITOR_LIVE_LOCATION", "US")
    client = bigquery.Client(project=project, location=location)
    made = bigquery.Dataset(f"{project}.bq_monitor_live_{uuid.uuid4().hex[:12]}")
    made.location = location
    made.default_table_expiration_ms = 24 * 3600 * 1000
    dataset = client.create_dataset(made)
    try:
        warehouse = BigQueryWarehouse(project, dataset.dataset_id, location=location, client=client)
        create_tables(warehouse)
        yield Live(client, warehouse, dataset.dataset_id, location)
    finally:
        client.delete_dataset(dataset, delete_contents=True)
        client.close()
