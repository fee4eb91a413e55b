"""A model's life in Airflow: capture its reference, judge what is due each day, train again where an alert stands.

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
    capture = CaptureReferenceOperator(task_id="capture", config=CONFIG, data=TRAINING, version="2003-10")
    monitor = BqMonitorOperator(task_id="monitor", config=CONFIG, as_of="{{ data_interval_end }}")

    @task.branch
    def decide(summary: dict[str, Any]) -> str:
        """An alert has been confirmed and stands; a verdict alone (`summary["drifted"]`) may be one window's mood."""
        return "retrain" if summary["alerting"] else "leave"

    @task
    def retrain(summary: dict[str, Any]) -> list[str]:
        """Start the training pipeline here; it is told why."""
        return [alert["message"] for found in summary["monitors"] for alert in found["alerts"]]

    capture >> monitor
    decide(monitor.output) >> [retrain(monitor.output), EmptyOperator(task_id="leave")]

if __name__ == "__main__":
    dag.test(logical_date=datetime.fromisoformat(sys.argv[1]).replace(tzinfo=UTC))
