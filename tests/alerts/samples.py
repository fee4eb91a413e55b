"""Messages to send, channels to send them by, and texts that would like to be more than text."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bq_monitor.alerts.messages import Item, Message
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders import google_api, sender_for
from bq_monitor.alerts.senders.base import Sender, Undelivered
from bq_monitor.alerts.settings import Channel
from tests.alerts.receivers import HIDDEN, KEY, ROUTING_KEY, TOKEN, Receiver

AT = datetime(2026, 5, 8, 6, 30, tzinfo=UTC)
HOSTILE = (
    "<!channel> <@U1> *x* _y_ <script>alert(1)</script> @all <users/all> `c` [l](https://e.vil) <at>a</at> :tada:"
    "\n\n# h\u202e\x1b[31m\x00 \U0001f469\u200d\U0001f4bb"
)
LONG = "n\U0001f600" * 5_000
HTTP_KINDS = ("slack", "pagerduty", "teams", "google_chat", "webhook", "pubsub")


def make_item(number: int = 0, text: str | None = None, **changes: Any) -> Item:
    """An alert on income; `text` stands in every field that a user or a log may fill."""
    said = {
        "summary": "income drifted", "message": "income moved by 0.31 (limit 0.1).", "recommendation": "Look at the loader.",
        "feature": "income", "segment": "all", "baseline": "training", "measure": "js_distance", "sure": "99 % sure",
        "rows": "region = 'north'", "carrier": "nulls: 3 % to 41 %",
    }  # fmt: skip
    said = dict.fromkeys(said, text) if text is not None else said
    fixed = {"event_id": f"e{number}", "alert_id": f"a{number}", "news": "opened", "kind": "drift", "severity": "warning",
             "since": AT, "window_start": AT, "window_end": AT, "n_windows": 3}  # fmt: skip
    return Item(**{**fixed, **said, **changes})


def make_message(n_items: int = 1, text: str | None = None, **changes: Any) -> Message:
    items = tuple(make_item(i, text) for i in range(n_items))
    said = {
        "monitor": text or "loans",
        "title": text or f"loans: {n_items} alerts opened",
        "owner": text or "Risk team",
    }
    fixed = {"notification_id": "n-1", "severity": "warning", "created_at": AT, "items": items, "group": text or "loans/a0",
             "runbook": "https://wiki.test/runbook", "report": "https://wiki.test/report"}  # fmt: skip
    return Message(**{**fixed, **said, **changes})


def sender_to(
    running: Receiver, kind: str, monkeypatch: pytest.MonkeyPatch, *, timeout_seconds: float = 5.0, **channel: Any
) -> Sender:
    """The sender of a kind, set up by the environment to talk to a stand-in."""
    said: dict[str, Any] = {"type": kind, "allow_private": True, **channel}
    if kind == "pagerduty":
        said["endpoint"] = running.url
    if kind == "pubsub":
        said["topic"] = "projects/proj-1/topics/alerts"
        monkeypatch.setattr(google_api, "PUBSUB", running.url)
    monkeypatch.setenv(f"BQ_MONITOR_{kind.upper()}_URL", running.url)
    monkeypatch.setenv(f"BQ_MONITOR_{kind.upper()}_KEY", ROUTING_KEY if kind == "pagerduty" else KEY)
    return sender_for(Channel(**said), Secrets(lambda: TOKEN), timeout_seconds=timeout_seconds)


def refused(call: Callable[[], Any]) -> Undelivered:
    """The error of a call, after a look that it and what it was raised from show no secret."""
    with pytest.raises(Undelivered) as caught:
        call()
    error: BaseException | None = caught.value
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    while error is not None:
        shown += f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    for secret in (KEY, ROUTING_KEY, TOKEN, "T0SECRET", HIDDEN, "s1gnature", "t0kent0ken", "k3yk3yk3y"):
        assert secret not in shown
    return caught.value


def texts(data: Any) -> list[str]:
    """All texts of a payload."""
    if isinstance(data, str):
        return [data]
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [text for value in inner for text in texts(value)]


def shape(data: Any) -> Any:
    """A payload without its texts: which keys, how many blocks."""
    if isinstance(data, dict):
        return {key: shape(value) for key, value in data.items()}
    return [shape(value) for value in data] if isinstance(data, list) else type(data).__name__
