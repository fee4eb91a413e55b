"""Every GoogleSQL statement of a monitor, unexecuted, with what an analyzer needs to resolve it. Works offline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlglot import exp, parse_one

from bq_monitor.capture import profile_statement
from bq_monitor.config import MonitorConfig
from bq_monitor.days import day_scan
from bq_monitor.errors import InputError
from bq_monitor.freeze import Planned, batches, labels_statement, quantiles_statement
from bq_monitor.listing_outcomes import labels_relation, outcome_columns, outcome_statements
from bq_monitor.measure.histogram import Buckets
from bq_monitor.outcomes import Sources
from bq_monitor.scan import Counted, Scan, counted, log_scan, scan_definition_id
from bq_monitor.sections import Feature
from bq_monitor.segments import examples
from bq_monitor.segments import keys as segment_keys
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Dialect, Param, Relation, Statement
from bq_monitor.warehouse.bigquery import transaction
from bq_monitor.warehouse.identifiers import bigquery_table, parse_bigquery_url
from bq_monitor.warehouse.schema import (
    ACTIONS,
    ALERT_EVENTS,
    DRIFT_RESULTS,
    NOTIFICATIONS,
    PERFORMANCE_RESULTS,
    PRODUCTION_HISTOGRAMS,
    QUALITY_RESULTS,
    REFERENCE_HISTOGRAMS,
    RUNS,
    TABLES,
)
from bq_monitor.warehouse.setup import setup_statements
from bq_monitor.warehouse.views import VIEWS

_KIND_TYPES = {
    "numeric": "FLOAT64",
    "timestamp": "TIMESTAMP",
    "categorical": "STRING",
    "ordinal": "STRING",
    "boolean": "BOOL",
}


@dataclass(frozen=True)
class _Names:
    """A BigQuery warehouse without a connection: only its names."""

    project: str
    dataset: str
    dialect: Dialect = "bigquery"

    def table(self, name: str) -> str:
        return f"`{self.project}.{self.dataset}.{name}`"


def monitor_statements(config: MonitorConfig) -> list[dict[str, Any]]:
    """The statements of a monitor as `{name, dialect, sql, params: {name: type}, schemas: {table: {column: type}}}`.

    All that touch a table; the one look into metadata (`sql/read/partitions`) touches none.

    Column types of the log are those that the configuration implies (a numeric feature is FLOAT64, the time a TIMESTAMP).

    Raises:
        InputError: the monitor is not on BigQuery, or its features are not listed with their kinds.
    """
    scheme, _, rest = config.warehouse.partition("://")
    if scheme != "bigquery":
        raise InputError(
            f"monitor {config.monitor!r}: warehouse: got {config.warehouse!r}; sql prints the statements of bigquery:// monitors only."
        )
    project, dataset, _ = parse_bigquery_url(rest)
    names = _Names(project, dataset)
    log = _log(config, project)
    labels = labels_relation(config, project)
    found = [*setup_statements(names), *_reference_statements(config, names, log)]
    found += _job_statements(config, names, Sources(log, labels))
    tables = {f"{project}.{dataset}.{table.name}": {c.name: c.type for c in table.columns} for table in TABLES}
    views = {f"{project}.{dataset}.{view.name}": _view_types(view.columns) for view in VIEWS}
    schemas = {**tables, **views, log.sql.strip("`"): dict(log.columns)}
    if labels:
        name = labels.sql.strip("`")
        schemas[name] = {**labels.columns, **schemas.get(name, {})}
    return [_described(statement, schemas) for statement in found]


def _described(statement: Statement, schemas: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    named = {name: columns for name, columns in schemas.items() if f"`{name}`" in statement.sql}
    return {
        "name": statement.name, "dialect": "bigquery", "sql": statement.sql,
        "params": {name: param.type for name, param in sorted(statement.params.items())}, "schemas": named,
    }  # fmt: skip


def _view_types(columns: Iterable[str]) -> dict[str, str]:
    """The types of a view's columns; those that no table has are told by what they are called."""
    known = {column.name: column.type for table in reversed(TABLES) for column in table.columns}
    own = {
        "bucket": "STRING", "value": "FLOAT64", "health": "INT64",
        "is_unknown": "BOOL", "acknowledged_by": "STRING", "snoozed_until": "TIMESTAMP",
    }  # fmt: skip
    return {
        name: known.get(name)
        or own.get(name)
        or ("INT64" if name.startswith("n_") or name.endswith("_n") else "FLOAT64")
        for name in columns
    }


def _log(config: MonitorConfig, project: str) -> Relation:
    """The log with the columns that the configuration names."""
    source, prediction = config.source, config.prediction
    columns = {source.timestamp: "TIMESTAMP"}
    for name in (source.model_version, source.id):
        if name:
            columns[name] = "STRING"
    for feature in _features(config):
        columns.setdefault(feature.name, _KIND_TYPES[feature.kind or "numeric"])
    for feature in config.declared_features():
        if feature.expression:
            columns.pop(feature.name, None)
            columns = _implied_types(feature.expression, _KIND_TYPES[feature.kind or "numeric"]) | columns
    if source.filter:
        columns = _implied_types(source.filter, "STRING") | columns
    for segment in config.segments:
        columns = (_implied_types(segment.expression, "STRING") if segment.expression else {}) | columns
    columns = outcome_columns(config) | columns
    if prediction and prediction.kind == "binary" and isinstance(prediction.positive, bool):
        columns[prediction.column] = "BOOL"
    return Relation(bigquery_table(source.table, project), columns, source.table)


def _features(config: MonitorConfig) -> list[Feature]:
    """Every feature with its kind, predictions included; raises where a kind is left to detection."""
    without = [feature.name for feature in config.declared_features() if feature.kind is None]
    if config.features == "auto" or without:
        got = "'auto'" if config.features == "auto" else f"no kind for {', '.join(without)}"
        raise InputError(
            f"monitor {config.monitor!r}: features: got {got}; sql works offline, from features listed with their kinds. Add the kinds."
        )
    listed = list(config.declared_features())
    if prediction := config.prediction:
        listed.append(Feature(name=prediction.column, kind=_prediction_kind(config)))
        listed += [Feature(name=prediction.score, kind="numeric")] if prediction.score else []
    return listed


def _prediction_kind(config: MonitorConfig) -> Any:
    prediction = config.prediction
    if prediction and prediction.kind == "regression":
        return "numeric"
    return "boolean" if prediction and isinstance(prediction.positive, bool) else "categorical"


def _implied_types(expression: str, otherwise: str) -> dict[str, str]:
    """Types that an expression implies for the columns it names: what they are compared with says it."""
    return {
        column.name: _implied_type(column, otherwise)
        for column in parse_one(f"SELECT {expression}", read="bigquery").find_all(exp.Column)
    }


def _implied_type(column: exp.Column, otherwise: str) -> str:
    parent = column.parent
    beside = [node for node in (parent.iter_expressions() if parent else ()) if node is not column]
    logical = parent is None or isinstance(parent, exp.Connector | exp.Not | exp.Select | exp.Paren)
    arithmetic = isinstance(parent, exp.Binary) and not isinstance(parent, exp.Connector | exp.Predicate)
    if any(isinstance(node, exp.Literal) and node.is_string for node in beside) or isinstance(parent, exp.Like):
        return "STRING"
    if arithmetic or any(isinstance(node, exp.Literal | exp.Neg) for node in beside):
        return "FLOAT64"
    if logical or any(isinstance(node, exp.Boolean) for node in beside):
        return "BOOL"
    casts = [node.to.sql("bigquery") for node in beside if isinstance(node, exp.Cast)]
    return casts[0] if casts else otherwise


def _counted(config: MonitorConfig, log: Relation) -> list[Counted]:
    """The features as the scan counts them, with placeholder edges: the statement's text does not depend on them."""
    expressions = {feature.name: feature.expression for feature in config.declared_features()}
    ready = []
    for feature in _features(config):
        kind = feature.kind or "numeric"
        edges, labels = ((0.0, 1.0), ()) if kind in ("numeric", "timestamp") else ((), ("a",))
        column_type = log.columns.get(feature.name, _KIND_TYPES[kind])
        buckets, expression = Buckets(kind, edges, labels), expressions.get(feature.name)
        item = counted(feature.name, buckets, column_type, log, expression=expression)
        if isinstance(item, str):
            raise InputError(f"monitor {config.monitor!r}: feature {feature.name!r}: {item}")
        ready.append(item)
    return ready


def _reference_statements(config: MonitorConfig, names: _Names, log: Relation) -> list[Statement]:
    """What a capture from a table with the log's columns would run."""
    planned = [
        Planned(
            feature,
            "feature",
            feature.kind or "numeric",
            log.columns.get(feature.name, _KIND_TYPES[feature.kind or "numeric"]),
        )
        for feature in _features(config)
    ]
    numeric = [item for item in planned if item.kind in ("numeric", "timestamp")]
    labelled = [item for item in planned if item.kind == "categorical"]
    plain = [item.feature.name for item in planned if item.feature.expression is None]
    counted = tuple(_counted(config, log))
    # labels are counted where they are found
    scanned = tuple(item for item in counted if item.buckets.kind != "categorical")
    by_day = replace(day_scan(config, log), features=counted)
    return [
        *(profile_statement(log, batch, "bigquery") for batch in batches(plain)),
        *(quantiles_statement(log, batch, "bigquery") for batch in batches(numeric)),
        *(labels_statement(log, batch, "", "bigquery") for batch in batches(labelled)),
        *Scan(log, scanned, "").statements("bigquery"),
        by_day.granules("bigquery"),
        *by_day.statements("bigquery"),
        statements.insert(names, REFERENCE_HISTOGRAMS, []),
        statements.references(names, config.monitor),
    ]


def _job_statements(config: MonitorConfig, names: _Names, sources: Sources) -> list[Statement]:
    """What a run would run."""
    log = sources.log
    now = datetime.now(UTC)
    definition = scan_definition_id(config)
    scan = log_scan(config, log, now, now)
    keys = {
        name: Param("STRING", "")
        for name in ("monitor", "model_version", "reference_id", "run_id", "scan_definition_id")
    }
    counting = replace(
        scan, features=tuple(_counted(config, log)), into=names.table(PRODUCTION_HISTOGRAMS.name),
        keys={**keys, "computed_at": Param("TIMESTAMP", now)},
        segments=segment_keys(config, log, examples(config)),
    )  # fmt: skip
    committed = (DRIFT_RESULTS, PERFORMANCE_RESULTS, QUALITY_RESULTS, ALERT_EVENTS, NOTIFICATIONS, ACTIONS, RUNS)
    inserts = [statements.insert(names, table, []) for table in committed]
    return [
        statements.progress(names, config.monitor, ""),
        scan.granules("bigquery"),
        statements.stored(names, config.monitor, definition, now, now),
        statements.verdict_keys(names, config.monitor, now),
        statements.history(names, config.monitor, now, now),
        statements.days(names, config.monitor, definition, now, now),
        statements.month_cost(names, config.monitor, now),
        statements.alerts(names, config.monitor),
        statements.outbox(names, config.monitor, now),
        statements.actions(names, config.monitor, now),
        *counting.statements("bigquery"),
        *outcome_statements(config, names, sources, counting, counting.keys),
        statements.windows(names, config.monitor, definition, [{"start_at": now, "end_at": now}]),
        *inserts,
        transaction(inserts),
    ]


def printable(sql: str) -> str:
    """A statement for reading: without the blank lines that templates leave."""
    return re.sub(r"\n\s*\n+", "\n", sql).strip()
