"""The scheduled Cloud Function: decode the request, run the due windows, answer.

Request (JSON or query string): `config`, a file or folder, local or `gs://` (default: BQ_MONITOR_CONFIG); `monitor`, only this one
of a fleet; `as_of`, a moment (default: now; the scheduler's headers are not read, what is due is known from what was judged);
`do`, `run` (default) or `check`: whether runs come at all, to be asked by another schedule than theirs.
Answers: 200 with what was found (drift too) and with `windows_left` to be judged by further calls, 400 for a bad request, 500 with
what failed. BQ_MONITOR_CALL_SECONDS (default 1500) bounds a call; keep it below the function's timeout and the scheduler's deadline.
With BQ_MONITOR_METRICS=on, GET /metrics runs nothing and answers with gauges of the latest results (docs/prometheus.md).
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import functions_framework

from bq_monitor import BqMonitorError, MonitorConfig
from bq_monitor.fleet import check_fleet, run_fleet
from bq_monitor.report.publish import publish
from bq_monitor.request import chosen_monitors

if TYPE_CHECKING:
    from flask import Request


@functions_framework.http
def monitor(request: Request) -> tuple[Any, int] | tuple[Any, int, dict[str, str]]:
    """Answer one call of the scheduler, or of a scraper."""
    try:
        asked = request.get_json(silent=True) if request.is_json else request.args.to_dict()
        configs = chosen_monitors(asked)
    except BqMonitorError as error:
        return {"error": str(error)}, 400 if error.exit_code == 2 else 500  # an outage of storage may pass
    if request.method == "GET" and request.path == "/metrics" and os.environ.get("BQ_MONITOR_METRICS") == "on":
        return _metrics(configs, request.headers.get("Accept", ""))
    if asked.get("do") == "check":
        answers = check_fleet(configs)
        return {"monitors": answers}, 500 if any("error" in answer for answer in answers) else 200
    seconds = float(os.environ.get("BQ_MONITOR_CALL_SECONDS", "1500"))
    answers = run_fleet(configs, asked.get("as_of"), seconds=seconds, publish=publish)
    return {"monitors": answers}, 500 if any("error" in answer for answer in answers) else 200


def _metrics(configs: list[MonitorConfig], accept: str) -> tuple[Any, int] | tuple[Any, int, dict[str, str]]:
    """The gauges; a warehouse that failed is one of them, so that the scrape as a whole succeeds."""
    from bq_monitor.report.prometheus import exposition, scrape  # noqa: PLC0415 - a deployment may lack report/

    try:
        scraped = scrape(configs)
        text, content_type = exposition(scraped, accept)
    except BqMonitorError as error:
        return {"error": str(error)}, 500
    for url, why in scraped.failures.items():
        logging.getLogger(__name__).error("metrics: %s: %s", url, why)
    return text, 200, {"Content-Type": content_type}
