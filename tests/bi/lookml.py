"""Our LookML project as Looker reads it, and the GoogleSQL it would send: selects, joins, measures, filters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import lkml
import yaml

Block = Mapping[str, Any]
TIMEFRAMES = {
    "raw": "{}", "time": "FORMAT_TIMESTAMP('%F %T', {})", "hour": "FORMAT_TIMESTAMP('%F %H', TIMESTAMP_TRUNC({}, HOUR))", "date": "DATE({})",
    "week": "FORMAT_TIMESTAMP('%F', TIMESTAMP_TRUNC({}, WEEK(MONDAY)))", "month": "FORMAT_TIMESTAMP('%Y-%m', {})",
    "quarter": "FORMAT_TIMESTAMP('%Y-%m', TIMESTAMP_TRUNC({}, QUARTER))", "year": "EXTRACT(YEAR FROM {})",
}  # fmt: skip
AGGREGATES = {
    "sum": "COALESCE(SUM({}), 0)", "average": "AVG({})", "max": "MAX({})", "min": "MIN({})", "count_distinct": "COUNT(DISTINCT {})",
}  # fmt: skip
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


@dataclass(frozen=True)
class Field:
    """A field that can be selected: `sql` with its view's columns, `kind` dimension, time or measure."""

    name: str
    kind: str
    type: str
    sql: str
    block: Block


@dataclass(frozen=True)
class Query:
    """What an element or a person asks of an explore; `filters` are values by field, `ranges` bounds by dimension group."""

    explore: str
    fields: Sequence[str]
    filters: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    sorts: Sequence[str] = ()
    limit: int = 500


@dataclass
class Project:
    """The files of a folder; `constants` stand for those that an importing project overrides."""

    folder: Path
    constants: Mapping[str, str]

    @cached_property
    def files(self) -> dict[Path, Block]:
        return {
            path.relative_to(self.folder): lkml.load(path.read_text("utf-8"))
            for path in sorted(self.folder.rglob("*.lkml"))
        }

    @cached_property
    def manifest(self) -> Block:
        return self.files[Path("manifest.lkml")]

    @cached_property
    def views(self) -> dict[str, Block]:
        return {view["name"]: view for content in self.files.values() for view in content.get("views", ())}

    @cached_property
    def explores(self) -> dict[str, Block]:
        return {explore["name"]: explore for content in self.files.values() for explore in content.get("explores", ())}

    @cached_property
    def dashboards(self) -> list[Block]:
        paths = sorted(self.folder.rglob("*.dashboard.lookml"))
        return [dashboard for path in paths for dashboard in yaml.safe_load(path.read_text("utf-8"))]

    def fields(self, view: str) -> dict[str, Field]:
        """Every field of a view by `view.field`."""
        found = {}
        for kind, blocks in (("dimension", "dimensions"), ("measure", "measures")):
            for block in self.views[view].get(blocks, ()):
                name = f"{view}.{block['name']}"
                found[name] = Field(name, kind, block["type"], block.get("sql", ""), block)
        for block in self.views[view].get("dimension_groups", ()):
            for frame in block["timeframes"]:
                name = f"{view}.{block['name']}_{frame}"
                found[name] = Field(name, "time", frame, block["sql"], block)
        return found

    def explore_views(self, explore: str) -> list[str]:
        block = self.explores[explore]
        return [block.get("view_name", explore), *(join["name"] for join in block.get("joins", ()))]

    def explore_fields(self, explore: str) -> dict[str, Field]:
        return {name: found for view in self.explore_views(explore) for name, found in self.fields(view).items()}

    def sql(self, query: Query) -> str:
        """The statement; a measure of rows that a join multiplies counts by primary key, as Looker's symmetric aggregates do."""
        known = self.explore_fields(query.explore)
        chosen = [known[name] for name in query.fields]
        joins = self._joins(query)
        fanned = {self.explore_views(query.explore)[0]} if joins else set()
        columns = ", ".join(f"{self._select(found, fanned)} AS {alias_of(found.name)}" for found in chosen)
        base = self.explore_views(query.explore)[0]
        source = self._constant(self.views[base]["sql_table_name"])
        where = " AND ".join([*self._conditions(query, known), "TRUE"])
        groups = [str(i) for i, found in enumerate(chosen, start=1) if found.kind != "measure"]
        grouped = f"\nGROUP BY {', '.join(groups)}" if groups else ""
        order = ", ".join(_order(sort) for sort in query.sorts)
        ordered = f"\nORDER BY {order}" if order else ""
        return (
            f"SELECT {columns}\nFROM {source} AS {base}\n{joins}\nWHERE {where}{grouped}{ordered}\nLIMIT {query.limit}"
        )

    def expand(self, name: str) -> str:
        """The SQL of a dimension with everything substituted."""
        view = name.split(".", maxsplit=1)[0]
        found = self.fields(view)[name]
        return (
            TIMEFRAMES[found.type].format(self._expand(found.sql, view))
            if found.kind == "time"
            else self._expand(found.sql, view)
        )

    def _expand(self, sql: str, view: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if name == "TABLE":
                return view
            return self.expand(name if "." in name else f"{view}.{name}")

        return _REFERENCE.sub(replaced, sql)

    def _constant(self, text: str) -> str:
        return re.sub(r"@\{(\w+)\}", lambda match: self.constants[match[1]], text)

    def _joins(self, query: Query) -> str:
        """The joins of the views that the query names."""
        used = {name.split(".")[0] for name in (*query.fields, *query.filters)}
        parts = []
        for join in self.explores[query.explore].get("joins", ()):
            if join["name"] not in used:
                continue
            if "sql" in join:
                parts.append(self._expand(join["sql"], join["name"]))
            else:
                table = self._constant(self.views[join["name"]]["sql_table_name"])
                kind = join["type"].removesuffix("_outer").upper()
                parts.append(f"{kind} JOIN {table} AS {join['name']} ON {self._expand(join['sql_on'], join['name'])}")
        return "\n".join(parts)

    def _select(self, found: Field, fanned: set[str]) -> str:
        view = found.name.split(".")[0]
        if found.kind != "measure":
            sql = self.expand(found.name)
            return f"(CASE WHEN {sql} THEN 'Yes' ELSE 'No' END)" if found.type == "yesno" else sql
        conditions = [f"{self.expand(f'{view}.{name}')} = '{value}'" for entry in found.block.get("filters__all", [[]])[0:1]
                      for part in entry for name, value in part.items()]  # fmt: skip
        sql = self._expand(found.sql, view) if found.sql else "1"
        if found.type == "count" and view in fanned:
            sql = self.expand(f"{view}.{self.primary_key(view)}")
        if conditions:
            sql = f"CASE WHEN {' AND '.join(conditions)} THEN {sql} END"
        if found.type == "count":
            return f"COUNT(DISTINCT {sql})" if view in fanned else f"COUNT({sql})"
        return AGGREGATES[found.type].format(sql)

    def primary_key(self, view: str) -> str:
        (key,) = [block["name"] for block in self.views[view]["dimensions"] if block.get("primary_key") == "yes"]
        return str(key)

    def _conditions(self, query: Query, known: Mapping[str, Field]) -> list[str]:
        found = []
        for name, value in query.filters.items():
            values = ", ".join(repr(part.strip()) for part in value.split(","))
            found.append(f"{self._select(known[name], set())} IN ({values})")
        for name, (start, end) in query.ranges.items():
            raw = self.expand(name.rsplit("_", 1)[0] + "_raw")
            found.append(f"(({raw} >= TIMESTAMP('{start}')) AND ({raw} < TIMESTAMP('{end}')))")
        return found


def alias_of(name: str) -> str:
    return name.replace(".", "_")


def _order(sort: str) -> str:
    name, _, direction = sort.partition(" ")
    return f"{alias_of(name)} {direction.upper() or 'ASC'}"
