"""Our tables and views mean the same wherever they are written down: DDL, load schema, terraform's JSON."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlglot import exp, parse_one

from bq_monitor.warehouse.base import Dialect
from bq_monitor.warehouse.parameters import json_schema, schema_fields
from bq_monitor.warehouse.schema import SCHEMA_VERSION, TABLES, Table
from bq_monitor.warehouse.setup import setup_statements, view_query
from bq_monitor.warehouse.views import VIEWS
from tests.bigquery_server import ddl
from tests.bigquery_server.values import LEGACY

FOLDER = Path(__file__).parent.parent / "terraform"
DIGESTS = {10: "797a3b3e12ea926b"}
"""What the tables of each version are, as far as this test knows them; one who changes a table adds a version."""


@dataclass(frozen=True)
class Names:
    """A BigQuery warehouse without a connection."""

    dialect: Dialect = "bigquery"

    def table(self, name: str) -> str:
        return f"`proj-1.monitoring.{name}`"


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("terraform_generate", FOLDER / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for themselves there
    spec.loader.exec_module(module)
    return module


def committed(name: str) -> Any:
    return json.loads((FOLDER / "schema" / name).read_text(encoding="utf-8"))


def definition(kind: str, name: str) -> exp.Create:
    """A table or view as `init` creates it."""
    sql = next(item.sql for item in setup_statements(Names()) if item.name == f"{kind}/{name}")
    tree = parse_one(sql, read="bigquery")
    assert isinstance(tree, exp.Create)
    return tree


def field_of(name: str, kind: exp.DataType, description: str | None = None) -> dict[str, Any]:
    """A column of DDL as a field of BigQuery's JSON, read by sqlglot alone."""
    is_array = kind.is_type(exp.DType.ARRAY)
    scalar = kind.expressions[0] if is_array else kind
    word = scalar.sql("bigquery").split("<")[0]
    field = {"name": name, "type": LEGACY.get(word, word), "mode": "REPEATED" if is_array else "NULLABLE"}
    if description is not None:
        field["description"] = description
    if scalar.is_type(exp.DType.STRUCT):
        field["fields"] = [field_of(part.name, part.args["kind"]) for part in scalar.expressions]
    return field


def filled(query: str) -> str:
    """A query of terraform's JSON with the placeholders replaced as terraform does it."""
    return query.replace("${project}", "proj-1").replace("${dataset}", "monitoring")


def test_the_files_are_what_the_generator_writes() -> None:
    """`python terraform/generate.py` changes nothing."""
    rendered = load_generator().render()
    assert {path.name for path in (FOLDER / "schema").glob("*.json")} == set(rendered)
    for name, text in rendered.items():
        assert (FOLDER / "schema" / name).read_text(encoding="utf-8") == text, (
            f"{name}: run python terraform/generate.py"
        )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_one_thing_in_ddl_load_schema_and_terraform(table: Table) -> None:
    """Columns, their order, types and descriptions, partition and clustering are the same in all three."""
    written, tree = committed("tables.json")[table.name], definition("tables", table.name)
    entity = ddl.describe(tree, 0, {})
    columns = [
        field_of(item.name, item.args["kind"], entity.columns[item.name]) for item in ddl.column_definitions(tree)
    ]
    assert written["schema"] == columns
    assert (written["description"], written["partition"], written["cluster"]) == (
        entity.description,
        entity.partition,
        entity.cluster,
    )
    assert [field.to_api_repr() for field in schema_fields(table)] == columns


def test_every_table_and_view_is_there() -> None:
    """Terraform makes what `init` makes, no more and no less; views come after those that they read."""
    assert list(committed("tables.json")) == [table.name for table in TABLES]
    views = committed("views.json")
    assert {view["name"] for view in views} == {view.name for view in VIEWS}
    levels = {view["name"]: view["level"] for view in views}
    assert [view["level"] for view in views] == sorted(levels.values())
    for view in views:
        tree = parse_one(filled(view["query"]), read="bigquery")
        read = {node.name for node in tree.find_all(exp.Table) if node.db} & set(levels)
        assert set(view["depends_on"]) == read, view["name"]
        assert view["level"] == max((levels[name] + 1 for name in read), default=0), view["name"]


@pytest.mark.parametrize("view", committed("views.json"), ids=lambda view: view["name"])
def test_a_view_is_one_thing_in_ddl_and_terraform(view: dict[str, Any]) -> None:
    """The query is the DDL's once the placeholders are filled in; so are the columns with their descriptions."""
    described, tree = next(item for item in VIEWS if item.name == view["name"]), definition("views", view["name"])
    assert filled(view["query"]) == view_query(described, Names()).strip()
    assert parse_one(filled(view["query"]), read="bigquery") == tree.expression
    assert "${" not in filled(view["query"])
    entity = ddl.describe(tree, 0, {})
    assert {field["name"]: field["description"] for field in view["columns"]} == entity.columns
    assert [field["name"] for field in view["columns"]] == list(described.columns)
    assert view["description"] == entity.description


def test_a_change_of_the_tables_is_a_new_version() -> None:
    """Who changes names, order or types of columns, a partition or a clustering raises SCHEMA_VERSION and adds a case here.

    Then show in tests/migrations that older tables are brought there, and that NULL in what is new means nothing wrong.
    """
    what = [[t.name, t.partition, t.cluster, [[c.name, c.type] for c in t.columns]] for t in TABLES]
    assert DIGESTS[SCHEMA_VERSION] == hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
    assert max(DIGESTS) == SCHEMA_VERSION


def test_the_json_schema_says_what_bigquery_gives_back() -> None:
    """Types by the names that the service answers, so that terraform sees no difference; a mode always."""
    allowed = {"STRING", "INTEGER", "FLOAT", "BOOLEAN", "TIMESTAMP", "RECORD"}

    def walk(fields: list[dict[str, Any]]) -> None:
        for field in fields:
            assert field["type"] in allowed
            assert field["mode"] in ("NULLABLE", "REPEATED")
            walk(field.get("fields", []))

    for table in TABLES:
        walk(json_schema(table))
    for view in committed("views.json"):
        walk(view["columns"])
