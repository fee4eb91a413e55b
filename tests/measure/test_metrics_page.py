"""The page of formulas holds: its worked example by hand, its examples as code, its columns as the code's."""

from __future__ import annotations

import doctest
import re
from dataclasses import fields
from math import exp, log, log2, sqrt

import pytest

from bq_monitor import days, history
from bq_monitor.measure import divergence, explanation, histogram, pooling, presets, restlessness, trend
from bq_monitor.sections import MAX_ALPHA, Detection
from bq_monitor.warehouse.schema import DRIFT_RESULTS
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "metrics.md"
P, Q = (0.5, 0.3, 0.2), (0.4, 0.3, 0.3)
MIDDLE = (0.45, 0.3, 0.25)
BY_HAND = {
    "psi": -0.1 * log(0.8) + 0.1 * log(1.5),
    "kl_divergence": 0.4 * log(0.8) + 0.3 * log(1.5),
    "kl_divergence_reverse": 0.5 * log(1.25) + 0.2 * log(2 / 3),
    "js_divergence": sum(x * log2(x / m) / 2 for side in (P, Q) for x, m in zip(side, MIDDLE, strict=True)),
    "total_variation": (0.1 + 0.0 + 0.1) / 2,
    "ks_statistic": 0.5 - 0.4,
}
BY_HAND["js_distance"] = sqrt(BY_HAND["js_divergence"])


@pytest.mark.parametrize("metric", BY_HAND)
def test_the_worked_example_is_right_and_ours(metric: str) -> None:
    """The page's value, the one worked out here from shares, and the code's are the same."""
    printed = re.search(rf"^\| `{metric}` \| ([0-9.]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert printed is not None
    assert float(printed[1]) == pytest.approx(BY_HAND[metric], abs=5e-7)
    sides = ([50, 30, 20], [40, 30, 30])
    pair = reversed(sides) if metric == "kl_divergence_reverse" else sides
    function = getattr(divergence, metric.removesuffix("_reverse"))
    assert function(*pair) == pytest.approx(BY_HAND[metric], abs=1e-9)


def test_the_chance_of_the_worked_example() -> None:
    """T and its p-value with two degrees of freedom, where the chi-square tail is exp(-T/2)."""
    statistic = 8 * log(2) * BY_HAND["js_divergence"] * 50
    page = PAGE.read_text(encoding="utf-8")
    assert f"= {statistic:.4f};" in page
    assert f"exp(−T/2) = {exp(-statistic / 2):.4f}" in page  # noqa: RUF001 - the page's minus sign


def test_the_code_on_the_page_runs() -> None:
    """Its examples give what they say."""
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert (result.attempted, result.failed) == (6, 0)


@pytest.mark.parametrize("name", [field.name for field in fields(divergence.Divergences)])
def test_every_metric_has_its_place_on_the_page(name: str) -> None:
    """No column without a formula."""
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


NUMBERS = [column.name for column in DRIFT_RESULTS.columns if column.type in ("FLOAT64", "INT64")]


@pytest.mark.parametrize(
    "name",
    [*NUMBERS, "status", "reason", "metric", "baseline", "explanation", "carrier", "trend_crosses_at", "contributions"],
)
def test_every_stored_number_has_its_place_on_the_page(name: str) -> None:
    """And so has what is said in words: a reader of drift_results finds each column."""
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", presets.PRESETS)
def test_the_presets_on_the_page_are_ours(name: presets.PresetName) -> None:
    """Each row of the table: thresholds of both metrics, error rate and confirmation."""
    preset = presets.PRESETS[name]
    row = f"| `{name}` | {preset.js_distance} | {preset.psi} | {preset.alpha} | {preset.confirm} |"
    assert row in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "said",
    [
        f"fewer than {pooling.MIN_EXPECTED} rows (`MIN_EXPECTED`)",
        f"until they expect {pooling.MIN_EXPECTED_ORDERED} rows (`MIN_EXPECTED_ORDERED`)",
        f"needs {restlessness.MIN_DAYS} days (`MIN_DAYS`)",
        f"capped at {restlessness.MAX_CORRELATION} (`MAX_CORRELATION`)",
        f"fewer than {restlessness.MIN_ROWS_OF_DAY} row a day",
        f"the last {history.WINDOWS_OF_TREND} windows that do not overlap (`WINDOWS_OF_TREND`",
        f"fewer than {trend.MIN_POINTS} windows (`MIN_POINTS`)",
        f"(the newest {days.MAX_DAYS} days)",
        f"at most {MAX_ALPHA}.",
        f"rows ({Detection().min_rows}) on a side",
        f"more than `share_drifted` ({Detection().share_drifted})",
    ],
)
def test_the_page_says_each_constant_as_it_is(said: str) -> None:
    """A constant that changes must change on the page."""
    assert said in " ".join(PAGE.read_text(encoding="utf-8").split())


def test_the_page_names_the_constants_as_they_are() -> None:
    """Version, half a row, the tail's thousand rows, the limit of moments, and what is told in words."""
    assert (divergence.METRIC_VERSION, divergence.EMPTY_BUCKET_ROWS) == (1, 0.5)
    assert (histogram.NOVEL_TAIL_MIN_ROWS, histogram.MOMENT_LIMIT) == (1000, 1e150)
    assert explanation.MIN_CARRIED == 0.1
    assert "from a tenth of the PSI on" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["presets", "all"])
def test_what_the_simulation_printed_stands_between_marks(part: str) -> None:
    """The place of the program's output is marked, begins once and ends."""
    _, found = PAGE.read_text(encoding="utf-8").split(f"<!-- detection:{part} -->\n")
    printed, *_ = found.split("<!-- /detection -->\n")
    assert printed.strip()
    assert "<!--" not in printed
