"""Who hears of what, in how many messages, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bq_monitor.alerts.life import Alert, AlertEvent, Transition
from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.notifying import MAX_ITEMS, held_until, notification_rows, quiet_until
from bq_monitor.alerts.rules import AlertKey, with_severities
from bq_monitor.alerts.settings import Channel, QuietHours
from bq_monitor.config import MonitorConfig
from bq_monitor.warehouse.base import Row
from tests.alerts.lives import NOW, after, day, made_alert, made_event, watcher

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")


def local(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def happened(event: AlertEvent, alert: Alert | None = None, *, notify: bool = True, **changes: Any) -> Transition:
    alert = alert or made_alert(**changes)
    return Transition(event, replace(alert, is_open=event not in ("resolved", "closed")), notify=notify)


def rows(
    config: MonitorConfig, *transitions: Transition, standing: Mapping[AlertKey, Alert] | None = None
) -> list[Row]:
    return notification_rows(transitions, {**(standing or {}), **after(transitions)}, config, NOW, "run")


def messages(found: Sequence[Row], channel: str) -> list[Message]:
    return [Message.from_dict(json.loads(row["payload"])) for row in found if row["channel"] == channel]


def telling(*channels: Any, **alerts: Any) -> MonitorConfig:
    return watcher(alerts={"channels": list(channels), **alerts})


def test_people_hear_of_a_run_once_and_machines_of_everything() -> None:
    """Five hundred drifted features are one message in Slack, one incident a kind in PagerDuty, and all events for a webhook."""
    config = telling("slack", "pagerduty", "webhook")
    drifted = [happened("opened", feature=f"f{i}") for i in range(500)]
    found = rows(config, *drifted, happened("opened", kind="dataset_drift", feature=None, severity="critical"))
    (people,) = messages(found, "slack")
    assert (len(people.items), people.severity, people.items[0].kind) == (501, "critical", "dataset_drift")
    assert people.title == "loans: 501 alerts opened"
    assert [(m.group, len(m.items), m.severity) for m in messages(found, "pagerduty")] == [
        ("bq-monitor:loans:dataset_drift", 1, "critical"), ("bq-monitor:loans:drift", 500, "warning"),
    ]  # fmt: skip
    machine = messages(found, "webhook")
    assert [len(message.items) for message in machine] == [MAX_ITEMS, 1]
    assert len({item.event_id for message in machine for item in message.items}) == 501
    assert len({row["notification_id"] for row in found}) == len(found) == 5
    assert [row["position"] for row in found if row["channel"] == "webhook"] == [0, 1]
    assert {row["status"] for row in found} == {"pending"}


def test_only_what_is_to_be_told_is_told() -> None:
    """An alert that goes on firing is no news; without news there is no message, not even an empty one."""
    assert rows(telling("slack", "pagerduty", "webhook"), happened("firing", notify=False)) == []


def test_each_channel_hears_what_is_severe_enough() -> None:
    """By default people hear of warnings and worse, machines of all."""
    config = telling(
        "slack", {"type": "teams", "min_severity": "critical"}, "webhook", {"type": "log", "min_severity": "warning"}
    )
    severities = {"a": "info", "b": "warning", "c": "critical"}
    found = rows(
        config, *(happened("opened", feature=name, severity=severity) for name, severity in severities.items())
    )
    heard = {
        channel: {i.feature for m in messages(found, channel) for i in m.items}
        for channel in ("slack", "teams", "webhook", "log")
    }
    assert heard == {"slack": {"b", "c"}, "teams": {"c"}, "webhook": {"a", "b", "c"}, "log": {"b", "c"}}


@pytest.mark.parametrize(
    ("overrides", "severity"),
    [
        ([{"kind": "quality", "severity": "critical"}], "critical"), ([{"feature": "amount", "severity": "info"}], "info"),
        ([{"segment": "region=north", "severity": "info"}], "info"), ([{"measure": "null_rate", "severity": "info"}], "info"),
        ([{"kind": "drift", "severity": "info"}], "warning"), ([{"kind": "quality", "feature": "region", "severity": "info"}], "warning"),
        ([{"kind": "quality", "severity": "critical"}, {"feature": "amount", "severity": "info"}], "info"),
        ([{"feature": "amount", "severity": "info"}, {"kind": "quality", "severity": "critical"}], "critical"),
    ],
)  # fmt: skip
def test_overrides_say_how_severe(overrides: list[dict[str, str]], severity: str) -> None:
    """An override has to fit in all that it says; of several that fit the last counts."""
    event = made_event(day(1), AlertKey("quality", "null_rate", "amount", "region=north"))
    assert [found.severity for found in with_severities([event], watcher(alerts={"overrides": overrides}))] == [
        severity
    ]


def test_a_channel_that_fails_does_not_hear_that_it_fails() -> None:
    """The others do."""
    found = rows(
        telling("slack", "webhook"),
        happened("opened", kind="delivery", feature=None, measure="slack", severity="critical"),
    )
    assert [row["channel"] for row in found] == ["webhook"]


def test_an_incident_ends_with_the_last_alert_of_its_kind() -> None:
    """One that is over among others that stand is no news for it; the last one ends it, under the same group."""
    config, other = telling("pagerduty"), made_alert(feature="region")
    assert rows(config, happened("resolved"), standing={other.key: other}) == []
    both = rows(config, happened("resolved"), happened("reminded", other))
    assert [(len(m.items), m.is_resolved) for m in messages(both, "pagerduty")] == [(1, False)]
    of_another_kind = made_alert("quality", measure="null_rate")
    (last,) = messages(rows(config, happened("resolved"), standing={of_another_kind.key: of_another_kind}), "pagerduty")
    assert (last.is_resolved, last.group, last.severity) == (True, "bq-monitor:loans:drift", "info")


def test_an_alert_that_the_channel_never_heard_of_keeps_no_incident_open() -> None:
    """What is below its severity does not count as standing."""
    unheard = made_alert(feature="region", severity="info")
    (message,) = messages(
        rows(telling("pagerduty"), happened("resolved"), standing={unheard.key: unheard}), "pagerduty"
    )
    assert message.is_resolved


def test_of_an_alert_with_several_events_people_hear_the_last_and_machines_all() -> None:
    """A backlog may open and remind in one run: it is told as opened. Opened and over is told as over."""
    config, alert = telling("slack", "webhook"), made_alert()
    goes_on, over = made_alert(n_windows=8, message="it moved more"), made_alert(n_windows=8, n_clean=3)
    (still,) = messages(rows(config, happened("opened", alert), happened("reminded", goes_on)), "slack")
    assert [(item.news, item.n_windows, item.message) for item in still.items] == [("opened", 8, "it moved more")]
    ended = rows(config, happened("opened", alert), happened("resolved", over))
    assert [item.news for m in messages(ended, "slack") for item in m.items] == ["resolved"]
    assert [item.news for m in messages(ended, "webhook") for item in m.items] == ["opened", "resolved"]


def test_the_same_news_has_the_same_identity() -> None:
    """A run that is repeated writes the same messages; another channel's are others."""
    config = telling("slack", {"type": "slack", "name": "other"})
    first, again = (rows(config, happened("opened")) for _ in range(2))
    assert [row["notification_id"] for row in first] == [row["notification_id"] for row in again]
    assert len({row["notification_id"] for row in first}) == 2


NIGHT = QuietHours(start="22:00", end="07:00")  # type: ignore[arg-type]
NOON = QuietHours(start="12:00", end="14:00")  # type: ignore[arg-type]
WEEKEND = QuietHours(start="22:00", end="07:00", days=["sat", "sun"])  # type: ignore[arg-type]
SUNDAY = QuietHours(days=["sun"])


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "2026-05-04T21:59:59", None), (NIGHT, "2026-05-04T22:00", "2026-05-05T07:00"),
        (NIGHT, "2026-05-05T00:00", "2026-05-05T07:00"), (NIGHT, "2026-05-05T06:59:59", "2026-05-05T07:00"),
        (NIGHT, "2026-05-05T07:00", None),
        (NOON, "2026-05-04T11:59", None), (NOON, "2026-05-04T12:00", "2026-05-04T14:00"), (NOON, "2026-05-04T14:00", None),
        (WEEKEND, "2026-05-08T21:00", None), (WEEKEND, "2026-05-08T22:30", "2026-05-11T07:00"),
        (WEEKEND, "2026-05-09T12:00", "2026-05-11T07:00"), (WEEKEND, "2026-05-11T03:00", "2026-05-11T07:00"),
        (SUNDAY, "2026-05-09T23:59", None), (SUNDAY, "2026-05-10T00:00", "2026-05-11T00:00"),
        # clocks go forward on 29 March at 02:00, back on 25 October at 03:00
        (NIGHT, "2026-03-28T23:00", "2026-03-29T07:00"), (NIGHT, "2026-10-24T23:00", "2026-10-25T07:00"),
        (SUNDAY, "2026-03-29T12:00", "2026-03-30T00:00"), (SUNDAY, "2026-10-25T00:00", "2026-10-26T00:00"),
    ],
)  # fmt: skip
def test_quiet_hours_are_on_the_clock_of_their_zone(quiet: QuietHours, now: str, until: str | None) -> None:
    """From `start` to before `end`, over midnight too, whole days, and whatever the clocks do between."""
    assert quiet_until(quiet, local(now), BERLIN) == (local(until) if until else None)


def test_nights_in_which_the_clocks_change_are_an_hour_shorter_or_longer() -> None:
    """From eleven to seven are seven hours in March and nine in October."""
    for evening, hours in (("2026-03-28T23:00", 7), ("2026-10-24T23:00", 9)):
        until = quiet_until(NIGHT, local(evening), BERLIN)
        assert until is not None
        assert (until - local(evening)).total_seconds() == hours * 3600


def test_an_end_that_the_clocks_leave_out_is_when_they_have_gone_forward() -> None:
    """02:30 does not exist on 29 March: quiet hours end within the hour after."""
    until = quiet_until(QuietHours(start="22:00", end="02:30"), local("2026-03-28T23:00"), BERLIN)  # type: ignore[arg-type]
    assert until == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("channel", "severity", "alerts", "until"),
    [
        ("slack", "warning", {"quiet_hours": {"start": "10:00", "end": "16:00"}}, "2026-06-01T16:00"),
        ("slack", "critical", {"quiet_hours": {"start": "10:00", "end": "16:00"}}, None),
        ("slack", "warning", {"quiet_hours": {"start": "10:00", "end": "16:00", "but": "warning"}}, None),
        ("slack", "warning", {"quiet_hours": {"start": "10:00", "end": "11:00"}}, None),
        ("slack", "warning", {"quiet_hours": {"start": "10:00", "end": "16:00", "timezone": "Europe/Berlin"}}, "2026-06-01T14:00"),
        ("pagerduty", "warning", {"quiet_hours": {"start": "10:00", "end": "16:00"}}, None),
        ("webhook", "warning", {"quiet_hours": {"start": "10:00", "end": "16:00"}}, None),
        ("slack", "warning", {}, None),
        ({"type": "email", "host": "mail.test", "sender": "m@house.test", "to": ["a@b.test"], "digest": "09:00"}, "info", {}, "2026-06-02T09:00"),
        ({"type": "slack", "digest": "12:01"}, "warning", {}, "2026-06-01T12:01"),
        ({"type": "slack", "digest": "12:00"}, "warning", {}, "2026-06-02T12:00"),
    ],
)  # fmt: skip
def test_until_when_a_message_waits(channel: Any, severity: Any, alerts: dict[str, Any], until: str | None) -> None:
    """Only people's channels wait; what is urgent does not, unless for a digest; machines and PagerDuty never do."""
    config = telling(channel, **alerts)
    assert held_until(config.alerts.channels[0], severity, config, NOW) == (local(until, UTC_ZONE) if until else None)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-28T10:00", "2026-03-29T09:00"),
        ("2026-10-24T10:00", "2026-10-25T09:00"),
        ("2026-10-25T08:00", "2026-10-25T09:00"),
    ],
)
def test_a_digest_comes_at_its_time_on_the_clock(now: str, until: str) -> None:
    """In the zone of the monitor's windows, also on the days when the clocks change."""
    config = watcher(window={"length": "1d", "every": "1d", "timezone": "Europe/Berlin"})
    assert held_until(Channel(type="slack", digest="09:00"), "warning", config, local(now)) == local(until)  # type: ignore[arg-type]


def test_the_row_says_until_when_it_waits() -> None:
    """What waits is not due before; what does not is due at once."""
    quiet = {"start": "10:00", "end": "16:00"}
    found = rows(telling("slack", "webhook", quiet_hours=quiet), happened("opened"))
    until = datetime(2026, 6, 1, 16, tzinfo=UTC)
    assert [(row["channel"], row["not_before"], row["held_until"]) for row in found] == [
        ("slack", until, until),
        ("webhook", NOW, None),
    ]


def test_an_incident_of_deliveries_ends_though_the_channel_itself_is_lost() -> None:
    """PagerDuty never hears of its own failure, so its incident about the others does not wait for that."""
    own = made_alert("delivery", None, measure="pagerduty", severity="critical")
    other = made_alert("delivery", None, measure="slack", severity="critical")
    (message,) = messages(rows(telling("pagerduty"), happened("resolved", other), standing={own.key: own}), "pagerduty")
    assert message.is_resolved
