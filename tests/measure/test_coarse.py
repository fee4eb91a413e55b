"""The coarse buckets: fixed by the reference, about equal shares, ties and tails apart."""

from __future__ import annotations

import numpy as np
import pytest

from bq_monitor.measure.histogram import (
    NAN,
    NOVEL_TAIL_MIN_ROWS,
    NULL,
    OTHER,
    POS_INF,
    UNSEEN,
    Buckets,
    Coarse,
    Histogram,
)
from tests.measure.zoo import ZOO, edges_of, labelled, numeric

SPECIALS = ("NULL", "NaN", "-Inf", "+Inf")
CONTINUOUS = ["normal", "lognormal", "exponential", "uniform", "pareto", "bimodal"]


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("n_bins", [2, 5, 10, 20])
def test_deciles_of_a_continuous_feature_hold_equal_shares(name: str, n_bins: int, rng: np.random.Generator) -> None:
    """n bins, each within half a fine bucket of 1/n of the reference's rows."""
    values = ZOO[name](rng, 20_000)
    reference = numeric(values, edges_of(values, n_bins))
    coarse = Coarse.of(reference, n_bins)
    assert len(coarse.names) == n_bins + len(SPECIALS)
    shares = coarse.counts(reference)[:n_bins] / 20_000
    assert shares == pytest.approx(np.full(n_bins, 1 / n_bins), abs=1 / (12 * n_bins))


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("n", [1, 5, 100, 3000])
def test_coarse_buckets_are_unions_of_neighbouring_fine_ones(name: str, n: int) -> None:
    """No fine bucket is split, none is skipped, every row is in one; so coarse counts of any production log add up."""
    rng = np.random.default_rng(n)
    values = ZOO[name](rng, n)
    reference = numeric(values, edges_of(values), n_null=7)
    coarse = Coarse.of(reference)
    assert coarse.groups[0] == 0
    assert set(np.diff(coarse.groups)) <= {0, 1}
    assert coarse.groups[-1] == len(coarse.names) - 1
    assert coarse.counts(reference).sum() == n + 7
    assert len(set(coarse.names)) == len(coarse.names)


def test_a_tied_value_fills_one_bucket_and_the_rest_keep_theirs(rng: np.random.Generator) -> None:
    """70 % zeros: fewer buckets than ten, none without reference rows, one with most of them."""
    values = ZOO["heavy ties"](rng, 5000)
    reference = numeric(values, edges_of(values))
    coarse = Coarse.of(reference)
    shares = coarse.counts(reference)[: -len(SPECIALS)] / 5000
    assert 3 <= len(shares) < 10
    assert shares.max() > 0.65
    assert shares.min() > 0


@pytest.mark.parametrize("n", [1, 50, 5000])
def test_a_constant_has_its_value_and_both_sides_as_buckets(n: int) -> None:
    """Any other value in production is a change, however few rows training had."""
    reference = numeric([7.0] * n, edges_of([7.0] * n))
    coarse = Coarse.of(reference)
    assert coarse.names[:2] == ("< 7", "7")
    assert coarse.counts(reference).tolist() == [0, n, 0, 0, 0, 0, 0]
    assert coarse.counts(numeric([6.9, 7.0, 7.1, 8.0], reference.buckets.edges)).tolist() == [1, 1, 2, 0, 0, 0, 0]


@pytest.mark.parametrize(("n", "apart"), [(NOVEL_TAIL_MIN_ROWS, True), (NOVEL_TAIL_MIN_ROWS - 1, False)])
def test_a_range_that_training_never_reached_is_apart_from_enough_rows_on(n: int, apart: bool) -> None:
    """Integers 0..9: from 1,000 rows, below 0 and above 9 are buckets of their own; with fewer they join their neighbour."""
    values = np.arange(n) % 10
    coarse = Coarse.of(numeric(values, edges_of(values)))
    assert ("< 0" in coarse.names) == apart
    assert ("9" in coarse.names) == apart
    assert len(coarse.names) - len(SPECIALS) == (12 if apart else 10)


def test_few_rows_make_no_bucket_without_reference_rows() -> None:
    """Twelve distinct values: at most ten buckets, all used."""
    values = np.arange(12.0)
    reference = numeric(values, edges_of(values))
    regular = Coarse.of(reference).counts(reference)[: -len(SPECIALS)]
    assert regular.min() >= 1
    assert len(regular) <= 10


def test_a_reference_without_finite_values_has_one_regular_bucket() -> None:
    """All NULL: there are no edges, every number falls into `any`."""
    coarse = Coarse.of(numeric([], (), n_null=50))
    assert coarse.names == ("any", *SPECIALS)


def test_a_reference_that_counted_nothing_keeps_every_edge() -> None:
    """Edges without counts (every row was special): no edge is worth more than another."""
    assert len(Coarse.of(Histogram.empty(Buckets("numeric", edges=(1.0, 2.0)))).names) == 3 + len(SPECIALS)


def test_specials_are_buckets_of_their_own() -> None:
    """NULL, NaN and infinities are never mixed with numbers or each other."""
    values = [*np.arange(100.0), np.nan, np.nan, np.inf]
    reference = numeric(values, edges_of(np.arange(100.0)), n_null=5)
    counts = dict(zip(Coarse.of(reference).names, Coarse.of(reference).counts(reference), strict=True))
    specials = [Buckets("numeric").name(code) for code in (NULL, NAN, POS_INF)]
    assert [counts[name] for name in specials] == [5, 2, 1]
    assert counts["-Inf"] == 0


def test_categories_are_coarse_already() -> None:
    """One bucket a label, and one for each special."""
    reference = labelled({"a": 5, "b": 4}, specials={NULL: 3, OTHER: 2})
    current = labelled({"a": 1, "b": 0}, specials={OTHER: 2, UNSEEN: 9})
    coarse = Coarse.of(reference)
    assert coarse.names == ("a", "b", "NULL", "other", "unseen")
    assert coarse.counts(reference).tolist() == [5, 4, 3, 2, 0]
    assert coarse.counts(current).tolist() == [1, 0, 0, 2, 9]
