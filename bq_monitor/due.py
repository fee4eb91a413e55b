"""What is due: the plan of a run, from what the warehouse knows of the log, of what is stored and of what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from bq_monitor.budget import Allowance, billed, price
from bq_monitor.config import MonitorConfig
from bq_monitor.counting import count_scan, countable, outcome_scans
from bq_monitor.due_outcomes import OutcomeDesk
from bq_monitor.errors import AccessError, InputError
from bq_monitor.outcomes import Sources
from bq_monitor.plan import BEGINNING, MAX_WINDOWS, Plan, Planner, Progress, Stored, StoredGranule
from bq_monitor.plan_outcomes import OutcomePlan
from bq_monitor.reference import load_references
from bq_monitor.scan import log_scan
from bq_monitor.timegrid import Partition, Window, parse_moment, parse_stretch
from bq_monitor.warehouse import open_warehouse, statements
from bq_monitor.warehouse.base import Relation, Row, Terms, Warehouse

MAX_VERDICTS = 20_000
"""More verdicts than this are left to the next run, as far as whole windows can be: each takes milliseconds and kilobytes."""
MAX_NEW_WINDOWS = 2000
"""So many new windows in a run, at most: a job of BigQuery changes up to 4,000 partitions, and each day of windows is one."""
MAX_OUTCOME_WINDOWS = 200
"""The answers of at most so many windows are judged in a run, the oldest first."""


@dataclass(frozen=True)
class Asked:
    """What a run is asked for: the moment, at most how many new windows, or the stretch of a backfill."""

    as_of: datetime
    max_windows: int | None = None
    backfill: Window | None = None

    @classmethod
    def parse(
        cls,
        config: MonitorConfig,
        as_of: datetime | str | None,
        max_windows: int | None = None,
        backfill: tuple[datetime | str, datetime | str] | None = None,
    ) -> Asked:
        """From what a caller says, times read in the monitor's zone; raises `InputError` for a moment to come."""
        zone = config.window.timezone
        stretch = None if backfill is None else parse_stretch("backfill", *backfill, zone)
        return cls(moment_of(as_of, zone), max_windows, stretch)


def moment_of(as_of: datetime | str | None, zone: ZoneInfo) -> datetime:
    """The moment to run for; one in the future would judge windows that are not over, and never look at them again."""
    now = datetime.now(UTC)
    moment = now if as_of is None else parse_moment(as_of, zone)
    if moment > now:
        raise InputError(
            f"as_of: got {moment:%Y-%m-%d %H:%M} UTC, which is to come; allowed: now ({now:%Y-%m-%d %H:%M} UTC) or before."
        )
    return moment


@dataclass(frozen=True)
class Due:
    """What one run has to do: the plan, its part about outcomes, and what it reads."""

    plan: Plan
    sources: Sources
    outcomes: OutcomePlan = field(default_factory=OutcomePlan)

    @property
    def n_windows_left(self) -> int:
        """Windows that are due, of features and of answers, and left to the next run."""
        return self.plan.n_windows_left + self.outcomes.n_windows_left


def affordable_plan(warehouse: Warehouse, config: MonitorConfig, asked: Asked) -> Due:
    """The plan of as many windows as time, memory and the budget allow; raises `BudgetError` when it does not allow one."""
    allowance = _allowance(warehouse, config)
    desk = _Desk(warehouse, config, asked, allowance)
    due = desk.due(asked.max_windows)
    while not due.plan.is_backfill and (n := len(due.plan.windows)) > 1:
        if due.plan.n_verdicts <= MAX_VERDICTS and n <= MAX_NEW_WINDOWS:
            break
        due = desk.due(n // 2)
    while allowance is not None:
        size, spent = estimate_bytes(warehouse, due), warehouse.spent.bytes_processed or 0
        n_windows, n_outcomes = len(due.plan.windows), due.outcomes.n_windows
        is_least = n_windows <= 1 and n_outcomes <= (0 if n_windows else 1)
        if allowance.allows(size, spent) or due.plan.is_backfill or is_least:
            allowance.check(size, spent)
            break
        due = desk.due(max(1, n_windows // 2), n_outcomes // 2 if n_windows else max(1, n_outcomes // 2))
    return due


def _allowance(warehouse: Warehouse, config: MonitorConfig) -> Allowance | None:
    """What the budget still allows; None where it sets no cap."""
    if config.budget.max_bytes_per_run is None and config.budget.max_bytes_per_month is None:
        return None
    month_start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    (row,) = warehouse.query(statements.month_cost(warehouse, config.monitor, month_start))
    return Allowance(config, int(row["bytes_billed"]))


def make_plan(warehouse: Warehouse, config: MonitorConfig, asked: Asked, allowance: Allowance | None = None) -> Due:
    """What a run would do, and the log it would read; nothing is counted or written."""
    return _Desk(warehouse, config, asked, allowance).due(asked.max_windows)


class _Desk:
    """Everything that the plans of one run are made from, read once."""

    def __init__(self, warehouse: Warehouse, config: MonitorConfig, asked: Asked, allowance: Allowance | None) -> None:
        references = load_references(warehouse, config.monitor)
        if not references:
            raise InputError(
                f"monitor {config.monitor!r}: no reference captured; run 'bq-monitor reference capture' with its training data first"
            )
        self.warehouse, self.relation = warehouse, warehouse.relation(config.source.table)
        self.planner = Planner(config, references, asked.as_of, asked.backfill)
        self.log = _Log(warehouse, self.planner, self.relation, allowance)
        self.outcomes = OutcomeDesk(warehouse, self.planner, self.relation, allowance)
        self._look_up(_read_progress(warehouse, self.planner))

    def _look_up(self, progress: Progress) -> None:
        """The windows that may be due, from how far the monitor has come."""
        self.progress, config = progress, self.planner.config
        is_first = progress.watermark is None and config.window.start is None and not self.planner.backfill
        self.windows = self.planner.candidates(progress, self.log.earliest() if is_first else None)
        if is_first and len(self.windows) > MAX_WINDOWS:
            raise InputError(
                f"monitor {config.monitor!r}: {len(self.windows):,} windows are due since {self.windows[0].start:%Y-%m-%d}, the log's first row; "
                f"at most {MAX_WINDOWS:,} are taken for meant. Is a row of the log dated wrongly? Set window.start to the first day that counts."
            )

    def due(self, max_windows: int | None, max_outcome_windows: int | None = None) -> Due:
        """What there is to do about at most so many new windows, and about the answers of so many."""
        planner, progress = self.planner, self.progress
        taken, n_left = planner.take(self.windows, progress, max_windows)
        looked_from = planner.look_from(progress, taken, self.log.partitions() if taken else None)
        reach = planner.reach(taken)
        seen = self.log.rows(looked_from, reach.end) if looked_from and reach else {}
        stored = _read_stored(self.warehouse, planner, self.relation, taken)
        plan = planner.plan(taken, seen, looked_from, stored, progress, n_windows_left=n_left)
        if plan.moves_watermark and not plan.judgements:  # perhaps another run has committed between our two looks
            newer = _read_progress(self.warehouse, planner)
            if newer != progress:
                self._look_up(newer)
                return self.due(max_windows, max_outcome_windows)
        rows = planner.rows_known(seen, looked_from, stored)
        most = MAX_OUTCOME_WINDOWS if max_outcome_windows is None else max_outcome_windows
        outcomes = self.outcomes.plan(plan, progress, taken, rows, max_windows=most)
        return Due(plan, Sources(self.relation, self.outcomes.labels), outcomes)


def preview(config: MonitorConfig, as_of: datetime | str | None = None) -> dict[str, Any]:
    """What a run would do, read and cost, as plain values; nothing is counted or written.

    `bytes` is what the scans would process, `cost` the price of what they would bill (`budget.price_per_tib`); None where the
    warehouse does not count bytes. Where the log's partitions do not tell its row counts, planning itself reads the time,
    version and filter columns of the granules that may be new: `bytes_planning`.
    """
    warehouse = open_warehouse(config.warehouse, deadline_seconds=config.budget.deadline_seconds, read_only=True)
    try:
        warehouse.begin(Terms(config.budget.deadline_seconds, None, {"monitor": config.monitor}))
        asked = Asked.parse(config, as_of)
        due = make_plan(warehouse, config, asked, _allowance(warehouse, config))
        plan, planning = due.plan, warehouse.spent.bytes_processed
        sizes = scan_sizes(warehouse, due)
        return {
            "monitor": config.monitor,
            "windows": [{"start": w.start.isoformat(), "end": w.end.isoformat()} for w in plan.windows],
            "n_granules": sum(count.n_granules for count in plan.counts),
            "n_rows": sum(count.n_rows for count in plan.counts),
            "n_statements": len(sizes),
            "bytes": _total(sizes),
            "bytes_planning": planning,
            "cost": price(_total([None if size is None else billed(size) for size in sizes]), config.budget),
        }
    finally:
        warehouse.close()


def estimate_bytes(warehouse: Warehouse, due: Due) -> int | None:
    """Bytes that the scans of a plan would read; None where the warehouse does not count bytes."""
    return _total(scan_sizes(warehouse, due))


def scan_sizes(warehouse: Warehouse, due: Due) -> list[int | None]:
    """Bytes that each scan of a plan would read."""
    plan = due.plan
    scans = [count_scan(warehouse, plan, count, due.sources.log, "") for count in plan.counts]
    scans += [scan for count in due.outcomes.counts for scan in outcome_scans(warehouse, plan, count, due.sources, "")]
    reading = (replace(scan, into=None, keys={}) for scan in scans)  # a look may be read-only
    return [warehouse.estimate(s) for scan in reading for s in scan.statements(warehouse.dialect)]


def _total(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known or not sizes else None


def _read_progress(warehouse: Warehouse, planner: Planner) -> Progress:
    (row,) = warehouse.query(statements.progress(warehouse, planner.config.monitor, planner.coverage_key))
    return Progress(*(_utc(row[mark]) for mark in ("watermark", "covered_to", "last_run_at", "first_start")))


class _Log:
    """How many rows the log has, as its partitions tell it for nothing, or else as a look at its time column does."""

    def __init__(self, warehouse: Warehouse, planner: Planner, relation: Relation, allowance: Allowance | None) -> None:
        self._warehouse, self._planner, self._relation, self._allowance = warehouse, planner, relation, allowance

    @cached_property
    def _partitions(self) -> list[Partition] | None:
        layout, config = self._relation.layout, self._planner.config
        if layout is None or layout.partition_column != config.source.timestamp:
            return None
        try:
            return self._warehouse.partitions(self._relation, config.window.timezone)
        except (
            AccessError
        ):  # the log itself tells the same, at the price of its time column; validate names the permission
            return None

    def partitions(self) -> list[Partition] | None:
        """The partitions by the configured time column; None where there are none."""
        return self._partitions

    def earliest(self) -> datetime:
        """The first granule with rows; raises `InputError` for a log without any."""
        start, end = BEGINNING, self._planner.grid.floor(self._planner.horizon)
        found = min((granule for granule, _ in self.rows(start, end)), default=None)
        if found is not None:
            return found
        source, monitor = self._planner.config.source, self._planner.config.monitor
        raise InputError(
            f"{self._relation.place}: no rows of monitor {monitor!r}: none has a {source.timestamp!r} before {self._planner.as_of:%Y-%m-%d %H:%M} UTC"
            + (f" and passes source.filter {source.filter!r}" if source.filter else "")
            + ". Check the log; to watch a log that is still empty, set window.start."
        )

    def rows(self, start: datetime, end: datetime) -> Mapping[tuple[datetime, str], int]:
        """The rows of `[start, end)` by granule and model version."""
        told = self._planner.rows_of(self._partitions, start, end)
        return self._look(start, end) if told is None else told

    def _look(self, start: datetime, end: datetime) -> dict[tuple[datetime, str], int]:
        warehouse = self._warehouse
        look = log_scan(self._planner.config, self._relation, start, end).granules(warehouse.dialect)
        if self._allowance:
            self._allowance.check(warehouse.estimate(look), warehouse.spent.bytes_processed or 0)
        return {
            (row["granule"].astimezone(UTC), row["model_version"]): int(row["n_rows"])
            for row in warehouse.query(look)
            if row["granule"] is not None
        }


def _read_stored(warehouse: Warehouse, planner: Planner, relation: Relation, windows: Sequence[Window]) -> Stored:
    reach = planner.reach(windows)
    if reach is None:
        return Stored()
    monitor = planner.config.monitor
    rows = warehouse.query(statements.stored(warehouse, monitor, planner.scan_definition_id, reach.start, reach.end))
    keys = warehouse.query(statements.verdict_keys(warehouse, monitor, windows[0].start))
    n_countable = {
        reference.reference_id: len(countable(planner.config, reference, relation)) for reference in planner.targets()
    }
    granules = {
        (row["reference_id"], row["granule"].astimezone(UTC)): _stored_granule(
            row, n_countable.get(row["reference_id"], 0)
        )
        for row in rows
    }
    judged_by: dict[tuple[Window, str], set[str]] = {}
    for row in keys:
        window = Window(row["window_start"].astimezone(UTC), row["window_end"].astimezone(UTC))
        judged_by.setdefault((window, row["model_version"]), set()).add(row["run_id"])
    return Stored(
        granules,
        frozenset(row["verdict_key"] for row in keys),
        {key: tuple(sorted(runs)) for key, runs in judged_by.items()},
    )


def _stored_granule(row: Row, n_countable: int) -> StoredGranule:
    is_complete = row["n_features"] >= n_countable
    return StoredGranule(
        int(row["n_rows"]),
        row["computed_at"].astimezone(UTC) if is_complete else None,
        is_complete and row["least_n_rows"] == row["n_rows"],
    )


def _utc(value: datetime | None) -> datetime | None:
    return value.astimezone(UTC) if value else None
