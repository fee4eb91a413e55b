"""Every divergence against scipy or a case worked by hand, from counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from bq_monitor.measure import divergence as d
from bq_monitor.measure.histogram import NULL, Buckets, Coarse, Histogram, Moments
from bq_monitor.measure.significance import chi2_test, ks_p_value
from tests.measure.zoo import edges_of, labelled, moments_of, numeric

FULL = [([50, 50], [40, 60]), ([120, 300, 80, 500], [90, 10, 400, 100]), ([1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1])]
WITH_EMPTY = [([500, 500, 0], [400, 500, 100]), ([0, 10], [10, 0]), ([3, 0, 0, 9], [0, 4, 0, 2])]


def shares(counts: list[int]) -> np.ndarray:
    return np.array(counts) / sum(counts)


@pytest.mark.parametrize(("p", "q"), FULL)
def test_kl_in_both_directions_and_psi_are_relative_entropies(p: list[int], q: list[int]) -> None:
    """KL takes current against baseline in nats, the swap the reverse; PSI is the sum of both."""
    forward, reverse = stats.entropy(shares(q), shares(p)), stats.entropy(shares(p), shares(q))
    assert d.kl_divergence(p, q) == pytest.approx(forward, abs=1e-9)
    assert d.kl_divergence(q, p) == pytest.approx(reverse, abs=1e-9)
    assert d.psi(p, q) == pytest.approx(forward + reverse, abs=1e-9)


ELSEWHERE: dict[str, tuple[Callable[..., float | None], Callable[..., float]]] = {
    "js_distance": (d.js_distance, lambda p, q: distance.jensenshannon(p, q, base=2)),
    "js_divergence": (d.js_divergence, lambda p, q: distance.jensenshannon(p, q, base=2) ** 2),
    "js_divergence_nats": (d.js_divergence_nats, lambda p, q: distance.jensenshannon(p, q) ** 2),
    "hellinger": (d.hellinger, lambda p, q: distance.euclidean(np.sqrt(p), np.sqrt(q)) / np.sqrt(2)),
    "total_variation": (d.total_variation, lambda p, q: distance.cityblock(p, q) / 2),
    "l_infinity": (d.l_infinity, distance.chebyshev),
    "ks_statistic": (d.ks_statistic, lambda p, q: distance.chebyshev(np.cumsum(p), np.cumsum(q))),
}


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize(("p", "q"), [*FULL, *WITH_EMPTY])
def test_plain_metrics_equal_scipy_empty_buckets_included(name: str, p: list[int], q: list[int]) -> None:
    """These need no rule for empty buckets: they equal scipy's on the bare shares."""
    ours, theirs = ELSEWHERE[name]
    assert ours(p, q) == pytest.approx(theirs(shares(p), shares(q)), abs=1e-9)


def test_an_empty_bucket_counts_as_half_a_row() -> None:
    """Shares 50/50/0 against 40/50/10 of 1,000 rows each: the empty bucket is 0.5 of 1,000.5 rows."""
    first, last = 500 / 1000.5, 0.5 / 1000.5
    terms = [
        (0.4 - first) * np.log(0.4 / first),
        (0.5 - first) * np.log(0.5 / first),
        (0.1 - last) * np.log(0.1 / last),
    ]
    assert terms == pytest.approx([0.022209, 0.0000001, 0.527234], abs=1e-6)
    found = d.psi_terms([500, 500, 0], [400, 500, 100])
    assert found == pytest.approx(terms, abs=1e-12)
    assert d.psi([500, 500, 0], [400, 500, 100]) == pytest.approx(0.549443, abs=1e-6)


def test_kl_follows_the_empty_bucket_rule_on_either_side() -> None:
    """10/0 against 5/5: the empty bucket is 0.5 of 10.5 rows, whichever side it is on."""
    shares_with_half = [10 / 10.5, 0.5 / 10.5]
    assert d.kl_divergence([10, 0], [5, 5]) == pytest.approx(stats.entropy([0.5, 0.5], shares_with_half), abs=1e-9)
    assert d.kl_divergence([5, 5], [10, 0]) == pytest.approx(stats.entropy(shares_with_half, [0.5, 0.5]), abs=1e-9)


def test_an_empty_bucket_says_more_in_a_larger_sample() -> None:
    """The same shares give a larger PSI from 30,000 rows than from 30: the half row respects the sample's size."""
    small, large = d.psi([15, 15, 0], [12, 15, 3]), d.psi([15000, 15000, 0], [12000, 15000, 3000])
    assert small is not None
    assert large is not None
    assert small < 0.4
    assert large > 0.8


def test_a_bucket_empty_on_both_sides_changes_nothing() -> None:
    """Adding a bucket without rows leaves PSI and KL as they were."""
    assert d.psi([30, 70, 0], [50, 50, 0]) == d.psi([30, 70], [50, 50])
    assert d.kl_divergence([30, 0, 70], [50, 0, 50]) == d.kl_divergence([30, 70], [50, 50])


@pytest.mark.parametrize("metric", [d.psi, d.kl_divergence, d.js_divergence, d.total_variation, d.ks_statistic])
@pytest.mark.parametrize("other", [[1, 2, 3], [3]])
def test_counts_of_different_buckets_are_refused(metric: Callable[..., float], other: list[int]) -> None:
    """Two against three buckets, or two against one, is an error that says so, never a broadcast."""
    with pytest.raises(ValueError, match="both sides need the same buckets"):
        metric([1, 2], other)


def test_ks_statistic_and_p_value_equal_scipy_when_each_value_is_a_bucket(rng: np.random.Generator) -> None:
    """Integers, one bucket each: the bucketed statistic is the raw one, and so is its asymptotic p-value, as it is small."""
    a, b = rng.integers(0, 30, 400), rng.integers(4, 31, 250)
    p, q = np.bincount(a, minlength=31), np.bincount(b, minlength=31)
    theirs = stats.ks_2samp(a, b, method="asymp")
    statistic = d.ks_statistic(p, q)
    assert statistic == pytest.approx(theirs.statistic, abs=1e-12)
    assert statistic is not None
    assert theirs.pvalue < 0.05
    assert ks_p_value(statistic, 400, 250) == pytest.approx(theirs.pvalue, rel=2e-5)


@pytest.mark.parametrize("n", [5, 13, 25, 50, 100, 300, 999])
def test_ks_p_values_are_exact_where_they_are_small(n: int) -> None:
    """Below 0.05 to five digits, above to 3 %."""
    for statistic in np.minimum(1, np.linspace(0.3, 4, 40) / n**0.5):
        theirs, ours = stats.kstwo.sf(statistic, n), ks_p_value(float(statistic), 2 * n, 2 * n)
        assert ours == pytest.approx(theirs, rel=2e-5 if theirs < 0.05 else 0.035)


@pytest.mark.parametrize("n", [1000, 2000, 5000])
def test_tiny_ks_p_values_of_many_rows_are_close(n: int) -> None:
    """Where the limit law takes over: within 7 % of scipy's down to 1e-20."""
    for statistic in np.linspace(0.01, 0.4, 40):
        theirs = stats.kstwo.sf(statistic, n)
        ours = ks_p_value(float(statistic), 2 * n, 2 * n)
        assert ours is not None
        assert ours == pytest.approx(theirs, rel=0.07, abs=1e-20)


def test_ks_p_value_is_defined_for_one_row_and_none_without_rows() -> None:
    """One row against one gives an effective size below a half; it still has a p-value. No rows have none."""
    assert ks_p_value(1.0, 1, 1) is not None
    assert ks_p_value(0.0, 10, 10) == 1.0
    assert ks_p_value(0.5, 0, 10) is None
    assert ks_p_value(0.5, 10, 0) is None


@pytest.mark.parametrize(("p", "q"), [*FULL, ([500, 500, 0], [400, 500, 100]), ([3, 0, 7], [5, 0, 5])])
def test_chi2_equals_scipy_without_correction(p: list[int], q: list[int]) -> None:
    """Pearson's statistic and p-value of the 2 x buckets table; a bucket empty on both sides is left out."""
    table = np.array([p, q])
    theirs = stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False)
    assert chi2_test(p, q) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


@pytest.mark.parametrize(("p", "q"), [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([5, 0], [9, 0]), ([], [])])
def test_chi2_is_none_without_rows_or_with_a_single_used_bucket(p: list[int], q: list[int]) -> None:
    """Nothing to compare: None, not a p-value of 1 or NaN."""
    assert chi2_test(p, q) is None


def test_mean_and_std_shift_are_in_baseline_standard_deviations_and_log_ratio(rng: np.random.Generator) -> None:
    """Mean shift: difference of means over the baseline's population deviation; std shift: ln of the ratio."""
    a, b = rng.normal(10, 2, 500), rng.normal(13, 5, 300)
    edges = edges_of(a)
    found = d.measure(numeric(a, edges), numeric(b, edges), Coarse.of(numeric(a, edges)))
    assert found.mean_shift == pytest.approx((b.mean() - a.mean()) / a.std(), abs=1e-9)
    assert found.std_shift == pytest.approx(np.log(b.std() / a.std()), abs=1e-9)


def test_measure_takes_each_metric_from_its_own_bucket_set(rng: np.random.Generator) -> None:
    """PSI and its kin come from the coarse counts (NULL included), KS from the fine counts of the finite values alone."""
    a, b = rng.normal(0, 1, 2000), rng.normal(0.4, 1, 1500)
    edges = edges_of(a)
    baseline, current = numeric(a, edges, n_null=100), numeric(b, edges, n_null=400)
    coarse = Coarse.of(baseline)
    p, q = coarse.counts(baseline), coarse.counts(current)
    found = d.measure(baseline, current, coarse)
    assert found.js_distance == pytest.approx(distance.jensenshannon(p, q, base=2), abs=1e-9)
    assert found.total_variation == pytest.approx(distance.cityblock(p / 2100, q / 1900) / 2, abs=1e-9)
    assert found.kl_divergence == d.kl_divergence(p, q)
    assert found.kl_divergence_reverse == d.kl_divergence(q, p)
    n = len(edges) + 1
    fine = np.cumsum(baseline.counts[:n]) / 2000 - np.cumsum(current.counts[:n]) / 1500
    assert found.ks_statistic == pytest.approx(np.abs(fine).max(), abs=1e-12)


def test_order_and_distance_metrics_are_none_for_categories() -> None:
    """Categories have no order: KS, Wasserstein and the moment shifts are undefined, the rest are not."""
    baseline, current = labelled({"a": 60, "b": 40}), labelled({"a": 40, "b": 60})
    found = d.measure(baseline, current, Coarse.of(baseline))
    assert (found.ks_statistic, found.ks_bound, found.wasserstein, found.wasserstein_bound) == (None,) * 4
    assert (found.mean_shift, found.std_shift) == (None, None)
    assert found.total_variation == pytest.approx(0.2)


def test_ordinal_categories_have_a_ks_statistic() -> None:
    """Ordinal labels are ordered as listed: low/mid/high 50/30/20 against 20/30/50 differ by 0.3 at the first edge."""
    buckets = Buckets("ordinal", labels=("low", "mid", "high"))
    baseline = Histogram.from_pairs(buckets, [(0, 50), (1, 30), (2, 20)])
    current = Histogram.from_pairs(buckets, [(0, 20), (1, 30), (2, 50), (NULL, 10)])
    found = d.measure(baseline, current, Coarse.of(baseline))
    assert found.ks_statistic == pytest.approx(0.3)
    assert found.wasserstein is None


EDGES = (1.0, 2.0, 3.0)
DEGENERATE: dict[str, Histogram] = {
    "empty": Histogram.empty(Buckets("numeric", edges=EDGES)),
    "all null": numeric([], EDGES, n_null=70),
    "all NaN": numeric([np.nan] * 70, EDGES),
    "all infinite": numeric([np.inf] * 40 + [-np.inf] * 40, EDGES),
    "constant": numeric([2.0] * 70, EDGES),
    "one row": numeric([1.5], EDGES),
    "spread": numeric(np.linspace(0, 4, 70), EDGES),
    "huge": Histogram.from_pairs(
        Buckets("numeric", edges=EDGES), [(0, 35), (3, 35)], Moments(70, None, None, -1.7e308, 1.7e308)
    ),
}


@pytest.mark.parametrize("baseline", DEGENERATE)
@pytest.mark.parametrize("current", DEGENERATE)
def test_every_metric_of_degenerate_numbers_is_a_finite_number_or_none(baseline: str, current: str) -> None:
    """Empty, all-null, constant and overflowing samples never give NaN or infinity."""
    found = d.measure(DEGENERATE[baseline], DEGENERATE[current], Coarse.of(DEGENERATE[baseline]))
    assert all(value is None or np.isfinite(value) for value in astuple(found))


@pytest.mark.parametrize("edges", [(), (5.0, float(np.nextafter(5.0, 6)))])
@pytest.mark.parametrize("values", [[], [5.0] * 60, [7.0] * 60])
def test_every_metric_of_a_reference_without_edges_or_of_one_value_is_finite_or_none(
    edges: tuple[float, ...], values: list[float]
) -> None:
    """A training column without values has no edges, a constant one two; both can be compared with anything."""
    baseline = numeric([5.0] * 60 if edges else [], edges, n_null=60)
    found = d.measure(baseline, numeric(values, edges, n_null=3), Coarse.of(baseline))
    assert all(value is None or np.isfinite(value) for value in astuple(found))


def test_every_metric_of_a_category_without_labels_is_finite_or_none() -> None:
    """A categorical reference whose rows are all NULL has no label at all; new values still count as a change."""
    baseline, current = labelled({}, specials={NULL: 60}), labelled({}, specials={NULL: 30, -6: 30})
    found = d.measure(baseline, current, Coarse.of(baseline))
    assert found.total_variation == pytest.approx(0.5)
    assert all(value is None or np.isfinite(value) for value in astuple(found))


@pytest.mark.parametrize("side", ["baseline", "current"])
def test_without_rows_on_a_side_every_metric_is_none(side: str) -> None:
    """No rows: every field of the result is None."""
    pair = {"baseline": DEGENERATE["spread"], "current": DEGENERATE["spread"], side: DEGENERATE["empty"]}
    assert set(astuple(d.measure(**pair, coarse=Coarse.of(DEGENERATE["spread"])))) == {None}


def test_wasserstein_is_none_where_the_range_overflows() -> None:
    """Values at both ends of the float range are further apart than a float can say."""
    assert d.wasserstein(DEGENERATE["huge"], DEGENERATE["spread"]) is None


def test_mean_shift_of_a_baseline_without_spread_is_none() -> None:
    """A constant baseline has no unit to measure a shift in; a constant current has no log ratio."""
    found = d.measure(DEGENERATE["constant"], DEGENERATE["spread"], Coarse.of(DEGENERATE["constant"]))
    assert (found.mean_shift, found.std_shift) == (None, None)
    found = d.measure(DEGENERATE["spread"], DEGENERATE["constant"], Coarse.of(DEGENERATE["spread"]))
    assert found.mean_shift == pytest.approx(0.0, abs=1e-12)
    assert found.std_shift is None


def test_different_buckets_cannot_be_measured() -> None:
    """A production histogram of another reference's edges is refused, not compared."""
    a, b = numeric([1, 2], (1.0, 2.0)), numeric([1, 2], (1.0, 2.5))
    with pytest.raises(ValueError, match=r"2 edges \(1\.0 \.\. 2\.0\) and .*\(1\.0 \.\. 2\.5\)"):
        d.measure(a, b, Coarse.of(a))


def test_wasserstein_of_uniform_buckets_by_hand() -> None:
    """All mass spread over [0, 1) against all over [1, 2): every value moves by 1; the bound is both masses times width."""
    edges = (1.0,)
    a = Histogram.from_pairs(Buckets("numeric", edges=edges), [(0, 10)], Moments(10, 0.5, 0.8, 0.0, 1.0))
    b = Histogram.from_pairs(Buckets("numeric", edges=edges), [(1, 10)], Moments(10, 1.5, 0.8, 1.0, 2.0))
    assert d.wasserstein(a, b) == pytest.approx((1.0, 2.0))


def test_wasserstein_where_the_difference_changes_sign_inside_a_bucket() -> None:
    """Shares 60/0/40 against 40/40/20 over unit buckets: the gaps 0, 0.2, -0.2, 0 enclose 0.1 + 0.1 + 0.1."""
    buckets = Buckets("numeric", edges=(1.0, 2.0))
    a = Histogram.from_pairs(buckets, [(0, 60), (2, 40)], Moments(100, 1.3, 1.0, 0.0, 3.0))
    b = Histogram.from_pairs(buckets, [(0, 40), (1, 40), (2, 20)], Moments(100, 1.3, 1.0, 0.0, 3.0))
    found = d.wasserstein(a, b)
    assert found is not None
    assert found[0] == pytest.approx(0.3)


def test_moments_helper_agrees_with_numpy() -> None:
    """The test's own moments are the population's."""
    assert moments_of([1.0, 2.0, 4.0]).std == pytest.approx(np.std([1, 2, 4]))
