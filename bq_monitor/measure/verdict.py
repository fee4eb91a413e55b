"""The verdict on one feature in one window: `ok`, `drift` or `not_evaluated`, with its evidence. Pure.

This is the only place that turns numbers into a status. `judge` looks at one pair of histograms; `settle` then corrects the
p-values for all tests of the window and fixes each status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from math import isnan, log, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.deciding import WITH_THRESHOLD, Decided, Sides, decide
from bq_monitor.measure.divergence import METRIC_VERSION, Divergences, measure_each, psi_terms
from bq_monitor.measure.explanation import Shift, explain
from bq_monitor.measure.histogram import NULL, UNSEEN, Coarse, Counts, Histogram
from bq_monitor.measure.restlessness import (
    INDEPENDENT,
    Clumping,
    DayEffects,
    Restlessness,
    effective_rows_of_each,
)
from bq_monitor.measure.significance import adjusted, chi2_tests, ks_p_values

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
    n, m = (baseline.n_rows, current.n_rows) if n_singletons else (0, 0)
    if n and m:
        baseline = baseline.expecting_unseen(min(n_singletons, round(n * current.n_of(UNSEEN) / m)))
    return Compared(baseline, current, coarse, unseen_known, restless, clumping)


@dataclass(frozen=True)
class Compared:
    """A baseline and a window in the same coarse buckets, ready to be judged."""

    baseline: Histogram
    current: Histogram
    coarse: Coarse
    unseen_known: bool
    restless: Restlessness | None
    clumping: Clumping

    def verdict(self, rule: Rule, *, is_brief: bool = False) -> Verdict:
        """The verdict by a rule, as `verdicts_of` gives it."""
        return verdicts_of([self], [rule], is_brief=is_brief)[0]


_TESTS_AT_ONCE = 10_000


def verdicts_of(pairs: Sequence[Compared], rules: Sequence[Rule], *, is_brief: bool = False) -> list[Verdict]:
    """The verdict on each pair by its rule, the status not yet settled; a brief one has what settles it, and no other metric.

    Pairs of as many buckets of the same kind are measured together: as arrays, one row a pair.
    """
    alike: dict[tuple[str, str, int, int], list[int]] = {}
    for i, (pair, rule) in enumerate(zip(pairs, rules, strict=True)):
        buckets = pair.baseline.buckets
        alike.setdefault((rule.metric, buckets.kind, len(buckets.codes), len(pair.coarse.names)), []).append(i)
    found: dict[int, Verdict] = {}
    for together in alike.values():
        for first in range(0, len(together), _TESTS_AT_ONCE):
            some = together[first : first + _TESTS_AT_ONCE]
            batch = _Batch([pairs[i] for i in some], [rules[i] for i in some])
            found.update(zip(some, batch.verdicts(is_brief=is_brief), strict=True))
    return [found[i] for i in range(len(pairs))]


@dataclass(frozen=True)
class _Batch:
    """Pairs of as many buckets of the same kind, and rules of the same metric."""

    pairs: Sequence[Compared]
    rules: Sequence[Rule]

    def verdicts(self, *, is_brief: bool) -> Iterator[Verdict]:
        decided = self.decided
        columns = (decided.n_baseline, decided.n_current, decided.p_value, decided.drift_score, decided.enough)
        metrics = iter(self.metrics)
        evidence = iter([{}] * len(self.pairs) if is_brief else self.evidence)
        for rule, n, m, p_value, score, enough in zip(self.rules, *(c.tolist() for c in columns), strict=True):
            if not enough:
                yield not_evaluated(_too_few_rows(n, m, rule.min_rows), n_baseline=n, n_current=m)
                continue
            metric = next(metrics)
            yield Verdict(
                "ok", n_baseline=n, n_current=m, metric=metric, threshold=rule.threshold if metric in WITH_THRESHOLD else None,
                alpha=rule.alpha, drift_score=score, p_value=p_value, **next(evidence),
            )  # fmt: skip

    @cached_property
    def sides(self) -> Sides:
        return Sides(
            self.pairs[0].baseline.buckets,
            np.stack([pair.coarse.starts for pair in self.pairs]),
            np.stack([pair.baseline.counts for pair in self.pairs]),
            np.stack([pair.current.counts for pair in self.pairs]),
            DayEffects.of([pair.restless for pair in self.pairs], [pair.clumping for pair in self.pairs]),
        )

    @cached_property
    def decided(self) -> Decided:
        thresholds, min_rows = (np.array([getattr(r, name) for r in self.rules]) for name in ("threshold", "min_rows"))
        return decide(self.sides, self.rules[0].metric, thresholds, min_rows)

    @property
    def metrics(self) -> list[str]:
        """The deciding metric of each pair that has rows enough."""
        metric = self.rules[0].metric
        otherwise = metric if metric in WITH_THRESHOLD else "chi2_statistic"
        return ["ks_statistic" if is_ks else otherwise for is_ks in self.decided.is_ks.tolist()]

    @property
    def evidence(self) -> Iterator[dict[str, Any]]:
        """Every other number and word of a verdict, of each pair that has rows enough."""
        rows = np.flatnonzero(self.decided.enough).tolist()
        if rows:
            columns = self._evidence(rows, [self.pairs[i] for i in rows])
            yield from (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))

    def _evidence(self, rows: list[int], pairs: Sequence[Compared]) -> dict[str, Iterable[Any]]:
        """Columns by name."""
        p, q = (side[rows].astype(np.int64) for side in self.sides.coarse)
        divergences = measure_each([(pair.baseline, pair.current) for pair in pairs], p, q)
        chi2, chi2_p_values = chi2_tests(p, q)
        floors, lower, upper = self._limits(rows)
        terms = psi_terms(p, q)
        assert terms is not None  # noqa: S101 - each has rows
        return {
            "divergences": divergences, "chi2_statistic": _or_none(chi2), "chi2_p_value": _or_none(chi2_p_values),
            "noise_floor": _or_none(floors), "lower": _or_none(lower), "upper": _or_none(upper),
            "ks_p_value": _or_none(self._ks_p_values(rows, divergences)), **self._shares(rows, pairs),
            "shifts": (explain(x.baseline.buckets, x.coarse, *row) for x, *row in zip(pairs, p, q, terms, strict=True)),
            "contributions": _contributions(pairs, p, q, terms),
        }  # fmt: skip

    def _limits(self, rows: list[int]) -> Sequence[NDArray[np.float64]]:
        metric = self.rules[0].metric
        if metric not in WITH_THRESHOLD:
            return [np.full(len(rows), np.nan)] * 3
        return self.decided.tested.limits(metric, np.array([self.rules[i].alpha for i in rows]))

    def _ks_p_values(self, rows: list[int], divergences: Sequence[Divergences]) -> NDArray[np.float64]:
        statistics = np.array([np.nan if x.ks_statistic is None else x.ks_statistic for x in divergences])
        known, found = np.flatnonzero(~np.isnan(statistics)), np.full(len(rows), np.nan)
        if len(known):
            n, m = (side[rows].sum(axis=-1)[known].astype(np.float64) for side in self.sides.regular)
            found[known] = ks_p_values(statistics[known], n, m)
        return found

    def _shares(self, rows: list[int], pairs: Sequence[Compared]) -> dict[str, Iterable[Any]]:
        """What days make of the rows, and the shares of rows that have no value of training."""
        correlations = [pair.restless.correlation if pair.restless else None for pair in pairs]
        n, m = self.decided.n_baseline[rows], self.decided.n_current[rows]
        effective = effective_rows_of_each([x or 0.0 for x in correlations], [x.clumping.current for x in pairs], m)
        baseline, current, codes = self.sides.baseline[rows], self.sides.current[rows], self.sides.buckets.codes
        unseen = (current[:, codes.index(UNSEEN)] / m).tolist() if UNSEEN in codes else [None] * len(rows)
        return {
            "n_effective": effective.astype(np.int64).tolist(), "day_correlation": correlations,
            "null_share_baseline": (baseline[:, codes.index(NULL)] / n).tolist(),
            "null_share_current": (current[:, codes.index(NULL)] / m).tolist(),
            "unseen_share": [share if pair.unseen_known else None for share, pair in zip(unseen, pairs, strict=True)],
        }  # fmt: skip


def _or_none(column: NDArray[np.float64]) -> list[float | None]:
    return [None if isnan(value) else value for value in column.tolist()]


def _contributions(
    pairs: Sequence[Compared], p: Counts, q: Counts, terms: NDArray[np.float64]
) -> Iterator[tuple[Contribution, ...]]:
    shares = ((side / side.sum(axis=-1, keepdims=True)).tolist() for side in (p, q))
    for pair, *columns in zip(pairs, *shares, terms.tolist(), strict=True):
        rows = zip(pair.coarse.names, *columns, strict=True)
        yield tuple(Contribution(name, a, b, term) for name, a, b, term in rows if a > 0 or b > 0)


def settle(verdicts: Sequence[Verdict], alpha: float) -> list[Verdict]:
    """Adjust the p-values of all evaluated verdicts of a window for their number (Holm) and fix each status."""
    tested = [i for i, verdict in enumerate(verdicts) if verdict.p_value is not None]
    settled = list(verdicts)
    found = adjusted(np.array([verdicts[i].p_value for i in tested], dtype=np.float64))
    for i, p_adjusted, is_drift in zip(tested, found.tolist(), is_drifted(found, alpha).tolist(), strict=True):
        settled[i] = replace(verdicts[i], p_adjusted=p_adjusted, status="drift" if is_drift else "ok")
    return settled


def is_drifted(p_adjusted: NDArray[np.float64], alpha: float) -> NDArray[np.bool_]:
    """Which of the tests of a window drifted, by their adjusted p-values; NaN, which was not evaluated, did not."""
    return p_adjusted < alpha


def _too_few_rows(n: int, m: int, min_rows: int) -> str:
    """Why rows that are not enough are not."""
    if n < max(1, min_rows):
        return f"too few rows in the baseline: {n} of at least {max(1, min_rows)}"
    return f"too few rows: {m} of at least {min_rows}" if m else "no rows"


def share_drifted(verdicts: Sequence[Verdict]) -> float | None:
    """The drifted share (0..1) of the evaluated verdicts; None when none was evaluated."""
    evaluated = [verdict for verdict in verdicts if verdict.status in ("ok", "drift")]
    return sum(verdict.status == "drift" for verdict in evaluated) / len(evaluated) if evaluated else None


def dataset_drifted(verdicts: Sequence[Verdict], limit: float) -> bool:
    """Whether more than `limit` of the evaluated verdicts drifted."""
    return (share_drifted(verdicts) or 0.0) > limit
