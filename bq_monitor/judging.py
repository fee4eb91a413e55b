"""Verdicts and events of windows from stored evidence: every expected feature, against every baseline. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bq_monitor.config import MonitorConfig
from bq_monitor.history import WINDOWS_OF_TREND, History, Past
from bq_monitor.measure.histogram import Histogram
from bq_monitor.measure.restlessness import Clumping, clumping_of
from bq_monitor.measure.trend import trend
from bq_monitor.measure.verdict import Compared, Verdict, compared, not_evaluated, settle, verdicts_of
from bq_monitor.plan import Judgement
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.results import DriftResult
from bq_monitor.scan import scan_definition_id
from bq_monitor.segments import belongs, dimensions
from bq_monitor.stored import CURRENT, Evidence
from bq_monitor.timegrid import Window

WhyNot = Callable[[FeatureReference], str | None]
"""Why a feature cannot be counted in the log as it is now; None when it can."""
Judged = Callable[[int, int], None]
"""Called as `(done, total)` while windows are judged."""


def judge_windows(
    config: MonitorConfig,
    judgements: Sequence[Judgement],
    evidence: Evidence,
    *,
    why_not: WhyNot = lambda feature: None,
    progress: Judged = lambda done, total: None,
    is_brief: bool = False,
) -> list[DriftResult]:
    """Judge every expected feature of every window, oldest first; p-values are corrected over the tests of each window.

    `evidence.history` grows by what is found. Brief verdicts have a status and a drift score, no metrics, words or trend.
    """
    pending: dict[Window, list[DriftResult]] = {}
    for i, judgement in enumerate(judgements):
        progress(i, len(judgements))
        pending.setdefault(judgement.window, []).extend(
            _Judge(config, i, judgement, evidence, why_not, is_brief).results()
        )
    results: list[DriftResult] = []
    for window in sorted(pending):
        settled = settle([result.verdict for result in pending[window]], config.alpha)
        found = [replace(result, verdict=v) for result, v in zip(pending[window], settled, strict=True)]
        results += found if is_brief else [_with_trend(result, evidence.history) for result in found]
        for result in found:
            evidence.history.add(result.series, window, Past(result.verdict.status, result.verdict.drift_score))
    return results


@dataclass
class _Judge:
    """The verdicts on one window."""

    config: MonitorConfig
    index: int
    judgement: Judgement
    evidence: Evidence
    why_not: WhyNot
    is_brief: bool

    @cached_property
    def _thresholds(self) -> dict[str, float]:
        return {f.name: f.threshold for f in self.config.declared_features() if f.threshold}

    def results(self) -> Iterator[DriftResult]:
        reference, config, judgement = self.judgement.reference, self.config, self.judgement
        if reference is None:
            names = [feature.name for feature in config.declared_features()] or ["*"]
            verdict = not_evaluated(judgement.reason or "no reference")
            yield from (DriftResult(judgement, name, "feature", None, verdict, baseline="training") for name in names)
            return
        asked = [
            (feature, segment, baseline.name, self._compared(reference, feature, baseline.name, segment))
            for baseline in config.baselines
            for segment, features in reference.by_segment.items()
            for feature in features
        ]
        judged = iter(self._judged([(feature, pair) for feature, *_, pair in asked if isinstance(pair, Compared)]))
        for feature, segment, baseline_name, pair in asked:
            verdict = next(judged) if isinstance(pair, Compared) else pair
            yield DriftResult(judgement, feature.name, feature.role, feature.kind, verdict, segment, baseline_name)
        for title in _not_cut(config, reference):
            verdict = not_evaluated("not a segment of the reference: capture it again")
            yield DriftResult(judgement, "*", "feature", None, verdict, segment=title)
        for name in _not_captured(config, reference):
            verdict = not_evaluated("not in the reference: capture it again")
            yield DriftResult(judgement, name, "feature", None, verdict)

    def _judged(self, pairs: Sequence[tuple[FeatureReference, Compared]]) -> list[Verdict]:
        rules = [self.config.rule(self._thresholds.get(feature.name), feature.n_bins) for feature, _ in pairs]
        return verdicts_of([pair for _, pair in pairs], rules, is_brief=self.is_brief)

    def _compared(
        self, reference: Reference, feature: FeatureReference, baseline: str, segment: str
    ) -> Compared | Verdict:
        """Both sides of one feature in one segment, or the verdict that says why there are none."""
        key, kept = (self.index, segment, feature.name, baseline), self.evidence.compared
        if kept is not None and key in kept:
            return kept[key]
        frozen, current = feature.histogram, self.evidence.histogram(self.index, CURRENT, feature, segment)
        n_current = current.n_rows if current else 0
        if (reason := self.why_not(feature)) and n_current < max(1, self.judgement.n_rows):
            return not_evaluated(reason, n_baseline=frozen.n_rows)
        before, days = self._baseline(reference, feature, baseline, segment)
        if isinstance(before, str):
            return not_evaluated(before, n_current=n_current)
        pair = compared(
            before,
            Histogram.empty(frozen.buckets) if current is None else current,
            feature.coarse,
            unseen_known=feature.known_complete,
            n_singletons=feature.n_singletons if baseline == "training" else 0,
            restless=self.evidence.restlessness(reference, feature),
            clumping=Clumping(days, clumping_of(self.judgement.days)),
        )
        if kept is not None:
            kept[key] = pair
        return pair

    def _baseline(
        self, reference: Reference, feature: FeatureReference, baseline: str, segment: str
    ) -> tuple[Histogram | str, float]:
        """The counts to compare with, or why there are none; and how they lie in days."""
        if baseline == "training":
            return feature.histogram, reference.clumping
        if baseline == "promoted":
            return _promoted(reference, feature, segment, self.judgement.window, scan_definition_id(self.config))
        days = {past.baseline.name: past.days for past in self.judgement.past}[baseline]
        histogram = self.evidence.histogram(self.index, baseline, feature, segment)
        return histogram or f"no counts of the baseline {baseline} yet", clumping_of(days)


def _promoted(
    reference: Reference, feature: FeatureReference, segment: str, window: Window, definition: str
) -> tuple[Histogram | str, float]:
    """The promoted counts of a feature, or why they are no baseline of this window."""
    promoted = reference.promoted
    if promoted is None or promoted.stretch is None:
        return "nothing promoted: run 'bq-monitor reference promote'", 0.0
    if promoted.scan_definition_id != definition:
        return "promoted under another table, filter, expression or granule: promote again", 0.0
    if window.start < promoted.stretch.end and promoted.stretch.start < window.end:
        return "the window is part of the promoted stretch", 0.0
    found = {f.name: f.histogram for f in promoted.by_segment.get(segment, ())}
    return found.get(feature.name, "not counted in the promoted stretch"), promoted.clumping


def _with_trend(result: DriftResult, history: History) -> DriftResult:
    """A verdict with the trend of its series up to this window."""
    verdict = result.verdict
    if verdict.drift_score is None or result.baseline != "training":
        return result  # a moving baseline has no trend to cross a threshold
    before = history.before(result.series, result.judgement.window, WINDOWS_OF_TREND - 1)
    points = [(end, past.drift_score) for end, past in before if past.drift_score is not None]
    found = trend([*points, (result.judgement.window.end, verdict.drift_score)], verdict.threshold_distance)
    if found is None:
        return result
    told = replace(verdict, trend_slope=found.slope, trend_p_value=found.p_value, trend_crosses_at=found.crosses_at)
    return replace(result, verdict=told)


def _not_cut(config: MonitorConfig, reference: Reference) -> list[str]:
    """The dimensions of segments that came after the reference."""
    cuts = dimensions(config)
    return [cut.title for cut in cuts if not any(belongs(segment, cut) for segment in reference.segments)]


def _not_captured(config: MonitorConfig, reference: Reference) -> list[str]:
    captured = {feature.name for feature in reference.features}
    wanted = [feature.name for feature in config.declared_features()]
    if config.prediction:
        wanted += [name for name in (config.prediction.column, config.prediction.score) if name]
    return [name for name in wanted if name not in captured]
