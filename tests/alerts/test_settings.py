"""What `alerts` of a configuration may say, and that a secret written there by mistake is not repeated."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from pydantic import ValidationError

from bq_monitor.alerts.settings import Alerts, Channel, Override, QuietHours, parse_clock

LITERAL = "https://hooks.slack.com/services/T0/B0/" + "x0" * 8
MAIL = {"type": "email", "host": "smtp.house.test", "sender": "m@house.test", "to": ["a@house.test"]}


def faults(model: Any, data: Any) -> list[str]:
    """What is wrong, as the configuration's errors say it: only the messages, no inputs."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return [error["msg"].removeprefix("Value error, ") for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("type_", "key"),
    [("slack", "url"), ("teams", "url"), ("google_chat", "url"), ("webhook", "url"), ("webhook", "key"), ("pagerduty", "key"),
     ("email", "username"), ("email", "password")],
)  # fmt: skip
@pytest.mark.parametrize("literal", [LITERAL, f"env:{LITERAL}", f"secret:{LITERAL}", [LITERAL], {LITERAL: 1}])
def test_a_secret_in_the_configuration_is_refused_and_not_repeated(type_: str, key: str, literal: Any) -> None:
    """Neither by the error's text nor by its repr."""
    data = {**(MAIL if type_ == "email" else {"type": type_}), key: literal}
    with pytest.raises(ValidationError) as caught:
        Alerts.model_validate({"channels": [data], "heartbeat": literal})
    assert "not a reference to a secret; allowed: env:NAME" in str(caught.value)
    assert len(caught.value.errors()) == 2
    for shown in (str(caught.value), repr(caught.value), *(error["msg"] for error in caught.value.errors())):
        assert "x0x0" not in shown


@pytest.mark.parametrize("word", ["url", "key"])
def test_a_secret_beside_another_fault_is_not_repeated(word: str) -> None:
    """A key that does not fit the type is named without its value."""
    for data in (
        {"type": "log", word: LITERAL},
        {"type": "log", word: "env:A"},
        {"type": "slak", word: LITERAL},
        LITERAL,
        {"type": LITERAL},
    ):
        with pytest.raises(ValidationError) as caught:
            Alerts.model_validate({"channels": [data]})
        assert "x0x0" not in f"{caught.value}{caught.value!r}"


@pytest.mark.parametrize(
    "reference", ["env:A_KEY", "secret:projects/p/secrets/s", "secret:projects/p/secrets/s/versions/7"]
)
def test_references_to_secrets_are_kept(reference: str) -> None:
    assert Channel(type="slack", url=reference).reference("url") == reference


def test_a_secret_that_is_not_said_comes_from_the_environment() -> None:
    """Under the channel's name, or its type."""
    assert Channel(type="slack").reference("url") == "env:BQ_MONITOR_SLACK_URL"
    assert Channel(type="webhook", name="ops_2").reference("key") == "env:BQ_MONITOR_OPS_2_KEY"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"type": "log", "url": "env:A"}, "url: not for log; allowed: allow_private, min_severity, name, type"),
        ({"type": "email", "host": "h", "sender": "a@b"}, "to: missing; email needs it"),
        ({"type": "slack", "name": "Ops"}, "name: got 'Ops'; allowed: lower-case letters, digits and '_'"),
        ({**MAIL, "to": ["a@b.c\r\nBcc: x@y"]}, "not an address; allowed: name@example.com"),
        ({**MAIL, "sender": "nobody"}, "not an address; allowed: name@example.com"),
        ({"type": "pubsub", "topic": "alerts"}, "not a topic; allowed: projects/PROJECT/topics/TOPIC"),
        ({"type": "pagerduty", "endpoint": "ftp://x"}, "not a link; allowed: a URL that begins with https://"),
        ({"type": "pagerduty", "digest": "08:00"}, "digest: not for pagerduty; allowed: allow_private, endpoint, key, min_severity, name, type"),
        ({"type": "slack", "digest": "8:00"}, "not a time of day; got '8:00'; allowed: HH:MM in quotes, as in '22:00'"),
        ({**MAIL, "port": 0}, "Input should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_channel_that_does_not_fit_is_refused(data: dict[str, Any], fault: str) -> None:
    assert faults(Channel, data) == [fault]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"channels": ["slak"]}, "unknown type; got 'slak'; known: log, slack, teams, google_chat, webhook, "),
        ({"channels": ["log", "log"]}, "channels: log listed twice; give each a name of its own"),
        ({"channels": ["slack", {"type": "log", "name": "slack"}]}, "channels: slack listed twice"),
        ({"runbook": "javascript:alert(1)"}, "not a link"),
        ({"report": "https://x.test/a|<b>"}, "not a link"),
        ({"resolve_after": 0}, "Input should be greater than or equal to 1"),
        ({"owner": "o" * 201}, "String should have at most 200 characters"),
        ({"channel": ["log"]}, "Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_alerts_that_make_no_sense_are_refused(data: dict[str, Any], fault: str) -> None:
    (found,) = faults(Alerts, data)
    assert found.startswith(fault)


def test_a_channel_may_be_its_type_alone() -> None:
    """One or a list; people's channels hear of warnings, machines of all."""
    assert Alerts.model_validate({"channels": "log"}) == Alerts.model_validate({"channels": [{"type": "log"}]})
    listed = Alerts.model_validate(
        {"channels": ["slack", "pagerduty", "webhook", {"type": "log", "min_severity": "critical"}]}
    )
    assert [channel.least for channel in listed.channels] == ["warning", "warning", "info", "critical"]
    assert [channel.is_held for channel in listed.channels] == [True, False, False, False]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({"start": "22:00"}, "start and end go together; give both"),
        ({}, "no hours; allowed: start and end ('22:00', '07:00'), days ([sat, sun])"),
        ({"start": "22:00", "end": 1320}, "start and end: got 22:00 twice; for whole days say days"),
        ({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, "days: got all seven; nobody would ever be told"),
    ],
)  # fmt: skip
def test_quiet_hours_that_say_nothing_or_all_are_refused(data: dict[str, Any], fault: str) -> None:
    assert faults(QuietHours, data) == [fault]


@pytest.mark.parametrize(
    ("value", "clock"), [("22:00", time(22)), (1320, time(22)), (0, time(0)), (time(7, 30), time(7, 30))]
)
def test_a_time_of_day_is_read_as_yaml_gives_it(value: object, clock: time) -> None:
    """Unquoted 22:00 is 1320 in YAML."""
    assert parse_clock(value) == clock


@pytest.mark.parametrize("value", ["24:00", "7:30", "noon", 1440, -1, True, None, 7.5])
def test_what_is_no_time_of_day_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a time of day"):
        parse_clock(value)


def test_an_override_says_what_it_is_for() -> None:
    assert faults(Override, {"severity": "info"}) == ["fits everything; name a kind, feature, segment or measure"]
    assert Override.model_validate({"severity": "info", "feature": "age"}).feature == "age"
