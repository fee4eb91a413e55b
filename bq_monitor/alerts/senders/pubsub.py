"""Pub/Sub: the message as JSON, for machines that act on it."""

from __future__ import annotations

import os
import re

from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.senders.base import Undelivered
from bq_monitor.alerts.senders.channel import ChannelSender
from bq_monitor.alerts.senders.google_api import publish
from bq_monitor.alerts.senders.text import clean, data_within

MAX_BYTES = 7_000_000
"""Pub/Sub takes requests of 10 MB, in which the data is base64."""


class PubSubSender(ChannelSender):
    def _topic(self) -> str:
        """The channel's topic, or that of the environment."""
        name = f"BQ_MONITOR_{self.channel.title.upper()}_TOPIC"
        topic = self.channel.topic or os.environ.get(name, "")
        if not re.fullmatch(r"projects/[\w.:-]+/topics/[\w.~+%-]+", topic):
            raise Undelivered(f"{self.place}: no topic; set {name} to projects/PROJECT/topics/TOPIC", retry="later")
        return topic

    def send(self, message: Message) -> None:
        """Returns when Pub/Sub has named the message."""
        named = {"monitor": message.monitor, "severity": message.severity, "notification_id": message.notification_id}
        attributes = {name: clean(text, 250) for name, text in named.items()}
        data = data_within(self.place, message, MAX_BYTES)
        publish(
            self._topic(),
            data,
            attributes,
            secrets=self.secrets,
            timeout_seconds=self.timeout_seconds,
            place=self.place,
        )
