"""A model's life in Airflow: judge what is due each day; where an alert stands, train again and capture the new version's reference.

The first version's reference is captured once, by `bq-monitor reference capture`.
`python loan_approval_dag.py 2006-01-01` runs it once for that day, without a scheduler.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from bq_monitor.integrations.airflow import BqMonitorOperator, CaptureReferenceOperator

CONFIG = os.environ.get("LOAN_MONITOR", "gs://acme-ml-config/fleet/loan_approval.yaml")
TRAINING = os.environ.get("LOAN_TRAINING", "acme-ml.training.loans_2003_10")

with DAG(
    "loan_approval",
    schedule="@daily",
    start_date=datetime(2003, 10, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
) as dag:
    monitor = BqMonitorOperator(task_id="monitor", config=CONFIG, as_of="{{ dag_run.run_after }}")

    @task.branch
    def decide(summary: dict[str, Any]) -> str:
        """An alert has been confirmed and stands; drift alone (`summary["drifted"]`) may be one window's mood."""
        return "retrain" if summary["alerting"] else "leave"

    @task
    def retrain(summary: dict[str, Any], version: str) -> str:
        """Start the training pipeline here, with why in `summary`; the name of the version that it made."""
        return version

    trained = retrain(monitor.output, "{{ dag_run.run_after.strftime('%Y-%m') }}")
    capture = CaptureReferenceOperator(task_id="capture", config=CONFIG, data=TRAINING, version=trained)
    decide(monitor.output) >> [trained, EmptyOperator(task_id="leave")]

if __name__ == "__main__":
    day = datetime.fromisoformat(sys.argv[1]).replace(tzinfo=UTC)
    dag.test(logical_date=day, run_after=day)
