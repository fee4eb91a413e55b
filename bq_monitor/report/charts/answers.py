"""Charts of the answers of one window: what came true by score, by confidence and by bucket, and the confusion of classes."""

from __future__ import annotations

import re
from typing import Any

import altair as alt

from bq_monitor.report.charts.parts import (
    Chart,
    Frame,
    Row,
    data,
    finished,
    label_limit,
    layered,
    nothing,
    records,
    share_format,
    symbols,
    text_cells,
    tooltip,
    values,
)
from bq_monitor.report.palette import HEAT, PALETTE

MAX_BUCKETS = 20
"""Rows of `concept`, and classes on a side of `confusion`; a line below counts the others."""
_BIN = ("bin", "n", "share", "reference_share")
_RANGE = re.compile(r"^(\S+) to (\S+)$")


def calibration(bins: Frame, *, width: int | None = None) -> Chart:
    """Share that came true by predicted score; a dot inside its box is calibrated.

    Args:
        bins: bin ("0.2 to 0.3"), n, share, reference_share; in order.
        width: pixels; None fills the container.
    """
    return _by_score(bins, "share that came true", "score", width)


def confidence(bins: Frame, *, width: int | None = None) -> Chart:
    """Share of right answers by the model's confidence; a dot inside its box is as sure as it should be."""
    return _by_score(bins, "share that was right", "confidence", width)


def concept(bins: Frame, *, width: int | None = None) -> Chart:
    """Outcomes by bucket of a feature, in the reference and in the window; buckets with most rows where there are many."""
    rows = _numbered(bins)
    if not rows:
        return nothing(width=width)
    kept = sorted(sorted(rows, key=lambda row: (-(row["n"] or 0), row["place"]))[:MAX_BUCKETS], key=_place)
    more = len(rows) - len(kept)
    left_out = f"and {more} more buckets with fewer rows" if more else ""
    place = alt.Y(
        "bin_", type="nominal", sort=None, title=None, axis=alt.Axis(labelLimit=label_limit(kept, "bin_"), grid=True)
    )
    shown = values(kept, "share", "reference_share")
    share = alt.X(
        "at", type="quantitative", title="share that came true",
        axis=alt.Axis(format=share_format(shown), tickCount=5, labelOverlap="greedy"),
    )  # fmt: skip
    layers = _pairs(kept, {"y": place}, share, "x")
    return finished(layered(*layers), height=alt.Step(18), width=width, left_out=left_out)


def confusion(cells: Frame, *, width: int | None = None) -> Chart:
    """Rows by outcome and prediction; right answers stand in a frame."""
    rows = [row for row in records(cells, ("outcome", "predicted", "n")) if row["n"] is not None]
    rows = [
        row | {name: "(none)" if row[name] is None else row[name] for name in ("outcome", "predicted")} for row in rows
    ]
    if not rows:
        return nothing(width=width)
    classes = _classes(rows)
    kept = [row for row in rows if row["outcome"] in classes and row["predicted"] in classes]
    drawn = sorted(
        ({"outcome_": row["outcome"], "predicted_": row["predicted"], "n": row["n"]} for row in kept),
        key=lambda row: (classes.index(row["outcome_"]), classes.index(row["predicted_"])),
    )
    more = len(rows) - len(kept)
    left_out = f"and {more} more cells, of classes with fewer rows" if more else ""
    return finished(_squares(drawn), height=alt.Step(28), width=width, left_out=left_out)


def _classes(rows: list[Row]) -> list[Any]:
    """The classes with the largest cells, in order of name."""
    largest: dict[Any, float] = {}
    for row in rows:
        for name in (row["outcome"], row["predicted"]):
            largest[name] = max(largest.get(name, 0), row["n"])
    ranked = sorted(largest, key=lambda name: (-largest[name], str(name)))
    return sorted(ranked[:MAX_BUCKETS], key=str)


def _squares(drawn: list[Row]) -> alt.LayerChart:
    inner = alt.Scale(padding=0.06)
    names = {row["predicted_"] for row in drawn}
    angle = -40 if sum(map(text_cells, names)) > 60 else 0
    across = alt.Axis(orient="top", labelAngle=angle, labelLimit=label_limit(drawn, "predicted_", 90), grid=False)
    down = alt.Axis(grid=False, labelLimit=label_limit(drawn, "outcome_", 90))
    base = alt.Chart(data(drawn)).encode(
        x=alt.X("predicted_", type="nominal", sort=None, title="predicted", axis=across, scale=inner),
        y=alt.Y("outcome_", type="nominal", sort=None, title="came true", axis=down, scale=inner),
        tooltip=tooltip(predicted_="predicted", outcome_="came true", n="rows"),
    )
    colour = alt.Color(
        "n", type="quantitative", scale=alt.Scale(type="quantize", range=list(HEAT[:3]), zero=True), legend=None
    )
    right = alt.Chart(data([row for row in drawn if row["predicted_"] == row["outcome_"]])).encode(
        x="predicted_:N", y="outcome_:N"
    )
    return layered(
        base.mark_rect().encode(color=colour),
        right.mark_rect(filled=False, color=PALETTE["ink"], strokeWidth=1.2),
        base.mark_text(color=PALETTE["ink"], fontSize=12).encode(
            text=alt.Text("n", type="quantitative", format=".3~s" if max(row["n"] for row in drawn) >= 100_000 else ",")
        ),
    )


def _place(row: Row) -> int:
    place: int = row["place"]
    return place


def _numbered(bins: Frame) -> list[Row]:
    return [{**row, "place": place, "bin_": row["bin"] or "(empty)"} for place, row in enumerate(records(bins, _BIN))]


def _by_score(bins: Frame, title: str, by: str, width: int | None) -> Chart:
    rows = _numbered(bins)
    if not rows:
        return nothing(width=width)
    longest = max(text_cells(row["bin_"]) for row in rows)
    slanted = longest * len(rows) > 75
    boxes = [row | {"low": low, "high": high} for row in rows for low, high in [_span(row["bin_"])] if high is not None]
    axis = alt.Axis(
        labelAngle=-40 if slanted else 0, labelOverlap=len(rows) > 24, grid=False, labelLimit=label_limit(rows, "bin_", 130)
    )  # fmt: skip
    words = f"{by}; a calibrated share lies in the box" if boxes else by
    place = alt.X("bin_", type="nominal", sort=None, title=words, scale=alt.Scale(padding=0.3), axis=axis)
    shown = values(rows, "share", "reference_share")
    share = alt.Y("at", type="quantitative", title=title, axis=alt.Axis(format=share_format(shown), tickCount=4))
    box = alt.Chart(data(boxes)).mark_bar(color=PALETTE["grid"]).encode(
        x=place, y=alt.Y("low", type="quantitative"), y2=alt.Y2("high"),
        tooltip=tooltip(bin_=by, low="calibrated from", high="calibrated to"),
    )  # fmt: skip
    return finished(layered(box, *_pairs(rows, {"x": place}, share, "y")), height=150, width=width)


def _span(label: str) -> tuple[float | None, float | None]:
    """What a label such as "0.2 to 0.3" says a score lies between; nothing for another label or beyond 0 to 1."""
    found = _RANGE.match(label)
    try:
        low, high = (float(found[1]), float(found[2])) if found else (-1.0, -1.0)
    except ValueError:
        return None, None
    return (low, high) if 0 <= low <= high <= 1 else (None, None)


def _pairs(rows: list[Row], place: dict[str, Any], share: Any, channel: str) -> list[alt.Chart]:
    """The reference's square and the window's dot, joined by a line."""
    told = tooltip(bin_="bucket", share="share, window", reference_share="share, reference", n="rows")
    drawn = [
        row | {"at": row[name], "series_": word}
        for name, word in (("reference_share", "reference"), ("share", "window"))
        for row in rows
        if row[name] is not None
    ]
    both = [row | {"at": row["share"]} for row in rows if None not in (row["share"], row["reference_share"])]
    other = {"x": alt.X2, "y": alt.Y2}[channel]("reference_share")
    joined = alt.Chart(data(both)).mark_rule(color=PALETTE["reference"], strokeWidth=1.5)
    shape, colour = symbols("series_", [entry for entry in _SERIES if any(row["series_"] == entry[0] for row in drawn)])
    points = alt.Chart(data(drawn)).mark_point(filled=True, opacity=1, size=55)
    return [
        joined.encode(**place, **{channel: share, f"{channel}2": other}),
        points.encode(**place, **{channel: share}, shape=shape, color=colour, tooltip=told),
    ]


_SERIES = (("reference", "square", PALETTE["reference"]), ("window", "circle", PALETTE["production"]))
