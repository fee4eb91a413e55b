"""Checks of the data from counts: each firing and not firing, how sure it must be, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Buckets, Histogram, Moments
from bq_monitor.measure.quality import (
    CERTAIN,
    LABELS_FORGOTTEN,
    MIN_EXPECTED,
    Check,
    Sides,
    constant,
    duplicate_ids,
    freshness,
    nan_rate,
    new_categories,
    null_rate,
    out_of_range,
    percent,
    type_changed,
    vanished_categories,
    volume,
)
from tests.measure.zoo import edges_of, labelled, numeric

RNG = np.random.default_rng(7)
TRAINING = RNG.normal(100, 10, 5000)
EDGES = edges_of(TRAINING)
FEW = "49 rows, fewer than the 50 of min_rows"


def sides(current: Histogram, reference: Histogram | None = None, alpha: float = 0.01) -> Sides:
    return Sides("income", numeric(TRAINING, EDGES) if reference is None else reference, current, alpha)


def with_nulls(n_null: int, n: int) -> Histogram:
    return numeric(TRAINING[: n - n_null], EDGES, n_null=n_null)


def of_labels(counts: dict[str, int], *, labels: str = "abcdefgh", **specials: int) -> Histogram:
    """Counts of labels, all of which training listed."""
    codes = {"null": NULL, "other": OTHER, "unseen": UNSEEN}
    return labelled({k: counts.get(k, 0) for k in labels}, specials={codes[k]: n for k, n in specials.items()})


EVEN = of_labels(dict.fromkeys("abcdefgh", 500))


def test_null_rate_rises_above_the_reference() -> None:
    """12.3 % against 0.4 % is surely more than 2 points; the sentence says all of it."""
    check = null_rate(sides(with_nulls(123, 1000), with_nulls(4, 1000)), 0.02)
    assert check == Check(
        "null_rate", "income", "drift", 0.123, 0.004, 0.02, 1000, None,
        "null_rate of income is 12.3% (reference 0.4%, may rise by 2 points)",
    )  # fmt: skip
    assert "may rise by 1 point)" in (
        null_rate(sides(with_nulls(123, 1000), with_nulls(4, 1000)), 0.01).explanation or ""
    )


@pytest.mark.parametrize(
    ("n_null", "n", "max_rise"),
    [
        (30, 1000, 0.02),  # 3 %: above the limit of 2.4 %, but not surely
        (123, 1000, None),
        (123, 1000, 0.2),
        (0, 1000, 0.0),
    ],
)
def test_null_rate_is_told_without_being_wrong(n_null: int, n: int, max_rise: float | None) -> None:
    """By an interval and not by a point, and never without a limit; the number is told all the same."""
    check = null_rate(sides(with_nulls(n_null, n), with_nulls(4, 1000)), max_rise)
    assert (check.status, check.value, check.reference_value, check.explanation) == ("ok", n_null / n, 0.004, None)


def test_a_rise_to_the_limit_seldom_breaks_it() -> None:
    """Where the true share lies at the limit, no more windows break it than alpha says."""
    n_wrong = sum(
        null_rate(sides(with_nulls(int(k), 300), with_nulls(20, 2000), alpha=0.05), 0.04).status == "drift"
        for k in np.random.default_rng(1).binomial(300, 0.05, 400)
    )
    assert 0 < n_wrong <= stats.binom.ppf(0.999, 400, 0.05)


def test_the_reference_is_uncertain_too() -> None:
    """The same rise is sure against many rows of training, and not against few."""
    window = with_nulls(20, 400)
    assert null_rate(sides(window, with_nulls(20, 2000)), 0.01).status == "drift"
    assert null_rate(sides(window, with_nulls(1, 100)), 0.01).status == "ok"


def test_nan_rate_counts_infinities() -> None:
    """NaN and both infinities count; NULL does not."""
    strange = numeric([*TRAINING[:900], *[np.nan] * 40, *[np.inf] * 30, *[-np.inf] * 20], EDGES, n_null=10)
    check = nan_rate(sides(strange), 0.05)
    assert (check.name, check.status, check.value, check.reference_value) == ("nan_rate", "drift", 0.09, 0.0)
    assert nan_rate(sides(with_nulls(500, 1000)), 0.05).value == 0.0


def test_nothing_is_out_of_range_within_the_range_of_training() -> None:
    """Rows in the outermost buckets are in range while least and greatest are: exactly 0, whatever their number."""
    low, high = TRAINING.min(), TRAINING.max()
    check = out_of_range(sides(numeric([low] * 200 + [high] * 200, EDGES)), 0.0)
    assert (check.status, check.value, check.reference_value, check.limit) == ("ok", 0.0, 0.0, 0.0)


def test_out_of_range_tells_the_upper_end() -> None:
    """One row beyond the range, nine between it and the outermost edge: the tail bucket is told, and one row is sure."""
    tail = float(np.nextafter(EDGES[0], -np.inf))
    window = numeric([TRAINING.min() - 1, *[tail] * 9, *TRAINING[(TRAINING > 95) & (TRAINING < 105)][:990]], EDGES)
    check = out_of_range(sides(window), 0.0)
    assert (check.status, check.value) == ("drift", 0.01)
    found = f"training {TRAINING.min():.6g} to {TRAINING.max():.6g}, now {TRAINING.min() - 1:.6g} to "
    assert check.explanation and check.explanation.startswith(f"out_of_range of income is up to 1% ({found}")
    assert out_of_range(sides(window), 0.005).status == "ok", "one row is sure, and 0.9 points in excess is not"
    assert out_of_range(sides(window), 0.001).status == "drift", "the bucket holds far more than in training"


def test_a_tail_that_training_never_had_is_out_of_range_for_sure() -> None:
    """Up to a thousand rows of training the outermost edges are its least and greatest: what lies beyond is counted exactly."""
    training = np.arange(200.0)
    edges = edges_of(training)
    window = numeric([*training, *np.arange(300.0, 320.0)], edges)
    check = out_of_range(sides(window, numeric(training, edges)), 0.02)
    assert (check.status, check.value) == ("drift", 20 / 220)
    assert check.explanation == "out_of_range of income is 9.09% (training 0 to 199, now 0 to 319, limit 2%)"
    assert out_of_range(sides(window, numeric(training, edges)), 0.08).status == "ok"
    one = numeric([*training, 300.0], edges)
    assert out_of_range(sides(one, numeric(training, edges)), 0.0).status == "drift"


def test_a_tail_as_large_as_in_training_is_not_in_excess() -> None:
    """One new least value makes the upper end 0.1 %, which is above the limit; all but one row may be what training had there."""
    training = np.arange(100_000.0)
    edges = edges_of(training)
    window = numeric([-1.0, *training[1:]], edges)
    check = out_of_range(sides(window, numeric(training, edges)), 0.0005)
    assert (check.status, check.value) == ("ok", pytest.approx(0.001, rel=0.02))


def test_numbers_too_large_to_square_are_out_of_range() -> None:
    """Beyond MOMENT_LIMIT least and greatest say nothing of them; their bucket does."""
    counted = numeric([*TRAINING[:900]], EDGES)
    last = counted.buckets.n_regular - 1
    huge = Histogram.from_pairs(counted.buckets, [*counted.pairs(), (last, 100)])
    window = replace(huge, moments=Moments(1000, None, None, TRAINING.min(), TRAINING.max()))
    check = out_of_range(sides(window), 0.05)
    assert check.status == "drift" and check.explanation and "now beyond 1e+150" in check.explanation


def test_out_of_range_needs_numbers_in_training() -> None:
    """A column without a number in training has no range."""
    empty = Histogram.from_pairs(Buckets("numeric"), [(NULL, 100)], Moments())
    check = out_of_range(sides(empty, empty), 0.1)
    assert (check.status, check.reason, check.value) == ("not_evaluated", "no numbers in training", None)


def test_new_categories_are_told_beside_what_was_to_be_expected() -> None:
    """4 % are new where Good and Turing expect 0.25 %."""
    check = new_categories(sides(of_labels({"a": 960}, unseen=40), EVEN), 0.01, n_singletons=10)
    assert (check.status, check.value, check.reference_value, check.limit) == ("drift", 0.04, 0.0025, 0.01)
    assert check.explanation == "new_categories of income is 4% (0.25% to be expected, limit 1%)"
    assert new_categories(sides(of_labels({"a": 960}, unseen=40), EVEN)).status == "ok"


def test_new_categories_cannot_be_told_from_forgotten_ones() -> None:
    """Where training had too many labels to remember, there is a reason and no number."""
    check = new_categories(sides(of_labels({"a": 1000}), EVEN), 0.01, known_complete=False)
    assert (check.status, check.value, check.reason) == ("not_evaluated", None, LABELS_FORGOTTEN)


@pytest.mark.parametrize(("n", "limit", "alpha"), [(50, 0.01, 0.01), (50, 0.02, 0.0003), (1000, 0.01, 0.001)])
def test_a_limit_on_a_share_is_tested_exactly(n: int, limit: float, alpha: float) -> None:
    """The least count that breaks a limit is the first whose binomial chance, as scipy gives it, is below alpha."""
    broken = [
        k for k in range(n + 1)
        if new_categories(sides(of_labels({"a": n - k}, unseen=k), EVEN, alpha), limit).status == "drift"
    ]  # fmt: skip
    assert broken == [k for k in range(n + 1) if stats.binom.sf(k - 1, n, limit) < alpha]
    assert broken


def test_a_limit_of_nothing_is_broken_by_one_row() -> None:
    """`max_share: 0` means none at all."""
    assert new_categories(sides(of_labels({"a": 999}, unseen=1), EVEN), 0.0).status == "drift"
    assert new_categories(sides(of_labels({"a": 1000}), EVEN), 0.0).status == "ok"


def test_vanished_categories_are_named_the_largest_first() -> None:
    """Six of eight labels are gone; five are named. What is rare may be missing."""
    training = of_labels({"a": 2000, "b": 900, "c": 800, "d": 700, "e": 600, "f": 500, "g": 400, "h": 5})
    check = vanished_categories(sides(of_labels({"a": 600}), training))
    assert (check.status, check.value) == ("drift", 6.0)
    assert check.explanation == "categories of income have vanished: b, c, d, e, f and 1 more"
    rare = of_labels({"a": 2000, "h": 5})
    assert vanished_categories(sides(of_labels({"a": 600}), rare)).value == 0.0


def test_categories_do_not_vanish_behind_nulls() -> None:
    """Among the few rows that are not NULL none was to be expected."""
    assert vanished_categories(sides(of_labels({"b": 10}, null=990), EVEN)).status == "ok"


def test_what_is_gone_is_gone_for_sure() -> None:
    """Whenever a category has vanished it was to be expected often enough, and Fisher's exact test agrees."""
    n_gone = 0
    for n_before, n_now, k in [(n, m, k) for n in (100, 1000) for m in (60, 1000, 10_000) for k in (1, 2, 4, 20, 80)]:
        training = of_labels({"a": n_before - k, "b": k})
        gone = vanished_categories(sides(of_labels({"a": n_now}), training)).value
        p_value = stats.fisher_exact([[k, n_before - k], [0, n_now]], "greater").pvalue
        assert not gone or (p_value < CERTAIN and k * n_now / n_before >= MIN_EXPECTED)
        assert gone or p_value > CERTAIN / 20 or k * n_now / n_before < MIN_EXPECTED
        n_gone += bool(gone)
    assert n_gone >= 5


@pytest.mark.parametrize(
    ("window", "training", "said"),
    [
        (numeric([100.0] * 480, EDGES, n_null=20), None, "income is constant: each of 480 values is 100, training has others"),
        (numeric([], EDGES, n_null=500), None, "income is constant: each of 500 values is NULL, training has others"),
        (numeric([np.nan] * 500, EDGES), None, "income is constant: each of 500 values is NaN, training has others"),
        (of_labels({"c": 500}), EVEN, "income is constant: each of 500 values is c, training has others"),
    ],
)  # fmt: skip
def test_a_stuck_column_is_constant(window: Histogram, training: Histogram | None, said: str) -> None:
    """One value in every row that is not NULL, or NULL in all, where training has several."""
    check = constant(sides(window, training))
    assert (check.status, check.value, check.reference_value, check.explanation) == ("drift", 1.0, 0.0, said)


@pytest.mark.parametrize(
    ("window", "training", "value"),
    [
        (numeric([100.0] * 499 + [100.001], EDGES), None, 0.0),
        (of_labels({"c": 500}), of_labels({"c": 5000}), 1.0),
        (of_labels({"c": 500}), of_labels({"c": 4990, "a": 10}), 1.0),  # one other row was to be expected
        (of_labels({}, unseen=500), EVEN, 0.0),  # how many labels they are is not known
        (numeric([5.0] * 500, (5.0, 6.0)), numeric([5.0] * 500, (5.0, 6.0)), 1.0),
    ],
)
def test_a_column_is_not_wrongly_constant(window: Histogram, training: Histogram | None, value: float) -> None:
    """Several values in one bucket, a constant in training too, or others too rare to be missed."""
    check = constant(sides(window, training))
    assert (check.status, check.value) == ("ok", value)


def test_a_constant_moment_is_not_told_as_a_number() -> None:
    """A timestamp's seconds since 1970 would tell nobody anything."""
    times = Buckets("timestamp", EDGES)
    window = replace(numeric([100.0] * 500, EDGES), buckets=times)
    check = constant(sides(window, replace(numeric(TRAINING, EDGES), buckets=times)))
    assert check.explanation == "income is constant: each of 500 values is the same moment, training has others"


@pytest.mark.parametrize("check", [null_rate, nan_rate, out_of_range, constant])
def test_few_rows_are_not_evaluated(check: Callable[[Sides], Check]) -> None:
    """Below `min_rows` there is a reason and no number; without rows in training too."""
    few, none = numeric(TRAINING[:49], EDGES), numeric([], EDGES)
    found = check(sides(few))
    assert found == Check(found.name, "income", "not_evaluated", n_rows=49, reason=FEW)
    untrained = check(sides(numeric(TRAINING[:50], EDGES), none))
    assert (untrained.status, untrained.reason, untrained.value) == ("not_evaluated", "no rows in training", None)


@pytest.mark.parametrize("check", [new_categories, vanished_categories])
def test_few_rows_of_labels_are_not_evaluated(check: Callable[[Sides], Check]) -> None:
    """The same for categories; a limit is named all the same."""
    found = check(sides(of_labels({"a": 49}), EVEN))
    assert (found.status, found.reason, found.value) == ("not_evaluated", FEW, None)
    assert null_rate(sides(numeric(TRAINING[:49], EDGES)), 0.1).limit == 0.1


def test_no_rows_are_always_wrong() -> None:
    """Without any limit, and though there is no window before."""
    check = volume(0)
    assert (check.status, check.value, check.explanation) == ("drift", 0.0, "no rows at all")
    assert volume(0, 1234.0, max_drop=0.5).explanation == "no rows at all (1,234 before)"
    assert volume(0, None, max_drop=0.5).status == "drift"
    assert volume(1) == Check("volume", None, "ok", 1.0, None, None, 1)


def test_volume_has_a_minimum() -> None:
    """A plain fact: one row fewer breaks it."""
    assert volume(100, minimum=100).status == "ok"
    check = volume(99, minimum=100)
    assert (check.status, check.limit, check.explanation) == ("drift", 100, "volume is 99 rows (at least 100 wanted)")


def test_volume_drops() -> None:
    """Fewer than half of 1,000 rows, surely; `limit` says it in rows."""
    check = volume(400, 1000.0, 100, 0.5)
    assert (check.status, check.value, check.reference_value, check.limit) == ("drift", 400.0, 1000.0, 500.0)
    assert check.explanation == "volume is 400 rows (1,000 before, may drop by 50%)"
    assert volume(490, 1000.0, 100, 0.5).status == "ok"
    assert volume(400, 1000.0).status == "ok"


@pytest.mark.parametrize(("before", "max_drop", "alpha"), [(12, 0.5, 0.01), (200, 0.3, 0.001)])
def test_a_drop_is_tested_exactly(before: int, max_drop: float, alpha: float) -> None:
    """As scipy's binomial test of the window's part in both says."""
    left = 1 - max_drop
    for n in range(1, before):
        p_value = stats.binomtest(n, n + before, left / (1 + left), "less").pvalue
        assert (volume(n, float(before), None, max_drop, alpha).status == "drift") == (p_value < alpha)


def test_a_drop_needs_a_window_before() -> None:
    """Without one it is not evaluated, though the number is told; after empty windows nothing can drop."""
    check = volume(400, None, 100, 0.5)
    assert (check.status, check.reason, check.value) == ("not_evaluated", "no window before to compare with", 400.0)
    assert volume(99, None, 100, 0.5).status == "drift"
    assert volume(400, 0.0, None, 0.5).status == "ok"


def test_duplicate_ids() -> None:
    """The rows beyond one an id."""
    check = duplicate_ids(1000, 900, 0.05)
    assert (check.status, check.value, check.limit, check.n_rows) == ("drift", 0.1, 0.05, 1000)
    assert check.explanation == "duplicate_ids is 10%: ids that are missing or repeat (limit 5%)"
    assert duplicate_ids(1000, 949, 0.05).status == "ok"
    assert duplicate_ids(1000, 900).status == "ok"
    assert duplicate_ids(1000, None, 0.05).reason == "ids were not counted"
    assert duplicate_ids(49, 1, 0.05).reason == FEW


def test_freshness() -> None:
    """Hours between the newest row and the end of the window."""
    end = datetime(2026, 1, 8, tzinfo=UTC)
    check = freshness(end - timedelta(hours=30), end, 24.0, 70)
    assert (check.status, check.value, check.limit, check.n_rows) == ("drift", 30.0, 24.0, 70)
    assert check.explanation == "freshness is 30.0 hours: the age of the newest row at the end of the window (limit 24)"
    assert freshness(end - timedelta(hours=24), end, 24.0).status == "ok"
    assert freshness(end - timedelta(hours=30), end).status == "ok"
    assert freshness(None, end, 24.0).status == "not_evaluated"


def test_a_changed_type_says_what_changed() -> None:
    check = type_changed("income", "missing column", 70)
    assert check == Check("type", "income", "drift", n_rows=70, explanation="income cannot be counted: missing column")


@pytest.mark.parametrize(("share", "text"), [(0.0, "0%"), (0.00012, "0.012%"), (0.9996, "100%"), (1.0, "100%")])
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text
