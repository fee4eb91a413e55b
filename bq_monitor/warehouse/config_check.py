"""What only the names and expressions of a configuration show: whether they can be written into SQL at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bq_monitor.errors import BqMonitorError
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.identifiers import bigquery_table, duckdb_table, is_file, parse_bigquery_url, quote_column

if TYPE_CHECKING:
    from bq_monitor.config import MonitorConfig


def check_config(config: MonitorConfig) -> list[str]:
    """The faults of a configuration that only its identifiers show, each with its path; nothing is connected."""
    scheme, _, rest = config.warehouse.partition("://")
    if scheme not in ("bigquery", "duckdb"):
        allowed = "bigquery://PROJECT/DATASET, duckdb:///path/file.duckdb, duckdb://"
        return [f"warehouse: got {config.warehouse!r}; allowed: {allowed}"]
    table = config.source.table
    if scheme == "bigquery":
        faults = [*_fault_of_call("warehouse", parse_bigquery_url, rest)]
        faults += _fault_of_call("source.table", bigquery_table, table, rest.partition("/")[0])
    else:
        faults = [f"warehouse: got {config.warehouse!r}; allowed: one path behind duckdb://"] if "://" in rest else []
        faults += [] if is_file(table) else _fault_of_call("source.table", duckdb_table, table)
    faults += _faults_of_labels(config, scheme, rest.partition("/")[0])
    for path, name in _named_columns(config):
        faults += _fault_of_call(path, quote_column, name, scheme)
        if scheme == "bigquery" and "." in name:
            faults.append(f"{path}: column {name!r}: BigQuery has no dots in column names; give the name alone")
    for path, text in _expressions(config):
        faults += _fault_of_call(path, Expression, text, path)
    return faults or _shown_segments(config)


def _shown_segments(config: MonitorConfig) -> list[str]:
    """Segments by a column that a sensitive feature hides: names of segments are stored in clear.

    An expression may make harmless classes of such a column; one that is the column alone does not.
    """
    hidden = {
        column
        for feature in config.declared_features() if feature.sensitive
        for column in (Expression(feature.expression, "").columns if feature.expression else {feature.name})
    }  # fmt: skip
    faults: list[str] = []
    for i, segment in enumerate(config.segments if hidden else ()):
        whole = segment.expression and Expression(segment.expression, "").column
        shown = sorted(hidden & {*segment.columns, whole})
        faults += [
            f"segments[{i}]: {name!r} is read by a sensitive feature, and names of segments are stored in clear; "
            "cut by an expression that makes classes of it, or take one of the two out"
            for name in shown
        ]
    return faults


def _faults_of_labels(config: MonitorConfig, scheme: str, project: str) -> list[str]:
    table = config.labels.table if config.labels else None
    if table is None or (scheme == "duckdb" and is_file(table)):
        return []
    test, arguments = (bigquery_table, (table, project)) if scheme == "bigquery" else (duckdb_table, (table,))
    return _fault_of_call("labels.table", test, *arguments)


def _fault_of_call(path: str, test: Callable[..., object], *args: object) -> list[str]:
    """What a check says against its arguments, with the path before it; nothing when it passes."""
    try:
        test(*args)
    except BqMonitorError as error:
        message = str(error)
        return [message if message.startswith(path) else f"{path}: {message}"]
    return []


def _expressions(config: MonitorConfig) -> list[tuple[str, str]]:
    features, segments = enumerate(config.declared_features()), enumerate(config.segments)
    named = [
        ("source.filter", config.source.filter),
        *((f"features[{i}].expression", f.expression) for i, f in features),
        *((f"segments[{i}].expression", s.expression) for i, s in segments),
    ]
    return [(path, text) for path, text in named if text is not None]


def _named_columns(config: MonitorConfig) -> list[tuple[str, str]]:
    source, prediction = config.source, config.prediction
    named = [
        ("source.timestamp", source.timestamp),
        ("source.model_version", source.model_version),
        ("source.id", source.id),
    ]
    if prediction:
        named += [("prediction.column", prediction.column), ("prediction.score", prediction.score)]
    if labels := config.labels:
        named += [(f"labels.{key}", getattr(labels, key)) for key in ("column", "id", "timestamp")]
    if latency := config.quality.latency_ms:
        named += [("quality.latency_ms.column", latency.column)]
    named += [(f"segments[{i}]", name) for i, segment in enumerate(config.segments) for name in segment.columns]
    named += [(f"features[{i}].name", feature.name) for i, feature in enumerate(config.declared_features())]
    return [(path, name) for path, name in named if name is not None]
