"""Whoever is of another version creates what is missing, and harms nothing that is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bq_monitor.errors import SchemaError, WarehouseError
from bq_monitor.warehouse.base import Shape, Statement, Warehouse
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.migration import lacking_columns
from bq_monitor.warehouse.schema import RUNS, TABLES
from bq_monitor.warehouse.setup import Setup, add_columns, create_missing, create_tables
from bq_monitor.warehouse.types import SqlType
from bq_monitor.warehouse.views import VIEWS
from tests.bigquery_lab import connect
from tests.bigquery_server.server import Server
from tests.migrations.old import old_bigquery, old_duckdb, qualify, transpiled


@pytest.fixture(params=["duckdb", "bigquery"])
def fresh(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    """A warehouse without any table of ours."""
    made: Warehouse = DuckDBWarehouse()
    if request.param == "bigquery":
        made = BigQueryWarehouse("acme-ml", "mon", client=connect(request.getfixturevalue("server")))
    yield made
    made.close()


def change(warehouse: Warehouse, sql: str) -> None:
    warehouse.execute(Statement("change", qualify(sql) if warehouse.dialect == "bigquery" else transpiled(sql)))


def columns_of(warehouse: Warehouse, name: str) -> list[str]:
    shape = warehouse.shape(name)
    return list(shape.columns) if shape else []


def run_costs_of_the_future(warehouse: Warehouse) -> list[str]:
    change(warehouse, "CREATE OR REPLACE VIEW `run_costs` AS SELECT monitor, 1 AS From_The_Future FROM `runs`")
    return ["monitor", "from_the_future"]


def test_a_view_of_a_newer_version_survives(fresh: Warehouse) -> None:
    """Neither who captures nor init puts an old view in its place; init says so."""
    create_tables(fresh)
    expected = run_costs_of_the_future(fresh)
    assert create_missing(fresh) == ()
    assert columns_of(fresh, "run_costs") == expected
    done = create_tables(fresh)
    assert columns_of(fresh, "run_costs") == expected
    assert done == Setup(left={"run_costs": ("from_the_future",)})
    assert "left run_costs alone, which a newer version made: it has from_the_future" in done.lines()


def test_what_is_missing_is_created_and_nothing_else_is_touched(
    fresh: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of an empty warehouse; of a complete one nothing, without a statement that changes; else what is not there."""
    assert create_missing(fresh) == tuple(item.name for item in (*TABLES, *VIEWS))
    assert not lacking_columns(fresh)
    sent, execute = [], fresh.execute

    def note(statement: Statement, *, key: str | None = None) -> None:
        sent.append(statement.name)
        execute(statement, key=key)

    monkeypatch.setattr(fresh, "execute", note)
    assert create_missing(fresh) == ()
    assert sent == []
    change(fresh, "DROP VIEW `run_costs`")
    change(fresh, "DROP TABLE `arrivals`")
    sent.clear()
    assert create_missing(fresh) == ("arrivals", "run_costs")
    assert [name for name in sent if name != "tables/comment"] == ["tables/arrivals", "views/run_costs"]


def test_a_capture_on_complete_tables_asks_for_metadata_alone(server: Server) -> None:
    """One list, one look at each table, no job."""
    warehouse = BigQueryWarehouse("acme-ml", "mon", client=connect(server))
    create_tables(warehouse)
    n_jobs, n_requests = len(server.queries()), len(server.log)
    create_missing(warehouse)
    assert len(server.queries()) == n_jobs
    assert len(server.log) - n_requests == 1 + len(TABLES)
    warehouse.close()


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery"])
def test_who_captures_does_not_alter_older_tables(request: pytest.FixtureRequest, dialect: str) -> None:
    """What they lack is said, and that init adds it; no table is made or changed."""
    make = {"duckdb": lambda: old_duckdb("version_2"), "bigquery": lambda: old_bigquery("version_2", request.getfixturevalue("server"))}  # fmt: skip
    warehouse = make[dialect]().warehouse
    before = {name: warehouse.shape(name) for name in warehouse.names()}
    with pytest.raises(SchemaError, match=r"older version: .*alert_events lacks .*; run 'bq-monitor init'"):
        create_missing(warehouse)
    assert {name: warehouse.shape(name) for name in warehouse.names()} == before
    warehouse.close()


def runs_with(warehouse: Warehouse, column: str, kind: str) -> None:
    """A table `runs` alone, with one column beside those that it is known and partitioned by."""
    change(
        warehouse, f"CREATE TABLE `runs` (monitor STRING, STARTED_AT TIMESTAMP, {column} {kind}) PARTITION BY DATE(STARTED_AT)"
    )  # fmt: skip


def test_a_column_of_another_case_is_there(fresh: Warehouse) -> None:
    """It is neither lacking nor added; so is a partition column."""
    runs_with(fresh, "Run_ID", "STRING")
    lacking = lacking_columns(fresh)["runs"]
    assert not {"run_id", "started_at"} & set(lacking)
    assert set(create_tables(fresh).added["runs"]) == set(lacking)
    assert "runs" not in lacking_columns(fresh)


def test_a_column_of_another_case_and_type_is_refused(fresh: Warehouse) -> None:
    """As one of the same case is; also before anything is created for a capture."""
    runs_with(fresh, "Run_ID", "INT64")
    for set_up in (create_tables, create_missing):
        with pytest.raises(SchemaError, match=r"runs\.run_id: another type; got INT64; allowed: STRING\."):
            set_up(fresh)


def test_partitions_of_another_length_are_refused(server: Server) -> None:
    """Months in the place of days would be read whole for each day."""
    warehouse = BigQueryWarehouse("acme-ml", "mon", client=connect(server))
    change(
        warehouse, "CREATE TABLE `runs` (monitor STRING, started_at TIMESTAMP) PARTITION BY TIMESTAMP_TRUNC(started_at, MONTH)"
    )  # fmt: skip
    with pytest.raises(SchemaError, match=r"mon\.runs: partitions of another length; got MONTH; allowed: DAY\."):
        create_tables(warehouse)
    warehouse.close()


def test_a_shape_knows_its_columns_in_any_case() -> None:
    """Names of columns and of the partition are folded; what is not there has no type."""
    shape = Shape({"Run_ID": SqlType("STRING")}, "Started_At", "DAY")
    assert (shape.type_of("RUN_ID"), shape.type_of("n"), shape.partition) == (SqlType("STRING"), None, "started_at")


def test_columns_that_cannot_be_added_leave_a_connection_that_works() -> None:
    """None of the columns is there, and the next statement runs."""
    warehouse = DuckDBWarehouse()
    warehouse.execute(Statement("t", "CREATE TABLE runs (monitor VARCHAR)"))
    warehouse.execute(Statement("t", "CREATE INDEX of_runs ON runs (monitor)"))
    column = RUNS.columns[1]
    statement = add_columns(RUNS, [column], warehouse)
    broken = replace(statement, sql=statement.sql + "\nALTER TABLE runs ADD COLUMN monitor VARCHAR;")
    with pytest.raises(WarehouseError):
        warehouse.execute(broken)
    assert columns_of(warehouse, "runs") == ["monitor"]
    warehouse.execute(statement)
    assert columns_of(warehouse, "runs") == ["monitor", column.name]
    warehouse.close()


def test_init_tells_what_it_created(fresh: Warehouse) -> None:
    """The tables by name, once: a repeat has nothing to tell but that all is in place."""
    first, again = create_tables(fresh), create_tables(fresh)
    assert first.lines()[0] == f"created {len(TABLES)} tables: {', '.join(table.name for table in TABLES)}"
    assert len(again.lines()) == 1
