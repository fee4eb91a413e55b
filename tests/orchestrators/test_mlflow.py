"""The examples and MLflow, with a real tracking server on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.conftest import ROOT
from tests.orchestrators.loans import rows, write_loans
from tests.orchestrators.venvs import LIMIT_SECONDS, QUIET, program, ran

pytestmark = pytest.mark.orchestrators
EXAMPLES = ROOT / "examples" / "mlflow"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A tracking server's URL; its process group ends with the test."""
    port = free_port()
    command = [
        program("training", "mlflow"), "server", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination",
        tmp_path / "artifacts", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    with (
        (tmp_path / "server.log").open("w") as log,
        subprocess.Popen(
            command, env={**os.environ, **QUIET}, stdout=log, stderr=log, start_new_session=True
        ) as running,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/health", running, tmp_path / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(running.pid, signal.SIGTERM)


def wait_for(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < until and running.poll() is None:
        try:
            if urllib3.request("GET", url, retries=False, timeout=5).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.25)
    pytest.fail(log.read_text()[-2000:])


def test_versions_know_their_reference_and_runs_their_report(tmp_path: Path, server: str) -> None:
    """Read back by the client: the reference of the registered version, and of each month the numbers that the tables hold."""
    config = write_loans(tmp_path, version="1")
    ran([program("training"), EXAMPLES / "train.py", tmp_path / "training.parquet", config], MLFLOW_TRACKING_URI=server)
    ran([program("training"), EXAMPLES / "monitor.py", config, "2006-01-01"], MLFLOW_TRACKING_URI=server)
    tracked = ROOT / "tests" / "orchestrators" / "tracked.py"
    printed = ran([program("training"), tracked], MLFLOW_TRACKING_URI=server).stdout
    found = json.loads(next(line for line in printed.splitlines() if line.startswith("FOUND "))[6:])
    reference_is_known(tmp_path, config, found)
    report_is_known(tmp_path, found["loan_approval_monitoring"])


def reference_is_known(folder: Path, config: Path, found: dict[str, Any]) -> None:
    ((reference_id,),) = rows(folder, "SELECT DISTINCT reference_id FROM reference_histograms")
    trained = found["loan_approval"]
    for tags in (trained["tags"], found["version"]["tags"]):
        assert tags["bq_monitor.reference_id"] == reference_id
        assert (tags["bq_monitor.monitor"], tags["bq_monitor.model_version"]) == ("loan_approval", "1")
    assert trained["artifacts"]["bq_monitor/monitor.yaml"] == config.read_text()
    logged = json.loads(trained["artifacts"]["bq_monitor/reference.json"])
    counts = {item["feature"]: sum(bucket["n"] for bucket in item["buckets"]) for item in logged["features"]}
    stored = rows(
        folder,
        "SELECT feature, n_rows FROM reference_histograms WHERE segment = 'all' AND role IN ('feature', 'prediction', 'score')",
    )
    assert counts == dict(stored)


def report_is_known(folder: Path, run: dict[str, Any]) -> None:
    last = "window_end = (SELECT MAX(window_end) FROM drift_latest) AND segment = 'all'"
    scores = rows(folder, f"SELECT feature, drift_score FROM drift_latest WHERE {last} AND drift_score IS NOT NULL")
    logged = {name.removeprefix("bq_monitor.drift_score."): value for name, value in run["metrics"].items()}
    assert {name: logged[name] for name, _ in scores} == pytest.approx(dict(scores))
    ((n_drift,),) = rows(folder, f"SELECT COUNT_IF(status = 'drift') FROM drift_latest WHERE {last}")
    assert run["metrics"]["bq_monitor.n_drift"] == n_drift
    ((health,),) = rows(folder, "SELECT health FROM model_health")
    assert run["metrics"]["bq_monitor.health"] == pytest.approx(health)
    ends = rows(folder, "SELECT DISTINCT EPOCH_MS(window_end) FROM drift_latest ORDER BY 1")
    assert run["over_time"]["bq_monitor.n_drift"] == [end for (end,) in ends]
    reports = [text for path, text in run["artifacts"].items() if path.endswith(".html")]
    assert len(reports) == len(ends) == 6
    assert all("<svg" in text for text in reports)
