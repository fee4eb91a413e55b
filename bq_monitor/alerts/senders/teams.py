"""Microsoft Teams, by a webhook of Power Automate Workflows: one Adaptive Card whose text runs are never markdown."""

from __future__ import annotations

from typing import Any

from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.senders.channel import ChannelSender, once
from bq_monitor.alerts.senders.http import deliver
from bq_monitor.alerts.senders.text import Wording, fitting

MAX_BYTES = 27_000
"""Teams refuses messages of more than 28 KB."""


class TeamsSender(ChannelSender):
    def send(self, message: Message) -> None:
        """Returns when the workflow has answered 200 or 202."""
        body = fitting(self.place, message, _payload, MAX_BYTES)
        deliver(self.route, self.url, body, once(message.notification_id), accepted=(200, 202))


def _payload(words: Wording) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": _body(words),
        "actions": [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in words.links],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _body(words: Wording) -> list[dict[str, Any]]:
    blocks = [_block(_run(words.title, weight="Bolder", size="Large"))]
    blocks += [_block(_run(line)) for line in words.lines]
    for part in words.detailed:
        blocks.append(_block(_run(part.line, weight="Bolder")) | {"separator": True})
        blocks.append(_block(_run(part.sentence)))
        blocks += [_block(_run(f"{name}: ", isSubtle=True), _run(text)) for name, text in part.details]
    return blocks + [_block(_run(f"{name}: ", isSubtle=True), _run(text)) for name, text in words.facts]


def _block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}
