"""How much the days of a healthy feature differ beyond chance, and what that does to a test. Pure.

Rows of one day are more alike than rows of different days: weekdays, campaigns, batches. A test that takes every row for
independent then cries wolf, the louder the more rows a day has. The remedy is that of survey sampling: days are clusters, their
intra-class correlation is measured on a healthy stretch, and the test counts what the rows are worth.
Sources: Kish (1965), "Survey Sampling", ch. 5 (design effect, intra-class correlation); Rao and Scott (1981), "The analysis of
categorical data from complex sample surveys", second-order correction; Satterthwaite (1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float64]
MIN_DAYS = 7
"""Fewer days say nothing of how days differ."""
MAX_CORRELATION = 0.2
MAX_ALONG_A_LINE = 0.5
"""However restless a feature was, a day is worth at least two rows in any direction: a wild reference must not blind the monitor."""
MIN_ROWS_OF_DAY = 1
"""Buckets with fewer rows a day, on average, are pooled before days are compared."""


@dataclass(frozen=True)
class Restlessness:
    """How days differ beyond chance.

    Args:
        correlation: the intra-class correlation of days, 0..`MAX_CORRELATION`: the variance of a day's true shares in units of
            that of a single row, averaged over the directions in which shares can move.
        directions: in how many directions days differ, at least 1: 1 when all moves are along one line (a weekday's mix).
        n_days: days it was measured on.
        n_buckets: buckets it was measured in.
        special: the correlation of days of the share of rows without a value that training knew (NULL, NaN, infinite, unseen).
    """

    correlation: float
    directions: float
    n_days: int
    n_buckets: int
    special: float = 0.0

    @property
    def of_special(self) -> Restlessness:
        """The restlessness of the share of special rows alone."""
        return Restlessness(self.special, 1.0, self.n_days, 2)

    @property
    def along_a_line(self) -> float:
        """The correlation of days in each direction in which they differ, one standard error larger than measured."""
        k = self.n_buckets - 1
        uncertain = 1 + sqrt(2 / (min(self.directions, k) * (self.n_days - 2)))
        return min(MAX_ALONG_A_LINE, uncertain * self.correlation * k / self.directions)


@dataclass(frozen=True)
class Clumping:
    """How the rows of both sides of a test lie in days: for each side the sum over days of (rows of the day / rows) squared.

    1 for a single day, 1 / days for equal days, 0 where days are not known (rows then count as independent).
    """

    baseline: float = 0.0
    current: float = 0.0


INDEPENDENT = Clumping()
"""Every row for itself."""


def clumping_of(rows: Sequence[int]) -> float:
    """The clumping of one side from its rows per day; 0 without rows.

    >>> clumping_of([10, 10]), clumping_of([5]), clumping_of([])
    (0.5, 1.0, 0.0)
    """
    n = sum(rows)
    return sum((day / n) ** 2 for day in rows) if n else 0.0


def restlessness(days: ArrayLike, special: Sequence[int] = ()) -> Restlessness | None:
    """Measure restlessness on a healthy stretch.

    Args:
        days: counts, shape `(days, buckets)`, in the order of time; days without rows are left out.
        special: the columns of NULL, NaN, infinite and unseen values.

    Returns:
        None with fewer than `MIN_DAYS` days with rows, or with a single bucket.

    A straight trend of each share over the days is taken out first: slow drift is what the monitor is to find, not what it
    is to get used to.
    """
    counts = np.asarray(days, dtype=np.float64)
    if counts.ndim != 2:  # no day at all
        return None
    found = _measured(counts)
    if found is None or not special:
        return found
    apart = counts[:, list(special)].sum(axis=1)
    of_special = _measured(np.column_stack([counts.sum(axis=1) - apart, apart]))
    return replace(found, special=of_special.correlation if of_special else 0.0)


def _measured(counts: NDArray[np.float64]) -> Restlessness | None:
    counts = _pooled(counts[counts.sum(axis=1) > 0])
    if len(counts) < MIN_DAYS or counts.shape[1] < 2:
        return None
    sizes, shares = counts.sum(axis=1), counts.sum(axis=0) / counts.sum()
    residuals = _without_trend(counts / sizes[:, None], sizes)
    whitened = np.sqrt(sizes)[:, None] * residuals / np.sqrt(shares)
    df = len(counts) - 2  # a mean and a slope are fitted
    between = whitened.T @ whitened / df
    k = counts.shape[1] - 1
    mean_size = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(sizes) - 1)
    excess = max(0.0, (np.trace(between) / k - 1) / max(1.0, mean_size - 1))
    if excess == 0:
        return Restlessness(0.0, float(k), len(counts), k + 1)
    return Restlessness(min(MAX_CORRELATION, float(excess)), _directions(between, k, df), len(counts), k + 1)


@dataclass(frozen=True)
class DayEffects:
    """Restlessness and clumping of many tests: arrays, one element a test, of what `Restlessness` and `Clumping` hold.

    Where restlessness is not known the correlations are 0.
    """

    along_a_line: _Floats
    directions: _Floats
    special_along: _Floats
    baseline: _Floats
    current: _Floats

    @classmethod
    def of(cls, found: Sequence[Restlessness | None], clumping: Sequence[Clumping]) -> DayEffects:
        """Of tests one by one."""
        rows = [(r.along_a_line, r.directions, r.of_special.along_a_line) if r else _NO_EFFECT for r in found]
        sides = [(c.baseline, c.current) for c in clumping]
        return cls(
            *np.array(rows, dtype=np.float64).reshape(-1, 3).T, *np.array(sides, dtype=np.float64).reshape(-1, 2).T
        )

    @classmethod
    def none(cls, n_tests: int) -> DayEffects:
        """Rows count as independent."""
        zeros = np.zeros(n_tests)
        return cls(zeros, np.ones(n_tests), zeros, zeros, zeros)

    def __getitem__(self, tests: NDArray[np.intp]) -> DayEffects:
        return DayEffects(*(getattr(self, item.name)[tests] for item in fields(self)))

    @property
    def is_restless(self) -> NDArray[np.bool_]:
        return self.along_a_line > 0

    @property
    def of_special(self) -> DayEffects:
        """Of the share of special rows alone."""
        return replace(self, along_a_line=self.special_along, directions=np.ones_like(self.directions))


_NO_EFFECT = (0.0, 1.0, 0.0)


def widenings(days: DayEffects, n_buckets: _Floats, n_baseline: _Floats, n_current: _Floats) -> tuple[_Floats, _Floats]:
    """What restlessness does to the chi-square statistics of tests of `n_buckets` buckets: scales and degrees of freedom.

    Each is its scale times a chi-square of so many degrees; without restlessness 1 and `n_buckets - 1`. In each direction in which
    days differ, at most as many as the test has, the statistic's variance is 1 + e, with e = (correlation along it) (c - 1) and
    c = (clumping of both sides) n m / (n + m); in the others it is 1. The first two moments of that sum are matched (Satterthwaite).
    """
    k = n_buckets - 1.0
    rows = (days.baseline + days.current) * n_baseline * n_current / (n_baseline + n_current)
    excess, directions = days.along_a_line * np.maximum(0.0, rows - 1), np.minimum(days.directions, k)
    total = k + directions * excess
    squares = k + 2 * directions * excess + directions * excess**2
    return squares / total, total**2 / squares


def effective_rows(correlation: float, clumping: float, n_rows: int) -> int:
    """What rows are worth: as many independent rows would say as much (Kish); `n_rows` without correlation."""
    return int(effective_rows_of_each(correlation, clumping, n_rows))


def effective_rows_of_each(correlation: ArrayLike, clumping: ArrayLike, n_rows: ArrayLike) -> _Floats:
    """`effective_rows` of many tests; whole numbers."""
    rows = np.asarray(n_rows, dtype=np.float64)
    found: _Floats = np.rint(rows / (1 + np.asarray(correlation) * np.maximum(0.0, np.asarray(clumping) * rows - 1)))
    return found


def _pooled(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Buckets with few rows a day as one; empty ones left out."""
    if not len(counts):
        return counts
    means = counts.mean(axis=0)
    rare = means < MIN_ROWS_OF_DAY
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    return pooled[:, pooled.sum(axis=0) > 0]


def _without_trend(shares: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Residuals of each column of shares from its weighted straight line over the days."""
    design = np.column_stack([np.ones(len(shares)), np.arange(len(shares), dtype=np.float64)])
    root = np.sqrt(weights)[:, None]
    fitted, *_ = np.linalg.lstsq(root * design, root * shares, rcond=None)
    return shares - design @ fitted


def _directions(between: NDArray[np.float64], k: int, df: int) -> float:
    """(sum of the excess eigenvalues)^2 / sum of their squares, less what the finite number of days adds to the squares."""
    trace, squares = float(np.trace(between)), float((between**2).sum())
    unbiased = (squares - trace**2 / df) * df**2 / ((df - 1) * (df + 2))  # of the sum of squared eigenvalues, Wishart
    excess, excess_squares = trace - k, unbiased - 2 * trace + k  # each direction has 1 by chance
    return float(np.clip(excess**2 / excess_squares, 1.0, k)) if excess_squares > 0 else float(k)
