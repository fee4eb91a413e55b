"""What a window is compared with: the training data, or stretches of production before it. Pure.

A production baseline is a sum of stored counts over windows of the past; none of them overlaps the window under test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from bq_monitor.timegrid import Grid, Span, Window

BaselineKind = Literal["training", "previous", "same_weekday", "same_monthday", "promoted"]
MAX_REPEATS = 60
_REPEATED = ("same_weekday", "same_monthday")


@dataclass(frozen=True)
class Baseline:
    """One baseline; `repeats` says how many weeks or months back the two that repeat go."""

    kind: BaselineKind
    repeats: int = 1

    @classmethod
    def parse(cls, value: Any) -> Baseline:
        """`'previous'` or `{same_weekday: 4}`, as YAML gives it; ValueError for anything else.

        >>> Baseline.parse({"same_weekday": 4}).name
        'same_weekday_4'
        """
        if isinstance(value, Baseline):
            return value
        if isinstance(value, str) and value in get_args(BaselineKind) and value not in _REPEATED:
            return cls(value)  # type: ignore[arg-type]
        if isinstance(value, Mapping) and len(value) == 1:
            ((kind, repeats),) = value.items()
            if kind in _REPEATED and type(repeats) is int and 1 <= repeats <= MAX_REPEATS:
                return cls(kind, repeats)
        raise ValueError(
            f"got {value!r}; allowed: training, previous, promoted, {{same_weekday: N}} or {{same_monthday: N}}, N from 1 to {MAX_REPEATS}"
        )

    @property
    def name(self) -> str:
        """As results name it: `training`, `previous`, `same_weekday_4`."""
        return f"{self.kind}_{self.repeats}" if self.kind in _REPEATED else self.kind

    @property
    def is_production(self) -> bool:
        """Whether it moves with the window: a sum of stored counts before it."""
        return self.kind not in ("training", "promoted")

    def windows(self, window: Window, grid: Grid) -> list[Window]:
        """The stretches of production that it is made of, newest first; none overlaps `window`."""
        if self.kind == "previous":
            return [Window(grid.length.before(window.start, grid.zone), window.start)]
        if self.kind not in _REPEATED:
            return []
        step = _step(self.kind, window)
        found = (_moved(window, Span(step.count * i, step.unit), grid) for i in range(1, self.repeats + 1))
        return [moved for moved in found if moved is not None]


def _step(kind: str, window: Window) -> Span:
    """The shortest step of whole weeks or months that is no shorter than the window."""
    length = window.end - window.start
    if kind == "same_weekday":
        return Span(max(1, -(-_whole_days(length) // 7)), "w")
    return Span(max(1, -(-_whole_days(length) // 31)), "mo")


def _whole_days(length: timedelta) -> int:
    """Days of a window on the calendar: a day may have an hour more or less."""
    return max(1, round(length / timedelta(days=1)))


def _moved(window: Window, back: Span, grid: Grid) -> Window | None:
    """A window moved back on the calendar; None where a month has no such day, or the two would overlap."""
    start, end = (_before(moment, back, grid) for moment in (window.start, window.end))
    if start is None or end is None or end > window.start or start >= end:
        return None
    return Window(start, end)


def _before(moment: datetime, back: Span, grid: Grid) -> datetime | None:
    local = moment.astimezone(grid.zone)
    found = back.before(moment, grid.zone)
    return None if back.unit == "mo" and found.astimezone(grid.zone).day != local.day else found
