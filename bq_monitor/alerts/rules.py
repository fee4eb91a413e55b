"""Which verdicts are worth an event, how severe it is, and the sentence that says it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bq_monitor.config import MonitorConfig
from bq_monitor.measure.verdict import Verdict, dataset_drifted, share_drifted

if TYPE_CHECKING:
    from bq_monitor.plan import Judgement
    from bq_monitor.results import DriftResult

Severity = Literal["info", "warning", "critical"]
Kind = Literal["drift", "prediction_drift", "dataset_drift"]


@dataclass(frozen=True)
class Event:
    """Something a run found: a row of `alert_events`. `feature` is None for what concerns the whole window."""

    judgement: Judgement
    kind: Kind
    severity: Severity
    message: str
    feature: str | None = None
    segment: str = "all"
    baseline: str = "training"


def events_of(results: Sequence[DriftResult], config: MonitorConfig) -> list[Event]:
    """The events of one window: each drifted feature or prediction, and the data set as a whole, worst first."""
    single = [_event(result) for result in results if result.verdict.status == "drift"]
    verdicts = [result.verdict for result in results]
    if results and dataset_drifted(verdicts, config.detection.share_drifted):
        message = dataset_sentence(verdicts, config.detection.share_drifted)
        single.append(Event(results[0].judgement, "dataset_drift", "critical", message))
    return sorted(single, key=lambda event: ("critical", "warning", "info").index(event.severity))


def _event(result: DriftResult) -> Event:
    kind, severity = severity_of(result.role)
    message = sentence(result.feature, result.verdict)
    return Event(result.judgement, kind, severity, message, result.feature, result.segment, result.baseline)


def severity_of(role: str) -> tuple[Kind, Severity]:
    """A drifted feature is a warning; drifted predictions are critical: they are what the model does."""
    return ("prediction_drift", "critical") if role in ("prediction", "score") else ("drift", "warning")


def dataset_sentence(verdicts: Sequence[Verdict], limit: float) -> str:
    """How much of a window drifted, in words."""
    return f"{share_drifted(verdicts) or 0.0:.0%} of the evaluated features drifted (limit {limit:.0%})"


def sentence(feature: str, verdict: Verdict) -> str:
    """What moved, in words: the bucket that contributes most, its share now and before."""
    value = verdict.divergences.js_distance if verdict.metric == "js_distance" else verdict.divergences.psi
    text = (
        f"{feature} drifted: {verdict.metric} {value:.3g} (threshold {verdict.threshold:g}, n = {verdict.n_current:,})"
    )
    if verdict.contributions:
        top = max(verdict.contributions, key=lambda item: item.psi)
        text += f"; {top.bucket}: {top.current_share:.1%} now, {top.baseline_share:.1%} in the baseline"
    return text
