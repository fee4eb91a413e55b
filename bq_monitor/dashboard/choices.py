"""What is picked: it stands in the page's address, so that a link shows the same to somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.report.views import Stretch

if TYPE_CHECKING:
    import pandas as pd

    from bq_monitor.config import MonitorConfig
    from bq_monitor.dashboard.identity import Identity

DAYS = {"30d": 30, "90d": 90, "365d": 365}
RANGES = {"30d": "30 days", "90d": "90 days", "365d": "1 year", "all": "everything", "custom": "from … to …"}
ENOUGH_WINDOWS = 20
BEGINNING = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Scene:
    """What a tab is of. `config` is None where only the warehouse is known; `runs` is the time range of runs, which may be made late."""

    url: str
    monitor: str
    config: MonitorConfig | None
    stretch: Stretch
    runs: Stretch
    version: str
    segment: str
    baseline: str
    n_windows: int
    who: Identity
    dark: bool

    def place(self, **query: str | None) -> dict[str, str | None]:
        """The query of a link that keeps what is picked, but for what is given."""
        return {**st.query_params.to_dict(), **query}


def pick(label: str, options: Sequence[str], key: str, default: str, **how: Any) -> str:
    """One of the options: the one that the address names, else `default`. `widget` draws it (a select box where none is given)."""
    widget = how.pop("widget", st.selectbox)
    named = st.query_params.get(key)
    chosen = named if named is not None and named in options else default
    name = f"pick_{key}"
    if st.session_state.get(name) != chosen:
        st.session_state[name] = chosen
    widget(label, options, key=name, on_change=_remember, args=(key, default), **how)
    return chosen


def _remember(key: str, default: str) -> None:
    chosen = st.session_state.get(f"pick_{key}")
    if chosen is None:  # a second click on what is chosen
        return
    if chosen == default:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = chosen


def pick_range(scopes: pd.DataFrame, now: datetime) -> tuple[Stretch, Stretch]:
    """The windows to look at, counted back from the newest one, and the runs, counted back from now."""
    last = scopes["last_end"].max().to_pydatetime() if len(scopes) else now
    default = usual_range(scopes)
    picked = pick("Windows", list(RANGES), "range", default, format_func=RANGES.__getitem__)
    if picked == "custom":
        stretch = _custom(last)
        return stretch, stretch
    if picked == "all":
        return Stretch(BEGINNING, max(last, now)), Stretch(BEGINNING, now)
    back = timedelta(days=DAYS[picked])
    return Stretch(last - back, last), Stretch(now - back, now)


def usual_range(scopes: pd.DataFrame) -> str:
    """The shortest range that holds enough windows, going by those of all rows."""
    if not len(scopes):
        return "90d"
    row = scopes.sort_values("n_windows").iloc[-1]
    days = (row["last_end"] - row["first_end"]).days / max(row["n_windows"] - 1, 1)
    return next((name for name, length in DAYS.items() if length >= ENOUGH_WINDOWS * days), "all")


def _custom(last: datetime) -> Stretch:
    start = _day(st.query_params.get("from"), (last - timedelta(days=90)).date())
    end = max(start, _day(st.query_params.get("to"), last.date()))
    for key, label, day in (("from", "From", start), ("to", "To", end)):
        name = f"pick_{key}"
        if st.session_state.get(name) != day:
            st.session_state[name] = day
        st.date_input(
            label,
            key=name,
            on_change=_remember_day,
            args=(key,),
            min_value=date(1970, 1, 2),
            max_value=date(2200, 1, 1),
        )
    begin = datetime.combine(start, time(), UTC)
    return Stretch(begin, datetime.combine(end, time(), UTC) + timedelta(days=1))


def _remember_day(key: str) -> None:
    chosen = st.session_state.get(f"pick_{key}")
    if isinstance(chosen, date):
        st.query_params[key] = chosen.isoformat()


def _day(named: str | None, default: date) -> date:
    try:
        day = date.fromisoformat(named or "")
    except ValueError:
        return default
    return day if date(1970, 1, 2) <= day < date(2200, 1, 1) else default


def pick_scope(scopes: pd.DataFrame) -> tuple[str, str, str]:
    """The model version, the segment and the baseline; those with one value only are not asked for."""
    newest = scopes.sort_values(["last_end", "n_windows", "model_version"])
    versions = list(dict.fromkeys(reversed(newest["model_version"].tolist())))
    version = _one("Model version", versions, "version", versions[0] if versions else "")
    mine = scopes[scopes["model_version"] == version]
    segments = sorted(set(mine["segment"]), key=lambda name: (name != "all", name))
    segment = _one("Segment", segments, "segment", segments[0] if segments else "all")
    baselines = sorted(set(mine["baseline"]), key=lambda name: (name != "training", name))
    return version, segment, _one("Compared with", baselines, "baseline", baselines[0] if baselines else "training")


def _one(label: str, options: list[str], key: str, default: str) -> str:
    return pick(label, options, key, default) if len(options) > 1 else default


def pick_moment(label: str, frame: pd.DataFrame, default: pd.Timestamp | None = None) -> pd.Timestamp | None:
    """One of the windows of a frame, by its end; the newest one by default, None without any."""
    ends = sorted(frame["window_end"].dropna().unique(), reverse=True)
    if not ends:
        return None
    by_name: dict[str, pd.Timestamp] = {end.isoformat(): end for end in ends}
    usual = (default if default is not None and default in ends else ends[0]).isoformat()
    return by_name[pick(label, list(by_name), "window", usual, format_func=lambda name: _window(by_name[name]))]


def _window(end: pd.Timestamp) -> str:
    from bq_monitor.dashboard.shown import moment

    return f"window that ends {moment(end)}"
