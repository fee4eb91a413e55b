"""ALTER TABLE ... ADD COLUMN of the stand-in behaves as BigQuery documents it."""

from __future__ import annotations

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, NotFound
from google.cloud import bigquery

from tests.bigquery_lab import connect
from tests.bigquery_server.server import Server


@pytest.fixture
def client(server: Server) -> bigquery.Client:
    """A client; the table t has one row."""
    made = connect(server)
    made.query("CREATE TABLE `acme-ml.mon.t` (a INT64)").result()
    made.query("INSERT INTO `acme-ml.mon.t` (a) VALUES (1)").result()
    return made


def test_added_columns_are_described_and_empty(server: Server, client: bigquery.Client) -> None:
    """NULL in rows that were there, an empty array where it is one; the description is kept; one that is there already is left alone."""
    client.query(
        "ALTER TABLE `acme-ml.mon.t` ADD COLUMN IF NOT EXISTS a STRING, ADD COLUMN b BOOL OPTIONS (description = 'it\\'s b'), "
        "ADD COLUMN c ARRAY<STRUCT<n INT64>>"
    ).result()
    fields = client.get_table("acme-ml.mon.t").schema
    assert [(f.name, f.field_type, f.mode, f.description) for f in fields] == [
        ("a", "INTEGER", "NULLABLE", None), ("b", "BOOLEAN", "NULLABLE", "it's b"), ("c", "RECORD", "REPEATED", None),
    ]  # fmt: skip
    assert server.engine.ask("SELECT * FROM `acme-ml.mon.t`") == [(1, None, [])]


def test_what_cannot_be_added_is_refused(server: Server, client: bigquery.Client) -> None:
    """A column that is there, one that may not be NULL, a table that is not there, an account without tables.update; nothing is added."""
    for added, said in (
        ("b INT64, ADD COLUMN A STRING", "already exists"),
        ("b INT64, ADD COLUMN c INT64 NOT NULL", "required field"),
    ):
        with pytest.raises(BadRequest, match=said):
            client.query(f"ALTER TABLE `acme-ml.mon.t` ADD COLUMN {added}").result()
    with pytest.raises(NotFound):
        client.query("ALTER TABLE `acme-ml.mon.absent` ADD COLUMN b INT64").result()
    server.deny("bigquery.tables.update", "acme-ml.mon.t")
    with pytest.raises(Forbidden, match=r"bigquery\.tables\.update"):
        client.query("ALTER TABLE `acme-ml.mon.t` ADD COLUMN b INT64").result()
    assert [field.name for field in client.get_table("acme-ml.mon.t").schema] == ["a"]
