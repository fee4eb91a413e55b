"""What the command line shows of results: titled tables of text, built here and printed in `cli/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bq_monitor.alerts.wording import summary
from bq_monitor.measure.concept import SHIFT_WORDS
from bq_monitor.replay import WORST_FIRST
from bq_monitor.results import by_judgement

MAX_MARKS = 100
_MARKS = {"event": "!", "drift": "x", "ok": ".", "not_evaluated": " "}

if TYPE_CHECKING:
    from bq_monitor.alerts.people import Listed
    from bq_monitor.comparison.compare import Comparison
    from bq_monitor.comparison.outcomes import PerformanceComparison
    from bq_monitor.demo import DemoResult
    from bq_monitor.measure.measured import Measured
    from bq_monitor.reference import Reference
    from bq_monitor.replay import Replayed
    from bq_monitor.results import DriftResult, RunResult


@dataclass(frozen=True)
class TextTable:
    """A title, the names of the columns, and rows of text."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def due_table(previews: Sequence[Mapping[str, Any]]) -> TextTable:
    """What is due, a line a monitor."""
    rows = []
    for preview in previews:
        windows = preview["windows"]
        span = f"{windows[0]['start'][:16]} .. {windows[-1]['end'][:16]}" if windows else "nothing due"
        size = "not counted" if preview["bytes"] is None else f"{preview['bytes']:,}"
        cost = "not counted" if preview["cost"] is None else f"{preview['cost']:.4f}"
        counted = (str(preview["n_granules"]), f"{preview['n_rows']:,}")
        rows.append((preview["monitor"], str(len(windows)), span, *counted, size, cost))
    return TextTable("Due", ("monitor", "windows", "from .. to", "granules to count", "rows", "bytes", "cost"), rows)


def reference_table(reference: Reference) -> TextTable:
    """One reference, a line a feature."""
    rows = [
        (
            f.name,
            f.kind,
            f.role,
            f"{f.histogram.n_rows:,}",
            f"{f.histogram.n_null:,}",
            str(f.histogram.buckets.n_regular),
            _number(f.restless.correlation) if f.restless else "",
        )
        for f in reference.features
    ]
    title = f"Reference {reference.reference_id} of {reference.monitor}, version {reference.model_version}"
    return TextTable(title, ("feature", "kind", "role", "rows", "null", "buckets", "day correlation"), rows)


def references_table(references: Sequence[Reference]) -> TextTable:
    """References, a line each."""
    rows = [
        (
            r.monitor,
            r.model_version,
            r.reference_id,
            f"{r.captured_at:%Y-%m-%d %H:%M}",
            f"{r.n_rows:,}",
            str(len(r.features)),
        )
        for r in references
    ]
    return TextTable("References", ("monitor", "version", "reference", "captured (UTC)", "rows", "features"), rows)


def replay_table(replayed: Sequence[Replayed]) -> TextTable:
    """What each variant would have found, a line a variant."""
    rows = []
    for variant in replayed:
        fired = {event.feature for event in variant.events if event.feature}
        first = min((event.judgement.window.end for event in variant.events), default=None)
        n_drift = sum(result.verdict.status == "drift" for result in variant.results)
        counts = (str(len(variant.windows)), str(n_drift), str(len(variant.events)))
        rows.append((variant.name, *counts, f"{first:%Y-%m-%d}" if first else "", ", ".join(sorted(fired))))
    head = ("settings", "windows", "drift verdicts", "events", "first event", "features with events")
    return TextTable("What would have fired", head, rows)


def timeline_table(variant: Replayed) -> TextTable:
    """One variant over time, a line a feature; neighbouring windows share a mark where there are many."""
    windows = variant.windows
    size = -(-len(windows) // MAX_MARKS) or 1
    groups = [windows[i : i + size] for i in range(0, len(windows), size)]
    rows = []
    for feature, statuses in variant.statuses().items():
        worst = (min((statuses.get(w, "not_evaluated") for w in group), key=WORST_FIRST.index) for group in groups)
        rows.append((feature, "".join(_MARKS[status] for status in worst)))
    ends = f"{windows[0].end:%Y-%m-%d} .. {windows[-1].end:%Y-%m-%d}" if windows else "no window"
    per_mark = f", {size} windows a mark" if size > 1 else ""
    return TextTable(variant.name, ("feature", ends + per_mark), rows)


def run_table(outcome: RunResult) -> TextTable:
    """What a run found: a line a feature, or, when it caught up on several windows, a line a window."""
    if len(outcome.windows) > 1:
        return _windows_table(outcome)
    more = _told_apart(outcome)
    rows = [
        (
            r.feature, *more(r), r.verdict.status, _number(r.verdict.drift_score),
            _number(r.verdict.divergences.js_distance), f"{r.verdict.n_current:,}", r.verdict.reason or "",
        )
        for r in outcome.results
    ]  # fmt: skip
    (window,) = outcome.windows
    title = f"{outcome.monitor}: {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"
    return TextTable(title, ("feature", *more.head, "status", "drift score", "JS distance", "rows", "reason"), rows)


def _windows_table(outcome: RunResult) -> TextTable:
    rows = []
    for (window, version), found in by_judgement(outcome.results).items():
        drifted = [_with_baseline(r) for r in found if r.verdict.status == "drift"]
        missed = [r for r in found if r.verdict.status == "not_evaluated"]
        why = "; ".join(sorted({r.verdict.reason or "" for r in missed}))
        names = "all" if len(missed) == len(found) else ", ".join(_with_baseline(r) for r in missed)
        rows.append((
            f"{window.start:%Y-%m-%d %H:%M}", f"{window.end:%Y-%m-%d %H:%M}", version, f"{max(r.verdict.n_current for r in found):,}",
            ", ".join(drifted), f"{names}: {why}" if missed else "",
        ))  # fmt: skip
    title = f"{outcome.monitor}: {len(outcome.windows)} windows (UTC)"
    return TextTable(title, ("from", "to", "version", "rows", "drifted", "not evaluated"), rows)


def performance_table(outcome: RunResult) -> TextTable:
    """How good the answers were: of each window the main numbers of all rows, and whatever broke a limit."""
    rows = []
    for r in sorted(outcome.performance, key=lambda r: (r.judgement.window, r.judgement.model_version)):
        if r.status != "drift" and (r.segment != "all" or r.metric not in _MAIN_NUMBERS or r.measured.value is None):
            continue
        lower, upper = r.bounds
        between = "" if lower is None or upper is None else f"{lower:.3f} .. {upper:.3f}"
        status = f"{r.status} (provisional)" if r.basis == "realised" and r.judgement.is_provisional else r.status
        rows.append((
            f"{r.judgement.window.end:%Y-%m-%d}", r.segment, r.basis, r.metric, _number(r.measured.value), between,
            _number(r.reference_value), status, r.rule or "", f"{r.n_labelled if r.basis == 'realised' else r.n_rows:,}",
        ))  # fmt: skip
    head = ("to", "segment", "basis", "measure", "value", "surely between", "training", "status", "limit", "rows")
    return TextTable(f"{outcome.monitor}: how good the answers were", head, rows)


_MAIN_NUMBERS = (
    "accuracy",
    "roc_auc",
    "outcome_rate",
    "calibration_gap",
    "mae",
    "r2",
    "bias",
    "positive_rate",
    "shift",
)


@dataclass(frozen=True)
class _Apart:
    """The columns that tell results of one window apart, where there is more than one version, segment or baseline."""

    head: tuple[str, ...]

    def __call__(self, result: DriftResult) -> tuple[str, ...]:
        values = {"version": result.judgement.model_version, "segment": result.segment, "baseline": result.baseline}
        return tuple(values[name] for name in self.head)


def _told_apart(outcome: RunResult) -> _Apart:
    seen = {
        "version": {r.judgement.model_version for r in outcome.results},
        "segment": {r.segment for r in outcome.results},
        "baseline": {r.baseline for r in outcome.results},
    }
    return _Apart(tuple(name for name, values in seen.items() if len(values) > 1))


def _with_baseline(result: DriftResult) -> str:
    where = "" if result.segment == "all" else f" [{result.segment}]"
    against = "" if result.baseline == "training" else f" ({result.baseline})"
    return result.feature + where + against


def alerts_table(listed: Sequence[tuple[str, Listed]]) -> TextTable:
    """Alerts, a line each."""
    rows = []
    for monitor, item in listed:
        alert = item.alert
        until = (
            f" until {alert.snoozed_until:%Y-%m-%d %H:%M}" if item.status == "snoozed" and alert.snoozed_until else ""
        )
        by = f" by {alert.acknowledged_by}" if item.status == "acknowledged" else ""
        condition = "" if alert.condition == "firing" else alert.condition
        rows.append((
            item.alert_id, monitor, alert.severity, item.status + until + by, condition, f"{alert.since:%Y-%m-%d}", str(alert.n_windows),
            summary(alert.key), alert.message,
        ))  # fmt: skip
    head = ("alert", "monitor", "severity", "status", "last window", "since", "windows", "what", "message")
    return TextTable("Alerts", head, rows)


def delivery_lines(outcome: RunResult) -> list[str]:
    """What became of notifications and actions, where there were any."""
    delivered, lines = outcome.delivered, []
    if delivered is not None and (delivered.n_sent or delivered.n_waiting or delivered.given_up):
        lines.append(
            f"notifications: {delivered.n_sent} sent, {delivered.n_waiting} waiting, {len(delivered.given_up)} given up"
        )
        lines += [f"  {channel}: {why}" for channel, why in delivered.given_up.items()]
    return lines + [f"action {row['action']}: {row['status']} ({row['outcome']})" for row in outcome.actions]


def comparison_table(result: Comparison) -> TextTable:
    """A comparison, a line a column."""
    rows = [
        (
            item.feature, item.role, item.kind or "", item.status, _number(item.verdict.drift_score),
            _number(item.verdict.divergences.js_distance), _number(item.verdict.divergences.psi), item.verdict.reason or "",
        )
        for item in result.features
    ]  # fmt: skip
    title = f"{result.n_baseline:,} baseline rows, {result.n_current:,} current rows"
    return TextTable(title, ("column", "role", "kind", "status", "drift score", "JS distance", "PSI", "reason"), rows)


def comparison_tables(result: Comparison) -> list[TextTable]:
    """The columns; then, where there are any, the segments and how well answers came true."""
    tables = [comparison_table(result)]
    if result.segments:
        tables.append(_segments_table(result))
    if result.performance and result.performance.baseline:
        tables.append(_performance_table(result.performance))
    return tables


def _segments_table(result: Comparison) -> TextTable:
    rows = []
    for item in result.segments:
        found = item.to_dict(result.alpha)
        accuracy = (item.performance or {}).get("accuracy") or (item.performance or {}).get("mae")
        sizes = (f"{item.n_baseline:,}", f"{item.n_current:,}")
        told = _with_bounds(accuracy, result.alpha) if accuracy else ""
        rows.append((item.segment, *sizes, item.status, ", ".join(item.drifted), told, found["reason"] or ""))
    head = ("segment", "baseline rows", "current rows", "status", "drifted", "accuracy or mae", "reason")
    return TextTable("Segments", head, rows)


def _performance_table(found: PerformanceComparison) -> TextTable:
    rows = []
    for name, before in found.baseline.items():
        now, expected = found.current.get(name), found.estimated.get(name)
        told = (_with_bounds(now, found.alpha) if now else "", _number(expected.value) if expected else "")
        rows.append((name, _number(before.value), *told))
    title = f"Performance: {found.status}" + (f" ({found.reason})" if found.reason else "")
    return TextTable(title, ("metric", "baseline", "current", "estimated"), rows)


def _with_bounds(measured: Measured, alpha: float) -> str:
    """`0.812 (0.801 .. 0.823)`; why there is none in brackets."""
    if measured.value is None:
        return f"({measured.reason})"
    lower, upper = measured.bounds(alpha)
    return _number(measured.value) + (
        f" ({lower:.3f} .. {upper:.3f})" if lower is not None and upper is not None else ""
    )


def comparison_lines(result: Comparison) -> list[str]:
    """What is said below the tables: notes, the kind of shift, alerts, the health with its parts, and the verdict, last."""
    lines = [f"note: {note}" for note in result.notes]
    if result.performance and not result.performance.baseline:
        lines.append(f"performance: not evaluated: {result.performance.reason}")
    if result.shift is not None:
        lines.append(f"shift: {SHIFT_WORDS[result.shift]}")
    if result.classifier is not None:
        auc = (
            f"ROC AUC {result.classifier.roc_auc:.3f}"
            if result.classifier.roc_auc is not None
            else result.classifier.reason
        )
        lines.append(f"classifier test: {result.classifier.status} ({auc})")
    if result.retrained is not None:
        lines.append(f"retrain: {result.retrained.sentence()}")
    lines += [f"{alert['severity']}: {alert['message']}" for alert in result.alerts()]
    if result.health is not None:
        lines.append(f"health: {result.health} of 100")
        lines += [f"  {part.part}: {part.score} (weight {part.weight}; {part.why})" for part in result.health_parts
                  if part.score is not None]  # fmt: skip
    unsure = " in what could be evaluated" if result.not_evaluated else ""
    return [*lines, "drift" if result.drift_detected else f"no drift{unsure}"]


def demo_table(result: DemoResult) -> TextTable:
    """The demo's replay, a line a month."""
    rows = [(f"{r.month:%Y-%m}", str(r.n_loans), ", ".join(r.drifted), "; ".join(r.reasons)) for r in result.rows]
    return TextTable("What drifted, month by month", ("month", "loans", "drifted", "not evaluated"), rows)


def demo_outcome_table(result: DemoResult) -> TextTable:
    """What became of the demo's loans, a line a month."""
    rows = [
        (
            f"{o.month:%Y-%m}", f"{o.n_loans:,}", *map(_number, (o.predicted, o.happened, o.roc_auc, o.estimated_roc_auc)),
            o.shift or "",
        )
        for o in result.outcomes
    ]  # fmt: skip
    head = ("month", "loans", "predicted", "happened", "ROC AUC", "estimated", "what moved")
    return TextTable("How good the answers were, once the outcomes had come", head, rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
