"""Reads for the page: brief, read-only, remembered for a minute."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.report.views import Stretch, Views
from bq_monitor.warehouse import opened

if TYPE_CHECKING:
    import pandas as pd

    from bq_monitor.config import MonitorConfig
    from bq_monitor.replay import Replayed
    from bq_monitor.warehouse.base import Warehouse

TTL_SECONDS = 60
READ_SECONDS = 30.0
"""So long a read may take, the wait for a run that writes to the DuckDB file included."""
_FILE = threading.RLock()
"""One process may not hold a DuckDB file open for reading and for writing: whoever opens one waits for the others."""


def alone(url: str) -> Any:
    """What to hold while a warehouse is open."""
    return _FILE if url.startswith("duckdb:") else nullcontext()


@contextmanager
def reading(url: str, monitor: str = "dashboard") -> Iterator[Views]:
    """The views of a warehouse, which is let go at once after."""
    with alone(url), opened(url, monitor, deadline_seconds=READ_SECONDS, read_only=True) as warehouse:
        yield Views(warehouse)


@contextmanager
def writing(config: MonitorConfig) -> Iterator[Warehouse]:
    """A monitor's warehouse to change alerts in; what was read of any is forgotten after."""
    url, seconds = config.warehouse, config.budget.deadline_seconds
    try:
        with alone(url), opened(url, config.monitor, deadline_seconds=min(seconds, READ_SECONDS)) as warehouse:
            yield warehouse
    finally:
        forget()


def forget() -> None:
    """The next read asks the warehouse."""
    for read in (fleet, scopes, drift, verdicts, performance, quality, alerts, alert_events, costs, replayed):
        read.clear()


_cached = st.cache_data(ttl=TTL_SECONDS, max_entries=128, show_spinner=False)


@_cached
def fleet(url: str) -> pd.DataFrame:
    """See `Views.fleet`."""
    with reading(url) as views:
        return views.fleet()


@_cached
def scopes(url: str, monitor: str) -> pd.DataFrame:
    """See `Views.scopes`."""
    with reading(url, monitor) as views:
        return views.scopes(monitor)


@_cached
def drift(url: str, monitor: str, stretch: Stretch, segment: str, baseline: str) -> pd.DataFrame:
    """See `Views.drift`."""
    with reading(url, monitor) as views:
        return views.drift(monitor, stretch, segment, baseline)


@_cached
def verdicts(url: str, monitor: str, window_end: datetime) -> pd.DataFrame:
    """See `Views.verdicts`."""
    with reading(url, monitor) as views:
        return views.verdicts(monitor, window_end)


@_cached
def performance(url: str, monitor: str, stretch: Stretch) -> pd.DataFrame:
    """See `Views.performance`."""
    with reading(url, monitor) as views:
        return views.performance(monitor, stretch)


@_cached
def quality(url: str, monitor: str, stretch: Stretch) -> pd.DataFrame:
    """See `Views.quality`."""
    with reading(url, monitor) as views:
        return views.quality(monitor, stretch)


@_cached
def alerts(url: str, monitor: str) -> pd.DataFrame:
    """See `Views.alerts`."""
    with reading(url, monitor) as views:
        return views.alerts(monitor)


@_cached
def alert_events(url: str, monitor: str, stretch: Stretch) -> pd.DataFrame:
    """See `Views.alert_events`."""
    with reading(url, monitor) as views:
        return views.alert_events(monitor, stretch)


@_cached
def costs(url: str, monitor: str, stretch: Stretch) -> pd.DataFrame:
    """See `Views.costs`."""
    with reading(url, monitor) as views:
        return views.costs(stretch, monitor)


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def replayed(url: str, monitor: str, stretch: Stretch, threshold: float, _config: MonitorConfig) -> list[Replayed]:
    """The windows of a stretch as configured and, where it is another one, with this threshold; see `replay`."""
    from bq_monitor.replay import replay

    detection = _config.detection.model_copy(update={"threshold": threshold})
    variant = ({"detection.threshold": threshold}, _config.model_copy(update={"detection": detection}))
    with alone(url):
        return replay(
            [({}, _config), *([variant] if detection != _config.detection else [])], stretch.start, stretch.end
        )
