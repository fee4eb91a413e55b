"""Where alerts, notifications and actions stand: the same in Google's evaluator as in DuckDB, and as told by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bq_monitor.alerts.life import TOLD
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import ACTIONS, ALERT_EVENTS, NOTIFICATIONS, TABLES, Table
from bq_monitor.warehouse.setup import setup_statements, view_query
from bq_monitor.warehouse.views import VIEWS
from tests.googlesql.test_views import DAY, Contents, Google, Names, full, plain, rows_of

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = pytest.mark.googlesql

NAMES = ("alerts", "open_alerts", "notifications_latest", "actions_latest")


def day(n: int) -> datetime:
    return DAY + timedelta(days=n)


def hour(n: int) -> datetime:
    """When the n-th thing was written."""
    return day(20) + timedelta(hours=n)


UNTIL = hour(100)
NEXT = {"since": day(4), "n_reopened": 1}
"""The second life of an alert."""


def happened(alert: str, event: str, n: int, last: int, **changes: Any) -> Row:
    """An event of an alert, the `n`-th thing written, its window the day that ends as day `last` begins."""
    return {
        "monitor": "m", "model_version": "1", "run_id": f"run-{n}", "computed_at": hour(n), "window_start": day(last - 1),
        "window_end": day(last), "segment": "all", "feature": alert, "baseline": "training", "verdict_key": f"k{last}", "kind": "drift",
        "severity": "warning", "message": f"{alert}: {event}", "notify": event in TOLD, "alert_id": alert, "event_id": f"{alert} {event} {n}",
        "event": event, "since": day(1), "n_windows": 1, "n_clean": 0, "n_reopened": 0, "told_end": day(1), **changes,
    }  # fmt: skip


def said(alert: str, n: int, who: str, last: int = 1, **changes: Any) -> Row:
    return happened(alert, "acknowledged", n, last, actor=who, note=f"{who} looks", **changes)


def snoozed(alert: str, n: int, until: datetime = UNTIL) -> Row:
    return happened(alert, "snoozed", n, 1, actor="ann", note="holiday", until=until)


def lives() -> list[Row]:
    """Alerts, each named after what happened to it; rows are not in the order of time."""
    return [
        happened("fires on", "firing", 2, 2, n_windows=2), happened("fires on", "opened", 1, 1),
        *(happened("one run", "firing", 1, last, n_windows=last, event_id=f"one run {last}") for last in (3, 2)),
        happened("one run", "opened", 1, 1),
        happened("is clean", "opened", 1, 1), happened("is clean", "clean", 2, 2, n_clean=1),
        happened("is doubtful", "opened", 1, 1), happened("is doubtful", "doubtful", 2, 2),
        happened("unknown", "opened", 1, 1), happened("unknown", "unknown", 2, 2),
        happened("was unknown", "unknown", 2, 2), happened("was unknown", "firing", 3, 3, n_windows=2), happened("was unknown", "opened", 1, 1),
        happened("resolved", "opened", 1, 1), said("resolved", 2, "ann"), happened("resolved", "clean", 3, 2, n_clean=1),
        happened("resolved", "resolved", 4, 3, n_clean=2),
        happened("observed", "opened", 1, 1), happened("observed", "observed", 9, 9, n_windows=7), happened("only observed", "observed", 9, 9),
        happened("restated", "clean", 2, 2, n_clean=1), happened("restated", "firing", 3, 2, n_windows=2), happened("restated", "opened", 1, 1),
        happened("a slow run", "opened", 1, 1), happened("a slow run", "firing", 2, 3, n_windows=3),
        happened("a slow run", "firing", 3, 2, n_windows=2),
        happened("elsewhere", "opened", 1, 1, monitor="m2"), said("elsewhere", 2, "eve", monitor="m2"),
        *people(), *written_twice(),
    ]  # fmt: skip


def people() -> list[Row]:
    """What people said; some of it of an earlier life, or before something that was told."""
    ended = [
        happened("came back", "opened", 1, 1),
        said("came back", 2, "ann"),
        happened("came back", "resolved", 3, 3),
    ]
    again = [{**row, "alert_id": "seen again", "event_id": f"again {row['event_id']}"} for row in ended]
    return [
        *ended, happened("came back", "reopened", 4, 4, **NEXT),
        *again, happened("seen again", "reopened", 4, 4, **NEXT), said("seen again", 5, "bob", last=4, **NEXT),
        happened("opened anew", "opened", 1, 1), said("opened anew", 2, "ann"), happened("opened anew", "resolved", 3, 3),
        happened("opened anew", "opened", 4, 9, since=day(9)),
        happened("seen to", "opened", 1, 1), said("seen to", 2, "ann"), happened("seen to", "escalated", 3, 2, n_windows=2),
        happened("seen by two", "opened", 1, 1), said("seen by two", 3, "bob"), said("seen by two", 2, "ann"),
        happened("same window", "opened", 1, 1), said("same window", 2, "ann"), happened("same window", "closed", 3, 1, actor="ann"),
        happened("same window", "reopened", 4, 1, n_reopened=1),
        happened("closed", "opened", 1, 1), snoozed("closed", 2), happened("closed", "closed", 3, 1, actor="ann", note="known"),
        happened("snoozed", "opened", 1, 1), snoozed("snoozed", 2), happened("snoozed", "escalated", 3, 2, n_windows=2, notify=False),
        happened("snoozed twice", "opened", 1, 1), snoozed("snoozed twice", 3), snoozed("snoozed twice", 2, hour(99)),
        happened("never told", "opened", 1, 1, notify=False), snoozed("never told", 2),
        happened("told since", "opened", 1, 1), snoozed("told since", 2), happened("told since", "reminded", 3, 2, n_windows=2),
    ]  # fmt: skip


def written_twice() -> list[Row]:
    """Events that a second run wrote later, under the same identity; and a row that is there twice."""
    found = []
    for alert in ("twice", "twice closed", "twice snoozed"):
        opened = happened(alert, "opened", 1, 1)
        found += [opened, {**opened, "computed_at": hour(8), "run_id": "late"}]
    same = happened("same row", "opened", 1, 1)
    return [
        *found, said("twice", 2, "ann"), happened("twice", "firing", 3, 1, n_windows=2), happened("twice closed", "closed", 2, 1, actor="ann"),
        snoozed("twice snoozed", 2), same, same,
    ]  # fmt: skip


STANDING: dict[str, tuple[str, str, int, int, str | None, datetime | None]] = {
    "a slow run": ("open", "firing", 3, 3, None, None),
    "came back": ("open", "reopened", 4, 1, None, None),
    "closed": ("resolved", "closed", 1, 1, None, None),
    "elsewhere": ("acknowledged", "opened", 1, 1, "eve", None),
    "fires on": ("open", "firing", 2, 2, None, None),
    "is clean": ("open", "clean", 2, 1, None, None),
    "is doubtful": ("open", "doubtful", 2, 1, None, None),
    "never told": ("open", "opened", 1, 1, None, UNTIL),
    "observed": ("open", "opened", 1, 1, None, None),
    "one run": ("open", "firing", 3, 3, None, None),
    "opened anew": ("open", "opened", 9, 1, None, None),
    "resolved": ("resolved", "resolved", 3, 1, None, None),
    "restated": ("open", "firing", 2, 2, None, None),
    "same row": ("open", "opened", 1, 1, None, None),
    "same window": ("open", "reopened", 1, 1, None, None),
    "seen again": ("acknowledged", "reopened", 4, 1, "bob", None),
    "seen by two": ("acknowledged", "opened", 1, 1, "bob", None),
    "seen to": ("acknowledged", "escalated", 2, 2, "ann", None),
    "snoozed": ("open", "escalated", 2, 2, None, UNTIL),
    "snoozed twice": ("open", "opened", 1, 1, None, UNTIL),
    "told since": ("open", "reminded", 2, 2, None, None),
    "twice": ("acknowledged", "firing", 1, 2, "ann", None),
    "twice closed": ("resolved", "closed", 1, 1, None, None),
    "twice snoozed": ("open", "opened", 1, 1, None, UNTIL),
    "unknown": ("open", "unknown", 2, 1, None, None),
    "was unknown": ("open", "firing", 3, 2, None, None),
}
"""By alert: status, the event it stands at, the day its window ends, n_windows, acknowledged_by, snoozed_until."""


def written(name: str, status: str, attempt: int, n: int, **changes: Any) -> Row:
    """A row of the outbox; only what is pending says what is to be told."""
    is_new = status == "pending"
    return {
        "monitor": "m", "run_id": f"run-{n}", "computed_at": hour(n), "notification_id": name, "channel": "team", "position": 0,
        "status": status, "attempt": attempt, "not_before": hour(n), "severity": "warning", "n_alerts": 1, "created_at": hour(1),
        "payload": f"of {name}" if is_new else None, "error": None if is_new or status == "sent" else f"error {n}", **changes,
    }  # fmt: skip


def outbox() -> list[Row]:
    return [
        written("due", "pending", 0, 1, position=2), written("first", "pending", 0, 1, position=1),
        written("late", "pending", 0, 3, created_at=hour(3)),
        written("failing", "failed", 1, 2), written("failing", "pending", 0, 1),
        written("behind", "failed", 2, 2), written("behind", "failed", 1, 3), written("behind", "pending", 0, 1),
        written("booked twice", "pending", 0, 1), written("booked twice", "failed", 1, 3), written("booked twice", "failed", 1, 2),
        written("sent", "failed", 1, 2), written("sent", "sent", 2, 3), written("sent", "pending", 0, 1),
        written("dead", "dead", 2, 3), written("dead", "failed", 1, 2), written("dead", "pending", 0, 1),
        written("two runs", "sent", 1, 2), written("two runs", "dead", 2, 3), written("two runs", "pending", 0, 1),
        written("found twice", "pending", 0, 1), written("found twice", "pending", 0, 2, payload="newer"),
        written("gone", "sent", 1, 2), written("gone", "failed", 2, 3), written("gone", "pending", 0, 1),
        written("old", "pending", 0, 1, created_at=hour(0)), written("elsewhere", "pending", 0, 1, monitor="m2"),
    ]  # fmt: skip


OUTBOX: dict[str, tuple[str, int, str, str | None]] = {
    "behind": ("failed", 2, "of behind", "error 2"),
    "booked twice": ("failed", 1, "of booked twice", "error 3"),
    "dead": ("dead", 2, "of dead", "error 3"),
    "due": ("pending", 0, "of due", None),
    "elsewhere": ("pending", 0, "of elsewhere", None),
    "failing": ("failed", 1, "of failing", "error 2"),
    "first": ("pending", 0, "of first", None),
    "found twice": ("pending", 0, "of found twice", None),
    "gone": ("sent", 1, "of gone", None),
    "late": ("pending", 0, "of late", None),
    "old": ("pending", 0, "of old", None),
    "sent": ("sent", 2, "of sent", None),
    "two runs": ("sent", 1, "of two runs", None),
}
"""By notification: status, attempts, what it says (of two texts the last by the alphabet), error."""


def step(name: str, status: str, n: int, **changes: Any) -> Row:
    return {
        "monitor": "m", "run_id": f"run-{n}", "computed_at": hour(n), "action_id": name, "action": "retrain", "kind": "retrain",
        "target": "pubsub", "status": status, "alert_id": "a", "reason": "income drifted", "details": "{}", "created_at": hour(1), **changes,
    }  # fmt: skip


def steps() -> list[Row]:
    return [
        step("pending", "pending", 1), step("started", "started", 2), step("started", "pending", 1),
        step("decided twice", "pending", 1), step("decided twice", "started", 2), step("decided twice", "pending", 3),
        step("done", "started", 2), step("done", "succeeded", 3), step("done", "pending", 1),
        *(step("one moment", status, 1) for status in ("pending", "succeeded", "started")),
        step("started late", "succeeded", 2), step("started late", "started", 3), step("started late", "pending", 1),
        step("cut off", "pending", 1), step("cut off", "started", 2), step("cut off", "interrupted", 9),
        step("cooling", "cooling", 2, created_at=hour(2)), step("old", "pending", 1, created_at=hour(0)),
        step("elsewhere", "pending", 1, monitor="m2"),
    ]  # fmt: skip


ACTED = {
    "cooling": ("cooling", "run-2"), "cut off": ("interrupted", "run-9"), "decided twice": ("started", "run-2"), "done": ("succeeded", "run-3"),
    "elsewhere": ("pending", "run-1"), "old": ("pending", "run-1"), "one moment": ("succeeded", "run-1"), "pending": ("pending", "run-1"),
    "started": ("started", "run-2"), "started late": ("succeeded", "run-2"),
}  # fmt: skip
"""By action: status, and the run that says so."""


@pytest.fixture(scope="module")
def contents() -> Contents:
    written_rows: dict[Table, list[Row]] = {ALERT_EVENTS: lives(), NOTIFICATIONS: outbox(), ACTIONS: steps()}
    return {table.name: rows_of(table, *written_rows.get(table, [])) for table in TABLES}


@pytest.fixture(scope="module")
def google(googlesql: GoogleSQL, contents: Contents) -> Google:
    tables = {full(table.name): {c.name: c.type for c in table.columns} for table in TABLES}
    opened = Google(googlesql, tables, {full(name): rows for name, rows in contents.items()})
    for view in VIEWS:
        if view.name in NAMES:
            sql = view_query(view, Names())
            rows = opened.query(sql)
            tables[full(view.name)] = dict(googlesql.analyze(sql, tables).outputs)
            opened.contents[full(view.name)] = rows
    return opened


@pytest.fixture(scope="module")
def filled(contents: Contents) -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse()
    for statement in setup_statements(opened):
        if not statement.name.startswith("tables/comment"):
            opened.execute(statement)
    opened.commit({table: contents[table.name] for table in TABLES}, key="contents")
    yield opened
    opened.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_view_answers_the_same(google: Google, filled: DuckDBWarehouse, name: str) -> None:
    """Over the same rows both dialects answer the same rows of each view."""
    expected, actual = google.contents[full(name)], filled.query(Statement(name, f"SELECT * FROM {name}"))
    assert expected
    assert [list(row) for row in actual] == [list(row) for row in expected]
    assert sorted(map(repr, map(plain, actual))) == sorted(map(repr, map(plain, expected)))


READS = {
    "alerts": lambda names: statements.alerts(names, "m"),
    "outbox": lambda names: statements.outbox(names, "m", hour(1)),
    "actions": lambda names: statements.actions(names, "m", hour(1)),
}


@pytest.mark.parametrize("name", READS)
def test_reads_answer_the_same(google: Google, filled: DuckDBWarehouse, name: str) -> None:
    """What a run reads of alerts, messages and actions does not depend on the warehouse, down to the order of rows."""
    expected = read(google, name)
    assert expected
    assert filled.query(READS[name](filled)) == expected


def read(google: Google, name: str) -> list[Row]:
    statement = READS[name](Names())
    return google.query(statement.sql, statement.params)


def test_an_alert_stands_where_its_last_window_left_it(google: Google) -> None:
    """Of each alert one row: its newest window's event, what people said in this life, and the snooze that still holds."""
    found = {
        row["alert_id"]: (row["status"], row["event"], (row["window_end"] - DAY).days, row["n_windows"], row["acknowledged_by"], row["snoozed_until"])
        for row in google.contents[full("alerts")]
    }  # fmt: skip
    assert found == STANDING
    assert len(google.contents[full("alerts")]) == len(STANDING)
    unknown = {row["alert_id"] for row in google.contents[full("alerts")] if row["is_unknown"]}
    assert unknown == {"unknown"}


def test_what_was_said_goes_with_who_said_it(google: Google) -> None:
    """The note is that of the acknowledgement that holds; without one there is none."""
    for row in google.contents[full("alerts")]:
        who = STANDING[row["alert_id"]][4]
        assert row["note"] == (f"{who} looks" if who else None), row["alert_id"]


def test_open_alerts_are_those_that_are_not_resolved(google: Google) -> None:
    """Acknowledged, snoozed and unknown ones are open, too, and say what `alerts` says."""
    found = google.contents[full("open_alerts")]
    assert sorted(row["alert_id"] for row in found) == [
        name for name, stands in STANDING.items() if stands[0] != "resolved"
    ]
    alerts = {row["alert_id"]: row for row in google.contents[full("alerts")]}
    assert all(row.items() <= alerts[row["alert_id"]].items() for row in found)


def test_the_alerts_of_a_monitor_are_its_own(google: Google) -> None:
    """All that there ever were are read, resolved ones too, in the order of their ids."""
    assert [row["alert_id"] for row in read(google, "alerts")] == [name for name in STANDING if name != "elsewhere"]


def test_a_notification_stands_where_its_last_attempt_left_it(google: Google) -> None:
    """An attempt that two runs booked is one, what was sent is sent, and every row says what the first one said."""
    rows = google.contents[full("notifications_latest")]
    found = {row["notification_id"]: (row["status"], row["attempt"], row["payload"], row["error"]) for row in rows}
    assert found == OUTBOX
    assert len(rows) == len(OUTBOX)


def test_the_outbox_holds_what_was_neither_sent_nor_given_up(google: Google) -> None:
    """Of one monitor, written since a moment, in the order of writing."""
    found = [(row["notification_id"], row["attempt"]) for row in read(google, "outbox")]
    assert found == [
        ("behind", 2), ("booked twice", 1), ("failing", 1), ("found twice", 0), ("first", 0), ("due", 0), ("late", 0),
    ]  # fmt: skip


def test_an_action_stands_at_its_last_step(google: Google) -> None:
    """An outcome stands above a start, a start above a decision, whenever they were written."""
    rows = google.contents[full("actions_latest")]
    assert {row["action_id"]: (row["status"], row["run_id"]) for row in rows} == ACTED
    assert len(rows) == len(ACTED)


def test_the_actions_of_a_monitor_say_which_run_began_them(google: Google) -> None:
    """Of one monitor, decided since a moment; a run knows its own start by its id."""
    found = [(row["action_id"], row["status"], row["run_id"]) for row in read(google, "actions")]
    names = [*(name for name in ACTED if name not in ("cooling", "elsewhere", "old")), "cooling"]
    assert found == [(name, *ACTED[name]) for name in names]
