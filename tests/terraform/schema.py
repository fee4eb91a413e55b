"""What the provider's resources may hold: `schema.json`, read into values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

SCHEMA = Path(__file__).with_name("schema.json")
Mode = Literal["required", "optional", "computed", "optional_computed"]
Nesting = Literal["single", "list", "set"]


@dataclass(frozen=True)
class Argument:
    """`type` is terraform's, such as `list(string)`; `choices` are the only values allowed, where known."""

    mode: Mode
    type: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A nested block; `max_items` 0 is any number; the provider reads one that `may_be_argument` written with `=` too."""

    nesting: Nesting
    body: Body
    max_items: int
    required: bool
    may_be_argument: bool


@dataclass(frozen=True)
class Body:
    arguments: Mapping[str, Argument]
    blocks: Mapping[str, Block]

    @property
    def names(self) -> list[str]:
        return [*self.arguments, *self.blocks]


@dataclass(frozen=True)
class Schema:
    """The bodies of resource and data source types, as one version of the provider has them."""

    source: str
    version: str
    resources: Mapping[str, Body]
    data_sources: Mapping[str, Body]


def load_schema(path: Path = SCHEMA) -> Schema:
    """The provider's types that the module uses."""
    said = json.loads(path.read_text("utf-8"))
    resources, data_sources = ({name: _body(body) for name, body in said[key].items()} for key in _TABLES)
    return Schema(said["provider"]["source"], said["provider"]["version"], resources, data_sources)


_TABLES = ("resources", "data_sources")


def _body(said: Mapping[str, Any]) -> Body:
    blocks = {name: _block(item) for name, item in said.items() if isinstance(item, dict) and "body" in item}
    return Body({name: _argument(item) for name, item in said.items() if name not in blocks}, blocks)


def _argument(said: str | Mapping[str, Any]) -> Argument:
    if isinstance(said, str):
        mode, _, kind = said.partition(" ")
        return Argument(cast(Mode, mode), kind)
    plain = _argument(said["is"])
    return Argument(plain.mode, plain.type, tuple(said["choices"]))


def _block(said: Mapping[str, Any]) -> Block:
    return Block(
        nesting=said["nesting"],
        body=_body(said["body"]),
        max_items=said.get("max_items", 0),
        required=said.get("required", False),
        may_be_argument=said.get("may_be_argument", False),
    )
