"""What a run (or a person) has to say: where alerts stood, what became of them, and the rows that tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bq_monitor.alerts.ledger import transition_row
from bq_monitor.alerts.life import Alert, Look, Policy, Transition, advance, event_id
from bq_monitor.alerts.notifying import notification_rows
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.config import MonitorConfig
from bq_monitor.scan import digest
from bq_monitor.warehouse.base import Row
from bq_monitor.warehouse.schema import ALERT_EVENTS, NOTIFICATIONS, Table


@dataclass(frozen=True)
class News:
    """Events of alerts; `before` is where all alerts stood."""

    config: MonitorConfig
    before: Mapping[AlertKey, Alert]
    transitions: tuple[Transition, ...] = ()

    @property
    def after(self) -> dict[AlertKey, Alert]:
        """Where all alerts stand now."""
        return {**self.before, **{t.alert.key: t.alert for t in self.transitions}}

    @property
    def is_told(self) -> bool:
        """Whether anybody is to hear of it."""
        return any(transition.notify for transition in self.transitions)

    @property
    def identity(self) -> str:
        return digest([event_id(self.config.monitor, transition) for transition in self.transitions])

    def rows(self, run_id: str, now: datetime) -> dict[Table, list[Row]]:
        """The events, and the messages that tell of them."""
        events = [transition_row(transition, self.config.monitor, run_id, now) for transition in self.transitions]
        return {
            ALERT_EVENTS: events,
            NOTIFICATIONS: notification_rows(self.transitions, self.after, self.config, now, run_id),
        }


def news_of(
    config: MonitorConfig,
    before: Mapping[AlertKey, Alert],
    looks: Sequence[Look],
    now: datetime,
    *,
    is_behind: bool = False,
) -> News:
    """What becomes of the alerts by what windows and runs show; `is_behind`: newer windows are due, which have the last word."""
    alerts = config.alerts
    policy = Policy(now, config.window.grid, alerts.resolve_after, alerts.remind_every, is_behind)
    return News(config, before, tuple(advance(before, looks, policy)))
