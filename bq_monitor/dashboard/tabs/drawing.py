"""What tabs share: charts in the page's colours, rows of frames, and what is said where there is nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.dashboard.shown import Html, heading, is_missing, note
from bq_monitor.report.charts import Chart, themed

if TYPE_CHECKING:
    import pandas as pd

WORST_FIRST = {"drift": 0, "not_evaluated": 1, "ok": 2}
SEVEREST_FIRST = {"critical": 0, "warning": 1, "info": 2}


def chart(drawn: Chart, title: str, *, dark: bool, below: str = "") -> None:
    """A chart under its heading, as wide as its place; a screen reader is told its title, and none of its marks."""
    st.html(heading(title, below))
    st.vega_lite_chart(spec=themed(drawn, dark=dark), theme=None, width="stretch", alt=title)


def side_by_side(drawn: Iterable[tuple[Chart, str]], *, dark: bool) -> None:
    """Charts in pairs; both of a pair begin at the same height."""
    listed = list(drawn)
    for i in range(0, len(listed), 2):
        for place, (each, title) in zip(st.columns(2), listed[i : i + 2], strict=False):
            with place:
                chart(each, title, dark=dark)


def html(*parts: Html) -> None:
    """Parts one under the other."""
    st.html("".join(parts))


def nothing(words: str) -> None:
    """Say why there is nothing to see."""
    st.html(note(words, "nothing"))


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings; what is missing is None."""
    return [
        {str(name): None if is_missing(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def items(value: Any) -> list[dict[str, Any]]:
    """An array of a row; none where it is missing."""
    return list(value) if isinstance(value, (list, tuple)) else []


def known(values: Iterable[Any]) -> list[str]:
    """Texts that are there, each once, in order."""
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def newest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the newest window."""
    return frame[frame["window_end"] == frame["window_end"].max()] if len(frame) else frame
