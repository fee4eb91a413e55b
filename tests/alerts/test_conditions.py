"""What windows show of alerts, for every kind: firing, doubtful, clean or unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bq_monitor.alerts.conditions import feature_looks, outcome_looks
from bq_monitor.alerts.life import Condition, Look, advance
from bq_monitor.alerts.outcomes import performance_events
from bq_monitor.alerts.quality import quality_events
from bq_monitor.alerts.rules import AlertKey, events_of
from bq_monitor.checking import QualityResult
from bq_monitor.config import MonitorConfig
from bq_monitor.history import History, Past
from bq_monitor.measure.measured import Measured
from bq_monitor.measure.quality import Check
from bq_monitor.measure.verdict import Verdict
from bq_monitor.outcome_results import PerformanceResult
from bq_monitor.plan import Judgement
from bq_monitor.plan_outcomes import Arrived, OutcomeJudgement
from bq_monitor.results import DriftResult
from tests.alerts.lives import AMOUNT, START, day, live, look, policy, watcher

ABOVE, BELOW = 0.2, 0.05
"""Drift scores on either side of the threshold of the preset, 0.1."""


def drift(status: Any, score: float | None = BELOW, number: int = 3, version: str = "1", **changes: Any) -> DriftResult:
    about = {"feature": "amount", "role": "feature", "kind": "numeric", **changes}
    trend = {name: about.pop(name) for name in ("trend_p_value", "trend_crosses_at", "trend_slope") if name in about}
    verdict = Verdict(status, metric="js_distance", threshold=0.1, drift_score=score, n_current=900, **trend)
    return DriftResult(Judgement(day(number), version, None, f"key-{number}-{version}"), verdict=verdict, **about)


def seen(results: Sequence[DriftResult], config: MonitorConfig | None = None, *before: str) -> Look:
    """What one window shows, after days with these statuses."""
    config, history = config or watcher(), History()
    for result in results:
        for i, status in enumerate(before, start=3 - len(before)):
            history.add(result.series, day(i), Past(status, ABOVE))
    by_version = {
        r.judgement.model_version: [s for s in results if s.judgement.model_version == r.judgement.model_version]
        for r in results
    }
    events = [event for mine in by_version.values() for event in events_of(mine, config, history)]
    (found,) = feature_looks(results, [], events, config)
    return found


def of_kind(found: Look, kind: str) -> Condition | None:
    return next((condition for key, condition in found.conditions.items() if key.kind == kind), None)


@pytest.mark.parametrize(
    ("shown", "before", "condition"),
    [
        (("drift", ABOVE), ["ok", "drift"], "firing"), (("drift", ABOVE), ["drift", "ok"], "firing"),
        (("drift", ABOVE), ["ok", "ok"], "doubtful"), (("drift", ABOVE), [], "doubtful"),
        (("ok", ABOVE), ["drift", "drift"], "doubtful"), (("ok", BELOW), ["drift", "drift"], "clean"),
        (("not_evaluated", None), ["drift", "drift"], "unknown"), (("excluded", None), ["drift", "drift"], None),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("role", "kind"), [("feature", "drift"), ("score", "prediction_drift")])
def test_drift_of_one_feature(
    role: str, kind: str, shown: tuple[str, float | None], before: list[str], condition: str | None
) -> None:
    """Confirmed drift fires; unconfirmed drift and what lies above the threshold without being sure are neither; missing is unknown."""
    found = seen([drift(*shown, role=role)], None, *before)
    assert of_kind(found, kind) == condition
    assert [key.kind for key in found.events if key.kind == kind] == ([kind] if condition == "firing" else [])


def test_a_metric_without_a_threshold_is_clean_where_it_is_ok() -> None:
    """A test of any change has no threshold that the drift score could lie above."""
    result = drift("ok", ABOVE)
    tested = replace(result, verdict=replace(result.verdict, metric="ks_statistic", threshold=None))
    assert of_kind(seen([tested]), "drift") == "clean"


@pytest.mark.parametrize(
    ("result", "condition"),
    [
        (drift("ok", trend_p_value=1e-6, trend_slope=0.001, trend_crosses_at=START), "firing"),
        (drift("ok", trend_p_value=0.5, trend_slope=0.001), "clean"), (drift("drift", ABOVE, trend_p_value=1e-6), "doubtful"),
        (drift("ok"), "unknown"), (drift("not_evaluated", None), "unknown"), (drift("ok", baseline="previous"), None),
    ],
)  # fmt: skip
def test_slow_drift(result: DriftResult, condition: str | None) -> None:
    """A trend that chance does not explain fires; none is clean; where too few windows tell one, it is unknown."""
    assert of_kind(seen([result]), "slow_drift") == condition


@pytest.mark.parametrize(
    ("statuses", "before", "condition"),
    [
        (("drift", "drift"), ["drift", "drift"], "firing"), (("drift", "drift"), ["ok", "ok"], "doubtful"),
        (("ok", "ok"), [], "clean"), (("drift", "ok"), ["ok", "ok"], "clean"), (("not_evaluated", "not_evaluated"), [], "unknown"),
    ],
)  # fmt: skip
def test_the_data_set_as_a_whole(statuses: tuple[str, str], before: list[str], condition: str) -> None:
    """Enough confirmed drift fires, as much that is unconfirmed is doubtful; segments play no part; without verdicts it is unknown."""
    config = watcher(detection={"share_drifted": 0.6})
    results = [
        drift(status, ABOVE if status == "drift" else None, feature=name)
        for status, name in zip(statuses, "ab", strict=True)
    ]
    aside = [drift("drift", ABOVE, feature=name, segment="region=north") for name in "abcd"]
    assert of_kind(seen([*results, *aside], config, *before), "dataset_drift") == condition


def test_nothing_evaluated_fires_and_is_over_with_the_first_verdict() -> None:
    """Of the features it is unknown then, which is not clean."""
    nothing = seen([drift("not_evaluated", None)])
    assert (of_kind(nothing, "nothing_evaluated"), of_kind(nothing, "drift")) == ("firing", "unknown")
    assert of_kind(seen([drift("ok")]), "nothing_evaluated") == "clean"


@pytest.mark.parametrize(("status", "condition"), [("drift", "firing"), ("ok", "clean"), ("not_evaluated", "unknown")])
def test_checks_of_the_data(status: Any, condition: str) -> None:
    """Each check of each feature is an alert of its own, also in a window without verdicts."""
    checked = [
        QualityResult(Judgement(day(3), "1", None, ""), Check("null_rate", "amount", status, explanation="NULL"))
    ]
    config = watcher()
    (found,) = feature_looks([], checked, quality_events(checked, config), config)
    assert found.conditions == {AlertKey("quality", "null_rate", "amount"): condition}
    assert found.window == day(3)


def test_of_several_model_versions_the_strongest_counts() -> None:
    """One look a window, whichever version comes first; the event is that of the version that fires."""
    results = [drift("ok", version="1"), drift("drift", ABOVE, version="2"), drift("not_evaluated", None, version="3")]
    for shown in (results, results[::-1]):
        found = seen(shown, None, "drift", "drift")
        assert of_kind(found, "drift") == "firing"
        assert found.events[AMOUNT].judgement.model_version == "2"
    assert of_kind(seen([results[0], results[2]]), "drift") == "clean"
    assert of_kind(seen([results[0], drift("ok", ABOVE, version="2")]), "drift") == "doubtful"


def test_windows_come_oldest_first() -> None:
    """However the verdicts are ordered."""
    found = feature_looks([drift("ok", number=n) for n in (5, 3, 4)], [], [], watcher())
    assert [each.window for each in found] == [day(3), day(4), day(5)]


def test_a_feature_that_vanished_is_unknown_and_never_over() -> None:
    """No verdict on it is no clean window, however many come."""
    opened = {AMOUNT: live("f")[-1].alert}
    others = feature_looks([drift("ok", number=n, feature="region") for n in range(2, 12)], [], [], watcher())
    (made,) = [t for t in advance(opened, others, policy()) if t.alert.key == AMOUNT]
    assert (made.event, made.alert.is_open, made.alert.n_clean) == ("unknown", True, 0)


def scored(
    metric: str, status: str, basis: Any = "realised", *, provisional: bool = False, **changes: Any
) -> PerformanceResult:
    judgement = OutcomeJudgement(day(3), "1", None, "key", provisional, Arrived())
    return PerformanceResult(judgement, "all", basis, metric, Measured(0.6, 900, 0.01), status, rule="> 0.7", **changes)


def answered(*results: PerformanceResult) -> Look:
    (found,) = outcome_looks(results, performance_events(results, watcher()))
    return found


@pytest.mark.parametrize(("status", "condition"), [("drift", "firing"), ("ok", "clean"), ("not_evaluated", "unknown")])
@pytest.mark.parametrize(
    ("metric", "basis", "kind"),
    [
        ("auc", "realised", "performance"), ("auc", "estimated", "estimated_performance"), ("approval_rate", "observed", "business"),
        ("accuracy_js_divergence", "realised", "accuracy_drift"), ("selection_rate_ratio", "observed", "fairness"),
        ("latency_p95", "observed", "quality"),
    ],
)  # fmt: skip
def test_limits_of_answers(metric: str, basis: str, kind: Any, status: str, condition: str) -> None:
    """A broken limit fires, one that holds is clean, one that cannot be told is unknown."""
    found = answered(scored(metric, status, basis))
    assert found.conditions == {AlertKey(kind, metric): condition}
    assert set(found.streams) == {"outcomes"}


@pytest.mark.parametrize(
    ("shift", "concept", "condition", "severity"),
    [
        ("drift", "drift", "firing", "critical"), ("ok", "drift", "firing", "warning"), ("ok", "ok", "clean", None),
        ("not_evaluated", "not_evaluated", "unknown", None),
    ],
)  # fmt: skip
def test_concept_drift(shift: str, concept: str, condition: str, severity: str | None) -> None:
    """It is told by the shift of the window and by what moved given single features."""
    whole = scored("shift", shift, explanation="concept shift")
    found = answered(whole, replace(scored("concept:amount", concept), judgement=whole.judgement))
    assert found.conditions == {AlertKey("concept_drift"): condition}
    assert [event.severity for event in found.events.values()] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"p_value": 0.04}, "doubtful"),
        ({"p_value": 0.6}, "clean"),
        ({"p_value": None}, "clean"),
        ({"rule": None}, "unknown"),
    ],
)
def test_a_number_beyond_its_limit_by_chance_is_not_clean(changes: Any, condition: str) -> None:
    """It holds its limit only because it is not sure; without a limit nothing is known of the alert."""
    found = answered(replace(scored("accuracy", "ok"), **changes))
    assert of_kind(found, "performance") == condition


def test_a_provisional_window_says_nothing_of_what_rests_on_outcomes() -> None:
    """Neither that it fires nor that it is unknown: an alert of a mature window stays as it is; what needs no outcome is told."""
    early = [scored("auc", status, provisional=True) for status in ("drift", "ok", "not_evaluated")]
    found = answered(
        *early,
        scored("shift", "drift", provisional=True, explanation="x"),
        scored("auc", "drift", "estimated", provisional=True),
    )
    assert found.conditions == {AlertKey("estimated_performance", "auc"): "firing"}
    standing = look(1, "f", AlertKey("performance", "auc"))
    opened = {t.alert.key: t.alert for t in advance({}, [standing], policy())}
    assert [t.alert.key.kind for t in advance(opened, [found], policy())] == ["estimated_performance"]
    assert [t.event for t in advance(opened, [replace(found, streams=frozenset({"outcomes"}))], policy())] == [
        "opened",
        "unknown",
    ]


def test_a_window_that_could_not_be_scored_says_nothing_by_itself() -> None:
    """Its single row, of all metrics, is no alert; open alerts of answers are unknown by it."""
    found = answered(scored("*", "not_evaluated"))
    assert (found.conditions, found.streams) == ({}, frozenset({"outcomes"}))
