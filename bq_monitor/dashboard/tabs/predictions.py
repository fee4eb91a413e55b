"""The model's answers: their drift, their rates, their distribution."""

from __future__ import annotations

import streamlit as st

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene
from bq_monitor.dashboard.tabs.drawing import chart, nothing
from bq_monitor.dashboard.tabs.drift import explore, of_scene
from bq_monitor.report import charts

_RATES = (
    ("positive_rate", "Positive rate"), ("mean_score", "Mean score"), ("std_score", "Spread of the score"),
    ("mean_confidence", "Mean confidence"), ("low_confidence_share", "Share of rows with low confidence"),
    ("unanswered_share", "Share of rows without an answer"),
)  # fmt: skip


def show(scene: Scene) -> None:
    """Prediction and score against the baseline, then what is observed of them."""
    frame = of_scene(scene)
    answers = frame[frame["role"].isin(["prediction", "score"])]
    observed = data.performance(scene.url, scene.monitor, scene.stretch)
    observed = observed[
        (observed["basis"] == "observed")
        & (observed["segment"] == scene.segment)
        & (observed["model_version"] == scene.version)
    ]
    if len(answers):
        explore(scene, answers)
    else:
        nothing(
            "No answer of the model was judged in these windows: the monitor has no 'prediction', or nothing ran in this range."
        )
    places = st.columns(2)
    shown = [(name, title) for name, title in _RATES if observed.loc[observed["metric"] == name, "value"].notna().any()]
    for i, (name, title) in enumerate(shown):
        with places[i % 2]:
            chart(charts.performance_timeline(observed[observed["metric"] == name]), title, dark=scene.dark)
