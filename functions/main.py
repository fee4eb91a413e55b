"""The scheduled Cloud Function: decode the request, run the due windows, answer.

Request (JSON or query string): `config`, a file or folder, local or `gs://` (default: BQ_MONITOR_CONFIG); `monitor`, only this one
of a fleet; `as_of`, a moment (default: now). Answers: 200 with what was found (drift too), 400 for a bad request, 500 with what failed.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import functions_framework

from bq_monitor import BqMonitorError, InputError, MonitorConfig, load_configs, run
from bq_monitor.job import moment_of

if TYPE_CHECKING:
    from flask import Request


@functions_framework.http
def monitor(request: Request) -> tuple[dict[str, Any], int]:
    """Answer one call of the scheduler."""
    try:
        asked = request.get_json(silent=True) if request.is_json else request.args.to_dict()
        configs = _chosen(asked)
    except BqMonitorError as error:
        return {"error": str(error)}, 400
    answers = [_run(config, asked.get("as_of")) for config in configs]
    return {"monitors": answers}, 500 if any("error" in answer for answer in answers) else 200


def _chosen(asked: Any) -> list[MonitorConfig]:
    """The monitors that a request is about; anything else than the known texts is refused."""
    allowed = ("as_of", "config", "monitor")
    if not isinstance(asked, dict) or set(asked) - set(allowed) or any(not isinstance(v, str) for v in asked.values()):
        raise InputError(f"request: got {asked!r}; allowed: a JSON object of texts named {', '.join(allowed)}.")
    if "as_of" in asked:
        moment_of(asked["as_of"], ZoneInfo("UTC"))
    path = asked.get("config") or os.environ.get("BQ_MONITOR_CONFIG")
    if not path:
        raise InputError("request: no config; send one, or set BQ_MONITOR_CONFIG to a file or folder, local or gs://.")
    configs = load_configs(path)
    if chosen := [config for config in configs if asked.get("monitor") in (None, config.monitor)]:
        return chosen
    raise InputError(f"request: monitor: got {asked['monitor']!r}; {path} has {', '.join(c.monitor for c in configs)}.")


def _run(config: MonitorConfig, as_of: str | None) -> dict[str, Any]:
    """One monitor; its failure is an answer, so that the others of the fleet still run."""
    try:
        outcome = run(config, as_of)
    except Exception as error:
        logging.exception("monitor %s failed", config.monitor)
        return {"monitor": config.monitor, "error": str(error) or type(error).__name__}
    found = {status: outcome.count(status) for status in ("ok", "drift", "not_evaluated")}
    return {"monitor": config.monitor, "run_id": outcome.run_id, "windows": len(outcome.windows), **found}
