"""What a run finds, in Python and as rows of our tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bq_monitor import __version__
from bq_monitor.alerts.life import alert_id
from bq_monitor.alerts.rules import Event, worst
from bq_monitor.budget import price
from bq_monitor.history import Series
from bq_monitor.measure.divergence import Divergences
from bq_monitor.measure.explanation import sentence
from bq_monitor.measure.verdict import Verdict, dataset_drifted, share_drifted
from bq_monitor.outcome_results import PerformanceResult
from bq_monitor.plan import Judgement, Plan
from bq_monitor.timegrid import Window
from bq_monitor.warehouse.base import JobStats, Row
from bq_monitor.warehouse.schema import DRIFT_RESULTS, PERFORMANCE_RESULTS

if TYPE_CHECKING:
    import pandas as pd

    from bq_monitor.alerts.life import Transition
    from bq_monitor.alerts.outbox import Dispatched
    from bq_monitor.checking import QualityResult


@dataclass(frozen=True)
class DriftResult:
    """One verdict with what it is about: a row of `drift_results`."""

    judgement: Judgement
    feature: str
    role: str
    kind: str | None
    verdict: Verdict
    segment: str = "all"
    baseline: str = "training"

    @property
    def series(self) -> Series:
        """The series of windows that it belongs to."""
        reference = self.judgement.reference
        reference_id = reference.reference_id if reference else None
        return Series(reference_id, self.judgement.model_version, self.segment, self.feature, self.baseline)

    @property
    def explanation(self) -> str | None:
        """What moved, in words; None when nothing did."""
        return sentence(self.feature, self.verdict.shifts, self.baseline) or None


@dataclass(frozen=True)
class RunResult:
    """What a run found. `windows` are those judged now; without any, everything due was done before.

    `n_windows_left` are due, but were left to the next run: it is to be called again until none is. `events` are what windows show,
    `transitions` what became of alerts by it.
    """

    monitor: str
    run_id: str
    as_of: datetime
    results: tuple[DriftResult, ...]
    events: tuple[Event, ...]
    n_granules_counted: int
    cost: JobStats
    duration_seconds: float
    n_windows_left: int = 0
    is_backfill: bool = False
    performance: tuple[PerformanceResult, ...] = ()
    quality: tuple[QualityResult, ...] = ()
    transitions: tuple[Transition, ...] = ()
    delivered: Dispatched | None = None
    actions: tuple[Row, ...] = ()

    @property
    def windows(self) -> list[Window]:
        return sorted({result.judgement.window for result in self.results})

    @property
    def has_findings(self) -> bool:
        """Whether anything drifted or broke a limit; what rests on outcomes that may still change does not count."""
        scored = (r for r in self.performance if r.basis != "realised" or not r.judgement.is_provisional)
        checked = (
            r for r in self.quality if r.check.name != "type"
        )  # what cannot be counted is not evaluated, no drift
        statuses = (*(r.status for r in scored), *(r.check.status for r in checked))
        return self.count("drift") > 0 or "drift" in statuses

    def count(self, status: str) -> int:
        """How many verdicts have a status."""
        return sum(result.verdict.status == status for result in self.results)

    @property
    def unevaluated_features(self) -> list[str]:
        """Features that could not be evaluated in any window of this run."""
        return sorted(_wholly_unevaluated(self.results))

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values: counts, events, and one entry a verdict."""
        return {
            "monitor": self.monitor, "run_id": self.run_id, "as_of": self.as_of.isoformat(),
            "windows": [{"start": w.start.isoformat(), "end": w.end.isoformat()} for w in self.windows],
            "n_windows_left": self.n_windows_left, "is_backfill": self.is_backfill,
            "n_granules_counted": self.n_granules_counted, "duration_seconds": self.duration_seconds,
            "bytes_processed": self.cost.bytes_processed, "bytes_billed": self.cost.bytes_billed,
            "n_ok": self.count("ok"), "n_drift": self.count("drift"), "n_not_evaluated": self.count("not_evaluated"),
            "events": [{"kind": e.kind, "severity": e.severity, "feature": e.feature, "message": e.message} for e in self.events],
            "results": [_summary(result) for result in self.results],
            "performance": [_scored(result) for result in self.performance],
            "quality": [_checked(result) for result in self.quality],
            "alerts": [_became(transition, self.monitor) for transition in self.transitions],
            "notifications": None if self.delivered is None else {
                "n_sent": self.delivered.n_sent, "n_waiting": self.delivered.n_waiting, "given_up": dict(self.delivered.given_up),
            },
            "actions": [{name: row[name] for name in ("action_id", "action", "kind", "status", "outcome")} for row in self.actions],
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row a verdict, the columns of `to_dict()["results"]`."""
        import pandas as pd

        return pd.DataFrame([_summary(result) for result in self.results])


def result_row(result: DriftResult, outcome: RunResult, computed_at: datetime) -> Row:
    verdict, judgement = result.verdict, result.judgement
    evidence = {
        item.name: getattr(verdict, item.name)
        for item in fields(Verdict)
        if item.name not in ("divergences", "contributions", "shifts")
    }
    metrics = {item.name: getattr(verdict.divergences, item.name) for item in fields(Divergences)}
    known = {
        **evidence, **metrics,
        "monitor": outcome.monitor, "model_version": judgement.model_version, "run_id": outcome.run_id, "computed_at": computed_at,
        "reference_id": judgement.reference.reference_id if judgement.reference else None,
        "window_start": judgement.window.start, "window_end": judgement.window.end, "verdict_key": judgement.verdict_key,
        "segment": result.segment, "feature": result.feature, "role": result.role, "kind": result.kind, "baseline": result.baseline,
        "explanation": result.explanation, "carrier": verdict.shifts[0].carrier if verdict.shifts else None,
        "contributions": [vars(item) for item in verdict.contributions],
    }  # fmt: skip
    return {column.name: known[column.name] for column in DRIFT_RESULTS.columns}


def performance_row(result: PerformanceResult, outcome: RunResult, computed_at: datetime) -> Row:
    judgement, measured = result.judgement, result.measured
    lower, upper = result.bounds
    known = {
        **vars(result), "monitor": outcome.monitor, "model_version": judgement.model_version, "run_id": outcome.run_id,
        "computed_at": computed_at, "reference_id": judgement.reference.reference_id if judgement.reference else None,
        "window_start": judgement.window.start, "window_end": judgement.window.end, "verdict_key": judgement.verdict_key,
        "scan_definition_id": judgement.scan_definition_id,
        "is_provisional": judgement.is_provisional, "value": measured.value, "lower": lower, "upper": upper, "bound": measured.bound,
        "n": measured.n, "confusion": list(result.confusion), "bins": list(result.bins),
    }  # fmt: skip
    return {column.name: known[column.name] for column in PERFORMANCE_RESULTS.columns}


def run_row(plan: Plan, outcome: RunResult, started: datetime, finished: datetime) -> Row:
    window = plan.windows[-1] if plan.windows else None
    newest = [
        [r.verdict for r in worst(found) if r.segment == "all"]
        for (w, _), found in by_judgement(outcome.results).items()
        if w == window
    ]
    limit = plan.config.detection.share_drifted
    return {
        "monitor": outcome.monitor, "run_id": outcome.run_id, "started_at": started, "finished_at": finished, "as_of": outcome.as_of,
        "is_backfill": plan.is_backfill, "coverage_key": plan.coverage_key, "granules_to": plan.granules_to, "window_end": plan.watermark,
        "n_windows": len(plan.windows), "n_windows_left": outcome.n_windows_left, "n_granules_counted": outcome.n_granules_counted,
        "n_ok": outcome.count("ok"), "n_drift": outcome.count("drift"), "n_not_evaluated": outcome.count("not_evaluated"),
        "share_drifted": max((share for share in map(share_drifted, newest) if share is not None), default=None),
        "dataset_drift": any(dataset_drifted(verdicts, limit) for verdicts in newest),
        "bytes_processed": outcome.cost.bytes_processed, "bytes_billed": outcome.cost.bytes_billed,
        "cost": price(outcome.cost.bytes_billed, plan.config.budget), "slot_ms": outcome.cost.slot_ms,
        "duration_seconds": outcome.duration_seconds, "package_version": __version__,
    }  # fmt: skip


def by_judgement(results: Iterable[DriftResult]) -> dict[tuple[Window, str], list[DriftResult]]:
    """Results by window and model version, in their order."""
    groups: dict[tuple[Window, str], list[DriftResult]] = {}
    for result in results:
        groups.setdefault((result.judgement.window, result.judgement.model_version), []).append(result)
    return groups


def _scored(result: PerformanceResult) -> dict[str, Any]:
    window, (lower, upper) = result.judgement.window, result.bounds
    return {
        "window_start": window.start.isoformat(), "window_end": window.end.isoformat(), "model_version": result.judgement.model_version,
        "segment": result.segment, "basis": result.basis, "metric": result.metric, "status": result.status, "reason": result.reason,
        "value": result.measured.value, "lower": lower, "upper": upper, "reference_value": result.reference_value, "rule": result.rule,
        "p_adjusted": result.p_adjusted, "is_provisional": result.judgement.is_provisional, "n_rows": result.n_rows,
        "n_labelled": result.n_labelled, "explanation": result.explanation,
    }  # fmt: skip


def _became(transition: Transition, monitor: str) -> dict[str, Any]:
    alert = transition.alert
    return {
        "alert_id": alert_id(monitor, alert.key), "event": transition.event, "severity": alert.severity, **alert.key._asdict(),
        "since": alert.since.isoformat(), "window_end": alert.window.end.isoformat(), "n_windows": alert.n_windows,
        "notify": transition.notify,
    }  # fmt: skip


def _checked(result: QualityResult) -> dict[str, Any]:
    window, check = result.judgement.window, result.check
    return {
        "window_start": window.start.isoformat(), "window_end": window.end.isoformat(), "model_version": result.judgement.model_version,
        "check": check.name, "feature": check.feature, "status": check.status, "reason": check.reason, "value": check.value,
        "reference_value": check.reference_value, "limit": check.limit, "explanation": check.explanation,
    }  # fmt: skip


def _wholly_unevaluated(results: Sequence[DriftResult]) -> set[str]:
    evaluated = {result.feature for result in results if result.verdict.status != "not_evaluated"}
    return {result.feature for result in results} - evaluated


def _summary(result: DriftResult) -> dict[str, Any]:
    verdict, window = result.verdict, result.judgement.window
    return {
        "window_start": window.start.isoformat(), "window_end": window.end.isoformat(), "model_version": result.judgement.model_version,
        "segment": result.segment, "feature": result.feature, "role": result.role, "baseline": result.baseline,
        "status": verdict.status, "reason": verdict.reason,
        "n_current": verdict.n_current, "drift_score": verdict.drift_score, "js_distance": verdict.divergences.js_distance,
        "psi": verdict.divergences.psi, "p_adjusted": verdict.p_adjusted, "explanation": result.explanation,
    }  # fmt: skip
