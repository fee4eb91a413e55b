"""Features to draw for `detection.py`: frozen buckets, counts of the reference, and the true shares of the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bq_monitor.freeze import MIN_LABEL_ROWS, freeze_edges, quantile_grid
from bq_monitor.measure.histogram import Buckets, Coarse, Histogram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TOP_K = 100


@dataclass(frozen=True)
class Features:
    """Frozen features, one a row. Shapes `(features, fine buckets)`, padded on the right by buckets that hold nothing."""

    buckets: Sequence[Buckets]
    coarse: Sequence[Coarse]
    counts: Ints
    shares: Floats = field(repr=False)  # the truth behind the reference
    singletons: Ints = field(repr=False)

    def __len__(self) -> int:
        return len(self.buckets)

    @property
    def n_rows(self) -> int:
        return int(self.counts[0].sum())

    def coarsened(self, counts: NDArray[np.generic]) -> Floats:
        """Counts or shares in coarse buckets, shape `(features, most coarse buckets)`."""
        groups = np.zeros(counts.shape, dtype=np.intp)
        for row, coarse in enumerate(self.coarse):
            groups[row, : len(coarse.groups)] = coarse.groups
        width = int(groups.max()) + 1
        flat = (np.arange(len(self))[:, None] * width + groups).ravel()
        return np.bincount(flat, weights=counts.ravel(), minlength=len(self) * width).reshape(len(self), width)

    def sides(self, current: Ints) -> tuple[Ints, Ints]:
        """The coarse counts of reference and window; the reference as `judge` has it: expecting the unseen."""
        p, q = self.coarsened(self.counts).astype(np.int64), self.coarsened(current).astype(np.int64)
        expected = np.minimum(self.singletons, np.rint(self.n_rows * q[:, -1] / q.sum(axis=1)).astype(np.int64))
        p[:, -2] -= expected  # OTHER and UNSEEN, where anything is expected
        p[:, -1] += expected
        return p, q


Make = Callable[[np.random.Generator, int, int], Features]


def order_statistics(rng: np.random.Generator, n_features: int, n: int) -> tuple[Ints, Floats]:
    """Ranks (from 1) of the quantile grid in a sample of `n`, and the uniform order statistics at these ranks."""
    ranks = np.unique(np.quantile(np.arange(1, n + 1), quantile_grid(10), method="inverted_cdf")).astype(np.int64)
    steps = rng.gamma(np.diff([0, *ranks, n + 1]), size=(n_features, len(ranks) + 1))
    return ranks, np.cumsum(steps, axis=1)[:, :-1] / steps.sum(axis=1, keepdims=True)


def continuous(transform: Callable[[Floats], Floats]) -> Make:
    """Features without ties; `transform` makes the window's distribution function of the reference's, at each edge."""

    def make(rng: np.random.Generator, n_features: int, n: int) -> Features:
        ranks, at = order_statistics(rng, n_features, n)
        counts = np.diff([0, *(ranks - 1), ranks[-1], n])  # the top edge lies just above the top quantile
        below = transform(at)
        shares = np.diff(below[:, [*range(len(ranks)), -1]], axis=1, prepend=0.0, append=1.0)
        buckets = Buckets("numeric", freeze_edges(ranks.astype(np.float64).tolist()))
        row = np.array([*counts, 0, 0, 0, 0])
        coarse = Coarse.of(Histogram(buckets, row))
        return Features(
            [buckets] * n_features, [coarse] * n_features, np.tile(row, (n_features, 1)),
            np.pad(shares, ((0, 0), (0, 4))), np.zeros(n_features, dtype=np.int64),
        )  # fmt: skip

    return make


def distinct(shares: Sequence[float]) -> Make:
    """Numbers with the distinct values 0, 1, 2, ... of these shares."""

    def make(rng: np.random.Generator, n_features: int, n: int) -> Features:
        rows = [_of_values(counts, np.array(shares)) for counts in rng.multinomial(n, shares, n_features)]
        return _stacked(rows)

    return make


def _of_values(counts: Ints, shares: Floats) -> tuple[Buckets, Ints, Floats]:
    ranks = np.quantile(np.arange(1, counts.sum() + 1), _GRID, method="inverted_cdf")
    edges = freeze_edges(np.searchsorted(np.cumsum(counts), ranks).astype(np.float64).tolist())
    buckets = Buckets("numeric", edges)
    place = np.searchsorted(edges, np.arange(len(counts)), side="right")
    fine = np.bincount(place, counts, minlength=len(buckets.codes)).astype(np.int64)
    return buckets, fine, np.bincount(place, shares, minlength=len(buckets.codes))


_GRID = quantile_grid(10)


def labels(shares: Sequence[float]) -> Make:
    """Categories: the 100 most frequent labels are listed, if training has five rows of them; the rest known by hash."""
    truth = np.array(shares) / sum(shares)
    width = min(TOP_K, len(truth))
    buckets = Buckets("categorical", labels=tuple(str(i) for i in range(width)))
    coarse = Coarse((*buckets.labels, "NULL", "other", "unseen"), np.arange(width + 3))

    def make(rng: np.random.Generator, n_features: int, n: int) -> Features:
        counts, at = np.zeros((n_features, width + 3), dtype=np.int64), np.zeros((n_features, width + 3))
        singletons = np.zeros(n_features, dtype=np.int64)
        for row in range(n_features):
            found = rng.multinomial(n, truth)
            listed = [i for i in np.argsort(-found, kind="stable")[:TOP_K] if found[i] >= MIN_LABEL_ROWS]
            rare = found > 0
            rare[listed] = False
            counts[row, : len(listed)], at[row, : len(listed)] = found[listed], truth[listed]
            counts[row, -2], at[row, -2:] = found[rare].sum(), (truth[rare].sum(), truth[found == 0].sum())
            singletons[row] = (found[rare] == 1).sum()
        return Features([buckets] * n_features, [coarse] * n_features, counts, at, singletons)

    return make


def _stacked(rows: Sequence[tuple[Buckets, Ints, Floats]]) -> Features:
    width = max(len(counts) for _, counts, _ in rows)
    pads = [(0, width - len(counts)) for _, counts, _ in rows]
    return Features(
        [buckets for buckets, _, _ in rows],
        [Coarse.of(Histogram(buckets, counts)) for buckets, counts, _ in rows],
        np.array([np.pad(counts, pad) for (_, counts, _), pad in zip(rows, pads, strict=True)]),
        np.array([np.pad(shares, pad) for (_, _, shares), pad in zip(rows, pads, strict=True)]),
        np.zeros(len(rows), dtype=np.int64),
    )


def draw(rng: np.random.Generator, n: int, shares: Floats) -> Ints:
    """Multinomial counts, one row of shares each; shares add up to 1 only nearly, after all that was done to them."""
    return rng.multinomial(n, shares / shares.sum(axis=-1, keepdims=True))


def normal(shift: float = 0.0, scale: float = 1.0) -> Make:
    """A normal feature whose window has another mean (in standard deviations) and another standard deviation."""
    return continuous(lambda at: special.ndtr((special.ndtri(at) - shift) / scale))


def with_share(make: Make, code: int, share: float, before: float = 0.0) -> Make:
    """Features of which `share` of the window's rows, `before` of the reference's, lies in a special bucket."""

    def made(rng: np.random.Generator, n_features: int, n: int) -> Features:
        n_special = rng.binomial(n, before) if before else 0
        found = make(rng, n_features, n - n_special)
        at = found.buckets[0].codes.index(code)
        counts, shares = found.counts.copy(), found.shares * (1 - share)
        counts[:, at] += n_special
        shares[:, at] += share
        return replace(found, counts=counts, shares=shares)

    return made
