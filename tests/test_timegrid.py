"""Windows and granules on the local calendar, across changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from bq_monitor.timegrid import Grid, Span, Window, parse_moment

BERLIN, NEW_YORK, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
KATHMANDU, SAO_PAULO = ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/Sao_Paulo")
ZONES = [ZoneInfo("UTC"), BERLIN, NEW_YORK, KOLKATA, KATHMANDU]


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def grid(zone: ZoneInfo, length: str = "1d", every: str = "1d", granule: str = "day") -> Grid:
    return Grid(granule, Span.parse(length), Span.parse(every), zone)  # type: ignore[arg-type]


def windows(of: Grid, after: str, until: str) -> list[tuple[str, str]]:
    """Starts and ends on the local clock, `MM-DD HH:MM`."""
    return [
        tuple(moment.astimezone(of.zone).strftime("%m-%d %H:%M") for moment in (window.start, window.end))  # type: ignore[misc]
        for window in of.windows(at(after), at(until))
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (BERLIN, date(2026, 3, 29), 23),
        (BERLIN, date(2026, 10, 25), 25),
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 11, 1), 25),
        (NEW_YORK, date(2026, 3, 29), 24),
        (KOLKATA, date(2026, 3, 29), 24),
    ],
)
def test_a_local_day_has_as_many_hours_as_its_clocks_say(zone: ZoneInfo, day: date, hours: int) -> None:
    """Where the clocks change, the day granule and the one-day window are 23 or 25 hours long."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    days = grid(zone)
    assert days.next(start) - start == timedelta(hours=hours)
    assert days.floor(start + timedelta(hours=hours - 1)) == start
    assert days.floor(start + timedelta(hours=hours)) == days.next(start)
    hourly = grid(zone, granule="hour", every="1h")
    assert len(list(hourly.granules(Window(start, days.next(start))))) == hours


def test_daily_windows_meet_across_the_change_of_clocks() -> None:
    """Each starts where the one before ended, at local midnight: 22:00 UTC in summer, 23:00 in winter."""
    found = grid(BERLIN).windows(at("2026-03-27T23:00"), at("2026-03-30T22:00"))
    assert [window.start for window in found] == [
        at("2026-03-27T23:00"),
        at("2026-03-28T23:00"),
        at("2026-03-29T22:00"),
    ]
    assert all(a.end == b.start for a, b in pairwise(found))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("length", "every"), [("7d", "1d"), ("1w", "1w"), ("2w", "1w"), ("1mo", "1mo"), ("3mo", "1mo")]
)
def test_a_year_of_windows_is_made_of_whole_granules(zone: ZoneInfo, length: str, every: str) -> None:
    """A window's granules begin at its start, end at its end, and follow one another; one for each local day."""
    of = grid(zone, length, every)
    found = of.windows(at("2026-01-01T00:00"), at("2027-01-01T00:00"))
    assert len(found) == {"1d": 365, "1w": 52, "1mo": 12}[every]
    for window in found:
        granules = list(of.granules(window))
        local = [moment.astimezone(zone) for moment in granules]
        assert granules[0] == window.start
        assert of.next(granules[-1]) == window.end
        assert all((moment.hour, moment.minute) == (0, 0) for moment in local)
        assert [m.date() for m in local] == [local[0].date() + timedelta(days=i) for i in range(len(local))]


def test_a_week_over_the_change_of_clocks_is_seven_local_days() -> None:
    """The week that ends on Monday 30 March 2026 in Berlin has seven granules and 167 hours."""
    (window,) = grid(BERLIN, "7d", "7d").windows(at("2026-03-29T12:00"), at("2026-03-30T12:00"))
    assert (window.start, window.end) == (at("2026-03-22T23:00"), at("2026-03-29T22:00"))
    assert len(list(grid(BERLIN).granules(window))) == 7


def test_weeks_end_on_mondays_and_months_on_the_first() -> None:
    """Whatever day the search begins on."""
    for day in range(1, 10):
        after = f"2026-02-0{day}T05:00"
        assert windows(grid(NEW_YORK, "1w", "1w"), after, "2026-02-17T05:00")[-1] == ("02-09 00:00", "02-16 00:00")
        assert windows(grid(NEW_YORK, "1mo", "1mo"), after, "2026-03-05T00:00") == [("02-01 00:00", "03-01 00:00")]


def test_two_week_and_quarterly_windows_keep_their_rhythm() -> None:
    """The rhythm is counted from Monday 5 January 1970 (months: from January 1970), not from where the search begins."""
    fortnights = [end for _, end in windows(grid(NEW_YORK, "2w", "2w"), "2026-01-01T05:00", "2026-02-28T05:00")]
    assert (date(2026, 1, 5) - date(1970, 1, 5)).days % 14 == 0
    assert fortnights == ["01-05 00:00", "01-19 00:00", "02-02 00:00", "02-16 00:00"]
    later = [end for _, end in windows(grid(NEW_YORK, "2w", "2w"), "2026-01-08T05:00", "2026-02-28T05:00")]
    assert later == fortnights[1:]
    quarters = windows(grid(BERLIN, "3mo", "3mo"), "2026-02-11T00:00", "2027-01-01T00:00")
    assert quarters == [("01-01 00:00", "04-01 00:00"), ("04-01 00:00", "07-01 00:00"), ("07-01 00:00", "10-01 00:00"),
                        ("10-01 00:00", "01-01 00:00")]  # fmt: skip


def test_the_end_after_is_excluded_and_the_end_until_included() -> None:
    """Searching on from the last end gives no window twice and skips none."""
    days = grid(ZoneInfo("UTC"))
    first = days.windows(at("2026-01-01T00:00"), at("2026-01-03T00:00"))
    second = days.windows(first[-1].end, at("2026-01-05T00:00"))
    assert [window.end.day for window in (*first, *second)] == [2, 3, 4, 5]
    assert days.windows(at("2026-01-03T00:00"), at("2026-01-03T00:00")) == []
    assert days.windows(at("2026-01-05T00:00"), at("2026-01-03T00:00")) == []


@pytest.mark.parametrize("zone", ZONES)
def test_hours_are_those_of_the_local_clock(zone: ZoneInfo) -> None:
    """Kolkata is half an hour off UTC, Kathmandu three quarters (half an hour until 1986): granules and windows still meet."""
    of = grid(zone, "2h", "1h", "hour")
    found = of.windows(at("2026-03-01T00:10"), at("2026-03-02T00:10"))
    assert len(found) == 24
    for window in found:
        assert window.end.astimezone(zone).minute == 0
        assert window.end - window.start == timedelta(hours=2)
        assert list(of.granules(window)) == [window.start, window.start + timedelta(hours=1)]


def test_kolkata_hours_in_utc() -> None:
    """10:05 in Kolkata is 04:35 UTC, in the granule that starts at 04:30 UTC."""
    assert grid(KOLKATA, granule="hour").floor(at("2026-03-01T04:35")) == at("2026-03-01T04:30")
    assert grid(KOLKATA, granule="day").floor(at("2026-03-01T04:35")) == at("2026-02-28T18:30")


def test_the_hour_that_comes_twice_is_two_granules() -> None:
    """Berlin, 25 October 2026: 02:30 is at 00:30 UTC and again at 01:30 UTC."""
    hours = grid(BERLIN, granule="hour", every="1h", length="1h")
    assert hours.floor(at("2026-10-25T00:30")) == at("2026-10-25T00:00")
    assert hours.floor(at("2026-10-25T01:30")) == at("2026-10-25T01:00")
    ends = [window.end for window in hours.windows(at("2026-10-24T23:00"), at("2026-10-25T03:00"))]
    assert ends == [at(f"2026-10-25T0{hour}:00") for hour in (0, 1, 2, 3)]


def test_a_change_of_clocks_by_half_an_hour_repeats_no_window() -> None:
    """Lord Howe, 5 April 2026, 02:00 becomes 01:30: the ends keep to full local hours and none comes twice."""
    ends = [
        w.end
        for w in grid(ZoneInfo("Australia/Lord_Howe"), "1h", "1h", "hour").windows(
            at("2026-04-04T00:00"), at("2026-04-06T00:00")
        )
    ]
    assert len(ends) == len(set(ends))
    assert ends == sorted(ends)
    assert {end.astimezone(ZoneInfo("Australia/Lord_Howe")).minute for end in ends} == {0}


def test_a_day_that_begins_at_one_in_the_morning() -> None:
    """São Paulo, 4 November 2018: midnight was skipped. The windows around it still start and end where days do."""
    days = grid(SAO_PAULO, "7d", "1d")
    skipped = at("2018-11-04T03:00")
    assert skipped.astimezone(SAO_PAULO).hour == 1
    assert days.floor(skipped + timedelta(hours=5)) == skipped
    (ending,) = days.windows(skipped - timedelta(hours=1), skipped)
    assert ending.start.astimezone(SAO_PAULO).isoformat() == "2018-10-28T00:00:00-03:00"
    assert len(list(days.granules(ending))) == 7
    (starting,) = days.windows(at("2018-11-11T00:00"), at("2018-11-11T12:00"))
    assert starting.start == skipped
    assert len(list(days.granules(starting))) == 7


@pytest.mark.parametrize(
    ("span", "moment", "zone", "expected"),
    [
        ("1d", "2026-03-30T10:00", BERLIN, "2026-03-29T10:00"),  # noon stays noon
        ("1d", "2026-03-29T10:00", BERLIN, "2026-03-28T11:00"),  # ... over the change too: 25 hours less two
        ("24h", "2026-03-29T10:00", BERLIN, "2026-03-28T10:00"),
        ("2w", "2026-03-15T04:00", NEW_YORK, "2026-03-01T05:00"),
        ("1mo", "2026-04-01T04:00", NEW_YORK, "2026-03-01T05:00"),
        ("1mo", "2026-03-15T12:00", ZoneInfo("UTC"), "2026-02-15T12:00"),
        ("1mo", "2026-03-31T00:00", ZoneInfo("UTC"), "2026-02-28T00:00"),
        ("12mo", "2024-02-29T00:00", ZoneInfo("UTC"), "2023-02-28T00:00"),
        ("14mo", "2026-01-01T00:00", ZoneInfo("UTC"), "2024-11-01T00:00"),
        ("0d", "2026-03-29T10:17", BERLIN, "2026-03-29T10:17"),
        ("0h", "2026-03-29T10:17", BERLIN, "2026-03-29T10:17"),
    ],
)
def test_before_steps_on_the_local_calendar(span: str, moment: str, zone: ZoneInfo, expected: str) -> None:
    """Days, weeks and months keep the local clock (a month clips to its last day); hours are hours."""
    assert Span.parse(span).before(at(moment), zone) == at(expected)


@pytest.mark.parametrize(
    ("text", "count", "unit", "days"),
    [("7d", 7, "d", 7), ("2w", 2, "w", 14), ("1mo", 1, "mo", None), ("36h", 36, "h", None), (" 0d ", 0, "d", 0)],
)
def test_spans_are_parsed_and_printed(text: str, count: int, unit: str, days: int | None) -> None:
    """A whole number and a unit; printing gives it back."""
    span = Span.parse(text)
    assert (span.count, span.unit, span.days, str(span)) == (count, unit, days, text.strip())


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-7d", "1.5d", "7days", "1m", "7D", "1mo2d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    """The message says what was got and what is allowed."""
    with pytest.raises(ValueError, match=r"not a length of time: got '.*'; allowed: a whole number and h, d, w or mo"):
        Span.parse(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01", "2026-02-28T23:00"),
        (date(2026, 7, 1), "2026-06-30T22:00"),
        ("2026-07-01T06:00:00", "2026-07-01T04:00"),
        ("2026-07-01T06:00:00+00:00", "2026-07-01T06:00"),
        ("2026-07-01T06:00:00Z", "2026-07-01T06:00"),
        (datetime(2026, 7, 1, 6, tzinfo=timezone(timedelta(hours=-5))), "2026-07-01T11:00"),
        (datetime(2026, 7, 1, 6, tzinfo=BERLIN).replace(tzinfo=None), "2026-07-01T04:00"),
        ("2026-03-29T02:30:00", "2026-03-29T01:30"),  # never on Berlin's clocks: read by the offset before the change
        ("2026-10-25T02:30:00", "2026-10-25T00:30"),  # twice on them: the first
    ],
)
def test_moments_without_offset_are_read_in_the_zone(value: str | date | datetime, expected: str) -> None:
    """Dates are local midnights; an offset that is given counts."""
    assert parse_moment(value, BERLIN) == at(expected)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30", "01.03.2026", "2026-03-01T25:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """The message shows what was got and an example of what is allowed."""
    with pytest.raises(ValueError, match=r"not a point in time: got '.*'; allowed: an ISO 8601 date .*'2026-03-01'"):
        parse_moment(text, BERLIN)
