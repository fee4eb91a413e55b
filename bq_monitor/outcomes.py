"""What a model answered and what came true, as the scan counts it: cells of outcome and prediction, measured quantities, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.measure.answers import CLIP, Answers, Cell, Task, measured_buckets
from bq_monitor.measure.histogram import Buckets, Histogram, coarse_edges, interval_name
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.scan import Cells, Counted, Labels, Scan, TimeRange, histogram_from_row
from bq_monitor.segments import keys
from bq_monitor.warehouse.base import Clause, Dialect, Param, Relation, Row, Statement
from bq_monitor.warehouse.fragments import LABELS, NUMBERS, TIMES, value
from bq_monitor.warehouse.identifiers import quote_column

N_PREDICTED, N_OUTCOMES = 10, 4
"""In how many parts predictions and outcomes of a regression are told apart."""
MAX_CLASSES = 50
OTHER_CLASS, ANOTHER_CLASS = "(other)", "(another)"
JOINT = "joint:"
"""What stands before the name of a feature that is counted by outcome."""
_POSITIVE_TEXTS = ("1", "true", "True", "yes", "Yes", "Y", "positive")


def as_label(given: Any) -> str:
    """A class as its label is written: booleans in lower case, whole numbers without a point."""
    if isinstance(given, bool):
        return str(given).lower()
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


def positive_of(labels: Sequence[str], said: Any = None) -> str | None:
    """The positive class: as said, else the one of two classes whose name says so; None where it cannot be told."""
    if said is not None:
        return as_label(said)
    known = [text for text in _POSITIVE_TEXTS if text in labels and len(labels) <= 2]
    return known[0] if known else None


@dataclass(frozen=True)
class Scheme:
    """How answers and outcomes are told apart; frozen with a reference.

    Args:
        positive, negative: the two classes of a binary task; anything but the positive one is the negative one.
        label_positive: the positive class as outcomes name it.
        classes: of a multiclass task; others are `(other)`.
        predicted_edges, outcome_edges: cuts of a regression.
        score: the buckets of the score.
    """

    task: Task
    positive: str | None = None
    negative: str = "other"
    label_positive: str | None = None
    classes: tuple[str, ...] = ()
    predicted_edges: tuple[float, ...] = ()
    outcome_edges: tuple[float, ...] = ()
    score: Buckets | None = None

    @classmethod
    def of(cls, config: MonitorConfig, reference: Reference) -> Scheme | None:
        """The scheme of a reference; None where no prediction is configured, or its positive class cannot be told."""
        by_role = {feature.role: feature for feature in (*reference.features, *reference.labels)}
        said, answer, label = config.prediction, by_role.get("prediction"), by_role.get("label")
        if said is None or answer is None:
            return None
        if said.kind == "regression":
            return _regression(answer, label)
        score, labels = by_role.get("score"), answer.histogram.buckets.labels
        buckets = score.histogram.buckets if score else None
        if said.kind == "multiclass":
            found = dict.fromkeys((*labels, *(label.histogram.buckets.labels if label else ())))
            return cls("multiclass", classes=tuple(found)[:MAX_CLASSES], score=buckets)
        positive = positive_of(labels, said.positive)
        if positive is None:
            return None
        label_positive = _label_positive(config, label, positive)
        if label_positive is None:
            return None
        others = [text for text in labels if text != positive]
        negative = others[0] if len(others) == 1 else f"not {positive}"
        return cls("binary", positive, negative, label_positive, score=buckets)

    @cached_property
    def params(self) -> dict[str, Param]:
        """The parameters that the expressions below name."""
        texts = {"positive": self.positive, "negative": self.negative, "label_positive": self.label_positive}
        texts |= {f"class_{i}": text for i, text in enumerate(self.classes)} | {
            "other_class": OTHER_CLASS,
            "another_class": ANOTHER_CLASS,
        }
        cuts = {f"predicted_{i}": edge for i, edge in enumerate(self.predicted_edges)}
        cuts |= {f"outcome_{i}": edge for i, edge in enumerate(self.outcome_edges)}
        return {name: Param("STRING", text) for name, text in texts.items()} | {
            name: Param("FLOAT64", edge) for name, edge in cuts.items()
        }

    def predicted(self, answer: str) -> str:
        """GoogleSQL of the cell of an answer."""
        if self.task == "regression":
            return _part(answer, "predicted", len(self.predicted_edges))
        return self._class(answer, "positive")

    def outcome(self, outcome: str, answer: str) -> str:
        """GoogleSQL of the cell of an outcome; one of the classes that are not told apart is `(other)` only where it is the answer."""
        if self.task == "regression":
            return _part(outcome, "outcome", len(self.outcome_edges))
        rest = f"CASE WHEN {outcome} = {answer} THEN @other_class ELSE @another_class END"
        return self._class(outcome, "label_positive", rest)

    def _class(self, text: str, positive: str, rest: str = "@other_class") -> str:
        if self.task == "binary":
            return f"CASE WHEN {text} IS NULL THEN NULL WHEN {text} = @{positive} THEN @positive ELSE @negative END"
        among = ", ".join(f"@class_{i}" for i in range(len(self.classes)))
        return f"CASE WHEN {text} IS NULL THEN NULL WHEN {text} IN ({among}) THEN {text} ELSE {rest} END"

    def outcome_name(self, outcome: str) -> str:
        """What a person calls the outcome of a cell: the class, or the interval that a part stands for."""
        if self.task != "regression":
            return outcome
        edges = (None, *self.outcome_edges, None)
        return interval_name((edges[int(outcome)], edges[int(outcome) + 1]))

    def measured(self, answer: str, score: str | None, outcome: str) -> dict[str, str]:
        """GoogleSQL of what is measured of each row, by name; the module `measure.answers` says what each is."""
        if self.task == "regression":
            error = f"({answer} - {outcome})"
            return {
                "score": answer, "actual": outcome, "error": error, "absolute_error": f"ABS{error}",
                "relative_error": f"CASE WHEN {outcome} <> 0 THEN ABS{error} / ABS({outcome}) END",
            }  # fmt: skip
        if score is None:
            return {"rows": "1.0"}
        if self.task == "multiclass":
            return {"score": score, "confidence": score}
        loss = (
            f"CASE WHEN {outcome} IS NULL OR {score} IS NULL OR IS_NAN({score}) OR {score} < 0 OR {score} > 1 THEN NULL "
            f"WHEN {outcome} = @label_positive THEN CASE WHEN {score} > {CLIP} THEN -LN({score}) ELSE -LN({CLIP}) END "
            f"WHEN 1 - {score} > {CLIP} THEN -LN(1 - {score}) ELSE -LN({CLIP}) END"
        )
        return {
            "score": score,
            "confidence": f"CASE WHEN {score} >= 0.5 THEN {score} ELSE 1 - {score} END",
            "log_loss": loss,
        }


def _label_positive(config: MonitorConfig, label: FeatureReference | None, positive: str) -> str | None:
    """How outcomes name the positive class: as said, as the answers do, or as their own labels tell; None where these do not."""
    said = config.labels.positive if config.labels else None
    if said is not None:
        return as_label(said)
    labels = label.histogram.buckets.labels if label else (positive,)
    return positive if positive in labels else positive_of(labels)


def _regression(answer: FeatureReference, label: FeatureReference | None) -> Scheme:
    predicted = coarse_edges(answer.histogram, N_PREDICTED)
    outcome = coarse_edges((label or answer).histogram, N_OUTCOMES)
    return Scheme(
        "regression", predicted_edges=tuple(predicted), outcome_edges=tuple(outcome), score=answer.histogram.buckets
    )


def _part(number: str, name: str, n_edges: int) -> str:
    """In which part a number lies, as text."""
    cuts = " ".join(f"WHEN {number} < @{name}_{i} THEN '{i}'" for i in range(n_edges))
    return f"CASE WHEN {number} IS NULL OR IS_NAN({number}) THEN NULL {cuts} ELSE '{n_edges}' END"


@dataclass(frozen=True)
class Sources:
    """What a run reads: the log, and the table of labels, if there is one."""

    log: Relation
    labels: Relation | None = None


@dataclass(frozen=True)
class Outcomes:
    """Where outcomes are found: GoogleSQL of the raw outcome over the log, with the labels joined to it, if any are.

    `time` is the column of the log that says when an outcome of its own came.
    """

    raw: Clause
    labels: Labels | None = None
    time: TimeRange | None = None


def outcomes_of(
    config: MonitorConfig, log: Relation, labels: Relation | None = None, known_at: datetime | None = None
) -> Outcomes:
    """Where the outcomes of a log are: in a table of labels, in a column of the log (also of training data), or nowhere.

    Args:
        labels: the table of labels; None: outcomes are a column of `log`, if it has it.
        known_at: only labels that came before count, where `labels.timestamp` says when they came.
    """
    said = config.labels
    is_number = config.prediction is not None and config.prediction.kind == "regression"
    if said is None or (labels is None and said.column not in log.columns):
        return Outcomes(Clause(f"CAST(NULL AS {'FLOAT64' if is_number else 'STRING'})"))
    if labels is not None:
        return _joined(config, log, labels, known_at, is_number)
    raw = _outcome(said.column, log, is_number)
    if said.timestamp is None or known_at is None:
        return Outcomes(Clause(raw))
    time = _label_time(config, log, known_at)
    moment = known_at.astimezone(config.window.timezone)
    bound: Any = {"DATE": moment.date(), "DATETIME": moment.replace(tzinfo=None)}.get(time.type, known_at)
    column = f"t.{quote_column(said.timestamp, 'bigquery')}"
    known = {"labels_known_at": Param(time.type, bound)}
    return Outcomes(Clause(f"CASE WHEN {column} < @labels_known_at THEN {raw} END", known), time=time)


def _label_time(config: MonitorConfig, relation: Relation, known_at: datetime) -> TimeRange:
    assert config.labels is not None and config.labels.timestamp is not None  # noqa: S101 - asked for where it is said
    name = config.labels.timestamp
    kind = _require(relation, "labels.timestamp", name, TIMES)
    return TimeRange(name, kind, known_at, known_at, config.window.granule, config.window.timezone)


def _joined(
    config: MonitorConfig, log: Relation, labels: Relation, known_at: datetime | None, is_number: bool
) -> Outcomes:
    said, source = config.labels, config.source
    assert said is not None and source.id is not None  # noqa: S101 - checked with the configuration
    theirs = said.id or source.id
    mine_type = _require(log, "source.id", source.id, LABELS)
    their_type = _require(labels, "labels.id", theirs, LABELS)
    plain = mine_type == their_type and mine_type not in ("FLOAT64", "NUMERIC")
    mine, other = (f"t.{quote_column(name, 'bigquery')}" for name in (source.id, theirs))
    time = _label_time(config, labels, known_at) if said.timestamp is not None and known_at is not None else None
    joined = Labels(
        labels, mine if plain else value("categorical", mine, mine_type), other if plain else value("categorical", other, their_type),
        _outcome(said.column, labels, is_number), time, time is not None and said.contradictory == "newest",
    )  # fmt: skip
    return Outcomes(Clause("y.outcome"), joined)


def _outcome(column: str, relation: Relation, is_number: bool) -> str:
    """GoogleSQL of an outcome over the alias `t`: a finite number, or a class as text."""
    kind = _require(relation, "labels.column", column, NUMBERS if is_number else LABELS)
    sql = value("numeric" if is_number else "categorical", f"t.{quote_column(column, 'bigquery')}", kind)
    if is_number:
        return f"CASE WHEN IS_NAN({sql}) OR IS_INF({sql}) THEN NULL ELSE {sql} END"
    return _class(sql, kind)


def _class(text: str, kind: str) -> str:
    """A class as text, NULL where a float is no number."""
    return f"NULLIF({text}, 'NaN')" if kind in ("FLOAT64", "NUMERIC") else text


def _require(relation: Relation, place: str, column: str, allowed: Sequence[str]) -> str:
    """The type of a column; raises `InputError` where it is missing, or of another type than those allowed."""
    if column not in relation.columns:
        raise InputError.missing_columns(f"{relation.place}: {place}", [column], relation.columns)
    kind = relation.columns[column]
    if kind not in allowed:
        raise InputError.wrong_type(
            f"{relation.place}: {place} {column!r}", kind, ", ".join(allowed), "Name another column."
        )
    return kind


def answers_scan(scan: Scan, config: MonitorConfig, scheme: Scheme, outcomes: Outcomes, listed: Sequence[str]) -> Scan:
    """The scan of a log (or of training data) that counts answers: what is measured, by segment, outcome and prediction.

    `listed`: the segments to tell apart.
    """
    said = config.prediction
    assert said is not None  # noqa: S101 - there is a scheme
    answer = _answer(scan.relation, said.column, scheme)
    score = said.score and f"CAST(t.{quote_column(said.score, 'bigquery')} AS FLOAT64)"
    found = scheme.measured(answer, score, outcomes.raw.sql)
    measured = [Counted(name, measured_buckets(name, scheme.score), sql, is_float=True) for name, sql in found.items()]
    if (latency := config.quality.latency_ms) and latency.column in scan.relation.columns:
        sql = f"CAST(t.{quote_column(latency.column, 'bigquery')} AS FLOAT64)"
        measured.append(Counted("latency", measured_buckets("latency", None), sql, is_float=True))
    return replace(
        scan, features=tuple(measured), segments=keys(config, scan.relation, listed), labels=outcomes.labels,
        cells=_cells(scheme, answer, outcomes),
    )  # fmt: skip


def joint_scan(
    scan: Scan, features: Sequence[Counted], config: MonitorConfig, scheme: Scheme, outcomes: Outcomes
) -> Scan:
    """The scan that counts features by outcome and prediction."""
    assert config.prediction is not None  # noqa: S101 - there is a scheme
    answer = _answer(scan.relation, config.prediction.column, scheme)
    return replace(scan, features=tuple(features), labels=outcomes.labels, cells=_cells(scheme, answer, outcomes))


def arrivals_statement(scan: Scan, config: MonitorConfig, outcomes: Outcomes, dialect: Dialect) -> Statement:
    """The statement that counts rows, ids and known outcomes of a log, per granule and model version."""
    if config.source.id:
        _require(scan.relation, "source.id", config.source.id, LABELS)
    return scan.arrivals(outcomes.raw, outcomes.labels, outcomes.time, config.source.id, dialect)


def why_not_answers(config: MonitorConfig, log: Relation) -> str | None:
    """Why the answers in a log cannot be counted; None where they can."""
    said = config.prediction
    if said is None:
        return None
    is_number = said.kind == "regression"
    for name, allowed in ((said.column, NUMBERS if is_number else LABELS), (said.score, NUMBERS)):
        if name and name not in log.columns:
            return f"missing column {name!r}"
        if name and log.columns[name] not in allowed:
            return f"column {name!r} is of type {log.columns[name]}; allowed: {', '.join(allowed)}"
    return None


def _cells(scheme: Scheme, answer: str, outcomes: Outcomes) -> Cells:
    params = {**scheme.params, **outcomes.raw.params}
    return Cells(scheme.outcome(outcomes.raw.sql, answer), scheme.predicted(answer), params)


def _answer(relation: Relation, column: str, scheme: Scheme) -> str:
    """GoogleSQL of the raw answer: a number, or a class as text."""
    is_number = scheme.task == "regression"
    kind = _require(relation, "prediction.column", column, NUMBERS if is_number else LABELS)
    sql = value("numeric" if is_number else "categorical", f"t.{quote_column(column, 'bigquery')}", kind)
    return sql if is_number else _class(sql, kind)


def answers_from_rows(rows: Sequence[Row], scheme: Scheme) -> dict[str, Answers]:
    """Rows of an answers scan, stored or summed, by segment."""
    cells: dict[str, dict[Cell, dict[str, Histogram]]] = {}
    for row in rows:
        name, cell = row["feature"], (row["outcome"], row["predicted"])
        measured = cells.setdefault(row["segment"], {}).setdefault(cell, {})
        measured[name] = histogram_from_row(row, measured_buckets(name, scheme.score))
    return {segment: Answers(scheme.task, found, scheme.positive) for segment, found in cells.items()}
