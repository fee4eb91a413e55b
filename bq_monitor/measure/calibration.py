"""Whether a probability comes true as often as it says: bins, and the expected calibration error. Pure.

Binary: bins of about a tenth of the window's own rows each, made of the fine buckets of the score. Multiclass: the 20 bins of
equal width in which the confidence is counted. Only finite scores of rows with a known outcome count.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.answers import Answers, merged
from bq_monitor.measure.histogram import Coarse, Counts, Histogram
from bq_monitor.measure.measured import Measured, undefined
from bq_monitor.measure.scores import NO_SCORE, regular_counts, spans


@dataclass(frozen=True)
class CalibrationBin:
    """One bin of the score: `outcome_share` of its `n` rows came true as positive, with Wilson's 95 % bounds.

    `mean_score` takes each fine bucket's rows to lie in its middle; `lower` and `upper` are within the observed scores.
    """

    lower: float
    upper: float
    n: int
    mean_score: float
    outcome_share: float
    lower_share: float
    upper_share: float


@dataclass(frozen=True)
class ConfidenceBin:
    """One bin of the confidence: `accuracy` is the share of its `n` rows that were answered right."""

    lower: float
    upper: float
    n: int
    accuracy: float


def calibration_bins(answers: Answers) -> list[CalibrationBin]:
    """The bins that `ece` of a binary task uses, ascending, none empty; none without scores or for another task.

    Source: equal-mass bins, Nguyen and O'Connor (2015); Wilson (1927) for the bounds.
    """
    score = answers.labelled.total("score")
    if answers.task != "binary" or score is None or not regular_counts(score).sum():
        return []
    groups = Coarse.of(score).groups[: score.buckets.n_regular]
    counts, hits = regular_counts(score), positive_counts(answers, "score")
    lower, upper = spans(score)
    return [
        _calibration_bin(counts[inside], hits[inside], lower[inside], upper[inside])
        for inside in (groups == group for group in range(groups.max() + 1))
        if counts[inside].sum()
    ]


def confidence_bins(answers: Answers) -> list[ConfidenceBin]:
    """Accuracy by confidence in bins of equal width, ascending, none empty; none for regression or without scores."""
    counted = right_wrong(answers)
    confidence = answers.labelled.total("confidence")
    if counted is None or confidence is None:
        return []
    points = [0.0, *confidence.buckets.edges, 1.0]
    return [
        ConfidenceBin(points[i], points[i + 1], int(right + wrong), float(right / (right + wrong)))
        for i, (right, wrong) in enumerate(zip(*counted, strict=True))
        if right + wrong
    ]


def ece(answers: Answers) -> Measured:
    """Expected calibration error, 0..1: the mean over rows of |share that came true - mean score| of their bin.

    Binary: of the score of the positive class, in `calibration_bins`. Multiclass: of the confidence, against being right.

    Returns:
        Rows lie in the middle of their fine bucket; their own scores give a value that differs by at most `bound`, the
        mean half-width. Noise alone raises the value: the error (plain scale) is the standard error with fixed signs plus
        that rise for perfect calibration, so that bounds at 16 % or less a side are never too narrow to first order.
        Undefined without scores.

    Source: Naeini, Cooper, Hauskrecht (2015); the rise: mean of a half-normal variable, sqrt(2 / pi) standard errors.
    """
    name = "score" if answers.task == "binary" else "confidence"
    values = answers.labelled.total(name)
    if values is None or not regular_counts(values).sum():
        return undefined(NO_SCORE)
    hits = positive_counts(answers, name) if answers.task == "binary" else right_of(answers, name)
    n_regular = values.buckets.n_regular
    groups = Coarse.of(values).groups[:n_regular] if answers.task == "binary" else np.arange(n_regular)
    return _ece(values, hits, groups)


def positive_counts(answers: Answers, name: str) -> Counts:
    """Labelled rows whose outcome is the positive class, by bucket of a measured quantity."""
    return _counts(answers, name, answers.labelled.where(lambda outcome, _: outcome == answers.positive))


def right_of(answers: Answers, name: str) -> Counts:
    """Labelled rows that were answered right, by bucket of a measured quantity."""
    return _counts(answers, name, answers.labelled.where(lambda outcome, predicted: outcome == predicted))


def right_wrong(answers: Answers) -> tuple[Counts, Counts] | None:
    """Labelled rows answered right, and wrong, by bucket of the confidence; None where it was not counted."""
    confidence = answers.labelled.total("confidence")
    if confidence is None:
        return None
    right = right_of(answers, "confidence")
    return right, regular_counts(confidence) - right


def _counts(answers: Answers, name: str, chosen: Answers) -> Counts:
    """The counts of chosen rows; zeros of the right shape where there are none."""
    found = merged(measured[name] for measured in chosen.cells.values() if name in measured)
    if found is not None:
        return regular_counts(found)
    whole = answers.labelled.total(name)
    return np.zeros(0 if whole is None else whole.buckets.n_regular, dtype=np.int64)


def _calibration_bin(
    counts: Counts, hits: Counts, lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> CalibrationBin:
    n = int(counts.sum())
    mean = float((counts * (lower + upper)).sum()) / 2 / n
    share = int(hits.sum()) / n
    low, high = Measured(share, n, scale="share").bounds(0.025)
    assert low is not None and high is not None  # noqa: S101 - a share of n > 0 rows has bounds
    return CalibrationBin(float(lower[0]), float(upper[-1]), n, mean, share, low, high)


def _ece(values: Histogram, hits: Counts, groups: NDArray[np.intp]) -> Measured:
    counts = regular_counts(values)
    lower, upper = spans(values)
    n = int(counts.sum())
    per_bin = np.bincount(groups, weights=counts)
    filled = per_bin > 0
    rows = per_bin[filled]
    share = np.bincount(groups, weights=hits)[filled] / rows
    score = np.bincount(groups, weights=counts * (lower + upper) / 2)[filled] / rows
    smoothed = (share * rows + 2) / (rows + 4)  # Agresti and Coull: a share of 0 or 1 stays uncertain
    spread = rows / n * np.sqrt(smoothed * (1 - smoothed) / (rows + 4))
    error = sqrt(float((spread**2).sum())) + sqrt(2 / pi) * float(spread.sum())
    bound = float((counts * (upper - lower)).sum()) / 2 / n
    return Measured(float((rows * np.abs(share - score)).sum()) / n, n, error, bound=bound)
