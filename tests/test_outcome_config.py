"""Outcomes, segments, limits and fairness in the configuration: what is read, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from bq_monitor.config import parse_config
from bq_monitor.sections import Limits
from bq_monitor.timegrid import Span
from tests.test_config import faults, mapping

DOCUMENTED = """
monitor: loan_approval
warehouse: bigquery://acme-ml/ml_monitoring
source:
  table: acme-ml.serving.loan_predictions
  timestamp: predicted_at
  filter: "environment = 'prod'"
  model_version: model_version
  id: application_id
features: auto
prediction: {column: approved, kind: binary, positive: true, score: probability}
labels: {table: acme-ml.serving.loan_outcomes, id: application_id, column: repaid, timestamp: labelled_at, matures_after: 45d}
segments: [region, [region, channel], {name: thin_file, expression: "n_accounts < 3"}]
window: {granule: day, length: 7d, every: 1d, delay: 2h, timezone: UTC, restate: 3d, start: 2026-01-01}
baselines: [training, previous, {same_weekday: 4}]
detection: {preset: balanced, metric: js_distance, threshold: 0.1, alpha: 0.01, min_rows: 50, confirm: 2 of 3, share_drifted: 0.3}
performance: {accuracy: {min: 0.75}, f1: {min: 0.6}, auc: {max_drop: 0.03}}
quality: {volume: {min: 100, max_drop: 0.5}, null_rate: {max_rise: 0.02}, new_categories: {max_share: 0.01},
          latency_ms: {column: latency_ms, p95_max: 300}}
business: {positive_rate: {min: 0.05, max: 0.6}, mean_confidence: {min: 0.6}, prediction_shift: {max: 0.1}}
fairness: [{group: region, reference: EU, min_ratio: 0.8}, {group: thin_file, max_difference: 0.1}]
budget: {max_bytes_per_run: 50GB, deadline: 25m}
"""
BINARY = {"column": "p", "kind": "binary", "score": "s"}
COLUMN = {"column": "y"}
WITHOUT_ID = {"table": "log.parquet", "timestamp": "ts"}
WITH_ID = {**WITHOUT_ID, "id": "id"}
NOT_A_COLUMN = "not a column name; allowed: any characters but backticks, backslashes and control characters"
NOT_A_TIME = "allowed: a whole number and h, d, w or mo, as in '7d'"


def labelled(labels: object = None, **changes: Any) -> dict[str, Any]:
    return mapping(**{"source": WITH_ID, "prediction": BINARY, "labels": labels or COLUMN, **changes})


def test_the_documented_sections_are_read() -> None:
    """The example of the design, less what is to come, reads into typed values."""
    config = parse_config(yaml.safe_load(DOCUMENTED))
    labels = config.labels
    assert labels is not None
    assert (labels.table, labels.id, labels.column) == ("acme-ml.serving.loan_outcomes", "application_id", "repaid")
    assert (labels.timestamp, labels.matures_after, labels.contradictory) == ("labelled_at", Span(45, "d"), "exclude")
    assert [segment.title for segment in config.segments] == ["region", "region & channel", "thin_file"]
    assert [segment.columns for segment in config.segments] == [["region"], ["region", "channel"], []]
    assert config.segments[2].expression == "n_accounts < 3"
    assert config.performance == {
        "accuracy": Limits(min=0.75), "f1": Limits(min=0.6), "roc_auc": Limits(max_drop=0.03)
    }  # fmt: skip
    quality = config.quality
    assert quality.volume is not None and quality.latency_ms is not None
    assert (quality.volume.min, quality.volume.max_drop) == (100, 0.5)
    assert (quality.latency_ms.column, quality.latency_ms.p95_max, quality.latency_ms.p99_max) == (
        "latency_ms",
        300,
        None,
    )
    assert config.business.positive_rate == Limits(min=0.05, max=0.6)
    assert config.business.prediction_shift == Limits(max=0.1)
    assert config.business.low_confidence == 0.6
    assert [(item.group, item.reference, item.min_ratio, item.max_difference) for item in config.fairness] == [
        ("region", "EU", 0.8, None), ("thin_file", None, None, 0.1)
    ]  # fmt: skip


def test_what_is_not_said_is_nothing() -> None:
    """Without these sections nothing is limited, cut or waited for."""
    config = parse_config(mapping())
    assert (config.labels, config.segments, config.performance, config.fairness) == (None, [], {}, [])
    assert not config.quality.model_dump(exclude_none=True)
    assert config.business.model_dump(exclude_none=True) == {"low_confidence": 0.6}
    assert parse_config(labelled()).labels.matures_after == Span(0, "d")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ("y", "labels: must be a mapping of keys; got 'y'"),
        ({"table": "y.parquet"}, "labels.column: missing; this key is required"),
        ({**COLUMN, "timestmp": "t"}, "labels.timestmp: unknown key; known: column, contradictory, id, matures_after, positive, table, "
         "timestamp. Did you mean 'timestamp'?"),
        ({**COLUMN, "contradictory": "newst"}, "labels.contradictory: unknown value; got 'newst'; known: exclude, newest. Did you mean 'newest'?"),
        ({**COLUMN, "contradictory": "newest"}, "labels: contradictory: got 'newest' without 'timestamp'; name the column that says when a label "
         "came"),
        ({**COLUMN, "matures_after": 45}, f"labels.matures_after: not a length of time: got '45'; {NOT_A_TIME}"),
        ({**COLUMN, "table": "a`b"}, "labels.table: table 'a`b': not a DuckDB table; allowed: table, schema.table, or a path that ends in .parquet, "
         ".csv, .csv.gz, .tsv"),
        ({"column": "y`"}, f"labels.column: column 'y`': {NOT_A_COLUMN}"),
        ({**COLUMN, "id": "`"}, f"labels.id: column '`': {NOT_A_COLUMN}"),
        ({**COLUMN, "timestamp": "`"}, f"labels.timestamp: column '`': {NOT_A_COLUMN}"),
    ],
)  # fmt: skip
def test_labels_that_say_nothing_sound_are_refused(labels: object, fault: str) -> None:
    """One fault: the path, what was got, what is allowed, and what was meant."""
    assert faults(labelled(labels)) == [fault]


def test_bigquery_names_of_labels_are_checked_by_its_own_rules() -> None:
    """The table of labels is a BigQuery table where the warehouse is one, and its columns have no dots."""
    labels = {"table": "acme-ml.s.`t`; --", "column": "a.b"}
    source = {"table": "acme-ml.s.log", "timestamp": "t", "id": "id"}
    table, column = faults(labelled(labels, warehouse="bigquery://acme-ml/m", source=source))
    assert table.startswith("labels.table: ") and "not a BigQuery table" in table
    assert column == "labels.column: column 'a.b': BigQuery has no dots in column names; give the name alone"


def test_a_table_of_labels_needs_the_id_of_the_log() -> None:
    """Labels of another table are joined by the log's id; an id of the labels alone joins nothing; a column of the log needs none."""
    table = {**COLUMN, "table": "labels.parquet"}
    assert faults(labelled(table, source=WITHOUT_ID)) == [
        "labels: no id; name the id's column in 'source.id' (and in 'labels.id' where it is another)"
    ]
    assert faults(labelled({**table, "id": "application"}, source=WITHOUT_ID)) == [
        "labels: without 'source.id'; name the log's column that labels are joined by"
    ]
    assert parse_config(labelled(table)).labels is not None
    assert parse_config(labelled(COLUMN, source=WITHOUT_ID)).labels is not None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"labels": COLUMN}, "labels"),
        ({"labels": COLUMN, "performance": {"accuracy": {"min": 0.5}}}, "labels, performance"),
        ({"segments": ["region"], "fairness": [{"group": "region"}]}, "fairness"),
        ({"business": {"low_confidence": 0.7}}, "business"),
    ],
)
def test_what_is_about_answers_needs_a_prediction(changes: dict[str, Any], named: str) -> None:
    """Every section that needs the model's answer is named, in one fault."""
    assert faults(mapping(**changes)) == [
        f"{named}: without 'prediction'; name the column that holds the model's answer"
    ]


def test_limits_on_performance_need_labels() -> None:
    """Without outcomes nothing can be told of performance."""
    data = mapping(prediction=BINARY, performance={"accuracy": {"min": 0.5}})
    assert faults(data) == ["performance: without 'labels'; say where the outcomes are"]


@pytest.mark.parametrize(
    ("performance", "fault"),
    [
        ([1], "performance: Input should be a valid dictionary; got [1]"),
        ({"accuracy": 0.5}, "performance.accuracy: must be a mapping of keys; got 0.5"),
        ({"accuracy": {"mn": 0.5}}, "performance.accuracy.mn: unknown key; known: max, max_drop, max_rise, min. Did you mean 'min'?"),
        ({"accuracy": {}}, "performance.accuracy: no limit; allowed: min, max, max_drop, max_rise"),
        ({"accuracy": {"min": None}}, "performance.accuracy: no limit; allowed: min, max, max_drop, max_rise"),
        ({"accuracy": {"min": "x"}}, "performance.accuracy.min: Input should be a valid number; got 'x'"),
        ({"accuracy": {"max": float("nan")}}, "performance.accuracy.max: Input should be a finite number; got nan"),
        ({"accuracy": {"max_drop": -1}}, "performance.accuracy.max_drop: Input should be greater than or equal to 0; got -1"),
        ({"accuracy": {"max_rise": -1}}, "performance.accuracy.max_rise: Input should be greater than or equal to 0; got -1"),
        ({"accuracy": {"min": 0.9, "max": 0.1}}, "performance.accuracy: min: got 0.9, above max: 0.1"),
        ({"auc": {"min": 0.5}, "roc_auc": {"min": 0.6}}, "performance: got both auc and roc_auc, which are one measure; give one of them"),
    ],
)  # fmt: skip
def test_limits_without_a_sense_are_refused(performance: object, fault: str) -> None:
    """No limit, one that contradicts another, or is none: one fault with its path."""
    assert faults(labelled(performance=performance)) == [fault]


@pytest.mark.parametrize(
    ("kind", "name", "known", "meant"),
    [
        ("binary", "acuracy", "accuracy, precision, recall, f1, f1_macro", "accuracy"),
        ("binary", "mse", "accuracy, precision", None),
        ("multiclass", "recall", "accuracy, precision_macro, recall_macro", "recall_macro"),
        ("regression", "rsme", "mse, rmse, mae, mape, r2, bias", "rmse"),
        ("regression", "auc", "mse, rmse, mae, mape, r2, bias", None),
    ],
)
def test_each_kind_of_prediction_has_its_measures(kind: str, name: str, known: str, meant: str | None) -> None:
    """A measure that the kind does not have is refused with those it has, and the one that was meant."""
    got = "roc_auc" if name == "auc" else name
    (fault,) = faults(labelled(prediction={"column": "p", "kind": kind}, performance={name: {"min": 0.5}}))
    assert fault.startswith(f"performance: unknown measure of {kind} predictions; got {got!r}; known: {known}")
    assert ("Did you mean" in fault) == (meant is not None)
    assert meant is None or fault.endswith(f"Did you mean {meant!r}?")


SEGMENT = "allowed: a column, a list of columns (their intersections), or {name: ..., expression: ...}"


@pytest.mark.parametrize(
    ("segments", "fault"),
    [
        ("region", "segments: Input should be a valid list; got 'region'"),
        ([3], "segments[0]: must be a mapping of keys; got 3"),
        (["a", []], f"segments[1]: got {{}}; {SEGMENT}"),
        ([{"name": "x"}], f"segments[0]: got {{'name': 'x'}}; {SEGMENT}"),
        ([{"expression": "a < 1"}], f"segments[0]: got {{'expression': 'a < 1'}}; {SEGMENT}"),
        ([{"columns": ["a"], "name": "x"}], f"segments[0]: got {{'columns': ['a'], 'name': 'x'}}; {SEGMENT}"),
        ([{"columns": ["a"], "name": "x", "expression": "b"}],
         f"segments[0]: got {{'columns': ['a'], 'name': 'x', 'expression': 'b'}}; {SEGMENT}"),
        ([["a", "a"]], "segments[0]: a column stands twice; got ['a', 'a']"),
        ([["a", 3]], "segments[0].columns[1]: Input should be a valid string; got 3"),
        ([{"nam": "x", "expression": "a"}], "segments[0].nam: unknown key; known: columns, expression, name. Did you mean 'name'?"),
        (["a", ["a", "b"], "a"], "segments: a listed twice; name each once"),
        (
            [{"name": "a & b", "expression": "c"}],
            "segments[0]: got 'a & b'; '=' and ' & ' stand between the parts of a segment's name, not in them. Give an expression a name",
        ),
        (["a=b"], "segments[0]: got 'a=b'; '=' and ' & ' stand between the parts of a segment's name, not in them. Give an expression a name"),
        (["a", ["b", "c`"]], f"segments[1]: column 'c`': {NOT_A_COLUMN}"),
    ],
)  # fmt: skip
def test_a_segment_is_columns_or_an_expression_with_a_name(segments: object, fault: str) -> None:
    """Anything else is one fault that names its place in the list."""
    assert faults(mapping(segments=segments)) == [fault]


def test_a_segment_has_at_most_five_columns() -> None:
    """Five are an intersection, six are too many groups to tell apart."""
    assert parse_config(mapping(segments=[list("abcde")])).segments[0].title == "a & b & c & d & e"
    (fault,) = faults(mapping(segments=[list("abcdef")]))
    assert fault.startswith("segments[0].columns: List should have at most 5 items")


@pytest.mark.parametrize(
    ("expression", "what"),
    [("SUM(a) < 1", "an aggregate"), ("a = (", "does not parse"), ("a IN (SELECT 1)", "subquery"), ("1; DROP TABLE x", "more than one statement")],
)  # fmt: skip
def test_hostile_expressions_of_segments_are_refused(expression: str, what: str) -> None:
    """What a feature may not say, a segment may not either."""
    (fault,) = faults(mapping(segments=["region", {"name": "x", "expression": expression}]))
    assert fault.startswith("segments[1].expression: ")
    assert what in fault


@pytest.mark.parametrize(
    ("business", "fault"),
    [
        ({"positiv_rate": {"min": 0.1}}, "business.positiv_rate: unknown key; known: low_confidence, low_confidence_share, mean_confidence, "
         "positive_rate, prediction_shift. Did you mean 'positive_rate'?"),
        ({"positive_rate": {}}, "business.positive_rate: no limit; allowed: min, max, max_drop, max_rise"),
        ({"mean_confidence": {"min": 2, "max": 1}}, "business.mean_confidence: min: got 2.0, above max: 1.0"),
        ({"low_confidence": 1.0}, "business.low_confidence: Input should be less than 1; got 1.0"),
        ({"low_confidence": 0}, "business.low_confidence: Input should be greater than 0; got 0"),
        ({"prediction_shift": {"max_drop": 0.1}}, "business: prediction_shift: got {'max_drop': 0.1}; allowed: max, how far the mean score may move "
         "either way"),
        ({"prediction_shift": {"max": 0.1, "min": 0.0}}, "business: prediction_shift: got {'min': 0.0, 'max': 0.1}; allowed: max, how far the mean "
         "score may move either way"),
        ({"prediction_shift": {"max": -0.1}}, "business: prediction_shift: got {'max': -0.1}; allowed: max, how far the mean score may move either "
         "way"),
    ],
)  # fmt: skip
def test_limits_on_answers_are_checked(business: dict[str, Any], fault: str) -> None:
    """A limit that would not be applied is refused, not ignored."""
    assert faults(mapping(prediction=BINARY, business=business)) == [fault]


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        ("regression", "positive_rate", "prediction_shift"),
        ("regression", "mean_confidence", "prediction_shift"),
        ("multiclass", "positive_rate", "mean_confidence, low_confidence_share"),
        ("multiclass", "prediction_shift", "mean_confidence, low_confidence_share"),
    ],
)
def test_each_kind_of_prediction_has_its_numbers(kind: str, name: str, allowed: str) -> None:
    """A limit on a number that such answers do not have is refused."""
    data = mapping(prediction={"column": "p", "kind": kind}, business={name: {"max": 0.1}, "low_confidence": 0.7})
    assert faults(data) == [f"business: no number of {kind} predictions; got {name}; allowed: {allowed}"]


@pytest.mark.parametrize(
    ("quality", "fault"),
    [
        ({"volum": {}}, "quality.volum: unknown key; known: duplicate_ids, freshness, latency_ms, nan_rate, new_categories, null_rate, out_of_range, "
         "volume. Did you mean 'volume'?"),
        ({"volume": {"mn": 2}}, "quality.volume.mn: unknown key; known: max_drop, min. Did you mean 'min'?"),
        ({"volume": {"min": -1}}, "quality.volume.min: Input should be greater than or equal to 0; got -1"),
        ({"volume": {"min": 1.5}}, "quality.volume.min: Input should be a valid integer; got 1.5"),
        ({"volume": {"max_drop": 2}}, "quality.volume.max_drop: Input should be less than or equal to 1; got 2"),
        ({"null_rate": {}}, "quality.null_rate.max_rise: missing; this key is required"),
        ({"null_rate": {"max_rise": 2}}, "quality.null_rate.max_rise: Input should be less than or equal to 1; got 2"),
        ({"nan_rate": {"max_rise": -0.1}}, "quality.nan_rate.max_rise: Input should be greater than or equal to 0; got -0.1"),
        ({"out_of_range": 0.1}, "quality.out_of_range: must be a mapping of keys; got 0.1"),
        ({"new_categories": {"max_share": -0.1}}, "quality.new_categories.max_share: Input should be greater than or equal to 0; got -0.1"),
        ({"duplicate_ids": {"max_share": 0.1, "max_shar": 0.1}}, "quality.duplicate_ids.max_shar: unknown key; known: max_share. Did you mean "
         "'max_share'?"),
        ({"freshness": {}}, "quality.freshness.max_age: missing; this key is required"),
        ({"freshness": {"max_age": "x"}}, f"quality.freshness.max_age: not a length of time: got 'x'; {NOT_A_TIME}"),
        ({"latency_ms": {"p95_max": 3}}, "quality.latency_ms.column: missing; this key is required"),
        ({"latency_ms": {"column": "l", "p95": 3}}, "quality.latency_ms.p95: unknown key; known: column, p50_max, p95_max, p99_max. Did you mean "
         "'p95_max'?"),
        ({"latency_ms": {"column": "l", "p50_max": 0}}, "quality.latency_ms.p50_max: Input should be greater than 0; got 0"),
        ({"latency_ms": {"column": "l", "p99_max": -1}}, "quality.latency_ms.p99_max: Input should be greater than 0; got -1"),
        ({"latency_ms": {"column": "l`"}}, f"quality.latency_ms.column: column 'l`': {NOT_A_COLUMN}"),
    ],
)  # fmt: skip
def test_limits_on_the_data_are_checked(quality: dict[str, Any], fault: str) -> None:
    """A share beyond 0..1, a missing limit or column, an unknown key: one fault with its path."""
    assert faults(mapping(quality=quality)) == [fault]


@pytest.mark.parametrize(
    ("fairness", "fault"),
    [
        ({"group": "region"}, "fairness: Input should be a valid list; got {'group': 'region'}"),
        ([{"reference": "EU"}], "fairness[0].group: missing; this key is required"),
        ([{"group": "region", "min_rati": 1}], "fairness[0].min_rati: unknown key; known: group, max_difference, min_ratio, reference. Did you mean "
         "'min_ratio'?"),
        ([{"group": "region", "min_ratio": 0}], "fairness[0].min_ratio: Input should be greater than 0; got 0"),
        ([{"group": "region", "min_ratio": 1.25}], "fairness[0].min_ratio: Input should be less than or equal to 1; got 1.25"),
        ([{"group": "region", "max_difference": 0}], "fairness[0].max_difference: Input should be greater than 0; got 0"),
        ([{"group": "region", "max_difference": 2}], "fairness[0].max_difference: Input should be less than or equal to 1; got 2"),
        ([{"group": "regin"}], "fairness: group: got 'regin'; allowed: a segment (region, region & channel). Did you mean 'region'?"),
        ([{"group": "region & channel", "reference": "EU"}], "fairness: reference: got 'EU'; allowed: a value for each of region & channel, "
         "with ' & ' between"),
    ],
)  # fmt: skip
def test_parity_is_of_the_groups_of_a_segment(fairness: object, fault: str) -> None:
    """Another group, a share that is none, a reference that names no group: one fault."""
    segments = ["region", ["region", "channel"]]
    assert faults(mapping(prediction=BINARY, segments=segments, fairness=fairness)) == [fault]


def test_parity_without_segments_says_that_there_are_none() -> None:
    """Nothing is near a name where nothing is configured."""
    data = mapping(prediction=BINARY, fairness=[{"group": "region"}])
    assert faults(data) == ["fairness: group: got 'region'; allowed: a segment (none is configured)."]


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_parity_is_of_binary_answers(kind: str) -> None:
    """Rates of a positive class: other predictions have none."""
    data = mapping(
        prediction={"column": "p", "kind": kind}, segments=["region"], fairness=[{"group": "region", "min_ratio": 0.8}]
    )
    assert faults(data) == [f"fairness: got {kind} predictions; allowed: binary"]


def test_faults_of_the_new_sections_are_collected_at_once() -> None:
    """Each section's fault stands in the one error."""
    found = faults(
        labelled(
            {"colum": "y"}, segments=[[]], performance={"f1": {}}, business={"low_confidence": 2},
            quality={"volum": {}}, fairness=[{"group": "z", "min_ratio": 3}],
        )
    )  # fmt: skip
    assert [fault.split(":")[0] for fault in found] == [
        "labels.column", "labels.colum", "segments[0]", "performance.f1", "quality.volum", "business.low_confidence", "fairness[0].min_ratio",
    ]  # fmt: skip
