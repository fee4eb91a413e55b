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

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bq_monitor.measure.histogram import ORDERED, Coarse, Histogram, Moments

METRIC_VERSION = 1
EMPTY_BUCKET_ROWS = 0.5
_Floats = NDArray[np.float64]


def psi(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Population stability index, nats, 0..inf: sum of (q - p) ln(q / p), the symmetrised KL divergence.

    Source: Kullback and Leibler (1951), J(1, 2), on binned shares. Deviation: empty buckets, see the module.

    >>> round(psi([50, 50], [40, 60]), 6)
    0.040547
    """
    terms = psi_terms(baseline, current)
    return None if terms is None else float(terms.sum())


def psi_terms(baseline: ArrayLike, current: ArrayLike) -> _Floats | None:
    """The contribution of each bucket to `psi`, nats, shape `(buckets,)`; they add up to it. None without rows."""
    shares = _smoothed_shares(baseline, current)
    if shares is None:
        return None
    p, q = shares
    return (q - p) * _log_ratio(q, p)


def kl_divergence(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """KL(current || baseline), nats, 0..inf. Swap the arguments for KL(baseline || current); it is not symmetric.

    Source: Kullback and Leibler (1951), I(1 : 2). Deviation: empty buckets, see the module.
    """
    shares = _smoothed_shares(baseline, current)
    if shares is None:
        return None
    p, q = shares
    return float((q * _log_ratio(q, p)).sum())


def js_divergence_nats(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Jensen-Shannon divergence, nats, 0..ln 2; symmetric, defined with empty buckets. Source: Lin (1991), eq. 3.1."""
    shares = _shares(baseline, current)
    if shares is None:
        return None
    p, q = shares
    middle = (p + q) / 2
    return max(0.0, float((p * _log_ratio(p, middle) + q * _log_ratio(q, middle)).sum() / 2))


def js_divergence(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Jensen-Shannon divergence in bits (base 2), 0..1. Source: Lin (1991), eq. 3.1."""
    nats = js_divergence_nats(baseline, current)
    return None if nats is None else nats / float(np.log(2))


def js_distance(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Square root of `js_divergence` (base 2), 0..1; a metric. Source: Endres and Schindelin (2003)."""
    bits = js_divergence(baseline, current)
    return None if bits is None else float(np.sqrt(bits))


def hellinger(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Hellinger distance, 0..1: the norm of sqrt(p) - sqrt(q), divided by sqrt 2."""
    shares = _shares(baseline, current)
    if shares is None:
        return None
    p, q = shares
    return float(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum() / 2))


def total_variation(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Total variation distance, 0..1: half the sum of |p - q|, the mass that would have to move."""
    shares = _shares(baseline, current)
    return None if shares is None else float(np.abs(shares[0] - shares[1]).sum() / 2)


def l_infinity(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """The largest |p - q| of a single bucket, 0..1."""
    shares = _shares(baseline, current)
    return None if shares is None else float(np.abs(shares[0] - shares[1]).max(initial=0.0))


def ks_statistic(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Kolmogorov-Smirnov statistic of ordered buckets, 0..1: the largest |F - G| at their edges.

    From buckets it is at most the raw-sample statistic, and short of it by at most the largest bucket's share on either
    side (`ks_bound`). Source: Smirnov (1939), two-sample form.
    """
    shares = _shares(baseline, current)
    if shares is None:
        return None
    return float(np.abs(np.cumsum(shares[0] - shares[1])).max(initial=0.0))


def ks_bound(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """By how much at most the raw-sample KS statistic exceeds `ks_statistic`: the largest bucket share of either side."""
    shares = _shares(baseline, current)
    return None if shares is None else float(np.maximum(*shares).max(initial=0.0))


def wasserstein(baseline: Histogram, current: Histogram) -> tuple[float, float] | None:
    """First Wasserstein distance of the finite values, in the feature's unit, with its bound: `(distance, bound)`.

    The integral of |F - G| over the edges, both distribution functions taken as linear inside a bucket; the raw-sample
    value differs by at most the bound, the sum over buckets of width x (share of baseline + share of current).
    The outer buckets reach to the smallest and largest value of either side.

    Returns:
        None when a side has no finite value, when the buckets have no edges, or when a value exceeds `MOMENT_LIMIT`.
    """
    baseline.require_same_buckets(current)
    a, b = baseline.moments, current.moments
    if not baseline.buckets.edges or a is None or b is None or a.mean is None or b.mean is None:
        return None
    points = _outer_points(baseline.buckets.edges, a, b)
    n_regular = baseline.buckets.n_regular
    p = baseline.counts[:n_regular] / baseline.counts[:n_regular].sum()
    q = current.counts[:n_regular] / current.counts[:n_regular].sum()
    gap = np.concatenate([[0.0], np.cumsum(p - q)])
    widths = np.diff(points)
    left, right = np.abs(gap[:-1]), np.abs(gap[1:])
    total = left + right
    crossing = gap[:-1] * gap[1:] < 0  # the difference changes sign inside: two triangles instead of a trapezium
    mean_gap = np.where(
        crossing, np.divide(left**2 + right**2, total, out=np.zeros_like(total), where=total > 0), total
    )
    return float((widths * mean_gap / 2).sum()), float((widths * (p + q)).sum())


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
    baseline.require_same_buckets(current)
    p, q = coarse.counts(baseline), coarse.counts(current)
    ordered = baseline.buckets.kind in ORDERED
    fine = slice(0, baseline.buckets.n_regular)
    distance = wasserstein(baseline, current)
    mean_shift, std_shift = _moment_shifts(baseline.moments, current.moments)
    return Divergences(
        psi=psi(p, q),
        kl_divergence=kl_divergence(p, q),
        kl_divergence_reverse=kl_divergence(q, p),
        js_divergence=js_divergence(p, q),
        js_distance=js_distance(p, q),
        hellinger=hellinger(p, q),
        total_variation=total_variation(p, q),
        l_infinity=l_infinity(p, q),
        ks_statistic=ks_statistic(baseline.counts[fine], current.counts[fine]) if ordered else None,
        ks_bound=ks_bound(baseline.counts[fine], current.counts[fine]) if ordered else None,
        wasserstein=distance[0] if distance else None,
        wasserstein_bound=distance[1] if distance else None,
        mean_shift=mean_shift,
        std_shift=std_shift,
    )


def _counts(values: ArrayLike) -> _Floats:
    return np.asarray(values, dtype=np.float64)


def _shares(baseline: ArrayLike, current: ArrayLike) -> tuple[_Floats, _Floats] | None:
    """Both sides as shares; None when one has no rows."""
    p, q = _counts(baseline), _counts(current)
    if p.shape != q.shape:
        raise ValueError(f"divergence: {p.shape} and {q.shape} counts; both sides need the same buckets")
    return (p / p.sum(), q / q.sum()) if p.sum() > 0 and q.sum() > 0 else None


def _smoothed_shares(baseline: ArrayLike, current: ArrayLike) -> tuple[_Floats, _Floats] | None:
    """Shares with a bucket that is empty on one side counted as half a row there."""
    p, q = _counts(baseline), _counts(current)
    if _shares(p, q) is None:
        return None
    floor = np.where((p > 0) | (q > 0), EMPTY_BUCKET_ROWS, 0.0)
    return _shares(np.where(p > 0, p, floor), np.where(q > 0, q, floor))


def _log_ratio(a: _Floats, b: _Floats) -> _Floats:
    """ln(a / b), 0 where a is 0 (its weight is 0 there)."""
    return np.log(np.divide(a, b, out=np.ones_like(a), where=(a > 0) & (b > 0)))


def _outer_points(edges: tuple[float, ...], a: Moments, b: Moments) -> _Floats:
    """The edges, closed on both sides by the smallest and largest finite value of either sample."""
    low = min(value for value in (edges[0], a.min, b.min) if value is not None)
    high = max(value for value in (edges[-1], a.max, b.max) if value is not None)
    return np.array([low, *edges, high])


def _moment_shifts(a: Moments | None, b: Moments | None) -> tuple[float | None, float | None]:
    if a is None or b is None or a.mean is None or b.mean is None or not a.std:
        return None, None
    return (b.mean - a.mean) / a.std, float(np.log(b.std / a.std)) if b.std else None
