"""KS and Wasserstein from buckets against the raw samples: never further off than the stated bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bq_monitor.measure.divergence import ks_bound, ks_statistic, wasserstein
from tests.measure.zoo import ZOO, Sample, edges_of, numeric

CHANGES = {
    "none": lambda x: x,
    "shifted": lambda x: x + 0.5,
    "scaled": lambda x: x * 3,
    "far away": lambda x: x + 1e3,
    "constant": lambda x: np.full_like(x, np.median(x)),
}


def assert_within_bounds(a: Sample, b: Sample, edges: tuple[float, ...]) -> None:
    baseline, current = numeric(a, edges), numeric(b, edges)
    n = baseline.buckets.n_regular
    p, q = baseline.counts[:n], current.counts[:n]
    raw_ks, ks, bound = stats.ks_2samp(a, b, method="asymp").statistic, ks_statistic(p, q), ks_bound(p, q)
    assert ks is not None
    assert bound is not None
    assert ks - 1e-12 <= raw_ks <= ks + bound + 1e-12
    found = wasserstein(baseline, current)
    assert found is not None
    raw = stats.wasserstein_distance(a, b)
    assert abs(raw - found[0]) <= found[1] * (1 + 1e-9) + 1e-9 * (np.abs(a).max() + np.abs(b).max())


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("n", "m"), [(30, 20), (500, 100), (5000, 3000)])
def test_the_raw_statistics_lie_within_the_bounds(name: str, change: str, n: int, m: int) -> None:
    """Over the zoo, several changes and sizes, with edges frozen from the baseline."""
    rng = np.random.default_rng(n)
    a, b = ZOO[name](rng, n), CHANGES[change](ZOO[name](rng, m))
    assert_within_bounds(a, b, edges_of(a))


NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.integers(-3, 3).map(float))


@settings(derandomize=True, database=None, deadline=None, max_examples=100)
@given(st.lists(NUMBERS, min_size=2, max_size=40), st.lists(NUMBERS, min_size=2, max_size=40), st.integers(2, 12))
def test_the_bounds_hold_for_any_samples(a: list[float], b: list[float], bins: int) -> None:
    """For all samples (of two rows: scipy's p-value divides by zero for one), ties and outliers included."""
    assert_within_bounds(np.array(a), np.array(b), edges_of(a, bins))


def test_the_ks_bound_is_reached() -> None:
    """All rows of both sides in one bucket, apart inside it: the bucketed statistic is 0, the raw one 1, the bound 1."""
    a, b = np.full(10, 1.2), np.full(10, 1.8)
    p = numeric(a, (1.0, 2.0)).counts[:3]
    q = numeric(b, (1.0, 2.0)).counts[:3]
    assert (ks_statistic(p, q), stats.ks_2samp(a, b, method="asymp").statistic, ks_bound(p, q)) == (0.0, 1.0, 1.0)


def test_the_bounds_shrink_with_the_number_of_buckets(rng: np.random.Generator) -> None:
    """Ten times the buckets, a bound about ten times as sharp: KS within 2 % of the mass at the default grid."""
    a, b = rng.normal(0, 1, 20_000), rng.normal(0.1, 1, 20_000)
    bounds = []
    for bins in (1, 10):
        edges = edges_of(a, bins)
        bounds.append(ks_bound(numeric(a, edges).counts[: len(edges) + 1], numeric(b, edges).counts[: len(edges) + 1]))
    assert bounds[0] is not None
    assert bounds[1] is not None
    assert bounds[0] > 0.15
    assert bounds[1] < 0.025
