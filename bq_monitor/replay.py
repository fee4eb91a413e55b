"""What would have fired with other settings: windows judged anew from stored counts. No log is read, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bq_monitor.alerts.rules import Event, events_of
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.history import History
from bq_monitor.judging import judge_windows
from bq_monitor.plan import BEGINNING, Judgement, Planner, Progress, Stored, StoredGranule
from bq_monitor.reference import Reference, load_references
from bq_monitor.results import DriftResult, by_judgement
from bq_monitor.scan import scan_definition_id
from bq_monitor.stored import Evidence, read_restlessness, read_sums
from bq_monitor.timegrid import Window, parse_moment, parse_stretch
from bq_monitor.warehouse import open_warehouse, statements
from bq_monitor.warehouse.base import Terms, Warehouse

Settings = Mapping[str, Any]
"""What differs from the configuration, by dotted key; nothing for the configuration as it is."""


@dataclass(frozen=True)
class Replayed:
    """One variant: its settings, every verdict, and the events that would have been raised (slow drift is not looked for)."""

    settings: Settings
    results: tuple[DriftResult, ...]
    events: tuple[Event, ...]

    @property
    def name(self) -> str:
        """`as configured`, or what was set."""
        return ", ".join(f"{key}={value}" for key, value in self.settings.items()) or "as configured"

    @property
    def windows(self) -> list[Window]:
        return sorted({result.judgement.window for result in self.results})

    def statuses(self) -> dict[str, dict[Window, str]]:
        """By feature and window: `event`, `drift` (not confirmed), `ok` or `not_evaluated`, the worst over baselines and versions."""
        fired = {(event.feature, event.judgement.window) for event in self.events}
        found: dict[str, dict[Window, str]] = {}
        for result in self.results:
            window, status = result.judgement.window, str(result.verdict.status)
            of_feature = found.setdefault(result.feature, {})
            now = "event" if status == "drift" and (result.feature, window) in fired else status
            of_feature[window] = min(now, of_feature.get(window, now), key=WORST_FIRST.index)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Counts, the events, and the status of each feature by the end of the window."""
        return {
            "settings": dict(self.settings), "n_windows": len(self.windows),
            "n_drift": sum(r.verdict.status == "drift" for r in self.results), "n_events": len(self.events),
            "events": [
                {"window_end": e.judgement.window.end.isoformat(), "kind": e.kind, "severity": e.severity, "feature": e.feature,
                 "baseline": e.baseline}
                for e in self.events
            ],
            "statuses": {
                feature: {window.end.isoformat(): status for window, status in sorted(windows.items())}
                for feature, windows in self.statuses().items()
            },
        }  # fmt: skip


WORST_FIRST = ("event", "drift", "ok", "not_evaluated")


def replay(
    variants: Sequence[tuple[Settings, MonitorConfig]],
    start: datetime | str | None = None,
    end: datetime | str | None = None,
) -> list[Replayed]:
    """Judge the windows that end in `(start, end]` (default: all that are counted) under each variant of one monitor.

    Raises:
        InputError: a setting changes what is counted (table, filter, expressions, granule, zone), nothing is counted, or `end` is not after `start`.
    """
    config = variants[0][1]
    _require_same_counts(variants)
    if start is not None and end is not None:
        parse_stretch("replay", start, end, config.window.timezone)
    warehouse = open_warehouse(config.warehouse, deadline_seconds=config.budget.deadline_seconds, read_only=True)
    try:
        warehouse.begin(
            Terms(config.budget.deadline_seconds, config.budget.max_bytes_per_run, {"monitor": config.monitor})
        )
        zone = config.window.timezone
        after, until = (None if moment is None else parse_moment(moment, zone) for moment in (start, end))
        bench = _Bench(warehouse, config, after, until)
        return [bench.judge(settings, variant) for settings, variant in variants]
    finally:
        warehouse.close()


def _require_same_counts(variants: Sequence[tuple[Settings, MonitorConfig]]) -> None:
    first = scan_definition_id(variants[0][1])
    for settings, variant in variants:
        if scan_definition_id(variant) != first:
            raise InputError(
                f"replay: {', '.join(settings)}: got {dict(settings)!r}, which changes what is counted; "
                "allowed: detection, baselines, thresholds, and the length, step and start of windows."
            )


@dataclass
class _Bench:
    """The stored counts of a monitor, read once for all variants that have the same windows."""

    warehouse: Warehouse
    config: MonitorConfig
    after: datetime | None
    until: datetime | None
    _planned: dict[object, tuple[Judgement, ...]] = field(default_factory=dict)
    _read: dict[object, Evidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.references: list[Reference] = load_references(self.warehouse, self.config.monitor)
        now = datetime.now(UTC)
        rows = self.warehouse.query(
            statements.stored(self.warehouse, self.config.monitor, scan_definition_id(self.config), BEGINNING, now)
        )
        self.granules = {
            (row["reference_id"], row["granule"].astimezone(UTC)): StoredGranule(int(row["n_rows"])) for row in rows
        }
        if not self.granules:
            raise InputError(
                f"replay: monitor {self.config.monitor!r}: nothing is counted yet; run it first ('bq-monitor run')."
            )

    def judge(self, settings: Settings, config: MonitorConfig) -> Replayed:
        judgements = self._judgements(config)
        results = judge_windows(config, judgements, evidence := self._evidence(config, judgements), is_brief=True)
        found = by_judgement(results).values()
        events = [event for group in found for event in events_of(group, config, evidence.history)]
        return Replayed(settings, tuple(results), tuple(events))

    def _judgements(self, config: MonitorConfig) -> tuple[Judgement, ...]:
        """The windows of a variant; the same ones are planned once."""
        key = (config.window, tuple(config.baselines))
        if key not in self._planned:
            self._planned[key] = self._plan(config)
        return self._planned[key]

    def _plan(self, config: MonitorConfig) -> tuple[Judgement, ...]:
        starts = sorted(granule for _, granule in self.granules)
        first, last = starts[0], config.window.grid.next(starts[-1])
        stretch = Window(self.after or first, min(self.until or last, last))
        planner = Planner(config, self.references, datetime.now(UTC), stretch)
        begin = max(first, config.window.start_moment() or first)
        windows = [window for window in planner.candidates(Progress(), None) if window.start >= begin]
        return planner.plan(windows, {}, None, Stored(self.granules), Progress()).judgements

    def _evidence(self, config: MonitorConfig, judgements: tuple[Judgement, ...]) -> Evidence:
        """What is read and measured once for the same windows and baselines, with a history of its own."""
        key = (config.window, tuple(config.baselines), config.detection.healthy)
        if key not in self._read:
            restless = read_restlessness(self.warehouse, config, judgements)
            self._read[key] = Evidence(read_sums(self.warehouse, config, judgements), restless, compared={})
        return replace(self._read[key], history=History())
