"""One bounded call over many monitors, as a scheduler makes it: each gets its turn, the failure of one is an answer."""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from bq_monitor.alerts.own_health import OVERDUE, RUN_FAILED, check_overdue, failure_key
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BqMonitorError, DeadlineError, said
from bq_monitor.job import WINDOWS_PER_CALL, run
from bq_monitor.warehouse import opened

Publish = Callable[[MonitorConfig], str | None]
"""Leaves a monitor's report where its configuration says, and says where; None where it says nothing."""
UNEXPECTED = 70
"""`exit_code` of an error that is not of this package."""
_LOGGER = logging.getLogger(__name__)
_MIN_SECONDS = 5.0
"""With less time than this left, a monitor is not begun."""


def run_fleet(
    configs: Sequence[MonitorConfig],
    as_of: str | None = None,
    *,
    seconds: float = 1500.0,
    publish: Publish | None = None,
) -> list[dict[str, Any]]:
    """Run each monitor once, for at most `WINDOWS_PER_CALL` windows, all within `seconds`.

    The order is drawn anew each time: when time is short, it is not always the same monitors that wait.

    Args:
        publish: called for each monitor that wants a report and of which windows were judged; its failure fails nothing else.

    Returns:
        One answer a monitor, sorted by name: `monitor, run_id, windows, windows_left, ok, drift, not_evaluated, findings` (whether
        anything drifted or broke a limit), or `monitor, error, exit_code`; with `report` (where it is) or `report_error` where one was
        to be published. `windows_left` above 0 says that there is more to do: call again.
    """
    until = time.monotonic() + seconds
    order = random.sample(list(configs), len(configs))
    return sorted(
        (_answer(config, as_of, until, publish) for config in order), key=lambda answer: str(answer["monitor"])
    )


def check_fleet(configs: Sequence[MonitorConfig]) -> list[dict[str, Any]]:
    """See of each monitor whether its runs come at all, and tell when they do not.

    Returns:
        One answer a monitor, sorted by name: `monitor, overdue_since` (None: on time), or `monitor, error, exit_code`.
    """
    return sorted((_checked(config) for config in configs), key=lambda answer: str(answer["monitor"]))


def _checked(config: MonitorConfig) -> dict[str, Any]:
    try:
        seconds = config.budget.deadline_seconds
        with opened(config.warehouse, config.monitor, deadline_seconds=seconds) as warehouse:
            since = check_overdue(warehouse, config)
    except Exception as error:
        _log(RUN_FAILED, config, f"could not be checked: {said(error)}", error)
        return _failed(config, error)
    if since is None:
        return {"monitor": config.monitor, "overdue_since": None}
    _log(OVERDUE, config, f"is overdue since {since.isoformat()}")
    return {"monitor": config.monitor, "overdue_since": since.isoformat()}


def _answer(config: MonitorConfig, as_of: str | None, until: float, publish: Publish | None) -> dict[str, Any]:
    left = until - time.monotonic()
    if left < _MIN_SECONDS:
        return _failed(config, DeadlineError("not begun: the time of this call is over; call again"))
    try:
        outcome = run(config, as_of, max_windows=WINDOWS_PER_CALL, deadline_seconds=left)
    except Exception as error:
        _log(failure_key(error), config, f"failed: {said(error)}", error)
        return _failed(config, error)
    found = {status: outcome.count(status) for status in ("ok", "drift", "not_evaluated")}
    return {
        "monitor": config.monitor, "run_id": outcome.run_id, "windows": len(outcome.windows), "windows_left": outcome.n_windows_left,
        **found, "findings": outcome.has_findings, **(_published(config, publish) if publish and config.report and outcome.windows else {}),
    }  # fmt: skip


def _failed(config: MonitorConfig, error: Exception) -> dict[str, Any]:
    """`exit_code` is what the command line would end with: 2 is to be mended first, after 4 another call may do."""
    code = error.exit_code if isinstance(error, BqMonitorError) else UNEXPECTED
    return {"monitor": config.monitor, "error": said(error), "exit_code": code}


def _published(config: MonitorConfig, publish: Publish) -> dict[str, str]:
    try:
        path = publish(config)
    except Exception as error:
        _log(RUN_FAILED, config, f"left no report: {said(error)}", error)
        return {"report_error": said(error)}
    return {} if path is None else {"report": path}


def _log(key: AlertKey, config: MonitorConfig, text: str, error: BaseException | None = None) -> None:
    """Say it where the fleet runs, whatever channels a monitor has; labelled as the channel `log` labels its lines."""
    labels = {"monitor": config.monitor, "kind": key.kind}
    lines = [text, *(traceback.format_exception(error) if error else ())]
    told = Secrets.of(config).redact("\n".join(lines))
    _LOGGER.error("monitor %s %s", config.monitor, told, extra={"labels": labels})
