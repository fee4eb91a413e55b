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

from bq_monitor import BqMonitorError, InputError, WarehouseError, capture_reference, load_config
from bq_monitor import fleet as fleet_module
from bq_monitor.integrations import task
from bq_monitor.integrations.failure import TaskFailedError
from bq_monitor.integrations.task import run_task
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


def test_a_repeated_task_says_the_same(fleet: Path) -> None:
    """A branch on `alerting` or `drifted` goes the same way when a task is run again, though nothing is judged anew."""
    first, again = run_task(str(fleet), as_of=AS_OF), run_task(str(fleet), as_of=AS_OF)
    assert [item["windows"] for item in again["monitors"]] == [0, 0]
    assert (again["drifted"], again["alerting"]) == (first["drifted"], first["alerting"]) == (["moved"], ["moved"])
    assert [item["alerts"] for item in again["monitors"]] == [item["alerts"] for item in first["monitors"]]
    assert any("amount" in alert["message"] for alert in first["monitors"][0]["alerts"])


def test_it_runs_for_a_moment_and_a_monitor(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the windows that are over by `as_of`, of the monitor that is named; the environment may say which fleet."""
    monkeypatch.setenv("BQ_MONITOR_CONFIG", str(fleet))
    (found,) = run_task(monitor="still", as_of="2026-01-12")["monitors"]
    assert (found["monitor"], found["windows"]) == ("still", 1)


@pytest.mark.parametrize(
    ("fail_on", "words"), [("drift", "drift, or a broken limit: moved"), ("alert", "alerts stand: moved")]
)
def test_it_fails_on_what_it_is_told_to(fleet: Path, fail_on: Any, words: str) -> None:
    """Results are stored first; no retry is asked for. Run again, it fails the same."""
    for _ in range(2):
        with pytest.raises(TaskFailedError, match=words) as failure:
            run_task(str(fleet), as_of=AS_OF, fail_on=fail_on)
        assert (failure.value.exit_code, failure.value.summary["drifted"]) == (1, ["moved"])
        assert rows(fleet.parent, "SELECT COUNT(*) FROM drift_latest") == [(4,)]


def test_drift_is_not_forgotten_when_another_monitor_failed(fleet: Path) -> None:
    """The retry that mends the other monitor finds nothing new of the one that drifted, and fails for its drift all the same."""
    log = fleet.parent / "still.parquet"
    away = log.rename(fleet.parent / "away.parquet")
    with pytest.raises(TaskFailedError, match="1 of 2 monitors failed") as failure:
        run_task(str(fleet), as_of=AS_OF, fail_on="drift")
    assert failure.value.summary["drifted"] == ["moved"]
    away.rename(log)
    with pytest.raises(TaskFailedError, match="drift, or a broken limit: moved") as failure:
        run_task(str(fleet), as_of=AS_OF, fail_on="drift")
    assert [item["windows"] for item in failure.value.summary["monitors"]] == [0, 2]


def test_drift_is_that_of_the_newest_window_by_then(fleet: Path) -> None:
    """A monitor whose second week is as it should be has drifted no more; a task run again for the first week finds it as it was."""
    log = fleet.parent / "moved.parquet"
    frame = pd.read_parquet(log)
    is_second = frame["ts"] >= "2026-01-12"
    frame.loc[is_second, "amount"] -= 3
    frame.to_parquet(log)
    drifted = [run_task(str(fleet), "moved", as_of)["drifted"] for as_of in ("2026-01-12", AS_OF, "2026-01-12")]
    assert drifted == [["moved"], [], ["moved"]]


def test_a_broken_limit_counts_as_drift(fleet: Path) -> None:
    """Checks of the data are asked of the tables, too: half of the second week's rows are missing, which moves nothing else."""
    path, log = fleet / "still.yaml", fleet.parent / "still.parquet"
    path.write_text(path.read_text() + "quality: {volume: {max_drop: 0.3}}\n")
    frame = pd.read_parquet(log)
    frame[(frame["ts"] < "2026-01-12") | (frame.index % 2 == 0)].to_parquet(log)
    summary = run_task(str(fleet), "still", AS_OF)
    (found,) = summary["monitors"]
    assert (found["drift"], summary["drifted"]) == (0, ["still"])
    assert not run_task(str(fleet), "still", "2026-01-12")["drifted"]


def test_everyone_has_a_turn_in_each_round(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog of one monitor does not use up the time of the others: those with windows left come again once all had a turn."""
    monkeypatch.setattr("bq_monitor.fleet.WINDOWS_PER_CALL", 1)
    turns: list[list[str]] = []

    def run_fleet(configs: Any, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
        turns.append([config.monitor for config in configs])
        return fleet_module.run_fleet(configs, *arguments, **named)

    monkeypatch.setattr(task, "run_fleet", run_fleet)
    run_task(str(fleet), "still", "2026-01-12")
    run_task(str(fleet), as_of=AS_OF)
    assert turns == [["still"], ["moved", "still"], ["moved"]]


def test_an_old_fault_of_a_report_goes_with_the_next(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that was left after all is no `report_error` any more."""
    path = fleet / "moved.yaml"
    path.write_text(path.read_text() + f"report: {{to: {fleet.parent}}}\n")
    monkeypatch.setattr("bq_monitor.fleet.WINDOWS_PER_CALL", 1)
    outcomes = iter([InputError("the disk is full"), "here.html"])

    def publish(_: Any) -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(task, "publish", publish)
    (found,) = run_task(str(fleet), "moved", AS_OF)["monitors"]
    assert (found["windows"], found["report"], "report_error" in found) == (2, "here.html", False)


def test_a_monitor_that_fails_fails_the_task_after_the_others(fleet: Path) -> None:
    """The message says which monitor failed and why; a log that is not there is to be mended, no other try helps."""
    (fleet.parent / "moved.parquet").unlink()
    with pytest.raises(TaskFailedError, match=r"1 of 2 monitors failed(.|\n)*moved: .*moved\.parquet") as failure:
        run_task(str(fleet), as_of=AS_OF)
    assert failure.value.exit_code == 2
    assert rows(fleet.parent, "SELECT DISTINCT monitor FROM drift_latest") == [("still",)]


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ({"moved": InputError("no"), "still": InputError("no")}, 2),
        ({"moved": InputError("no"), "still": WarehouseError("away")}, 4),
        ({"moved": InputError("no"), "still": RuntimeError("what?")}, 4),
    ],
)
def test_another_try_is_made_where_it_may_help_one(
    fleet: Path, errors: dict[str, Exception], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failure that may pass is worth another try; only where all are to be mended there is none."""

    def fail(config: Any, *_: Any, **__: Any) -> None:
        raise errors[config.monitor]

    monkeypatch.setattr("bq_monitor.fleet.run", fail)
    with pytest.raises(TaskFailedError, match="2 of 2") as failure:
        run_task(str(fleet), as_of=AS_OF)
    assert failure.value.exit_code == code


def test_what_stands_of_one_cannot_hide_the_others(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor whose alerts cannot be read has failed, whatever kind of fault it is; the summary has the others."""

    def read(warehouse: Any, monitor: str) -> list[Any]:
        if monitor == "moved":
            raise InputError("no such thing")
        return []

    monkeypatch.setattr(task, "standing_alerts", read)
    with pytest.raises(TaskFailedError, match=r"1 of 2 monitors failed\.\nmoved: no such thing") as failure:
        run_task(str(fleet), as_of=AS_OF)
    assert [item["windows"] for item in failure.value.summary["monitors"]] == [2, 2]


def test_a_summary_holds_the_worst_alerts(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orchestrators keep it in their database: so many alerts, and how many there are; the message says that there are more."""
    monkeypatch.setattr(task, "MAX_ALERTS", 1)
    with pytest.raises(TaskFailedError) as failure:
        run_task(str(fleet), "moved", AS_OF, fail_on="alert")
    (found,) = failure.value.summary["monitors"]
    ((n_alerts,),) = rows(fleet.parent, "SELECT COUNT(*) FROM open_alerts")
    assert n_alerts > 1
    assert (found["n_alerts"], [alert["severity"] for alert in found["alerts"]]) == (n_alerts, ["critical"])
    assert str(failure.value).endswith(f"{found['alerts'][0]['message']} And {n_alerts - 1} more.")


def test_alerts_about_runs_are_not_about_the_model(fleet: Path) -> None:
    """A run that failed opens an alert of its own, for which nobody should train again."""
    (fleet.parent / "still.parquet").rename(fleet.parent / "away.parquet")
    with pytest.raises(TaskFailedError) as failure:
        run_task(str(fleet), "still", AS_OF)
    assert rows(fleet.parent, "SELECT kind FROM open_alerts") == [("run_failed",)]
    assert failure.value.summary["alerting"] == []


def test_time_that_is_over_is_a_failure(fleet: Path) -> None:
    """What was not begun is not passed over in silence."""
    with pytest.raises(TaskFailedError, match="not begun") as failure:
        run_task(str(fleet), as_of=AS_OF, seconds=0)
    assert failure.value.exit_code == 4


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


AIRFLOW = """
import sys, types
sdk, exceptions = types.ModuleType("airflow.sdk"), types.ModuleType("airflow.sdk.exceptions")
sdk.BaseOperator = object
exceptions.AirflowException = exceptions.AirflowFailException = Exception
sys.modules |= {"airflow": types.ModuleType("airflow"), "airflow.sdk": sdk, "airflow.sdk.exceptions": exceptions}
import bq_monitor.integrations.airflow
print({"numpy", "pydantic", "duckdb", "bq_monitor.job"} & set(sys.modules))
"""


def test_a_dag_is_parsed_without_what_its_tasks_need() -> None:
    """A scheduler imports the operators again and again: the heavy libraries come when a task runs."""
    done = subprocess.run([sys.executable, "-c", AIRFLOW], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
