"""Slow drift: whether a metric rises from window to window, how fast, and when it reaches its threshold. Pure.

A threshold says when a feature has moved far; a trend says that it is on its way, although each window alone is still `ok`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

MIN_POINTS = 5
"""Windows needed for a trend. The least p-value of n untied points is 1 / n!: 0.0083 for five, below 0.0005 from seven on."""
_DAY = timedelta(days=1)
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Trend:
    """How a metric goes over the windows of a history.

    Args:
        slope: the metric's units per day (24 hours).
        p_value: chance, 0..1, of windows that rise at least this consistently if their order meant nothing; one-sided.
        n_points: windows that the trend is made from.
        crosses_at: when the fitted line passes the threshold, UTC, to the second; None when the line does not rise, or
            passes it further before the first window or after the last than the history is long.
    """

    slope: float
    p_value: float
    n_points: int
    crosses_at: datetime | None = None


def trend(points: Sequence[tuple[datetime, float]], threshold: float) -> Trend | None:
    """The trend of a metric over non-overlapping windows, in any order and with any gaps.

    Slope: Theil-Sen, the median slope of all pairs of windows; the line lies so that half the windows are above it.
    Test: Mann-Kendall; exact up to 33 windows without ties, else by the normal law with its variance corrected for ties
    (with a tied pair, p below 0.0005 is possible from eight windows on). It asks only for order, so that one wild window
    counts no more than any other. Windows that depend on each other, such as those of less than two whole weekly cycles,
    give p-values that are too small. Time and memory grow with the square of the number of windows.

    Args:
        points: `(end of the window, value of the metric)`; the ends have a zone. Values that are not finite are left out.
        threshold: of the metric, in its units.

    Returns:
        None with fewer than `MIN_POINTS` windows of different ends. Values that are all equal have slope 0 and p-value 1.

    Sources: Mann (1945); Kendall (1975), "Rank correlation methods", variance with ties; Theil (1950); Sen (1968).
    Deviation: without Mann's continuity correction where the normal law is used, as `scipy.stats.kendalltau` has none.
    """
    from scipy import stats

    finite = sorted((at.astimezone(UTC), float(value)) for at, value in points if math.isfinite(value))
    if len({at for at, _ in finite}) < MIN_POINTS:
        return None
    start = finite[0][0]
    days = np.array([(at - start) / _DAY for at, _ in finite])
    values = np.array([value for _, value in finite])
    if (values == values[0]).all():
        return Trend(0.0, 1.0, len(finite))
    slope = float(stats.theilslopes(values, days)[0])
    p_value = float(stats.kendalltau(days, values, alternative="greater").pvalue)
    return Trend(slope, p_value, len(finite), _crossing(start, days, values, slope, threshold))


def _crossing(
    start: datetime, days: NDArray[np.float64], values: NDArray[np.float64], slope: float, threshold: float
) -> datetime | None:
    """When the line of this slope through the middle of the points passes the threshold, no further than extrapolation goes."""
    if slope <= 0:
        return None
    rise = threshold - float(np.median(values - slope * days))
    seconds, length = rise / slope * _SECONDS_PER_DAY, float(days[-1]) * _SECONDS_PER_DAY
    if not -length - 0.5 <= seconds <= 2 * length + 0.5:  # half a second: what rounding to the second may do
        return None
    return start + timedelta(seconds=round(seconds))
