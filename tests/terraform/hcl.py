"""Terraform's files as values: what a folder declares, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

_BLOCK = "__is_block__"


@dataclass(frozen=True)
class Declared:
    """One block with labels: `kind` resource, data, variable, output or module; `type` is empty where the kind has none."""

    kind: str
    type: str
    name: str
    body: Mapping[str, Any]
    place: str

    @property
    def address(self) -> str:
        """As expressions say it."""
        prefix = {"resource": "", "variable": "var."}.get(self.kind, f"{self.kind}.")
        return prefix + ".".join(filter(None, (self.type, self.name)))

    def text(self, name: str) -> str:
        """An argument as it is written, without quotes or `${}` around it; empty where it is not given."""
        return plain(self.body.get(name, ""))


@dataclass(frozen=True)
class Module:
    """A folder's `.tf` files."""

    folder: Path

    @cached_property
    def files(self) -> dict[str, Mapping[str, Any]]:
        """Parsed content by file name; raises ValueError that names the file which is no HCL."""
        return {path.name: _parse(path) for path in sorted(self.folder.glob("*.tf"))}

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        """All labelled blocks, in the order of the files."""
        return tuple(item for name, content in self.files.items() for item in _declared(self.folder / name, content))

    def of_kind(self, kind: str) -> dict[str, Declared]:
        """The blocks of a kind by address."""
        return {item.address: item for item in self.declared if item.kind == kind}

    @cached_property
    def local_values(self) -> dict[str, Any]:
        return dict(
            pair for content in self.files.values() for block in content.get("locals", ()) for pair in items(block)
        )


def items(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a body holds, without the parser's notes."""
    return ((unquoted(name), value) for name, value in body.items() if not name.startswith("__"))


def is_block(value: object) -> bool:
    """Whether a value was written as blocks, not with `=`."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and _BLOCK in one for one in value)


def unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def plain(value: object) -> str:
    """A scalar as it is written, without quotes or `${}` around the whole."""
    if isinstance(value, bool):
        return str(value).lower()
    text = unquoted(str(value))
    whole = text.startswith("${") and text.endswith("}") and text.count("${") == 1 and text == str(value)
    return text[2:-1] if whole else text


def texts(value: object) -> Iterator[str]:
    """Every text within a value, keys of objects included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from texts(inner)


def _parse(path: Path) -> Mapping[str, Any]:
    try:
        return _parse_text(path.read_text("utf-8"))
    except Exception as error:  # the parser's errors share no class of their own
        message = f"{path.name}: is no HCL: {str(error).splitlines()[0]}"
        raise ValueError(message) from error


@lru_cache(maxsize=256)
def _parse_text(text: str) -> Mapping[str, Any]:
    """What a file holds; copies of a module share most of their files, and parsing is slow."""
    import hcl2

    options = hcl2.SerializationOptions(with_comments=False, preserve_heredocs=False)
    parsed: Mapping[str, Any] = hcl2.loads(text, serialization_options=options)
    return parsed


def _declared(path: Path, content: Mapping[str, Any]) -> Iterator[Declared]:
    lines = path.read_text("utf-8").splitlines()
    for kind in ("variable", "resource", "data", "module", "output", "check"):
        for block in content.get(kind, ()):
            for (first, second), body in _labelled(block, 2 if kind in ("resource", "data") else 1):
                yield Declared(kind, first, second, body, f"{path.name}:{_line(lines, kind, first, second)}")


def _labelled(block: Mapping[str, Any], depth: int) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for first, inner in items(block):
        if depth == 1:
            yield ("", first), inner
        else:
            yield from (((first, second), body) for second, body in items(inner))


def _line(lines: Sequence[str], *labels: str) -> int:
    """The number of the line on which a block begins; the parser does not tell."""
    wanted = list(filter(None, labels))
    return next(n for n, line in enumerate(lines, 1) if line.replace('"', " ").rstrip("{ ").split() == wanted)
