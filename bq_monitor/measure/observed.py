"""What can be told of a model's answers before any outcome is known: rates, scores, confidence, latency. Pure."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from bq_monitor.measure.answers import Answers
from bq_monitor.measure.histogram import Histogram, Moments
from bq_monitor.measure.measured import Measured, share_of, undefined
from bq_monitor.measure.scores import NO_SCORE, regular_counts, spans

TOO_LARGE = "a value is too large to be squared"
NO_LATENCY = "no latency"
LATENCIES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
TAIL_MIN_ROWS = 5
"""So many rows are expected beyond a percentile before an error is told of it."""


def observed(answers: Answers, low_confidence: float = 0.6) -> dict[str, Measured]:
    """What is seen of all rows, outcome or not.

    | metric | of | range | is |
    |---|---|---|---|
    | positive_rate | binary | 0..1 | share of the answers that are the positive class |
    | mean_score, std_score, min_score, max_score | binary, regression | the score's | its mean, population deviation and ends |
    | mean_confidence | classes | 0..1 | its mean |
    | low_confidence_share | classes | 0..1 | share of rows with a confidence below `low_confidence`; linear within a bucket |
    | unanswered_share | all | 0..1 | share of rows without an answer |
    | latency_p50, latency_p95, latency_p99 | counted ones | milliseconds | see `percentile` |
    | n_rows | all | 0.. | rows |

    Undefined without rows, answers, or finite scores. Errors: Wilson (1927) for shares; std / sqrt(n) for means; for the
    deviation sqrt((kurtosis - 1) / 4n) on the log scale, the kurtosis from the buckets' middles.
    """
    found: dict[str, Measured] = {}
    if answers.task == "binary":
        positive = answers.where(lambda _, predicted: predicted is not None and predicted == answers.positive)
        found["positive_rate"] = share_of(positive.n_rows, answers.answered.n_rows, "no answer")
    if answers.task != "multiclass":
        found |= _scores(answers.total("score"))
    if answers.task != "regression":
        confidence = answers.total("confidence")
        found["mean_confidence"] = mean_of(confidence, NO_SCORE)
        found["low_confidence_share"] = share_below(confidence, low_confidence, NO_SCORE)
    found["unanswered_share"] = share_of(answers.n_rows - answers.answered.n_rows, answers.n_rows, "no rows")
    latency = answers.total("latency")
    if latency is not None:
        found |= {name: percentile(latency, share) for name, share in LATENCIES.items()}
    return found | {"n_rows": Measured(float(answers.n_rows), answers.n_rows, scale="none")}


def mean_of(histogram: Histogram | None, missing: str) -> Measured:
    """The mean of the finite values, exact, with its standard error; undefined, as `missing`, without any.

    The error is not known (None) of one row, or of rows that are all equal.
    """
    moments = histogram.moments if histogram else None
    if moments is None or not moments.n:
        return undefined(missing)
    if moments.mean is None or moments.second_moment is None:
        return undefined(TOO_LARGE, moments.n)
    spread = moments.second_moment / (moments.n - 1) if moments.n > 1 else 0.0
    return Measured(moments.mean, moments.n, sqrt(spread / moments.n) or None)


def share_below(histogram: Histogram | None, limit: float, missing: str) -> Measured:
    """The share of the finite values below a limit, 0..1, linear inside the bucket in which it lies; undefined as `mean_of`.

    `bound`: that bucket's rows on the further side of the limit may all lie on one; 0 when the limit is an edge.
    """
    counts = regular_counts(histogram) if histogram else np.zeros(0, dtype=np.int64)
    n = int(counts.sum())
    if histogram is None or not n:
        return undefined(missing)
    lower, upper = spans(histogram)
    width = upper - lower
    inside = np.divide(limit - lower, width, out=np.where(lower < limit, 1.0, 0.0), where=width > 0).clip(0.0, 1.0)
    split = (inside > 0) & (inside < 1)
    bound = float((counts * split * np.maximum(inside, 1 - inside)).sum()) / n
    return Measured(float((counts * inside).sum()) / n, n, scale="share", bound=bound)


def percentile(histogram: Histogram, share: float) -> Measured:
    """The smallest value with at least `share` (0..1) of the finite values at or below it, in their unit.

    Returns:
        Geometric between the ends of its bucket (linear where one is not positive), both clipped to the smallest and largest
        value; the raw rows' percentile lies in the same bucket, at most `bound` away. On the log scale, with half the
        distance of the percentiles one binomial standard error above and below; no error with fewer than `TAIL_MIN_ROWS`
        expected beyond. Undefined without values.

    Source: Hyndman and Fan (1996), definition 1; order statistics, David and Nagaraja (2003), section 7.1.
    """
    n = int(regular_counts(histogram).sum())
    if not n:
        return undefined(NO_LATENCY)
    value, bound = _quantile(histogram, share)
    step = sqrt(share * (1 - share) / n)
    below, above = _quantile(histogram, share - step)[0], _quantile(histogram, share + step)[0]
    if n * min(share, 1 - share) < TAIL_MIN_ROWS or below <= 0 or above <= below:
        return Measured(value, n, scale="none", bound=bound)
    return Measured(value, n, log(above / below) / 2, "log", bound=bound)


def _quantile(histogram: Histogram, share: float) -> tuple[float, float]:
    """A quantile and the width of its bucket."""
    counts = regular_counts(histogram)
    below = np.cumsum(counts)
    rank = share * below[-1]
    i = min(int(np.searchsorted(below, rank * (1 - 1e-12))), int(np.flatnonzero(counts)[-1]))
    lower, upper = (float(side[i]) for side in spans(histogram))
    inside = min(max((rank - (below[i] - counts[i])) / counts[i], 0.0), 1.0)
    value = exp(log(lower) + inside * log(upper / lower)) if lower > 0 else lower + inside * (upper - lower)
    return min(max(value, lower), upper), upper - lower


def _scores(score: Histogram | None) -> dict[str, Measured]:
    moments = (score.moments if score else None) or Moments()
    mean = mean_of(score, NO_SCORE)
    if score is None or mean.value is None or moments.std is None or moments.min is None or moments.max is None:
        return dict.fromkeys(("mean_score", "std_score", "min_score", "max_score"), mean)
    error = _deviation_error(score)
    return {
        "mean_score": mean,
        "std_score": Measured(moments.std, moments.n, error, "log" if error and moments.std else "none"),
        "min_score": Measured(moments.min, moments.n, scale="none"),
        "max_score": Measured(moments.max, moments.n, scale="none"),
    }


def _deviation_error(score: Histogram) -> float | None:
    """The standard error of the log of the standard deviation; None where the buckets show no spread."""
    counts = regular_counts(score)
    middles = np.add(*spans(score)) / 2
    deviations = (middles - np.average(middles, weights=counts)) ** 2
    variance = float(np.average(deviations, weights=counts))
    if not variance:
        return None
    kurtosis = float(np.average((deviations / variance) ** 2, weights=counts))
    return sqrt(max(kurtosis - 1, 0.0) / (4 * int(counts.sum()))) or None
