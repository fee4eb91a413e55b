"""Whether what the outcome follows from has moved: features by outcome, in a window and in the reference. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bq_monitor.config import MonitorConfig
from bq_monitor.measure.concept import (
    SHIFT_WORDS,
    ConceptRule,
    ConceptVerdict,
    concept,
    concept_sentence,
    is_calm_given,
    settle_concepts,
    shift_kind,
)
from bq_monitor.measure.histogram import ORDERED, Counts
from bq_monitor.measure.measured import Measured, undefined
from bq_monitor.measure.presets import PRESETS
from bq_monitor.outcome_results import PerformanceResult
from bq_monitor.outcomes import JOINT, Scheme
from bq_monitor.plan_outcomes import OutcomeJudgement
from bq_monitor.reference import FeatureReference
from bq_monitor.scan import histogram_from_row
from bq_monitor.segments import ALL
from bq_monitor.warehouse.base import Row

SHIFT = "shift"
CONCEPT = "concept:"


def concept_results(
    config: MonitorConfig, judgement: OutcomeJudgement, scheme: Scheme, rows: Sequence[Row]
) -> Iterator[PerformanceResult]:
    """A row a feature (`concept:NAME`: the JS distance of P(outcome | feature)), and one that names the shift of the window."""
    reference = judgement.reference
    assert reference is not None  # noqa: S101 - there is a scheme
    rule = ConceptRule(_threshold(config), config.alpha, config.detection.min_rows)
    before, now = _by_feature([row for row in reference.cells if row["role"] == "joint"]), _by_feature(rows)
    verdicts = {
        feature.name: concept(
            feature.coarse.names, _by_outcome(feature, before.get(feature.name, ()), scheme),
            _by_outcome(feature, now.get(feature.name, ()), scheme), rule,
            ordered=feature.kind in ORDERED,
        )
        for feature in reference.features
        if feature.role != "prediction"
    }  # fmt: skip
    settled = dict(zip(verdicts, settle_concepts(list(verdicts.values()), config.alpha), strict=True))
    for name, verdict in settled.items():
        yield _result(judgement, name, verdict, config)
    scores = {feature.name for feature in reference.features if feature.role == "score"}
    everything = list(settled.values())
    is_calm = any(is_calm_given(settled[name], everything, rule.threshold) for name in scores if name in settled)
    yield _shift(judgement, everything, config.alpha, is_calm_given_score=is_calm)


def _threshold(config: MonitorConfig) -> float:
    """The JS distance of P(outcome | feature) that matters: that of drift, where drift is decided by it, else the preset's."""
    detection = config.detection
    said = detection.threshold if detection.metric == "js_distance" else None
    return said or PRESETS[detection.preset].js_distance


def _by_feature(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by the feature that they count."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["feature"].removeprefix(JOINT), []).append(row)
    return found


def _by_outcome(feature: FeatureReference, rows: Sequence[Row], scheme: Scheme) -> Mapping[str, Counts]:
    """Coarse counts of a feature by known outcome."""
    found: dict[str, Counts] = {}
    for row in rows:
        if row["outcome"] is not None:
            counts = feature.coarse.counts(histogram_from_row(row, feature.histogram.buckets))
            name = scheme.outcome_name(row["outcome"])
            found[name] = found.get(name, np.zeros_like(counts)) + counts
    return found


def _result(
    judgement: OutcomeJudgement, feature: str, verdict: ConceptVerdict, config: MonitorConfig
) -> PerformanceResult:
    bins = tuple(
        {
            "bin": f"{item.bucket}: {item.outcome}",
            "n": item.n_current,
            "share": item.current_share,
            "reference_share": item.baseline_share,
        }
        for item in verdict.buckets
    )
    told = concept_sentence(feature, verdict, config.labels.column if config.labels else "")
    return PerformanceResult(
        judgement, ALL, "realised", CONCEPT + feature, _measured(verdict), verdict.status, verdict.reason,
        rule=f"max {_threshold(config):g}", p_adjusted=verdict.p_adjusted, alpha=config.alpha,
        explanation=told if verdict.status == "drift" else None, bins=bins,
        n_rows=judgement.arrived.n_rows, n_labelled=verdict.n_current,
    )  # fmt: skip


def _measured(verdict: ConceptVerdict) -> Measured:
    if verdict.conditional is None:
        return undefined(verdict.reason or "not evaluated", verdict.n_current)
    return Measured(verdict.conditional, verdict.n_current, scale="none")


def _shift(
    judgement: OutcomeJudgement, verdicts: Sequence[ConceptVerdict], alpha: float, *, is_calm_given_score: bool
) -> PerformanceResult:
    """What moved as a whole, and given how many features the outcome did."""
    evaluated = [verdict for verdict in verdicts if verdict.status != "not_evaluated"]
    blank = PerformanceResult(
        judgement, ALL, "realised", SHIFT, undefined("no features"), "not_evaluated",
        n_rows=judgement.arrived.n_rows, n_labelled=judgement.arrived.n_labelled,
    )  # fmt: skip
    if not evaluated:
        reason = next((verdict.reason for verdict in verdicts if verdict.reason), "no features")
        return replace(blank, measured=undefined(reason), reason=reason)
    kind = shift_kind(evaluated, alpha, is_calm_given_score=is_calm_given_score)
    n_moved = sum(verdict.status == "drift" for verdict in evaluated)
    found = replace(blank, measured=Measured(float(n_moved), len(evaluated), scale="none"), status="ok")
    return replace(found, status="drift" if "concept" in kind else "ok", explanation=SHIFT_WORDS[kind])
