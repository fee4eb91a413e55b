"""Programs run by the Python of an orchestrator's own virtual environment, which `make orchestrators` makes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import ROOT, missing

HOME = Path(os.environ.get("BQ_MONITOR_VENVS", ROOT))
QUIET = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "true", "PYTHONDONTWRITEBYTECODE": "",
    "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}  # fmt: skip
LIMIT_SECONDS = 600


def program(venv: str, name: str = "python") -> Path:
    """A program of `.venv-VENV`; without the environment the test is skipped, in CI it fails."""
    found = HOME / f".venv-{venv}" / "bin" / name
    if not found.exists():
        missing(f".venv-{venv}", "run 'make orchestrators'")
    return found


def ran(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    """A program that must end well; what it printed."""
    done = subprocess.run(
        command, env={**os.environ, **QUIET, **environment}, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done
