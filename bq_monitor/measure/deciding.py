"""What decides the verdicts of many tests, from arrays of counts: values, scores and p-values. Pure.

One pair of histograms is the case of one row (`verdict.judge`). Millions of tests are decided feature by feature, `Sides` of all its
segments and windows at a time; the p-values of a window are then corrected together (`significance.adjusted`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.divergence import of_each, rows_of
from bq_monitor.measure.histogram import Buckets, Counts, coarse_counts
from bq_monitor.measure.pooling import Layout, Rows, pool_each
from bq_monitor.measure.restlessness import DayEffects, effective_rows_of_each, widenings
from bq_monitor.measure.significance import Floats, Laws, central_p_values, chi2_tests, ks_p_values

WITH_THRESHOLD = ("js_distance", "psi")
"""The metrics whose true value is compared with a threshold; the others test whether anything changed at all."""


@dataclass(frozen=True)
class Sides:
    """Both sides of many tests, of one feature or of several that have as many fine and as many coarse buckets of the same kind.

    Args:
        buckets: the fine buckets, or those of any of the features.
        starts: the first fine bucket of each coarse one, as `Coarse.starts`.
        baseline, current: fine counts, one row a test; `starts` and `baseline` are broadcast to the leading axes of `current`,
            so that one baseline serves many windows.
        days: how the rows of each test lie in days; None where they count as independent.
    """

    buckets: Buckets
    starts: NDArray[np.intp]
    baseline: Counts
    current: Counts
    days: DayEffects | None = None

    @cached_property
    def coarse(self) -> tuple[Floats, Floats]:
        """Coarse counts, shape `(tests, coarse buckets)`; whole numbers."""
        current, baseline = (
            coarse_counts(self.starts, side).astype(np.float64) for side in (self.current, self.baseline)
        )
        baseline = np.broadcast_to(baseline, current.shape)
        return baseline.reshape(-1, current.shape[-1]), current.reshape(-1, current.shape[-1])

    @property
    def regular(self) -> tuple[Counts, Counts]:
        """Fine counts of the buckets that are not special, shape `(tests, regular buckets)`."""
        n, shape = self.buckets.n_regular, self.current.shape
        baseline, current = (
            np.broadcast_to(side, shape)[..., :n].reshape(len(self), n) for side in (self.baseline, self.current)
        )
        return baseline, current

    @property
    def layout(self) -> Layout:
        return Layout.of(self.buckets, self.starts.shape[-1])

    def __len__(self) -> int:
        return int(np.prod(self.current.shape[:-1]))


@dataclass(frozen=True)
class Decided:
    """What decides many verdicts; arrays, one element a test. The numbers are NaN where a side has too few rows.

    Args:
        value: the deciding metric; of the pooled counts, which the test is made of.
        drift_score: JS distance less what chance gives at these sample sizes, 0..1: comparable between small and large windows.
        p_value: not yet corrected for how many tests there are.
        enough: which tests had rows enough.
        is_ks, tested: of those alone: whether KS decides (where it was asked for and there is no order, chi-square does), and what
            else there is to say of them.
    """

    n_baseline: NDArray[np.int64]
    n_current: NDArray[np.int64]
    value: Floats
    drift_score: Floats
    p_value: Floats
    enough: NDArray[np.bool_]
    is_ks: NDArray[np.bool_]
    tested: Tested


def decide(sides: Sides, metric: str, thresholds: Floats, min_rows: NDArray[np.int64] | int) -> Decided:
    """Decide many tests by one metric; `thresholds`, one a test, count for those of `WITH_THRESHOLD`.

    KS does not see NULLs, and restlessness weakens the evidence of every bucket, also of those that never moved. So there the
    share of special rows is tested apart, and the smaller of the two p-values counts twice (Bonferroni).
    """
    p, q = sides.coarse
    n, m, least = rows_of(p), rows_of(q), np.maximum(1, min_rows)
    enough = (n >= least) & (m >= least)
    rows = np.flatnonzero(enough)
    if len(rows) < len(p):
        p, q, thresholds = p[rows], q[rows], thresholds[rows]
    days = DayEffects.none(len(p)) if sides.days is None else sides.days[rows]
    deciding = metric if metric in WITH_THRESHOLD else "chi2_statistic"
    tested = Tested.of(pool_each(sides.layout, p, q), days, {deciding, "js_distance"}, (n[rows], m[rows]))
    value, p_values = tested.values[deciding], tested.p_values(deciding, thresholds)
    is_ks = np.zeros(len(rows), dtype=np.bool_)
    if metric == "ks_statistic" and sides.layout.is_ordered:
        found, of_ks = _ks(sides, rows, days)
        is_ks = ~np.isnan(found)
        value, p_values = np.where(is_ks, found, value), np.where(is_ks, of_ks, p_values)
    apart = np.flatnonzero(is_ks | days.is_restless)
    if len(apart):
        of_baseline, of_current = (_apart(sides.layout, side)[apart] for side in (p, q))
        part, sizes = (np.arange(len(apart)), of_baseline, of_current), (n[rows[apart]], m[rows[apart]])
        special = Tested.of([part], days[apart].of_special, [deciding], sizes).p_values(deciding, thresholds[apart])
        p_values[apart] = np.minimum(1.0, 2 * np.minimum(p_values[apart], special))
    value, scores, p_values = (_spread(column, enough) for column in (value, tested.drift_scores, p_values))
    return Decided(n.astype(np.int64), m.astype(np.int64), value, scores, p_values, enough, is_ks, tested)


def _spread(found: Floats, enough: NDArray[np.bool_]) -> Floats:
    """What was found of the tests with rows enough, in its place among all."""
    if len(found) == len(enough):
        return found
    spread = np.full(len(enough), np.nan)
    spread[enough] = found
    return spread


@dataclass(frozen=True)
class Tested:
    """What tests are made of: by metric the values of the pooled counts; arrays, one element a test."""

    values: Mapping[str, Floats]
    n_buckets: Floats
    n_baseline: Floats
    n_current: Floats
    days: DayEffects

    @classmethod
    def of(
        cls,
        parts: Iterable[tuple[Rows, Floats, Floats]],
        days: DayEffects,
        metrics: Iterable[str],
        sizes: tuple[Floats, Floats],
    ) -> Tested:
        """Of pooled counts in parts: which tests, and counts of shape `(these tests, buckets)`; `sizes` are the rows of both sides."""
        values = {metric: np.zeros(len(sizes[0])) for metric in metrics}
        n_buckets = np.zeros(len(sizes[0]))
        for rows, p, q in parts:
            n_buckets[rows] = rows_of((p + q > 0).astype(np.float64))
            for metric, found in values.items():
                found[rows] = _METRICS[metric](p, q)
        return cls(values, n_buckets, *sizes, days)

    @property
    def can_differ(self) -> NDArray[np.bool_]:
        """With a single bucket nothing can."""
        return self.n_buckets > 1

    @property
    def drift_scores(self) -> Floats:
        return np.where(self.can_differ, self.laws("js_distance").corrected(self.values["js_distance"]), 0.0)

    @cached_property
    def _wide(self) -> tuple[Floats, Floats]:
        return widenings(self.days, np.maximum(2, self.n_buckets), self.n_baseline, self.n_current)

    def laws(self, metric: str) -> Laws:
        """The laws that this metric obeys; of a single bucket as if there were two."""
        return Laws.of(metric, np.maximum(2, self.n_buckets), self.n_baseline, self.n_current, self._wide)

    def p_values(self, metric: str, thresholds: Floats) -> Floats:
        """Of a value above the threshold, or of any change by chi-square; 1 where nothing can differ."""
        if metric in WITH_THRESHOLD:
            found = self.laws(metric).p_values(self.values[metric], thresholds)
        else:
            scale, df = self._wide
            found = central_p_values(self.values[metric] / scale, df)
        return np.where(self.can_differ, found, 1.0)

    def limits(self, metric: str, alphas: Floats) -> tuple[Floats, Floats, Floats]:
        """Noise floor, lower and upper bound of a metric that has a threshold; 0 where nothing can differ."""
        laws = self.laws(metric)
        lower, upper = laws.bounds(self.values[metric], alphas)
        floor, lower, upper = (np.where(self.can_differ, found, 0.0) for found in (laws.noise_floors, lower, upper))
        return floor, lower, upper


_METRICS = {
    "js_distance": lambda p, q: of_each("js_distance", p, q), "psi": lambda p, q: of_each("psi", p, q),
    "chi2_statistic": lambda p, q: chi2_tests(p, q)[0],
}  # fmt: skip


def _apart(layout: Layout, counts: Floats) -> Floats:
    """The values, and the special rows: counts of two buckets."""
    special = sum((counts[:, i] for i in layout.set_apart), start=np.zeros(len(counts)))
    return np.stack([rows_of(counts) - special, special], axis=-1)


def _ks(sides: Sides, rows: Rows, days: DayEffects) -> tuple[Floats, Floats]:
    """KS statistics and their p-values, NaN where a side has no regular rows; a shift of the whole order is one direction."""
    p, q = (side[rows] for side in sides.regular)
    found, p_values = of_each("ks_statistic", p, q), np.full(len(rows), np.nan)
    known = np.flatnonzero(~np.isnan(found))
    n, m = (
        effective_rows_of_each(days.along_a_line, clumping, side.sum(axis=-1))[known]
        for clumping, side in ((days.baseline, p), (days.current, q))
    )
    p_values[known] = ks_p_values(found[known], n, m)
    return found, p_values
