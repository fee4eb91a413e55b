"""Sparse buckets pooled before a test: the chi-square law needs full buckets. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.divergence import rows_of
from bq_monitor.measure.histogram import ORDERED, OTHER, Buckets

MIN_EXPECTED = 10
"""Expected rows below which a label is pooled: twice Cochran's five, as labels get listed by counts that luck made large."""
MIN_EXPECTED_ORDERED = 8
"""Expected rows below which neighbours in an order are pooled; deciles of a hundred rows stay ten."""
Rows = NDArray[np.intp]
Floats = NDArray[np.float64]


class Layout(NamedTuple):
    """What coarse counts of different features must share to lie in one array: their number, the special ones, whether the rest has
    an order."""

    is_ordered: bool
    specials: tuple[int, ...]
    n_buckets: int

    @classmethod
    def of(cls, buckets: Buckets, n_coarse: int) -> Layout:
        return cls(buckets.kind in ORDERED, buckets.codes[buckets.n_regular :], n_coarse)

    @property
    def n_regular(self) -> int:
        """Coarse buckets that are not special; those come first."""
        return self.n_buckets - len(self.specials)

    @property
    def set_apart(self) -> list[int]:
        """The positions of what is no value that training knew: NULL, NaN, infinite, unseen; as `Coarse.special`."""
        return [self.n_regular + i for i, code in enumerate(self.specials) if code != OTHER]


def pool_each(layout: Layout, baseline: Floats, current: Floats) -> Iterator[tuple[Rows, Floats, Floats]]:
    """The coarse counts of many tests with sparse buckets pooled, for the test alone.

    A bucket is sparse when fewer rows of the smaller side than `MIN_EXPECTED` (`MIN_EXPECTED_ORDERED`) are expected in it by the
    baseline's shares; the window's own counts play no part in the choice. Sparse labels join OTHER, sparse neighbours of an order
    join each other; among these, what the baseline has not at all stays apart, as news would drown among neighbours.
    Source: Cochran (1954), raised; pooling on observed totals instead would inflate false alarms.

    Args:
        layout: what the tests have in common.
        baseline, current: counts, shape `(tests, buckets)`.

    Yields:
        By number of pools: which tests, and the pooled counts of both sides, shape `(these tests, pools)`; of labels, specials come first.
    """
    if not layout.is_ordered:
        baseline, current = _specials_first(layout, baseline), _specials_first(layout, current)
    n, m = rows_of(baseline)[:, None], rows_of(current)[:, None]
    expected = baseline / n * np.minimum(n, m)
    pools = _neighbours(layout, expected) if layout.is_ordered else _into_other(layout, expected)
    if pools is None:
        yield np.arange(len(baseline)), baseline, current
        return
    n_pools = rows_of(pools.is_kept.astype(np.float64))
    for width in np.unique(n_pools).tolist():
        rows = np.flatnonzero(n_pools == width)
        if width == layout.n_buckets:
            yield rows, baseline[rows], current[rows]
        else:
            yield rows, pools.gathered(baseline, rows), pools.gathered(current, rows)


def _specials_first(layout: Layout, counts: Floats) -> Floats:
    """The same columns in the order of their codes."""
    found, n_specials = np.empty_like(counts), len(layout.specials)
    found[:, n_specials:] = counts[:, : layout.n_regular]
    for i, at in enumerate(np.argsort(layout.specials)):
        found[:, i] = counts[:, layout.n_regular + at]
    return found


@dataclass(frozen=True)
class _Pools:
    """Which buckets of each test stand for a pool, and the bucket that each is pooled in: a single one, or one for each bucket."""

    is_kept: NDArray[np.bool_]
    into: int | Rows

    def gathered(self, counts: Floats, rows: Rows) -> Floats:
        """The counts of the pools of some tests that have as many."""
        found, is_kept = counts[rows], self.is_kept[rows]
        if isinstance(self.into, int):
            found[:, self.into] += rows_of(np.where(is_kept, 0.0, found))
        else:
            at = self.into[rows] + found.shape[1] * np.arange(len(rows))[:, None]
            summed = np.bincount(at.reshape(-1), found.reshape(-1), minlength=found.size)
            found = summed.astype(np.float64, copy=False).reshape(found.shape)
        return found[is_kept].reshape(len(rows), -1)


def _into_other(layout: Layout, expected: Floats) -> _Pools | None:
    """Specials first: sparse labels are pooled in OTHER. None where no test has one."""
    is_sparse = expected < MIN_EXPECTED
    is_sparse[:, : len(layout.specials)] = False
    return _Pools(~is_sparse, sorted(layout.specials).index(OTHER)) if is_sparse.any() else None


def _neighbours(layout: Layout, expected: Floats) -> _Pools | None:
    """Regular buckets in turn until a pool is full, the rest with the last; specials on their own. None where no test has a sparse one."""
    regular = expected[:, : layout.n_regular]
    sparse = (regular > 0) & (regular < MIN_EXPECTED_ORDERED)
    if not sparse.any():
        return None
    own = np.arange(layout.n_buckets)
    into = np.broadcast_to(own, expected.shape).copy()
    rows = np.flatnonzero(sparse.any(axis=-1))
    into[rows, : layout.n_regular] = _filled(regular[rows])
    return _Pools(into == own, into)


def _filled(expected: Floats) -> Rows:
    """The first bucket of the pool of each; those without expected rows stay apart."""
    n_tests, n_buckets = expected.shape
    into = np.empty(expected.shape, dtype=np.intp)
    # where the pool begins that is being filled, and the last full one
    first, before = np.full(n_tests, -1), np.full(n_tests, -1)
    filled = np.full(n_tests, np.inf)
    for i in range(n_buckets):
        has_rows = expected[:, i] > 0
        begins = has_rows & (filled >= MIN_EXPECTED_ORDERED)
        before, first = np.where(begins, first, before), np.where(begins, i, first)
        filled = np.where(begins, 0.0, filled) + expected[:, i]
        into[:, i] = np.where(has_rows, first, i)
    is_left = (into == first[:, None]) & ((filled < MIN_EXPECTED_ORDERED) & (before >= 0))[:, None]
    return np.where(is_left, before[:, None], into)
