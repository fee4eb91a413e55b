"""How good the answers of windows were: every number with its interval, and its verdict against the limits configured. Pure.

| basis | is |
|---|---|
| `realised` | from the outcomes that are known |
| `estimated` | without them, from what scores meant in the reference |
| `observed` | of the answers alone: rates, confidence, latency |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bq_monitor.concepts import concept_results
from bq_monitor.config import MonitorConfig
from bq_monitor.measure.answers import Answers
from bq_monitor.measure.calibration import calibration_bins, confidence_bins
from bq_monitor.measure.estimate import estimated
from bq_monitor.measure.fairness import parity
from bq_monitor.measure.measured import Measured, undefined
from bq_monitor.measure.performance import accuracy_shift, confusion, observed, performance
from bq_monitor.measure.significance import Law, holm
from bq_monitor.outcome_results import Basis, PerformanceResult
from bq_monitor.outcomes import JOINT, Scheme, answers_from_rows
from bq_monitor.plan_outcomes import OutcomeJudgement
from bq_monitor.reference import Reference
from bq_monitor.sections import Fairness, Limits
from bq_monitor.segments import ALL, belongs, dimensions
from bq_monitor.warehouse.base import Row

MAX_BOUND = 0.05
"""By so much may a number that is told from the buckets of the score differ from that of the rows, and still be held to a limit."""
_BY_SCORE = ("roc_auc", "pr_auc", "ece")


def score_windows(
    config: MonitorConfig, judgements: Sequence[OutcomeJudgement], rows: Mapping[int, Sequence[Row]]
) -> list[PerformanceResult]:
    """Every number of every window, oldest first; p-values are corrected over the limits of each window (Holm)."""
    pending: dict[Any, list[PerformanceResult]] = {}
    for i, judgement in enumerate(judgements):
        pending.setdefault(judgement.window, []).extend(_of_window(config, judgement, rows.get(i, ())))
    return [result for window in sorted(pending) for result in _settled(pending[window], config.alpha)]


def _of_window(config: MonitorConfig, judgement: OutcomeJudgement, rows: Sequence[Row]) -> Iterator[PerformanceResult]:
    reference = judgement.reference
    if reference is None:
        yield _nothing(judgement, f"no reference for version {judgement.model_version!r}")
        return
    if judgement.reason:
        yield _nothing(judgement, judgement.reason)
        return
    scheme = Scheme.of(config, reference)
    if scheme is None:
        yield _nothing(judgement, _why_no_scheme(config, reference))
        return
    yield from _Scored(config, judgement, scheme, rows).results()
    if config.labels:
        yield from concept_results(config, judgement, scheme, [row for row in rows if row["feature"].startswith(JOINT)])


def _why_no_scheme(config: MonitorConfig, reference: Reference) -> str:
    if config.prediction is None:
        return "no prediction is configured"
    if all(feature.role != "prediction" for feature in reference.features):
        return "the prediction is not in the reference: capture it again"
    return "the positive class cannot be told: say prediction.positive (and labels.positive, where outcomes name it otherwise)"


def _nothing(judgement: OutcomeJudgement, reason: str) -> PerformanceResult:
    return PerformanceResult(judgement, ALL, "observed", "*", undefined(reason), "not_evaluated", reason)


@dataclass(frozen=True)
class Limit:
    """One limit of one number: what it says, and the chance of the number where the true one were at the limit."""

    rule: str
    p_value: float


@dataclass
class _Scored:
    """The numbers of one window."""

    config: MonitorConfig
    judgement: OutcomeJudgement
    scheme: Scheme
    rows: Sequence[Row]

    @cached_property
    def _before(self) -> dict[str, Answers]:
        assert self.judgement.reference is not None  # noqa: S101 - there is a scheme
        cells = [row for row in self.judgement.reference.cells if row["role"] == "answer"]
        return answers_from_rows(cells, self.scheme)

    @cached_property
    def _now(self) -> dict[str, Answers]:
        return answers_from_rows([row for row in self.rows if not row["feature"].startswith(JOINT)], self.scheme)

    def results(self) -> Iterator[PerformanceResult]:
        assert self.judgement.reference is not None  # noqa: S101 - there is a scheme
        for segment in self.judgement.reference.by_segment:
            yield from self._of_segment(segment)
        for fairness in self.config.fairness:
            yield from self._fair(fairness)

    def _of_segment(self, segment: str) -> Iterator[PerformanceResult]:
        empty = Answers(self.scheme.task, {}, self.scheme.positive)
        before, now = self._before.get(segment, empty), self._now.get(segment, empty)
        low = self.config.business.low_confidence
        yield from self._judged(segment, "observed", observed(before, low), observed(now, low), now=now)
        then = performance(before)
        yield from self._judged(segment, "estimated", then, estimated(before, now), now=now)
        if self.config.labels is None:
            return
        for result in self._judged(segment, "realised", then, performance(now), now=now):
            yield _with_details(result, before, now)
        yield from self._shifted(segment, before, now)

    def _judged(
        self, segment: str, basis: Basis, before: Mapping[str, Measured], found: Mapping[str, Measured], *, now: Answers
    ) -> Iterator[PerformanceResult]:
        """Each number with the limit that is nearest to be broken; too few rows are not evaluated, though told."""
        n_labelled = now.labelled.n_rows
        rows, what = (n_labelled, "outcomes") if basis == "realised" else (now.n_rows, "rows")
        for name, measured in found.items():
            result = PerformanceResult(
                self.judgement, segment, basis, name, measured, alpha=self.config.alpha,
                reference_value=before[name].value if name in before else None, n_rows=now.n_rows, n_labelled=n_labelled,
            )  # fmt: skip
            said = self._observed_limits(name) if basis == "observed" else self.config.performance.get(name)
            least = self.config.detection.min_rows
            if measured.value is None:
                yield replace(result, status="not_evaluated", reason=measured.reason)
            elif rows < least:
                yield replace(result, status="not_evaluated", reason=f"too few {what}: {rows} of at least {least}")
            elif said is not None and name in _BY_SCORE and measured.bound > MAX_BOUND:
                coarse = f"the reference's buckets of the score are too coarse: it may differ by {measured.bound:.2g}"
                yield replace(result, status="not_evaluated", reason=coarse)
            elif said is not None:
                yield _limited(result, said, before.get(name, undefined("not in the reference")))
            else:
                yield result

    def _observed_limits(self, metric: str) -> Limits | None:
        business, latency = self.config.business, self.config.quality.latency_ms
        said: dict[str, Limits | None] = {
            name: getattr(business, name) for name in ("positive_rate", "mean_confidence", "low_confidence_share")
        }
        if business.prediction_shift and business.prediction_shift.max is not None:
            most = business.prediction_shift.max
            said["mean_score"] = Limits(max_drop=most, max_rise=most)
        if latency:
            of = {"latency_p50": latency.p50_max, "latency_p95": latency.p95_max, "latency_p99": latency.p99_max}
            said |= {name: Limits(max=most) for name, most in of.items() if most is not None}
        return said.get(metric)

    def _shifted(self, segment: str, before: Answers, now: Answers) -> Iterator[PerformanceResult]:
        """Right and wrong answers as a distribution against the reference's: an early sign, in the same unit as drift."""
        if self.scheme.task == "regression":
            return
        shift = accuracy_shift(before, now)
        known = {
            "accuracy_kl_divergence": shift.kl, "accuracy_js_divergence": shift.js_divergence,
            "confidence_kl_divergence": shift.confidence_kl, "confidence_js_divergence": shift.confidence_js_divergence,
        }  # fmt: skip
        n, m = int(shift.baseline.sum()), int(shift.current.sum())
        for name, value in known.items():
            given = Measured(value, m, scale="none") if value is not None else undefined("no outcomes on one side", m)
            result = PerformanceResult(
                self.judgement,
                segment,
                "realised",
                name,
                given,
                alpha=self.config.alpha,
                n_rows=now.n_rows,
                n_labelled=m,
            )
            least = self.config.detection.min_rows
            if value is None or min(n, m) < least:
                few = f"too few outcomes: {min(n, m)} of at least {least}"
                yield replace(result, status="not_evaluated", reason=given.reason or few)
            elif name == "accuracy_js_divergence":
                most = self.config.detection.threshold if self.config.detection.metric == "js_distance" else 0.1
                p_value = Law("js_distance", 2, n, m).p_value(value**0.5, most or 0.0)
                yield replace(result, p_value=p_value, rule=f"max {(most or 0.0) ** 2:.3g}", reference_value=0.0)
            else:
                yield result

    def _fair(self, said: Fairness) -> Iterator[PerformanceResult]:
        """Rates of each group beside those of the reference group."""
        (dimension,) = [item for item in dimensions(self.config) if item.title == said.group]
        groups = {name: answers for name, answers in self._now.items() if belongs(name, dimension)}
        before = [(n.n_rows, name) for name, n in self._before.items() if belongs(name, dimension)]
        values = said.reference.split(" & ", len(dimension.parts) - 1) if said.reference else None
        chosen = dimension.name(values) if values else max(before, default=(0, dimension.other))[1]
        least = self.config.detection.min_rows
        for item in parity(groups, chosen):
            n_rows, n_labelled = groups[item.group].n_rows, groups[item.group].labelled.n_rows
            basis: Basis = "observed" if item.rate == "selection_rate" else "realised"
            if basis == "realised" and self.config.labels is None:
                continue
            for kind, measured in (("difference", item.difference), ("ratio", item.ratio)):
                result = PerformanceResult(
                    self.judgement, item.group, basis, f"{item.rate}_{kind}", measured, alpha=self.config.alpha,
                    explanation=f"{item.rate} of {item.group} beside {chosen}", n_rows=n_rows, n_labelled=n_labelled,
                )  # fmt: skip
                n = min(_n_told(groups[name], basis) for name in {item.group, chosen} & set(groups))
                if measured.value is None or n < least:
                    what = "outcomes" if basis == "realised" else "rows"
                    reason = measured.reason or f"too few {what}: {n} of at least {least}"
                    yield replace(result, status="not_evaluated", reason=reason)
                else:
                    yield _fair_limit(result, said, kind)


def _n_told(answers: Answers, basis: Basis) -> int:
    """Rows that numbers of a basis are told from."""
    return answers.labelled.n_rows if basis == "realised" else answers.n_rows


def _fair_limit(result: PerformanceResult, said: Fairness, kind: str) -> PerformanceResult:
    """A ratio must lie between `min_ratio` and its inverse, a difference within `max_difference`."""
    measured = result.measured
    if kind == "ratio" and said.min_ratio is not None:
        sides = [measured.p_below(said.min_ratio), measured.p_above(1 / said.min_ratio)]
        rule = f"min {said.min_ratio:g}"
    elif kind == "difference" and said.max_difference is not None:
        sides = [measured.p_below(-said.max_difference), measured.p_above(said.max_difference)]
        rule = f"max {said.max_difference:g}"
    else:
        return result
    known = [p for p in sides if p is not None]
    return replace(result, rule=rule, p_value=min(1.0, 2 * min(known))) if known else _uncertain(result, rule)


def _limited(result: PerformanceResult, said: Limits, before: Measured) -> PerformanceResult:
    """A number with the limit that it is surest to break; several limits count as so many tests (Bonferroni)."""
    measured, fell, rose = result.measured, before.minus(result.measured), result.measured.minus(before)
    asked = [
        (f"min {said.min:g}", measured.p_below(said.min)) if said.min is not None else None,
        (f"max {said.max:g}", measured.p_above(said.max)) if said.max is not None else None,
        (f"max_drop {said.max_drop:g}", fell.p_above(said.max_drop)) if said.max_drop is not None else None,
        (f"max_rise {said.max_rise:g}", rose.p_above(said.max_rise)) if said.max_rise is not None else None,
    ]
    given = [item for item in asked if item is not None]
    known = [Limit(rule, p) for rule, p in given if p is not None]
    if not known:
        return _uncertain(result, given[0][0])
    nearest = min(known, key=lambda limit: limit.p_value)
    return replace(result, rule=nearest.rule, p_value=min(1.0, nearest.p_value * len(known)))


def _uncertain(result: PerformanceResult, rule: str) -> PerformanceResult:
    return replace(
        result, rule=rule, status="not_evaluated", reason="its uncertainty, or the reference's value, is not known"
    )


def _with_details(result: PerformanceResult, before: Answers, now: Answers) -> PerformanceResult:
    """The confusion matrix with the accuracy, and what came true by score with the calibration error."""
    if result.metric == "accuracy":
        cells = tuple({"outcome": a, "predicted": b, "n": n} for a, b, n in confusion(now))
        then = {(item.lower, item.upper): item.accuracy for item in confidence_bins(before)}
        bins = [(item.lower, item.upper, item.n, item.accuracy) for item in confidence_bins(now)]
        return replace(result, confusion=cells, bins=_bins(bins, then))
    if result.metric == "ece":
        shares = [(item.lower, item.upper, item.n, item.outcome_share) for item in calibration_bins(now)]
        return replace(result, bins=_bins(shares, {}))
    return result


def _bins(
    bins: Sequence[tuple[float, float, int, float]], then: Mapping[tuple[float, float], float]
) -> tuple[Row, ...]:
    return tuple(
        {"bin": f"{low:.3g} to {high:.3g}", "n": n, "share": share, "reference_share": then.get((low, high))}
        for low, high, n, share in bins
    )


def _settled(results: Sequence[PerformanceResult], alpha: float) -> list[PerformanceResult]:
    """The status of each number that has a limit, p-values adjusted over all of them (Holm)."""
    tested = [i for i, result in enumerate(results) if result.p_value is not None]
    settled = list(results)
    for i, adjusted in zip(tested, holm([results[i].p_value or 0.0 for i in tested]), strict=True):
        settled[i] = replace(results[i], p_adjusted=adjusted, status="drift" if adjusted < alpha else "ok")
    return settled
