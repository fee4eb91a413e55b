"""PagerDuty, by its Events API v2: a message opens or resolves the incident of its group."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from bq_monitor.alerts.messages import Item, Message, worst_first
from bq_monitor.alerts.senders.channel import ChannelSender, once
from bq_monitor.alerts.senders.http import deliver
from bq_monitor.alerts.senders.text import Wording, clean, fitting

ENDPOINT = "https://events.pagerduty.com/v2/enqueue"
MAX_BYTES = 400_000
MAX_KEY = 255


class PagerDutySender(ChannelSender):
    def send(self, message: Message) -> None:
        """Returns when PagerDuty has answered 202."""
        key = self.key.reveal()
        body = fitting(self.place, message, lambda words: {"routing_key": key, **_event(message, words)}, MAX_BYTES)
        deliver(self.route, self.channel.endpoint or ENDPOINT, body, once(message.notification_id), accepted=(202,))


def dedup_key(message: Message) -> str:
    """The group of a message, or its monitor; a key that is too long or has odd characters ends in its hash."""
    key = message.group or message.monitor
    short = clean(key, MAX_KEY - 65)
    return key if key == short else f"{short}-{sha256(key.encode(errors='replace')).hexdigest()}"


def _event(message: Message, words: Wording) -> dict[str, Any]:
    if message.is_resolved:
        return {"event_action": "resolve", "dedup_key": dedup_key(message)}
    return {
        "event_action": "trigger",
        "dedup_key": dedup_key(message),
        "payload": _payload(message, words),
        "links": [{"href": url, "text": name} for name, url in words.links],
        "client": "bq-monitor",
        **({"client_url": words.report} if words.report else {}),
    }


def _summary(message: Message, worst: Sequence[Item]) -> str:
    """What a phone shows when it rings: the worst alert, and how many more."""
    n_more = len(message.items) - 1
    return f"{message.monitor}: {worst[0].summary if worst else message.title}" + (
        f" and {n_more} more" if n_more > 0 else ""
    )


def _payload(message: Message, words: Wording) -> dict[str, Any]:
    worst = worst_first(message.items)[:1]
    about = {
        "component": clean(worst[0].feature or worst[0].measure or "all", 255),
        "class": clean(worst[0].kind, 255),
    } if worst else {}  # fmt: skip
    return {
        "summary": clean(_summary(message, worst), 1024),
        "source": clean(message.monitor, 255) or "bq-monitor",
        "severity": message.severity,
        "timestamp": message.created_at.isoformat(),
        "group": clean(message.monitor, 255),
        **about,
        "custom_details": _details(message, words),
    }


def _details(message: Message, words: Wording) -> dict[str, Any]:
    """All lines first, then what there is to say of each."""
    parts = [{"alert": part.line, "what": part.sentence, **dict(part.details)} for part in words.parts]
    return {"notification_id": message.notification_id, "alerts": words.lines, "details": parts, **dict(words.facts)}
