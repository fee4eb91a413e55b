"""Shared fixtures: seeded data, an embedded warehouse, small configurations."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.warehouse import setup
from bq_monitor.warehouse.base import Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.statements import Names
from tests.bigquery_lab import captured, lab, server

__all__ = ["captured", "lab", "server"]  # fixtures of several modules

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("BQ_MONITOR_SHARED_DATA", ROOT.parent / "shared" / "data"))


LONGEST = (
    "test_crash_matrix.py", "test_demo.py", "migrations/test_migrations.py", "terraform/test_module.py", "test_bigquery_server.py",
    "browser/test_dashboard.py", "test_bigquery_outcomes.py", "test_late_labels.py", "browser/test_report.py", "googlesql/test_views.py",
    "test_classifier_test.py", "test_retrain.py", "dashboard/test_pages.py", "measure/test_performance.py", "alerts/test_delivery_kills.py",
    "test_compare_outcomes.py", "googlesql/test_hostile.py", "test_job.py",
)  # fmt: skip
"""Files of tests, the one that takes longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: one that came last would keep one process busy and leave the others idle."""
    here = Path(__file__).parent
    turns = {here / name: turn for turn, name in enumerate(LONGEST)}
    items.sort(key=lambda item: turns.get(item.path, len(turns)))


def pytest_collection_finish() -> None:
    """What is imported by now stays: to look through it for garbage, again and again, takes a good part of the time."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter clean up as ever."""
    gc.unfreeze()


def missing(what: str, remedy: str) -> None:
    """Skip where a laptop may lack something; fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing in CI: {remedy}")
    pytest.skip(f"{what} is not here: {remedy}")


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets beside the project."""
    if not SHARED.is_dir():
        missing("the folder of real data sets", "set BQ_MONITOR_SHARED_DATA to it")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tests run side by side, over small data: a database has one thread where its test does not say otherwise."""
    connect = duckdb.connect

    def connect_to_one(*place: Any, config: dict[str, Any] | None = None, **options: Any) -> duckdb.DuckDBPyConnection:
        return connect(*place, config={"threads": 1, **(config or {})}, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", connect_to_one)
        yield


_setup_statements = setup.setup_statements


def _undescribed(warehouse: Names) -> list[Statement]:
    return [statement for statement in _setup_statements(warehouse) if statement.name != "tables/comment"]


@pytest.fixture(scope="session", autouse=True)
def undescribed() -> Iterator[None]:
    """Our tables in DuckDB are made without descriptions, which take most of the time; `described` brings them back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "setup_statements", _undescribed)
        yield


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our tables are made as users get them."""
    monkeypatch.setattr(setup, "setup_statements", _setup_statements)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse()
    yield opened
    opened.close()


def make_config(tmp_path: Path, **changes: Any) -> MonitorConfig:
    """A small monitor over a Parquet log on disk; `changes` replace top-level keys. Events need no second window."""
    data: dict[str, Any] = {
        "monitor": "loans", "warehouse": f"duckdb://{tmp_path}/monitor.duckdb",
        "source": {"table": f"{tmp_path}/log.parquet", "timestamp": "ts"},
        "features": ["amount", {"name": "region", "kind": "categorical"}],
        "window": {"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05"},
    }  # fmt: skip
    detection = {"confirm": "1 of 1", **changes.pop("detection", {})}
    return parse_config({**data, **changes, "detection": detection})
