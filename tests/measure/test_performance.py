"""How well answers came true: held against scikit-learn on the raw rows, within the stated bounds, at the stated confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from bq_monitor.measure.answers import Answers, Task
from bq_monitor.measure.measured import Measured
from bq_monitor.measure.observed import percentile
from bq_monitor.measure.performance import (
    METRICS,
    accuracy_shift,
    calibration_bins,
    confidence_bins,
    confusion,
    observed,
    performance,
)
from tests.measure.counted import answers_of, regression_answers_of
from tests.measure.zoo import edges_of, numeric

EDGES = tuple(np.round(np.linspace(0.02, 0.98, 49), 2).tolist())
Rows = tuple[Any, Any, Any]


def binary_rows(seed: int, n: int, *, slope: float = 2.0, digits: int = 12) -> Rows:
    """Outcome, answer and score of a somewhat miscalibrated model; fewer digits make ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, n)
    outcome = (rng.random(n) < 1 / (1 + np.exp(-slope * x + 1))).astype(int)
    score = np.round(1 / (1 + np.exp(-slope * 0.7 * x + 0.5)), digits)
    return outcome, (score >= 0.5).astype(int), score


def binary(rows: Rows, edges: tuple[float, ...] | None = EDGES) -> Answers:
    return answers_of("binary", *rows, positive="1", score_edges=edges)


def class_rows(seed: int, n: int) -> Rows:
    rng = np.random.default_rng(seed)
    outcome = rng.choice(list("abcd"), n, p=[0.6, 0.25, 0.1, 0.05])
    right = rng.random(n) < 0.7
    predicted = np.where(right, outcome, rng.choice(list("abce"), n))
    return outcome, predicted, np.clip(rng.beta(6, 3, n) + 0.1 * right, 0.2, 1.0)


def number_rows(seed: int, n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, n)
    actual = 5 + 3 * x + rng.normal(0, 1, n)
    return actual, 5.2 + 2.5 * x + rng.normal(0, 0.5, n)


def compare(found: dict[str, Measured], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert found[name].bound == 0.0, name
        assert found[name].value == pytest.approx(value, abs=1e-9, rel=1e-9), name


SAMPLES = [(seed, n) for seed, n in enumerate((7, 40, 300, 2000))]


@pytest.mark.parametrize(("seed", "n"), SAMPLES)
def test_binary_metrics_are_those_of_scikit_learn(seed: int, n: int) -> None:
    """Where sums suffice the counts give the raw rows' value to the last digits."""
    outcome, predicted, score = rows = binary_rows(seed, n)
    found = performance(binary(rows))
    assert tuple(found) == METRICS["binary"]
    compare(found, {
        "accuracy": metrics.accuracy_score(outcome, predicted),
        "outcome_rate": outcome.mean(), "calibration_gap": (score - outcome).mean(),
        "precision": metrics.precision_score(outcome, predicted),
        "recall": metrics.recall_score(outcome, predicted),
        "f1": metrics.f1_score(outcome, predicted),
        "f1_macro": metrics.f1_score(outcome, predicted, average="macro"),
        "f1_weighted": metrics.f1_score(outcome, predicted, average="weighted"),
        "balanced_accuracy": metrics.balanced_accuracy_score(outcome, predicted),
        "log_loss": metrics.log_loss(outcome, score),
        "brier": metrics.brier_score_loss(outcome, score),
    })  # fmt: skip


@pytest.mark.parametrize(("seed", "n"), SAMPLES)
@pytest.mark.parametrize("bins", [2, 10, 60])
@pytest.mark.parametrize("digits", [1, 12])
def test_areas_differ_by_at_most_their_bound(seed: int, n: int, bins: int, digits: int) -> None:
    """ROC and precision-recall areas from buckets stay within the bound of scikit-learn's, ties or none."""
    outcome, _, score = rows = binary_rows(seed, n, digits=digits)
    found = performance(binary(rows, edges_of(score, bins)))
    for name, exact in (("roc_auc", metrics.roc_auc_score), ("pr_auc", metrics.average_precision_score)):
        assert abs(found[name].value - exact(outcome, score)) <= found[name].bound + 1e-12, name  # type: ignore[operator]
        assert found[name].bound < (0.5 if bins == 2 else 0.3), name


def test_areas_are_exact_when_each_score_has_its_bucket() -> None:
    """With a bucket for each distinct score nothing is approximated: the ties count as scikit-learn counts them."""
    outcome, _, score = rows = binary_rows(5, 500, digits=1)
    found = performance(binary(rows, tuple(np.round(np.arange(0.05, 1, 0.1), 2))))
    assert found["roc_auc"].value == pytest.approx(metrics.roc_auc_score(outcome, score), abs=1e-12)
    assert found["pr_auc"].value == pytest.approx(metrics.average_precision_score(outcome, score), abs=1e-12)


@pytest.mark.parametrize("best", [True, False])
def test_bounds_of_areas_are_reached(best: bool) -> None:
    """The worst and the best order inside one bucket lie on the bound: it could not be smaller."""
    outcome = np.array([1, 1, 1, 0, 0])
    score = np.where((outcome == 1) == best, 0.6, 0.4) if best else np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    found = performance(binary((outcome, outcome, score), (0.9,)))
    for name, exact in (("roc_auc", metrics.roc_auc_score), ("pr_auc", metrics.average_precision_score)):
        gap = abs(exact(outcome, score) - found[name].value)  # type: ignore[operator]
        if name == "roc_auc":
            assert gap == pytest.approx(0.5) and found[name].bound == pytest.approx(0.5)
        else:
            ends = {True: 1 - 3 / 5, False: 3 / 5 - (1 / 3 + 2 / 4 + 3 / 5) / 3}
            assert gap == pytest.approx(ends[best]) and found[name].bound == pytest.approx(max(ends.values()))


@pytest.mark.parametrize(("seed", "n"), SAMPLES)
def test_class_metrics_are_those_of_scikit_learn(seed: int, n: int) -> None:
    """A class that is only answered, or only true, counts 0 in the averages, as with zero_division=0."""
    outcome, predicted, score = class_rows(seed, n)
    found = performance(answers_of("multiclass", outcome, predicted, score))
    assert tuple(found) == METRICS["multiclass"]
    expected = {"accuracy": metrics.accuracy_score(outcome, predicted)}
    recalls = metrics.recall_score(outcome, predicted, average=None, labels=sorted(set(outcome)), zero_division=0)
    expected["balanced_accuracy"] = float(np.mean(recalls))
    for average in ("macro", "weighted"):
        for name in ("precision", "recall", "f1"):
            exact = getattr(metrics, f"{name}_score")
            expected[f"{name}_{average}"] = exact(outcome, predicted, average=average, zero_division=0)
    compare(found, {name: value for name, value in expected.items() if name in METRICS["multiclass"]})


@pytest.mark.parametrize(("seed", "n"), SAMPLES)
def test_regression_metrics_are_those_of_scikit_learn(seed: int, n: int) -> None:
    actual, predicted = number_rows(seed, n)
    found = performance(regression_answers_of(actual, predicted))
    assert tuple(found) == METRICS["regression"]
    compare(found, {
        "mse": metrics.mean_squared_error(actual, predicted),
        "rmse": metrics.root_mean_squared_error(actual, predicted),
        "mae": metrics.mean_absolute_error(actual, predicted),
        "mape": metrics.mean_absolute_percentage_error(actual, predicted),
        "r2": metrics.r2_score(actual, predicted),
        "bias": float(np.mean(predicted - actual)),
    })  # fmt: skip


def test_relative_error_leaves_outcomes_of_zero_out() -> None:
    """|1 - 2| / 2 = 0.5 alone: an outcome of 0 has no relative error."""
    found = performance(regression_answers_of([2.0, 0.0], [1.0, 7.0]))["mape"]
    assert (found.value, found.n) == (0.5, 1)


@pytest.mark.parametrize(("seed", "n"), SAMPLES)
def test_calibration_error_differs_by_at_most_its_bound(seed: int, n: int) -> None:
    """The same bins with each row's own score give a value within the bound; so do the bins' mean scores."""
    outcome, _, score = rows = binary_rows(seed, n)
    answers = binary(rows)
    total = 0.0
    bins = calibration_bins(answers)
    for one in bins:
        inside = (score >= one.lower) & (score < one.upper if one is not bins[-1] else score <= one.upper)
        assert one.n == inside.sum()
        assert one.outcome_share == pytest.approx(outcome[inside].mean())
        assert one.lower_share <= one.outcome_share <= one.upper_share
        assert one.lower <= one.mean_score <= one.upper
        total += abs(outcome[inside].mean() - score[inside].mean()) * inside.sum() / n
    found = performance(answers)["ece"]
    assert abs(found.value - total) <= found.bound + 1e-12  # type: ignore[operator]
    assert found.bound <= 0.01 + 1e-12
    assert found.value == pytest.approx(sum(b.n * abs(b.outcome_share - b.mean_score) for b in bins) / n)


def test_calibration_bins_hold_about_a_tenth_each() -> None:
    """Ten bins of a tenth of the rows each, to a fine bucket's share."""
    bins = calibration_bins(binary(binary_rows(3, 5000), edges_of(binary_rows(3, 5000)[2])))
    assert len(bins) == 10
    assert all(400 <= one.n <= 600 for one in bins)


def test_confidence_calibration_is_that_of_twenty_bins() -> None:
    """Multiclass: |accuracy - confidence| over 20 bins of equal width, within the bound of half a bin."""
    outcome, predicted, score = rows = class_rows(4, 1500)
    answers = answers_of("multiclass", *rows)
    bins = confidence_bins(answers)
    total = 0.0
    for one in bins:
        inside = (score >= one.lower) & ((score < one.upper) | (one.upper == 1))
        assert one.n == inside.sum()
        assert one.accuracy == pytest.approx((outcome == predicted)[inside].mean())
        total += abs((outcome == predicted)[inside].mean() - score[inside].mean()) * inside.sum() / 1500
    found = performance(answers)["ece"]
    assert abs(found.value - total) <= found.bound <= 0.025 + 1e-12  # type: ignore[operator]
    assert len(bins) > 10


def reasons(found: dict[str, Measured]) -> dict[str, str | None]:
    for name, one in found.items():
        assert (one.value is None) == (one.reason is not None), name
        assert one.value is None or np.isfinite(one.value), name
    return {name: one.reason for name, one in found.items() if one.value is None}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_without_outcomes_everything_is_undefined(task: Task) -> None:
    """No rows, or none whose outcome is known: each metric says so."""
    empty = Answers(task, {}, "1")
    unknown = answers_of("binary", [None] * 3, [1, 0, 1], [0.7, 0.2, 0.9], positive="1")
    for answers in (empty, Answers(task, unknown.cells, "1")):
        assert reasons(performance(answers)) == dict.fromkeys(METRICS[task], "no outcome yet")
    assert confusion(empty) == calibration_bins(empty) == confidence_bins(empty) == []


def test_outcomes_without_answers_are_told_apart() -> None:
    """What came true is known, but the model said nothing."""
    found = performance(answers_of("binary", [1, 0], [None, None], positive="1"))
    assert set(reasons(found).values()) == {"no answer to what came true"}


def test_undefined_metrics_of_one_class() -> None:
    """Only negatives, all answered so: accuracy is told; what needs a positive row, or two classes, is not."""
    found = performance(binary(([0, 0, 0], [0, 0, 0], [0.1, 0.2, 0.3])))
    one = "only one class came true"
    assert reasons(found) == {
        "precision": "nothing was predicted positive", "recall": "nothing positive came true", "f1": "nothing was positive",
        "balanced_accuracy": one, "roc_auc": one, "pr_auc": one,
    }  # fmt: skip
    assert found["accuracy"].value == found["f1_macro"].value == 1.0
    assert found["f1_macro"].bounds(0.05) == (None, None)


def test_without_scores_only_answers_are_judged() -> None:
    found = performance(answers_of("binary", [0, 1, 1], [0, 1, 0], positive="1"))
    missing = ("roc_auc", "pr_auc", "log_loss", "brier", "ece", "calibration_gap")
    assert reasons(found) == dict.fromkeys(missing, "no score")
    assert "ece" in reasons(performance(answers_of("multiclass", ["a", "b"], ["a", "a"])))


def test_scores_that_are_no_number_are_left_out() -> None:
    """NaN and infinite scores change no score metric; their rows still count as answers."""
    outcome, predicted, score = binary_rows(1, 200)
    whole = performance(binary((outcome, predicted, score)))
    odd = [np.nan, np.inf, -np.inf, np.nan]
    more = performance(
        binary((np.append(outcome, [1, 0, 1, 0]), np.append(predicted, [0, 1, 0, 0]), np.append(score, odd)))
    )
    for name in ("roc_auc", "pr_auc", "brier", "ece"):
        assert more[name].value == pytest.approx(whole[name].value, abs=1e-12)
        assert more[name].n == 200
    assert more["accuracy"].n == 204
    nothing = performance(binary(([0, 1], [0, 1], [np.nan, np.nan])))
    assert {"roc_auc", "brier", "ece", "pr_auc"} <= set(reasons(nothing))
    assert calibration_bins(binary(([0, 1], [0, 1], [np.nan, np.nan]))) == []


def test_regression_that_cannot_be_told() -> None:
    """A constant outcome has no r2, a single row no error, a perfect model no uncertainty to tell."""
    assert reasons(performance(regression_answers_of([3.0, 3.0], [1.0, 2.0]))) == {"r2": "the outcome does not vary"}
    single = performance(regression_answers_of([3.0], [1.0]))
    assert reasons(single) == {"r2": "fewer than two outcomes"}
    assert single["bias"].error is None
    perfect = performance(regression_answers_of([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]))
    assert [perfect[name].value for name in ("mse", "rmse", "r2")] == [0.0, 0.0, 1.0]
    assert all(perfect[name].bounds(0.05) == (None, None) for name in METRICS["regression"])


def test_errors_too_large_to_square_are_undefined() -> None:
    found = performance(regression_answers_of([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]))
    assert not reasons(found)
    answers = regression_answers_of([1.0, 2.0], [1.0, 2.5])
    cells = {
        cell: {name: type(one)(one.buckets, one.counts, type(one.moments)(1)) for name, one in measured.items()}  # type: ignore[misc, call-arg]
        for cell, measured in answers.cells.items()
    }
    assert set(reasons(performance(Answers("regression", cells))).values()) == {"a value is too large to be squared"}


TRUE_AUC = 0.8


def binary_draw(rng: np.random.Generator, n: int) -> tuple[Answers, float]:
    """Normal scores of two classes whose true AUC is Phi(d / sqrt 2) = 0.8."""
    outcome = rng.integers(0, 2, n)
    raw = rng.normal(0, 1, n) + 1.1902 * outcome
    score = 1 / (1 + np.exp(-raw))
    return binary((outcome, (score > 0.64).astype(int), score)), TRUE_AUC


Draw = Callable[[np.random.Generator], dict[str, Measured]]


def coverage(draw: Draw, truths: dict[str, float], repetitions: int = 300) -> dict[str, float]:
    """Per metric, the share of repetitions whose 95 % interval holds the truth."""
    rng = np.random.default_rng(20)
    hits = dict.fromkeys(truths, 0)
    for _ in range(repetitions):
        found = draw(rng)
        for name, truth in truths.items():
            low, high = found[name].bounds(0.025)
            hits[name] += low is not None and high is not None and low <= truth <= high
    return {name: n / repetitions for name, n in hits.items()}


def all_within(shares: dict[str, float], low: float, high: float = 0.99) -> None:
    assert {name: share for name, share in shares.items() if not low <= share <= high} == {}


@pytest.mark.parametrize("n", [40, 150])
def test_intervals_of_binary_metrics_cover(n: int) -> None:
    """The true AUC, and the value of a large sample, lie in about 95 % of the intervals of small samples."""
    large = performance(binary_draw(np.random.default_rng(0), 100_000)[0])
    names = (
        "accuracy",
        "precision",
        "recall",
        "f1",
        "f1_macro",
        "f1_weighted",
        "balanced_accuracy",
        "pr_auc",
        "log_loss",
        "brier",
    )
    truths = {name: float(large[name].value or 0) for name in names} | {"roc_auc": TRUE_AUC}
    all_within(coverage(lambda rng: performance(binary_draw(rng, n)[0]), truths), 0.91)


def test_intervals_of_class_metrics_cover() -> None:
    """The same of averages over five classes, one of them rare."""

    def draw(seed: int, n: int) -> dict[str, Measured]:
        return performance(answers_of("multiclass", *class_rows(seed, n)))

    truths = {name: float(one.value or 0) for name, one in draw(0, 100_000).items() if name != "ece"}
    all_within(coverage(lambda rng: draw(int(rng.integers(1 << 30)), 400), truths, 200), 0.90, 0.995)


@pytest.mark.parametrize("heavy", [False, True])
def test_intervals_of_regression_metrics_cover(heavy: bool) -> None:
    """Also for errors that grow with the prediction, whose squares vary far more than those of normal errors."""

    def draw(rng: np.random.Generator, n: int) -> dict[str, Measured]:
        predicted = rng.exponential(2, n) if heavy else rng.normal(2, 1, n)
        actual = predicted + rng.normal(0, 1, n) * (0.2 + predicted if heavy else 1.0)
        edges, quarters = tuple(np.linspace(0.2, 9.0, 41)), (0.5, 1.5, 3.0)
        return performance(regression_answers_of(actual, predicted, score_edges=edges, actual_edges=quarters))

    large = draw(np.random.default_rng(0), 60_000)
    truths = {name: float(large[name].value or 0) for name in ("mse", "rmse", "mae", "r2", "bias")}
    all_within(coverage(lambda rng: draw(rng, 400), truths, 150), 0.87 if heavy else 0.91)


def test_calibration_error_of_a_calibrated_model_is_never_surely_above_a_small_limit() -> None:
    """Noise raises the estimate; the error knows it: the lower bound exceeds the truth in at most 5 % of samples."""
    rng = np.random.default_rng(3)
    above = 0
    for _ in range(300):
        score = rng.random(200)
        outcome = (rng.random(200) < score).astype(int)
        found = performance(binary((outcome, (score > 0.5).astype(int), score)))["ece"]
        above += (found.bounds(0.05)[0] or 0.0) > found.bound
    assert above <= 15


@pytest.mark.parametrize("n", [3, 20])
def test_a_model_always_right_so_far_is_not_surely_perfect(n: int) -> None:
    """Separated classes have an area of 1 and a lower bound below it that grows with the rows."""
    outcome = np.array([0, 1] * n)
    found = performance(binary((outcome, outcome, 0.2 + 0.6 * outcome)))
    for name in ("accuracy", "f1", "f1_macro", "balanced_accuracy", "roc_auc", "pr_auc"):
        low = found[name].bounds(0.05)[0]
        assert found[name].value == 1.0
        assert low is not None and 0.3 < low < 0.99, name


def test_error_of_the_area_is_that_of_delong() -> None:
    """By hand: placements 1, 1, 0.5 of the positives and 5/6, 5/6 of the negatives."""
    found = performance(binary(([1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0.9, 0.8, 0.3, 0.1, 0.5]), (0.2, 0.4, 0.6, 0.85)))
    area = 5 / 6
    positive, negative = np.var([1, 1, 0.5], ddof=1), np.var([1, 2 / 3], ddof=1)
    error = sqrt(positive / 3 + negative / 2)
    assert found["roc_auc"].value == pytest.approx(area)
    assert found["roc_auc"].error == pytest.approx(error / (area * (1 - area)))
    assert found["pr_auc"].error == pytest.approx(1 / sqrt(3 * found["pr_auc"].value * (1 - found["pr_auc"].value)))  # type: ignore[operator]


def test_confusion_counts_labelled_rows() -> None:
    answers = answers_of("multiclass", ["b", "a", None, "a", "b"], ["a", "a", "a", "a", None], [0.5] * 5)
    assert confusion(answers) == [("a", "a", 2), ("b", "a", 1)]


def test_accuracy_shift_is_a_divergence_of_right_and_wrong() -> None:
    """By hand: KL of 50 % wrong against 25 % wrong is ln(2)/2 + ln(2/3)/2 nats."""
    right, half = (
        (["a"] * 4, ["a", "a", "a", "b"], [0.91] * 4),
        (["a"] * 4, ["a", "a", "b", "b"], [0.31, 0.91, 0.91, 0.31]),
    )
    shift = accuracy_shift(answers_of("multiclass", *right), answers_of("multiclass", *half))
    assert shift.baseline.tolist() == [1, 3] and shift.current.tolist() == [2, 2]
    assert shift.baseline.dtype == shift.current.dtype == np.int64
    assert shift.kl == pytest.approx((log(2) + log(2 / 3)) / 2)
    p, q = np.array([3, 1, 0, 0]) / 4, np.array([1, 1, 1, 1]) / 4
    middle = (p + q) / 2
    bits = sum((x[x > 0] * np.log2(x[x > 0] / middle[x > 0])).sum() for x in (p, q)) / 2
    assert shift.confidence_js_divergence == pytest.approx(bits)
    assert shift.confidence_kl is not None and shift.confidence_kl > shift.kl
    assert shift.js_divergence is not None and 0 < shift.js_divergence < shift.confidence_js_divergence


def test_accuracy_shift_of_nothing_is_undefined() -> None:
    """An empty side, scores on one side only, regression: None, not 0."""
    some = answers_of("multiclass", ["a", "b"], ["a", "a"], [0.5, 0.7])
    for other in (Answers("multiclass", {}), answers_of("multiclass", [None], ["a"], [0.5])):
        shift = accuracy_shift(some, other)
        assert (shift.kl, shift.js_divergence, shift.confidence_kl, shift.confidence_js_divergence) == (None,) * 4
    no_score = accuracy_shift(some, answers_of("multiclass", ["a", "b"], ["a", "a"]))
    assert (no_score.kl, no_score.confidence_kl) == (0.0, None)
    numbers = regression_answers_of([1.0, 2.0], [1.0, 2.5])
    assert accuracy_shift(numbers, numbers).kl is None


def test_observed_needs_no_outcome() -> None:
    """By hand: 2 of 4 answers positive, 1 of 5 rows unanswered, its NaN score left out."""
    rows = ([None] * 5, [1, 1, 0, 0, None], [0.9, 0.55, 0.4, 0.1, np.nan])
    found = observed(binary(rows))
    assert list(found) == [
        "positive_rate", "mean_score", "std_score", "min_score", "max_score", "mean_confidence", "low_confidence_share",
        "unanswered_share", "n_rows",
    ]  # fmt: skip
    assert (found["positive_rate"].value, found["positive_rate"].n) == (0.5, 4)
    assert found["mean_score"].value == pytest.approx(0.4875)
    assert found["std_score"].value == pytest.approx(np.std([0.9, 0.55, 0.4, 0.1]))
    assert (found["min_score"].value, found["max_score"].value) == (0.1, 0.9)
    assert found["mean_confidence"].value == pytest.approx((0.9 + 0.55 + 0.6 + 0.9) / 4)
    assert found["unanswered_share"].value == 0.2
    assert (found["n_rows"].value, found["n_rows"].n) == (5.0, 5)
    assert found["low_confidence_share"].value == 0.25  # 0.55; 0.6 itself is not below


@pytest.mark.parametrize(("limit", "exact"), [(0.6, True), (0.75, True), (0.63, False), (0.99, False), (0.1, True)])
def test_low_confidence_share_is_exact_at_edges_and_bounded_inside(limit: float, exact: bool) -> None:
    outcome, predicted, score = class_rows(8, 700)
    found = observed(answers_of("multiclass", outcome, predicted, score), limit)["low_confidence_share"]
    assert abs(found.value - np.mean(score < limit)) <= found.bound + 1e-12  # type: ignore[operator]
    assert (found.bound == 0.0) == exact


def test_observed_of_nothing_is_undefined() -> None:
    """No rows: each value has its reason, and the number of rows is 0."""
    for task in METRICS:
        found = observed(Answers(task, {}, "1"))
        assert found["n_rows"].value == 0.0
        assert reasons(found).keys() == found.keys() - {"n_rows"}
    none = regression_answers_of([1.0, 2.0, np.nan], [3.0, 5.0, 4.0])
    assert list(observed(none)) == ["mean_score", "std_score", "min_score", "max_score", "unanswered_share", "n_rows"]
    assert observed(none)["mean_score"].value == 4.0


def test_deviation_of_scores_covers() -> None:
    """The interval of the standard deviation takes the kurtosis from the buckets: heavy tails widen it."""
    edges = tuple(np.linspace(0.1, 12, 60))

    def draw(rng: np.random.Generator) -> dict[str, Measured]:
        predicted = rng.exponential(2, 400)
        return observed(regression_answers_of(predicted, predicted, score_edges=edges))

    all_within(coverage(draw, {"std_score": 2.0, "mean_score": 2.0}, 200), 0.88)


def latencies(rng: np.random.Generator, n: int) -> Answers:
    from bq_monitor.measure.answers import LATENCY_EDGES

    milliseconds = numeric(rng.lognormal(3, 1, n), LATENCY_EDGES)
    return Answers("multiclass", {(None, "a"): {"latency": milliseconds}})


def test_latency_percentiles_lie_within_their_bucket() -> None:
    rng = np.random.default_rng(2)
    raw = np.random.default_rng(2).lognormal(3, 1, 5000)
    found = observed(latencies(rng, 5000))
    for name, share in (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99)):
        exact = float(np.quantile(raw, share, method="inverted_cdf"))
        assert abs(found[name].value - exact) <= found[name].bound  # type: ignore[operator]
        assert found[name].bound <= 0.122 * exact * 1.13
    assert list(found)[-4:] == ["latency_p50", "latency_p95", "latency_p99", "n_rows"]


def test_latency_of_few_rows_stays_within_them_and_tells_no_error() -> None:
    """Percentiles are clipped to the observed values; the 99th of 30 rows has no error, that of none is undefined."""
    found = observed(latencies(np.random.default_rng(1), 30))
    assert found["latency_p99"].error is None
    assert found["latency_p50"].error is not None
    constant = percentile(numeric([7.0, 7.0, 7.0], (1.0, 10.0)), 0.5)
    assert (constant.value, constant.bound) == (pytest.approx(7.0), 0.0)
    assert percentile(numeric([0.0, 0.0, 1.0, 1.0], (0.5,)), 0.01).value == pytest.approx(0.0, abs=0.1)
    assert percentile(numeric([], (1.0,)), 0.5).reason == "no latency"


def test_latency_intervals_cover() -> None:
    truths = {"latency_p50": float(np.exp(3)), "latency_p95": float(np.exp(3 + 1.6448536))}
    all_within(coverage(lambda rng: observed(latencies(rng, 300)), truths), 0.91)


def every(answers: Answers) -> Iterator[tuple[str, Measured]]:
    yield from performance(answers).items()
    yield from observed(answers).items()


def same(a: Answers, b: Answers) -> None:
    """Equal to rounding: sums were added in another order."""
    for (name, mine), (_, other) in zip(every(a), every(b), strict=True):
        assert (mine.value is None, mine.reason, mine.n, mine.scale) == (
            other.value is None,
            other.reason,
            other.n,
            other.scale,
        ), name
        for x, y in ((mine.value, other.value), (mine.error, other.error), (mine.bound, other.bound)):
            assert (x is None) == (y is None), name
            assert x is None or x == pytest.approx(y, rel=1e-6, abs=1e-9), name


answer = st.tuples(
    st.sampled_from([None, 0, 1]), st.sampled_from([None, 0, 1]), st.integers(0, 20).map(lambda i: i / 20)
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rows=st.lists(answer, min_size=1, max_size=20), cut=st.integers(0, 20))
def test_counts_of_parts_give_the_metrics_of_the_whole(rows: list[Rows], cut: int) -> None:
    """However rows are split over days, the sum of their counts measures as all of them counted at once."""
    whole = [list(column) for column in zip(*rows, strict=True)]
    parts = [[list(column)[part] for column in zip(*rows, strict=True)] for part in (slice(cut), slice(cut, None))]
    for task in ("binary", "multiclass"):
        first, second, both = (
            answers_of(task, *columns, positive="1", score_edges=EDGES)  # type: ignore[arg-type]
            for columns in (*parts, whole)
        )
        same(first + second, both)


number = st.integers(-50, 50).map(float)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rows=st.lists(st.tuples(number | st.just(np.nan), number), min_size=1, max_size=30), cut=st.integers(0, 30))
def test_counts_of_parts_give_the_regression_of_the_whole(rows: list[tuple[float, float]], cut: int) -> None:
    columns = np.array(rows).T
    edges: dict[str, Any] = {"score_edges": (-20.0, 0.0, 20.0), "actual_edges": (-10.0, 10.0)}
    first, second, both = (
        regression_answers_of(*part, **edges) for part in (columns[:, :cut], columns[:, cut:], columns)
    )
    same(first + second, both)


def test_bound_of_average_precision_covers_the_worst_order() -> None:
    """One negative row above nine positive ones of its bucket: further from the bucket's value than the best order."""
    score = np.array([0.8, *np.linspace(0.1, 0.7, 9)])
    outcome = np.array([0] + [1] * 9)
    found = performance(binary((outcome, outcome, score), (0.9,)))["pr_auc"]
    assert found.value == pytest.approx(0.9)
    assert found.bound == pytest.approx(0.9 - metrics.average_precision_score(outcome, score))


def test_calibration_bins_without_rows_are_left_out() -> None:
    """Fine buckets that no score reaches make no bin, also with rows enough for tails of their own."""
    score = np.repeat([0.3, 0.4, 0.6], 500)
    outcome = np.tile([0, 1], 750)
    bins = calibration_bins(binary((outcome, outcome, score), (0.1, 0.35, 0.5, 0.9)))
    assert [one.n for one in bins] == [500, 500, 500]


def test_a_constant_score_tells_no_spread() -> None:
    """Every row costs (0.5 - outcome)^2 = 0.25: that this never varies is not told as certainty."""
    found = performance(binary(([0, 1, 1], [1, 1, 1], [0.5] * 3)))["brier"]
    assert (found.value, found.error, found.bounds(0.05)) == (0.25, None, (None, None))
