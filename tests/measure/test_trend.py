"""Slow drift over stored windows: Theil-Sen and Mann-Kendall, against hand-worked cases, scipy and simulation."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy import stats

from bq_monitor.measure.trend import MIN_POINTS, Trend, trend

START = datetime(2024, 3, 1, tzinfo=UTC)
Points = list[tuple[datetime, float]]


def daily(*values: float) -> Points:
    return [(START + timedelta(days=i), value) for i, value in enumerate(values)]


def found(points: Points, threshold: float = 0.1) -> Trend:
    answer = trend(points, threshold)
    assert answer is not None
    return answer


def test_five_points_by_hand() -> None:
    """1 3 2 5 4: eight of ten pairs rise; 1 + 4 + 9 of the 120 orders have at most two falls; the median slope is 7/8.

    The residuals from that slope are 1, 2 1/8, 1/4, 2 3/8, 1/2, their median 1: the line is 1 + 7/8 a day and reaches 8
    after eight days, which is as far beyond the fourth as the history is long.
    """
    assert found(daily(1, 3, 2, 5, 4), threshold=8) == Trend(
        slope=0.875, p_value=pytest.approx(14 / 120), n_points=5, crosses_at=START + timedelta(days=8)
    )


def test_a_crossing_further_ahead_than_the_history_is_long_is_not_told() -> None:
    """The same line reaches 8.01 a little later: no date."""
    assert found(daily(1, 3, 2, 5, 4), threshold=8.01).crosses_at is None


def test_a_crossing_further_back_than_the_history_is_long_is_not_told() -> None:
    """1 + 7/8 a day was at -2.5 four days before the first window; lower lies too far back to say when."""
    points = daily(1, 3, 2, 5, 4)
    assert found(points, threshold=-2.5).crosses_at == START - timedelta(days=4)
    assert found(points, threshold=-2.51).crosses_at is None
    assert found(daily(*(1 + 1e-13 * i for i in range(9))), threshold=-1e9).crosses_at is None


@pytest.mark.parametrize("n", [7, 8, 20, 33, 34, 60])
@pytest.mark.parametrize("tied", [False, True])
def test_slope_and_p_value_are_those_of_scipy(n: int, tied: bool) -> None:
    """Theil-Sen of value on day, and Kendall's tau of the two with the alternative that it rises."""
    rng = np.random.default_rng(n)
    days = np.sort(rng.choice(10 * n, n, replace=False))
    values = rng.normal(0, 1, n) + days / n
    values = values.round() if tied else values
    points = [(START + timedelta(days=int(day)), float(value)) for day, value in zip(days, values, strict=True)]
    answer = found(points)
    assert answer.slope == pytest.approx(stats.theilslopes(values, days).slope)
    assert answer.p_value == pytest.approx(stats.kendalltau(days, values, alternative="greater").pvalue)
    assert answer.n_points == n


@pytest.mark.parametrize("n", [5, 6, 7, 8])
def test_a_rise_without_exception_has_the_chance_of_one_order_in_all(n: int) -> None:
    """1 / n!, below 0.0005 from seven windows on; a fall without exception has p 1, and no crossing."""
    values = [0.01 * i**2 for i in range(n)]
    assert found(daily(*values)).p_value == pytest.approx(1 / math.factorial(n))
    assert (1 / math.factorial(n) < 0.0005) == (n >= 7)
    falling = found(daily(*reversed(values)))
    assert falling.p_value == pytest.approx(1.0)
    assert falling.slope < 0
    assert falling.crosses_at is None


def test_ties_use_the_variance_of_kendall() -> None:
    """0 0 1 2 3 4 5 6: S = 27 of 28 pairs, variance (8 7 21 - 2 1 9) / 18, and p is the normal tail of their ratio."""
    z = 27 / math.sqrt((8 * 7 * 21 - 2 * 1 * 9) / 18)
    answer = found(daily(0, 0, 1, 2, 3, 4, 5, 6))
    assert answer.p_value == pytest.approx(stats.norm.sf(z))
    assert answer.p_value < 0.0005


def test_equal_values_have_no_trend() -> None:
    """A metric that never moves: slope 0, p-value 1, no crossing even at the threshold itself."""
    assert found(daily(0.1, 0.1, 0.1, 0.1, 0.1), threshold=0.1) == Trend(0.0, 1.0, 5)


def test_a_median_slope_of_zero_crosses_nothing() -> None:
    """Six of ten pairs are level: one rise at the end is no slope, and a level line has no crossing."""
    answer = found(daily(0, 0, 0, 0, 1), threshold=0.5)
    assert (answer.slope, answer.crosses_at) == (0.0, None)


def test_too_few_windows_have_no_trend() -> None:
    """One window short, whether absent, said twice, or without a finite value."""
    points = daily(*(float(i) for i in range(MIN_POINTS)))
    assert trend(points, 1.0) is not None
    assert trend(points[1:], 1.0) is None
    assert trend([*points[1:], points[1]], 1.0) is None
    assert trend([*points[1:], (START, math.nan)], 1.0) is None
    assert trend([], 1.0) is None


def test_values_that_are_not_finite_are_left_out() -> None:
    """NaN and infinity are no measurements: the rest is answered as if they were gaps."""
    points = daily(1, 3, 2, 5, 4, 6)
    without = points[:2] + points[3:]
    for value in (math.nan, math.inf, -math.inf):
        assert trend([*without, (points[2][0], value)], 8) == trend(without, 8)


def test_the_order_of_the_points_does_not_matter(rng: np.random.Generator) -> None:
    """Stored rows come in any order."""
    points = daily(*rng.normal(0, 1, 15).tolist())
    shuffled = [points[i] for i in rng.permutation(15)]
    assert trend(shuffled, 2.0) == trend(points, 2.0)


@pytest.mark.parametrize("days", [range(12), [0, 1, 2, 9, 10, 30, 31, 45], [0, 7, 14, 21, 28, 35]])
@pytest.mark.parametrize("day", [-0.5, 3, 20.25, 60])
def test_a_straight_line_crosses_exactly(days: list[int], day: float) -> None:
    """0.02 + 0.0013 a day with any gaps: past, between windows or ahead, the day is exact as far as it is told."""
    points = [(START + timedelta(days=d), 0.02 + 0.0013 * d) for d in days]
    answer = found(points, threshold=0.02 + 0.0013 * day)
    assert answer.slope == pytest.approx(0.0013)
    assert answer.crosses_at == (START + timedelta(days=day) if day <= 2 * days[-1] else None)


def test_days_are_of_24_hours_across_a_change_of_the_clock() -> None:
    """Midnights in Berlin around 31 March 2024, one an hour closer: a steady rise per hour stays a straight line."""
    zone = ZoneInfo("Europe/Berlin")
    ends = [datetime(2024, 3, day, tzinfo=zone) for day in range(28, 32)]
    ends += [datetime(2024, 4, day, tzinfo=zone) for day in range(1, 5)]
    first = ends[0].timestamp()
    answer = found([(end, (end.timestamp() - first) / 86_400) for end in ends], threshold=5 - 1 / 24)
    assert answer.slope == pytest.approx(1.0, rel=1e-12)
    assert answer.crosses_at == datetime(2024, 4, 2, tzinfo=zone)


def test_one_wild_window_does_not_make_a_trend() -> None:
    """A thousand-fold value in the last of ten windows moves the p-value as little as a slightly larger one."""
    quiet = [0.03, 0.05, 0.04, 0.06, 0.03, 0.05, 0.045, 0.055, 0.035]
    wild, mild = found(daily(*quiet, 60.0)), found(daily(*quiet, 0.061))
    assert wild.p_value == mild.p_value > 0.1
    assert wild.slope == pytest.approx(mild.slope, abs=0.01)


@pytest.mark.parametrize(("n_series", "decimals"), [(2000, 12), (1000, 0)])
def test_without_a_trend_false_alarms_are_as_rare_as_the_p_value_says(n_series: int, decimals: int) -> None:
    """12 windows of independent noise: p < 0.01 in at most 1.3 %, without and with many ties; and in some."""
    rng = np.random.default_rng(1945)
    series = rng.normal(0, 1.5, (n_series, 12)).round(decimals).tolist()
    share = sum(found(daily(*values)).p_value < 0.01 for values in series) / len(series)
    assert 0.003 < share <= 0.013


def test_a_slow_rise_under_noise_is_found() -> None:
    """A rise of a third of the noise per window over 20 windows is below p = 0.0005 in nearly all of 200 series."""
    rng = np.random.default_rng(1968)
    series = (rng.normal(0, 0.01, (200, 20)) + 0.0033 * np.arange(20)).tolist()
    assert np.mean([found(daily(*values)).p_value < 0.0005 for values in series]) > 0.9
