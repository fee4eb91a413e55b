"""What windows show of every alert that they can tell of: firing, doubtful, clean or unknown. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from bq_monitor.alerts.life import Condition, Look
from bq_monitor.alerts.messages import Severity
from bq_monitor.alerts.outcomes import is_early, kind_of
from bq_monitor.alerts.rules import AlertKey, Event, severity_of, worst
from bq_monitor.concepts import CONCEPT, SHIFT
from bq_monitor.config import MonitorConfig
from bq_monitor.measure.verdict import Verdict, dataset_drifted
from bq_monitor.outcome_results import PerformanceResult
from bq_monitor.plan import Judgement
from bq_monitor.timegrid import Window

if TYPE_CHECKING:
    from bq_monitor.checking import QualityResult
    from bq_monitor.plan_outcomes import OutcomeJudgement
    from bq_monitor.results import DriftResult

_STRONGEST_FIRST: tuple[Condition, ...] = ("firing", "doubtful", "clean", "unknown")
_OF_STATUS: dict[str, Condition] = {"drift": "doubtful", "ok": "clean", "not_evaluated": "unknown"}
EVEN_CHANCE = 0.5
"""The p-value of a number that lies at its limit."""
_Said = tuple[AlertKey, Condition]


def feature_looks(
    results: Sequence[DriftResult], checked: Sequence[QualityResult], events: Sequence[Event], config: MonitorConfig
) -> list[Look]:
    """What the windows of features show; several model versions of a window are one look, the strongest condition counts."""
    drift, checks, fired = _by_window(results), _by_window(checked), _by_window(events)
    looks = []
    for window in sorted({*drift, *checks}):
        said = [*_of_features(drift.get(window, [])), *_of_the_whole(drift.get(window, []), config)]
        said += [_of_check(result) for result in checks.get(window, [])]
        mine = [event for event in fired.get(window, []) if event.key.stream == "features"]
        looks.append(_look(window, said, mine, "features"))
    return looks


def outcome_looks(scored: Sequence[PerformanceResult], events: Sequence[Event]) -> list[Look]:
    """What the windows of answers show. Of what rests on outcomes a provisional window says nothing, not even that it is unknown."""
    looks, fired = [], _by_window(events)
    for window, results in sorted(_by_window(scored).items()):
        mine = [event for event in fired.get(window, []) if event.key.stream == "outcomes"]
        is_provisional = any(result.judgement.is_provisional for result in results)
        looks.append(_look(window, _of_answers(results), mine, None if is_provisional else "outcomes"))
    return looks


class _Judged(Protocol):
    @property
    def judgement(self) -> Judgement | OutcomeJudgement: ...


_J = TypeVar("_J", bound=_Judged)


def _by_window(items: Iterable[_J]) -> dict[Window, list[_J]]:
    found: dict[Window, list[_J]] = {}
    for item in items:
        found.setdefault(item.judgement.window, []).append(item)
    return found


def _look(window: Window, said: Iterable[_Said], events: Sequence[Event], stream: str | None) -> Look:
    firing: dict[AlertKey, Event] = {}
    for event in events:
        firing.setdefault(event.key, event)
    conditions: dict[AlertKey, Condition] = {}
    for key, condition in (*said, *((key, "firing") for key in firing)):
        conditions[key] = min(condition, conditions.get(key, "unknown"), key=_STRONGEST_FIRST.index)
    return Look(window, conditions, firing, frozenset([stream] if stream else []))


def _of_features(results: Sequence[DriftResult]) -> Iterator[_Said]:
    for result in results:
        verdict = result.verdict
        if verdict.status == "excluded":
            continue
        kind, _ = severity_of(result.role)
        yield AlertKey(kind, None, result.feature, result.segment, result.baseline), _of_verdict(verdict)
        if result.baseline == "training":
            slow: Condition = "unknown" if verdict.trend_p_value is None else _OF_STATUS[verdict.status]
            yield AlertKey("slow_drift", None, result.feature, result.segment, result.baseline), slow


def _of_verdict(verdict: Verdict) -> Condition:
    """Clean is not only `ok`: what was observed lies below the threshold, too. Between the two an alert stays as it is."""
    is_above = (verdict.drift_score or 0.0) > verdict.threshold_distance
    return "doubtful" if verdict.status == "ok" and is_above else _OF_STATUS[verdict.status]


def _doubted(result: DriftResult) -> DriftResult:
    """What may have drifted counts as drifted: as long as that would be too much, the data set is not clean."""
    is_unsure = result.verdict.status == "ok" and _of_verdict(result.verdict) == "doubtful"
    return replace(result, verdict=replace(result.verdict, status="drift")) if is_unsure else result


def _of_the_whole(results: Sequence[DriftResult], config: MonitorConfig) -> Iterator[_Said]:
    if not results:
        return
    whole = [r.verdict for r in worst([_doubted(r) for r in results if r.segment == "all"])]
    is_evaluated = any(verdict.status in ("ok", "drift") for verdict in whole)
    drifted = dataset_drifted(whole, config.detection.share_drifted)
    yield AlertKey("dataset_drift"), "doubtful" if drifted else "clean" if is_evaluated else "unknown"
    yield AlertKey("nothing_evaluated"), "clean"


def _of_check(result: QualityResult) -> _Said:
    check = result.check
    return AlertKey("quality", check.name, check.feature), _OF_STATUS[check.status]


def _of_answers(results: Sequence[PerformanceResult]) -> Iterator[_Said]:
    for result in results:
        if is_early(result) or result.metric.startswith(CONCEPT) or result.metric == "*":
            continue
        if result.metric == SHIFT:
            yield AlertKey("concept_drift", segment=result.segment), _OF_STATUS[result.status]
        else:
            kind, _ = kind_of(result)
            yield AlertKey(kind, result.metric, segment=result.segment), _of_number(result)


def _of_number(result: PerformanceResult) -> Condition:
    """As of verdicts: a number that holds its limit only because it may be chance is not clean; without a limit nothing is known."""
    if result.status != "ok":
        return _OF_STATUS[result.status]
    if result.rule is None:
        return "unknown"
    return "doubtful" if result.p_value is not None and result.p_value < EVEN_CHANCE else "clean"


def run_look(
    now: datetime,
    firing: Mapping[AlertKey, str] | None = None,
    clean: Collection[AlertKey] = (),
    severity: Severity = "critical",
) -> Look:
    """What runs themselves show at a moment: alerts that fire, with what is to be said, and those that are over."""
    window = Window(now, now)
    judgement = Judgement(window, "", None, "")
    events = {
        key: Event(judgement, key.kind, severity, text, key.feature, key.segment, key.baseline, key.measure)
        for key, text in (firing or {}).items()
    }
    conditions: dict[AlertKey, Condition] = {**dict.fromkeys(clean, "clean"), **dict.fromkeys(events, "firing")}
    return Look(window, conditions, events)
