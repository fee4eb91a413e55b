"""What a run reads of its log, by free dry runs: more than the granules it counts, or more than its budget? BigQuery only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from bq_monitor.budget import MIN_BILLED_BYTES, billed, price
from bq_monitor.config import MonitorConfig
from bq_monitor.due import Due, scan_sizes
from bq_monitor.findings import Findings
from bq_monitor.outcomes import Sources
from bq_monitor.plan import BEGINNING, Count, Plan
from bq_monitor.reference import Reference
from bq_monitor.scan import log_scan
from bq_monitor.sections import Budget
from bq_monitor.timegrid import Span
from bq_monitor.warehouse.base import Layout, Relation, Warehouse
from bq_monitor.warehouse.fragments import TIMES

MIN_WASTE_BYTES = 100_000_000
"""Where all of a log's monitored columns hold less, a better layout would hardly pay."""
SAME_SHARE = 0.99
"""From this share on, a granule that is read counts for the whole log."""
_DAYS_A_MONTH = 30
_FINE_UNITS = ("HOUR", "DAY")
_VIEWS = ("VIEW", "MATERIALIZED_VIEW")


@dataclass(frozen=True)
class Reading:
    """What the statements over one stretch of the log would process, each in bytes."""

    sizes: tuple[int, ...]

    @property
    def processed(self) -> int:
        return sum(self.sizes)

    @property
    def billed(self) -> int:
        return sum(billed(size) for size in self.sizes)


@dataclass(frozen=True)
class Gauge:
    """Measures what runs read of a log: with a reference the scans that count it, without one the look for new rows."""

    warehouse: Warehouse
    config: MonitorConfig
    relation: Relation
    reference: Reference | None
    now: datetime

    @cached_property
    def granule(self) -> Reading:
        """Of the newest whole granule."""
        grid = self.config.window.grid
        return self._scan(grid.floor(self._end - timedelta(microseconds=1)), self._end)

    @cached_property
    def whole(self) -> Reading:
        """Of all granules."""
        return self._scan(BEGINNING, self._end)

    @cached_property
    def run(self) -> Reading:
        """Of one run at the monitor's cadence: what came in since the last one."""
        return self._run(self.config.window.every)

    @cached_property
    def first_run(self) -> Reading:
        """Of the least that a first run can do: one window."""
        return self._run(self.config.window.length)

    @property
    def runs_a_month(self) -> int:
        ends = self.config.window.grid.windows(self._end - timedelta(days=_DAYS_A_MONTH), self._end)
        return max(1, len(ends))

    @cached_property
    def _end(self) -> datetime:
        window = self.config.window
        return window.grid.floor(window.delay.before(self.now, window.timezone))

    def _run(self, span: Span) -> Reading:
        window = self.config.window
        start = window.grid.floor(span.before(self._end, window.timezone))
        if self.reference is None:
            return self._look(start, self._end)
        scan = self._scan(start, self._end)
        if self._partitions_tell:
            return scan
        return Reading((*scan.sizes, *self._look(window.restate.before(start, window.timezone), self._end).sizes))

    @property
    def _partitions_tell(self) -> bool:
        """Whether the partitions say how many rows are new, so that no run looks for them in the log."""
        layout, source = self.relation.layout, self.config.source
        is_cut = layout is not None and layout.partition_column == source.timestamp and not layout.has_stream
        return is_cut and not source.filter and not source.model_version

    def _scan(self, start: datetime, end: datetime) -> Reading:
        if self.reference is None:
            return self._look(start, end)
        plan = Plan(self.config, self.now, (Count(self.reference, start, end, 1, 0),), (), ())
        return Reading(tuple(size or 0 for size in scan_sizes(self.warehouse, Due(plan, Sources(self.relation)))))

    def _look(self, start: datetime, end: datetime) -> Reading:
        look = log_scan(self.config, self.relation, start, end).granules(self.warehouse.dialect)
        return Reading((self.warehouse.estimate(look) or 0,))


def find_waste(
    warehouse: Warehouse, config: MonitorConfig, relation: Relation, references: Sequence[Reference], now: datetime
) -> Findings:
    """What a run would read in vain, and what of it the budget does not allow; `references` come newest first."""
    gauge = Gauge(warehouse, config, relation, references[0] if references else None, now)
    advice = _layout_advice(gauge)
    found = Findings(advice=(advice,) if advice else ())
    return found + _over_budget(gauge) if references else found


def find_small_caps(budget: Budget) -> list[str]:
    """Caps under which the service runs nothing: it bills each query for a least number of bytes."""
    return [
        f"budget.{name}: less than one query bills; got {cap:,} bytes; allowed: {MIN_BILLED_BYTES:,} or more (10 MiB; a run takes "
        "several queries). Raise it, or leave it out."
        for name in ("max_bytes_per_run", "max_bytes_per_month")
        if (cap := getattr(budget, name)) is not None and cap < MIN_BILLED_BYTES
    ]  # fmt: skip


def find_wrong_filter(config: MonitorConfig, relation: Relation) -> str | None:
    """Why every query of the log would be refused: the table demands a filter by another column than ours."""
    layout, wanted = relation.layout, config.source.timestamp
    if layout is None or not layout.needs_filter or layout.partition_column == wanted:
        return None
    return (
        f"{relation.place}: the table takes only queries that filter by its partition column; got source.timestamp {wanted!r}, "
        f"but {_cut(layout)}: every query would be refused. {_remedy(config, relation)} Or lift the demand: "
        f"ALTER TABLE {relation.sql} SET OPTIONS (require_partition_filter = FALSE)."
    )


def readable(size: int) -> str:
    """A number of bytes in the units of the budget.

    >>> readable(1_234_567_890)
    '1.2 GB'
    """
    value, units = float(size), ["bytes", "KB", "MB", "GB", "TB", "PB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:,.0f} {units[0]}" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"


def _layout_advice(gauge: Gauge) -> str | None:
    """What to say of a log whose layout makes a run read more than it counts, or that only its view knows."""
    config, relation, layout = gauge.config, gauge.relation, gauge.relation.layout
    if layout is None:
        return None
    is_view = layout.kind in _VIEWS
    is_cut = layout.partition_column == config.source.timestamp and layout.partition_unit in _FINE_UNITS
    if is_cut and not is_view:
        return None
    one, whole = gauge.granule.processed, gauge.whole.processed
    is_waste = whole >= MIN_WASTE_BYTES and one >= SAME_SHARE * whole
    if not is_view and not is_waste:
        return None
    granule = config.window.granule
    read = f"one {granule} of {config.source.timestamp!r} reads {readable(one)}, all of it {readable(whole)}"
    if is_view:
        return (
            f"{relation.place}: a view: its query decides whether a run skips what it does not count, and its rows are counted to find "
            f"late ones, as no partition tells; {read}.{' ' + _cost(gauge) if is_waste else ''} Name the table behind it as source.table, "
            "or let the view pass the partition column on unchanged."
        )  # fmt: skip
    return f"{relation.place}: {_cut(layout)}, so that a run skips nothing: {read}. {_cost(gauge)} {_remedy(config, relation)}"


def _cost(gauge: Gauge) -> str:
    run, budget = gauge.run, gauge.config.budget
    month = run.billed * gauge.runs_a_month
    money = price(month, budget)
    said = f" ({money:,.2f} at {budget.price_per_tib:g} a TiB)" if money else ""
    return f"Each run bills {readable(run.billed)}, a month of them at window.every {gauge.config.window.every} {readable(month)}{said}."


def _cut(layout: Layout) -> str:
    """How a table is cut, as the start of a sentence."""
    if layout.partition_column is None:
        return "the table is not partitioned by time"
    if layout.partition_column == "_PARTITIONTIME":
        return "the table is partitioned by the time of loading (_PARTITIONTIME)"
    return f"the table is partitioned by {layout.partition_column!r}, a {layout.partition_unit} at a time"


def _remedy(config: MonitorConfig, relation: Relation) -> str:
    """How the log can be cut by the time that is monitored."""
    layout, source = relation.layout, config.source
    cluster = f" CLUSTER BY {source.model_version}" if source.model_version else ""
    made = f"CREATE TABLE NEW_TABLE PARTITION BY {_partitioning(config, relation)}{cluster} AS SELECT * FROM {relation.sql}"
    column = layout.partition_column if layout else None
    if column == "_PARTITIONTIME":
        other = ", or give that time a name in a view (SELECT *, _PARTITIONTIME AS loaded_at) and name it as source.timestamp"
    elif column and column != source.timestamp and relation.columns.get(column) in TIMES:
        other = f", or name {column!r} as source.timestamp if it tells when the model answered"
    else:
        other = ""
    return f"Log into a table that is partitioned by {source.timestamp!r} ({made}){other}."


def _partitioning(config: MonitorConfig, relation: Relation) -> str:
    column, kind = config.source.timestamp, relation.columns.get(config.source.timestamp)
    if config.window.granule == "hour":
        return f"{kind}_TRUNC({column}, HOUR)"
    return column if kind == "DATE" else f"DATE({column})"


def _over_budget(gauge: Gauge) -> Findings:
    """Caps that one run, or a month of them, would pass."""
    budget, every = gauge.config.budget, gauge.config.window.every
    run_cap, month_cap = budget.max_bytes_per_run, budget.max_bytes_per_month
    faults, advice = [], []
    if run_cap is not None and gauge.run.processed > run_cap:
        faults.append(
            f"budget.max_bytes_per_run: a run at window.every {every} reads {gauge.run.processed:,} bytes; allowed: {run_cap:,}. {_CHEAPER}"
        )
    elif run_cap is not None and gauge.first_run.processed > run_cap:
        advice.append(
            f"budget.max_bytes_per_run: a first run counts a whole window ({gauge.config.window.length}), which reads "
            f"{gauge.first_run.processed:,} bytes; allowed: {run_cap:,}. Raise the budget until that window is counted."
        )
    month = gauge.run.billed * gauge.runs_a_month
    if month_cap is not None and month > month_cap:
        advice.append(
            f"budget.max_bytes_per_month: {gauge.runs_a_month} runs a month bill {month:,} bytes; allowed: {month_cap:,}: the last ones "
            f"of a month would be refused. {_CHEAPER}"
        )
    return Findings(tuple(faults), tuple(advice))


_CHEAPER = (
    "Raise the budget, run less often (window.every), monitor fewer features, or partition the log by source.timestamp."
)
