"""Write the tables of inputs, outputs and files into `terraform/README.md`, between the markers there, from the HCL itself.

Run `python terraform/readme.py` after a change of the module; a test holds that it changes nothing. Needs python-hcl2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2

MODULE = Path(__file__).parent
README = MODULE / "README.md"
_SECTION = re.compile(r"(<!-- (inputs|outputs|files) -->\n).*?(<!-- end -->)", re.DOTALL)
_OBJECT = re.compile(r"object\(\{(.*)\}\)", re.DOTALL)
_OPTIONAL = re.compile(r"optional\((.*)\)", re.DOTALL)
_COMMENT = re.compile(r"\A(?:# .*\n)+")
_OPEN, _CLOSE = "([{", ")]}"


def inputs(content: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each variable, required ones first; an object's fields stand with their defaults."""
    variables = [(name, body) for found in content.values() for name, body in _named(found, "variable")]
    ordered = sorted(variables, key=lambda variable: "default" in variable[1])
    return _table(("input", "type", "default", "what it says"), [_input(name, body) for name, body in ordered])


def outputs(content: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each output."""
    found = [(name, body) for file in content.values() for name, body in _named(file, "output")]
    return _table(("output", "what it is"), [(f"`{name}`", _prose(body["description"])) for name, body in found])


def files(content: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each file: the comment at its top, and the types of what it makes."""
    rows = [(f"[`{name}`]({name})", _first_comment(MODULE / name), _made(found)) for name, found in content.items()]
    return _table(("file", "what it is about", "makes"), rows)


def render(text: str) -> str:
    """The text with its tables as the module's files have them now."""
    content = {
        path.name: hcl2.loads(path.read_text("utf-8"), serialization_options=_options())
        for path in sorted(MODULE.glob("*.tf"))
    }
    tables = {"inputs": inputs(content), "outputs": outputs(content), "files": files(content)}
    return _SECTION.sub(lambda found: found[1] + tables[found[2]] + found[3], text)


def _options() -> hcl2.SerializationOptions:
    return hcl2.SerializationOptions(with_comments=False, preserve_heredocs=False)


def _named(content: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return (
        (name.strip('"'), body)
        for block in content.get(kind, ())
        for name, body in block.items()
        if not name.startswith("__")
    )


def _input(name: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    kind, fields = _type(str(body["type"]))
    default = _code(_value(body["default"])) if "default" in body else "**required**"
    spoken = "<br>".join(_field(field) for field in fields) if fields else default
    if fields and body.get("default", {}) != {}:
        spoken = f"{default}; with<br>{spoken}"
    return f"`{name}`", kind, spoken, _prose(body["description"])


def _type(said: str) -> tuple[str, list[str]]:
    """The type in a word or two, and the fields of an object as they are declared."""
    text = said.removeprefix("${").removesuffix("}") if said.startswith("${") else said
    found = _OBJECT.search(text)
    if not found:
        return text.replace("(", " of ").replace(")", ""), []
    kind = (text[: found.start()] + "object").replace("(", " of ")
    return kind, list(_split(found[1]))


def _field(declared: str) -> str:
    """`optional(string, "x")` is its default, `optional(string)` is null, all else is required."""
    name, kind = (part.strip() for part in declared.split("=", 1))
    found = _OPTIONAL.fullmatch(kind)
    if not found:
        return f"`{name}` **required**"
    return f"`{name} = {[*_split(found[1]), 'null'][1]}`"


def _split(text: str) -> Iterator[str]:
    """The parts between commas that lie in no bracket and no quotes."""
    depth, quoted, part = 0, False, ""
    for letter in text:
        quoted ^= letter == '"'
        if not quoted:
            depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == "," and depth == 0 and not quoted:
            yield part.strip()
            part = ""
        else:
            part += letter
    if part.strip():
        yield part.strip()


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _code(text: str) -> str:
    return f"`{text}`"


def _prose(quoted: str) -> str:
    """A description on one line, as a cell of a table can hold it."""
    text = json.loads(quoted) if quoted.startswith('"') else quoted
    return " ".join(text.replace("$${", "${").replace("|", "\\|").split())


def _first_comment(path: Path) -> str:
    found = _COMMENT.match(path.read_text("utf-8"))
    return " ".join(line.removeprefix("# ").strip() for line in found[0].splitlines()) if found else ""


def _made(content: Mapping[str, Any]) -> str:
    types = {name.strip('"') for block in content.get("resource", ()) for name in block if not name.startswith("__")}
    return ", ".join(f"`{name}`" for name in sorted(types))


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = [tuple(heading), *(tuple(row) for row in rows)]
    cells.insert(1, ("---",) * len(cells[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def main() -> None:
    """Write the file."""
    README.write_text(render(README.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
