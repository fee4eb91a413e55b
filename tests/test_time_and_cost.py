"""Years of unattended running, in small: missed ticks, ticks delivered eight times, late rows, and what all of it reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import functions_framework
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from flask.testing import FlaskClient
from google.auth.credentials import AnonymousCredentials

from bq_monitor.capture import capture_reference
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.config_files import load_config
from bq_monitor.due import Asked
from bq_monitor.job import execute, run
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Row, Statement, Warehouse
from bq_monitor.warehouse.setup import create_tables
from tests.bigquery_lab import FIRST_DAY, LOG
from tests.bigquery_server.server import Server
from tests.conftest import ROOT

DAILY = {"length": "7d", "every": "1d", "restate": "3d", "start": "2026-01-05"}
FEATURES = ["amount", {"name": "region", "kind": "categorical"}]


def entries(rng: np.random.Generator, days: int, per_day: int) -> pa.Table:
    """A log of numbers and labels, some of them missing, and a column that nobody monitors."""
    n = days * per_day
    seconds = np.repeat(np.arange(days) * 86400, per_day) + rng.integers(0, 86400, n)
    stamps = [FIRST_DAY + timedelta(seconds=int(s)) for s in seconds]
    amount = [None if rng.random() < 0.02 else float(x) for x in rng.lognormal(9, 1, n)]
    return pa.table({
        "predicted_at": pa.array(stamps, pa.timestamp("us", tz="UTC")), "amount": pa.array(amount, pa.float64()),
        "region": rng.choice(["nörd", "süd", "west"], n).tolist(), "unused": ["x" * 100] * n,
    })  # fmt: skip


def width(table: pa.Table) -> int:
    """Bytes of the monitored columns: 8 a time, 8 a number, 2 and its UTF-8 length a text, nothing a NULL."""
    texts = pc.sum(pc.binary_length(pc.cast(table["region"], pa.binary()))).as_py() + 2 * table.num_rows
    return int(8 * table.num_rows + 8 * (table.num_rows - table["amount"].null_count) + texts)


@pytest.fixture
def project(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The stand-in as every client of this process finds it, as in a deployment."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.url)
    monkeypatch.setattr("google.auth.default", lambda **options: (AnonymousCredentials(), "acme-ml"))
    return server


@pytest.fixture
def fleet(project: Server, rng: np.random.Generator, tmp_path: Path) -> Path:
    """A fleet of one monitor with its reference, and ninety-seven days of log, of which seven are judged."""
    settings = {
        "monitor": "loans", "warehouse": "bigquery://acme-ml/mon", "source": {"table": LOG, "timestamp": "predicted_at"},
        "features": FEATURES, "window": DAILY,
    }  # fmt: skip
    (tmp_path / "loans.yaml").write_text(yaml.safe_dump(settings))
    pq.write_table(entries(rng, 97, 20), tmp_path / "log.parquet")
    project.engine.load(LOG, f"SELECT * FROM '{tmp_path}/log.parquet'", partition="predicted_at")
    capture_reference(entries(rng, 1, 1000).to_pandas(), load_config(tmp_path / "loans.yaml"), version="1")
    run(load_config(tmp_path / "loans.yaml"), "2026-01-12")
    return tmp_path


@pytest.fixture
def function() -> FlaskClient:
    return functions_framework.create_app("monitor", str(ROOT / "functions" / "main.py")).test_client()


def call(function: FlaskClient, fleet: Path, as_of: str) -> Row:
    answer = function.post("/", json={"config": str(fleet), "as_of": as_of})
    assert answer.status_code == 200, answer.get_json()
    (monitor,) = answer.get_json()["monitors"]
    return dict(monitor)


def test_ninety_missed_days_are_caught_up_in_bounded_calls(project: Server, fleet: Path, function: FlaskClient) -> None:
    """Each call says how many windows are left; in the end each byte of the monitored columns was read once, no other."""
    calls = [call(function, fleet, "2026-04-12") for _ in range(3)]
    assert [(answer["windows"], answer["windows_left"]) for answer in calls] == [(50, 40), (40, 0), (0, 0)]
    assert project.bytes_of(LOG) == width(pq.read_table(fleet / "log.parquet"))
    rows = project.engine.ask(
        "SELECT COUNT(*), COUNT(DISTINCT (granule, feature)), SUM(n_rows) FROM `acme-ml.mon.production_histograms`"
    )
    assert rows == [(97 * 2, 97 * 2, 97 * 20 * 2)]
    assert project.engine.ask("SELECT COUNT(DISTINCT window_end) FROM `acme-ml.mon.drift_latest`") == [(91,)]


def test_a_tick_delivered_eight_times_is_worked_once(project: Server, fleet: Path, function: FlaskClient) -> None:
    """Eight calls at one moment: one scan of each granule, one commit; every call answers well."""
    project.faults.add("statement INSERT INTO `acme-ml.mon.production_histograms`", "slow 0.3", times=100)
    start, answers, failures = threading.Barrier(8), list[Row](), list[BaseException]()

    def tick() -> None:
        try:
            start.wait()
            answers.append(call(function.application.test_client(), fleet, "2026-01-20"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=tick) for _ in range(8)]
    before = project.bytes_of(LOG), len(project.jobs_of("scan-histograms")), len(project.jobs_of("write-commit"))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    log = pq.read_table(fleet / "log.parquet")
    counted = log.filter(pc.and_(pc.greater_equal(log["predicted_at"], day(12)), pc.less(log["predicted_at"], day(20))))
    assert project.bytes_of(LOG) - before[0] == width(counted)
    assert len(project.jobs_of("scan-histograms")) - before[1] == 1
    assert len(project.jobs_of("write-commit")) - before[2] == 1
    assert len({(answer["windows"], answer["drift"]) for answer in answers} - {(0, 0)}) == 1
    rows = project.engine.ask(
        "SELECT COUNT(*), COUNT(DISTINCT (granule, feature)) FROM `acme-ml.mon.production_histograms`"
    )
    assert rows == [(15 * 2, 15 * 2)]
    assert project.engine.ask("SELECT COUNT(*) FROM `acme-ml.mon.drift_results`") == [(9 * 2,)]


def day(number: int) -> datetime:
    """A day of January 2026."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number - 1)


@dataclass
class Stream:
    """A log in which two of a hundred rows arrive one to three days late, on either warehouse."""

    config: MonitorConfig
    warehouse: Warehouse
    folder: Path
    server: Server | None

    def deliver(self, arrived: pa.Table, fresh: pa.Table) -> None:
        """The log as it has arrived; `fresh` came in since the last delivery."""
        pq.write_table(arrived, self.folder / "log.parquet")
        if self.server is None:
            return
        pq.write_table(fresh, self.folder / "fresh.parquet")
        if LOG in self.server.engine.entities:
            self.server.engine.append(LOG, f"SELECT * FROM '{self.folder}/fresh.parquet'")
        else:
            self.server.engine.load(LOG, f"SELECT * FROM '{self.folder}/fresh.parquet'", partition="predicted_at")

    def ask(self, sql: str) -> list[Row]:
        named = sql if self.server is None else sql.replace("FROM ", "FROM `acme-ml.mon.").replace(" WHERE", "` WHERE")
        return self.warehouse.query(Statement("test", named))


@pytest.fixture(params=["duckdb", "bigquery"])
def stream(request: pytest.FixtureRequest, rng: np.random.Generator, tmp_path: Path) -> Iterator[Stream]:
    server = request.getfixturevalue("project") if request.param == "bigquery" else None
    config = parse_config({
        "monitor": "loans", "warehouse": "bigquery://acme-ml/mon" if server else f"duckdb://{tmp_path}/monitor.duckdb",
        "source": {"table": LOG if server else f"{tmp_path}/log.parquet", "timestamp": "predicted_at"},
        "features": FEATURES, "window": DAILY,
    })  # fmt: skip
    capture_reference(entries(rng, 1, 1000).to_pandas(), config, version="1")
    warehouse = open_warehouse(config.warehouse)
    yield Stream(config, warehouse, tmp_path, server)
    warehouse.close()


def test_late_rows_are_in_the_counts_in_the_end(stream: Stream, rng: np.random.Generator) -> None:
    """After the last restatement the histograms are those of the complete log; what was said before stands under its time."""
    days = 14
    log = entries(rng, days, 100)
    of_day = np.repeat(np.arange(days), 100)
    late = np.where(rng.random(len(of_day)) < 0.02, rng.integers(1, 4, len(of_day)), 0)
    for arrival in range(days + 3):
        arrived, fresh = of_day + late <= arrival, of_day + late == arrival
        if fresh.any():
            stream.deliver(log.filter(pa.array(arrived)), log.filter(pa.array(fresh)))
        asked = Asked(FIRST_DAY + timedelta(days=arrival + 1))
        execute(stream.warehouse, stream.config, asked)
    columns = "granule, feature, n_rows, n_null, n_finite, mean, second_moment, min, max, buckets"
    actual = stream.ask(
        f"SELECT {columns} FROM production_histograms_latest WHERE n_rows > 0 ORDER BY granule, feature"
    )
    whole = open_warehouse("duckdb://")
    create_tables(whole)
    complete = parse_config({
        **stream.config.model_dump(include={"monitor"}), "warehouse": "duckdb://", "features": FEATURES, "window": DAILY,
        "source": {"table": f"{stream.folder}/log.parquet", "timestamp": "predicted_at"},
    })  # fmt: skip
    from bq_monitor.reference import load_references, store_reference

    store_reference(whole, load_references(stream.warehouse, "loans")[0])
    execute(whole, complete, Asked(FIRST_DAY + timedelta(days=days)))
    expected = whole.query(
        Statement(
            "test", f"SELECT {columns} FROM production_histograms_latest WHERE n_rows > 0 ORDER BY granule, feature"
        )
    )
    whole.close()
    assert len(expected) == 2 * days
    assert_close(expected, [row for row in actual if row["granule"] < FIRST_DAY + timedelta(days=days)])
    stages = stream.ask(
        "SELECT window_end, n_current, computed_at FROM drift_results WHERE feature = 'amount' ORDER BY window_end, computed_at"
    )
    by_window: dict[datetime, list[int]] = {}
    for row in stages:
        by_window.setdefault(row["window_end"], []).append(row["n_current"])
    assert len(by_window) >= days - 6
    assert all(counts == sorted(set(counts)) for counts in by_window.values())
    assert max(map(len, by_window.values())) > 2
    assert by_window[FIRST_DAY + timedelta(days=days)][-1] == 700


def assert_close(expected: list[Row], actual: list[Row]) -> None:
    """Equal rows, floats to 1e-9."""
    assert len(actual) == len(expected)
    for left, right in zip(expected, actual, strict=True):
        for name, value in left.items():
            assert right[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), name
