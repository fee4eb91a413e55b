"""What a task of any orchestrator does with a fleet."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from bq_monitor import BqMonitorError, InputError, capture_reference, load_config
from bq_monitor.integrations.task import TaskFailedError, run_task
from tests.orchestrators.loans import rows

AS_OF = "2026-01-19"


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two monitors of two weekly windows with their references: `moved` by three standard deviations, and `still`."""
    tmp_path, rng = tmp_path_factory.mktemp("captured"), np.random.default_rng(20260101)
    folder = tmp_path / "fleet"
    folder.mkdir()
    days = np.repeat(pd.date_range("2026-01-05", periods=14), 100)
    training = pd.DataFrame({"amount": rng.normal(0, 1, 2000)})
    for name, mean in (("moved", 3), ("still", 0)):
        pd.DataFrame({"amount": rng.normal(mean, 1, 1400), "ts": days}).to_parquet(tmp_path / f"{name}.parquet")
        config = {
            "monitor": name, "warehouse": f"duckdb://{tmp_path}/monitor.duckdb", "features": ["amount"],
            "source": {"table": f"{tmp_path}/{name}.parquet", "timestamp": "ts"}, "detection": {"confirm": "1 of 1"},
            "window": {"length": "7d", "every": "7d", "start": "2026-01-05"},
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
        capture_reference(training, load_config(folder / f"{name}.yaml"), version="1")
    return tmp_path


@pytest.fixture
def fleet(captured: Path, tmp_path: Path) -> Path:
    """A copy of its own."""
    shutil.copytree(captured, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "fleet").iterdir():
        path.write_text(path.read_text().replace(str(captured), str(tmp_path)))
    return tmp_path / "fleet"


def test_it_runs_until_nothing_is_left(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog longer than one call is worked off in one task; the counts of its calls are summed."""
    monkeypatch.setattr("bq_monitor.fleet.WINDOWS_PER_CALL", 1)
    summary = run_task(str(fleet), as_of=AS_OF)
    by_name = {item["monitor"]: item for item in summary["monitors"]}
    assert {name: (item["windows"], item["drift"], item["ok"]) for name, item in by_name.items()} == {
        "moved": (2, 2, 0),
        "still": (2, 0, 2),
    }
    assert (summary["drifted"], summary["alerting"]) == (["moved"], ["moved"])
    assert rows(fleet.parent, "SELECT COUNT(*) FROM drift_latest") == [(4,)]
    assert json.loads(json.dumps(summary)) == summary


def test_a_repeated_task_finds_the_same_alerts(fleet: Path) -> None:
    """A branch on `alerting` goes the same way when a task is run again, though nothing is judged anew."""
    first, again = run_task(str(fleet), as_of=AS_OF), run_task(str(fleet), as_of=AS_OF)
    assert [item["windows"] for item in again["monitors"]] == [0, 0]
    assert (again["drifted"], again["alerting"]) == ([], first["alerting"])
    assert [item["alerts"] for item in again["monitors"]] == [item["alerts"] for item in first["monitors"]]
    assert any("amount" in alert["message"] for alert in first["monitors"][0]["alerts"])


def test_it_runs_for_a_moment_and_a_monitor(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the windows that are over by `as_of`, of the monitor that is named; the environment may say which fleet."""
    monkeypatch.setenv("BQ_MONITOR_CONFIG", str(fleet))
    (found,) = run_task(monitor="still", as_of="2026-01-12")["monitors"]
    assert (found["monitor"], found["windows"]) == ("still", 1)


@pytest.mark.parametrize(("fail_on", "again"), [("drift", None), ("alert", 1)])
def test_it_fails_on_what_it_is_told_to(fleet: Path, fail_on: Any, again: int | None) -> None:
    """Results are stored first; no retry is asked for. Run again, an alert still stands, drift is no news."""
    with pytest.raises(TaskFailedError, match="moved") as failure:
        run_task(str(fleet), as_of=AS_OF, fail_on=fail_on)
    assert (failure.value.exit_code, failure.value.summary["drifted"]) == (1, ["moved"])
    assert rows(fleet.parent, "SELECT COUNT(*) FROM drift_latest") == [(4,)]
    if again is None:
        assert run_task(str(fleet), as_of=AS_OF, fail_on=fail_on)["drifted"] == []
    else:
        with pytest.raises(TaskFailedError, match="alerts stand: moved"):
            run_task(str(fleet), as_of=AS_OF, fail_on=fail_on)


def test_a_monitor_that_fails_fails_the_task_after_the_others(fleet: Path) -> None:
    """The message says which monitor failed and why; another try may help."""
    (fleet.parent / "moved.parquet").unlink()
    with pytest.raises(TaskFailedError, match=r"1 of 2 monitors failed(.|\n)*moved: .*moved\.parquet") as failure:
        run_task(str(fleet), as_of=AS_OF)
    assert failure.value.exit_code == 4
    assert rows(fleet.parent, "SELECT DISTINCT monitor FROM drift_latest") == [("still",)]


def test_alerts_about_runs_are_not_about_the_model(fleet: Path) -> None:
    """A run that failed opens an alert of its own, for which nobody should train again."""
    (fleet.parent / "still.parquet").rename(fleet.parent / "away.parquet")
    with pytest.raises(TaskFailedError) as failure:
        run_task(str(fleet), "still", AS_OF)
    assert rows(fleet.parent, "SELECT kind FROM open_alerts") == [("run_failed",)]
    assert failure.value.summary["alerting"] == []


def test_time_that_is_over_is_a_failure(fleet: Path) -> None:
    """What was not begun is not passed over in silence."""
    with pytest.raises(TaskFailedError, match="not begun"):
        run_task(str(fleet), as_of=AS_OF, seconds=0)


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"fail_on": "sometimes"}, "allowed: never, drift, alert"), ({"monitor": "stil"}, "moved, still")],
)
def test_what_is_not_known_is_refused(fleet: Path, asked: dict[str, Any], words: str) -> None:
    """Before anything runs, with what is allowed."""
    with pytest.raises(InputError, match=words):
        run_task(str(fleet), as_of=AS_OF, **asked)
    assert issubclass(TaskFailedError, BqMonitorError)


def test_no_orchestrator_is_imported() -> None:
    """The task needs none of them, nor does the package."""
    code = (
        "import sys, bq_monitor, bq_monitor.integrations.task; print({'airflow', 'mlflow', 'kfp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
