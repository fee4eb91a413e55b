"""The REST API over HTTP on the loopback interface, as the real client uses it: datasets, tables, query jobs and their results.

Jobs run in threads of their own: an answer to `jobs.insert` waits for them only briefly. What the stand-in keeps of the
service: a job id is taken once, for ever; a job of a regional location is found only with that location; each query is billed
at least 10 MB; a request has at most 10 MB, a text 1024 K characters.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from tests.bigquery_server.engine import Engine, Entity, Outcome, listed
from tests.bigquery_server.errors import SCRIPTED, ServiceError, duplicate, invalid_query, not_found
from tests.bigquery_server.faults import Faults
from tests.bigquery_server.values import Json, cell, parameter

MB = 1 << 20
MIN_BILLED_BYTES = 10 * MB
MAX_REQUEST_BYTES = 10 * MB
MAX_PARAMETERS = 10_000
MULTI_REGIONS = ("US", "EU")
_FAST_JOB_SECONDS = 0.3
_MAX_WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Request:
    """One line of the log."""

    method: str
    path: str
    job_id: str = ""
    sql: str = ""
    dry_run: bool = False
    params: Json = field(default_factory=dict)
    size: int = 0


@dataclass
class Job:
    """A query job."""

    id: str
    project: str
    location: str
    config: Json
    created_ms: int
    outcome: Outcome | None = None
    error: ServiceError | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    def resource(self) -> Json:
        query = dict(self.config["query"])
        statistics: Json = {"creationTime": str(self.created_ms), "startTime": str(self.created_ms)}
        status: Json = {"state": "DONE" if self.finished.is_set() else "RUNNING"}
        if self.finished.is_set():
            statistics["endTime"] = str(time.time_ns() // 1_000_000)
        if self.error:
            status |= {"errorResult": self.error.result(), "errors": [self.error.result()]}
        if self.outcome:
            size = self.outcome.bytes_processed
            details: Json = {
                "totalBytesProcessed": str(size), "totalBytesBilled": str(billed(size)), "totalSlotMs": "7",
                "statementType": self.outcome.kind, "cacheHit": False,
            }  # fmt: skip
            if self.outcome.affected is not None:
                details["numDmlAffectedRows"] = str(self.outcome.affected)
            statistics |= {"query": details, "totalBytesProcessed": str(size), "totalSlotMs": "7"}
        return {
            "kind": "bigquery#job", "id": f"{self.project}:{self.location}.{self.id}", "jobReference": self.reference(),
            "configuration": {**self.config, "jobType": "QUERY", "query": query}, "status": status, "statistics": statistics,
        }  # fmt: skip

    def reference(self) -> Json:
        return {"projectId": self.project, "jobId": self.id, "location": self.location}


def billed(size: int) -> int:
    """Bytes billed: whole MB, at least 10 (a statement that reads nothing is free)."""
    return max(MIN_BILLED_BYTES, -(-size // MB) * MB) if size else 0


class Server:
    """The stand-in. Use `with serve() as server`; `engine` holds the tables, `log` what was asked, `faults` what goes wrong."""

    def __init__(self, location: str = "US") -> None:
        self.location = location
        self.faults = Faults()
        self.engine = Engine(self._before_statement)
        self.jobs: dict[str, Job] = {}
        self.log: list[Request] = []
        self.page_rows = 10_000
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.service = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        self._serving = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._serving.start()

    def close(self) -> None:
        self._http.shutdown()
        self._serving.join()
        self._http.server_close()
        for thread in self._threads:
            thread.join()
        self.engine.close()

    def queries(self, containing: str = "") -> list[Request]:
        """The query jobs that were inserted (not the dry runs), in order."""
        return [
            item for item in self.log if item.method == "jobs.insert" and not item.dry_run and containing in item.sql
        ]

    def _before_statement(self, text: str) -> None:
        for action in self.faults.take(text):
            if action.startswith("slow"):
                time.sleep(float(action.split()[1]))
            else:
                raise SCRIPTED[action]

    # --- the methods of the API ---

    def datasets_get(self, project: str, dataset: str) -> Json:
        name = f"{project}.{dataset}"
        if name not in self.engine.datasets:
            raise not_found(f"Dataset {project}:{dataset}")
        reference = {"projectId": project, "datasetId": dataset}
        return {
            "kind": "bigquery#dataset", "id": f"{project}:{dataset}", "datasetReference": reference,
            "location": self.engine.datasets[name],
        }  # fmt: skip

    def datasets_insert(self, project: str, body: Json) -> Json:
        dataset = body["datasetReference"]["datasetId"]
        self.engine.create_dataset(f"{project}.{dataset}", body.get("location", self.location))
        return self.datasets_get(project, dataset)

    def tables_get(self, project: str, dataset: str, table: str) -> Json:
        name = f"{project}.{dataset}.{table}"
        fields = self.engine.schema(name)
        entity = self.engine.entities[name]
        made = {
            **_table_head(project, dataset, table, entity),
            "schema": {"fields": fields},
            "description": entity.description,
        }
        if entity.query is not None:
            made["view"] = {"query": entity.query, "useLegacySql": False}
        return made

    def tables_list(self, project: str, dataset: str) -> Json:
        found = listed(self.engine, f"{project}.{dataset}")
        tables = [_table_head(project, dataset, name, entity) for name, entity in found]
        return {"kind": "bigquery#tableList", "tables": tables, "totalItems": len(tables)}

    def jobs_insert(self, project: str, body: Json) -> Json:
        reference, config = body.get("jobReference", {}), body["configuration"]
        location = reference.get("location") or self.location
        _check_config(config)
        job = Job(reference.get("jobId", ""), project, location, config, time.time_ns() // 1_000_000)
        if config.get("dryRun"):
            job.outcome = self._estimate(config)
            job.finished.set()
            return job.resource()
        with self._lock:
            if job.id in self.jobs:
                raise duplicate(f"Job {project}:{location}.{job.id}")
            self.jobs[job.id] = job
        thread = threading.Thread(target=self._work, args=(job,))
        self._threads.append(thread)
        thread.start()
        job.finished.wait(_FAST_JOB_SECONDS)
        return job.resource()

    def jobs_get(self, project: str, job_id: str, location: str | None) -> Json:
        return self._job(project, job_id, location).resource()

    def jobs_cancel(self, project: str, job_id: str, location: str | None) -> Json:
        """Accepted; a job that runs goes on, as the service may also let it."""
        return {"kind": "bigquery#jobCancelResponse", "job": self._job(project, job_id, location).resource()}

    def jobs_results(self, project: str, job_id: str, query: dict[str, str]) -> Json:
        job = self._job(project, job_id, query.get("location"))
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
        if job.outcome.schema is None:
            return (
                {**answer, "numDmlAffectedRows": str(job.outcome.affected)}
                if job.outcome.affected is not None
                else answer
            )
        return {**answer, **self._page(job.outcome, query)}

    def _page(self, outcome: Outcome, query: dict[str, str]) -> Json:
        assert outcome.schema is not None
        start = int(query.get("pageToken") or query.get("startIndex") or 0)
        stop = start + min(int(query.get("maxResults", self.page_rows)), self.page_rows)
        micros = query.get("formatOptions.useInt64Timestamp", "").lower() == "true"
        rows = [
            {"f": [cell(item, value, micros=micros) for item, value in zip(outcome.schema, row, strict=True)]}
            for row in outcome.rows[start:stop]
        ]
        page: Json = {"schema": {"fields": outcome.schema}, "totalRows": str(len(outcome.rows))}
        page |= {"totalBytesProcessed": str(outcome.bytes_processed)}
        if rows:
            page["rows"] = rows
        if start < stop < len(outcome.rows):
            page["pageToken"] = str(stop)
        return page

    def _job(self, project: str, job_id: str, location: str | None) -> Job:
        job = self.jobs.get(job_id)
        is_near = job is not None and (location == job.location or (location is None and job.location in MULTI_REGIONS))
        if job is None or not is_near:
            raise not_found(f"Job {project}:{location + '.' if location else ''}{job_id}")
        return job

    def _work(self, job: Job) -> None:
        try:
            cap = job.config["query"].get("maximumBytesBilled")
            if cap is not None:
                needed = billed(self._estimate(job.config).bytes_processed)
                if needed > int(cap):
                    message = f"Query exceeded limit for bytes billed: {cap}. {needed} or higher required."
                    raise ServiceError(400, "bytesBilledLimitExceeded", message)
            job.outcome = self.engine.run(*_asked(job.config))
        except ServiceError as error:
            job.error = error
        except Exception as error:
            job.error = invalid_query(f"stand-in: {type(error).__name__}: {error}")
        finally:
            job.finished.set()

    def _estimate(self, config: Json) -> Outcome:
        return self.engine.estimate(*_asked(config))


def _check_config(config: Json) -> None:
    """Numbers travel as texts of digits."""
    cap = config["query"].get("maximumBytesBilled", "0")
    if not str(cap).isdigit():
        place = "job.configuration.query.maximum_bytes_billed.value"
        raise ServiceError(400, "invalid", f"Invalid value at '{place}' (TYPE_INT64), \"{cap}\"")
    if len(config["query"].get("queryParameters", [])) > MAX_PARAMETERS:
        raise invalid_query(f"Too many query parameters: at most {MAX_PARAMETERS}")


def _asked(config: Json) -> tuple[str, dict[str, Any]]:
    query = config["query"]
    return query["query"], dict(parameter(item) for item in query.get("queryParameters", []))


def _table_head(project: str, dataset: str, table: str, entity: Entity) -> Json:
    made: Json = {
        "kind": "bigquery#table", "id": f"{project}:{dataset}.{table}", "type": entity.kind, "creationTime": str(entity.created_ms),
        "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
    }  # fmt: skip
    if entity.partition:
        made["timePartitioning"] = {"type": "DAY", "field": entity.partition}
    if entity.cluster:
        made["clustering"] = {"fields": entity.cluster}
    return made


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        pass

    def _answer(self, verb: str) -> None:
        service = cast(Server, self.server.service)  # type: ignore[attr-defined]
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        try:
            request, call = _route(service, verb, split.path, query, json.loads(raw) if raw else {})
            service.log.append(replace(request, size=len(raw)))
            if len(raw) > MAX_REQUEST_BYTES:
                raise ServiceError(
                    400, "badRequest", f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes."
                )
            actions = service.faults.take(f"{request.method} {request.job_id} {request.sql}")
            self._suffer(actions, "before")
            answer = call()
            self._suffer([action for action in actions if not action.startswith("slow")], "after")
            self._send(200, answer)
        except ServiceError as error:
            self._send(error.code, error.body())
        except _Dropped:
            self.close_connection = True

    def _suffer(self, actions: list[str], when: str) -> None:
        for action in actions:
            what, _, at = action.partition(" ")
            if what == "slow":
                time.sleep(float(at))
            elif at == when and what == "drop":
                raise _Dropped
            elif at == when:
                raise SCRIPTED[what]

    def _send(self, code: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Dropped(Exception):  # noqa: N818 - no error of the service
    """The connection is to break without an answer."""


_PATHS = {
    "datasets": re.compile(r"/bigquery/v2/projects/([^/]+)/datasets"),
    "dataset": re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)"),
    "tables": re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables"),
    "table": re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)"),
    "jobs": re.compile(r"/bigquery/v2/projects/([^/]+)/jobs"),
    "job": re.compile(r"/bigquery/v2/projects/([^/]+)/jobs/([^/]+)"),
    "cancel": re.compile(r"/bigquery/v2/projects/([^/]+)/jobs/([^/]+)/cancel"),
    "results": re.compile(r"/bigquery/v2/projects/([^/]+)/queries/([^/]+)"),
}


def _route(
    service: Server, verb: str, path: str, query: dict[str, str], body: Json
) -> tuple[Request, Callable[[], Json]]:
    """What a request is, and the call that answers it."""
    kind, match = next(
        ((kind, match) for kind, pattern in _PATHS.items() if (match := pattern.fullmatch(path))), ("", None)
    )
    if match is None:
        raise not_found(f"path {path}")
    names = match.groups()
    reference, config = body.get("jobReference", {}), body.get("configuration", {})
    sql, dry_run = config.get("query", {}).get("query", ""), bool(config.get("dryRun"))
    job_id = reference.get("jobId", "") if kind == "jobs" else names[1] if kind in ("job", "cancel", "results") else ""
    routes: dict[tuple[str, str], tuple[str, Callable[[], Json]]] = {
        ("GET", "dataset"): ("datasets.get", lambda: service.datasets_get(*names)),
        ("POST", "datasets"): ("datasets.insert", lambda: service.datasets_insert(names[0], body)),
        ("GET", "tables"): ("tables.list", lambda: service.tables_list(*names)),
        ("GET", "table"): ("tables.get", lambda: service.tables_get(*names)),
        ("POST", "jobs"): ("jobs.insert", lambda: service.jobs_insert(names[0], body)),
        ("GET", "job"): ("jobs.get", lambda: service.jobs_get(names[0], names[1], query.get("location"))),
        ("POST", "cancel"): ("jobs.cancel", lambda: service.jobs_cancel(names[0], names[1], query.get("location"))),
        ("GET", "results"): ("jobs.getQueryResults", lambda: service.jobs_results(names[0], names[1], query)),
    }
    if (verb, kind) not in routes:
        raise not_found(f"{verb} {path}")
    method, call = routes[verb, kind]
    return Request(method, path, job_id, sql, dry_run, config or query), call


@contextmanager
def serve(location: str = "US") -> Iterator[Server]:
    """A running stand-in."""
    server = Server(location)
    server.start()
    try:
        yield server
    finally:
        server.close()
