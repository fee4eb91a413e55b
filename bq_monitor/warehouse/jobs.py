"""Query and load jobs: begun under ids of our own, waited for until the deadline, cancelled there, tried again where that helps.

A job id made from a key is a compare-and-set: the service takes each id once. Who comes second gets 409 and attaches to the
first one's job; the id of a failed job is spent, and the work goes on under the next attempt's id.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bq_monitor.warehouse.base import JobStats, Terms
from bq_monitor.warehouse.refusals import Cause, Refusal, deadline_error, refusal_of, spent_error
from bq_monitor.warehouse.schema import TABLES

if TYPE_CHECKING:
    from google.cloud import bigquery

MAX_ATTEMPTS = 1 << 16
"""Ids of one key; the first that is not spent is found by doubling and halving."""
TRIES_PER_RUN = 4
"""How often one run begins the same work anew after failures that may pass."""
REQUEST_SECONDS = 60.0
"""How long one request may stay without an answer."""
ROWS_PER_PAGE = 500
"""Rows that the service sends at a time: the client holds two pages as JSON, of which a histogram takes about 100 kB."""
_FIRST_WAIT_SECONDS = 1.0
_NOT_IN_LABEL = re.compile(r"[^a-z0-9_-]")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Call:
    """What a job is begun with: its id and labels, and how the client repeats the request."""

    job_id: str
    labels: Mapping[str, str]
    retry: Any
    timeout: float


Begin = Callable[[Call], Any]
"""Begins a job and returns it; raises the client's Conflict when its id exists."""


class Jobs:
    """The jobs of one run in one dataset. Every method raises `WarehouseError` or one of its kinds, with a remedy."""

    def __init__(self, client: bigquery.Client, project: str, dataset: str, location: str | None) -> None:
        self.client, self.project, self.dataset, self.location = client, project, dataset, location
        self.begin(Terms())

    def begin(self, terms: Terms) -> None:
        """Start a run: its deadline begins now, what it spends is counted from zero."""
        self.terms, self.spent = terms, JobStats()
        self._until = time.monotonic() + terms.deadline_seconds

    def run(self, step: str, begin: Begin, *, key: str | None = None, take: Callable[[Any], _Answer]) -> _Answer:
        """Run one job to its end and return what `take` makes of its rows; the module says what a key does."""
        for n in range(1, TRIES_PER_RUN + 1):
            job = None
            try:
                job = self._begin(step, begin, key)
                answer = take(self._result(step, job))
            except _client_errors() as error:
                refusal = self._refusal(step, error, job)
            else:
                costs = (
                    getattr(job, name, None) for name in ("total_bytes_processed", "total_bytes_billed", "slot_millis")
                )
                self.spent += JobStats(*costs)  # a load costs nothing
                return answer
            if refusal.cause is not Cause.TRANSIENT or n == TRIES_PER_RUN:
                break
            time.sleep(min(self.remaining(step), _FIRST_WAIT_SECONDS * 2 ** (n - 1) * random.uniform(0.5, 1.5)))  # noqa: S311 - no secret
        raise refusal.error()

    def ask(self, step: str, request: Callable[[], _Answer]) -> _Answer:
        """One request that is no job; what the service refuses becomes an error that says what to do."""
        self.remaining(step)
        try:
            return request()
        except _client_errors() as error:
            refusal = self._refusal(step, error, None)
        raise refusal.error()

    def remaining(self, step: str) -> float:
        """Seconds until the deadline of the run; raises `DeadlineError` when it is over."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise deadline_error(step, self.terms.deadline_seconds)
        return left

    def retry(self, step: str) -> Any:
        """How the client repeats a request that the service could not take: at most until the deadline."""
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.remaining(step))

    def labels(self, step: str) -> dict[str, str]:
        """What every job says of itself, so that costs can be told apart."""
        said = {"application": "bq-monitor", "step": step, **self.terms.labels}
        return {name: label_value(value) for name, value in said.items()}

    def _call(self, step: str, job_id: str) -> Call:
        left = self.remaining(step)
        return Call(job_id, self.labels(step), self.retry(step), min(left, REQUEST_SECONDS))

    def _begin(self, step: str, begin: Begin, key: str | None) -> Any:
        """Begin a job. With a key, the id says what it does: where it exists it is attached to, unless it is spent."""
        from google.api_core.exceptions import Conflict

        if key is None:
            key = uuid.uuid4().hex
        attempt = 0
        while attempt < MAX_ATTEMPTS:
            try:
                return begin(self._call(step, self._job_id(key, attempt)))
            except Conflict:
                job = self._job(step, key, attempt)
                if job is not None and not self._is_spent(job):
                    return job
            attempt = self._after_spent(step, key, attempt)
        raise spent_error(step, self._job_id(key, attempt - 1))

    def _after_spent(self, step: str, key: str, spent: int) -> int:
        """The first attempt after a spent one that is not spent too; spent ids have no gap between them."""
        free, stride = spent + 1, 1
        while (job := self._job(step, key, free)) is not None and self._is_spent(job):
            spent, stride = free, 2 * stride
            free = spent + stride
        while free - spent > 1:
            middle = (spent + free) // 2
            job = self._job(step, key, middle)
            if job is not None and self._is_spent(job):
                spent = middle
            else:
                free = middle
        return free

    def _job(self, step: str, key: str, attempt: int) -> Any | None:
        from google.api_core.exceptions import NotFound

        try:
            return self.client.get_job(
                self._job_id(key, attempt), location=self._where(), retry=self.retry(step), timeout=REQUEST_SECONDS
            )
        except NotFound:
            return None

    def _job_id(self, key: str, attempt: int) -> str:
        """Ids are unique in a project: the dataset is part of them, so that two monitored datasets never share a job."""
        return f"bq-monitor-{_NOT_IN_LABEL.sub('-', key.lower())}-{self.dataset}-{attempt}"

    def _where(self) -> str | None:
        """Where our jobs run; outside US and EU a job is only found with its location."""
        if self.location is None:
            self.location = self.client.get_dataset(f"{self.project}.{self.dataset}").location
        return self.location

    def _is_spent(self, job: Any) -> bool:
        """Whether a job failed, or wrote into tables that were dropped since: its rows are gone."""
        return bool(job.state == "DONE" and (job.error_result or self._is_older_than_tables(job)))

    def _is_older_than_tables(self, job: Any) -> bool:
        own = {table.name for table in TABLES}
        listed = self.client.list_tables(f"{self.project}.{self.dataset}")
        created = [item.created for item in listed if item.table_id in own and item.created]
        return bool(created) and bool(job.created < max(created))

    def _result(self, step: str, job: Any) -> Any:
        options = {"timeout": self.remaining(step), "retry": self.retry(step)}
        if job.job_type == "load":
            return job.result(**options)
        options["retry"] = self._retry_of(step, job)
        return job.result(**options, job_retry=None, page_size=ROWS_PER_PAGE)

    def _retry_of(self, step: str, job: Any) -> Any:
        """How a request for rows is repeated: not once the job has failed, whose error is the answer to every further request."""

        def is_of_the_request(error: Exception) -> bool:
            if refusal_of(error, step).cause is not Cause.TRANSIENT:
                return False
            if time.monotonic() >= self._until:
                return True  # and ends, as its own time is over too
            job.reload(retry=self.retry(step), timeout=REQUEST_SECONDS)
            return job.error_result is None

        return self.retry(step).with_predicate(is_of_the_request)

    def _refusal(self, step: str, error: BaseException, job: Any | None) -> Refusal:
        """What an exception of the client means; at the deadline the job is cancelled and the run is over."""
        from google.api_core.exceptions import RetryError

        is_over = isinstance(error, RetryError) or time.monotonic() >= self._until  # its retries end at the deadline
        if not is_over:
            return refusal_of(error, step)
        if job is not None:
            self._cancel(job)
        raise deadline_error(step, self.terms.deadline_seconds) from None

    def _cancel(self, job: Any) -> None:
        """Ask the service to stop a job; whether it did, the next run sees by the job's id."""
        from google.cloud.bigquery import DEFAULT_RETRY

        try:
            self.client.cancel_job(job.job_id, location=job.location, retry=DEFAULT_RETRY.with_timeout(5), timeout=5)
        except _client_errors():
            return


def label_value(text: str) -> str:
    """Text as a BigQuery label value: lower case, at most 63 of letters, digits, '-' and '_'."""
    return _NOT_IN_LABEL.sub("-", text.lower())[:63]


def _client_errors() -> tuple[type[Exception], ...]:
    """What the client raises for refusals, and for connections that break (all of requests' errors are OSErrors)."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    return (GoogleAPIError, GoogleAuthError, OSError)
