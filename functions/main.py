"""The scheduled Cloud Function: decode the request, run the due windows, answer.

Request (JSON or query string): `config`, a file or folder, local or `gs://` (default: BQ_MONITOR_CONFIG); `monitor`, only this one
of a fleet; `as_of`, a moment (default: now); `do`, `run` (default) or `check`: whether runs come at all, asked by another schedule.
Answers: 200 with what was found (drift too) and `windows_left` for further calls, 400 for a bad request, 500 with what failed. No call
works longer than BQ_MONITOR_CALL_SECONDS (1500). With BQ_MONITOR_METRICS=on, GET /metrics only answers with gauges of the latest results.
"""

import gc
import os

gc.disable()  # looking through all that is imported, again and again, would slow a start by a tenth

from typing import Any

import functions_framework
from flask import Request

from bq_monitor.cloud_logging import log_to_cloud
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BqMonitorError, built_with
from bq_monitor.fleet import check_fleet, run_fleet
from bq_monitor.request import chosen_monitors

gc.freeze()
gc.enable()
if "K_SERVICE" in os.environ:  # Cloud Run says so
    log_to_cloud()


@functions_framework.http
def monitor(request: Request) -> tuple[Any, int] | tuple[Any, int, dict[str, str]]:
    """Answer one call of the scheduler, or of a scraper."""
    try:
        asked: Any = request.get_json(force=True, silent=True) if request.get_data() else request.args.to_dict()
        configs = chosen_monitors(asked)
    except BqMonitorError as error:
        return {"error": str(error)}, 400 if error.exit_code == 2 else 500  # an outage of storage may pass
    if request.method == "GET" and request.path == "/metrics" and os.environ.get("BQ_MONITOR_METRICS") == "on":
        return _metrics(configs, request.headers.get("Accept", ""))
    seconds, as_of = float(os.environ.get("BQ_MONITOR_CALL_SECONDS", "1500")), asked.get("as_of")
    check = asked.get("do") == "check"
    answers = check_fleet(configs) if check else run_fleet(configs, as_of, seconds=seconds, publish=_publish)
    return {"monitors": answers}, 500 if any("error" in answer for answer in answers) else 200


def _publish(config: MonitorConfig) -> str | None:
    with built_with("report"):
        from bq_monitor.report.publish import publish  # noqa: PLC0415 - a deployment may lack report/
    return publish(config)


def _metrics(configs: list[MonitorConfig], accept: str) -> tuple[Any, int] | tuple[Any, int, dict[str, str]]:
    try:
        with built_with("prometheus"):
            from bq_monitor.report.prometheus import answer  # noqa: PLC0415 - a deployment may lack report/
        return answer(configs, accept)
    except BqMonitorError as error:
        return {"error": str(error)}, 500
