"""What was found in earlier windows: the series of verdicts that confirm an event and show a trend. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from bq_monitor.timegrid import Window

WINDOWS_OF_TREND = 12
"""How many windows that do not overlap a trend is told from, the newest one included."""

WINDOWS_OF_VOLUME = 4
"""From the mean of how many windows before, which do not overlap, a window's rows may have fallen."""


class Series(NamedTuple):
    """What one series of verdicts is about; verdicts against different references make no series."""

    reference_id: str | None
    model_version: str
    segment: str
    feature: str
    baseline: str


@dataclass(frozen=True)
class Past:
    """What is remembered of one verdict; `drift_score` is None where nothing could be evaluated."""

    status: str
    drift_score: float | None


@dataclass
class History:
    """Verdicts by series and window. Windows are added as they are judged, oldest first."""

    series: dict[Series, dict[Window, Past]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[tuple[Series, Window, Past]]) -> History:
        history = cls()
        for series, window, past in entries:
            history.add(series, window, past)
        return history

    def add(self, series: Series, window: Window, past: Past) -> None:
        self.series.setdefault(series, {})[window] = past

    def before(self, series: Series, window: Window, n: int) -> list[tuple[datetime, Past]]:
        """At most `n` evaluated windows that end before `window` starts and do not overlap each other, newest first."""
        return list(_apart(self.series.get(series, {}), window, n))


def rows_before(volumes: Mapping[tuple[Window, str], int], window: Window, version: str) -> float | None:
    """Mean rows of the windows before one, at most `WINDOWS_OF_VOLUME` that do not overlap; None without any."""
    edge = window.start
    found: list[int] = []
    for (earlier, of), n_rows in sorted(
        volumes.items(), key=lambda item: (item[0][0].end, item[0][0].start), reverse=True
    ):
        if of == version and earlier.end <= edge and len(found) < WINDOWS_OF_VOLUME:
            edge = earlier.start
            found.append(n_rows)
    return sum(found) / len(found) if found else None


def _apart(windows: Mapping[Window, Past], newest: Window, n: int) -> Iterator[tuple[datetime, Past]]:
    edge, left = newest.start, n
    for window in sorted(windows, key=lambda w: (w.end, w.start), reverse=True):
        if not left:
            return
        past = windows[window]
        if window.end <= edge and past.drift_score is not None:
            edge, left = window.start, left - 1
            yield window.end, past
