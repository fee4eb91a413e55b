"""What a report says of a window of a monitor, and of a comparison: the rows as they are stored, and one true sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bq_monitor import InputError, compare
from bq_monitor.errors import TableNotFoundError
from bq_monitor.report.of_comparison import page_of_comparison
from bq_monitor.report.of_run import page_of_run, standing_alerts
from bq_monitor.report.page import Alert, Page
from bq_monitor.report.sentence import told
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.report.lab import MARKUP, Watched, rows, shared
from tests.report.samples import END, START, feature, page, score

NEWEST = "window_end = TIMESTAMPTZ '2026-02-02 00:00:00+00'"
PLAIN = (
    "status",
    "reason",
    "drift_score",
    "n_baseline",
    "n_current",
    "metric",
    "threshold",
    "lower",
    "upper",
    "p_adjusted",
    "explanation",
)


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return shared(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def found(monitor: Watched) -> Page:
    return monitor.page()


def test_every_verdict_is_there_as_it_is_stored(monitor: Watched, found: Page) -> None:
    """A line for each feature, segment and baseline of the newest window, all numbers as SQL finds them."""
    stored = monitor.ask(f"SELECT * FROM drift_latest WHERE {NEWEST}")
    said = {(item.feature, item.segment, item.baseline): item for item in found.features}
    assert len(said) == len(stored) == len(found.features) > 10
    for row in stored:
        item = said[row["feature"], row["segment"], row["baseline"]]
        assert {name: getattr(item, name) for name in PLAIN} == {name: row[name] for name in PLAIN}
        assert dict(item.metrics) == {name: row[name] for name in item.metrics}
        assert [vars(bucket) for bucket in item.contributions] == row["contributions"]
    assert any(MARKUP in item.segment for item in found.features)


def test_timelines_are_the_last_windows(monitor: Watched, found: Page) -> None:
    """A feature's timeline has its windows up to this one, as the view has them."""
    stored = monitor.ask(
        "SELECT window_end, value FROM drift_timeline WHERE feature = 'amount' AND segment = 'all' ORDER BY 1"
    )
    (amount,) = [item for item in found.features if item.feature == "amount" and item.segment == "all"]
    assert [(point.window_end, point.value) for point in amount.timeline] == [
        (row["window_end"], row["value"]) for row in stored
    ]
    assert len(stored) == 4


def test_answers_checks_health_and_alerts_are_those_stored(monitor: Watched, found: Page) -> None:
    """Numbers of answers, checks of the data, the health with its parts and what stands are what the views say."""
    scores = monitor.ask(
        f"SELECT segment, basis, metric, value, lower, upper, status FROM performance_latest WHERE {NEWEST}"
    )
    assert {tuple(row.values()) for row in scores} == {
        (s.segment, s.basis, s.metric, s.value, s.lower, s.upper, s.status) for s in found.performance
    }
    checks = monitor.ask(f"SELECT check_name, feature, value, limit_value, status FROM quality_latest WHERE {NEWEST}")
    assert {tuple(row.values()) for row in checks} == {
        (c.check, c.feature, c.value, c.limit, c.status) for c in found.quality
    }
    (health,) = monitor.ask("SELECT * FROM model_health")
    (said,) = found.health
    assert said.health == health["health"]
    assert {part.part: part.score for part in said.parts} == {
        part.part: health[f"{part.part}_health"] for part in said.parts
    }
    standing = monitor.ask("SELECT alert_id, message FROM open_alerts")
    assert {(a.alert_id, a.message) for a in found.alerts} == {tuple(row.values()) for row in standing}
    assert found.owner == "risk@bank.test"


def test_a_window_is_named_by_its_end_or_by_a_moment_in_it(monitor: Watched) -> None:
    """Its end, or any moment before that; another window has no health, and says that it is not the newest."""
    by_end, inside = monitor.page("2026-01-26"), monitor.page("2026-01-21T09:30")
    assert by_end.window_end == inside.window_end == datetime(2026, 1, 26, tzinfo=UTC)
    assert by_end.health == ()
    assert "not the newest" in by_end.notes[0]
    assert monitor.page("2026-02-02").notes == ()


def test_no_window_is_said_so(monitor: Watched, warehouse: DuckDBWarehouse) -> None:
    """A moment without a judged window, a monitor without any, and a warehouse without tables: each is told what to do."""
    with pytest.raises(InputError, match=r"window: got '2025-01-01'.*the windows end from 2026-01-12 to 2026-02-02"):
        monitor.page("2025-01-01")
    with pytest.raises(TableNotFoundError, match="bq-monitor init"):
        page_of_run(monitor.config, warehouse)
    create_tables(warehouse)
    with pytest.raises(InputError, match=r"loans: no window has been judged yet.*bq-monitor run"):
        page_of_run(monitor.config, warehouse)


def test_a_comparison_is_told_as_it_was_found(rng: np.random.Generator) -> None:
    """Columns, answers, segments, health and alerts of `compare`, number by number; nothing of it has a window."""
    result = compare(
        rows(rng, 800), rows(rng, 800, 3.0), label="y", prediction="p", score="s", segment="region", positive=True
    )
    found, plain = page_of_comparison(result, "new against old"), result.to_dict()
    said = {item.feature: item for item in found.features if item.segment == "all"}
    for entry in plain["features"]:
        item = said[entry["feature"]]
        assert (item.status, item.drift_score, dict(item.metrics)) == (
            entry["status"],
            entry["drift_score"],
            entry["metrics"],
        )
    realised = {
        s.metric: s.value
        for s in found.performance
        if s.basis == "realised" and s.segment == "all" and not s.is_concept
    }
    assert realised == {name: number["value"] for name, number in plain["performance"]["current"].items()}
    assert found.health[0].health == plain["health"]
    assert [alert.message for alert in found.alerts] == [alert["message"] for alert in plain["alerts"]]
    assert set(found.segments) == {segment["segment"] for segment in plain["segments"]}
    assert found.window_end is None
    assert found.verdict.startswith("1 of 2 features drifted; the answers are as good as in the baseline")


def test_a_bare_comparison_has_no_answers(rng: np.random.Generator) -> None:
    """Without a label nothing is said of answers but that they are not known."""
    found = page_of_comparison(compare(rows(rng, 400), rows(rng, 400)))
    assert found.performance == ()
    assert found.verdict.endswith("how good the answers are is not known.")


def drifted(n: int, of: int) -> tuple[Any, ...]:
    return tuple(feature(f"x{i}", "drift" if i < n else "ok") for i in range(of))


LATER = {"window_start": START - timedelta(days=7), "window_end": START}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": drifted(3, 11), "performance": (score("roc_auc"),)}, "3 of 11 features drifted; the answers are as good as in training."),
        ({"features": drifted(0, 2)}, "None of 2 features drifted; how good the answers are is not known."),
        ({"features": ()}, "Nothing was judged; how good the answers are is not known."),
        (
            {"features": tuple(feature(name, "not_evaluated", reason="no rows") for name in "ab")},
            "None of 2 features could be evaluated: no rows; how good the answers are is not known.",
        ),
        (
            {"features": (*drifted(1, 2), feature("y", "not_evaluated", reason="no rows"))},
            "1 of 2 features drifted (1 more could not be evaluated); how good the answers are is not known.",
        ),
        ({"performance": (score("roc_auc", status="drift"),)}, "None of 1 feature drifted; the answers broke their limit (roc_auc: max_drop 0.05)."),
        ({"performance": (score("roc_auc", rule="min 0.7"),)}, "None of 1 feature drifted; no limit on the answers is broken."),
        (
            {"performance": (score("roc_auc"), score("accuracy", rule=None, upper=0.79))},
            "None of 1 feature drifted; no limit on the answers is broken, but accuracy is surely worse than in training.",
        ),
        (
            {"performance": (score("roc_auc", basis="estimated"), score("roc_auc", status="not_evaluated", is_provisional=True))},
            "None of 1 feature drifted; the answers are estimated to be as good as in training.",
        ),
        (
            {"performance": (score("roc_auc", **LATER),)},
            "None of 1 feature drifted; the answers are as good as in training, by the outcomes known so far (2026-04-20 to 2026-04-27).",
        ),
        ({"performance": (score("roc_auc", rule=None),)}, "None of 1 feature drifted; how good the answers are is known, but nothing was judged."),
    ],
)  # fmt: skip
def test_the_verdict_says_what_the_statuses_say(changes: dict[str, Any], said: str) -> None:
    """One sentence; what was not evaluated is never called good, and what only keeps a limit is not called as good as before."""
    assert page(**changes).verdict == said


def test_what_the_verdict_leaves_out_is_a_finding() -> None:
    """Moved answers, concept drift, segments, fairness and failed checks are each said; without any there is no finding."""
    assert page().findings == ()
    found = page(
        features=(*drifted(0, 1), replace(feature("p", "drift"), role="prediction"), feature("x0", "drift", segment="a=1")),
        performance=(score("concept:x0", status="drift"), score("tpr_ratio", segment="a=1", status="drift"), score("roc_auc"),
                     score("roc_auc", basis="estimated", status="drift")),
    )  # fmt: skip
    assert found.findings == (
        "The model's answers drifted (p).",
        "The estimate without outcomes breaks a limit (roc_auc: max_drop 0.05).",
        "Outcomes no longer follow from the inputs as in training (x0).",
        "Something drifted in 1 of 1 segment.",
        "1 limit of fairness is broken.",
    )
    assert found.status == "drift"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "moved; js_distance is above its threshold, but not surely: with 500 rows it may be chance"),
        ({"threshold": 0.2}, "moved"), ({"threshold": None}, "moved"), ({"status": "drift"}, "moved"), ({"reason": "no rows"}, "no rows"),
    ],
)  # fmt: skip
def test_a_value_beyond_its_threshold_that_is_no_drift_is_explained(changes: dict[str, Any], said: str) -> None:
    """Whoever sees a value above the threshold beside `ok` reads why; nobody else does."""
    assert told(replace(feature("x", explanation="moved"), **changes)) == said


def test_of_several_limits_it_is_said_how_many_broke() -> None:
    """One broken limit of two is not all."""
    found = page(performance=(score("roc_auc", status="drift"), score("accuracy")))
    assert "the answers broke 1 of 2 limits (roc_auc: max_drop 0.05)" in found.verdict


def test_provisional_numbers_break_nothing() -> None:
    """Outcomes that may still change are neither a verdict nor a finding."""
    found = page(performance=(score("roc_auc", status="drift", is_provisional=True),))
    assert found.status == "ok"
    assert "broke" not in found.verdict


def test_plain_values_are_json(found: Page) -> None:
    """The report as plain values has nothing that JSON lacks, and the names that `run` and `compare` use."""
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {
        "features",
        "performance",
        "quality",
        "alerts",
        "health",
        "health_parts",
        "segments",
        "notes",
    } <= plain.keys()
    assert {"feature", "kind", "status", "reason", "role", "drift_score", "metrics", "contributions"} <= plain[
        "features"
    ][0].keys()
    assert plain["window_end"] == "2026-02-02T00:00:00+00:00"


def test_the_worst_comes_first() -> None:
    """Features by status, then by drift score; of several baselines the worst one counts."""
    calm = feature("a", drift_score=0.9)
    found = page(
        features=(calm, feature("b", "drift", drift_score=0.2), replace(calm, status="drift", baseline="promoted"))
    )
    assert [(row.worst.feature, row.worst.baseline) for row in found.rows] == [("a", "promoted"), ("b", "training")]


def test_alerts_keep_their_time() -> None:
    """A moment becomes ISO text in plain values."""
    found = page(alerts=(Alert("drift", "warning", "x drifted", since=END),))
    assert found.to_dict()["alerts"][0]["since"] == "2026-05-04T00:00:00+00:00"


def test_alerts_of_which_nothing_is_known_come_last() -> None:
    """The worst first, the newest first among them; without severity or time one is still there."""
    week = timedelta(days=7)
    known = [("bare", None, None), ("old", "warning", END), ("new", "warning", END + week), ("bad", "critical", None)]
    rows = [
        {"kind": "drift", "severity": severity, "message": name, "status": "open", "since": since}
        for name, severity, since in known
    ]
    assert [alert.message for alert in standing_alerts(pd.DataFrame(rows))] == ["bad", "new", "old", "bare"]
