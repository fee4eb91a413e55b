"""One number for a comparison, and the parts that it is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bq_monitor.comparison.columns import FeatureComparison
from bq_monitor.comparison.outcomes import ConceptComparison, PerformanceComparison
from bq_monitor.measure.health import WEIGHTS, health
from bq_monitor.measure.measured import share_of
from bq_monitor.measure.verdict import share_drifted

MAX_NULL_RISE = 0.02
MAX_UNSEEN = 0.01


@dataclass(frozen=True)
class HealthPart:
    """One part: `score` is 0..100, None where it could not be evaluated; `why` says what it is made of."""

    part: str
    score: int | None
    weight: int
    why: str


def health_parts(
    columns: Sequence[FeatureComparison], performance: PerformanceComparison | None,
    concept: Sequence[ConceptComparison] | None, alpha: float,
) -> tuple[HealthPart, ...]:  # fmt: skip
    """The parts of the health.

    | part | weight | score |
    |---|---|---|
    | features | 30 | share of the evaluated feature columns without drift |
    | prediction | 20 | the same of the columns with the roles prediction and score |
    | performance | 30 | share of the tested metrics (accuracy, ROC AUC; mean absolute error) that are not surely worse |
    | concept | 10 | share of the evaluated features given which the outcome did not move |
    | quality | 10 | share of the evaluated columns in which neither missing values surely rose by 2 points nor unseen ones exceed 1 % |
    """
    scores = {
        "features": _without_drift(columns, ("feature",)),
        "prediction": _without_drift(columns, ("prediction", "score")),
        "performance": _performance(performance),
        "concept": _concept(concept),
        "quality": _quality(columns, alpha),
    }
    return tuple(HealthPart(part, score, WEIGHTS[part], why) for part, (score, why) in scores.items())


def health_of(parts: Sequence[HealthPart]) -> int | None:
    """0..100: the mean of the parts that could be evaluated, by their weights; None when none could."""
    return health({part.part: part.score for part in parts})


_Score = tuple[int | None, str]


def _without_drift(columns: Sequence[FeatureComparison], roles: Sequence[str]) -> _Score:
    listed = [item for item in columns if item.role in roles]
    drifted = [item.feature for item in listed if item.status == "drift"]
    evaluated = sum(item.status in ("ok", "drift") for item in listed)
    share = share_drifted([item.verdict for item in listed])
    if share is None:
        return None, "no column evaluated" if listed else "no such column"
    return round(100 * (1 - share)), f"{len(drifted)} of {evaluated} columns drifted{_named(drifted)}"


def _performance(found: PerformanceComparison | None) -> _Score:
    if found is None:
        return None, "no label, or no answer"
    if not found.tests:
        return None, found.reason or "not evaluated"
    worse = [test.metric for test in found.tests if test.status == "drift"]
    told = f"{len(worse)} of {len(found.tests)} tested metrics are worse{_named(worse)}"
    return round(100 * (1 - len(worse) / len(found.tests))), told


def _concept(found: Sequence[ConceptComparison] | None) -> _Score:
    if found is None:
        return None, "no label"
    evaluated = [item for item in found if item.verdict.status != "not_evaluated"]
    if not evaluated:
        return None, next((item.verdict.reason for item in found if item.verdict.reason), "no feature evaluated")
    moved = [item.feature for item in evaluated if item.verdict.status == "drift"]
    told = f"the outcome moved given {len(moved)} of {len(evaluated)} features{_named(moved)}"
    return round(100 * (1 - len(moved) / len(evaluated))), told


def _quality(columns: Sequence[FeatureComparison], alpha: float) -> _Score:
    evaluated = [item for item in columns if item.status in ("ok", "drift") and item.role != "label"]
    if not evaluated:
        return None, "no column evaluated"
    worse = [item.feature for item in evaluated if _is_worse(item, alpha)]
    told = f"{len(worse)} of {len(evaluated)} columns have more missing or unseen values{_named(worse)}"
    return round(100 * (1 - len(worse) / len(evaluated))), told


def _is_worse(item: FeatureComparison, alpha: float) -> bool:
    if (item.verdict.unseen_share or 0.0) > MAX_UNSEEN:
        return True
    if item.baseline is None or item.current is None:
        return False
    before, now = (share_of(side.n_null, side.n_rows, "no rows") for side in (item.baseline, item.current))
    p = now.minus(before).p_above(MAX_NULL_RISE)
    return p is not None and p < alpha


def _named(names: Sequence[str]) -> str:
    shown = [*names[:3], *(["..."] if len(names) > 3 else [])]
    return f": {', '.join(shown)}" if names else ""
