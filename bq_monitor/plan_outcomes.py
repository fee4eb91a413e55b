"""Which granules' answers to count, and which windows' answers to judge, from what has arrived of them. Pure.

Outcomes come late: a granule is counted again when more (or others) of its outcomes are known than when it was counted, and the
windows that hold it are judged again. A window is provisional until its youngest row is `labels.matures_after` old; its last
judgement is final, and moves the mark from which on windows are looked at (`settled_to`), less `window.restate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bq_monitor.plan import GranuleRows, Planner
from bq_monitor.reference import Reference
from bq_monitor.scan import AGES, digest, outcome_definition_id
from bq_monitor.timegrid import Window


@dataclass(frozen=True)
class Arrived:
    """What had come of some rows: see the table `arrivals`. `ages` are the rows labelled within each of `AGES` days."""

    n_rows: int = 0
    n_labelled: int = 0
    n_labels: int = 0
    n_contradictory: int = 0
    newest_label_at: datetime | None = None
    n_ids: int | None = None
    newest_row_at: datetime | None = None
    ages: tuple[int, ...] = ()

    def __add__(self, other: Arrived) -> Arrived:
        """Of both; ids count as different."""
        ages = tuple(a + b for a, b in zip(self.ages or (0,) * len(AGES), other.ages or (0,) * len(AGES), strict=True))
        n_ids = None if self.n_ids is None or other.n_ids is None else self.n_ids + other.n_ids
        return Arrived(
            self.n_rows + other.n_rows, self.n_labelled + other.n_labelled, self.n_labels + other.n_labels,
            self.n_contradictory + other.n_contradictory, _later(self.newest_label_at, other.newest_label_at), n_ids,
            _later(self.newest_row_at, other.newest_row_at), ages,
        )  # fmt: skip

    @property
    def identity(self) -> str:
        """What makes counts of these rows the same."""
        newest = self.newest_label_at.timestamp() if self.newest_label_at else None
        return f"{self.n_rows}:{self.n_labelled}:{self.n_labels}:{self.n_contradictory}:{newest}:{self.n_ids}"

    @property
    def n_duplicates(self) -> int:
        """Labels beyond the first of a row."""
        return max(0, self.n_labels - self.n_labelled - self.n_contradictory)


def _later(a: datetime | None, b: datetime | None) -> datetime | None:
    return max((moment for moment in (a, b) if moment), default=None)


Arrivals = Mapping[tuple[datetime, str], Arrived]
"""By granule and model version."""


@dataclass(frozen=True)
class StoredArrival:
    """What had come of a granule when it was counted: the moment it was counted for, and when that was written."""

    arrived: Arrived
    known_at: datetime
    computed_at: datetime


@dataclass(frozen=True)
class OutcomesStored:
    """What is stored: arrivals by `(reference_id, granule)`, the keys of judgements that stand, the runs that wrote them."""

    arrivals: Mapping[tuple[str, datetime], StoredArrival] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()
    judged_by: Mapping[tuple[Window, str], tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class OutcomeCount:
    """One stretch of granules whose answers are to be counted; `granules` says what has arrived of each that has rows.

    `identity` is the same whoever counts them; it goes with the counts and with the arrivals that make them valid.
    """

    reference: Reference
    start: datetime
    end: datetime
    granules: Mapping[datetime, Arrived]
    identity: str


@dataclass(frozen=True)
class OutcomeJudgement:
    """One window of one model version whose answers are to be judged; `reason` says why the log does not let them be."""

    window: Window
    model_version: str
    reference: Reference | None
    verdict_key: str
    is_provisional: bool
    arrived: Arrived
    supersedes: tuple[str, ...] = ()
    scan_definition_id: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class OutcomePlan:
    """What one run does about answers and outcomes."""

    counts: tuple[OutcomeCount, ...] = ()
    judgements: tuple[OutcomeJudgement, ...] = ()
    by_window: Mapping[tuple[Window, str], Arrived] = field(default_factory=dict)
    """What has arrived of each window looked at, by model version."""
    n_windows_left: int = 0

    @property
    def n_windows(self) -> int:
        return len({judgement.window for judgement in self.judgements})


class OutcomePlanner:
    """Makes the outcome part of a run's plan."""

    def __init__(self, planner: Planner) -> None:
        self.planner, self.config, self.grid = planner, planner.config, planner.grid
        self.definition = outcome_definition_id(planner.config)
        self.matures_after = planner.config.labels.matures_after if planner.config.labels else None

    def candidates(self, settled_to: datetime | None, first: datetime | None, until: datetime | None) -> list[Window]:
        """The windows that may be due: up to the newest one judged for drift, not older than `restate` before the settled ones."""
        if self.planner.backfill:
            return self.grid.windows(self.planner.backfill.start, min(self.planner.backfill.end, self.planner.horizon))
        after = first if settled_to is None else self.config.window.restate.before(settled_to, self.grid.zone)
        if after is None or until is None:
            return []
        found = self.grid.windows(after, min(until, self.planner.horizon))
        return [window for window in found if first is None or window.start >= self.grid.floor(first)]

    @property
    def mature_to(self) -> datetime:
        """Rows before this moment are so old that no more of their outcomes are to come."""
        as_of = self.planner.as_of
        return as_of if self.matures_after is None else self.matures_after.before(as_of, self.grid.zone)

    def is_mature(self, moment: datetime) -> bool:
        """Whether rows before a moment are old enough for all of their outcomes to be known."""
        return moment <= self.mature_to

    def reach(self, windows: Sequence[Window]) -> Window | None:
        """The stretch that windows cover; None without windows."""
        return Window(min(w.start for w in windows), max(w.end for w in windows)) if windows else None

    def look_from(self, windows: Sequence[Window], stored: OutcomesStored) -> datetime | None:
        """From when on it must be looked at what has arrived: what was never counted, and what may still change."""
        counted_for = {reference.reference_id for reference in self.planner.targets()}
        settled = {
            granule for (reference_id, granule), found in stored.arrivals.items()
            if reference_id in counted_for and self._is_settled(granule, found.known_at)
        }  # fmt: skip
        granules = {granule for window in windows for granule in self.grid.granules(window)}
        return min(granules if self.planner.backfill else granules - settled, default=None)

    def _is_settled(self, granule: datetime, known_at: datetime) -> bool:
        """Whether at a moment all that will come of a granule had come, and `restate` more had passed."""
        open_from = self.config.window.restate.before(known_at, self.grid.zone)
        if self.matures_after is not None:
            open_from = self.matures_after.before(open_from, self.grid.zone)
        return self.grid.next(granule) <= open_from

    def plan(
        self, windows: Sequence[Window], seen: Arrivals, looked_from: datetime | None, stored: OutcomesStored, *,
        max_windows: int | None = None, reason: str | None = None,
    ) -> OutcomePlan:  # fmt: skip
        """The plan, from what is seen to have arrived since `looked_from`, and what was stored before.

        `max_windows`: the oldest are judged, the others left. `reason`: why answers cannot be counted in the log; none are then.
        """
        arrivals = self._arrivals(seen, looked_from, stored)
        by_granule: dict[datetime, dict[str, Arrived]] = {}
        for (granule, version), arrived in arrivals.items():
            by_granule.setdefault(granule, {})[version] = arrived
        found = [j for window in windows for j in self._judgements(window, by_granule, stored, reason)]
        every = [judgement for judgement in found if judgement.verdict_key not in stored.keys]
        taken = sorted({judgement.window for judgement in every})[:max_windows]
        due = tuple(judgement for judgement in every if judgement.window in set(taken))
        needed = sorted({granule for judgement in due for granule in self.grid.granules(judgement.window)})
        counts = [
            count for reference in self.planner.targets() for count in self._counts(reference, needed, arrivals, stored)
        ]
        by_window = {(judgement.window, judgement.model_version): judgement.arrived for judgement in found}
        n_left = len({judgement.window for judgement in every}) - len(taken)
        return OutcomePlan(() if reason else tuple(counts), due, by_window, n_left)

    def _arrivals(
        self, seen: Arrivals, looked_from: datetime | None, stored: OutcomesStored
    ) -> dict[tuple[datetime, str], Arrived]:
        versions = {
            reference.reference_id: self.planner.version_in_log(reference) for reference in self.planner.targets()
        }
        known = {
            (granule, versions[reference_id]): found.arrived
            for (reference_id, granule), found in stored.arrivals.items()
            if reference_id in versions and found.arrived.n_rows and (looked_from is None or granule < looked_from)
        }
        return known | {key: arrived for key, arrived in seen.items() if looked_from is None or key[0] >= looked_from}

    def _judgements(
        self,
        window: Window,
        by_granule: Mapping[datetime, Mapping[str, Arrived]],
        stored: OutcomesStored,
        reason: str | None,
    ) -> Iterable[OutcomeJudgement]:
        granules = list(self.grid.granules(window))
        versions = {version for granule in granules for version in by_granule.get(granule, {})}
        if not versions and self.planner.newest:
            versions = {self.planner.version_in_log(self.planner.newest)}
        is_provisional = reason is not None or not self.is_mature(
            window.end
        )  # what may be counted one day is not settled
        for version in sorted(versions):
            own = [
                (granule, by_granule[granule][version])
                for granule in granules
                if version in by_granule.get(granule, {})
            ]
            reference = self.planner.reference_of(version)
            # rows of a version without a reference are not stored: before the days looked at anew, they are not known any more
            seen = [[granule, arrived.identity] for granule, arrived in own] if reference else None
            known_as = reference.reference_id if reference else version
            key = "outcomes-" + digest(
                [self._rules(), known_as, window.start, window.end, is_provisional, seen, reason]
            )
            named = reference.model_version if reference else version
            arrived = sum((arrived for _, arrived in own), Arrived(n_ids=0))
            supersedes = stored.judged_by.get((window, named), ())
            yield OutcomeJudgement(
                window, named, reference, key, is_provisional, arrived, supersedes, self.definition, reason
            )

    def _rules(self) -> list[object]:
        """Everything in the configuration that the judgement of answers depends on."""
        config = self.config
        said = [{name: item.model_dump(mode="json") for name, item in config.performance.items()}]
        said += [config.business.model_dump(mode="json"), [item.model_dump(mode="json") for item in config.fairness]]  # type: ignore[list-item]
        detection, latency = config.detection, config.quality.latency_ms
        return [
            config.monitor,
            self.definition,
            said,
            config.alpha,
            detection.metric,
            detection.threshold,
            detection.min_rows,
            None if detection.metric == "js_distance" else detection.preset,  # says the threshold of concepts
            latency.model_dump(mode="json") if latency else None,
        ]

    def _counts(
        self, reference: Reference, needed: Sequence[datetime], arrivals: Arrivals, stored: OutcomesStored
    ) -> list[OutcomeCount]:
        """The stretches of granules of which something else had arrived when they were counted; empty ones do not end a stretch."""
        version = self.planner.version_in_log(reference)
        stretches: list[dict[datetime, Arrived]] = []
        going_on = False
        for granule in needed:
            now, then = arrivals.get((granule, version)), stored.arrivals.get((reference.reference_id, granule))
            is_gone = now is None and then is not None and then.arrived.n_rows > 0
            is_stale = is_gone or (now is not None and (then is None or then.arrived.identity != now.identity))
            if is_stale:
                stretches += [] if going_on else [{}]
                stretches[-1][granule] = now or Arrived(n_ids=0)
            going_on = is_stale or (going_on and now is None)
        return [self._count(reference, stretch, stored) for stretch in stretches]

    def _count(
        self, reference: Reference, granules: Mapping[datetime, Arrived], stored: OutcomesStored
    ) -> OutcomeCount:
        start, end = min(granules), self.grid.next(max(granules))
        before = (stored.arrivals.get((reference.reference_id, granule)) for granule in granules)
        superseded = [found.computed_at if found else None for found in before]
        arrived = [[granule, found.identity] for granule, found in granules.items()]
        identity = digest([reference.reference_id, self.definition, start, end, arrived, superseded])
        return OutcomeCount(reference, start, end, dict(granules), identity)


def arrivals_of_rows(rows: GranuleRows) -> dict[tuple[datetime, str], Arrived]:
    """What is known of arrivals where nothing but rows is counted: there are no outcomes to wait for."""
    return {key: Arrived(n) for key, n in rows.items() if n}
