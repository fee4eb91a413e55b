"""One monitor: what is worst first, then how much came, what was answered, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene
from bq_monitor.dashboard.shown import Column, Html, badge, cards, link, moment, number, table
from bq_monitor.dashboard.tabs.drawing import SEVEREST_FIRST, html, newest, nothing, rows, side_by_side
from bq_monitor.report import charts

if TYPE_CHECKING:
    import pandas as pd

_OBSERVED = (
    ("positive_rate", "Positive rate"), ("mean_score", "Mean score"), ("mean_confidence", "Mean confidence"),
    ("low_confidence_share", "Share of rows with low confidence"), ("latency_p50", "Latency, median"), ("latency_p95", "Latency, 95 %"),
    ("latency_p99", "Latency, 99 %"),
)  # fmt: skip
MAX_WORST = 12


def show(scene: Scene) -> None:
    """Health and its parts; what is worst; rows, rates, confidence and latency over time."""
    drift = data.drift(scene.url, scene.monitor, scene.stretch, scene.segment, scene.baseline)
    drift = drift[drift["model_version"] == scene.version]
    measured = _of_version(data.performance(scene.url, scene.monitor, scene.stretch), scene)
    checks = _of_version(data.quality(scene.url, scene.monitor, scene.stretch), scene)
    _health(scene)
    _worst(scene, drift, measured, checks)
    _ahead(scene, drift)
    _trends(scene, measured, checks)


def _of_version(frame: pd.DataFrame, scene: Scene) -> pd.DataFrame:
    return frame[frame["model_version"] == scene.version]


def _health(scene: Scene) -> None:
    """The line of the fleet; all rows, whatever segment is picked."""
    fleet = data.fleet(scene.url)
    mine = fleet[fleet["monitor"] == scene.monitor]
    line = next((row for row in rows(mine) if row["model_version"] == scene.version), None) or rows(mine)[0]
    parts = [
        (f"{part}", number(line[f"{part}_health"], 3))
        for part in ("features", "prediction", "performance", "concept", "quality")
    ]
    html(
        cards([
            ("health, of 100", number(line["health"])), *parts,
            ("open alerts", Html(f"{number(line['n_open'])} {badge(line['severity']) if line['n_open'] else ''}")),
            ("newest window ends", moment(line["window_end"])), ("last run", moment(line["last_finished_at"])),
        ])
    )  # fmt: skip


def _worst(scene: Scene, drift: pd.DataFrame, measured: pd.DataFrame, checks: pd.DataFrame) -> None:
    found = [*_alerts(scene), *_drifted(scene, drift), *_broken(scene, measured), *_unclean(scene, checks)]
    if not found:
        nothing("Nothing stands out: no open alert, no drift, no broken limit in the newest windows of this range.")
        return
    columns = (
        Column("what", lambda row: row["what"]), Column("how bad", lambda row: row["bad"]), Column("why", lambda row: row["why"]),
        Column("since or window", lambda row: moment(row["when"])),
    )  # fmt: skip
    html(table("What is worst first", columns, found, limit=MAX_WORST))


def _alerts(scene: Scene) -> list[dict[str, Any]]:
    frame = data.alerts(scene.url, scene.monitor)
    standing = [row for row in rows(frame) if row["status"] != "resolved"]
    standing.reverse()  # the newest first: the view gives the oldest first
    standing.sort(key=lambda row: (SEVEREST_FIRST.get(row["severity"], 3), row["status"] != "open"))
    return [
        {
            "what": link(_named(row), **scene.place(tab="alerts")),
            "bad": badge(row["severity"]),
            "why": row["message"],
            "when": row["since"],
        }
        for row in standing
    ]


def _named(row: dict[str, Any]) -> str:
    return " ".join(
        str(row[part]).replace("_", " ") if part == "kind" else row[part]
        for part in ("kind", "measure", "feature")
        if row[part]
    )


def _drifted(scene: Scene, drift: pd.DataFrame) -> list[dict[str, Any]]:
    frame = newest(drift).sort_values("drift_score", ascending=False)
    return [
        {
            "what": link(str(row["feature"]), **scene.place(tab="drift", feature=row["feature"], window=None)), "bad": badge("drift"),
            "why": row["explanation"] or f"drift score {number(row['drift_score'])}", "when": row["window_end"],
        }
        for row in rows(frame[frame["status"] == "drift"])
    ]  # fmt: skip


def _broken(scene: Scene, measured: pd.DataFrame) -> list[dict[str, Any]]:
    judged = measured[
        measured["rule"].notna() & (measured["status"] == "drift") & (measured["segment"] == scene.segment)
    ]
    return [
        {
            "what": link(str(row["metric"]), **scene.place(tab="performance", metric=row["metric"], window=None)), "bad": badge("drift"),
            "why": row["explanation"] or f"{number(row['value'])}, limit {row['rule']}", "when": row["window_end"],
        }
        for row in rows(newest(judged))
    ]  # fmt: skip


def _unclean(scene: Scene, checks: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "what": link(f"{row['check_name']} {row['feature'] or ''}", **scene.place(tab="quality")), "bad": badge("drift"),
            "why": row["explanation"] or row["reason"], "when": row["window_end"],
        }
        for row in rows(newest(checks)) if row["status"] == "drift"
    ]  # fmt: skip


def _ahead(scene: Scene, drift: pd.DataFrame) -> None:
    """Features that will cross their threshold if they move on as they do."""
    now = newest(drift)
    ahead = now[(now["trend_crosses_at"] > now["window_end"]) & (now["status"] != "drift")].sort_values(
        "trend_crosses_at"
    )
    if len(ahead):
        columns = (
            Column(
                "feature", lambda row: link(str(row["feature"]), **scene.place(tab="drift", feature=row["feature"]))
            ),
            Column("drift score", lambda row: number(row["drift_score"]), is_number=True),
            Column("would cross its threshold", lambda row: moment(row["trend_crosses_at"])),
        )
        html(table("Slowly moving: where the trend of the last windows leads", columns, rows(ahead), limit=MAX_WORST))


def _trends(scene: Scene, measured: pd.DataFrame, checks: pd.DataFrame) -> None:
    observed = measured[(measured["basis"] == "observed") & (measured["segment"] == scene.segment)]
    counted = observed[observed["metric"] == "n_rows"]
    if len(counted) or not len(checks):
        volume = charts.bars_over_time(counted, "window_end", "value", "rows"), "Rows"
    else:
        volume = charts.volume(checks[checks["check_name"] == "volume"]), "Rows, all segments"
    shown = [
        (charts.performance_timeline(of_metric), title)
        for name, title in _OBSERVED
        if (of_metric := observed[observed["metric"] == name])["value"].notna().any()
    ]
    side_by_side([volume, *shown], dark=scene.dark)
