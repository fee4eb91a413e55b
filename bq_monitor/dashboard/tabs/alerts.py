"""Alerts: what stands, what became of it, and what somebody who is known may say about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.dashboard import data
from bq_monitor.dashboard.choices import Scene, pick
from bq_monitor.dashboard.shown import Column, badge, cards, moment, note, number, table
from bq_monitor.dashboard.tabs.drawing import SEVEREST_FIRST, chart, html, nothing, rows
from bq_monitor.errors import BqMonitorError, said
from bq_monitor.report import charts
from bq_monitor.report.views import Stretch

if TYPE_CHECKING:
    from bq_monitor.config import MonitorConfig

_STATUSES = {"standing": "that stand", "all": "and those that are over"}
SNOOZES = {"1d": "a day", "3d": "three days", "1w": "a week", "4w": "four weeks"}
QUIET = ("firing", "clean", "doubtful", "unknown", "observed")
"""Events of every window; of the others people hear."""


def show(scene: Scene) -> None:
    """Alerts, the worst first; a form for those who may change them; what happened lately."""
    frame = data.alerts(scene.url, scene.monitor)
    # The place is kept where nothing was done: else all below would move up and be made anew, with what is being typed.
    place = st.empty()
    if done := st.session_state.pop("done", None):
        place.html(note(done, "done"))
    found = sorted(rows(frame), key=_worst_first)
    standing = [row for row in found if row["status"] != "resolved"]
    html(
        cards([(severity, number(sum(row["severity"] == severity for row in standing))) for severity in SEVEREST_FIRST])
    )
    shown = pick(
        "Alerts", list(_STATUSES), "alerts", "standing", widget=st.segmented_control, format_func=_STATUSES.__getitem__
    )
    listed = standing if shown == "standing" else found
    if listed:
        html(table("Alerts, the worst first", _COLUMNS, listed))
        chart(
            charts.alert_timeline(frame[frame["alert_id"].isin([row["alert_id"] for row in listed])]),
            "Since when",
            dark=scene.dark,
        )
    else:
        nothing("No alert stands." if found else "There has been no alert yet.")
    _change(scene, standing)
    _events(scene)


def _worst_first(row: dict[str, Any]) -> tuple[bool, int, bool, float]:
    return (
        row["status"] == "resolved",
        SEVEREST_FIRST.get(row["severity"], 3),
        row["status"] != "open",
        -row["since"].timestamp() if row["since"] is not None else 0.0,
    )


_COLUMNS = (
    Column("severity", lambda row: badge(row["severity"])), Column("status", lambda row: badge(row["status"])),
    Column("what", lambda row: row["message"]), Column("kind", lambda row: str(row["kind"]).replace("_", " ")),
    Column("segment", lambda row: row["segment"]), Column("since", lambda row: moment(row["since"])),
    Column("windows", lambda row: number(row["n_windows"]), is_number=True),
    Column("seen to by", lambda row: row["acknowledged_by"], is_optional=True), Column("they said", lambda row: row["note"], is_optional=True),
    Column("silent until", lambda row: moment(row["snoozed_until"]), is_optional=True), Column("id", lambda row: row["alert_id"][:8]),
)  # fmt: skip


def _change(scene: Scene, standing: list[dict[str, Any]]) -> None:
    """The form, or why there is none."""
    if not scene.who.name:
        html(note(scene.who.why))
        return
    if scene.config is None:
        html(
            note(
                "Alerts are read-only here: the page was not started with this monitor's configuration, which says whom to tell."
            )
        )
        return
    if not standing:
        return
    by_id = {row["alert_id"]: row for row in standing}
    with st.form("change", enter_to_submit=False):
        chosen = st.selectbox("Alert", list(by_id), format_func=lambda i: _label(by_id[i]))
        why = st.text_input(f"Why (kept with the alert, as said by {_as_label(scene.who.name)})", max_chars=1000)
        until = st.selectbox("Snooze for", list(SNOOZES), format_func=SNOOZES.__getitem__)
        with st.container(horizontal=True):
            pressed = [(words, st.form_submit_button(words)) for words in ("Acknowledge", "Snooze", "Resolve")]
    asked = next((words for words, is_pressed in pressed if is_pressed), None)
    if asked and chosen:
        _say(scene.config, asked, chosen, (scene.who.name, why, until))


def _as_label(name: str) -> str:
    """A name in a label, which streamlit reads as Markdown."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]()#+-.!~|<>:$" else sign for sign in name)


def _label(row: dict[str, Any]) -> str:
    return f"{row['severity']} · {row['message']} · since {moment(row['since'])} · {row['alert_id'][:8]}"


def _say(config: MonitorConfig, asked: str, alert: str, words: tuple[str, str, str]) -> None:
    from bq_monitor.alerts import people

    who, why, until = words
    try:
        word = people.Word(who, why)
        with data.writing(config) as warehouse:
            if asked == "Acknowledge":
                people.acknowledge(warehouse, config, [alert], word)
            elif asked == "Snooze":
                people.snooze(warehouse, config, [alert], word, people.moment_to_come(until, config.window.timezone))
            else:
                people.close(warehouse, config, [alert], word)
    except BqMonitorError as error:
        html(note(said(error), "fault"))
        return
    st.session_state["done"] = f"{asked}d: {alert[:8]}, by {who}"
    st.rerun()


def _events(scene: Scene) -> None:
    until = max(scene.stretch.end, datetime.now(UTC))
    frame = data.alert_events(
        scene.url, scene.monitor, Stretch(scene.stretch.start, until.replace(minute=59, second=59, microsecond=0))
    )
    told = rows(frame[~frame["event"].isin(QUIET)])
    if told:
        html(table("What happened to alerts in this range, the newest first", _EVENTS, told[::-1], limit=30))


_EVENTS = (
    Column("window ends", lambda row: moment(row["window_end"])), Column("event", lambda row: row["event"]),
    Column("severity", lambda row: badge(row["severity"])), Column("what", lambda row: row["message"]),
    Column("by", lambda row: row["actor"], is_optional=True), Column("they said", lambda row: row["note"], is_optional=True),
    Column("at", lambda row: moment(row["computed_at"])),
)  # fmt: skip
