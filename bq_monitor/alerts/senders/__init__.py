"""How notifications leave the house: one module a service, each behind `sender_for`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from bq_monitor.alerts.secrets import Secrets
    from bq_monitor.alerts.senders.base import Sender
    from bq_monitor.alerts.settings import Channel

_SENDERS = {
    "log": "LogSender", "slack": "SlackSender", "pagerduty": "PagerDutySender", "teams": "TeamsSender",
    "google_chat": "GoogleChatSender", "email": "EmailSender", "webhook": "WebhookSender", "pubsub": "PubSubSender",
}  # fmt: skip


def sender_for(channel: Channel, secrets: Secrets, *, timeout_seconds: float = 10.0) -> Sender:
    """What gives messages to a channel; fetches no secret and opens no connection before `send`."""
    module = import_module(f"{__name__}.{channel.type}")
    return cast("Sender", getattr(module, _SENDERS[channel.type])(channel, secrets, timeout_seconds))
