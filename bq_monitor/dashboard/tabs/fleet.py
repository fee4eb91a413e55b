"""Every monitor at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.dashboard.shown import NOTHING, Column, Html, badge, cards, link, moment, number, table
from bq_monitor.dashboard.tabs.drawing import SEVEREST_FIRST, html, nothing, rows

if TYPE_CHECKING:
    import pandas as pd

MAX_MONITORS = 500
_PARTS = ("features", "prediction", "performance", "concept", "quality")


def show(frame: pd.DataFrame) -> None:
    """A line a monitor, the worst first."""
    if not len(frame):
        nothing("No monitor has run here yet. Run one ('bq-monitor run'), then refresh.")
        return
    found = sorted(rows(frame), key=_worst_first)
    wanted = st.text_input("Find a monitor", key="find").strip().lower() if len(found) > 12 else ""
    listed = [row for row in found if wanted in row["monitor"].lower()]
    html(
        cards([
            ("monitors", number(frame["monitor"].nunique())),
            ("with critical alerts", number(frame.loc[frame["n_critical"] > 0, "monitor"].nunique())),
            ("with open alerts", number(frame.loc[frame["n_open"] > 0, "monitor"].nunique())),
        ]),
        table("Monitors, the worst first", COLUMNS, listed, limit=MAX_MONITORS),
    )  # fmt: skip


def _worst_first(row: dict[str, Any]) -> tuple[int, float, str]:
    health = row["health"]
    return SEVEREST_FIRST.get(row["severity"], 3), 101.0 if health is None else health, row["monitor"]


def _of_drift(row: Any) -> str:
    return NOTHING if row["n_drift"] is None else f"{number(row['n_drift'])} of {number(row['n_features'])}"


def _alerts(row: Any) -> Html | str:
    if not row["n_open"]:
        return "0"
    return Html(
        f"{badge(row['severity'])} {link(number(row['n_open']), monitor=row['monitor'], tab='alerts', warehouse=_warehouse())}"
    )


def _warehouse() -> str | None:
    return st.query_params.get("warehouse")


COLUMNS = (
    Column("monitor", lambda row: link(row["monitor"], monitor=row["monitor"], warehouse=_warehouse())),
    Column("version", lambda row: row["model_version"]),
    Column("health", lambda row: number(row["health"]), is_number=True),
    Column("open alerts", _alerts),
    Column("drifted", _of_drift, is_number=True),
    *(Column(part, lambda row, part=part: number(row[f"{part}_health"], 3), is_number=True) for part in _PARTS),  # type: ignore[misc]
    Column("newest window ends", lambda row: moment(row["window_end"])),
    Column("last run", lambda row: moment(row["last_finished_at"])),
    Column("windows left", lambda row: number(row["n_windows_left"]), is_number=True),
    Column("cost this month", lambda row: number(row["month_to_date_cost"]), is_number=True),
)
