"""A report of a comparison of two data sets, from what `compare` found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from bq_monitor import __version__
from bq_monitor.comparison.columns import FeatureComparison
from bq_monitor.comparison.compare import Comparison
from bq_monitor.comparison.outcomes import ConceptComparison
from bq_monitor.measure.concept import SHIFT_WORDS
from bq_monitor.measure.explanation import sentence
from bq_monitor.measure.measured import Measured
from bq_monitor.report.page import ALL, Alert, Bucket, Check, FeatureVerdict, Health, HealthPart, Page, Score

_BASELINE = "the baseline"


def page_of_comparison(found: Comparison, name: str = "Comparison") -> Page:
    """The report of a comparison; `name` says what was compared. Parts that were not asked for are empty."""
    columns = (*found.features, *(column for segment in found.segments for column in segment.columns))
    return Page(
        name, "comparison", _BASELINE, n_baseline=found.n_baseline, n_current=found.n_current, share_drifted=found.share_drifted,
        features=tuple(map(_feature, columns)), performance=(*_scores(found), *_concepts(found), *_segment_scores(found)),
        quality=tuple(_checks(found)), alerts=tuple(_alert(alert) for alert in found.alerts()), health=_health(found),
        notes=tuple(_notes(found)), made_from=_made_from(name, found),
    )  # fmt: skip


def _feature(item: FeatureComparison) -> FeatureVerdict:
    entry, verdict = item.to_dict(), item.verdict
    metrics = {name: _number(value) for name, value in entry["metrics"].items()}
    return FeatureVerdict(
        item.feature, item.role, item.kind, item.status, verdict.reason, segment=item.segment, baseline="baseline",
        drift_score=_number(verdict.drift_score), n_baseline=verdict.n_baseline, n_current=verdict.n_current, metrics=metrics,
        metric=verdict.metric, threshold=verdict.threshold, lower=_number(verdict.lower), upper=_number(verdict.upper),
        p_adjusted=verdict.p_adjusted, alpha=verdict.alpha,
        explanation=sentence(item.feature, verdict.shifts, _BASELINE) or None,
        contributions=tuple(Bucket(**part) for part in entry["contributions"]),
    )  # fmt: skip


def _scores(found: Comparison) -> Iterator[Score]:
    """Realised beside the baseline's; estimated too; with the verdict of what was tested."""
    performance = found.performance
    if performance is None:
        return
    tests = {test.metric: test for test in performance.tests}
    for basis, measured in (("realised", performance.current), ("estimated", performance.estimated)):
        for name, value in measured.items():
            test = tests.get(name) if basis == "realised" else None
            before = performance.baseline.get(name)
            yield _score(
                name, basis, value, performance.alpha, reference_value=_number(before.value) if before else None,
                status=test.status if test else "ok" if value.value is not None else "not_evaluated",
                rule=f"limit {test.limit:.4g}" if test else None, explanation=test.sentence() if test and test.status == "drift" else None,
            )  # fmt: skip
    if not performance.current:
        for name, before in performance.baseline.items():
            yield Score(
                name,
                "realised",
                status="not_evaluated",
                reason=performance.reason,
                reference_value=_number(before.value),
            )
    if not performance.baseline:
        yield Score("performance", "realised", status="not_evaluated", reason=performance.reason)


def _score(metric: str, basis: str, measured: Measured, alpha: float, **own: Any) -> Score:
    lower, upper = measured.bounds(alpha)
    reason = measured.reason if measured.value is None else None
    return Score(
        metric, basis, value=_number(measured.value), lower=_number(lower), upper=_number(upper), n=measured.n, reason=reason, **own
    )  # fmt: skip


def _segment_scores(found: Comparison) -> Iterator[Score]:
    for segment in found.segments:
        for name, measured in (segment.performance or {}).items():
            status = "ok" if measured.value is not None else "not_evaluated"
            yield _score(name, "realised", measured, found.alpha, segment=segment.segment, status=status)


def _concepts(found: Comparison) -> Iterator[Score]:
    for item in found.concept or ():
        yield _concept(item)
    if found.shift is not None:
        words = SHIFT_WORDS[found.shift]
        yield Score(
            "shift", "realised", status="drift" if found.shift.startswith("concept") else "ok", explanation=words
        )


def _concept(item: ConceptComparison) -> Score:
    verdict = item.verdict
    return Score(
        f"concept:{item.feature}", "realised", status=verdict.status, reason=verdict.reason, value=_number(verdict.conditional),
        lower=_number(verdict.lower), upper=_number(verdict.upper), n=verdict.n_current, explanation=item.explanation,
        bins=tuple(
            {"bin": f"{part.bucket} ({part.outcome})", "n": part.n_current, "share": part.current_share, "reference_share": part.baseline_share}
            for part in verdict.buckets
        ),
    )  # fmt: skip


def _checks(found: Comparison) -> Iterator[Check]:
    """Missing and unseen values, which a comparison counts but sets no limits to."""
    for feature, shares in found.to_dict()["quality"].items():
        nulls = shares["null_share"]
        yield Check("null_rate", feature, value=_number(nulls["current"]), reference_value=_number(nulls["baseline"]))
        if shares["unseen_share"] is not None:
            yield Check("new_categories", feature, value=_number(shares["unseen_share"]), reference_value=0.0)


def _alert(alert: Mapping[str, Any]) -> Alert:
    return Alert(str(alert["kind"]), str(alert["severity"]), str(alert["message"]), alert["feature"], ALL)


def _health(found: Comparison) -> tuple[Health, ...]:
    parts = tuple(HealthPart(part.part, part.score, part.weight, part.why) for part in found.health_parts)
    return (Health(found.health, parts),)


def _notes(found: Comparison) -> Iterator[str]:
    yield from found.notes
    test = found.classifier
    if test is not None:
        told = f"ROC AUC {test.roc_auc:.3f}" if test.roc_auc is not None else str(test.reason)
        most = ", ".join(name for name, _ in test.importances[:3])
        yield f"Classifier test: {test.status} ({told}" + (f"; most by {most})" if most else ")")
    if found.retrained is not None:
        yield f"Refit: {found.retrained.sentence()}"
    yield from (f"Segment {s.segment}: not evaluated: {s.reason}" for s in found.segments if s.reason and not s.columns)


def _made_from(name: str, found: Comparison) -> tuple[tuple[str, str], ...]:
    verdicts = [item.verdict for item in found.features]
    said = {
        "compared": name,
        "rows": f"{found.n_baseline:,} of the baseline, {found.n_current:,} current",
        "deciding metric": _listed(verdict.metric for verdict in verdicts),
        "threshold": _listed(verdict.threshold for verdict in verdicts),
        "alpha": f"{found.alpha:g}",
        "bq-monitor": __version__,
    }
    return tuple((what, which) for what, which in said.items() if which)


def _listed(values: Iterator[Any]) -> str:
    return ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in dict.fromkeys(values) if value is not None
    )


def _number(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else value
