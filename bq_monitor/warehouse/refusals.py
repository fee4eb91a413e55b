"""What BigQuery refuses, sorted by whose turn it is: one table of reasons, and for each cause the error that says what to do.

Source of the reasons: the service's page "Error messages" (https://cloud.google.com/bigquery/docs/error-messages). Where the
service gives no reason of its own (a transaction cancelled for another's sake), its words are read, here and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from bq_monitor.errors import (
    AccessError,
    BudgetError,
    DeadlineError,
    StatementError,
    TableNotFoundError,
    WarehouseError,
)
from bq_monitor.warehouse.access import remedy_for


class Cause(Enum):
    """Whose turn it is after a refusal."""

    TRANSIENT = "the service could not now: the same work is tried again, as a new job"
    SPENT = "a job of this id failed before: the work is tried under the next id"
    OURS = "bq-monitor asked wrongly: a fault to report"
    THEIRS = "a table, a setting or a quota is not as the configuration needs it"
    BUDGET = "the work would cost more than is allowed"
    PERMISSION = "who runs this may not"


_CAUSES: dict[str, Cause] = {
    **dict.fromkeys(
        ["backendError", "internalError", "jobBackendError", "jobInternalError", "rateLimitExceeded", "jobRateLimitExceeded",
         "tableUnavailable", "badGateway", "timeout", "stopped"], Cause.TRANSIENT,
    ),
    **dict.fromkeys(
        ["notFound", "quotaExceeded", "resourcesExceeded", "resourceInUse", "invalid", "duplicate", "billingNotEnabled", "blocked",
         "responseTooLarge"], Cause.THEIRS,
    ),
    **dict.fromkeys(["bytesBilledLimitExceeded", "billingTierLimitExceeded"], Cause.BUDGET),
    **dict.fromkeys(["accessDenied", "forbidden", "required"], Cause.PERMISSION),
}  # fmt: skip
_OF_STATUS = {
    401: Cause.PERMISSION,
    403: Cause.PERMISSION,
    404: Cause.THEIRS,
    408: Cause.TRANSIENT,
    429: Cause.TRANSIENT,
}
_CANCELLED_TRANSACTION = re.compile(
    r"could not serialize access|concurrent update|concurrent transaction", re.IGNORECASE
)
_USERS_STEPS = ("scan/", "reference/")
_MAX_SAID = 300


@dataclass(frozen=True)
class Refusal:
    """One refusal: its cause, the service's reason and words, and the step that met it."""

    step: str
    cause: Cause
    reason: str
    said: str

    def error(self) -> WarehouseError:
        """The error that a user sees: place, problem, what to do."""
        if self.reason == "notFound":
            return TableNotFoundError(
                f"{self.step}: not found: {self.said.removeprefix('Not found: ')}. Check the name and location; a dataset is "
                "made by terraform or 'bq mk --dataset', our own tables by 'bq-monitor init'."
            )
        if self.cause is Cause.PERMISSION:
            return AccessError(f"{self.step}: no access: {self.said}. {remedy_for(self.said)}")
        if self.cause is Cause.BUDGET:
            return BudgetError(
                f"{self.step}: over budget.max_bytes_per_run: {self.said}. Nothing was billed; raise the budget, or read less."
            )
        kind = StatementError if self.cause is Cause.OURS and self.reason == "invalidQuery" else WarehouseError
        return kind(f"{self.step}: {self.said}. {self._remedy()}")

    def _remedy(self) -> str:
        if self.reason == "quotaExceeded":
            return "This is a quota of the project: run again later, or have it raised."
        if self.reason == "resourcesExceeded":
            return "Monitor fewer features or shorter windows, or give the project more slots."
        if self.cause is Cause.TRANSIENT:
            return "It was tried again without success; run again: finished steps are kept."
        if self.cause is Cause.OURS:
            return "This is a fault of bq-monitor; please report it with the job."
        return "'bq-monitor validate' compares the configuration with the tables; correct what it names."


def refusal_of(error: BaseException, step: str) -> Refusal:
    """An exception of the client, sorted. `step` is the statement's name, such as `scan/histograms`."""
    from google.auth.exceptions import GoogleAuthError

    details = (getattr(error, "errors", None) or [{}])[0]
    said = str(details.get("message") or getattr(error, "message", None) or error)
    if isinstance(error, GoogleAuthError):
        told = "no credentials: " + one_line(said, error)
        return Refusal(step, Cause.PERMISSION, "credentials", told)
    reason = str(details.get("reason") or "")
    return Refusal(step, _cause(error, step, reason, said), _named(error, reason), one_line(said, error))


def deadline_error(step: str, seconds: float) -> DeadlineError:
    """The error of a run whose time is over."""
    return DeadlineError(
        f"{step}: no answer within {seconds:.0f} s, the deadline of the run; what still ran was cancelled. "
        "Run again: finished steps are kept. If it recurs, raise budget.deadline."
    )


def spent_error(step: str, job_id: str) -> WarehouseError:
    """The error of work whose every id is used up."""
    return WarehouseError(f"{step}: failed too often before; look at job {job_id}, then change what it complains of.")


def _cause(error: BaseException, step: str, reason: str, said: str) -> Cause:
    if _CANCELLED_TRANSACTION.search(said):
        return Cause.TRANSIENT
    if reason == "invalidQuery":
        return Cause.THEIRS if step.startswith(_USERS_STEPS) else Cause.OURS
    if reason in _CAUSES:
        return _CAUSES[reason]
    status = getattr(error, "code", None)
    if not isinstance(status, int):  # no answer at all: the connection broke, or nobody answered
        return Cause.TRANSIENT
    return Cause.TRANSIENT if status >= 500 else _OF_STATUS.get(status, Cause.OURS)


def _named(error: BaseException, reason: str) -> str:
    return reason or ("notFound" if getattr(error, "code", None) == 404 else "")


def one_line(said: str, error: BaseException) -> str:
    """What the service says, in one line, and the job that it says it of."""
    told = " ".join(said.split())[:_MAX_SAID].rstrip(".") or type(error).__name__
    job = getattr(error, "query_job", None)
    return f"{told} (job {job.job_id})" if job is not None else told
