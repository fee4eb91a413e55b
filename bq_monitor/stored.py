"""What is read back from our tables to judge windows: their summed counts, the days of a healthy stretch, earlier verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from bq_monitor.config import MonitorConfig
from bq_monitor.history import WINDOWS_OF_TREND, WINDOWS_OF_VOLUME, History, Past, Series
from bq_monitor.measure.histogram import Buckets, Histogram
from bq_monitor.measure.restlessness import Restlessness, restlessness
from bq_monitor.measure.verdict import Compared
from bq_monitor.plan import Judgement
from bq_monitor.plan_outcomes import OutcomeJudgement
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.scan import histogram_from_row, outcome_definition_id, scan_definition_id
from bq_monitor.timegrid import Window
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Warehouse

Sums = Mapping[tuple[int, str], Mapping[tuple[str, str], Histogram]]
"""Counts by segment and feature, for the index of a judgement and the name of a side: `""` for the window, or a baseline of production."""
CURRENT = ""


@dataclass(frozen=True)
class Evidence:
    """Everything stored that verdicts are made of: `sums` of the windows, `restless` by reference and feature, `history`, `volumes`
    (rows of earlier windows, by model version).

    `compared`, where it is not None, keeps what was measured by judgement, segment, feature and baseline: for other rules to judge again.
    """

    sums: Sums = field(default_factory=dict)
    restless: Mapping[tuple[str, str], Restlessness | None] = field(default_factory=dict)
    history: History = field(default_factory=History)
    volumes: Mapping[tuple[Window, str], int] = field(default_factory=dict)
    compared: dict[tuple[int, str, str, str], Compared] | None = None

    def histogram(self, index: int, side: str, feature: FeatureReference, segment: str = "all") -> Histogram | None:
        """The counts of one feature in one segment; None where none are stored."""
        return self.sums.get((index, side), {}).get((segment, feature.name))

    def restlessness(self, reference: Reference, feature: FeatureReference) -> Restlessness | None:
        """How days differ: as a healthy stretch showed, else as the training data did."""
        return self.restless.get((reference.reference_id, feature.name)) or feature.restless


def read_evidence(warehouse: Warehouse, config: MonitorConfig, judgements: Sequence[Judgement]) -> Evidence:
    """Read what the verdicts on some windows need."""
    if not judgements:
        return Evidence()
    return Evidence(
        read_sums(warehouse, config, judgements),
        read_restlessness(warehouse, config, judgements),
        read_history(warehouse, config, judgements),
        read_volumes(warehouse, config, judgements),
    )


def read_sums(warehouse: Warehouse, config: MonitorConfig, judgements: Sequence[Judgement]) -> Sums:
    """The summed histograms of windows and of their baselines of production."""
    sides: list[tuple[int, str]] = []
    asked: list[Row] = []
    for i, judgement in enumerate(judgements):
        if judgement.reference is None:
            continue
        stretches = [(CURRENT, (judgement.window,)), *((past.baseline.name, past.windows) for past in judgement.past)]
        for side, windows in stretches:
            asked += [_asked(len(sides), judgement.reference, window) for window in windows]
            sides.append((i, side))
    if not asked:
        return {}
    references = {j.reference.reference_id: j.reference for j in judgements if j.reference}
    buckets = {key: _buckets(reference) for key, reference in references.items()}
    found: dict[tuple[int, str], dict[tuple[str, str], Histogram]] = {}

    def keep(row: Row) -> None:
        side, name = sides[int(row["window_id"])], (row["segment"], row["feature"])
        known = buckets[judgements[side[0]].reference.reference_id].get(name)  # type: ignore[union-attr]
        if known is not None:
            found.setdefault(side, {})[name] = histogram_from_row(row, known)

    warehouse.query_each(statements.windows(warehouse, config.monitor, scan_definition_id(config), asked), keep)
    return found


def _buckets(reference: Reference) -> dict[tuple[str, str], Buckets]:
    """The buckets of a reference by segment and feature."""
    return {
        (segment, feature.name): feature.histogram.buckets
        for segment, features in reference.by_segment.items()
        for feature in features
    }


def read_answers(
    warehouse: Warehouse, config: MonitorConfig, judgements: Sequence[OutcomeJudgement]
) -> dict[int, list[Row]]:
    """The summed counts by outcome and prediction of windows, by the index of the judgement."""
    asked = [_asked(i, j.reference, j.window) for i, j in enumerate(judgements) if j.reference is not None]
    if not asked:
        return {}
    found: dict[int, list[Row]] = {}
    statement = statements.answers(warehouse, config.monitor, outcome_definition_id(config), asked)
    for row in warehouse.query(statement):
        found.setdefault(int(row["window_id"]), []).append(row)
    return found


def _asked(window_id: int, reference: Reference, window: Window) -> Row:
    return {
        "window_id": window_id,
        "reference_id": reference.reference_id,
        "start_at": window.start,
        "end_at": window.end,
    }


def read_restlessness(
    warehouse: Warehouse, config: MonitorConfig, judgements: Sequence[Judgement]
) -> dict[tuple[str, str], Restlessness | None]:
    """How the days of the stretch that `detection.healthy` names differ, by reference and feature; nothing without one."""
    healthy = config.healthy
    if healthy is None:
        return {}
    rows = warehouse.query(
        statements.days(warehouse, config.monitor, scan_definition_id(config), healthy.start, healthy.end)
    )
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["reference_id"], row["feature"]), []).append(row)
    references = {j.reference.reference_id: j.reference for j in judgements if j.reference}
    features = {(r.reference_id, f.name): f for r in references.values() for f in r.features}
    return {key: _of_days(features[key], group, config) for key, group in grouped.items() if key in features}


def _of_days(feature: FeatureReference, rows: Sequence[Row], config: MonitorConfig) -> Restlessness | None:
    buckets, coarse = feature.histogram.buckets, feature.coarse
    days: dict[object, Histogram] = {}
    for row in rows:
        pairs = [(int(item["bucket"]), int(item["n"])) for item in row["buckets"]]
        day = row["granule"].astimezone(config.window.timezone).date()
        counted = Histogram.from_pairs(buckets, pairs)
        days[day] = days[day] + counted if day in days else counted
    return restlessness(np.array([coarse.counts(histogram) for histogram in days.values()]), coarse.special)


def read_volumes(
    warehouse: Warehouse, config: MonitorConfig, judgements: Sequence[Judgement]
) -> dict[tuple[Window, str], int]:
    """The rows of the windows before and among these."""
    start, end = _stretch(config, judgements, WINDOWS_OF_VOLUME)
    rows = warehouse.query(statements.volumes(warehouse, config.monitor, start, end))
    return {
        (Window(_utc(row["window_start"]), _utc(row["window_end"])), row["model_version"]): int(row["n_rows"])
        for row in rows
    }


def _stretch(config: MonitorConfig, judgements: Sequence[Judgement], n_before: int) -> tuple[datetime, datetime]:
    """From so many windows before the first of these, which do not overlap, to the end of the last."""
    grid = config.window.grid
    start, end = min(j.window.start for j in judgements), max(j.window.end for j in judgements)
    for _ in range(n_before):
        start = grid.every.before(grid.length.before(start, grid.zone), grid.zone)  # so far apart at most
    return start, end


def read_history(warehouse: Warehouse, config: MonitorConfig, judgements: Sequence[Judgement]) -> History:
    """The verdicts that stand for the windows before and among these."""
    start, end = _stretch(config, judgements, max(WINDOWS_OF_TREND, config.detection.confirm.n))
    return History.of(warehouse.query_each(statements.history(warehouse, config.monitor, start, end), _entry))


def _entry(row: Row) -> tuple[Series, Window, Past]:
    series = Series(row["reference_id"], row["model_version"], row["segment"], row["feature"], row["baseline"])
    window = Window(_utc(row["window_start"]), _utc(row["window_end"]))
    return series, window, Past(row["status"], row["drift_score"])


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
