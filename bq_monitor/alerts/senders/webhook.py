"""Any receiver that speaks Standard Webhooks (standardwebhooks.com): JSON with an id, a time and a signature."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode, b64encode
from hashlib import sha256

from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.secrets import Secret
from bq_monitor.alerts.senders.base import Response, Undelivered
from bq_monitor.alerts.senders.channel import ChannelSender, once
from bq_monitor.alerts.senders.http import Route, deliver
from bq_monitor.alerts.senders.text import data_within

MAX_BYTES = 1_000_000
_PREFIX = "whsec_"


class WebhookSender(ChannelSender):
    def send(self, message: Message) -> None:
        """Returns when the receiver has answered 2xx."""
        body = data_within(self.place, message, MAX_BYTES)
        post_signed(self.url, self.key, body, message.notification_id, route=self.route)


def post_signed(url: Secret, key: Secret, body: bytes, message_id: str, *, route: Route) -> Response:
    """Post JSON with the three headers of Standard Webhooks; the answer, which is 2xx.

    Args:
        key: signs; after the prefix `whsec_` it is base64.
        message_id: the same for the same message, however often it is posted.

    Raises:
        Undelivered: the key is not base64 though it says so, or what the receiver answered.
    """
    at = int(time.time())
    headers = once(message_id)
    message_id = headers["Idempotency-Key"]
    signed = sign(route.place, key, message_id, at, body)
    headers |= {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signed}
    return deliver(route, url, body, headers)


def sign(place: str, key: Secret, message_id: str, at: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, time and body, in base64."""
    secret = _bytes_of(key.reveal())
    if not secret:
        raise Undelivered(f"{place}: the key after {_PREFIX} is not base64. Copy it once more", retry="later")
    digest = hmac.new(secret, f"{message_id}.{at}.".encode() + body, sha256).digest()
    return f"v1,{b64encode(digest).decode()}"


def _bytes_of(key: str) -> bytes:
    if not key.startswith(_PREFIX):
        return key.encode()
    try:
        return b64decode(key.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return b""
