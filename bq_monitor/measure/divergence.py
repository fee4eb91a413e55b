"""Divergences between two histograms, from counts alone. Metric version 1.

Conventions, the same for every function here:

* `baseline` and `current` are counts (non-negative integers) of the same buckets, shape `(buckets,)`.
* Logarithms are natural (nats) unless the docstring says bits.
* A side without rows leaves every divergence undefined: the functions return None, never NaN.
* Buckets empty on both sides do not count. Where a logarithm meets a bucket that is empty on one side (PSI and KL only),
  that bucket counts as half a row on that side, and the side's shares are normalised again; without an empty bucket the
  plain formula holds exactly. Half a row is the smallest weight that respects the sample's size: the same empty bucket
  says little in 30 rows and much in 30,000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bq_monitor.measure.histogram import ORDERED, Coarse, Histogram, Moments

METRIC_VERSION = 1
EMPTY_BUCKET_ROWS = 0.5
_Floats = NDArray[np.float64]
Shares = tuple[_Floats, _Floats]
Formula = Callable[[_Floats, _Floats], _Floats]
Each = Literal[
    "psi", "kl_divergence", "js_divergence", "js_distance", "hellinger", "total_variation", "l_infinity", "ks_statistic", "ks_bound"
]  # fmt: skip
"""The metrics of counts alone."""


def psi(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Population stability index, nats, 0..inf: sum of (q - p) ln(q / p), the symmetrised KL divergence.

    Source: Kullback and Leibler (1951), J(1, 2), on binned shares. Deviation: empty buckets, see the module.

    >>> round(psi([50, 50], [40, 60]), 6)
    0.040547
    """
    return _one(_psi, _smoothed(_shares(baseline, current), baseline, current))


def psi_terms(baseline: ArrayLike, current: ArrayLike) -> _Floats | None:
    """The contribution of each bucket to `psi`, nats, shape `(buckets,)`; they add up to it. None without rows."""
    shares = _smoothed(_shares(baseline, current), baseline, current)
    return None if shares is None else _psi_terms(*shares)


def kl_divergence(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """KL(current || baseline), nats, 0..inf. Swap the arguments for KL(baseline || current); it is not symmetric.

    Source: Kullback and Leibler (1951), I(1 : 2). Deviation: empty buckets, see the module.
    """
    return _one(_kl, _smoothed(_shares(baseline, current), baseline, current))


def js_divergence_nats(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Jensen-Shannon divergence, nats, 0..ln 2; symmetric, defined with empty buckets. Source: Lin (1991), eq. 3.1."""
    return _one(_js_nats, _shares(baseline, current))


def js_divergence(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Jensen-Shannon divergence in bits (base 2), 0..1. Source: Lin (1991), eq. 3.1."""
    return _one(_js_bits, _shares(baseline, current))


def js_distance(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Square root of `js_divergence` (base 2), 0..1; a metric. Source: Endres and Schindelin (2003)."""
    return _one(_js_distance, _shares(baseline, current))


def hellinger(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Hellinger distance, 0..1: the norm of sqrt(p) - sqrt(q), divided by sqrt 2."""
    return _one(_hellinger, _shares(baseline, current))


def total_variation(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Total variation distance, 0..1: half the sum of |p - q|, the mass that would have to move."""
    return _one(_total_variation, _shares(baseline, current))


def l_infinity(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """The largest |p - q| of a single bucket, 0..1."""
    return _one(_l_infinity, _shares(baseline, current))


def ks_statistic(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Kolmogorov-Smirnov statistic of ordered buckets, 0..1: the largest |F - G| at their edges.

    From buckets it is at most the raw-sample statistic, and short of it by at most the largest bucket's share on either
    side (`ks_bound`). Source: Smirnov (1939), two-sample form.
    """
    return _one(_ks, _shares(baseline, current))


def ks_bound(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """By how much at most the raw-sample KS statistic exceeds `ks_statistic`: the largest bucket share of either side."""
    return _one(_ks_bound, _shares(baseline, current))


def of_each(metric: Each, baseline: ArrayLike, current: ArrayLike) -> _Floats:
    """A metric of many pairs at once, shape `(pairs,)`: counts of shape `(pairs, buckets)`. NaN where a side has no rows.

    >>> of_each("psi", [[50, 50], [50, 50]], [[40, 60], [0, 0]]).round(6).tolist()
    [0.040547, nan]
    """
    p, q = _counts(baseline), _counts(current)
    formula, is_smoothed = _EACH[metric]
    if not p.shape[-1]:
        return np.full(p.shape[:-1], np.nan)
    with np.errstate(invalid="ignore"):  # 0 / 0: no rows
        if not is_smoothed:
            return formula(*_of_sums(p, q))
        return np.where((rows_of(p) > 0) & (rows_of(q) > 0), formula(*_of_sums(*_without_empty(p, q))), np.nan)


def wasserstein(baseline: Histogram, current: Histogram) -> tuple[float, float] | None:
    """First Wasserstein distance of the finite values, in the feature's unit, with its bound: `(distance, bound)`.

    The integral of |F - G| over the edges, both distribution functions taken as linear inside a bucket; the raw-sample
    value differs by at most the bound, the sum over buckets of width x (share of baseline + share of current).
    The outer buckets reach to the smallest and largest value of either side.

    Returns:
        None when a side has no finite value, when the buckets have no edges, or when a value exceeds `MOMENT_LIMIT`.
    """
    baseline.require_same_buckets(current)
    return _wassersteins([(baseline, current)])[0]


def _wassersteins(pairs: Sequence[tuple[Histogram, Histogram]]) -> list[tuple[float, float] | None]:
    """`wasserstein` of pairs of as many buckets."""
    reach = [_outer_points(*pair) for pair in pairs]
    known = [i for i, points in enumerate(reach) if points is not None]
    found: list[tuple[float, float] | None] = [None] * len(pairs)
    if known:
        n_regular = pairs[0][0].buckets.n_regular
        fine = (
            np.array([side.counts[:n_regular] for side in sides], dtype=np.float64)
            for sides in zip(*(pairs[i] for i in known), strict=True)
        )
        columns = _distances(np.array([reach[i] for i in known]), *_of_sums(*fine))
        for i, distance, bound in zip(known, *(column.tolist() for column in columns), strict=True):
            found[i] = distance, bound
    return found


def _distances(points: _Floats, p: _Floats, q: _Floats) -> tuple[_Floats, _Floats]:
    """Wasserstein distances and their bounds, of shares between points."""
    gap = np.pad(np.cumsum(p - q, axis=-1), [(0, 0), (1, 0)])
    widths = np.diff(points)
    left, right = np.abs(gap[:, :-1]), np.abs(gap[:, 1:])
    total = left + right
    crossing = gap[:, :-1] * gap[:, 1:] < 0  # the difference changes sign inside: two triangles instead of a trapezium
    mean_gap = np.where(
        crossing, np.divide(left**2 + right**2, total, out=np.zeros_like(total), where=total > 0), total
    )
    return (widths * mean_gap / 2).sum(axis=-1), (widths * (p + q)).sum(axis=-1)


@dataclass(frozen=True)
class Divergences:
    """Every metric of one feature, by the name of its column; None where it is undefined."""

    psi: float | None = None
    kl_divergence: float | None = None
    kl_divergence_reverse: float | None = None
    js_divergence: float | None = None
    js_distance: float | None = None
    hellinger: float | None = None
    total_variation: float | None = None
    l_infinity: float | None = None
    ks_statistic: float | None = None
    ks_bound: float | None = None
    wasserstein: float | None = None
    wasserstein_bound: float | None = None
    mean_shift: float | None = None
    std_shift: float | None = None


def measure(baseline: Histogram, current: Histogram, coarse: Coarse) -> Divergences:
    """Every divergence of `current` from `baseline`: KS and Wasserstein on the fine buckets, the rest on the coarse ones.

    `mean_shift` is in baseline standard deviations, `std_shift` the natural log of the ratio of standard deviations;
    both None when a side has no finite value or the baseline has no spread.
    """
    counts = coarse.counts(baseline)[None], coarse.counts(current)[None]
    return measure_each([(baseline, current)], *counts)[0]


def measure_each(
    pairs: Sequence[tuple[Histogram, Histogram]], baseline: ArrayLike, current: ArrayLike
) -> list[Divergences]:
    """`measure` of many pairs of equal numbers of buckets, whose coarse counts these are, shape `(pairs, coarse buckets)`."""
    for pair in pairs:
        pair[0].require_same_buckets(pair[1])
    found: dict[str, _Floats] = {name: of_each(name, baseline, current) for name in _OF_COARSE}
    found["kl_divergence_reverse"] = of_each("kl_divergence", current, baseline)
    buckets = pairs[0][0].buckets
    if buckets.kind in ORDERED:
        fine = [np.array([side.counts[: buckets.n_regular] for side in sides]) for sides in zip(*pairs, strict=True)]
        found |= {name: of_each(name, *fine) for name in _OF_FINE}
    rows = zip(*([None if isnan(x) else x for x in column.tolist()] for column in found.values()), strict=True)
    return [
        Divergences(**dict(zip(found, row, strict=True)), **_of_moments(distance, *pair))
        for row, distance, pair in zip(rows, _wassersteins(pairs), pairs, strict=True)
    ]


def _of_moments(
    distance: tuple[float, float] | None, baseline: Histogram, current: Histogram
) -> dict[str, float | None]:
    mean_shift, std_shift = _moment_shifts(baseline.moments, current.moments)
    names = ("wasserstein", "wasserstein_bound", "mean_shift", "std_shift")
    return dict(zip(names, (*(distance or (None, None)), mean_shift, std_shift), strict=True))


def _counts(values: ArrayLike) -> _Floats:
    return np.asarray(values, dtype=np.float64)


def _of_sums(p: _Floats, q: _Floats) -> Shares:
    """Both sides as shares, each row of its sum."""
    return p / rows_of(p)[..., None], q / rows_of(q)[..., None]


def rows_of(counts: _Floats) -> _Floats:
    """The sum of each row: of whole or half numbers, so exact in any order, and faster than `sum`."""
    found: _Floats = np.einsum("...i->...", counts)
    return found


def _without_empty(p: _Floats, q: _Floats) -> Shares:
    """A bucket that is empty on one side counts as half a row there."""
    floor = np.where((p > 0) | (q > 0), EMPTY_BUCKET_ROWS, 0.0)
    return np.where(p > 0, p, floor), np.where(q > 0, q, floor)


def _shares(baseline: ArrayLike, current: ArrayLike) -> Shares | None:
    """Both sides as shares; None when one has no rows."""
    p, q = _counts(baseline), _counts(current)
    if p.shape != q.shape:
        raise ValueError(f"divergence: {p.shape} and {q.shape} counts; both sides need the same buckets")
    return _of_sums(p, q) if p.sum() > 0 and q.sum() > 0 else None


def _smoothed(shares: Shares | None, baseline: ArrayLike, current: ArrayLike) -> Shares | None:
    """Shares with a bucket that is empty on one side counted as half a row there; None when a side has no rows."""
    return None if shares is None else _of_sums(*_without_empty(_counts(baseline), _counts(current)))


def _one(formula: Formula, shares: Shares | None) -> float | None:
    return None if shares is None else float(formula(*shares))


def _log_ratio(a: _Floats, b: _Floats) -> _Floats:
    """ln(a / b), 0 where a is 0 (its weight is 0 there); b is 0 only where a is."""
    with np.errstate(invalid="ignore"):  # 0 / 0
        ratio = a / b
    np.copyto(ratio, 1.0, where=~(ratio > 0))
    return np.log(ratio, out=ratio)


# The formulas, of shares: over the last axis, so that one pair and many are the same.


def _total(terms: _Floats) -> _Floats:
    found: _Floats = terms.sum(axis=-1)
    return found


def _largest(values: _Floats) -> _Floats:
    found: _Floats = values.max(axis=-1, initial=0.0)
    return found


def _psi_terms(p: _Floats, q: _Floats) -> _Floats:
    return (q - p) * _log_ratio(q, p)


def _psi(p: _Floats, q: _Floats) -> _Floats:
    return _total(_psi_terms(p, q))


def _kl(p: _Floats, q: _Floats) -> _Floats:
    return _total(q * _log_ratio(q, p))


def _js_nats(p: _Floats, q: _Floats) -> _Floats:
    middle = (p + q) / 2
    return np.maximum(0.0, _total(p * _log_ratio(p, middle) + q * _log_ratio(q, middle)) / 2)


def _js_bits(p: _Floats, q: _Floats) -> _Floats:
    return _js_nats(p, q) / float(np.log(2))


def _js_distance(p: _Floats, q: _Floats) -> _Floats:
    return np.sqrt(_js_bits(p, q))


def _hellinger(p: _Floats, q: _Floats) -> _Floats:
    return np.sqrt(_total((np.sqrt(p) - np.sqrt(q)) ** 2) / 2)


def _total_variation(p: _Floats, q: _Floats) -> _Floats:
    return _total(np.abs(p - q)) / 2


def _l_infinity(p: _Floats, q: _Floats) -> _Floats:
    return _largest(np.abs(p - q))


def _ks(p: _Floats, q: _Floats) -> _Floats:
    return _largest(np.abs(np.cumsum(p - q, axis=-1)))


def _ks_bound(p: _Floats, q: _Floats) -> _Floats:
    return _largest(np.maximum(p, q))


_EACH: dict[Each, tuple[Formula, bool]] = {
    "psi": (_psi, True), "kl_divergence": (_kl, True), "js_divergence": (_js_bits, False), "js_distance": (_js_distance, False),
    "hellinger": (_hellinger, False), "total_variation": (_total_variation, False), "l_infinity": (_l_infinity, False),
    "ks_statistic": (_ks, False), "ks_bound": (_ks_bound, False),
}  # fmt: skip
"""The formula of each metric, and whether it takes shares without empty buckets."""
_OF_FINE: tuple[Each, ...] = ("ks_statistic", "ks_bound")
_OF_COARSE: tuple[Each, ...] = tuple(name for name in _EACH if name not in _OF_FINE)


def _outer_points(baseline: Histogram, current: Histogram) -> tuple[float, ...] | None:
    """The edges, closed on both sides by the smallest and largest finite value of either sample; None where that is not known."""
    edges, a, b = baseline.buckets.edges, baseline.moments, current.moments
    if not edges or a is None or b is None or a.mean is None or b.mean is None:
        return None
    low = min(value for value in (edges[0], a.min, b.min) if value is not None)
    high = max(value for value in (edges[-1], a.max, b.max) if value is not None)
    return (low, *edges, high)


def _moment_shifts(a: Moments | None, b: Moments | None) -> tuple[float | None, float | None]:
    if a is None or b is None or a.mean is None or b.mean is None or not a.std:
        return None, None
    return (b.mean - a.mean) / a.std, float(np.log(b.std / a.std)) if b.std else None
