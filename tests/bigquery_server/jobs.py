"""Query and load jobs: begun, waited for, cancelled, asked for their rows. Each runs in a thread of its own."""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.bigquery_server.catalog import Outcome
from tests.bigquery_server.engine import Engine
from tests.bigquery_server.errors import ServiceError, duplicate, invalid, invalid_query, not_found, scripted, stopped
from tests.bigquery_server.faults import Faults
from tests.bigquery_server.loads import parse_load
from tests.bigquery_server.values import Json, cell, parameter

MB = 1 << 20
MIN_BILLED_BYTES = 10 * MB
MAX_PARAMETERS = 10_000
MULTI_REGIONS = ("US", "EU")
_FAST_JOB_SECONDS = 0.3
_MAX_WAIT_SECONDS = 10.0
_TABLE = re.compile(r"`?([\w-]+)`?\.`?(\w+)`?\.`?(\w+)`?")


def billed(size: int) -> int:
    """Bytes billed: whole MB, at least 10 (a statement that reads nothing is free)."""
    return max(MIN_BILLED_BYTES, -(-size // MB) * MB) if size else 0


@dataclass
class Job:
    """A query or load job. `data` is what was uploaded for it; `halted` ends its waits."""

    id: str
    project: str
    location: str
    config: Json
    created_ms: int
    data: bytes | None = None
    ended_ms: int | None = None
    outcome: Outcome | None = None
    error: ServiceError | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    halted: threading.Event = field(default_factory=threading.Event)

    @property
    def kind(self) -> str:
        return "load" if "load" in self.config else "query"

    @property
    def step(self) -> str:
        """The label `step`."""
        return str(self.config.get("labels", {}).get("step", ""))

    @property
    def sql(self) -> str:
        return str(self.config.get("query", {}).get("query", ""))

    def resource(self) -> Json:
        statistics: Json = {"creationTime": str(self.created_ms), "startTime": str(self.created_ms)}
        status: Json = {"state": "DONE" if self.finished.is_set() else "RUNNING"}
        if self.ended_ms is not None:
            statistics["endTime"] = str(self.ended_ms)
        if self.finished.is_set() and self.error:
            status |= {"errorResult": self.error.result(), "errors": self.error.results()}
        if self.finished.is_set() and self.outcome:
            statistics |= self._load_statistics() if self.kind == "load" else _query_statistics(self.outcome)
        return {
            "kind": "bigquery#job", "id": f"{self.project}:{self.location}.{self.id}", "jobReference": self.reference(),
            "configuration": {**self.config, "jobType": self.kind.upper()}, "status": status, "statistics": statistics,
        }  # fmt: skip

    def reference(self) -> Json:
        return {"projectId": self.project, "jobId": self.id, "location": self.location}

    def _load_statistics(self) -> Json:
        assert self.outcome is not None
        size = str(len(self.data or b""))
        rows = str(self.outcome.affected)
        return {"load": {"inputFiles": "1", "inputFileBytes": size, "outputRows": rows, "outputBytes": size}}


def _query_statistics(outcome: Outcome) -> Json:
    size = outcome.bytes_processed
    details: Json = {
        "totalBytesProcessed": str(size), "totalBytesBilled": str(billed(size)), "totalSlotMs": "7",
        "statementType": outcome.kind, "cacheHit": False,
    }  # fmt: skip
    if outcome.affected is not None:
        details["numDmlAffectedRows"] = str(outcome.affected)
    return {"query": details, "totalBytesProcessed": str(size), "totalSlotMs": "7"}


@dataclass(frozen=True)
class _Control:
    """A job on its way through the engine: the script of the test, and whether it was cancelled."""

    job: Job
    faults: Faults

    def before(self, text: str) -> None:
        for action in self.faults.take(text):
            if callable(action):
                action()
            elif action.startswith("slow"):
                self.job.halted.wait(float(action.split()[1]))
            else:
                raise scripted(action, text, self._table(text))

    def check(self) -> None:
        if self.job.halted.is_set():
            raise stopped()

    def _table(self, text: str) -> str:
        match = _TABLE.search(text) or _TABLE.search(self.job.sql)
        return f"{match[1]}:{match[2]}.{match[3]}" if match else ""


class Jobs:
    """The jobs of the service by id; an id is taken once, for ever."""

    def __init__(self, engine: Engine, faults: Faults, location: str) -> None:
        self.engine, self.faults, self.location = engine, faults, location
        self.by_id: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def halt(self) -> None:
        """Stop what waits."""
        for job in list(self.by_id.values()):
            job.halted.set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def insert(self, project: str, body: Json, data: bytes | None = None) -> Json:
        """Begin a job, and wait for it briefly; a dry run is only estimated."""
        reference, config = body.get("jobReference", {}), body["configuration"]
        self.engine.access.check("bigquery.jobs.create", project)
        _check_config(config, data)
        location = reference.get("location") or self._home(config) or self.location
        job = Job(
            reference.get("jobId") or uuid.uuid4().hex, project, location, config, self.engine.now_ms(), data,
        )  # fmt: skip
        if config.get("dryRun"):
            job.outcome = self._estimate(job)
            job.finished.set()
            return job.resource()
        with self._lock:
            if job.id in self.by_id:
                raise duplicate(f"Job {project}:{location}.{job.id}")
            self.by_id[job.id] = job
            thread = threading.Thread(target=self._work, args=(job,))
            self._threads.append(thread)
            thread.start()
        job.finished.wait(_FAST_JOB_SECONDS)
        return job.resource()

    def get(self, project: str, job_id: str, location: str | None) -> Job:
        """A job; one of a region is only found with its location."""
        job = self.by_id.get(job_id)
        is_near = job is not None and (location == job.location or (location is None and job.location in MULTI_REGIONS))
        if job is None or not is_near:
            raise not_found(f"Job {project}:{location + '.' if location else ''}{job_id}")
        return job

    def cancel(self, project: str, job_id: str, location: str | None) -> Json:
        """Ask a job to stop: one that waits does at once, one that is done stays as it is."""
        job = self.get(project, job_id, location)
        job.halted.set()
        return {"kind": "bigquery#jobCancelResponse", "job": job.resource()}

    def results(self, project: str, job_id: str, query: dict[str, str], page_rows: int) -> Json:
        """The rows of a query, a page at a time; waits for the job."""
        job = self.get(project, job_id, query.get("location"))
        wait = float(query.get("timeoutMs", "10000")) / 1000
        answer: Json = {
            "kind": "bigquery#getQueryResultsResponse",
            "jobReference": job.reference(),
            "jobComplete": True,
        }
        if not job.finished.wait(min(wait, _MAX_WAIT_SECONDS)):
            return {**answer, "jobComplete": False}
        if job.error:
            raise job.error
        assert job.outcome is not None
        if job.outcome.schema is not None:
            return {**answer, **_page(job.outcome, query, page_rows)}
        return (
            {**answer, "numDmlAffectedRows": str(job.outcome.affected)} if job.outcome.affected is not None else answer
        )

    def _home(self, config: Json) -> str | None:
        """Where a job runs that names no location: where its tables lie."""
        if "load" in config:
            target = config["load"]["destinationTable"]
            return self.engine.datasets.get(f"{target['projectId']}.{target['datasetId']}")
        return self.engine.home(config["query"]["query"])

    def _work(self, job: Job) -> None:
        control = _Control(job, self.faults)
        try:
            if job.kind == "load":
                load = parse_load(job.config["load"])
                job.outcome = self.engine.load_rows(load, job.data or b"", control, job.location)
            else:
                self._check_cap(job)
                job.outcome = self.engine.run(*_asked(job.config), control, job.location)
        except ServiceError as error:
            job.error = error
        except Exception as error:
            job.error = invalid_query(f"stand-in: {type(error).__name__}: {error}")
        finally:
            job.ended_ms = self.engine.now_ms()
            job.finished.set()

    def _check_cap(self, job: Job) -> None:
        cap = job.config["query"].get("maximumBytesBilled")
        if cap is None:
            return
        needed = billed(self._estimate(job).bytes_processed)
        if needed > int(cap):
            message = f"Query exceeded limit for bytes billed: {cap}. {needed} or higher required."
            raise ServiceError(400, "bytesBilledLimitExceeded", message)

    def _estimate(self, job: Job) -> Outcome:
        return self.engine.estimate(*_asked(job.config), job.location)


def _page(outcome: Outcome, query: dict[str, str], page_rows: int) -> Json:
    assert outcome.schema is not None
    start = int(query.get("pageToken") or query.get("startIndex") or 0)
    asked = query.get("maxResults")
    stop = start + (page_rows if asked is None else min(int(asked), page_rows))
    micros = query.get("formatOptions.useInt64Timestamp", "").lower() == "true"
    rows = [
        {"f": [cell(item, value, micros=micros) for item, value in zip(outcome.schema, row, strict=True)]}
        for row in outcome.rows[start:stop]
    ]
    page: Json = {"schema": {"fields": outcome.schema}, "totalRows": str(len(outcome.rows))}
    page |= {"totalBytesProcessed": str(outcome.bytes_processed)}
    if rows:
        page["rows"] = rows
    if asked != "0" and stop < len(outcome.rows):
        page["pageToken"] = str(stop)
    return page


def _check_config(config: Json, data: bytes | None) -> None:
    """Numbers travel as texts of digits; what a job loads comes with it."""
    if "load" in config:
        if data is None:
            raise invalid("stand-in: only uploads are loaded")
        return
    cap = config["query"].get("maximumBytesBilled", "0")
    if not str(cap).isdigit():
        place = "job.configuration.query.maximum_bytes_billed.value"
        raise invalid(f"Invalid value at '{place}' (TYPE_INT64), \"{cap}\"")
    if len(config["query"].get("queryParameters", [])) > MAX_PARAMETERS:
        raise invalid_query(f"Too many query parameters: at most {MAX_PARAMETERS}")


def _asked(config: Json) -> tuple[str, dict[str, Any]]:
    query = config["query"]
    return query["query"], dict(parameter(item) for item in query.get("queryParameters", []))
