"""What the runs cost, and how long they took."""

from __future__ import annotations

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene
from bq_monitor.dashboard.shown import Column, cards, moment, number, table
from bq_monitor.dashboard.tabs.drawing import chart, html, nothing, rows
from bq_monitor.report import charts


def show(scene: Scene) -> None:
    """Runs that began in the time range, the newest first."""
    frame = data.costs(scene.url, scene.monitor, scene.runs)
    if not len(frame):
        nothing("No run began in this time. Choose a longer range.")
        return
    listed = rows(frame)[::-1]
    last = listed[0]
    html(
        cards([
            ("cost this month", number(last["month_to_date_cost"])), ("last run", moment(last["started_at"])),
            ("it took, seconds", number(last["duration_seconds"], 3)), ("it cost", number(last["cost"])),
            ("it billed, bytes", number(last["bytes_billed"])),
        ])
    )  # fmt: skip
    if frame["cost"].notna().any():
        chart(charts.bars_over_time(frame, "started_at", "cost", "cost"), "Cost of each run", dark=scene.dark)
    else:
        nothing("No cost is counted: this warehouse bills no bytes (DuckDB), or 'budget.price_per_tib' is not known.")
    chart(
        charts.bars_over_time(frame, "started_at", "duration_seconds", "seconds"),
        "Duration of each run",
        dark=scene.dark,
    )
    html(table("Runs, the newest first", _COLUMNS, listed, limit=60))


_COLUMNS = (
    Column("began", lambda row: moment(row["started_at"])), Column("for", lambda row: moment(row["as_of"])),
    Column("backfill", lambda row: "yes" if row["is_backfill"] else ""),
    Column("windows", lambda row: number(row["n_windows"]), is_number=True),
    Column("left", lambda row: number(row["n_windows_left"]), is_number=True),
    Column("granules counted", lambda row: number(row["n_granules_counted"]), is_number=True),
    Column("seconds", lambda row: number(row["duration_seconds"], 3), is_number=True),
    Column("bytes billed", lambda row: number(row["bytes_billed"]), is_number=True),
    Column("cost", lambda row: number(row["cost"]), is_number=True),
)  # fmt: skip
