"""Charts along time: the metric of a feature, measures of answers, rows, alerts and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from bq_monitor.report.charts.parts import (
    CROSS,
    DASH,
    DOTS,
    WIDTH,
    Chart,
    Frame,
    Row,
    data,
    finished,
    label_limit,
    layered,
    nothing,
    number_format,
    records,
    symbols,
    time_axis,
    tooltip,
    utc_text,
    values,
)
from bq_monitor.report.palette import PALETTE

MAX_ALERTS = 30
"""Lines of `alert_timeline`; a line below counts the others."""
_METRIC = ("window_end", "model_version", "segment", "baseline", "status", "reason", "metric", "value", "threshold", "noise_floor",
           "lower", "upper", "drift_score", "p_adjusted", "n_current", "explanation")  # fmt: skip
_MEASURE = ("window_end", "model_version", "segment", "basis", "metric", "is_provisional", "status", "reason", "value", "lower",
            "upper", "reference_value", "n_rows", "n_labelled", "n", "rule", "explanation")  # fmt: skip
_ALERT = (
    "kind",
    "severity",
    "status",
    "is_unknown",
    "measure",
    "feature",
    "segment",
    "baseline",
    "message",
    "since",
    "window_end",
    "monitor",
)


@dataclass(frozen=True)
class _Shared:
    """What the layers of one chart have in common: the axis of values, the tooltip, pixels."""

    value: alt.Y
    told: list[alt.Tooltip]
    width: int = WIDTH


@dataclass(frozen=True)
class _Level:
    """A column that is drawn as a level, and the words beside it."""

    column: str
    words: str
    colour: str
    dash: Sequence[float]


@dataclass(frozen=True)
class Sign:
    """How a word is drawn: never by its colour alone."""

    word: str
    shape: str
    fill: str
    stroke: str


_THRESHOLD = _Level("threshold", "threshold", PALETTE["ink"], DASH)
_NOISE = _Level("noise_floor", "noise floor", PALETTE["muted"], DOTS)
_REFERENCE = _Level("reference_value", "reference", PALETTE["muted"], DASH)
_UNKNOWN = Sign("not evaluated", CROSS, PALETTE["surface"], PALETTE["reference"])
_VERDICTS = (
    Sign("ok", "circle", PALETTE["production"], PALETTE["production"]),
    Sign("drift", "triangle-up", PALETTE["drift"], PALETTE["drift"]),
    _UNKNOWN,
)


def metric_timeline(drift: Frame, *, width: int | None = None) -> Chart:
    """The deciding metric of one feature by window, its interval, the threshold and the noise floor.

    Args:
        drift: rows of one feature as `Views.drift` gives them; a window that was not evaluated is a cross on the axis.
        width: pixels; None fills the container.
    """
    rows = _timed(drift, _METRIC)
    if not rows:
        return nothing(width=width)
    told = tooltip(
        when_="window end", status_="verdict", metric_="metric", value="value", lower="lower bound", upper="upper bound",
        threshold="threshold", noise_floor="noise floor", drift_score="drift score", p_adjusted="p, adjusted", n_current="rows",
        why_="why", version_="model version",
    )  # fmt: skip
    numbers = values(rows, "value", "lower", "upper", "threshold", "noise_floor")
    shared = _Shared(_vertical(_one_name(rows), numbers), told, width or WIDTH)
    above = _above(rows)
    layers = [
        _intervals(rows, PALETTE["production-pale"], shared),
        *_level(rows, _THRESHOLD, shared, above=above),
        *_level(rows, _NOISE, shared, above=not above),
        _line(rows, PALETTE["production"], shared),
        *_marks(rows, shared, _VERDICTS),
    ]
    return finished(layered(*layers), height=150, width=width)


def performance_timeline(rows: Frame, *, width: int | None = None) -> Chart:
    """One measure of the answers by window and basis, with intervals and the reference's value; provisional values are hollow.

    Args:
        rows: rows of one metric as `Views.performance` gives them; a window without a value is a cross on the axis.
        width: pixels; None fills the container.
    """
    timed = _timed(rows, _MEASURE)
    if not timed:
        return nothing(width=width)
    told = tooltip(
        when_="window end", basis_="basis", state_="standing", status_="verdict", metric_="measure", value="value", lower="lower bound",
        upper="upper bound", reference_value="reference", n="rows told from", n_labelled="with an outcome", why_="why", rule_="limit",
        version_="model version",
    )  # fmt: skip
    numbers = values(timed, "value", "lower", "upper", "reference_value")
    shared = _Shared(_vertical(_one_name(timed), numbers, zero=False), told, width or WIDTH)
    layers: list[alt.Chart] = []
    for basis, colour, _, dash in _BASES:
        rows_of = [row for row in timed if row["basis_"] == basis]
        part = 0.25 if basis == "estimated" else 0.55
        layers += [
            _intervals(rows_of, PALETTE[f"{colour}-pale"], shared, part),
            _line(rows_of, PALETTE[colour], shared, dash),
        ]
    layers += _level(timed, _REFERENCE, shared, above=True)
    return finished(layered(*layers, *_marks(timed, shared, _STANDINGS)), height=170, width=width)


_BASES: tuple[tuple[str, str, str, list[float]], ...] = (
    ("observed", "observed", "circle", [1, 0]),
    ("estimated", "estimated", "diamond", [4, 2]),
    ("realised", "production", "circle", [1, 0]),
)
_STANDINGS = (
    *(
        sign
        for basis, colour, shape, _ in reversed(_BASES)
        for sign in (
            Sign(basis, shape, PALETTE[colour], PALETTE[colour]),
            Sign(f"{basis}, provisional", shape, PALETTE["surface"], PALETTE[colour]),
            Sign(f"{basis}, limit broken", "triangle-up", PALETTE["drift"], PALETTE["drift"]),
        )
    ),
    _UNKNOWN,
)


def volume(rows: Frame, *, width: int | None = None) -> Chart:
    """Rows by window; where several model versions answered, one upon the other."""
    return bars_over_time(rows, "window_end", "n_rows", "rows", width=width)


def bars_over_time(rows: Frame, x: str, y: str, title: str, *, width: int | None = None) -> Chart:
    """A bar for each row: `y` at the time `x`, with `title` at the axis; rows without a time or a number are left out and counted."""
    wanted = records(rows, (x, y, "model_version"))
    timed = [
        {"at": row[x], "amount": row[y], "when_": utc_text(row[x]), "version_": row["model_version"] or ""}
        for row in wanted
        if isinstance(row[x], str) and isinstance(row[y], (int, float))
    ]
    if not timed:
        return nothing(width=width)
    size = min(26.0, max(1.0, 0.65 * (width or WIDTH) / len({row["at"] for row in timed})))
    amount = alt.Y(
        "amount", type="quantitative", title=title,
        axis=alt.Axis(format=number_format(values(timed, "amount")), tickCount=4, titleLimit=110),
    )  # fmt: skip
    bars = alt.Chart(data(timed)).mark_bar(
        color=PALETTE["production"], size=size, stroke=PALETTE["surface"], strokeWidth=0.5
    )
    chart = bars.encode(
        x=alt.X("at", **time_axis("UTC" if x != "window_end" else "window end (UTC)")), y=amount,
        tooltip=tooltip(when_="time", amount=title, version_="model version"),
    )  # fmt: skip
    without = len(wanted) - len(timed)
    return finished(chart, height=110, width=width, left_out=f"{without} without a number" if without else "")


def _timed(frame: Frame, columns: Sequence[str]) -> list[Row]:
    """Rows that have a window, in order of time, with the words that tooltips show."""
    rows = [row for row in records(frame, columns) if row["window_end"] is not None]
    return [_worded(row) for row in sorted(rows, key=lambda row: str(row["window_end"]))]


def _worded(row: Row) -> Row:
    known = row["value"] is not None and row["status"] in ("ok", "drift")
    provisional = "provisional" if row.get("is_provisional") else "final"
    basis = (row["basis"] or "realised") if "basis" in row else None
    standing = "limit broken" if row["status"] == "drift" else "provisional" if row.get("is_provisional") else ""
    sign = ", ".join(filter(None, (basis, standing))) if basis else row["status"]
    return row | {
        "known": known, "status_": row["status"] if known else "not evaluated", "when_": utc_text(row["window_end"]),
        "why_": row["reason"] or row["explanation"] or "", "version_": row["model_version"] or "", "metric_": row["metric"] or "",
        "basis_": basis or "", "state_": provisional, "rule_": row.get("rule") or "",
        "sign_": sign if known else "not evaluated",
        "part_": f"{row['model_version']} {row['segment']} {row.get('baseline')} {basis}",
    }  # fmt: skip


def _one_name(rows: list[Row]) -> str:
    """The metric's name where all rows have one; the axis is `value` otherwise."""
    names = {row["metric_"] for row in rows if row["metric_"]}
    return names.pop().replace("_", " ") if len(names) == 1 else "value"


def _vertical(title: str, numbers: list[float], *, zero: bool = True) -> alt.Y:
    axis = alt.Axis(format=number_format(numbers), tickCount=4)
    return alt.Y("at", type="quantitative", title=title, axis=axis, scale=alt.Scale(zero=zero))


def _intervals(rows: list[Row], colour: str, shared: _Shared, part: float = 0.55) -> alt.Chart:
    """The confidence interval of each window: a pale bar from lower to upper."""
    spans = [row | {"at": row["lower"]} for row in rows if row["known"] and None not in (row["lower"], row["upper"])]
    thick = min(9.0, max(1.0, part * shared.width / max(len({row["window_end"] for row in rows}), 1)))
    chart = alt.Chart(data(spans)).mark_rule(color=colour, strokeWidth=thick)
    drawn: alt.Chart = chart.encode(x=_when(), y=shared.value, y2=alt.Y2("upper"), tooltip=shared.told)
    return drawn


def _when() -> alt.X:
    return alt.X("window_end", **time_axis())


def _line(rows: list[Row], colour: str, shared: _Shared, dash: Sequence[float] = (1, 0)) -> alt.Chart:
    """The values, joined from window to window; broken where one was not evaluated, and between versions."""
    breaks: dict[str, int] = {}
    pieces = []
    for row in rows:
        if row["known"]:
            pieces.append(row | {"at": row["value"], "piece_": f"{row['part_']} {breaks.get(row['part_'], 0)}"})
        else:
            breaks[row["part_"]] = breaks.get(row["part_"], 0) + 1
    chart = alt.Chart(data(pieces)).mark_line(color=colour, strokeWidth=1.5, strokeDash=list(dash))
    line: alt.Chart = chart.encode(x=_when(), y=shared.value, detail=alt.Detail("piece_", type="nominal"))
    return line


def _above(rows: list[Row]) -> bool:
    """Whether the newest threshold lies above the newest noise floor."""
    both = [row for row in rows if row["threshold"] is not None and row["noise_floor"] is not None]
    return not both or both[-1]["threshold"] >= both[-1]["noise_floor"]


def _level(rows: list[Row], level: _Level, shared: _Shared, *, above: bool) -> list[alt.Chart]:
    """A level by window, in steps, and its name at the end of it."""
    drawn = [row | {"at": row[level.column]} for row in rows if row[level.column] is not None]
    if not drawn:
        return []
    line = alt.Chart(data(drawn)).mark_line(
        color=level.colour, strokeWidth=1.2, strokeDash=list(level.dash), interpolate="step"
    )
    end = alt.Chart(data([{"window_end": rows[-1]["window_end"], "at": drawn[-1]["at"], "words_": level.words}]))
    label = end.mark_text(align="left", dx=6, dy=-6 if above else 7, baseline="middle", color=level.colour)
    return [
        line.encode(x=_when(), y=shared.value, detail=alt.Detail("part_", type="nominal")),
        label.encode(x=_when(), y=shared.value, text=alt.Text("words_", type="nominal")),
    ]


def _marks(rows: list[Row], shared: _Shared, signs: Sequence[Sign]) -> list[alt.Chart]:
    """The sign of each window: at its value, or on the axis where there is none."""
    there = [sign for sign in signs if any(row["sign_"] == sign.word for row in rows)]
    words, legend = [sign.word for sign in there], alt.Legend(title=None, symbolStrokeWidth=1.5, columns=4)

    def scale(field: str) -> alt.Scale:
        return alt.Scale(domain=words, range=[getattr(sign, field) for sign in there])

    channels = {
        "shape": alt.Shape("sign_", type="nominal", scale=scale("shape"), legend=legend),
        "fill": alt.Fill("sign_", type="nominal", scale=scale("fill"), legend=legend),
        "stroke": alt.Stroke("sign_", type="nominal", scale=scale("stroke"), legend=legend),
        "tooltip": shared.told, "x": _when(),
    }  # fmt: skip
    layers = []
    for place, drawn in (
        (shared.value, [row | {"at": row["value"]} for row in rows if row["value"] is not None]),
        (alt.value("height"), [row for row in rows if row["value"] is None]),
    ):
        if drawn:
            marks = alt.Chart(data(drawn)).mark_point(opacity=1, size=30, strokeWidth=1.3)
            layers.append(marks.encode(y=place, **channels))
    return layers


def alert_timeline(alerts: Frame, *, width: int | None = None) -> Chart:
    """Each alert from its beginning to its end or, while it is open, to the end of the chart; the most severe open ones first.

    An arrow says that it stands, a question mark that its last window could not tell.
    """
    wanted = records(alerts, _ALERT)
    rows = [row for row in wanted if row["since"] is not None or row["window_end"] is not None]
    if not rows:
        return nothing(width=width)
    if len({row["monitor"] for row in rows}) == 1:
        rows = [row | {"monitor": None} for row in rows]
    newest = max(row["window_end"] or row["since"] for row in rows)
    ranked = sorted(rows, key=_urgency)[:MAX_ALERTS]
    drawn = [_span(row, newest) for row in ranked]
    more = len(wanted) - len(drawn)
    left_out = f"and {more} more alerts" if more else ""
    return finished(_spans(drawn), height=alt.Step(19), width=width, left_out=left_out)


_SEVERITIES = (
    ("critical", "triangle-up", PALETTE["critical"]),
    ("warning", "diamond", PALETTE["warning"]),
    ("info", "circle", PALETTE["info"]),
)


def _urgency(row: Row) -> tuple[bool, int, str, str]:
    order = [word for word, *_ in _SEVERITIES]
    severity = order.index(row["severity"]) if row["severity"] in order else len(order)
    return row["status"] == "resolved", severity, str(row["since"]), str(row["feature"])


def _span(row: Row, newest: str) -> Row:
    """An alert as a line from `start` to `end`, which for an open one is the newest end of all; a sign stands there."""
    is_open = row["status"] != "resolved"
    is_unknown = is_open and bool(row["is_unknown"])
    about = [row[name] for name in _ABOUT if row[name] not in (None, "", "all", "training")]
    start = row["since"] or row["window_end"]
    end = newest if is_open else max(start, row["window_end"] or start)
    return {
        "about_": ", ".join([str(row["kind"]).replace("_", " "), *about]), "start": start, "end": end, "open": is_open,
        "unknown": is_unknown, "severity_": row["severity"] if row["severity"] in _KNOWN_SEVERITIES else "info",
        "state_": (row["status"] or "") + (", its last window could not tell" if is_unknown else ""),
        "since_": utc_text(row["since"]), "last_": utc_text(row["window_end"]), "message_": row["message"] or "",
    }  # fmt: skip


_ABOUT = ("feature", "measure", "segment", "baseline", "monitor")
_KNOWN_SEVERITIES = frozenset(word for word, *_ in _SEVERITIES)


def _spans(drawn: list[Row]) -> alt.LayerChart:
    told = tooltip(
        about_="alert", severity_="severity", state_="status", since_="since", last_="newest window", message_="message"
    )
    shape, colour = symbols(
        "severity_", [entry for entry in _SEVERITIES if any(row["severity_"] == entry[0] for row in drawn)]
    )
    axis = alt.Axis(grid=True, labelLimit=label_limit(drawn, "about_", 190))
    place = alt.Y("about_", type="nominal", sort=None, title=None, axis=axis)
    whole = alt.Chart(data(drawn))
    still = alt.Chart(data([row for row in drawn if row["open"] and not row["unknown"]]))
    unknown = alt.Chart(data([row for row in drawn if row["unknown"]]))
    start, end = alt.X("start", **time_axis("UTC")), alt.X("end", **time_axis("UTC"))
    lines = whole.mark_rule(strokeWidth=2.5, strokeCap="round")
    arrows = still.mark_point(filled=True, opacity=1, size=60, shape="triangle-right")
    return layered(
        lines.encode(x=start, x2=alt.X2("end"), y=place, color=colour, tooltip=told),
        whole.mark_point(filled=True, opacity=1, size=60).encode(
            x=start, y=place, shape=shape, color=colour, tooltip=told
        ),
        arrows.encode(x=end, y=place, color=colour, tooltip=told),
        unknown.mark_text(text="?", align="left", dx=3, fontWeight=700, color=PALETTE["muted"]).encode(
            x=end, y=place, tooltip=told
        ),
    )
