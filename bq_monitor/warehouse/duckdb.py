"""The embedded warehouse: DuckDB on disk or in memory, over its own tables, Parquet, CSV, globs and DataFrames."""

from __future__ import annotations

import glob
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bq_monitor.errors import InputError, LockedError, TableNotFoundError, WarehouseError
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Dialect, JobStats, Param, Relation, Row, Shape, Statement, Taken, Terms
from bq_monitor.warehouse.identifiers import FILE_ENDINGS, duckdb_string, duckdb_table, is_file, quote_column
from bq_monitor.warehouse.migration import outdated_error
from bq_monitor.warehouse.refusals import deadline_error
from bq_monitor.warehouse.schema import Table
from bq_monitor.warehouse.types import from_duckdb, parse_duckdb_type, parse_type

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_LOCK_MESSAGE = re.compile(r"Could not set lock on file|being used by another process")
"""DuckDB gives no code for a held lock; this is the one place that reads its words (tested against a real lock)."""
_LOCK_POLL_SECONDS = 0.2
_ROWS_PER_PAGE = 500
_HASHES = 2**64
_COLUMNS = (
    "SELECT column_name, data_type FROM duckdb_columns() "
    "WHERE table_name = $name AND schema_name = current_schema() AND database_name = current_database() ORDER BY column_index"
)
_NAMES = (
    "SELECT DISTINCT table_name FROM duckdb_columns() "
    "WHERE schema_name = current_schema() AND database_name = current_database() ORDER BY table_name"
)
_MAX_CSV_LINE_SHOWN = 300
_CSV_MARKS = (",", ";", "\t", "|")


class DuckDBWarehouse:
    """See `Warehouse`. One process may write to a file at a time: a second one waits for the lock."""

    dialect: Dialect = "duckdb"

    def __init__(
        self, path: str = "", *, deadline_seconds: float = 1500.0, read_only: bool = False, create: bool = True
    ) -> None:
        self.path = path or ":memory:"
        if path and not create and not Path(path).exists():
            raise TableNotFoundError(f"{path}: no such database. Check the path; 'bq-monitor init' makes a new one.")
        self.spent = JobStats()
        self._n_relations = 0
        self._watch: threading.Timer | None = None
        self._connection = _connect(self.path, deadline_seconds, read_only)
        self.begin(Terms(deadline_seconds))
        self._settle()

    def begin(self, terms: Terms) -> None:
        self._deadline_seconds, self._until = terms.deadline_seconds, time.monotonic() + terms.deadline_seconds
        self._stop_watch()

    def relation(self, source: str) -> Relation:
        return self._view(self._file(source) if is_file(source) else duckdb_table(source), source)

    def frame(self, data: pd.DataFrame, name: str) -> Relation:
        """A pandas DataFrame as a relation; NaN in a float column is a missing value, as pandas means it."""
        columns = [str(column) for column in data.columns]
        if len({column.lower() for column in columns}) < len(columns):
            raise InputError(
                f"{name}: two columns of one name (case does not count); got {columns}; give each column its own name."
            )
        for column in columns:
            quote_column(column, "duckdb")
        view = self._next_name()
        try:
            self._connection.register(view, data.set_axis(columns, axis=1))
        except Exception as error:
            raise InputError(
                f"{name}: a column cannot be read: {_one_line(error)}. Convert it to text, numbers or times."
            ) from None
        return self._describe(view, name)

    def sample(self, relation: Relation, rows: int) -> Relation:
        n_rows = self.count_rows(relation)
        if n_rows <= rows:
            return relation
        name, limit = self._next_name(), rows * _HASHES // n_rows
        rule = f"hash(ROW_NUMBER() OVER ()) < {limit}"  # a tenth of the time of DuckDB's own seeded sample
        self._run(relation.place, f"CREATE TEMP TABLE {name} AS SELECT * FROM {relation.sql} QUALIFY {rule}")
        return Relation(name, relation.columns, relation.place)

    def count_rows(self, relation: Relation) -> int:
        """How many rows a relation has."""
        return int(self.query(Statement("count", f"SELECT COUNT(*) AS n FROM {relation.sql}"))[0]["n"])

    def table(self, name: str) -> str:
        return f"`{name}`"

    def names(self) -> frozenset[str]:
        return frozenset(row["table_name"] for row in self.query(Statement("names", _NAMES)))

    def shape(self, name: str) -> Shape | None:
        found = self.query(Statement(name, _COLUMNS, {"name": Param("STRING", name)}))
        return Shape({row["column_name"]: parse_duckdb_type(row["data_type"]) for row in found}) if found else None

    def query(self, statement: Statement) -> list[Row]:
        return self.query_each(statement, lambda row: row)

    def query_each(self, statement: Statement, take: Callable[[Row], Taken]) -> list[Taken]:
        cursor = self._run(statement.name, statement.sql, statement.params)
        names = [column[0] for column in cursor.description or ()]
        taken: list[Taken] = []
        while page := cursor.fetchmany(_ROWS_PER_PAGE):
            taken += [take(dict(zip(names, row, strict=True))) for row in page]
        return taken

    def execute(self, statement: Statement, *, key: str | None = None) -> None:
        with self._transaction(statement.name):
            self._run(statement.name, statement.sql, statement.params)

    def commit(self, rows: Mapping[Table, Sequence[Row]], *, key: str) -> None:
        with self._transaction("write/commit"):
            for statement in [statements.insert(self, table, given) for table, given in rows.items() if given]:
                self._run(statement.name, statement.sql, statement.params)

    def estimate(self, statement: Statement) -> int | None:
        """No bytes to tell; but a statement that could not run is refused here as there."""
        self._run(statement.name, f"EXPLAIN {statement.sql}", statement.params)
        return None

    def partitions(self, relation: Relation, zone: ZoneInfo) -> None:
        """None: counting rows is cheap here."""

    def missing_permissions(self, relation: Relation, permissions: Sequence[str]) -> list[str]:
        """None is missing: a file that can be read may be read."""
        return []

    def location(self) -> None:
        """None: a file lies where it lies."""

    @contextmanager
    def standing_aside(self) -> Iterator[None]:
        if self.path == ":memory:":
            yield
            return
        self._connection.close()
        try:
            yield
        finally:
            self._connection = _connect(self.path, self._deadline_seconds, read_only=False)
            self._settle()

    def close(self) -> None:
        self._stop_watch()
        self._connection.close()

    @contextmanager
    def _transaction(self, place: str) -> Iterator[None]:
        """What is run within appears as a whole, or not at all; the connection works on after a failure."""
        import duckdb

        self._run(place, "BEGIN TRANSACTION")
        try:
            yield
            self._run(place, "COMMIT")
        except BaseException as error:
            with suppress(duckdb.Error):  # where COMMIT itself failed, nothing is left to roll back
                self._connection.execute("ROLLBACK")
            if isinstance(error, (InputError, TableNotFoundError)) and (outdated := outdated_error(self, error)):
                raise outdated from None  # only now can the tables be looked at
            raise

    def _settle(self) -> None:
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_progress_bar = false")

    def _file(self, source: str) -> str:
        pattern = any(c in source for c in "*?[")
        found = sorted(glob.glob(source)) if pattern else [source]  # noqa: PTH207 - Path.glob refuses absolute patterns
        if not found or not Path(found[0]).exists():
            raise TableNotFoundError(f"{source}: no such file. Check the path.")
        if directories := [path for path in found if Path(path).is_dir()]:
            raise InputError(
                f"{directories[0]}: is a directory; give a file, or a glob such as '{directories[0].rstrip('/')}/*.parquet'."
            )
        if not source.lower().endswith(FILE_ENDINGS):
            raise InputError(
                f"{source}: unknown kind of file; allowed: {', '.join(FILE_ENDINGS)}. Convert it, or rename it."
            )
        if any(Path(path).stat().st_size == 0 for path in found):
            raise InputError.no_rows(source)
        if source.lower().endswith(".parquet"):
            return f"read_parquet({duckdb_string(source)}, union_by_name = true)"
        return self._load_csv(source)

    def _load_csv(self, source: str) -> str:
        """Read a CSV, every row sniffed and strict; words such as yes and no, which DuckDB takes for booleans, stay words."""
        name = self._read_csv(source)
        types = {str(row[0]): str(row[1]) for row in self._run(source, f"DESCRIBE {name}").fetchall()}
        self._require_columns(source, list(types))
        doubtful = [column for column, kind in types.items() if kind == "BOOLEAN"]
        if not doubtful:
            return name
        self._run(source, f"DROP TABLE {name}")
        name = self._read_csv(source, as_text=doubtful)
        casts = []
        for column in (quote_column(column, "duckdb") for column in doubtful):
            words = f"SELECT COUNT(*) FROM {name} WHERE LOWER({column}) NOT IN ('true', 'false')"
            if not (self._run(source, words).fetchone() or (0,))[0]:
                casts.append(f"CAST({column} AS BOOLEAN) AS {column}")
        return f"(SELECT * REPLACE ({', '.join(casts)}) FROM {name})" if casts else name

    def _read_csv(self, source: str, as_text: Sequence[str] = ()) -> str:
        """A CSV in a temporary table, which may spill to disk."""
        name = self._next_name()
        types = ", ".join(f"{duckdb_string(column)}: 'VARCHAR'" for column in as_text)
        self._run(
            source,
            f"CREATE TEMP TABLE {name} AS SELECT * FROM read_csv({duckdb_string(source)}, header = true, sample_size = -1, "
            f"strict_mode = true, null_padding = false, union_by_name = true{', types = {' + types + '}' if types else ''})",
        )
        return name

    def _require_columns(self, source: str, names: list[str]) -> None:
        """Refuse a CSV whose rows do not fit its header: DuckDB then takes each whole line for one text."""
        mark = next((mark for mark in _CSV_MARKS if len(names) == 1 and mark in names[0]), None)
        if mark is None:
            return
        columns = ", ".join(f"c{i}: 'VARCHAR'" for i in range(names[0].count(mark) + 1))
        self._run(  # names the line, which the sniffer does not
            source,
            f"SELECT COUNT(*) FROM read_csv({duckdb_string(source)}, header = true, auto_detect = false, "
            f"delim = {duckdb_string(mark)}, quote = '\"', strict_mode = true, columns = {{{columns}}})",
        )
        raise InputError(f"{source}: the rows do not fit the header line; got {names[0]!r}. Correct the file.")

    def _view(self, sql: str, place: str) -> Relation:
        """A relation under a plain name, which reads the same in both dialects."""
        name = self._next_name()
        self._run(place, f"CREATE TEMP VIEW {name} AS SELECT * FROM {sql}")
        return self._describe(name, place)

    def _describe(self, name: str, place: str) -> Relation:
        rows = self._run(place, f"DESCRIBE {name}").fetchall()
        return Relation(name, {str(row[0]): from_duckdb(str(row[1])) for row in rows}, place)

    def _next_name(self) -> str:
        self._n_relations += 1
        return f"source_{self._n_relations}"

    def _run(self, place: str, sql: str, params: Any = None) -> duckdb.DuckDBPyConnection:
        import duckdb

        left = self._until - time.monotonic()
        if left <= 0:
            raise deadline_error(place, self._deadline_seconds)
        self._start_watch(left)
        try:
            return self._connection.execute(sql, {name: _bind(param) for name, param in (params or {}).items()})
        except duckdb.InterruptException:
            raise deadline_error(place, self._deadline_seconds) from None
        except duckdb.CatalogException as error:
            message = _one_line(error).split("!")[0].split(" LINE ")[0]
            absent = TableNotFoundError(
                f"{place}: {message} ({self.path}). Check the name; our own tables are made by 'bq-monitor init'."
            )
            raise outdated_error(self, absent) or absent from None
        except duckdb.BinderException as error:
            fault = InputError(
                f"{place}: {_one_line(error).split(' LINE ')[0]}. "
                "Check source.filter and the features' expressions against the types of the log's columns."
            )
            raise outdated_error(self, fault) or fault from None
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            raise InputError(f"{place}: {_one_line(error)}. Correct the data.") from None
        except duckdb.Error as error:
            raise WarehouseError(f"{place}: {_one_line(error)}") from None

    def _start_watch(self, seconds: float) -> None:
        """One timer for all statements until the deadline; whatever runs then is interrupted."""
        if self._watch is None:
            self._watch = threading.Timer(seconds, _interrupt, (weakref.ref(self),))
            self._watch.daemon = True
            self._watch.start()

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def _interrupt(watched: weakref.ref[DuckDBWarehouse]) -> None:
    import duckdb

    if (warehouse := watched()) is not None:
        with suppress(duckdb.Error):  # closed, or standing aside
            warehouse._connection.interrupt()


def _bind(param: Param) -> Any:
    import duckdb

    return duckdb.Value(param.value, duckdb.sqltype(parse_type(param.type).duckdb()))


def _connect(path: str, deadline_seconds: float, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open a database; while another process holds its lock, wait until the deadline."""
    import duckdb

    until = time.monotonic() + deadline_seconds
    while True:
        try:
            return duckdb.connect(path, read_only=read_only)
        except duckdb.Error as error:
            if not _LOCK_MESSAGE.search(str(error)):
                raise WarehouseError(
                    f"{path}: cannot be opened: {_one_line(error)}. Check the path and its permissions."
                ) from None
            if time.monotonic() >= until:
                raise LockedError(
                    f"{path}: locked by another process for {deadline_seconds:.0f} s; one process may write at a time. "
                    "Wait for it to end, or raise budget.deadline."
                ) from None
        time.sleep(_LOCK_POLL_SECONDS)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()).split(" Possible fixes:")[0]
    return text[:_MAX_CSV_LINE_SHOWN] + ("..." if len(text) > _MAX_CSV_LINE_SHOWN else "")
