"""Which numbers of answers and outcomes are worth an event, and the sentence that says it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bq_monitor.alerts.messages import WORST_FIRST, Kind, Severity
from bq_monitor.alerts.rules import Event, with_severities
from bq_monitor.concepts import CONCEPT, SHIFT
from bq_monitor.config import MonitorConfig
from bq_monitor.outcome_results import PerformanceResult

MAX_CONCEPTS = 3
"""So many features are named when what follows from them moved; the rest are rows."""
_SHARES = ("accuracy_js_divergence",)


def performance_events(results: Sequence[PerformanceResult], config: MonitorConfig) -> list[Event]:
    """The events of windows, worst first within each: broken limits, accuracy drift, concept shift.

    What rests on outcomes waits for them to mature.
    """
    found = with_severities([*_limits(results), *_concepts(results)], config)
    return sorted(found, key=lambda event: (event.judgement.window, WORST_FIRST.index(event.severity)))


def is_early(result: PerformanceResult) -> bool:
    """Whether it rests on outcomes that may still change: nothing is said of it yet."""
    return result.judgement.is_provisional and (result.basis == "realised" or result.metric == SHIFT)


def _limits(results: Sequence[PerformanceResult]) -> Iterator[Event]:
    for result in results:
        if result.status != "drift" or is_early(result) or result.metric == SHIFT or result.metric.startswith(CONCEPT):
            continue
        kind, severity = kind_of(result)
        yield Event(
            result.judgement,
            kind,
            severity,
            _sentence(result),
            segment=result.segment,
            measure=result.metric,
            sure=_sure(result),
        )


def _sure(result: PerformanceResult) -> str | None:
    return (
        None
        if result.p_adjusted is None
        else f"chance of a false alarm {result.p_adjusted:.2g}, over all limits of the window"
    )


def kind_of(result: PerformanceResult) -> tuple[Kind, Severity]:
    """What kind of alert its broken limit is, and how severe."""
    if result.metric.endswith(("_ratio", "_difference")):
        return "fairness", "warning"
    if result.metric in _SHARES:
        return "accuracy_drift", "warning"
    if result.basis == "realised":
        return "performance", "critical"
    if result.basis == "estimated":
        return "estimated_performance", "warning"
    return ("quality", "warning") if result.metric.startswith("latency") else ("business", "warning")


def _sentence(result: PerformanceResult) -> str:
    """What was found, how sure it is, and which limit it breaks."""
    lower, upper = result.bounds
    where = "" if result.segment == "all" else f"in {result.segment}: "
    how = "estimated " if result.basis == "estimated" else ""
    between = "" if lower is None or upper is None else f" (surely between {lower:.3g} and {upper:.3g})"
    reference = "" if result.reference_value is None else f", {result.reference_value:.3g} in training"
    n = result.n_labelled if result.basis == "realised" else result.n_rows
    return f"{where}{how}{result.metric} is {result.measured.value:.3g}{between}{reference}; limit {result.rule}, n = {n:,}"


def _concepts(results: Sequence[PerformanceResult]) -> Iterator[Event]:
    """One event a window in which the outcome moved given some features: critical where that is a shift of concept."""
    for result in results:
        if result.metric != SHIFT or is_early(result):
            continue
        moved = [
            r
            for r in results
            if r.judgement is result.judgement and r.metric.startswith(CONCEPT) and r.status == "drift"
        ]
        if not moved and result.status != "drift":
            continue
        worst = sorted(moved, key=lambda r: -(r.measured.value or 0.0))[:MAX_CONCEPTS]
        told = "; ".join(r.explanation or r.metric for r in worst)
        more = f"; and {len(moved) - len(worst)} more" if len(moved) > len(worst) else ""
        parts = [str(result.explanation), told + more] if told else [str(result.explanation)]
        is_concept = result.status == "drift"
        message = ": ".join(parts) if is_concept else "; all inputs together: ".join(reversed(parts))
        severity: Severity = "critical" if is_concept else "warning"
        yield Event(result.judgement, "concept_drift", severity, message, segment=result.segment, carrier=told or None)
