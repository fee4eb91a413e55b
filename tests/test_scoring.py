"""Answers judged: every number against its limit by its interval, what cannot be told with its reason, and what is worth an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from bq_monitor.alerts.outcomes import MAX_CONCEPTS, performance_events
from bq_monitor.capture import _labels_apart, build_reference, wanted_features
from bq_monitor.capture_outcomes import with_outcomes, with_segments
from bq_monitor.concepts import CONCEPT, SHIFT
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.measure.measured import Measured
from bq_monitor.outcome_results import PerformanceResult
from bq_monitor.outcomes import Scheme
from bq_monitor.plan_outcomes import Arrived, OutcomeJudgement
from bq_monitor.reference import Reference
from bq_monitor.results import RunResult, performance_row
from bq_monitor.scoring import score_windows
from bq_monitor.timegrid import Window
from bq_monitor.warehouse.base import JobStats, Row
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import PERFORMANCE_RESULTS
from tests.test_plan import day

CONFIG = parse_config(
    {"monitor": "loans", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts"}}
)

ALPHA = 0.01
MIN_ROWS = 50
BINARY = {"column": "p", "kind": "binary", "positive": True, "score": "s"}
WINDOW = Window(day("01-05"), day("01-12"))


def config(**changes: Any) -> MonitorConfig:
    return parse_config(
        {
            "monitor": "loans", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts"}, "features": ["x"],
            "prediction": BINARY, "labels": {"column": "y"}, "detection": {"alpha": ALPHA, "threshold": 0.1, "min_rows": MIN_ROWS}, **changes,
        }
    )  # fmt: skip


def answers(tp: int, fp: int, fn: int, tn: int, *, times: int = 1, **columns: Any) -> pd.DataFrame:
    """So many rows of each cell of the confusion matrix, `times` over; scores are near 0.9 and 0.1, `x` goes round 0..9."""
    cells = [(True, True, tp), (True, False, fp), (False, True, fn), (False, False, tn)]
    rows = [(p, y) for p, y, n in cells for _ in range(n * times)]
    frame = pd.DataFrame(rows, columns=["p", "y"]).astype({"y": "object"})
    x = pd.Series(range(len(frame)), dtype=float) % 10
    return frame.assign(s=(0.9 - x / 100).where(frame["p"], 0.1 + x / 100), x=x).assign(**columns)


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse()
    yield opened
    opened.close()


Lab = Callable[..., list[PerformanceResult]]


@pytest.fixture(scope="module")
def capture(engine: DuckDBWarehouse) -> Callable[[MonitorConfig, pd.DataFrame], Reference]:
    """Captures a reference of a frame, not stored; of the same frame object once."""
    known: dict[tuple[str, int], tuple[pd.DataFrame, Reference]] = {}

    def captured(settings: MonitorConfig, frame: pd.DataFrame) -> Reference:
        key = (settings.model_dump_json(exclude={"performance"}), id(frame))
        if key not in known:
            known[key] = (frame, build(settings, frame))
        return known[key][1]

    def build(settings: MonitorConfig, frame: pd.DataFrame) -> Reference:
        relation = engine.frame(frame, "training data")
        wanted = wanted_features(settings, relation)
        built = build_reference(engine, relation, wanted, monitor="loans", version="1", unfit="refuse", salt="salt")
        split = with_segments(engine, relation, _labels_apart(built), settings)
        return with_outcomes(engine, relation, split, settings)

    return captured


@pytest.fixture(scope="module")
def counts(engine: DuckDBWarehouse) -> Callable[[MonitorConfig, Reference, pd.DataFrame], list[Row]]:
    """Counts a window by the scans that count a reference."""

    def counted(settings: MonitorConfig, reference: Reference, frame: pd.DataFrame) -> list[Row]:
        relation = engine.frame(frame, "window")
        return list(with_outcomes(engine, relation, replace(reference, cells=()), settings).cells)

    return counted


@pytest.fixture(scope="module")
def score(capture: Any, counts: Any) -> Lab:
    """Scores one window against a reference of `training` (default: 1000 rows, four of five right)."""

    def scored(
        settings: MonitorConfig, frame: pd.DataFrame, training: pd.DataFrame | None = None, **judged: Any
    ) -> list[PerformanceResult]:
        reference = capture(settings, TRAINING if training is None else training)
        return score_windows(settings, [judgement(reference, **judged)], {0: counts(settings, reference, frame)})

    return scored


TRAINING = answers(40, 10, 10, 40, times=10)


def judgement(reference: Reference | None, **changes: Any) -> OutcomeJudgement:
    return replace(OutcomeJudgement(WINDOW, "1", reference, "key", False, Arrived(100, 100)), **changes)


def one(results: list[PerformanceResult], metric: str, basis: str = "realised", segment: str = "all") -> PerformanceResult:  # fmt: skip
    (found,) = [r for r in results if (r.metric, r.basis, r.segment) == (metric, basis, segment)]
    return found


def holm(p_values: Mapping[Any, float]) -> dict[Any, float]:
    """Holm (1979), step by step."""
    adjusted, highest = {}, 0.0
    for i, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p_values) - i) * p))
        adjusted[name] = highest
    return adjusted


@pytest.mark.parametrize(
    ("metric", "limit", "rule", "cells"),
    [
        ("accuracy", {"min": 0.75}, "min 0.75", (35, 15, 15, 35)),
        ("outcome_rate", {"max": 0.5}, "max 0.5", (45, 5, 15, 35)),
        ("accuracy", {"max_drop": 0.05}, "max_drop 0.05", (35, 15, 15, 35)),
        ("outcome_rate", {"max_rise": 0.02}, "max_rise 0.02", (45, 5, 15, 35)),
    ],
)
def test_a_limit_is_broken_by_the_interval_not_by_the_point(
    score: Lab, metric: str, limit: dict[str, float], rule: str, cells: tuple[int, int, int, int]
) -> None:
    """The same value beyond the limit: of 100 rows it may be chance, of 2,000 it is not; and within the limit it is ok."""
    settings = config(performance={metric: limit})
    few, many = (one(score(settings, answers(*cells, times=n)), metric) for n in (1, 20))
    assert few.measured.value == many.measured.value
    assert (few.status, many.status) == ("ok", "drift")
    assert few.rule == many.rule == rule
    assert one(score(settings, TRAINING), metric).status == "ok"


def test_the_chance_of_a_value_at_the_limit_is_told(score: Lab) -> None:
    """Of 100 rows 70 right, where 75 are the least: the normal approximation's lower tail; a row says value, n and reference."""
    found = one(score(config(performance={"accuracy": {"min": 0.75}}), answers(35, 15, 15, 35)), "accuracy")
    assert found.p_value == pytest.approx(stats.norm.cdf((0.70 - 0.75) / (0.75 * 0.25 / 100) ** 0.5))
    assert (found.measured.value, found.measured.n, found.reference_value) == (0.70, 100, 0.80)
    assert (found.n_rows, found.n_labelled, found.alpha) == (100, 100, ALPHA)
    low, high = found.bounds
    wilson = stats.binomtest(70, 100).proportion_ci(1 - 2 * ALPHA, method="wilson")
    assert (low, high) == pytest.approx((wilson.low, wilson.high))


def test_of_several_limits_the_nearest_to_be_broken_is_told(score: Lab) -> None:
    """Each counts as a test of its own: the least p-value, times their number."""
    worse = answers(35, 15, 15, 35)
    alone = one(score(config(performance={"accuracy": {"min": 0.75}}), worse), "accuracy")
    limits = {"min": 0.75, "max": 0.95, "max_drop": 0.3, "max_rise": 0.1}
    found = one(score(config(performance={"accuracy": limits}), worse), "accuracy")
    assert alone.p_value is not None
    assert (found.rule, found.p_value) == ("min 0.75", pytest.approx(4 * alone.p_value))
    better = one(score(config(performance={"accuracy": limits}), answers(49, 1, 1, 49, times=10)), "accuracy")
    assert better.rule == "max_rise 0.1"


def test_p_values_are_adjusted_over_all_limits_of_a_window(score: Lab) -> None:
    """A limit that would be broken alone is not among others: Holm over every number with a limit, of every segment and basis."""
    settings = config(performance={"accuracy": {"min": 0.75}, "f1": {"min": 0.1}})
    results = score(settings, answers(35, 15, 15, 35, times=5))
    given = {(r.metric, r.basis): r.p_value for r in results if r.p_value is not None}
    assert set(given) == {
        ("accuracy", "realised"), ("accuracy", "estimated"), ("f1", "realised"), ("f1", "estimated"), ("accuracy_js_divergence", "realised"),
    }  # fmt: skip
    assert {(r.metric, r.basis): r.p_adjusted for r in results if r.p_value is not None} == pytest.approx(holm(given))
    accuracy = one(results, "accuracy")
    assert accuracy.p_value is not None and accuracy.p_adjusted is not None
    assert accuracy.p_value < ALPHA < accuracy.p_adjusted
    assert accuracy.status == "ok"


def test_each_window_is_adjusted_for_itself_and_told_in_order(capture: Any, counts: Any) -> None:
    """Two versions in one window share its chance of a false verdict; another window has its own; the oldest comes first."""
    settings = config(performance={"accuracy": {"min": 0.75}})
    reference = capture(settings, TRAINING)
    rows = counts(settings, reference, answers(35, 15, 15, 35, times=5))
    later = Window(day("01-12"), day("01-19"))
    three = [judgement(reference, window=later), judgement(reference), judgement(reference, model_version="2")]
    results = score_windows(settings, three, {0: rows, 1: rows, 2: rows})
    assert [r.judgement.window for r in results] == sorted(r.judgement.window for r in results)
    accuracies = [r for r in results if (r.metric, r.basis) == ("accuracy", "realised")]
    found = {(r.judgement.window, r.judgement.model_version): r.p_adjusted for r in accuracies}
    alone = one(score_windows(settings, three[:1], {0: rows}), "accuracy").p_adjusted
    assert found[later, "1"] == alone
    assert found[WINDOW, "1"] == found[WINDOW, "2"]
    assert (found[WINDOW, "1"] or 0) > (alone or 0)


def test_too_few_rows_are_told_but_not_evaluated(score: Lab) -> None:
    """49 outcomes of 100 rows: what rests on outcomes waits, what does not is judged; of 49 rows nothing is."""
    settings = config(performance={"accuracy": {"min": 0.99}}, business={"positive_rate": {"max": 0.9}})
    frame = answers(35, 15, 15, 35)
    frame.loc[MIN_ROWS - 1 :, "y"] = None
    results = score(settings, frame)
    accuracy = one(results, "accuracy")
    assert (accuracy.status, accuracy.reason) == ("not_evaluated", "too few outcomes: 49 of at least 50")
    assert (accuracy.n_rows, accuracy.n_labelled) == (100, 49)
    assert accuracy.measured.value is not None
    assert one(results, "positive_rate", "observed").status == "ok"
    shift = one(results, "accuracy_js_divergence")
    assert (shift.status, shift.reason) == ("not_evaluated", "too few outcomes: 49 of at least 50")
    few = score(settings, frame.head(49))
    rate = one(few, "positive_rate", "observed")
    assert (rate.status, rate.reason) == ("not_evaluated", "too few rows: 49 of at least 50")
    enough = answers(35, 15, 15, 35)
    enough.loc[MIN_ROWS:, "y"] = None
    assert one(score(settings, enough), "accuracy").status == "drift"


def test_what_is_undefined_is_not_evaluated_with_its_reason(score: Lab) -> None:
    """Nothing was predicted positive: no precision; no outcome came: nothing realised; each says why, and nothing else is undefined."""
    settings = config(performance={"precision": {"min": 0.5}})
    precision = one(score(settings, answers(0, 0, 50, 50)), "precision")
    assert (precision.status, precision.measured.value) == ("not_evaluated", None)
    assert precision.reason == "nothing was predicted positive"
    results = score(settings, answers(25, 25, 25, 25, y=None))
    realised = [r for r in results if r.basis == "realised"]
    assert {r.status for r in realised} == {"not_evaluated"}
    assert all(r.reason for r in realised)
    assert one(results, "accuracy").reason == "no outcome yet"
    assert one(results, "accuracy_js_divergence").reason == "no outcomes on one side"


def test_a_fall_from_an_unknown_value_is_not_evaluated(score: Lab) -> None:
    """Where training had no outcomes there is nothing to fall from; a limit on the value itself is judged all the same."""
    blind = TRAINING.drop(columns="y")
    worse = answers(35, 15, 15, 35, times=20)
    fall = one(score(config(performance={"accuracy": {"max_drop": 0.05}}), worse, blind), "accuracy")
    assert (fall.status, fall.rule) == ("not_evaluated", "max_drop 0.05")
    assert fall.reason == "its uncertainty, or the reference's value, is not known"
    both = one(score(config(performance={"accuracy": {"max_drop": 0.05, "min": 0.75}}), worse, blind), "accuracy")
    assert (both.status, both.rule) == ("drift", "min 0.75")
    assert both.p_value == pytest.approx(stats.norm.cdf((0.70 - 0.75) / (0.75 * 0.25 / 2000) ** 0.5))


def spread(middle: float, width: float, n: int) -> list[float]:
    """Values half above, half below."""
    return [middle + (width if i % 2 else -width) for i in range(n)]


def latencies(n: int) -> list[float]:
    """A log-normal with median 100 ms, by its quantiles; its 95th percentile is 100 exp(0.5 * 1.645) = 228 ms."""
    return [float(100 * stats.lognorm.ppf((i + 0.5) / n, 0.5)) for i in range(n)]


OBSERVED: dict[str, tuple[dict[str, Any], str, str, Callable[[int], pd.DataFrame]]] = {
    "positive_rate": (
        {"business": {"positive_rate": {"max": 0.5}}}, "positive_rate", "max 0.5", lambda n: answers(60, 0, 0, 40, times=n)
    ),
    "mean_confidence": (
        {"business": {"mean_confidence": {"min": 0.9}}}, "mean_confidence", "min 0.9",
        lambda n: answers(100, 0, 0, 0, times=n, s=spread(0.88, 0.1, 100 * n)),
    ),
    "low_confidence_share": (
        {"business": {"low_confidence_share": {"max": 0.1}, "low_confidence": 0.7}}, "low_confidence_share", "max 0.1",
        lambda n: answers(100, 0, 0, 0, times=n, s=([0.62] * 15 + [0.9] * 85) * n),
    ),
    "mean_score rises": (
        {"business": {"prediction_shift": {"max": 0.1}}}, "mean_score", "max_rise 0.1",
        lambda n: answers(50, 0, 0, 50, times=n, s=spread(0.65, 0.3, 100 * n)),
    ),
    "mean_score falls": (
        {"business": {"prediction_shift": {"max": 0.1}}}, "mean_score", "max_drop 0.1",
        lambda n: answers(50, 0, 0, 50, times=n, s=spread(0.35, 0.3, 100 * n)),
    ),
    "latency_p95": (
        {"quality": {"latency_ms": {"column": "ms", "p95_max": 200}}}, "latency_p95", "max 200",
        lambda n: answers(50, 0, 0, 50, times=n, ms=latencies(100 * n)),
    ),
    "latency_p50": (
        {"quality": {"latency_ms": {"column": "ms", "p50_max": 92}}}, "latency_p50", "max 92",
        lambda n: answers(50, 0, 0, 50, times=n, ms=latencies(100 * n)),
    ),
    "latency_p99": (
        {"quality": {"latency_ms": {"column": "ms", "p99_max": 270}}}, "latency_p99", "max 270",
        lambda n: answers(50, 0, 0, 50, times=n, ms=latencies(100 * n)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OBSERVED)
def test_limits_on_answers_need_no_outcomes(score: Lab, case: str) -> None:
    """Rates, scores, confidence and latency: one value beyond its limit is chance among few rows, and none among many."""
    sections, metric, rule, frame = OBSERVED[case]
    settings = config(labels=None, **sections)
    few, many = (score(settings, frame(n).drop(columns="y")) for n in (1, 40))
    assert (one(few, metric, "observed").status, one(many, metric, "observed").status) == (
        ("not_evaluated" if case == "latency_p99" else "ok"), "drift",
    )  # fmt: skip
    assert one(many, metric, "observed").rule == rule
    assert {r.basis for r in many} == {"observed", "estimated"}
    assert [r.metric for r in many if r.rule] == [metric]


def test_a_percentile_of_too_few_rows_has_no_interval(score: Lab) -> None:
    """Of 100 rows one lies beyond the 99th percentile: its value is told, and no verdict on it."""
    settings = config(quality={"latency_ms": {"column": "ms", "p99_max": 270}})
    found = one(score(settings, answers(50, 0, 0, 50, ms=latencies(100))), "latency_p99", "observed")
    assert found.measured.value == pytest.approx(100 * stats.lognorm.ppf(0.99, 0.5), rel=0.122)
    assert found.reason == "its uncertainty, or the reference's value, is not known"


SURE = answers(95, 5, 5, 95, times=5)
UNSURE = answers(55, 45, 45, 55, times=5).assign(
    s=lambda rows: rows["p"].map({True: 0.55, False: 0.45}) + rows["x"] / 1000
)


def test_a_limit_holds_for_the_estimate_before_outcomes_come(score: Lab) -> None:
    """Only rows whose scores promised little in training: their accuracy is estimated as it was there, 0.55, and breaks the limit."""
    settings = config(performance={"accuracy": {"min": 0.75}})
    results = score(settings, UNSURE.assign(y=None), pd.concat([SURE, UNSURE]), is_provisional=True)
    found = one(results, "accuracy", "estimated")
    assert found.measured.value == pytest.approx(0.55, abs=0.02)
    assert (found.status, found.rule, found.reference_value) == ("drift", "min 0.75", 0.75)
    (event,) = performance_events(results, CONFIG)
    assert (event.kind, event.severity, event.measure) == ("estimated_performance", "warning", "accuracy")
    assert event.message.startswith("estimated accuracy is 0.55")
    assert event.message.endswith("0.75 in training; limit min 0.75, n = 1,000")
    calm = one(score(settings, SURE.assign(y=None), pd.concat([SURE, UNSURE])), "accuracy", "estimated")
    assert (calm.status, calm.measured.value) == ("ok", pytest.approx(0.95, abs=0.02))


def test_a_shift_of_right_and_wrong_is_told_in_the_unit_of_drift(score: Lab) -> None:
    """Four of five right became one of two: the JS divergence of the two shares, as scipy has it, against the squared threshold."""
    settings = config(detection={"alpha": ALPHA, "threshold": 0.1, "min_rows": MIN_ROWS})
    results = score(settings, answers(25, 25, 25, 25, times=20))
    found = one(results, "accuracy_js_divergence")
    assert found.measured.value == pytest.approx(jensenshannon([0.2, 0.8], [0.5, 0.5], 2) ** 2)
    assert (found.status, found.rule, found.reference_value) == ("drift", "max 0.01", 0.0)
    (event,) = [event for event in performance_events(results, CONFIG) if event.kind == "accuracy_drift"]
    assert (event.severity, event.measure) == ("warning", "accuracy_js_divergence")
    assert one(score(settings, TRAINING), "accuracy_js_divergence").status == "ok"
    larger = config(detection={"alpha": ALPHA, "threshold": 0.4, "min_rows": MIN_ROWS})
    assert one(score(larger, answers(25, 25, 25, 25, times=20)), "accuracy_js_divergence").status == "ok"


def test_the_confusion_matrix_and_the_reliability_go_with_their_numbers(score: Lab) -> None:
    """Rows by outcome and answer with the accuracy, with what was right by confidence then and now; with the ECE what came true."""
    results = score(config(), answers(35, 15, 10, 40))
    accuracy, ece = one(results, "accuracy"), one(results, "ece")
    assert {(c["outcome"], c["predicted"]): c["n"] for c in accuracy.confusion} == {
        ("true", "true"): 35, ("false", "true"): 15, ("true", "false"): 10, ("false", "false"): 40,
    }  # fmt: skip
    assert sum(item["n"] for item in accuracy.bins) == sum(item["n"] for item in ece.bins) == 100
    assert sum(item["n"] * item["share"] for item in accuracy.bins) == pytest.approx(75)
    assert sum(item["n"] * item["share"] for item in ece.bins) == pytest.approx(45)
    assert all(item["reference_share"] == pytest.approx(0.8, abs=0.2) for item in accuracy.bins)
    assert {r.metric for r in results if r.confusion} == {"accuracy"}


def groups(eu: tuple[int, int], us: tuple[int, int], times: int = 1, key: str = "region") -> pd.DataFrame:
    """Two regions, each with so many positive and negative answers, all right."""
    frames = [answers(p, 0, 0, n, times=times, **{key: name}) for name, (p, n) in (("EU", eu), ("US", us))]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize(
    ("said", "metric", "rule"),
    [
        ({"min_ratio": 0.8}, "selection_rate_ratio", "min 0.8"),
        ({"max_difference": 0.1}, "selection_rate_difference", "max 0.1"),
    ],
)
@pytest.mark.parametrize("us", [(33, 67), (75, 25)], ids=["fewer", "more"])
def test_parity_has_two_sides(score: Lab, said: dict[str, float], metric: str, rule: str, us: tuple[int, int]) -> None:
    """A group that is selected less, or more, often than the largest by too much: of 2,000 rows it is sure, of 100 it may be chance."""
    settings = config(labels=None, segments=["region"], fairness=[{"group": "region", **said}])
    training = groups((60, 60), (50, 50), 5)
    few, many = (
        one(score(settings, groups((50, 50), us, n), training), metric, "observed", "region=US") for n in (1, 20)
    )
    assert (few.status, many.status) == ("ok", "drift")
    assert many.rule == rule
    assert many.explanation == "selection_rate of region=US beside region=EU"
    expected = us[0] / 50 if metric.endswith("ratio") else (us[0] - 50) / 100
    assert many.measured.value == pytest.approx(expected)
    (event,) = performance_events([many], CONFIG)
    assert (event.kind, event.severity, event.segment) == ("fairness", "warning", "region=US")
    assert event.message.startswith(f"in region=US: {metric} is ")
    near = one(score(settings, groups((50, 50), (49, 51), 20), training), metric, "observed", "region=US")
    assert near.status == "ok"


def test_parity_may_name_its_reference(score: Lab) -> None:
    """A smaller group as the reference: the ratio is the inverse; one that has no rows leaves every rate undefined."""
    training, window = groups((60, 60), (50, 50), 5), groups((50, 50), (25, 75), 10)

    def ratios(reference: str) -> list[PerformanceResult]:
        said = [{"group": "region", "reference": reference, "min_ratio": 0.8}]
        results = score(config(labels=None, segments=["region"], fairness=said), window, training)
        return [r for r in results if r.metric == "selection_rate_ratio"]

    (found,) = ratios("US")
    assert (found.segment, found.measured.value, found.status) == ("region=EU", pytest.approx(2.0), "drift")
    error = (0.5 / (1000 * 0.5) + 0.75 / (1000 * 0.25)) ** 0.5  # Katz et al. (1978), of the log of the ratio
    assert found.p_value == pytest.approx(2 * stats.norm.sf(np.log(2.0 * 0.8) / error))
    assert [(r.segment, r.status, r.reason) for r in ratios("MARS")] == [
        (f"region={name}", "not_evaluated", "no rows of the reference group 'region=MARS'") for name in ("EU", "US")
    ]


def test_parity_of_intersections_names_a_value_of_each_part(score: Lab) -> None:
    """`EU & web` is the group of both."""
    said = [{"group": "region & channel", "reference": "US & web", "min_ratio": 0.8}]
    settings = config(labels=None, segments=[["region", "channel"]], fairness=said)
    frame = groups((50, 50), (25, 75), 5).assign(channel="web")
    (found,) = [r for r in score(settings, frame, frame) if r.metric == "selection_rate_ratio"]
    assert (found.segment, found.measured.value) == ("region=EU & channel=web", pytest.approx(2.0))


def test_parity_of_outcomes_is_realised(score: Lab) -> None:
    """Rates of outcomes wait for them; with limits of neither kind they are told, and not judged."""
    settings = config(segments=["region"], fairness=[{"group": "region"}])
    results = score(settings, groups((50, 50), (25, 75), 5), groups((60, 60), (50, 50), 5))
    bases = {r.metric: r.basis for r in results if r.metric.endswith("_ratio")}
    assert bases == {
        "selection_rate_ratio": "observed",
        "tpr_ratio": "realised",
        "fpr_ratio": "realised",
        "ppv_ratio": "realised",
    }
    assert one(results, "selection_rate_ratio", "observed", "region=US").rule is None
    fpr = one(results, "fpr_ratio", "realised", "region=US")
    assert (fpr.status, fpr.reason) == ("not_evaluated", "the reference group's rate is 0")


def test_parity_of_small_groups_says_which_rows_are_too_few(score: Lab) -> None:
    """The smaller of the two groups decides, also where it is the reference."""
    settings = config(
        labels=None, segments=["region"], fairness=[{"group": "region", "reference": "EU", "min_ratio": 0.8}]
    )
    found = one(
        score(settings, groups((20, 20), (250, 750)), groups((50, 50), (50, 50), 5)), "selection_rate_ratio", "observed", "region=US"
    )  # fmt: skip
    assert (found.status, found.reason) == ("not_evaluated", "too few rows: 40 of at least 50")


def test_parity_against_a_reference_without_segments_is_not_evaluated(capture: Any, counts: Any) -> None:
    """A reference that was captured before there were segments lists no group, which is no reason to fall over."""
    frame, said = groups((50, 50), (25, 75), 5), {"group": "region", "min_ratio": 0.8}
    old = capture(config(), frame)
    for fairness, statuses in ((said, set()), ({**said, "reference": "EU"}, {"not_evaluated"})):
        settings = config(segments=["region"], fairness=[fairness])
        results = score_windows(settings, [judgement(old)], {0: counts(settings, old, frame)})
        assert {r.status for r in results if r.metric.endswith("_ratio")} == statuses


def test_each_segment_is_judged_and_an_absent_one_is_said(score: Lab) -> None:
    """One segment breaks a limit that the whole keeps; of a segment without rows every number is there, and not evaluated."""
    settings = config(segments=["region"], performance={"accuracy": {"min": 0.7}})
    training = pd.concat([TRAINING.assign(region=name) for name in ("EU", "US", "ASIA")])
    bad, good = answers(25, 25, 25, 25, times=5, region="EU"), answers(45, 5, 5, 45, times=20, region="US")
    results = score(settings, pd.concat([bad, good]), training)
    assert {name: one(results, "accuracy", segment=name).status for name in ("all", "region=EU", "region=US")} == {
        "all": "ok", "region=EU": "drift", "region=US": "ok",
    }  # fmt: skip
    absent = [r for r in results if r.segment == "region=ASIA"]
    assert {r.metric for r in absent} == {r.metric for r in results if r.segment == "region=EU"}
    assert {r.status for r in absent} == {"not_evaluated"}
    assert all(r.reason for r in absent)
    (event,) = [event for event in performance_events(results, CONFIG) if event.kind == "performance"]
    assert (event.severity, event.segment, event.measure) == ("critical", "region=EU", "accuracy")
    assert event.message.startswith("in region=EU: accuracy is 0.5 (surely between ")
    assert event.message.endswith(", 0.8 in training; limit min 0.7, n = 500")


def test_a_version_without_a_reference_is_one_row_with_the_reason() -> None:
    """It is said once, not skipped."""
    (found,) = score_windows(config(), [judgement(None, model_version="9")], {})
    assert (found.metric, found.status, found.reason) == ("*", "not_evaluated", "no reference for version '9'")
    assert found.measured.value is None


def test_a_window_that_cannot_be_told_says_why(capture: Any) -> None:
    """The positive class unknown, no prediction configured, or none in the reference: one row each with its own reason."""
    named = TRAINING.assign(p=TRAINING["p"].map({True: "grant", False: "refuse"}))
    unknown = config(prediction={"column": "p", "kind": "binary", "score": "s"}, labels=None)
    plain = config(prediction=None, labels=None)
    asked = [
        (unknown, capture(unknown, named)),
        (plain, capture(config(), TRAINING)),
        (config(), capture(plain, TRAINING)),
    ]
    found = [score_windows(settings, [judgement(reference)], {}) for settings, reference in asked]
    assert [(r.metric, r.status, r.reason) for results in found for r in results] == [
        (
            "*",
            "not_evaluated",
            "the positive class cannot be told: say prediction.positive (and labels.positive, where outcomes name it otherwise)",
        ),
        ("*", "not_evaluated", "no prediction is configured"),
        ("*", "not_evaluated", "the prediction is not in the reference: capture it again"),
    ]


def result(**changes: Any) -> PerformanceResult:
    given = {"segment": "all", "basis": "realised", "metric": "accuracy", "measured": Measured(0.5, 100, scale="share")}
    return PerformanceResult(
        **{"judgement": judgement(None), **given, "status": "drift", "rule": "min 0.75", **changes}
    )


def test_provisional_windows_raise_no_events_about_outcomes() -> None:
    """Outcomes that are still to come may change the verdict; what rests on answers alone is said at once."""
    early = judgement(None, is_provisional=True)
    realised = [result(), result(metric=SHIFT, explanation="concept shift"), result(metric="tpr_ratio")]
    assert [event.kind for event in performance_events(realised, CONFIG)] == [
        "performance",
        "concept_drift",
        "fairness",
    ]
    assert performance_events([replace(r, judgement=early) for r in realised], CONFIG) == []
    others = [
        result(basis="observed", metric="positive_rate", judgement=early),
        result(basis="estimated", judgement=early),
    ]
    assert [event.kind for event in performance_events(others, CONFIG)] == ["business", "estimated_performance"]


def test_events_are_of_what_drifted_oldest_window_first_worst_first() -> None:
    """What is ok or not evaluated is no event; latency is a matter of quality; features of a concept are told with the shift."""
    later = judgement(None, window=Window(day("01-12"), day("01-19")))
    found = [
        result(judgement=later), result(status="ok"), result(status="not_evaluated"), result(metric=CONCEPT + "x"),
        result(basis="observed", metric="latency_p95"), result(basis="observed", metric="mean_score"), result(metric="f1"),
    ]  # fmt: skip
    events = performance_events(found, CONFIG)
    assert [(event.judgement.window, event.kind, event.measure) for event in events] == [
        (WINDOW, "performance", "f1"), (WINDOW, "quality", "latency_p95"), (WINDOW, "business", "mean_score"),
        (later.window, "performance", "accuracy"),
    ]  # fmt: skip


def test_a_sentence_says_what_is_known() -> None:
    """No interval and no value of training where there are none; rows count where outcomes do not matter."""
    plain = result(
        basis="observed", metric="mean_score", measured=Measured(0.5, 9, scale="none"), n_rows=1234, n_labelled=7
    )
    assert performance_events([plain], CONFIG)[0].message == "mean_score is 0.5; limit min 0.75, n = 1,234"
    realised = replace(plain, basis="realised", reference_value=0.25)
    assert (
        performance_events([realised], CONFIG)[0].message
        == "mean_score is 0.5, 0.25 in training; limit min 0.75, n = 7"
    )


FEATURES = ["a", "b", "c", "d", "e"]


def five(n: int, *, flipped: bool) -> pd.DataFrame:
    """Five features, each 0 or 1; the answer is their majority, and so is the outcome, or its contrary."""
    bits = pd.DataFrame([{name: float(i >> j & 1) for j, name in enumerate(FEATURES)} for i in range(32)] * n)
    is_high = bits.sum(axis=1) > 2
    return bits.assign(y=(is_high != flipped).astype("object"), p=is_high, s=is_high.map({True: 0.9, False: 0.1}))


def test_a_shift_of_concept_names_the_three_features_that_show_it_most(score: Lab) -> None:
    """The same inputs lead to the contrary: each feature is a row, three are named, and the rest are counted."""
    settings = config(features=FEATURES)
    results = score(settings, five(30, flipped=True), five(60, flipped=False))
    moved = [r for r in results if r.metric.startswith(CONCEPT)]
    assert {r.metric: r.status for r in moved} == {CONCEPT + name: "drift" for name in [*FEATURES, "s"]}
    shift = one(results, SHIFT)
    assert (shift.status, shift.measured.value) == ("drift", 6.0)
    (event,) = [event for event in performance_events(results, CONFIG) if event.kind == "concept_drift"]
    assert (event.severity, event.feature) == ("critical", None)
    assert event.message.startswith("concept shift: the same inputs now lead to other outcomes")
    assert sum(str(r.explanation) in event.message for r in moved) == MAX_CONCEPTS == 3
    assert event.message.endswith("; and 3 more")
    worst = sorted(moved, key=lambda r: -(r.measured.value or 0))[:3]
    assert all(str(r.explanation) in event.message for r in worst)
    calm = score(settings, five(30, flipped=False), five(60, flipped=False))
    assert one(calm, SHIFT).status == "ok"
    assert performance_events(calm, CONFIG) == []


def test_inputs_that_explain_a_move_are_told_after_it() -> None:
    """Given one feature the outcome moved, given all it did not: the second is no heading over the first."""
    given = judgement(None)
    moved = result(judgement=given, metric=f"{CONCEPT}staff", rule=None, explanation="given staff, repaid moved")
    whole = result(judgement=given, metric=SHIFT, rule=None, status="ok", explanation="covariate shift: inputs moved")
    (event,) = performance_events([moved, whole], CONFIG)
    assert (event.severity, event.message) == (
        "warning",
        "given staff, repaid moved; all inputs together: covariate shift: inputs moved",
    )


def test_without_labels_there_is_nothing_to_tell_of_concepts(score: Lab) -> None:
    """No outcome, no row of what follows from features."""
    settings = config(labels=None, features=FEATURES)
    results = score(settings, five(5, flipped=True), five(5, flipped=False))
    assert not [r for r in results if r.metric == SHIFT or r.metric.startswith(CONCEPT)]


def test_a_window_without_outcomes_says_that_of_concepts(score: Lab) -> None:
    """Each feature and the shift are rows, not evaluated, with the reason."""
    results = score(config(), answers(25, 25, 25, 25, y=None))
    found = [r for r in results if r.metric == SHIFT or r.metric.startswith(CONCEPT)]
    assert {r.metric for r in found} >= {SHIFT, "concept:x"}
    assert {(r.status, bool(r.reason), r.measured.value) for r in found} == {("not_evaluated", True, None)}


def regression(n: int, error: float = 1.0) -> pd.DataFrame:
    """Predictions 0..9 that are too high and too low by turns."""
    frame = pd.DataFrame({"p": [float(i % 10) for i in range(n)], "x": [float(i % 10) for i in range(n)]})
    return frame.assign(y=frame["p"] + [error if i // 10 % 2 else -error for i in range(n)])


REGRESSION = {"prediction": {"column": "p", "kind": "regression"}}


@pytest.mark.parametrize("limit", [{"mae": {"max": 1.5}}, {"mae": {"max_rise": 0.5}}, {"r2": {"min": 0.6}}], ids=str)
def test_regressions_are_judged_by_their_errors(score: Lab, limit: dict[str, Any]) -> None:
    """Errors twice as large break each limit; the reference's own are within."""
    settings = config(**REGRESSION, performance=limit)
    (metric,) = limit
    training = regression(2000).assign(y=lambda rows: rows["y"] + [0.1 * (i // 20 % 5 - 2) for i in range(len(rows))])
    worse = training.assign(y=lambda rows: rows["p"] + 3.0 * (rows["y"] - rows["p"]))
    assert one(score(settings, worse, training), metric).status == "drift"
    assert one(score(settings, training, training), metric).status == "ok"


def test_outcomes_of_a_regression_are_called_by_their_intervals(score: Lab) -> None:
    """Not by their number: a person reads what came true."""
    scheme = Scheme("regression", outcome_edges=(1.0, 2.5))
    assert [scheme.outcome_name(text) for text in ("0", "1", "2")] == ["< 1", "[1, 2.5)", ">= 2.5"]
    assert Scheme("binary", "true", "false").outcome_name("1") == "1"
    training = regression(2000)
    results = score(config(**REGRESSION), training.assign(y=9.0 - training["y"]), training)
    found = one(results, "concept:x")
    assert found.status == "drift"
    outcomes = {item["bin"].split(": ", 1)[1] for item in found.bins}
    assert all(text.startswith(("< ", "[", ">= ")) for text in outcomes)
    assert not [r for r in results if r.metric == "accuracy_js_divergence"]


def several(n: int, right: float) -> pd.DataFrame:
    """Three classes by turns, `right` of ten answers right, and as sure as that."""
    truth = pd.Series([("red", "green", "blue")[i % 3] for i in range(n)])
    wrong = truth.map({"red": "green", "green": "blue", "blue": "red"})
    is_right = pd.Series([i // 3 % 10 < 10 * right for i in range(n)])
    x = pd.Series(range(n), dtype=float) % 7
    return pd.DataFrame({"p": truth.where(is_right, wrong), "y": truth.astype("object"), "s": 0.8 - x / 100, "x": x})


def test_several_classes_are_judged(score: Lab) -> None:
    """Accuracy and its shift as of two classes; no rate of a positive one; the matrix has a row for each pair."""
    settings = config(
        prediction={"column": "p", "kind": "multiclass", "score": "s"}, performance={"accuracy": {"min": 0.7}}
    )
    results = score(settings, several(3000, 0.5), several(3000, 0.8))
    accuracy = one(results, "accuracy")
    assert (accuracy.status, accuracy.measured.value, accuracy.reference_value) == ("drift", 0.5, 0.8)
    assert {(c["outcome"], c["predicted"]) for c in accuracy.confusion} == {
        (a, b) for a, b in [("red", "green"), ("green", "blue"), ("blue", "red")] + [(c, c) for c in ("red", "green", "blue")]
    }  # fmt: skip
    assert one(results, "accuracy_js_divergence").status == "drift"
    assert not [r for r in results if r.metric in ("positive_rate", "mean_score", "f1")]
    assert one(score(settings, several(3000, 0.8), several(3000, 0.8)), "accuracy").status == "ok"


def floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping):
        yield from (number for item in value.values() for number in floats(item))
    elif isinstance(value, list | tuple):
        yield from (number for item in value for number in floats(item))


@pytest.mark.parametrize("frame", ["some", "none", "unlabelled", "one", "regression"])
def test_a_row_has_the_columns_of_its_table_and_no_nan(score: Lab, frame: str) -> None:
    """Whatever the window holds: nothing missing, nothing beyond, and what is undefined is NULL with a reason."""
    frames = {
        "some": TRAINING, "none": TRAINING.head(0), "unlabelled": TRAINING.assign(y=None), "one": answers(1, 0, 0, 0),
        "regression": regression(500),
    }  # fmt: skip
    settings = config(
        **(
            REGRESSION if frame == "regression" else {"segments": ["x"], "fairness": [{"group": "x", "min_ratio": 0.8}]}
        ),
        performance={"mae" if frame == "regression" else "accuracy": {"min": 0.75, "max_drop": 0.1}},
    )
    results = score(settings, frames[frame], regression(500) if frame == "regression" else None)
    outcome = RunResult("loans", "run1", day("02-01"), (), (), 0, JobStats(), 0.0)
    rows = [performance_row(found, outcome, day("02-01")) for found in results]
    assert rows
    for row in rows:
        assert list(row) == [column.name for column in PERFORMANCE_RESULTS.columns]
        assert not any(isnan(number) for number in floats(row))
        assert (row["status"] == "not_evaluated") == (row["reason"] is not None), row
        assert row["value"] is not None or row["status"] == "not_evaluated"
    first = rows[0]
    assert (first["monitor"], first["run_id"], first["model_version"], first["verdict_key"]) == (
        "loans",
        "run1",
        "1",
        "key",
    )
    assert (first["window_start"], first["window_end"]) == (WINDOW.start, WINDOW.end)
    assert first["reference_id"]
