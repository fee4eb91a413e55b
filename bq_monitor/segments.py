"""The segments of a log: the text key of each row in each dimension, and which keys a reference lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.scan import SegmentKey
from bq_monitor.warehouse.base import Clause, Dialect, Param, Relation, Statement
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.fragments import LABELS, value
from bq_monitor.warehouse.identifiers import quote_column
from bq_monitor.warehouse.render import render, translate

ALL = "all"
OTHER = "(other)"
MAX_LISTED = 100
"""So many of the largest groups of a dimension are segments of their own; the rest, and those of too few rows, are `(other)`."""


@dataclass(frozen=True)
class Dimension:
    """One way to cut a log: its title (`region & channel`) and the names of its parts, each a column or the named expression."""

    title: str
    parts: tuple[str, ...]
    expressions: Mapping[str, str]

    def name(self, values: Sequence[str]) -> str:
        """What a segment is called: `region=EU & channel=web`."""
        return " & ".join(f"{part}={text}" for part, text in zip(self.parts, values, strict=True))

    @property
    def other(self) -> str:
        return self.name([OTHER] * len(self.parts))


def dimensions(config: MonitorConfig) -> tuple[Dimension, ...]:
    """The dimensions that a configuration names; an intersection may name an expression's segment too."""
    expressions = {
        segment.name: segment.expression for segment in config.segments if segment.name and segment.expression
    }
    return tuple(
        Dimension(segment.title, tuple(segment.columns) or (segment.title,), expressions) for segment in config.segments
    )


def key(dimension: Dimension, position: int, relation: Relation) -> Clause:
    """The key of each row over the alias `t`, never NULL: `region=EU & channel IS NULL`."""
    pieces = [
        f"@{name}, COALESCE(CONCAT('=', {text}), ' IS NULL')" for name, text in _parts(dimension, position, relation)
    ]
    return Clause(f"CONCAT({', '.join(pieces)})", _part_params(dimension, position))


def _given_key(dimension: Dimension, position: int, relation: Relation) -> str:
    """The same, NULL where a part is: DuckDB works it out once for each different value, not for each row."""
    pieces = [f"@{name}, '=', {text}" for name, text in _parts(dimension, position, relation)]
    return f"CONCAT({', '.join(pieces)})"


def _parts(dimension: Dimension, position: int, relation: Relation) -> list[tuple[str, str]]:
    """For each part the parameter that names it, and GoogleSQL of its value as text."""
    return [(f"part_{position}_{i}", _text(part, dimension, relation)) for i, part in enumerate(dimension.parts)]


def _part_params(dimension: Dimension, position: int) -> dict[str, Param]:
    said = [part if i == 0 else f" & {part}" for i, part in enumerate(dimension.parts)]
    return {f"part_{position}_{i}": Param("STRING", text) for i, text in enumerate(said)}


def listed_key(dimension: Dimension, position: int, relation: Relation, listed: Sequence[str]) -> SegmentKey:
    """The same, where keys that are not listed are one: those of groups too small, too many or new."""
    whole = key(dimension, position, relation)
    names = {f"segment_{position}_{i}": Param("STRING", text) for i, text in enumerate(listed)}
    other = {f"segment_{position}": Param("STRING", dimension.other)}
    among = ", ".join(f"@{name}" for name in names)
    sql = (
        f"CASE WHEN {whole.sql} IN ({among}) THEN {whole.sql} ELSE @segment_{position} END"
        if names
        else f"@segment_{position}"
    )
    whole_list = {f"listed_{position}": Param("ARRAY<STRING>", list(listed))}
    params = {**whole.params, **names, **other, **whole_list}
    given = _given_key(dimension, position, relation)
    return SegmentKey(sql, params, whole.sql, given, f"listed_{position}", f"segment_{position}", len(names) + 1)


def keys(config: MonitorConfig, relation: Relation, listed: Sequence[str]) -> tuple[SegmentKey, ...]:
    """The key of each dimension; `listed` are all segments that the reference has. One whose columns the log lacks has no rows."""
    found = []
    for position, dimension in enumerate(dimensions(config)):
        if any(part not in relation.columns for part in dimension.parts if part not in dimension.expressions):
            continue
        mine = [text for text in listed if belongs(text, dimension) and text != dimension.other]
        found.append(listed_key(dimension, position, relation, mine))
    return tuple(found)


def examples(config: MonitorConfig) -> list[str]:
    """One segment of each dimension, for statements that are shown and not run."""
    return [dimension.name(["a"] * len(dimension.parts)) for dimension in dimensions(config)]


def belongs(segment: str, dimension: Dimension) -> bool:
    """Whether a segment is one of a dimension."""
    pieces = re.split(r" & (?=[^&]*(?:=| IS NULL))", segment)  # a value may hold ' & ' itself: 'R & D'
    starts = [
        piece.startswith((f"{part}=", f"{part} IS NULL")) for piece, part in zip(pieces, dimension.parts, strict=False)
    ]
    return len(pieces) == len(dimension.parts) and all(starts)


def sizes_statement(config: MonitorConfig, relation: Relation, min_rows: int, dialect: Dialect) -> Statement:
    """The statement that answers the segments of training data worth listing, largest first."""
    clauses = [key(dimension, i, relation) for i, dimension in enumerate(dimensions(config))]
    params = {name: param for clause in clauses for name, param in clause.params.items()}
    context = [{"position": i, "sql": translate(clause.sql, dialect)} for i, clause in enumerate(clauses)]
    sql = render(
        "reference/segments",
        "bigquery",
        dimensions=context,
        source=relation.sql,
        p="@" if dialect == "bigquery" else "$",
    )
    limits = {"min_rows": Param("INT64", min_rows), "max_listed": Param("INT64", MAX_LISTED)}
    return Statement("reference/segments", sql, {**params, **limits})


def _text(part: str, dimension: Dimension, relation: Relation) -> str:
    if part in dimension.expressions:
        parsed = Expression(dimension.expressions[part], f"segment {part!r}")
        parsed.require_columns(relation.columns)
        return f"CAST({parsed.sql('bigquery')} AS STRING)"
    if part not in relation.columns:
        raise InputError.missing_columns(f"{relation.place}: segments", [part], relation.columns)
    kind = relation.columns[part]
    if kind not in LABELS:
        raise InputError.wrong_type(
            f"{relation.place}: segments: {part!r}",
            kind,
            ", ".join(LABELS),
            "Give an expression that makes a class of it.",
        )
    return value("categorical", f"t.{quote_column(part, 'bigquery')}", kind)
