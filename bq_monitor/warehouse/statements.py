"""The statements over our own tables, with their parameters: read progress, stored counts, windows; append rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bq_monitor.warehouse.base import Dialect, Param, Relation, Row, Statement
from bq_monitor.warehouse.render import render
from bq_monitor.warehouse.schema import REFERENCE_HISTOGRAMS, Table

_WINDOWS_TYPE = "ARRAY<STRUCT<window_id INT64, reference_id STRING, start_at TIMESTAMP, end_at TIMESTAMP>>"


class Names(Protocol):
    """What a statement must know of its warehouse: the dialect, and how our tables are called there."""

    @property
    def dialect(self) -> Dialect: ...

    def table(self, name: str) -> str: ...


def references(names: Names, monitor: str) -> Statement:
    """All references of a monitor, newest first."""
    columns = [column.name for column in REFERENCE_HISTOGRAMS.columns]
    return _read(names, "references", {"monitor": Param("STRING", monitor)}, columns=columns)


def progress(names: Names, monitor: str, coverage_key: str) -> Statement:
    """The watermark of a monitor, and up to where its counts are complete."""
    return _read(
        names, "progress", {"monitor": Param("STRING", monitor), "coverage_key": Param("STRING", coverage_key)}
    )


def stored(names: Names, monitor: str, scan_definition_id: str, start: datetime, end: datetime) -> Statement:
    """The granules counted in `[start, end)`, with their rows."""
    return _read(names, "stored", _counts_params(monitor, scan_definition_id, start, end))


def verdict_keys(names: Names, monitor: str, start: datetime) -> Statement:
    """The verdicts that stand for windows ending after `start`."""
    return _read(names, "verdict_keys", {"monitor": Param("STRING", monitor), "start": Param("TIMESTAMP", start)})


def windows(names: Names, monitor: str, scan_definition_id: str, asked: Sequence[Row]) -> Statement:
    """The summed histograms of windows: rows `window_id, reference_id, start_at, end_at` (at least one)."""
    params = _windows_params(monitor, scan_definition_id, asked)
    return _read(names, "windows", params, counts="production_histograms_latest", keys=["segment"])


def answers(names: Names, monitor: str, outcome_definition_id: str, asked: Sequence[Row]) -> Statement:
    """The summed counts of windows by outcome and prediction: rows as of `windows`."""
    params = _windows_params(monitor, outcome_definition_id, asked)
    return _read(names, "windows", params, counts="outcome_histograms_latest", keys=["segment", "outcome", "predicted"])


def _windows_params(monitor: str, definition: str, asked: Sequence[Row]) -> dict[str, Param]:
    start = min((row["start_at"] for row in asked), default=None)
    end = max((row["end_at"] for row in asked), default=None)
    return {**_counts_params(monitor, definition, start, end), "windows": Param(_WINDOWS_TYPE, list(asked))}


def arrivals(names: Names, monitor: str, outcome_definition_id: str, start: datetime, end: datetime) -> Statement:
    """What had arrived of the granules of `[start, end)` when their answers were counted."""
    return _read(names, "arrivals", _counts_params(monitor, outcome_definition_id, start, end))


def settled(names: Names, monitor: str, outcome_definition_id: str) -> Statement:
    """Up to where the judgements of answers are final, and whether others were made under another definition."""
    params = {"monitor": Param("STRING", monitor), "scan_definition_id": Param("STRING", outcome_definition_id)}
    return _read(names, "settled", params)


def performance_keys(names: Names, monitor: str, start: datetime) -> Statement:
    """The judgements of answers that stand for windows ending after `start`."""
    return _read(names, "performance_keys", {"monitor": Param("STRING", monitor), "start": Param("TIMESTAMP", start)})


def history(names: Names, monitor: str, start: datetime, end: datetime) -> Statement:
    """The verdicts of the windows that end in `(start, end]`."""
    params = {"monitor": Param("STRING", monitor), "start": Param("TIMESTAMP", start), "end": Param("TIMESTAMP", end)}
    return _read(names, "history", params)


def alerts(names: Names, monitor: str) -> Statement:
    """Where the alerts of a monitor stand."""
    return _read(names, "alerts", {"monitor": Param("STRING", monitor)})


def outbox(names: Names, monitor: str, start: datetime) -> Statement:
    """What was to be told since `start`, and has not been."""
    return _read(names, "outbox", {"monitor": Param("STRING", monitor), "start": Param("TIMESTAMP", start)})


def actions(names: Names, monitor: str, start: datetime) -> Statement:
    """The actions decided since `start`."""
    return _read(names, "actions", {"monitor": Param("STRING", monitor), "start": Param("TIMESTAMP", start)})


def volumes(names: Names, monitor: str, start: datetime, end: datetime) -> Statement:
    """The rows of the windows that end in `(start, end]`."""
    params = {"monitor": Param("STRING", monitor), "start": Param("TIMESTAMP", start), "end": Param("TIMESTAMP", end)}
    return _read(names, "volumes", params)


def days(names: Names, monitor: str, scan_definition_id: str, start: datetime, end: datetime) -> Statement:
    """The stored counts of `[start, end)`, granule by granule."""
    return _read(names, "days", _counts_params(monitor, scan_definition_id, start, end))


def month_cost(names: Names, monitor: str, month_start: datetime) -> Statement:
    """The bytes that a monitor's runs have billed since a moment."""
    return _read(
        names, "month_cost", {"monitor": Param("STRING", monitor), "month_start": Param("TIMESTAMP", month_start)}
    )


def show(names: Names, name: str, params: Mapping[str, Param], **context: object) -> Statement:
    """A statement of `sql/show/`: what is read for people's eyes, never by a run."""
    return Statement(f"show/{name}", render(f"show/{name}", names.dialect, table=names.table, **context), params)


def partitions(relation: Relation) -> Statement:
    """The partitions of a table of BigQuery, from its dataset's INFORMATION_SCHEMA."""
    dataset, _, table = relation.sql.strip("`").rpartition(".")
    sql = render("read/partitions", "bigquery", source=f"`{dataset}.INFORMATION_SCHEMA.PARTITIONS`")
    return Statement("read/partitions", sql, {"table_name": Param("STRING", table)})


def insert(names: Names, table: Table, rows: Sequence[Row]) -> Statement:
    """The INSERT of rows into one of our tables, the rows as one parameter."""
    statement = insert_from(names, table, "UNNEST(@rows)")
    return Statement(statement.name, statement.sql, {"rows": Param(f"ARRAY<{table.row_type}>", list(rows))})


def insert_from(names: Names, table: Table, source: str) -> Statement:
    """The INSERT of what stands after FROM (our own text, no user's) into one of our tables."""
    columns = [column.name for column in table.columns]
    sql = render("write/insert", names.dialect, table=names.table, into=table.name, columns=columns, source=source)
    return Statement(f"write/{table.name}", sql)


def create_stage(names: Names, stage: str, table: Table) -> Statement:
    """A staging table with the columns of one of ours; it goes by itself after a day."""
    sql = render("write/stage", names.dialect, stage=names.table(stage), like=names.table(table.name))
    return Statement("write/stage", sql)


def drop_stage(names: Names, stage: str) -> Statement:
    """Take a staging table away before its day is over."""
    return Statement("write/unstage", render("write/unstage", names.dialect, stage=names.table(stage)))


def _counts_params(
    monitor: str, scan_definition_id: str, start: datetime | None, end: datetime | None
) -> dict[str, Param]:
    return {
        "monitor": Param("STRING", monitor),
        "scan_definition_id": Param("STRING", scan_definition_id),
        "start": Param("TIMESTAMP", start),
        "end": Param("TIMESTAMP", end),
    }


def _read(names: Names, name: str, params: dict[str, Param], **context: object) -> Statement:
    return Statement(f"read/{name}", render(f"read/{name}", names.dialect, table=names.table, **context), params)
