"""The task of a fleet in any orchestrator: work off what is due, say what stands, and fail where that is asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

from bq_monitor.alerts.ledger import read_alerts
from bq_monitor.alerts.messages import OF_RUNS
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BqMonitorError, InputError, WarehouseError, said
from bq_monitor.fleet import run_fleet
from bq_monitor.report.publish import publish
from bq_monitor.request import chosen_monitors
from bq_monitor.warehouse import opened

FailOn = Literal["never", "drift", "alert"]
SECONDS = 3000.0
"""Time of a task by default; set it below the time after which the orchestrator ends the task."""
_COUNTS = ("windows", "ok", "drift", "not_evaluated")


class TaskFailedError(BqMonitorError):
    """The task is to be shown as failed. `summary` is what was done; with `exit_code` 4 another try may help, with 1 none does."""

    def __init__(self, message: str, summary: Mapping[str, Any], exit_code: int) -> None:
        super().__init__(message)
        self.summary, self.exit_code = summary, exit_code


def check_fail_on(fail_on: str) -> None:
    """Raises `InputError` for anything that is not in `FailOn`."""
    if fail_on not in get_args(FailOn):
        raise InputError(f"fail_on: got {fail_on!r}; allowed: {', '.join(get_args(FailOn))}.")


def run_task(
    config: str | None = None,
    monitor: str | None = None,
    as_of: str | None = None,
    *,
    fail_on: FailOn = "never",
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Run each monitor of a fleet until nothing is left to judge, then say which alerts stand.

    Args:
        config: a file or a folder, local or `gs://` (default: the environment's BQ_MONITOR_CONFIG).
        monitor: only this one of them.
        as_of: the moment to run for (default: now).
        fail_on: `drift`: fail where a window that this call judged drifted or broke a limit; `alert`: fail where an alert about a model stands;
            `never`: neither. A monitor that could not be run fails the task always, once the others are done.
        seconds: the time of the whole call; a monitor that it does not suffice for has failed, and goes on at the next call.

    Returns:
        Plain values: `monitors` (the answers of `run_fleet`, summed over its calls, each with its standing `alerts`), and the names of
        those that `drifted` (or broke a limit) and are `alerting`. A call that is repeated finds nothing new that drifted, but the same alerts.

    Raises:
        TaskFailedError: a monitor failed, or what `fail_on` names was found.
        InputError, ConfigError, WarehouseError: the configuration is not there, is not valid, or cannot be read.
    """
    check_fail_on(fail_on)
    asked = {name: value for name, value in (("config", config), ("monitor", monitor), ("as_of", as_of)) if value}
    configs, until = chosen_monitors(asked), time.monotonic() + seconds
    monitors = [_worked_off(each, as_of or None, until) for each in configs]
    summary = {
        "as_of": as_of or None, "monitors": monitors,
        "drifted": [item["monitor"] for item in monitors if item["findings"]],
        "alerting": [item["monitor"] for item in monitors if item["alerts"]],
    }  # fmt: skip
    _refuse(summary, fail_on)
    return summary


def _worked_off(config: MonitorConfig, as_of: str | None, until: float) -> dict[str, Any]:
    """The answers of one monitor's calls as one, and its alerts; what failed is `error`."""
    found: dict[str, Any] = {"monitor": config.monitor, **dict.fromkeys(_COUNTS, 0), "findings": False, "alerts": []}
    is_done = False
    while not is_done:
        (answer,) = run_fleet([config], as_of, seconds=until - time.monotonic(), publish=publish)
        summed = {name: found[name] + answer.get(name, 0) for name in _COUNTS}
        found |= answer | summed | {"findings": found["findings"] or answer.get("findings", False)}
        is_done = "error" in answer or not answer["windows_left"]
    try:
        found["alerts"] = standing(config)
    except WarehouseError as error:
        found.setdefault("error", said(error))
    return found


def standing(config: MonitorConfig) -> list[dict[str, str | None]]:
    """The alerts about a monitor's model that stand, in a fixed order; those about its runs are not among them."""
    with opened(
        config.warehouse, config.monitor, deadline_seconds=config.budget.deadline_seconds, read_only=True
    ) as warehouse:
        alerts = read_alerts(warehouse, config.monitor).values()
    found = [
        {**alert.key._asdict(), "severity": alert.severity, "since": alert.since.isoformat(), "message": alert.message}
        for alert in alerts
        if alert.is_open and alert.key.kind not in OF_RUNS
    ]
    return sorted(found, key=lambda alert: [alert[name] or "" for name in ("since", "kind", "feature", "message")])


def _refuse(summary: Mapping[str, Any], fail_on: FailOn) -> None:
    failed = [item for item in summary["monitors"] if "error" in item]
    if failed:
        lines = "\n".join(f"{item['monitor']}: {item['error']}" for item in failed)
        raise TaskFailedError(f"{len(failed)} of {len(summary['monitors'])} monitors failed.\n{lines}", summary, 4)
    if fail_on == "drift" and (drifted := summary["drifted"]):
        raise TaskFailedError(f"drift, or a broken limit: {', '.join(drifted)}. {_told(summary)}".rstrip(), summary, 1)
    if fail_on == "alert" and (alerting := summary["alerting"]):
        raise TaskFailedError(f"alerts stand: {', '.join(alerting)}. {_told(summary)}", summary, 1)


def _told(summary: Mapping[str, Any]) -> str:
    return " ".join(alert["message"] for item in summary["monitors"] for alert in item["alerts"])
