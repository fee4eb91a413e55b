"""A fleet in one call: whose report is made, and what it logs for alert policies, whatever channels a monitor has."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bq_monitor import fleet
from bq_monitor.cloud_logging import log_to_cloud
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BudgetError, InputError, WarehouseError
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.setup import create_tables
from tests.conftest import make_config


@pytest.fixture
def cloud() -> Iterator[None]:
    """The package logs as in the cloud, to the standard error of the test."""
    logger = logging.getLogger("bq_monitor")
    before = (logger.handlers[:], logger.propagate)
    log_to_cloud()
    log_to_cloud()
    yield
    logger.handlers[:], logger.propagate = before


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("error", "kind"), [(WarehouseError("no\nroute"), "run_failed"), (BudgetError("too many bytes"), "budget")]
)
def test_a_run_that_fails_is_one_entry(
    error: Exception, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the monitor and what went wrong as labels, and the traceback in the same line."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(fleet, "run", fail)
    fleet.run_fleet([make_config(tmp_path)])
    (entry,) = entries(capsys)
    assert (entry["severity"], entry["logging.googleapis.com/labels"]) == ("ERROR", {"monitor": "loans", "kind": kind})
    assert entry["message"].startswith(f"monitor loans failed: {error}\nTraceback")


@pytest.mark.parametrize(
    ("error", "code"), [(WarehouseError("away"), 4), (InputError("no"), 2), (RuntimeError("what?"), 70)]
)
def test_an_answer_says_whether_another_call_may_help(
    error: Exception, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the code that the command line would end with, of runs as of checks; a call without time may be made again."""

    def fail(*_: object, **__: object) -> None:
        raise error

    configs = [make_config(tmp_path)]
    monkeypatch.setattr(fleet, "run", fail)
    monkeypatch.setattr(fleet, "opened", fail)
    failed = [{"monitor": "loans", "error": str(error), "exit_code": code}]
    assert fleet.run_fleet(configs) == fleet.check_fleet(configs) == failed
    assert fleet.run_fleet(configs, seconds=0)[0]["exit_code"] == 4


@pytest.mark.usefixtures("cloud")
def test_a_monitor_that_does_not_run_is_one_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor whose warehouse was never made could not be checked; one that never ran is overdue from its first window on."""
    config = make_config(tmp_path)
    fleet.check_fleet([config])
    warehouse = open_warehouse(config.warehouse, create=True)
    create_tables(warehouse)
    warehouse.close()
    fleet.check_fleet([config])
    unknown, overdue = entries(capsys)
    assert unknown["message"].startswith("monitor loans could not be checked: ")
    assert unknown["logging.googleapis.com/labels"] == {"monitor": "loans", "kind": "run_failed"}
    assert overdue["message"] == "monitor loans is overdue since 2026-01-12T00:00:00+00:00"
    assert overdue["logging.googleapis.com/labels"] == {"monitor": "loans", "kind": "overdue"}


def test_who_wants_no_report_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are made for monitors that say where to, and of which windows were judged."""
    asked: list[str] = []

    def publish(config: MonitorConfig) -> None:
        asked.append(config.monitor)

    configs = [make_config(tmp_path), make_config(tmp_path, monitor="shown", report={"to": str(tmp_path)})]
    for n_windows in (0, 1):
        judged = SimpleNamespace(
            run_id="r", windows=("w",) * n_windows, n_windows_left=0, has_findings=False, count=lambda _: 0
        )
        monkeypatch.setattr(fleet, "run", lambda *_, judged=judged, **__: judged)
        fleet.run_fleet(configs, publish=publish)
    assert asked == ["shown"]


@pytest.mark.usefixtures("cloud")
def test_what_cannot_be_logged_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """A record that does not fit an entry is told as logging tells its own errors; one that is too long is cut, and stays one entry."""
    logger = logging.getLogger("bq_monitor.test")
    logger.error("x", extra={"labels": {"monitor": object()}})
    assert capsys.readouterr().err.count("--- Logging error ---") == 1
    logger.error("\U0001f600" * 100_000)
    written = capsys.readouterr().err
    assert len(written) < 256_000
    assert json.loads(written)["message"].endswith("[...]")
