"""Where requests may go, what is checked on the way, and that no error shows what was sent."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from bq_monitor.alerts.secrets import Secret, Secrets
from bq_monitor.alerts.senders.addresses import is_allowed
from bq_monitor.alerts.senders.base import Response, Undelivered
from bq_monitor.alerts.senders.deadline import within
from bq_monitor.alerts.senders.http import Route, fetch, request
from tests.alerts.receivers import HIDDEN, SECRET_PATH, Fault, receiver
from tests.alerts.samples import refused
from tests.alerts.smtp_receiver import make_tls

ANY = str(ip_address(0))
PRIVATE = ["127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1",
           "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1"]  # fmt: skip
NEVER = ["169.254.169.254", "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", ANY, "::", "255.255.255.255",
         "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
         "64:ff9b:1::1", "198.18.0.1", "192.0.0.1", "192.0.2.1", "2001:db8::1", "2001::1", "::10.0.0.1", "fec0::1", "240.0.0.1"]  # fmt: skip
PUBLIC = ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808", "::ffff:8.8.8.8"]


def ask(url: str, **changes: Any) -> Response:
    said: dict[str, Any] = {"allow_private": True, "timeout_seconds": 5.0, "secrets": Secrets(), **changes}
    return request(Route("alerts", **said), "POST", Secret(url), {"Webhook-Signature": HIDDEN}, b"{}")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to, one address after the other as they are asked for; `asked` are the names looked up."""
    known: dict[str, list[str]] = {"asked": []}

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        known["asked"].append(host)
        found = known.get(host, [host])
        address = found.pop(0) if len(found) > 1 else found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (part, port)) for part in address.split()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER, *PUBLIC])
def test_only_public_addresses_are_allowed(address: str) -> None:
    """Private ones when that is said; link-local, metadata, reserved and multicast ones never."""
    found = ip_address(address)
    assert is_allowed(found, allow_private=False) == (address in PUBLIC)
    assert is_allowed(found, allow_private=True) == (address not in NEVER)


@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", "8.8.8.8 10.0.0.7"])
def test_a_name_that_leads_inside_is_refused(address: str, names: dict[str, list[str]]) -> None:
    """One address that is not public is enough."""
    names["inside.test"] = [address]
    error = refused(lambda: ask(f"https://inside.test{SECRET_PATH}", allow_private=False))
    assert error.retry == "later"
    assert "inside.test is refused" in error.reason


@pytest.mark.parametrize("host", ["metadata.google.internal", "METADATA.google.internal.", "metadata"])
def test_metadata_names_are_refused(host: str, names: dict[str, list[str]]) -> None:
    """Before they are looked up, private networks allowed or not."""
    assert "metadata service" in refused(lambda: ask(f"https://{host}/{HIDDEN}")).reason
    assert names["asked"] == []


@pytest.mark.parametrize(
    "url",
    ["ftp://host.test/", "file:///etc/passwd", f"https://user:{HIDDEN}@host.test/", f"https:///{HIDDEN}", HIDDEN, "",
     "https://host.test/a b", f"https://host.test/{HIDDEN}\r\nEvil: 1", "https://[::1"],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    """Other schemes, user info, spaces and line breaks; nothing of it is repeated."""
    error = refused(lambda: ask(url))
    assert error.retry == "later"
    assert "allowed: https://HOST/PATH" in error.reason


def test_http_without_tls_stays_on_this_machine(names: dict[str, list[str]]) -> None:
    """And even there only when private addresses are allowed."""
    names |= {"public.test": ["8.8.8.8"], "inside.test": ["10.0.0.7"]}
    for host in names.keys() - {"asked"}:
        assert "refused without TLS" in refused(lambda host=host: ask(f"http://{host}/{HIDDEN}")).reason  # type: ignore[misc]
    with receiver("slack") as running:
        assert "refused without TLS" in refused(lambda: ask(running.url, allow_private=False)).reason
        assert ask(running.url).status == 400
    assert len(running.requests) == 1


def test_a_name_is_looked_up_once(names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was checked is the one that is dialled, under the name's own Host, SNI and certificate."""
    tls = make_tls(tmp_path, "receiver.test")
    asked: list[str | None] = []
    tls.sni_callback = lambda _sock, name, _context: asked.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    names["receiver.test"] = ["127.0.0.1", "169.254.169.254"]
    with receiver("webhook", [Fault(200, b"heard")], tls=tls) as running:
        answer = ask(f"https://receiver.test:{running.port}/p?q=1")
    assert (answer.status, answer.body) == (200, b"heard")
    assert (names["asked"], asked) == (["receiver.test"], ["receiver.test"])
    assert running.requests[0].headers["host"] == f"receiver.test:{running.port}"
    assert running.requests[0].path == "/p?q=1"


def test_the_next_address_is_tried(names: dict[str, list[str]]) -> None:
    """A name with an address that nobody answers on is reached by its other one."""
    names["two.test"] = ["127.0.0.2 127.0.0.1"]
    with receiver("slack", [Fault(200, b"heard")]) as running:
        assert ask(f"http://two.test:{running.port}/").body == b"heard"


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_of_another_name_or_house_is_refused(
    trusted: bool, names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and somebody must look at it."""
    tls = make_tls(tmp_path, "other.test" if trusted else "receiver.test")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    names["receiver.test"] = ["127.0.0.1"]
    with receiver("webhook", tls=tls) as running:
        error = refused(lambda: ask(f"https://receiver.test:{running.port}{SECRET_PATH}"))
    assert (error.retry, running.requests) == ("later", [])
    assert ("not valid for 'receiver.test'" if trusted else "self-signed") in error.reason


def test_nobody_there_is_tried_again(names: dict[str, list[str]]) -> None:
    """A closed port and a name that does not resolve pass by themselves."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        assert refused(lambda: ask(f"http://127.0.0.1:{held.getsockname()[1]}{SECRET_PATH}")).retry == "soon"


def test_a_name_that_does_not_resolve_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(8, "nobody")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    error = refused(lambda: ask(f"https://nobody.test{SECRET_PATH}"))
    assert (error.retry, error.reason) == ("soon", "alerts: nobody.test does not resolve. Check the host's name")


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would dial for us, and past the guard."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with receiver("slack", [Fault(200, b"heard")]) as running:
        assert ask(running.url).body == b"heard"


def test_an_answer_ends_after_64_kb() -> None:
    """The rest of a flood is not read."""
    with receiver("slack", [Fault(200, b"y" * 300_000)]) as running:
        assert ask(running.url).body == b"y" * 64 * 1024


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    """A line break in a key is a fault of the set-up."""
    headers = {"Authorization": f"Bearer {HIDDEN}\r\nEvil: 1"}
    with receiver("slack") as running:
        error = refused(lambda: fetch(Route("alerts", Secrets(), allow_private=True), running.url, headers))
    assert (error.retry, running.requests) == ("later", [])


def test_what_is_refused_within_stays_refused() -> None:
    """An error of the work keeps all that it says on its way out of its thread."""

    def work(line: Any) -> None:
        raise Undelivered("wait", retry="soon", after_seconds=7.0, was_refused=True)

    with pytest.raises(Undelivered) as caught:
        within(5.0, "alerts", work)
    assert (caught.value.retry, caught.value.after_seconds, caught.value.was_refused) == ("soon", 7.0, True)
