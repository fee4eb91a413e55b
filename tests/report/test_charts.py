"""Charts: what stands in their data is what stood in the frame, whatever the frame holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from bq_monitor.report import charts
from bq_monitor.report.charts.shares import MAX_CATEGORIES, MAX_FEATURES
from bq_monitor.report.charts.svg import inline_svg
from bq_monitor.report.palette import PALETTE

HOSTILE = (
    "</svg><script>alert(1)</script>", "😀🎉", "שלום עולם", "a very long name " * 8, 'datum["x"] && 1', "\x00\x1b[31m", "&lt;", "", None,
)  # fmt: skip
NUMBERS = (0.1, math.nan, 1e-300, 1e300, math.inf, None, -math.inf, 0.0, 0.3)
NUMERIC, CATEGORICAL = "numeric", "categorical"


def at(days: float) -> pd.Timestamp:
    return pd.Timestamp("2024-03-01", tz="UTC") + pd.Timedelta(days=days)


def points(chart: charts.Chart) -> list[dict[str, Any]]:
    """Every row of data in the specification."""
    spec = chart.to_dict()
    found = list(_inline(spec))
    return found + [row for rows in spec.get("datasets", {}).values() for row in rows]


def _inline(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("data", {}).get("values", ()) if isinstance(node.get("data"), dict) else ()
        for part in node.values():
            yield from _inline(part)
    elif isinstance(node, list):
        for part in node:
            yield from _inline(part)


def buckets(*rows: tuple[Any, Any, Any, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["bucket", "baseline_share", "current_share", "psi"])


def drift(names: tuple[Any, ...] = ("age",), n: int = 6, **changes: Any) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "feature": name, "model_version": "v1", "segment": "all", "baseline": "training", "window_start": at(7 * k),
            "window_end": at(7 * k + 7), "status": ("ok", "drift", "not_evaluated")[k % 3], "reason": None, "metric": "psi",
            "value": (0.11, 0.42, None)[k % 3], "threshold": 0.2, "noise_floor": 0.03, "lower": 0.1, "upper": 0.6,
            "drift_score": (0.02, 0.5, None)[k % 3], "p_adjusted": 0.5, "n_current": 100, "explanation": None, **changes,
        }
        for name in names for k in range(n)
    ])  # fmt: skip


def measures(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "model_version": "v1", "segment": "all", "basis": basis, "metric": "accuracy", "window_end": at(k), "is_provisional": k == 3,
            "status": "ok", "reason": None, "value": 0.8 + k / 100, "lower": 0.7, "upper": 0.9, "reference_value": 0.85, "n_rows": 90,
            "n_labelled": 80, "n": 80, "rule": None, "explanation": None, **changes,
        }
        for basis in ("realised", "estimated") for k in range(4)
    ])  # fmt: skip


def alerts(n: int = 3, **changes: Any) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "kind": "drift", "severity": ("critical", "warning", "info")[k % 3], "status": "resolved", "is_unknown": False, "measure": None,
            "feature": f"f{k}", "segment": "all", "baseline": "training", "message": "m", "since": at(k), "window_end": at(k + 9),
            "monitor": "m", **changes,
        }
        for k in range(n)
    ])  # fmt: skip


def bins(*rows: tuple[Any, Any, Any, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["bin", "n", "share", "reference_share"])


UGLY_BUCKETS = buckets(*zip(HOSTILE, NUMBERS, reversed(NUMBERS), NUMBERS, strict=True))
UGLY_BINS = bins(*zip(HOSTILE, NUMBERS, reversed(NUMBERS), NUMBERS, strict=True))
UGLY_CELLS = pd.DataFrame(
    [{"outcome": a, "predicted": b, "n": n} for a in HOSTILE for b, n in zip(HOSTILE, NUMBERS, strict=True)]
)
UGLY_DRIFT = drift(HOSTILE).assign(value=[*NUMBERS] * 6, lower=[*reversed(NUMBERS)] * 6, drift_score=[*NUMBERS] * 6)
UGLY_ALERTS = pd.concat(
    [alerts(9).assign(feature=HOSTILE, message=HOSTILE, kind=HOSTILE), alerts(1, since=pd.NaT, severity=None)]
)
UGLY_MEASURES = measures().assign(value=NUMBERS[:8], lower=NUMBERS[1:], explanation=HOSTILE[:8])
COSTS = pd.DataFrame({"as_of": [at(k) for k in range(8)] + [pd.NaT], "cost": NUMBERS})


def costs(frame: pd.DataFrame, **options: Any) -> charts.Chart:
    return charts.bars_over_time(frame, "as_of", "cost", "cost", **options)


def rows_of_log(frame: pd.DataFrame, **options: Any) -> charts.Chart:
    return charts.volume(frame, **options)


Draw = Callable[..., charts.Chart]
EVERY: dict[str, tuple[Draw, pd.DataFrame]] = {
    "columns": (lambda frame, **o: charts.distribution(frame, kind=NUMERIC, **o), UGLY_BUCKETS),
    "bars": (lambda frame, **o: charts.distribution(frame, kind=CATEGORICAL, **o), UGLY_BUCKETS),
    "metric": (charts.metric_timeline, UGLY_DRIFT),
    "heat": (charts.heat_map, UGLY_DRIFT),
    "performance": (charts.performance_timeline, UGLY_MEASURES),
    "calibration": (charts.calibration, UGLY_BINS),
    "confidence": (charts.confidence, UGLY_BINS),
    "concept": (charts.concept, UGLY_BINS),
    "confusion": (charts.confusion, UGLY_CELLS),
    "alerts": (charts.alert_timeline, UGLY_ALERTS),
    "costs": (costs, COSTS),
    "volume": (rows_of_log, COSTS.rename(columns={"as_of": "window_end", "cost": "n_rows"})),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_chart_stands_ugly_values(name: str) -> None:
    """A frame of hostile text and impossible numbers draws, and each number in the specification is finite."""
    draw, frame = EVERY[name]
    chart = draw(frame, width=400)
    numbers = [value for row in points(chart) for value in row.values() if isinstance(value, float)]
    assert all(map(math.isfinite, numbers))
    assert inline_svg(chart, name).startswith("<svg")


@pytest.mark.parametrize("name", EVERY)
def test_every_chart_stands_few_rows(name: str) -> None:
    """One row draws; no row says that there is nothing to show, with and without the columns."""
    draw, frame = EVERY[name]
    inline_svg(draw(frame.head(1)), name)
    for empty in (frame.head(0), pd.DataFrame()):
        assert "nothing to show" in inline_svg(draw(empty), name)


@pytest.mark.parametrize("name", EVERY)
def test_user_text_is_only_data(name: str) -> None:
    """No text of the frame stands in the specification outside its data, where Vega would read expressions."""
    draw, frame = EVERY[name]
    spec = draw(frame).to_dict()
    spec.pop("datasets", None)
    assert "datum[" not in str(_without_data(spec))
    assert "script" not in str(_without_data(spec))


def _without_data(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_data(part) for key, part in node.items() if key != "data"}
    return [_without_data(part) for part in node] if isinstance(node, list) else node


@pytest.mark.parametrize("kind", [NUMERIC, CATEGORICAL])
def test_a_distribution_shows_the_frames_shares(kind: str) -> None:
    """Both shares of every bucket are in the data as they were, in order, under the names of the legend."""
    frame = buckets(("b", 0.5, 0.25, 0.1), ("a", 0.5, 0.75, 0.2))
    drawn = [row for row in points(charts.distribution(frame, kind=kind, baseline="previous")) if "series_" in row]
    told = [(row["series_"], row["bucket_"], row["share"]) for row in drawn]
    assert told == [
        ("previous", "b", 0.5),
        ("previous", "a", 0.5),
        ("production", "b", 0.25),
        ("production", "a", 0.75),
    ]


@pytest.mark.parametrize("kind", [NUMERIC, CATEGORICAL])
def test_the_bucket_that_moved_most_is_marked(kind: str) -> None:
    """A word stands at the bucket with the largest psi, and at none where no psi is above zero."""
    frame = buckets(("a", 0.5, 0.45, 0.1), ("b", 0.3, 0.1, 0.7), ("c", 0.2, 0.45, math.nan))
    marks = [row for row in points(charts.distribution(frame, kind=kind)) if "words_" in row]
    assert [mark["bucket_"] for mark in marks] == ["b"]
    assert marks[0]["words_"].endswith("moved most")
    still = charts.distribution(frame.assign(psi=0.0), kind=kind)
    assert not [row for row in points(still) if "words_" in row]


def test_categories_left_out_are_told() -> None:
    """Of many categories the largest and the one that moved most are drawn; a line counts the others and bounds them."""
    rows = [(f"c{k:02}", 0.4 / (k + 1), 0.3 / (k + 1), 0.9 if k == 49 else 0.01) for k in range(50)]
    chart = charts.distribution(buckets(*rows), kind=CATEGORICAL)
    names = {row["bucket_"] for row in points(chart)}
    assert names == {f"c{k:02}" for k in (*range(MAX_CATEGORIES - 1), 49)}
    assert chart.to_dict()["title"]["text"] == "and 35 more, each at most 2.67% of rows"  # 0.4 / 15


@pytest.mark.parametrize("kind", [NUMERIC, CATEGORICAL])
def test_buckets_of_one_name_stand_apart(kind: str) -> None:
    """Each bucket has a place of its own, though two may read the same."""
    drawn = points(
        charts.distribution(
            buckets(("a", 0.2, 0.3, 0.0), ("a", 0.5, 0.4, 0.0), (None, 0.1, 0.1, 0.0), ("", 0.2, 0.2, 0.0)), kind=kind
        )
    )
    assert len({row["bucket_"] for row in drawn}) == 4
    assert {row["bucket_"].rstrip("\u200b") for row in drawn} == {"a", "(empty)"}


def test_an_alert_whose_window_could_not_tell_ends_in_a_question_mark() -> None:
    """It has no arrow, which would say that it is known to stand; a resolved one has neither."""
    frame = pd.concat([alerts(1, status="open", is_unknown=True), alerts(1, is_unknown=True, feature="over")])
    spec = charts.alert_timeline(frame).to_dict()
    ends = {layer["mark"].get("shape") or layer["mark"].get("text"): layer for layer in spec["layer"]}
    rows = {
        sign: layer["data"].get("values", spec.get("datasets", {}).get(layer["data"].get("name")))
        for sign, layer in ends.items()
        if sign
    }
    assert rows["triangle-right"] == []
    assert [row["about_"] for row in rows["?"]] == ["drift, f0"]
    assert rows["?"][0]["state_"] == "open, its last window could not tell"


def test_a_window_that_was_not_evaluated_is_a_cross_on_the_axis() -> None:
    """Its mark has no value and a sign of its own, and the line does not run through it."""
    drawn = points(charts.metric_timeline(drift()))
    crosses = {row["window_end"] for row in drawn if row.get("sign_") == "not evaluated"}
    joined = {row["window_end"] for row in drawn if "piece_" in row}
    assert crosses == {at(21).isoformat(), at(42).isoformat()}
    assert not crosses & joined
    assert len({row["piece_"] for row in drawn if "piece_" in row}) == 2


def test_a_tooltip_keeps_the_value_where_the_mark_is_a_bound() -> None:
    """Marks of intervals and levels stand elsewhere than the value, yet tell the value."""
    values = {row["value"] for row in points(charts.metric_timeline(drift(n=1))) if "value" in row}
    assert values == {0.11}


def test_times_are_shown_in_utc() -> None:
    """A moment of another zone is the same moment in UTC, in the data and in words, on a scale of UTC."""
    moved = drift(n=1).assign(window_end=[pd.Timestamp("2024-03-08 01:00", tz="Asia/Tokyo")])
    chart = charts.metric_timeline(moved)
    marks = [row for row in points(chart) if "sign_" in row]
    assert {row["when_"] for row in marks} == {"2024-03-07 16:00 UTC"}
    assert {row["window_end"] for row in marks} == {"2024-03-07T16:00:00+00:00"}
    assert all(layer["encoding"]["x"]["scale"]["type"] == "utc" for layer in chart.to_dict()["layer"])


def test_a_heat_map_tells_unknown_from_zero() -> None:
    """A score of zero is a cell; a window that was not evaluated is none."""
    frame = pd.concat(
        [drift(n=1, drift_score=0.0), drift(n=1, status="not_evaluated", drift_score=0.0).assign(feature="b")]
    )
    cells = {row["feature_"]: row["known"] for row in points(charts.heat_map(frame)) if "known" in row}
    assert cells == {"age": True, "b": False}


def test_a_heat_map_shows_the_most_drifted_first() -> None:
    """Features by windows with drift; of the many that are too many a line says how many."""
    calm = drift(tuple(f"f{k:03}" for k in range(99)), n=2, status="ok", drift_score=0.1)
    chart = charts.heat_map(pd.concat([calm, drift(("z",), n=2, status="drift", drift_score=0.3)]))
    order = list(dict.fromkeys(row["feature_"] for row in points(chart) if "known" in row))
    assert order[:2] == ["z", "f000"]
    assert len(order) == MAX_FEATURES
    assert chart.to_dict()["title"]["text"].startswith("and 40 more features")


def test_cells_do_not_overlap_and_leave_gaps_open() -> None:
    """Rolling windows share the time between their ends; where a window is missing nothing is drawn."""
    frame = drift(n=3).assign(window_start=[at(0), at(1), at(20)], window_end=[at(7), at(8), at(27)])
    cells = [(row["start"], row["end"]) for row in points(charts.heat_map(frame)) if "known" in row]
    days = [(at(0), at(7)), (at(7), at(8)), (at(20), at(27))]
    assert sorted(set(cells)) == [(start.isoformat(), end.isoformat()) for start, end in days]


def test_provisional_values_have_a_sign_of_their_own() -> None:
    """They are hollow, and named in the legend."""
    signs = {row["sign_"] for row in points(charts.performance_timeline(measures())) if "sign_" in row}
    assert signs == {"realised", "realised, provisional", "estimated", "estimated, provisional"}
    broken = charts.performance_timeline(measures(status="drift", is_provisional=False))
    assert {row["sign_"] for row in points(broken) if "sign_" in row} == {
        "realised, limit broken",
        "estimated, limit broken",
    }


def test_a_calibrated_score_lies_in_the_box_of_its_bin() -> None:
    """The box is the bin's own range; a label that is no range between 0 and 1 has none."""
    frame = bins(("0.2 to 0.3", 5, 0.25, None), ("3 to 4", 5, 0.5, None), ("ten to two", 5, 0.5, None))
    boxes = [(row["bin_"], row["low"], row["high"]) for row in points(charts.calibration(frame)) if "low" in row]
    assert boxes == [("0.2 to 0.3", 0.2, 0.3)]


def test_a_confusion_shows_every_count() -> None:
    """Each cell has its count, and those of right answers are framed."""
    cells = [("a", "a", 5), ("a", "b", 1), ("b", "a", 2), ("b", "b", 7)]
    frame = pd.DataFrame(cells, columns=["outcome", "predicted", "n"])
    drawn = points(charts.confusion(frame))
    assert {(row["outcome_"], row["predicted_"], row["n"]) for row in drawn} == set(cells)
    spec = charts.confusion(frame).to_dict()
    framed = next(layer for layer in spec["layer"] if layer["mark"].get("filled") is False)
    rows = spec["datasets"][framed["data"]["name"]] if "name" in framed["data"] else framed["data"]["values"]
    assert {(row["outcome_"], row["predicted_"]) for row in rows} == {("a", "a"), ("b", "b")}


def test_an_open_alert_reaches_the_newest_end() -> None:
    """Resolved alerts end where they ended; the most severe open one comes first."""
    frame = pd.concat([alerts(3), alerts(1, status="open", severity="info", feature="still")])
    lines = list({row["about_"]: (row["start"], row["end"]) for row in points(charts.alert_timeline(frame))}.items())
    assert lines[0] == ("drift, still", (at(0).isoformat(), at(11).isoformat()))
    assert ("drift, f0", (at(0).isoformat(), at(9).isoformat())) in lines


def test_rows_without_a_number_are_counted() -> None:
    """Bars are drawn of what is there; a line below counts the rest."""
    chart = costs(pd.DataFrame({"as_of": [at(0), at(1), pd.NaT], "cost": [1.5, math.nan, 2.0]}))
    assert [row["amount"] for row in points(chart)] == [1.5]
    assert chart.to_dict()["title"]["text"] == "2 without a number"


def test_a_chart_is_as_wide_as_its_container_or_as_told() -> None:
    """Without a width the page decides."""
    assert rows_of_log(EVERY["volume"][1]).to_dict()["width"] == "container"
    assert rows_of_log(EVERY["volume"][1], width=321).to_dict()["width"] == 321


def test_a_dark_chart_has_only_dark_colours() -> None:
    """Every colour of the palette gives way to its dark one, and data that look like a colour stay."""
    light = PALETTE["production"]
    chart = charts.distribution(buckets((light, 0.5, 0.5, 0.1)), kind=NUMERIC)
    spec = charts.themed(chart, dark=True)
    assert charts.themed(chart, dark=False) == chart.to_dict()
    assert not any(value in str(_without_data({**spec, "datasets": None})) for value in PALETTE.values())
    assert light in str(spec)
