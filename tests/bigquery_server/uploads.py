"""Uploads of load jobs: in one request of several parts, or in chunks that can be resumed."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bigquery_server.errors import ServiceError, not_found
from tests.bigquery_server.values import Json

CHUNK_BYTES = 256 * 1024
"""Chunks but for the last are a multiple of it."""
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer that is more than 200 with a body."""

    code: int
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Session:
    """A resumable upload: what it is for, what has arrived, and the answer once all has."""

    body: Json
    finish: Callable[[bytes], Json]
    received: bytearray = field(default_factory=bytearray)
    answer: Json | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Uploads:
    """The resumable uploads under way; `finish` is called with all the bytes of one, once they are there."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def start(self, address: str, body: Json, finish: Callable[[bytes], Json]) -> Answer:
        """A new upload, whose chunks go to the Location of the answer."""
        key = uuid.uuid4().hex
        self._sessions[key] = Session(body, finish)
        return Answer(
            200, None, {"Location": f"{address}?uploadType=resumable&upload_id={key}", "X-GUploader-UploadID": key}
        )

    def body(self, key: str) -> Json:
        """What an upload is for."""
        return self._session(key).body

    def put(self, key: str, content_range: str, chunk: bytes) -> Answer:
        """Take a chunk, or (without one) say what has arrived; the last one is answered with the job."""
        session, match = self._session(key), _RANGE.fullmatch(content_range)
        if match is None:
            raise _bad_request(f"Invalid Content-Range: {content_range}")
        first, last, total = match.groups()
        with session.lock:
            if session.answer is None and first is not None and int(first) == len(session.received):
                _check_chunk(chunk, int(first), int(last), total)
                session.received += chunk
            if session.answer is None and total == str(len(session.received)):
                session.answer = session.finish(bytes(session.received))
            return Answer(200, session.answer) if session.answer is not None else _incomplete(session)

    def _session(self, key: str) -> Session:
        if key not in self._sessions:
            raise not_found(f"upload {key}")
        return self._sessions[key]


def parse_multipart(content_type: str, raw: bytes) -> tuple[Json, bytes]:
    """The configuration and the bytes of an upload in one request."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if match is None:
        raise _bad_request("Missing boundary in the content type of a multipart upload")
    line = b"--" + match[1].encode()
    head, _, rest = raw.partition(line)[2].partition(b"\r\n" + line)
    data, ended, _ = rest.partition(b"\r\n\r\n")[2].rpartition(b"\r\n" + line + b"--")
    if not ended:
        raise _bad_request("Missing end boundary in multipart body.")
    body: Json = json.loads(head.partition(b"\r\n\r\n")[2])
    return body, data


def _check_chunk(chunk: bytes, first: int, last: int, total: str) -> None:
    is_last = total == str(last + 1)
    if len(chunk) != last - first + 1 or (not is_last and len(chunk) % CHUNK_BYTES):
        raise _bad_request(
            f"Invalid request. There were {len(chunk)} byte(s) in the request body for {first}-{last}/{total}."
        )


def _incomplete(session: Session) -> Answer:
    arrived = len(session.received)
    return Answer(308, None, {"Range": f"bytes=0-{arrived - 1}"} if arrived else {})


def _bad_request(message: str) -> ServiceError:
    return ServiceError(400, "badRequest", message)
