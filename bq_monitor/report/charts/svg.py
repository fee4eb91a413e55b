"""A chart as an SVG element inside a page: small, without script or address, its colours left to the page's stylesheet."""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import groupby
from typing import Any
from xml.etree import ElementTree

from bq_monitor.report.charts.parts import WIDTH, Chart, clean
from bq_monitor.report.palette import DARK, NAMES, PALETTE

_PAINTS = {"fill": "f", "stroke": "s"}
_TAGS = frozenset({"svg", "g", "path", "line", "text", "rect", "circle", "defs", "clipPath"})
_ATTRIBUTES = frozenset({
    "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "fill-opacity", "stroke-opacity", "opacity", "transform",
    "d", "x", "y", "x2", "y2", "r", "width", "height", "font-size", "font-weight", "text-anchor", "clip-path", "id", "viewBox",
})  # fmt: skip
_DEFAULTS = {("opacity", "1"), ("stroke-dasharray", "1,0"), ("transform", "translate(0,0)"), ("font-weight", "normal")}
_INHERITED = ("fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-weight", "text-anchor")
_LONG = re.compile(r"-?\d+\.\d{3,}")
_MOVED = re.compile(r"^translate\(([^,()]+),([^,()]+)\)$")
_WIDE = 720
_CUT_SAFELY = "replace(datum.label, regexp('[\\\\ud800-\\\\udfff]+', 'g'), '\ufffd')"
"""Vega cuts a long label between any two units of UTF-16; half an emoji then has no width, and there is no picture."""


def css_variables() -> str:
    """Custom properties for light and dark pages, and the classes by which an `inline_svg` takes its colours from them."""
    light = "".join(f"--c-{name}:{value};" for name, value in PALETTE.items())
    dark = "".join(f"--c-{name}:{value};" for name, value in DARK.items())
    paints = "".join(
        f".chart .{short}-{name}{{{paint}:var(--c-{name})}}" for paint, short in _PAINTS.items() for name in PALETTE
    )
    return (
        f":root{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n"
        ".chart{display:block;width:100%;height:auto;max-width:40rem;overflow:visible;font-family:Arial,Liberation Sans,sans-serif}\n"
        f".chart-wide{{max-width:60rem}}\n{paints}\n"
    )


def inline_svg(chart: Chart, label: str) -> str:
    """The chart as `<svg role="img">` of any width; `label` says what it shows to those who do not see it.

    Colours stand as attributes for a light page, and as classes that `css_variables` gives their values on any page.
    """
    import vl_convert

    spec = _fixed(chart.to_dict(validate=False))
    text = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    root = ElementTree.fromstring(text)  # noqa: S314 - see the import
    _prune(root)
    _merge(root)
    _hoist(root)
    _paint(root)
    _name(root, blake2b(text.encode(), digest_size=4).hexdigest())
    return ElementTree.tostring(_framed(root, label), encoding="unicode")


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification with a width in pixels, labels that can be cut, and without tooltips, which a picture does not have."""
    if spec.get("width") == "container":
        spec = {name: part for name, part in spec.items() if name != "autosize"} | {"width": WIDTH}
    for layer in (spec, *spec.get("layer", ())):
        encoding = layer.get("encoding", {})
        encoding.pop("tooltip", None)
        for axis in (channel.get("axis") or {} for channel in encoding.values() if isinstance(channel, dict)):
            if axis.get("labelLimit"):
                axis["labelExpr"] = _CUT_SAFELY
    return spec


def _framed(root: ElementTree.Element, label: str) -> ElementTree.Element:
    """The root's own attributes: its box, its role and its words."""
    box = root.get("viewBox", f"0 0 {WIDTH} 100")
    wide = " chart-wide" if float(box.split()[2]) > _WIDE else ""
    root.attrib.clear()
    root.attrib.update({
        "xmlns": "http://www.w3.org/2000/svg", "viewBox": box, "width": "100%", "class": f"chart{wide}", "role": "img",
        "aria-label": str(clean(label)),
    })  # fmt: skip
    return root


def _prune(node: ElementTree.Element) -> bool:
    """Leaves what can be seen; false where nothing of the element can."""
    node.tag = node.tag.rpartition("}")[2]
    if node.tag not in _TAGS or node.get("display") == "none" or node.get("opacity") == "0":
        return False
    for name, value in list(node.attrib.items()):
        if name not in _ATTRIBUTES or (name, value) in _DEFAULTS:
            del node.attrib[name]
        elif name not in ("id", "clip-path"):
            node.set(name, _LONG.sub(lambda number: f"{float(number[0]):.2f}", value))
    unseen = node.tag == "path" and node.get("fill") is None and node.get("stroke") is None
    if unseen or node.get("d") == "":
        return False
    node[:] = [child for child in node if _prune(child)]
    _unwrap(node)
    return len(node) > 0 or node.tag not in ("g", "defs", "clipPath")


def _unwrap(node: ElementTree.Element) -> None:
    """Groups that do nothing give place to what is in them."""
    parts: list[ElementTree.Element] = []
    for child in node:
        parts.extend(child if child.tag == "g" and not child.attrib else (child,))
    node[:] = parts


def _merge(node: ElementTree.Element) -> None:
    """Neighbours that look alike become one path."""
    for child in node:
        _merge(child)
        if child.tag == "line":
            _as_path(child)
    parts: list[ElementTree.Element] = []
    for _, alike in groupby(node, key=_likeness):
        first, *others = alike
        first_d = first.get("d")
        if first_d is not None and others:
            first.set("d", first_d + "".join(other.get("d", "") for other in others))
            others = []
        parts += [first, *others]
    node[:] = parts


def _likeness(node: ElementTree.Element) -> Any:
    """Equal for paths that may be drawn as one."""
    if node.tag != "path" or "transform" in node.attrib or "opacity" in node.attrib or "clip-path" in node.attrib:
        return id(node)
    return tuple(sorted((name, value) for name, value in node.attrib.items() if name != "d"))


def _as_path(line: ElementTree.Element) -> None:
    moved = _MOVED.match(line.get("transform", "translate(0,0)"))
    if moved:
        line.tag = "path"
        line.set("d", f"M{moved[1]},{moved[2]}l{line.get('x2', 0)},{line.get('y2', 0)}")
        for name in ("x2", "y2", "transform"):
            line.attrib.pop(name, None)


def _hoist(node: ElementTree.Element) -> None:
    """What all children say is said once by their group."""
    for child in node:
        _hoist(child)
    if node.tag != "g" or len(node) < 2:
        return
    for name in _INHERITED:
        said = {child.get(name) for child in node}
        if len(said) == 1 and None not in said and name not in node.attrib:
            node.set(name, said.pop() or "")
            for child in node:
                del child.attrib[name]


def _paint(node: ElementTree.Element) -> None:
    """A class for each colour of the palette."""
    for element in node.iter():
        classes = [
            f"{short}-{NAMES[element.get(paint, '')]}"
            for paint, short in _PAINTS.items()
            if element.get(paint) in NAMES
        ]
        if classes:
            element.set("class", " ".join(classes))


def _name(root: ElementTree.Element, prefix: str) -> None:
    """Ids that no other chart of the page has."""
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"c{prefix}-{element.get('id')}")
        if "clip-path" in element.attrib:
            element.set("clip-path", element.get("clip-path", "").replace("url(#", f"url(#c{prefix}-"))
