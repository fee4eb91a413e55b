"""The verdict on one feature in one window: `ok`, `drift` or `not_evaluated`, with its evidence. Pure.

This is the only place that turns numbers into a status. `judge` looks at one pair of histograms; `settle` then corrects the
p-values for all tests of the window and fixes each status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from math import log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.divergence import METRIC_VERSION, Divergences, js_distance, measure, psi, psi_terms
from bq_monitor.measure.explanation import Shift, explain
from bq_monitor.measure.histogram import NULL, ORDERED, OTHER, UNSEEN, Buckets, Coarse, Counts, Histogram
from bq_monitor.measure.restlessness import INDEPENDENT, Clumping, Restlessness, Widening, effective_rows, widening
from bq_monitor.measure.significance import Law, chi2_test, holm, ks_p_value

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

    @property
    def threshold_distance(self) -> float:
        """The threshold as a JS distance, the unit of `drift_score`: PSI is about 8 JS divergences (nats). Infinite without one."""
        if self.threshold is None:
            return float("inf")
        return self.threshold if self.metric == "js_distance" else sqrt(self.threshold / (8 * log(2)))


def not_evaluated(reason: str, *, n_baseline: int = 0, n_current: int = 0) -> Verdict:
    """The verdict of what could not be judged."""
    return Verdict("not_evaluated", reason, n_baseline, n_current)


def judge(
    baseline: Histogram,
    current: Histogram,
    rule: Rule,
    *,
    unseen_known: bool = True,
    n_singletons: int = 0,
    restless: Restlessness | None = None,
    clumping: Clumping = INDEPENDENT,
) -> Verdict:
    """Measure one feature; the status is `ok` until `settle` has seen all p-values of the window. Arguments as of `compared`."""
    pair = compared(
        baseline, current, Coarse.of(baseline, rule.n_bins),
        unseen_known=unseen_known, n_singletons=n_singletons, restless=restless, clumping=clumping,
    )  # fmt: skip
    return pair.verdict(rule)


def compared(
    baseline: Histogram,
    current: Histogram,
    coarse: Coarse,
    *,
    unseen_known: bool = True,
    n_singletons: int = 0,
    restless: Restlessness | None = None,
    clumping: Clumping = INDEPENDENT,
) -> Compared:
    """Two histograms ready to be judged by any rule.

    Args:
        coarse: the coarse buckets that the training data fix.
        unseen_known: False when the reference keeps no complete set of known labels, so that unseen ones cannot be told.
        n_singletons: baseline rows (counted as OTHER) whose label occurs once: so many unseen labels are no surprise. Fewer
            than that are none either: the baseline expects at most the share of unseen rows that the window has.
        restless: how much the days of this feature differ when all is well; None where that is not known.
        clumping: how the rows of both sides lie in days.
    """
    n, m = baseline.n_rows, current.n_rows
    if n and m:
        baseline = baseline.expecting_unseen(min(n_singletons, round(n * current.n_of(UNSEEN) / m)))
    return Compared(baseline, current, coarse, unseen_known, restless, clumping)


@dataclass(frozen=True)
class Compared:
    """A baseline and a window in the same coarse buckets; what is dear is measured when it is asked for, and once."""

    baseline: Histogram
    current: Histogram
    coarse: Coarse
    unseen_known: bool
    restless: Restlessness | None
    clumping: Clumping

    def verdict(self, rule: Rule, *, is_brief: bool = False) -> Verdict:
        """The verdict by a rule, its status not yet settled; a brief one has what settles it, and no other metric."""
        n, m = self.baseline.n_rows, self.current.n_rows
        if (few := _too_few_rows(n, m, rule.min_rows)) is not None:
            return not_evaluated(few, n_baseline=n, n_current=m)
        metric, p_value = self._decided(rule)
        has_threshold = metric in WITH_THRESHOLD
        verdict = Verdict(
            "ok", n_baseline=n, n_current=m, metric=metric, threshold=rule.threshold if has_threshold else None,
            alpha=rule.alpha, drift_score=self.drift_score, p_value=p_value,
        )  # fmt: skip
        return verdict if is_brief else self._with_evidence(verdict)

    def _decided(self, rule: Rule) -> tuple[str, float]:
        """The deciding metric of this feature, and its p-value; one without order has no KS statistic: chi-square decides.

        KS does not see NULLs, and restlessness weakens the evidence of every bucket, also of those that never moved. So there
        the share of special rows is tested apart, and the smaller of the two p-values counts twice (Bonferroni).
        """
        if rule.metric in WITH_THRESHOLD:
            law = self.pooled.law(rule.metric)
            metric, p_value = rule.metric, law.p_value(self.pooled.value(rule.metric), rule.threshold) if law else 1.0
        elif rule.metric == "ks_statistic" and self.divergences.ks_statistic is not None:
            metric, p_value = "ks_statistic", self._ks_p_value(self.divergences.ks_statistic)
        else:
            metric, p_value = "chi2_statistic", self.pooled.chi2_p_value()
        if metric == "ks_statistic" or (self.restless and self.restless.correlation):
            p_value = min(1.0, 2 * min(p_value, self._special_p_value(rule)))
        return metric, p_value

    def _special_p_value(self, rule: Rule) -> float:
        """Whether the share of NULL, NaN, infinite and unseen values changed, by more than the threshold where there is one."""
        before, now = (_set_apart(side, self.coarse.special) for side in self.counts)
        apart = Pooled(before, now, self.restless.of_special if self.restless else None, self.clumping)
        if rule.metric not in WITH_THRESHOLD:
            return apart.chi2_p_value()
        law = apart.law(rule.metric)
        return law.p_value(apart.value(rule.metric), rule.threshold) if law else 1.0

    def _with_evidence(self, verdict: Verdict) -> Verdict:
        baseline, current, restless, divergences = self.baseline, self.current, self.restless, self.divergences
        p, q = self.counts
        chi2 = chi2_test(p, q)
        floor, lower, upper = self.pooled.limits(str(verdict.metric), verdict.alpha or 0.0)
        return replace(
            verdict, divergences=divergences, noise_floor=floor, lower=lower, upper=upper,
            n_effective=effective_rows(restless.correlation if restless else 0.0, self.clumping.current, verdict.n_current),
            day_correlation=restless.correlation if restless else None,
            ks_p_value=None if divergences.ks_statistic is None else ks_p_value(divergences.ks_statistic, *self.finite),
            chi2_statistic=chi2[0] if chi2 else None, chi2_p_value=chi2[1] if chi2 else None,
            null_share_baseline=baseline.share_of(NULL), null_share_current=current.share_of(NULL),
            unseen_share=None if baseline.buckets.numeric or not self.unseen_known else current.share_of(UNSEEN),
            shifts=explain(baseline.buckets, self.coarse, p, q), contributions=_contributions(self.coarse, p, q),
        )  # fmt: skip

    @cached_property
    def counts(self) -> tuple[Counts, Counts]:
        """Coarse counts of both sides."""
        return self.coarse.counts(self.baseline), self.coarse.counts(self.current)

    @cached_property
    def divergences(self) -> Divergences:
        return measure(self.baseline, self.current, self.coarse)

    @cached_property
    def pooled(self) -> Pooled:
        """What the test is made of."""
        return Pooled(*pool_sparse(self.baseline.buckets, *self.counts), self.restless, self.clumping)

    @cached_property
    def drift_score(self) -> float:
        """JS distance less what chance gives at these sample sizes, 0..1: comparable between small and large windows."""
        law = self.pooled.law("js_distance")
        return law.corrected(self.pooled.value("js_distance")) if law else 0.0

    @property
    def finite(self) -> tuple[int, int]:
        """Rows in regular buckets on both sides, which KS is about."""
        return _n_finite(self.baseline), _n_finite(self.current)

    def _ks_p_value(self, statistic: float) -> float:
        clumps = self.clumping.baseline, self.clumping.current
        correlation = (
            self.restless.along_a_line if self.restless else 0.0
        )  # a shift of the whole order is one direction
        n, m = (effective_rows(correlation, clump, rows) for clump, rows in zip(clumps, self.finite, strict=True))
        found = ks_p_value(statistic, n, m)
        return 1.0 if found is None else found


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
    join each other; among these, what the baseline has not at all stays apart, as news would drown among neighbours.
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


def _set_apart(counts: Counts, special: Sequence[int]) -> Counts:
    """Two buckets: the values, and the special rows."""
    n_special = counts[list(special)].sum()
    return np.array([counts.sum() - n_special, n_special])


@dataclass(frozen=True)
class Pooled:
    """What a test is made of: the pooled coarse counts of both sides, each with rows, and what their rows are worth."""

    baseline: Counts
    current: Counts
    restless: Restlessness | None = None
    clumping: Clumping = INDEPENDENT

    def value(self, metric: str) -> float:
        """`js_distance` or `psi` of the pooled counts."""
        if metric not in self._values:
            self._values[metric] = _METRICS[metric](self.baseline, self.current) or 0.0
        return self._values[metric]

    def law(self, metric: str) -> Law | None:
        """The law that this metric obeys; None with a single bucket: nothing can differ."""
        return None if self.n_buckets < 2 else Law(metric, self.n_buckets, *self.sizes, self._wide)

    def limits(self, metric: str, alpha: float) -> tuple[float | None, float | None, float | None]:
        """Noise floor, lower and upper bound of a metric; None for those that have no threshold."""
        if metric not in WITH_THRESHOLD:
            return None, None, None
        law = self.law(metric)
        return (law.noise_floor, *law.bounds(self.value(metric), alpha)) if law else (0.0, 0.0, 0.0)

    def chi2_p_value(self) -> float:
        """Of any change, by chi-square; 1 where nothing can differ."""
        from scipy import special

        found = chi2_test(self.baseline, self.current)
        return float(special.chdtrc(self._wide.df, found[0] / self._wide.scale)) if found else 1.0

    @cached_property
    def n_buckets(self) -> int:
        """Buckets with rows on either side."""
        return int(((self.baseline + self.current) > 0).sum())

    @cached_property
    def sizes(self) -> tuple[int, int]:
        return int(self.baseline.sum()), int(self.current.sum())

    @cached_property
    def _values(self) -> dict[str, float]:
        return {}

    @cached_property
    def _wide(self) -> Widening:
        n, m = self.sizes
        return widening(self.restless, self.clumping, n_buckets=max(2, self.n_buckets), n_baseline=n, n_current=m)


_METRICS = {"js_distance": js_distance, "psi": psi}


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
