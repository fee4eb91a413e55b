"""HTTP requests that a configuration may cause: https to public addresses, no redirects, bounded in time and size."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bq_monitor.alerts.secrets import Secret, Secrets
from bq_monitor.alerts.senders.addresses import Line, dial, encrypt, resolve
from bq_monitor.alerts.senders.base import Response, Undelivered, refusal
from bq_monitor.alerts.senders.deadline import within

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

MAX_ANSWER_BYTES = 64 * 1024
ACCEPTED = range(200, 300)


@dataclass(frozen=True)
class Route:
    """How a channel reaches its service. `place` names it in errors."""

    place: str
    secrets: Secrets
    allow_private: bool = False
    timeout_seconds: float = 10.0


@dataclass(frozen=True)
class _Request:
    method: str
    scheme: str
    host: str
    port: int
    target: str
    headers: Mapping[str, str]
    body: bytes | None


def deliver(
    route: Route,
    url: Secret | str,
    body: bytes,
    headers: Mapping[str, str],
    accepted: Collection[int] = ACCEPTED,
) -> Response:
    """Post JSON; the answer, if its status is accepted. Raises what `request` does, and `Undelivered` with what else was answered."""
    response = request(route, "POST", url, {"Content-Type": "application/json", **headers}, body)
    return _accepted(route, url, response, accepted)


def fetch(route: Route, url: Secret | str, headers: Mapping[str, str]) -> Response:
    """What stands at `url`; raises as `deliver` does."""
    return _accepted(route, url, request(route, "GET", url, headers, None), ACCEPTED)


def _accepted(route: Route, url: Secret | str, response: Response, accepted: Collection[int]) -> Response:
    if response.status not in accepted:
        raise refusal(route.place, host_of(url), response, route.secrets.redact)
    return response


def host_of(url: Secret | str) -> str:
    """The host's name, which may be shown."""
    from urllib3.util import parse_url

    return parse_url(url.reveal() if isinstance(url, Secret) else url).host or "nobody"


def request(route: Route, method: str, url: Secret | str, headers: Mapping[str, str], body: bytes | None) -> Response:
    """What the host of `url` answers, whatever its status; at most 64 KB of it.

    Raises:
        Undelivered: the address is refused, or the host did not answer in the route's time. It shows neither path nor
            query nor headers.
    """
    asked = _parse(route.place, method, url, headers, body)
    return within(route.timeout_seconds, f"{route.place}: {asked.host}", lambda line: _exchange(route, asked, line))


def _parse(place: str, method: str, url: Secret | str, headers: Mapping[str, str], body: bytes | None) -> _Request:
    """The parts of a URL that may be asked; nothing of a URL that is refused is shown."""
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    text = url.reveal() if isinstance(url, Secret) else url
    try:
        parsed = parse_url(text) if text.isascii() and text.isprintable() and " " not in text else None
    except LocationParseError:
        parsed = None
    if parsed is None or parsed.host is None or parsed.scheme not in ("https", "http"):
        raise Undelivered(f"{place}: the address is not a URL; allowed: https://HOST/PATH", retry="later")
    if parsed.auth is not None:
        raise Undelivered(f"{place}: the URL holds a user's name; allowed: https://HOST/PATH", retry="later")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    fixed = {"User-Agent": "bq-monitor", "Accept-Encoding": "identity"}
    return _Request(method, parsed.scheme, parsed.host, port, parsed.request_uri, {**fixed, **headers}, body)


def _exchange(route: Route, request: _Request, line: Line) -> Response:
    """One request on a connection of its own to an address that was checked."""
    plain = request.scheme == "http"
    addresses = resolve(route.place, request.host, request.port, allow_private=route.allow_private, plain=plain)
    connection = _connection(request, line)
    sock = dial(addresses, request.port, line)
    connection.sock = sock if plain else encrypt(sock, request.host)
    try:
        connection.request(
            request.method, request.target, request.body, request.headers, preload_content=False, decode_content=False
        )
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        body = b""
        while len(body) < MAX_ANSWER_BYTES and (more := answer.read(MAX_ANSWER_BYTES - len(body))):
            body += more
        return Response(answer.status, headers, body)
    finally:
        connection.close()


def _connection(request: _Request, line: Line) -> HTTPConnection:
    """urllib3's HTTP on a socket of ours: `Host` is the name, no retries, no proxies, no redirects."""
    from urllib3.connection import HTTPConnection, HTTPSConnection

    kind = HTTPConnection if request.scheme == "http" else HTTPSConnection
    return kind(request.host, request.port, timeout=line.seconds_left)
