"""The life of an alert: it opens once, goes on quietly, ends surely, and does not flap."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bq_monitor.alerts.life import (
    LEAST_LONGER,
    LONGER,
    SOON_WINDOWS,
    AlertEvent,
    Look,
    Policy,
    advance,
    alert_id,
    event_id,
)
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.timegrid import Grid, Span
from tests.alerts.lives import AMOUNT, NOW, after, day, live, look, looks, openings, policy, simulated, told


def test_it_opens_once_and_is_reminded_of_now_and_then() -> None:
    """Sixty days of drift are one opening and a reminder on every seventh day after it; without reminders one word in all."""
    standing = live("f" * 60)
    assert [(t.event, t.alert.n_windows) for t in standing if t.notify] == [
        ("opened", 1), *(("reminded", n) for n in (8, 15, 22, 29, 36, 43, 50, 57)),
    ]  # fmt: skip
    assert [t.event for t in standing if not t.notify] == ["firing"] * 51
    assert {t.alert.since for t in standing} == {day(1).end}
    assert told(live("f" * 60, remind_every=None)) == ["opened"]


@pytest.mark.parametrize(("n_windows", "reminders"), [(1, 59), (7, 8), (59, 1), (60, 0)])
def test_reminders_may_be_counted_in_windows(n_windows: int, reminders: int) -> None:
    """Every so many windows of the schedule, however long they are and whether or not each showed anything."""
    assert told(live("f" * 60, remind_every=n_windows)).count("reminded") == reminders
    with_a_gap = advance(after(live("f")), [look(1 + n_windows, "f")], policy(remind_every=n_windows))
    assert told(with_a_gap) == ["reminded"]


def test_one_that_is_seen_to_is_not_reminded_of_but_its_end_is_told() -> None:
    """An acknowledgement holds for its life of the alert, not for the next."""
    opened = live("f")[-1].alert
    seen_to = {AMOUNT: replace(opened, acknowledged_by="ann")}
    made = advance(seen_to, looks("f" * 40 + "ccc" + "f", first=2), policy())
    assert told(made) == ["resolved", "reopened"]
    assert made[-1].alert.acknowledged_by is None


def test_one_that_is_snoozed_is_silent_until_then_and_told_once_after() -> None:
    """While the snooze lasts, nothing is told, not even that it got worse; the first window after it says that it stands."""
    snoozed = {AMOUNT: replace(live("f")[-1].alert, snoozed_until=NOW)}
    before = policy(NOW - timedelta(hours=1))
    quiet = advance(snoozed, [*looks("f" * 20, first=2), look(22, "f", severity="critical")], before)
    assert told(quiet) == []
    assert quiet[-1].event == "escalated"
    later = advance(after(quiet), looks("fff", first=23), policy(NOW + timedelta(hours=1), remind_every=None))
    assert [(t.event, t.notify) for t in later] == [("reminded", True), ("firing", False), ("firing", False)]
    assert later[0].alert.snoozed_until is None
    assert told(advance(snoozed, looks("ccc", first=2), before)) == ["resolved"], (
        "who heard of it hears that it is over"
    )
    unheard = {AMOUNT: replace(snoozed[AMOUNT], told_end=None)}
    assert told(advance(unheard, looks("ccc", first=2), before)) == []


@pytest.mark.parametrize(
    ("letters", "events"),
    [
        ("fccc", ["opened", "clean", "clean", "resolved"]),
        ("fccfccc", ["opened", "clean", "clean", "firing", "clean", "clean", "resolved"]),
        ("fccucc", ["opened", "clean", "clean", "unknown", "resolved"]),
        ("f" + "u" * 50, ["opened", "unknown"]),
        ("f" + "-" * 50, ["opened", "unknown"]),
        ("fccdcc", ["opened", "clean", "clean", "doubtful", "clean", "clean"]),
        ("cdu-", []),
    ],
)
def test_it_is_over_after_clean_windows_in_a_row(letters: str, events: list[AlertEvent]) -> None:
    """Three clean windows end it. A doubtful one starts the count anew; missing data neither ends it nor counts nor resets."""
    assert [t.event for t in live(letters)][: len(events)] == events
    assert [t.event for t in live(letters)][len(events) :] in ([], ["clean"])


def test_how_many_clean_windows_it_takes_is_the_configurations() -> None:
    """One for a monitor that says so; of runs, and of nothing to evaluate, always one."""
    assert told(live("fc", resolve_after=1)) == ["opened", "resolved"]
    nothing = AlertKey("nothing_evaluated")
    assert told(advance({}, looks("fc", key=nothing), policy())) == ["opened", "resolved"]
    failed = AlertKey("run_failed")
    assert told(advance({}, looks("fc", key=failed), policy())) == ["opened", "resolved"]


def test_one_that_comes_back_soon_is_the_same_and_ends_more_slowly() -> None:
    """It takes `LONGER` times as many clean windows, however often it came back; the days of its new life count from one."""
    letters, needed = "f", 3
    for _ in range(3):
        letters += "c" * needed + "f"
        needed = 3 * LONGER
    made = [t for t in live(letters, remind_every=None) if t.notify]
    assert [t.event for t in made] == ["opened", *["resolved", "reopened"] * 3]
    assert [t.alert.n_clean for t in made if t.event == "resolved"] == [3, 30, 30]
    again = next(t for t in made if t.event == "reopened")
    assert (again.alert.n_windows, again.alert.n_reopened, again.alert.since) == (1, 1, day(5).end)


@pytest.mark.parametrize(
    ("every", "needed"), [("1h", 30), ("1d", 30), ("7d", 13), ("14d", 9), ("1mo", 3 * LEAST_LONGER)]
)
def test_a_quarter_of_a_year_is_long_enough(every: str, needed: int) -> None:
    """What came back is not held open for years where windows are rare: 90 days of them, but three times as many as at first."""
    back = replace(live("f")[-1].alert, n_reopened=1)
    grid = Grid("hour" if every == "1h" else "day", Span.parse(every), Span.parse(every), ZoneInfo("UTC"))
    assert Policy(NOW, grid).needed(back) == needed
    assert Policy(NOW, grid).needed(replace(back, n_reopened=0)) == 3


def test_a_snooze_outlasts_an_end_within_it() -> None:
    """That it is over is told; that it comes back while the snooze lasts is not."""
    snoozed = {AMOUNT: replace(live("f")[-1].alert, snoozed_until=NOW)}
    made = advance(snoozed, looks("cccf", first=2), policy(NOW - timedelta(hours=1)))
    assert [(t.event, t.notify) for t in made] == [
        ("clean", False),
        ("clean", False),
        ("resolved", True),
        ("reopened", False),
    ]


def test_an_end_by_hand_is_not_undone_by_the_window_it_was_made_for() -> None:
    """Late rows judge that window again: only a later one reopens."""
    closed = {AMOUNT: replace(live("f")[-1].alert, is_open=False, condition="clean")}
    assert advance(closed, looks("f"), policy()) == []
    assert told(advance(closed, looks("f", first=2), policy())) == ["reopened"]


def test_what_stood_long_ago_is_told_to_nobody() -> None:
    """While newer windows are due nothing is told; then what still stands is, and of what is over nothing."""
    behind = replace(policy(remind_every=7), is_behind=True)
    past = advance({}, looks("f" * 20), behind)
    assert told(past) == []
    assert told(advance(after(past), looks("fff", first=21), policy(remind_every=7))) == ["reminded"]
    assert told(advance(after(past), looks("ccc", first=21), policy())) == []


@pytest.mark.parametrize(("n_days", "event"), [(SOON_WINDOWS, "reopened"), (SOON_WINDOWS + 1, "opened")])
def test_one_that_comes_back_late_is_a_new_one(n_days: int, event: str) -> None:
    """Soon is within so many windows of the schedule, however many of them showed anything."""
    over = after(live("fccc"))
    (made,) = advance(over, [look(4 + n_days, "f")], policy())
    assert (made.event, made.notify, made.alert.n_reopened) == (event, True, int(event == "reopened"))


def test_one_that_gets_worse_is_told_and_keeps_its_life() -> None:
    """Also where it is acknowledged: that was said of something less bad."""
    seen_to = {AMOUNT: replace(live("fff")[-1].alert, acknowledged_by="ann")}
    (made,) = advance(seen_to, [look(4, "f", severity="critical")], policy())
    assert (made.event, made.notify) == ("escalated", True)
    assert (made.alert.severity, made.alert.n_windows, made.alert.since) == ("critical", 4, day(1).end)


def test_a_severity_that_goes_up_and_down_is_told_once() -> None:
    """An alert is as severe as the worst of its life, so that whoever heard that it is critical hears that it is over."""
    shown = [look(n, "f", severity="critical" if n % 2 == 0 else "warning") for n in range(1, 7)]
    made = advance({}, [*shown, *looks("ccc", first=7)], policy())
    assert told(made) == ["opened", "escalated", "resolved"]
    assert made[-1].alert.severity == "critical"


@pytest.mark.parametrize("letter", "fdcu")
def test_older_windows_judged_again_change_nothing(letter: str) -> None:
    """Neither what stands nor what is over moves backward; a second look at the newest window says nothing new of what fires."""
    standing, over = after(live("fff")), after(live("fccc"))
    assert advance(standing, looks(letter * 2), policy()) == []
    assert advance(over, looks(letter * 3), policy()) == []
    assert advance(standing, [look(3, letter)], policy()) == []


def test_a_window_that_was_clean_and_fires_when_judged_again_is_said() -> None:
    """Late rows may make the newest window fire after all."""
    (made,) = advance(after(live("fc")), [look(2, "f")], policy())
    assert (made.event, made.alert.n_windows, made.alert.n_clean) == ("firing", 2, 0)


def test_looks_are_taken_oldest_first_and_keys_in_order() -> None:
    """What a run finds is told in the same order, however it is handed over."""
    region = AMOUNT._replace(feature="region")
    both = [
        Look(a.window, {**b.conditions, **a.conditions}, {**b.events, **a.events})
        for a, b in zip(looks("ff"), looks("ff", key=region), strict=True)
    ]
    made = advance({}, both[::-1], policy())
    assert [(t.alert.window, t.alert.key.feature) for t in made] == [
        (day(1), "amount"), (day(1), "region"), (day(2), "amount"), (day(2), "region"),
    ]  # fmt: skip


def test_a_window_tells_nothing_of_alerts_of_other_streams() -> None:
    """A window of features leaves what is known of answers and of runs as it is."""
    of_answers, of_runs = AlertKey("performance", "auc"), AlertKey("run_failed")
    standing = {key: replace(live("f")[-1].alert, key=key) for key in (of_answers, of_runs)}
    assert advance(standing, looks("---", first=2), policy()) == []


def test_two_runs_that_find_the_same_give_it_the_same_ids() -> None:
    """Ids are of what happened, not of when it was looked at; no two events of a life share one."""
    letters = "fffcdufcccff" + "c" * 9
    one, other = live(letters), advance({}, looks(letters), policy(NOW + timedelta(days=3)))
    ids = [event_id("loans", t) for t in one]
    assert ids == [event_id("loans", t) for t in other]
    assert len(set(ids)) == len(ids)
    assert event_id("cars", one[0]) != ids[0]
    assert {alert_id("loans", t.alert.key) for t in one} == {alert_id("loans", AMOUNT)}


def test_what_alternates_stays_one_alert() -> None:
    """Drift every other day is one opening; three days of it and three without are two at most, and then it stays open."""
    assert openings(live("fc" * 30)) == 1
    made = live("fffccc" * 10)
    assert told(t for t in made if t.event != "reminded") == ["opened", "resolved", "reopened"]


def unsteady(seed: int, rng: np.random.Generator) -> list[float]:
    """Sixty days of true distances about the threshold (0.1): steady ones, and such as are drawn anew each day."""
    steady = [0.1, 0.11, 0.12, 0.13]
    if seed % 6 < len(steady):
        return [steady[seed % 6]] * 60
    drawn = rng.uniform(0.07, 0.13, 60) if seed % 6 == 4 else rng.normal(0.11, 0.015, 60).clip(0.05)
    return [round(float(distance), 3) for distance in drawn]


@pytest.mark.parametrize("seed", range(24))
def test_what_moves_around_the_threshold_does_not_flap(seed: int) -> None:
    """By the defaults a feature near the threshold, and the data set with it, open twice in sixty windows at most."""
    rng = np.random.default_rng(seed)
    assert max(simulated(unsteady(seed, rng), rng).values(), default=0) <= 2


def test_the_simulation_opens_alerts() -> None:
    """What is surely above the threshold opens and stays; what is surely below never does."""
    assert simulated([0.15] * 20, np.random.default_rng(1))[AMOUNT] == 1
    assert simulated([0.05] * 20, np.random.default_rng(1)) == {}
