"""Alerts as rows: `alert_events` is written, the view `alerts` read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bq_monitor.alerts.life import Alert, AlertEvent, Condition, Transition, alert_id, event_id
from bq_monitor.alerts.rules import AlertKey, Event
from bq_monitor.timegrid import Window
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Warehouse

_CONDITIONS: dict[str, Condition] = {
    "doubtful": "doubtful", "clean": "clean", "unknown": "unknown", "resolved": "clean", "closed": "clean",
}  # fmt: skip


def read_alerts(warehouse: Warehouse, monitor: str) -> dict[AlertKey, Alert]:
    """Where all alerts of a monitor stand."""
    found = [_alert(row) for row in warehouse.query(statements.alerts(warehouse, monitor))]
    return {alert.key: alert for alert in found}


def transition_row(transition: Transition, monitor: str, run_id: str, computed_at: datetime) -> Row:
    """A row of `alert_events`."""
    alert = transition.alert
    return {
        "monitor": monitor, "model_version": alert.model_version, "run_id": run_id, "computed_at": computed_at,
        "window_start": alert.window.start, "window_end": alert.window.end, **_about(alert.key),
        "verdict_key": transition.verdict_key, "severity": alert.severity, "message": alert.message,
        "notify": transition.notify, "alert_id": alert_id(monitor, alert.key), "event_id": event_id(monitor, transition),
        "event": transition.event, "since": alert.since, "n_windows": alert.n_windows, "n_clean": alert.n_clean,
        "n_reopened": alert.n_reopened, "told_end": alert.told_end, "sure": alert.sure, "carrier": alert.carrier,
        "actor": transition.actor, "note": transition.note, "until": transition.until,
    }  # fmt: skip


def observed(event: Event) -> Transition:
    """What a backfill found: a row that changes no alert and that nobody hears of."""
    window = event.judgement.window
    alert = Alert(
        event.key, event.severity, event.message, window.end, window, model_version=event.judgement.model_version,
        sure=event.sure, carrier=event.carrier,
    )  # fmt: skip
    return Transition("observed", alert, verdict_key=event.judgement.verdict_key)


def _about(key: AlertKey) -> dict[str, Any]:
    return {
        "kind": key.kind, "measure": key.measure, "feature": key.feature, "segment": key.segment, "baseline": key.baseline,
    }  # fmt: skip


def _alert(row: Row) -> Alert:
    event: AlertEvent = row["event"]
    return Alert(
        AlertKey(row["kind"], row["measure"], row["feature"], row["segment"], row["baseline"]),
        row["severity"], row["message"], _utc(row["since"]), Window(_utc(row["window_start"]), _utc(row["window_end"])),
        is_open=row["status"] != "resolved", condition=_CONDITIONS.get(event, "firing"), model_version=row["model_version"],
        n_windows=int(row["n_windows"]), n_clean=int(row["n_clean"]), n_reopened=int(row["n_reopened"]),
        told_end=None if row["told_end"] is None else _utc(row["told_end"]), sure=row["sure"], carrier=row["carrier"],
        acknowledged_by=row["acknowledged_by"],
        snoozed_until=None if row["snoozed_until"] is None else _utc(row["snoozed_until"]),
    )  # fmt: skip


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
