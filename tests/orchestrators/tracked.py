"""Run by MLflow's Python: prints what the tracking server knows of the examples' runs, read by the client, as JSON."""

from __future__ import annotations

import json
import sys

import mlflow
from mlflow import MlflowClient


def main() -> None:
    """The newest run of each experiment, its artifacts, and the registered version."""
    client, found = MlflowClient(), {}
    for name in ("loan_approval", "loan_approval_monitoring"):
        (run,) = client.search_runs([client.get_experiment_by_name(name).experiment_id])
        paths = [item.path for item in client.list_artifacts(run.info.run_id, "bq_monitor")]
        found[name] = {
            "tags": run.data.tags, "params": run.data.params, "metrics": run.data.metrics,
            "artifacts": {path: mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/{path}") for path in paths},
            "over_time": {key: [m.timestamp for m in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics},
        }  # fmt: skip
    found["version"] = {"tags": client.get_model_version("loan_approval", "1").tags}
    sys.stdout.write(f"FOUND {json.dumps(found)}\n")


main()
