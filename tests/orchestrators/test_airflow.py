"""The example DAG and the operators, in a real Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bq_monitor import capture_reference, load_config
from tests.conftest import ROOT
from tests.orchestrators.loans import rows, write_loans
from tests.orchestrators.venvs import program, ran

pytestmark = pytest.mark.orchestrators
DAG = ROOT / "examples" / "airflow" / "loan_approval_dag.py"
WINDOWS = "SELECT COUNT(DISTINCT window_start), MAX(window_end)::DATE::VARCHAR FROM drift_latest"


def test_the_dag_ends_with_rows_and_takes_its_branch(tmp_path: Path) -> None:
    """Run for New Year's Day of 2006, it judges the six months that were over by then, goes to train again, and captures what was trained."""
    config, training = write_loans(tmp_path), tmp_path / "training.parquet"
    home = {
        "AIRFLOW_HOME": f"{tmp_path}/airflow", "AIRFLOW__CORE__DAGS_FOLDER": str(DAG.parent), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "LOAN_MONITOR": str(config), "LOAN_TRAINING": str(training),
    }  # fmt: skip
    capture_reference(str(training), load_config(config), version="2003-10")
    ran([program("airflow", "airflow"), "db", "migrate"], **home)
    ran([program("airflow"), DAG, "2006-01-01"], **home)
    assert rows(tmp_path, WINDOWS) == [(6, "2006-01-01")]
    assert rows(tmp_path, "SELECT DISTINCT model_version FROM reference_histograms ORDER BY 1") == [
        ("2003-10",),
        ("2006-01",),
    ]
    assert "low_doc" in {
        feature for (feature,) in rows(tmp_path, "SELECT feature FROM drift_latest WHERE status = 'drift'")
    }
    states = ran([program("airflow"), "-c", STATES], **home).stdout.splitlines()[-1]
    assert json.loads(states) == {
        "capture": "success", "monitor": "success", "decide": "success", "retrain": "success", "leave": "skipped",
    }  # fmt: skip


STATES = """
import json
from airflow import settings
from airflow.models.taskinstance import TaskInstance
settings.configure_orm()
with settings.Session() as session:
    print(json.dumps({found.task_id: str(found.state) for found in session.query(TaskInstance)}))
"""


def test_operators_fail_as_they_should(tmp_path: Path) -> None:
    """What a retry may mend is an AirflowException, what it cannot is final; templates are rendered."""
    config = write_loans(tmp_path)
    script = ROOT / "tests" / "orchestrators" / "operators.py"
    home = {"AIRFLOW_HOME": f"{tmp_path}/airflow", "AIRFLOW__CORE__UNIT_TEST_MODE": "True", "PYTHONPATH": str(ROOT)}
    ran([program("airflow"), "-m", "bq_monitor.cli", "init", config])
    printed = ran([program("airflow"), script, config, tmp_path / "training.parquet"], **home).stdout
    found = json.loads(next(line for line in printed.splitlines() if line.startswith("FOUND "))[6:])
    assert found["loaded_by_a_dag"] == []
    assert found["no_reference"].startswith("no retry: 1 of 1 monitors failed.\nloan_approval: ")
    assert found["no_time"].startswith("retry: 1 of 1 monitors failed.\nloan_approval: not begun")
    assert found["wrong_data"].startswith("no retry: ")
    assert found["drift"].startswith("no retry: drift, or a broken limit: loan_approval.")
    assert found["alert"].startswith("no retry: alerts stand: loan_approval.")
    assert "nowhere.yaml" in found["wrong_config"]
    assert found["wrong_config"].startswith("no retry: ")
    assert (found["capture"], found["never"]) == ("good", "good")
    assert found["rendered"] == ["gs://b/a.yaml", "loans", "2006-01-01T00:00:00+00:00"]
