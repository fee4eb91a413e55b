"""A house of receivers that a monitor may tell, a clock that nobody waits for, and a search for secrets."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, quote_plus

import pytest

from bq_monitor.alerts import outbox, own_health
from bq_monitor.alerts.messages import Severity
from bq_monitor.alerts.own_health import run_look, tell
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.senders import sender_for
from bq_monitor.config import MonitorConfig
from bq_monitor.warehouse.base import Row, Statement, Warehouse
from bq_monitor.warehouse.schema import TABLES
from tests.alerts.receivers import HIDDEN, KEY, KINDS, ROUTING_KEY, TOKEN, Fault, Receiver, Request, receiver
from tests.alerts.smtp_receiver import PASSWORD, USER, Mailbox, make_tls, smtp_receiver

HTTP_KINDS = ("slack", "pagerduty", "teams", "google_chat", "webhook", "pubsub")
ALL_KINDS = (*HTTP_KINDS, "email")
SECRETS = (HIDDEN + HIDDEN, "T0SECRET/B0SECRET", "s1gnatures1gnature", "k3yk3yk3yk3yk3yk3y", "t0kent0kent0kent0ken",
           KEY, ROUTING_KEY, TOKEN, PASSWORD)  # fmt: skip
TIMEOUT_SECONDS, SLOW_SECONDS = 10.0, 1.0
"""So long receivers are waited for; where one is slow on purpose, less long."""
MONDAY = datetime(2026, 5, 4, 12, tzinfo=UTC)
Alert = Literal["opened", "resolved"]


def assert_no_secret(*texts: object, secrets: Sequence[str] = SECRETS) -> None:
    """No text (of other things: no repr) holds a secret, nor its base64 at any offset, nor its percent-encoding."""
    shown = [text if isinstance(text, str) else repr(text) for text in texts]
    for number, secret in enumerate(secrets):
        found = [form for form in forms(secret) if any(form in text for text in shown)]
        assert not found, f"secret {number} is shown, as {found[0][:4]}..."


def forms(secret: str) -> set[str]:
    """A secret as it may stand in a text. Of base64 the characters that hold nothing of its neighbours."""
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    for before in range(3):
        encoded = b64encode(b"~" * before + secret.encode() + b"~" * 3).decode()
        inner = encoded[(0, 2, 3)[before] : (before + len(secret)) * 8 // 6]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return found


@dataclass
class FakeClock:
    """A clock that moves when it is told to, or slept on; `slept` are the seconds."""

    moment: datetime = MONDAY
    slept: list[float] = field(default_factory=list)

    def now(self, _zone: Any = None) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)

    def forward(self, **span: float) -> None:
        self.moment += timedelta(**span)

    @property
    def clock(self) -> outbox.Clock:
        return outbox.Clock(self.now, self.sleep, lambda: 1.0)

    def rule(self, monkeypatch: pytest.MonkeyPatch, timeout_seconds: float = TIMEOUT_SECONDS) -> FakeClock:
        """All that is sent from now on goes by this clock, and receivers are waited for so long."""
        monkeypatch.setattr(own_health, "dispatch", partial(outbox.dispatch, clock=self.clock))
        monkeypatch.setattr(own_health, "datetime", self)
        monkeypatch.setattr(outbox, "sender_for", partial(sender_for, timeout_seconds=timeout_seconds))
        return self


@dataclass
class House:
    """Running receivers by kind. A receiver knows a message that comes twice by its id."""

    http: dict[str, Receiver] = field(default_factory=dict)
    mail: Mailbox | None = None
    scripts: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def channels(self) -> list[dict[str, Any]]:
        """As a configuration lists them: no secret among it."""
        own = {"pagerduty": {"endpoint": self.url("pagerduty")}, "pubsub": {"topic": "projects/proj-1/topics/alerts"}}
        found = [{"type": kind, "allow_private": True, **own.get(kind, {})} for kind in self.http]
        mail = {"host": "127.0.0.1", "sender": "monitor@house.test", "to": ["a@risk.test"], "allow_private": True}
        return found + ([{"type": "email", "port": self.mail.port, **mail}] if self.mail else [])

    def url(self, kind: str) -> str:
        return self.http[kind].url if kind in self.http else ""

    def ids(self, kind: str) -> list[str]:
        """The ids of the messages that may have been taken, in order, as often as they came.

        A service whose answer was lost may have taken it.
        """
        if kind == "email":
            return (
                [str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in self.mail.delivered]
                if self.mail
                else []
            )
        running = self.http[kind]
        faults = [*self.scripts.get(kind, ())][: len(running.requests)]
        faults += [None] * (len(running.requests) - len(faults))
        return [_id(kind, r) for r, fault in zip(running.requests, faults, strict=True) if not _refuses(fault)]

    def once(self, kind: str) -> list[str]:
        """The ids that a receiver which knows them hears, each once."""
        return list(dict.fromkeys(self.ids(kind)))

    @contextmanager
    def open(self, kinds: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
        """While they run; the environment says where they are."""
        with ExitStack() as stack:
            for kind in (kind for kind in kinds if kind in KINDS):
                self.http[kind] = stack.enter_context(receiver(kind, self.scripts.get(kind, ())))
                monkeypatch.setenv(f"BQ_MONITOR_{kind.upper()}_URL", self.http[kind].url)
            if "pubsub" in kinds:
                monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{self.http['pubsub'].port}")
            if "email" in kinds:
                tls = make_tls(folder, "127.0.0.1")
                self.mail = stack.enter_context(smtp_receiver(tls, self.scripts.get("email", ()), needs_login=True))
            said = {
                "WEBHOOK_KEY": KEY,
                "PAGERDUTY_KEY": ROUTING_KEY,
                "EMAIL_USERNAME": USER,
                "EMAIL_PASSWORD": PASSWORD,
            }
            for name, value in said.items():
                monkeypatch.setenv(f"BQ_MONITOR_{name}", value)
            monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
            yield self


def _id(kind: str, request: Request) -> str:
    """By what a service knows a message that comes twice."""
    if kind == "pubsub":
        return str(request.data["messages"][0]["attributes"]["notification_id"])
    return request.headers["webhook-id" if kind == "webhook" else "idempotency-key"]


def _refuses(fault: Fault | None) -> bool:
    return fault is not None and fault.how == "answer" and fault.status >= 300


@contextmanager
def house(
    kinds: Sequence[str], folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: Sequence[Any]
) -> Iterator[House]:
    """Running receivers of these kinds; `slack=[Fault(429)]` makes one fail."""
    with House(scripts={kind: list(script) for kind, script in scripts.items()}).open(
        kinds, folder, monkeypatch
    ) as made:
        yield made


@dataclass
class Desk:
    """A monitor that only tells of its own runs: no log, no windows, everything by one clock."""

    warehouse: Warehouse
    config: MonitorConfig
    time: FakeClock

    def say(self, news: Alert, *, name: str = "retrain", severity: Severity = "warning") -> None:
        """Write to the outbox that an alert opened, or is over; a minute passes."""
        key, self.time.moment = AlertKey("action_failed", name), self.time.moment + timedelta(minutes=1)
        firing, clean = ({key: f"{name} failed"}, []) if news == "opened" else ({}, [key])
        made = tell(self.warehouse, self.config, run_look(self.time.moment, firing, clean, severity), "run")
        assert [transition.event in (news, f"re{news}") for transition in made.transitions] == [True]

    def overtake(self, name: str, *, is_over: bool) -> None:
        """Write to the outbox, in one message with something critical, that an alert got worse or is over."""
        held, worst = AlertKey("action_failed", name), AlertKey("action_failed", "worst")
        self.time.forward(minutes=1)
        firing = {worst: "worst"} if is_over else {worst: "worst", held: "worse"}
        look = run_look(self.time.moment, firing, [held] if is_over else [], "critical")
        tell(self.warehouse, self.config, look, "run")

    def send(self) -> outbox.Dispatched:
        """Send what is due, and tell of channels that cannot be reached."""
        return own_health.deliver(self.warehouse, self.config, "run")

    def rows(self, sql: str) -> list[Row]:
        return self.warehouse.query(Statement("test", sql))

    @property
    def payloads(self) -> dict[str, dict[str, Any]]:
        """What each notification says, by its id."""
        found = self.rows("SELECT notification_id, payload FROM notifications WHERE payload IS NOT NULL")
        return {row["notification_id"]: json.loads(row["payload"]) for row in found}

    def heard(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        """The news of messages, in order: what happened, and to what."""
        said = self.payloads
        return [
            (item["news"], item["measure"] or item["feature"] or item["kind"]) for i in ids for item in said[i]["items"]
        ]

    def events(self, ids: Sequence[str]) -> list[str]:
        """The event ids of messages."""
        said = self.payloads
        return [item["event_id"] for i in ids for item in said[i]["items"]]

    def statuses(self, channel: str) -> list[tuple[str, int]]:
        """How the messages of a channel stand, in the order in which they were written."""
        sql = f"SELECT status, attempt FROM notifications_latest WHERE channel = '{channel}' ORDER BY created_at, position"
        return [(row["status"], row["attempt"]) for row in self.rows(sql)]


def everything(ask: Callable[[str], object]) -> str:
    """All rows of all our tables as a text; `ask` runs SQL."""
    return "\n".join(f"{table.name}: {ask(f'SELECT * FROM {table.name}')!r}" for table in TABLES)
