"""A small monitored model with drift, outcomes, checks and alerts, and Google's analyzer that knows our tables and views."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from bq_monitor import MonitorConfig, capture_reference
from bq_monitor.job import run_until_done
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.render import _to_duckdb
from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.setup import view_query
from bq_monitor.warehouse.views import VIEWS
from tests.conftest import make_config
from tests.googlesql.conftest import googlesql
from tests.googlesql.test_views import Names, full
from tests.test_late_labels import START, answers

if TYPE_CHECKING:
    from tests.googlesql.server import Analysis, GoogleSQL

__all__ = ["googlesql"]

N_DAYS, PER_DAY = 21, 60
HOSTILE = """o'x\\" -- `;"""
"""A region whose name wants to be SQL."""
RANGE = ("2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z")
"""Holds every window of the lab, and its runs, whenever they are made."""
_TEXT_AS_BYTES = re.compile(r"CAST\((\w+) AS BLOB\)")
"""DuckDB's cast of a text reads backslashes in it; GoogleSQL's takes its bytes, as ENCODE does."""
Ask = Callable[[str], list[Row]]
Analyze = Callable[[str], "Analysis"]


def _config(folder: Path) -> MonitorConfig:
    return make_config(
        folder,
        source={"table": f"{folder}/log.parquet", "timestamp": "ts", "id": "id"},
        prediction={"column": "approved", "kind": "binary", "positive": True, "score": "score"},
        labels={
            "table": f"{folder}/labels.parquet", "id": "application", "column": "repaid", "timestamp": "labelled_at", "matures_after": "7d",
        },
        segments=["region"],
        performance={"accuracy": {"min": 0.99}},
        quality={"volume": {"min": 10_000}},
    )  # fmt: skip


def _regions(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(region=np.where(frame["region"] == "north", HOSTILE, "south"))


def _write(folder: Path, rng: np.random.Generator) -> None:
    """Three weeks, of which the last has larger amounts; outcomes after a day."""
    n = N_DAYS * PER_DAY
    log = _regions(answers(rng, n))
    log["ts"] = START + pd.to_timedelta(np.sort(rng.uniform(0, N_DAYS, n)), unit="D")
    log["id"] = [f"a{i}" for i in range(n)]
    late = log["ts"] >= START + pd.Timedelta(days=14)
    log.loc[late, "amount"] += 2
    labels = pd.DataFrame(
        {"application": log["id"], "repaid": log["repaid"], "labelled_at": log["ts"] + pd.Timedelta(days=1)}
    )
    log.drop(columns="repaid").to_parquet(folder / "log.parquet")
    labels.to_parquet(folder / "labels.parquet")


@pytest.fixture(scope="session")
def lab_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a monitor that ran twice over three weeks."""
    folder = tmp_path_factory.mktemp("bi")
    rng = np.random.default_rng(20260101)
    _write(folder, rng)
    config = _config(folder)
    capture_reference(_regions(answers(rng, 2000)), config, version="1")
    for day in (datetime(2026, 1, 20, tzinfo=UTC), datetime(2026, 2, 5, tzinfo=UTC)):
        list(run_until_done(config, day.isoformat()))
    return folder / "monitor.duckdb"


@pytest.fixture(scope="session")
def lab_warehouse(lab_database: Path) -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse(str(lab_database), read_only=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def ask(lab_warehouse: DuckDBWarehouse) -> Ask:
    """Ask the lab in GoogleSQL, by the project's own translation."""
    lab_warehouse._connection.execute("CREATE TEMP MACRO safe_convert_bytes_to_string(b) AS TRY(decode(b))")

    def asked(sql: str) -> list[Row]:
        translated = _to_duckdb(sql.replace("`proj-1.monitoring.", "`"))
        return lab_warehouse.query(Statement("bi", _TEXT_AS_BYTES.sub(r"ENCODE(\1)", translated)))

    return asked


@pytest.fixture(scope="session")
def analyze(googlesql: GoogleSQL) -> Analyze:
    """Google's analysis of a statement over our tables and views."""
    tables = {full(table.name): {column.name: column.type for column in table.columns} for table in TABLES}
    for view in VIEWS:
        tables[full(view.name)] = dict(googlesql.analyze(view_query(view, Names()), tables).outputs)

    def analyzed(sql: str) -> Analysis:
        return googlesql.analyze(sql, tables)

    return analyzed
