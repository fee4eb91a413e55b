"""Configuration + references + progress + clock -> a frozen plan: what to count, what to judge. Pure.

Two marks say how far a monitor has come, and both are read from the warehouse, never from the clock of the trigger:
the *watermark* (end of the newest window judged) decides which windows are due; *covered_to* (end of the granules
counted against the same references) decides which granules of those windows are new. Granules younger than
`window.restate` are looked at again: where their row count changed, they are counted again, and the windows that hold them
are judged again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bq_monitor.config import MonitorConfig
from bq_monitor.reference import Reference
from bq_monitor.scan import digest, scan_definition_id
from bq_monitor.timegrid import Window

MAX_WINDOWS = 5000
"""More due windows than this in one run are a mistake in the log's times or in the configuration."""
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""Where a monitor without `window.start` begins to look for its log's earliest granule."""

GranuleRows = Mapping[tuple[datetime, str], int]
"""Rows of a log by `(granule, model_version)`."""


@dataclass(frozen=True)
class Progress:
    """What earlier runs left in the warehouse; nothing before the first. `first_start`: where the first window began."""

    watermark: datetime | None = None
    covered_to: datetime | None = None
    first_start: datetime | None = None


@dataclass(frozen=True)
class Stored:
    """What is stored about the windows at hand: rows counted by `(reference_id, granule)`, and the verdicts that stand.

    `partial`: the granules in which not every feature was counted (a run was cut off between two scans, a column came back).
    """

    rows: Mapping[tuple[str, datetime], int] = field(default_factory=dict)
    partial: frozenset[tuple[str, datetime]] = frozenset()
    verdict_keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Count:
    """One stretch of granules to count against one reference."""

    reference: Reference
    start: datetime
    end: datetime
    n_granules: int
    n_rows: int


@dataclass(frozen=True)
class Judgement:
    """One window of one model version to judge, with the rows of the log in it; without a reference, `reason` says why it cannot be."""

    window: Window
    model_version: str
    reference: Reference | None
    verdict_key: str
    n_rows: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    config: MonitorConfig
    as_of: datetime
    counts: tuple[Count, ...]
    judgements: tuple[Judgement, ...]
    coverage_key: str
    watermark: datetime | None
    granules_to: datetime | None

    @property
    def windows(self) -> list[Window]:
        return sorted({judgement.window for judgement in self.judgements})


class Planner:
    """Makes the plan of one run in three steps, each asking only for what the next needs from the warehouse.

    `candidates` from the progress; `look_from` says from when on the log's granules must be looked at; `plan` does the rest.
    """

    def __init__(self, config: MonitorConfig, references: Sequence[Reference], as_of: datetime) -> None:
        self.config, self.as_of = config, as_of
        self.grid = config.window.grid
        self.in_force = _in_force(references)
        self.newest = references[0] if references else None
        self.scan_definition_id = scan_definition_id(config)
        self.coverage_key = digest([self.scan_definition_id, sorted(r.reference_id for r in self.targets())])

    def targets(self) -> list[Reference]:
        """The references that logs are counted against: one a version, or the newest where the log names no versions."""
        if self.config.source.model_version:
            return list(self.in_force.values())
        return [self.newest] if self.newest else []

    @property
    def horizon(self) -> datetime:
        """Only windows that ended `delay` before `as_of` are judged."""
        return self.config.window.delay.before(self.as_of, self.grid.zone)

    def due_after(self, progress: Progress, earliest: datetime | None) -> datetime | None:
        """The instant after which a window's end makes it a candidate; None when the log is empty and no start is set."""
        start = self.config.window.start_moment() or earliest
        if progress.watermark is None:
            return start
        return self.config.window.restate.before(progress.watermark, self.grid.zone)

    def candidates(self, after: datetime, *, start: datetime | None) -> list[Window]:
        """The windows that may be due: ended after `after` and before the horizon, and not begun before `start`."""
        found = self.grid.windows(after, self.horizon)
        return [window for window in found if start is None or window.start >= self.grid.floor(start)]

    def look_from(self, progress: Progress, windows: Sequence[Window]) -> datetime | None:
        """From when on the log must be looked at: what was never counted, and what may have changed since."""
        if not windows:
            return None
        first = windows[0].start
        if progress.covered_to is None:
            return first
        return max(first, self.config.window.restate.before(progress.covered_to, self.grid.zone))

    def plan(
        self,
        windows: Sequence[Window],
        seen: GranuleRows,
        looked_from: datetime | None,
        stored: Stored,
        progress: Progress,
    ) -> Plan:
        """The plan, from the rows seen in the log since `looked_from` and those stored before."""
        rows = self._rows(seen, looked_from, stored)
        by_granule: dict[datetime, dict[str, int]] = {}
        for (granule, version), n in rows.items():
            by_granule.setdefault(granule, {})[version] = n
        found = (j for window in windows for j in self._judgements(window, by_granule))
        judgements = [judgement for judgement in found if judgement.verdict_key not in stored.verdict_keys]
        needed = {granule for j in judgements for granule in self.grid.granules(j.window)}
        counts = [
            count for reference in self.targets()
            for count in self._counts(reference, sorted(needed), rows, stored)
        ]  # fmt: skip
        judged = [j.window.end for j in judgements]
        watermark = max([*judged, *([progress.watermark] if progress.watermark else [])], default=None)
        covered = max(
            [*(window.end for window in windows), *([progress.covered_to] if progress.covered_to else [])], default=None
        )
        return Plan(self.config, self.as_of, tuple(counts), tuple(judgements), self.coverage_key, watermark, covered)

    def _rows(self, seen: GranuleRows, looked_from: datetime | None, stored: Stored) -> dict[tuple[datetime, str], int]:
        """Rows by granule and version: as stored before `looked_from`, as seen in the log since."""
        versions = {reference.reference_id: self._version(reference) for reference in self.targets()}
        known = {
            (granule, versions[reference_id]): n
            for (reference_id, granule), n in stored.rows.items()
            if reference_id in versions and (looked_from is None or granule < looked_from)
        }
        return known | dict(seen)

    def _version(self, reference: Reference) -> str:
        return reference.model_version if self.config.source.model_version else ""

    def _judgements(self, window: Window, by_granule: Mapping[datetime, Mapping[str, int]]) -> list[Judgement]:
        data: dict[str, list[tuple[datetime, int]]] = {}
        for granule in self.grid.granules(window):
            for version, n in by_granule.get(granule, {}).items():
                data.setdefault(version, []).append((granule, n))
        if not data and self.newest:
            data = {self._version(self.newest): []}
        return [self._judgement(window, version, data[version]) for version in sorted(data)]

    def _judgement(self, window: Window, version: str, data: Sequence[tuple[datetime, int]]) -> Judgement:
        by_version = self.config.source.model_version is not None
        reference = self.in_force.get(version) if by_version else self.newest
        n_rows = sum(n for _, n in data)
        # rows of a version without a reference are not stored: before the days looked at anew, they are not known any more
        seen = data if reference else None
        key = digest(
            [self._rule_identity(), reference.reference_id if reference else version, window.start, window.end, seen]
        )
        if reference is None:
            named = f"version {version!r}" if by_version else "this monitor"
            return Judgement(window, version, None, key, n_rows, f"no reference for {named}")
        return Judgement(window, reference.model_version, reference, key, n_rows)

    def _rule_identity(self) -> object:
        """Everything in the configuration that a verdict depends on."""
        config = self.config
        features = [feature.model_dump(mode="json") for feature in config.declared_features()] or config.features
        return [config.monitor, self.scan_definition_id, config.detection.model_dump(mode="json"), features]

    def _counts(
        self, reference: Reference, needed: Sequence[datetime], rows: GranuleRows, stored: Stored
    ) -> list[Count]:
        """The stretches of granules whose stored row count is not the log's; empty granules do not end a stretch."""
        version = self._version(reference)
        stretches: list[list[datetime]] = []
        going_on = False
        for granule in needed:
            n = rows.get((granule, version), 0)
            key = (reference.reference_id, granule)
            stale = n != stored.rows.get(key, 0) or key in stored.partial
            if stale and going_on:
                stretches[-1].append(granule)
            elif stale:
                stretches.append([granule])
            going_on = stale or (going_on and n == 0)
        return [
            Count(
                reference,
                group[0],
                self.grid.next(group[-1]),
                len(group),
                sum(rows.get((g, version), 0) for g in group),
            )
            for group in stretches
        ]


def _in_force(references: Sequence[Reference]) -> dict[str, Reference]:
    """The newest reference of each version (`references` come newest first)."""
    found: dict[str, Reference] = {}
    for reference in references:
        found.setdefault(reference.model_version, reference)
    return found
