"""Every service gets what it can read, whatever the texts hold; every fault of it says when to try again."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders import sender_for
from bq_monitor.alerts.senders.base import retry_after
from bq_monitor.alerts.senders.text import clean, cut, plain, wording
from bq_monitor.alerts.settings import Channel
from tests.alerts.receivers import (
    KEY,
    RESET,
    ROUTING_KEY,
    SECRET_PATH,
    SLOW,
    TOKEN,
    TRICKLE,
    TRUNCATED,
    Fault,
    receiver,
)
from tests.alerts.samples import (
    AT,
    HOSTILE,
    HTTP_KINDS,
    LONG,
    make_item,
    make_message,
    refused,
    sender_to,
    shape,
    texts,
)

STATUSES = [
    (408, "soon"), (425, "soon"), (429, "soon"), (500, "soon"), (503, "soon"), (401, "later"), (403, "later"),
    (404, "later"), (410, "later"), (301, "later"), (307, "later"), (400, "never"), (413, "never"), (422, "never"),
]  # fmt: skip
SECRET_OF = {"webhook": KEY, "pagerduty": ROUTING_KEY, "pubsub": TOKEN, "slack": SECRET_PATH, "teams": SECRET_PATH,
             "google_chat": SECRET_PATH}  # fmt: skip


def delivered(kind: str, message: Message, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a service has accepted of a message."""
    with receiver(kind) as running:
        sender_to(running, kind, monkeypatch).send(message)
    (found,) = running.delivered
    return found


@pytest.mark.parametrize("kind", HTTP_KINDS)
def test_a_message_arrives_once_with_all_it_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Title, sentence, sureness, rows, carrier, recommendation, owner and links are there for who reads."""
    said = " ".join(texts(delivered(kind, make_message(), monkeypatch)))
    title = "loans: income drifted" if kind == "pagerduty" else "loans: 1 alerts opened"
    for part in (title, "income moved by 0.31", "99 % sure", "region = 'north'", "nulls: 3 %", "loader",
                 "Risk team", "https://wiki.test/runbook", "https://wiki.test/report"):  # fmt: skip
        assert part in said or part in unescape(said)


@pytest.mark.parametrize("kind", [kind for kind in HTTP_KINDS if kind != "pubsub"])
def test_a_request_names_the_message(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notification's id goes along, so that a service may drop what comes twice."""
    with receiver(kind) as running:
        sender_to(running, kind, monkeypatch).send(make_message())
    assert running.requests[0].headers["idempotency-key"] == "n-1"


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize(("status", "retry"), STATUSES)
def test_a_status_says_when_to_try_again(kind: str, status: int, retry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes by itself is `soon`, what somebody must mend `later`, a message that is not wanted `never`."""
    fault = Fault(
        status, f"no: {SECRET_OF[kind]}".encode(), {"Location": "https://elsewhere.test/", "Retry-After": "7"}
    )
    with receiver(kind, [fault]) as running:
        error = refused(lambda: sender_to(running, kind, monkeypatch).send(make_message()))
    assert (error.retry, error.after_seconds) == (retry, 7.0 if retry == "soon" else None)
    assert str(status) in error.reason
    assert ("redirects are not followed" in error.reason) == (status in (301, 307))
    assert len(running.requests) == 1


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize("fault", [SLOW, TRICKLE, RESET, TRUNCATED], ids=lambda fault: str(fault.how))
def test_a_broken_connection_is_tried_again(kind: str, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence, bytes that trickle, a reset and half an answer end in time; the next attempt arrives."""
    with receiver(kind, [fault]) as running:
        patience = 0.2 if fault in (SLOW, TRICKLE) else 5.0
        error = refused(lambda: sender_to(running, kind, monkeypatch, timeout_seconds=patience).send(make_message()))
        sender_to(running, kind, monkeypatch).send(make_message())
    assert error.retry == "soon"
    assert len(running.delivered) == 1


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "teams", "google_chat"])
@pytest.mark.parametrize("answer", [(200, b"<html>sign in</html>"), (206, b"ok")])
def test_an_answer_that_is_no_success_is_none(
    kind: str, answer: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the status, and for Slack the word, that the service documents counts as success."""
    if (kind, answer[0]) in {("teams", 200), ("google_chat", 200)}:
        return
    with receiver(kind, [Fault(*answer)]) as running:
        assert refused(lambda: sender_to(running, kind, monkeypatch).send(make_message())).retry == "later"


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "teams", "google_chat"])
def test_hostile_text_changes_no_message(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same blocks as for harmless text; what could break a line or turn it around is gone."""
    hostile = delivered(kind, make_message(2, HOSTILE), monkeypatch)
    assert shape(hostile) == shape(delivered(kind, make_message(2), monkeypatch))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", "".join(texts(hostile)))
    assert "\U0001f469\u200d\U0001f4bb" in "".join(texts(hostile))


def test_slack_reads_no_mention(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback is escaped, and every block is plain text without emoji codes."""
    data = delivered("slack", make_message(1, HOSTILE), monkeypatch)
    assert "<" not in data["text"]
    assert unescape(data["text"]).startswith("<!channel> <@U1>")
    assert (data["mrkdwn"], data["link_names"], data["parse"]) == (False, False, "none")
    assert '"mrkdwn"' not in json.dumps(data["blocks"])
    assert "<" not in json.dumps(data["blocks"])
    assert '"emoji": true' not in json.dumps(data["blocks"])


def test_google_chat_reads_no_tag_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """User text is escaped in cards; none of it stands in `text` or `fallbackText`, where mentions are read."""
    data = delivered("google_chat", make_message(1, HOSTILE), monkeypatch)
    assert "users/all" not in data["fallbackText"]
    assert "text" not in data
    assert "&lt;users/all&gt;" in json.dumps(data["cardsV2"])


def test_teams_mentions_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """`<at>` is a mention only with an entity, and there are none."""
    card = delivered("teams", make_message(1, HOSTILE), monkeypatch)["attachments"][0]["content"]
    assert card["msteams"] == {"width": "Full"}


@pytest.mark.parametrize("kind", HTTP_KINDS)
@pytest.mark.parametrize("text", [None, HOSTILE, LONG, "\U0001f600" * 400], ids=["plain", "hostile", "long", "emoji"])
def test_five_hundred_items_are_one_message(kind: str, text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the texts, the service takes it; what is left out is counted."""
    data = delivered(kind, make_message(500, text), monkeypatch)
    if kind in ("webhook", "pubsub"):
        data = data["data"] if kind == "pubsub" else data
        assert len(data["items"]) + data.get("n_items_left_out", 0) == 500
        return
    more = [int(found) for text in texts(data) for found in re.findall(r"and (\d+) more", text)]
    assert more
    assert all(490 <= n <= 499 for n in more)


def test_the_worst_is_told_first() -> None:
    """Critical before warning before what is resolved, each in a line, then the details."""
    resolved = make_item(0, news="resolved", severity="critical", summary="age drifted")
    items = (resolved, make_item(1), make_item(2, severity="critical", summary="nulls in region"))
    text = plain(wording(replace(make_message(), items=items)))
    first = text.split("\n\n")[0].splitlines()
    assert [line.split("] ")[1].split(" (")[0] for line in first[1:]] == [
        "nulls in region", "income drifted", "resolved: age drifted",
    ]  # fmt: skip
    assert text.count("Next step: Look at the loader.") == 2


def test_cutting_halves_no_character() -> None:
    """A limit counts UTF-16 units, and an emoji of two goes or stays whole; a half one never came in."""
    assert cut("a\U0001f600b", 4) == "a\U0001f600b"
    assert cut("a\U0001f600bc", 3) == "a…"
    assert clean("a\ud83d\u2028b\r\nc\u2066") == "a b c"


def test_pagerduty_opens_and_resolves_the_same_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is the key; the resolution holds nothing else."""
    opened = delivered("pagerduty", make_message(), monkeypatch)
    closed = delivered("pagerduty", make_message(is_resolved=True), monkeypatch)
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"] == "loans/a0"
    assert {name: opened["payload"][name] for name in ("source", "severity", "component", "class", "group")} == {
        "source": "loans", "severity": "warning", "component": "income", "class": "drift", "group": "loans",
    }  # fmt: skip


def test_long_groups_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keys that differ after the 255th character are two incidents."""
    keys = {delivered("pagerduty", make_message(group="g" * 300 + end), monkeypatch)["dedup_key"] for end in "ab"}
    assert len(keys) == 2


def test_a_webhook_is_signed_for_the_moment_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver checks the signature; a key that is not whsec_ is taken as it is, another one is refused."""
    with receiver("webhook") as running:
        sender = sender_to(running, "webhook", monkeypatch)
        sender.send(make_message())
        monkeypatch.setenv("BQ_MONITOR_OTHER_KEY", "whsec_" + b64encode(b"another").decode())
        other = sender_to(running, "webhook", monkeypatch, key="env:BQ_MONITOR_OTHER_KEY")
        assert refused(lambda: other.send(make_message())).retry == "later"
        monkeypatch.setenv("BQ_MONITOR_OTHER_KEY", "whsec_not base64")
        broken = sender_to(running, "webhook", monkeypatch, key="env:BQ_MONITOR_OTHER_KEY")
        assert "not base64" in refused(lambda: broken.send(make_message())).reason
    assert running.delivered == [make_message().to_dict()]
    assert Message.from_dict(running.delivered[0]) == make_message()


def test_an_emulator_of_pubsub_gets_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """PUBSUB_EMULATOR_HOST is where Google's own clients look; the service itself gets a token."""
    with receiver("pubsub") as running:
        sender_to(running, "pubsub", monkeypatch).send(make_message())
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{running.port}")
        sender_to(running, "pubsub", monkeypatch).send(make_message())
    assert ["authorization" in request.headers for request in running.requests] == [True, False]
    attributes = {"monitor": "loans", "severity": "warning", "notification_id": "n-1"}
    assert [message["attributes"] for message in running.delivered] == [attributes] * 2
    assert running.delivered[0]["data"] == make_message().to_dict()


@pytest.mark.parametrize("text", [None, HOSTILE, LONG])
def test_the_log_has_a_line_an_item(text: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is JSON as Cloud Logging reads it, below its limit; data cannot break out of it."""
    items = (
        make_item(0, text, severity="critical"),
        make_item(1, text, news="resolved"),
        make_item(2, text, severity="info"),
    )
    sender_for(Channel(type="log"), Secrets()).send(replace(make_message(0, text), items=items))
    lines = capsys.readouterr().err.splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["severity"] for entry in entries] == ["CRITICAL", "INFO", "NOTICE"]
    assert all(len(line.encode()) <= 256_000 for line in lines)
    assert [entry["alert"]["event_id"] for entry in entries] == ["e0", "e2", "e1"]
    assert set(entries[0]["logging.googleapis.com/labels"]) == {"monitor", "kind", "alert_id", "event_id"}
    assert "\n" not in entries[0]["message"]
    assert "\u202e" not in entries[0]["message"]


def test_a_message_without_items_is_a_line_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    sender_for(Channel(type="log"), Secrets()).send(make_message(0))
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "loans: 0 alerts opened"


def test_retry_after_is_a_number_or_a_date() -> None:
    """At least nothing, at most a day; None where it cannot be read."""
    read = {value: retry_after({"retry-after": value}, AT) for value in (
        "120", "Fri, 08 May 2026 06:31:30 GMT", "Fri, 08 May 2026 06:00:00 GMT", "999999999", "soon", "-5", "",
    )}  # fmt: skip
    assert list(read.values()) == [120.0, 90.0, 0.0, 86400.0, None, None, None]


def test_a_topic_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one somebody must set it."""
    sender = sender_for(Channel(type="pubsub"), Secrets(lambda: TOKEN))
    assert "BQ_MONITOR_PUBSUB_TOPIC" in refused(lambda: sender.send(make_message())).reason
    with receiver("pubsub") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{running.port}")
        monkeypatch.setenv("BQ_MONITOR_PUBSUB_TOPIC", "projects/proj-1/topics/alerts")
        sender.send(make_message())
    assert len(running.delivered) == 1
