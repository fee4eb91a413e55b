"""The configuration: what is read, what is refused and with which words, and that no fault hides another."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from bq_monitor.config import parse_config
from bq_monitor.errors import ConfigError
from bq_monitor.sections import parse_size
from bq_monitor.timegrid import Span
from tests.conftest import make_config

WHOLE = """
monitor: loan_approval
warehouse: bigquery://acme-ml/ml_monitoring
source:
  table: acme-ml.serving.loan_predictions
  timestamp: predicted_at
  filter: "environment = 'prod'"
  model_version: model_version
  id: application_id
features:
  - income
  - {name: region, kind: categorical, top_k: 20, sensitive: true, threshold: 0.2}
  - {name: grade, kind: ordinal, order: [low, middle, high]}
  - {name: burden, kind: numeric, bins: 5, expression: "debt / income"}
prediction: {column: approved, kind: binary, positive: true, score: probability}
window: {granule: day, length: 7d, every: 1d, delay: 2h, timezone: Europe/Berlin, restate: 3d, start: 2026-01-01}
baselines: [training]
detection: {preset: balanced, metric: js_distance, threshold: 0.1, alpha: 0.01, min_rows: 50, share_drifted: 0.3}
budget: {max_bytes_per_run: 50GB, deadline: 25m}
alerts: {channels: [slack, pagerduty, pubsub, log], quiet_hours: {start: 22:00, end: '07:00'}, owner: risk-ml, runbook: https://acme.com/runbook}
actions: [{on: drift, for: 3 windows, do: retrain, pubsub: projects/acme-ml/topics/retrain}]
"""


def mapping(**changes: Any) -> dict[str, Any]:
    return {
        "monitor": "loans", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts"}, **changes,
    }  # fmt: skip


def faults(data: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(data, "loans.yaml")
    assert str(caught.value) == "\n".join(f"loans.yaml: {fault}" for fault in caught.value.faults)
    return list(caught.value.faults)


def test_every_supported_key_is_read() -> None:
    """The documented configuration reads into typed values; YAML's `on` and 22:00 among them."""
    config = parse_config(yaml.safe_load(WHOLE))
    assert (config.monitor, config.warehouse) == ("loan_approval", "bigquery://acme-ml/ml_monitoring")
    assert vars(config.source) == {
        "table": "acme-ml.serving.loan_predictions", "timestamp": "predicted_at", "filter": "environment = 'prod'",
        "model_version": "model_version", "id": "application_id",
    }  # fmt: skip
    plain, region, grade, burden = config.declared_features()
    assert (plain.name, plain.kind, plain.bins, plain.top_k, plain.sensitive) == ("income", None, 10, 100, False)
    assert (region.kind, region.top_k, region.sensitive, region.threshold) == ("categorical", 20, True, 0.2)
    assert (grade.kind, grade.order) == ("ordinal", ["low", "middle", "high"])
    assert (burden.bins, burden.expression) == (5, "debt / income")
    assert config.prediction is not None
    assert (config.prediction.positive, config.prediction.score) == (True, "probability")
    window = config.window
    assert (window.length, window.every, window.delay) == (Span(7, "d"), Span(1, "d"), Span(2, "h"))
    assert (window.restate, window.timezone) == (Span(3, "d"), ZoneInfo("Europe/Berlin"))
    start = window.start_moment()
    assert start is not None
    assert start.isoformat() == "2025-12-31T23:00:00+00:00"  # midnight of 1 January in Berlin
    assert config.budget.max_bytes_per_run == 50_000_000_000
    assert config.budget.deadline_seconds == 1500
    assert config.rule().threshold == 0.1
    assert config.rule(0.2, 5).n_bins == 5
    assert config.rule(0.2).threshold == 0.2
    assert [channel.type for channel in config.alerts.channels] == ["slack", "pagerduty", "pubsub", "log"]
    quiet = config.alerts.quiet_hours
    assert quiet is not None
    assert (quiet.start, quiet.end) == (time(22), time(7))
    (action,) = config.actions
    assert (action.on, action.after, action.do, action.target) == (
        ["drift"], 3, "retrain", "projects/acme-ml/topics/retrain",
    )  # fmt: skip


def test_a_shell_command_is_for_a_laptop() -> None:
    """An action that runs a command is refused where the warehouse is BigQuery."""
    action = {"on": "drift", "do": "retrain", "shell": "make train"}
    assert parse_config(mapping(actions=[action])).actions[0].shell == "make train"
    (fault,) = faults(
        mapping(warehouse="bigquery://acme-ml/m", source={"table": "acme-ml.s.t", "timestamp": "t"}, actions=[action])
    )
    assert fault.startswith("actions: retrain: shell is for duckdb:// alone")


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("conservative", (0.2, 0.001, "3 of 3")),
        ("balanced", (0.1, 0.01, "2 of 3")),
        ("aggressive", (0.05, 0.05, "1 of 1")),
    ],
)
def test_a_preset_says_what_is_not_said(preset: str, expected: tuple[float, float, str]) -> None:
    """Threshold, alpha and confirmation come from it; each can be said instead, and PSI has thresholds of its own."""
    config = parse_config(mapping(detection={"preset": preset}))
    rule, confirm = config.rule(), str(config.detection.confirm)
    assert (rule.threshold, rule.alpha, confirm) == expected
    own = parse_config(mapping(detection={"preset": preset, "threshold": 0.3, "alpha": 0.02, "confirm": "4 of 7"}))
    assert (own.rule().threshold, own.rule().alpha, str(own.detection.confirm)) == (0.3, 0.02, "4 of 7")
    psi = parse_config(mapping(detection={"preset": preset, "metric": "psi"})).rule()
    assert psi.threshold == {"conservative": 0.25, "balanced": 0.1, "aggressive": 0.02}[preset]


@pytest.mark.parametrize(("every", "n"), [("1d", 30.436875), ("6h", 121.7475), ("1mo", 1.0), ("1w", 4.348125)])
def test_false_alarms_per_month_are_shared_among_its_windows(every: str, n: float) -> None:
    """One a month over so many windows is the chance of one window; never more than a half."""
    window = {"length": "1mo" if every == "1mo" else "7d", "every": every, "granule": "hour" if "h" in every else "day"}
    config = parse_config(mapping(detection={"false_alarms_per_month": 0.3}, window=window))
    assert config.alpha == pytest.approx(0.3 / n)
    assert parse_config(mapping(detection={"false_alarms_per_month": 500}, window=window)).alpha == 0.5


@pytest.mark.parametrize(
    ("detection", "fault"),
    [
        ({"alpha": 0.01, "false_alarms_per_month": 1}, "alpha and false_alarms_per_month: got both"),
        (
            {"metric": "ks_statistic", "threshold": 0.1},
            "ks_statistic tests whether anything changed at all and has none",
        ),
        ({"confirm": "3 of 2"}, "got '3 of 2'; allowed: 'K of N' with 1 <= K <= N <= 10"),
        ({"confirm": 2}, "got '2'; allowed: 'K of N'"),
        ({"healthy": {"from": "2026-01-01"}}, "detection.healthy.to"),
        ({"healthy": {"from": "2026-02-01", "to": "2026-01-01"}}, "'to' must be later than 'from'"),
        (
            {"healthy": {"form": "2026-02-01", "from": "2026-01-01", "to": "2026-02-01"}},
            "unknown key; known: from, to. Did you mean 'from'?",
        ),
        ({"preset": ["balanced"]}, "detection.preset"),
    ],
)
def test_a_detection_that_contradicts_itself_is_refused(detection: dict[str, Any], fault: str) -> None:
    """One fault, that names what goes together."""
    (found,) = faults(mapping(detection=detection))
    assert fault in found


@pytest.mark.parametrize(
    "key", ["alpha", "threshold", "preset", "confirm", "metric", "false_alarms_per_month", "healthy", "min_rows"]
)
def test_an_empty_key_says_nothing(key: str) -> None:
    """As a blank line in YAML leaves it: the same as not said."""
    assert parse_config(mapping(detection={key: None})).detection == parse_config(mapping(detection={})).detection


def test_a_metric_without_threshold_takes_none_from_a_feature() -> None:
    """A feature's own threshold has no meaning for a test of any change."""
    features = [{"name": "amount", "threshold": 0.2}]
    (found,) = faults(mapping(detection={"metric": "chi2_statistic"}, features=features))
    assert "threshold of amount: chi2_statistic has no threshold" in found


def test_baselines_have_names() -> None:
    """As results call them."""
    listed = ["training", "previous", {"same_weekday": 4}, {"same_monthday": 2}, "promoted"]
    names = [baseline.name for baseline in parse_config(mapping(baselines=listed)).baselines]
    assert names == ["training", "previous", "same_weekday_4", "same_monthday_2", "promoted"]


@pytest.mark.parametrize(
    "baselines",
    [
        [],
        ["same_weekday"],
        [{"same_weekday": 0}],
        [{"same_weekday": True}],
        [{"previous": 2}],
        ["previous", "previous"],
        ["last"],
        [7],
        "training",
    ],
)
def test_other_baselines_are_refused(baselines: object) -> None:
    """What is no baseline, or stands twice, is one fault that names the key."""
    (fault,) = faults(mapping(baselines=baselines))
    assert "baselines" in fault


@pytest.mark.parametrize(
    ("changes", "path", "near"),
    [
        ({"detecion": {}}, "detecion", "detection"),
        ({"source": {"table": "a.csv", "timestamp": "t", "filtre": "x"}}, "source.filtre", "filter"),
        ({"features": [{"name": "a", "knd": "numeric"}]}, "features[0].knd", "kind"),
        ({"prediction": {"column": "p", "kind": "binary", "postive": 1}}, "prediction.postive", "positive"),
        ({"window": {"lenght": "7d"}}, "window.lenght", "length"),
        ({"detection": {"treshold": 0.1}}, "detection.treshold", "threshold"),
        ({"budget": {"max_bytes": 1}}, "budget.max_bytes", "max_bytes_per_run"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(changes: dict[str, Any], path: str, near: str) -> None:
    """Every level names the unknown key with its path, the known ones, and the one that was meant."""
    (fault,) = faults(mapping(**changes))
    assert fault.startswith(f"{path}: unknown key; known: ")
    assert fault.endswith(f"Did you mean {near!r}?")


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"monitor": "Loan-A"}, "monitor: got 'Loan-A'; allowed: lower-case"),
        ({"monitor": 5}, "monitor: Input should be a valid string; got 5"),
        ({"source": "log.parquet"}, "source: must be a mapping of keys; got 'log.parquet'"),
        ({"source": {"table": "log.parquet"}}, "source.timestamp: missing"),
        ({"features": "all"}, "features: got 'all'; allowed: auto, or a list"),
        ({"features": []}, "features: got []; allowed: auto, or a list"),
        ({"features": [3]}, "features[0]: must be a mapping of keys; got 3"),
        ({"features": [{"name": "a", "kind": "numerical"}]}, "features[0].kind: unknown value; got 'numerical'; known: numeric"),
        ({"features": [{"name": "a", "bins": 1}]}, "features[0].bins: Input should be greater than or equal to 2"),
        ({"features": [{"name": "a", "bins": "9"}]}, "features[0].bins: Input should be a valid integer; got '9'"),
        ({"features": [{"name": "a", "top_k": 0}]}, "features[0].top_k: Input should be greater"),
        ({"features": [{"name": "a", "threshold": 0}]}, "features[0].threshold: Input should be greater than 0"),
        ({"features": [{"name": "a", "kind": "ordinal"}]}, "features[0]: kind 'ordinal' and 'order' go together"),
        ({"features": [{"name": "a", "order": ["x"]}]}, "features[0]: kind 'ordinal' and 'order' go together"),
        ({"features": [{"name": "a", "kind": "ordinal", "order": ["x", "x"]}]}, "features[0]: order: a label stands twice"),
        ({"features": ["a", {"name": "a"}]}, "features: a listed twice"),
        ({"prediction": {"column": "a", "kind": "ranking"}}, "prediction.kind: unknown value; got 'ranking'"),
        ({"detection": {"metric": "pis"}}, "detection.metric: unknown value; got 'pis'; known: js_distance, psi, chi2_statistic, "
         "ks_statistic. Did you mean 'psi'?"),
        ({"detection": {"threshold": "x"}}, "detection.threshold: Input should be a valid number; got 'x'"),
        ({"detection": {"threshold": 1}}, "detection: threshold: got 1.0; js_distance lies between 0 and 1"),
        ({"detection": {"metric": "psi", "threshold": float("inf")}}, "detection.threshold: Input should be a finite number"),
        ({"detection": {"alpha": 1.0}}, "detection.alpha: Input should be less than 1"),
        ({"detection": {"min_rows": True}}, "detection.min_rows: Input should be a valid integer; got True"),
        ({"detection": {"share_drifted": 30}}, "detection.share_drifted: Input should be less than or equal to 1"),
        ({"window": "7d"}, "window: must be a mapping of keys; got '7d'"),
        ({"window": {"length": "7x"}}, "window.length: not a length of time: got '7x'"),
        ({"window": {"length": 7}}, "window.length: not a length of time: got '7'"),
        ({"window": {"every": "0d"}}, "window: every: got '0d'; must be longer than nothing"),
        ({"window": {"length": "6h"}}, "window: length: got '6h' with granule 'day'"),
        ({"window": {"granule": "week"}}, "window.granule: unknown value; got 'week'; known: hour, day"),
        ({"window": {"timezone": "Europe/Berln"}}, "window.timezone: unknown time zone; got 'Europe/Berln'"),
        ({"window": {"start": "soon"}}, "window.start: not a point in time: got 'soon'"),
        ({"budget": {"deadline": "25x"}}, "budget.deadline: not a deadline; got '25x'"),
        ({"budget": {"deadline": "0m"}}, "budget.deadline: not a deadline; got '0m'"),
        ({"budget": {"max_bytes_per_run": "50 gigs"}}, "budget.max_bytes_per_run: not a size; got '50 gigs'"),
        ({"warehouse": "snowflake://x"}, "warehouse: got 'snowflake://x'; allowed: bigquery://PROJECT/DATASET"),
        ({"warehouse": 7}, "warehouse: Input should be a valid string; got 7"),
    ],
)  # fmt: skip
def test_a_wrong_value_gives_one_fault_with_its_path(changes: dict[str, Any], start: str) -> None:
    """Wrong types and values: one fault each, which begins with the path and shows what was got."""
    (fault,) = faults(mapping(**changes))
    assert fault.startswith(start)


@pytest.mark.parametrize(
    ("changes", "path", "what"),
    [
        ({"source": {"table": "a`b", "timestamp": "t"}}, "source.table", "not a DuckDB table"),
        ({"source": {"table": 'a"; DROP TABLE runs; --', "timestamp": "t"}}, "source.table", "not a DuckDB table"),
        ({"source": {"table": "t", "timestamp": "t`s"}}, "source.timestamp", "not a column name"),
        ({"source": {"table": "t", "timestamp": "t", "model_version": "v\n"}}, "source.model_version", "not a column name"),
        ({"source": {"table": "t", "timestamp": "t", "id": ""}}, "source.id", "not a column name"),
        ({"features": ["a\\"]}, "features[0].name", "not a column name"),
        ({"prediction": {"column": "p`", "kind": "binary"}}, "prediction.column", "not a column name"),
        ({"prediction": {"column": "p", "kind": "binary", "score": "`"}}, "prediction.score", "not a column name"),
        ({"source": {"table": "t", "timestamp": "t", "filter": "1=1; DROP TABLE x"}}, "source.filter", "more than one statement"),
        ({"source": {"table": "t", "timestamp": "t", "filter": "a = ("}}, "source.filter", "does not parse"),
        ({"source": {"table": "t", "timestamp": "t", "filter": "a IN (SELECT 1)"}}, "source.filter", "subquery"),
        ({"features": [{"name": "a", "kind": "numeric", "expression": "SUM(x)"}]}, "features[0].expression", "an aggregate"),
        ({"features": [{"name": "a", "kind": "numeric", "expression": "evil(x)"}]}, "features[0].expression", "an unknown function"),
    ],
)  # fmt: skip
def test_hostile_names_and_expressions_are_refused(changes: dict[str, Any], path: str, what: str) -> None:
    """Nothing that could change a statement passes, and the fault names the key."""
    (fault,) = faults(mapping(**changes))
    assert fault.startswith(f"{path}: ")
    assert what in fault


def test_bigquery_names_are_checked_by_its_own_rules() -> None:
    """A backtick in a table name, and a location that is none, are refused."""
    (table,) = faults(
        mapping(warehouse="bigquery://acme-ml/m", source={"table": "acme-ml.s.`t`; --", "timestamp": "t"})
    )
    assert table.startswith("source.table: ")
    assert "not a BigQuery table" in table
    (url,) = faults(
        mapping(warehouse="bigquery://acme-ml/m?location=EU;x", source={"table": "acme-ml.s.t", "timestamp": "t"})
    )
    assert url.startswith("warehouse: ")


def test_faults_of_every_kind_are_collected_at_once() -> None:
    """Values, unknown keys and hostile names stand together in one error."""
    found = faults(
        mapping(
            monitor="Loan",
            detection={"metric": "pis", "alpha": 2},
            window={"length": "soon"},
            colour=1,
            alerts={"channels": ["slak"]},
            source={"table": "a`b", "timestamp": "t`"},
        )
    )
    assert [fault.split(":")[0] for fault in found] == [
        "monitor", "window.length", "detection.metric", "detection.alpha", "alerts.channels[0]", "colour", "source.table", "source.timestamp",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [None, [], "monitor", 3])
def test_a_document_that_is_no_mapping_is_refused(data: object) -> None:
    """An empty file, a list or a word is no configuration."""
    (fault,) = faults(data)
    assert "must be a mapping of keys" in fault


@pytest.mark.parametrize(
    ("text", "size"),
    [(1, 1), ("50GB", 50 * 10**9), ("1.5 mb", 1_500_000), ("2TB", 2 * 10**12), ("7B", 7), ("3KB", 3000), ("1PB", 10**15)],
)  # fmt: skip
def test_sizes_are_decimal(text: object, size: int) -> None:
    """KB is a thousand bytes, as BigQuery bills."""
    assert parse_size(text) == size


@pytest.mark.parametrize("bad", [True, 0, -5, "", "5", "GB", "5 gigs", None, "-1GB"])
def test_a_size_without_a_sense_is_refused(bad: object) -> None:
    """No unit, no number, nothing, or a sign: refused."""
    with pytest.raises(ValueError, match="not a size"):
        parse_size(bad)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("25m", 1500), ("2h", 7200), ("1d", 86400)])
def test_deadlines(text: str, seconds: float) -> None:
    """A deadline is a whole number of seconds, minutes, hours or days."""
    assert parse_config(mapping(budget={"deadline": text})).budget.deadline_seconds == seconds


def test_the_warehouse_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`BQ_MONITOR_WAREHOUSE` stands in for a missing key, never over a given one; without either the key is missed."""
    without = {key: value for key, value in mapping().items() if key != "warehouse"}
    monkeypatch.delenv("BQ_MONITOR_WAREHOUSE", raising=False)
    assert faults(without) == ["warehouse: missing; this key is required (or set BQ_MONITOR_WAREHOUSE)"]
    monkeypatch.setenv("BQ_MONITOR_WAREHOUSE", "duckdb:///elsewhere.duckdb")
    assert parse_config(without).warehouse == "duckdb:///elsewhere.duckdb"
    assert parse_config(mapping()).warehouse == "duckdb://"


def test_hours_need_a_zone_that_changes_by_whole_hours() -> None:
    """Lord Howe's clocks change by half an hour, which no grid of hours can follow; days are fine there."""
    window = {"granule": "hour", "length": "6h", "every": "1h", "timezone": "Australia/Lord_Howe"}
    with pytest.raises(ConfigError, match=r"window: timezone: got 'Australia/Lord_Howe'"):
        parse_config(mapping(window=window))
    assert (
        parse_config(mapping(window={"timezone": "Australia/Lord_Howe"})).window.timezone.key == "Australia/Lord_Howe"
    )


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ({"name": "x", "threshold": 1.5}, "threshold of x: got 1 or more"),
        ({"name": "x", "kind": "categorical", "bins": 5}, "bins: no meaning for kind 'categorical'"),
        ({"name": "x", "kind": "numeric", "top_k": 5}, "top_k: no meaning for kind 'numeric'"),
        ({"name": "x", "kind": "numeric", "sensitive": True}, "sensitive: no meaning for kind 'numeric'"),
    ],
)
def test_an_option_without_effect_is_refused(feature: dict[str, Any], words: str) -> None:
    """What would do nothing is said, not accepted."""
    with pytest.raises(ConfigError, match=words):
        parse_config(mapping(features=[feature]))


@pytest.mark.parametrize(
    ("report", "link"),
    [
        ({"to": "gs://acme-reports/loans/"}, "https://storage.cloud.google.com/acme-reports/loans/loans.html"),
        ({"to": "gs://acme-reports", "url": "https://reports.acme.com/"}, "https://reports.acme.com/loans.html"),
        ({"to": "out/reports"}, None),
    ],
)
def test_alerts_link_to_where_runs_leave_reports(tmp_path: Path, report: dict[str, str], link: str | None) -> None:
    """In a bucket, or under the URL that stands for the folder; a link that alerts name themselves comes first."""
    assert make_config(tmp_path, report=report).report_link == link
    named = make_config(tmp_path, report=report, alerts={"report": "https://acme.com/board"})
    assert named.report_link == "https://acme.com/board"


@pytest.mark.parametrize("to", ["", " ", "s3://bucket/x", "gs://", "https://acme.com"])
def test_reports_go_to_a_folder(tmp_path: Path, to: str) -> None:
    """A local one or one in gs://; anything else is refused with what is allowed."""
    with pytest.raises(ConfigError, match=r"report\.to: got .*; allowed: a folder, or gs://BUCKET/FOLDER"):
        make_config(tmp_path, report={"to": to})
