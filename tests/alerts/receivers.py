"""Stand-ins on loopback for the services that hear of alerts: they check what they get as the real ones do.

`with receiver("slack", [Fault(429, headers={"Retry-After": "7"})]) as slack:` answers its first request with 429, all
later ones as Slack does. `slack.url` is where to post, `slack.delivered` what was accepted, `slack.requests` all of it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import ssl
import struct
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.alerts.topic_schemas import conforms

KEY = "whsec_" + b64encode(b"a key of tests, 24 bytes").decode()
ROUTING_KEY = "R0123456789abcdef0123456789abcde"
TOKEN = "ya29.token-of-tests"  # noqa: S105 - of nobody
HIDDEN = "x0" * 4
"""A secret that no line of source shows: tracebacks quote those."""
SECRET_PATH = f"/services/T0SECRET/B0SECRET/{HIDDEN}{HIDDEN}"


@dataclass(frozen=True)
class Fault:
    """What a receiver does instead of its work.

    `how`: `answer` with the status; be `slow` until `release` is set; `reset` the connection; send a `truncated` answer;
    `trickle` bytes of a header until `release` is set.
    """

    status: int = 200
    body: bytes = b"fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    how: Literal["answer", "slow", "reset", "truncated", "trickle"] = "answer"


SLOW, RESET, TRUNCATED, TRICKLE = (Fault(how=how) for how in ("slow", "reset", "truncated", "trickle"))


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A running stand-in. A fault that is slow holds until `release` is set, at the latest at the end of the test."""

    url: str
    port: int
    script: list[Fault]
    requests: list[Request] = field(default_factory=list)
    delivered: list[Any] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """The service would not take this: (status, body)."""


def must(holds: bool, why: str, status: int = 400) -> None:
    if not holds:
        raise Refused(status, why.encode())


def slack(request: Request) -> tuple[int, bytes, Any]:
    """Limits of Block Kit and the answer `ok`."""
    data = request.data
    blocks = data["blocks"]
    must(len(request.body) < 40_000 and 0 < len(blocks) <= 50 and bool(data["text"]), "invalid_payload")
    for block in blocks:
        texts = {"header": [(block.get("text"), 150)], "section": [(block.get("text"), 3000)],
                 "context": [(text, 3000) for text in block.get("elements", [])],
                 "actions": [(button.get("text"), 75) for button in block.get("elements", [])]}[block["type"]]  # fmt: skip
        must(0 < len(texts) <= 25, "invalid_blocks")
        must(
            all(text["type"] == "plain_text" and 1 <= utf16(text["text"]) <= limit for text, limit in texts),
            "invalid_blocks",
        )
        must(block["type"] != "context" or len(texts) <= 10, "invalid_blocks")
    return 200, b"ok", data


def pagerduty(request: Request) -> tuple[int, bytes, Any]:
    """Required keys of the Events API v2."""
    data = request.data
    must(len(request.body) <= 512 * 1024, "too large", 413)
    must(data["routing_key"] == ROUTING_KEY and 0 < len(data["dedup_key"]) <= 255, "invalid key")
    must(data["event_action"] in ("trigger", "resolve"), "invalid action")
    if data["event_action"] == "trigger":
        payload = data["payload"]
        must(0 < len(payload["summary"]) <= 1024 and bool(payload["source"]), "invalid payload")
        must(payload["severity"] in ("critical", "error", "warning", "info"), "invalid severity")
        must(all(link["href"].startswith("https://") for link in data.get("links", [])), "invalid link")
    return 202, json.dumps({"status": "success", "dedup_key": data["dedup_key"]}).encode(), data


def teams(request: Request) -> tuple[int, bytes, Any]:
    """One Adaptive Card of at most 28 KB."""
    data = request.data
    must(len(request.body) <= 28 * 1024, "too large", 413)
    (attachment,) = data["attachments"]
    card = attachment["content"]
    must(attachment["contentType"] == "application/vnd.microsoft.card.adaptive" and data["type"] == "message", "type")
    must(card["type"] == "AdaptiveCard" and card["version"] == "1.4" and bool(card["body"]), "card")
    for block in card["body"]:
        must(block["type"] == "RichTextBlock" and all(run["type"] == "TextRun" for run in block["inlines"]), "block")
    return 202, b"", data


def google_chat(request: Request) -> tuple[int, bytes, Any]:
    """A card of at most 32 KB, only tags that a text paragraph knows, in a thread."""
    data = request.data
    must(len(request.body) <= 32_000, "too large")
    must("messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD" in request.path, "no reply option")
    must(bool(data["thread"]["threadKey"]), "no thread")
    for section in data["cardsV2"][0]["card"]["sections"]:
        must(bool(section["widgets"]), "empty section")
        texts = [widget["textParagraph"]["text"] for widget in section["widgets"] if "textParagraph" in widget]
        must(all(set(re.findall(r"<[^>]*>?", text)) <= {"<b>", "</b>", "<br>"} for text in texts), "unknown tag")
    return 200, b"{}", data


def webhook(request: Request) -> tuple[int, bytes, Any]:
    """The signature of Standard Webhooks."""
    named = {name: request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")}
    signed = f"{named['id']}.{named['timestamp']}.".encode() + request.body
    digest = hmac.new(b64decode(KEY.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    must(bool(named["id"]) and named["signature"] == f"v1,{b64encode(digest).decode()}", "signature", 401)
    return 204, b"", request.data


def pubsub(request: Request) -> tuple[int, bytes, Any]:
    """A publish request; with a token unless it is an emulator's. Topics have the schemas that terraform gives them."""
    found = re.fullmatch(r"/v1/projects/[\w-]+/topics/([\w-]+):publish", request.path)
    must(found is not None, "no topic", 404)
    must(request.headers.get("authorization") in (None, f"Bearer {TOKEN}"), "token", 401)
    (message,) = request.data["messages"]
    must(len(request.body) <= 10_000_000 and all(len(v) <= 1024 for v in message["attributes"].values()), "limits")
    data = b64decode(message["data"], validate=True)
    must(conforms("action" if found and found[1] == "retrain" else "alert", data), "schema")
    body = json.loads(data)
    return 200, b'{"messageIds": ["1"]}', {**message, "data": body}


def secret_manager(request: Request) -> tuple[int, bytes, Any]:
    """One secret `s` whose value is the routing key."""
    must(request.headers.get("authorization") == f"Bearer {TOKEN}", "token", 401)
    found = re.fullmatch(r"/v1/projects/p/secrets/s/versions/(latest|1):access", request.path)
    must(found is not None, '{"error": {"code": 404}}', 404)
    data = b64encode(ROUTING_KEY.encode() + b"\n").decode()
    return 200, json.dumps({"payload": {"data": data}}).encode(), request.path


KINDS: dict[str, tuple[str, Callable[[Request], tuple[int, bytes, Any]]]] = {
    "slack": (SECRET_PATH, slack), "pagerduty": ("/v2/enqueue", pagerduty), "teams": (SECRET_PATH + "?sig=s1gnatures1gnature", teams),
    "google_chat": (SECRET_PATH + "?key=k3yk3yk3yk3yk3yk3y&token=t0kent0kent0kent0ken", google_chat),
    "webhook": (SECRET_PATH, webhook), "pubsub": ("/v1", pubsub), "secret_manager": ("/v1", secret_manager),
}  # fmt: skip


@contextmanager
def receiver(kind: str, script: Sequence[Fault] = (), *, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A running stand-in of a service; each request takes one `Fault` off the script, or is answered in earnest."""
    path, service = KINDS[kind]
    server = _Server(("127.0.0.1", 0), _Handler)
    port = server.server_address[1]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    running = Receiver(f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}", port, list(script))
    server.running, server.service = running, service
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        running.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for all of them
    running: Receiver
    service: Callable[[Request], tuple[int, bytes, Any]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        running = self.server.running
        size = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(size))
        running.requests.append(request)
        if running.script:
            return self._fail(running.script.pop(0))
        try:
            status, body, parsed = self.server.service(request)
        except Refused as refused:
            return self._answer(*refused.args)
        except (KeyError, ValueError, TypeError) as error:
            return self._answer(400, repr(error).encode())
        running.delivered.append(parsed)
        return self._answer(status, body)

    do_POST = do_GET  # noqa: N815 - the name is the base class's

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, n_missing: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body) + n_missing))
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, fault: Fault) -> None:
        if fault.how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault.how == "slow":
            self.server.running.release.wait(30)
        elif fault.how == "trickle":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.server.running.release.wait(0.02):
                self.wfile.write(b"x")
        else:
            self._answer(fault.status, fault.body, fault.headers, n_missing=10 if fault.how == "truncated" else 0)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
