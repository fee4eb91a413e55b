"""Every fault that a folder's configuration shows against the provider's schema, without running anything.

`terraform validate` stops at the first failing resource for those that depend on it; this reports all of them, and what
later major versions of the provider refuse.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.terraform.hcl import Module, is_block, items, texts, unquoted
from tests.terraform.schema import Argument, Block, Body, Schema

META = frozenset({"count", "for_each", "provider", "depends_on", "lifecycle", "provisioner", "connection", "timeouts"})
NEWLY_REQUIRED = {("google_cloudfunctions2_function", "event_trigger", "event_type")}
"""Required from version 7 on: type, innermost block, argument."""
NEWLY_OUTPUT = {("google_cloudfunctions2_function", "service_config", "service")}
"""Output only from version 7 on."""
_REFERENCE = re.compile(r"\b(data\.)?(google_\w+)\.([A-Za-z_][\w-]*)(?:\[[^\]]*\])?(?:\.([A-Za-z_]\w*))?")
_VARIABLE = re.compile(r"\b(var|local)\.([A-Za-z_][\w-]*)")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def lint(folder: Path, schema: Schema) -> list[str]:
    """The faults of a module, each as *file:line: path: what is wrong*; none is an empty list."""
    try:
        module = Module(folder)
        found = [*_bodies(module, schema), *_references(module, schema)]
    except ValueError as error:
        return [str(error)]
    return sorted(set(found))


def _bodies(module: Module, schema: Schema) -> Iterator[str]:
    for kind, known in (("resource", schema.resources), ("data", schema.data_sources)):
        for item in module.of_kind(kind).values():
            if not item.type.startswith("google_"):
                continue
            if item.type in known:
                faults = _body((item.address,), item.body, known[item.type], item.type)
            else:
                faults = iter([f"{item.address}: no schema for this type{_hint(item.type, known)}"])
            yield from (f"{item.place}: {fault}" for fault in faults)


def _body(path: tuple[str, ...], body: Mapping[str, Any], schema: Body, of: str) -> Iterator[str]:
    dynamic = dict(_dynamic(body))
    plain = {name: value for name, value in items(body) if name != "dynamic"}
    for name, value in [*plain.items(), *dynamic.items()]:
        if len(path) == 1 and name in META and name not in schema.blocks:
            continue
        here = (*path, name)
        if name in schema.arguments:
            yield from _argument(here, value, schema.arguments[name], of)
        elif name in schema.blocks:
            yield from _blocks(here, value, schema.blocks[name], of, counted=name not in dynamic)
        else:
            yield f"{'.'.join(here)}: unknown argument or block{_hint(name, schema.names)}"
    yield from _missing(path, {*plain, *dynamic}, schema, of)


def _dynamic(body: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The contents of `dynamic` blocks by the name of the block that they make."""
    made: dict[str, list[Mapping[str, Any]]] = {}
    for block in body.get("dynamic", ()):
        for name, spec in items(block):
            made.setdefault(name, []).extend(spec.get("content", ()))
    yield from made.items()


def _argument(path: tuple[str, ...], value: Any, schema: Argument, of: str) -> Iterator[str]:
    here = ".".join(path)
    if is_block(value):
        yield f"{here}: is an argument, written as a block (use '=')"
    elif schema.mode == "computed" or (of, path[-2], path[-1]) in NEWLY_OUTPUT:
        yield f"{here}: is output-only and cannot be set"
    elif not _fits(value, schema.type):
        yield f"{here}: {value} does not fit type {schema.type}"
    elif schema.choices and _is_literal(value) and unquoted(str(value)) not in schema.choices:
        yield f"{here}: {value} is not one of {', '.join(schema.choices)}"


def _blocks(path: tuple[str, ...], value: Any, schema: Block, of: str, *, counted: bool) -> Iterator[str]:
    here = ".".join(path)
    if not is_block(value):
        if not schema.may_be_argument:
            yield f"{here}: is a block, written as an argument (drop '=')"
        return
    if counted and schema.max_items and len(value) > schema.max_items:
        yield f"{here}: {len(value)} blocks, at most {schema.max_items} allowed"
    for one in value:
        yield from _body(path, one, schema.body, of)


def _missing(path: tuple[str, ...], given: set[str], schema: Body, of: str) -> Iterator[str]:
    for name, argument in schema.arguments.items():
        if name not in given and (argument.mode == "required" or (of, path[-1], name) in NEWLY_REQUIRED):
            yield f"{'.'.join(path)}: missing required argument '{name}'"
    for name, block in schema.blocks.items():
        if name not in given and block.required:
            yield f"{'.'.join(path)}: missing required block '{name}'"


def _is_literal(value: Any) -> bool:
    return isinstance(value, str) and value.startswith('"') and "${" not in value and "%{" not in value


def _fits(value: Any, kind: str) -> bool:
    """Whether a literal can be of a type; expressions can be anything."""
    if kind == "dynamic":
        return True
    if isinstance(value, bool):
        return kind in ("bool", "string")
    if isinstance(value, int | float):
        return kind in ("number", "string")
    if isinstance(value, list):
        return kind.startswith(("list", "set"))
    if isinstance(value, dict):
        return kind.startswith("map")
    return not _is_literal(value) or _text_fits(unquoted(value), kind)


def _text_fits(text: str, kind: str) -> bool:
    if kind == "number":
        return _NUMBER.fullmatch(text) is not None
    return kind == "string" or (kind == "bool" and text in ("true", "false"))


def _references(module: Module, schema: Schema) -> Iterator[str]:
    """References to what is not declared, and to attributes that a type does not have."""
    known = {*module.of_kind("resource"), *module.of_kind("data"), *module.of_kind("variable")}
    known |= {f"local.{name}" for name in module.local_values}
    for place, body in _places(module):
        for text in texts(body):
            yield from (f"{place}: {fault}" for fault in _text_references(text, known, schema))


def _places(module: Module) -> Iterator[tuple[str, Any]]:
    yield from ((item.place, item.body) for item in module.declared)
    yield from ((name, content.get("locals", ())) for name, content in module.files.items())


def _text_references(text: str, known: set[str], schema: Schema) -> Iterator[str]:
    for data, kind, name, attribute in _REFERENCE.findall(text):
        address = f"{data}{kind}.{name}"
        if address not in known:
            yield f"reference to undeclared {address}{_hint(address, known)}"
        body = (schema.data_sources if data else schema.resources).get(kind)
        if body and attribute and attribute not in body.names:
            yield f"reference to unknown attribute {address}.{attribute}{_hint(attribute, body.names)}"
    for kind, name in _VARIABLE.findall(text):
        if f"{kind}.{name}" not in known:
            yield f"reference to undeclared {kind}.{name}{_hint(f'{kind}.{name}', known)}"


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""
