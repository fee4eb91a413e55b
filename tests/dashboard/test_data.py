"""Reads of the page: brief, remembered for a while, and never in the way of those who write."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bq_monitor import load_config
from bq_monitor.alerts.people import Word, acknowledge
from bq_monitor.dashboard import data
from bq_monitor.errors import TableNotFoundError
from bq_monitor.report.views import Stretch
from bq_monitor.warehouse.base import Statement
from tests.bigquery_lab import Lab, captured, lab, server
from tests.dashboard.lab import made

__all__ = ["captured", "lab", "made", "server"]

BIGQUERY = "bigquery://acme-ml/mon"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to write to; nothing is remembered of another."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.glob("*.yaml"):
        path.write_text(path.read_text().replace(str(made), str(tmp_path)))
    data.forget()
    return tmp_path


def url(folder: Path) -> str:
    return f"duckdb://{folder}/monitor.duckdb"


def open_id(folder: Path) -> str:
    frame = data.alerts(url(folder), "loans")
    return str(frame.loc[frame["status"] == "open", "alert_id"].iloc[0])


def test_a_read_lets_go_of_the_file(folder: Path) -> None:
    """Another process may write as soon as a read is over."""
    data.fleet(url(folder))
    code = f"import duckdb; duckdb.connect({str(folder / 'monitor.duckdb')!r}).execute('CREATE TABLE t (i INT)')"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_read_is_remembered_until_it_is_forgotten(folder: Path) -> None:
    """The same again asks nobody; a refresh does."""
    n = len(data.alerts(url(folder), "loans"))
    with duckdb.connect(str(folder / "monitor.duckdb")) as connection:
        connection.execute("DELETE FROM alert_events")
    assert len(data.alerts(url(folder), "loans")) == n > 0
    data.forget()
    assert len(data.alerts(url(folder), "loans")) == 0


def test_readers_and_a_writer_do_not_meet(folder: Path) -> None:
    """Four threads that read while a fifth acknowledges: DuckDB refuses one file in two modes at once, so nobody may see that."""
    config, started = load_config(folder / "loans.yaml"), threading.Event()
    alert = open_id(folder)

    def read(_: int) -> int:
        started.set()
        data.fleet.clear()
        return len(data.fleet(url(folder)))

    with ThreadPoolExecutor(5) as pool:
        reads = [pool.submit(read, i) for i in range(12)]
        started.wait(10)
        for why in ("seen", "seen again", "and again"):
            with data.writing(config) as warehouse:
                acknowledge(warehouse, config, [alert], Word("ann", why))
        counts = [done.result(60) for done in reads]
    assert set(counts) == {2}
    frame = data.alerts(url(folder), "loans")
    assert frame.set_index("alert_id").loc[alert, "note"] == "and again"


def test_a_change_is_seen_at_once(folder: Path) -> None:
    """What was remembered is forgotten when somebody changed an alert."""
    config, alert = load_config(folder / "loans.yaml"), open_id(folder)
    with data.writing(config) as warehouse:
        acknowledge(warehouse, config, [alert], Word("ann", "seen"))
    assert data.alerts(url(folder), "loans").set_index("alert_id").loc[alert, "acknowledged_by"] == "ann"


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Looking creates nothing."""
    data.forget()
    with pytest.raises(TableNotFoundError):
        data.fleet(f"duckdb://{tmp_path}/none.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_bigquery_gives_the_rows_of_its_tables(captured: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the stand-in for BigQuery: the reads of the first page and of all tabs; a second read of the same asks nothing."""
    captured.run("2026-01-19")
    data.forget()

    @contextmanager
    def stand_in(url: str, monitor: str, **options: Any) -> Iterator[Any]:
        assert (url, options) == (BIGQUERY, {"deadline_seconds": data.READ_SECONDS, "read_only": True})
        yield captured.warehouse

    monkeypatch.setattr(data, "opened", stand_in)
    stretch = Stretch(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    shown = data.drift(BIGQUERY, "loans", stretch, "all", "training")
    stored = captured.warehouse.query(
        Statement(
            "check",
            f"SELECT feature, window_end, drift_score FROM {captured.warehouse.table('drift_latest')} WHERE segment = 'all'",
        )
    )
    scores = {
        (row["feature"], row["window_end"]): row["drift_score"] for row in stored if row["drift_score"] is not None
    }
    listed = shown.loc[shown["drift_score"].notna()].set_index(["feature", "window_end"])["drift_score"]
    assert len(scores) > 5
    assert listed.to_dict() == scores
    assert data.fleet(BIGQUERY)["monitor"].unique().tolist() == ["loans"]
    end = max(moment for _, moment in scores)
    frames = {
        "scopes": data.scopes(BIGQUERY, "loans"), "verdicts": data.verdicts(BIGQUERY, "loans", end),
        "quality": data.quality(BIGQUERY, "loans", stretch), "performance": data.performance(BIGQUERY, "loans", stretch),
        "alerts": data.alerts(BIGQUERY, "loans"), "events": data.alert_events(BIGQUERY, "loans", stretch),
    }  # fmt: skip
    assert [name for name, frame in frames.items() if not len(frame)] == []
    asked = len(captured.steps())
    data.fleet(BIGQUERY)
    data.drift(BIGQUERY, "loans", stretch, "all", "training")
    assert len(captured.steps()) == asked
    data.forget()
