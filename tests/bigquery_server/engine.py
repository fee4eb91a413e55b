"""The tables of the stand-in, and statements over them: in DuckDB, one at a time, a script as one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
from sqlglot import exp

from tests.bigquery_server import cost
from tests.bigquery_server.errors import ServiceError, duplicate, invalid_query, not_found
from tests.bigquery_server.translate import MACROS, parse, table_key, to_duckdb
from tests.bigquery_server.values import Json, schema_field

Params = Mapping[str, Any]
MAX_QUERY_CHARACTERS = 1024 * 1024
_KINDS: dict[type[exp.Expr], str] = {exp.Insert: "INSERT", exp.Delete: "DELETE", exp.Update: "UPDATE"}


@dataclass
class Outcome:
    """What a job answers. `schema` is None for statements without rows."""

    kind: str
    bytes_processed: int = 0
    schema: list[Json] | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    affected: int | None = None


@dataclass
class Entity:
    """A table or view: what `tables.get` says beside its columns."""

    kind: str
    created_ms: int
    description: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    partition: str | None = None
    cluster: list[str] = field(default_factory=list)
    query: str | None = None


class Engine:
    """Everything stored. `before` is called with the text of each statement, and may raise what it is to fail with."""

    def __init__(self, before: Callable[[str], None]) -> None:
        self._before = before
        self._lock = threading.RLock()
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        for macro in MACROS:
            self._connection.execute(macro)
        self.datasets: dict[str, str] = {}
        self.entities: dict[str, Entity] = {}

    def close(self) -> None:
        self._connection.close()

    def create_dataset(self, name: str, location: str) -> None:
        """`project.dataset` in a location."""
        if name in self.datasets:
            raise duplicate(f"Dataset {name.replace('.', ':', 1)}")
        with self._lock:
            self._connection.execute(f'CREATE SCHEMA "{name}"')
        self.datasets[name] = location

    def load(self, name: str, query: str, *, partition: str | None = None, **frames: Any) -> None:
        """Make `project.dataset.table` of a DuckDB query (over the given DataFrames by name, or files), or put its rows in the place of the old."""
        with self._lock:
            for frame, data in frames.items():
                self._connection.register(frame, data)
            self._connection.execute(f"CREATE OR REPLACE TABLE {_quoted(name)} AS {query}")
            self.entities[name] = Entity("TABLE", _now_ms(), partition=partition)

    def drop(self, name: str) -> None:
        """Drop a table."""
        with self._lock:
            self._connection.execute(f"DROP TABLE {_quoted(name)}")
            del self.entities[name]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a GoogleSQL query, for assertions."""
        (tree,) = parse(query)
        with self._lock:
            return self._connection.execute(to_duckdb(tree)).fetchall()

    def schema(self, name: str) -> list[Json]:
        """The columns of a table or view, described."""
        entity = self.entities.get(name) or _missing(name, self.datasets)
        with self._lock:
            description = self._connection.execute(f"SELECT * FROM {_quoted(name)} LIMIT 0").description
        return [schema_field(str(column[0]), column[1], entity.columns.get(str(column[0]))) for column in description]

    def estimate(self, sql: str, params: Params) -> Outcome:
        """Check a query without running it; what it would read."""
        with self._lock:
            total = 0
            for tree in self._checked(sql):
                total += self._bytes_of(tree, params)
                if not isinstance(tree, (exp.Create, exp.Transaction, exp.Commit)):
                    self._execute("EXPLAIN " + to_duckdb(tree), tree, params)
            return Outcome("SELECT", total)

    def run(self, sql: str, params: Params) -> Outcome:
        """Run a statement, or a script; what is left open at the end, or by a failure, is rolled back."""
        with self._lock:
            trees = self._checked(sql)
            total = sum(self._bytes_of(tree, params) for tree in trees)
            is_open, outcome = False, Outcome("SCRIPT")
            try:
                for tree in trees:
                    self._before("statement " + tree.sql(dialect="bigquery", comments=False))
                    if isinstance(tree, (exp.Transaction, exp.Commit)):
                        is_open = isinstance(tree, exp.Transaction)
                        self._connection.execute("BEGIN" if is_open else "COMMIT")
                    else:
                        outcome = self._run_one(tree, params)
            finally:
                if is_open:
                    self._connection.execute("ROLLBACK")
            outcome = outcome if len(trees) == 1 else Outcome("SCRIPT")
            outcome.bytes_processed = total
            return outcome

    def _run_one(self, tree: exp.Expr, params: Params) -> Outcome:
        if isinstance(tree, exp.Create):
            return self._create(tree)
        if isinstance(tree, exp.Drop):
            self.drop(table_key(tree.find(exp.Table) or exp.Table()))
            return Outcome("DROP_TABLE")
        cursor = self._execute(to_duckdb(tree), tree, params)
        if not isinstance(tree, exp.Query):
            (affected,) = cursor.fetchone() or (0,)
            return Outcome(_KINDS[type(tree)], affected=affected)
        schema = [schema_field(str(column[0]), column[1]) for column in cursor.description]
        return Outcome("SELECT", schema=schema, rows=cursor.fetchall())

    def _execute(self, sql: str, tree: exp.Expr, params: Params) -> Any:
        named = {node.name for node in tree.find_all(exp.Parameter)}
        if missing := named - set(params):
            raise invalid_query(f"Query parameter '{min(missing)}' not found")
        try:
            return self._connection.execute(sql, {name: params[name] for name in named})
        except duckdb.Error as error:
            raise invalid_query(str(error)) from None

    def _create(self, tree: exp.Create) -> Outcome:
        """CREATE TABLE | VIEW, its descriptions, partitions and clusters kept beside DuckDB's own."""
        target = tree.find(exp.Table)
        assert target is not None
        name, kind = table_key(target), str(tree.args["kind"])
        if name in self.entities and tree.args.get("exists"):
            return Outcome(f"CREATE_{kind}")
        if name in self.entities and not tree.args.get("replace"):
            raise duplicate(f"Table {_colon(name)}")
        columns = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
        if kind == "VIEW":
            names = ", ".join(f'"{column.name}"' for column in columns)
            query = to_duckdb(tree.expression)
            sql = f"CREATE OR REPLACE VIEW {_quoted(name)} {f'({names})' if names else ''} AS {query}"
        elif like := tree.find(exp.LikeProperty):
            sql = f"CREATE TABLE {_quoted(name)} AS SELECT * FROM {_quoted(table_key(like.this))} LIMIT 0"
        else:
            types = (f'"{column.name}" {column.args["kind"].sql(dialect="duckdb")}' for column in columns)
            sql = f"CREATE TABLE {_quoted(name)} ({', '.join(types)})"
        self._execute(sql, exp.Select(), {})
        partition, cluster = tree.find(exp.PartitionedByProperty), tree.find(exp.ClusterProperty)
        self.entities[name] = Entity(
            kind, _now_ms(), _description(tree.args.get("properties")), {column.name: _description(column) or "" for column in columns},
            partition.find(exp.Column, exp.Identifier).name if partition else None,  # type: ignore[union-attr]
            [item.name for item in cluster.expressions] if cluster else [], tree.expression.sql("bigquery") if kind == "VIEW" else None,
        )  # fmt: skip
        return Outcome(f"CREATE_{kind}")

    def _checked(self, sql: str) -> tuple[exp.Expr, ...]:
        """The statements of a text, once their tables are known to exist."""
        if len(sql) > MAX_QUERY_CHARACTERS:
            raise invalid_query("The query is too large. The maximum standard SQL query length is 1024.00K characters.")
        trees = parse(sql)
        for tree in trees:
            target = tree.find(exp.Table) if isinstance(tree, exp.Create) else None
            for table in tree.find_all(exp.Table):
                name = table_key(table)
                is_known = name in self.entities or (table is target and name.rpartition(".")[0] in self.datasets)
                if table.catalog and not is_known:
                    _missing(name, self.datasets)
        return trees

    def _bytes_of(self, tree: exp.Expr, params: Params) -> int:
        if isinstance(tree, (exp.Create, exp.Drop)):
            return 0
        return sum(self._bytes_of_table(table, params) for table in tree.find_all(exp.Table) if table.catalog)

    def _bytes_of_table(self, table: exp.Table, params: Params) -> int:
        entity, select = self.entities[table_key(table)], table.find_ancestor(exp.Select)
        if select is None or table.find_ancestor(exp.From, exp.Join) is None:
            return 0  # the target of an INSERT
        if entity.query is not None:
            (view,) = parse(entity.query)
            return self._bytes_of(view, params)
        fields = {item["name"]: item for item in self.schema(table_key(table))}
        named = cost.columns_read(table, select, list(fields))
        source, alias = _quoted(table_key(table)), f'"{table.alias_or_name}"'
        widths = [cost.width(fields[name], f'{alias}."{name}"') for name in named]
        conditions = list(cost.partition_conditions(table, select, entity.partition)) if entity.partition else []
        where = exp.and_(*conditions) if conditions else exp.true()
        total = f"CAST(COALESCE(SUM({' + '.join(widths) or '0'}), 0) AS BIGINT)"
        sql = f"SELECT {total} FROM {source} AS {alias} WHERE {to_duckdb(where)}"
        return int(self._execute(sql, where, params).fetchone()[0])


def _description(node: exp.Expr | None) -> str | None:
    for item in node.find_all(exp.Property) if node else ():
        if item.name == "description":
            return str(item.args["value"].name)
    return None


def _missing(name: str, datasets: Mapping[str, str]) -> Any:
    """Refuse a table that is not there: what is not found is its dataset, if that is missing too."""
    dataset = name.rpartition(".")[0]
    what = f"Table {_colon(name)}" if dataset in datasets else f"Dataset {_colon(dataset)}"
    raise not_found(f"{what} was not found in location {datasets.get(dataset, 'US')}")


def _colon(name: str) -> str:
    return name.replace(".", ":", 1)


def _quoted(name: str) -> str:
    dataset, _, table = name.rpartition(".")
    return f'"{dataset}"."{table}"'


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def listed(engine: Engine, dataset: str) -> Iterator[tuple[str, Entity]]:
    """The tables and views of a dataset by name."""
    if dataset not in engine.datasets:
        raise not_found(f"Dataset {_colon(dataset)}")
    for name, entity in sorted(engine.entities.items()):
        if name.rpartition(".")[0] == dataset:
            yield name.rpartition(".")[2], entity


__all__ = ["Engine", "Entity", "Outcome", "ServiceError", "listed"]
