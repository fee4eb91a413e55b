"""What a statement names: whether it is there and may be touched, and what reading it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlglot import exp

from tests.bigquery_server import cost
from tests.bigquery_server.access import Access
from tests.bigquery_server.catalog import Entity, check_location, missing_table, quoted, split, table_key
from tests.bigquery_server.errors import invalid_query
from tests.bigquery_server.partitions import is_partitions
from tests.bigquery_server.translate import ctes_once, parse, tables_once, to_duckdb
from tests.bigquery_server.values import Json

Params = Mapping[str, Any]
CONTROLS = (exp.Transaction, exp.Commit, exp.Rollback)
PARTITIONS_BYTES = 10 << 20
"""What a query of INFORMATION_SCHEMA.PARTITIONS is said to process: the least that is billed, and no byte of a table."""

_MOST_EXPANDED = 512
_expanded: dict[int, tuple[exp.Expr, dict[str, str], exp.Expr]] = {}
"""Statements with the views that there were, and what came of them; a statement is kept, or its id would be another's."""


class Analysis:
    """Over the catalog of an engine; `schema` gives the columns of a table, `execute` runs a query of DuckDB."""

    def __init__(
        self, datasets: Mapping[str, str], entities: Mapping[str, Entity], access: Access,
        schema: Callable[[str], list[Json]], execute: Callable[[str, exp.Expr, Params], Any],
    ) -> None:  # fmt: skip
        self.datasets, self.entities, self.access = datasets, entities, access
        self.schema, self._execute = schema, execute

    def entity(self, name: str, location: str | None = None) -> Entity:
        check_location(self.datasets, split(name)[0], location)
        if name not in self.entities:
            raise missing_table(name, location or self.datasets[split(name)[0]])
        return self.entities[name]

    def check(self, tree: exp.Expr, location: str | None) -> None:
        """Refuse what is not there, lies elsewhere, or may not be touched."""
        target, named = target_of(tree), ctes_once(tree)
        for table in tables_once(tree):
            if not table.db and table.name and table.name not in named:
                raise invalid_query(f'Table "{table.name}" must be qualified with a dataset (e.g. dataset.table).')
            if not table.catalog:
                continue
            if is_partitions(table):
                self._check_metadata(split(table_key(table))[0], location)
            elif table is target:
                self._check_target(tree, table_key(table), location)
            else:
                permission = "get" if isinstance(table.parent, exp.LikeProperty) else "getData"
                self._check_read(table_key(table), permission, location)

    def _check_metadata(self, dataset: str, location: str | None) -> None:
        check_location(self.datasets, dataset, location)
        for permission in ("bigquery.tables.get", "bigquery.tables.list"):
            self.access.check(permission, dataset)

    def _check_read(self, name: str, permission: str, location: str | None) -> None:
        self.access.check(f"bigquery.tables.{permission}", name)
        entity = self.entity(name, location)
        if entity.query is not None:
            for tree in parse(entity.query):
                self.check(tree, location)

    def _check_target(self, tree: exp.Expr, name: str, location: str | None) -> None:
        if isinstance(tree, exp.Create):
            self.access.check("bigquery.tables.create", split(name)[0])
            check_location(self.datasets, split(name)[0], location)
            return
        permission = (
            "delete" if isinstance(tree, exp.Drop) else "update" if isinstance(tree, exp.Alter) else "updateData"
        )
        self.access.check(f"bigquery.tables.{permission}", name)
        if not (isinstance(tree, exp.Drop) and tree.args.get("exists")):
            self.entity(name, location)

    def reads(self, tree: exp.Expr, params: Params) -> Counter[str]:
        """The bytes that a statement processes, by table."""
        total: Counter[str] = Counter()
        if isinstance(tree, (exp.Alter, exp.Drop, exp.TruncateTable, *CONTROLS)) or not (query := _asked(tree)):
            return total
        expanded = self._expanded(query)
        target = target_of(expanded)
        for table in [node for node in tables_once(expanded) if node.catalog]:
            if is_partitions(table):
                total[table_key(table)] += PARTITIONS_BYTES
            elif scope := _scope(table, target, expanded):
                total[table_key(table)] += self._bytes_of(table, scope, params)
        return total

    def _expanded(self, tree: exp.Expr) -> exp.Expr:
        """The statement with its views replaced by their queries; nobody changes it."""
        views = {name: entity.query for name, entity in self.entities.items() if entity.query}
        kept = _expanded.get(id(tree))
        if kept is None or kept[1] != views:
            if len(_expanded) >= _MOST_EXPANDED:
                _expanded.clear()
            kept = _expanded[id(tree)] = (tree, views, self._expand(tree))
        return kept[2]

    def _expand(self, tree: exp.Expr) -> exp.Expr:
        made = tree.copy()
        while views := [node for node in made.find_all(exp.Table) if self._view_query(node)]:
            for table in views:
                (query,) = parse(self._view_query(table) or "")
                alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name))
                table.replace(exp.Subquery(this=query.copy(), alias=alias))
        return made

    def _view_query(self, table: exp.Table) -> str | None:
        entity = self.entities.get(table_key(table))
        return entity.query if entity else None

    def _bytes_of(self, table: exp.Table, scope: exp.Expr, params: Params) -> int:
        name = table_key(table)
        entity, fields = self.entities[name], {item["name"]: item for item in self.schema(name)}
        conditions = list(self._pruning(table, scope, entity, fields))
        if entity.require_filter and not conditions:
            raise invalid_query(
                f"Cannot query over table '{name}' without a filter over column(s) '{entity.partition}' "
                "that can be used for partition elimination"
            )
        named = cost.columns_read(table, scope, list(fields))
        widths = [cost.width(fields[item], f'"{table.alias_or_name}"."{item}"') for item in named]
        where = exp.and_(*conditions) if conditions else exp.true()
        total = f"CAST(COALESCE(SUM({' + '.join(widths) or '0'}), 0) AS BIGINT)"
        sql = f'SELECT {total} FROM {quoted(name)} AS "{table.alias_or_name}" WHERE {to_duckdb(where)}'
        return int(self._execute(sql, where, params).fetchone()[0])

    def _pruning(
        self, table: exp.Table, scope: exp.Expr, entity: Entity, fields: Mapping[str, Json]
    ) -> Iterator[exp.Expr]:
        if entity.partition is None:
            return
        column = exp.column(entity.partition, table=table.alias_or_name, quoted=True)
        is_whole = entity.granularity == "DAY" and fields[entity.partition]["type"] == "DATE"
        for bound in cost.bounds(scope, table.alias_or_name, entity.partition):
            yield cost.of_partitions(bound, column, entity.granularity, is_whole=is_whole)


def target_of(tree: exp.Expr) -> exp.Table | None:
    """The table that a statement makes, changes or drops."""
    if isinstance(
        tree, (exp.Create, exp.Alter, exp.Drop, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)
    ):
        place = tree.this if not isinstance(tree, (exp.Drop, exp.TruncateTable)) else tree
        return place if isinstance(place, exp.Table) else place.find(exp.Table)
    return None


def _asked(tree: exp.Expr) -> exp.Expr | None:
    """What of a statement reads; of a CREATE only the query of a table."""
    if isinstance(tree, exp.Create):
        return tree.expression if tree.args["kind"] == "TABLE" else None
    return tree


def _scope(table: exp.Table, target: exp.Table | None, tree: exp.Expr) -> exp.Expr | None:
    """What reads a table: a SELECT, or the statement that changes it; None for the target of an INSERT."""
    if table is target:
        return None if isinstance(tree, exp.Insert) else tree
    select = table.find_ancestor(exp.Select)
    if select is not None and table.find_ancestor(exp.From, exp.Join) is not None:
        return select
    return tree if isinstance(tree, exp.Merge) else None
