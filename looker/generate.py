"""Write `looker/views/*.view.lkml` from the project's own schema: names and descriptions from bq_monitor/warehouse,
types from the views' SQL.

Run `python looker/generate.py` after a change of the schema; a test holds that it changes nothing. Needs the package and `lkml`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lkml

from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.setup import create_tables
from bq_monitor.warehouse.views import VIEWS

VIEWS_FOLDER = Path(__file__).parent / "views"
_HEADER = "# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.\n\n"
_TYPES = {"STRING": "string", "INT64": "number", "FLOAT64": "number", "NUMERIC": "number", "BOOL": "yesno"}
_TIMEFRAMES = ["raw", "time", "hour", "date", "week", "month", "quarter", "year"]
_WINDOW = ("monitor", "model_version", "window_start", "window_end")
_LINK = {
    "label": "Dashboard of {{ value }}",
    "url": "/dashboards/bq_monitor::bq_monitor?Monitor={{ value | url_encode }}",
}

LEFT_OUT = {
    "production_histograms_latest": "raw counts, which feature_histograms shows beside the reference",
    "arrivals_latest": "bookkeeping of runs; n_rows and n_labelled stand in performance_latest",
    "outcome_histograms_latest": "raw counts by outcome and prediction, of which performance_latest is told",
    "performance_timeline": "the same rows as performance_latest with fewer columns",
}
"""Views of ours that have no LookML, and why."""


@dataclass(frozen=True)
class Measure:
    """What is counted, summed or averaged; `of` is a column, `only` a value that `where` must have."""

    name: str
    type: str
    description: str
    of: str | None = None
    only: tuple[str, str] | None = None

    def block(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "type": self.type, "description": self.description}
        if self.of:
            found["sql"] = f"${{{self.of}}}"
        if self.only:
            found["filters__all"] = [[{self.only[0]: self.only[1]}]]
        if self.type not in ("count", "count_distinct"):
            found |= _value_format(self.of or "", "FLOAT64")
        return found | {"drill_fields": ["detail*"]}


@dataclass(frozen=True)
class Plan:
    """How a view becomes LookML: the columns that tell its rows apart, and what is counted."""

    key: tuple[str, ...]
    measures: tuple[Measure, ...]
    detail: tuple[str, ...]


def _count(noun: str) -> Measure:
    return Measure("count", "count", f"Number of {noun}.")


def _with_status(status: str, noun: str) -> Measure:
    return Measure(f"count_{status}", "count", f"Number of {noun} with status {status}.", only=("status", status))


def _statuses(noun: str) -> tuple[Measure, ...]:
    return (_count(noun), *(_with_status(status, noun) for status in ("ok", "drift", "not_evaluated")))


def _each(kind: str, *columns: str) -> tuple[Measure, ...]:
    words = {"max": "Largest", "min": "Smallest", "average": "Average", "sum": "Sum of"}
    names = {"sum": "total"}
    return tuple(
        Measure(f"{names.get(kind, kind)}_{name}", kind, f"{words[kind]} {name}.", of=name) for name in columns
    )


_VERDICT_KEY = (*_WINDOW, "segment", "feature", "baseline")
_ALERT_DETAIL = ("monitor", "severity", "kind", "feature", "measure", "segment", "since_time", "message")

PLANS: Mapping[str, Plan] = {
    "drift_latest": Plan(
        _VERDICT_KEY,
        (*_statuses("verdicts"), Measure("count_features", "count_distinct", "Number of different features.", of="feature"),
         *_each("max", "drift_score"), *_each("average", "drift_score", "null_share_current")),
        ("monitor", "window_end_time", "segment", "feature", "baseline", "status", "reason", "metric", "drift_score", "explanation"),
    ),
    "drift_timeline": Plan(
        _VERDICT_KEY,
        (*_statuses("verdicts"), *_each("average", "value", "threshold", "noise_floor", "lower", "upper"), *_each("max", "drift_score")),
        ("monitor", "window_end_time", "segment", "feature", "baseline", "status", "metric", "value", "threshold"),
    ),
    "bucket_contributions": Plan(
        (*_VERDICT_KEY, "bucket"),
        (_count("buckets of verdicts"), *_each("sum", "psi_contribution"), *_each("average", "baseline_share", "current_share")),
        ("window_end_time", "feature", "segment", "bucket", "baseline_share", "current_share", "psi_contribution"),
    ),
    "feature_histograms": Plan(
        ("monitor", "reference_id", "scan_definition_id", "granule", "segment", "feature", "bucket"),
        (_count("buckets of granules"), *_each("sum", "production_n"), *_each("average", "reference_share", "production_share")),
        ("granule_time", "feature", "segment", "bucket_name", "reference_share", "production_share"),
    ),
    "performance_latest": Plan(
        (*_WINDOW, "segment", "basis", "metric"),
        (*_statuses("measures"), *_each("average", "value", "lower", "upper", "reference_value"), *_each("max", "n_rows", "n_labelled")),
        ("monitor", "window_end_time", "segment", "basis", "metric", "status", "value", "rule", "explanation"),
    ),
    "quality_latest": Plan(
        (*_WINDOW, "check_name", "feature"),
        (*_statuses("checks"), *_each("average", "value"), *_each("max", "n_rows")),
        ("monitor", "window_end_time", "check_name", "feature", "status", "value", "limit_value", "explanation"),
    ),
    "alerts": Plan(
        ("alert_id",),
        (_count("alerts"), *(_with_status(status, "alerts") for status in ("open", "acknowledged", "resolved")), *_each("max", "n_windows")),
        _ALERT_DETAIL,
    ),
    "open_alerts": Plan(
        ("alert_id",),
        (_count("open alerts"),
         Measure("count_critical", "count", "Number of open alerts of severity critical.", only=("severity", "critical")),
         *_each("max", "n_windows")),
        _ALERT_DETAIL,
    ),
    "alert_events": Plan(
        ("event_id", "run_id"),
        (_count("events"), Measure("count_alerts", "count_distinct", "Number of different alerts.", of="alert_id")),
        ("computed_at_time", "monitor", "event", "severity", "kind", "feature", "measure", "message", "actor", "note"),
    ),
    "model_health": Plan(
        ("monitor", "model_version"),
        (_count("model versions"), *_each("average", "health"), *_each("min", "health"), *_each("sum", "n_drift", "n_not_evaluated")),
        ("monitor", "model_version", "window_end_time", "health", "n_drift", "share_drifted"),
    ),
    "run_costs": Plan(
        ("monitor", "run_id"),
        (_count("runs"), *_each("sum", "cost", "bytes_billed", "slot_ms", "n_windows"), *_each("max", "month_to_date_cost", "n_windows_left"),
         *_each("average", "duration_seconds")),
        ("monitor", "started_at_time", "is_backfill", "n_windows", "cost", "bytes_billed", "duration_seconds"),
    ),
    "notifications_latest": Plan(
        ("notification_id",),
        (_count("notifications"), *(_with_status(status, "notifications") for status in ("pending", "sent", "failed", "dead"))),
        ("created_at_time", "monitor", "channel", "status", "severity", "n_alerts", "attempt", "error"),
    ),
    "actions_latest": Plan(
        ("monitor", "action_id"),
        (_count("actions"), *(_with_status(status, "actions") for status in ("succeeded", "failed"))),
        ("created_at_time", "monitor", "action", "kind", "status", "reason", "outcome"),
    ),
}  # fmt: skip
"""The views that people read, and the table of what happened to alerts."""


@dataclass(frozen=True)
class Nested:
    """An array of a view, as a view of its own that is joined by UNNEST: fields with type and description."""

    view: str
    array: str
    key: tuple[str, ...]
    fields: Mapping[str, tuple[str, str]]
    measures: tuple[Measure, ...]

    @property
    def name(self) -> str:
        return f"{self.view}__{self.array}"


def _of(view: str, column: str) -> str:
    return next(found for found in VIEWS if found.name == view).columns[column]


NESTED = (
    Nested(
        "drift_latest", "contributions", ("bucket",),
        {
            "bucket": ("STRING", _of("bucket_contributions", "bucket")),
            "baseline_share": ("FLOAT64", _of("bucket_contributions", "baseline_share")),
            "current_share": ("FLOAT64", _of("bucket_contributions", "current_share")),
            "psi": ("FLOAT64", _of("bucket_contributions", "psi_contribution")),
        },
        (_count("buckets"), *_each("sum", "psi"), *_each("average", "baseline_share", "current_share")),
    ),
    Nested(
        "performance_latest", "bins", ("bin",),
        {
            "bin": ("STRING", "The part of the scores, of the confidence or of the feature."),
            "n": ("INT64", "Rows in it whose outcome is known."),
            "share": ("FLOAT64", "What came true, or was right, of them, 0..1."),
            "reference_share": ("FLOAT64", "The same of the reference, 0..1."),
        },
        (_count("bins"), *_each("sum", "n"), *_each("average", "share", "reference_share")),
    ),
    Nested(
        "performance_latest", "confusion", ("outcome", "predicted"),
        {
            "outcome": ("STRING", "What came true."),
            "predicted": ("STRING", "What was predicted."),
            "n": ("INT64", "Rows of both."),
        },
        (_count("cells"), *_each("sum", "n")),
    ),
)  # fmt: skip


def _value_format(name: str, kind: str) -> dict[str, str]:
    """How a number is shown; none for codes."""
    if kind == "INT64" or name.startswith(("n_", "bytes_", "health", "slot_")) or name.endswith("_health"):
        return {} if name == "bucket" else {"value_format_name": "decimal_0"}
    if "share" in name:
        return {"value_format_name": "percent_1"}
    return {"value_format": "#,##0.0000"} if "cost" in name else {"value_format_name": "decimal_3"}


def _is_id(name: str) -> bool:
    return name.endswith("_id") or name in ("verdict_key", "data_version", "metric_version")


def _dimension(name: str, kind: str, description: str) -> dict[str, Any]:
    block: dict[str, Any] = {
        "name": name,
        "type": _TYPES[kind],
        "description": description,
        "sql": f"${{TABLE}}.{name}",
    }
    if _TYPES[kind] == "number":
        block |= _value_format(name, kind)
    if _is_id(name):
        block["hidden"] = "yes"
    if name == "monitor":
        block["links"] = [_LINK]
    return block


def _times(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name, "type": "time", "description": description, "timeframes": _TIMEFRAMES, "convert_tz": "no",
        "datatype": "timestamp", "sql": f"${{TABLE}}.{name}",
    }  # fmt: skip


def _array(name: str, description: str) -> dict[str, Any]:
    """An array is there to be unnested, and no field to select."""
    return {"name": name, "type": "string", "description": description, "hidden": "yes", "sql": f"${{TABLE}}.{name}"}


def _key(parts: list[str]) -> dict[str, Any]:
    """The primary key: as JSON, so that no two rows have one, whatever their names hold."""
    sql = parts[0] if len(parts) == 1 else f"TO_JSON_STRING([{', '.join(parts)}])"
    return {"name": "row_key", "type": "string", "primary_key": "yes", "hidden": "yes", "sql": sql}


def _text(sql: str, kind: str) -> str:
    return sql if kind == "STRING" else f"CAST({sql} AS STRING)"


def _view(name: str, columns: Mapping[str, str], types: Mapping[str, str]) -> dict[str, Any]:
    plan = PLANS[name]
    single = len(plan.key) == 1
    key = [f"${{TABLE}}.{part}" if single else _text(f"${{TABLE}}.{part}", types[part]) for part in plan.key]
    plain = [
        _array(column, text) if types[column].startswith("ARRAY") else _dimension(column, types[column], text)
        for column, text in columns.items() if types[column] != "TIMESTAMP"
    ]  # fmt: skip
    return {
        "name": name, "label": name.replace("_", " ").capitalize(), "sql_table_name": f"`@{{gcp_project}}.@{{dataset}}.{name}`",
        "dimensions": [_key(key), *plain],
        "dimension_groups": [_times(column, text) for column, text in columns.items() if types[column] == "TIMESTAMP"],
        "measures": [measure.block() for measure in plan.measures],
        "sets": [{"name": "detail", "fields": list(plan.detail)}],
    }  # fmt: skip


def _nested(nested: Nested) -> dict[str, Any]:
    parent = _text(f"${{{nested.view}.row_key}}", "STRING")
    parts = [parent, *(_text(f"${{TABLE}}.{name}", nested.fields[name][0]) for name in nested.key)]
    fields = [_dimension(name, kind, text) for name, (kind, text) in nested.fields.items()]
    return {
        "name": nested.name, "label": f"{nested.view} {nested.array}".replace("_", " ").capitalize(),
        "dimensions": [_key(parts), *fields], "measures": [measure.block() for measure in nested.measures],
        "sets": [{"name": "detail", "fields": list(nested.fields)}],
    }  # fmt: skip


def column_types() -> dict[str, dict[str, str]]:
    """GoogleSQL type of each column of each of our tables and views, as the embedded warehouse describes them."""
    warehouse = DuckDBWarehouse()
    try:
        create_tables(warehouse)
        return {entity.name: dict(warehouse.relation(entity.name).columns) for entity in (*TABLES, *VIEWS)}
    finally:
        warehouse.close()


def descriptions() -> dict[str, tuple[str, dict[str, str]]]:
    """What our schema says of each table and view, and of its columns."""
    tables = {t.name: (t.description, {c.name: c.description for c in t.columns}) for t in TABLES}
    return tables | {view.name: (view.description, dict(view.columns)) for view in VIEWS}


def _dump(views: list[dict[str, Any]]) -> str:
    """As LookML; without the comma that lkml puts behind the last filter."""
    return str(lkml.dump({"views": views})).replace(",\n    ]", "\n    ]")


def render() -> dict[str, str]:
    """The text of every view file by its name."""
    types, texts = column_types(), descriptions()
    files = {}
    for name in PLANS:
        description, columns = texts[name]
        views = [_view(name, columns, types[name]), *(_nested(nested) for nested in NESTED if nested.view == name)]
        files[f"{name}.view.lkml"] = f"{_HEADER}# {description}\n\n{_dump(views)}\n"
    return files


def main() -> None:
    """Write the files, and remove those of views that are gone."""
    files = render()
    VIEWS_FOLDER.mkdir(exist_ok=True)
    for path in VIEWS_FOLDER.glob("*.view.lkml"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (VIEWS_FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
