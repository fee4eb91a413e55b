"""What senders share: the error of a notification that was not delivered, and when to try again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

from bq_monitor.alerts.messages import Message
from bq_monitor.errors import BqMonitorError

Retry = Literal["soon", "later", "never"]
"""`soon`: by itself it will pass; `later`: somebody must mend the set-up; `never`: this very message is not wanted."""
_SOON = (408, 425, 429)
_LATER = (401, 403, 404, 410)
LONGEST_WAIT_SECONDS = 24 * 3600.0


class Undelivered(BqMonitorError):  # noqa: N818 - what it says is what happened
    """A notification did not reach its service; `reason` shows no secret.

    Args:
        reason: *place: what is wrong; what to do*.
        retry: whether another attempt makes sense, and when.
        after_seconds: how long the service asked to be left alone; None where it did not say.
        was_refused: whether the service surely did nothing with it, and may take it soon.
    """

    exit_code = 4

    def __init__(
        self, reason: str, *, retry: Retry, after_seconds: float | None = None, was_refused: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry
        self.after_seconds = after_seconds
        self.was_refused = was_refused

    def alone(self) -> Undelivered:
        """The same, without the errors that led to it: their texts may show secrets."""
        return Undelivered(
            self.reason, retry=self.retry, after_seconds=self.after_seconds, was_refused=self.was_refused
        )


class Sender(Protocol):
    """Gives messages to one channel."""

    def send(self, message: Message) -> None:
        """Returns when the service has accepted the message; raises `Undelivered` otherwise."""


@dataclass(frozen=True)
class Response:
    """What a service answered. `headers` have lower-case names; `body` ends after 64 KB."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def refusal(place: str, host: str, response: Response, redact: Callable[[str], str]) -> Undelivered:
    """An answer that is no success, as the error that says so and when to try again."""
    status = response.status
    said = _said(response.body, redact)
    if 300 <= status < 400:
        text = f"{place}: {host} answered {status}; redirects are not followed. Configure the final URL"
        return Undelivered(text, retry="later")
    text = f"{place}: {host} answered {status}{said}"
    if status in _SOON or status >= 500:
        return Undelivered(
            f"{text}. It is tried again",
            retry="soon",
            after_seconds=retry_after(response.headers),
            was_refused=status in (429, 503),
        )
    if status in _LATER or status < 300:
        return Undelivered(f"{text}. Check the channel's address, key and rights", retry="later")
    return Undelivered(f"{text}. It does not want this message", retry="never")


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or an HTTP date; at most a day; None where it says nothing."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return min(float(value), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (until - (now or datetime.now(UTC))).total_seconds()), LONGEST_WAIT_SECONDS)


def _said(body: bytes, redact: Callable[[str], str]) -> str:
    """The first words of an answer's body, without secrets; markup of error pages tells nothing."""
    words = " ".join("".join(c if c.isprintable() else " " for c in redact(body.decode(errors="replace"))).split())
    return f" ({words[:200]})" if words and not words.startswith("<") else ""
