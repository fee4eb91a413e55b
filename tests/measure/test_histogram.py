"""The algebra of histograms: adding, refusing, merging moments."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest

from bq_monitor.errors import HistogramError
from bq_monitor.measure.histogram import MOMENT_LIMIT, NULL, OTHER, UNSEEN, Buckets, Histogram, Moments, interval_name
from tests.measure.zoo import ZOO, edges_of, labelled, moments_of, numeric

NUMERIC = Buckets("numeric", edges=(1.0, 2.0))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (
            Buckets("numeric", edges=(1.0, 2.5)),
            r"2 edges \(1\.0 \.\. 2\.0\) and numeric with 2 edges \(1\.0 \.\. 2\.5\)",
        ),
        (Buckets("timestamp", edges=(1.0, 2.0)), r"numeric with .* and timestamp with"),
        (Buckets("categorical", labels=("a", "b")), r"numeric with .* and categorical with 2 labels \(a \.\. b\)"),
        (Buckets("numeric"), r"and numeric with 0 edges;"),
    ],
)
def test_unequal_buckets_are_not_added_and_the_message_names_both(other: Buckets, named: str) -> None:
    """Edges, kind and labels must be equal."""
    with pytest.raises(HistogramError, match=named):
        Histogram.empty(NUMERIC) + Histogram.empty(other)


@pytest.mark.parametrize("code", [3, -5, -6, 99, -7])
def test_from_pairs_refuses_a_code_that_the_buckets_do_not_have(code: int) -> None:
    """Two edges make three buckets and the four specials of numbers; `other` is none of them."""
    with pytest.raises(HistogramError, match=f"bucket {code} is unknown; known: -4..2"):
        Histogram.from_pairs(NUMERIC, [(code, 1)])


def test_the_number_of_counts_must_be_that_of_the_buckets() -> None:
    """A histogram of three buckets and four specials takes seven counts."""
    with pytest.raises(HistogramError, match="3 counts for 7 buckets"):
        Histogram(NUMERIC, np.array([1, 2, 3]))


def test_from_pairs_adds_repeated_codes_and_gives_them_back_in_order() -> None:
    """Pairs may come in any order and repeat; empty buckets are left out of `pairs`."""
    histogram = Histogram.from_pairs(NUMERIC, [(2, 5), (NULL, 1), (0, 2), (2, 1), (1, 0)])
    assert histogram.pairs() == [(0, 2), (2, 6), (NULL, 1)]
    assert (histogram.n_rows, histogram.n_null, histogram.n_of(2), histogram.n_of(OTHER)) == (9, 1, 6, 0)
    assert histogram.share_of(NULL) == pytest.approx(1 / 9)


@pytest.mark.parametrize("histogram", [numeric([0.5, 1.5, 7], NUMERIC.edges, n_null=2), labelled({"a": 3, "b": 4})])
def test_the_empty_histogram_is_neutral(histogram: Histogram) -> None:
    """Adding it on either side changes nothing, moments included; its shares are None."""
    empty = Histogram.empty(histogram.buckets)
    assert histogram + empty == histogram == empty + histogram
    assert empty.n_rows == 0
    assert empty.share_of(NULL) is None


def test_equality_looks_at_counts_moments_and_buckets() -> None:
    """Equal counts with other moments, or other counts, are unequal; so is anything that is no histogram."""
    one = numeric([0.5, 1.5], NUMERIC.edges)
    assert one == numeric([0.5, 1.5], NUMERIC.edges)
    assert one != numeric([0.6, 1.5], NUMERIC.edges)
    assert one != numeric([0.5, 0.5], NUMERIC.edges)
    assert one != 1


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("n_parts", [2, 3, 17])
def test_every_split_then_merge_equals_the_whole(name: str, n_parts: int) -> None:
    """Counts are equal, moments equal but for rounding, whatever the split and in any association."""
    rng = np.random.default_rng(n_parts)
    values = ZOO[name](rng, 600)
    edges = edges_of(values)
    parts = [numeric(part, edges) for part in np.array_split(values, np.sort(rng.integers(0, 600, n_parts - 1)))]
    whole, left, right = numeric(values, edges), reduce(add, parts), reduce(lambda a, b: b + a, reversed(parts))
    for merged in (left, right):
        assert np.array_equal(merged.counts, whole.counts)
        assert_same_moments(merged.moments, whole.moments)


def assert_same_moments(one: Moments | None, other: Moments | None, rel: float = 1e-9) -> None:
    assert one is not None
    assert other is not None
    assert (one.n, one.min, one.max) == (other.n, other.min, other.max)
    assert one.mean == pytest.approx(other.mean, rel=1e-12, abs=1e-12)
    assert one.second_moment == pytest.approx(other.second_moment, rel=rel)


def test_moments_merge_without_cancellation_at_a_large_offset(rng: np.random.Generator) -> None:
    """Spread 1 at 1e9: sums of squares would keep no digit of the variance; merging keeps seven."""
    values = 1e9 + rng.normal(0, 1, 10_000)
    merged = reduce(add, (moments_of(part) for part in np.array_split(values, 37)))
    assert merged.std == pytest.approx(np.std(values), rel=1e-7)
    assert merged.mean == pytest.approx(np.mean(values), rel=1e-15)
    sums_of_squares = np.mean(values**2) - np.mean(values) ** 2
    assert not abs(sums_of_squares - 1) < 0.5


def test_moments_of_very_unequal_parts(rng: np.random.Generator) -> None:
    """One far row added to many: worked from the definition."""
    merged = Moments(3, 1.0, 6.0, -1.0, 3.0) + Moments(1, 5.0, 0.0, 5.0, 5.0)
    assert merged == Moments(4, 2.0, 18.0, -1.0, 5.0)  # 6 + 0 + (5 - 1)^2 * 3 * 1 / 4


def test_undefined_moments_stay_undefined_and_the_range_is_kept() -> None:
    """A part whose squares would overflow has no mean; nor has the sum, but count and range are known."""
    merged = Moments(2, None, None, -1.0, 10 * MOMENT_LIMIT) + Moments(2, 0.0, 2.0, -3.0, 1.0)
    assert merged == Moments(4, None, None, -3.0, 10 * MOMENT_LIMIT)
    assert merged.std is None
    assert Moments().std is None


def test_categories_have_no_moments() -> None:
    """Adding histograms of labels adds counts alone."""
    merged = labelled({"a": 1}, specials={UNSEEN: 2}) + labelled({"a": 3}, specials={NULL: 1})
    assert merged.moments is None
    assert merged.pairs() == [(0, 4), (NULL, 1), (UNSEEN, 2)]


def test_buckets_are_named_as_a_person_would() -> None:
    """Intervals, a single value, the open ends, labels and specials; bounds are None where open."""
    buckets = Buckets("numeric", edges=(1.0, float(np.nextafter(1.0, 2)), 3.0))
    assert [buckets.name(code) for code in buckets.codes] == [
        "< 1", "1", "(1, 3)", ">= 3", "NULL", "NaN", "-Inf", "+Inf",
    ]  # fmt: skip
    assert buckets.bounds(0) == (None, 1.0)
    assert buckets.bounds(3) == (3.0, None)
    assert buckets.bounds(NULL) == (None, None)
    assert interval_name((None, None)) == "any"
    labels = Buckets("categorical", labels=("x", "y"))
    assert [labels.name(code) for code in labels.codes] == ["x", "y", "NULL", "other", "unseen"]
    assert labels.bounds(0) == (None, None)
