"""How good the answers are: realised and estimated, by segment; calibration, confusion, concept and fairness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene, pick, pick_moment
from bq_monitor.dashboard.shown import Column, badge, heading, link, moment, number, span, table
from bq_monitor.dashboard.tabs.drawing import WORST_FIRST, chart, html, items, known, nothing, rows, side_by_side
from bq_monitor.report import charts

if TYPE_CHECKING:
    import pandas as pd

FIRST = ("roc_auc", "accuracy", "mae", "f1", "rmse")
_CONCEPT = "concept:"
_FAIR = ("_ratio", "_difference")


def show(scene: Scene) -> None:
    """One measure over time; then, of one window, all measures, segments, and what they are made of."""
    frame = data.performance(scene.url, scene.monitor, scene.stretch)
    frame = frame[(frame["model_version"] == scene.version) & (frame["basis"] != "observed")]
    if not len(frame):
        nothing(
            "Nothing is known of how good the answers are: the monitor has no 'labels', or nothing ran in this range."
        )
        return
    measures = [name for name in known(frame["metric"]) if not name.startswith(_CONCEPT) and name != "shift"]
    usual = next((name for name in FIRST if name in measures), measures[0] if measures else "")
    chosen = st.columns(2)
    with chosen[0]:
        metric = pick("Measure", measures, "metric", usual, format_func=_spoken) if measures else ""
    with chosen[1]:
        end = pick_moment("Window", frame, _mature(frame))
    mine = frame[(frame["metric"] == metric) & (frame["segment"] == scene.segment)]
    chart(charts.performance_timeline(mine), f"{_spoken(metric)} over time".capitalize(), dark=scene.dark)
    of_window = frame[frame["window_end"] == end]
    _measures(scene, of_window, end)
    _segments(of_window, metric)
    _made_of(scene, of_window[(of_window["segment"] == scene.segment) & (of_window["basis"] == "realised")])
    _concept(scene, of_window)
    _fairness(of_window)


def _mature(frame: pd.DataFrame) -> Any:
    """The newest window whose outcomes have come."""
    done = frame[
        (frame["basis"] == "realised") & ~frame["is_provisional"].fillna(True).astype(bool) & frame["value"].notna()
    ]
    return done["window_end"].max() if len(done) else None


def _spoken(metric: str) -> str:
    return metric.replace("_", " ")


def _is_fairness(metric: str) -> bool:
    return metric.endswith(_FAIR)


_VALUES = (
    Column("basis", lambda row: row["basis"]), Column("verdict", lambda row: badge(row["status"]) if row["rule"] else None, is_optional=True),
    Column("value", lambda row: number(row["value"]), is_number=True), Column("surely between", lambda row: span(row["lower"], row["upper"])),
    Column("reference", lambda row: number(row["reference_value"]), is_number=True), Column("limit", lambda row: row["rule"], is_optional=True),
    Column("rows told from", lambda row: number(row["n"]), is_number=True),
    Column("standing", lambda row: "provisional" if row["is_provisional"] is True else "final"),
    Column("why", lambda row: row["explanation"] or row["reason"], is_optional=True),
)  # fmt: skip


def _measures(scene: Scene, frame: pd.DataFrame, end: pd.Timestamp | None) -> None:
    listed = [
        row for row in rows(frame[frame["segment"] == scene.segment])
        if not row["metric"].startswith(_CONCEPT) and not _is_fairness(row["metric"]) and row["metric"] != "shift"
    ]  # fmt: skip
    listed.sort(key=lambda row: (not row["rule"], WORST_FIRST.get(row["status"], 3), row["metric"], row["basis"]))
    columns = (
        Column("measure", lambda row: link(_spoken(row["metric"]), **scene.place(metric=row["metric"]))),
        *_VALUES,
    )
    if listed:
        html(
            table(f"All measures of the window that ends {moment(end)}; those with a limit come first", columns, listed)
        )


def _segments(frame: pd.DataFrame, metric: str) -> None:
    listed = rows(frame[frame["metric"] == metric].sort_values(["segment", "basis"]))
    if len({row["segment"] for row in listed}) > 1:
        html(table(f"{_spoken(metric)} by segment", (Column("segment", lambda row: row["segment"]), *_VALUES), listed))


def _made_of(scene: Scene, frame: pd.DataFrame) -> None:
    """What came true by score, what was right by confidence, and who was taken for whom."""
    by_metric = {row["metric"]: row for row in rows(frame)}
    bins = {name: items(by_metric.get(name, {}).get("bins")) for name in ("ece", "accuracy")}
    cells = next((items(row["confusion"]) for row in by_metric.values() if items(row["confusion"])), [])
    drawn = [
        (charts.calibration(bins["ece"]), "Calibration: what came true by score") if bins["ece"] else None,
        (charts.confidence(bins["accuracy"]), "Right answers by confidence") if bins["accuracy"] else None,
        (charts.confusion(cells), "Confusion: what was predicted, and what came true") if cells else None,
    ]
    side_by_side(filter(None, drawn), dark=scene.dark)


def _concept(scene: Scene, frame: pd.DataFrame) -> None:
    """Whether the same inputs still lead to the same outcomes."""
    concepts = frame[
        frame["metric"].str.startswith(_CONCEPT) & (frame["segment"] == "all") & (frame["basis"] == "realised")
    ]
    listed = sorted(rows(concepts), key=lambda row: (WORST_FIRST.get(row["status"], 3), row["metric"]))
    if not listed:
        return
    names = [row["metric"].removeprefix(_CONCEPT) for row in listed]
    shift = next((row for row in rows(frame[frame["metric"] == "shift"]) if row["explanation"]), None)
    html(heading("Concept: do the same inputs still lead to the same outcomes?", shift["explanation"] if shift else ""))
    left, right = st.columns(2)
    with left:
        html(table("By feature, all rows", _CONCEPTS, listed))
    with right:
        name = pick("Outcomes by bucket of", names, "concept", names[0])
        chart(charts.concept(items(listed[names.index(name)]["bins"])), name, dark=scene.dark)


_CONCEPTS = (
    Column("feature", lambda row: row["metric"].removeprefix(_CONCEPT)), Column("verdict", lambda row: badge(row["status"])),
    Column("value", lambda row: number(row["value"]), is_number=True),
    Column("why", lambda row: row["explanation"] or row["reason"], is_optional=True),
)  # fmt: skip


def _fairness(frame: pd.DataFrame) -> None:
    listed = sorted(
        (row for row in rows(frame) if _is_fairness(row["metric"])), key=lambda row: (row["metric"], row["segment"])
    )
    if listed:
        columns = (
            Column("measure", lambda row: _spoken(row["metric"])),
            Column("group", lambda row: row["segment"]),
            *_VALUES,
        )
        html(table("Fairness: groups beside each other", columns, listed))
