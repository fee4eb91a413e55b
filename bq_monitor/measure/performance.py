"""How well a model's answers came true, from counts alone. Pure.

Every metric is over the rows with an answer and a known outcome. Where sums suffice the value is that of the raw rows, exactly
(`bound` 0); where a score is needed in order it is that of its buckets, and `bound` says how far off that may be. What cannot
be told is undefined with its reason: never NaN, never 0 in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from bq_monitor.measure.answers import Answers, Task
from bq_monitor.measure.calibration import (
    CalibrationBin,
    ConfidenceBin,
    calibration_bins,
    confidence_bins,
    ece,
    positive_counts,
    right_wrong,
)
from bq_monitor.measure.divergence import js_divergence, kl_divergence
from bq_monitor.measure.histogram import Counts, Histogram
from bq_monitor.measure.measured import Measured, share_of, undefined
from bq_monitor.measure.observed import TOO_LARGE, mean_of, observed
from bq_monitor.measure.regression import NO_OUTCOME, of_regression
from bq_monitor.measure.scores import NO_SCORE, ONE_CLASS, Floats, average_precision, regular_counts, roc_auc, spans

__all__ = [
    "METRICS", "AccuracyShift", "CalibrationBin", "ConfidenceBin", "accuracy_shift", "calibration_bins", "confidence_bins",
    "confusion", "observed", "performance",
]  # fmt: skip

METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (
        "accuracy", "precision", "recall", "f1", "f1_macro", "f1_weighted", "balanced_accuracy", "roc_auc", "pr_auc",
        "log_loss", "brier", "ece", "outcome_rate", "calibration_gap",
    ),
    "multiclass": (
        "accuracy", "precision_macro", "recall_macro", "precision_weighted", "recall_weighted", "f1_macro", "f1_weighted",
        "balanced_accuracy", "ece",
    ),
    "regression": ("mse", "rmse", "mae", "mape", "r2", "bias"),
}  # fmt: skip
"""What `performance` tells of each task, in its order."""
NO_ANSWER = "no answer to what came true"


def performance(answers: Answers) -> dict[str, Measured]:
    """Every metric of `METRICS[answers.task]`, in that order; undefined ones with their reason.

    | metric | range | is | undefined |
    |---|---|---|---|
    | accuracy | 0..1 | share answered right | no outcome yet |
    | precision, recall, f1 | 0..1 | of the positive class | no row in the denominator |
    | `*_macro`, `*_weighted` | 0..1 | mean over the classes answered or come true, plain or by outcomes; 0 over 0 counts 0 | - |
    | balanced_accuracy | 0..1 | mean recall of the classes that came true | only one did |
    | roc_auc, pr_auc, ece | 0..1 | see `roc_auc`, `average_precision`, `ece` | no score; one class |
    | log_loss | 0..34.6 nats | mean of -ln(probability given to what came true) | no score |
    | brier | 0..1 | mean of (score - outcome)^2 | no score |
    | outcome_rate | 0..1 | share of what came true that is positive | - |
    | calibration_gap | -1..1 | mean of score - outcome: above 0, too much was promised | no score |
    | mse, rmse, mae, mape | 0.. | mean squared, its root, mean absolute, mean absolute error / abs(y) where y is not 0 | - |
    | r2 | ..1 | 1 - mse / variance of y | y does not vary |
    | bias | any | mean of prediction - y | - |

    Source: scikit-learn's functions of these names, `zero_division=0` in averages; deviations: what is undefined above is 0
    with a warning there, and a balanced accuracy of one class a number.
    Errors: shares by Wilson; functions of the confusion matrix by the delta method (logit scale); means by their moments;
    brier by the spread of its buckets' middles; squared errors as a mixture of normal errors, one of each cell.
    """  # fmt: skip
    known = answers.labelled
    if not known.n_rows:
        came_true = answers.where(lambda outcome, _: outcome is not None).n_rows
        return {name: undefined(NO_ANSWER if came_true else NO_OUTCOME) for name in METRICS[answers.task]}
    found = of_regression(known) if answers.task == "regression" else _of_classes(known)
    return {name: found[name] for name in METRICS[answers.task]}


def confusion(answers: Answers) -> list[tuple[str, str, int]]:
    """`(outcome, predicted, n)` of the rows where both are known, sorted; without empty cells."""
    return sorted(
        (outcome, predicted, n)
        for (outcome, predicted), n in answers.labelled.counts.items()
        if n and outcome is not None and predicted is not None
    )


@dataclass(frozen=True)
class AccuracyShift:
    """How far right and wrong answers moved from a reference; None where a side has no such rows.

    Args:
        kl, js_divergence: KL(current || reference) in nats, Jensen-Shannon in bits, of wrong and right.
        confidence_kl, confidence_js_divergence: the same of wrong and right within each bin of the confidence.
        baseline, current: the counts `[wrong, right]`, int64.
    """

    kl: float | None
    js_divergence: float | None
    confidence_kl: float | None
    confidence_js_divergence: float | None
    baseline: Counts
    current: Counts


def accuracy_shift(reference: Answers, current: Answers) -> AccuracyShift:
    """The shift of right and wrong answers, alone and jointly with the confidence; for classes, undefined for regression.

    Source and empty buckets: `kl_divergence` (Kullback and Leibler 1951, 0..inf nats) and `js_divergence` (Lin 1991, 0..1).
    """
    p, q = _wrong_right(reference), _wrong_right(current)
    joint_p, joint_q = right_wrong(reference), right_wrong(current)
    if joint_p is None or joint_q is None:
        return AccuracyShift(kl_divergence(p, q), js_divergence(p, q), None, None, p, q)
    joined_p, joined_q = np.concatenate(joint_p), np.concatenate(joint_q)
    return AccuracyShift(
        kl_divergence(p, q), js_divergence(p, q), kl_divergence(joined_p, joined_q), js_divergence(joined_p, joined_q), p, q
    )  # fmt: skip


def _wrong_right(answers: Answers) -> Counts:
    counts = np.zeros(2, dtype=np.int64)
    if answers.task != "regression":
        for outcome, predicted, n in confusion(answers):
            counts[int(outcome == predicted)] += n
    return counts


_OfSums = Callable[[Floats, Floats, Floats], float]
"""A metric of three counts by class: answered right, came true, answered."""
_AVERAGES: Mapping[str, _OfSums] = {
    "precision_macro": lambda right, true, said: float(_ratio(right, said).mean()),
    "recall_macro": lambda right, true, said: float(_ratio(right, true).mean()),
    "f1_macro": lambda right, true, said: float(_ratio(2 * right, true + said).mean()),
    "precision_weighted": lambda right, true, said: float((true * _ratio(right, said)).sum() / true.sum()),
    "recall_weighted": lambda right, true, said: float(right.sum() / true.sum()),
    "f1_weighted": lambda right, true, said: float((true * _ratio(2 * right, true + said)).sum() / true.sum()),
}


def _of_classes(known: Answers) -> dict[str, Measured]:
    classes = known.classes
    matrix = np.zeros((len(classes), len(classes)))
    for outcome, predicted, n in confusion(known):
        matrix[classes.index(outcome), classes.index(predicted)] = n
    n_rows = int(matrix.sum())
    found = {name: _of_confusion(function, matrix) for name, function in _AVERAGES.items()}
    found["accuracy"] = Measured(float(matrix.trace()) / n_rows, n_rows, scale="share")
    several = np.count_nonzero(matrix.sum(axis=1)) > 1
    found["balanced_accuracy"] = (
        _of_confusion(lambda right, true, _: float(_ratio(right, true).sum() / np.count_nonzero(true)), matrix)
        if several
        else undefined(ONE_CLASS, n_rows)
    )
    found["ece"] = ece(known)
    return found | _of_positive(known, classes, matrix) if known.task == "binary" else found


def _of_positive(known: Answers, classes: list[str], matrix: Floats) -> dict[str, Measured]:
    """What only a positive class has."""
    n_rows = int(matrix.sum())
    if known.positive in classes:
        i = classes.index(known.positive)
        right, true, said = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
        f1 = _of_confusion(lambda right, true, said: float(_ratio(2 * right, true + said)[i]), matrix)
    else:
        right, true, said, f1 = 0, 0, 0, undefined("nothing was positive", n_rows)
    return {
        "precision": share_of(right, said, "nothing was predicted positive"),
        "recall": share_of(right, true, "nothing positive came true"),
        "f1": f1,
        "outcome_rate": share_of(true, n_rows, NO_OUTCOME),
        **_of_score(known),
    }


def _of_score(known: Answers) -> dict[str, Measured]:
    score = known.total("score")
    if score is None:
        return {name: undefined(NO_SCORE) for name in ("roc_auc", "pr_auc", "log_loss", "brier", "calibration_gap")}
    positives = positive_counts(known, "score")
    negatives = regular_counts(score) - positives
    brier = _brier(known, score, positives, negatives)
    return {
        "roc_auc": roc_auc(positives, negatives),
        "pr_auc": average_precision(positives, negatives),
        "log_loss": mean_of(known.total("log_loss"), NO_SCORE),
        "brier": brier,
        "calibration_gap": _calibration_gap(mean_of(score, NO_SCORE), brier, int(positives.sum())),
    }


def _calibration_gap(mean_score: Measured, brier: Measured, n_positive: int) -> Measured:
    """Mean of (score - outcome): exact, and its error too, as the mean of its squares is the Brier score."""
    if mean_score.value is None or brier.value is None:
        return undefined(mean_score.reason or brier.reason or NO_SCORE, mean_score.n)
    gap, n = mean_score.value - n_positive / brier.n, brier.n
    return Measured(gap, n, sqrt(max(0.0, brier.value - gap**2) / n) or None)


def _brier(known: Answers, score: Histogram, positives: Counts, negatives: Counts) -> Measured:
    """Mean of (score - outcome)^2: exact by moments; its error from the squares at the buckets' middles."""
    total, n = 0.0, int(positives.sum() + negatives.sum())
    for (outcome, _), measured in known.cells.items():
        moments = measured["score"].moments if "score" in measured else None
        if moments is None or not moments.n:
            continue
        if moments.mean is None or moments.second_moment is None:
            return undefined(TOO_LARGE, n)
        total += moments.second_moment + moments.n * (moments.mean - (outcome == known.positive)) ** 2
    if not n:
        return undefined(NO_SCORE)
    middles = np.add(*spans(score)) / 2
    squares, rows = np.concatenate([(1 - middles) ** 2, middles**2]), np.concatenate([positives, negatives])
    variance = float((rows * (squares - (rows * squares).sum() / n) ** 2).sum()) / n
    return Measured(total / n, n, sqrt(variance / n) or None)


def _of_confusion(function: _OfSums, matrix: Floats) -> Measured:
    """A metric of a confusion matrix `[came true, answered]` of independent rows, with its error by the delta method.

    The error is taken with one more row of each class that came true, spread evenly over the answers (in a 2 x 2 table half a
    row a cell, after Haldane and Anscombe): a model that was always right so far is not surely always right.
    """
    value, n = function(*_sums(matrix)), int(matrix.sum())
    smoothed = matrix + (matrix.sum(axis=1, keepdims=True) > 0) / len(matrix)
    error = sqrt(float((smoothed * _gradient(function, smoothed) ** 2).sum()))
    if error < 1e-9:
        return Measured(value, n)  # one class only: nothing could have been wrong
    if not 1e-9 < value < 1 - 1e-9:
        return Measured(value, n, error)
    centre = function(*_sums(smoothed))
    return Measured(value, n, error / (centre * (1 - centre)), "logit")


def _sums(matrix: Floats) -> tuple[Floats, Floats, Floats]:
    return matrix.diagonal().copy(), matrix.sum(axis=1), matrix.sum(axis=0)


def _gradient(function: _OfSums, matrix: Floats) -> Floats:
    """The slope of a metric with each cell's count. It has no slope along the counts, so multinomial rows need no more."""
    slopes = np.zeros((3, len(matrix)))
    for place in np.ndindex(slopes.shape):
        above, below = np.array(_sums(matrix)), np.array(_sums(matrix))
        step = 1e-5 * max(1.0, float(above[place]))
        above[place] += step
        below[place] -= step
        slopes[place] = (function(*above) - function(*below)) / (2 * step)
    right, true, said = slopes
    return np.diag(right) + true[:, None] + said[None, :]


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Class by class, 0 where nothing is to be divided by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
