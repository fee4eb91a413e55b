"""Configuration + references + progress + clock -> a frozen plan: what to count, what to judge. Pure.

Two marks say how far a monitor has come, and both are read from the warehouse, never from the clock of the trigger:
the *watermark* (end of the newest window judged) decides which windows are due; *covered_to* (end of the granules
counted against the same references) decides which granules of those windows are new. Granules younger than
`window.restate` are looked at again, unless the log's partitions say that nothing was written to them since the last run:
where their row count changed, they are counted again, and the windows that hold them are judged again.

A backfill judges the windows of a stretch of the past; it moves neither mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from bq_monitor.baselines import Baseline
from bq_monitor.config import MonitorConfig
from bq_monitor.reference import Reference
from bq_monitor.scan import digest, scan_definition_id
from bq_monitor.timegrid import Partition, Window

MAX_WINDOWS = 5000
"""More windows than this since the log's first row are a mistake in its times: say `window.start` if they are not."""
MAX_GRANULES_OF_A_COUNT = 2000
"""A statement counts at most so many granules: a job of BigQuery changes up to 4,000 partitions, and each day of granules is one."""
CLOCK_MARGIN = timedelta(minutes=10)
"""By how much the warehouse's clock and ours may differ: what was written to so shortly before a run is looked at again."""
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""Where a monitor without `window.start` begins to look for its log's earliest granule."""

GranuleRows = Mapping[tuple[datetime, str], int]
"""Rows of a log by `(granule, model_version)`."""


@dataclass(frozen=True)
class Progress:
    """What earlier runs left in the warehouse; nothing before the first. `first_start`: where the first window began."""

    watermark: datetime | None = None
    covered_to: datetime | None = None
    last_run_at: datetime | None = None
    first_start: datetime | None = None


@dataclass(frozen=True)
class StoredGranule:
    """A granule as it is stored: its rows, when the oldest of its counts was made, and whether every feature was counted from those rows.

    It is not `whole` when a run was cut off between two scans, or when a column came back; `computed_at` is None while a feature lacks.
    """

    n_rows: int
    computed_at: datetime | None = None
    whole: bool = True


@dataclass(frozen=True)
class Stored:
    """What is stored about the windows at hand: granules by `(reference_id, start)`, and the verdicts that stand."""

    granules: Mapping[tuple[str, datetime], StoredGranule] = field(default_factory=dict)
    verdict_keys: frozenset[str] = frozenset()
    judged_by: Mapping[tuple[Window, str], tuple[str, ...]] = field(default_factory=dict)
    """The runs whose verdicts stand, by window and model version."""

    def n_rows(self, reference_id: str, granule: datetime) -> int:
        found = self.granules.get((reference_id, granule))
        return found.n_rows if found else 0


@dataclass(frozen=True)
class Count:
    """One stretch of granules to count against one reference. `supersedes` is the identity of the counts that it takes the place of."""

    reference: Reference
    start: datetime
    end: datetime
    n_granules: int
    n_rows: int
    supersedes: str = ""


@dataclass(frozen=True)
class Emptied:
    """A granule that was counted, and whose rows are all gone from the log."""

    reference: Reference
    granule: datetime
    supersedes: str = ""


@dataclass(frozen=True)
class Judgement:
    """One window of one model version to judge, with the rows of the log in it; without a reference, `reason` says why it cannot be.

    `days` are the rows of each day of the window, `past` the stretches of production that it is compared with.
    `supersedes` names the runs whose verdicts it takes the place of: data that change and change back are judged each time.
    """

    window: Window
    model_version: str
    reference: Reference | None
    verdict_key: str
    days: tuple[int, ...] = ()
    past: tuple[Past, ...] = ()
    reason: str | None = None
    supersedes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        return sum(self.days)


@dataclass(frozen=True)
class Past:
    """A baseline of production: its stretches, and the rows of each of their days."""

    baseline: Baseline
    windows: tuple[Window, ...]
    days: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What one run does. A backfill has no coverage key and moves no mark; `n_windows_left` are due, but not in this run."""

    config: MonitorConfig
    as_of: datetime
    counts: tuple[Count, ...]
    emptied: tuple[Emptied, ...]
    judgements: tuple[Judgement, ...]
    coverage_key: str = ""
    watermark: datetime | None = None
    granules_to: datetime | None = None
    moves_watermark: bool = False
    n_windows_left: int = 0

    @property
    def windows(self) -> list[Window]:
        return sorted({judgement.window for judgement in self.judgements})

    @property
    def n_verdicts(self) -> int:
        """How many verdicts it will make."""
        references = [judgement.reference for judgement in self.judgements if judgement.reference]
        features = sum(len(group) for reference in references for group in reference.by_segment.values())
        return features * len(self.config.baselines)

    @property
    def is_backfill(self) -> bool:
        return not self.coverage_key


class Planner:
    """Makes the plan of one run in steps, each asking only for what the next needs from the warehouse.

    `candidates` from the progress; `take` cuts them to one run; `look_from` says from when on the log's granules must be looked
    at; `plan` does the rest. With `backfill`, the candidates are the windows that end in that stretch.
    """

    def __init__(
        self, config: MonitorConfig, references: Sequence[Reference], as_of: datetime, backfill: Window | None = None
    ) -> None:
        self.config, self.as_of, self.backfill = config, as_of, backfill
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

    def candidates(self, progress: Progress, earliest: datetime | None) -> list[Window]:
        """The windows that may be due: ended before the horizon, not begun before the first, not older than `restate`.

        `earliest`: the log's first granule, where neither the configuration nor an earlier run says where to begin.
        """
        if self.backfill:
            return self.grid.windows(self.backfill.start, min(self.backfill.end, self.horizon))
        said = self.config.window.start_moment()
        start = said or progress.first_start or earliest
        after = said or earliest
        if progress.watermark is not None:
            after = self.config.window.restate.before(progress.watermark, self.grid.zone)
        if after is None:
            return []
        found = self.grid.windows(after, self.horizon)
        return [window for window in found if start is None or window.start >= self.grid.floor(start)]

    def take(
        self, windows: Sequence[Window], progress: Progress, max_windows: int | None
    ) -> tuple[Sequence[Window], int]:
        """The windows of one run, and how many due ones are left; those up to the watermark do not count."""
        mark = progress.watermark
        n_old = 0 if self.backfill or mark is None else sum(window.end <= mark for window in windows)
        end = len(windows) if max_windows is None else min(len(windows), n_old + max_windows)
        return windows[:end], len(windows) - end

    def reach(self, windows: Sequence[Window]) -> Window | None:
        """The stretch that windows, their baselines and the healthy days cover, up to the horizon; None without windows."""
        if not windows:
            return None
        past = [p for w in windows for baseline in self.config.baselines for p in baseline.windows(w, self.grid)]
        all_of = [*windows, *past, *self.healthy]
        return Window(min(w.start for w in all_of), max(w.end for w in all_of))

    @property
    def healthy(self) -> list[Window]:
        """The stretch that the user vouches for, as far as it is past; none where none is named."""
        stretch = self.config.healthy
        end = min(stretch.end, self.grid.floor(self.horizon)) if stretch else self.horizon
        return [Window(self.grid.floor(stretch.start), end)] if stretch and stretch.start < end else []

    def look_from(
        self, progress: Progress, windows: Sequence[Window], partitions: Sequence[Partition] | None
    ) -> datetime | None:
        """From when on the log must be looked at: what was never counted, and what may have changed since."""
        reach = self.reach(windows)
        if reach is None:
            return None
        first = self.grid.floor(reach.start)
        if progress.covered_to is None or self.backfill:
            return first
        since = max(first, self.config.window.restate.before(progress.covered_to, self.grid.zone))
        if partitions is None or progress.last_run_at is None:
            return since
        seen_before = progress.last_run_at - CLOCK_MARGIN
        changed = [p.start for p in partitions if p.end > since and p.modified_at >= seen_before]
        return max(since, min([progress.covered_to, *(self.grid.floor(start) for start in changed)]))

    def rows_of(self, partitions: Sequence[Partition] | None, start: datetime, end: datetime) -> GranuleRows | None:
        """The rows of each granule of `[start, end)` as the partitions tell them; None where only the log itself can tell.

        They tell where every row of the log counts (no filter, no versions) and no partition holds two granules.
        """
        source = self.config.source
        if partitions is None or source.filter or source.model_version:
            return None
        rows: dict[tuple[datetime, str], int] = {}
        for partition in partitions:
            granule = self.grid.floor(partition.start)
            if partition.end > self.grid.next(granule):
                return None
            if partition.n_rows and start <= granule < end:
                rows[granule, ""] = rows.get((granule, ""), 0) + partition.n_rows
        return rows

    def plan(
        self,
        windows: Sequence[Window],
        seen: GranuleRows,
        looked_from: datetime | None,
        stored: Stored,
        progress: Progress,
        *,
        n_windows_left: int = 0,
    ) -> Plan:
        """The plan, from the rows seen in the log since `looked_from` and those stored before."""
        rows = self.rows_known(seen, looked_from, stored)
        by_granule: dict[datetime, dict[str, int]] = {}
        for (granule, version), n in rows.items():
            by_granule.setdefault(granule, {})[version] = n
        found = (j for window in windows for j in self._judgements(window, by_granule))
        judgements = tuple(
            replace(judgement, supersedes=stored.judged_by.get((judgement.window, judgement.model_version), ()))
            for judgement in found if judgement.verdict_key not in stored.verdict_keys
        )  # fmt: skip
        needed = self._needed(judgements, {*by_granule, *(granule for _, granule in stored.granules)})
        counts = tuple(count for r in self.targets() for count in self._counts(r, needed, rows, stored))
        emptied = tuple(
            Emptied(r, granule, self._superseded(r, [granule], stored)) for r in self.targets() for granule in needed
            if stored.n_rows(r.reference_id, granule) and not rows.get((granule, self.version_in_log(r)))
        )  # fmt: skip
        if self.backfill:
            return Plan(self.config, self.as_of, counts, emptied, judgements, n_windows_left=n_windows_left)
        end = windows[-1].end if windows else None
        watermark, covered = _later(progress.watermark, end), _later(progress.covered_to, end)
        moves = watermark != progress.watermark
        return Plan(
            self.config, self.as_of, counts, emptied, judgements, self.coverage_key, watermark, covered, moves, n_windows_left
        )  # fmt: skip

    def _needed(self, judgements: Sequence[Judgement], known: set[datetime]) -> list[datetime]:
        """The granules that judgements are about, and those of their baselines and of the healthy days that are known of."""
        own = {granule for j in judgements for granule in self.grid.granules(j.window)}
        others = {window for j in judgements for past in j.past for window in past.windows}
        others |= set(self.healthy if judgements else ())
        return sorted(
            own | {granule for window in others for granule in self.grid.granules(window) if granule in known}
        )

    def rows_known(
        self, seen: GranuleRows, looked_from: datetime | None, stored: Stored
    ) -> dict[tuple[datetime, str], int]:
        """Rows by granule and version: as stored before `looked_from`, as seen in the log since."""
        versions = {reference.reference_id: self.version_in_log(reference) for reference in self.targets()}
        known = {
            (granule, versions[reference_id]): found.n_rows
            for (reference_id, granule), found in stored.granules.items()
            if reference_id in versions and found.n_rows and (looked_from is None or granule < looked_from)
        }
        return known | {key: n for key, n in seen.items() if looked_from is None or key[0] >= looked_from}

    def reference_of(self, version: str) -> Reference | None:
        """The reference of a version as the log names it; None where there is none."""
        return self.in_force.get(version) if self.config.source.model_version else self.newest

    def version_in_log(self, reference: Reference) -> str:
        """How the log names a reference's model version; '' where it names none."""
        return reference.model_version if self.config.source.model_version else ""

    def _judgements(self, window: Window, by_granule: Mapping[datetime, Mapping[str, int]]) -> list[Judgement]:
        versions = {version for granule in self.grid.granules(window) for version in by_granule.get(granule, {})}
        if not versions and self.newest:
            versions = {self.version_in_log(self.newest)}
        return [self._judgement(window, version, by_granule) for version in sorted(versions)]

    def _judgement(self, window: Window, version: str, by_granule: Mapping[datetime, Mapping[str, int]]) -> Judgement:
        by_version = self.config.source.model_version is not None
        reference = self.reference_of(version)
        data = self._data([window], version, by_granule)
        baselines = [b for b in self.config.baselines if b.is_production] if reference else []
        own = (granule for granule, versions in by_granule.items() if version in versions)
        begin = min(own, default=window.start)  # a baseline that begins before the log is no whole one
        stretches = [(b, tuple(p for p in b.windows(window, self.grid) if p.start >= begin)) for b in baselines]
        past = [(baseline, windows, self._data(windows, version, by_granule)) for baseline, windows in stretches]
        # rows of a version without a reference are not stored: before the days looked at anew, they are not known any more
        seen = data if reference else None
        identity = [
            self._rule_identity(reference),
            reference.reference_id if reference else version,
            window.start,
            window.end,
            seen,
        ]
        healthy = [self._data(self.healthy, version, by_granule)] if self.healthy else []
        key = digest([*identity, *([baseline.name, found] for baseline, _, found in past), *healthy])
        days = self.grid.rows_by_day(data)
        if reference is None:
            named = f"version {version!r}" if by_version else "this monitor"
            return Judgement(window, version, None, key, days, reason=f"no reference for {named}")
        compared = tuple(Past(baseline, windows, self.grid.rows_by_day(found)) for baseline, windows, found in past)
        return Judgement(window, reference.model_version, reference, key, days, compared)

    def _data(
        self, windows: Sequence[Window], version: str, by_granule: Mapping[datetime, Mapping[str, int]]
    ) -> list[tuple[datetime, int]]:
        """The granules of some windows that have rows of a version, with how many."""
        granules = (granule for window in windows for granule in self.grid.granules(window))
        found = ((granule, by_granule.get(granule, {}).get(version, 0)) for granule in granules)
        return [(granule, n) for granule, n in found if n]

    def _rule_identity(self, reference: Reference | None) -> object:
        """Everything in the configuration, and of a promoted baseline, that a verdict depends on."""
        config = self.config
        features = [feature.model_dump(mode="json") for feature in config.declared_features()] or config.features
        detection = config.detection.model_dump(mode="json", exclude={"preset", "confirm", "false_alarms_per_month"})
        names = [baseline.name for baseline in config.baselines]
        promoted = reference.promoted.captured_at if reference and reference.promoted and "promoted" in names else None
        return [
            config.monitor,
            self.scan_definition_id,
            {**detection, "alpha": config.alpha},
            features,
            names,
            promoted,
            config.quality.model_dump(mode="json", exclude_none=True),
        ]

    def _counts(
        self, reference: Reference, needed: Sequence[datetime], rows: GranuleRows, stored: Stored
    ) -> list[Count]:
        """The stretches of granules whose stored row count is not the log's; empty granules do not end a stretch."""
        version = self.version_in_log(reference)
        stretches: list[list[datetime]] = []
        going_on = False
        for granule in needed:
            n = rows.get((granule, version), 0)
            found = stored.granules.get((reference.reference_id, granule))
            stale = n > 0 and (found is None or found.n_rows != n or not found.whole)
            if stale and going_on and len(stretches[-1]) < MAX_GRANULES_OF_A_COUNT:
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
                self._superseded(reference, group, stored),
            )
            for group in stretches
        ]

    def _superseded(self, reference: Reference, granules: Sequence[datetime], stored: Stored) -> str:
        """Identity of the counts that stand: a row count that changes and changes back is counted each time, at once only once."""
        found = (stored.granules.get((reference.reference_id, granule)) for granule in granules)
        return digest([item.computed_at if item else None for item in found])


def _later(mark: datetime | None, end: datetime | None) -> datetime | None:
    return max((moment for moment in (mark, end) if moment), default=None)


def _in_force(references: Sequence[Reference]) -> dict[str, Reference]:
    """The newest reference of each version (`references` come newest first)."""
    found: dict[str, Reference] = {}
    for reference in references:
        found.setdefault(reference.model_version, reference)
    return found
