"""The task of a fleet in any orchestrator: work off what is due, say what stands, and fail where that is asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BqMonitorError, said
from bq_monitor.fleet import run_fleet
from bq_monitor.integrations.failure import SECONDS, FailOn, TaskFailedError, check_fail_on
from bq_monitor.integrations.newest import has_findings, standing_alerts
from bq_monitor.report.publish import publish
from bq_monitor.request import chosen_monitors
from bq_monitor.warehouse import opened

MAX_ALERTS = 20
"""Of the alerts that stand, a summary holds so many of each monitor, and a message so many in all: orchestrators keep both in their database."""
_COUNTS = ("windows", "ok", "drift", "not_evaluated")


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
        fail_on: `drift`: fail where the newest judged window drifted or broke a limit; `alert`: fail where an alert about a model stands;
            `never`: neither. A monitor that could not be run fails the task always, once the others are done.
        seconds: the time of the whole call; a monitor that it does not suffice for has failed, and goes on at the next call.

    Returns:
        Plain values: `monitors`, and the names of those that `drifted` and are `alerting`. Each monitor has the answers of `run_fleet`,
        summed over its calls, but `findings` of its newest judged window (by `as_of`), and of its standing `alerts` the worst
        `MAX_ALERTS` of `n_alerts`. The tables are asked for both: a call that is repeated finds nothing new to judge, but says the same.

    Raises:
        TaskFailedError: a monitor failed, or what `fail_on` names was found.
        InputError, ConfigError, WarehouseError: the configuration is not there, is not valid, or cannot be read.
    """
    check_fail_on(fail_on)
    asked = {name: value for name, value in (("config", config), ("monitor", monitor), ("as_of", as_of)) if value}
    configs = chosen_monitors(asked)
    found = _worked_off(configs, as_of or None, time.monotonic() + seconds)
    monitors = [
        {**found[config.monitor], **_standing(config, as_of or None, found[config.monitor])} for config in configs
    ]
    summary = {
        "as_of": as_of or None, "monitors": monitors,
        "drifted": [item["monitor"] for item in monitors if item["findings"]],
        "alerting": [item["monitor"] for item in monitors if item["n_alerts"]],
    }  # fmt: skip
    _refuse(summary, fail_on)
    return summary


def _worked_off(configs: Sequence[MonitorConfig], as_of: str | None, until: float) -> dict[str, dict[str, Any]]:
    """The answers of each monitor's calls as one, by name; what failed is `error`. In each round everyone has a turn."""
    found = {each.monitor: {"monitor": each.monitor, **dict.fromkeys(_COUNTS, 0)} for each in configs}
    while configs:
        answers = run_fleet(configs, as_of, seconds=until - time.monotonic(), publish=publish)
        for answer in answers:
            found[answer["monitor"]] = _summed(found[answer["monitor"]], answer)
        unfinished = {answer["monitor"] for answer in answers if answer.get("windows_left")}
        configs = [each for each in configs if each.monitor in unfinished]
    return found


def _summed(before: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Counts are added up; of the report only what became of the last one counts."""
    made_anew = {"report", "report_error"} if {"report", "report_error"} & set(answer) else set()
    kept = {name: value for name, value in before.items() if name not in made_anew}
    return {**kept, **answer, **{name: before[name] + answer.get(name, 0) for name in _COUNTS}}


def _standing(config: MonitorConfig, as_of: str | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the tables say of a monitor now; that they cannot be read is its `error`, unless it has one."""
    seconds = config.budget.deadline_seconds
    try:
        with opened(config.warehouse, config.monitor, deadline_seconds=seconds, read_only=True) as warehouse:
            alerts = standing_alerts(warehouse, config.monitor)
            drifted = has_findings(warehouse, config, as_of)
    except BqMonitorError as error:
        failure = {} if "error" in found else {"error": said(error), "exit_code": error.exit_code}
        return {"findings": False, "alerts": [], "n_alerts": 0, **failure}
    return {"findings": drifted, "alerts": alerts[:MAX_ALERTS], "n_alerts": len(alerts)}


def _refuse(summary: Mapping[str, Any], fail_on: FailOn) -> None:
    failed = [item for item in summary["monitors"] if "error" in item]
    if failed:
        lines = "\n".join(f"{item['monitor']}: {item['error']}" for item in failed)
        code = 2 if all(item["exit_code"] == 2 for item in failed) else 4
        raise TaskFailedError(f"{len(failed)} of {len(summary['monitors'])} monitors failed.\n{lines}", summary, code)
    if fail_on == "drift" and (drifted := summary["drifted"]):
        raise TaskFailedError(f"drift, or a broken limit: {', '.join(drifted)}. {_told(summary)}".rstrip(), summary, 1)
    if fail_on == "alert" and (alerting := summary["alerting"]):
        raise TaskFailedError(f"alerts stand: {', '.join(alerting)}. {_told(summary)}", summary, 1)


def _told(summary: Mapping[str, Any]) -> str:
    monitors = summary["monitors"]
    told = list(islice((alert["message"] for item in monitors for alert in item["alerts"]), MAX_ALERTS))
    n_more = sum(item["n_alerts"] for item in monitors) - len(told)
    return " ".join([*told, *([f"And {n_more} more."] if n_more else [])])
