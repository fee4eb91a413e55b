"""Slack, by an incoming webhook. All user text is `plain_text`, in which nothing is a mention, a link or an emoji."""

from __future__ import annotations

from typing import Any

from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.senders.base import refusal
from bq_monitor.alerts.senders.channel import ChannelSender, once
from bq_monitor.alerts.senders.http import deliver, host_of
from bq_monitor.alerts.senders.text import Part, Wording, cut, fitting

MAX_BYTES = 30_000
MAX_HEADER = 150
MAX_SECTION = 3000


class SlackSender(ChannelSender):
    def send(self, message: Message) -> None:
        """Returns when Slack has answered 200 `ok`."""
        body = fitting(self.place, message, lambda words: _payload(message, words), MAX_BYTES)
        response = deliver(self.route, self.url, body, once(message.notification_id), accepted=(200,))
        if response.body.strip() != b"ok":
            raise refusal(self.place, host_of(self.url), response, self.secrets.redact)


def _payload(message: Message, words: Wording) -> dict[str, Any]:
    return {
        "text": escape(words.title),
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": _blocks(message, words),
    }


def _blocks(message: Message, words: Wording) -> list[dict[str, Any]]:
    lines = "\n".join(cut(line, MAX_SECTION // 12) for line in words.lines)
    found: list[dict[str, Any]] = [{"type": "header", "text": _plain(words.title, MAX_HEADER)}]
    found += [{"type": "section", "text": _plain(lines, MAX_SECTION)}] if lines else []
    found += [{"type": "section", "text": _plain(_details(part), MAX_SECTION)} for part in words.detailed]
    facts = [f"{name}: {text}" for name, text in (("Notification", message.notification_id), *words.facts)]
    found += [{"type": "context", "elements": [_plain(fact, MAX_SECTION) for fact in facts]}]
    return found + ([{"type": "actions", "elements": _buttons(words)}] if words.links else [])


def _details(part: Part) -> str:
    return "\n".join([part.line, part.sentence, *(f"{name}: {text}" for name, text in part.details)])


def _buttons(words: Wording) -> list[dict[str, Any]]:
    return [{"type": "button", "text": _plain(name, 75), "url": url} for name, url in words.links]


def _plain(text: str, limit: int) -> dict[str, Any]:
    n = limit
    while len(escaped := escape(cut(text, n))) > limit:
        n = n * limit // len(escaped)
    return {"type": "plain_text", "text": escaped or "-", "emoji": False}


def escape(text: str) -> str:
    """Slack's three control characters as what they look like."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
