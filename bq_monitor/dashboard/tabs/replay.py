"""What would have fired with another threshold: the stored counts judged anew."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene
from bq_monitor.dashboard.shown import Column, Html, Row, note, table
from bq_monitor.dashboard.tabs.drawing import html, nothing

if TYPE_CHECKING:
    from bq_monitor.tables import TextTable


def show(scene: Scene) -> None:
    """A slider, what it changes, and each feature over time."""
    if scene.config is None:
        nothing(
            "A replay needs the monitor's configuration; this page was started without it ('bq-monitor dashboard CONFIG')."
        )
        return
    detection = scene.config.detection
    if detection.threshold is None:
        nothing(f"{detection.metric} tests whether anything changed at all and has no threshold to move.")
        return
    from bq_monitor.tables import replay_table, timeline_table

    threshold = _slider(detection.threshold, detection.metric)
    stretch = scene.stretch
    with st.spinner("Judging the stored windows anew …"):
        found = data.replayed(scene.url, scene.monitor, stretch, threshold, scene.config)
    html(
        as_html(replay_table(found)), *(as_html(timeline_table(variant)) for variant in reversed(found)),
        note("! event   x drift, not confirmed   . ok   (blank) not evaluated. Features with a threshold of their own keep it."),
    )  # fmt: skip


def _slider(configured: float, metric: str) -> float:
    """The threshold to try: what the address names, else what is configured."""
    top = 0.6 if metric == "js_distance" else 1.0
    if "pick_threshold" not in st.session_state:
        st.session_state["pick_threshold"] = min(max(_named() or configured, 0.01), top)
    return float(st.slider(
        f"Threshold ({metric.replace('_', ' ')}; configured: {configured:g})", 0.01, top, step=0.01, key="pick_threshold", on_change=_remember
    ))  # fmt: skip


def _named() -> float | None:
    try:
        value = float(st.query_params.get("threshold", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _remember() -> None:
    st.query_params["threshold"] = f"{st.session_state['pick_threshold']:g}"


def as_html(found: TextTable) -> Html:
    """A table of text, its marks in a fixed width."""
    columns = [Column(title, _at(str(i))) for i, title in enumerate(found.head)]
    return table(found.title, columns, [{str(i): cell for i, cell in enumerate(row)} for row in found.rows])


def _at(place: str) -> Callable[[Row], Html | str]:
    return lambda row: _cell(row[place])


def _cell(words: str) -> Html | str:
    from html import escape

    marks = set(words) <= set("!x. ") and words != ""
    return Html(f'<code class="bq-marks">{escape(words)}</code>') if marks else words
