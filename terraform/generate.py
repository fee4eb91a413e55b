"""Write `terraform/schema/tables.json` and `views.json` from bq_monitor/warehouse/{schema,views,setup}.py.

Run `python terraform/generate.py` after a change of the schema; a test holds that it changes nothing. Needs the package.
The placeholders `${project}` and `${dataset}` of the views' queries are for terraform's replace().
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bq_monitor.warehouse.base import Dialect, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.parameters import json_field, json_schema
from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.setup import create_tables, view_query
from bq_monitor.warehouse.types import SqlType, parse_duckdb_type
from bq_monitor.warehouse.views import VIEWS, View

SCHEMA_FOLDER = Path(__file__).parent / "schema"
_OWN_NAME = re.compile(r"`\$\{project\}\.\$\{dataset\}\.(\w+)`")


@dataclass(frozen=True)
class Placeholders:
    """A BigQuery warehouse whose project and dataset terraform fills in."""

    dialect: Dialect = "bigquery"

    def table(self, name: str) -> str:
        return f"`${{project}}.${{dataset}}.{name}`"


def tables() -> dict[str, Any]:
    """Every table by its name: description, partition column, clustering, JSON schema."""
    return {
        table.name: {
            "description": table.description, "partition": table.partition, "cluster": list(table.cluster), "schema": json_schema(table),
        } for table in TABLES
    }  # fmt: skip


def views() -> list[dict[str, Any]]:
    """Every view, those that others read first; `level` 0 reads tables only, each other level the views of lower ones."""
    reads = {view.name: _views_read(view) for view in VIEWS}
    types = _column_types()
    found = [
        {
            "name": view.name, "description": view.description, "level": _level(view.name, reads), "depends_on": reads[view.name],
            "columns": [json_field(name, types[view.name][name], text) for name, text in view.columns.items()],
            "query": view_query(view, Placeholders()).strip(),
        } for view in VIEWS
    ]  # fmt: skip
    return sorted(found, key=lambda view: int(view["level"]))


def _views_read(view: View) -> list[str]:
    named = set(_OWN_NAME.findall(view_query(view, Placeholders())))
    return sorted(named & {other.name for other in VIEWS})


def _level(name: str, reads: Mapping[str, list[str]]) -> int:
    return max((_level(other, reads) + 1 for other in reads[name]), default=0)


def _column_types() -> dict[str, dict[str, SqlType]]:
    """The type of each column of each view, as the embedded warehouse works it out (tests hold that BigQuery's analyzer agrees)."""
    warehouse = DuckDBWarehouse()
    try:
        create_tables(warehouse)
        rows = {view.name: warehouse.query(Statement("describe", f'DESCRIBE "{view.name}"')) for view in VIEWS}
    finally:
        warehouse.close()
    return {name: {row["column_name"]: _type(row["column_type"]) for row in found} for name, found in rows.items()}


def _type(text: str) -> SqlType:
    """A sum of integers is HUGEINT in DuckDB, and INT64 in GoogleSQL."""
    return parse_duckdb_type(text.replace("HUGEINT", "BIGINT"))


def render() -> dict[str, str]:
    """The text of each file by its name."""
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in
            (("tables.json", tables()), ("views.json", views()))}  # fmt: skip


def main() -> None:
    """Write the files."""
    SCHEMA_FOLDER.mkdir(exist_ok=True)
    for name, text in render().items():
        (SCHEMA_FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
