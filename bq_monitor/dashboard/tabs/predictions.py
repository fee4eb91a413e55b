"""The model's answers: their drift, their rates, their distribution."""

from __future__ import annotations

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene
from bq_monitor.dashboard.tabs.drawing import nothing, side_by_side
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
        explore(scene, answers, "Answers")
    else:
        nothing(
            "No answer of the model was judged in these windows: the monitor has no 'prediction', or nothing ran in this range."
        )
    shown = [(name, title) for name, title in _RATES if observed.loc[observed["metric"] == name, "value"].notna().any()]
    rates = ((charts.performance_timeline(observed[observed["metric"] == name]), title) for name, title in shown)
    side_by_side(rates, dark=scene.dark)
