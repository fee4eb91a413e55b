"""What came true in two data sets: performance beside its estimate, and P(outcome | feature). Counted and judged as the job does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, sqrt
from typing import Any

from bq_monitor.comparison.columns import Sides, why_not_counted
from bq_monitor.comparison.task import Given, Task, label_scheme, task_config, task_of
from bq_monitor.measure.answers import Answers
from bq_monitor.measure.concept import (
    ConceptRule,
    ConceptVerdict,
    Shift,
    concept,
    concept_sentence,
    is_calm_given,
    settle_concepts,
    shift_kind,
)
from bq_monitor.measure.estimate import estimated
from bq_monitor.measure.histogram import ORDERED, Counts
from bq_monitor.measure.measured import Measured
from bq_monitor.measure.performance import performance
from bq_monitor.measure.presets import PRESETS, PresetName
from bq_monitor.measure.significance import holm
from bq_monitor.measure.verdict import Rule, Status
from bq_monitor.outcomes import answers_from_rows, answers_scan, joint_scan, outcomes_of
from bq_monitor.reference import FeatureReference
from bq_monitor.scan import histogram_from_row
from bq_monitor.segments import ALL
from bq_monitor.warehouse.base import Relation

MAX_DROP: Mapping[PresetName, float] = {"conservative": 0.05, "balanced": 0.03, "aggressive": 0.02}
"""By how much accuracy or ROC AUC may truly fall."""
MAX_RISE: Mapping[PresetName, float] = {"conservative": 0.2, "balanced": 0.1, "aggressive": 0.05}
"""By which share of the baseline's the mean absolute error may truly rise."""
_TESTED = ("accuracy", "roc_auc", "mae")


@dataclass(frozen=True)
class PerformanceTest:
    """One metric asked whether it is surely worse: `limit` is the value beyond which the true one must lie, `p_adjusted` Holm's."""

    metric: str
    status: Status
    baseline: float
    current: float
    limit: float
    p_adjusted: float

    def sentence(self) -> str:
        """How far it moved, in words."""
        moved, beyond = ("rose", "above") if self.metric == "mae" else ("fell", "below")
        return f"{self.metric} {moved} from {self.baseline:.3g} to {self.current:.3g}, surely {beyond} {self.limit:.3g}"


@dataclass(frozen=True)
class PerformanceComparison:
    """How well the answers came true on both sides, and what was to be expected of the current ones without their outcomes.

    Args:
        status: `drift` where a tested metric is surely worse; `not_evaluated` with its reason, where outcomes lack on a side.
        baseline, current, estimated: the metrics by name, as `measure.performance` and `measure.estimate` tell them.
        alpha: of each bound in the report, one-sided.
    """

    status: Status
    reason: str | None
    baseline: Mapping[str, Measured]
    current: Mapping[str, Measured]
    estimated: Mapping[str, Measured]
    alpha: float
    tests: tuple[PerformanceTest, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The entry `performance` of the JSON report."""
        sides = {side: plain_metrics(getattr(self, side), self.alpha) for side in ("baseline", "current", "estimated")}
        return {
            "status": self.status,
            "reason": self.reason,
            **sides,
            "tests": [asdict(test) for test in self.tests],
        }


@dataclass(frozen=True)
class ConceptComparison:
    """Whether P(outcome | feature) moved; `explanation` says where, of a feature that drifted."""

    feature: str
    verdict: ConceptVerdict
    explanation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """An entry of `concept` in the JSON report."""
        names = (
            "status",
            "reason",
            "conditional",
            "covariate",
            "prior",
            "drift_score",
            "lower",
            "upper",
            "p_adjusted",
            "n_baseline",
            "n_current",
        )
        found = {name: getattr(self.verdict, name) for name in names}
        buckets = [asdict(bucket) for bucket in self.verdict.buckets]
        return {"feature": self.feature, **found, "buckets": buckets, "explanation": self.explanation}


@dataclass(frozen=True)
class OutcomeComparison:
    """All that outcomes tell; None and empty where no outcome, or no answer, was named."""

    performance: PerformanceComparison | None = None
    in_segments: Mapping[str, Mapping[str, Measured]] = field(default_factory=dict)
    concept: tuple[ConceptComparison, ...] | None = None
    shift: Shift | None = None
    notes: tuple[str, ...] = ()


def compare_outcomes(sides: Sides, given: Given, rule: Rule, preset: PresetName) -> OutcomeComparison:
    """Performance, its estimate, and the shift of P(outcome | feature), of the columns that were named."""
    label = next((feature for feature in sides.reference.features if feature.role == "label"), None)
    if label is None:
        return OutcomeComparison()
    why = _why_no_labels(sides, label)
    concepts, shift = _compare_concepts(sides, label, why, rule, preset)
    if given.prediction is None and given.score is None:
        return OutcomeComparison(concept=concepts, shift=shift)
    task = task_of(sides.warehouse, sides.reference, given, (sides.before, sides.after))
    if task.scheme is None:
        found = PerformanceComparison("not_evaluated", task.why, {}, {}, {}, rule.alpha)
        return OutcomeComparison(found, {}, concepts, shift, task.notes)
    baseline, current = _answers(sides, task, why)
    whole = _compare_performance(baseline, current.get(ALL), task.why or why, rule, preset)
    apart = {
        segment: {} if why or task.why else performance(answers)
        for segment, answers in current.items()
        if segment != ALL
    }
    return OutcomeComparison(whole, apart, concepts, shift, task.notes)


def plain_metrics(metrics: Mapping[str, Measured], alpha: float) -> dict[str, Any]:
    """Metrics as the JSON report has them: value and bounds; an undefined one is null, with its reason beside it."""
    found = {}
    for name, measured in metrics.items():
        lower, upper = measured.bounds(alpha)
        found[name] = {"value": _finite(measured.value), "lower": _finite(lower), "upper": _finite(upper)}
        if measured.value is None:
            found[name]["reason"] = measured.reason
    return found


def _finite(value: float | None) -> Any:
    return value if value is not None and isfinite(value) else None


def _why_no_labels(sides: Sides, label: FeatureReference) -> str | None:
    """Why there are no outcomes to compare; None where both sides have a column of them."""
    if label.histogram.n_null == label.histogram.n_rows:
        return f"every {label.name!r} of the baseline is missing"
    return why_not_counted(sides.warehouse, label, sides.after)


# --- performance ---


def _answers(sides: Sides, task: Task, why_no_labels: str | None) -> tuple[Answers, dict[str, Answers]]:
    """The counts of answers: of the baseline, and of the current data by segment (none where these have no answers)."""
    assert task.scheme is not None  # noqa: S101 - without one nothing is counted
    before, after = task.relations
    undivided = task.config.model_copy(update={"segments": []})
    scan = answers_scan(sides.plain_scan(before), undivided, task.scheme, outcomes_of(undivided, before), [])
    baseline = answers_from_rows(sides.rows(scan), task.scheme)[ALL]
    if task.why is not None:
        return baseline, {}
    config = task.config_of(after, with_labels=why_no_labels is None)
    listed = list(sides.reference.segments)
    scan = answers_scan(sides.plain_scan(after), config, task.scheme, outcomes_of(config, after), listed)
    return baseline, answers_from_rows(sides.rows(scan), task.scheme)


def _compare_performance(
    baseline: Answers, current: Answers | None, why: str | None, rule: Rule, preset: PresetName
) -> PerformanceComparison:
    before = performance(baseline)
    if current is None:
        return PerformanceComparison("not_evaluated", why, before, {}, {}, rule.alpha)
    expected = estimated(baseline, current)
    now = {} if why else performance(current)
    if why is None:
        for answers, where in ((baseline, " in the baseline"), (current, "")):
            if answers.labelled.n_rows < rule.min_rows:
                why = f"too few rows with an outcome{where}: {answers.labelled.n_rows} of at least {rule.min_rows}"
                break
    tests = () if why else _tests(before, now, rule.alpha, preset)
    if not why and not tests:
        why = "no tested metric is defined on both sides"
    status: Status = "not_evaluated" if why else "drift" if any(test.status == "drift" for test in tests) else "ok"
    return PerformanceComparison(status, why, before, now, expected, rule.alpha, tests)


def _tests(
    before: Mapping[str, Measured], now: Mapping[str, Measured], alpha: float, preset: PresetName
) -> tuple[PerformanceTest, ...]:
    """Is accuracy, ROC AUC or the mean absolute error surely worse than the preset lets it be? Holm over those defined."""
    asked = [
        (name, mine.value, other.value, *_worse(name, mine, other, preset))
        for name in _TESTED
        if (mine := before.get(name)) and (other := now.get(name)) and mine.value is not None and other.value is not None
    ]  # fmt: skip
    adjusted = holm([p for *_, p in asked])
    return tuple(
        PerformanceTest(name, "drift" if p < alpha else "ok", old, new, limit, p)
        for (name, old, new, limit, _), p in zip(asked, adjusted, strict=True)
    )


def _worse(name: str, before: Measured, now: Measured, preset: PresetName) -> tuple[float, float]:
    """The limit, and the chance of a value this far beyond it if the true one were at the limit."""
    factor = 1 + MAX_RISE[preset] if name == "mae" else 1.0
    allowed = 0.0 if name == "mae" else MAX_DROP[preset]
    limit = factor * (before.value or 0.0) - allowed
    error = sqrt((factor * (before.plain_error or 0.0)) ** 2 + (now.plain_error or 0.0) ** 2)
    difference = Measured((now.value or 0.0) - limit, now.n, error)
    p = difference.p_above(0.0) if name == "mae" else difference.p_below(0.0)
    return limit, 1.0 if p is None or not difference.value else p


# --- P(outcome | feature) ---


def _compare_concepts(
    sides: Sides, label: FeatureReference, why: str | None, rule: Rule, preset: PresetName
) -> tuple[tuple[ConceptComparison, ...], Shift | None]:
    """Every feature by the outcome, coarse bucket by coarse bucket; the kind of shift only where something could be evaluated."""
    features = [feature for feature in sides.reference.features if feature.role in ("feature", "score")]
    if why is not None:
        verdict = ConceptVerdict("not_evaluated", why)
        return tuple(ConceptComparison(feature.name, verdict) for feature in features), None
    threshold = rule.threshold if rule.metric == "js_distance" else PRESETS[preset].js_distance
    asked = ConceptRule(threshold, rule.alpha, rule.min_rows)
    before, now = (_joint(sides, relation, features, label) for relation in (sides.before, sides.after))
    verdicts = settle_concepts([_concept(feature, before, now, asked, sides.after) for feature in features], rule.alpha)
    found = tuple(
        ConceptComparison(feature.name, verdict, _explanation(feature.name, verdict, label.name))
        for feature, verdict in zip(features, verdicts, strict=True)
    )
    evaluated = any(verdict.status != "not_evaluated" for verdict in verdicts)
    given = zip(features, verdicts, strict=True)
    is_calm = any(is_calm_given(verdict, verdicts, threshold) for feature, verdict in given if feature.role == "score")
    return found, shift_kind(verdicts, rule.alpha, is_calm_given_score=is_calm) if evaluated else None


_Joint = Mapping[str, Mapping[str, Counts]]
"""By feature and outcome: the counts of its coarse buckets."""


def _joint(sides: Sides, relation: Relation, features: Sequence[FeatureReference], label: FeatureReference) -> _Joint:
    """Features by outcome; the outcome stands for the answer too, as no answer is asked for here."""
    scheme = label_scheme(label)
    config = task_config(scheme.task, label.name, label=label.name)
    ready = {feature.name: feature.counted(relation) for feature in features}
    counted = [item for item in ready.values() if not isinstance(item, str)]
    by_name = {feature.name: feature for feature in features}
    found: dict[str, dict[str, Counts]] = {name: {} for name, item in ready.items() if not isinstance(item, str)}
    scan = joint_scan(sides.plain_scan(relation), counted, config, scheme, outcomes_of(config, relation))
    for row in sides.rows(scan):
        if row["outcome"] is None:
            continue
        feature, outcome = by_name[row["feature"]], scheme.outcome_name(row["outcome"])
        counts = feature.coarse.counts(histogram_from_row(row, feature.histogram.buckets))
        mine = found[feature.name]
        mine[outcome] = mine[outcome] + counts if outcome in mine else counts
    return found


def _concept(
    feature: FeatureReference, before: _Joint, now: _Joint, rule: ConceptRule, after: Relation
) -> ConceptVerdict:
    if feature.name not in now:
        return ConceptVerdict("not_evaluated", str(feature.counted(after)))
    names, ordered = feature.coarse.names, feature.kind in ORDERED
    return concept(names, before[feature.name], now[feature.name], rule, ordered=ordered)


def _explanation(feature: str, verdict: ConceptVerdict, label: str) -> str | None:
    return concept_sentence(feature, verdict, label) or None if verdict.status == "drift" else None
