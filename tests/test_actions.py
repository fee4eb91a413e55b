"""What standing alerts set off: once, not too often, and never twice."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bq_monitor import actions
from bq_monitor.actions import CALLABLES_ENV, decide, perform, perform_and_tell, read_actions
from bq_monitor.alerts.ledger import read_alerts
from bq_monitor.alerts.life import Alert
from bq_monitor.alerts.outbox import MAX_TRIES, Clock
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders.base import Undelivered
from bq_monitor.alerts.settings import Alerts
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import WarehouseError
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import ACTIONS, TABLES
from bq_monitor.warehouse.setup import create_tables
from tests.alerts.lives import NOW, day, emptied, made_alert, watcher
from tests.alerts.receivers import KEY, SECRET_PATH, Fault, receiver

CALLED: list[dict[str, Any]] = []
"""What `note` was called with."""


def note(handed: dict[str, Any]) -> str:
    CALLED.append(handed)
    return "noted"


def quietly(handed: dict[str, Any]) -> None:
    CALLED.append(handed)


def fail(handed: dict[str, Any]) -> None:
    CALLED.append(handed)
    raise LookupError("no such model")


def leave(handed: dict[str, Any]) -> None:
    sys.exit("gone")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    CALLED.clear()
    yield
    CALLED.clear()


@pytest.fixture(scope="module")
def tables() -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse()
    create_tables(opened)
    yield opened
    opened.close()


@pytest.fixture
def store(tables: DuckDBWarehouse) -> DuckDBWarehouse:
    """Our tables, empty."""
    return emptied(tables)


def acting(*said: dict[str, Any], **changes: Any) -> MonitorConfig:
    """A monitor with actions; one that does not say what it calls notes what it gets."""
    calls = ("pubsub", "webhook", "callable", "shell")
    whole = [
        {
            "do": "retrain",
            "on": "drift",
            **({} if set(calls) & set(a) else {"callable": "tests.test_actions:note"}),
            **a,
        }
        for a in said
    ]
    return watcher(actions=whole, **changes)


def standing(n: int = 1, **changes: Any) -> Alert:
    return made_alert(n_windows=n, window=day(n), **changes)


def fire(
    store: DuckDBWarehouse, config: MonitorConfig, *alerts: Alert, now: datetime = NOW, run_id: str = "run"
) -> list[str]:
    """Decide and commit as a run does; the statuses of the new rows."""
    rows = decide(config, alerts, read_actions(store, config, now), run_id, now)
    store.commit({ACTIONS: rows}, key=f"fired-{run_id}")
    return [row["status"] for row in rows]


def latest(store: DuckDBWarehouse) -> list[Row]:
    return store.query(Statement("test", "SELECT * FROM actions_latest ORDER BY created_at, action_id"))


def statuses(store: DuckDBWarehouse) -> list[str]:
    return [row["status"] for row in latest(store)]


@pytest.mark.parametrize(
    ("action", "alert", "is_fired"),
    [
        ({"for": 3}, standing(3), True), ({"for": 3}, standing(2), False), ({"for": "3 windows"}, standing(4), True),
        ({}, standing(condition="doubtful"), False), ({}, standing(is_open=False), False), ({"on": "performance"}, standing(), False),
        ({"on": "any"}, standing(kind="quality", measure="null_rate"), True), ({"on": ["quality", "drift"]}, standing(), True),
        ({"on": "any"}, standing(kind="action_failed", feature=None, measure="retrain"), False),
        ({"min_severity": "critical"}, standing(), False), ({"min_severity": "critical"}, standing(severity="critical"), True),
        ({"feature": "amount"}, standing(), True), ({"feature": "region"}, standing(), False),
        ({"segment": "region=north"}, standing(), False), ({"segment": "region=north"}, standing(segment="region=north"), True),
        ({"on": "quality", "measure": "null_rate"}, standing(kind="quality", measure="volume"), False),
    ],
)  # fmt: skip
def test_what_sets_it_off(action: dict[str, Any], alert: Alert, is_fired: bool) -> None:
    """An open alert that fires now, of that kind, as severe and as old as the action says, and about what it says."""
    config = acting(action)
    assert len(decide(config, [alert], [], "run", NOW)) == is_fired


def test_it_is_fired_once_for_each_life_of_an_alert_and_not_too_often(store: DuckDBWarehouse) -> None:
    """An alert that stands on sets nothing off again. A new life within `cool_down` only leaves a row; after it, it is fired."""
    config = acting({"for": 2, "cool_down": "7d"})
    assert fire(store, config, standing(1)) == []
    assert fire(store, config, standing(2), now=NOW) == ["pending"]
    assert fire(store, config, standing(3), now=NOW + timedelta(days=30)) == []
    second = standing(40, since=day(40).end)
    assert fire(store, config, second, now=NOW + timedelta(days=6)) == ["cooling"]
    assert fire(store, config, second, now=NOW + timedelta(days=6, hours=1)) == []
    assert fire(store, config, second, now=NOW + timedelta(days=8)) == ["pending"]
    assert [row["outcome"] for row in latest(store)] == [None, "not within 7d of the last time", None]


def test_actions_have_a_cool_down_each(store: DuckDBWarehouse) -> None:
    """What one did does not hold the other."""
    config = acting({}, {"do": "roll_back", "on": "performance"})
    assert fire(store, config, standing()) == ["pending"]
    assert fire(store, config, standing(kind="performance", feature=None, measure="auc")) == ["pending"]


def test_many_alerts_are_one_firing(store: DuckDBWarehouse) -> None:
    """Five hundred features that drift retrain the model once; the worst are handed over, all are its cause."""
    config = acting({})
    alerts = [standing(2, feature=f"f{i}", severity="critical" if i == 499 else "warning") for i in range(500)]
    assert fire(store, config, *alerts) == ["pending"]
    assert fire(store, config, *alerts, now=NOW + timedelta(days=30)) == []
    perform(store, config, "run")
    (handed,) = CALLED
    assert (len(handed["alerts"]), handed["alerts"][0]["feature"]) == (actions.MAX_ALERTS, "f499")
    assert handed["reason"] == "f499 drifted for 2 windows and 499 more"


def test_a_dry_run_calls_nothing_and_leaves_a_row(store: DuckDBWarehouse) -> None:
    """It is no firing: once the action is meant, the alert that still stands sets it off."""
    config = acting({"dry_run": True})
    assert fire(store, config, standing()) == ["dry_run"]
    assert perform_and_tell(store, config, "run") == []
    assert ([row["outcome"] for row in latest(store)], CALLED) == (["nothing was called"], [])
    assert fire(store, config, standing(2)) == []
    assert fire(store, acting({}), standing(3)) == ["pending"]


def test_a_function_gets_the_alerts_and_its_answer_is_kept(store: DuckDBWarehouse) -> None:
    """Its rows are pending, started, succeeded; a second run calls nothing."""
    config = acting({"name": "refit"}, {"do": "page", "callable": "tests.test_actions:quietly"})
    fire(store, config, standing(3))
    perform(store, config, "run-1")
    perform(store, config, "run-2")
    assert len(CALLED) == 2
    handed = next(handed for handed in CALLED if handed["action"] == "refit")
    assert (handed["do"], handed["monitor"], handed["reason"]) == ("retrain", "loans", "amount drifted for 3 windows")
    assert handed["alerts"][0]["feature"] == "amount"
    assert {(row["status"], row["outcome"]) for row in latest(store)} == {
        ("succeeded", "called; it answered noted"),
        ("succeeded", "called"),
    }
    steps = store.query(
        Statement("test", "SELECT status, run_id FROM actions WHERE action = 'refit' ORDER BY computed_at")
    )
    assert sorted((row["status"], row["run_id"]) for row in steps) == [
        ("pending", "run"),
        ("started", "run-1"),
        ("succeeded", "run-1"),
    ]


IN_BIGQUERY = {"table": "project-1.bank.log", "timestamp": "ts"}


@pytest.mark.parametrize(
    ("listed", "status"), [("", "failed"), ("os, tests.test_actions", "succeeded"), ("tests", "failed")]
)
def test_a_monitor_in_bigquery_calls_listed_modules_alone(
    listed: str, status: str, store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write the configuration may not thereby run any code: the environment lists what may be called."""
    monkeypatch.setenv(CALLABLES_ENV, listed)
    config = acting({}, warehouse="bigquery://project-1/monitoring", source=IN_BIGQUERY)
    fire(store, config, standing())
    (done,) = perform(store, config, "run")
    assert (done["status"], len(CALLED)) == (status, status == "succeeded")
    assert status == "succeeded" or f"not among {CALLABLES_ENV}" in done["outcome"]


@pytest.mark.parametrize(
    ("what", "outcome"),
    [
        ({"callable": "tests.test_actions:fail"}, "LookupError: no such model"), ({"callable": "tests.test_actions:leave"}, "SystemExit: gone"),
        ({"callable": "tests.test_actions:missing"}, "AttributeError"), ({"callable": "tests.nowhere:note"}, "ModuleNotFoundError"),
        ({"shell": "echo cannot >&2; exit 3"}, "RuntimeError: exit code 3: cannot"), ({"webhook": "env:UNSET_URL"}, "env:UNSET_URL"),
    ],
)  # fmt: skip
def test_what_fails_is_an_outcome_and_an_alert(what: dict[str, Any], outcome: str, store: DuckDBWarehouse) -> None:
    """It is not tried again for the same cause; the alert is over when the action next succeeds."""
    config = acting(what)
    fire(store, config, standing())
    (done,) = perform_and_tell(store, config, "run-1")
    assert done["status"] == "failed"
    assert outcome in done["outcome"]
    assert perform_and_tell(store, config, "run-2") == []
    (alert,) = read_alerts(store, "loans").values()
    assert (alert.key.kind, alert.key.measure, alert.severity, alert.is_open) == (
        "action_failed",
        "retrain",
        "critical",
        True,
    )
    assert outcome in alert.message
    mended = acting({"callable": "tests.test_actions:note"})
    fire(store, mended, standing(30, since=day(30).end), now=NOW + timedelta(days=30))
    perform_and_tell(store, mended, "run-3")
    assert [alert.is_open for alert in read_alerts(store, "loans").values()] == [False]


class _Killed(BaseException):
    """The process ends here."""


def test_one_that_was_cut_off_is_interrupted_and_never_repeated(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it happened is not known: that is said, and nobody does it a second time."""
    config = acting({})
    fire(store, config, standing())

    def killed(*_: object) -> str:
        raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(actions, "_call", killed)
        with pytest.raises(_Killed):
            perform(store, config, "run-1")
    assert statuses(store) == ["started"]
    assert perform_and_tell(store, config, "run-2") == [], "who started it may still be at it"
    monkeypatch.setattr(actions, "LEASE", timedelta(0))
    (done,) = perform_and_tell(store, config, "run-2")
    assert (done["status"], CALLED) == ("interrupted", [])
    assert [alert.key.kind for alert in read_alerts(store, "loans").values()] == ["action_failed"]
    assert perform_and_tell(store, config, "run-3") == []
    assert fire(store, config, standing(5), now=NOW + timedelta(days=30)) == []
    assert statuses(store) == ["interrupted"]


def test_a_command_sees_no_secret_and_none_is_kept(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not of channels that the action has nothing to do with, neither by its environment nor in what is booked of it."""
    monkeypatch.setenv("BQ_MONITOR_SLACK_URL", "https://hooks.slack.test/services/T000/B000/hidden-token")
    (tmp_path / "log").write_text("posting to https://hooks.slack.test/services/T000/B000/hidden-token")
    config = acting({"do": "show", "shell": f"env; cat {shlex.quote(str(tmp_path))}/log; exit 1"})
    config = config.model_copy(update={"alerts": Alerts.model_validate({"channels": ["slack"]})})
    fire(store, config, standing())
    (done,) = perform(store, config, "run")
    assert done["status"] == "failed"
    assert "posting to" in done["outcome"]
    assert "hidden-token" not in str(done)
    seen = actions._shell(config.actions[0].model_copy(update={"shell": "env"}), {"action_id": "a"}, Secrets.of(config))
    assert "BQ_MONITOR_SLACK_URL" not in seen


def test_a_call_that_may_have_arrived_is_not_repeated(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the service refused is tried again; a time-out is a failure, since the request may have been taken."""
    faults = [
        Undelivered("busy", retry="soon", was_refused=True), Undelivered("no answer", retry="soon"), Undelivered("never", retry="soon"),
    ]  # fmt: skip

    def refused(*_: object) -> str:
        raise faults.pop(0)

    monkeypatch.setattr(actions, "_call", refused)
    config = acting({})
    fire(store, config, standing())
    (done,) = perform(store, config, "run", Clock(sleep=lambda _: None))
    assert (done["outcome"], len(faults)) == ("no answer", 1)


def test_one_that_was_killed_before_the_start_is_carried_out_by_the_next_run(
    store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has happened then: the firing still stands."""
    config = acting({})
    fire(store, config, standing())
    with monkeypatch.context() as patched, pytest.raises(WarehouseError):
        patched.setattr(store, "commit", _unreachable)
        perform(store, config, "run-1")
    assert CALLED == []
    assert [row["status"] for row in perform(store, config, "run-2")] == ["succeeded"]
    assert len(CALLED) == 1


def _unreachable(*_: object, **__: object) -> None:
    raise WarehouseError("unreachable")


def test_it_is_left_to_the_run_that_started_it(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two runs at the same time only the one whose start was booked calls."""
    config = acting({})
    fire(store, config, standing())
    other = store.commit

    def slower(rows: Any, *, key: str) -> None:
        other({table: [{**row, "run_id": "other"} for row in given] for table, given in rows.items()}, key=key)

    monkeypatch.setattr(store, "commit", slower)
    assert perform(store, config, "run") == []
    assert (statuses(store), CALLED) == (["started"], [])


HOSTILE = "$(touch x)`touch y`; touch z\n'\""


def test_a_command_gets_json_and_nothing_of_the_data_on_its_line(
    store: DuckDBWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feature named like a command stays a text: nothing is run but what the configuration says."""
    monkeypatch.chdir(tmp_path)
    code = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['BQ_MONITOR_ACTION_ID'], json.load(sys.stdin)]))"
    said = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} > told.json"
    config = acting({"shell": said})
    fire(store, config, standing(feature=HOSTILE, segment=HOSTILE, message=HOSTILE))
    (done,) = perform(store, config, "run")
    assert (done["status"], done["outcome"], done["target"]) == ("succeeded", "exit code 0", said)
    arguments, action_id, handed = json.loads((tmp_path / "told.json").read_text())
    assert (arguments, action_id) == ([], done["action_id"])
    assert (handed["alerts"][0]["feature"], handed["alerts"][0]["message"]) == (HOSTILE, HOSTILE)
    assert [path.name for path in tmp_path.iterdir()] == ["told.json"]


def clock(slept: list[float]) -> Clock:
    return Clock(sleep=slept.append, jitter=lambda: 1.0)


def rows_of_all_tables(store: DuckDBWarehouse) -> str:
    return "".join(repr(store.query(Statement("test", f"SELECT * FROM {table.name}"))) for table in TABLES)


@pytest.mark.parametrize(
    ("script", "status", "n_requests"),
    [
        ([], "succeeded", 1),
        ([Fault(503), Fault(503)], "succeeded", 3),
        ([Fault(503)] * MAX_TRIES, "failed", MAX_TRIES),
        ([Fault(400)], "failed", 1),
    ],
)
def test_a_webhook_is_signed_and_tried_again_where_that_may_help(
    script: Sequence[Fault], status: str, n_requests: int, store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver checks the signature; every try has the same id; no row shows the address or the key."""
    slept: list[float] = []
    with receiver("webhook", script) as hook:
        monkeypatch.setenv("HOOK_URL", hook.url)
        monkeypatch.setenv("BQ_MONITOR_RETRAIN_KEY", KEY)
        config = acting({"webhook": "env:HOOK_URL", "allow_private": True})
        fire(store, config, standing())
        (done,) = perform(store, config, "run", clock(slept))
    assert (done["status"], len(hook.requests), len(slept)) == (status, n_requests, n_requests - 1)
    assert {request.headers["webhook-id"] for request in hook.requests} == {done["action_id"]}
    assert [body["alerts"][0]["feature"] for body in hook.delivered] == ["amount"] * (status == "succeeded")
    shown = rows_of_all_tables(store)
    assert SECRET_PATH not in shown
    assert KEY not in shown
    assert "env:HOOK_URL" in shown


def test_a_topic_gets_the_alerts_as_json(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attributes say which action of which monitor, so that a subscription may filter."""
    with receiver("pubsub") as topic:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{topic.port}")
        config = acting({"pubsub": "projects/proj-1/topics/retrain"})
        fire(store, config, standing())
        (done,) = perform(store, config, "run")
    assert (done["status"], done["outcome"]) == ("succeeded", "published to projects/proj-1/topics/retrain")
    (message,) = topic.delivered
    assert message["attributes"] == {
        "monitor": "loans",
        "action": "retrain",
        "do": "retrain",
        "action_id": done["action_id"],
    }
    assert message["data"]["alerts"][0]["feature"] == "amount"


def tell_the_key(handed: dict[str, Any]) -> None:
    raise ValueError(f"refused by {KEY}")


def test_a_secret_that_an_outcome_repeats_is_taken_out(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that were fetched in the same call stand in no row, whoever says them."""
    with receiver("webhook") as hook:
        monkeypatch.setenv("HOOK_URL", hook.url)
        monkeypatch.setenv("BQ_MONITOR_A_POST_KEY", KEY)
        post = {"name": "a_post", "webhook": "env:HOOK_URL", "allow_private": True}
        config = acting(post, {"name": "b_call", "callable": "tests.test_actions:tell_the_key"})
        fire(store, replace_actions(config, 0), standing())
        fire(store, replace_actions(config, 1), standing(), now=NOW + timedelta(seconds=1))
        done = perform_and_tell(store, config, "run")
    assert [row["outcome"] for row in done] == ["answered 204", "ValueError: refused by ***"]
    assert KEY not in rows_of_all_tables(store)


def replace_actions(config: MonitorConfig, kept: int) -> MonitorConfig:
    """The monitor with one of its actions."""
    return config.model_copy(update={"actions": [config.actions[kept]]})


def test_an_action_that_is_gone_from_the_configuration_is_not_carried_out(store: DuckDBWarehouse) -> None:
    """Taking it out is how to stop what is pending."""
    fire(store, acting({}), standing())
    assert perform(store, acting({"name": "other"}), "run") == []
    assert CALLED == []


def test_without_actions_nothing_is_asked(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor without actions pays for no query."""
    monkeypatch.setattr(store, "query", _unreachable)
    assert perform_and_tell(store, watcher(), "run") == []
    assert decide(watcher(), [replace(standing(), n_windows=9)], read_actions(store, watcher(), NOW), "run", NOW) == []
