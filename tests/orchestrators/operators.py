"""Run by Airflow's Python: each operator is executed by itself; prints what came of it as JSON. Arguments: the monitor's file, the training data."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from bq_monitor.integrations.airflow import BqMonitorOperator, CaptureReferenceOperator

CONFIG, TRAINING = sys.argv[1:]
HEAVY = sorted({"numpy", "duckdb", "bq_monitor.config", "bq_monitor.job"} & set(sys.modules))


def tried(operator: Any) -> str:
    """The failure of an operator: would Airflow try it again?"""
    try:
        operator.execute({})
    except AirflowFailException as error:
        return f"no retry: {error}"
    except AirflowException as error:
        return f"retry: {error}"
    return "good"


def made(**arguments: Any) -> BqMonitorOperator:
    return BqMonitorOperator(task_id="monitor", **{"config": CONFIG, "as_of": "2006-01-01", **arguments})


rendered = made(config="{{ folder }}/a.yaml", monitor="{{ name }}", as_of="{{ dag_run.run_after }}")
run = SimpleNamespace(run_after="2006-01-01T00:00:00+00:00")
rendered.render_template_fields({"folder": "gs://b", "name": "loans", "dag_run": run})
found = {
    "loaded_by_a_dag": HEAVY,
    "no_reference": tried(made()),
    "no_time": tried(made(seconds=0)),
    "wrong_data": tried(CaptureReferenceOperator(task_id="c", config=CONFIG, data="nowhere.parquet", version="1")),
    "capture": tried(CaptureReferenceOperator(task_id="c", config=CONFIG, data=TRAINING, version="2003-10")),
    "drift": tried(made(fail_on="drift")),
    "never": tried(made()),
    "alert": tried(made(fail_on="alert")),
    "wrong_config": tried(made(config="nowhere.yaml")),
    "rendered": [rendered.config, rendered.monitor, rendered.as_of],
}
sys.stdout.write(f"FOUND {json.dumps(found)}\n")
