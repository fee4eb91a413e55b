"""Compare two data sets without any set-up: the reference, the scan and the verdict of the job, in an embedded warehouse."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bq_monitor.capture import build_reference
from bq_monitor.capture_outcomes import with_segments
from bq_monitor.classifier_test import ClassifierTest, classifier_test
from bq_monitor.comparison.columns import (
    Columns,
    FeatureComparison,
    PredictionComparison,
    Sides,
    compare_columns,
    compare_predictions,
    without_constants,
)
from bq_monitor.comparison.health import HealthPart, health_of, health_parts
from bq_monitor.comparison.outcomes import (
    ConceptComparison,
    OutcomeComparison,
    PerformanceComparison,
    compare_outcomes,
    plain_metrics,
)
from bq_monitor.comparison.retrain import Refit, Retrained, prepare
from bq_monitor.comparison.retrain import retrain as refit
from bq_monitor.comparison.rows import ModelFile, sampled, score_sides
from bq_monitor.comparison.task import Given, is_regression, segments_section
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.errors import InputError
from bq_monitor.measure.concept import Shift
from bq_monitor.measure.histogram import Kind
from bq_monitor.measure.measured import Measured
from bq_monitor.measure.presets import PRESETS, PresetName
from bq_monitor.measure.verdict import Rule, Status, dataset_drifted, share_drifted
from bq_monitor.sections import Feature
from bq_monitor.warehouse.base import Relation, Statement

if TYPE_CHECKING:
    import pandas as pd

    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    Data = pd.DataFrame | str | os.PathLike[str]

SCHEMA_VERSION = 1
MAX_SHARE_DRIFTED = 0.3
CLASSIFIER_ROWS = 10_000
_WORST_FIRST = ("critical", "warning", "info")


@dataclass(frozen=True)
class SegmentComparison:
    """One segment: its columns, judged like those of all rows, and how well its current answers came true."""

    segment: str
    n_baseline: int
    n_current: int
    columns: tuple[FeatureComparison, ...] = ()
    performance: Mapping[str, Measured] | None = None
    reason: str | None = None

    @property
    def drifted(self) -> list[str]:
        """Its columns that drifted."""
        return [item.feature for item in self.columns if item.status == "drift"]

    @property
    def status(self) -> Status:
        if self.drifted:
            return "drift"
        return "ok" if any(item.status == "ok" for item in self.columns) else "not_evaluated"

    def to_dict(self, alpha: float) -> dict[str, Any]:
        """The entry of `segments` in the JSON report."""
        why = self.reason or next((item.verdict.reason for item in self.columns if item.verdict.reason), None)
        return {
            "segment": self.segment, "n_baseline": self.n_baseline, "n_current": self.n_current, "status": self.status,
            "reason": why if self.status == "not_evaluated" else None, "drifted": self.drifted,
            "performance": None if self.performance is None else plain_metrics(self.performance, alpha),
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Args:
        features: every column, those with a role included.
        performance: None without a label, or without a prediction or a score.
        concept, shift: whether P(outcome | feature) moved, and what kind of shift all features together show; None without a label.
        segments: empty where none were asked for.
        classifier, retrained: None where they were not asked for.
        notes: what was assumed where nothing was said.
    """

    n_baseline: int
    n_current: int
    features: tuple[FeatureComparison, ...]
    prediction: PredictionComparison | None
    max_share_drifted: float = MAX_SHARE_DRIFTED
    alpha: float = 0.01
    performance: PerformanceComparison | None = None
    concept: tuple[ConceptComparison, ...] | None = None
    shift: Shift | None = None
    segments: tuple[SegmentComparison, ...] = ()
    classifier: ClassifierTest | None = None
    retrained: Retrained | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def drift_detected(self) -> bool:
        """Whether any column drifted (in all rows or in a segment), performance fell, an outcome moved, or the classifier fired."""
        return any(
            (
                any(item.status == "drift" for item in self.features),
                any(item.status == "drift" for item in self.segments),
                self.performance is not None and self.performance.status == "drift",
                any(item.verdict.status == "drift" for item in self.concept or ()),
                self.classifier is not None and self.classifier.status == "drift",
            )
        )

    @property
    def share_drifted(self) -> float | None:
        """Share (0..1) of the evaluated columns that drifted; None when none was evaluated."""
        return share_drifted([item.verdict for item in self.features])

    @property
    def not_evaluated(self) -> list[str]:
        """Expected columns that could not be evaluated; an outcome is expected later, so that it may lack."""
        return [item.feature for item in self.features if item.status == "not_evaluated" and item.role != "label"]

    @property
    def health_parts(self) -> tuple[HealthPart, ...]:
        """What the health is made of: features 30, prediction 20, performance 30, concept 10, quality 10 (see `comparison.health`)."""
        return health_parts(self.features, self.performance, self.concept, self.alpha)

    @property
    def health(self) -> int | None:
        """0..100: the weighted mean of the parts that could be evaluated; None when none could."""
        return health_of(self.health_parts)

    def alerts(self) -> list[dict[str, Any]]:
        """What a person should hear of, worst first."""
        found = [
            {"kind": kind, "severity": severity, "feature": feature, "message": message}
            for kind, severity, feature, message in (*self._column_alerts(), *self._outcome_alerts())
        ]
        return sorted(found, key=lambda alert: _WORST_FIRST.index(alert["severity"] or ""))

    def _column_alerts(self) -> Iterator[tuple[str, str, str | None, str]]:
        from bq_monitor.alerts.rules import dataset_sentence, drift_sentence, severity_of

        for item in (*self.features, *(column for segment in self.segments for column in segment.columns)):
            if item.status == "drift":
                where = "" if item.segment == "all" else f"in {item.segment}: "
                yield *severity_of(item.role), item.feature, where + drift_sentence(item.feature, item.verdict)
        verdicts = [item.verdict for item in self.features]
        if dataset_drifted(verdicts, self.max_share_drifted):
            yield "dataset_drift", "critical", None, dataset_sentence(verdicts, self.max_share_drifted)

    def _outcome_alerts(self) -> Iterator[tuple[str, str, str | None, str]]:
        for test in self.performance.tests if self.performance else ():
            if test.status == "drift":
                yield "performance", "critical", None, test.sentence()
        severity = "critical" if (self.shift or "").startswith("concept") else "warning"
        for item in self.concept or ():
            if item.verdict.status == "drift":
                yield (
                    "concept_drift",
                    severity,
                    item.feature,
                    item.explanation or f"given {item.feature}, the outcome moved",
                )
        test_of_both = self.classifier
        if test_of_both is not None and test_of_both.status == "drift":
            told = ", ".join(name for name, _ in test_of_both.importances[:3])
            message = (
                f"a classifier tells the sides apart with ROC AUC {test_of_both.roc_auc:.3f}, most of all by {told}"
            )
            yield "classifier_test", "warning", None, message

    def to_dict(self) -> dict[str, Any]:
        """The JSON report, schema version 1. Undefined numbers are None with a reason beside them, never NaN."""
        return {
            "schema_version": SCHEMA_VERSION, "drift_detected": self.drift_detected, "share_drifted": self.share_drifted,
            "n_baseline": self.n_baseline, "n_current": self.n_current,
            "features": [item.to_dict() for item in self.features],
            "prediction": asdict(self.prediction) if self.prediction else None,
            "performance": self.performance.to_dict() if self.performance else None,
            "concept": None if self.concept is None else [item.to_dict() for item in self.concept],
            "shift": self.shift,
            "segments": [segment.to_dict(self.alpha) for segment in self.segments],
            "classifier_test": self.classifier.to_dict() if self.classifier else None,
            "retrain": self.retrained.to_dict() if self.retrained else None,
            "quality": {
                item.feature: {
                    "null_share": {"baseline": item.verdict.null_share_baseline, "current": item.verdict.null_share_current},
                    "unseen_share": item.verdict.unseen_share,
                }
                for item in self.features if item.status in ("ok", "drift")
            },
            "alerts": self.alerts(), "health": self.health, "health_parts": [asdict(part) for part in self.health_parts],
            "notes": list(self.notes),
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row a column: role, kind, status, reason, drift_score, sizes, bounds, p-value and every metric."""
        import pandas as pd

        return pd.DataFrame([_flat(item) for item in self.features])


def compare(
    baseline: Data, current: Data, *, features: Sequence[str] | None = None, label: str | None = None,
    prediction: str | None = None, score: str | None = None, segment: str | Sequence[str] = (), time: str | None = None,
    positive: Any = None, model: str | os.PathLike[str] | None = None, allow_pickle: bool = False, classifier: bool = False,
    preset: PresetName = "balanced", psi_threshold: float | None = None, js_threshold: float | None = None,
    retrain: str | os.PathLike[str] | None = None, config: MonitorConfig | str | os.PathLike[str] | None = None,
) -> Comparison:  # fmt: skip
    """Compare current data with a baseline: column by column, and, where outcomes are known, what came true.

    Args:
        baseline, current: a pandas DataFrame, or a path or glob of Parquet or CSV files.
        features: the columns to compare; None takes every column of the baseline but identifiers, times, and columns constant
            in both (these are listed as `excluded`, with the reason).
        label, prediction, score: columns with these roles; compared too, and reported apart. With a label, performance and
            P(outcome | feature) are compared; `current` may lack it, then performance is estimated. Without a prediction,
            a score of 0.5 or more is the answer.
        segment: columns by which both sides are cut too; `a,b` cuts by the intersections of both columns.
        time: a column that holds the time; not compared.
        positive: the positive class of prediction and label; None: the one of two classes whose name says so (1, true, yes).
        model: a file (`.onnx`, `.cbm`, or a pickle) that scores both sides: its answers are the column `prediction` (or as
            `prediction` says), its probabilities `score`. Files go through pandas by 100,000 rows; answers stay in memory.
        allow_pickle: whether `model` may be a pickle, which runs whatever code its author put in it.
        classifier: whether a classifier is asked to tell the sides apart, by at most 10,000 rows of each.
        preset: `conservative`, `balanced` or `aggressive`: the divergence that matters, how far performance may fall (accuracy
            and ROC AUC by 0.05, 0.03, 0.02; the mean absolute error may rise by 20, 10, 5 %), and the chance of a false alarm.
        psi_threshold, js_threshold: the divergence that matters instead, in PSI or as JS distance.
        retrain: a file (`.pkl`, `.pickle`, `.joblib`) for the estimator of `model`, refitted on the labelled rows of `current`; written
            only where it is surely better than the old one on rows held out: the newest quarter with a `time`, else a random one.
        config: a monitor (or its YAML file); its warehouse gets a row of `actions` that tells of the refit. Used for that alone.

    Returns:
        A `Comparison`; a column drifts when its true divergence exceeds the threshold with confidence (the preset's alpha,
        balanced 0.01, over all columns and segments together). Performance, outcomes and classifier have an alpha each.

    Raises:
        InputError: unreadable or empty input, no common column, a column that does not exist, both thresholds, or a refit that cannot be made.
        WarehouseError: the warehouse of `config` has no tables, or cannot be written.
    """
    rule = _rule(preset, psi_threshold, js_threshold)
    given = Given(prediction, score, label, positive, _segments(segment, baseline))
    _check_roles(given, model)
    answers = (prediction or "prediction", score or "score")
    asked_refit = prepare(
        retrain, model=model, allow_pickle=allow_pickle, label=label, time=time, features=features, answers=answers, config=config
    )  # fmt: skip
    warehouse = _warehouse()
    try:
        if model is None:
            before, after = _relation(warehouse, baseline, "baseline"), _relation(warehouse, current, "current")
        else:
            apart = frozenset(name for name in (label, time) if name)
            file = ModelFile(model, allow_pickle, *answers, features, apart, positive)
            before, after, given = _scored(warehouse, baseline, current, file, given)
        asked = _Asked(given, features, time, rule, preset, classifier)
        found = _compare(warehouse, before, after, asked)
        return found if asked_refit is None else replace(found, retrained=_refitted(warehouse, asked_refit, current))
    finally:
        warehouse.close()


def _warehouse() -> DuckDBWarehouse:
    """A warehouse for one comparison, in which the readers of a large Parquet file share its footer.

    No other may: DuckDB takes a file for the one it knows where both were written in the same second.
    """
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse()
    warehouse.execute(Statement("settings", "SET parquet_metadata_cache = true"))
    return warehouse


@dataclass(frozen=True)
class _Asked:
    """The options of a comparison."""

    given: Given
    features: Sequence[str] | None
    time: str | None
    rule: Rule
    preset: PresetName
    classifier: bool


def _compare(warehouse: DuckDBWarehouse, before: Relation, after: Relation, asked: _Asked) -> Comparison:
    given, rule = asked.given, asked.rule
    _require_common(before, after)
    n_current = warehouse.count_rows(after)
    if not n_current:
        raise InputError.no_rows(after.place)
    kind: Kind | None = "numeric" if is_regression(warehouse, before, given) else None
    wanted = _wanted(before, asked.features, given.roles, apart={asked.time} if asked.time else set(), kind=kind)
    reference = build_reference(
        warehouse,
        before,
        wanted,
        monitor="compare",
        version="",
        unfit="exclude" if asked.features is None else "insist",
    )
    if asked.features is None:
        reference = without_constants(warehouse, reference, before, after)
    config = parse_config(segments_section(given.segments))
    cut = with_segments(warehouse, before, reference, config)
    there = {name: group for name, group in cut.segments.items() if any(f.histogram.n_rows for f in group)}
    reference = replace(cut, segments=there)
    sides = Sides(warehouse, before, after, reference)
    columns = compare_columns(sides, config, rule)
    outcomes = compare_outcomes(sides, given, rule, asked.preset)
    return Comparison(
        reference.n_rows, n_current, columns.whole, compare_predictions(columns.whole, given.positive), alpha=rule.alpha,
        performance=outcomes.performance, concept=outcomes.concept, shift=outcomes.shift,
        segments=_in_segments(columns, outcomes),
        classifier=_classifier(sides, columns.whole, rule.alpha) if asked.classifier else None,
        notes=outcomes.notes,
    )  # fmt: skip


def _refitted(warehouse: DuckDBWarehouse, asked: Refit, current: Data) -> Retrained:
    """A refit on the rows as they are in the data, in its order."""
    if not isinstance(current, str | os.PathLike):
        rows = current.set_axis([str(name) for name in current.columns], axis=1)
        return refit(asked, rows[asked.columns(list(rows.columns))])
    relation = warehouse.relation(str(current))
    names = asked.columns(list(relation.columns))
    return refit(asked, sampled(warehouse, relation, names, warehouse.count_rows(relation)))


def _in_segments(columns: Columns, outcomes: OutcomeComparison) -> tuple[SegmentComparison, ...]:
    found = []
    for segment, compared in columns.in_segments.items():
        sides = ("baseline", "current")
        n_before, n_now = (
            max((h.n_rows for item in compared if (h := getattr(item, side))), default=0) for side in sides
        )
        told = None if outcomes.performance is None else outcomes.in_segments.get(segment, {})
        found.append(SegmentComparison(segment, n_before, n_now, compared, told))
    return (*found, *(SegmentComparison(name, 0, 0, reason="not in the baseline") for name in columns.new_segments))


def _classifier(sides: Sides, compared: Sequence[FeatureComparison], alpha: float) -> ClassifierTest:
    names = [item.feature for item in compared if item.role == "feature" and item.status != "excluded"]
    shared = [name for name in names if name in sides.after.columns]
    if not shared:
        return ClassifierTest("not_evaluated", "no feature is on both sides", 0, 0)
    before, after = (
        sampled(sides.warehouse, relation, shared, CLASSIFIER_ROWS) for relation in (sides.before, sides.after)
    )
    return classifier_test(before, after, shared, max_rows=CLASSIFIER_ROWS, alpha=alpha)


def _scored(
    warehouse: DuckDBWarehouse, baseline: Data, current: Data, file: ModelFile, given: Given
) -> tuple[Relation, Relation, Given]:
    """Both sides with the answers of a model, and what was named, these answers included."""
    before, after = (
        _relation(warehouse, data, place) if isinstance(data, str | os.PathLike) else _checked(data, place)
        for data, place in ((baseline, "baseline"), (current, "current"))
    )
    found = score_sides(warehouse, file, before, after)
    score = file.score if found.has_score else None
    return found.before, found.after, replace(given, prediction=file.prediction, score=score, positive=found.positive)


def _segments(segment: str | Sequence[str], baseline: Any) -> tuple[tuple[str, ...], ...]:
    """The columns of each cut; a name with a comma in it is one column where a DataFrame has it."""
    known = {str(name) for name in getattr(baseline, "columns", ())}
    listed = [segment] if isinstance(segment, str) else list(segment)
    cuts = [(text,) if text in known else tuple(part.strip() for part in text.split(",")) for text in listed]
    if unnamed := [text for text, cut in zip(listed, cuts, strict=True) if not all(cut)]:
        raise InputError(f"compare: segment: got {unnamed[0]!r}; allowed: a column, or several as in 'region,channel'.")
    return tuple(dict.fromkeys(cuts))


def _check_roles(given: Given, model: object) -> None:
    named = [name for name in (given.prediction, given.score, given.label) if name]
    if len(set(named)) < len(named):
        raise InputError(
            f"compare: prediction, score and label: got {', '.join(named)}; name a column of its own for each."
        )
    can_be_told = given.prediction is not None or model is not None or (given.label and given.score)
    if given.positive is not None and not can_be_told:
        raise InputError(
            f"compare: positive: got {given.positive!r} without a prediction; name the prediction's column too."
        )


def _rule(preset: PresetName, psi_threshold: float | None, js_threshold: float | None) -> Rule:
    if preset not in PRESETS:
        raise InputError(f"compare: preset: got {preset!r}; allowed: {', '.join(PRESETS)}.")
    if psi_threshold is not None and js_threshold is not None:
        raise InputError("compare: psi_threshold and js_threshold: got both; one metric decides, give one of them.")
    chosen, metric = PRESETS[preset], "psi" if psi_threshold is not None else "js_distance"
    given = psi_threshold if psi_threshold is not None else js_threshold
    threshold = chosen.js_distance if given is None else given
    if not 0 < threshold < (float("inf") if metric == "psi" else 1):
        raise InputError(f"compare: threshold: got {threshold}; allowed: above 0, and for the JS distance below 1.")
    return Rule(metric=metric, threshold=threshold, alpha=chosen.alpha)


def _relation(warehouse: DuckDBWarehouse, data: Data, place: str) -> Relation:
    if not isinstance(data, str | os.PathLike):
        return warehouse.frame(_checked(data, place), place)
    from bq_monitor.warehouse.identifiers import FILE_ENDINGS, is_file

    if not is_file(str(data)):
        raise InputError(
            f"{data}: not a file that can be compared; allowed: a path or glob that ends in {', '.join(FILE_ENDINGS)}. Check the path."
        )
    return warehouse.relation(str(data))


def _checked(data: Any, place: str) -> pd.DataFrame:
    if not hasattr(data, "columns"):
        raise InputError(f"{place}: got {type(data).__name__}; allowed: a pandas DataFrame, or the path of a file.")
    return data  # type: ignore[no-any-return]  # a DataFrame, or something that passes for one


def _require_common(before: Relation, after: Relation) -> None:
    if not set(before.columns) & set(after.columns):
        raise InputError(
            f"{before.place} and {after.place}: no common column; got {sorted(before.columns)[:8]} and {sorted(after.columns)[:8]}. "
            "Compare files with the same columns; a CSV needs a header line."
        )


def _wanted(
    before: Relation, features: Sequence[str] | None, roles: Mapping[str, str], apart: set[str], kind: Kind | None
) -> list[tuple[Feature, str]]:
    names = (
        [name for name in before.columns if name not in roles and name not in apart]
        if features is None
        else list(features)
    )
    kinds: dict[str, Kind | None] = {"score": "numeric", "prediction": kind, "label": kind}
    listed = [(Feature(name=name), "feature") for name in dict.fromkeys(names) if name not in roles]
    listed += [(Feature.model_validate({"name": name, "kind": kinds.get(role)}), role) for name, role in roles.items()]
    if missing := [feature.name for feature, _ in listed if feature.name not in before.columns]:
        raise InputError.missing_columns(before.place, missing, before.columns)
    if missing := sorted(apart - set(before.columns)):
        raise InputError.missing_columns(before.place, missing, before.columns)
    return listed


def _flat(item: FeatureComparison) -> dict[str, Any]:
    whole = item.to_dict()
    metrics = whole.pop("metrics")
    whole.pop("contributions")
    return {**whole, **metrics}
