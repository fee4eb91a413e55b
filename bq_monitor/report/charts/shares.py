"""Shares of rows: a feature's distribution then and now, and what moved when, feature by feature."""

from __future__ import annotations

from typing import Any

import altair as alt

from bq_monitor.report.charts.parts import (
    WIDTH,
    Chart,
    Frame,
    Row,
    apart,
    data,
    finished,
    label_limit,
    layered,
    middle,
    nothing,
    records,
    share_format,
    text_cells,
    time_axis,
    tooltip,
    utc_text,
    values,
)
from bq_monitor.report.palette import HEAT, PALETTE

MAX_CATEGORIES = 15
"""Categories that one distribution draws; a line below tells of the others."""
MAX_FEATURES = 60
"""Rows of a heat map."""
DENSE = 120
"""Windows beyond which a heat map draws ticks for dots."""
STEPS = (0.05, 0.1, 0.2, 0.4)
"""Where the colour of a heat map changes."""
_ORDERED = ("numeric", "timestamp", "ordinal")


def distribution(buckets: Frame, *, kind: str, baseline: str = "training", width: int | None = None) -> Chart:
    """The shares of a feature's buckets in the baseline and in production; the bucket with the largest psi is marked.

    Args:
        buckets: bucket, baseline_share, current_share, psi; in order.
        kind: numeric, timestamp and ordinal stand in order, as columns; categorical and boolean lie as bars.
        baseline: what the window was compared with, for the legend.
        width: pixels; None fills the container.
    """
    found = records(buckets, _BUCKET)
    if not found:
        return nothing(width=width)
    labels = apart(row["bucket"] or "(empty)" for row in found)
    rows = [
        row | {"place": place, "bucket": label} for place, (row, label) in enumerate(zip(found, labels, strict=True))
    ]
    moved = _most_moved(rows)
    if kind in _ORDERED:
        return _columns(rows, moved, baseline, width)
    return _bars(rows, moved, baseline, width)


_BUCKET = ("bucket", "baseline_share", "current_share", "psi")


def _most_moved(rows: list[Row]) -> Row | None:
    """The row with the largest psi; None where no psi is above zero."""
    judged = [row for row in rows if row["psi"] is not None and row["psi"] > 0]
    return max(judged, key=lambda row: row["psi"], default=None)


def _both(rows: list[Row], baseline: str) -> list[Row]:
    """A row for each share that is there: `share` of `series_`."""
    return [
        {
            "place": row["place"], "bucket_": row["bucket"], "series_": series, "share": row[name],
            "baseline_share": row["baseline_share"], "current_share": row["current_share"], "psi": row["psi"],
        }
        for series, name in ((baseline, "baseline_share"), ("production", "current_share"))
        for row in rows
    ]  # fmt: skip


def _series_colour(baseline: str) -> alt.Color:
    scale = alt.Scale(domain=[baseline, "production"], range=[PALETTE["reference"], PALETTE["production"]])
    return alt.Color(
        "series_", type="nominal", scale=scale, legend=alt.Legend(title=None, symbolType="square", offset=16)
    )


def _shared(baseline: str) -> dict[str, Any]:
    told = tooltip(
        bucket_="bucket", baseline_share=f"share, {baseline}", current_share="share, production", psi="part of psi"
    )
    return {"color": _series_colour(baseline), "tooltip": told}


def _columns(rows: list[Row], moved: Row | None, baseline: str, width: int | None) -> Chart:
    drawn = _both(rows, baseline)
    longest = max(text_cells(row["bucket_"]) for row in drawn)
    slanted = longest * len(rows) > 75
    limit = label_limit(drawn, "bucket_", 130)
    axis = alt.Axis(labelAngle=-40 if slanted else 0, labelLimit=limit, labelOverlap=len(rows) > 24, grid=False)
    place = alt.X("bucket_", type="nominal", sort=None, title=None, axis=axis, scale=alt.Scale(paddingInner=0.22))
    share = alt.Y(
        "share", type="quantitative", title="share of rows", stack=None,
        axis=alt.Axis(format=share_format(values(drawn, "share")), tickCount=4),
    )  # fmt: skip
    side = alt.XOffset("series_", type="nominal", sort=None)
    bars = alt.Chart(data(drawn)).mark_bar(invalid=None).encode(x=place, xOffset=side, y=share, **_shared(baseline))
    layers: list[alt.Chart] = [bars]
    if moved:
        third = 3 * moved["place"] // len(rows)
        align = ("left", "center", "right")[third]
        top = max(values([moved], "baseline_share", "current_share"), default=0)
        mark = alt.Chart(data([{"bucket_": moved["bucket"], "share": top, "words_": "▼ moved most"}]))
        layers.append(_said(mark, align, "bottom", dy=-3).encode(x=place, y=share))
    return finished(layered(*layers), height=140, width=width)


def _said(chart: alt.Chart, align: str, baseline: str, **moved_by: int) -> alt.Chart:
    mark = chart.mark_text(align=align, baseline=baseline, color=PALETTE["drift"], fontWeight=600, **moved_by)  # type: ignore[arg-type]
    said: alt.Chart = mark.encode(text=alt.Text("words_", type="nominal"))
    return said


def _bars(rows: list[Row], moved: Row | None, baseline: str, width: int | None) -> Chart:
    kept = _largest(rows, moved)
    drawn = _both(kept, baseline)
    place = alt.Y(
        "bucket_", type="nominal", sort=None, title=None, scale=alt.Scale(paddingInner=0.3),
        axis=alt.Axis(labelLimit=label_limit(drawn, "bucket_"), grid=False),
    )  # fmt: skip
    share = alt.X(
        "share", type="quantitative", title="share of rows", stack=None,
        axis=alt.Axis(format=share_format(values(drawn, "share")), tickCount=5, labelOverlap="greedy"),
    )  # fmt: skip
    side = alt.YOffset("series_", type="nominal", sort=None)
    bars = alt.Chart(data(drawn)).mark_bar(invalid=None).encode(y=place, yOffset=side, x=share, **_shared(baseline))
    layers: list[alt.Chart] = [bars]
    if moved:
        end = max(values([moved], "baseline_share", "current_share"), default=0)
        mark = alt.Chart(data([{"bucket_": moved["bucket"], "share": end, "words_": "◀ moved most"}]))
        layers.append(_said(mark, "left", "middle", dx=4).encode(y=place, x=share))
    left_out = _left_out(rows, kept)
    return finished(layered(*layers), height=alt.Step(11), width=width, left_out=left_out)


def _largest(rows: list[Row], moved: Row | None) -> list[Row]:
    """The categories with the largest shares and the one that moved most, in the order of the frame."""
    ranked = sorted(rows, key=lambda row: (row is not moved, -_share(row), row["place"]))
    return sorted(ranked[:MAX_CATEGORIES], key=lambda row: row["place"])


def _share(row: Row) -> float:
    return max(values([row], "baseline_share", "current_share"), default=0.0)


def _left_out(rows: list[Row], kept: list[Row]) -> str:
    others = [row for row in rows if row not in kept]
    if not others:
        return ""
    return f"and {len(others)} more, each at most {max(map(_share, others)):.2%} of rows"


def heat_map(drift: Frame, *, width: int | None = None) -> Chart:
    """Features by windows, coloured by drift_score; a dot is drift, a line through the middle was not evaluated.

    The features that drifted in most windows come first; the 60 of them are drawn, a line below counts the others.
    """
    rows = [row for row in records(drift, _CELL) if row["feature"] is not None and row["window_end"] is not None]
    if not rows:
        return nothing(width=width)
    ranked = _by_drift(rows)
    places = {feature: place for place, feature in enumerate(ranked[:MAX_FEATURES])}
    cells = _cells([row for row in rows if row["feature"] in places], places)
    more = len(ranked) - len(places)
    left_out = f"and {more} more features, which drifted in fewer windows or less" if more else ""
    return finished(_heat(cells, width), height=alt.Step(16), width=width, left_out=left_out)


_CELL = ("feature", "window_start", "window_end", "status", "reason", "drift_score", "metric", "value", "explanation")


def _by_drift(rows: list[Row]) -> list[str]:
    """Features by windows with drift, then by their largest score, then by name."""
    drifted: dict[str, int] = {}
    largest: dict[str, float] = {}
    for row in rows:
        name = row["feature"]
        drifted[name] = drifted.get(name, 0) + (row["status"] == "drift")
        largest[name] = max(largest.get(name, 0.0), row["drift_score"] or 0.0)
    return sorted(drifted, key=lambda name: (-drifted[name], -largest[name], name))


def _cells(rows: list[Row], places: dict[str, int]) -> list[Row]:
    """Each window from the end of the one before, or from its own start where there is a gap."""
    ends = sorted({row["window_end"] for row in rows})
    before = dict(zip(ends[1:], ends[:-1], strict=True))
    cells = []
    for row in sorted(rows, key=lambda row: (places[row["feature"]], row["window_end"])):
        end = row["window_end"]
        begins = max(filter(None, (before.get(end), row["window_start"])), default=end)
        known = row["status"] in _KNOWN and row["drift_score"] is not None
        cells.append({
            "feature_": row["feature"], "start": begins, "end": end, "middle": middle(begins, end), "when_": utc_text(end),
            "status_": row["status"] if known or row["status"] == "drift" else "not evaluated", "known": known,
            "why_": row["reason"] or row["explanation"] or "", "drift_score": row["drift_score"],
        })  # fmt: skip
    return cells


_KNOWN = ("ok", "drift")


def _heat(cells: list[Row], width: int | None) -> alt.LayerChart:
    told = tooltip(
        feature_="feature", when_="window end", status_="verdict", drift_score="drift score (0 to 1)", why_="why"
    )
    row = alt.Y(
        "feature_", type="nominal", sort=None, title=None, scale=alt.Scale(paddingInner=0.12),
        axis=alt.Axis(grid=False, labelLimit=label_limit(cells, "feature_", 170)),
    )  # fmt: skip
    span = {"x": alt.X("start", **time_axis()), "x2": alt.X2("end"), "y": row, "tooltip": told}
    steps = alt.Color(
        "drift_score", type="quantitative", scale=alt.Scale(type="threshold", domain=list(STEPS), range=list(HEAT)),
        legend=alt.Legend(title="drift score (0 to 1)", symbolType="square", format="~g"),
    )  # fmt: skip
    known = alt.Chart(data([cell for cell in cells if cell["known"]])).mark_rect().encode(color=steps, **span)
    unknown = alt.Chart(data([cell for cell in cells if not cell["known"]]))
    lines = unknown.mark_rule(color=PALETTE["reference"], strokeWidth=1).encode(**span)
    return layered(known, lines, *_dots(cells, row, told, width))


def _dots(cells: list[Row], row: alt.Y, told: list[alt.Tooltip], width: int | None) -> list[alt.Chart]:
    """A dot in each cell with drift, and what the signs mean."""
    n_windows = len({cell["end"] for cell in cells})
    size = min(22.0, max(3.0, ((width or WIDTH) / max(n_windows, 1) * 0.5) ** 2))
    drifted = [cell for cell in cells if cell["status_"] == "drift"]
    signs = [{"sign_": word, "middle": cells[0]["middle"], "feature_": cells[0]["feature_"]} for word, *_ in SIGNS]
    base = alt.Chart(data(drifted))
    if n_windows > DENSE:
        dots = base.mark_tick(orient="vertical", size=5, thickness=1, color=PALETTE["drift"])
    else:
        dots = base.mark_point(
            filled=True, opacity=1, size=size, color=PALETTE["drift"], stroke=PALETTE["surface"], strokeWidth=0.6
        )
    meaning = alt.Chart(data(signs)).mark_point(opacity=0)
    place = alt.X("middle", **time_axis())
    scale = alt.Scale(domain=[word for word, *_ in SIGNS], range=[colour for *_, colour in SIGNS])
    legend = alt.Legend(title=None, symbolOpacity=1)
    colours = {
        "fill": alt.Fill("sign_", type="nominal", scale=scale, legend=legend),
        "stroke": alt.Stroke("sign_", type="nominal", scale=scale, legend=legend),
    }
    shape = alt.Shape("sign_", type="nominal", legend=legend,
                      scale=alt.Scale(domain=[word for word, *_ in SIGNS], range=[sign for _, sign, _ in SIGNS]))  # fmt: skip
    return [dots.encode(x=place, y=row, tooltip=told), meaning.encode(x=place, y=row, shape=shape, **colours)]


SIGNS = (("drift", "circle", PALETTE["drift"]), ("not evaluated", "stroke", PALETTE["reference"]))
