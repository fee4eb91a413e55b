"""Charts as SVG inside a page: strict XML, nothing foreign, small, coloured by the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from bq_monitor.report import charts
from bq_monitor.report.charts.svg import css_variables, inline_svg
from bq_monitor.report.palette import DARK, PALETTE
from tests.report.test_charts import EVERY, HOSTILE, buckets, drift

THIRTEEN = buckets(*((f"{k / 10} to {(k + 1) / 10}", 0.07, 0.08, 0.01 * k) for k in range(13)))
TEXT, MARK = 4.5, 3.0
"""Least contrasts of text and of graphical objects: WCAG 2.1, success criteria 1.4.3 and 1.4.11."""


def svg(name: str) -> str:
    draw, frame = EVERY[name]
    return inline_svg(draw(frame), "a chart")


@pytest.mark.parametrize("name", EVERY)
def test_an_svg_is_strict_xml_without_anything_foreign(name: str) -> None:
    """It parses, has only shapes and text, and the one address in it is the name space."""
    text = svg(name)
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()}  # noqa: S314
    assert tags <= {"svg", "g", "path", "text", "rect", "line", "circle", "defs", "clipPath"}
    assert "<script" not in text
    assert "style=" not in text  # a strict Content-Security-Policy would drop it
    assert text.count("http") == text.count('xmlns="http://www.w3.org/2000/svg"') == 1


def test_text_of_users_is_escaped() -> None:
    """Hostile names of buckets and labels are text."""
    text = inline_svg(
        charts.distribution(buckets((HOSTILE[0][:20], 0.5, 0.5, 0.1)), kind="categorical"), '"><script>\x00'
    )
    root = ElementTree.fromstring(text)  # noqa: S314
    assert root.get("aria-label") == '"><script>\ufffd'
    assert HOSTILE[0][:20] in ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_long_label_of_emoji_is_cut(before: str) -> None:
    """However wide the machine's fonts are, no cut goes through a character of two units of UTF-16."""
    assert f"{before}\ufffd" in labels_of(before + "\N{GRINNING FACE}" * 90)


@pytest.mark.parametrize("wide", ["PREMIUM MEMBER WOW ", "W" * 12, "M" * 14])
def test_a_wide_label_with_emoji_beside_a_long_one_is_cut(wide: str) -> None:
    """A label of few but wide characters may be cut too, where another is long."""
    assert any(
        text.startswith(wide[:5])
        for text in labels_of(wide + "\N{GRINNING FACE}" * 5, "a long ordinary label of more than 25 cells")
    )


def labels_of(*names: str) -> list[str]:
    """The texts of a picture with a bucket of each name."""
    chart = charts.distribution(buckets(*((name, 0.5, 0.5, 0.1) for name in names)), kind="categorical")
    root = ElementTree.fromstring(inline_svg(chart, "x"))  # noqa: S314
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]


def test_an_svg_scales() -> None:
    """It has a box and a role, and no size in pixels."""
    root = ElementTree.fromstring(svg("columns"))  # noqa: S314
    assert root.get("role") == "img"
    assert root.get("width") == "100%"
    assert root.get("height") is None
    assert len(root.get("viewBox", "").split()) == 4


def test_a_distribution_is_small() -> None:
    """Thirteen buckets take less than 7 kB, so that a report may hold hundreds."""
    assert len(inline_svg(charts.distribution(THIRTEEN, kind="numeric"), "x").encode()) < 7_000


def test_every_mark_of_the_frame_is_in_the_picture() -> None:
    """Merging and pruning loses none of the 26 columns."""
    root = ElementTree.fromstring(inline_svg(charts.distribution(THIRTEEN, kind="numeric"), "x"))  # noqa: S314
    paths = [element.get("d", "") for element in root.iter() if element.get("class") in ("f-reference", "f-production")]
    assert sum(path.count("M") for path in paths if "h" in path.lower()) >= 26


@pytest.mark.parametrize("name", EVERY)
def test_every_colour_is_one_of_the_palette(name: str) -> None:
    """Whatever is painted has the class by which a page gives it the colour of its scheme."""
    for element in ElementTree.fromstring(svg(name)).iter():  # noqa: S314
        for paint, short in (("fill", "f"), ("stroke", "s")):
            value = element.get(paint, "none")
            if value not in ("none", "transparent"):
                names = [key for key, colour in PALETTE.items() if colour == value]
                assert [f"{short}-{key}" in element.get("class", "").split() for key in names] == [True], value


def test_ids_of_two_charts_differ() -> None:
    """Two pictures of one page share no id."""
    ids = [re.findall(r'\bid="([^"]+)"', inline_svg(charts.heat_map(drift(n=n)), "x")) for n in (3, 4)]
    assert not set(ids[0]) & set(ids[1])


def test_the_stylesheet_names_every_colour_in_both_schemes() -> None:
    """Light, dark by the system's wish and dark by the page's choice; each class reads its property."""
    css = css_variables()
    assert set(PALETTE) == set(DARK)
    for name, value in PALETTE.items():
        assert f"--c-{name}:{value};" in css
        assert css.count(f"--c-{name}:{DARK[name]};") == 2
        assert f".f-{name}{{fill:var(--c-{name})}}" in css
        assert f".s-{name}{{stroke:var(--c-{name})}}" in css


def test_a_colour_tells_its_name() -> None:
    """No two names share a value: the value in the picture leads back to one name."""
    assert len(set(PALETTE.values())) == len(PALETTE)


@pytest.mark.parametrize("scheme", [PALETTE, DARK], ids=["light", "dark"])
def test_colours_stand_out(scheme: dict[str, str]) -> None:
    """Text and marks have the contrast to the page that WCAG asks for."""
    for name, least in (
        ("ink", TEXT), ("muted", TEXT), ("reference", MARK), ("production", MARK), ("estimated", MARK), ("observed", MARK),
        ("drift", MARK), ("critical", MARK), ("warning", MARK), ("info", MARK),
    ):  # fmt: skip
        assert contrast(scheme[name], scheme["surface"]) >= least, name
    for step in range(3):
        assert contrast(scheme["ink"], scheme[f"heat-{step}"]) >= TEXT, step


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.1)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
