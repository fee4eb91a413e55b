"""Data quality: the checks of one window, the broken ones first, and one of them over time."""

from __future__ import annotations

from typing import Any

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene, pick, pick_moment
from bq_monitor.dashboard.shown import Column, badge, cards, moment, number, table
from bq_monitor.dashboard.tabs.drawing import WORST_FIRST, chart, html, nothing, rows
from bq_monitor.report import charts


def show(scene: Scene) -> None:
    """All rows, whatever segment is picked: quality is checked of the log as a whole."""
    frame = data.quality(scene.url, scene.monitor, scene.stretch)
    frame = frame[frame["model_version"] == scene.version]
    if not len(frame):
        nothing("No check was made in these windows. Choose a longer range, or wait for the next run.")
        return
    end = pick_moment("Window", frame)
    listed = sorted(
        rows(frame[frame["window_end"] == end]), key=lambda row: (WORST_FIRST.get(row["status"], 3), _name(row))
    )
    counts = {status: sum(row["status"] == status for row in listed) for status in WORST_FIRST}
    html(
        cards(
            [
                ("broken", number(counts["drift"])),
                ("could not be told", number(counts["not_evaluated"])),
                ("good", number(counts["ok"])),
            ]
        ),
        table(f"Checks of the window that ends {moment(end)}, the broken ones first", _COLUMNS, listed),
    )
    by_name = {_name(row): row for row in rows(frame)}
    names = list(dict.fromkeys([_name(row) for row in listed] + list(by_name)))
    name = pick("Check over time", names, "check", names[0])
    chosen = by_name[name]
    same = frame[
        (frame["check_name"] == chosen["check_name"]) & (frame["feature"].fillna("") == (chosen["feature"] or ""))
    ]
    drawn = same.rename(columns={"check_name": "metric", "limit_value": "threshold"})
    chart(charts.metric_timeline(drawn), name, dark=scene.dark)


def _name(row: dict[str, Any]) -> str:
    return (
        f"{row['check_name']}: {row['feature']}"
        if isinstance(row["feature"], str) and row["feature"]
        else str(row["check_name"])
    )


_COLUMNS = (
    Column("check", lambda row: str(row["check_name"]).replace("_", " ")), Column("feature", lambda row: row["feature"]),
    Column("verdict", lambda row: badge({"drift": "broken"}.get(row["status"], row["status"]))),
    Column("value", lambda row: number(row["value"]), is_number=True),
    Column("reference", lambda row: number(row["reference_value"]), is_number=True),
    Column("limit", lambda row: number(row["limit_value"]), is_number=True),
    Column("rows", lambda row: number(row["n_rows"]), is_number=True),
    Column("why", lambda row: row["explanation"] or row["reason"], is_optional=True),
)  # fmt: skip
