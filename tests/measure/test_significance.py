"""p-values, bounds and corrections, against scipy's laws and seeded simulations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.spatial import distance

from bq_monitor.measure.divergence import js_distance, psi
from bq_monitor.measure.histogram import Buckets, Histogram
from bq_monitor.measure.significance import Law, Laws, holm
from bq_monitor.measure.verdict import Rule, judge

LAW = {"js_distance": (8 * math.log(2), 2), "psi": (1.0, 1)}
METRICS = {"js_distance": js_distance, "psi": psi}


class Evidence(NamedTuple):
    """All that the law says of one value."""

    p_value: float
    noise_floor: float
    lower: float
    upper: float
    corrected: float


@dataclass(frozen=True)
class Case:
    """An observed value, what it is tested against, and the sizes."""

    metric: str = "js_distance"
    value: float = 0.15
    threshold: float = 0.1
    k: int = 10
    n: int = 1000
    m: int = 1000

    def evidence(self, alpha: float = 0.01) -> Evidence:
        law = Law(self.metric, self.k, self.n, self.m)
        (floor,) = Laws.of(self.metric, *np.array([[self.k], [self.n], [self.m]], dtype=np.float64)).noise_floors
        p_value = law.p_value(self.value, self.threshold)
        return Evidence(p_value, float(floor), *law.bounds(self.value, alpha), law.corrected(self.value))

    def statistic(self, value: float) -> float:
        """8 JS nm/(n+m), JS in nats of the distance in base 2; PSI nm/(n+m)."""
        factor, power = LAW[self.metric]
        return factor * value**power * self.n * self.m / (self.n + self.m)

    @property
    def observed(self) -> float:
        return self.statistic(self.value)


CASES = [
    Case(n=5000, m=800), Case(value=0.12, k=11), Case(value=0.4, threshold=0.2, k=3, n=60, m=60), Case(value=0.05, n=10**6, m=2000),
    Case("psi", 0.2, m=500), Case("psi", 0.05, k=25, n=5000, m=5000),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_p_value_is_the_noncentral_chi_square_tail(case: Case) -> None:
    """The chance of a statistic this large if the true divergence equals the threshold."""
    expected = stats.ncx2.sf(case.observed, case.k - 1, case.statistic(case.threshold))
    assert case.evidence().p_value == pytest.approx(expected, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_a_threshold_the_p_value_is_the_central_tail(case: Case) -> None:
    """Threshold 0 asks for any change at all."""
    expected = stats.chi2.sf(case.observed, case.k - 1)
    assert replace(case, threshold=0.0).evidence().p_value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_bounds_invert_the_same_law(case: Case, alpha: float) -> None:
    """Were the truth at a bound, a value so large (so small) would come with chance alpha; no lower bound means 0."""
    found = case.evidence(alpha)
    df, observed = case.k - 1, case.observed
    assert found.lower <= case.value <= found.upper
    if stats.chi2.sf(observed, df) < alpha:
        assert stats.ncx2.sf(observed, df, case.statistic(found.lower)) == pytest.approx(alpha, rel=1e-6)
    else:
        assert found.lower == 0.0
    assert stats.ncx2.cdf(observed, df, case.statistic(found.upper)) == pytest.approx(alpha, rel=1e-6)


def test_a_lower_bound_above_the_threshold_and_a_p_value_below_alpha_are_the_same() -> None:
    """The two ways to read the evidence never contradict each other."""
    for value in np.linspace(0.05, 0.25, 41):
        found = Case(value=float(value), n=2000).evidence()
        assert (found.lower > 0.1) == (found.p_value < 0.01)


def test_noise_floor_and_corrected_value_by_hand() -> None:
    """Ten buckets, 1,000 rows each: chance gives PSI 9 / 500 = 0.018, so 0.1 observed is 0.082 corrected."""
    found = Case("psi", 0.1, 0.05).evidence()
    assert found.noise_floor == pytest.approx(0.018)
    assert found.corrected == pytest.approx(0.082)
    found = Case(value=0.2).evidence()
    floor = 9 / (8 * math.log(2) * 500)
    assert found.noise_floor == pytest.approx(math.sqrt(floor))
    assert found.corrected == pytest.approx(math.sqrt(0.04 - floor))
    assert Case(value=0.01).evidence().corrected == 0.0


def test_more_evidence_never_weakens_the_verdict() -> None:
    """The p-value falls with the observed value and rises with the threshold; bounds and score rise with the value."""
    found = [Case(value=value).evidence() for value in np.linspace(0, 1, 60)]
    for name, sign in {"p_value": -1, "lower": 1, "upper": 1, "corrected": 1}.items():
        assert (np.diff([getattr(item, name) for item in found]) * sign >= -1e-12).all(), name
    thresholds = [Case(threshold=t).evidence().p_value for t in np.linspace(0, 0.9, 40)]
    assert (np.diff(thresholds) >= -1e-12).all()


@pytest.mark.parametrize("metric", LAW)
@pytest.mark.parametrize("value", [0.0, 1e-9, 1e-6, 0.1, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.9])
def test_the_evidence_is_finite_and_in_range_at_the_extremes(metric: str, value: float, threshold: float) -> None:
    """One row or a billion, two buckets or five thousand, identical or disjoint: no warning, no NaN, lower <= value <= upper."""
    limit = 1.0 if metric == "js_distance" else math.inf
    for k in (2, 10, 5000):
        for n, m in ((1, 1), (1, 10**9), (50, 50), (1000, 100_000), (10**9, 10**9)):
            found = Case(metric, value, threshold, k, n, m).evidence()
            assert 0 <= found.p_value <= 1
            assert 0 <= found.lower <= value + 1e-12
            assert value <= found.upper + 1e-12
            assert max(found.upper, found.noise_floor, found.corrected) <= limit
            assert all(math.isfinite(x) for x in (found.upper, found.noise_floor, found.corrected))
            assert found.corrected <= value + 1e-12


def test_nearly_identical_counts_against_a_distant_threshold_have_p_value_one() -> None:
    """A distance of 1e-6 (rounding alone gives 1e-8) far below the threshold: scipy's own tail overflows here."""
    assert Case(value=1e-6, threshold=0.25, m=100_000).evidence().p_value == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["js_distance", "psi", "chi2_statistic"])
def test_a_single_bucket_cannot_differ(metric: str) -> None:
    """However many rows: p-value 1, bounds and noise floor 0, by each metric."""
    buckets = Buckets("categorical", labels=("a",))
    sides = [Histogram.from_pairs(buckets, [(0, n)]) for n in (1000, 200)]
    verdict = judge(*sides, Rule(metric=metric))
    assert (verdict.p_value, verdict.drift_score) == (1.0, 0.0)
    assert {verdict.noise_floor, verdict.lower, verdict.upper} <= {0.0, None}


def rejected(case: Case, p: NDArray[np.float64], q: NDArray[np.float64], *, alpha: float, reps: int) -> float:
    """The share of simulated windows, drawn from shares p and q, whose p-value is below alpha."""
    rng = np.random.default_rng(7)
    hits = 0
    for a, b in zip(rng.multinomial(case.n, p, reps), rng.multinomial(case.m, q, reps), strict=True):
        value = METRICS[case.metric](a, b)
        assert value is not None
        hits += replace(case, value=value, k=int(((a + b) > 0).sum())).evidence(alpha).p_value < alpha
    return hits / reps


UNEVEN = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shares", [np.full(10, 0.1), UNEVEN], ids=["deciles", "uneven"])
@pytest.mark.parametrize(("n", "m"), [(5000, 50), (5000, 500), (500, 500)])
def test_without_change_alarms_are_rarer_than_alpha(metric: str, shares: NDArray[np.float64], n: int, m: int) -> None:
    """At the default thresholds, a true divergence of 0 is called drift in at most alpha of the windows."""
    assert rejected(Case(metric, n=n, m=m), shares, shares, alpha=0.05, reps=400) <= 0.05


def tilted(shares: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """The shares tilted along their order until their JS distance (scipy's, base 2) is the target."""

    def moved(t: float) -> NDArray[np.float64]:
        weights = shares * np.exp(t * np.arange(len(shares)))
        return weights / weights.sum()

    return moved(optimize.brentq(lambda t: distance.jensenshannon(shares, moved(t), base=2) - target, 0, 2))


def test_at_a_true_divergence_equal_to_the_threshold_alarms_come_about_as_often_as_alpha() -> None:
    """The edge of "what matters": alpha 0.05 gives 5 % of 1,500 windows, within three standard errors and a half."""
    shares = np.full(10, 0.1)
    share = rejected(Case(n=5000, m=2000), shares, tilted(shares, 0.1), alpha=0.05, reps=1500)
    assert 0.03 <= share <= 0.07


def test_twice_the_threshold_is_found() -> None:
    """A true distance of 0.2 against a threshold of 0.1 is found in nearly every window of 2,000 rows."""
    shares = np.full(10, 0.1)
    assert rejected(Case(n=5000, m=2000), shares, tilted(shares, 0.2), alpha=0.01, reps=200) > 0.99


def test_holm_by_hand() -> None:
    """Four p-values: 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04 held up by the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_equals_an_independent_recomputation(rng: np.random.Generator) -> None:
    """The definition, spelled out over all smaller p-values; ties and values near 1 included."""
    for _ in range(50):
        p = np.round(rng.beta(0.5, 2, rng.integers(1, 30)), 2)
        expected = [min(1.0, max((len(p) - np.sum(p < smaller)) * smaller for smaller in p[p <= own])) for own in p]
        assert holm(p.tolist()) == pytest.approx(expected)


def test_holm_of_nothing_and_of_one() -> None:
    """No test needs no correction; one test keeps its p-value."""
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
