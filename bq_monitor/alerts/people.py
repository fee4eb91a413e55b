"""What people do with alerts: see to them, put them off, end them; each with who and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from bq_monitor.alerts.ledger import read_alerts
from bq_monitor.alerts.life import Alert, Transition, alert_id
from bq_monitor.alerts.messages import WORST_FIRST
from bq_monitor.alerts.news import News
from bq_monitor.alerts.own_health import deliver
from bq_monitor.alerts.wording import summary
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.timegrid import parse_moment
from bq_monitor.warehouse.base import Warehouse

MIN_PREFIX = 4
MAX_TEXT = 1000


@dataclass(frozen=True)
class Word:
    """Who says something about alerts, and why."""

    who: str
    why: str

    def __post_init__(self) -> None:
        for name in ("who", "why"):
            n = len(getattr(self, name).strip())
            if not 1 <= n <= MAX_TEXT:
                raise InputError(f"{name}: got {n} characters; allowed: 1 to {MAX_TEXT}. Say it in a sentence.")


@dataclass(frozen=True)
class Listed:
    """An alert as the command line shows it."""

    alert_id: str
    alert: Alert
    now: datetime

    @property
    def status(self) -> Literal["open", "acknowledged", "snoozed", "resolved"]:
        if not self.alert.is_open:
            return "resolved"
        if self.alert.snoozed_until is not None and self.alert.snoozed_until > self.now:
            return "snoozed"
        return "acknowledged" if self.alert.acknowledged_by else "open"

    def to_dict(self) -> dict[str, Any]:
        """As plain values; times are ISO texts."""
        alert = self.alert
        return {
            "alert_id": self.alert_id, "status": self.status, "condition": alert.condition, "severity": alert.severity,
            **alert.key._asdict(), "summary": summary(alert.key), "message": alert.message, "since": alert.since.isoformat(),
            "window_start": alert.window.start.isoformat(), "window_end": alert.window.end.isoformat(), "n_windows": alert.n_windows,
            "n_clean": alert.n_clean, "n_reopened": alert.n_reopened, "sure": alert.sure, "carrier": alert.carrier,
            "acknowledged_by": alert.acknowledged_by,
            "snoozed_until": alert.snoozed_until.isoformat() if alert.snoozed_until else None,
        }  # fmt: skip


def list_alerts(warehouse: Warehouse, config: MonitorConfig, *, resolved: bool = False) -> list[Listed]:
    """A monitor's alerts, the worst first and the newest first among them; `resolved`: those that are over, too."""
    now = datetime.now(UTC)
    found = [Listed(alert_id(config.monitor, key), a, now) for key, a in read_alerts(warehouse, config.monitor).items()]
    shown = [item for item in found if resolved or item.alert.is_open]
    return sorted(
        shown,
        key=lambda i: (
            not i.alert.is_open,
            WORST_FIRST.index(i.alert.severity),
            -i.alert.since.timestamp(),
            str(i.alert.key),
        ),
    )


def moment_to_come(text: str, zone: ZoneInfo) -> datetime:
    """`3d` (from now) or a moment in ISO 8601, read in a zone; raises `InputError` for anything else."""
    now = datetime.now(UTC)
    found = re.fullmatch(r"([1-9]\d{0,3})([hdw])", text.strip())
    if found:
        return (
            now + int(found[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[found[2]]
        )
    return parse_moment(text, zone)


def acknowledge(warehouse: Warehouse, config: MonitorConfig, ids: Sequence[str], word: Word) -> list[Listed]:
    """Say that open alerts are being seen to: no reminders until they are over. Raises `InputError` for an unknown id."""
    return _do(
        warehouse, config, ids, word, lambda alert: _said("acknowledged", replace(alert, acknowledged_by=word.who))
    )


def snooze(
    warehouse: Warehouse, config: MonitorConfig, ids: Sequence[str], word: Word, until: datetime
) -> list[Listed]:
    """Hear nothing of open alerts until a moment; the first run after it tells of those that still fire."""
    if until <= datetime.now(UTC):
        raise InputError(f"until: got {until:%Y-%m-%d %H:%M} UTC, which is over; allowed: a moment to come.")
    return _do(
        warehouse,
        config,
        ids,
        word,
        lambda alert: replace(_said("snoozed", replace(alert, snoozed_until=until)), until=until),
    )


def close(warehouse: Warehouse, config: MonitorConfig, ids: Sequence[str], word: Word) -> list[Listed]:
    """End open alerts; the channels hear of it. One that fires in a window to come is reopened."""

    def over(alert: Alert) -> Transition:
        return replace(
            _said("closed", replace(alert, is_open=False, condition="clean", snoozed_until=None)), notify=True
        )

    closed = _do(warehouse, config, ids, word, over)
    deliver(warehouse, config, "by hand")
    return closed


def _said(event: Literal["acknowledged", "snoozed", "closed"], alert: Alert) -> Transition:
    return Transition(event, alert)


def _do(
    warehouse: Warehouse,
    config: MonitorConfig,
    ids: Sequence[str],
    word: Word,
    said: Callable[[Alert], Transition],
) -> list[Listed]:
    now = datetime.now(UTC)
    before = read_alerts(warehouse, config.monitor)
    chosen = {alert.key: alert for alert in (_find(config, before.values(), text) for text in ids)}
    made = tuple(replace(said(alert), actor=word.who, note=word.why) for alert in chosen.values())
    news = News(config, before, made)
    warehouse.commit(news.rows("by hand", now), key=f"news-{news.identity}-{now:%Y%m%d%H%M%S%f}")
    return [Listed(alert_id(config.monitor, t.alert.key), t.alert, now) for t in made]


def _find(config: MonitorConfig, alerts: Iterable[Alert], text: str) -> Alert:
    """The open alert of an id, or of its first characters."""
    known = {alert_id(config.monitor, alert.key): alert for alert in alerts if alert.is_open}
    found = [name for name in known if name.startswith(text) and len(text) >= MIN_PREFIX]
    if len(found) == 1:
        return known[found[0]]
    listed = ", ".join(sorted(known)[:12]) or "none"
    what = "several open alerts begin so" if found else "no open alert has this id"
    raise InputError(f"monitor {config.monitor!r}: {what}; got {text!r}; open: {listed}. See 'bq-monitor alerts list'.")
