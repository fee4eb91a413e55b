"""How days differ beyond chance: the intra-class correlation of days, what it does to a test, and what rows are then worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from bq_monitor.measure.histogram import NULL, Buckets, Coarse, Histogram
from bq_monitor.measure.restlessness import (
    MAX_CORRELATION,
    MIN_DAYS,
    Clumping,
    DayEffects,
    Restlessness,
    clumping_of,
    effective_rows,
    restlessness,
    widenings,
)
from bq_monitor.measure.verdict import Rule, judge, settle

Counts = NDArray[np.int64]
CERTAIN = 10**12
"""Days after which a correlation is known exactly, so that numbers by hand need no margin for doubt."""
PALINDROME = [[40, 60], [60, 40], [60, 40], [40, 60], [40, 60], [60, 40], [60, 40], [40, 60]]
"""Eight days of 100 rows, ten points off the mean to either side, without any slope."""
UNEVEN = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])


def measured(days: object) -> Restlessness:
    found = restlessness(np.asarray(days))
    assert found is not None
    return found


def clustered(rng: np.random.Generator, base: NDArray[np.float64], correlation: float, rows: list[int]) -> Counts:
    """Dirichlet-multinomial days (beta-binomial with two buckets) of a known intra-class correlation."""
    shares = rng.dirichlet(base * (1 - correlation) / correlation, len(rows))
    return rng.multinomial(rows, shares)


def test_the_clumping_of_equal_days_is_one_by_their_number() -> None:
    """A single day clumps fully, n equal days by 1 / n, unequal ones more; no rows do not clump, and empty days add nothing."""
    assert clumping_of([250]) == 1.0
    assert clumping_of([30] * 5) == pytest.approx(0.2)
    assert clumping_of([30, 10]) == pytest.approx(10 / 16)
    assert clumping_of([30, 0, 10]) == clumping_of([30, 10])
    assert clumping_of([]) == clumping_of([0, 0]) == 0.0


def test_fewer_than_seven_days_say_nothing() -> None:
    """Six days are too few and seven are enough; a day without rows is no day."""
    assert restlessness(PALINDROME[: MIN_DAYS - 1]) is None
    assert measured(PALINDROME[:MIN_DAYS]).n_days == MIN_DAYS
    assert restlessness([*PALINDROME[: MIN_DAYS - 1], [0, 0]]) is None
    assert restlessness(np.zeros((9, 2))) is None
    assert measured([[0, 0], *PALINDROME, [0, 0]]).n_days == 8


def test_a_single_bucket_cannot_be_restless() -> None:
    """One bucket with rows, whatever others are defined: there are no shares that could move."""
    assert restlessness([[100]] * 10) is None
    assert restlessness([[100, 0, 0]] * 10) is None


def test_the_correlation_by_hand() -> None:
    """Days ten points off: 100 x 8 x 0.01 / 6 / 0.25 = 16/3 of the variance of chance, so (16/3 - 1) / 99."""
    found = measured(PALINDROME)
    assert found.correlation == pytest.approx(13 / 297)
    assert found.directions == 1.0


def test_equal_days_agree_with_an_independent_formula(rng: np.random.Generator) -> None:
    """Of two buckets: the residual variance of the daily share about numpy's straight line, in units of p (1 - p) / n."""
    n, n_days = 400, 30
    days = clustered(rng, np.array([0.3, 0.7]), 0.02, [n] * n_days)
    shares, when = days[:, 0] / n, np.arange(n_days)
    residuals = shares - np.polyval(np.polyfit(when, shares, 1), when)
    p = shares.mean()
    design_effect = n * (residuals**2).sum() / (n_days - 2) / (p * (1 - p))
    assert measured(days).correlation == pytest.approx((design_effect - 1) / (n - 1))


@pytest.mark.parametrize(
    ("base", "correlation", "within"),
    [
        (np.array([0.4, 0.6]), 0.05, 0.25),  # one standard error is sqrt(2 / 400) = 7 %
        (np.full(10, 0.1), 0.05, 0.09),  # nine directions: 2.4 %
        (UNEVEN, 0.02, 0.12),
    ],
    ids=["beta-binomial", "even", "uneven"],
)
@pytest.mark.parametrize("is_even", [True, False], ids=["equal days", "unequal days"])
def test_a_known_correlation_is_recovered(
    rng: np.random.Generator, base: NDArray[np.float64], correlation: float, within: float, is_even: bool
) -> None:
    """400 simulated days with a known correlation: found within about four standard errors, for days of any size."""
    rows = [2000] * 400 if is_even else rng.integers(1000, 5000, 400).tolist()
    found = measured(clustered(rng, base, correlation, rows))
    assert found.correlation == pytest.approx(correlation, rel=within)


def test_independent_rows_are_not_restless(rng: np.random.Generator) -> None:
    """Days that differ by chance alone: mean correlation of 200 references below a thousandth of what days of 500 rows could show."""
    found = [measured(rng.multinomial([500] * 60, UNEVEN)) for _ in range(200)]
    assert np.mean([item.correlation for item in found]) < 2e-4  # sd of one: sqrt(2 / (9 x 58)) / 499 = 1.2e-4
    assert any(item == Restlessness(0.0, item.directions, 60, item.n_buckets) for item in found)


def test_rare_buckets_are_compared_as_one(rng: np.random.Generator) -> None:
    """Five hundred labels of a row in five days each count as one bucket of a hundred: the correlation is that of what they are together."""
    together = clustered(rng, np.array([0.8, 0.2]), 0.05, [500] * 60)
    rare = np.array([rng.multinomial(n, np.full(500, 0.002)) for n in together[:, 1]])
    split = measured(np.column_stack([together[:, 0], rare]))
    assert split.correlation == pytest.approx(measured(together).correlation)
    assert split.directions == 1.0


def test_a_straight_trend_is_not_restlessness(rng: np.random.Generator) -> None:
    """A share that climbs from 30 % to 70 % in sixty days is drift; of the same days shuffled it would be restlessness."""
    climbing = np.linspace(0.3, 0.7, 60)
    days = rng.multinomial([1000] * 60, np.column_stack([climbing, 1 - climbing]))
    assert measured(days).correlation < 1e-3
    assert measured(rng.permutation(days)).correlation > 0.02


def test_days_that_move_along_one_line_have_one_direction(rng: np.random.Generator) -> None:
    """Two mixes in changing proportion: one direction, however many buckets; Dirichlet days: about as many as can move."""
    mixes = np.array([UNEVEN, UNEVEN[::-1]])
    proportion = rng.uniform(0.2, 0.8, 200)
    along_a_line = rng.multinomial([2000] * 200, np.column_stack([proportion, 1 - proportion]) @ mixes)
    assert measured(along_a_line).directions == pytest.approx(1, abs=0.1)
    anywhere = clustered(rng, np.full(10, 0.1), 0.05, [2000] * 200)
    assert measured(anywhere).directions == pytest.approx(9, abs=1)


def test_the_directions_of_few_days_are_not_too_few(rng: np.random.Generator) -> None:
    """Nine directions measured on sixteen days: six on average is what spread eigenvalues alone would say (9 x 14 / 23); not here."""
    found = [measured(clustered(rng, np.full(10, 0.1), 0.1, [2000] * 16)).directions for _ in range(300)]
    assert np.mean(found) > 7.5


def test_the_directions_of_chance_are_left_out(rng: np.random.Generator) -> None:
    """Days along one line, moving little more than chance does: chance has nine directions, the moves still have one."""
    days = _bent(rng, 4000, 120)
    assert measured(days).correlation * 119 * 9 < 6  # the line's excess variance, where chance has 1 in each direction
    assert measured(days).directions == pytest.approx(1, abs=0.3)


def _bent(rng: np.random.Generator, n_days: int, rows: int) -> Counts:
    """Days of ten buckets that mix two profiles in changing proportion."""
    proportion = rng.uniform(0.3, 0.7, n_days)
    mixes = np.array([UNEVEN, UNEVEN[::-1]])
    return rng.multinomial([rows] * n_days, np.column_stack([proportion, 1 - proportion]) @ mixes)


def test_the_correlation_is_capped() -> None:
    """Days of all one and all the other label correlate fully; the monitor takes 0.2 and keeps its sight."""
    wild = np.where(np.array(PALINDROME) == 40, 0, 100)
    assert measured(wild) == Restlessness(MAX_CORRELATION, 1.0, 8, 2)


def widening(found: Restlessness | None, clumping: Clumping, *sizes: int) -> tuple[float, float]:
    """Scale and degrees of freedom of one test, of these buckets, rows of the baseline, rows now."""
    scale, df = widenings(DayEffects.of([found], [clumping]), *np.array(sizes, dtype=np.float64)[:, None])
    return float(scale[0]), float(df[0])


@pytest.mark.parametrize("found", [None, Restlessness(0.0, 4.0, 60, 5)], ids=["unknown", "none"])
def test_without_restlessness_nothing_widens(found: Restlessness | None) -> None:
    """Not measured or measured as none: the chi-square of always."""
    assert widening(found, Clumping(1, 1), 5, 100, 100) == (1.0, 4.0)


def test_rows_of_unknown_days_count_as_independent() -> None:
    """Restlessness says nothing about rows whose days are not known."""
    found = Restlessness(0.1, 2.0, 60, 5)
    assert widening(found, Clumping(), 5, 100, 100) == (1.0, 4.0)


@dataclass(frozen=True)
class ByHand:
    """100 rows in two days on either side: (0.5 + 0.5) x 50 = 50 rows a cluster, excess 0.1 x 49 = 4.9 on four directions."""

    directions: float
    n_days: int = CERTAIN
    n_buckets: int = 5
    measured_in: int = 5

    def widening(self) -> tuple[float, float]:
        found = Restlessness(0.1, self.directions, self.n_days, self.measured_in)
        return widening(found, Clumping(0.5, 0.5), self.n_buckets, 100, 100)


def test_restlessness_in_every_direction_scales_the_statistic() -> None:
    """Each of the four directions has variance 5.9: the scale is that, the degrees of freedom stay; of fewer buckets as well."""
    for case, df in ((ByHand(4.0), 4), (ByHand(4.0, n_buckets=3), 2)):
        assert case.widening() == pytest.approx((5.9, df), rel=1e-4)


def test_restlessness_along_one_line_takes_degrees_of_freedom() -> None:
    """Variances 20.6, 1, 1, 1: sum 23.6, squares 427.36. The scale is their ratio, the degrees of freedom sum^2 / squares."""
    assert ByHand(1.0).widening() == pytest.approx((427.36 / 23.6, 23.6**2 / 427.36), rel=1e-4)


def test_few_days_leave_a_margin() -> None:
    """Ten days and one direction: the correlation is taken sqrt(2 / 8) = one half larger, the excess 7.35 instead of 4.9."""
    assert ByHand(1.0, n_days=10, n_buckets=2, measured_in=2).widening() == pytest.approx((8.35, 1.0))


def test_unequal_sides_by_hand() -> None:
    """1,000 rows in ten days against 100 in one: (0.1 + 1) x 1000 x 100 / 1100 = 100 rows a cluster."""
    found = Restlessness(0.02, 1.0, CERTAIN, 2)
    assert widening(found, Clumping(0.1, 1.0), 2, 1000, 100) == pytest.approx((1 + 0.02 * 99, 1.0), rel=1e-4)


def test_the_widening_is_the_variance_of_simulated_days(rng: np.random.Generator) -> None:
    """Mean and variance of Pearson's statistic over 3,000 pairs of clustered samples are those of scale x chi-square(df)."""
    base, rows, correlation = np.full(5, 0.2), 200, 0.03
    days = np.array([clustered(rng, base, correlation, [rows] * 8) for _ in range(3000)])
    p, q = days[:, :7].sum(axis=1), days[:, 7]
    n, m = 7 * rows, rows
    statistic = ((p / n - q / m) ** 2 / base).sum(axis=1) * n * m / (n + m)
    found = Restlessness(correlation, 4.0, CERTAIN, 5)
    scale, df = widening(found, Clumping(1 / 7, 1.0), 5, n, m)
    assert statistic.mean() == pytest.approx(scale * df, rel=0.06)
    assert statistic.var() == pytest.approx(2 * scale**2 * df, rel=0.15)


def test_effective_rows_are_those_of_kish() -> None:
    """n / (1 + rho (rows of a day - 1)): one day of 1,000 rows is worth ten, in ten days they are worth 92."""
    assert effective_rows(0.1, 1.0, 1000) == round(1000 / 100.9) == 10
    assert effective_rows(0.1, 0.1, 1000) == round(1000 / 10.9) == 92
    assert effective_rows(0.1, 0.0, 1000) == effective_rows(0.0, 1.0, 1000) == 1000
    assert effective_rows(0.1, 0.0, 0) == 0
    assert effective_rows(0.1, 1.0, 1) == 1


def test_pooled_buckets_keep_what_moves_along_the_line() -> None:
    """Five buckets measured, two tested, one direction: all of the excess 4 x 0.1 x 49 = 19.6 is in the one degree left."""
    assert ByHand(1.0, n_buckets=2).widening() == pytest.approx((20.6, 1.0), rel=1e-4)


def test_a_day_is_worth_two_rows_at_least() -> None:
    """However wild along one line: 19 x 0.2 would be 3.8, taken is 0.5."""
    assert Restlessness(MAX_CORRELATION, 1.0, CERTAIN, 20).along_a_line == 0.5


@pytest.mark.parametrize("metric", ["js_distance", "psi", "chi2_statistic", "ks_statistic"])
def test_nulls_are_seen_on_the_wildest_feature(metric: str, rng: np.random.Generator) -> None:
    """Days whose mean moves more than its values do, never a NULL: a day of NULLs alone is drift, a healthy one is not."""
    buckets = Buckets("numeric", edges=tuple(np.linspace(-3, 3, 9).tolist()))
    means = rng.normal(0, 1.5, 61)
    days = [np.bincount(np.searchsorted(buckets.edges, rng.normal(m, 1, 1000)), minlength=14) for m in means]
    reference = Histogram(buckets, np.sum(days[:60], axis=0))
    coarse = Coarse.of(reference, 10)
    found = restlessness(np.array([coarse.counts(Histogram(buckets, day)) for day in days[:60]]), coarse.special)
    nulls = Histogram.from_pairs(buckets, [(NULL, 1000)])
    gone, well = (
        judge(reference, day, Rule(metric=metric), restless=found, clumping=Clumping(1 / 60, 1.0))
        for day in (nulls, Histogram(buckets, days[60]))
    )
    assert gone.p_value is not None
    assert well.p_value is not None
    assert gone.p_value < 1e-9
    assert well.p_value > 0.01


def test_few_rows_a_day_are_enough(rng: np.random.Generator) -> None:
    """Deciles of thirty rows a day, three a bucket: the correlation is measured all the same."""
    days = np.array([clustered(rng, np.full(10, 0.1), 0.05, [30])[0] for _ in range(180)])
    found = restlessness(days)
    assert found is not None
    assert found.n_buckets == 10
    assert found.correlation == pytest.approx(0.05, rel=0.25)


def test_without_any_day_nothing_is_measured() -> None:
    """An empty list, or days of no rows."""
    assert restlessness([]) is None
    assert restlessness(np.zeros((30, 4))) is None


TEN = Buckets("ordinal", labels=tuple("abcdefghij"))


def histogram(counts: Counts) -> Histogram:
    return Histogram.from_pairs(TEN, enumerate(counts.tolist()))


@pytest.mark.parametrize("metric", ["js_distance", "psi", "chi2_statistic", "ks_statistic"])
def test_restlessness_weakens_the_evidence_of_every_metric(metric: str) -> None:
    """The same counts, of days known to differ: the distances stay, the p-value grows, and a day's rows are worth fewer."""
    baseline = histogram(np.full(10, 1000))
    current = histogram(np.array([160, 140, 120, 100, 100, 100, 90, 80, 60, 50]))
    found = Restlessness(0.02, 9.0, 60, 10)
    rule = Rule(metric=metric, threshold=0.05)
    naive = judge(baseline, current, rule)
    aware = judge(baseline, current, rule, restless=found, clumping=Clumping(0.1, 1.0))
    assert aware.divergences == naive.divergences
    assert naive.p_value is not None
    assert aware.p_value is not None
    assert aware.p_value > 2 * naive.p_value
    assert (naive.n_effective, naive.day_correlation) == (1000, None)
    assert (aware.n_effective, aware.day_correlation) == (round(1000 / (1 + 0.02 * 999)), 0.02)


def test_days_that_always_differ_raise_no_alarm(rng: np.random.Generator) -> None:
    """Dirichlet days, nothing changed: most windows of a day alarm naively, none of eighty when the days are known."""
    base, correlation = np.full(10, 0.1), 0.04
    naive, aware, changed = [], [], []
    clumping = Clumping(1 / 60, 1.0)
    for _ in range(80):
        days = clustered(rng, base, correlation, [500] * 61)
        found = measured(days[:60])
        baseline, current = histogram(days[:60].sum(axis=0)), histogram(days[60])
        moved = histogram(clustered(rng, UNEVEN**2 / (UNEVEN**2).sum(), correlation, [500])[0])
        naive.append(judge(baseline, current, Rule()))
        aware.append(judge(baseline, current, Rule(), restless=found, clumping=clumping))
        changed.append(judge(baseline, moved, Rule(), restless=found, clumping=clumping))
    alone = [settle([verdict], 0.01)[0].status for verdict in naive]
    assert alone.count("drift") > 40
    assert {verdict.status for verdict in settle(aware, 0.01)} == {"ok"}
    assert [settle([verdict], 0.01)[0].status for verdict in changed].count("drift") > 70
