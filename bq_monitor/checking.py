"""Checks of the data of windows from stored evidence, as `judging` judges their drift; rows of `quality_results`. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bq_monitor.config import MonitorConfig
from bq_monitor.judging import WhyNot
from bq_monitor.measure.histogram import Histogram
from bq_monitor.measure.quality import (
    Check,
    Sides,
    constant,
    duplicate_ids,
    freshness,
    nan_rate,
    new_categories,
    null_rate,
    out_of_range,
    type_changed,
    vanished_categories,
    volume,
)
from bq_monitor.plan import Judgement
from bq_monitor.plan_outcomes import Arrived
from bq_monitor.reference import FeatureReference
from bq_monitor.stored import CURRENT, Evidence
from bq_monitor.timegrid import Window
from bq_monitor.warehouse.base import Row
from bq_monitor.warehouse.schema import QUALITY_RESULTS

if TYPE_CHECKING:
    from bq_monitor.results import RunResult

_SHARES = ("null_rate", "nan_rate", "out_of_range", "new_categories")
"""The limits that are tested once a feature."""


@dataclass(frozen=True)
class QualityResult:
    """One check with the window it is about: a row of `quality_results`."""

    judgement: Judgement
    check: Check


def check_windows(
    config: MonitorConfig,
    judgements: Sequence[Judgement],
    evidence: Evidence,
    *,
    why_not: WhyNot,
    arrived: Mapping[tuple[Window, str], Arrived] | None = None,
    before: Mapping[tuple[Window, str], float] | None = None,
) -> list[QualityResult]:
    """Check the data of every window, oldest first: its rows, then each feature of its reference, in their order.

    Args:
        judgements: in the order of `evidence`. Without a reference, a window has its volume checked, nothing else.
        why_not: a feature that cannot be counted has one check, `type`, unless all rows of the window were counted before.
        arrived: what is known of ids and of the newest row, by window and model version. Where it is not, and no limit asks for it,
            there is no check of it.
        before: rows of earlier windows that do not overlap, on average, by window and model version.

    `config.alpha`, the chance of any false verdict in a window, is shared equally among the limits on shares and the fall of volume.
    """
    alphas = _shared_alphas(config, judgements)
    results: list[QualityResult] = []
    for i, judgement in sorted(enumerate(judgements), key=lambda item: item[1].window):
        key = (judgement.window, judgement.model_version)
        checker = _Checker(config, i, judgement, evidence, why_not, alphas[judgement.window])
        found = checker.checks((arrived or {}).get(key, Arrived()), (before or {}).get(key))
        results += [QualityResult(judgement, check) for check in found]
    return results


def quality_row(result: QualityResult, outcome: RunResult, computed_at: datetime) -> Row:
    """The row of `quality_results` that holds a check."""
    judgement, check = result.judgement, result.check
    known = {
        **asdict(check), "check_name": check.name, "limit_value": check.limit,
        "monitor": outcome.monitor, "model_version": judgement.model_version, "run_id": outcome.run_id, "computed_at": computed_at,
        "reference_id": judgement.reference.reference_id if judgement.reference else None,
        "window_start": judgement.window.start, "window_end": judgement.window.end, "verdict_key": judgement.verdict_key,
    }  # fmt: skip
    return {column.name: known[column.name] for column in QUALITY_RESULTS.columns}


def _shared_alphas(config: MonitorConfig, judgements: Sequence[Judgement]) -> dict[Window, float]:
    """The chance of a false verdict that each test of a window may have (Bonferroni)."""
    per_feature = sum(getattr(config.quality, name) is not None for name in _SHARES)
    n_tests: Counter[Window] = Counter()
    for judgement in judgements:
        features = judgement.reference.features if judgement.reference else ()
        n_tests[judgement.window] += 2 + per_feature * len(features)  # volume, duplicate_ids
    return {window: config.alpha / n for window, n in n_tests.items()}


@dataclass(frozen=True)
class _Checker:
    """The checks of one window."""

    config: MonitorConfig
    index: int
    judgement: Judgement
    evidence: Evidence
    why_not: WhyNot
    alpha: float

    def checks(self, arrived: Arrived, before: float | None) -> Iterator[Check]:
        limits = self.config.quality.volume
        minimum, max_drop = (limits.min, limits.max_drop) if limits else (None, None)
        yield volume(self.judgement.n_rows, before, minimum, max_drop, self.alpha)
        if self.judgement.reference is None:
            return
        yield from self._arrival_checks(arrived)
        for feature in self.judgement.reference.features:
            yield from self._feature_checks(feature)

    def _arrival_checks(self, arrived: Arrived) -> Iterator[Check]:
        quality, end = self.config.quality, self.judgement.window.end
        if arrived.n_ids is not None or quality.duplicate_ids:
            max_share = quality.duplicate_ids.max_share if quality.duplicate_ids else None
            yield duplicate_ids(arrived.n_rows, arrived.n_ids, max_share, self.alpha, self.config.detection.min_rows)
        if arrived.newest_row_at is not None or quality.freshness:
            max_age_hours = None
            if quality.freshness:
                oldest = quality.freshness.max_age.before(end, self.config.window.timezone)
                max_age_hours = (end - oldest).total_seconds() / 3600
            yield freshness(arrived.newest_row_at, end, max_age_hours, arrived.n_rows)

    def _feature_checks(self, feature: FeatureReference) -> Iterator[Check]:
        counted = self.evidence.histogram(self.index, CURRENT, feature)
        current = Histogram.empty(feature.histogram.buckets) if counted is None else counted
        if (reason := self.why_not(feature)) and current.n_rows < max(1, self.judgement.n_rows):
            yield type_changed(feature.name, reason, self.judgement.n_rows)
            return
        quality = self.config.quality
        sides = Sides(feature.name, feature.histogram, current, self.alpha, self.config.detection.min_rows)
        yield null_rate(sides, quality.null_rate.max_rise if quality.null_rate else None)
        if feature.kind == "numeric":  # times always move on, and are never NaN
            yield nan_rate(sides, quality.nan_rate.max_rise if quality.nan_rate else None)
            yield out_of_range(sides, quality.out_of_range.max_share if quality.out_of_range else None)
        if feature.kind in ("categorical", "ordinal"):
            yield new_categories(
                sides, quality.new_categories.max_share if quality.new_categories else None,
                known_complete=feature.known_complete, n_singletons=feature.n_singletons,
            )  # fmt: skip
        if not feature.histogram.buckets.numeric:
            yield vanished_categories(sides)
        yield constant(sides)
