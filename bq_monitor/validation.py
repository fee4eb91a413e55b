"""Live checks of a monitor: does the log have what the configuration names, and do our tables exist?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BqMonitorError, InputError, TableNotFoundError, did_you_mean
from bq_monitor.reference import load_references
from bq_monitor.scan import log_scan
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Relation, Warehouse
from bq_monitor.warehouse.fragments import ALLOWED
from bq_monitor.warehouse.identifiers import Expression, is_file


def check_live(config: MonitorConfig) -> list[str]:
    """Every fault that only a look at the log shows, each with its place; empty when the monitor can run.

    Raises:
        WarehouseError: the warehouse cannot be reached at all.
    """
    try:
        warehouse = _open(config)
    except InputError as error:
        return [str(error)]
    try:
        relation = warehouse.relation(config.source.table)
        return [
            *_log_faults(config, warehouse, relation),
            *_feature_faults(config, relation),
            *_state_faults(config, warehouse),
        ]
    except BqMonitorError as error:
        if error.exit_code != 2:
            raise
        return [str(error)]
    finally:
        warehouse.close()


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


def _log_faults(config: MonitorConfig, warehouse: Warehouse, relation: Relation) -> list[str]:
    now = datetime.now(UTC)
    try:
        warehouse.estimate(log_scan(config, relation, now, now).granules(warehouse.dialect))
    except BqMonitorError as error:
        return [str(error)]
    return []


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


def _state_faults(config: MonitorConfig, warehouse: Warehouse) -> list[str]:
    try:
        references = load_references(warehouse, config.monitor)
    except TableNotFoundError:
        return [f"monitor {config.monitor!r}: our tables are not there; run 'bq-monitor init'"]
    if not references:
        return [f"monitor {config.monitor!r}: no reference captured; run 'bq-monitor reference capture'"]
    return []
