"""What every sender knows: its channel, the secrets, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from bq_monitor.alerts.secrets import Secret, Secrets
from bq_monitor.alerts.senders.http import Route
from bq_monitor.alerts.settings import Channel


@dataclass(frozen=True)
class ChannelSender:
    channel: Channel
    secrets: Secrets
    timeout_seconds: float = 10.0

    @property
    def place(self) -> str:
        """How errors name the channel."""
        return f"alerts.channels.{self.channel.title}"

    @property
    def route(self) -> Route:
        return Route(self.place, self.secrets, self.channel.allow_private, self.timeout_seconds)

    @property
    def url(self) -> Secret:
        return self.secrets.get(self.channel.reference("url"))

    @property
    def key(self) -> Secret:
        return self.secrets.get(self.channel.reference("key"))


def once(notification_id: str) -> dict[str, str]:
    """The header by which a service may know a message that comes twice."""
    return {"Idempotency-Key": "".join(c for c in notification_id if c.isascii() and c.isprintable())[:255]}
