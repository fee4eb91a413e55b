"""What people and machines are told: the news of alerts, as values that an outbox can keep. Pure; each sender gives it its own form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal

Severity = Literal["info", "warning", "critical"]
Kind = Literal[
    "drift", "prediction_drift", "slow_drift", "dataset_drift", "quality", "nothing_evaluated",
    "performance", "estimated_performance", "business", "accuracy_drift", "concept_drift", "fairness",
    "run_failed", "budget", "overdue", "delivery", "action_failed",
]  # fmt: skip
"""What an alert is about: the inputs, the answers and their outcomes, or the monitor itself."""
OF_RUNS: tuple[Kind, ...] = ("run_failed", "budget", "overdue", "delivery", "action_failed")
WORST_FIRST: tuple[Severity, ...] = ("critical", "warning", "info")
News = Literal["opened", "reopened", "escalated", "reminded", "resolved"]
"""What there is to tell of an alert. `escalated`: its severity rose; `reminded`: it still stands."""


@dataclass(frozen=True)
class Item:
    """One alert's news. Texts are as users wrote them: nothing in them is markup, whatever it looks like.

    Args:
        event_id: identity of the event; a receiver that knows it has heard this before.
        alert_id: identity of the alert through its whole life.
        news: what happened to it.
        kind: drift, prediction_drift, performance, ...
        severity: info, warning or critical.
        summary: a few words, such as `income drifted`.
        message: one or two sentences: what moved and by how much.
        recommendation: what to do next.
        since: end of the first window of this life of the alert.
        window_start, window_end: the window that the news is from; None for the monitor's own health.
        n_windows: windows in which it stood, this one included.
        feature, segment, baseline, measure: what it is about; None or 'all' where that is everything.
        sure: how sure it is, in words; None where nothing can be said.
        rows: the rows it is about, in words: table, time, filter, version, segment.
        carrier: what carries most of the change (nulls, one category, ...).
    """

    event_id: str
    alert_id: str
    news: News
    kind: Kind
    severity: Severity
    summary: str
    message: str
    recommendation: str
    since: datetime
    window_start: datetime | None
    window_end: datetime | None
    n_windows: int
    feature: str | None = None
    segment: str = "all"
    baseline: str | None = None
    measure: str | None = None
    sure: str | None = None
    rows: str | None = None
    carrier: str | None = None

    @property
    def is_resolved(self) -> bool:
        return self.news == "resolved"


@dataclass(frozen=True)
class Message:
    """One notification: the news of one run (or of a held stretch) for one channel.

    Args:
        notification_id: identity; what is sent twice has the same.
        monitor: whose news.
        severity: the worst of what is not resolved; `info` when everything is.
        title: one line, such as `loan_approval: 3 alerts opened, 1 resolved`.
        items: the news, worst first.
        owner, runbook, report: whom to ask, what to do, where to look; None where the configuration says nothing.
        group: key of an incident that later messages belong to (PagerDuty); None elsewhere.
        is_resolved: whether the incident of `group` is over.
    """

    notification_id: str
    monitor: str
    severity: Severity
    title: str
    created_at: datetime
    items: tuple[Item, ...]
    owner: str | None = None
    runbook: str | None = None
    report: str | None = None
    group: str | None = None
    is_resolved: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON carries it: times are ISO texts."""
        return {**_plain(asdict(self)), "items": [_plain(asdict(item)) for item in self.items]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Message:
        """From `to_dict()`; keys of later releases are left out."""
        items = tuple(_read(Item, item) for item in data["items"])
        message: Message = _read(cls, {**data, "items": items})
        return message


def headline(item: Item) -> str:
    """An item's first line: `[warning] income drifted (3 windows, since 2026-05-01)`."""
    windows = f"{item.n_windows} windows" if item.n_windows != 1 else "1 window"
    state = {
        "opened": "",
        "reopened": "again: ",
        "escalated": "worse: ",
        "reminded": "still: ",
        "resolved": "resolved: ",
    }
    return f"[{item.severity}] {state[item.news]}{item.summary} ({windows}, since {item.since:%Y-%m-%d})"


def worst_first(items: Sequence[Item]) -> tuple[Item, ...]:
    """Items that stand before those that are resolved, the worse before the less bad."""
    return tuple(sorted(items, key=lambda item: (item.is_resolved, WORST_FIRST.index(item.severity))))


_TIMES = ("created_at", "since", "window_start", "window_end")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


def _read(cls: Any, data: Mapping[str, Any]) -> Any:
    known = {item.name for item in fields(cls)}
    return cls(
        **{
            key: datetime.fromisoformat(value) if key in _TIMES and isinstance(value, str) else value
            for key, value in data.items()
            if key in known
        }
    )
