"""Which verdicts are worth an event, how severe it is, and the sentence that says it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from bq_monitor.alerts.messages import OF_RUNS, WORST_FIRST, Kind, Severity
from bq_monitor.config import MonitorConfig
from bq_monitor.history import History
from bq_monitor.measure.explanation import sentence
from bq_monitor.measure.presets import Confirmation
from bq_monitor.measure.significance import holm
from bq_monitor.measure.verdict import Verdict, dataset_drifted, share_drifted

if TYPE_CHECKING:
    from bq_monitor.plan import Judgement
    from bq_monitor.plan_outcomes import OutcomeJudgement
    from bq_monitor.results import DriftResult

OF_OUTCOMES = ("performance", "estimated_performance", "business", "accuracy_drift", "concept_drift", "fairness")


class AlertKey(NamedTuple):
    """What one alert is about, whatever becomes of it."""

    kind: Kind
    measure: str | None = None
    feature: str | None = None
    segment: str = "all"
    baseline: str | None = None

    @property
    def stream(self) -> Literal["features", "outcomes", "runs"]:
        """What tells how it stands: windows of features, windows of answers, or the runs themselves."""
        if self.kind in OF_RUNS:
            return "runs"
        is_answer = self.kind in OF_OUTCOMES or (self.measure or "").startswith("latency")
        return "outcomes" if is_answer else "features"


@dataclass(frozen=True)
class Event:
    """Something a run found in a window. `feature` is None for what concerns the whole window.

    `measure`: of answers, or the check of the data; `sure`: how sure it is, in words; `carrier`: what carries most of it.
    """

    judgement: Judgement | OutcomeJudgement
    kind: Kind
    severity: Severity
    message: str
    feature: str | None = None
    segment: str = "all"
    baseline: str | None = None
    measure: str | None = None
    sure: str | None = None
    carrier: str | None = None

    @property
    def key(self) -> AlertKey:
        return AlertKey(self.kind, self.measure, self.feature, self.segment, self.baseline)


def with_severities(events: Sequence[Event], config: MonitorConfig) -> list[Event]:
    """The events with the severities that `alerts.overrides` gives them; of several overrides that fit the last one counts."""
    found = []
    for event in events:
        for override in config.alerts.overrides:
            said = override.model_dump(exclude={"severity"}, exclude_none=True)
            if all(getattr(event, name) == value for name, value in said.items()):
                event = replace(event, severity=override.severity)  # noqa: PLW2901 - the last that fits
        found.append(event)
    return found


def by_severity(events: Sequence[Event]) -> list[Event]:
    """The worst first; otherwise in their order."""
    return sorted(events, key=lambda event: WORST_FIRST.index(event.severity))


def events_of(results: Sequence[DriftResult], config: MonitorConfig, history: History) -> list[Event]:
    """The events of one window, worst first: confirmed drift of features and predictions, slow drift, the data set as a whole.

    Drift is confirmed by `detection.confirm`: in so many of the last windows that do not overlap, this one included.
    """
    confirm = config.detection.confirm
    counted = ((r, _n_drifted(r, config, history)) for r in results if r.verdict.status == "drift")
    confirmed = [(result, n) for result, n in counted if n >= confirm.k]
    found = [_event(result, n, confirm) for result, n in confirmed] + _slow(results, config)
    whole = [result for result in results if result.segment == "all"]
    verdicts = [r.verdict for r in worst(whole, {id(result) for result, _ in confirmed})]
    if results and dataset_drifted(verdicts, config.detection.share_drifted):
        message = dataset_sentence(verdicts, config.detection.share_drifted)
        found.append(Event(results[0].judgement, "dataset_drift", "critical", message))
    evaluated = [r for r in results if r.verdict.status != "excluded"]
    if evaluated and all(r.verdict.status == "not_evaluated" for r in evaluated):
        found.append(Event(results[0].judgement, "nothing_evaluated", "warning", _nothing_sentence(evaluated)))
    return by_severity(with_severities(found, config))


def _nothing_sentence(results: Sequence[DriftResult]) -> str:
    reasons = Counter(r.verdict.reason or "" for r in results)
    (reason, n), *others = reasons.most_common()
    more = f" ({n} of {len(results)} verdicts)" if others else ""
    return f"nothing could be evaluated: {reason}{more}"


def worst(results: Sequence[DriftResult], confirmed: set[int] | None = None) -> list[DriftResult]:
    """One result a feature and segment: the worst over its baselines. Drift that is not among `confirmed` ids counts as ok."""
    order = {"drift": 0, "ok": 1, "not_evaluated": 2, "excluded": 3}
    found: dict[tuple[str, str], DriftResult] = {}
    for given in results:
        is_doubtful = confirmed is not None and given.verdict.status == "drift" and id(given) not in confirmed
        result = replace(given, verdict=replace(given.verdict, status="ok")) if is_doubtful else given
        key = (result.segment, result.feature)
        if key not in found or order[result.verdict.status] < order[found[key].verdict.status]:
            found[key] = result
    return list(found.values())


def _n_drifted(result: DriftResult, config: MonitorConfig, history: History) -> int:
    """Drifted windows among the last that do not overlap, this one, which drifted, included."""
    before = history.before(result.series, result.judgement.window, config.detection.confirm.n - 1)
    return 1 + sum(past.status == "drift" for _, past in before)


def _slow(results: Sequence[DriftResult], config: MonitorConfig) -> list[Event]:
    """Features that are still ok, but on their way: a rise that chance does not explain, corrected for how many are tested."""
    tested = [r for r in results if r.baseline == "training" and r.verdict.trend_p_value is not None]
    adjusted = holm([r.verdict.trend_p_value or 0.0 for r in tested])
    return [
        Event(
            r.judgement,
            "slow_drift",
            "info",
            _slow_sentence(r),
            r.feature,
            r.segment,
            r.baseline,
            sure=f"p = {p:.2g} that it is chance",
        )
        for r, p in zip(tested, adjusted, strict=True)
        if p < config.alpha and r.verdict.status == "ok" and r.verdict.trend_crosses_at is not None
    ]


def _slow_sentence(result: DriftResult) -> str:
    verdict, crosses_at = result.verdict, result.verdict.trend_crosses_at
    assert crosses_at is not None  # noqa: S101 - only such trends are told
    when = "passes" if crosses_at > result.judgement.window.end else "passed"
    return (
        f"{result.feature} drifts slowly: its drift score rises by {30 * (verdict.trend_slope or 0):.2g} a month; "
        f"at this pace it {when} {verdict.threshold_distance:.2g} on {crosses_at:%Y-%m-%d}"
    )


def _event(result: DriftResult, n_drifted: int, confirm: Confirmation) -> Event:
    kind, severity = severity_of(result.role)
    message = drift_sentence(result.feature, result.verdict, result.baseline)
    if result.segment != "all":
        message = f"in {result.segment}: {message}"
    if confirm.n > 1:
        message += f"; in {n_drifted} of the last {confirm.n} windows"
    shifts = result.verdict.shifts
    carrier = f"{shifts[0].carrier}: {shifts[0].what}" if shifts else None
    return Event(
        result.judgement, kind, severity, message, result.feature, result.segment, result.baseline,
        sure=_sure(result.verdict), carrier=carrier,
    )  # fmt: skip


def _sure(verdict: Verdict) -> str | None:
    """How sure a drift is: the chance that it is none, and between what the true divergence lies."""
    if verdict.p_adjusted is None:
        return None
    chance = "less than 0.0001" if verdict.p_adjusted < 0.0001 else f"{verdict.p_adjusted:.2g}"
    between = (
        ""
        if verdict.lower is None or verdict.upper is None
        else f"; true {verdict.metric} {verdict.lower:.3g} to {verdict.upper:.3g}"
    )
    return f"chance of a false alarm {chance}, over all tests of the window{between}"


def severity_of(role: str) -> tuple[Kind, Severity]:
    """A drifted feature is a warning; drifted predictions are critical: they are what the model does."""
    return ("prediction_drift", "critical") if role in ("prediction", "score") else ("drift", "warning")


def dataset_sentence(verdicts: Sequence[Verdict], limit: float) -> str:
    """How much of a window drifted, in words."""
    return f"{share_drifted(verdicts) or 0.0:.0%} of the evaluated features drifted (limit {limit:.0%})"


def drift_sentence(feature: str, verdict: Verdict, baseline: str = "training") -> str:
    """What moved, in words, and by how much."""
    told = sentence(feature, verdict.shifts, baseline) or feature
    value = "" if verdict.value is None else f" {verdict.value:.3g}"
    limit = "" if verdict.threshold is None else f", threshold {verdict.threshold:g}"
    return f"{told} ({verdict.metric}{value}{limit}, n = {verdict.n_current:,})"
