"""Rates of groups beside a reference group's: worked by hand."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from bq_monitor.measure.answers import Answers, Cell
from bq_monitor.measure.fairness import RATES, Parity, parity, rates
from tests.measure.counted import answers_of, regression_answers_of


def group(tp: int, fp: int, fn: int, tn: int, *, unlabelled: int = 0) -> Answers:
    """Counts of a group; the unlabelled rows were answered positive."""
    cells: dict[Cell, int] = {
        ("1", "1"): tp, ("0", "1"): fp, ("1", "0"): fn, ("0", "0"): tn, (None, "1"): unlabelled,
    }  # fmt: skip
    rows = [cell for cell, n in cells.items() for _ in range(n)]
    return answers_of("binary", [row[0] for row in rows], [row[1] for row in rows], positive="1")


A = group(tp=30, fp=10, fn=10, tn=50, unlabelled=20)
B = group(tp=10, fp=5, fn=10, tn=75)


def pairs(groups: dict[str, Answers], reference: str = "a") -> dict[tuple[str, str], Parity]:
    return {(one.group, one.rate): one for one in parity(groups, reference)}


def test_rates_are_shares_of_their_own_rows() -> None:
    """Selection counts every answer, the others only rows whose outcome is known."""
    found = rates(A)
    assert tuple(found) == RATES
    expected = {"selection_rate": (60, 120), "tpr": (30, 40), "fpr": (10, 60), "ppv": (30, 40)}
    assert {name: (one.value, one.n) for name, one in found.items()} == {
        name: (part / whole, whole) for name, (part, whole) in expected.items()
    }
    assert {one.scale for one in found.values()} == {"share"}


def test_differences_and_ratios_by_hand() -> None:
    """Selection 15/100 against 60/120: 0.35 fewer, three tenths as often; tpr 0.5 against 0.75."""
    found = pairs({"b": B, "a": A})
    assert found["b", "selection_rate"].difference.value == pytest.approx(-0.35)
    assert found["b", "selection_rate"].ratio.value == pytest.approx(0.3)
    assert found["b", "tpr"].difference.value == pytest.approx(-0.25)
    assert found["b", "fpr"].ratio.value == pytest.approx((5 / 80) / (10 / 60))
    assert found["b", "ppv"].difference.value == pytest.approx(10 / 15 - 30 / 40)
    assert found["b", "tpr"].difference.scale == "plain"


def test_ratio_interval_is_that_of_katz() -> None:
    """ln ratio has variance (1 - p) / (n p) of each side (Katz et al. 1978)."""
    ratio = pairs({"b": B, "a": A})["b", "selection_rate"].ratio
    error = sqrt(0.85 / 15 + 0.5 / 60)
    assert (ratio.scale, ratio.error) == ("log", pytest.approx(error))
    low, high = ratio.bounds(0.05)
    assert low is not None and high is not None
    assert log(low) == pytest.approx(log(0.3) - 1.6448536 * error)
    assert log(high) == pytest.approx(log(0.3) + 1.6448536 * error)


def test_groups_and_rates_have_a_fixed_order() -> None:
    """Whatever the order of the groups, they come sorted, without the reference group itself."""
    found = parity({"c": A, "a": A, "b": B}, "a")
    assert [(one.group, one.rate) for one in found] == [(name, rate) for name in "bc" for rate in RATES]
    assert {one.reference_group for one in found} == {"a"}


def test_equal_groups_have_no_difference() -> None:
    for one in parity({"a": A, "b": A}, "a"):
        assert (one.difference.value, one.ratio.value) == (0.0, 1.0)


def test_empty_denominators_are_undefined() -> None:
    """A group without positives has no tpr, hence neither difference nor ratio; its selection rate is compared."""
    found = pairs({"a": A, "b": group(tp=0, fp=2, fn=0, tn=8)})
    assert found["b", "tpr"].difference.reason == found["b", "tpr"].ratio.reason == "nothing positive came true"
    assert found["b", "selection_rate"].ratio.value == pytest.approx(0.4)
    assert rates(group(0, 0, 3, 3))["ppv"].reason == "nothing was predicted positive"
    assert rates(group(3, 0, 3, 0))["fpr"].reason == "nothing negative came true"
    assert {one.reason for one in rates(Answers("binary", {}, "1")).values()} >= {"no answer"}


def test_a_reference_rate_of_zero_leaves_the_ratio_undefined() -> None:
    found = pairs({"a": group(0, 0, 5, 5), "b": B})["b", "selection_rate"]
    assert found.ratio.reason == "the reference group's rate is 0"
    assert found.difference.value == pytest.approx(0.15)


def test_a_missing_reference_group_is_undefined() -> None:
    for one in parity({"b": B}, "a"):
        assert one.difference.reason == one.ratio.reason == "no rows of the reference group 'a'"


@pytest.mark.parametrize(("n", "sure"), [(3, False), (300, True)])
def test_a_group_never_selected_is_surely_below_only_with_rows_enough(n: int, sure: bool) -> None:
    """0 of 3 against one half is not surely under four fifths; 0 of 300 is."""
    ratio = pairs({"a": A, "b": group(0, 0, 0, n)})["b", "selection_rate"].ratio
    p_value = ratio.p_below(0.8)
    assert ratio.value == 0.0
    assert p_value is not None and (p_value < 0.05) == sure
    assert ratio.bounds(0.05)[1] == pytest.approx(2 * 2.705543 / (n + 2.705543), rel=1e-5)  # Wilson's bound of 0 of n


def test_groups_always_selected_keep_their_uncertainty() -> None:
    ratio = pairs({"a": group(3, 0, 0, 0), "b": group(3, 0, 0, 0)})["b", "tpr"].ratio
    assert ratio.value == 1.0
    assert ratio.bounds(0.05)[0] is not None and ratio.bounds(0.05)[0] < 0.8  # type: ignore[operator]


@pytest.mark.parametrize(("value", "truth"), [("difference", -0.15), ("ratio", 0.5)])
def test_intervals_cover(value: str, truth: float) -> None:
    """The 95 % intervals of difference and ratio hold the true values in about 95 % of samples."""
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(300):
        a, b = int(rng.binomial(200, 0.3)), int(rng.binomial(150, 0.15))
        found = pairs({"a": group(a, 0, 0, 200 - a), "b": group(b, 0, 0, 150 - b)})["b", "selection_rate"]
        low, high = getattr(found, value).bounds(0.025)
        hits += low <= truth <= high
    assert 0.92 <= hits / 300 <= 0.99


def test_other_tasks_have_no_rates() -> None:
    numbers = regression_answers_of([1.0, 2.0], [1.0, 2.5])
    assert {one.reason for one in rates(numbers).values()} == {"a regression task has no positive answer"}
    assert {one.difference.value for one in parity({"a": numbers, "b": numbers}, "a")} == {None}
