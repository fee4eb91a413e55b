"""What every metric promises, written once and inherited by each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bq_monitor.measure import divergence as d
from bq_monitor.measure.histogram import Buckets, Histogram, Moments
from bq_monitor.measure.significance import chi2_test

Counts = list[int]
PAIR = st.integers(1, 9).flatmap(
    lambda k: st.tuples(*(st.lists(st.integers(0, 200), min_size=k, max_size=k) for _ in range(2)))
)
FOR_ALL = settings(
    derandomize=True, database=None, deadline=None, max_examples=50,
    suppress_health_check=[HealthCheck.differing_executors],  # the inherited tests run once for each subclass
)  # fmt: skip
ROUNDING = 1e-7  # the square root of the rounding of a sum of shares


def same(one: float | None, other: float | None) -> bool:
    """Equal but for rounding; None equals None only."""
    return one is other or (one is not None and one == pytest.approx(other, rel=1e-9, abs=ROUNDING))


class MetricContract(ABC):
    """Subclass it with a metric; pytest runs every test of the contract for each subclass."""

    limit: ClassVar[float] = float("inf")
    symmetric: ClassVar[bool] = True
    nominal: ClassVar[bool] = True
    single_bucket: ClassVar[float | None] = 0.0

    @abstractmethod
    def value(self, p: Counts, q: Counts) -> float | None: ...

    @FOR_ALL
    @given(PAIR)
    def test_zero_on_identical_shares(self, pair: tuple[Counts, Counts]) -> None:
        """The same counts, or three times as many rows of the same shares, are no change."""
        p = pair[0]
        for unchanged in (p, [3 * n for n in p]):
            value = self.value(p, unchanged)
            assert value is None or value == pytest.approx(0, abs=ROUNDING)

    @FOR_ALL
    @given(PAIR)
    def test_range(self, pair: tuple[Counts, Counts]) -> None:
        """Never NaN, never negative, never above the limit; None exactly when a side has no rows (or nothing to compare)."""
        value = self.value(*pair)
        if not sum(pair[0]) or not sum(pair[1]):
            assert value is None
        if value is not None:
            assert 0 <= value <= self.limit * (1 + 1e-12)
            assert np.isfinite(value)

    @FOR_ALL
    @given(PAIR)
    def test_symmetry(self, pair: tuple[Counts, Counts]) -> None:
        """Swapping the sides changes nothing, where the metric is said to be symmetric."""
        p, q = pair
        if self.symmetric:
            assert same(self.value(p, q), self.value(q, p))

    def test_stated_asymmetry(self) -> None:
        """What is not symmetric differs for 90/10 against 50/50."""
        one, other = self.value([90, 10], [50, 50]), self.value([50, 50], [90, 10])
        assert (one == pytest.approx(other, rel=1e-9)) == self.symmetric

    @FOR_ALL
    @given(PAIR, st.randoms(use_true_random=False))
    def test_order_of_nominal_categories(self, pair: tuple[Counts, Counts], random: object) -> None:
        """A permutation of the buckets changes nothing, where the buckets need no order."""
        if not self.nominal:
            return
        order = list(range(len(pair[0])))
        random.shuffle(order)  # type: ignore[attr-defined]
        shuffled = self.value([pair[0][i] for i in order], [pair[1][i] for i in order])
        assert same(shuffled, self.value(*pair))

    def test_dependence_on_order(self) -> None:
        """What needs an order changes when its gaps lie side by side instead of alternating; nothing else does."""
        alternating, side_by_side = ([40, 10, 40, 10], [10, 40, 10, 40]), ([40, 40, 10, 10], [10, 10, 40, 40])
        assert same(self.value(*alternating), self.value(*side_by_side)) == self.nominal

    @FOR_ALL
    @given(PAIR, st.integers(1, 5))
    def test_split_then_merge_equals_whole(self, pair: tuple[Counts, Counts], parts: int) -> None:
        """Counting the current rows in parts and adding the histograms gives the metric of the whole."""
        p, q = pair
        buckets = Buckets("categorical", labels=tuple(f"b{i}" for i in range(len(q))))
        merged = Histogram.empty(buckets)
        for part in range(parts):
            share = [n // parts + (n % parts if part == 0 else 0) for n in q]
            merged = merged + Histogram.from_pairs(buckets, enumerate(share))
        assert self.value(p, merged.counts[: len(q)].tolist()) == self.value(p, q)

    @pytest.mark.parametrize(("p", "q"), [([], []), ([0], [0]), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
    def test_none_without_rows(self, p: Counts, q: Counts) -> None:
        """Without buckets, or without rows on a side, there is no value."""
        assert self.value(p, q) is None

    def test_a_single_bucket(self) -> None:
        """With one bucket in use nothing can differ."""
        assert self.value([7], [900]) == self.single_bucket
        assert self.value([0, 7], [0, 900]) == self.single_bucket


class TestPsi(MetricContract):
    def value(self, p: Counts, q: Counts) -> float | None:
        return d.psi(p, q)


class TestKlDivergence(MetricContract):
    symmetric = False

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.kl_divergence(p, q)


class TestJsDivergence(MetricContract):
    limit = 1.0

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.js_divergence(p, q)


class TestJsDivergenceNats(MetricContract):
    limit = float(np.log(2))

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.js_divergence_nats(p, q)


class TestJsDistance(MetricContract):
    limit = 1.0

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.js_distance(p, q)


class TestHellinger(MetricContract):
    limit = 1.0

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.hellinger(p, q)


class TestTotalVariation(MetricContract):
    limit = 1.0

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.total_variation(p, q)


class TestLInfinity(MetricContract):
    limit = 1.0

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.l_infinity(p, q)


class TestKsStatistic(MetricContract):
    limit = 1.0
    nominal = False

    def value(self, p: Counts, q: Counts) -> float | None:
        return d.ks_statistic(p, q)


class TestChi2Statistic(MetricContract):
    single_bucket = None

    def value(self, p: Counts, q: Counts) -> float | None:
        result = chi2_test(p, q)
        return result[0] if result else None


class TestWasserstein(MetricContract):
    """Over unit buckets from 0 to the number of buckets, so that the distance is at most that."""

    limit = 9.0
    nominal = False

    def value(self, p: Counts, q: Counts) -> float | None:
        baseline, current = self._histogram(p), self._histogram(q)
        found = d.wasserstein(baseline, current)
        return found[0] if found else None

    def _histogram(self, counts: Counts) -> Histogram:
        buckets = Buckets("numeric", edges=tuple(float(i) for i in range(len(counts) + 1)))
        n = sum(counts)
        moments = Moments(n, 0.0, 0.0, 0.0, float(len(counts))) if n else Moments()
        return Histogram.from_pairs(buckets, enumerate(counts, start=1), moments)
