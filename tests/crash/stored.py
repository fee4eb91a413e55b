"""What a history leaves: the rows of our tables and views, less what differs from run to run, and how two of them differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.views import VIEWS

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Rows of a query."""
Stored = Mapping[str, Counter[str]]
"""Rows by table or view, each as a text, with how often it is there."""

COLUMNS = {table.name: [column.name for column in table.columns] for table in TABLES}
COLUMNS |= {view.name: list(view.columns) for view in VIEWS}
COMPARED = (
    "reference_histograms", "drift_results", "alert_events", "notifications", "actions", "runs",
    "production_histograms_latest", "drift_latest", "drift_timeline", "alerts", "open_alerts", "model_health",
    "performance_results", "quality_results", "arrivals", "outcome_histograms_latest", "arrivals_latest", "performance_latest",
    "performance_timeline", "quality_latest",
)  # fmt: skip
_MADE_ANEW = {
    "run_id", "computed_at", "captured_at", "started_at", "finished_at", "duration_seconds", "n_granules_counted",
    "bytes_processed", "bytes_billed", "cost", "slot_ms", "created_at", "not_before", "held_until", "payload",
}  # fmt: skip
_COUNT_KEY = "reference_id, scan_definition_id, granule, segment, feature, computed_at"
_COUNT_KEYS = {"production_histograms": _COUNT_KEY, "outcome_histograms": f"{_COUNT_KEY}, outcome, predicted"}


def stored(ask: Ask, name: Callable[[str], str], *, counts: bool) -> Stored:
    """All that is stored; with `counts`, the superseded counts too."""
    names = (*COMPARED, *_COUNT_KEYS) if counts else COMPARED
    return {entity: Counter(_rows(ask, name(entity), COLUMNS[entity])) for entity in names}


def counted_twice(ask: Ask, name: Callable[[str], str]) -> int:
    """How many counts of one granule and feature stand twice with one time, so that neither supersedes the other."""
    return sum(_twice(ask, name(table), key) for table, key in _COUNT_KEYS.items())


def _twice(ask: Ask, quoted: str, key: str) -> int:
    groups = f"SELECT COUNT(*) AS n FROM {quoted} GROUP BY {key} HAVING COUNT(*) > 1"
    ((n,),) = ask(f"SELECT COUNT(*) AS n FROM ({groups}) AS twice")
    return int(n)


def differences(expected: Stored, actual: Stored) -> Iterator[str]:
    """Where two histories left different rows, one text a table or view."""
    for name, rows in expected.items():
        missing, surplus = (rows - actual[name]).total(), (actual[name] - rows).total()
        if missing or surplus:
            first = next(iter(actual[name] - rows or rows - actual[name]))
            yield f"{name}: {missing} of {rows.total()} rows missing, {surplus} too many, such as {first[:300]}"


def _rows(ask: Ask, quoted: str, columns: list[str]) -> Iterator[str]:
    kept = [column for column in columns if column not in _MADE_ANEW]
    for row in ask(f"SELECT {', '.join(kept)} FROM {quoted}"):
        yield repr([f"{value:.9g}" if isinstance(value, float) else value for value in row])
