"""The latest results as gauges for Prometheus. A scrape reads the newest windows only; what is undefined has no sample."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BqMonitorError, InputError, said
from bq_monitor.report.views import rows
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Param, Row, Statement, Terms, Warehouse
from bq_monitor.warehouse.statements import Names, show

if TYPE_CHECKING:
    from prometheus_client.core import Metric

LOOK_BACK = timedelta(days=90)
"""So much longer than outcomes take to mature, and than a window takes to come, one whose outcomes have come is looked for."""
_PARTS = ("features", "prediction", "performance", "concept", "quality")
_STATUSES = ("ok", "drift", "not_evaluated")


class Gauge(NamedTuple):
    """A gauge: what it means, the rows it is told from, the columns that are its labels, and the one that is its value."""

    name: str
    meaning: str
    source: str
    labels: tuple[str, ...]
    value: str


_MODEL = ("monitor", "model_version")
_PLACE = (*_MODEL, "segment")
_FEATURE = (*_MODEL, "feature", "segment", "baseline")
_DECIDED = (*_FEATURE, "metric")
_MEASURE = (*_PLACE, "basis", "metric")
GAUGES = (
    Gauge("bq_monitor_up", "1 when the warehouse answered; 0 when nothing of it is told.", "warehouses", ("warehouse",), "up"),
    Gauge("bq_monitor_scrape_billed_bytes", "Bytes that this scrape billed.", "warehouses", ("warehouse",), "billed"),
    Gauge("bq_monitor_health", "0..100: the parts that could be evaluated, weighted.", "health", _MODEL, "health"),
    Gauge("bq_monitor_health_part", "0..100: one part of the health.", "parts", (*_MODEL, "part"), "health"),
    Gauge("bq_monitor_features", "Features of the newest window by status, all rows together.", "statuses", (*_MODEL, "status"), "n"),
    Gauge("bq_monitor_drifted_features_ratio", "0..1: drifted features of those evaluated.", "health", _MODEL, "share_drifted"),
    Gauge("bq_monitor_window_end_timestamp_seconds", "End of the newest judged window.", "health", _MODEL, "window_end"),
    Gauge("bq_monitor_window_rows", "Rows of the newest judged window.", "rows", _MODEL, "n_rows"),
    Gauge("bq_monitor_not_evaluated", "Verdicts (of=drift) or measures (of=performance) that could not be evaluated.", "unjudged",
          (*_PLACE, "of"), "n"),
    Gauge("bq_monitor_drift_detected", "1 drift, 0 ok; none where it was not evaluated.", "drift", _FEATURE, "is_drift"),
    Gauge("bq_monitor_drift_score", "0..1: noise-corrected Jensen-Shannon distance.", "drift", _FEATURE, "drift_score"),
    Gauge("bq_monitor_drift_value", "Observed value of the deciding metric.", "drift", _DECIDED, "value"),
    Gauge("bq_monitor_drift_threshold", "The true divergence that matters; none for tests of any change.", "drift", _DECIDED, "threshold"),
    Gauge("bq_monitor_drift_lower_bound", "Lower confidence bound of the deciding metric.", "drift", _DECIDED, "lower"),
    Gauge("bq_monitor_performance_value", "A measure of the answers: realised, estimated or observed.", "performance", _MEASURE, "value"),
    Gauge("bq_monitor_performance_lower_bound", "Lower confidence bound of the measure.", "performance", _MEASURE, "lower"),
    Gauge("bq_monitor_performance_upper_bound", "Upper confidence bound of the measure.", "performance", _MEASURE, "upper"),
    Gauge("bq_monitor_performance_reference_value", "The same measure in training.", "performance", _MEASURE, "reference_value"),
    Gauge("bq_monitor_performance_limit_broken", "1 the limit is broken, 0 it holds; none without a limit.", "performance", _MEASURE,
          "is_broken"),
    Gauge("bq_monitor_performance_window_end_timestamp_seconds", "End of the window that the measures are of; realised ones wait for outcomes.",
          "performance", (*_MODEL, "basis"), "window_end"),
    Gauge("model_accuracy_drift", "Accuracy in training minus realised accuracy: above 0, answers got worse.", "performance", _PLACE,
          "accuracy_drift"),
    Gauge("model_accuracy_by_confidence", "0..1: share of answers that were right, by confidence of the model.", "bins",
          (*_PLACE, "confidence_bin"), "share"),
    Gauge("bq_monitor_open_alerts", "Alerts that stand, acknowledged ones too.", "alerts", ("monitor", "severity", "kind"), "n_open"),
    Gauge("bq_monitor_last_run_finished_timestamp_seconds", "When the last run committed its results.", "runs", ("monitor",), "finished_at"),
    Gauge("bq_monitor_last_run_billed_bytes", "Bytes that the last run billed.", "runs", ("monitor",), "bytes_billed"),
    Gauge("bq_monitor_windows_left", "Windows that were due and left to the next run.", "runs", ("monitor",), "n_windows_left"),
    Gauge("bq_monitor_month_to_date_cost", "Cost in the calendar month (UTC) of the last run up to it, in the currency of "
          "budget.price_per_tib.", "runs", ("monitor",), "month_to_date_cost"),
)  # fmt: skip
"""All that a scrape may tell, in its order."""


@dataclass(frozen=True)
class Scrape:
    """What was read: rows by the source that gauges name; and of each warehouse that failed, why."""

    sources: Mapping[str, Sequence[Row]]
    failures: Mapping[str, str]


def scrape(configs: Sequence[MonitorConfig], *, every_segment: bool = False, deadline_seconds: float = 30.0) -> Scrape:
    """Read the latest results of monitors, each warehouse once and read-only.

    Args:
        every_segment: also tell of segments; otherwise of all rows together.
        deadline_seconds: how long one warehouse may take, waiting for a lock included.

    Returns:
        Rows of the monitors given; of a warehouse that failed none, and why it did. The others answer all the same.

    Raises:
        InputError: prometheus_client is not installed, or one name stands for monitors in two warehouses, whose samples could
            not be told apart; nothing was read then.
    """
    _client()
    _refuse_same_names(configs)
    sources: dict[str, list[Row]] = {gauge.source: [] for gauge in GAUGES}
    failures = {}
    by_url = sorted(configs, key=lambda config: config.warehouse)
    for url, group in groupby(by_url, lambda config: config.warehouse):
        try:
            found = _read(url, list(group), every_segment, deadline_seconds)
        except BqMonitorError as error:
            failures[url] = said(error)
            found = {"warehouses": [{"warehouse": url, "up": 0}]}
        for name, read in found.items():
            sources[name] += read
    return Scrape(sources, failures)


def exposition(scraped: Scrape, accept: str = "") -> tuple[bytes, str]:
    """The text that Prometheus reads, and its content type: OpenMetrics where the `Accept` header asks for it, else text 0.0.4.

    Raises:
        InputError: prometheus_client is not installed.
    """
    client = _client()
    registry = client.CollectorRegistry()  # the global one belongs to whoever runs us
    registry.register(_Families(scraped))
    try:
        encode, content_type = client.exposition.choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        encode, content_type = client.exposition.choose_encoder("")
    return encode(registry), content_type


def answer(configs: Sequence[MonitorConfig], accept: str) -> tuple[bytes, int, dict[str, str]]:
    """A scraper's answer: body, status, headers. A warehouse that failed is a gauge of it, and why is logged.

    Raises:
        InputError: as `scrape` does.
    """
    scraped = scrape(configs)
    for url, why in scraped.failures.items():
        logging.getLogger(__name__).error("metrics: %s: %s", url, why)
    text, content_type = exposition(scraped, accept)
    return text, 200, {"Content-Type": content_type}


def health_statement(names: Names) -> Statement:
    """The health of every monitor, and which window is its newest."""
    return rows(names, "model_health", {}, _MODEL)


def gauge_statements(
    names: Names, monitors: Sequence[str], newest: datetime, matured: datetime, *, every_segment: bool
) -> dict[str, Statement]:
    """The reads of windows by the source that they are: the newest, which end at `newest` or later, and of answers since `matured`."""
    named = {"monitors": Param("ARRAY<STRING>", list(monitors))}
    recent = {**named, "since": Param("TIMESTAMP", newest)}
    every = {"every_segment": Param("BOOL", every_segment)}
    return {
        "drift": show(names, "gauges_drift", {**recent, **every}),
        "performance": show(names, "gauges_performance", {**recent, **every, "since": Param("TIMESTAMP", matured)}),
        "rows": show(names, "gauges_rows", recent),
    }


def standing_statements(names: Names, monitors: Sequence[str]) -> dict[str, Statement]:
    """The reads that know no window, by the source that they are: the last run, and the alerts that stand."""
    named = {"monitors": Param("ARRAY<STRING>", list(monitors))}
    return {"runs": show(names, "gauges_runs", named), "alerts": show(names, "gauges_alerts", named)}


class _Families:
    """The gauges of one scrape, for a registry."""

    def __init__(self, scraped: Scrape) -> None:
        self._sources = scraped.sources

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        for gauge in GAUGES:
            family = GaugeMetricFamily(gauge.name, gauge.meaning, labels=gauge.labels)
            for labels, value in sorted(_samples(gauge, self._sources[gauge.source]).items()):
                family.add_metric(labels, value)
            if family.samples:
                yield family


def _client() -> Any:
    try:
        import prometheus_client
    except ImportError:
        raise InputError(
            "prometheus: prometheus_client is not installed; it writes the text. Run: pip install 'bq-monitor[prometheus]'"
        ) from None
    return prometheus_client


def _refuse_same_names(configs: Sequence[MonitorConfig]) -> None:
    warehouses: dict[str, str] = {}
    for config in configs:
        if warehouses.setdefault(config.monitor, config.warehouse) != config.warehouse:
            raise InputError(
                f"prometheus: monitor {config.monitor!r} stands in two warehouses; got {warehouses[config.monitor]} and "
                f"{config.warehouse}; allowed: names that differ. Rename one, or scrape each warehouse by itself."
            )


def _read(url: str, configs: Sequence[MonitorConfig], every_segment: bool, seconds: float) -> dict[str, list[Row]]:
    """All rows of one warehouse, by source."""
    warehouse = open_warehouse(url, deadline_seconds=seconds, read_only=True)
    try:
        limits = [size for config in configs if (size := config.budget.max_bytes_per_run) is not None]
        warehouse.begin(Terms(seconds, min(limits, default=None), {"surface": "prometheus"}))
        found = _read_views(warehouse, configs, every_segment)
        billed = warehouse.spent.bytes_billed
    finally:
        warehouse.close()
    return {**found, "warehouses": [{"warehouse": url, "up": 1, "billed": billed}]}


def _read_views(warehouse: Warehouse, configs: Sequence[MonitorConfig], every_segment: bool) -> dict[str, list[Row]]:
    by_name = {config.monitor: config for config in configs}
    monitors = sorted(by_name)
    health = [row for row in warehouse.query(health_statement(warehouse)) if row["monitor"] in by_name]
    statements = standing_statements(warehouse, monitors)
    if health:
        newest = {row["monitor"]: row["window_end"] for row in health}
        matured = min(_matured(by_name[monitor], end) for monitor, end in newest.items())
        statements |= gauge_statements(warehouse, monitors, min(newest.values()), matured, every_segment=every_segment)
    found = {source: warehouse.query(statement) for source, statement in statements.items()}
    return {**found, "health": health, **_told_apart(health, found.get("drift", []), found.get("performance", []))}


def _matured(config: MonitorConfig, newest: datetime) -> datetime:
    """Since when a window whose outcomes have come is looked for."""
    zone = config.window.timezone
    waited = config.labels.matures_after.before(newest, zone) if config.labels else newest
    return config.window.every.before(waited, zone) - LOOK_BACK


def _told_apart(health: Sequence[Row], drift: Sequence[Row], performance: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of rows: what stands beside each other in one row becomes a row each."""
    return {
        "parts": [{**row, "part": part, "health": row[f"{part}_health"]} for row in health for part in _PARTS],
        "statuses": [{**row, "status": status, "n": row[f"n_{status}"]} for row in health for status in _STATUSES],
        "bins": [
            {**row, "confidence_bin": item["bin"], "share": item["share"]}
            for row in performance if row["basis"] == "realised" and row["metric"] == "accuracy" for item in row["bins"] or ()
        ],
        "unjudged": [*_unjudged(drift, "drift"), *_unjudged(performance, "performance")],
    }  # fmt: skip


def _unjudged(found: Sequence[Row], of: str) -> list[Row]:
    """How many of the rows of each segment could not be evaluated, 0 too."""
    place: Callable[[Row], tuple[Any, ...]] = lambda row: tuple(row[name] for name in _PLACE)  # noqa: E731 - sorts and groups alike
    return [
        {**dict(zip(_PLACE, key, strict=True)), "of": of, "n": sum(row["status"] == "not_evaluated" for row in group)}
        for key, group in groupby(sorted(found, key=place), place)
    ]


def _samples(gauge: Gauge, found: Sequence[Row]) -> dict[tuple[str, ...], float]:
    """The values of a gauge by its labels; none where a value is undefined."""
    samples = {}
    for row in found:
        value = row.get(gauge.value)
        number = value.timestamp() if isinstance(value, datetime) else value
        if number is not None and isfinite(number):
            samples[tuple("" if row[name] is None else str(row[name]) for name in gauge.labels)] = float(number)
    return samples
