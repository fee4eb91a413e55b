"""The histogram: frozen buckets, exact counts, moments; what every other number is computed from.

A bucket is an integer code. Regular buckets count up from 0; the special ones are negative and the same for every feature:

| kind | regular buckets | specials |
|---|---|---|
| numeric, timestamp | 0 = below `edges[0]`, i = `[edges[i-1], edges[i])`, last = `edges[-1]` and above | NULL, NaN, -Inf, +Inf |
| categorical, ordinal, boolean | i = `labels[i]` | NULL, OTHER (known but not listed), UNSEEN (never in training) |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bq_monitor.errors import HistogramError

Kind = Literal["numeric", "timestamp", "categorical", "ordinal", "boolean"]
Counts = NDArray[np.int64]
COUNTED_BY_EDGES: tuple[Kind, ...] = ("numeric", "timestamp")
ORDERED: tuple[Kind, ...] = ("numeric", "timestamp", "ordinal")

NULL, NAN, NEG_INF, POS_INF, OTHER, UNSEEN = -1, -2, -3, -4, -5, -6
SPECIAL_NAMES: Mapping[int, str] = {
    NULL: "NULL", NAN: "NaN", NEG_INF: "-Inf", POS_INF: "+Inf", OTHER: "other", UNSEEN: "unseen",
}  # fmt: skip
MOMENT_LIMIT = 1e150
"""A finite value beyond this leaves mean and second moment undefined: its square would overflow. Range: of the others."""


@dataclass(frozen=True)
class Buckets:
    """What is counted: the kind of a feature with its frozen edges (n of them make n + 1 buckets) or its labels."""

    kind: Kind
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return self.kind in COUNTED_BY_EDGES

    @property
    def n_regular(self) -> int:
        return len(self.edges) + 1 if self.numeric else len(self.labels)

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """Every bucket, regular ones first; the order of `Histogram.counts`."""
        specials = (NULL, NAN, NEG_INF, POS_INF) if self.numeric else (NULL, OTHER, UNSEEN)
        return (*range(self.n_regular), *specials)

    def name(self, code: int) -> str:
        """What a person calls the bucket: a label, an interval such as `[10, 20)`, `< 10`, `NULL`."""
        if code < 0:
            return SPECIAL_NAMES[code]
        if not self.numeric:
            return self.labels[code]
        return interval_name(self.bounds(code))

    def bounds(self, code: int) -> tuple[float | None, float | None]:
        """`(lower, upper)` of a bucket by edges; None where it is open, or has no bounds at all."""
        if code < 0 or not self.numeric:
            return None, None
        lower = self.edges[code - 1] if code > 0 else None
        upper = self.edges[code] if code < len(self.edges) else None
        return lower, upper


def interval_name(bounds: tuple[float | None, float | None]) -> str:
    """`(10.0, 20.0)` -> `[10, 20)`; an edge that lies just above a value (the top edge of a reference) is named by it.

    >>> interval_name((None, 0.5)), interval_name((10.0, 20.0)), interval_name((3.0, None))
    ('< 0.5', '[10, 20)', '>= 3')
    >>> interval_name((5.0, 7.000000000000001)), interval_name((7.000000000000001, None))
    ('[5, 7]', '> 7')
    """
    lower, upper = bounds
    below_lower, below_upper = just_below(lower), just_below(upper)
    if lower is None:
        return "any" if upper is None else f"< {upper:.6g}" if below_upper is None else f"<= {below_upper:.6g}"
    if upper is None:
        return f">= {lower:.6g}" if below_lower is None else f"> {below_lower:.6g}"
    if upper == math.nextafter(lower, math.inf):
        return f"{lower:.6g}"
    right = f"{upper:.6g})" if below_upper is None else f"{below_upper:.6g}]"
    return (f"[{lower:.6g}, " if below_lower is None else f"({below_lower:.6g}, ") + right


@lru_cache(maxsize=10_000)
def just_below(edge: float | None) -> float | None:
    """The value that an edge lies one float above; None when the edge is a value itself (it has the shorter digits)."""
    if edge is None:
        return None
    value = math.nextafter(edge, -math.inf)
    return value if len(repr(value)) < len(repr(edge)) else None


@dataclass(frozen=True)
class Moments:
    """Mean and second moment of the finite values, mergeable without cancellation.

    Args:
        n: how many finite values.
        mean: their mean; None when n is 0 or a value exceeds `MOMENT_LIMIT`.
        second_moment: sum of squared deviations from the mean (not divided by n); None as the mean.
        min, max: of the values within `MOMENT_LIMIT`; None without any.

    Source: Chan, Golub, LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances", eq. 2.1.
    """

    n: int = 0
    mean: float | None = None
    second_moment: float | None = None
    min: float | None = None
    max: float | None = None

    @property
    def std(self) -> float | None:
        """Population standard deviation (divided by n); None when undefined."""
        return None if self.second_moment is None or not self.n else float(np.sqrt(self.second_moment / self.n))

    def __add__(self, other: Moments) -> Moments:
        if not self.n or not other.n:
            return other if not self.n else self
        n = self.n + other.n
        low, high = _least(self.min, other.min), _greatest(self.max, other.max)
        if self.mean is None or other.mean is None or self.second_moment is None or other.second_moment is None:
            return Moments(n, None, None, low, high)
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.n / n)
        second = self.second_moment + other.second_moment + delta * delta * (self.n * other.n / n)
        return Moments(n, mean, second, low, high)


@dataclass(frozen=True)
class Histogram:
    """Counts of one feature over some rows. Adding two histograms of equal buckets gives that of all their rows.

    Args:
        buckets: what is counted.
        counts: shape `(len(buckets.codes),)`, int64, in that order; sums to the number of rows.
        moments: of the finite values; None for kinds without numbers.
    """

    buckets: Buckets
    counts: Counts = field(compare=False)
    moments: Moments | None = None

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.buckets.codes),):
            raise HistogramError(
                f"histogram: {len(self.counts)} counts for {len(self.buckets.codes)} buckets; give one count for each"
            )

    @classmethod
    def from_pairs(
        cls, buckets: Buckets, pairs: Iterable[tuple[int, int]], moments: Moments | None = None
    ) -> Histogram:
        """Build from `(bucket code, n)` pairs; a bucket not named counts 0, an unknown code raises `HistogramError`."""
        position = {code: i for i, code in enumerate(buckets.codes)}
        counts = np.zeros(len(position), dtype=np.int64)
        for code, n in pairs:
            if code not in position:
                raise HistogramError(f"histogram: bucket {code} is unknown; known: {min(position)}..{max(position)}")
            counts[position[code]] += n
        return cls(buckets, counts, moments)

    @classmethod
    def empty(cls, buckets: Buckets) -> Histogram:
        return cls.from_pairs(buckets, (), Moments() if buckets.numeric else None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        same = self.buckets == other.buckets and self.moments == other.moments
        return same and bool(np.array_equal(self.counts, other.counts))

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Histogram) -> Histogram:
        self.require_same_buckets(other)
        moments = self.moments + other.moments if self.moments and other.moments else self.moments or other.moments
        return replace(self, counts=self.counts + other.counts, moments=moments)

    def require_same_buckets(self, other: Histogram) -> None:
        """Raise `HistogramError`, naming both, unless the two count the same buckets."""
        if self.buckets != other.buckets:
            raise HistogramError(
                f"histograms with different buckets: {_describe(self.buckets)} and {_describe(other.buckets)}; "
                "only counts made with the same frozen reference can be added or compared"
            )

    @property
    def n_rows(self) -> int:
        return int(self.counts.sum())

    @property
    def n_null(self) -> int:
        return self.n_of(NULL)

    def n_of(self, code: int) -> int:
        """The count of one bucket; 0 when these buckets have no such code."""
        codes = self.buckets.codes
        return int(self.counts[codes.index(code)]) if code in codes else 0

    def share_of(self, code: int) -> float | None:
        """The share (0..1) of one bucket; None without rows."""
        return self.n_of(code) / self.n_rows if self.n_rows else None

    def expecting_unseen(self, n_singletons: int) -> Histogram:
        """This reference as what it leads one to expect of new rows: `n_singletons` rows move from OTHER to UNSEEN.

        Training has no unseen label by definition, but a long tail of rare labels promises some: the rows whose label
        occurs once are as many as the unseen labels to expect among as many new rows. Source: Good (1953), after Turing.
        """
        if self.buckets.numeric or not n_singletons:
            return self
        codes = self.buckets.codes
        counts = self.counts.copy()
        counts[codes.index(OTHER)] -= n_singletons
        counts[codes.index(UNSEEN)] += n_singletons
        return replace(self, counts=counts)

    def pairs(self) -> list[tuple[int, int]]:
        """`(bucket code, n)` of the buckets that are not empty, in the order of the codes."""
        return [(code, int(n)) for code, n in zip(self.buckets.codes, self.counts, strict=True) if n]


@dataclass(frozen=True)
class Coarse:
    """The coarse buckets of a reference: deciles or categories, specials as buckets of their own. Fixed by the reference.

    Args:
        names: one a coarse bucket.
        groups: shape `(number of fine buckets,)`: the coarse bucket of each fine one.
        special: positions of the coarse buckets of what is no value that training knew: NULL, NaN, infinite, unseen.
    """

    names: tuple[str, ...]
    groups: NDArray[np.intp] = field(compare=False)
    special: tuple[int, ...] = ()

    @classmethod
    def of(cls, reference: Histogram, n_bins: int = 10) -> Coarse:
        """The coarse buckets that a reference fixes, `n_bins` equal shares of its finite values (ties make fewer)."""
        buckets = reference.buckets
        if not buckets.numeric:
            special = tuple(i for i, code in enumerate(buckets.codes) if code < 0 and code != OTHER)
            return cls(tuple(buckets.name(code) for code in buckets.codes), np.arange(len(buckets.codes)), special)
        cuts = _coarse_cuts(reference, n_bins)
        regular = np.searchsorted(np.array(cuts, dtype=np.intp), np.arange(buckets.n_regular), side="right")
        edges = [buckets.edges[cut - 1] for cut in cuts]
        bounds = zip([None, *edges], [*edges, None], strict=True)
        specials = buckets.codes[buckets.n_regular :]
        names = (*(interval_name(pair) for pair in bounds), *(buckets.name(code) for code in specials))
        own = len(cuts) + 1 + np.arange(len(specials))
        return cls(names, np.concatenate([regular, own]), tuple(own.tolist()))

    def counts(self, histogram: Histogram) -> Counts:
        """The counts of a histogram in these coarse buckets, shape `(len(names),)`."""
        return coarse_counts(self.starts, histogram.counts)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The first fine bucket of each coarse one, shape `(len(names),)`: a coarse bucket is made of neighbours."""
        return np.flatnonzero(np.diff(self.groups, prepend=-1))


def coarse_counts(starts: NDArray[np.intp], counts: Counts) -> Counts:
    """Sums of fine counts, shape `(..., fine buckets)`, from each start to the next; `starts`, `(..., coarse buckets)`, broadcast."""
    if starts.shape[-1] == counts.shape[-1]:  # each is a coarse one
        return counts
    flat = np.ascontiguousarray(counts).reshape(-1)
    shape = (*counts.shape[:-1], starts.shape[-1])
    rows = np.arange(0, len(flat), counts.shape[-1]).reshape(*counts.shape[:-1], 1)
    return np.add.reduceat(flat, (rows + starts).reshape(-1)).reshape(shape)


NOVEL_TAIL_MIN_ROWS = 1000
"""From this many reference rows on, an outer range that training never reached is a coarse bucket of its own."""


def coarse_edges(reference: Histogram, n_bins: int) -> list[float]:
    """The edges that cut a reference's finite values into `n_bins` about equal shares (ties make fewer)."""
    return [reference.buckets.edges[cut - 1] for cut in _coarse_cuts(reference, n_bins)]


def _coarse_cuts(reference: Histogram, n_bins: int) -> list[int]:
    """The regular buckets (1-based cut i = `edges[i-1]`) at which a new coarse bucket starts."""
    n_regular = reference.buckets.n_regular
    counts = reference.counts[:n_regular]
    if not counts.sum():
        return list(range(1, n_regular))
    below = np.cumsum(counts)[:-1] / counts.sum()  # share of the finite values below each edge
    cuts = {int(np.argmin(np.abs(below - k / n_bins))) + 1 for k in range(1, n_bins)} if len(below) else set()
    inner = {cut for cut in cuts if 0 < below[cut - 1] < 1}
    novel_tails = {cut for cut in (1, n_regular - 1) if 0 < cut < n_regular and below[cut - 1] in (0, 1)}
    if counts.sum() >= NOVEL_TAIL_MIN_ROWS or not inner:
        inner |= novel_tails
    return sorted(inner)


def _describe(buckets: Buckets) -> str:
    what = f"{len(buckets.edges)} edges" if buckets.numeric else f"{len(buckets.labels)} labels"
    ends = buckets.edges or buckets.labels
    return f"{buckets.kind} with {what}" + (f" ({ends[0]} .. {ends[-1]})" if ends else "")


def _least(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)
