"""Notifications as lines of the standard error stream, structured as Cloud Logging reads them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from bq_monitor.alerts.messages import Item, Message, headline, worst_first
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders.text import clean, cut
from bq_monitor.alerts.settings import Channel

MAX_LINE_BYTES = 200_000
"""Cloud Logging cuts entries of more than 256 KB in two, and neither half is JSON."""
_SEVERITIES = {"info": "INFO", "warning": "WARNING", "critical": "CRITICAL"}


@dataclass(frozen=True)
class LogSender:
    channel: Channel
    secrets: Secrets
    timeout_seconds: float = 10.0

    def send(self, message: Message) -> None:
        """One line of JSON an item, worst first; a message without items is one line with its title."""
        data = message.to_dict()
        ordered = worst_first(message.items)
        listed = {item["event_id"]: item for item in data.pop("items")}
        lines = [_line(_entry(message, data, item, listed[item.event_id])) for item in ordered]
        sys.stderr.write("".join(lines or [_line(_title(message, data))]))
        sys.stderr.flush()


def _entry(message: Message, data: dict[str, Any], item: Item, alert: dict[str, Any]) -> dict[str, Any]:
    labels = {"monitor": message.monitor, "kind": item.kind, "alert_id": item.alert_id, "event_id": item.event_id}
    return {
        "severity": "NOTICE" if item.is_resolved else _SEVERITIES[item.severity],
        "message": f"{clean(headline(item))}: {clean(item.message)}",
        "time": data["created_at"],
        "logging.googleapis.com/labels": labels,
        "alert": alert,
        "notification": data,
    }


def _title(message: Message, data: dict[str, Any]) -> dict[str, Any]:
    severity = "NOTICE" if message.is_resolved else _SEVERITIES[message.severity]
    labels = {"monitor": message.monitor}
    return {"severity": severity, "message": clean(message.title), "time": data["created_at"],
            "logging.googleapis.com/labels": labels, "notification": data}  # fmt: skip


def _line(entry: dict[str, Any]) -> str:
    """An entry as one line of ASCII, its texts cut as far as it takes."""
    for width in (None, 4000, 1000, 200):
        line = json.dumps(entry if width is None else _shortened(entry, width)) + "\n"
        if len(line) <= MAX_LINE_BYTES:
            break
    return line


def _shortened(value: Any, width: int) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(inner, width) for key, inner in value.items()}
    return cut(value, width) if isinstance(value, str) else value
