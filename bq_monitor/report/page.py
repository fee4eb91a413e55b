"""What a report says, as frozen values: verdicts, answers, checks and alerts, as they were stored. Nothing is reckoned here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, Literal

from bq_monitor.measure.verdict import Status

SCHEMA_VERSION = 1
ALL = "all"
_WORST = {"drift": 0, "ok": 1, "not_evaluated": 2, "excluded": 3}


@dataclass(frozen=True)
class Bucket:
    """A bucket of a feature: shares 0..1 of both sides, and its part of the PSI."""

    bucket: str | None
    baseline_share: float | None = None
    current_share: float | None = None
    psi: float | None = None


@dataclass(frozen=True)
class Point:
    """One feature in one window of the past."""

    window_start: datetime
    window_end: datetime
    status: Status
    reason: str | None = None
    metric: str | None = None
    value: float | None = None
    threshold: float | None = None
    noise_floor: float | None = None
    lower: float | None = None
    upper: float | None = None
    drift_score: float | None = None
    n_current: int | None = None


@dataclass(frozen=True)
class FeatureVerdict:
    """One verdict: a feature, in a segment, against a baseline. `metrics` has every number that was measured, by its column."""

    feature: str
    role: str
    kind: str | None
    status: Status
    reason: str | None = None
    model_version: str | None = None
    segment: str = ALL
    baseline: str = "training"
    drift_score: float | None = None
    n_baseline: int | None = None
    n_current: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    metric: str | None = None
    threshold: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_adjusted: float | None = None
    alpha: float | None = None
    explanation: str | None = None
    trend_p_value: float | None = None
    trend_crosses_at: datetime | None = None
    contributions: tuple[Bucket, ...] = ()
    timeline: tuple[Point, ...] = ()

    @property
    def value(self) -> float | None:
        """The deciding metric's."""
        return self.metrics.get(self.metric) if self.metric else None


@dataclass(frozen=True)
class FeatureRow:
    """A feature of a model version: its worst verdict over all rows, and the others: by baseline, then by segment."""

    worst: FeatureVerdict
    baselines: tuple[FeatureVerdict, ...] = ()
    segments: tuple[FeatureVerdict, ...] = ()


@dataclass(frozen=True)
class Score:
    """One number of how good the answers are; `bins` and `confusion` are rows as the table has them."""

    metric: str
    basis: str
    window_start: datetime | None = None
    window_end: datetime | None = None
    model_version: str | None = None
    segment: str = ALL
    is_provisional: bool = False
    status: Status = "ok"
    reason: str | None = None
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    reference_value: float | None = None
    n_rows: int | None = None
    n_labelled: int | None = None
    n: int | None = None
    rule: str | None = None
    explanation: str | None = None
    confusion: tuple[Mapping[str, Any], ...] = ()
    bins: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_concept(self) -> bool:
        """Whether it tells what changed between inputs and outcomes."""
        return self.metric == "shift" or self.metric.startswith("concept:")

    @property
    def is_fairness(self) -> bool:
        """Whether it sets a group beside another."""
        return self.metric.endswith(("_ratio", "_difference")) and self.metric.split("_")[0] in (
            "selection", "tpr", "fpr", "ppv",
        )  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One check of the data; `status` is None where no limit is set at all."""

    check: str
    feature: str | None = None
    status: Status | None = None
    reason: str | None = None
    value: float | None = None
    reference_value: float | None = None
    limit: float | None = None
    n_rows: int | None = None
    explanation: str | None = None
    model_version: str | None = None


@dataclass(frozen=True)
class Alert:
    """An alert that stands."""

    kind: str
    severity: str
    message: str
    feature: str | None = None
    segment: str | None = ALL
    alert_id: str | None = None
    status: str | None = None
    measure: str | None = None
    since: datetime | None = None
    window_end: datetime | None = None
    n_windows: int | None = None
    acknowledged_by: str | None = None
    note: str | None = None
    snoozed_until: datetime | None = None
    is_unknown: bool | None = None


@dataclass(frozen=True)
class HealthPart:
    """A part of the health, 0..100; None where it could not be evaluated."""

    part: str
    score: float | None
    weight: int
    why: str
    model_version: str | None = None


@dataclass(frozen=True)
class Health:
    """The health of a model version, 0..100, with its parts."""

    health: float | None
    parts: tuple[HealthPart, ...]
    model_version: str | None = None


@dataclass(frozen=True)
class Page:
    """A report: what it is about, what was found, and what it was made from.

    Args:
        name: the monitor, or what was compared.
        kind: `run`: a window of a monitor; `comparison`: two data sets.
        reference: what the verdicts compare with, in words (`training`, `the baseline`).
        features: every verdict: of all rows and of segments, against each baseline.
        performance: the newest numbers of the answers; with outcomes those of the newest window whose outcomes have come.
        history: numbers of the answers of all rows over the last windows.
        quality: the checks of the data.
        alerts: those that stand now.
        notes: what was assumed, and what else there is to know.
        made_from: pairs of words: what, and which.
        owner, runbook: who to ask, and what to do.
    """

    name: str
    kind: Literal["run", "comparison"]
    reference: str = "training"
    window_start: datetime | None = None
    window_end: datetime | None = None
    n_baseline: int | None = None
    n_current: int | None = None
    share_drifted: float | None = None
    features: tuple[FeatureVerdict, ...] = ()
    performance: tuple[Score, ...] = ()
    history: tuple[Score, ...] = ()
    quality: tuple[Check, ...] = ()
    alerts: tuple[Alert, ...] = ()
    health: tuple[Health, ...] = ()
    notes: tuple[str, ...] = ()
    made_from: tuple[tuple[str, str], ...] = ()
    owner: str | None = None
    runbook: str | None = None

    @property
    def versions(self) -> list[str | None]:
        """The model versions that were judged, in order."""
        return list(dict.fromkeys(item.model_version for item in self.features))

    @property
    def rows(self) -> list[FeatureRow]:
        """A row a feature and model version, the worst first."""
        groups: dict[tuple[str | None, str], list[FeatureVerdict]] = {}
        for item in self.features:
            groups.setdefault((item.model_version, item.feature), []).append(item)
        return sorted((_row(found) for found in groups.values()), key=lambda row: _rank(row.worst))

    @property
    def segments(self) -> dict[str, list[FeatureVerdict]]:
        """The verdicts of each segment."""
        found: dict[str, list[FeatureVerdict]] = {}
        for item in self.features:
            if item.segment != ALL:
                found.setdefault(item.segment, []).append(item)
        return found

    @property
    def verdict(self) -> str:
        """How many features drifted and how good the answers are, in one sentence."""
        from bq_monitor.report.sentence import verdict

        return verdict(self)

    @property
    def findings(self) -> tuple[str, ...]:
        """What else is wrong, a sentence each."""
        from bq_monitor.report.sentence import findings

        return findings(self)

    @property
    def status(self) -> Status:
        """`drift` where anything drifted or broke a limit (other than provisional numbers), `not_evaluated` where nothing was judged."""
        found = {item.status for item in self.features} | {
            item.status for item in self.performance if not (item.basis == "realised" and item.is_provisional)
        }
        if "drift" in found or any(item.status == "drift" for item in self.quality):
            return "drift"
        return "ok" if any(item.status == "ok" for item in self.features) else "not_evaluated"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, named as in the JSON of `compare` and `run`; what is not known is None, never NaN."""
        return {
            "schema_version": SCHEMA_VERSION, "monitor": self.name, "verdict": self.verdict, "findings": list(self.findings), "status": self.status,
            "window_start": _plain(self.window_start), "window_end": _plain(self.window_end), "share_drifted": self.share_drifted,
            "n_baseline": self.n_baseline, "n_current": self.n_current,
            "features": _plain(self.features), "performance": _plain(self.performance), "performance_history": _plain(self.history),
            "segments": [
                {"segment": segment, "status": worst_status(found), "drifted": names_of(found, "drift")}
                for segment, found in self.segments.items()
            ],
            "quality": _plain(self.quality), "alerts": _plain(self.alerts),
            "health": min((item.health for item in self.health if item.health is not None), default=None),
            "health_parts": [_plain(part) for item in self.health for part in item.parts],
            "notes": list(self.notes), "made_from": dict(self.made_from), "owner": self.owner, "runbook": self.runbook,
        }  # fmt: skip


def worst_status(found: Iterable[FeatureVerdict]) -> Status:
    """`drift` before `ok` before `not_evaluated`."""
    return min((item.status for item in found), key=_WORST.__getitem__, default="not_evaluated")


def names_of(found: Sequence[FeatureVerdict], status: Status) -> list[str]:
    """The features with a status, each once."""
    return list(dict.fromkeys(item.feature for item in found if item.status == status))


def _row(found: list[FeatureVerdict]) -> FeatureRow:
    whole = [item for item in found if item.segment == ALL] or found
    worst = min(whole, key=lambda item: (_WORST[item.status], -(item.drift_score or 0.0), item.baseline != "training"))
    others = [item for item in found if item is not worst]
    return FeatureRow(
        worst,
        tuple(item for item in others if item.segment == worst.segment),
        tuple(item for item in others if item.segment != worst.segment),
    )


def _rank(item: FeatureVerdict) -> tuple[int, float, str, str]:
    return _WORST[item.status], -(item.drift_score or 0.0), item.feature, item.model_version or ""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (tuple, list)) else value
