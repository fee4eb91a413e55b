"""The scheduled Cloud Function: decode the request, run the due windows, answer.

Request (JSON or query string): `config`, a file or folder, local or `gs://` (default: BQ_MONITOR_CONFIG); `monitor`, only this one
of a fleet; `as_of`, a moment (default: now; the scheduler's headers are not read, what is due is known from what was judged);
`do`, `run` (default) or `check`: whether runs come at all, to be asked by another schedule than theirs.
Answers: 200 with what was found (drift too) and with `windows_left` to be judged by further calls, 400 for a bad request, 500 with
what failed. BQ_MONITOR_CALL_SECONDS (default 1500) bounds a call; keep it below the function's timeout and the scheduler's deadline.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import functions_framework

from bq_monitor import BqMonitorError, InputError, MonitorConfig, load_configs
from bq_monitor.due import moment_of
from bq_monitor.fleet import check_fleet, run_fleet

if TYPE_CHECKING:
    from flask import Request


@functions_framework.http
def monitor(request: Request) -> tuple[dict[str, Any], int]:
    """Answer one call of the scheduler."""
    try:
        asked = request.get_json(silent=True) if request.is_json else request.args.to_dict()
        configs = _chosen(asked)
    except BqMonitorError as error:
        return {"error": str(error)}, 400 if error.exit_code == 2 else 500  # an outage of storage may pass
    if asked.get("do") == "check":
        answers = check_fleet(configs)
        return {"monitors": answers}, 500 if any("error" in answer for answer in answers) else 200
    seconds = float(os.environ.get("BQ_MONITOR_CALL_SECONDS", "1500"))
    answers = run_fleet(configs, asked.get("as_of"), seconds=seconds)
    return {"monitors": answers}, 500 if any("error" in answer for answer in answers) else 200


def _chosen(asked: Any) -> list[MonitorConfig]:
    """The monitors that a request is about; anything else than the known texts is refused."""
    allowed = ("as_of", "config", "do", "monitor")
    if not isinstance(asked, dict) or set(asked) - set(allowed) or any(not isinstance(v, str) for v in asked.values()):
        raise InputError(f"request: got {asked!r}; allowed: a JSON object of texts named {', '.join(allowed)}.")
    if "as_of" in asked:
        moment_of(asked["as_of"], ZoneInfo("UTC"))
    if asked.get("do") not in (None, "run", "check"):
        raise InputError(f"request: do: got {asked['do']!r}; allowed: run, check.")
    path = asked.get("config") or os.environ.get("BQ_MONITOR_CONFIG")
    if not path:
        raise InputError("request: no config; send one, or set BQ_MONITOR_CONFIG to a file or folder, local or gs://.")
    configs = load_configs(path)
    if chosen := [config for config in configs if asked.get("monitor") in (None, config.monitor)]:
        return chosen
    raise InputError(f"request: monitor: got {asked['monitor']!r}; {path} has {', '.join(c.monitor for c in configs)}.")
