"""The outbox is emptied: what is pending is sent, every attempt recorded.

At least once: a message is recorded as sent after the channel took it, so one that was sent just before a crash is sent again, under
the same id. In order: while a message of a channel cannot be sent, those after it wait.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from bq_monitor.alerts.conditions import run_look
from bq_monitor.alerts.ledger import read_alerts
from bq_monitor.alerts.messages import Message, worst_first
from bq_monitor.alerts.news import news_of
from bq_monitor.alerts.notifying import latest, title_of
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders import sender_for
from bq_monitor.alerts.senders.base import Sender, Undelivered
from bq_monitor.alerts.settings import Channel
from bq_monitor.config import MonitorConfig
from bq_monitor.scan import digest
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Warehouse
from bq_monitor.warehouse.schema import NOTIFICATIONS, Table

MAX_AGE = timedelta(days=3)
"""What could not be sent for so long"""
MIN_ATTEMPTS = 12
"""and in so many attempts is given up."""
MAX_TRIES = 4
"""In one call a message is tried so often."""
FIRST_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 30.0
SECONDS = 60.0
"""So long at most one call sends; the rest is left to the next."""
MEMORY = timedelta(days=400)
"""So far back is looked for what waits: a monitor may run once a month, and quiet hours hold for days."""


@dataclass
class Dispatched:
    """What one call did. `given_up`: the channels with messages that are given up, and why; `reached`: those that took one."""

    n_sent: int = 0
    n_waiting: int = 0
    given_up: dict[str, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    def __add__(self, other: Dispatched) -> Dispatched:
        """What two calls did, one after the other."""
        return Dispatched(
            self.n_sent + other.n_sent,
            other.n_waiting,
            {**self.given_up, **other.given_up},
            self.reached | other.reached,
        )


@dataclass(frozen=True)
class Clock:
    """The time, and how to wait; tests have their own."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


def backoff(n: int, clock: Clock) -> float:
    """Seconds to wait after the `n`-th attempt (from 0): doubled each time, up to half of it left to chance."""
    return min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0**n) * (0.5 + 0.5 * clock.jitter())


def dispatch(
    warehouse: Warehouse, config: MonitorConfig, run_id: str, *, seconds: float = SECONDS, clock: Clock | None = None
) -> Dispatched:
    """Send what a monitor's outbox holds and is due, channel by channel; never raises for what a channel does."""
    return _Dispatch(warehouse, config, run_id, seconds, clock or Clock()).run()


@dataclass(frozen=True)
class _Letter:
    """One message to one channel, and the rows of the outbox that it is made of: several, where they were held together.

    The last row says when: what was held may go along with one that is not.
    """

    message: Message
    rows: tuple[Row, ...]

    @property
    def due(self) -> datetime:
        moment: datetime = self.rows[-1]["not_before"]
        return moment.astimezone(UTC)

    @property
    def age_from(self) -> datetime:
        """From when on it waits: when it was written, or when it was let go."""
        moment: datetime = self.rows[-1]["held_until"] or self.rows[-1]["created_at"]
        return moment.astimezone(UTC)


class _Dispatch:
    def __init__(self, warehouse: Warehouse, config: MonitorConfig, run_id: str, seconds: float, clock: Clock) -> None:
        self.warehouse, self.config, self.run_id, self.clock = warehouse, config, run_id, clock
        self.end = clock.now() + timedelta(seconds=seconds)
        self.until = self.end
        self.secrets, self.done = Secrets.of(config), Dispatched()

    def run(self) -> Dispatched:
        if not self.config.alerts.channels:
            return self.done
        rows = self.warehouse.query(statements.outbox(self.warehouse, self.config.monitor, self.clock.now() - MEMORY))
        channels = self.config.alerts.channels
        self._drop([row for row in rows if row["channel"] not in {channel.title for channel in channels}])
        for i, channel in enumerate(channels):  # none waits for long behind one that is slow
            self.until = self.clock.now() + (self.end - self.clock.now()) / (len(channels) - i)
            self._channel(channel, list(_letters([row for row in rows if row["channel"] == channel.title])))
        return self.done

    def _drop(self, rows: Sequence[Row]) -> None:
        """Messages to a channel that is configured no more are given up; nobody waits for them."""
        if rows:
            booked = [self._booked(row, "dead", self.clock.now(), "the channel is configured no more") for row in rows]
            about = [[row["notification_id"], row["attempt"]] for row in booked]
            self.warehouse.commit({NOTIFICATIONS: booked}, key=f"dropped-{digest(about)}")

    def _channel(self, channel: Channel, letters: Sequence[_Letter]) -> None:
        """Send in order; the first that has to wait stops those behind it, unless it waits for its hour."""
        sender = sender_for(channel, self.secrets)
        for i, letter in enumerate(letters):
            is_held = letter.rows[-1]["held_until"] is not None and letter.rows[-1]["attempt"] == 0
            if letter.due > self.clock.now() and is_held:
                self.done.n_waiting += 1
                continue
            if letter.due > self.clock.now() or not self._deliver(channel, sender, letter):
                self.done.n_waiting += len(letters) - i
                return

    def _deliver(self, channel: Channel, sender: Sender, letter: _Letter) -> bool:
        """Try until it is sent or given up (True), or has to wait for the next call (False)."""
        for n in range(MAX_TRIES):
            if self.clock.now() >= self.until:
                return False
            try:
                sender.send(letter.message)
            except Exception as error:
                letter, wait = self._failed(channel, letter, _fault(channel, error), n)
                if wait is None:
                    return bool(letter.rows[0]["status"] == "dead")
                self.clock.sleep(wait)
            else:
                self._record(letter, "sent", self.clock.now(), None)
                self.done.n_sent += 1
                self.done.reached.add(channel.title)
                return True
        return False

    def _failed(self, channel: Channel, letter: _Letter, fault: Undelivered, n: int) -> tuple[_Letter, float | None]:
        """The letter after a failed attempt, and how long to wait before the next; None when that is not for this call."""
        now, reason = self.clock.now(), self.secrets.redact(fault.reason)
        wait = backoff(n, self.clock) if fault.after_seconds is None else fault.after_seconds
        is_old = now - letter.age_from >= MAX_AGE and letter.rows[-1]["attempt"] >= MIN_ATTEMPTS
        if fault.retry == "never" or is_old:
            self.done.given_up[channel.title] = reason
            return self._record(letter, "dead", now, reason), None
        is_soon = fault.retry == "soon" and n + 1 < MAX_TRIES and now + timedelta(seconds=wait) < self.until
        later = now + timedelta(seconds=wait if fault.retry == "soon" else 0)
        return self._record(letter, "failed", later, reason), wait if is_soon else None

    def _record(self, letter: _Letter, status: str, not_before: datetime, error: str | None) -> _Letter:
        rows = [self._booked(row, status, not_before, error) for row in letter.rows]
        about = [[row["notification_id"], row["attempt"], status] for row in rows]
        told = self._loss(letter, error or "") if status == "dead" else {}
        told[NOTIFICATIONS] = [*rows, *told.get(NOTIFICATIONS, [])]
        self.warehouse.commit(told, key=f"sent-{digest(about)}")
        return replace(
            letter, rows=tuple({**row, "payload": old["payload"]} for row, old in zip(rows, letter.rows, strict=True))
        )

    def _booked(self, row: Row, status: str, not_before: datetime, error: str | None) -> Row:
        """One more attempt at a message, as a row."""
        return {
            "monitor": self.config.monitor, "run_id": self.run_id, "computed_at": self.clock.now(),
            "notification_id": row["notification_id"], "channel": row["channel"], "position": row["position"], "status": status,
            "attempt": int(row["attempt"]) + 1, "not_before": not_before, "held_until": row["held_until"],
            "severity": row["severity"], "n_alerts": row["n_alerts"], "payload": None, "error": error, "created_at": row["created_at"],
        }  # fmt: skip

    def _loss(self, letter: _Letter, reason: str) -> dict[Table, list[Row]]:
        """That a message is given up is news itself, committed with it: rows for the other channels."""
        now = self.clock.now()
        look = run_look(now, {AlertKey("delivery", letter.rows[0]["channel"]): f"given up: {reason}"})
        return news_of(self.config, read_alerts(self.warehouse, self.config.monitor), [look], now).rows(
            self.run_id, now
        )


def _fault(channel: Channel, error: Exception) -> Undelivered:
    """What went wrong; of an error that no sender foresaw only the type, since its text may show secrets."""
    if isinstance(error, Undelivered):
        return error
    reason = f"alerts.channels.{channel.title}: cannot send ({type(error).__name__}). Check the channel's settings"
    return Undelivered(reason, retry="later")


def _letters(rows: Sequence[Row]) -> Iterator[_Letter]:
    """The messages of one channel in order; those that were held to the same moment are one.

    One that is not held takes along what was held before it, where that tells of the same alerts: or older news would come later.
    """
    groups: dict[datetime | str, list[Row]] = {}
    for row in rows:
        own = [row]
        if row["held_until"] is None:
            told = _alert_ids([row])
            held = [key for key, group in groups.items() if isinstance(key, datetime) and _alert_ids(group) & told]
            own = [*(earlier for key in held for earlier in groups.pop(key)), row]
        groups.setdefault(row["held_until"] or row["notification_id"], []).extend(own)
    for group in groups.values():
        messages = [Message.from_dict(json.loads(row["payload"])) for row in group]
        yield _Letter(messages[0] if len(group) == 1 else _merged(group, messages), tuple(group))


def _alert_ids(rows: Sequence[Row]) -> set[str]:
    return {item["alert_id"] for row in rows for item in json.loads(row["payload"])["items"]}


def _merged(rows: Sequence[Row], messages: Sequence[Message]) -> Message:
    """Several messages as one: of each alert the newest word."""
    items = worst_first(latest(item for message in messages for item in message.items))
    last, standing = messages[-1], [item.severity for item in items if not item.is_resolved]
    severity = worst_first(items)[0].severity if standing else "info"
    return replace(
        last, notification_id=digest([row["notification_id"] for row in rows]), items=items, severity=severity,
        title=title_of(last.monitor, items),
    )  # fmt: skip
