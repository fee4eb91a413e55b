"""The verdict on one feature in one window: `ok`, `drift` or `not_evaluated`, with its evidence. Pure.

This is the only place that turns numbers into a status. `judge` looks at one pair of histograms; `settle` then corrects the
p-values for all tests of the window and fixes each status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from bq_monitor.measure.divergence import METRIC_VERSION, Divergences, js_distance, measure, psi, psi_terms
from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Buckets, Coarse, Counts, Histogram
from bq_monitor.measure.significance import Exceedance, chi2_test, exceedance, holm, ks_p_value

MIN_EXPECTED = 10
"""Expected rows below which a label is pooled: twice Cochran's five, as labels get listed by counts that luck made large."""
Status = Literal["ok", "drift", "not_evaluated", "excluded"]


@dataclass(frozen=True)
class Rule:
    """What counts as drift.

    Args:
        metric: the deciding metric, `js_distance` or `psi`.
        threshold: the true divergence that matters, in the metric's unit.
        alpha: chance of any false verdict in one window, 0..1.
        min_rows: fewer rows on either side are not evaluated.
        n_bins: coarse buckets of a numeric feature.
    """

    metric: str = "js_distance"
    threshold: float = 0.1
    alpha: float = 0.01
    min_rows: int = 50
    n_bins: int = 10


@dataclass(frozen=True)
class Contribution:
    """One coarse bucket's part in the shift; `psi` adds up to the feature's PSI."""

    bucket: str
    baseline_share: float
    current_share: float
    psi: float


@dataclass(frozen=True)
class Verdict:
    """Status and evidence; every number is None where undefined, and `reason` says why nothing was evaluated."""

    status: Status
    reason: str | None = None
    n_baseline: int = 0
    n_current: int = 0
    metric: str | None = None
    threshold: float | None = None
    divergences: Divergences = field(default_factory=Divergences)
    ks_p_value: float | None = None
    chi2_statistic: float | None = None
    chi2_p_value: float | None = None
    null_share_baseline: float | None = None
    null_share_current: float | None = None
    unseen_share: float | None = None
    noise_floor: float | None = None
    lower: float | None = None
    upper: float | None = None
    drift_score: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    alpha: float | None = None
    contributions: tuple[Contribution, ...] = ()
    metric_version: int = METRIC_VERSION


def not_evaluated(reason: str, *, n_baseline: int = 0, n_current: int = 0) -> Verdict:
    """The verdict of what could not be judged."""
    return Verdict("not_evaluated", reason, n_baseline, n_current)


def judge(
    baseline: Histogram, current: Histogram, rule: Rule, *, unseen_known: bool = True, n_singletons: int = 0
) -> Verdict:
    """Measure one feature; the status is `ok` until `settle` has seen all p-values of the window.

    Args:
        unseen_known: False when the reference keeps no complete set of known labels, so that unseen ones cannot be told.
        n_singletons: baseline rows (counted as OTHER) whose label occurs once: so many unseen labels are no surprise. Fewer
            than that are none either: the baseline expects at most the share of unseen rows that the window has.
    """
    n, m = baseline.n_rows, current.n_rows
    if (few := _too_few_rows(n, m, rule.min_rows)) is not None:
        return not_evaluated(few, n_baseline=n, n_current=m)
    expected = min(n_singletons, round(n * current.n_of(UNSEEN) / m))
    baseline = baseline.expecting_unseen(expected)
    coarse = Coarse.of(baseline, rule.n_bins)
    p, q = coarse.counts(baseline), coarse.counts(current)
    divergences = measure(baseline, current, coarse)
    chi2 = chi2_test(p, q)
    pooled = pool_sparse(baseline.buckets, p, q)
    evidence = _exceedance(rule.metric, pooled, rule.threshold, rule.alpha)
    assert evidence is not None  # noqa: S101 - both sides have rows here
    return Verdict(
        status="ok", n_baseline=n, n_current=m, metric=rule.metric, threshold=rule.threshold, alpha=rule.alpha,
        divergences=divergences,
        ks_p_value=_ks_p_value(divergences, baseline, current),
        chi2_statistic=chi2[0] if chi2 else None, chi2_p_value=chi2[1] if chi2 else None,
        null_share_baseline=baseline.share_of(NULL), null_share_current=current.share_of(NULL),
        unseen_share=None if baseline.buckets.numeric or not unseen_known else current.share_of(UNSEEN),
        noise_floor=evidence.noise_floor, lower=evidence.lower, upper=evidence.upper,
        drift_score=_drift_score(pooled), p_value=evidence.p_value,
        contributions=_contributions(coarse, p, q),
    )  # fmt: skip


def settle(verdicts: Sequence[Verdict], alpha: float) -> list[Verdict]:
    """Adjust the p-values of all evaluated verdicts of a window for their number (Holm) and fix each status."""
    tested = [i for i, verdict in enumerate(verdicts) if verdict.p_value is not None]
    settled = list(verdicts)
    p_values = [verdicts[i].p_value or 0.0 for i in tested]
    for i, adjusted in zip(tested, holm(p_values), strict=True):
        status: Status = "drift" if adjusted < alpha else "ok"
        settled[i] = replace(verdicts[i], p_adjusted=adjusted, status=status)
    return settled


def _too_few_rows(n: int, m: int, min_rows: int) -> str | None:
    if n < max(1, min_rows):
        return f"too few rows in the baseline: {n} of at least {max(1, min_rows)}"
    if m == 0:
        return "no rows"
    return f"too few rows: {m} of at least {min_rows}" if m < min_rows else None


def _ks_p_value(divergences: Divergences, baseline: Histogram, current: Histogram) -> float | None:
    if divergences.ks_statistic is None:
        return None
    regular = slice(0, baseline.buckets.n_regular)
    return ks_p_value(divergences.ks_statistic, int(baseline.counts[regular].sum()), int(current.counts[regular].sum()))


def pool_sparse(buckets: Buckets, baseline: Counts, current: Counts) -> tuple[Counts, Counts]:
    """The coarse counts with sparse labels pooled into OTHER, for the test alone: the chi-square law needs full buckets.

    A label is sparse when fewer than `MIN_EXPECTED` rows of the smaller side are expected in it by the baseline's shares; the
    window's own counts play no part in the choice. Numbers are left alone: their buckets are equal shares.
    Source: Cochran (1954), doubled; pooling on observed totals instead would inflate false alarms.
    """
    if buckets.numeric:
        return baseline, current
    codes = np.array(buckets.codes)
    expected = baseline / baseline.sum() * min(baseline.sum(), current.sum())
    into = np.where(((codes >= 0) & (expected < MIN_EXPECTED)) | (codes == OTHER), OTHER, codes)
    kept = np.unique(into)
    position = np.searchsorted(kept, into)
    p, q = (np.bincount(position, weights=side, minlength=len(kept)).astype(np.int64) for side in (baseline, current))
    return p, q


def _exceedance(metric: str, pooled: tuple[Counts, Counts], threshold: float, alpha: float) -> Exceedance | None:
    p, q = pooled
    value = (js_distance if metric == "js_distance" else psi)(p, q)
    n_buckets = int(((p + q) > 0).sum())
    if value is None:
        return None
    return exceedance(
        metric, value, threshold, n_buckets=n_buckets, n_baseline=int(p.sum()), n_current=int(q.sum()), alpha=alpha
    )


def _drift_score(pooled: tuple[Counts, Counts]) -> float | None:
    """JS distance less what chance gives at these sample sizes, 0..1: comparable between small and large windows."""
    evidence = _exceedance("js_distance", pooled, 0.0, alpha=0.05)
    return evidence.corrected if evidence else None


def _contributions(coarse: Coarse, p: np.ndarray, q: np.ndarray) -> tuple[Contribution, ...]:
    terms = psi_terms(p, q)
    if terms is None:
        return ()
    rows = zip(coarse.names, p / p.sum(), q / q.sum(), terms, strict=True)
    return tuple(Contribution(name, float(a), float(b), float(term)) for name, a, b, term in rows if a > 0 or b > 0)


def share_drifted(verdicts: Sequence[Verdict]) -> float | None:
    """The drifted share (0..1) of the evaluated verdicts; None when none was evaluated."""
    evaluated = [verdict for verdict in verdicts if verdict.status in ("ok", "drift")]
    return sum(verdict.status == "drift" for verdict in evaluated) / len(evaluated) if evaluated else None


def dataset_drifted(verdicts: Sequence[Verdict], limit: float) -> bool:
    """Whether more than `limit` of the evaluated verdicts drifted."""
    return (share_drifted(verdicts) or 0.0) > limit
