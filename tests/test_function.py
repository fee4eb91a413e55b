"""The Cloud Function: what it answers to a scheduler."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import duckdb
import functions_framework
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from flask.testing import FlaskClient

from bq_monitor import capture_reference, load_config
from bq_monitor.cli import cli
from tests.conftest import ROOT


@pytest.fixture
def client() -> FlaskClient:
    return functions_framework.create_app("monitor", str(ROOT / "functions" / "main.py")).test_client()


@pytest.fixture
def fleet(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A fleet of two monitors over one log whose second week moved; the second monitor's log does not exist."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    days = np.repeat(pd.date_range("2026-01-05", periods=7), 100)
    pd.DataFrame({"amount": rng.normal(1, 1, 700), "ts": days}).to_parquet(tmp_path / "log.parquet")
    defaults = {
        "warehouse": f"duckdb://{tmp_path}/monitor.duckdb",
        "features": ["amount"],
        "window": {"length": "7d", "every": "7d", "start": "2026-01-05"},
    }
    (folder / "defaults.yaml").write_text(yaml.safe_dump(defaults))
    for name, log in (("loans", "log.parquet"), ("broken", "nowhere.parquet")):
        source = {"table": f"{tmp_path}/{log}", "timestamp": "ts"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"monitor": name, "source": source, **defaults}))
        training = pd.DataFrame({"amount": rng.normal(0, 1, 2000)})
        capture_reference(training, load_config(folder / f"{name}.yaml"), version="1")
    return folder


def post(client: FlaskClient, **body: Any) -> tuple[int, Any]:
    answer = client.post("/", json=body)
    return answer.status_code, answer.get_json()


def test_drift_is_no_failure(client: FlaskClient, fleet: Path) -> None:
    """A monitor that drifts answers 200 with its counts, and nothing more at the second tick."""
    status, body = post(client, config=str(fleet), monitor="loans", as_of="2026-01-12")
    assert (status, body["monitors"][0]["drift"], body["monitors"][0]["windows"]) == (200, 1, 1)
    status, body = post(client, config=str(fleet), monitor="loans", as_of="2026-01-12")
    assert (status, body["monitors"][0]["windows"]) == (200, 0)


def test_partial_failure_is_500_and_names_what_failed(client: FlaskClient, fleet: Path) -> None:
    """One broken monitor of a fleet does not keep the others from running; the scheduler is told to come again."""
    status, body = post(client, config=str(fleet), as_of="2026-01-12")
    assert status == 500
    by_name = {item["monitor"]: item for item in body["monitors"]}
    assert by_name["loans"]["drift"] == 1
    assert "nowhere.parquet" in by_name["broken"]["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"config": "x.yaml", "colour": "red"}, "allowed"),
        ({"config": 7}, "allowed"),
        ({"config": "nowhere.yaml"}, "nowhere.yaml"),
        ({}, "no config"),
        ({"config": "x.yaml", "as_of": "yesterday"}, "not a point in time"),
        ({"config": "x.yaml", "as_of": "2999-01-01"}, "which is to come"),
        (["config"], "allowed"),
    ],
)
def test_a_bad_request_is_400_with_the_reason(client: FlaskClient, body: Any, words: str) -> None:
    """What the caller got wrong is said, and nothing runs."""
    answer = client.post("/", json=body)
    assert answer.status_code == 400
    assert words in answer.get_json()["error"]


def test_an_unknown_monitor_is_400(client: FlaskClient, fleet: Path) -> None:
    """A monitor that the fleet does not have is refused with the names that it has."""
    status, body = post(client, config=str(fleet), monitor="lones")
    assert status == 400
    assert "loans" in body["error"]


def ran(fleet: Path) -> int:
    """How many runs the fleet's warehouse has seen."""
    with duckdb.connect(str(fleet.parent / "monitor.duckdb"), read_only=True) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM runs").fetchall()[0][0])


def test_metrics_are_off_by_default(client: FlaskClient, fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is switched on, the path means nothing: a GET runs what is due, as it does at any path."""
    monkeypatch.delenv("BQ_MONITOR_METRICS", raising=False)
    asked = {"config": str(fleet), "monitor": "loans", "as_of": "2026-01-12"}
    answer = client.get("/metrics", query_string=asked)
    assert (answer.status_code, answer.get_json()["monitors"][0]["windows"]) == (200, 1)
    monkeypatch.setenv("BQ_MONITOR_METRICS", "off")
    assert client.get("/metrics", query_string=asked).is_json


def test_metrics_run_nothing_and_tell_the_latest_results(
    client: FlaskClient, fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switched on, GET /metrics reads gauges of the configured fleet and begins no run; every other call is as before."""
    monkeypatch.setenv("BQ_MONITOR_METRICS", "on")
    monkeypatch.setenv("BQ_MONITOR_CONFIG", str(fleet))
    assert post(client, monitor="loans", as_of="2026-01-12")[1]["monitors"][0]["windows"] == 1
    before = ran(fleet)
    answer = client.get("/metrics")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'bq_monitor_features{model_version="1",monitor="loans",status="drift"} 1.0' in answer.text
    accepted = client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert accepted.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert accepted.text.endswith("# EOF\n")
    assert ran(fleet) == before
    once = {"monitor": "loans", "as_of": "2026-01-12"}
    for answer in (client.post("/metrics", json=once), client.get("/", query_string=once)):  # no scrapes
        assert answer.get_json()["monitors"][0]["windows"] == 0


def test_metrics_of_a_warehouse_that_fails_are_an_answer(
    client: FlaskClient, fleet: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The scrape succeeds and says that the warehouse is down; why is logged, not told to the scraper."""
    monkeypatch.setenv("BQ_MONITOR_METRICS", "on")
    (fleet.parent / "monitor.duckdb").unlink()
    answer = client.get("/metrics", query_string={"config": str(fleet)})
    assert answer.status_code == 200
    samples = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert samples == [f'bq_monitor_up{{warehouse="duckdb://{fleet.parent}/monitor.duckdb"}} 0.0']
    assert "no such database" in caplog.text


def test_metrics_without_what_they_need_are_an_error(
    client: FlaskClient, fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that names no configuration is the scraper's fault, a package that lacks ours."""
    monkeypatch.setenv("BQ_MONITOR_METRICS", "on")
    monkeypatch.delenv("BQ_MONITOR_CONFIG", raising=False)
    assert client.get("/metrics").status_code == 400
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = client.get("/metrics", query_string={"config": str(fleet)})
    assert (answer.status_code, "bq-monitor[prometheus]" in answer.get_json()["error"]) == (500, True)


def with_reports(fleet: Path, to: Path) -> Path:
    """The fleet, told to leave its reports in a folder."""
    defaults = fleet / "defaults.yaml"
    defaults.write_text(defaults.read_text() + yaml.safe_dump({"report": {"to": str(to)}}))
    return fleet


def test_a_run_leaves_its_report(client: FlaskClient, fleet: Path) -> None:
    """The answer says where; a tick without a new window leaves the file alone."""
    asked = {
        "config": str(with_reports(fleet, fleet.parent / "new" / "reports")),
        "monitor": "loans",
        "as_of": "2026-01-12",
    }
    status, body = post(client, **asked)
    path = Path(body["monitors"][0]["report"])
    assert (status, path) == (200, fleet.parent / "new" / "reports" / "loans.html")
    assert "amount drifted" in path.read_text() or "1 of 1 feature" in path.read_text()
    path.unlink()
    assert "report" not in post(client, **asked)[1]["monitors"][0]
    assert not path.exists()


def test_a_report_that_cannot_be_left_fails_no_run(client: FlaskClient, fleet: Path) -> None:
    """The verdicts are stored, the answer is 200 and says why there is no report."""
    (fleet.parent / "taken").write_text("a file")
    asked = {"config": str(with_reports(fleet, fleet.parent / "taken")), "monitor": "loans", "as_of": "2026-01-12"}
    status, body = post(client, **asked)
    (answer,) = body["monitors"]
    assert (status, answer["drift"], ran(fleet)) == (200, 1, 1)
    assert "taken: cannot be made" in answer["report_error"]


def test_the_command_line_leaves_reports_too(fleet: Path) -> None:
    """`run` says where the report is."""
    config = str(with_reports(fleet, fleet.parent / "out"))
    done = CliRunner().invoke(cli, ["run", config, "--as-of", "2026-01-12"])
    assert f"report: {fleet.parent}/out/loans.html" in done.output
    assert (fleet.parent / "out" / "loans.html").exists()
