"""What every chart shares: rows fit to be drawn, one quiet look, and how what was left out is said."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import altair as alt
import pandas as pd

from bq_monitor.report.palette import DARK, NAMES, PALETTE

Frame = pd.DataFrame | Sequence[Mapping[str, Any]]
Row = dict[str, Any]
Chart = alt.Chart | alt.LayerChart

WIDTH = 520
FONT = "Arial, Liberation Sans, sans-serif"
_NOT_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
CROSS = "M-0.7,-0.7L0.7,0.7M0.7,-0.7L-0.7,0.7"
"""The sign of what was not evaluated, as a path in a square of 2 by 2."""
DASH, DOTS = (5, 3), (1.5, 3)


def clean(value: Any) -> Any:
    """A cell as a mark can carry it: NULL, NaN and the infinities are None, times are UTC text, text has no control characters."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, str):
        return _NOT_TEXT.sub("\ufffd", value)
    if isinstance(value, datetime):
        return pd.Timestamp(value).tz_convert("UTC").isoformat() if value.tzinfo else f"{value.isoformat()}+00:00"
    if hasattr(value, "item") and not isinstance(value, (list, tuple)) and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (bool, int, float)) else None


def records(frame: Frame, columns: Iterable[str]) -> list[Row]:
    """These columns of a frame, cleaned, row by row; a column that the frame lacks is None throughout."""
    rows = frame.to_dict("records") if isinstance(frame, pd.DataFrame) else frame
    names = tuple(columns)
    return [{name: clean(row.get(name)) for name in names} for row in rows]


def apart(names: Iterable[str]) -> list[str]:
    """The names in order; one that has been before has a space of no width behind it, so that it has a place of its own."""
    found: dict[str, None] = {}
    for name in names:
        own = name
        while own in found:
            own += "\u200b"
        found[own] = None
    return list(found)


def utc_text(moment: str | None) -> str | None:
    """How a tooltip shows a moment of `clean`."""
    return None if moment is None else moment[:16].replace("T", " ") + " UTC"


def middle(start: str, end: str) -> str:
    """The moment half way, where a sign of the window is drawn."""
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    return (first + (last - first) / 2).isoformat()


def values(rows: Iterable[Row], *names: str) -> list[float]:
    """All numbers of these columns that are there."""
    return [row[name] for row in rows for name in names if row.get(name) is not None]


class _Rows(alt.InlineData):
    """Rows that charts share: altair would copy and check them anew for each layer and each setting."""

    _class_is_valid_at_instantiation = False

    def __deepcopy__(self, memo: Any) -> _Rows:
        return self


def data(rows: Sequence[Row]) -> alt.InlineData:
    """Rows of plain values, as a chart takes them."""
    return _Rows(values=list(rows))


def share_format(shares: Sequence[float]) -> str:
    """Percent; as few digits as tell the largest share; plain numbers where the values are no shares."""
    largest = max(map(abs, shares), default=1.0)
    if largest > 10 or (0 < largest < 1e-4):
        return "~g"
    return ".0%" if largest >= 0.05 else "~%"


def number_format(numbers: Sequence[float]) -> str:
    largest = max(map(abs, numbers), default=1.0)
    return "~s" if 1000 <= largest < 1e15 else ".3~g"


def text_cells(text: str) -> int:
    """About how many columns of a fixed-width font a text takes."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def label_limit(rows: Iterable[Row], name: str, pixels: int = 150) -> int:
    """Pixels that the labels of a column may take; 0, which spares measuring them, where all are short."""
    longest = max((text_cells(str(row[name])) for row in rows), default=0)
    return pixels if longest * 6 > pixels else 0


def tooltip(**titles: str) -> list[alt.Tooltip]:
    """A tooltip of constant field names; a name that ends in `_` is text, others are numbers."""
    return [
        alt.Tooltip(name, type="nominal" if name.endswith("_") else "quantitative", title=title)
        for name, title in titles.items()
    ]


def time_axis(title: str = "window end (UTC)") -> dict[str, Any]:
    """Options of a temporal channel that is shown in UTC."""
    return {
        "type": "temporal", "title": title, "scale": alt.Scale(type="utc"),
        "axis": alt.Axis(grid=False, tickCount=6, labelOverlap="greedy", labelFlush=True),
    }  # fmt: skip


def symbols(field: str, order: Sequence[tuple[str, str, str]]) -> tuple[alt.Shape, alt.Color]:
    """Shape and colour of the words of a field, (word, shape, colour) each, with one legend for both."""
    words, shapes, colours = ([entry[place] for entry in order] for place in range(3))
    legend = alt.Legend(title=None)
    return (
        alt.Shape(field, type="nominal", scale=alt.Scale(domain=words, range=shapes), legend=legend),
        alt.Color(field, type="nominal", scale=alt.Scale(domain=words, range=colours), legend=legend),
    )


def nothing(words: str = "nothing to show", width: int | None = None) -> Chart:
    """A chart that says that there is nothing in it."""
    mark = alt.Chart(data([{"words": words}])).mark_text(color=PALETTE["muted"], fontSize=12)
    return finished(mark.encode(text=alt.Text("words", type="nominal")), width=width, height=48)


def layered(*layers: alt.Chart) -> alt.LayerChart:
    """Charts one upon the other."""
    return alt.LayerChart(layer=list(layers))


def finished(chart: Chart, *, height: Any, width: int | None = None, left_out: str = "") -> Chart:
    """A chart with its size and the one look; `left_out` says below what is not drawn."""
    size: dict[str, Any] = {"width": "container" if width is None else width, "height": height, "config": LOOK}
    if left_out:
        size["title"] = alt.TitleParams(text=left_out, orient="bottom", anchor="start", offset=8)
    if width is None:
        size["autosize"] = alt.AutoSizeParams(type="fit-x", contains="padding")
    sized: Chart = chart.properties(**size)
    return sized


_AXIS = {
    "labelColor": PALETTE["muted"], "titleColor": PALETTE["muted"], "titleFontWeight": "normal", "titleFontSize": 11, "labelFontSize": 11,
    "gridColor": PALETTE["grid"], "domain": False, "ticks": False, "labelPadding": 5, "titlePadding": 8, "labelLimit": 0,
    "labelFont": FONT, "titleFont": FONT,
}  # fmt: skip
LOOK: dict[str, Any] = {
    "aria": False,
    "mark": {"aria": False},
    "background": "transparent",
    "font": FONT,
    "padding": {"left": 4, "right": 10, "top": 4, "bottom": 4},
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {
        "orient": "top", "direction": "horizontal", "offset": 4, "labelColor": PALETTE["ink"], "labelFontSize": 11, "symbolSize": 60,
        "titleColor": PALETTE["muted"], "titleFontWeight": "normal", "titleFontSize": 11, "titleOrient": "left", "labelLimit": 0,
        "gradientStrokeColor": PALETTE["grid"],
    },
    "title": {"color": PALETTE["muted"], "fontSize": 11, "fontWeight": "normal"},
    "text": {"color": PALETTE["ink"], "fontSize": 11},
}  # fmt: skip


def themed(chart: Chart, *, dark: bool) -> dict[str, Any]:
    """The chart's Vega-Lite specification in the colours of a light or a dark page."""
    spec: dict[str, Any] = chart.to_dict(validate=False)
    return _darkened(spec) if dark else spec


def _darkened(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: part if key == "datasets" else _darkened(part) for key, part in node.items()}
    if isinstance(node, list):
        return [_darkened(part) for part in node]
    return DARK[NAMES[node]] if isinstance(node, str) and node in NAMES else node
