"""The page: what it is of, who looks at it, and which tab."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import streamlit as st

from bq_monitor.config_files import load_configs
from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene, pick, pick_range, pick_scope
from bq_monitor.dashboard.identity import HEADER, Desk, Identity
from bq_monitor.dashboard.serving import ENVIRONMENT, Settings
from bq_monitor.dashboard.shown import Html, link, note, plain, style
from bq_monitor.dashboard.tabs import (
    alerts,
    compare,
    costs,
    drift,
    fleet,
    overview,
    performance,
    predictions,
    quality,
    replay,
)
from bq_monitor.errors import BqMonitorError, said

if TYPE_CHECKING:
    import pandas as pd

    from bq_monitor.config import MonitorConfig

TABS: Mapping[str, tuple[str, Callable[[Scene], None]]] = {
    "overview": ("Overview", overview.show), "drift": ("Drift", drift.show), "predictions": ("Predictions", predictions.show),
    "performance": ("Performance", performance.show), "quality": ("Data quality", quality.show), "alerts": ("Alerts", alerts.show),
    "costs": ("Costs", costs.show), "replay": ("Replay", replay.show),
}  # fmt: skip
FLEET, COMPARE = "(fleet)", "(compare)"
"""In place of a monitor, whose names have no brackets."""
_NAMES = {FLEET: "All monitors", COMPARE: "Compare two files"}


@dataclass(frozen=True)
class House:
    """What this server shows: warehouses in order, and the monitors whose configuration it has."""

    urls: tuple[str, ...]
    configs: Mapping[tuple[str, str], MonitorConfig]
    desk: Desk


@st.cache_resource(show_spinner=False)
def house(text: str) -> House:
    """What the settings name; configurations are read once."""
    settings = Settings.read({ENVIRONMENT: text})
    configs = load_configs(list(settings.configs)) if settings.configs else []
    urls = [config.warehouse for config in configs] + ([settings.warehouse] if settings.warehouse else [])
    by_name = {(config.warehouse, config.monitor): config for config in configs}
    return House(tuple(dict.fromkeys(urls)), by_name, Desk(settings.name, settings.audience))


def main() -> None:
    """Draw the page; whatever goes wrong is said on it."""
    st.set_page_config("bq-monitor", layout="wide")
    dark = st.context.theme.type == "dark"
    st.html(style(dark=dark))
    try:
        _draw(house(Settings.read(os.environ).text()), dark)
    except BqMonitorError as error:
        st.html(note(said(error), "fault"))


def _draw(found: House, dark: bool) -> None:
    with st.sidebar:
        url = _warehouse(found)
        rows, fault = _fleet(url)
        names = list(dict.fromkeys(rows["monitor"])) if rows is not None else []
        chosen = pick(
            "Show", [FLEET, *names, COMPARE], "monitor", FLEET, format_func=lambda name: _NAMES.get(name, name)
        )
    if chosen == COMPARE:
        _title("Compare two files")
        compare.show(dark)
    elif rows is None or chosen == FLEET:
        _title("Monitors")
        if fault:
            st.html(note(fault, "fault"))
        if rows is not None:
            _unknown_monitor(names)
            fleet.show(rows)
    else:
        _monitor(found, url, chosen, dark)
    with st.sidebar:
        who = _who(found.desk)
        st.html(note(f"{who.name} may change alerts." if who.name else who.why) + note(_short(url)))
        if st.button("Refresh", help="Read the warehouse again; what was read is kept for a minute."):
            data.forget()
            st.rerun()


def _unknown_monitor(names: list[str]) -> None:
    asked = st.query_params.get("monitor")
    if asked and asked not in (*names, FLEET, COMPARE):
        st.html(
            note(
                f"There is no monitor {asked!r} here: it has not run yet, or the link is of another warehouse.", "fault"
            )
        )


def _warehouse(found: House) -> str:
    """The warehouse to read; with several the address says which, by number."""
    if len(found.urls) == 1:
        return found.urls[0]
    numbers = [str(i + 1) for i in range(len(found.urls))]
    chosen = pick("Warehouse", numbers, "warehouse", "1", format_func=lambda i: found.urls[int(i) - 1])
    return found.urls[int(chosen) - 1]


def _short(url: str) -> str:
    """A warehouse in the margin: of a file its name, not where it lies."""
    return f"duckdb: {url.rpartition('/')[2] or 'in memory'}" if url.startswith("duckdb:") else url


def _fleet(url: str) -> tuple[pd.DataFrame | None, str]:
    try:
        return data.fleet(url), ""
    except BqMonitorError as error:
        return None, said(error)


def _monitor(found: House, url: str, monitor: str, dark: bool) -> None:
    now = datetime.now(UTC)
    scopes = data.scopes(url, monitor)
    with st.sidebar:
        stretch, runs = pick_range(scopes, now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))
        version, segment, baseline = pick_scope(scopes)
    who = _who(found.desk)
    scene = Scene(
        url,
        monitor,
        found.configs.get((url, monitor)),
        stretch,
        runs,
        version,
        segment,
        baseline,
        len(scopes),
        who,
        dark,
    )
    _title(
        monitor,
        above=link("All monitors", **{**st.query_params.to_dict(), "monitor": None, "tab": None, "feature": None}),
    )
    tab = pick("Tab", list(TABS), "tab", "overview", widget=st.segmented_control, label_visibility="collapsed",
               format_func=lambda name: TABS[name][0])  # fmt: skip
    try:
        TABS[tab][1](scene)
    except BqMonitorError as error:
        st.html(note(said(error), "fault"))


def _who(desk: Desk) -> Identity:
    """Who looks, once a session for each token."""
    seen = st.session_state.setdefault("seen", {})
    return desk.who(st.context.headers.get(HEADER), seen, time.time())


def _title(words: str, above: Html | None = None) -> None:
    st.html(f'{above or ""}<h2 class="bq-title">{plain(words)}</h2>')
