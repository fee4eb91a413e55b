"""Many tests at once: each as it would be alone, and as scipy and the definitions have it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import distance

from bq_monitor.measure import divergence
from bq_monitor.measure.deciding import Decided, Sides, decide
from bq_monitor.measure.divergence import measure, measure_each, of_each
from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Buckets, Coarse, Histogram, Kind, Moments, coarse_counts
from bq_monitor.measure.pooling import Layout, pool_each
from bq_monitor.measure.restlessness import Clumping, DayEffects, Restlessness, widenings
from bq_monitor.measure.significance import Laws, adjusted, chi2_test, chi2_tests, holm
from bq_monitor.measure.verdict import Compared, Rule, Verdict, compared, judge, verdicts_of
from tests.measure.zoo import edges_of, numeric

METRICS = ("js_distance", "psi", "chi2_statistic", "ks_statistic")
RESTLESS = (
    None,
    Restlessness(0.0, 3.0, 30, 8, 0.01),
    Restlessness(0.004, 1.7, 40, 10, 0.002),
    Restlessness(0.2, 4.0, 9, 5),
)


def random_buckets(rng: np.random.Generator) -> Buckets:
    kind: Kind = rng.choice(["numeric", "timestamp", "ordinal", "categorical", "boolean"])  # type: ignore[assignment]
    if kind in ("numeric", "timestamp"):
        return Buckets(kind, edges=tuple(np.sort(rng.normal(size=rng.choice([0, 1, 7, 61]))).tolist()))
    n = 2 if kind == "boolean" else int(rng.choice([0, 1, 5, 24]))
    return Buckets(kind, labels=tuple(f"label {i}" for i in range(n)))


def random_pair(rng: np.random.Generator) -> Compared:
    """Histograms with empty buckets and specials, of none to a million rows, equal or far apart, of restless days or not."""
    buckets = random_buckets(rng)
    shares = rng.dirichlet(np.full(len(buckets.codes), rng.choice([0.2, 2.0])))
    shares[buckets.n_regular :] *= rng.choice([0, 0.1], len(shares) - buckets.n_regular)
    moved = shares * np.exp(rng.choice([0, 0.2, 2]) * rng.normal(size=len(shares)))
    sides = []
    for weights in (shares, moved):
        if not weights.sum():
            weights = np.ones(len(weights))  # noqa: PLW2901 - the labels were all special
        counts = rng.multinomial(int(rng.choice([0, 3, 60, 900, 20_000, 10**6])), weights / weights.sum())
        sides.append(Histogram(buckets, counts))
    return compared(
        *sides, Coarse.of(sides[0]), unseen_known=bool(rng.integers(2)), n_singletons=int(rng.integers(3)) if sides[0].n_of(OTHER) > 3 else 0,
        restless=RESTLESS[rng.integers(len(RESTLESS))], clumping=Clumping(*rng.choice([0, 1 / 30, 1 / 7, 1], 2)),
    )  # fmt: skip


def assert_same(found: Any, alone: Any) -> None:
    """Equal to the last digit but for p-values, whose sums may be taken in another order."""
    for item in fields(found):
        ours, theirs = getattr(found, item.name), getattr(alone, item.name)
        if item.name == "p_value" and theirs is not None:
            assert ours == pytest.approx(theirs, rel=1e-9, abs=0), item.name
        else:
            assert ours == theirs, item.name


@pytest.mark.parametrize("metric", METRICS)
def test_each_verdict_of_many_is_as_it_would_be_alone(metric: str, rng: np.random.Generator) -> None:
    """Whatever kinds, sizes, thresholds and days lie beside it; brief verdicts have the same score and p-value."""
    pairs = [random_pair(rng) for _ in range(150)]
    rules = [
        Rule(metric, threshold=float(rng.choice([0.0, 0.05, 0.3])), min_rows=int(rng.choice([0, 50]))) for _ in pairs
    ]
    found = verdicts_of(pairs, rules)
    assert {verdict.status for verdict in found} == {"ok", "not_evaluated"}
    for verdict, pair, rule in zip(found, pairs, rules, strict=True):
        assert_same(verdict, pair.verdict(rule))
    for verdict, brief in zip(found, verdicts_of(pairs, rules, is_brief=True), strict=True):
        decisive = (
            "status",
            "reason",
            "metric",
            "threshold",
            "p_value",
            "drift_score",
            "n_baseline",
            "n_current",
            "alpha",
        )
        assert [getattr(brief, name) for name in decisive] == [getattr(verdict, name) for name in decisive]
        assert not brief.contributions


def deciles(rng: np.random.Generator, n_tests: int, spread: float) -> Sides:
    """Tests of ten full buckets that share a baseline, and windows that are further and further away."""
    buckets = Buckets("numeric", edges=tuple(float(i) for i in range(9)))
    baseline = np.concatenate([rng.multinomial(30_000, np.full(10, 0.1)), np.zeros(4, dtype=np.int64)])
    tilts = np.exp(np.linspace(0, spread, n_tests)[:, None] * np.linspace(-1, 1, 10))
    current = np.pad(rng.multinomial(3000, tilts / tilts.sum(axis=1, keepdims=True)), [(0, 0), (0, 4)])
    return Sides(buckets, Coarse.of(Histogram(buckets, baseline)).starts, baseline, current)


def decided(sides: Sides, metric: str, threshold: float) -> Decided:
    return decide(sides, metric, np.full(len(sides), threshold), 50)


def test_values_and_p_values_are_those_of_scipy(rng: np.random.Generator) -> None:
    """JS distance, PSI, Pearson's chi-square and KS of forty windows, from unchanged to far away."""
    sides = deciles(rng, 40, 0.6)
    n, m, p = 30_000, 3_000, sides.baseline[:10] / 30_000
    threshold, size = 0.05, n * m / (n + m)
    js, psi, chi2, ks = (decided(sides, metric, threshold) for metric in METRICS)
    for i, q in enumerate(sides.current[:, :10] / m):
        value = distance.jensenshannon(p, q, base=2)
        assert js.value[i] == pytest.approx(value, rel=1e-7)
        law = stats.ncx2(9, 8 * np.log(2) * size * threshold**2)
        assert js.p_value[i] == pytest.approx(law.sf(8 * np.log(2) * size * value**2), rel=1e-6, abs=1e-11)
        assert psi.value[i] == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), rel=1e-9)
        assert psi.p_value[i] == pytest.approx(
            stats.ncx2.sf(size * psi.value[i], 9, size * threshold), rel=1e-6, abs=1e-11
        )
        table = np.stack([sides.baseline[:10], sides.current[i, :10]])
        theirs = stats.chi2_contingency(table, correction=False)
        assert (chi2.value[i], chi2.p_value[i]) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
        assert ks.value[i] == pytest.approx(np.abs(np.cumsum(p - q)).max(), rel=1e-9)
        assert ks.p_value[i] == pytest.approx(
            min(1, 2 * stats.kstwo.sf(ks.value[i], round(size))), rel=0.1
        )  # twice: and NULLs
    assert (js.p_value[0], js.p_value[-1]) == (pytest.approx(1, abs=1e-3), pytest.approx(0, abs=1e-9))


def mixture(statistic: float, df: float, noncentrality: float) -> float:
    """The noncentral tail by its definition."""
    k = np.arange(int(noncentrality / 2 + statistic / 2 + 200))
    return float((stats.poisson.pmf(k, noncentrality / 2) * stats.chi2.sf(statistic, df + 2 * k)).sum())


@pytest.mark.parametrize("noncentrality", [0.01, 1.0, 30.0, 400.0, 3000.0])
@pytest.mark.parametrize("df", [1.0, 3.7, 9.0, 60.0])
def test_p_values_near_and_far_are_the_sum_that_defines_them(df: float, noncentrality: float) -> None:
    """From certainty to 1e-280, where products underflow and where they do not."""
    law = Laws("psi", np.full(60, df), np.ones(60))
    mean, spread = df + noncentrality, np.sqrt(2 * (df + 2 * noncentrality))
    values = np.maximum(0, mean + spread * np.linspace(-8, 30, 60))
    found = law.p_values(values, np.full(60, noncentrality))
    expected = np.array([mixture(value, df, noncentrality) for value in values])
    told = expected > 1e-280
    assert found[told] == pytest.approx(expected[told], rel=1e-7)
    assert (found[~told] < 1e-279).all()


@pytest.mark.parametrize("noncentrality", [50.0, 250.0, 5000.0])
def test_far_below_the_threshold_the_p_value_is_one(noncentrality: float) -> None:
    """Exactly 1 where scipy's own lower tail is below half a digit, and nowhere else."""
    values = np.linspace(0.1, 0.9 * noncentrality, 200)
    found = Laws("psi", np.full(200, 9.0), np.ones(200)).p_values(values, np.full(200, noncentrality))
    below = stats.ncx2.cdf(values, 9, noncentrality)
    assert (found[below < 1e-17] == 1).all()
    assert (found[below > 1e-16] < 1).all()
    assert (found == 1).any()


def test_thresholds_of_zero_ask_for_any_change_beside_others() -> None:
    """The central law for those alone."""
    found = Laws("psi", np.full(3, 9.0), np.ones(3)).p_values(np.full(3, 30.0), np.array([0.0, 12.0, 0.0]))
    assert found == pytest.approx([stats.chi2.sf(30, 9), stats.ncx2.sf(30, 9, 12), stats.chi2.sf(30, 9)], rel=1e-9)


def test_one_baseline_serves_many_windows(rng: np.random.Generator) -> None:
    """Three segments of different coarse buckets and five windows: each as with a baseline of its own."""
    buckets = Buckets("numeric", edges=tuple(float(i) for i in range(30)))
    baseline = np.stack([rng.multinomial(5000, rng.dirichlet(np.ones(len(buckets.codes)))) for _ in range(3)])
    coarses = [Coarse.of(Histogram(buckets, counts), n_bins=6) for counts in baseline]
    assert len({len(coarse.names) for coarse in coarses}) == 1
    assert len({tuple(coarse.starts) for coarse in coarses}) == 3
    current = rng.multinomial(700, rng.dirichlet(np.ones(len(buckets.codes)), (5, 3)))
    found = decided(
        Sides(buckets, np.stack([coarse.starts for coarse in coarses]), baseline, current), "js_distance", 0.1
    )
    alone = [
        judge(Histogram(buckets, baseline[segment]), Histogram(buckets, current[window, segment]), Rule(n_bins=6))
        for window in range(5)
        for segment in range(3)
    ]
    assert found.p_value.tolist() == pytest.approx([verdict.p_value for verdict in alone], rel=1e-9)
    assert found.drift_score.tolist() == [verdict.drift_score for verdict in alone]


def test_tests_of_too_few_rows_have_no_numbers(rng: np.random.Generator) -> None:
    """NaN in their places, the others as without them."""
    sides = deciles(rng, 6, 1.0)
    thin = sides.current.copy()
    thin[[0, 3]] = 0
    found = decided(Sides(sides.buckets, sides.starts, sides.baseline, thin), "js_distance", 0.1)
    whole = decided(sides, "js_distance", 0.1)
    assert found.enough.tolist() == [False, True, True, False, True, True]
    for column in ("value", "drift_score", "p_value"):
        assert np.isnan(getattr(found, column)).tolist() == (~found.enough).tolist()
        assert getattr(found, column)[found.enough].tolist() == pytest.approx(
            getattr(whole, column)[found.enough], rel=1e-12
        )


def pools_of(kind: Kind, n_regular: int, codes: list[int], expected: list[float]) -> list[set[int]]:
    """Which buckets are pooled, spelled out."""
    if kind == "categorical":
        rare = {i for i, code in enumerate(codes) if code >= 0 and expected[i] < 10}
        return [{*rare, codes.index(OTHER)}, *({i} for i, code in enumerate(codes) if i not in rare and code != OTHER)]
    pools: list[set[int]] = [set()]
    for i in range(n_regular):
        if expected[i] > 0:
            if sum(expected[j] for j in pools[-1]) >= 8:
                pools.append(set())
            pools[-1].add(i)
    if len(pools) > 1 and sum(expected[j] for j in pools[-1]) < 8:
        last = pools.pop()
        pools[-1] |= last
    apart = [{i} for i in range(len(codes)) if i >= n_regular or not expected[i] > 0]
    return [pool for pool in pools if pool] + apart


@pytest.mark.parametrize("kind", ["numeric", "ordinal", "categorical"])
def test_pools_are_made_as_the_rule_says(kind: Kind, rng: np.random.Generator) -> None:
    """Of 300 baselines with empty, sparse and full buckets beside each other, against the rule spelled out one by one."""
    buckets = (
        Buckets(kind, edges=tuple(map(float, range(11))))
        if kind == "numeric"
        else Buckets(kind, labels=tuple("abcdefghijkl"))
    )
    shares = rng.dirichlet(np.full(len(buckets.codes), 0.4), 300)
    baseline, current = rng.multinomial(400, shares), rng.multinomial(rng.integers(5, 1000, 300), shares)
    seen = []
    for rows, p, q in pool_each(Layout.of(buckets, len(buckets.codes)), baseline.astype(float), current.astype(float)):
        for row, a, b in zip(rows, p, q, strict=True):
            expected = baseline[row] / 400 * min(400, current[row].sum())
            pools = pools_of(kind, buckets.n_regular, list(buckets.codes), expected.tolist())
            pairs = sorted(
                (int(baseline[row, list(pool)].sum()), int(current[row, list(pool)].sum())) for pool in pools
            )
            assert sorted(zip(a.tolist(), b.tolist(), strict=True)) == pairs
            seen.append(int(row))
    assert sorted(seen) == list(range(300))


def test_coarse_counts_add_up_the_fine_ones_from_each_start() -> None:
    """By hand, with starts of their own for two segments, and two windows."""
    starts = np.array([[0, 2, 3], [0, 1, 4]])
    counts = np.arange(20).reshape(2, 2, 5)
    assert coarse_counts(starts, counts).tolist() == [[[1, 2, 7], [5, 21, 9]], [[21, 12, 27], [15, 51, 19]]]


EACH = (
    "psi",
    "kl_divergence",
    "js_divergence",
    "js_distance",
    "hellinger",
    "total_variation",
    "l_infinity",
    "ks_statistic",
    "ks_bound",
)


@pytest.mark.parametrize("metric", EACH)
def test_a_metric_of_many_pairs_is_that_of_each(metric: Any, rng: np.random.Generator) -> None:
    """To the last digit; NaN where it is None alone."""
    p, q = rng.integers(0, 4, (2, 200, 9)) * rng.integers(0, 2, (2, 200, 9)) * rng.integers(0, 2, (2, 200, 1))
    alone = [getattr(divergence, metric)(a, b) for a, b in zip(p, q, strict=True)]
    assert any(value is None for value in alone)
    assert [None if np.isnan(value) else value for value in of_each(metric, p, q).tolist()] == alone


def test_all_metrics_of_many_pairs_are_those_of_each(rng: np.random.Generator) -> None:
    """Histograms of the same edges with and without finite values: Wasserstein and moments included."""
    values = rng.normal(size=4000)
    baseline = numeric(values, edges_of(values), n_null=3)
    coarse = Coarse.of(baseline)
    windows = [numeric(rng.normal(i / 10, 1 + i / 5, 60), baseline.buckets.edges, n_null=i) for i in range(5)]
    windows += [
        numeric([], baseline.buckets.edges, n_null=9),
        replace(windows[0], moments=Moments(60, None, None, -1e200, 9.0)),
    ]
    pairs = [(baseline, window) for window in windows]
    counts = (np.stack([coarse.counts(side) for side in sides]) for sides in zip(*pairs, strict=True))
    assert measure_each(pairs, *counts) == [measure(*pair, coarse) for pair in pairs]


def test_chi_square_of_many_tables_is_that_of_each(rng: np.random.Generator) -> None:
    """Tables with empty columns and sides; NaN where there is nothing to compare."""
    tables = rng.integers(0, 30, (200, 2, 5)) * rng.integers(0, 2, (200, 2, 5)) * rng.integers(0, 2, (200, 1, 1))
    for table, statistic, p_value in zip(tables, *chi2_tests(tables[:, 0], tables[:, 1]), strict=True):
        used = table[:, table.sum(axis=0) > 0]
        if used.shape[1] < 2 or not used.sum(axis=1).all():
            assert np.isnan(statistic)
            assert chi2_test(*table) is None
        else:
            theirs = stats.chi2_contingency(used, correction=False)
            assert (statistic, p_value) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_what_was_not_evaluated_does_not_count_among_the_adjusted(rng: np.random.Generator) -> None:
    """NaN stays NaN, the others are as Holm has them alone; p-values of 1, which are not sorted, count."""
    p: NDArray[np.float64] = np.where(rng.random(60) < 0.3, 1.0, rng.random(60) ** 4)
    some = np.where(rng.random(60) < 0.4, np.nan, p)
    known = ~np.isnan(some)
    assert np.isnan(adjusted(some)).tolist() == (~known).tolist()
    assert adjusted(some)[known].tolist() == holm(some[known].tolist())
    assert adjusted(np.array([0.01, np.nan, 1.0, 0.02])).tolist() == pytest.approx(
        [0.03, np.nan, 1.0, 0.04], nan_ok=True
    )


def test_restless_days_widen_each_test_as_they_would_alone(rng: np.random.Generator) -> None:
    """By the moments that are matched: of the sum over directions, df parts of variance 1 + excess."""
    found = [RESTLESS[i] for i in rng.integers(len(RESTLESS), size=30)]
    clumping = [Clumping(*sides) for sides in rng.choice([0, 1 / 30, 1 / 7], (30, 2))]
    k, n, m = (rng.integers(low, high, 30) for low, high in ((2, 12), (100, 9000), (60, 500)))
    scale, df = widenings(DayEffects.of(found, clumping), *(sizes.astype(np.float64) for sizes in (k, n, m)))
    for i in range(30):
        restless, rows = found[i], (clumping[i].baseline + clumping[i].current) * n[i] * m[i] / (n[i] + m[i])
        excess = restless.along_a_line * max(0, rows - 1) if restless else 0.0
        moved = min(restless.directions, k[i] - 1) if restless else 0.0
        assert scale[i] * df[i] == pytest.approx(k[i] - 1 + moved * excess)  # the mean
        assert scale[i] ** 2 * df[i] == pytest.approx(k[i] - 1 - moved + moved * (1 + excess) ** 2)  # half the variance


def test_special_rows_of_restless_labels_are_tested_apart() -> None:
    """A third of the rows became NULL where days differ much: the test of these rows alone tells, whatever hides the buckets."""
    buckets = Buckets("categorical", labels=tuple("abcdefgh"))
    baseline = Histogram.from_pairs(buckets, [(i, 1000) for i in range(8)])
    current = Histogram.from_pairs(buckets, [*((i, 100) for i in range(8)), (NULL, 300), (UNSEEN, 100)])
    days = {"restless": Restlessness(0.1, 2.0, 30, 8, 0.0), "clumping": Clumping(1 / 30, 1 / 7)}
    rule = Rule(metric="chi2_statistic")
    hidden: Verdict = judge(
        baseline, current, rule, restless=Restlessness(0.1, 2.0, 30, 8, 0.2), clumping=days["clumping"]
    )  # type: ignore[arg-type]
    told: Verdict = judge(baseline, current, rule, **days)  # type: ignore[arg-type]
    two = stats.chi2_contingency([[8000, 0], [800, 400]], correction=False)
    assert told.p_value == pytest.approx(min(1, 2 * two.pvalue), abs=1e-300)
    assert hidden.p_value is not None
    assert hidden.p_value > 1e-100
