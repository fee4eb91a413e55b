"""Judge what is due, and log each new window's report to MLflow: `python monitor.py loan_approval.yaml [AS_OF]`."""

from __future__ import annotations

import sys

import mlflow

from bq_monitor import load_config
from bq_monitor.integrations.mlflow import log_report
from bq_monitor.job import run_until_done


def main(path: str, as_of: str | None = None) -> None:
    """One run of MLflow for all windows that were due: metrics over time, and the report of each window."""
    config = load_config(path)
    judged = sorted({window.end for outcome in run_until_done(config, as_of) for window in outcome.windows})
    mlflow.set_experiment(f"{config.monitor}_monitoring")
    with mlflow.start_run():
        for end in judged:
            log_report(config, end.isoformat())


if __name__ == "__main__":
    main(*sys.argv[1:])
