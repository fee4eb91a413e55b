"""The embedded warehouse: files in, tables out, one writer at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from bq_monitor.errors import DeadlineError, InputError, LockedError, TableNotFoundError, WarehouseError
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Param, Statement, Terms
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import ALERT_EVENTS, RUNS, TABLES
from bq_monitor.warehouse.setup import create_tables
from bq_monitor.warehouse.views import VIEWS

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE IF NOT EXISTS held AS SELECT 1 AS x")
print("held", flush=True)
sys.stdin.readline()
connection.close()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `held.duckdb` until it is told a line."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "held.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_that_stays_is_an_error_after_the_deadline(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """While another process holds the file nothing is opened; at the deadline the error says what to do."""
    began = time.monotonic()
    with pytest.raises(LockedError, match=r"held\.duckdb: locked by another process.*raise budget\.deadline") as caught:
        open_warehouse(f"duckdb://{tmp_path}/held.duckdb", deadline_seconds=0.3)
    assert 0.3 <= time.monotonic() - began < 2
    assert caught.value.exit_code == 4


def test_a_second_process_waits_for_the_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """As soon as the first one lets go, the second goes on and sees its tables."""
    code = (
        "import sys; from bq_monitor.warehouse import open_warehouse; print('waiting', flush=True); "
        "open_warehouse(sys.argv[1]).close(); print('went on')"
    )
    command = [sys.executable, "-c", code, f"duckdb://{tmp_path}/held.duckdb"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
        time.sleep(0.4)
        assert second.poll() is None
        holder.communicate("go\n")
        assert second.communicate(timeout=10)[0] == "went on\n"
        assert second.returncode == 0


def test_a_path_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """A folder that does not exist, and a file that is no database, fail at once."""
    (tmp_path / "text.duckdb").write_text("this is no database, but it is long enough to look at")
    for path in (tmp_path / "no" / "such.duckdb", tmp_path / "text.duckdb"):
        with pytest.raises(WarehouseError, match="cannot be opened"):
            DuckDBWarehouse(str(path))


def test_read_only_never_writes(tmp_path: Path) -> None:
    """A reader may look, and is refused a statement that writes."""
    DuckDBWarehouse(str(tmp_path / "a.duckdb")).close()
    reader = open_warehouse(f"duckdb://{tmp_path}/a.duckdb", read_only=True)
    with pytest.raises(InputError, match="read-only"):
        create_tables(reader)
    reader.close()


def test_an_unknown_url_is_refused() -> None:
    """The error lists what a warehouse URL may be."""
    for url in ("postgres://x", "monitor.duckdb", ""):
        with pytest.raises(InputError, match=r"allowed: bigquery://PROJECT/DATASET"):
            open_warehouse(url)


def test_files_and_globs_are_relations(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Parquet, CSV, and several files by a glob are read with their GoogleSQL types; a quote in a path is no trouble."""
    data = pd.DataFrame(
        {"n": [1, 2, 3], "x": [0.5, 1.5, 2.5], "t": ["a", "b", "c"], "at": pd.to_datetime(["2026-01-01 06:30"] * 3)}
    )
    data.to_parquet(tmp_path / "it's.parquet")
    data.to_csv(tmp_path / "one.csv", index=False)
    data.to_csv(tmp_path / "two.csv.gz", index=False)
    types = {"n": "INT64", "x": "FLOAT64", "t": "STRING", "at": "DATETIME"}
    for name, rows in (("it's.parquet", 3), ("one.csv", 3), ("*.parquet", 3), ("two.csv.gz", 3), ("o*.csv", 3)):
        relation = warehouse.relation(f"{tmp_path}/{name}")
        assert dict(relation.columns) == types, name
        assert warehouse.count_rows(relation) == rows


@pytest.mark.parametrize("chosen", ["MIN(x)", "MAX(x)", "SUM(x) / COUNT(*)"])
def test_a_file_that_is_overwritten_is_read_anew(warehouse: DuckDBWarehouse, tmp_path: Path, chosen: str) -> None:
    """In its place, and with the time of before: nothing of the old file is held, be it statistics or rows."""
    path = tmp_path / "log.parquet"
    for x in (1, 2):
        pd.DataFrame({"x": [x] * 1000}).to_parquet(path)
        os.utime(path, (0, 0))
        relation = warehouse.relation(str(path))
        assert warehouse.query(Statement("t", f"SELECT {chosen} AS x FROM {relation.sql}")) == [{"x": x}]


def test_only_true_and_false_are_booleans_in_a_csv(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Words that DuckDB would take for booleans keep their letters; true and false are booleans, a missing one is NULL."""
    (tmp_path / "a.csv").write_text("id,said,flag,letter\n1,yes,True,t\n2,no,False,f\n3,yes,,t\n")
    relation = warehouse.relation(f"{tmp_path}/a.csv")
    assert dict(relation.columns) == {"id": "INT64", "said": "STRING", "flag": "BOOL", "letter": "STRING"}
    assert [tuple(row.values()) for row in warehouse.query(Statement("t", f"SELECT * FROM {relation.sql} ORDER BY id"))] == [
        (1, "yes", True, "t"), (2, "no", False, "f"), (3, "yes", None, "t"),
    ]  # fmt: skip


def test_files_of_a_glob_may_differ_in_columns(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Columns are joined by name; where a file lacks one its rows are NULL."""
    pd.DataFrame({"a": [1], "b": [2]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"b": [3]}).to_parquet(tmp_path / "2.parquet")
    relation = warehouse.relation(f"{tmp_path}/*.parquet")
    assert warehouse.query(Statement("t", f"SELECT SUM(b) AS b, COUNT(a) AS a FROM {relation.sql}")) == [
        {"b": 5, "a": 1}
    ]


def test_files_that_cannot_be_read_are_told(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Missing, empty, a directory, an unknown ending, a broken row: each with its place and a remedy."""
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "data.xlsx").write_text("x")
    (tmp_path / "broken.csv").write_text("a,b\n" + "1,2\n" * 50 + "1,2,3,4\n" + "1,2\n" * 5)
    (tmp_path / "broken.parquet").write_text("not parquet at all")
    faults: list[tuple[str, type[Exception], str]] = [
        ("absent.csv", TableNotFoundError, r"absent\.csv: no such file"),
        ("absent*.parquet", TableNotFoundError, "no such file"),
        ("empty.csv", InputError, r"empty\.csv: no rows"),
        (
            "folder.csv",
            InputError,
            r"folder\.csv: is a directory; give a file, or a glob such as '.*/folder\.csv/\*\.parquet'",
        ),
        ("data.xlsx", InputError, r"unknown kind of file; allowed: \.parquet, \.csv"),
        ("broken.csv", InputError, r"broken\.csv: .*Line: 52.*Correct the data"),
        ("broken.parquet", InputError, r"broken\.parquet: "),
    ]
    for name, error, match in faults:
        with pytest.raises(error, match=match):
            warehouse.relation(f"{tmp_path}/{name}")


def test_tables_are_named_or_refused(warehouse: DuckDBWarehouse) -> None:
    """A table that is not there is not found; a name that is none is refused before any SQL."""
    warehouse.execute(Statement("t", "CREATE TABLE log AS SELECT 1 AS a"))
    assert dict(warehouse.relation("main.log").columns) == {"a": "INT64"}
    with pytest.raises(TableNotFoundError, match="Check the name"):
        warehouse.relation("nowhere")
    with pytest.raises(ValueError, match="not a DuckDB table"):
        warehouse.relation('log"; DROP TABLE log; --')


def test_a_frame_is_a_relation_with_nan_as_missing(warehouse: DuckDBWarehouse) -> None:
    """pandas' NaN is NULL, its nullable integers stay integers, and a hostile column name is refused."""
    data = pd.DataFrame({"x": [1.0, float("nan")], "n": pd.array([None, 2], dtype="Int64"), 7: ["a", None]})
    relation = warehouse.frame(data, "training data")
    assert dict(relation.columns) == {"x": "FLOAT64", "n": "INT64", "7": "STRING"}
    counts = warehouse.query(
        Statement("t", f'SELECT COUNT(x) AS x, COUNT(n) AS n, COUNT("7") AS t FROM {relation.sql}')
    )
    assert counts == [{"x": 1, "n": 1, "t": 1}]
    with pytest.raises(ValueError, match="not a column name"):
        warehouse.frame(pd.DataFrame({"a`b": [1]}), "training data")


def test_parameters_keep_their_types(warehouse: DuckDBWarehouse) -> None:
    """Nested values, empty arrays and NULL travel as parameters."""
    kind = "ARRAY<STRUCT<name STRING, parts ARRAY<STRUCT<n INT64>>>>"
    rows = [{"name": "a'; --", "parts": [{"n": 1}, {"n": 2}]}, {"name": None, "parts": []}]
    assert warehouse.query(Statement("t", "SELECT $rows AS r", {"rows": Param(kind, rows)})) == [{"r": rows}]
    assert warehouse.query(Statement("t", "SELECT LEN($rows) AS n", {"rows": Param(kind, [])})) == [{"n": 0}]
    assert warehouse.query(Statement("t", "SELECT $x AS x", {"x": Param("FLOAT64", None)})) == [{"x": None}]


def test_a_commit_that_the_disk_refuses_is_told_as_one(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When COMMIT itself fails nothing is left to roll back: the cause is told, not that."""

    class Full:
        def execute(self, sql: str, *given: object) -> object:
            if sql == "COMMIT":
                whole.execute("ROLLBACK")
                raise duckdb.IOException("no space left on device")
            return whole.execute(sql, *given)

        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

    create_tables(warehouse)
    whole = warehouse._connection
    monkeypatch.setattr(warehouse, "_connection", Full())
    with pytest.raises(WarehouseError, match=r"write/commit: .*no space left on device"):
        warehouse.commit({RUNS: []}, key="k")


def test_a_commit_is_all_or_nothing(warehouse: DuckDBWarehouse) -> None:
    """When one INSERT fails, none of them happened, and the connection goes on."""
    create_tables(warehouse)
    warehouse.execute(Statement("t", "DROP TABLE alert_events"))
    runs = [{column.name: None for column in RUNS.columns}]
    events = [{column.name: None for column in ALERT_EVENTS.columns}]
    with pytest.raises(TableNotFoundError, match="write/alert_events: "):
        warehouse.commit({RUNS: runs, ALERT_EVENTS: events}, key="k")
    assert warehouse.query(Statement("t", "SELECT COUNT(*) AS n FROM runs")) == [{"n": 0}]
    warehouse.commit({RUNS: runs * 2, ALERT_EVENTS: []}, key="k")
    assert warehouse.query(Statement("t", "SELECT COUNT(*) AS n FROM runs")) == [{"n": 2}]


def test_a_sample_is_seeded_and_only_of_large_data(warehouse: DuckDBWarehouse) -> None:
    """Small data is taken whole; of large data two samples are equal."""
    warehouse.execute(Statement("t", "CREATE TABLE log AS SELECT range AS a FROM range(20000)"))
    relation = warehouse.relation("log")
    assert warehouse.sample(relation, 20_000) is relation
    samples = [warehouse.sample(relation, 500) for _ in range(2)]
    sums = [
        warehouse.query(Statement("t", f"SELECT COUNT(*) AS n, SUM(a) AS s, AVG(a) AS mean FROM {sample.sql}"))
        for sample in samples
    ]
    assert sums[0] == sums[1]
    assert abs(sums[0][0]["n"] - 500) < 5 * 500**0.5
    assert abs(sums[0][0]["mean"] - 10_000) < 5 * 20_000 / 12**0.5 / 500**0.5  # from all over, not the first ones


@pytest.mark.usefixtures("described")
def test_every_table_and_column_is_described(warehouse: DuckDBWarehouse) -> None:
    """Tables, views and all their columns carry the descriptions of the schema; to create them again is safe."""
    create_tables(warehouse)
    warehouse.execute(Statement("t", f"INSERT INTO runs ({TABLES[-1].columns[0].name}) VALUES ('kept')"))
    create_tables(warehouse)
    assert warehouse.query(Statement("t", "SELECT COUNT(*) AS n FROM runs")) == [{"n": 1}]
    sql = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal ORDER BY table_name, column_index"
    found = {(row["table_name"], row["column_name"]): row["comment"] for row in warehouse.query(Statement("t", sql))}
    expected = {(table.name, column.name): column.description for table in TABLES for column in table.columns}
    expected |= {(view.name, name): text for view in VIEWS for name, text in view.columns.items()}
    assert found == expected
    assert all(found.values())
    entities = (
        "SELECT table_name AS n, comment AS c FROM duckdb_tables() WHERE NOT internal "
        "UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
    )
    described = {row["n"]: row["c"] for row in warehouse.query(Statement("t", entities))}
    assert described == {entity.name: entity.description for entity in (*TABLES, *VIEWS)}


def test_views_answer_the_columns_that_the_schema_says(warehouse: DuckDBWarehouse) -> None:
    """Names and order of a view's columns are those of the schema; a table's are, too, with their types."""
    create_tables(warehouse)
    for view in VIEWS:
        rows = warehouse.query(Statement("t", f"DESCRIBE {view.name}"))
        assert [row["column_name"] for row in rows] == list(view.columns), view.name
    for table in TABLES:
        rows = warehouse.query(Statement("t", f"DESCRIBE {table.name}"))
        assert [row["column_name"] for row in rows] == [column.name for column in table.columns], table.name


def test_times_come_back_aware(tmp_path: Path) -> None:
    """A TIMESTAMP is an instant whatever the session's zone is: the connection speaks UTC."""
    path = str(tmp_path / "a.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute(
            "SET TimeZone = 'America/New_York'; CREATE TABLE t AS SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS \"at\""
        )
    warehouse = DuckDBWarehouse(path)
    (row,) = warehouse.query(Statement("t", "SELECT t.at, CAST(t.at AS VARCHAR) AS text FROM t"))
    warehouse.close()
    assert row["text"] == "2026-01-01 00:00:00+00"
    assert row["at"].isoformat() == "2026-01-01T00:00:00+00:00"


def test_new_terms_end_the_watch_of_the_old_ones(warehouse: DuckDBWarehouse) -> None:
    """A statement under a later deadline is not interrupted at the earlier one; nor is anything once the warehouse is closed."""
    watches = []
    for seconds in (30.0, 60.0):
        warehouse.begin(Terms(seconds))
        warehouse.query(Statement("t", "SELECT 1 AS a"))
        watches.append(warehouse._watch)
    assert watches[0] is not None
    assert watches[1] is not None
    assert watches[0].finished.is_set()
    assert not watches[1].finished.is_set()
    warehouse.close()
    assert watches[1].finished.is_set()


def test_a_statement_is_stopped_at_the_deadline(warehouse: DuckDBWarehouse) -> None:
    """What would take hours ends when the run's time is over, and the connection goes on under new terms."""
    warehouse.begin(Terms(0.3))
    endless = "SELECT SUM(a.range * b.range) AS n FROM range(10000000) AS a, range(10000000) AS b"
    with pytest.raises(DeadlineError, match="t: no answer within 0 s, the deadline of the run"):
        warehouse.query(Statement("t", endless))
    warehouse.begin(Terms(60))
    assert warehouse.query(Statement("t", "SELECT 1 AS n")) == [{"n": 1}]
