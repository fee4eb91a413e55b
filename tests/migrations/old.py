"""Warehouses as older versions left them, from the folders beside this file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp, parse_one

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.due import Asked
from bq_monitor.job import execute
from bq_monitor.results import RunResult
from bq_monitor.warehouse.base import Statement, Warehouse
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.types import SqlType, parse_type
from tests.bigquery_lab import connect
from tests.bigquery_server import ddl
from tests.bigquery_server.server import Server

VERSIONS = ("version_2", "version_9")
_LOG = {"id": "VARCHAR", "predicted_at": "TIMESTAMPTZ", "model_version": "VARCHAR", "amount": "DOUBLE", "region": "VARCHAR",
        "approved": "BOOLEAN", "repaid": "BOOLEAN"}  # fmt: skip


@dataclass(frozen=True)
class Old:
    """A warehouse of an older version. `ask` reads and `change` alters our tables by GoogleSQL, their names in backticks;
    `append_log` adds rows of the log by a query of DuckDB.
    """

    folder: Path
    warehouse: Warehouse
    config: MonitorConfig
    ask: Callable[[str], list[tuple[Any, ...]]]
    append_log: Callable[[str], None]
    qualify: Callable[[str], str]

    def change(self, *statements: str) -> None:
        for sql in statements:
            self.warehouse.execute(Statement("change", self.qualify(sql)))

    def run(self, as_of: str) -> RunResult:
        return execute(self.warehouse, self.config, Asked.parse(self.config, as_of))

    def rows(self) -> dict[str, list[str]]:
        """Every row of every old table, of the old columns, in an order of their own."""
        return {
            name: sorted(map(repr, self.ask(f"SELECT {', '.join(columns)} FROM `{name}`")))
            for name, columns in columns_of(self.folder).items()
        }


def folder_of(version: str) -> Path:
    return Path(__file__).parent / version


@cache
def definitions(folder: Path) -> tuple[exp.Create, ...]:
    """The version's DDL, in GoogleSQL; for reading only."""
    texts = (folder / "bigquery.sql").read_text(encoding="utf-8").split("\n;\n")
    return tuple(tree for text in texts if isinstance(tree := parse_one(text, read="bigquery"), exp.Create))


def columns_of(folder: Path) -> dict[str, list[str]]:
    """The columns of each of the version's tables."""
    return {
        _name(tree): [column.name for column in ddl.column_definitions(tree)]
        for tree in definitions(folder) if tree.args["kind"] == "TABLE"
    }  # fmt: skip


def types_of(folder: Path) -> dict[str, dict[str, SqlType]]:
    """The types of the columns of each of the version's tables."""
    return {
        _name(tree): {column.name: parse_type(column.args["kind"].sql("bigquery")) for column in ddl.column_definitions(tree)}
        for tree in definitions(folder) if tree.args["kind"] == "TABLE"
    }  # fmt: skip


def old_duckdb(version: str, path: str = "") -> Old:
    """A DuckDB database that the version wrote."""
    folder, warehouse = folder_of(version), DuckDBWarehouse(path)

    def run(sql: str) -> None:
        warehouse.execute(Statement("old", sql))

    for tree in definitions(folder):
        run(_to_duckdb(tree))
    for name, rows in _rows(folder).items():
        run(f'INSERT INTO "{name}" BY NAME {rows}')
    run("CREATE SCHEMA serving")
    run(f"CREATE TABLE serving.log AS {_log(folder)}")

    def ask(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in warehouse.query(Statement("ask", transpiled(sql)))]

    config = _config(folder, f"duckdb://{path}")
    return Old(
        folder, warehouse, config, ask, lambda query: run(f"INSERT INTO serving.log BY NAME {query}"), transpiled
    )


def old_bigquery(version: str, server: Server) -> Old:
    """The same tables in the stand-in for BigQuery, made by the version's DDL."""
    folder, client = folder_of(version), connect(server)
    for text in (folder / "bigquery.sql").read_text(encoding="utf-8").split("\n;\n"):
        client.query(text).result()
    for name, rows in _rows(folder).items():
        server.engine.append(f"acme-ml.mon.{name}", rows)
    server.engine.load("acme-ml.serving.log", _log(folder), partition="predicted_at")

    def ask(sql: str) -> list[tuple[Any, ...]]:
        return server.engine.ask(qualify(sql))

    def append_log(query: str) -> None:
        server.engine.append("acme-ml.serving.log", query.replace("serving.log", '"acme-ml.serving".log'))

    warehouse = BigQueryWarehouse("acme-ml", "mon", client=client)
    return Old(folder, warehouse, _config(folder, "bigquery://acme-ml/mon"), ask, append_log, qualify)


def qualify(sql: str) -> str:
    """GoogleSQL with the dataset before each name in backticks."""
    return re.sub(r"`(\w+)`", r"`acme-ml.mon.\1`", sql)


def transpiled(sql: str) -> str:
    """The same in DuckDB's dialect."""
    return parse_one(sql, read="bigquery").sql("duckdb")


def _config(folder: Path, warehouse: str) -> MonitorConfig:
    settings = yaml.safe_load((folder / "monitor.yaml").read_text(encoding="utf-8"))
    return parse_config({**settings, "warehouse": warehouse})


def _rows(folder: Path) -> dict[str, str]:
    """For each table with rows the query of DuckDB that reads them."""
    tables = {_name(tree): tree for tree in definitions(folder) if tree.args["kind"] == "TABLE"}
    found = {}
    for name, tree in tables.items():
        path = folder / f"{name}.jsonl"
        types = ", ".join(f"'{c.name}': '{c.args['kind'].sql('duckdb')}'" for c in ddl.column_definitions(tree))
        if path.exists():
            found[name] = f"SELECT * FROM read_json('{path}', format = 'newline_delimited', columns = {{{types}}})"
    return found


def _log(folder: Path) -> str:
    path = folder / "log.csv"
    types = ", ".join(
        f"'{name}': '{_LOG[name]}'" for name in path.read_text(encoding="utf-8").splitlines()[0].split(",")
    )
    return f"SELECT * FROM read_csv('{path}', header = true, columns = {{{types}}})"


def _to_duckdb(tree: exp.Create) -> str:
    """A table or view as that version made it in DuckDB."""
    name = _name(tree)
    if tree.args["kind"] == "VIEW":
        query = tree.expression.copy()
        for table in query.find_all(exp.Table):
            table.set("db", None)
            table.set("catalog", None)
        return f'CREATE VIEW "{name}" AS {query.sql("duckdb")}'
    types = ", ".join(f'"{c.name}" {c.args["kind"].sql("duckdb")}' for c in ddl.column_definitions(tree))
    return f'CREATE TABLE "{name}" ({types})'


def _name(tree: exp.Create) -> str:
    table = tree.find(exp.Table)
    assert table is not None
    return table.name
