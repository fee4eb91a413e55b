"""What an alert is called, what to do about it, and which rows it is about."""

from __future__ import annotations

from typing import get_args

import pytest

from bq_monitor.alerts.life import Transition, alert_id, event_id
from bq_monitor.alerts.messages import Kind, headline
from bq_monitor.alerts.notifying import title_of
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.wording import item_of, recommendation, rows_of, summary
from tests.alerts.lives import day, live, made_alert, watcher

KINDS: tuple[Kind, ...] = get_args(Kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words_and_something_to_do(kind: Kind) -> None:
    """No kind of alert is told without saying what to do next; what it is about stands in its name."""
    alert = made_alert(kind, "income", measure="auc")
    of_feature, of_measure = "income" in summary(alert.key), "auc" in summary(alert.key)
    assert of_feature == (kind in ("drift", "prediction_drift", "slow_drift", "quality"))
    assert of_measure == (
        kind
        in (
            "quality",
            "performance",
            "estimated_performance",
            "business",
            "accuracy_drift",
            "fairness",
            "delivery",
            "action_failed",
        )
    )
    assert "{" not in summary(alert.key)
    assert recommendation(alert).endswith(".")


def test_no_two_kinds_are_called_the_same() -> None:
    """Performance, its estimate and the business's numbers are told apart by their measures' kinds or by words."""
    words = {kind: summary(AlertKey(kind, "auc", "income")) for kind in KINDS if kind != "business"}
    assert len(set(words.values())) == len(words)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "income drifted"), ({"segment": "region=north"}, "income drifted in region=north"), ({"baseline": "training"}, "income drifted"),
        ({"baseline": "previous"}, "income drifted (against previous)"),
        ({"segment": "region=north", "baseline": "previous"}, "income drifted in region=north (against previous)"),
    ],
)  # fmt: skip
def test_a_summary_says_where_and_against_what(changes: dict[str, str], text: str) -> None:
    """What goes without saying is not said."""
    assert summary(AlertKey("drift", feature="income", **changes)) == text  # type: ignore[arg-type]


def test_a_check_of_the_whole_window_names_no_feature() -> None:
    """Volume is of no feature."""
    assert summary(AlertKey("quality", "volume")) == "data quality: volume"
    assert summary(AlertKey("quality", "null_rate", "income")) == "data quality: null_rate of income"


@pytest.mark.parametrize(
    ("carrier", "word"),
    [
        ("null: 3 % to 41 %", "NULL"),
        ("nan: 0 % to 2 %", "NaN"),
        ("unseen: 5 %", "never had"),
        ("bucket: [1, 2)", None),
        (None, None),
    ],
)
def test_what_to_do_about_drift_depends_on_what_carries_it(carrier: str | None, word: str | None) -> None:
    """Missing values and new labels point at the pipeline; the general advice follows. Other kinds have their own."""
    general, text = recommendation(made_alert()), recommendation(made_alert(carrier=carrier))
    assert text.endswith(general)
    assert (word in text.removesuffix(general)) if word else text == general
    predicted = made_alert("prediction_drift")
    assert recommendation(made_alert("prediction_drift", carrier=carrier)) == recommendation(predicted)


def test_the_rows_are_those_of_the_window_the_filter_the_version_and_the_segment() -> None:
    """A query is quickly made of it."""
    config = watcher(source={"table": "log.parquet", "timestamp": "ts", "filter": "country = 'DE'"})
    alert = made_alert(segment="region=north", model_version="7")
    assert rows_of(alert, config) == (
        "log.parquet: ts from 2026-01-01 00:00 to 2026-01-02 00:00 UTC, where country = 'DE', version 7, segment region=north"
    )
    assert rows_of(made_alert(), watcher()) == "log.parquet: ts from 2026-01-01 00:00 to 2026-01-02 00:00 UTC"


def test_an_item_is_the_event_and_where_the_alert_stands() -> None:
    """Its ids are those of the rows; it has the window that the news is from."""
    opened, *_, last = [t for t in live("f" * 8) if t.notify]
    item = item_of(last, watcher())
    assert (item.event_id, item.alert_id) == (event_id("loans", last), alert_id("loans", last.alert.key))
    assert (item.news, item.kind, item.severity, item.feature, item.baseline) == (
        "reminded",
        "drift",
        "warning",
        "amount",
        "training",
    )
    assert (item.window_end, item.since, item.n_windows) == (day(8).end, opened.alert.since, 8)
    assert headline(item) == "[warning] still: amount drifted (8 windows, since 2026-01-02)"


def test_an_alert_about_runs_has_no_window_and_no_rows() -> None:
    """It is about no stretch of the log."""
    alert = made_alert("run_failed", None)
    item = item_of(Transition("opened", alert), watcher())
    assert (item.window_start, item.window_end, item.rows) == (None, None, None)


def test_one_that_was_ended_by_hand_is_told_as_over_with_who_and_why() -> None:
    """So that the channels know that nothing got better by itself."""
    closed = Transition("closed", made_alert(is_open=False), notify=True, actor="ann", note="retrained")
    item = item_of(closed, watcher())
    assert (item.news, item.is_resolved, item.message) == ("resolved", True, "it moved (closed by ann: retrained)")


@pytest.mark.parametrize(
    ("letters", "title"),
    [
        ("f", "loans: 1 alert opened"),
        ("fccc", "loans: 1 alert opened, 1 resolved"),
        ("fcccf", "loans: 1 alert opened, 1 came back, 1 resolved"),
    ],
)
def test_a_title_counts_what_happened(letters: str, title: str) -> None:
    """In the order of what matters; one alert is no `alerts`."""
    assert title_of("loans", [item_of(t, watcher()) for t in live(letters) if t.notify]) == title


def test_a_title_of_many() -> None:
    """Each alert is one."""
    made = [item_of(Transition("opened", made_alert(feature=name)), watcher()) for name in "abc"]
    assert title_of("loans", made) == "loans: 3 alerts opened"
