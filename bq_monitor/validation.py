"""Live checks of a monitor: does the log have what the configuration names, and do our tables exist?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bq_monitor.alerts.secrets import references_of
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import AccessError, BqMonitorError, InputError, SchemaError, TableNotFoundError, did_you_mean
from bq_monitor.findings import Findings
from bq_monitor.outcomes import arrivals_statement, outcomes_of
from bq_monitor.permissions import Reach, find_reach
from bq_monitor.reference import Reference, load_references
from bq_monitor.scan import log_scan
from bq_monitor.segments import dimensions, key
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Relation, Warehouse
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.fragments import ALLOWED
from bq_monitor.warehouse.identifiers import is_file
from bq_monitor.warehouse.migration import lacking_columns
from bq_monitor.waste import find_small_caps, find_waste, find_wrong_filter


def check_live(config: MonitorConfig) -> Findings:
    """What only a look at the log and the warehouse shows; no faults when the monitor can run.

    On BigQuery it also says which permissions are missing, whether regions fit, and what a run reads in vain. Nothing is changed.

    Raises:
        WarehouseError: the warehouse cannot be reached at all.
    """
    try:
        warehouse = _open(config)
    except InputError as error:
        return Findings((str(error),))
    try:
        return examine(warehouse, config, datetime.now(UTC))
    finally:
        warehouse.close()


def examine(warehouse: Warehouse, config: MonitorConfig, now: datetime) -> Findings:
    """`check_live` in an open warehouse, at a moment: the costs are those of the newest granules before it."""
    is_bigquery = warehouse.dialect == "bigquery"
    found = Findings(tuple(find_small_caps(config.budget)) if is_bigquery else (), tuple(_unset(config)))
    reach = find_reach(warehouse, config) if is_bigquery else _embedded_reach(warehouse, config)
    found += reach.findings
    log_faults = _log_faults(config, warehouse, reach.log, asks=reach.reads_log) if reach.log else []
    log_faults += (
        _outcome_faults(config, warehouse, reach.log, asks=reach.reads_log) if reach.log and not log_faults else []
    )
    found += Findings((*log_faults, *(_feature_faults(config, reach.log) if reach.log else ())))
    references, state = _state(config, warehouse) if reach.reads_own else ([], Findings())
    found += state
    if is_bigquery and reach.log and reach.reads_log and not log_faults:
        found += _waste(config, warehouse, reach.log, references, now)
    return found


def _unset(config: MonitorConfig) -> Iterator[str]:
    """The secrets that are to come from the environment and are not in this one: here nobody may need them, where runs are made somebody does."""
    for place, references in references_of(config):
        for name in (reference.removeprefix("env:") for reference in references if reference.startswith("env:")):
            if not os.environ.get(name):
                yield f"{place}: {name} is not set in this environment; set it where the monitor runs, or nothing can be sent"


def _embedded_reach(warehouse: Warehouse, config: MonitorConfig) -> Reach:
    """A file or a table of DuckDB is there, or it is not."""
    try:
        log = warehouse.relation(config.source.table)
    except BqMonitorError as error:
        if error.exit_code != 2:
            raise
        return Reach(None, False, True, Findings((str(error),)))
    return Reach(log, True, True, Findings())


def _open(config: MonitorConfig) -> Warehouse:
    """A look must not make a database file: one that is not there yet is stood in for by an empty one in memory."""
    scheme, _, path = config.warehouse.partition("://")
    if scheme == "duckdb" and path and not Path(path).absolute().parent.is_dir():
        raise InputError(
            f"warehouse: {config.warehouse!r}: no folder {str(Path(path).absolute().parent)!r}. Make it, or correct the path."
        )
    if scheme == "duckdb" and is_file(config.source.table) and not Path(path).exists():
        return open_warehouse("duckdb://")
    return open_warehouse(
        config.warehouse, deadline_seconds=config.budget.deadline_seconds, read_only=scheme == "duckdb" and bool(path)
    )


def _log_faults(config: MonitorConfig, warehouse: Warehouse, log: Relation, *, asks: bool) -> list[str]:
    """Whether the log can be counted by its time column and filter, as far as the service may be asked."""
    if fault := find_wrong_filter(config, log):
        return [fault]
    now = datetime.now(UTC)
    try:
        look = log_scan(config, log, now, now).granules(warehouse.dialect)
        if asks:
            warehouse.estimate(look)
    except BqMonitorError as error:
        return [str(error)]
    return []


def _outcome_faults(config: MonitorConfig, warehouse: Warehouse, log: Relation, *, asks: bool) -> list[str]:
    """Whether segments can be told apart, labels joined, and latency counted, as far as the service may be asked."""
    now, faults = datetime.now(UTC), []
    latency = config.quality.latency_ms
    if latency and latency.column not in log.columns:
        hint = did_you_mean(latency.column, log.columns)
        faults.append(f"{log.place}: quality.latency_ms: missing column {latency.column!r}.{hint}")
    try:
        for i, dimension in enumerate(dimensions(config)):
            key(dimension, i, log)
        table = config.labels.table if config.labels else None
        labels = warehouse.relation(table) if table else None
        if config.labels and labels is None and config.labels.column not in log.columns:
            raise InputError.missing_columns(f"{log.place}: labels.column", [config.labels.column], log.columns)
        scan, outcomes = log_scan(config, log, now, now), outcomes_of(config, log, labels, now)
        look = arrivals_statement(scan, config, outcomes, warehouse.dialect)
        if asks and (config.labels or config.source.id):
            warehouse.estimate(look)
    except BqMonitorError as error:
        faults.append(str(error))
    return faults


def _feature_faults(config: MonitorConfig, relation: Relation) -> list[str]:
    faults: list[str] = []
    for i, feature in enumerate(config.declared_features()):
        place = f"{relation.place}: features[{i}] {feature.name!r}"
        if feature.expression is not None:
            faults += _expression_faults(feature.expression, place, relation)
        elif feature.name not in relation.columns:
            faults.append(f"{place}: missing column.{did_you_mean(feature.name, relation.columns)}")
        elif feature.kind and relation.columns[feature.name] not in ALLOWED[feature.kind]:
            got = relation.columns[feature.name]
            faults.append(f"{place}: type {got}; kind {feature.kind} allows {', '.join(ALLOWED[feature.kind])}")
    prediction = config.prediction
    for name in (prediction.column, prediction.score) if prediction else ():
        if name and name not in relation.columns:
            faults.append(
                f"{relation.place}: prediction: missing column {name!r}.{did_you_mean(name, relation.columns)}"
            )
    return faults


def _expression_faults(text: str, place: str, relation: Relation) -> list[str]:
    try:
        Expression(text, place).require_columns(relation.columns)
    except BqMonitorError as error:
        return [str(error)]
    return []


def _state(config: MonitorConfig, warehouse: Warehouse) -> tuple[list[Reference], Findings]:
    """The captured references, newest first; a fault where there are none, or where our tables are too old."""
    try:
        if lacking := _lacking(warehouse):
            return [], Findings((f"monitor {config.monitor!r}: {SchemaError.outdated(lacking)}",))
        references = load_references(warehouse, config.monitor)
    except TableNotFoundError:
        return [], Findings((f"monitor {config.monitor!r}: our tables are not there; run 'bq-monitor init'",))
    except AccessError as error:
        return [], Findings((str(error),))
    if not references:
        fault = f"monitor {config.monitor!r}: no reference captured; run 'bq-monitor reference capture'"
        return [], Findings((fault,))
    return references, Findings()


def _lacking(warehouse: Warehouse) -> dict[str, tuple[str, ...]]:
    """The columns that our tables lack; none where they may not be looked at, which is told already."""
    try:
        return lacking_columns(warehouse)
    except AccessError:
        return {}


def _waste(
    config: MonitorConfig, warehouse: Warehouse, log: Relation, references: Sequence[Reference], now: datetime
) -> Findings:
    """`find_waste`; a scan that the service refuses is a fault."""
    try:
        return find_waste(warehouse, config, log, references, now)
    except BqMonitorError as error:
        return Findings((str(error),))
