"""Granules and windows on the calendar: where each starts and ends, in the monitor's time zone. Pure.

A granule is the unit of counting (an hour or a local day); a window is a run of whole granules that is judged.
Every instant here is an aware `datetime` in UTC; the calendar is cut in the zone, so that a local day has 23 or 25 hours
when the clocks change.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from bq_monitor.errors import InputError

Unit = Literal["h", "d", "w", "mo"]
Granule = Literal["hour", "day"]
_SPAN = re.compile(r"(\d+)(mo|h|d|w)")
DAYS_PER_MONTH = 365.2425 / 12
_EPOCH_MONDAY = date(1970, 1, 5)


@dataclass(frozen=True)
class Span:
    """A calendar length such as `7d` or `1mo`; months are calendar months."""

    count: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Span:
        """`'7d'` -> `Span(7, 'd')`; ValueError for anything but Nh, Nd, Nw, Nmo with N >= 0.

        >>> Span.parse("2w").days
        14
        """
        match = _SPAN.fullmatch(text.strip())
        if not match:
            raise ValueError(
                f"not a length of time: got {text!r}; allowed: a whole number and h, d, w or mo, as in '7d'"
            )
        return cls(int(match[1]), match[2])  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def days(self) -> int | None:
        """Whole days, or None for hours and months."""
        return {"d": self.count, "w": 7 * self.count}.get(self.unit)

    def before(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The instant this span before `moment`, stepping on the local calendar (hours: on the clock of UTC).

        A month before 31 March is the last day of February.
        """
        if self.unit == "h":
            return moment - timedelta(hours=self.count)
        local = moment.astimezone(zone)
        day = local.date() - timedelta(days=self.days or 0)
        if self.unit == "mo":
            first = _add_months(local.date(), -self.count)
            day = first.replace(day=min(local.day, monthrange(first.year, first.month)[1]))
        if moment == _midnight(local.date(), zone):  # where the clocks change at midnight, a day may start at 01:00
            return _midnight(day, zone)
        return datetime.combine(day, local.time(), zone).astimezone(UTC)


@dataclass(frozen=True, order=True)
class Window:
    """The half-open stretch of time `[start, end)` that one verdict is about."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Partition:
    """One partition of a table: the stretch `[start, end)` of its time column, its rows, and when it was last written to."""

    start: datetime
    end: datetime
    n_rows: int
    modified_at: datetime

    @classmethod
    def parse(cls, text: str, unit: str, zone: ZoneInfo, *, n_rows: int, modified_at: datetime) -> Partition | None:
        """A partition from its id, such as `20260105`; None for what is no stretch of time (`__NULL__`, the streaming buffer).

        Ids are read on the clock of `zone`: UTC for a TIMESTAMP column.
        """
        if not text.isdigit():
            return None
        start = datetime.strptime(text, _PARTITION_IDS[unit]).replace(tzinfo=zone)
        return cls(start.astimezone(UTC), _next_partition(start, unit).astimezone(UTC), n_rows, modified_at)


@dataclass(frozen=True)
class Grid:
    """The schedule of a monitor: windows of `length` ending at every `every`, counted in granules."""

    granule: Granule
    length: Span
    every: Span
    zone: ZoneInfo
    anchor: date = _EPOCH_MONDAY

    def windows(self, after: datetime, until: datetime) -> list[Window]:
        """The windows whose end lies in `(after, until]`, oldest first."""
        return [Window(self.length.before(end, self.zone), end) for end in self._ends(after, until)]

    @property
    def per_month(self) -> float:
        """How many windows end in an average month."""
        days = {"h": self.every.count / 24, "mo": self.every.count * DAYS_PER_MONTH}
        return DAYS_PER_MONTH / days.get(self.every.unit, self.every.days or 1)

    def floor(self, moment: datetime) -> datetime:
        """The start of the granule that holds `moment`."""
        local = moment.astimezone(self.zone)
        if self.granule == "hour":
            return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        return _midnight(local.date(), self.zone)

    def next(self, granule: datetime) -> datetime:
        """The start of the granule after the one that starts at `granule`."""
        if self.granule == "hour":
            return granule + timedelta(hours=1)
        return _midnight(granule.astimezone(self.zone).date() + timedelta(days=1), self.zone)

    def granules(self, window: Window) -> Iterator[datetime]:
        """The starts of the granules of a window, oldest first."""
        moment = self.floor(window.start)
        while moment < window.end:
            yield moment
            moment = self.next(moment)

    def rows_by_day(self, rows: Iterable[tuple[datetime, int]]) -> tuple[int, ...]:
        """Rows of granules `(start, n)` by the calendar day that they start on, in the order in which days come up."""
        days: dict[date, int] = {}
        for granule, n in rows:
            day = granule.astimezone(self.zone).date()
            days[day] = days.get(day, 0) + n
        return tuple(days.values())

    def _ends(self, after: datetime, until: datetime) -> Iterator[datetime]:
        if self.every.unit == "h":
            step = timedelta(hours=self.every.count)
            origin = _midnight(self.anchor, self.zone)
            moment = origin + ((after - origin) // step) * step
            steps = (moment + k * step for k in range((until - moment) // step + 2))
            # where the zone's offset moved by less than an hour since the anchor, the local hours moved with it
            moments: Iterator[datetime] = iter(dict.fromkeys(self.floor(at) for at in steps))
        else:
            moments = (_midnight(day, self.zone) for day in self._end_days(after, until))
        yield from (moment for moment in moments if after < moment <= until)

    def _end_days(self, after: datetime, until: datetime) -> Iterator[date]:
        first, last = after.astimezone(self.zone).date(), until.astimezone(self.zone).date()
        if self.every.unit == "mo":
            months = (first.year - self.anchor.year) * 12 + first.month - self.anchor.month
            day = _add_months(self.anchor.replace(day=1), months - months % self.every.count)
            while day <= last:
                yield day
                day = _add_months(day, self.every.count)
            return
        step = self.every.days or 1
        day = first - timedelta(days=(first - self.anchor).days % step)
        while day <= last:
            yield day
            day += timedelta(days=step)


def parse_moment(value: str | date | datetime, zone: ZoneInfo) -> datetime:
    """A date, or a moment with or without offset, as an instant in UTC; without offset it is read in `zone`.

    >>> parse_moment("2026-03-01", ZoneInfo("Europe/Berlin")).isoformat()
    '2026-02-28T23:00:00+00:00'
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InputError(
                f"not a point in time: got {value!r}; allowed: an ISO 8601 date or date and time, "
                "as in '2026-03-01' or '2026-03-01T06:00:00+00:00'"
            ) from None
    if not isinstance(value, datetime):
        return _midnight(value, zone)
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def parse_stretch(place: str, start: str | date | datetime, end: str | date | datetime, zone: ZoneInfo) -> Window:
    """Two moments as the stretch between them; raises `InputError`, naming `place`, when it does not end after it starts."""
    first, last = parse_moment(start, zone), parse_moment(end, zone)
    if first >= last:
        raise InputError(
            f"{place}: got {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC; allowed: an end after the start."
        )
    return Window(first, last)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _add_months(day: date, months: int) -> date:
    """The first day of the month that many months on."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


_PARTITION_IDS = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}


def _next_partition(start: datetime, unit: str) -> datetime:
    """The start of the partition after the one that starts at `start`."""
    if unit == "HOUR":
        return (start.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
    if unit == "DAY":
        return start + timedelta(days=1)
    if unit == "MONTH":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start.replace(year=start.year + 1)
