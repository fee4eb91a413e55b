"""What kind of answers and outcomes two data sets hold, told from their columns: what a configuration says elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bq_monitor.capture import MAX_SAMPLE_ROWS, profile_columns
from bq_monitor.comparison.columns import why_not_counted
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.errors import InputError
from bq_monitor.measure.answers import Task as TaskName
from bq_monitor.measure.kinds import Excluded, detect
from bq_monitor.outcomes import MAX_CLASSES, Scheme, positive_of
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.warehouse.base import Relation
from bq_monitor.warehouse.fragments import NUMBERS

if TYPE_CHECKING:
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

_UNKNOWN_POSITIVE = "the positive class of {what} cannot be told from {classes}; name it with 'positive'"


@dataclass(frozen=True)
class Given:
    """The columns that were named, with the positive class, and the cuts into segments: each a column, or several."""

    prediction: str | None = None
    score: str | None = None
    label: str | None = None
    positive: Any = None
    segments: tuple[tuple[str, ...], ...] = ()

    @property
    def roles(self) -> dict[str, str]:
        """The role of each column that has one."""
        pairs = ((self.prediction, "prediction"), (self.score, "score"), (self.label, "label"))
        return {name: role for name, role in pairs if name}


@dataclass(frozen=True)
class Task:
    """How answers and outcomes are told apart on both sides.

    Args:
        scheme: None where it cannot be told; `why` says why.
        relations: both sides, with a column of answers.
        why: why the current side has no answers to count; None where it has.
        notes: what was assumed.
    """

    scheme: Scheme | None
    config: MonitorConfig
    relations: tuple[Relation, Relation]
    why: str | None = None
    notes: tuple[str, ...] = ()
    score_is_missing: bool = False

    def config_of(self, after: Relation, *, with_labels: bool) -> MonitorConfig:
        """The configuration for the current side, which may lack labels and score."""
        changes: dict[str, Any] = {} if with_labels else {"labels": None}
        if self.score_is_missing and self.config.prediction is not None:
            changes["prediction"] = self.config.prediction.model_copy(update={"score": None})
        return self.config.model_copy(update=changes)


def task_config(
    task: TaskName, column: str, *, label: str | None = None, score: str | None = None, positive: str | None = None,
    label_positive: str | None = None, segments: Sequence[Sequence[str]] = (),
) -> MonitorConfig:  # fmt: skip
    """The configuration that would say the same of a log."""
    labels = {"column": label, "positive": label_positive} if label else None
    return parse_config(
        {
            **segments_section(segments),
            "prediction": {"column": column, "kind": task, "positive": positive, "score": score}, "labels": labels,
        }
    )  # fmt: skip


def segments_section(segments: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The least that a configuration says, with segments."""
    source = {"table": "compare.parquet", "timestamp": "time"}
    return {
        "monitor": "compare", "warehouse": "duckdb://", "source": source, "segments": [list(columns) for columns in segments]
    }  # fmt: skip


def is_regression(warehouse: DuckDBWarehouse, relation: Relation, given: Given) -> bool:
    """Whether answer and outcome are quantities: all named ones are numbers, and one at least has more values than codes have."""
    names = [name for name in (given.prediction, given.label) if name in relation.columns and name]
    if not names or any(relation.columns[name] not in NUMBERS for name in names):
        return False
    profiles = profile_columns(warehouse, warehouse.sample(relation, MAX_SAMPLE_ROWS), names)
    kinds = [detect(name, profiles[name]) for name in names if profiles[name].n_given]
    return any(kind == "numeric" or isinstance(kind, Excluded) for kind in kinds)


def label_scheme(label: FeatureReference) -> Scheme:
    """How outcomes alone are told apart: classes by name, quantities by quarters."""
    if not label.histogram.buckets.numeric:
        return Scheme("multiclass", classes=label.histogram.buckets.labels[:MAX_CLASSES])
    config = task_config("regression", label.name, label=label.name)
    scheme = Scheme.of(config, _reference_of(replace(label, role="prediction"), label))
    assert scheme is not None  # noqa: S101 - a regression always has one
    return scheme


@dataclass(frozen=True)
class _Named:
    """What the baseline has of the named columns."""

    answer: FeatureReference
    score: FeatureReference | None
    label: FeatureReference


def task_of(
    warehouse: DuckDBWarehouse, reference: Reference, given: Given, relations: tuple[Relation, Relation]
) -> Task:
    """The task of the named columns; the reference has the label."""
    by_role = {feature.role: feature for feature in reference.features}
    answer, score, label = (by_role.get(role) for role in ("prediction", "score", "label"))
    assert label is not None  # noqa: S101 - asked for only where there is one
    if answer is None:
        return _of_score(warehouse, given, relations, label, score)
    why = why_not_counted(warehouse, answer, relations[1])
    if answer.histogram.buckets.numeric != label.histogram.buckets.numeric:
        unlike = f"one of {answer.name!r} and {label.name!r} is a quantity, the other is of classes"
        return Task(None, task_config("multiclass", answer.name), relations, unlike)
    named = _Named(answer, score, label)
    if answer.histogram.buckets.numeric:
        config = task_config("regression", answer.name, label=label.name, segments=given.segments)
        return replace(_task(config, relations, named), why=why)
    return replace(_of_classes(given, relations, named), why=why)


def _of_classes(given: Given, relations: tuple[Relation, Relation], named: _Named) -> Task:
    answer, label = named.answer, named.label
    answered, came_true = answer.histogram.buckets.labels, label.histogram.buckets.labels
    probability, note = _probability(named.score)
    notes = (note,) if note else ()
    if max(len(answered), len(came_true)) > 2:
        config = task_config("multiclass", answer.name, label=label.name, score=probability, segments=given.segments)
        return _task(config, relations, named, notes)
    positive, label_positive = _positives(answered, came_true, given.positive)
    if positive is None or label_positive is None:  # a score says nothing of an unknown class
        unknown = _unknown(answer.name, answered) if positive is None else _unknown(label.name, came_true)
        config = task_config("multiclass", answer.name, label=label.name, segments=given.segments)
        return _task(config, relations, named, (*notes, unknown))
    config = task_config(
        "binary", answer.name, label=label.name, score=probability, positive=positive, label_positive=label_positive,
        segments=given.segments,
    )  # fmt: skip
    return _task(config, relations, named, notes)


def _task(
    config: MonitorConfig, relations: tuple[Relation, Relation], named: _Named, notes: tuple[str, ...] = ()
) -> Task:
    said, answer, after = config.prediction, named.answer, relations[1]
    score = named.score if said and said.score else None
    lacking = score is not None and isinstance(score.counted(after), str)
    return Task(Scheme.of(config, _reference_of(answer, named.label, score)), config, relations, None, notes, lacking)


def _positives(answered: Sequence[str], came_true: Sequence[str], said: Any) -> tuple[str | None, str | None]:
    """The positive class as answers and as outcomes name it; None where it cannot be told."""
    both = tuple(dict.fromkeys((*answered, *came_true)))
    if len(both) <= 2:
        return (positive_of(both, said),) * 2
    positive = positive_of(answered, said)
    return positive, positive if positive in came_true else positive_of(came_true)


def _probability(score: FeatureReference | None) -> tuple[str | None, str | None]:
    """The score's column where it can be a probability, else a note."""
    moments = score.histogram.moments if score else None
    if score is None or moments is None or moments.min is None or moments.max is None:
        return None, None
    if moments.min < 0 or moments.max > 1:
        return None, (
            f"{score.name!r} lies between {moments.min:g} and {moments.max:g}, so it is no probability: "
            "metrics that need one are left out"
        )
    return score.name, None


def _unknown(what: str, classes: Sequence[str]) -> str:
    return _UNKNOWN_POSITIVE.format(what=repr(what), classes=", ".join(classes) or "no class")


def _of_score(
    warehouse: DuckDBWarehouse, given: Given, relations: tuple[Relation, Relation], label: FeatureReference,
    score: FeatureReference | None,
) -> Task:  # fmt: skip
    """A score without answers: of two classes, the positive one is answered from 0.5 on."""
    from bq_monitor.comparison.rows import with_answers

    classes = label.histogram.buckets.labels
    nothing = task_config("multiclass", label.name)
    probability, note = _probability(score)
    if score is None or probability is None:
        return Task(None, nothing, relations, note or "no finite score in the baseline")
    if label.histogram.buckets.numeric or len(classes) > 2:
        why = f"a score alone answers two classes, and {label.name!r} has more; name the prediction's column too"
        return Task(None, nothing, relations, why)
    positive = positive_of(classes, given.positive)
    if given.positive is not None and positive not in classes:
        raise InputError(
            f"compare: positive: got {given.positive!r}; the label's classes are {', '.join(classes)}. Name one of them."
        )
    if positive is None:
        return Task(None, nothing, relations, _unknown(label.name, classes))
    negative = next((text for text in classes if text != positive), f"not {positive}")
    why_not = why_not_counted(warehouse, score, relations[1])
    told = [
        relation if i and why_not else with_answers(warehouse, relation, score.name, positive, negative)
        for i, relation in enumerate(relations)
    ]
    column = list(told[0].columns)[-1]
    config = task_config(
        "binary", column, label=label.name, score=probability, positive=positive, label_positive=positive,
        segments=given.segments,
    )  # fmt: skip
    scheme = Scheme.of(config, _reference_of(replace(label, name=column, role="prediction"), label, score))
    notes = (f"no prediction is named: a {score.name!r} of 0.5 or more counts as the answer {positive!r}",)
    return Task(scheme, config, (told[0], told[1]), why_not, notes)


def _reference_of(
    answer: FeatureReference, label: FeatureReference, score: FeatureReference | None = None
) -> Reference:
    """As much of a reference as a scheme looks at."""
    from datetime import UTC, datetime

    features = (replace(answer, role="prediction"), *((score,) if score else ()))
    excluded: Mapping[str, str] = {}
    return Reference("compare", "", "", "", datetime.now(UTC), features, excluded, labels=(label,))
