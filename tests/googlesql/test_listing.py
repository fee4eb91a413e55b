"""`bq-monitor sql`: every statement of a monitor stands before Google's analyzer."""

from __future__ import annotations

from typing import Any

import pytest

from bq_monitor import InputError
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.listing import monitor_statements
from bq_monitor.scan import MAX_FEATURES_PER_STATEMENT
from bq_monitor.warehouse.base import Param
from tests.googlesql.server import NOT_BIGQUERY, Analysis, GoogleSQL

pytestmark = [pytest.mark.googlesql, pytest.mark.xdist_group("googlesql")]
LOG = "acme-ml.serving.loan_predictions"


def loans(**changes: Any) -> MonitorConfig:
    """A monitor that uses every key of the language that works."""
    features = [
        {"name": "amount", "kind": "numeric", "bins": 5, "threshold": 0.2},
        {"name": "region", "kind": "categorical", "top_k": 10, "sensitive": True},
        {"name": "is_new", "kind": "boolean"},
        {"name": "opened_at", "kind": "timestamp"},
        {"name": "grade", "kind": "ordinal", "order": ["a", "b", "c"]},
        {"name": "debt_ratio", "kind": "numeric", "expression": "SAFE_DIVIDE(debt, income)"},
        {"name": "size", "kind": "categorical", "expression": "IF(amount > 10, 'big', 'small')"},
    ]
    data = {
        "monitor": "loan_approval",
        "warehouse": "bigquery://acme-ml/monitoring?location=EU",
        "source": {
            "table": LOG,
            "timestamp": "predicted_at",
            "filter": "environment = 'prod' AND n_items > 3 AND NOT is_test",
            "model_version": "model_version",
            "id": "application_id",
        },
        "features": features,
        "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "probability"},
        "window": {"granule": "day", "length": "7d", "every": "1d", "delay": "2h", "timezone": "Europe/Berlin"},
    }
    return parse_config({**data, **changes})


def analyze(googlesql: GoogleSQL, statement: dict[str, Any]) -> Analysis:
    """Resolve a listed statement with just what is listed beside it."""
    params = {name: Param(kind, None) for name, kind in statement["params"].items()}
    return googlesql.analyze(statement["sql"], statement["schemas"], params)


OUTCOMES: dict[str, Any] = {
    "labels": {"table": "acme-ml.serving.outcomes", "column": "repaid", "timestamp": "labelled_at", "matures_after": "45d"},
    "segments": ["channel", ["channel", "region_code"], {"name": "thin_file", "expression": "n_accounts < 3"}],
    "performance": {"auc": {"max_drop": 0.03}}, "fairness": [{"group": "channel"}],
    "quality": {"latency_ms": {"column": "latency_ms", "p95_max": 300}, "duplicate_ids": {"max_share": 0.01}},
}  # fmt: skip
CLASSES = {"column": "answer", "kind": "multiclass", "score": "confidence"}
NUMBERS = {"column": "loss", "kind": "regression"}
CHANGES: list[dict[str, Any]] = [
    {}, {"window": {"granule": "hour", "length": "6h", "every": "1h"}}, OUTCOMES,
    {**OUTCOMES, "labels": {"column": "repaid", "timestamp": "labelled_at"}}, {"labels": {"column": "repaid"}},
    {"prediction": CLASSES, "labels": {"table": "acme-ml.serving.outcomes", "id": "loan", "column": "class"}},
    {"prediction": NUMBERS, "labels": {**OUTCOMES["labels"], "column": "actual", "contradictory": "newest"}},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES)
def test_every_statement_is_valid_googlesql(googlesql: GoogleSQL, changes: dict[str, Any]) -> None:
    """Each printed statement resolves with the parameters and schemas printed beside it, and uses nothing that BigQuery lacks."""
    found = monitor_statements(loans(**changes))
    assert {statement["name"].split("/")[0] for statement in found} == {
        "tables",
        "views",
        "reference",
        "scan",
        "read",
        "write",
    }
    for statement in found:
        if statement["name"] == "write/commit":  # a script; its statements are listed singly too
            googlesql.parse(statement["sql"])
            continue
        analysis = analyze(googlesql, statement)
        assert not analysis.functions & NOT_BIGQUERY, statement["name"]


def test_the_scan_reads_the_log_once_and_only_monitored_columns(googlesql: GoogleSQL) -> None:
    """The counting statement scans the log one time, and touches no column that is not monitored, filtered or keyed by."""
    wanted = {
        "amount", "region", "is_new", "opened_at", "grade", "debt", "income", "approved", "probability",
        "predicted_at", "environment", "n_items", "is_test", "model_version",
    }  # fmt: skip
    counting = [
        s
        for s in monitor_statements(loans())
        if s["name"] == "scan/histograms" and ".production_histograms`" in s["sql"]
    ]
    assert len(counting) == 1
    analysis = analyze(googlesql, counting[0])
    assert analysis.scans == {LOG: 1}
    assert analysis.columns[LOG] == wanted


def test_more_features_make_more_batches_each_reading_its_own(googlesql: GoogleSQL) -> None:
    """Forty-five features are two statements; together they read each column once more than they share."""
    features = [{"name": f"x{i}", "kind": "numeric"} for i in range(45)]
    counting = [
        s
        for s in monitor_statements(loans(features=features))
        if s["name"] == "scan/histograms" and ".production_histograms`" in s["sql"]
    ]
    assert len(counting) == 2
    read = [analyze(googlesql, s).columns[LOG] for s in counting]
    assert {name for name in read[0] & read[1] if name.startswith("x")} == set()
    assert {name for name in read[0] | read[1] if name.startswith("x")} == {f"x{i}" for i in range(45)}


def test_a_capture_scans_no_texts_but_by_day(googlesql: GoogleSQL) -> None:
    """Texts are counted by the statement that finds their labels; numbers are counted again, in their frozen buckets."""
    features = [{"name": "region", "kind": "categorical"}, {"name": "amount", "kind": "numeric"}]
    read = [
        analyze(googlesql, s).columns[LOG] & {"region", "amount", "predicted_at"}
        for s in monitor_statements(loans(features=features))
        if s["name"] == "scan/histograms" and ".production_histograms`" not in s["sql"]
    ]
    assert [columns for columns in read if "predicted_at" not in columns] == [{"amount"}]
    assert {"region", "amount", "predicted_at"} in read


def test_a_thousand_features_make_statements_of_the_size_of_two_hundred(googlesql: GoogleSQL) -> None:
    """The longest of each kind is valid and no longer than with two hundred, where batches begin with every kind; each feature is counted once."""
    name = "a_feature_with_a_name_of_the_length_that_generated_names_have_{:05d}"
    kinds = ("numeric", "categorical", "boolean", "timestamp")
    features = [{"name": name.format(i), "kind": kinds[i % 4]} for i in range(1_000)]
    found, few = (monitor_statements(loans(features=features[:n])) for n in (1_000, 200))
    longest, of_few = (
        {statement["name"]: statement for statement in sorted(listed, key=lambda item: len(item["sql"]))}
        for listed in (found, few)
    )
    assert {kind: len(item["sql"]) for kind, item in longest.items()} == {
        kind: len(item["sql"]) for kind, item in of_few.items()
    }
    assert max(len(statement["sql"]) for statement in found) < 100_000
    assert max(len(statement["params"]) for statement in found) < 200
    for statement in longest.values():
        if statement["name"] != "write/commit":
            analyze(googlesql, statement)
    counting = [s["sql"] for s in found if s["name"] == "scan/histograms" and ".production_histograms`" in s["sql"]]
    assert len(counting) == -(-(1_000 + 2) // MAX_FEATURES_PER_STATEMENT)
    for feature in features:
        assert sum(f"`{feature['name']}`" in sql for sql in counting) == 1


def test_features_without_kinds_are_refused() -> None:
    """Offline, types come from kinds; where they are left to detection the error says what to add."""
    with pytest.raises(InputError, match=r"no kind for amount.*Add the kinds"):
        monitor_statements(loans(features=["amount"]))
    with pytest.raises(InputError, match="bigquery:// monitors only"):
        monitor_statements(loans(warehouse="duckdb://", source={"table": "log", "timestamp": "ts"}))
