"""The life of an alert: opened, firing on, resolved after clean windows, reopened. Pure.

An alert only goes forward: what a window older than its last one shows when it is judged again changes nothing. Missing data
is `unknown`, never clean. One that comes back soon after it was resolved takes up to `LONGER` times as many clean windows the next time,
so that what flaps stays one alert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from bq_monitor.alerts.messages import WORST_FIRST, Severity
from bq_monitor.alerts.rules import AlertKey, Event
from bq_monitor.scan import digest
from bq_monitor.timegrid import DAYS_PER_MONTH, Grid, Span, Window

LONGER = 10
"""An alert that came back soon is over after so many times as many clean windows,"""
LONGER_DAYS = 90
"""or, where these would take longer than so many days, fewer; but not fewer than"""
LEAST_LONGER = 3
"""times as many."""
SOON_WINDOWS = 30
"""An alert that fires again within so many windows after it was resolved is reopened; later it is a new one."""

Condition = Literal["firing", "doubtful", "clean", "unknown"]
"""What a window shows of an alert. `doubtful`: not firing, but not clean either, as what drifts unconfirmed, or lies above its threshold
by less than is sure."""
AlertEvent = Literal[
    "opened", "reopened", "firing", "reminded", "escalated", "doubtful", "clean", "unknown", "resolved",
    "acknowledged", "snoozed", "closed", "observed",
]  # fmt: skip
TOLD: tuple[AlertEvent, ...] = ("opened", "reopened", "reminded", "escalated", "resolved", "closed")


@dataclass(frozen=True)
class Alert:
    """Where an alert stands after its last window.

    Args:
        since: end of the first window of this life.
        window: the last window that it was looked at in.
        condition: what that window showed.
        n_windows: windows of this life in which it fired; n_clean: clean ones in a row since.
        n_reopened: how often it came back soon.
        told_end: end of the window that people were last told of; None when they never were.
        acknowledged_by: who said that it is being seen to, in this life.
        snoozed_until: until then nobody is told; stays until the news after it.
    """

    key: AlertKey
    severity: Severity
    message: str
    since: datetime
    window: Window
    is_open: bool = True
    condition: Condition = "firing"
    model_version: str = ""
    n_windows: int = 1
    n_clean: int = 0
    n_reopened: int = 0
    told_end: datetime | None = None
    sure: str | None = None
    carrier: str | None = None
    acknowledged_by: str | None = None
    snoozed_until: datetime | None = None


@dataclass(frozen=True)
class Transition:
    """One event in an alert's life, and where it stands then: a row of `alert_events`."""

    event: AlertEvent
    alert: Alert
    notify: bool = False
    verdict_key: str | None = None
    actor: str | None = None
    note: str | None = None
    until: datetime | None = None


def alert_id(monitor: str, key: AlertKey) -> str:
    """Identity of an alert through all its lives (16 hexadecimal characters)."""
    return digest([monitor, *key])


def event_id(monitor: str, transition: Transition) -> str:
    """Identity of an event: two runs that find the same give it the same."""
    alert = transition.alert
    moment = [alert.since, alert.window.end, alert.n_windows, alert.n_clean, alert.n_reopened]
    by = [transition.actor, transition.note, transition.until]
    return digest([alert_id(monitor, alert.key), transition.event, *moment, *by])


@dataclass(frozen=True)
class Look:
    """What one window shows: the condition of every alert that it tells something of, and the events of those that fire.

    `streams`: an open alert of these of which it tells nothing is unknown; other alerts stay as they are.
    """

    window: Window
    conditions: Mapping[AlertKey, Condition]
    events: Mapping[AlertKey, Event] = field(default_factory=dict)
    streams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Policy:
    """How alerts live: `now` is the clock that snoozes are held against; `grid` the schedule of windows.

    `remind_every`: so much time, or so many windows, after people were last told; None: never. `is_behind`: newer windows are due;
    nobody is told of what stood long ago, the run that sees to the newest tells what still stands.
    """

    now: datetime
    grid: Grid
    resolve_after: int = 3
    remind_every: Span | int | None = None
    is_behind: bool = False

    def needed(self, alert: Alert) -> int:
        """Clean windows in a row after which an alert is over."""
        if alert.key.stream == "runs" or alert.key.kind == "nothing_evaluated":
            return 1
        if not alert.n_reopened:
            return self.resolve_after
        in_time = round(LONGER_DAYS / DAYS_PER_MONTH * self.grid.per_month)
        return max(LEAST_LONGER * self.resolve_after, min(LONGER * self.resolve_after, in_time))

    def is_soon(self, resolved: Alert, window: Window) -> bool:
        """Whether a window comes so soon after an alert was resolved that it is the same one."""
        days = SOON_WINDOWS * DAYS_PER_MONTH / self.grid.per_month
        return (window.end - resolved.window.end).total_seconds() <= days * 86_400

    def is_reminder_due(self, alert: Alert, window: Window) -> bool:
        """Whether people are to hear again of an alert that still fires: from time to time, and when a snooze is over."""
        if self.is_behind or self._is_snoozed(alert):
            return False
        if alert.snoozed_until is not None or alert.told_end is None:
            return True
        if self.remind_every is None or alert.acknowledged_by is not None:
            return False
        if isinstance(self.remind_every, int):
            return len(self.grid.windows(alert.told_end, window.end)) >= self.remind_every
        return self.remind_every.before(window.end, self.grid.zone) >= alert.told_end

    def _is_snoozed(self, alert: Alert | None) -> bool:
        return alert is not None and alert.snoozed_until is not None and alert.snoozed_until > self.now

    def told(self, event: AlertEvent, alert: Alert, key: str | None = None) -> Transition:
        """An event that people hear of, unless the alert is snoozed."""
        if event == "resolved":  # who heard of it hears that it is over; the snooze is for what comes after
            is_told = alert.told_end is not None
            return Transition(event, alert, notify=is_told and not self.is_behind, verdict_key=key)
        if self.is_behind or self._is_snoozed(alert):
            return Transition(event, alert, verdict_key=key)
        return Transition(
            event, replace(alert, told_end=alert.window.end, snoozed_until=None), notify=True, verdict_key=key
        )


def advance(alerts: Mapping[AlertKey, Alert], looks: Sequence[Look], policy: Policy) -> list[Transition]:
    """What becomes of the alerts by what windows show, oldest first; `alerts` are all that there ever were."""
    standing, made = dict(alerts), list[Transition]()
    for look in sorted(looks, key=lambda look: look.window.end):
        told = [
            key
            for key, alert in standing.items()
            if alert.is_open and (key in look.conditions or key.stream in look.streams)
        ]
        for key in sorted({*look.events, *told}, key=str):
            transition = _step(standing.get(key), key, look, policy)
            if transition is not None:
                standing[key] = transition.alert
                made.append(transition)
    return made


def _step(alert: Alert | None, key: AlertKey, look: Look, policy: Policy) -> Transition | None:
    condition = look.conditions.get(key, "unknown")
    if condition == "firing":
        return _fire(alert, look.events[key], look.window, policy)
    if alert is None or not alert.is_open or look.window.end <= alert.window.end:
        return None
    if condition == "unknown":
        return (
            None
            if alert.condition == "unknown"
            else Transition("unknown", replace(alert, condition="unknown", window=look.window))
        )
    seen = replace(alert, window=look.window, condition=condition)
    if condition == "doubtful":
        return Transition("doubtful", replace(seen, n_clean=0))
    seen = replace(seen, n_clean=alert.n_clean + 1)
    if seen.n_clean < policy.needed(alert):
        return Transition("clean", seen)
    return policy.told("resolved", replace(seen, is_open=False))


def _fire(alert: Alert | None, event: Event, window: Window, policy: Policy) -> Transition | None:
    verdict_key = event.judgement.verdict_key or None
    fresh = Alert(
        event.key, event.severity, event.message, window.end, window, model_version=event.judgement.model_version,
        sure=event.sure, carrier=event.carrier,
    )  # fmt: skip
    if alert is None:
        return policy.told("opened", fresh, verdict_key)
    if window.end < alert.window.end or (window.end == alert.window.end and not alert.is_open):
        return None
    if not alert.is_open:
        again = policy.is_soon(alert, window)
        n_reopened = alert.n_reopened + 1 if again else 0
        fresh = replace(fresh, n_reopened=n_reopened, snoozed_until=alert.snoozed_until)
        return policy.told("reopened" if again else "opened", fresh, verdict_key)
    return _fire_on(alert, fresh, policy, verdict_key)


def _fire_on(alert: Alert, fresh: Alert, policy: Policy, verdict_key: str | None) -> Transition | None:
    """An alert that stands, and fires again: `fresh` is what its newest window says."""
    window = fresh.window
    if window.end == alert.window.end and alert.condition == "firing":
        return None
    worst = min(
        fresh.severity, alert.severity, key=WORST_FIRST.index
    )  # of its life: what goes up and down is told once
    seen = replace(
        fresh, severity=worst, since=alert.since, n_windows=alert.n_windows + 1, n_reopened=alert.n_reopened, told_end=alert.told_end,
        acknowledged_by=alert.acknowledged_by, snoozed_until=alert.snoozed_until,
    )  # fmt: skip
    if worst != alert.severity:
        return policy.told("escalated", seen, verdict_key)
    if policy.is_reminder_due(alert, window):
        return policy.told("reminded", seen, verdict_key)
    return Transition("firing", seen, verdict_key=verdict_key)
