"""Tables of older versions are brought to this one by `init`, without the loss of a row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest

from bq_monitor.cli.main import cli
from bq_monitor.errors import SchemaError
from bq_monitor.reference import load_references
from bq_monitor.results import RunResult
from bq_monitor.validation import examine
from bq_monitor.warehouse.base import Statement
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.migration import lacking_columns
from bq_monitor.warehouse.schema import SCHEMA_VERSION, TABLES
from bq_monitor.warehouse.setup import Setup, create_tables, setup_statements
from bq_monitor.warehouse.types import parse_type
from bq_monitor.warehouse.views import VIEWS
from tests.bigquery_lab import connect
from tests.bigquery_server.server import Server
from tests.migrations.old import VERSIONS, Old, columns_of, folder_of, old_bigquery, old_duckdb, types_of


@dataclass(frozen=True)
class Next:
    """The window after the last that an old version judged: how its log is made of the last one's, and when it is due."""

    first_day: str
    days: int
    as_of: str
    judged: tuple[str, ...]


NEXT = {
    "version_2": Next("2026-01-12", 7, "2026-01-27", ("2026-01-19", "2026-01-26")),
    "version_9": Next("2026-01-07", 2, "2026-01-12T06:00", ("2026-01-11",)),
}


@pytest.fixture(params=[(version, dialect) for version in VERSIONS for dialect in ("duckdb", "bigquery")], ids="-".join)
def old(request: pytest.FixtureRequest) -> Iterator[Old]:
    version, dialect = request.param
    made = old_duckdb(version) if dialect == "duckdb" else old_bigquery(version, request.getfixturevalue("server"))
    yield made
    made.warehouse.close()


def go_on(old: Old) -> RunResult:
    """Add the log of another window, and run."""
    following = NEXT[old.folder.name]
    changes = f"predicted_at + INTERVAL {following.days} DAY AS predicted_at"
    changes += ", id || ' again' AS id" if old.config.source.id else ""
    newest = f"predicted_at >= TIMESTAMPTZ '{following.first_day} 00:00:00+00'"
    old.append_log(f"SELECT * REPLACE ({changes}) FROM serving.log WHERE {newest}")
    return old.run(following.as_of)


def test_init_adds_what_is_missing_and_keeps_every_row(old: Old) -> None:
    """Exactly the columns and tables of this version that were not there; each old value as before; what is new is empty.

    A repeat finds all in place.
    """
    before, columns = old.rows(), columns_of(old.folder)
    assert sum(map(len, before.values())) > 40
    expected = {
        table.name: new for table in TABLES if table.name in columns
        if (new := tuple(c.name for c in table.columns if c.name not in columns[table.name]))
    }  # fmt: skip
    assert create_tables(old.warehouse) == Setup(tuple(t.name for t in TABLES if t.name not in columns), expected)
    assert expected
    assert old.rows() == before
    for name, new in expected.items():
        for column in new:
            assert old.ask(f"SELECT COUNT(*) FROM `{name}` WHERE {column} IS NOT NULL") == [(0,)], (name, column)
    for table in TABLES:
        shape = old.warehouse.shape(table.name)
        assert shape
        assert dict(shape.columns) == {column.name: parse_type(column.type) for column in table.columns}
    assert create_tables(old.warehouse) == Setup()
    assert old.rows() == before


def test_every_view_answers_of_old_rows(old: Old) -> None:
    """No verdict, count or run of the old version is missing in a view; a run without a word on it was no backfill."""
    before = old.rows()
    create_tables(old.warehouse)
    for view in VIEWS:
        old.ask(f"SELECT {', '.join(view.columns)} FROM `{view.name}`")
    n_judged = len(before["drift_results"])
    assert old.ask("SELECT COUNT(*) FROM `drift_latest`") == [(n_judged,)]
    assert old.ask("SELECT COUNT(*) FROM `drift_timeline`") == [(n_judged,)]
    assert old.ask("SELECT COUNT(*) FROM `run_costs` WHERE NOT is_backfill") == [(len(before["runs"]),)]
    assert old.ask("SELECT COUNT(DISTINCT feature) > 1 FROM `feature_histograms` WHERE reference_n > 0") == [(True,)]
    assert old.ask("SELECT COUNT(*) FROM `model_health` WHERE health IS NOT NULL") == [(1,)]
    assert old.ask("SELECT COUNT(*) FROM `alerts`") == [(0,)]


def test_old_references_are_those_of_training(old: Old) -> None:
    """A reference from before there was another baseline is still the one in force."""
    ((reference_id,),) = old.ask("SELECT DISTINCT reference_id FROM `reference_histograms`")
    create_tables(old.warehouse)
    (found,) = load_references(old.warehouse, "loans")
    assert found.reference_id == reference_id
    assert found.features


def test_the_next_run_goes_on_from_old_rows(old: Old) -> None:
    """It counts the new days alone and judges no window again whose rules of judgement are what they were.

    Between version 2 and now those rules became others, and they are part of a verdict's identity: there the newest window of the
    old version, which still stands open for late rows, is judged anew, and that verdict takes the place of the old one.
    """
    before = old.rows()
    create_tables(old.warehouse)
    outcome, following = go_on(old), NEXT[old.folder.name]
    assert outcome.n_granules_counted == following.days
    ends = [window.end for window in outcome.windows]
    assert [end.date().isoformat() for end in ends] == list(following.judged)
    assert old.ask(
        "SELECT MAX(n) FROM (SELECT COUNT(DISTINCT run_id) AS n FROM `production_histograms` GROUP BY granule, feature)"
    ) == [(1,)]
    n_results = len(before["drift_results"]) // 2
    assert old.ask("SELECT COUNT(*) FROM `drift_latest`") == [(3 * n_results,)]
    for name, rows in old.rows().items():
        assert Counter(before[name]) <= Counter(rows), name
    assert not old.run(following.as_of).windows


def test_the_outcomes_of_old_windows_are_not_judged_again(server: Server) -> None:
    """Measures of answers whose outcomes have come stay settled across the versions."""
    old = old_bigquery("version_9", server)
    create_tables(old.warehouse)
    settled = set(old.ask("SELECT window_end FROM `performance_results` WHERE NOT is_provisional"))
    assert settled
    outcome = go_on(old)
    assert outcome.performance
    assert not {(item.judgement.window.end,) for item in outcome.performance} & settled
    old.warehouse.close()


def test_a_run_on_older_tables_says_what_they_lack(old: Old) -> None:
    """Which columns of which table, and what to do; what was met is noted, and nothing is written."""
    before = old.rows()
    with pytest.raises(
        SchemaError, match=r"older version: .*alert_events lacks .*alert_id.*; run 'bq-monitor init'"
    ) as raised:
        go_on(old)
    assert raised.value.exit_code == 2
    assert any(note.startswith("Met as: ") for note in raised.value.__notes__)
    rows = old.rows()
    assert {name: rows[name] for name in ("runs", "drift_results")} == {
        name: before[name] for name in ("runs", "drift_results")
    }


def test_a_commit_to_an_older_table_says_what_it_lacks(old: Old) -> None:
    """Also where the reads of a run do without the column: nothing of the commit is there."""
    create_tables(old.warehouse)
    old.change("CREATE OR REPLACE TABLE `runs` AS SELECT * EXCEPT (package_version) FROM `runs`")
    before = old.ask("SELECT COUNT(*) FROM `drift_results`")
    with pytest.raises(SchemaError, match=r"older version: runs lacks package_version; run 'bq-monitor init'"):
        go_on(old)
    assert old.ask("SELECT COUNT(*) FROM `drift_results`") == before


def test_validate_on_older_tables_says_what_they_lack(old: Old) -> None:
    """One fault, by the same words, also where whole tables are there that were not; none after init."""
    for statement in setup_statements(old.warehouse):
        if statement.name in {f"tables/{table.name}" for table in TABLES}:
            old.warehouse.execute(statement)

    def told() -> list[str]:
        return [
            fault for fault in examine(old.warehouse, old.config, datetime.now(UTC)).faults if "older version" in fault
        ]

    (fault,) = told()
    assert "alert_events lacks" in fault
    assert "run 'bq-monitor init'" in fault
    create_tables(old.warehouse)
    assert not told()


def test_a_column_of_another_type_is_refused(old: Old) -> None:
    """Every such column is named with what it is and what it must be; nothing is changed."""
    old.change(
        "DROP VIEW `run_costs`", "DROP TABLE `runs`", "CREATE TABLE `runs` (monitor STRING, run_id INT64, n_ok FLOAT64)"
    )
    before = columns_there(old)
    with pytest.raises(SchemaError) as raised:
        create_tables(old.warehouse)
    message = str(raised.value)
    assert "runs.run_id: another type; got INT64; allowed: STRING." in message
    assert "runs.n_ok: another type; got FLOAT64; allowed: INT64." in message
    assert "Nothing was changed. Rename or move these tables" in message
    assert columns_there(old) == before


def test_an_array_with_fewer_fields_is_refused(server: Server) -> None:
    """BigQuery adds no nested field by DDL, and no version of ours ever needed it: it is another type."""
    old = old_bigquery("version_2", server)
    fewer = "monitor STRING, granule TIMESTAMP, buckets ARRAY<STRUCT<bucket INT64>>"
    old.change(
        "DROP TABLE `production_histograms`",
        f"CREATE TABLE `production_histograms` ({fewer}) PARTITION BY DATE(granule)",
    )
    with pytest.raises(
        SchemaError,
        match=r"another type; got ARRAY<STRUCT<bucket INT64>>; allowed: ARRAY<STRUCT<bucket INT64, n INT64>>\.",
    ):
        create_tables(old.warehouse)
    old.warehouse.close()


def test_no_version_ever_changed_a_type_or_a_nested_field() -> None:
    """What older tables have of our columns is what this version has: so columns alone need be added."""
    now = {table.name: {column.name: parse_type(column.type) for column in table.columns} for table in TABLES}
    for version in VERSIONS:
        for name, types in types_of(folder_of(version)).items():
            assert types.items() <= now[name].items(), (version, name)


def test_another_partition_column_is_refused(server: Server) -> None:
    """A table that is cut by another column, or not at all, would be read whole by every run."""
    old = old_bigquery("version_2", server)
    old.change(
        "DROP TABLE `runs`", "CREATE TABLE `runs` (monitor STRING, started_at TIMESTAMP, finished_at TIMESTAMP) PARTITION BY DATE(finished_at)",
        "DROP TABLE `alert_events`", "CREATE TABLE `alert_events` (monitor STRING)",
    )  # fmt: skip
    with pytest.raises(SchemaError) as raised:
        create_tables(old.warehouse)
    assert "acme-ml.mon.runs: another partition column; got finished_at; allowed: started_at." in str(raised.value)
    assert "acme-ml.mon.alert_events: another partition column; got none; allowed: window_end." in str(raised.value)
    old.warehouse.close()


@pytest.mark.parametrize("n_done", [1, 12])
def test_an_init_that_was_killed_is_finished_by_the_next(
    old: Old, monkeypatch: pytest.MonkeyPatch, n_done: int
) -> None:
    """Wherever it stopped, a repeat adds the rest, and no row is lost."""
    before, execute, done = old.rows(), old.warehouse.execute, iter(range(n_done))

    def until_killed(statement: Statement, *, key: str | None = None) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        execute(statement, key=key)

    with monkeypatch.context() as patch:
        patch.setattr(old.warehouse, "execute", until_killed)
        with pytest.raises(KeyboardInterrupt):
            create_tables(old.warehouse)
    create_tables(old.warehouse)
    assert not lacking_columns(old.warehouse)
    assert old.rows() == before
    assert create_tables(old.warehouse) == Setup()


def test_inits_at_once_are_no_harm(server: Server) -> None:
    """Both see old tables before either changes them; each column is there once, each row as it was."""
    old = old_bigquery("version_2", server)
    before, barrier = old.rows(), Barrier(2)

    class Meeting(BigQueryWarehouse):
        def execute(self, statement: Statement, *, key: str | None = None) -> None:
            if not self.has_met:
                self.has_met = barrier.wait(30) >= 0
            super().execute(statement, key=key)

        has_met = False

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(create_tables, [Meeting("acme-ml", "mon", client=connect(server)) for _ in range(2)]))
    assert done[0].added == done[1].added
    assert old.rows() == before
    assert create_tables(old.warehouse) == Setup()
    old.warehouse.close()


def test_tables_of_a_newer_version_are_worked_with(old: Old) -> None:
    """Columns that this version does not know stay, empty in its rows; init takes nothing away."""
    create_tables(old.warehouse)
    old.change(*(f"ALTER TABLE `{table.name}` ADD COLUMN from_the_future STRING" for table in TABLES))
    assert create_tables(old.warehouse) == Setup()
    assert go_on(old).windows
    assert old.ask("SELECT COUNT(*) FROM `runs` WHERE from_the_future IS NULL") == [(3,)]


def test_init_says_what_it_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the command line and as JSON: how many columns, which, of which table; nothing where all was in place."""
    path = tmp_path / "old.duckdb"
    old_duckdb("version_9", str(path)).warehouse.close()
    settings = (folder_of("version_9") / "monitor.yaml").read_text(encoding="utf-8")
    (tmp_path / "monitor.yaml").write_text(f"warehouse: duckdb://{path}\n{settings}", encoding="utf-8")
    cli(["init", f"{tmp_path}/monitor.yaml"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "added 14 columns to alert_events: measure, alert_id," in said
    assert f"{len(TABLES)} tables and {len(VIEWS)} views are in place" in said
    cli(["init", "--json", f"{tmp_path}/monitor.yaml"], standalone_mode=False)
    (again,) = json.loads(capsys.readouterr().out)
    assert (again["added"], again["created"], again["schema_version"]) == ({}, [], SCHEMA_VERSION)


def columns_there(old: Old) -> dict[str, list[str]]:
    shapes = {table.name: old.warehouse.shape(table.name) for table in TABLES}
    return {name: list(shape.columns) for name, shape in shapes.items() if shape}
