"""From what happened to alerts to what is told to whom, and when: rows of the outbox. Pure.

People hear of a run in one message a channel, PagerDuty in one a kind of alert (its incident), machines of every event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bq_monitor.alerts.life import Alert, Transition
from bq_monitor.alerts.messages import WORST_FIRST, Item, Message, Severity, worst_first
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.settings import Channel, QuietHours
from bq_monitor.alerts.wording import item_of
from bq_monitor.config import MonitorConfig
from bq_monitor.scan import digest
from bq_monitor.warehouse.base import Row

MAX_ITEMS = 500
"""A machine gets at most so many events in one message."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def notification_rows(
    transitions: Sequence[Transition],
    standing: Mapping[AlertKey, Alert],
    config: MonitorConfig,
    now: datetime,
    run_id: str,
) -> list[Row]:
    """The messages that are due for these events, as `pending` rows of `notifications`; `standing` is where alerts are after them."""
    told = [transition for transition in transitions if transition.notify]
    rows = []
    for channel in config.alerts.channels:
        mine = [t for t in told if _hears(channel, t.alert) and not _is_about(channel, t.alert)]
        for position, message in enumerate(_messages(channel, mine, standing, config, now)):
            held = held_until(channel, message.severity, config, now)
            rows.append(_row(message, channel, position, held, run_id))
    return rows


def _hears(channel: Channel, alert: Alert) -> bool:
    return WORST_FIRST.index(alert.severity) <= WORST_FIRST.index(channel.least)


def _is_about(channel: Channel, alert: Alert) -> bool:
    """Whether an alert says that this very channel does not work."""
    return alert.key.kind == "delivery" and alert.key.measure == channel.title


def _messages(
    channel: Channel,
    told: Sequence[Transition],
    standing: Mapping[AlertKey, Alert],
    config: MonitorConfig,
    now: datetime,
) -> Iterator[Message]:
    if channel.type == "pagerduty":
        yield from _incidents(channel, told, standing, config, now)
        return
    items = [item_of(transition, config) for transition in told]
    if channel.is_held:
        items = latest(items)
    size = max(1, len(items)) if channel.is_held else MAX_ITEMS
    for i in range(0, len(items), size):
        part = items[i : i + size]
        yield message_of(channel.title, worst_first(part) if channel.is_held else part, config, now)


def _incidents(
    channel: Channel,
    told: Sequence[Transition],
    standing: Mapping[AlertKey, Alert],
    config: MonitorConfig,
    now: datetime,
) -> Iterator[Message]:
    """One incident a kind of alert: it is over when no alert of that kind stands."""
    mine = [a for a in standing.values() if a.is_open and _hears(channel, a) and not _is_about(channel, a)]
    for kind in sorted({transition.alert.key.kind for transition in told}):
        items = latest(item_of(t, config) for t in told if t.alert.key.kind == kind)
        is_over = all(alert.key.kind != kind for alert in mine)
        shown = items if is_over else [item for item in items if not item.is_resolved]
        if shown:
            group = f"bq-monitor:{config.monitor}:{kind}"
            yield message_of(channel.title, worst_first(shown), config, now, group=group, is_resolved=is_over)


def latest(items: Iterable[Item]) -> list[Item]:
    """One item an alert, its last; what was opened and still stands is told as opened."""
    found: dict[str, Item] = {}
    for item in items:
        before = found.pop(item.alert_id, None)
        is_new = before is not None and before.news in ("opened", "reopened") and not item.is_resolved
        found[item.alert_id] = replace(item, news=before.news) if before and is_new else item
    return list(found.values())


def message_of(
    channel: str,
    items: Sequence[Item],
    config: MonitorConfig,
    now: datetime,
    *,
    group: str | None = None,
    is_resolved: bool = False,
) -> Message:
    """A message; the same items for the same channel have the same identity."""
    alerts = config.alerts
    standing: list[Severity] = [item.severity for item in items if not item.is_resolved]
    return Message(
        digest([channel, group, [item.event_id for item in items]]), config.monitor,
        min(standing, key=WORST_FIRST.index, default="info"), title_of(config.monitor, items), now, tuple(items),
        alerts.owner, alerts.runbook, config.report_link, group, is_resolved,
    )  # fmt: skip


def title_of(monitor: str, items: Sequence[Item]) -> str:
    """`loan_approval: 3 alerts opened, 1 resolved`."""
    words = {
        "opened": "opened",
        "reopened": "came back",
        "escalated": "got worse",
        "reminded": "still stand",
        "resolved": "resolved",
    }
    counts = [(sum(item.news == news for item in items), word) for news, word in words.items()]
    told = [f"{n} {word}" for n, word in counts if n]
    first, *others = told or ["nothing"]
    number, _, word = first.partition(" ")
    noun = "alert" if number == "1" else "alerts"
    return f"{monitor}: " + ", ".join([f"{number} {noun} {word}", *others])


def _row(message: Message, channel: Channel, position: int, held: datetime | None, run_id: str) -> Row:
    return {
        "monitor": message.monitor, "run_id": run_id, "computed_at": message.created_at, "notification_id": message.notification_id,
        "channel": channel.title, "position": position, "status": "pending", "attempt": 0, "not_before": held or message.created_at,
        "held_until": held, "severity": message.severity, "n_alerts": len(message.items),
        "payload": json.dumps(message.to_dict(), ensure_ascii=False), "error": None, "created_at": message.created_at,
    }  # fmt: skip


def held_until(channel: Channel, severity: Severity, config: MonitorConfig, now: datetime) -> datetime | None:
    """Until when a message of that severity waits; None when it goes at once."""
    if not channel.is_held:
        return None
    quiet = config.alerts.quiet_hours
    zone = (quiet.timezone if quiet else None) or config.window.timezone
    if WORST_FIRST.index(severity) <= WORST_FIRST.index(quiet.but if quiet else "critical"):
        return None
    moment = _next(now, channel.digest, zone) if channel.digest is not None else now
    end = quiet_until(quiet, moment, zone) if quiet else None
    return end or (moment if moment > now else None)


def quiet_until(quiet: QuietHours, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The end of the quiet hours that `now` lies in; None when it lies in none."""
    moment = now
    for _ in range(2 * len(_DAYS)):
        end = _end_of_quiet(quiet, moment, zone)
        if end is None:
            break
        moment = end
    return moment if moment > now else None


def _end_of_quiet(quiet: QuietHours, moment: datetime, zone: ZoneInfo) -> datetime | None:
    local = moment.astimezone(zone)
    if _DAYS[local.weekday()] in quiet.days:
        return _next(moment, time(0), zone)
    if quiet.start is None or quiet.end is None:
        return None
    clock = local.time().replace(tzinfo=None)
    within = quiet.start <= clock < quiet.end if quiet.start < quiet.end else clock >= quiet.start or clock < quiet.end
    return _next(moment, quiet.end, zone) if within else None


def _next(now: datetime, clock: time, zone: ZoneInfo) -> datetime:
    """The next moment after `now` at which the clock of a zone shows a time."""
    today = now.astimezone(zone).date()
    local = (
        datetime.combine(today + timedelta(days=i), clock, zone).replace(fold=fold) for i in (0, 1) for fold in (0, 1)
    )
    return min(moment for moment in (found.astimezone(UTC) for found in local) if moment > now)
