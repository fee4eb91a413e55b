"""The times as a picture: rows against seconds, both logarithmic, one line a side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peer_sides.measured import Measured

from bq_monitor.report.palette import PALETTE

Look = tuple[str, str, list[float]]

OWN: Look = (PALETTE["production"], "circle", [1, 0])
LIMITS: Mapping[str, Look] = {
    "bare": (PALETTE["reference"], "triangle-left", [1.5, 3]),
    "histogram": (PALETTE["muted"], "triangle-right", [6, 3]),
}
PEERS: Sequence[Look] = [
    (PALETTE[colour], shape, [1, 0])
    for colour, shape in (
        ("drift", "square"), ("estimated", "triangle-up"), ("observed", "diamond"), ("warning", "triangle-down"), ("ink", "cross"),
    )
]  # fmt: skip
TICKS = [number * 10.0**power for power in range(-2, 5) for number in (1, 3)]


def write_plot(path: Path, lines: Sequence[Measured]) -> None:
    """Write an SVG of the sides that have numbers."""
    import vl_convert

    told = [line for line in lines if line.why_not is None]
    path.write_text(vl_convert.vegalite_to_svg(_chart(told).to_dict(), allowed_base_urls=[]) + "\n")


def _chart(lines: Sequence[Measured]) -> Any:
    import altair as alt

    looks = _looks(lines)
    colours, shapes, dashes = ([look[place] for look in looks.values()] for place in range(3))
    legend = alt.Legend(title=None, labelLimit=320)
    values = [{"rows": line.rows, "seconds": line.seconds, "side": line.title} for line in lines]
    rows = alt.Axis(format="~s", values=sorted({line.rows for line in lines}))
    lowest, highest = min(line.seconds for line in lines) / 1.5, max(line.seconds for line in lines) * 1.5
    ticks = [mark for mark in TICKS if lowest <= mark <= highest]
    seconds = alt.Scale(type="log", domain=[lowest, highest], nice=False)
    return (
        alt.Chart(alt.InlineData(values=values), width=480, height=320, background=PALETTE["surface"])
        .mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2)
        .encode(
            alt.X("rows:Q", title="rows of the current file", scale=alt.Scale(type="log", nice=False), axis=rows),
            alt.Y("seconds:Q", title="seconds, start-up included", scale=seconds, axis=alt.Axis(format="~g", values=ticks)),
            alt.Color("side:N", legend=legend, scale=alt.Scale(domain=[*looks], range=colours)),
            alt.Shape("side:N", legend=legend, scale=alt.Scale(domain=[*looks], range=shapes)),
            alt.StrokeDash("side:N", legend=None, scale=alt.Scale(domain=[*looks], range=dashes)),
        )
        .configure(font="Arial, Liberation Sans, sans-serif")
        .configure_axis(gridColor=PALETTE["grid"], labelColor=PALETTE["ink"], titleColor=PALETTE["ink"], titleFontWeight="normal")
        .configure_legend(labelColor=PALETTE["ink"])
        .configure_view(stroke=None)
    )  # fmt: skip


def _looks(lines: Iterable[Measured]) -> dict[str, Look]:
    """Colour, shape and dashes of each title, in the order of the table."""
    free = iter(PEERS)
    looks: dict[str, Look] = {}
    for line in lines:
        if line.title not in looks:
            looks[line.title] = OWN if line.side == "bq-monitor" else LIMITS.get(line.side) or next(free)
    return looks
