"""When a task of an orchestrator is to be shown as failed. Importing this is cheap: schedulers parse their files again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from bq_monitor.errors import BqMonitorError, InputError

FailOn = Literal["never", "drift", "alert"]
SECONDS = 3000.0
"""Time of a task by default; set it below the time after which the orchestrator ends the task."""


class TaskFailedError(BqMonitorError):
    """The task is to be shown as failed. `summary` is what was done; with `exit_code` 4 another try may help, with 1 (found) and 2 none does."""

    def __init__(self, message: str, summary: Mapping[str, Any], exit_code: int) -> None:
        super().__init__(message)
        self.summary, self.exit_code = summary, exit_code


def check_fail_on(fail_on: str) -> None:
    """Raises `InputError` for anything that is not in `FailOn`."""
    if fail_on not in get_args(FailOn):
        raise InputError(f"fail_on: got {fail_on!r}; allowed: {', '.join(get_args(FailOn))}.")
