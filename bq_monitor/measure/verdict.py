"""The verdict on one feature in one window: `ok`, `drift` or `not_evaluated`, with its evidence. Pure.

This is the only place that turns numbers into a status. `judge` looks at one pair of histograms; `settle` then corrects the
p-values for all tests of the window and fixes each status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.divergence import METRIC_VERSION, Divergences, js_distance, measure, psi, psi_terms
from bq_monitor.measure.explanation import Shift, explain
from bq_monitor.measure.histogram import NULL, ORDERED, OTHER, UNSEEN, Buckets, Coarse, Counts, Histogram
from bq_monitor.measure.restlessness import INDEPENDENT, Clumping, Restlessness, Widening, effective_rows, widening
from bq_monitor.measure.significance import Exceedance, chi2_test, exceedance, holm, ks_p_value

MIN_EXPECTED = 10
"""Expected rows below which a label is pooled: twice Cochran's five, as labels get listed by counts that luck made large."""
MIN_EXPECTED_ORDERED = 8
"""Expected rows below which neighbours in an order are pooled; deciles of a hundred rows stay ten."""
WITH_THRESHOLD = ("js_distance", "psi")
"""The metrics whose true value is compared with a threshold; the others test whether anything changed at all."""
Status = Literal["ok", "drift", "not_evaluated", "excluded"]


@dataclass(frozen=True)
class Rule:
    """What counts as drift.

    Args:
        metric: the deciding metric: `js_distance` or `psi`, which ask whether the true divergence is above `threshold`; or
            `chi2_statistic` or `ks_statistic`, which ask whether anything changed at all (KS: kinds without order take chi-square).
        threshold: the true divergence that matters, in the metric's unit; the tests of any change have none.
        alpha: chance of any false verdict in one window, 0..1.
        min_rows: fewer rows on either side are not evaluated.
        n_bins: coarse buckets of a numeric feature.
    """

    metric: str = "js_distance"
    threshold: float = 0.1
    alpha: float = 0.01
    min_rows: int = 50
    n_bins: int = 10

    def metric_for(self, divergences: Divergences) -> str:
        """The deciding metric of a feature: one without order has no KS statistic, chi-square decides for it."""
        is_unordered = self.metric == "ks_statistic" and divergences.ks_statistic is None
        return "chi2_statistic" if is_unordered else self.metric


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
    n_effective: int | None = None
    day_correlation: float | None = None
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
    shifts: tuple[Shift, ...] = ()
    trend_slope: float | None = None
    trend_p_value: float | None = None
    trend_crosses_at: datetime | None = None
    contributions: tuple[Contribution, ...] = ()
    metric_version: int = METRIC_VERSION

    @property
    def value(self) -> float | None:
        """The deciding metric."""
        if self.metric is None:
            return None
        found: float | None = getattr(self.divergences if self.metric != "chi2_statistic" else self, self.metric)
        return found


def not_evaluated(reason: str, *, n_baseline: int = 0, n_current: int = 0) -> Verdict:
    """The verdict of what could not be judged."""
    return Verdict("not_evaluated", reason, n_baseline, n_current)


def judge(
    baseline: Histogram,
    current: Histogram,
    rule: Rule,
    *,
    frozen: Histogram | None = None,
    unseen_known: bool = True,
    n_singletons: int = 0,
    restless: Restlessness | None = None,
    clumping: Clumping = INDEPENDENT,
) -> Verdict:
    """Measure one feature; the status is `ok` until `settle` has seen all p-values of the window.

    Args:
        frozen: the training counts, which fix the coarse buckets; None where these are the baseline.
        unseen_known: False when the reference keeps no complete set of known labels, so that unseen ones cannot be told.
        n_singletons: baseline rows (counted as OTHER) whose label occurs once: so many unseen labels are no surprise. Fewer
            than that are none either: the baseline expects at most the share of unseen rows that the window has.
        restless: how much the days of this feature differ when all is well; None where that is not known.
        clumping: how the rows of both sides lie in days.
    """
    n, m = baseline.n_rows, current.n_rows
    if (few := _too_few_rows(n, m, rule.min_rows)) is not None:
        return not_evaluated(few, n_baseline=n, n_current=m)
    expected = min(n_singletons, round(n * current.n_of(UNSEEN) / m))
    baseline = baseline.expecting_unseen(expected)
    coarse = Coarse.of(frozen or baseline, rule.n_bins)
    p, q = coarse.counts(baseline), coarse.counts(current)
    divergences = measure(baseline, current, coarse)
    chi2 = chi2_test(p, q)
    pooled = Pooled(*pool_sparse(baseline.buckets, p, q), restless, clumping)
    metric = rule.metric_for(divergences)
    finite = _n_finite(baseline), _n_finite(current)
    evidence = pooled.evidence(metric, rule, divergences, finite)
    assert evidence is not None  # noqa: S101 - both sides have rows here
    has_threshold = metric in WITH_THRESHOLD
    return Verdict(
        status="ok", n_baseline=n, n_current=m, metric=metric, threshold=rule.threshold if has_threshold else None,
        alpha=rule.alpha, divergences=divergences,
        n_effective=effective_rows(restless.correlation if restless else 0.0, clumping.current, m),
        day_correlation=restless.correlation if restless else None,
        ks_p_value=None if divergences.ks_statistic is None else ks_p_value(divergences.ks_statistic, *finite),
        chi2_statistic=chi2[0] if chi2 else None, chi2_p_value=chi2[1] if chi2 else None,
        null_share_baseline=baseline.share_of(NULL), null_share_current=current.share_of(NULL),
        unseen_share=None if baseline.buckets.numeric or not unseen_known else current.share_of(UNSEEN),
        noise_floor=evidence.noise_floor if has_threshold else None,
        lower=evidence.lower if has_threshold else None, upper=evidence.upper if has_threshold else None,
        drift_score=pooled.drift_score(), p_value=evidence.p_value,
        shifts=explain(baseline.buckets, coarse, p, q),
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


def _n_finite(histogram: Histogram) -> int:
    return int(histogram.counts[: histogram.buckets.n_regular].sum())


def pool_sparse(buckets: Buckets, baseline: Counts, current: Counts) -> tuple[Counts, Counts]:
    """The coarse counts with sparse buckets pooled, for the test alone: the chi-square law needs full buckets.

    A bucket is sparse when fewer rows of the smaller side than `MIN_EXPECTED` (`MIN_EXPECTED_ORDERED`) are expected in it by the
    baseline's shares; the window's own counts play no part in the choice. Sparse labels join OTHER, sparse neighbours of an order
    join each other; what the baseline has not at all stays apart, as news would drown among neighbours.
    Source: Cochran (1954), raised; pooling on observed totals instead would inflate false alarms.
    """
    expected = baseline / baseline.sum() * min(baseline.sum(), current.sum())
    into = _neighbours(buckets, expected) if buckets.kind in ORDERED else _into_other(buckets, expected)
    kept, position = np.unique(into, return_inverse=True)
    p, q = (np.bincount(position, weights=side, minlength=len(kept)).astype(np.int64) for side in (baseline, current))
    return p, q


def _into_other(buckets: Buckets, expected: NDArray[np.float64]) -> NDArray[np.intp]:
    codes = np.array(buckets.codes)
    return np.where((codes >= 0) & (expected < MIN_EXPECTED), OTHER, codes)


def _neighbours(buckets: Buckets, expected: NDArray[np.float64]) -> NDArray[np.intp]:
    """The pool of each coarse bucket: regular ones in turn until a pool is full, the rest with the last; specials on their own."""
    n_regular = len(expected) - len(buckets.codes) + buckets.n_regular
    into = np.arange(len(expected))
    pools: list[list[int]] = []
    is_full = True
    for i in np.flatnonzero(expected[:n_regular] > 0):
        if is_full:
            pools.append([])
        pools[-1].append(int(i))
        is_full = expected[pools[-1]].sum() >= MIN_EXPECTED_ORDERED
    if not is_full and len(pools) > 1:
        last = pools.pop()
        pools[-1] += last
    for pool in pools:
        into[pool] = pool[0]
    return into


@dataclass(frozen=True)
class Pooled:
    """What a test is made of: the pooled coarse counts of both sides, and what their rows are worth."""

    baseline: Counts
    current: Counts
    restless: Restlessness | None = None
    clumping: Clumping = INDEPENDENT

    def evidence(self, metric: str, rule: Rule, divergences: Divergences, finite: tuple[int, int]) -> Exceedance | None:
        """How sure the deciding metric is; `finite` are the rows in regular buckets on both sides, which KS is about."""
        if metric == "ks_statistic":
            return _any_change(self._ks(divergences.ks_statistic, finite))
        if metric == "chi2_statistic":
            return _any_change(self._chi2())
        return self._exceedance(metric, rule.threshold, rule.alpha)

    def drift_score(self) -> float | None:
        """JS distance less what chance gives at these sample sizes, 0..1: comparable between small and large windows."""
        evidence = self._exceedance("js_distance", 0.0, alpha=0.05)
        return evidence.corrected if evidence else None

    def _exceedance(self, metric: str, threshold: float, alpha: float) -> Exceedance | None:
        value = (js_distance if metric == "js_distance" else psi)(self.baseline, self.current)
        if value is None:
            return None
        n, m = self._sizes
        return exceedance(
            metric, value, threshold, n_buckets=self._n_buckets, n_baseline=n, n_current=m, alpha=alpha, wide=self._wide()
        )  # fmt: skip

    def _chi2(self) -> float:
        from scipy import special

        found, wide = chi2_test(self.baseline, self.current), self._wide()
        return float(special.chdtrc(wide.df, found[0] / wide.scale)) if found else 1.0

    def _ks(self, statistic: float | None, finite: tuple[int, int]) -> float:
        if statistic is None:
            return 1.0
        clumps = self.clumping.baseline, self.clumping.current
        correlation = (
            self.restless.along_a_line if self.restless else 0.0
        )  # a shift of the whole order is one direction
        n, m = (effective_rows(correlation, clump, rows) for clump, rows in zip(clumps, finite, strict=True))
        found = ks_p_value(statistic, n, m)
        return 1.0 if found is None else found

    def _wide(self) -> Widening:
        n, m = self._sizes
        return widening(self.restless, self.clumping, n_buckets=max(2, self._n_buckets), n_baseline=n, n_current=m)

    @property
    def _n_buckets(self) -> int:
        return int(((self.baseline + self.current) > 0).sum())

    @property
    def _sizes(self) -> tuple[int, int]:
        return int(self.baseline.sum()), int(self.current.sum())


def _any_change(p_value: float) -> Exceedance:
    """The evidence of a test of any change: a p-value and no more."""
    return Exceedance(p_value, 0.0, 0.0, 0.0, 0.0)


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
