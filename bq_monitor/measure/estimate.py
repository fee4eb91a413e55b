"""Performance without labels: what the outcomes of a window would be if each score meant what it meant in the reference. Pure.

The reference tells how often a score came true (binary: P(positive | score bucket, answer); multiclass: P(right | confidence
bucket)) and by how much a prediction was wrong (regression: mean |error| by tenth of the prediction). The window's counts of
scores and answers, weighted by that, give its expected confusion matrix, AUC and mean absolute error. No outcome of the window
is read, so it is there on the day itself.

**The limit of it:** P(outcome | score) is assumed unchanged. A move of the inputs shows (covariate shift); a world in which the
same score has come to mean another risk (concept drift) does not show at all: only outcomes tell, see `measure.concept`.

Shares by bucket are smoothed by isotonic regression, as a higher score promises more; each answer has a fit of its own, so that
the confusion matrix of the reference itself is met exactly. A bucket that the reference never filled takes the value of the
nearest one that it did. Rows without a finite score are left out.

Source: confidence-based performance estimation, Białek et al. (2024), "Estimating Model Performance Under Covariate Shift Without
Labels"; Ayer et al. (1955) for the isotonic fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.answers import Answers
from bq_monitor.measure.histogram import Buckets, Moments
from bq_monitor.measure.measured import Measured, undefined

BINARY = ("accuracy", "precision", "recall", "f1", "roc_auc")
NO_OUTCOMES = "the reference has no outcomes: capture it with labels"
_Floats = NDArray[np.float64]


def estimated(reference: Answers, current: Answers) -> dict[str, Measured]:
    """The performance to expect of a window's rows, whatever their outcomes.

    Args:
        reference: training rows with outcomes; those without one do not count.
        current: the window's rows; each with an answer counts, and its outcome is not looked at.

    Returns:
        By name; binary: `accuracy`, `precision`, `recall`, `f1`, `roc_auc` (each 0..1); multiclass: `accuracy`; regression:
        `mae`, in the unit of the outcome. Undefined with a reason where the reference has no outcomes, either side has no
        score, or the window lacks what the number is about. `n` is the rows of the window that it is told from. The interval
        is about what the outcomes of these very rows will give: it holds the chance in them (p(1 - p) a row) and that in the
        reference's shares (delta method). `bound` of the AUC: half of the pairs that share a bucket, which count as ties.

    Raises:
        HistogramError: the two sides were counted in different buckets.
    """
    names = {"binary": BINARY, "multiclass": ("accuracy",), "regression": ("mae",)}[reference.task]
    estimate = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[reference.task]
    if not reference.labelled.n_rows:
        found: dict[str, Measured] | str = NO_OUTCOMES
    elif not current.answered.n_rows:
        found = "no rows with an answer"
    else:
        found = estimate(reference.labelled, current.answered)
    return dict.fromkeys(names, undefined(found)) if isinstance(found, str) else found


@dataclass(frozen=True)
class _Side:
    """The rows of one answer by bucket, shape `(buckets,)`: the reference's, how many of them were hits, the window's."""

    known: _Floats
    hits: _Floats
    rows: _Floats

    @property
    def share(self) -> _Floats:
        """P(hit | bucket), rising."""
        return self._fit[0]

    @property
    def expected(self) -> _Floats:
        """Hits to expect in the window."""
        return self.rows * self.share

    def variance(self, weight: _Floats) -> float:
        """Of the sum of `weight` over the window's hits: by chance in its outcomes, and in the reference's of each bucket."""
        share, source = self._fit
        leverage = np.bincount(source, weights=self.rows * weight, minlength=len(share))
        smooth = (share * self.known + 0.5) / (self.known + 1)  # a share of 0 or 1 is not certain
        of_outcomes = (self.rows * weight**2 * share * (1 - share)).sum()
        return float(of_outcomes + (leverage**2 * smooth * (1 - smooth) / np.maximum(self.known, 1)).sum())

    @cached_property
    def _fit(self) -> tuple[_Floats, NDArray[np.intp]]:
        """By bucket, the isotonic share, and the bucket that it was told from: itself, or the nearest that the reference filled."""
        from scipy import optimize

        filled = np.flatnonzero(self.known)
        if not filled.size:
            return np.zeros(len(self.known)), np.zeros(len(self.known), dtype=np.intp)
        fit = optimize.isotonic_regression(self.hits[filled] / self.known[filled], weights=self.known[filled])
        nearest = np.abs(np.arange(len(self.known))[:, None] - filled).argmin(axis=1)
        return np.asarray(fit.x, dtype=np.float64)[nearest], filled[nearest]


def _binary(reference: Answers, current: Answers) -> dict[str, Measured] | str:
    buckets, positive = _same_buckets(reference, current, "score"), reference.positive
    if isinstance(buckets, str):
        return buckets
    sides = [_side(reference, current, buckets, positive, is_yes=is_yes) for is_yes in (False, True)]
    for side, what in zip(sides, (f"anything but {positive!r}", repr(positive)), strict=True):
        if side.rows.any() and not side.known.any():
            return f"the reference has no outcome of a row that was answered {what}"
    return {**_confusion(sides, str(positive)), "roc_auc": _roc_auc(sides)}


def _side(reference: Answers, current: Answers, buckets: Buckets, positive: str | None, *, is_yes: bool) -> _Side:
    known, rows = (
        answers.where(lambda _, predicted: (predicted == positive) == is_yes) for answers in (reference, current)
    )
    hits = known.where(lambda outcome, _: outcome == positive)
    return _Side(*(_counts(answers, "score", buckets) for answers in (known, hits, rows)))


def _confusion(sides: Sequence[_Side], positive: str) -> dict[str, Measured]:
    """Accuracy, precision, recall and F1 by what is expected of the rows answered no and yes."""
    no, yes = sides
    n_no, n_yes, n = no.rows.sum(), yes.rows.sum(), int(no.rows.sum() + yes.rows.sum())
    hit, missed = yes.expected.sum(), no.expected.sum()
    n_true, f1_rows = hit + missed, n_yes + hit + missed
    variances = yes.variance(np.ones_like(yes.rows)), no.variance(np.ones_like(no.rows))

    def told(value: float, by_hit: float, by_missed: float, rows: float) -> Measured:
        return _share(value, by_hit**2 * variances[0] + by_missed**2 * variances[1], round(rows))

    never = undefined(f"no row is expected to come true as {positive!r}", n)
    return {
        "accuracy": told((hit + n_no - missed) / n, 1 / n, -1 / n, n),
        "precision": told(hit / n_yes, 1 / n_yes, 0.0, n_yes) if n_yes else undefined(f"no row was answered {positive!r}", n),
        "recall": told(hit / n_true, missed / n_true**2, -hit / n_true**2, n) if n_true else never,
        "f1": told(2 * hit / f1_rows, 2 / f1_rows - 2 * hit / f1_rows**2, -2 * hit / f1_rows**2, n) if n_true else never,
    }  # fmt: skip


def _roc_auc(sides: Sequence[_Side]) -> Measured:
    """The AUC by buckets of what is expected.

    The isotonic fit undoes whatever inversions chance made, so that it ranks the reference better than its own outcomes do: by
    so much the estimate is lowered.
    """
    rows, n = sum(side.rows for side in sides), int(sum(side.rows.sum() for side in sides))
    positives = sum((side.expected for side in sides), np.zeros_like(sides[0].rows))
    negatives = rows - positives
    n_positive, n_negative = positives.sum(), negatives.sum()
    if not n_positive > 0 or not n_negative > 0:
        return undefined("only one class is expected to come true", n)
    value = _auc(positives, negatives)
    known = sum((side.known for side in sides), np.zeros_like(positives))
    hits, fitted = (
        sum(found, np.zeros_like(positives)) for found in ([s.hits for s in sides], [s.known * s.share for s in sides])
    )
    flattery = _auc(fitted, known - fitted) - _auc(hits, known - hits)
    above = n_positive - np.cumsum(positives) + positives / 2
    below = np.cumsum(negatives) - negatives / 2
    slope = (below - above) / (n_positive * n_negative) - value * (1 / n_positive - 1 / n_negative)
    bound = float((positives * negatives).sum() / (2 * n_positive * n_negative))
    return _share(min(1.0, max(0.0, value - flattery)), sum(side.variance(slope) for side in sides), n, bound)


def _auc(positives: _Floats, negatives: _Floats) -> float:
    """The chance that a positive lies in a higher bucket than a negative; in the same one it counts half."""
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum() / (positives.sum() * negatives.sum()))


def _multiclass(reference: Answers, current: Answers) -> dict[str, Measured] | str:
    buckets = _same_buckets(reference, current, "confidence")
    if isinstance(buckets, str):
        return buckets
    hits = reference.where(lambda outcome, predicted: outcome == predicted)
    side = _Side(*(_counts(answers, "confidence", buckets) for answers in (reference, hits, current)))
    n = int(side.rows.sum())
    return {"accuracy": _share(side.expected.sum() / n, side.variance(np.full_like(side.rows, 1 / n)), n)}


def _regression(reference: Answers, current: Answers) -> dict[str, Measured] | str:
    """Mean |error| of each tenth of the predictions in the reference, weighted by the window's rows; of one not known, of all."""
    errors = {tenth: _error(reference, tenth) for _, tenth in current.cells}
    overall = _error(reference, None)
    if overall.mean is None:
        return "the reference has no finite error"
    n = current.n_rows
    rows = {tenth: sum(count for cell, count in current.counts.items() if cell[1] == tenth) for tenth in errors}
    value = variance = 0.0
    for tenth, count in rows.items():
        known = errors[tenth] if errors[tenth].mean is not None else overall
        spread = (known.second_moment or 0.0) / max(1, known.n - 1)
        value += count / n * (known.mean or 0.0)
        variance += spread * (count / n**2 + (count / n) ** 2 / known.n)
    if not value > 0:
        return {"mae": Measured(value, n, variance**0.5)}
    return {"mae": Measured(value, n, variance**0.5 / value, "log")}


def _error(reference: Answers, tenth: str | None) -> Moments:
    """The size of the error in one tenth of the predictions, or in all."""
    total = reference.where(lambda _, predicted: tenth in (None, predicted)).total("absolute_error")
    return (total.moments if total else None) or Moments()


def _share(value: float, variance: float, n: int, bound: float = 0.0) -> Measured:
    """A number within 0..1 with its variance; at the ends, where the logit has none, a share of n rows."""
    if not 0 < value < 1:
        return Measured(value, n, scale="share", bound=bound)
    return Measured(value, n, variance**0.5 / (value * (1 - value)), "logit", bound=bound)


def _same_buckets(reference: Answers, current: Answers, name: str) -> Buckets | str:
    """The buckets in which both sides counted finite values; the reason when one has none."""
    mine, others = reference.total(name), current.total(name)
    if mine is None or not mine.counts[: mine.buckets.n_regular].any():
        return "the reference has no finite score of a row with an outcome"
    if others is None or not others.counts[: others.buckets.n_regular].any():
        return "the window has no finite score"
    mine.require_same_buckets(others)
    return mine.buckets


def _counts(answers: Answers, name: str, buckets: Buckets) -> _Floats:
    """Rows by regular bucket of a measured quantity, over all cells that have it."""
    total = answers.total(name)
    return np.zeros(buckets.n_regular) if total is None else total.counts[: buckets.n_regular].astype(np.float64)
