"""Alerts, events and windows by the day, for tests of what becomes of alerts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from scipy.spatial.distance import jensenshannon

from bq_monitor.alerts.conditions import feature_looks
from bq_monitor.alerts.life import Alert, AlertEvent, Condition, Look, Policy, Transition, advance
from bq_monitor.alerts.messages import Kind, Severity
from bq_monitor.alerts.news import news_of
from bq_monitor.alerts.rules import AlertKey, Event, events_of
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.history import History, Past
from bq_monitor.measure.histogram import Buckets, Coarse, Histogram
from bq_monitor.measure.verdict import compared, settle
from bq_monitor.plan import Judgement
from bq_monitor.results import DriftResult
from bq_monitor.timegrid import Grid, Span, Window
from bq_monitor.warehouse.base import Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import TABLES

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WEEKLY = Span(7, "d")
DAILY = Grid("day", Span(1, "d"), Span(1, "d"), ZoneInfo("UTC"))
AMOUNT = AlertKey("drift", None, "amount", "all", "training")
CONDITIONS: dict[str, Condition] = {"f": "firing", "d": "doubtful", "c": "clean", "u": "unknown"}


def watcher(**changes: Any) -> MonitorConfig:
    """A monitor of daily windows that nothing runs."""
    data = {
        "monitor": "loans", "warehouse": "duckdb://loans.duckdb", "source": {"table": "log.parquet", "timestamp": "ts"},
        "features": ["amount", "region"], "window": {"granule": "day", "length": "1d", "every": "1d"},
    }  # fmt: skip
    return parse_config({**data, **changes})


def day(number: int) -> Window:
    """The day of that number: the first is 1 January 2026."""
    return Window(START + timedelta(days=number - 1), START + timedelta(days=number))


def made_event(window: Window, key: AlertKey = AMOUNT, severity: Severity = "warning", **said: Any) -> Event:
    text = said.pop("message", f"{key.feature or key.measure or key.kind} moved")
    judgement = Judgement(window, "1", None, f"verdict-{window.end:%d}")
    return Event(judgement, key.kind, severity, text, key.feature, key.segment, key.baseline, key.measure, **said)


def look(number: int, letter: str, key: AlertKey = AMOUNT, severity: Severity = "warning") -> Look:
    """What one day shows of one alert: `f`iring, `d`oubtful, `c`lean, `u`nknown, or (`-`) nothing at all."""
    conditions = {key: CONDITIONS[letter]} if letter != "-" else {}
    events = {key: made_event(day(number), key, severity)} if letter == "f" else {}
    return Look(day(number), conditions, events, frozenset({"features"}))


def looks(letters: str, first: int = 1, key: AlertKey = AMOUNT) -> list[Look]:
    """One day a letter."""
    return [look(first + i, letter, key) for i, letter in enumerate(letters)]


def policy(now: datetime = NOW, remind_every: Span | int | None = WEEKLY, resolve_after: int = 3) -> Policy:
    return Policy(now, DAILY, resolve_after, remind_every)


def live(letters: str, **changes: Any) -> list[Transition]:
    """The life of one alert, from before it opened."""
    return advance({}, looks(letters), policy(**changes))


def told(transitions: Iterable[Transition]) -> list[AlertEvent]:
    """What people hear."""
    return [transition.event for transition in transitions if transition.notify]


def openings(transitions: Iterable[Transition]) -> int:
    return sum(transition.event in ("opened", "reopened") for transition in transitions)


def after(transitions: Sequence[Transition]) -> dict[AlertKey, Alert]:
    """Where alerts stand after these."""
    return {transition.alert.key: transition.alert for transition in transitions}


def made_alert(kind: Kind = "drift", feature: str | None = "amount", **changes: Any) -> Alert:
    """An alert that fires on day 1; keys of the alert's key among the changes go there."""
    about = {name: changes.pop(name) for name in ("measure", "segment", "baseline") if name in changes}
    fixed: Mapping[str, Any] = {"severity": "warning", "message": "it moved", "since": day(1).end, "window": day(1)}
    return Alert(AlertKey(kind, feature=feature, **about), **{**fixed, **changes})


def emptied(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    """A warehouse whose tables of ours hold nothing."""
    for table in TABLES:
        warehouse.execute(Statement("test", f"DELETE FROM {table.name}"))
    return warehouse


SHARES = np.full(10, 0.1)
N_BASELINE, N_CURRENT = 10_000, 1_000


def tilted(distance: float) -> np.ndarray:
    """Shares at a JS distance (bits) from `SHARES`, as scipy measures it."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        is_less = jensenshannon(SHARES, SHARES * (1 + middle * np.resize([1, -1], 10)), base=2) < distance
        low, high = (middle, high) if is_less else (low, middle)
    return SHARES * (1 + low * np.resize([1, -1], 10))


def simulated(distances: list[float], rng: np.random.Generator) -> dict[AlertKey, int]:
    """How often each alert opens while the true distance takes these values, a day each, by real verdicts and the defaults."""
    config, history, buckets = (
        watcher(features=["amount"]),
        History(),
        Buckets("numeric", tuple(float(i) for i in range(9))),
    )
    specials = np.zeros(len(buckets.codes) - 10, dtype=np.int64)
    baseline = Histogram(buckets, np.concatenate([(SHARES * N_BASELINE).astype(np.int64), specials]))
    found, alerts = dict[AlertKey, int](), {}
    for number, distance in enumerate(distances, start=1):
        counts = np.concatenate([rng.multinomial(N_CURRENT, tilted(distance)), specials])
        pair = compared(baseline, Histogram(buckets, counts), Coarse.of(baseline))
        (verdict,) = settle([pair.verdict(config.rule(None, 10), is_brief=True)], config.alpha)
        result = DriftResult(Judgement(day(number), "1", None, ""), "amount", "feature", "numeric", verdict)
        history.add(result.series, day(number), Past(verdict.status, verdict.drift_score))
        events = events_of([result], config, history)
        news = news_of(config, alerts, feature_looks([result], [], events, config), NOW)
        alerts = news.after
        for transition in news.transitions:
            found[transition.alert.key] = found.get(transition.alert.key, 0) + openings([transition])
    return found
