"""The hand-worked numbers of answers and outcomes on the page of formulas: worked out here from shares, printed there, and the code's."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log, log2, sqrt

import numpy as np
import pytest
from scipy import stats

from bq_monitor.measure.answers import Answers
from bq_monitor.measure.concept import MIN_EXPECTED, ConceptRule, concept
from bq_monitor.measure.estimate import estimated
from bq_monitor.measure.measured import Measured
from bq_monitor.measure.performance import performance
from tests.conftest import ROOT
from tests.measure.zoo import numeric

PAGE = " ".join((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").split())
EDGES = (0.4, 0.7)
Cells = Mapping[tuple[str | None, str], tuple[int, int, int]]


def answers(cells: Cells) -> Answers:
    """Answers by outcome and prediction, with their rows in the three buckets of the score."""
    middles = np.array([0.2, 0.55, 0.85])
    return Answers(
        "binary",
        {cell: {"score": numeric(np.repeat(middles, rows), EDGES)} for cell, rows in cells.items()},
        "yes",
    )


def test_accuracy_with_its_interval() -> None:
    """80 of 100: Wilson's bounds, and the chance of it where the true accuracy is 0.9."""
    z = stats.norm.ppf(0.99)
    centre, spread = 0.8 + z**2 / 200, z * sqrt(0.8 * 0.2 / 100 + z**2 / 40_000)
    lower, upper = (centre - spread) / (1 + z**2 / 100), (centre + spread) / (1 + z**2 / 100)
    chance = stats.norm.cdf(-0.1 / 0.03)
    assert f"z = {z:.4f}." in PAGE
    assert f"({centre:.6f} ± {spread:.6f}) / {1 + z**2 / 100:.6f} = {lower:.6f}, {upper:.6f}" in PAGE
    assert f"= {chance:.6f}: surely below" in PAGE
    measured = Measured(0.8, 100, scale="share")
    assert measured.bounds(0.01) == pytest.approx((lower, upper), abs=1e-12)
    assert measured.p_below(0.9) == pytest.approx(chance, abs=1e-12)


def test_auc_from_histograms() -> None:
    """Each pair of a positive and a negative row counted one by one, a tie half; the bound is half of the ties."""
    positives, negatives = (10, 20, 30), (30, 20, 10)
    pairs = [(a, b, n * m) for a, n in enumerate(positives) for b, m in enumerate(negatives)]
    area = sum(n * ((a > b) + (a == b) / 2) for a, b, n in pairs) / 3600
    bound = sum(n for a, b, n in pairs if a == b) / 7200
    assert f"2600 / 3600 = {area:.6f}" in PAGE
    assert f"1000 / 7200 = {bound:.6f}" in PAGE
    found = performance(answers({("yes", "yes"): positives, ("no", "yes"): negatives}))["roc_auc"]
    assert (found.value, found.bound) == (pytest.approx(area, abs=1e-12), pytest.approx(bound, abs=1e-12))


@pytest.mark.parametrize(
    ("came_true", "expected"),
    [((20, 60, 90), (50 * 0.8 + 100 * 0.6 + 50 * 0.9) / 200), ((20, 90, 60), (50 * 0.8 + 150 * 0.75) / 200)],
)
def test_estimated_accuracy(came_true: tuple[int, int, int], expected: float) -> None:
    """What the window's rows would be, if each bucket came true as often as in the reference; out of order, as the mean of both."""
    low, middle, high = came_true
    reference = answers(
        {
            ("yes", "no"): (low, 0, 0), ("no", "no"): (100 - low, 0, 0),
            ("yes", "yes"): (0, middle, high), ("no", "yes"): (0, 100 - middle, 100 - high),
        }
    )  # fmt: skip
    window = answers({(None, "no"): (50, 0, 0), (None, "yes"): (0, 100, 50)})
    assert f"/ 200 = {expected:.6f}" in PAGE
    assert estimated(reference, window)["accuracy"].value == pytest.approx(expected, abs=1e-12)
    assert f"(80 + 60 + 90) / 300 = {performance(reference)['accuracy'].value:.6f}" in PAGE


def test_conditional_distance() -> None:
    """The divergence of the bucket that moved, weighted with the one that did not, and its chance with two degrees of freedom."""
    sides = ((0.8, 0.2), (0.5, 0.5))
    js = sum(
        share * log2(share / middle) / 2 for side in sides for share, middle in zip(side, (0.65, 0.35), strict=True)
    )
    statistic = 8 * log(2) * 50 * js
    assert f"= {js:.6f} second 0" in PAGE
    assert f"/ 100 = {js / 2:.6f}, distance √D = {sqrt(js / 2):.6f}" in PAGE
    assert f"= {statistic:.4f}; (2 - 1) + (2 - 1) = 2 degrees" in PAGE.replace("\N{MINUS SIGN}", "-")
    assert f"= {exp(-statistic / 2):.7f}" in PAGE
    before = {"yes": np.array([80, 50]), "no": np.array([20, 50])}
    now = {"yes": np.array([50, 50]), "no": np.array([50, 50])}
    verdict = concept(["first", "second"], before, now, ConceptRule(threshold=0.0))
    assert verdict.conditional == pytest.approx(sqrt(js / 2), abs=1e-12)
    assert verdict.p_conditional == pytest.approx(exp(-statistic / 2), rel=1e-9)
    assert f"(`MIN_EXPECTED` = {MIN_EXPECTED}," in PAGE
