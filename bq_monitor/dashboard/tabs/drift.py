"""Drift: all features over time, then one of them, then one of its windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene, pick, pick_moment
from bq_monitor.dashboard.shown import (
    Column,
    Html,
    badge,
    cards,
    heading,
    link,
    moment,
    note,
    number,
    share,
    span,
    table,
)
from bq_monitor.dashboard.tabs.drawing import WORST_FIRST, chart, html, items, known, nothing, rows
from bq_monitor.report import charts

if TYPE_CHECKING:
    import pandas as pd


def show(scene: Scene) -> None:
    """Features of the model; the answers are on their own tab."""
    frame = of_scene(scene)
    frame = frame[frame["role"] == "feature"]
    if not len(frame):
        nothing("No feature was judged in these windows. Choose a longer range, or wait for the next run.")
        return
    chart(
        charts.heat_map(frame),
        "Drift by feature and window",
        dark=scene.dark,
        below="The features that moved most come first.",
    )
    explore(scene, frame)


def of_scene(scene: Scene) -> pd.DataFrame:
    """The verdicts of what is picked."""
    frame = data.drift(scene.url, scene.monitor, scene.stretch, scene.segment, scene.baseline)
    return frame[frame["model_version"] == scene.version]


def explore(scene: Scene, frame: pd.DataFrame, what: str = "Features") -> None:
    """One feature over time and its distribution in one window; then all of that window, the worst first. `what` says what they are."""
    places = st.columns(2)
    with places[1]:
        end = pick_moment("Window", frame)
    listed = sorted(rows(frame[frame["window_end"] == end]), key=_worst_first)
    names = known([*(row["feature"] for row in listed), *frame["feature"]])
    if end is None or not names:
        nothing("No window to show.")
        return
    with places[0]:
        feature = pick("Feature", names, "feature", names[0])
        chart(charts.metric_timeline(frame[frame["feature"] == feature]), "Over time", dark=scene.dark)
    verdict = _verdict(scene, end, feature)
    with places[1]:
        _distribution(scene, verdict, end)
    if verdict:
        html(
            note(verdict["explanation"] or verdict["reason"] or "Nothing moved that chance would not explain."),
            _facts(verdict),
        )
        if buckets := items(verdict["contributions"]):
            with st.expander("Buckets"):
                html(table("Shares by bucket", _BUCKETS, buckets))
    html(table(f"{what} in the window that ends {moment(end)}, the worst first", _columns(scene), listed))


def _worst_first(row: dict[str, Any]) -> tuple[int, float, str]:
    score = row["drift_score"]
    return WORST_FIRST.get(row["status"], 3), -(score or 0.0), str(row["feature"])


def _columns(scene: Scene) -> tuple[Column, ...]:
    return (
        Column("feature", lambda row: link(str(row["feature"]), **scene.place(feature=row["feature"]))),
        Column("kind", lambda row: row["kind"]), Column("verdict", lambda row: badge(row["status"])),
        Column("drift score", lambda row: number(row["drift_score"]), is_number=True),
        Column("metric", lambda row: str(row["metric"] or "").replace("_", " ")),
        Column("value", lambda row: number(row["value"]), is_number=True),
        Column("true value between", lambda row: span(row["lower"], row["upper"])),
        Column("threshold", lambda row: number(row["threshold"]), is_number=True),
        Column("rows", lambda row: number(row["n_current"]), is_number=True),
        Column("why", lambda row: row["explanation"] or row["reason"]),
    )  # fmt: skip


def _verdict(scene: Scene, end: pd.Timestamp, feature: str) -> dict[str, Any] | None:
    """All that is known of a feature in a window; None where it was not judged."""
    found = data.verdicts(scene.url, scene.monitor, end.to_pydatetime())
    mine = (found["feature"] == feature) & (found["model_version"] == scene.version)
    mine &= (found["segment"] == scene.segment) & (found["baseline"] == scene.baseline)
    return next(iter(rows(found[mine])), None)


def _distribution(scene: Scene, verdict: dict[str, Any] | None, end: pd.Timestamp) -> None:
    title = f"Distribution in the window that ends {moment(end)}"
    if verdict is None:
        html(heading(title), note("This feature was not judged in this window.", "nothing"))
    elif buckets := items(verdict["contributions"]):
        chart(charts.distribution(buckets, kind=str(verdict["kind"]), baseline=scene.baseline), title, dark=scene.dark)
    else:
        html(heading(title), note(f"No distribution: {verdict['reason'] or 'nothing was counted'}.", "nothing"))


def _facts(row: dict[str, Any]) -> Html:
    return cards([
        ("verdict", badge(row["status"])), ("drift score", number(row["drift_score"])), ("psi", number(row["psi"])),
        ("JS distance", number(row["js_distance"])), ("p, adjusted", number(row["p_adjusted"])),
        ("rows, baseline", number(row["n_baseline"])), ("rows, window", number(row["n_current"])),
        ("missing, baseline", share(row["null_share_baseline"])), ("missing, window", share(row["null_share_current"])),
        ("unseen", share(row["unseen_share"])),
    ])  # fmt: skip


_BUCKETS = (
    Column("bucket", lambda row: row["bucket"]),
    Column("share, baseline", lambda row: share(row["baseline_share"]), is_number=True),
    Column("share, window", lambda row: share(row["current_share"]), is_number=True),
    Column("part of psi", lambda row: number(row["psi"]), is_number=True),
)
