"""What the command line shows of results: titled tables of text, built here and printed in `cli.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bq_monitor.results import by_judgement

if TYPE_CHECKING:
    from bq_monitor.comparison import Comparison
    from bq_monitor.demo import DemoResult
    from bq_monitor.reference import Reference
    from bq_monitor.results import RunResult


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
        )
        for f in reference.features
    ]
    title = f"Reference {reference.reference_id} of {reference.monitor}, version {reference.model_version}"
    return TextTable(title, ("feature", "kind", "role", "rows", "null", "buckets"), rows)


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


def run_table(outcome: RunResult) -> TextTable:
    """What a run found: a line a feature, or, when it caught up on several windows, a line a window."""
    if len(outcome.windows) > 1:
        return _windows_table(outcome)
    versions = {r.judgement.model_version for r in outcome.results}
    rows = [
        (
            r.feature, *([r.judgement.model_version] if len(versions) > 1 else []), r.verdict.status, _number(r.verdict.drift_score),
            _number(r.verdict.divergences.js_distance), f"{r.verdict.n_current:,}", r.verdict.reason or "",
        )
        for r in outcome.results
    ]  # fmt: skip
    (window,) = outcome.windows
    title = f"{outcome.monitor}: {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"
    version = ("version",) if len(versions) > 1 else ()
    return TextTable(title, ("feature", *version, "status", "drift score", "JS distance", "rows", "reason"), rows)


def _windows_table(outcome: RunResult) -> TextTable:
    rows = []
    for (window, version), found in by_judgement(outcome.results).items():
        drifted = [r.feature for r in found if r.verdict.status == "drift"]
        missed = [r for r in found if r.verdict.status == "not_evaluated"]
        why = "; ".join(sorted({r.verdict.reason or "" for r in missed}))
        names = "all" if len(missed) == len(found) else ", ".join(r.feature for r in missed)
        rows.append((
            f"{window.start:%Y-%m-%d %H:%M}", f"{window.end:%Y-%m-%d %H:%M}", version, f"{max(r.verdict.n_current for r in found):,}",
            ", ".join(drifted), f"{names}: {why}" if missed else "",
        ))  # fmt: skip
    title = f"{outcome.monitor}: {len(outcome.windows)} windows (UTC)"
    return TextTable(title, ("from", "to", "version", "rows", "drifted", "not evaluated"), rows)


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


def demo_table(result: DemoResult) -> TextTable:
    """The demo's replay, a line a month."""
    rows = [(f"{r.month:%Y-%m}", str(r.n_loans), ", ".join(r.drifted), "; ".join(r.reasons)) for r in result.rows]
    return TextTable("What drifted, month by month", ("month", "loans", "drifted", "not evaluated"), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
