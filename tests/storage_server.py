"""A stand-in for Cloud Storage's JSON API over HTTP on the loopback interface, as the real client uses it.

What it keeps of the service: every write makes a new generation; a precondition that does not hold is 412; an old generation
is gone (404) unless buckets are versioned; listings come in pages; media carries its checksums; an upload whose checksum is
wrong is refused. A parameter that it does not know is refused too, so that no precondition is ever passed over.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

import google_crc32c

Json = dict[str, Any]
Action = str | Callable[[], object]
_REASONS = {401: "required", 403: "forbidden", 429: "rateLimitExceeded", 500: "backendError", 503: "backendError"}


class ServiceError(Exception):
    """An answer other than success."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def answer(self, *, media: bool) -> Answer:
        """JSON, but plain text where media was asked for."""
        if media:
            return Answer(self.code, self.message.encode(), {"Content-Type": "text/html; charset=UTF-8"})
        details = {"domain": "global", "reason": self.reason, "message": self.message}
        return said({"error": {"code": self.code, "message": self.message, "errors": [details]}}, self.code)


class Dropped(Exception):  # noqa: N818 - no error of the service
    """The connection is to break without an answer."""


@dataclass
class Answer:
    """What goes over the wire; `sent` is how much of the body does before the connection breaks."""

    code: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None


@dataclass(frozen=True)
class Blob:
    """One generation of an object."""

    bucket: str
    name: str
    data: bytes
    content_type: str
    generation: int

    @property
    def hashes(self) -> dict[str, str]:
        return {"crc32c": crc32c(self.data), "md5": _base64(hashlib.md5(self.data, usedforsecurity=False).digest())}

    def resource(self, url: str) -> Json:
        path = f"b/{self.bucket}/o/{quote(self.name, safe='')}"
        return {
            "kind": "storage#object", "id": f"{self.bucket}/{self.name}/{self.generation}", "name": self.name, "bucket": self.bucket,
            "generation": str(self.generation), "metageneration": "1", "contentType": self.content_type, "size": str(len(self.data)),
            "md5Hash": self.hashes["md5"], "crc32c": self.hashes["crc32c"], "storageClass": "STANDARD",
            "selfLink": f"{url}/storage/v1/{path}",
            "mediaLink": f"{url}/download/storage/v1/{path}?generation={self.generation}&alt=media",
        }  # fmt: skip

    def media(self, wanted: str | None) -> Answer:
        """The content, or the range `bytes=FIRST-` of it."""
        hashes = ",".join(f"{name}={value}" for name, value in self.hashes.items())
        headers = {"Content-Type": self.content_type, "X-Goog-Generation": str(self.generation), "X-Goog-Hash": hashes}
        if not wanted:
            return Answer(200, self.data, headers)
        first = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
        if first >= len(self.data):
            raise ServiceError(416, "requestedRangeNotSatisfiable", "Requested range not satisfiable")
        size = len(self.data)
        return Answer(206, self.data[first:], {**headers, "Content-Range": f"bytes {first}-{size - 1}/{size}"})


@dataclass
class Fault:
    """What happens to the `nth` to `nth + times - 1`-th request whose text contains `match`."""

    match: str
    do: Action
    nth: int = 1
    times: int = 1
    seen: int = 0

    def strikes(self, text: str) -> bool:
        if self.match not in text:
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


@dataclass(frozen=True)
class Request:
    """What came over the wire."""

    verb: str
    path: str
    query: dict[str, str]
    headers: Any
    body: bytes


class Server:
    """The stand-in. Use `with serve() as server`; set `STORAGE_EMULATOR_HOST` to `server.url`.

    `put`, `delete` and `text` are the hands of somebody else; `log` is what was asked, such as `objects.insert bucket/name
    ifGenerationMatch=0`; `written` is every generation that was ever stored, in order; `page_size` is how much a listing gives;
    `versioned` buckets still give an old generation to who asks for it.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Blob]] = {}
        self.written: list[Blob] = []
        self.log: list[str] = []
        self.page_size = 1000
        self.versioned = False
        self._faults: list[Fault] = []
        self._sessions: dict[str, tuple[str, Json, dict[str, str]]] = {}
        self._lock = threading.RLock()
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

    def put(self, path: str, data: str | bytes, content_type: str = "text/plain") -> Blob:
        """Store `BUCKET/NAME`; the bucket is made when it is new."""
        bucket, _, name = path.partition("/")
        raw = data.encode() if isinstance(data, str) else data
        with self._lock:
            blob = Blob(bucket, name, raw, content_type, 1_700_000_000_000_001 + len(self.written))
            self.buckets.setdefault(bucket, {})[name] = blob
            self.written.append(blob)
        return blob

    def delete(self, path: str) -> None:
        bucket, _, name = path.partition("/")
        with self._lock:
            del self.buckets[bucket][name]

    def blob(self, path: str) -> Blob:
        bucket, _, name = path.partition("/")
        return self.buckets[bucket][name]

    def text(self, path: str) -> str:
        return self.blob(path).data.decode()

    def asked(self, containing: str) -> list[str]:
        """The requests so far, in order."""
        return [line for line in self.log if containing in line]

    def fail(self, match: str, do: Action, *, nth: int = 1, times: int = 1) -> None:
        """Script a fault of the requests whose line in `log` contains `match`.

        `do` is `503 before`, `503 after` (done, but the answer is lost; any of 403, 429, 500, 503), `drop before`, `drop after`
        (the connection breaks), `cut after` (it breaks in the middle of the answer), `corrupt after` (a byte of it is wrong);
        or a callable, run before the request acts: to change something in between, or to be slow.
        """
        self._faults.append(Fault(match, do, nth, times))

    def answer(self, request: Request) -> Answer:
        """One request, with what is scripted for it."""
        method, place, call = self._routed(request)
        condition = "".join(f" {key}={value}" for key, value in request.query.items() if key.startswith("if"))
        line = f"{method} {place}{condition}"
        with self._lock:
            self.log.append(line)
            actions = [fault.do for fault in self._faults if fault.strikes(line)]
        try:
            for action in actions:
                _before(action)
            answer = call()
            for action in actions:
                _after(action, answer)
        except ServiceError as error:
            return error.answer(media=method == "objects.download")
        return answer

    # --- the methods of the API ---

    def _routed(self, request: Request) -> tuple[str, str, Callable[[], Answer]]:
        """The method of the API, the `BUCKET/NAME` that it is about, and the call."""
        found = re.fullmatch(r"/(?:(download|upload)/)?storage/v1/b/([^/]+)(?:/o(?:/([^/]+))?)?", request.path)
        if found is None:
            raise AssertionError(f"the stand-in does not know {request.verb} {request.path}")
        kind, bucket, quoted = found.groups()
        if request.path.endswith(f"/b/{bucket}"):
            return "buckets.get", bucket, lambda: self._bucket_resource(bucket)
        if kind == "upload":
            return self._routed_upload(request, bucket)
        if quoted is None:
            return "objects.list", f"{bucket}/{request.query.get('prefix', '')}", lambda: self._list(bucket, request)
        name = unquote(quoted)
        if kind == "download" or request.query.get("alt") == "media":
            return "objects.download", f"{bucket}/{name}", lambda: self._download(bucket, name, request)
        return "objects.get", f"{bucket}/{name}", lambda: self._get(bucket, name, request)

    def _routed_upload(self, request: Request, bucket: str) -> tuple[str, str, Callable[[], Answer]]:
        _known(request, "uploadType", "ifGenerationMatch", "upload_id")
        if request.verb == "PUT":
            session = request.query["upload_id"]
            place = f"{bucket}/{self._sessions[session][1]['name']}"
            return "uploads.send", place, lambda: self._finish_session(session, request)
        if request.query["uploadType"] == "resumable":
            metadata = json.loads(request.body)
            return "uploads.start", f"{bucket}/{metadata['name']}", lambda: self._start(bucket, metadata, request)
        metadata, content_type, data = _parts(request)
        insert = {**metadata, "contentType": content_type}
        return (
            "objects.insert",
            f"{bucket}/{metadata['name']}",
            lambda: self._insert(bucket, insert, data, request.query),
        )

    def _bucket_resource(self, name: str) -> Answer:
        self._bucket(name)
        return said({"kind": "storage#bucket", "id": name, "name": name, "projectNumber": "1", "location": "US"})

    def _list(self, bucket: str, request: Request) -> Answer:
        _known(request, "prefix", "delimiter", "pageToken", "maxResults", "projection", "prettyPrint")
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
        blobs = self._bucket(bucket)
        items: dict[str, Blob | None] = {}  # by name; None is a folder
        for name in sorted(blobs):
            if name.startswith(prefix):
                head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
                items.setdefault(prefix + head + cut if cut else name, None if cut else blobs[name])
        names = sorted(name for name in items if name > request.query.get("pageToken", ""))
        size = min(self.page_size, int(request.query.get("maxResults", self.page_size)))
        page = {name: items[name] for name in names[:size]}
        answer: Json = {"kind": "storage#objects", "prefixes": [name for name, blob in page.items() if blob is None]}
        answer["items"] = [blob.resource(self.url) for blob in page.values() if blob is not None]
        return said(answer | ({"nextPageToken": names[size - 1]} if names[size:] else {}))

    def _get(self, bucket: str, name: str, request: Request) -> Answer:
        return said(self._wanted(bucket, name, request).resource(self.url))

    def _download(self, bucket: str, name: str, request: Request) -> Answer:
        return self._wanted(bucket, name, request).media(request.headers.get("Range"))

    def _wanted(self, bucket: str, name: str, request: Request) -> Blob:
        _known(request, "generation", "ifGenerationMatch", "alt", "projection", "prettyPrint")
        blob, generation = self._bucket(bucket).get(name), request.query.get("generation")
        if self.versioned and generation:
            blob = next((old for old in self.written if str(old.generation) == generation), None)
        if blob is None or generation not in (None, str(blob.generation)):
            raise ServiceError(404, "notFound", f"No such object: {bucket}/{name}")
        _check(blob, request.query)
        return blob

    def _insert(self, bucket: str, metadata: Json, data: bytes, query: dict[str, str]) -> Answer:
        with self._lock:
            _check(self._bucket(bucket).get(metadata["name"]), query)
            if metadata.get("crc32c") not in (None, crc32c(data)):
                raise ServiceError(400, "invalid", f'Provided CRC32C "{metadata["crc32c"]}" doesn\'t match.')
            blob = self.put(f"{bucket}/{metadata['name']}", data, metadata["contentType"])
        return said(blob.resource(self.url))

    def _start(self, bucket: str, metadata: Json, request: Request) -> Answer:
        _check(self._bucket(bucket).get(metadata["name"]), request.query)
        session = f"session-{len(self._sessions) + 1}"
        metadata = {**metadata, "contentType": request.headers["X-Upload-Content-Type"]}
        self._sessions[session] = (bucket, metadata, request.query)
        place = f"{self.url}{request.path}?uploadType=resumable&upload_id={session}"
        return Answer(200, headers={"Location": place})

    def _finish_session(self, session: str, request: Request) -> Answer:
        """All of it in one piece: what is sent here fits into one."""
        size = len(request.body)
        assert request.headers["Content-Range"] == f"bytes 0-{size - 1}/{size}", request.headers["Content-Range"]
        bucket, metadata, query = self._sessions[session]
        return self._insert(bucket, metadata, request.body, query)

    def _bucket(self, name: str) -> dict[str, Blob]:
        if name not in self.buckets:
            raise ServiceError(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]


def said(body: Json, code: int = 200) -> Answer:
    return Answer(code, json.dumps(body).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def crc32c(data: bytes) -> str:
    """The checksum as the API writes it."""
    return _base64(google_crc32c.Checksum(data).digest())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _known(request: Request, *names: str) -> None:
    if unknown := set(request.query) - set(names):
        raise AssertionError(f"the stand-in does not know {sorted(unknown)} of {request.verb} {request.path}")


def _check(blob: Blob | None, query: dict[str, str]) -> None:
    """The precondition: 0 means that nothing may be there."""
    wanted = query.get("ifGenerationMatch")
    if wanted not in (None, str(blob.generation if blob else 0)):
        message = "At least one of the pre-conditions you specified did not hold."
        raise ServiceError(412, "conditionNotMet", message)


def _parts(request: Request) -> tuple[Json, str, bytes]:
    """Metadata, content type and content of a multipart upload."""
    boundary = re.search(r'boundary="?([^";]+)', request.headers["Content-Type"])[1].encode()  # type: ignore[index]
    _, first, second, _ = request.body.split(b"--" + boundary)
    (_, metadata), (head, data) = (part.split(b"\r\n\r\n", 1) for part in (first, second))
    kind = re.search(r"content-type:\s*(.+)", head.decode(), re.IGNORECASE)[1].strip()  # type: ignore[index]
    return json.loads(metadata), kind, data.removesuffix(b"\r\n")


def _before(action: Action) -> None:
    if callable(action):
        action()
    elif action.endswith("before"):
        _refuse(action)


def _after(action: Action, answer: Answer) -> None:
    if callable(action) or not action.endswith("after"):
        return
    if action.startswith("cut"):
        answer.sent = len(answer.body) // 2
    elif action.startswith("corrupt"):
        answer.body = bytes([answer.body[0] ^ 1]) + answer.body[1:]
    else:
        _refuse(action)


def _refuse(action: str) -> None:
    what = action.split(maxsplit=1)[0]
    if what == "drop":
        raise Dropped
    raise ServiceError(int(what), _REASONS[int(what)], f"scripted {what}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        pass

    def _answer(self) -> None:
        service = cast(Server, self.server.service)  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        try:
            self._send(service.answer(Request(self.command, split.path, query, self.headers, body)))
        except Dropped:
            self.close_connection = True
        except Exception as error:  # a gap of the stand-in is told to the test, whatever thread it shows in
            self._send(ServiceError(400, "standIn", f"{type(error).__name__}: {error}").answer(media=False))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.code)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: answer.sent])
        if answer.sent is not None:
            self.close_connection = True


@contextmanager
def serve() -> Iterator[Server]:
    """A running stand-in without buckets."""
    server = Server()
    server.start()
    try:
        yield server
    finally:
        server.close()
