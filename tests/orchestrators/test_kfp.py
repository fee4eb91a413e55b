"""The example pipeline, compiled and run by a real Kubeflow Pipelines SDK."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from bq_monitor import __version__
from tests.conftest import ROOT
from tests.orchestrators.loans import rows, write_loans
from tests.orchestrators.venvs import program, ran

pytestmark = pytest.mark.orchestrators
PIPELINE = ROOT / "examples" / "kfp"


def compiled(folder: Path, seed: str) -> bytes:
    path = folder / f"{seed}.yaml"
    ran([program("training"), PIPELINE / "pipeline.py", path], PYTHONHASHSEED=seed)
    return path.read_bytes()


def test_it_compiles_to_the_same_bytes(tmp_path: Path) -> None:
    """The YAML is whole, the same each time, and names every image and package by its version."""
    first = compiled(tmp_path, "1")
    assert first == compiled(tmp_path, "2")
    spec: dict[str, Any] = next(iter(yaml.safe_load_all(first)))
    containers = {
        name.removeprefix("exec-"): executor["container"]
        for name, executor in spec["deploymentSpec"]["executors"].items()
    }
    assert sorted(containers) == ["capture", "monitor", "train"]
    assert {container["image"] for container in containers.values()} == {"python:3.11-slim"}
    command = "\n".join(containers["monitor"]["command"])
    assert f"bq-monitor[report]=={__version__}" in command
    assert str(ROOT) not in first.decode()
    assert spec["root"]["dag"]["tasks"]["monitor"]["dependentTasks"] == ["capture"]


def test_no_task_is_answered_from_the_cache(tmp_path: Path) -> None:
    """The second scheduled run has the arguments of the first, and must do its work all the same."""
    spec: dict[str, Any] = next(iter(yaml.safe_load_all(compiled(tmp_path, "1"))))
    tasks = spec["root"]["dag"]["tasks"]
    cached = {name: task["cachingOptions"].get("enableCache", False) for name, task in tasks.items()}
    assert cached == {"capture": False, "monitor": False, "train": False}


def test_run_here_it_ends_with_rows(tmp_path: Path) -> None:
    """Train, capture, run: the tables hold the reference of the version that was trained, and every month's verdicts."""
    config = write_loans(tmp_path)
    training = f"training={tmp_path / 'training.parquet'}"
    command = [program("training"), PIPELINE / "run_locally.py", tmp_path / "kfp", training]
    programs = f"{program('training').parent}{os.pathsep}{os.environ['PATH']}"  # the components' shell looks for pip and python3
    printed = ran([*command, f"config={config}", "version=2003-10", "as_of=2006-01-01"], PATH=programs).stdout
    assert rows(tmp_path, "SELECT DISTINCT model_version, baseline FROM reference_histograms") == [
        ("2003-10", "training")
    ]
    assert rows(tmp_path, "SELECT COUNT(DISTINCT window_start) FROM drift_latest") == [(6,)]
    summary = json.loads(printed.splitlines()[-1])
    assert (summary["monitors"][0]["windows"], summary["drifted"]) == (6, ["loan_approval"])
    (n_drift,) = rows(tmp_path, "SELECT COUNT(*) FROM drift_latest WHERE status = 'drift'")
    assert (summary["monitors"][0]["drift"],) == n_drift
