"""The page about alerts holds: its configuration is one, its kinds, commands and numbers are ours, its SQL answers what it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
import yaml

from bq_monitor import cli
from bq_monitor.alerts import life, notifying, outbox
from bq_monitor.alerts.ledger import transition_row
from bq_monitor.alerts.messages import Kind
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.settings import Alerts, Channel
from bq_monitor.alerts.wording import _RECOMMENDATIONS, _SUMMARIES
from bq_monitor.config import parse_config
from bq_monitor.timegrid import Window
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import ACTIONS, ALERT_EVENTS, NOTIFICATIONS, TABLES
from bq_monitor.warehouse.setup import create_tables, view_query
from bq_monitor.warehouse.views import VIEWS
from tests.conftest import ROOT
from tests.googlesql.conftest import googlesql

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

__all__ = ["googlesql"]  # its fixture

PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
BLOCKS = dict(
    zip(("standing", "opened", "lost", "set off"), re.findall(r"^```sql\n(.*?)^```$", PAGE, re.M | re.S), strict=True)
)
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def row(
    event: life.AlertEvent, day: int, kind: Kind = "drift", feature: str | None = "income", **changes: object
) -> Row:
    """A row of `alert_events`, of one window a day; the alert began on the first of March."""
    window = Window(DAY + timedelta(days=day - 7), DAY + timedelta(days=day))
    alert = life.Alert(AlertKey(kind, None, feature), "warning", f"{feature} moved", DAY, window, **changes)  # type: ignore[arg-type]
    return transition_row(life.Transition(event, alert), "loans", "run", DAY + timedelta(days=day, hours=1))


def rows() -> dict[str, list[Row]]:
    """Three alerts, one of them over, one critical; a message that was given up; an action that succeeded."""
    sent = {
        "monitor": "loans", "run_id": "run", "computed_at": DAY, "notification_id": "n1", "channel": "slack", "position": 0,
        "status": "pending", "attempt": 0, "not_before": DAY, "held_until": None, "severity": "warning", "n_alerts": 1,
        "payload": "{}", "error": None, "created_at": DAY,
    }  # fmt: skip
    begun = {
        "monitor": "loans", "run_id": "run", "computed_at": DAY, "action_id": "a1", "action": "retrain", "kind": "retrain",
        "target": "projects/p/topics/t", "status": "pending", "alert_id": "x", "reason": "income drifted for 3 windows", "outcome": None,
        "details": "{}", "created_at": DAY,
    }  # fmt: skip
    later = DAY + timedelta(hours=1)
    return {
        "alert_events": [
            row("opened", 0), row("firing", 1, n_windows=2), row("observed", 1, feature="ghost"),
            row("opened", 0, feature="age"), row("resolved", 3, feature="age", is_open=False, n_clean=3),
            row("opened", 1, kind="dataset_drift", feature=None) | {"severity": "critical"},
        ],
        "notifications": [sent, sent | {"status": "dead", "attempt": 1, "payload": None, "error": "404", "computed_at": later}],
        "actions": [
            begun, begun | {"status": "started", "computed_at": later}, begun | {"status": "succeeded", "outcome": "done", "computed_at": later},
        ],
    }  # fmt: skip


def check(answers: dict[str, list[Row]]) -> None:
    """What the queries must answer over `rows()`, counted by hand."""
    assert [(r["severity"], r["kind"], r["feature"], r["n_windows"]) for r in answers["standing"]] == [
        ("critical", "dataset_drift", None, 1), ("warning", "drift", "income", 2),
    ]  # fmt: skip
    assert [(r["year"], r["month"], r["kind"], r["n_alerts"], r["longest"]) for r in answers["opened"]] == [
        (2026, 3, "dataset_drift", 1, 1), (2026, 3, "drift", 2, 2),
    ]  # fmt: skip
    assert [(r["channel"], r["attempt"], r["error"]) for r in answers["lost"]] == [("slack", 1, "404")]
    assert [(r["action"], r["status"], r["outcome"]) for r in answers["set off"]] == [("retrain", "succeeded", "done")]


def test_the_queries_answer_what_the_page_says() -> None:
    """In DuckDB."""
    warehouse = DuckDBWarehouse()
    create_tables(warehouse)
    tables = {table.name: table for table in (ALERT_EVENTS, NOTIFICATIONS, ACTIONS)}
    warehouse.commit({tables[name]: found for name, found in rows().items()}, key="page")
    check({name: warehouse.query(Statement(name, sql)) for name, sql in BLOCKS.items()})
    warehouse.close()


@pytest.mark.googlesql
def test_google_answers_the_same(googlesql: GoogleSQL) -> None:
    """In Google's reference evaluator."""

    class Names:
        dialect = "bigquery"

        def table(self, name: str) -> str:
            return f"`{name}`"

    types = {table.name: {c.name: c.type for c in table.columns} for table in TABLES}
    contents = {table.name: [] for table in TABLES} | rows()
    for view in VIEWS:
        if view.name in ("alerts", "open_alerts", "notifications_latest", "actions_latest"):
            sql = view_query(view, Names())  # type: ignore[arg-type]
            contents[view.name] = googlesql.evaluate(sql, types, None, contents)
            types[view.name] = dict(googlesql.analyze(sql, types).outputs)
    check({name: googlesql.evaluate(sql, types, None, contents) for name, sql in BLOCKS.items()})


def test_its_configuration_is_one() -> None:
    """The YAML at its head is read as it stands, and its defaults are the defaults."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    source = {"table": "acme-ml.serving.loans", "timestamp": "ts"}
    config = parse_config(
        {"monitor": "loans", "warehouse": "bigquery://acme-ml/monitoring", "source": source, **yaml.safe_load(text)}
    )
    assert [channel.type for channel in config.alerts.channels] == [
        "log",
        "slack",
        "pagerduty",
        "teams",
        "email",
        "webhook",
        "pubsub",
    ]
    assert (
        (config.alerts.resolve_after, config.alerts.remind_every)
        == (Alerts().resolve_after, Alerts().remind_every)
        == (3, 7)
    )
    assert [action.title for action in config.actions] == ["retrain", "rollback"]
    assert {channel.type for channel in config.alerts.channels} < set(get_args(Channel.model_fields["type"].annotation))


def test_it_names_every_kind_with_its_words() -> None:
    """Each kind of alert stands in the table, and has a name and a recommendation."""
    table = PAGE[PAGE.index("| kind | about") : PAGE.index("## Who hears of what")]
    assert set(
        re.findall(
            r"`([a-z_]+)`", " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
        )
    ) == set(get_args(Kind))
    assert set(_SUMMARIES) == set(_RECOMMENDATIONS) == set(get_args(Kind))


def test_its_numbers_are_those_of_the_program() -> None:
    """How soon an alert is reopened, how its clean windows grow, when a message is given up."""
    assert f"within {life.SOON_WINDOWS} windows is `reopened`" in PAGE
    assert f"{life.LONGER} times as many clean windows" in " ".join(PAGE.split())
    assert f"{life.LONGER_DAYS} days, at least {life.LEAST_LONGER} times" in " ".join(PAGE.split())
    assert (outbox.MAX_TRIES, outbox.MAX_AGE.days, outbox.MIN_ATTEMPTS, notifying.MAX_ITEMS) == (4, 3, 12, 500)
    for said in ("tried four times", "three days and in twelve attempts", "up to 500 in a message"):
        assert said in " ".join(PAGE.split())


def test_its_commands_exist() -> None:
    """Each `bq-monitor alerts` command of the page is one, with the options shown."""
    group = cli.cli.commands["alerts"]
    for name, options in re.findall(r"^bq-monitor alerts (\w+)(.*)$", PAGE, re.M):
        known = {option for parameter in group.commands[name].params for option in parameter.opts}  # type: ignore[attr-defined]
        assert set(re.findall(r"--\w+", options)) <= known
    assert {"list", "ack", "snooze", "resolve", "check"} == set(group.commands)  # type: ignore[attr-defined]


def test_a_user_finds_the_page() -> None:
    """The README leads to it."""
    assert "docs/alerts.md" in Path(ROOT / "README.md").read_text(encoding="utf-8")
