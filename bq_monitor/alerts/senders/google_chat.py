"""Google Chat, by an incoming webhook: a card whose text is escaped HTML, one thread a monitor."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.secrets import Secret
from bq_monitor.alerts.senders.channel import ChannelSender, once
from bq_monitor.alerts.senders.http import deliver
from bq_monitor.alerts.senders.text import Part, Wording, clean, fitting

MAX_BYTES = 30_000
"""Chat refuses messages of more than 32 KB."""
_IN_THREAD = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"


class GoogleChatSender(ChannelSender):
    def send(self, message: Message) -> None:
        """Returns when Chat has answered 200."""
        body = fitting(self.place, message, lambda words: _payload(message, words), MAX_BYTES)
        deliver(self.route, _threaded(self.url), body, once(message.notification_id), accepted=(200,))


def _threaded(url: Secret) -> Secret:
    """The webhook's URL with the option that answers in the thread, or begins it."""
    parts = urlsplit(url.reveal())
    query = f"{parts.query}&{_IN_THREAD}" if parts.query else _IN_THREAD
    return Secret(urlunsplit(parts._replace(query=query)))


def _payload(message: Message, words: Wording) -> dict[str, Any]:
    n_alerts = f"{len(message.items)} alert{'s' if len(message.items) != 1 else ''}"
    card = {
        "header": {"title": "bq-monitor", "subtitle": f"{message.severity}: {n_alerts}"},
        "sections": _sections(words),
    }
    return {
        "fallbackText": f"bq-monitor ({message.severity}): {n_alerts}",
        "thread": {"threadKey": clean(message.monitor, 1000)},
        "cardsV2": [{"cardId": clean(message.notification_id, 200), "card": card}],
    }


def _sections(words: Wording) -> list[dict[str, Any]]:
    first = [_paragraph(f"<b>{_html(words.title)}</b>"), *(_paragraph(_html(line)) for line in words.lines)]
    sections: list[dict[str, Any]] = [{"widgets": first}]
    details = [_details(part) for part in words.detailed]
    if details:
        sections.append({"widgets": details, "collapsible": True, "uncollapsibleWidgetsCount": 1})
    foot = [_paragraph(f"{name}: {_html(text)}") for name, text in words.facts]
    buttons = [{"text": name, "onClick": {"openLink": {"url": url}}} for name, url in words.links]
    foot += [{"buttonList": {"buttons": buttons}}] if buttons else []
    return [*sections, {"widgets": foot}] if foot else sections


def _details(part: Part) -> dict[str, Any]:
    told = [_html(part.sentence), *(f"{name}: {_html(text)}" for name, text in part.details)]
    return _paragraph("<br>".join([f"<b>{_html(part.line)}</b>", *told]))


def _paragraph(text: str) -> dict[str, Any]:
    return {"textParagraph": {"text": text}}


def _html(text: str) -> str:
    return escape(text, quote=False)
