"""HTTP: which method of the API a request means, and the faults that it meets on the way."""

from __future__ import annotations

import json
import re
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from tests.bigquery_server.errors import SCRIPTED, ServiceError, not_found
from tests.bigquery_server.faults import Action
from tests.bigquery_server.uploads import Answer, parse_multipart
from tests.bigquery_server.values import Json

if TYPE_CHECKING:
    from tests.bigquery_server.server import Server

MAX_REQUEST_BYTES = 10 << 20
_PROJECT = r"/bigquery/v2/projects/([^/]+)"
_DATASET = _PROJECT + r"/datasets/([^/]+)"
_TABLE = _DATASET + r"/tables/([^/:]+)"
_JOB = _PROJECT + r"/jobs/([^/]+)"
_UPLOAD = "/upload" + _PROJECT + "/jobs"
_HANG_STEP_SECONDS = 0.02


@dataclass(frozen=True)
class Request:
    """One line of the log. `kind` is 'query' or 'load' for a job, '' for anything else."""

    method: str
    path: str
    job_id: str = ""
    sql: str = ""
    dry_run: bool = False
    params: Json = field(default_factory=dict)
    size: int = 0
    kind: str = ""


@dataclass
class Exchange:
    """A request as it came: `names` are the parts of its path."""

    method: str
    path: str
    names: Any
    query: dict[str, str]
    headers: Any
    raw: bytes
    body: Json

    @property
    def is_upload(self) -> bool:
        return self.method == "jobs.upload"

    def request(self) -> Request:
        """What the log says of it."""
        config = self.body.get("configuration", {})
        sql, dry_run = config.get("query", {}).get("query", ""), bool(config.get("dryRun"))
        kind = next((item for item in ("query", "load") if item in config), "")
        starts = self.is_upload and "upload_id" not in self.query
        return Request(
            "jobs.insert" if starts else self.method, self.path, self._job_id(), sql, dry_run, config or self.query, len(self.raw), kind,
        )  # fmt: skip

    def text(self) -> str:
        """What faults are matched with."""
        asked = self.request()
        if self.is_upload:
            part = self.headers["Content-Range"] or (
                "start" if self.query["uploadType"] == "resumable" else "multipart"
            )
            return f"{self.method} {asked.job_id} {part}"
        if self.method == "jobs.getQueryResults":
            waits = self.query.get("maxResults") == "0"
            return f"{self.method} {asked.job_id} " + ("wait" if waits else f"page {self.query.get('pageToken', '0')}")
        return f"{self.method} {asked.job_id or asked.path} {asked.sql}"

    def _job_id(self) -> str:
        sent = self.body.get("jobReference", {}).get("jobId", "")
        return self.names[1] if self.method in ("jobs.get", "jobs.cancel", "jobs.getQueryResults") else str(sent)


def _begin_upload(service: Server, exchange: Exchange) -> Json | Answer:
    (project,) = exchange.names
    if exchange.query["uploadType"] == "multipart":
        return service.jobs_insert(
            project, exchange.body, parse_multipart(exchange.headers["Content-Type"], exchange.raw)[1]
        )
    service.engine.access.check("bigquery.jobs.create", project)
    return service.uploads.start(
        service.url + exchange.path, exchange.body, lambda data: service.jobs_insert(project, exchange.body, data)
    )


Call = Callable[["Server", Exchange], "Json | Answer"]
_ROUTES: tuple[tuple[str, str, str, Call], ...] = (
    ("POST", _PROJECT + "/datasets", "datasets.insert", lambda s, e: s.datasets_insert(e.names[0], e.body)),
    ("GET", _DATASET, "datasets.get", lambda s, e: s.datasets_get(*e.names)),
    ("GET", _DATASET + "/tables", "tables.list", lambda s, e: s.tables_list(*e.names)),
    ("POST", _DATASET + "/tables", "tables.insert", lambda s, e: s.tables_insert(*e.names, e.body)),
    ("GET", _TABLE, "tables.get", lambda s, e: s.tables_get(*e.names)),
    ("DELETE", _TABLE, "tables.delete", lambda s, e: s.tables_delete(*e.names)),
    ("POST", _TABLE + ":testIamPermissions", "tables.testIamPermissions", lambda s, e: s.tables_test(*e.names, e.body)),
    ("POST", _PROJECT + "/jobs", "jobs.insert", lambda s, e: s.jobs_insert(e.names[0], e.body)),
    ("GET", _JOB, "jobs.get", lambda s, e: s.jobs_get(*e.names, e.query.get("location"))),
    ("POST", _JOB + "/cancel", "jobs.cancel", lambda s, e: s.jobs_cancel(*e.names, e.query.get("location"))),
    ("GET", _PROJECT + "/queries/([^/]+)", "jobs.getQueryResults", lambda s, e: s.jobs_results(*e.names, e.query)),
    ("POST", _UPLOAD, "jobs.upload", _begin_upload),
    ("PUT", _UPLOAD, "jobs.upload", lambda s, e: s.uploads.put(e.query["upload_id"], e.headers["Content-Range"] or "", e.raw)),
)  # fmt: skip


def find_call(service: Server, verb: str, target: str, headers: Any, raw: bytes) -> tuple[Exchange, Call]:
    """What a request is, and the call that answers it."""
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    for for_verb, pattern, method, call in _ROUTES:
        match = re.fullmatch(pattern, parts.path)
        if match and for_verb == verb:
            body = _body(service, method, query, headers, raw)
            return Exchange(method, parts.path, match.groups(), query, headers, raw, body), call
    raise not_found(f"{verb} {parts.path}")


def _body(service: Server, method: str, query: dict[str, str], headers: Any, raw: bytes) -> Json:
    if method == "jobs.upload" and "upload_id" in query:
        return service.uploads.body(query["upload_id"])
    if method == "jobs.upload" and query.get("uploadType") == "multipart":
        return parse_multipart(headers["Content-Type"], raw)[0]
    return cast(Json, json.loads(raw)) if raw else {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        pass

    @property
    def _service(self) -> Server:
        return cast("Server", self.server.service)  # type: ignore[attr-defined]

    def _answer(self, verb: str) -> None:
        try:
            self._serve(verb, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        except ServiceError as error:
            self._send(Answer(error.code, error.body()))
        except (_Dropped, ConnectionError):
            self.close_connection = True

    def _serve(self, verb: str, raw: bytes) -> None:
        service = self._service
        exchange, call = find_call(service, verb, self.path, self.headers, raw)
        service.log.append(exchange.request())
        if len(raw) > MAX_REQUEST_BYTES and not exchange.is_upload:
            raise ServiceError(400, "badRequest", f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.")
        actions = service.faults.take(exchange.text())
        for action in actions:
            self._suffer_before(action, exchange)
        answer = call(service, exchange)
        for action in actions:
            self._suffer_after(action)
        answer = answer if isinstance(answer, Answer) else Answer(200, answer)
        self._send(answer, is_cut="truncate" in actions)

    def _suffer_before(self, action: Action, exchange: Exchange) -> None:
        if callable(action):
            action()
            return
        what, _, at = action.partition(" ")
        if what == "slow":
            self._service.closing.wait(float(at))
        elif what == "short":
            exchange.query["shortPage"] = at.removeprefix("page").strip() or "1"
        elif at == "before" or action == "hang":
            self._fail(what)

    def _suffer_after(self, action: Action) -> None:
        if not callable(action) and action.endswith(" after"):
            self._fail(action.removesuffix(" after"))

    def _fail(self, what: str) -> None:
        if what == "hang":
            self._hang()
        if what in ("hang", "drop"):
            raise _Dropped
        raise SCRIPTED[what]

    def _hang(self) -> None:
        """Wait until the server closes or the client goes away."""
        while not self._service.closing.wait(_HANG_STEP_SECONDS):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return

    def _send(self, answer: Answer, *, is_cut: bool = False) -> None:
        data = json.dumps(answer.body).encode() if answer.body is not None else b""
        self.send_response(answer.code)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if is_cut else data)
        self.wfile.flush()
        if is_cut:
            raise _Dropped


class _Dropped(Exception):  # noqa: N818 - no error of the service
    """The connection is to break without an answer."""
