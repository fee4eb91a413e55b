"""What a score is worth, from its counts by outcome: the areas under the ROC and the precision-recall curve. Pure.

Both see one threshold for each bucket. Only finite scores count.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.histogram import Counts, Histogram
from bq_monitor.measure.measured import Measured, undefined

Floats = NDArray[np.float64]
NO_SCORE = "no score"
ONE_CLASS = "only one class came true"


def regular_counts(histogram: Histogram) -> Counts:
    """The counts of the buckets of finite values, shape `(buckets.n_regular,)`."""
    return histogram.counts[: histogram.buckets.n_regular]


def spans(histogram: Histogram) -> tuple[Floats, Floats]:
    """`(lower, upper)` of the buckets of finite values, closed and clipped by the smallest and largest value."""
    edges, moments = histogram.buckets.edges, histogram.moments
    low, high = (moments.min, moments.max) if moments else (None, None)
    low = low if low is not None else edges[0] if edges else 0.0
    high = high if high is not None else edges[-1] if edges else 0.0
    points = np.clip(np.array([low, *edges, high]), low, high)
    return points[:-1], points[1:]


def roc_auc(positives: Counts, negatives: Counts) -> Measured:
    """Area under the ROC curve, 0..1: the chance that a positive row scores above a negative one, a tie counted half.

    Args:
        positives, negatives: rows by bucket of the score, ascending, of what came true and what did not.

    Returns:
        On the logit scale. Pairs that share a bucket count half, so the raw rows' area differs by at most `bound`, half
        their share of all pairs. Undefined without rows of both.

    Source: DeLong, DeLong, Clarke-Pearson (1988), eq. 4, on placements by bucket. Where these do not vary: Hanley and McNeil
    (1982), eq. 2, an area of 0 or 1 moved by half a row of the smaller class, on the plain scale.
    """
    n_positive, n_negative = int(positives.sum()), int(negatives.sum())
    n = n_positive + n_negative
    if not n_positive or not n_negative:
        return undefined(ONE_CLASS if n else NO_SCORE, n)
    above_negatives = (np.cumsum(negatives) - negatives / 2) / n_negative
    below_positives = 1 - (np.cumsum(positives) - positives / 2) / n_positive
    area = min(1.0, float((positives * above_negatives).sum() / n_positive))
    bound = float((positives * (negatives / n_positive)).sum() / n_negative) / 2
    variance = _placement_variance(positives, above_negatives, area)
    variance += _placement_variance(negatives, below_positives, area)
    if variance > 0 and 1e-12 < area < 1 - 1e-12 and min(n_positive, n_negative) > 1:
        return Measured(area, n, sqrt(variance) / (area * (1 - area)), "logit", bound=bound)
    return Measured(area, n, _hanley_mcneil_error(area, n_positive, n_negative), "plain", bound=bound)


def average_precision(positives: Counts, negatives: Counts) -> Measured:
    """Average precision, the area under the precision-recall curve as a step function, 0..1; arguments as for `roc_auc`.

    Returns:
        On the logit scale, the plain one at 1. `bound`: the raw rows' value is largest with a bucket's positives tied above its
        negatives, smallest with them one by one below. Undefined without rows of both outcomes.

    Source: scikit-learn's `average_precision_score`; error: Boyd, Eng, Page (2013), eq. 5 (logit interval), with the
    area of 1 moved by half a positive row.
    """
    from scipy import special

    n_positive, n_negative = int(positives.sum()), int(negatives.sum())
    n = n_positive + n_negative
    if not n_positive or not n_negative:
        return undefined(ONE_CLASS if n else NO_SCORE, n)
    hits, misses = positives[::-1].astype(np.float64), negatives[::-1].astype(np.float64)
    all_hits, all_misses = np.cumsum(hits), np.cumsum(misses)
    seen = all_hits > 0  # buckets above the first positive row have no part in it
    hits, misses, all_hits, all_misses = hits[seen], misses[seen], all_hits[seen], all_misses[seen]
    area = float((hits * all_hits / (all_hits + all_misses)).sum()) / n_positive
    most = float((hits * all_hits / (all_hits + all_misses - misses)).sum()) / n_positive
    # sum of (T + i) / (T + i + F) for i = 1..hits, T hits before the bucket and F misses up to its end
    rows = all_hits + all_misses + 1
    least = float((hits - all_misses * (special.digamma(rows) - special.digamma(rows - hits))).sum()) / n_positive
    bound = max(most - area, area - least, 0.0)
    if area < 1 - 1e-12:
        return Measured(area, n, 1 / sqrt(n_positive * area * (1 - area)), "logit", bound=bound)
    near = 1 - 0.5 / n_positive
    return Measured(area, n, sqrt(near * (1 - near) / n_positive), "plain", bound=bound)


def _placement_variance(counts: Counts, placements: Floats, area: float) -> float:
    """The variance of the mean placement of one class."""
    n = int(counts.sum())
    return float((counts * (placements - area) ** 2).sum()) / max(n - 1, 1) / n


def _hanley_mcneil_error(area: float, n_positive: int, n_negative: int) -> float:
    margin = 0.5 / min(n_positive, n_negative)
    area = min(max(area, margin), 1 - margin)
    both_positive, both_negative = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (n_positive - 1) * (both_positive - area**2)
    spread += (n_negative - 1) * (both_negative - area**2)
    return sqrt(spread / (n_positive * n_negative))
