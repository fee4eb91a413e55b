"""The tables of the stand-in, and statements over them: in DuckDB, each job on a cursor of its own, one statement at a time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import duckdb
from sqlglot import exp

from tests.bigquery_server import ddl
from tests.bigquery_server.access import Access
from tests.bigquery_server.analysis import CONTROLS, Analysis, Params, target_of
from tests.bigquery_server.catalog import Entity, Outcome, check_location, colon, quoted, split, table_key
from tests.bigquery_server.errors import ServiceError, aborted, duplicate, invalid_query, not_found, unserializable
from tests.bigquery_server.loads import Load, check_schema, parse_rows
from tests.bigquery_server.partitions import survey_sql, updated, with_partitions
from tests.bigquery_server.script import Control, Free, Script
from tests.bigquery_server.translate import (
    MACROS,
    parameters_once,
    parse,
    tables_once,
    text_once,
    to_duckdb,
    to_duckdb_once,
)
from tests.bigquery_server.values import Json, column_type, legacy_field, schema_field

MAX_QUERY_CHARACTERS = 1024 * 1024
_KINDS: dict[type[exp.Expr], str] = {
    exp.Insert: "INSERT", exp.Delete: "DELETE", exp.Update: "UPDATE", exp.Merge: "MERGE", exp.TruncateTable: "TRUNCATE_TABLE",
}  # fmt: skip
_NO_PARAMETERS = exp.Select()


class Engine:
    """Everything stored. `now` is the clock of the catalog: of creation times and of when partitions changed."""

    def __init__(self) -> None:
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.access = Access()
        self._lock = threading.RLock()
        self._connection = duckdb.connect()
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self._connection.execute("SET threads = 1")  # a few rows are counted sooner by one
        for macro in MACROS:
            self._connection.execute(macro)
        self.datasets: dict[str, str] = {}
        self.entities: dict[str, Entity] = {}
        self._analysis = Analysis(
            self.datasets, self.entities, self.access, self.schema,
            lambda sql, tree, params: self._execute(self._connection, sql, tree, params),
        )  # fmt: skip

    def close(self) -> None:
        self._connection.close()

    def now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)

    # --- what a test puts in ---

    def create_dataset(self, name: str, location: str) -> None:
        """`project.dataset` in a location."""
        if name in self.datasets:
            raise duplicate(f"Dataset {colon(name)}")
        with self._lock:
            self._connection.execute(f'CREATE SCHEMA "{name}"')
        self.datasets[name] = location

    def load(
        self, name: str, query: str, *, partition: str | None = None, granularity: str = "DAY", require_filter: bool = False,
        **frames: Any,
    ) -> None:  # fmt: skip
        """Make `project.dataset.table` of a DuckDB query (over the given DataFrames by name, or files), or put its rows in the place of the old."""
        with self._lock:
            self._over(frames, f"CREATE OR REPLACE TABLE {quoted(name)} AS {query}")
            old = self.entities.get(name)
            self.entities[name] = Entity(
                "TABLE", self.now_ms(), partition=partition, granularity=granularity, require_filter=require_filter,
                partitions=old.partitions if old and (old.partition, old.granularity) == (partition, granularity) else {},
            )  # fmt: skip
            self._survey(name)

    def append(self, name: str, query: str, *, streaming: bool = False, **frames: Any) -> None:
        """Add rows; with `streaming` they are in no partition, and touch none, until `flush`."""
        with self._lock:
            last = self._last_row(name)
            (n_rows,) = self._over(frames, f"INSERT INTO {quoted(name)} BY NAME {query}").fetchone()
            if streaming:
                entity = self.entities[name]
                entity.streaming, entity.streamed_at = entity.streaming + n_rows, self.now()
                entity.buffered.append((last + 1, self._last_row(name)))
            self._survey(name)

    def flush(self, name: str) -> None:
        """The rows of the streaming buffer arrive in their partitions."""
        with self._lock:
            self.entities[name].streaming = 0
            self.entities[name].buffered.clear()
            self._survey(name)

    def drop(self, name: str) -> None:
        """Drop a table or view."""
        with self._lock:
            self._connection.execute(f"DROP {self.entities[name].kind} {quoted(name)}")
            del self.entities[name]

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a GoogleSQL query, for assertions."""
        (tree,) = parse(query)
        with self._lock:
            return self._connection.execute(self._runnable(tree)).fetchall()

    # --- what the service does ---

    def schema(self, name: str) -> list[Json]:
        """The columns of a table or view, described; of a view whose tables are gone, those that it had."""
        with self._lock:
            entity = self._analysis.entity(name)
            try:
                description = self._connection.execute(f"SELECT * FROM {quoted(name)} LIMIT 0").description
            except duckdb.Error:
                if entity.query is None:
                    raise
                description = self._stored_columns(name)
        return [schema_field(str(column[0]), column[1], entity.columns.get(str(column[0]))) for column in description]

    def _stored_columns(self, name: str) -> list[tuple[str, Any]]:
        dataset, _, view = name.rpartition(".")
        sql = "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? ORDER BY column_index"
        rows = self._connection.execute(sql, [dataset, view]).fetchall()
        return [(column, duckdb.sqltype(kind)) for column, kind in rows]

    def create_table(self, name: str, fields: list[Json], entity: Entity) -> None:
        """An empty table of a schema."""
        self.access.check("bigquery.tables.create", split(name)[0])
        check_location(self.datasets, split(name)[0], None)
        with self._lock:
            if name in self.entities:
                raise duplicate(f"Table {colon(name)}")
            self._connection.execute(_create_sql(name, [legacy_field(item) for item in fields]))
            self.entities[name] = entity
            self._survey(name)

    def home(self, sql: str) -> str | None:
        """Where the first dataset that a text names lies: there a job runs that names no location."""
        try:
            trees = parse(sql)
        except ServiceError:
            return None
        names = (split(table_key(table))[0] for tree in trees for table in tables_once(tree) if table.catalog)
        return next((self.datasets[name] for name in names if name in self.datasets), None)

    def estimate(self, sql: str, params: Params, location: str | None = None) -> Outcome:
        """Check a query without running it; what it would read."""
        with self._lock:
            total: Counter[str] = Counter()
            for tree in _parsed(sql):
                self._analysis.check(tree, location)
                total += self._analysis.reads(tree, params)
                if not isinstance(tree, (exp.Create, exp.Alter, exp.Drop, *CONTROLS)):
                    self._execute(self._connection, "EXPLAIN " + self._runnable(tree), tree, params)
            return Outcome("SELECT", dict(total))

    def run(self, sql: str, params: Params, control: Control | None = None, location: str | None = None) -> Outcome:
        """Run a statement, or a script; what is left open at the end, or by a failure, is rolled back."""
        trees, control = _parsed(sql), control or Free()
        total: Counter[str] = Counter()
        script = Script(self._connection.cursor())
        try:
            for tree in trees:
                control.before("statement " + text_once(tree))
                with self._lock:
                    control.check()
                    self._analysis.check(tree, location)
                    total += self._analysis.reads(tree, params)
                    self._step(script, tree, params)
        finally:
            with self._lock:
                script.close()
        outcome = script.outcome if len(trees) == 1 else Outcome("SCRIPT")
        outcome.bytes_of = dict(total)
        return outcome

    def load_rows(self, load: Load, data: bytes, control: Control, location: str) -> Outcome:
        """Run a load job: all of its rows, or none."""
        control.before(f"statement LOAD {load.table}")
        with self._lock:
            self._check_load(load, location)
            is_new = load.table not in self.entities or load.write == "WRITE_TRUNCATE"
            fields = load.fields or self.schema(load.table)
            if not is_new:
                check_schema(load.table, fields, self.schema(load.table))
        rows = parse_rows(data, fields, ignores_unknown=load.ignores_unknown)
        with self._lock:
            control.check()
            self._write_rows(load, fields, rows, is_new=is_new)
        return Outcome("LOAD", affected=rows.num_rows)

    def _check_load(self, load: Load, location: str) -> None:
        dataset = split(load.table)[0]
        check_location(self.datasets, dataset, location)
        is_there = load.table in self.entities
        self.access.check(
            "bigquery.tables.updateData" if is_there else "bigquery.tables.create", load.table if is_there else dataset
        )
        if not is_there and load.create == "CREATE_NEVER":
            raise not_found(f"Table {colon(load.table)}")
        if is_there and load.write == "WRITE_EMPTY" and self.entities[load.table].n_rows:
            raise duplicate(f"Table {colon(load.table)}")
        if load.fields is None and not is_there:
            raise ServiceError(400, "invalid", "No schema specified on job or table.")

    def _write_rows(self, load: Load, fields: list[Json], rows: Any, *, is_new: bool) -> None:
        names = ", ".join(f'"{item["name"]}"' for item in fields)
        script = Script(self._connection.cursor())
        script.cursor.register("arrived", rows)
        try:
            script.begin()
            if is_new:
                script.cursor.execute(_create_sql(load.table, fields))
            script.cursor.execute(f"INSERT INTO {quoted(load.table)} ({names}) SELECT {names} FROM arrived")
            script.commit()
        except duckdb.Error as error:
            raise _refusal(error, load.table, is_open=False) from None
        finally:
            script.close()
        if load.table not in self.entities:
            cut = load.partitioning
            self.entities[load.table] = Entity(
                "TABLE",
                self.now_ms(),
                partition=cut.get("field"),
                granularity=cut.get("type", "DAY"),
                cluster=load.clustering,
            )
        if is_new:
            self.entities[load.table].columns = {item["name"]: item.get("description", "") for item in fields}
        self._survey(load.table)

    # --- one statement ---

    def _step(self, script: Script, tree: exp.Expr, params: Params) -> None:
        try:
            if isinstance(tree, exp.Transaction):
                script.begin()
            elif isinstance(tree, exp.Commit):
                script.commit()
            elif isinstance(tree, exp.Rollback):
                script.roll_back()
            elif isinstance(tree, exp.Create):
                script.outcome = self._create(tree, script)
            elif isinstance(tree, exp.Alter):
                script.outcome = self._alter(tree, script)
            elif isinstance(tree, exp.Drop):
                script.outcome = self._drop(tree)
            else:
                script.outcome = self._ask_or_change(tree, params, script)
        except duckdb.Error as error:
            raise _refusal(error, next(iter(script.touched), ""), is_open=script.is_open) from None
        if not script.is_open:
            for name in script.touched:
                self._survey(name)
            script.touched.clear()

    def _ask_or_change(self, tree: exp.Expr, params: Params, script: Script) -> Outcome:
        target = target_of(tree)
        if target is not None:
            script.touched.add(table_key(target))
        cursor = self._execute(script.cursor, self._runnable(tree), tree, params)
        if not isinstance(tree, exp.Query):
            (affected,) = cursor.fetchone() or (0,)
            return Outcome(_KINDS[type(tree)], affected=affected)
        schema = [schema_field(str(column[0]), column[1]) for column in cursor.description]
        return Outcome("SELECT", schema=schema, rows=cursor.fetchall())

    def _create(self, tree: exp.Create, script: Script) -> Outcome:
        """CREATE TABLE | VIEW, its descriptions, partitions and clusters kept beside DuckDB's own."""
        target = tree.find(exp.Table)
        assert target is not None
        name, kind = table_key(target), str(tree.args["kind"])
        if name in self.entities and tree.args.get("exists"):
            return Outcome(f"CREATE_{kind}")
        if name in self.entities and not tree.args.get("replace"):
            raise duplicate(f"Table {colon(name)}")
        self._execute(script.cursor, ddl.create_sql_once(tree), _NO_PARAMETERS, {})
        entity = ddl.describe(tree, self.now_ms(), self.entities)
        expires = ddl.expiration(tree)
        entity.expires_ms = self._milliseconds(expires) if expires else None
        self.entities[name] = entity
        script.touched.add(name)
        return Outcome(f"CREATE_{kind}")

    def _alter(self, tree: exp.Alter, script: Script) -> Outcome:
        """ALTER TABLE ... ADD COLUMN: all of its columns, or none."""
        name = table_key(tree.this)
        there = [field["name"] for field in self.schema(name)]
        wanted = [column for column in ddl.added_columns(tree) if ddl.check_addition(column, there)]
        for column in wanted:
            self._execute(script.cursor, ddl.addition_sql(name, column), exp.Select(), {})
            self.entities[name].columns[column.name] = ddl.column_description(column)
        return Outcome("ALTER_TABLE")

    def _drop(self, tree: exp.Drop) -> Outcome:
        target = tree.find(exp.Table)
        assert target is not None
        if table_key(target) in self.entities:
            self.drop(table_key(target))
        return Outcome("DROP_TABLE")

    def _milliseconds(self, instant: exp.Expr) -> int:
        tree = exp.Select(expressions=[exp.Anonymous(this="EPOCH_MS", expressions=[instant.copy()])])
        (row,) = self._connection.execute(to_duckdb(tree)).fetchall()
        return int(row[0])

    def _execute(self, cursor: Any, sql: str, tree: exp.Expr, params: Params) -> Any:
        named = parameters_once(tree)
        if missing := named - set(params):
            raise invalid_query(f"Query parameter '{min(missing)}' not found")
        try:
            return cursor.execute(sql, {name: params[name] for name in named})
        except duckdb.TransactionException:
            raise
        except duckdb.Error as error:
            raise invalid_query(str(error)) from None

    def _runnable(self, tree: exp.Expr) -> str:
        made = with_partitions(tree, self.entities)
        return to_duckdb_once(tree) if made is tree else to_duckdb(made)

    def _over(self, frames: Mapping[str, Any], sql: str) -> Any:
        for frame, data in frames.items():
            self._connection.register(frame, data)
        return self._connection.execute(sql)

    def _last_row(self, name: str) -> int:
        ((last,),) = self._connection.execute(f"SELECT COALESCE(MAX(rowid), -1) FROM {quoted(name)}").fetchall()
        return int(last)

    def _survey(self, name: str) -> None:
        """See which partitions changed."""
        entity = self.entities.get(name)
        if entity is None or entity.kind != "TABLE":
            return
        found = self._connection.execute(survey_sql(name, entity, self.schema(name))).fetchall()
        entity.partitions = updated(entity.partitions, found, self.now())


def _parsed(sql: str) -> tuple[exp.Expr, ...]:
    if len(sql) > MAX_QUERY_CHARACTERS:
        raise invalid_query("The query is too large. The maximum standard SQL query length is 1024.00K characters.")
    return parse(sql)


def _refusal(error: duckdb.Error, table: str, *, is_open: bool) -> ServiceError:
    """DuckDB's error in the service's words where they are known."""
    if isinstance(error, duckdb.TransactionException):
        return (aborted if is_open else unserializable)(colon(table))
    return invalid_query(str(error))


def _create_sql(name: str, fields: Iterable[Json]) -> str:
    columns = ", ".join(f'"{item["name"]}" {column_type(item)}' for item in fields)
    return f"CREATE OR REPLACE TABLE {quoted(name)} ({columns})"


def listed(engine: Engine, dataset: str) -> Iterator[tuple[str, Entity]]:
    """The tables and views of a dataset by name."""
    if dataset not in engine.datasets:
        raise not_found(f"Dataset {colon(dataset)}")
    for name, entity in sorted(engine.entities.items()):
        if split(name)[0] == dataset:
            yield split(name)[1], entity


__all__ = ["Engine", "Entity", "Outcome", "ServiceError", "listed"]
