"""What people do with alerts on the command line, on a small monitor: who and why, which ones, and how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result

from bq_monitor import capture_reference, run
from bq_monitor.alerts.people import MAX_TEXT, Word
from bq_monitor.cli.alerts import alerts
from bq_monitor.config_files import load_config
from bq_monitor.errors import InputError


@dataclass
class Watched:
    """A monitor with two open alerts: of `amount`, and of the data set."""

    folder: Path

    @property
    def path(self) -> str:
        return str(self.folder / "loans.yaml")

    def call(self, command: str, *args: str) -> Result:
        return CliRunner().invoke(alerts, [command, self.path, *args])

    def told(self, command: str, *args: str) -> list[dict[str, Any]]:
        found = json.loads(self.call(command, *args, "--json").stdout)
        assert isinstance(found, list)
        return found

    def id_of(self, kind: str) -> str:
        return next(item["alert_id"] for item in self.told("list", "--all") if item["kind"] == kind)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "monitor.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def frame(rng: np.random.Generator, n: int, shift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame({"amount": rng.normal(shift, 1, n), "region": rng.choice(["north", "south"], n)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A monitor's files after a week of drift; each test gets a copy."""
    folder, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(5)
    days = np.repeat(pd.date_range("2026-01-05", periods=14), 30)
    frame(rng, len(days), 2.0).assign(ts=days).to_parquet(folder / "log.parquet")
    config = {
        "monitor": "loans", "warehouse": "duckdb://monitor.duckdb", "source": {"table": "log.parquet", "timestamp": "ts"},
        "features": ["amount", {"name": "region", "kind": "categorical"}], "detection": {"confirm": "1 of 1"},
        "window": {"length": "7d", "every": "7d", "start": "2026-01-05"}, "alerts": {"channels": ["log"], "remind_every": "7d"},
    }  # fmt: skip
    (folder / "loans.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        capture_reference(frame(rng, 2000), load_config("loans.yaml"), version="1")
        run(load_config("loans.yaml"), "2026-01-12")
    yield folder


@pytest.fixture
def watched(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Watched(tmp_path)


def test_list_shows_what_stands_the_worst_first(watched: Watched) -> None:
    """Exit code 1 while something stands; a table for people, JSON for machines."""
    listed = watched.call("list")
    assert listed.exit_code == 1
    assert "amount drifted" in listed.stdout
    found = watched.told("list")
    assert [(item["kind"], item["status"], item["severity"]) for item in found] == [
        ("dataset_drift", "open", "critical"), ("drift", "open", "warning"),
    ]  # fmt: skip
    assert (found[1]["monitor"], found[1]["feature"], found[1]["window_end"]) == (
        "loans",
        "amount",
        "2026-01-12T00:00:00+00:00",
    )


def test_ack_keeps_who_and_why(watched: Watched) -> None:
    """It stands on, seen to; the next run reminds nobody and does not forget it."""
    (said,) = watched.told("ack", watched.id_of("drift"), "--who", "ann", "--why", "a new partner")
    assert (said["status"], said["acknowledged_by"]) == ("acknowledged", "ann")
    assert watched.ask("SELECT actor, note FROM alert_events WHERE event = 'acknowledged'") == [
        ("ann", "a new partner")
    ]
    assert [alert["status"] for alert in watched.told("list")] == ["open", "acknowledged"]
    made = run(load_config(watched.path), "2026-01-19").transitions
    assert {t.alert.key.kind: (t.event, t.alert.acknowledged_by) for t in made} == {
        "drift": ("firing", "ann"), "dataset_drift": ("reminded", None),
    }  # fmt: skip
    assert "acknowledged by ann" in watched.call("list").stdout


def test_snooze_is_silence_until_a_moment(watched: Watched) -> None:
    """A length from now, or a moment; the next run tells nothing of it."""
    (said,) = watched.told("snooze", watched.id_of("dataset_drift"), "--until", "3d", "--who", "ann", "--why", "known")
    until = datetime.fromisoformat(said["snoozed_until"])
    assert said["status"] == "snoozed"
    assert abs(until - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=5)
    made = {t.alert.key.kind: t for t in run(load_config(watched.path), "2026-01-19").transitions}
    assert [(made[kind].event, made[kind].notify) for kind in ("drift", "dataset_drift")] == [
        ("reminded", True),
        ("firing", False),
    ]
    (again,) = watched.told("snooze", watched.id_of("dataset_drift"), "--until", "2100-01-01", "--why", "known")
    assert again["snoozed_until"] == "2100-01-01T00:00:00+00:00"


def test_resolve_ends_it_and_the_channels_hear(watched: Watched) -> None:
    """It is listed no more; it comes back with a later window that fires."""
    ids = [watched.id_of(kind) for kind in ("drift", "dataset_drift")]
    ended = watched.told("resolve", *ids, "--who", "ann", "--why", "retrained")
    assert [item["status"] for item in ended] == ["resolved", "resolved"]
    listed = watched.call("list", "--json")
    assert (listed.exit_code, json.loads(listed.stdout)) == (0, [])
    assert [item["status"] for item in watched.told("list", "--all")] == ["resolved"] * 2
    (payload, status) = watched.ask(
        "SELECT payload, status FROM notifications_latest ORDER BY created_at DESC LIMIT 1"
    )[0]
    assert status == "sent"
    assert {
        (item["news"], item["message"].endswith(" (closed by ann: retrained)")) for item in json.loads(payload)["items"]
    } == {("resolved", True)}
    assert {t.event for t in run(load_config(watched.path), "2026-01-19").transitions} == {"reopened"}


def test_the_first_characters_of_an_id_are_enough(watched: Watched) -> None:
    """Four or more, as long as only one open alert begins so; the same one named twice is said once."""
    whole = watched.id_of("drift")
    assert [item["alert_id"] for item in watched.told("ack", whole[:4], whole[:4], "--why", "seen")] == [whole]


@pytest.mark.parametrize(
    ("chosen", "what"),
    [("zzzz", "no open alert has this id"), ("", "no open alert has this id"), ("3", "no open alert has this id")],
)
def test_an_unknown_id_names_the_known_ones(watched: Watched, chosen: str, what: str) -> None:
    """Nothing is said of the others that were named with it."""
    known = watched.id_of("drift")
    failed = watched.call("ack", known, chosen, "--why", "seen")
    assert isinstance(failed.exception, InputError)
    assert failed.exception.exit_code == 2
    assert what in str(failed.exception)
    assert known in str(failed.exception)
    assert watched.ask("SELECT COUNT(*) FROM alert_events WHERE event = 'acknowledged'") == [(0,)]


def test_an_id_that_two_alerts_begin_with_is_refused(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than seeing to the wrong one."""
    monkeypatch.setattr("bq_monitor.alerts.people.alert_id", lambda monitor, key: "abcd" + key.kind)
    failed = watched.call("resolve", "abcd", "--why", "done")
    assert "several open alerts begin so" in str(failed.exception)
    assert watched.call("resolve", "abcddrift", "--why", "done").exit_code == 0


def test_one_that_is_over_cannot_be_seen_to(watched: Watched) -> None:
    """Only open alerts are chosen among."""
    chosen = watched.id_of("drift")
    watched.call("resolve", chosen, "--why", "retrained")
    assert isinstance(watched.call("ack", chosen, "--why", "seen").exception, InputError)


@pytest.mark.parametrize("command", ["ack", "snooze", "resolve"])
def test_why_is_required(watched: Watched, command: str) -> None:
    """Without it, with an empty one, or without naming any alert nothing happens."""
    chosen = watched.id_of("drift")
    until = ["--until", "1d"] if command == "snooze" else []
    assert watched.call(command, chosen, *until).exit_code == 2
    assert watched.call(command, *until, "--why", "seen").exit_code == 2
    assert "why: got 0 characters" in str(watched.call(command, chosen, *until, "--why", "  ").exception)
    assert watched.ask("SELECT COUNT(*) FROM alert_events WHERE actor IS NOT NULL") == [(0,)]


def test_who_is_the_login_where_nobody_says(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a shared account `--who` says it better."""
    monkeypatch.setenv("LOGNAME", "login-of-tests")
    watched.call("ack", watched.id_of("drift"), "--why", "seen")
    assert watched.ask("SELECT actor FROM alert_events WHERE event = 'acknowledged'") == [("login-of-tests",)]


@pytest.mark.parametrize("until", ["2020-01-01", "3 days", "tomorrow", "0d"])
def test_a_snooze_ends_at_a_moment_to_come(watched: Watched, until: str) -> None:
    """The past, and what is no moment, are refused."""
    failed = watched.call("snooze", watched.id_of("drift"), "--until", until, "--why", "known")
    assert isinstance(failed.exception, InputError)


def test_texts_have_a_length() -> None:
    """They are kept for good and sent to every channel."""
    with pytest.raises(InputError, match=f"why: got {MAX_TEXT + 1} characters"):
        Word("ann", "x" * (MAX_TEXT + 1))
    with pytest.raises(InputError, match="who: got 0"):
        Word("", "seen")


def test_check_says_whether_runs_come(watched: Watched) -> None:
    """A monitor that last ran years ago is overdue: exit code 1, and an alert; it is over with the next run."""
    (found,) = watched.told("check")
    assert (found["monitor"], found["overdue_since"]) == ("loans", "2026-01-19T00:00:00+00:00")
    assert "overdue since 2026-01-19 00:00 UTC" in watched.call("check").stdout
    assert watched.call("check").exit_code == 1
    assert "overdue" in {item["kind"] for item in watched.told("list")}
    run(load_config(watched.path), "2026-01-19")
    assert "overdue" not in {item["kind"] for item in watched.told("list")}
