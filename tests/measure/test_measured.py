"""A number with its uncertainty: bounds and chances on each scale, and what happens when there are none."""

from __future__ import annotations

from math import exp, inf, log, sqrt

import pytest
from scipy import stats

from bq_monitor.measure.measured import Measured, Scale, share_of, undefined

Z = 1.6448536269514722


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (7, 50), (10, 10), (480, 1000)])
@pytest.mark.parametrize("alpha", [0.025, 0.05])
def test_bounds_of_a_share_are_wilsons(hits: int, n: int, alpha: float) -> None:
    """As scipy gives them, also for 0 and 1."""
    expected = stats.binomtest(hits, n).proportion_ci(1 - 2 * alpha, "wilson")
    found = Measured(hits / n, n, scale="share").bounds(alpha)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("scale", "value", "expected"),
    [
        ("plain", 3.0, (3 - Z / 2, 3 + Z / 2)),
        ("log", 3.0, (3 * exp(-Z / 2), 3 * exp(Z / 2))),
        ("logit", 0.8, (4 * exp(-Z / 2) / (1 + 4 * exp(-Z / 2)), 4 * exp(Z / 2) / (1 + 4 * exp(Z / 2)))),
    ],
)
def test_bounds_lie_a_multiple_of_the_error_away_on_the_scale(
    scale: Scale, value: float, expected: tuple[float, float]
) -> None:
    assert Measured(value, 9, 0.5, scale).bounds(0.05) == pytest.approx(expected)


@pytest.mark.parametrize(("scale", "value"), [("plain", 3.0), ("log", 3.0), ("logit", 0.8), ("share", 0.3)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_a_bound_is_where_the_chance_is_alpha(scale: Scale, value: float, alpha: float) -> None:
    """Were the truth at the lower bound, a value this high had chance alpha; at the upper, one this low."""
    one = Measured(value, 40, 0.5, scale)
    low, high = one.bounds(alpha)
    assert low is not None and high is not None and low < value < high
    assert one.p_above(low) == pytest.approx(alpha)
    assert one.p_below(high) == pytest.approx(alpha)


def test_chances_of_both_sides_add_up_to_one() -> None:
    one = Measured(0.3, 40, scale="share")
    below, above = one.p_below(0.4), one.p_above(0.4)
    assert below is not None and above is not None
    assert below + above == pytest.approx(1)
    assert below == pytest.approx(stats.norm.cdf((0.3 - 0.4) / sqrt(0.4 * 0.6 / 40)))
    assert one.p_below(0.3) == one.p_above(0.3) == 0.5


def test_a_limit_without_spread_is_certain() -> None:
    """If the truth were a share of 0 or 1, no row could differ; nor can a number without error."""
    share = Measured(0.9, 10, scale="share")
    assert (share.p_below(1.0), share.p_above(0.0)) == (0.0, 0.0)
    exact = Measured(2.0, 10, 0.0)
    assert (exact.p_below(3.0), exact.p_above(3.0), exact.p_below(2.0)) == (0.0, 1.0, 0.5)


@pytest.mark.parametrize("scale", ["log", "logit"])
def test_values_and_limits_at_the_end_of_a_scale_are_infinitely_far(scale: Scale) -> None:
    """A limit of 0 on the log scale is surely below any positive value, and no arithmetic fails."""
    one = Measured(0.5, 10, 0.2, scale)
    assert (one.p_above(0.0), one.p_below(0.0)) == (0.0, 1.0)
    assert Measured(0.5, 10, 0.2, "logit").p_below(1.0) == 0.0
    assert Measured(0.0, 10, 0.2, scale).bounds(0.05) == (0.0, 0.0)


def test_log_bounds_do_not_overflow() -> None:
    high = Measured(1.0, 3, 1e6, "log").bounds(0.05)[1]
    assert high is not None and 1e300 < high < inf


NO_UNCERTAINTY = [
    undefined("no rows", 3), Measured(0.4, 10), Measured(0.4, 10, 0.1, "none"), Measured(0.4, 0, scale="share"),
]  # fmt: skip


@pytest.mark.parametrize("one", NO_UNCERTAINTY)
def test_without_a_known_uncertainty_nothing_is_told(one: Measured) -> None:
    assert one.bounds(0.05) == (None, None)
    assert one.p_below(0.5) is None
    assert one.p_above(0.5) is None
    assert one.plain_error is None


def test_undefined_keeps_its_reason() -> None:
    one = undefined("no outcome yet", 7)
    assert (one.value, one.reason, one.n, one.scale) == (None, "no outcome yet", 7, "none")


def test_share_of_nothing_is_undefined() -> None:
    assert share_of(3, 4, "no rows") == Measured(0.75, 4, scale="share")
    assert share_of(0, 0, "no rows") == undefined("no rows")


@pytest.mark.parametrize(("scale", "value", "slope"), [("plain", 3.0, 1.0), ("log", 3.0, 3.0), ("logit", 0.8, 0.16)])
def test_plain_error_follows_the_slope_of_the_scale(scale: Scale, value: float, slope: float) -> None:
    assert Measured(value, 9, 0.5, scale).plain_error == pytest.approx(0.5 * slope)


def test_plain_error_of_a_share_is_that_of_agresti_and_coull() -> None:
    """Two more hits and two more misses: 0 of 10 is 2 of 14, not certain."""
    assert Measured(0.0, 10, scale="share").plain_error == pytest.approx(sqrt(2 / 14 * 12 / 14 / 14))


def test_difference_adds_variances_and_bounds() -> None:
    """Errors 3 and 4 on the plain scale make 5; what buckets blur adds up."""
    first = Measured(10.0, 5, 3.0, bound=0.1)
    second = Measured(exp(1.0), 8, 4.0 / exp(1.0), "log", bound=0.2)
    found = first.minus(second)
    assert found.value == pytest.approx(10 - exp(1.0))
    assert found.error == pytest.approx(5.0)
    assert found.bound == pytest.approx(0.3)
    assert (found.n, found.scale) == (5, "plain")


def test_difference_from_what_is_undefined_says_why() -> None:
    some, none = Measured(1.0, 5, 0.1), undefined("no rows")
    assert (some.minus(none).value, some.minus(none).reason) == (None, "no rows")
    assert (none.minus(some).value, none.minus(some).reason) == (None, "no rows")


def test_difference_without_a_known_error_keeps_its_value() -> None:
    found = Measured(1.0, 5).minus(Measured(0.5, 5, 0.1))
    assert (found.value, found.error, found.bounds(0.05)) == (0.5, None, (None, None))


def test_log_of_the_value_is_the_middle_of_its_interval() -> None:
    low, high = Measured(3.0, 9, 0.5, "log").bounds(0.05)
    assert low is not None and high is not None
    assert (log(low) + log(high)) / 2 == pytest.approx(log(3.0))
