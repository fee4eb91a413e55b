"""Whatever a service does, and whenever a process dies: news arrives, in order, and is told twice to nobody who knows its id."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bq_monitor import capture_reference
from bq_monitor.alerts import outbox
from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders.base import Undelivered
from bq_monitor.alerts.senders.slack import SlackSender
from bq_monitor.alerts.settings import Channel
from bq_monitor.warehouse.base import Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.alerts.lab import (
    ALL_KINDS,
    HTTP_KINDS,
    SLOW_SECONDS,
    TIMEOUT_SECONDS,
    Desk,
    FakeClock,
    House,
    assert_no_secret,
    everything,
    house,
)  # fmt: skip
from tests.alerts.receivers import KINDS, RESET, ROUTING_KEY, SLOW, TRUNCATED, Fault
from tests.alerts.smtp_receiver import PASSWORD
from tests.conftest import make_config
from tests.test_job import Lab, frame

BUSY, DOWN = Fault(429, headers={"Retry-After": "7"}), Fault(500)
PASSING = {"busy": BUSY, "down": DOWN, "slow": SLOW, "reset": RESET, "truncated": TRUNCATED}
MAIL_PASSING: dict[str, dict[str, str]] = {
    "busy": {"MAIL": "451 later"}, "full": {"RCPT": "452 full"}, "down": {"BODY": "451 not now"}, "reset": {"BODY": "reset"},
}  # fmt: skip
CASES = [(kind, name) for kind in HTTP_KINDS for name in PASSING] + [("email", name) for name in MAIL_PASSING]


def leaky(kind: str, fault: Any) -> Any:
    """A fault whose answer repeats the secrets that the service was sent."""
    if kind == "email":
        return {verb: answer if answer == "reset" else f"{answer} {PASSWORD}" for verb, answer in fault.items()}
    said = f"no {KINDS[kind][0]} {ROUTING_KEY if kind == 'pagerduty' else ''}"
    return replace(fault, body=said.encode())


def failing(kind: str, n: int) -> list[Any]:
    return [leaky(kind, MAIL_PASSING["down"] if kind == "email" else DOWN)] * n


Desks = Callable[..., AbstractContextManager[tuple[Desk, House]]]


@pytest.fixture(scope="module")
def tables() -> Iterator[DuckDBWarehouse]:
    """Our tables, made once."""
    warehouse = DuckDBWarehouse()
    create_tables(warehouse)
    yield warehouse
    warehouse.close()


@pytest.fixture
def desk(tables: DuckDBWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desks:
    """`with desk(["slack"], slack=[Fault(500)])`: a monitor that tells of its own runs to such receivers."""
    for table in ("alert_events", "notifications"):
        tables.execute(Statement("test", f"DELETE FROM {table}"))

    @contextmanager
    def opened(kinds: Sequence[str], alerts: Mapping[str, Any] = {}, **scripts: Any) -> Iterator[tuple[Desk, House]]:
        with house(kinds, tmp_path, monkeypatch, **scripts) as receivers:
            config = make_config(tmp_path, alerts={"channels": receivers.channels, **alerts})
            is_slow = any(getattr(fault, "how", "") == "slow" for script in scripts.values() for fault in script)
            clock = FakeClock().rule(monkeypatch, SLOW_SECONDS if is_slow else TIMEOUT_SECONDS)
            yield Desk(tables, config, clock), receivers

    return opened


def other_than(kind: str) -> str:
    return "slack" if kind == "webhook" else "webhook"


def assert_quiet(
    made: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, *more: object
) -> None:
    """Nothing that is stored, logged or printed shows a secret."""
    assert_no_secret(everything(made.rows), *capfd.readouterr(), caplog.text, repr(made.config), *more)


# ---- One real run


@pytest.fixture
def lab(tmp_path: Path, rng: np.random.Generator) -> Lab:
    """A monitor whose amounts drift in one week and are back in the next."""
    made = Lab(tmp_path, rng, {"features": ["amount"]})
    capture_reference(frame(rng, 1000), made.config, version="1")
    made.write(made.rows("2026-01-05", 7, shift=3), made.rows("2026-01-12", 7, per_day=100))
    return made


def test_a_drift_is_told_once_to_everybody_and_so_is_its_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A run tells every channel once, a rerun nobody, the run that finds it over all of them again; no secret is shown."""
    with house(ALL_KINDS, lab.folder, monkeypatch) as receivers:
        lab.settings["alerts"] = {"channels": ["log", *receivers.channels], "resolve_after": 1}
        said = []
        for as_of, n in (("2026-01-12", 1), ("2026-01-12", 1), ("2026-01-19", 2)):
            outcome = lab.run(as_of)
            said.append(str(outcome) + json.dumps(outcome.to_dict(), default=str))
            counts = {kind: len(receivers.ids(kind)) for kind in ALL_KINDS}
            assert counts == dict.fromkeys(ALL_KINDS, n) | {"pagerduty": 2 * n}
    logged = capfd.readouterr().err
    assert [json.loads(line)["alert"]["news"] for line in logged.splitlines()] == ["opened"] * 2 + ["resolved"] * 2
    _assert_all_told(lab, receivers)
    incidents = [(data["event_action"], data["dedup_key"]) for data in receivers.http["pagerduty"].delivered]
    keys = [f"bq-monitor:loans:{kind}" for kind in ("dataset_drift", "drift")]
    assert incidents == [(action, key) for action in ("trigger", "resolve") for key in keys]
    assert_no_secret(everything(lab.ask), logged, caplog.text, repr(lab.config), *said)


def _assert_all_told(lab: Lab, receivers: House) -> None:
    """What was stored as news is what each receiver got, opened before resolved, and it names the feature."""
    events = [row[0] for row in lab.ask("SELECT event_id FROM alert_events WHERE notify")]
    opened = DuckDBWarehouse(str(lab.folder / "monitor.duckdb"), read_only=True)
    stored = Desk(opened, lab.config, FakeClock())
    for kind in ALL_KINDS:
        ids = receivers.ids(kind)
        assert sorted(stored.events(ids)) == sorted(events), kind
        assert [news for news, _ in stored.heard(ids)] == ["opened"] * 2 + ["resolved"] * 2
    opened.close()
    texts = {kind: [json.dumps(data) for data in running.delivered] for kind, running in receivers.http.items()}
    assert receivers.mail is not None
    texts["email"] = [mail.get_content() for mail in receivers.mail.delivered]
    assert all("amount drifted" in text for kind, found in texts.items() if kind != "pagerduty" for text in found)


# ---- Faults of services


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_fault_that_passes_loses_nothing(
    kind: str, name: str, desk: Desks, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The first attempt fails, the second succeeds; who knows ids hears each event once, and the end after the opening."""
    fault = MAIL_PASSING[name] if kind == "email" else PASSING[name]
    with desk([kind], **{kind: [leaky(kind, fault)]}) as (made, receivers):
        made.say("opened")
        assert made.send().n_sent == 1
        assert made.time.slept == [7.0 if fault == BUSY else outbox.FIRST_WAIT_SECONDS]
        made.say("resolved")
        made.send()
        assert made.heard(receivers.once(kind)) == [("opened", "retrain"), ("resolved", "retrain")]
        assert made.statuses(kind) == [("sent", 2), ("sent", 1)]
        (failed,) = made.rows("SELECT error, status FROM notifications WHERE error IS NOT NULL")
        assert failed["status"] == "failed"
        assert_quiet(made, capfd, caplog)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_what_waits_is_sent_before_what_was_written_since(kind: str, desk: Desks) -> None:
    """While the opening cannot be sent its end waits behind it, also when that was written later; then both come in order."""
    with desk([kind], **{kind: failing(kind, outbox.MAX_TRIES)}) as (made, receivers):
        made.say("opened")
        assert (made.send().n_sent, made.statuses(kind)) == (0, [("failed", outbox.MAX_TRIES)])
        assert made.time.slept == [1.0, 2.0, 4.0]
        made.say("resolved")
        made.time.moment -= timedelta(seconds=59)
        assert (made.send().n_waiting, receivers.ids(kind)) == (2, [])
        made.time.forward(minutes=1)
        assert made.send().n_sent == 2
        assert made.heard(receivers.ids(kind)) == [("opened", "retrain"), ("resolved", "retrain")]


def test_no_channel_starves_behind_a_slow_one(desk: Desks) -> None:
    """One that asks for most of a call's time gets its share of it; those after it are served in the same call."""
    asking = [Fault(429, headers={"Retry-After": "25"})] * 4
    with desk(["slack", "teams", "webhook"], slack=asking, teams=list(asking)) as (made, receivers):
        made.say("opened")
        assert made.send().n_sent == 1
        assert [len(receivers.ids(kind)) for kind in ("slack", "teams", "webhook")] == [0, 0, 1]
        assert len(receivers.http["teams"].requests) > 0


def test_a_channel_that_is_gone_gives_its_messages_up(desk: Desks, tmp_path: Path) -> None:
    """What waited for one that is configured no more is dead, and is not sent when the name comes back."""
    with desk(["slack", "webhook"], slack=[DOWN] * outbox.MAX_TRIES) as (made, receivers):
        both = made.config
        made.say("opened")
        made.send()
        made.config = make_config(tmp_path, alerts={"channels": receivers.channels[1:]})
        made.send()
        assert made.statuses("slack")[0][0] == "dead"
        made.config = both
        made.time.forward(hours=1)
        made.send()
        assert receivers.ids("slack") == []


def test_a_service_that_asks_for_an_hour_gets_it(desk: Desks) -> None:
    """A `Retry-After` beyond what a call may take is kept by the calls after it; other channels do not wait."""
    script = [Fault(503, headers={"Retry-After": "3600"})]
    with desk(["slack", "webhook"], slack=script) as (made, receivers):
        made.say("opened")
        assert (made.send().n_sent, made.time.slept) == (1, [])
        for minutes, n in ((58, 1), (1, 1), (1, 2)):
            made.time.forward(minutes=minutes)
            made.send()
            assert len(receivers.http["slack"].requests) == n
        assert (len(receivers.ids("slack")), len(receivers.ids("webhook"))) == (1, 1)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_service_that_stays_away_is_given_up_after_days(
    kind: str, desk: Desks, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Until `MAX_AGE` it is tried again; then another channel hears of it, and hears when it works again."""
    other = other_than(kind)
    with desk([kind, other], **{kind: failing(kind, 1000)}) as (made, receivers):
        made.say("opened")
        written, done = made.time.moment, made.send()
        while not done.given_up:
            assert made.time.moment - written < outbox.MAX_AGE + timedelta(hours=20)
            assert made.statuses(kind)[0][0] == "failed"
            made.time.forward(hours=20)
            done = made.send()
        assert made.time.moment - written >= outbox.MAX_AGE
        assert made.statuses(kind)[0][0] == "dead"
        _mended(made, receivers, kind)
        made.say("resolved")
        made.send()
        assert made.heard(receivers.once(kind)) == [("resolved", "retrain")]
        assert made.heard(receivers.once(other)) == [
            ("opened", "retrain"), ("opened", kind), ("resolved", "retrain"), ("resolved", kind),
        ]  # fmt: skip
        assert_quiet(made, capfd, caplog, done)


def _mended(made: Desk, receivers: House, kind: str) -> None:
    """From now on a receiver works."""
    if kind == "email":
        assert receivers.mail is not None
        receivers.mail.script.clear()
    else:
        running = receivers.http[kind]
        receivers.scripts = {kind: receivers.scripts[kind][: len(running.requests)]}
        running.script.clear()


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_refused_message_is_given_up_at_once(
    kind: str, desk: Desks, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """One attempt; the other channel hears of it in the same call, without secrets, and what comes after is delivered."""
    other, refusal = other_than(kind), {"BODY": "550 no"} if kind == "email" else Fault(400)
    with desk([kind, other], **{kind: [leaky(kind, refusal)]}) as (made, receivers):
        made.say("opened")
        done = made.send()
        assert (list(done.given_up), made.statuses(kind), made.time.slept) == ([kind], [("dead", 1)], [])
        assert made.heard(receivers.once(other)) == [("opened", "retrain"), ("opened", kind)]
        made.say("resolved")
        made.send()
        assert made.heard(receivers.once(kind)) == [("resolved", "retrain")]
        assert made.heard(receivers.once(other))[2:] == [("resolved", "retrain"), ("resolved", kind)]
        made.send()
        assert len(receivers.ids(other)) == 4
        assert_quiet(made, capfd, caplog, done, json.dumps(made.payloads), receivers.http[other].delivered)


def test_a_secret_that_is_missing_is_waited_for(desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has to mend the set-up: one attempt a call, nothing lost."""
    with desk(["slack"]) as (made, receivers):
        monkeypatch.delenv("BQ_MONITOR_SLACK_URL")
        made.say("opened")
        assert (made.send().n_waiting, made.send().n_waiting) == (1, 1)
        assert made.statuses("slack") == [("failed", 2)]
        monkeypatch.setenv("BQ_MONITOR_SLACK_URL", receivers.http["slack"].url)
        assert made.send().n_sent == 1


def test_what_failed_a_month_ago_is_not_forgotten(desk: Desks) -> None:
    """A monitor that runs once a month sends what its last run could not."""
    with desk(["slack"], slack=failing("slack", outbox.MAX_TRIES)) as (made, receivers):
        made.say("opened")
        made.send()
        made.time.forward(days=31)
        assert (made.send().n_sent, len(receivers.ids("slack"))) == (1, 1)


def test_an_error_that_no_sender_foresaw_is_its_channels_alone(desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told, its text is shown nowhere, and the message waits."""
    with desk(["slack", "webhook"]) as (made, receivers), monkeypatch.context() as broken:
        broken.setattr("bq_monitor.alerts.senders.slack._payload", lambda *_: 1 / 0)
        made.say("opened")
        assert (made.send().n_sent, made.statuses("slack")) == (1, [("failed", 1)])
        assert "(ZeroDivisionError)" in str(made.rows("SELECT error FROM notifications"))
        broken.undo()
        made.send()
        assert len(receivers.ids("slack")) == len(receivers.ids("webhook")) == 1


def test_a_sender_that_lets_a_secret_slip_is_corrected(desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason of a failure says, what is stored of it shows no secret."""

    def slip(sender: SlackSender, _message: Message) -> None:
        raise Undelivered(f"no answer of {sender.url.reveal()}", retry="never")

    monkeypatch.setattr(SlackSender, "send", slip)
    with desk(["slack", "webhook"]) as (made, receivers):
        made.say("opened")
        done = made.send()
        assert "no answer of ***" in done.given_up["slack"]
        assert_no_secret(everything(made.rows), done, receivers.http["webhook"].delivered)


def test_a_channel_that_refuses_the_news_of_another_is_told_of_too(desk: Desks) -> None:
    """The channel that should hear that one is lost is lost itself: the third hears of both."""
    scripts = {"slack": [Fault(400)], "webhook": [Fault(400)], "pagerduty": []}
    with desk(["slack", "webhook", "pagerduty"], **scripts) as (made, _):
        channels = made.config.alerts.channels
        channels[1] = channels[1].model_copy(update={"min_severity": "critical"})
        made.say("opened")
        made.send()
        open_ones = made.rows("SELECT measure FROM alerts WHERE kind = 'delivery' AND status = 'open' ORDER BY 1")
        assert [row["measure"] for row in open_ones] == ["slack", "webhook"]


def test_a_death_after_giving_up_does_not_hide_it(desk: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies between booking a message as dead and telling of it: the next run tells."""
    with desk(["slack", "webhook"], slack=[Fault(400)]) as (made, receivers):
        made.say("opened")
        outbox.dispatch(made.warehouse, made.config, "run", clock=made.time.clock)
        made.send()
        assert ("opened", "slack") in made.heard(receivers.once("webhook"))


# ---- Two at once


@pytest.mark.parametrize("is_late_one_unlucky", [False, True])
def test_two_that_send_at_once_are_heard_once(
    is_late_one_unlucky: bool, desk: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read before either records: a receiver sees each id twice and each event once; a failed second changes nothing."""
    with desk(["webhook"]) as (made, receivers):
        made.say("opened")
        made.say("resolved")
        query, inner = made.warehouse.query, list[outbox.Dispatched]()

        def query_and_be_overtaken(statement: Any) -> Any:
            found = query(statement)
            if statement.name == "read/outbox" and not inner:
                inner.append(outbox.Dispatched())
                inner[0] = made.send()
                receivers.http["webhook"].script += failing("webhook", outbox.MAX_TRIES * is_late_one_unlucky)
            return found

        monkeypatch.setattr(made.warehouse, "query", query_and_be_overtaken)
        made.send()
        assert inner[0].n_sent == 2
        assert made.heard(receivers.once("webhook")) == [("opened", "retrain"), ("resolved", "retrain")]
        assert [status for status, _ in made.statuses("webhook")] == ["sent", "sent"]
        n = len(receivers.http["webhook"].requests)
        assert n > 2
        made.time.forward(minutes=5)
        made.send()
        assert len(receivers.http["webhook"].requests) == n


# ---- Quiet hours and digests

NIGHT = {"quiet_hours": {"start": "22:00", "end": "07:00", "timezone": "UTC"}}


def at(made: Desk, hour: int, day: int = 4) -> None:
    made.time.moment = made.time.moment.replace(day=day, hour=hour, minute=0, second=0)


def test_what_quiet_hours_held_comes_as_one_message(desk: Desks) -> None:
    """Of each alert the newest word, at the end of the night; machines do not wait, and critical news passes at once."""
    with desk(["slack", "webhook"], NIGHT) as (made, receivers):
        at(made, 22)
        for news, name in (("opened", "first"), ("opened", "second"), ("resolved", "first")):
            made.say(news, name=name)  # type: ignore[arg-type]
            made.send()
        made.say("opened", name="worst", severity="critical")
        made.send()
        assert made.heard(receivers.ids("slack")) == [("opened", "worst")]
        assert len(receivers.ids("webhook")) == 4
        for hour, n in ((6, 1), (7, 2), (8, 2)):
            at(made, hour, day=5)
            made.send()
            assert len(receivers.ids("slack")) == n
        digest = receivers.http["slack"].delivered[-1]
        assert digest["text"] == "loans: 1 alert opened, 1 resolved"
        assert [status for status, _ in made.statuses("slack")] == ["sent"] * 4


def test_a_digest_that_fails_is_the_same_when_it_comes(desk: Desks, tmp_path: Path) -> None:
    """It keeps its id over calls, what is written since waits for the next one, and order is kept."""
    with desk(["slack"], slack=failing("slack", outbox.MAX_TRIES + 1)) as (made, receivers):
        slack = {**receivers.channels[0], "digest": "09:00"}
        made.config = make_config(tmp_path, alerts={"channels": [slack]})
        made.say("opened", name="first", severity="warning")
        made.say("opened", name="second", severity="warning")
        assert (made.send().n_waiting, receivers.http["slack"].requests) == (1, [])
        at(made, 9, day=5)
        assert (made.send().n_sent, receivers.once("slack")) == (0, [])
        made.say("resolved", name="first")
        assert made.send().n_sent == 1
        requests = receivers.http["slack"].requests
        assert len({request.headers["idempotency-key"] for request in requests}) == 1
        assert len({request.body for request in requests}) == 1
        at(made, 9, day=6)
        made.send()
        texts = [data["text"] for data in receivers.http["slack"].delivered]
        assert texts == ["loans: 2 alerts opened", "loans: 1 alert resolved"]


@pytest.mark.parametrize("is_over", [True, False])
def test_nothing_held_comes_after_what_is_newer(is_over: bool, desk: Desks) -> None:
    """What passes the quiet hours and tells of an alert again takes along what was held of it: its newest word is the last."""
    with desk(["slack"], NIGHT) as (made, receivers):
        at(made, 23)
        made.say("opened", name="held")
        made.send()
        made.overtake("held", is_over=is_over)
        made.send()
        at(made, 8, day=5)
        made.send()
        (told,) = receivers.http["slack"].delivered
        assert f"[{'warning] resolved: ' if is_over else 'critical] '}the action held failed" in json.dumps(told)
        assert [status for status, _ in made.statuses("slack")] == ["sent", "sent"]


# ---- No secret


def test_the_search_for_secrets_finds_them() -> None:
    """As they are, encoded for a URL, and in base64 wherever they begin."""
    for before in range(5):
        with pytest.raises(AssertionError, match="secret 0 is shown"):
            assert_no_secret(
                b64encode(b"x" * before + b"s3cret/with+signs" + b"yy").decode(), secrets=["s3cret/with+signs"]
            )
    for text in ("a s3cret/with+signs", "s3cret%2Fwith%2Bsigns", ["s3cret/with+signs"]):
        with pytest.raises(AssertionError, match="secret 0 is shown"):
            assert_no_secret(text, secrets=["s3cret/with+signs"])
    assert_no_secret("nothing", Secrets(), Channel(type="slack"), TIMEOUT_SECONDS)
