"""Alerts are read back as they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bq_monitor.alerts.ledger import observed, read_alerts, transition_row
from bq_monitor.alerts.life import Alert, AlertEvent, Condition, Look, Policy, Transition, advance
from bq_monitor.alerts.rules import AlertKey, Event
from bq_monitor.plan import Judgement
from bq_monitor.timegrid import Grid, Span, Window
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import ALERT_EVENTS
from bq_monitor.warehouse.setup import setup_statements

WRITTEN = datetime(2026, 5, 9, 6, 30, 15, 654321, tzinfo=UTC)
LAST = Window(datetime(2026, 5, 1, 0, 0, 0, 1, tzinfo=UTC), datetime(2026, 5, 8, 0, 0, 0, 123456, tzinfo=UTC))
FULL = Alert(
    AlertKey("concept_drift", "roc_auc", "income", "region=EU", "previous"), "critical", "It's \U0001f4c9 'worse'.",
    LAST.end - timedelta(days=14, microseconds=1), LAST, model_version="v2", n_windows=3, n_clean=2, n_reopened=1,
    told_end=LAST.end - timedelta(microseconds=7), sure="99 % sure", carrier="nulls: 3 % to 41 %",
)  # fmt: skip
BARE = Alert(AlertKey("run_failed"), "warning", "no such table", LAST.end, Window(LAST.end, LAST.end))
FIRING: tuple[AlertEvent, ...] = ("opened", "reopened", "firing", "reminded", "escalated")
CONDITIONS: dict[AlertEvent, Condition] = {
    **dict.fromkeys(FIRING, "firing"), "doubtful": "doubtful", "clean": "clean", "unknown": "unknown", "resolved": "clean", "closed": "clean",
}  # fmt: skip
OF_PEOPLE: tuple[AlertEvent, ...] = ("acknowledged", "snoozed", "closed")
UNTIL = WRITTEN + timedelta(days=3, microseconds=5)


@pytest.fixture
def ledger(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    """A warehouse with our tables and views."""
    for statement in setup_statements(warehouse):
        if statement.name != "tables/comment":
            warehouse.execute(statement)
    return warehouse


def write(ledger: DuckDBWarehouse, made: Sequence[Transition], n: int = 0, monitor: str = "loans") -> None:
    """Commit events as the `n`-th run does."""
    rows = [transition_row(item, monitor, f"run-{n}", WRITTEN + timedelta(hours=n)) for item in made]
    ledger.commit({ALERT_EVENTS: rows}, key=f"events-{n}")


def left(event: AlertEvent, alert: Alert) -> Transition:
    """An event of windows, or the end by a person, and how it leaves the alert."""
    stands = replace(alert, condition=CONDITIONS[event], is_open=event not in ("resolved", "closed"))
    return Transition(
        event, stands, notify=event in FIRING, verdict_key="k", actor="ann" if event == "closed" else None
    )


@pytest.mark.parametrize("alert", [FULL, BARE], ids=["full", "bare"])
@pytest.mark.parametrize("event", CONDITIONS)
def test_an_alert_is_read_back_as_an_event_left_it(ledger: DuckDBWarehouse, event: AlertEvent, alert: Alert) -> None:
    """Whatever happened: every field, what is None, and moments to the microsecond."""
    made = left(event, alert)
    write(ledger, [made])
    assert read_alerts(ledger, "loans") == {alert.key: made.alert}


def test_every_kind_of_event_is_read_back_here() -> None:
    """A new kind of event needs a line in this module."""
    assert {*CONDITIONS, *OF_PEOPLE, "observed"} == set(get_args(AlertEvent))


@pytest.mark.parametrize("alert", [FULL, BARE], ids=["full", "bare"])
@pytest.mark.parametrize("condition", get_args(Condition))
def test_what_people_say_is_read_back(ledger: DuckDBWarehouse, condition: Condition, alert: Alert) -> None:
    """An alert that was acknowledged and snoozed stands as it stood, with both, and keeps them while it goes on untold."""
    stands = replace(alert, condition=condition)
    events: dict[Condition, AlertEvent] = {
        "firing": "opened",
        "doubtful": "doubtful",
        "clean": "clean",
        "unknown": "unknown",
    }
    write(ledger, [left(events[condition], stands)])
    seen = replace(stands, acknowledged_by="ann")
    write(ledger, [Transition("acknowledged", seen, actor="ann", note="I look")], 1)
    assert read_alerts(ledger, "loans") == {alert.key: seen}
    put_off = replace(seen, snoozed_until=UNTIL)
    write(ledger, [Transition("snoozed", put_off, actor="bob", note="holiday", until=UNTIL)], 2)
    assert read_alerts(ledger, "loans") == {alert.key: put_off}
    later = replace(put_off, n_windows=9, condition="firing", window=Window(LAST.end, LAST.end + timedelta(days=1)))
    write(ledger, [Transition("firing", later)], 3)
    assert read_alerts(ledger, "loans") == {alert.key: later}


def test_what_a_backfill_observed_changes_nothing(ledger: DuckDBWarehouse) -> None:
    """It makes no alert, and leaves one that stands as it is, even if its window is newer."""
    later = Window(LAST.end, LAST.end + timedelta(days=30))
    judgement = Judgement(later, "v9", None, "k9")
    seen = [
        observed(Event(judgement, a.key.kind, "info", "seen", *a.key[2:], measure=a.key.measure)) for a in (FULL, BARE)
    ]
    assert [item.alert.key for item in seen] == [FULL.key, BARE.key]
    assert not any(item.notify for item in seen)
    write(ledger, [left("opened", FULL)])
    write(ledger, seen, 1)
    assert read_alerts(ledger, "loans") == {FULL.key: FULL}


def test_monitors_have_their_own_alerts(ledger: DuckDBWarehouse) -> None:
    """One key of two monitors is two alerts."""
    write(ledger, [left("opened", FULL)])
    write(ledger, [left("resolved", FULL)], 1, monitor="cards")
    assert read_alerts(ledger, "loans")[FULL.key].is_open
    assert not read_alerts(ledger, "cards")[FULL.key].is_open


KEYS = (AlertKey("drift", feature="income"), AlertKey("drift", feature="age"), AlertKey("quality", "volume"))


def look(day: int, shown: Mapping[AlertKey, Condition], severity: str) -> Look:
    window = Window(LAST.start + timedelta(days=day), LAST.end + timedelta(days=day))
    judgement = Judgement(window, "v1", None, f"k{day}")
    events = {
        key: Event(judgement, key.kind, severity, f"day {day}", key.feature, measure=key.measure)  # type: ignore[arg-type]
        for key, condition in shown.items()
        if condition == "firing"
    }
    return Look(window, dict(shown), events, frozenset({"features"}))


def people_say(rng: np.random.Generator, alerts: Mapping[AlertKey, Alert], now: datetime) -> list[Transition]:
    """Now and then somebody acknowledges, snoozes or closes what is open."""
    made = []
    for alert in alerts.values():
        if not alert.is_open or rng.random() > 0.25:
            continue
        until = now + timedelta(hours=int(rng.integers(1, 30)))
        made.append([
            Transition("acknowledged", replace(alert, acknowledged_by="ann"), actor="ann", note="seen"),
            Transition("snoozed", replace(alert, snoozed_until=until), actor="bob", note="later", until=until),
            Transition("closed", replace(alert, is_open=False, condition="clean", snoozed_until=None), notify=True, actor="eve", note="known"),
        ][int(rng.integers(3))])  # fmt: skip
    return made


def without_who(alerts: Mapping[AlertKey, Alert]) -> dict[AlertKey, Alert]:
    """Of an alert that is over nobody needs to know who saw to it."""
    return {key: alert if alert.is_open else replace(alert, acknowledged_by=None) for key, alert in alerts.items()}


@pytest.mark.parametrize("seed", range(2))
def test_a_long_history_is_read_back_after_each_step(ledger: DuckDBWarehouse, seed: int) -> None:
    """Runs of one to three windows, some of them judged again, and people between: the rows say what memory says, at every step."""
    rng, day, kept = np.random.default_rng(seed), 0, dict[AlertKey, Alert]()
    happened, shown = set[str](), get_args(Condition)
    for n in range(0, 80, 2):
        now = WRITTEN + timedelta(hours=n)
        looks = []
        for i in range(int(rng.integers(1, 4))):
            day += 1 if i else int(rng.random() < 0.8)  # a run looks at a window once; the next may look at it again
            conditions: dict[AlertKey, Condition] = {key: rng.choice(shown, p=[0.4, 0.1, 0.4, 0.1]) for key in KEYS}
            looks.append(look(day, conditions, str(rng.choice(["info", "warning"]))))
        policy = Policy(now, Grid("day", Span(7, "d"), Span(1, "d"), ZoneInfo("UTC")), 1, Span(2, "d"))
        for offset, made in ((0, advance(kept, looks, policy)), (1, None)):
            made = people_say(rng, kept, now) if made is None else made  # noqa: PLW2901 - asked only when it is their turn
            kept.update({item.alert.key: item.alert for item in made})
            happened.update(item.event for item in made)
            write(ledger, made, n + offset)
            assert read_alerts(ledger, "loans") == without_who(kept), (n, offset)
    assert happened >= {
        "opened",
        "reopened",
        "firing",
        "clean",
        "resolved",
        "acknowledged",
        "snoozed",
        "closed",
        "reminded",
    }
