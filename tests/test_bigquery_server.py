"""The whole pipeline through the real BigQuery client, over HTTP, against the stand-in of `tests/bigquery_server`."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials

from bq_monitor import capture_reference, run
from bq_monitor.capture import build_reference, wanted_features
from bq_monitor.config import parse_config
from bq_monitor.due import Asked, estimate_bytes, make_plan
from bq_monitor.errors import (
    AccessError,
    BqMonitorError,
    BudgetError,
    DeadlineError,
    StatementError,
    TableNotFoundError,
    WarehouseError,
)
from bq_monitor.job import execute
from bq_monitor.reference import load_references, store_reference
from bq_monitor.warehouse.base import Param, Row, Statement, Terms, Warehouse
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import ALERT_EVENTS, RUNS, TABLES, Table
from bq_monitor.warehouse.setup import create_tables
from bq_monitor.warehouse.views import VIEWS
from tests.bigquery_lab import FIRST_DAY, LOG, WEEKLY, Lab, connect, loans
from tests.bigquery_server.server import Server, serve

MADE_ANEW = {
    "run_id", "computed_at", "verdict_key", "scan_definition_id", "coverage_key", "started_at", "finished_at", "captured_at",
    "bytes_processed", "bytes_billed", "cost", "month_to_date_cost", "slot_ms", "duration_seconds", "reference_id", "salt",
    "created_at", "not_before", "payload",
}  # fmt: skip
OF_OUTCOMES = ("arrivals", "outcome_histograms")
"""How the tables and views begin whose `data_version` names a counting, of which the log's name is a part."""
RESULTS = (
    "drift_results",
    "quality_results",
    "performance_results",
    "alert_events",
    "notifications",
    "actions",
    "runs",
)


def stored(warehouse: Warehouse, name: str) -> list[Row]:
    """The rows of one of our tables or views, in a fixed order, without what differs from run to run."""
    quoted = warehouse.table(name) if warehouse.dialect == "bigquery" else f'"{name}"'
    made_anew = MADE_ANEW | ({"data_version"} if name.startswith(OF_OUTCOMES) else set())
    rows = [
        {key: _plain(value) for key, value in row.items() if key not in made_anew}
        for row in warehouse.query(Statement("test", f"SELECT * FROM {quoted}"))
    ]
    return sorted(rows, key=lambda row: str([value for value in row.values() if not isinstance(value, (float, list))]))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return (
        [list(item.values()) if isinstance(item, dict) else item for item in value]
        if isinstance(value, list)
        else value
    )


def assert_same(expected: Any, actual: Any) -> None:
    """Equal, floats to 1e-9."""
    if isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for left, right in zip(expected, actual, strict=True):
            assert_same(left, right)
    elif isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(value, actual[name])
    elif isinstance(expected, float) and actual is not None:
        assert math.isclose(actual, expected, rel_tol=1e-9, abs_tol=1e-12), (actual, expected)
    else:
        assert actual == expected


def test_every_count_verdict_and_view_equals_the_embedded_warehouse(captured: Lab) -> None:
    """The same log judged on both: every bucket of every day, every number of every verdict, every row of every view."""
    embedded = DuckDBWarehouse()
    create_tables(embedded)
    (reference,) = load_references(captured.warehouse, "loans")
    store_reference(embedded, reference)
    captured.run("2026-01-20")
    config = captured.config(embedded=True)
    execute(embedded, config, Asked.parse(config, "2026-01-20"))
    for entity in (*TABLES, *VIEWS):
        expected = stored(embedded, entity.name)
        assert expected, entity.name
        assert_same(expected, stored(captured.warehouse, entity.name))
    statuses = {
        (row["model_version"], row["window_end"].day, row["feature"]): row["status"]
        for row in stored(embedded, "drift_results")
    }
    assert [statuses["1", day, "amount"] for day in (11, 18)] == ["ok", "drift"]
    assert statuses["2", 18, "amount"] == "not_evaluated"
    embedded.close()


def test_a_reference_of_a_table_equals_that_of_a_file(lab: Lab, rng: np.random.Generator) -> None:
    """Captured by BigQuery's SQL from a table, or by the embedded engine from a file: the same edges, labels and counts."""
    training = loans(rng, 1, 3000)
    expected = lab.build(training)
    lab.server.engine.load("acme-ml.serving.training", f"SELECT * FROM '{lab.folder}/training.parquet'")
    relation = lab.warehouse.relation("serving.training")
    wanted = wanted_features(lab.config(), relation)
    actual = build_reference(lab.warehouse, relation, wanted, monitor="loans", version="1", unfit="refuse", salt="salt")
    assert actual.reference_id == expected.reference_id
    assert [f.known for f in actual.features] == [f.known for f in expected.features]
    store_reference(lab.warehouse, actual)
    (loaded,) = load_references(lab.warehouse, "loans")
    assert loaded == actual


def test_capture_and_run_need_only_the_url(
    server: Server, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator, tmp_path: Path
) -> None:
    """The two calls that a pipeline makes, with the client that they make for themselves."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.url)
    monkeypatch.setattr("google.auth.default", lambda **options: (AnonymousCredentials(), "acme-ml"))
    training, log = tmp_path / "training.parquet", tmp_path / "log.parquet"
    pq.write_table(loans(rng, 1, 500), training)
    pq.write_table(loans(rng, 7, 60), log)
    server.engine.load(LOG, f"SELECT * FROM '{log}'", partition="predicted_at")
    config = parse_config({
        "monitor": "loans", "warehouse": "bigquery://acme-ml/mon", "source": {"table": LOG, "timestamp": "predicted_at"},
        "features": ["n_accounts", {"name": "region", "kind": "categorical"}], "window": WEEKLY,
    })  # fmt: skip
    frame = pd.read_parquet(training)
    first, second = (capture_reference(frame, config, version="1") for _ in range(2))
    assert (first.reference_id, first.captured_at) == (second.reference_id, second.captured_at)
    assert len(run(config, "2026-01-12").results) == 2


def test_tables_are_described_partitioned_and_made_once(lab: Lab) -> None:
    """`init` leaves what the schema says, column for column; a second one changes nothing and fails at nothing."""
    made = {name: entity.created_ms for name, entity in lab.server.engine.entities.items() if entity.kind == "TABLE"}
    create_tables(lab.warehouse)
    assert {name: lab.server.engine.entities[name].created_ms for name in made} == made
    for table in TABLES:
        stored_table = lab.client.get_table(f"acme-ml.mon.{table.name}")
        assert stored_table.description == table.description
        assert stored_table.time_partitioning.field == table.partition
        assert stored_table.clustering_fields == list(table.cluster)
        assert [(item.name, item.description) for item in stored_table.schema] == [
            (c.name, c.description) for c in table.columns
        ]
    for view in VIEWS:
        fields = lab.client.get_table(f"acme-ml.mon.{view.name}").schema
        assert {item.name: item.description for item in fields} == dict(view.columns)


def test_a_rerun_scans_and_writes_nothing(captured: Lab) -> None:
    """At the same moment again: no scan of the log, no insert, no new row of any table."""
    first = captured.run("2026-01-20")
    assert len(first.windows) == 2
    before, asked = {table.name: captured.count(table.name) for table in TABLES}, len(captured.steps())
    assert all(before.values())
    again = captured.run("2026-01-20")
    assert (again.results, again.performance, again.quality) == ((), (), ())
    assert {table.name: captured.count(table.name) for table in TABLES} == before
    assert not [step for step in captured.steps()[asked:] if step == "scan-histograms" or step.startswith("write-")]


def test_late_rows_are_counted_and_the_window_judged_again(captured: Lab, rng: np.random.Generator) -> None:
    """The days that grew are scanned again, alone; the older verdict stays, the view shows the newer."""
    captured.settings["window"] = {**WEEKLY, "restate": "14d"}
    captured.run("2026-01-20")
    log = pq.read_table(captured.folder / "log.parquet")
    captured.write_log(log, loans(rng, 1, 50).cast(log.schema))
    asked = len(captured.steps())
    result = captured.run("2026-01-20")
    assert {(r.judgement.window.end.day, r.judgement.model_version) for r in result.results} == {(11, "1")}
    assert captured.steps()[asked:].count("scan-histograms") == 2  # of the features, and of the answers
    assert result.n_granules_counted == 2  # a day of UTC lies in two days of Berlin
    counted = captured.server.engine.ask(
        "SELECT granule, COUNT(*) FROM `acme-ml.mon.arrivals` GROUP BY granule ORDER BY granule"
    )
    assert [n for _, n in counted] == [2, 2] + [1] * 12
    amounts = "WHERE feature = 'amount' AND model_version = '1' AND window_start < TIMESTAMP '2026-01-10 00:00:00+00'"
    (older, newer) = captured.server.engine.ask(
        f"SELECT n_current FROM `acme-ml.mon.drift_results` {amounts} ORDER BY computed_at"
    )
    assert newer > older
    assert captured.server.engine.ask(f"SELECT n_current FROM `acme-ml.mon.drift_latest` {amounts}") == [newer]


def test_a_new_day_costs_what_that_day_holds(captured: Lab) -> None:
    """The partition of the log is pruned: one more day reads its own rows, whatever the length of the log."""
    captured.settings["window"] = {**WEEKLY, "every": "1d", "timezone": "UTC"}
    captured.run("2026-01-18")
    due = make_plan(captured.warehouse, captured.config(), Asked(datetime(2026, 1, 19, tzinfo=UTC)))
    expected = estimate_bytes(captured.warehouse, due)
    before = captured.server.bytes_by_step()["scan-histograms"]
    captured.run("2026-01-19")
    actual = captured.server.bytes_by_step()["scan-histograms"] - before
    day = [row for row in pq.read_table(captured.folder / "log.parquet").to_pylist() if row["predicted_at"].day == 18]
    texts = [row[name] for row in day for name in ("model_version", "grade", "region") if row[name] is not None]
    widths = sum(len(text.encode()) + 2 for text in texts)
    widths += len(day) * (4 * 8 + 2 * 1) + 8 * sum(row["amount"] is not None for row in day)
    widths += len(day) * (8 + (1 + 2) + 1 + 8)  # the answers' scan: time, version, prediction and score once more
    assert len(day) == 120
    assert actual == expected == widths


def test_bytes_are_the_widths_of_the_columns_named(lab: Lab) -> None:
    """Numbers 8, booleans 1, text 2 and its UTF-8 length, structs and arrays their sum, NULL none; unread columns are free."""
    lab.server.engine.load(
        "acme-ml.serving.small",
        "SELECT 1 AS n, 'ü' AS t, true AS b, [{'x': 1, 'y': 'ab'}] AS s UNION ALL SELECT 2, NULL, false, []",
    )
    sizes = {
        column: lab.warehouse.estimate(Statement("q", f"SELECT q.{column} FROM `acme-ml.serving.small` AS q")) for column in "ntbs"
    }  # fmt: skip
    assert sizes == {"n": 16, "t": 4, "b": 2, "s": 12}
    lab.warehouse.query(Statement("q", "SELECT q.n, q.t FROM `acme-ml.serving.small` AS q"))
    assert lab.warehouse.spent.bytes_processed == 20


VALUES: list[tuple[str, Any]] = [
    ("INT64", 2**63 - 1), ("INT64", -(2**63)), ("FLOAT64", 0.1), ("FLOAT64", 5e-324), ("FLOAT64", math.inf), ("FLOAT64", -math.inf),
    ("FLOAT64", math.nan), ("FLOAT64", -1.7976931348623157e308), ("STRING", "it's `a` \\ \"ü\" 日本 😀 \n\t@x $x"), ("STRING", ""), ("BOOL", True),
    ("BOOL", False), ("TIMESTAMP", datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)),
    ("TIMESTAMP", datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ("DATE", date(2024, 2, 29)), ("ARRAY<FLOAT64>", [1.5, math.inf, -0.0]), ("ARRAY<INT64>", []), ("ARRAY<STRING>", ["a", "", "ü"]),
    ("STRUCT<a INT64, b STRING>", {"a": None, "b": "x"}), ("ARRAY<STRUCT<a INT64, b ARRAY<STRING>>>", []),
    ("ARRAY<STRUCT<a FLOAT64, b ARRAY<STRUCT<c STRING, d TIMESTAMP>>, e BOOL>>",
     [{"a": 0.5, "b": [{"c": "x", "d": FIRST_DAY}, {"c": None, "d": None}], "e": None}, {"a": None, "b": [], "e": False}]),
    *((kind, None) for kind in ("INT64", "FLOAT64", "STRING", "BOOL", "TIMESTAMP", "DATE")),
]  # fmt: skip


def test_every_parameter_comes_back_as_it_went(lab: Lab) -> None:
    """Each type that a statement of ours carries, at its limits, through the client both ways."""
    params = {f"p{i}": Param(kind, value) for i, (kind, value) in enumerate(VALUES)}
    sql = "SELECT " + ", ".join(f"@{name} AS {name}" for name in params)
    (row,) = lab.warehouse.query(Statement("q", sql, params))
    for (kind, expected), actual in zip(VALUES, row.values(), strict=True):
        assert repr(actual) == repr(expected).replace("datetime.timezone.utc", repr(UTC)), kind


def test_results_come_in_pages(lab: Lab) -> None:
    """More rows than a page holds all arrive, in order."""
    lab.server.page_rows = 7
    rows = lab.warehouse.query(Statement("q", "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 50)) AS n ORDER BY n"))
    assert [row["n"] for row in rows] == list(range(1, 51))
    assert sum(item.method == "jobs.getQueryResults" for item in lab.server.log) > 50 // 7


def test_a_column_that_goes_away_during_a_run(captured: Lab) -> None:
    """The scan is refused and the error says whom to ask; the next run counts what is there, and says what is not."""
    gone = f"SELECT * EXCLUDE (n_accounts) FROM '{captured.folder}/log.parquet'"
    change = lambda: captured.server.engine.load(LOG, gone, partition="predicted_at")  # noqa: E731
    captured.server.faults.add("jobs.insert bq-monitor-count", change)
    with pytest.raises(WarehouseError, match=r"scan/histograms: .*n_accounts.*'bq-monitor validate' compares"):
        captured.run("2026-01-20")
    result = captured.run("2026-01-20")
    reasons = {r.feature: r.verdict.reason for r in result.results if r.judgement.model_version == "1"}
    assert reasons["n_accounts"] == "missing column"
    assert reasons["region"] is None


def test_partitions_that_did_not_change_are_not_read(captured: Lab) -> None:
    """A log with versions is looked at from the first partition that was written to since the last run, not from `restate` on."""
    captured.settings["window"] = {**WEEKLY, "every": "1d", "timezone": "UTC", "restate": "5d"}
    captured.server.engine.now = lambda: datetime.now(UTC) - timedelta(hours=1)
    captured.server.engine.drop(LOG)
    captured.write_log(pq.read_table(captured.folder / "log.parquet"))
    captured.run("2026-01-17")
    looked = captured.server.bytes_by_step()["scan-granules"]
    captured.run("2026-01-18")
    one_day = captured.server.bytes_by_step()["scan-granules"] - looked
    assert one_day == 120 * (8 + 3)  # the time and the version, a text of one letter
    captured.server.engine.now = lambda: datetime.now(UTC)
    captured.server.engine.append(
        LOG, f"SELECT * FROM '{captured.folder}/log.parquet' WHERE predicted_at::DATE = '2026-01-15' LIMIT 10"
    )
    result = captured.run("2026-01-18")
    assert {r.judgement.window.end.day for r in result.results} == {16, 17, 18}


INSERT = Statement(
    "write/rows", "INSERT INTO `acme-ml.mon.runs` (monitor, run_id) SELECT 'm', @id", {"id": Param("STRING", "1")}
)


def blank(table: Table, n: int = 1) -> list[Row]:
    return [
        {column.name: [] if column.type.startswith("ARRAY") else None for column in table.columns} for _ in range(n)
    ]


def test_a_commit_that_fails_halfway_leaves_nothing(captured: Lab) -> None:
    """The second INSERT of the transaction fails for good: no verdict is stored; the next run, under the next id, stores all of them."""
    captured.server.faults.add("statement INSERT INTO `acme-ml.mon.alert_events`", "fail", times=4)
    with pytest.raises(
        WarehouseError, match=r"write/commit: The job encountered an error during execution.*bq-monitor-commit"
    ):
        captured.run("2026-01-20")
    assert {captured.count(name) for name in RESULTS} == {0}
    scans = captured.steps().count("scan-histograms")
    result = captured.run("2026-01-20")
    assert captured.count("drift_results") == len(result.results) > 0
    assert captured.count("performance_results") == len(result.performance) > 0
    assert captured.count("runs") == 1
    assert captured.steps().count("scan-histograms") == scans  # the counts of the first run are used


@pytest.mark.parametrize("fault", ["serialization", "fail"])
def test_a_transaction_that_the_service_aborts_is_run_again(lab: Lab, fault: str) -> None:
    """A concurrent change, or a fault of the service, aborts the commit: within the same run it is made good, once."""
    lab.server.faults.add("statement COMMIT", fault, times=2)
    lab.warehouse.commit({RUNS: blank(RUNS), ALERT_EVENTS: blank(ALERT_EVENTS)}, key="k")
    assert (lab.count("runs"), lab.count("alert_events")) == (1, 1)
    assert len({item.job_id for item in lab.server.queries("BEGIN TRANSACTION")}) == 3


@pytest.mark.parametrize("fault", ["503 after", "drop after", "503 before", "drop before", "429 before", "500 after"])
def test_an_answer_that_is_lost_does_not_write_twice(captured: Lab, fault: str) -> None:
    """Whether or not the service did it, the client asks again under the same id: every count and verdict is there once."""
    captured.server.faults.add("jobs.insert bq-monitor-count", fault)
    captured.server.faults.add("jobs.insert bq-monitor-commit", fault)
    result = captured.run("2026-01-20")
    ((n, distinct),) = captured.server.engine.ask(
        "SELECT COUNT(*), COUNT(DISTINCT (feature, granule, model_version)) FROM `acme-ml.mon.production_histograms`"
    )
    assert n == distinct > 0
    assert captured.count("drift_results") == len(result.results)
    assert captured.count("runs") == 1
    commits = [
        item.job_id for item in captured.server.log if item.method == "jobs.insert" and "-commit-" in item.job_id
    ]
    assert len(commits) == 2
    assert len(set(commits)) == 1


def test_a_job_that_fails_while_it_is_waited_for_is_tried_anew(lab: Lab) -> None:
    """The error of a job comes as the error of the request for its rows; asking again would bring it again, until the deadline."""
    lab.server.faults.add("statement INSERT", "slow 0.6")  # the client waits for its rows by then
    lab.server.faults.add("statement INSERT", "fail")
    lab.warehouse.execute(INSERT, key="k")
    assert lab.count("runs") == 1
    failed, _ = sorted({item.job_id for item in lab.server.queries("INSERT")})
    asked = [item for item in lab.server.log if item.method == "jobs.getQueryResults" and failed in item.path]
    assert len(asked) == 1


def test_two_at_once_with_one_key_write_once(lab: Lab) -> None:
    """The second gets 409, waits for the job of the first, and writes nothing itself."""
    lab.server.faults.add("statement INSERT", "slow 0.6")
    failures: list[BaseException] = []

    def work() -> None:
        other = BigQueryWarehouse("acme-ml", "mon", client=connect(lab.server))
        try:
            other.execute(INSERT, key="k")
        except BaseException as error:
            failures.append(error)
        finally:
            other.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert lab.count("runs") == 1
    assert len(lab.server.queries("INSERT")) == 2
    assert len({item.job_id for item in lab.server.queries("INSERT")}) == 1


def test_two_datasets_of_one_project_do_not_share_jobs(lab: Lab) -> None:
    """Job ids are unique in a project; the same work for another dataset is other work."""
    lab.server.engine.create_dataset("acme-ml.staging", "US")
    staging = BigQueryWarehouse("acme-ml", "staging", client=lab.client)
    create_tables(staging)
    for warehouse in (lab.warehouse, staging):
        sql = INSERT.sql.replace("`acme-ml.mon.runs`", warehouse.table("runs"))
        warehouse.execute(Statement("write/rows", sql, INSERT.params), key="k")
    assert lab.count("runs") == 1
    assert lab.server.engine.ask("SELECT COUNT(*) FROM `acme-ml.staging.runs`") == [(1,)]


def test_work_is_done_again_for_tables_that_were_dropped(lab: Lab) -> None:
    """A job that is older than our tables wrote into tables that are gone: its id is spent, the work is not."""
    lab.warehouse.execute(INSERT, key="k")
    lab.warehouse.execute(INSERT, key="k")
    assert lab.count("runs") == 1
    lab.server.engine.drop("acme-ml.mon.runs")
    create_tables(lab.warehouse)
    lab.warehouse.execute(INSERT, key="k")
    assert lab.count("runs") == 1


def test_a_view_keeps_its_schema_when_its_table_is_gone(lab: Lab) -> None:
    """`tables.get` says what columns it had, as the service does; a query of it fails."""
    before = lab.client.get_table("acme-ml.mon.run_costs").schema
    lab.server.engine.drop("acme-ml.mon.runs")
    after = lab.client.get_table("acme-ml.mon.run_costs").schema
    assert before
    assert [(field.name, field.field_type) for field in after] == [(field.name, field.field_type) for field in before]


def test_a_job_of_a_region_is_found_again(lab: Lab) -> None:
    """Outside US and EU a job is only found with its location, which the dataset tells when the URL does not."""
    with serve("europe-west3") as regional:
        regional.engine.create_dataset("acme-ml.mon", "europe-west3")
        warehouse = BigQueryWarehouse("acme-ml", "mon", client=connect(regional))
        create_tables(warehouse)
        warehouse.execute(INSERT, key="k")
        warehouse.execute(INSERT, key="k")
        assert regional.engine.ask("SELECT COUNT(*) FROM `acme-ml.mon.runs`") == [(1,)]
        warehouse.close()


def wide(lab: Lab, size: int) -> None:
    """Make every row of the log `size` bytes wide."""
    query = f"SELECT * REPLACE (REPEAT('x', {size}) AS region) FROM '{lab.folder}/log.parquet'"
    lab.server.engine.load(LOG, query, partition="predicted_at")


def test_a_scan_over_the_budget_is_refused_before_it_runs(captured: Lab) -> None:
    """The dry run of even one window says more than the budget: no scan is inserted, nothing is counted or judged."""
    wide(captured, 24_000)
    captured.settings["budget"] = {"max_bytes_per_run": "25MB"}
    with pytest.raises(
        BudgetError, match=r"'loans': the scan would read 2\d,\d{3},\d{3} bytes.*max_bytes_per_run allows 25,000,000"
    ):
        captured.run("2026-01-20")
    assert "scan-histograms" not in captured.steps()
    assert captured.count("production_histograms") == captured.count("runs") == 0


def test_a_backlog_over_the_budget_is_worked_off_by_what_each_run_may_read(captured: Lab) -> None:
    """Two weeks read more than a run may, one does not: each run takes up one, and says what is left."""
    wide(captured, 24_000)
    captured.settings["budget"] = {"max_bytes_per_run": "40MB"}
    results = [captured.run("2026-01-20") for _ in range(3)]
    assert [(len(result.windows), result.n_windows_left) for result in results] == [(1, 1), (1, 0), (0, 0)]
    assert all((result.cost.bytes_processed or 0) < 40_000_000 for result in results)


def test_a_month_has_a_budget_too(captured: Lab) -> None:
    """What this month's runs have billed counts: the first week is read, the second would pass the cap."""
    captured.settings["budget"] = {"max_bytes_per_month": "200MB", "price_per_tib": 5}
    captured.run("2026-01-12")
    ((billed, cost),) = captured.server.engine.ask("SELECT bytes_billed, cost FROM `acme-ml.mon.run_costs`")
    assert billed >= 4 * 10 * 1024 * 1024  # each query that reads anything bills 10 MB
    assert cost == pytest.approx(5 * billed / 2**40)
    wide(captured, 240_000)
    with pytest.raises(
        BudgetError, match=r"have billed [\d,]{10,11} and budget.max_bytes_per_month allows 200,000,000"
    ):
        captured.run("2026-01-20")
    assert captured.count("runs") == 1


def test_the_service_refuses_what_costs_more_than_the_cap(captured: Lab) -> None:
    """The cap goes with every statement; a query bills 10 MB at least, so a smaller cap lets nothing run."""
    captured.settings["budget"] = {"max_bytes_per_run": "1MB"}
    with pytest.raises(BudgetError) as caught:
        captured.run("2026-01-20")
    assert "exceeded limit for bytes billed: 1000000. 10485760 or higher required (job bq-monitor-" in str(caught.value)
    assert_told_well(caught.value)
    assert captured.count("production_histograms") == captured.count("runs") == 0


def test_without_a_budget_no_cap_is_sent(lab: Lab) -> None:
    """No cap is no field: the service takes only digits there."""
    lab.warehouse.query(Statement("q", "SELECT 1 AS one"))
    lab.warehouse.begin(Terms(20, 20_000_000))
    lab.warehouse.query(Statement("q", "SELECT 1 AS one"))
    caps = [item.params["query"].get("maximumBytesBilled") for item in lab.server.queries("SELECT 1")]
    assert caps == [None, "20000000"]


def assert_told_well(error: BqMonitorError) -> None:
    """One paragraph, short enough to read, that ends as a sentence and repeats nothing."""
    text = str(error)
    assert "\n" not in text
    assert len(text) < 500
    assert "; reason:" not in text


REFUSALS: list[tuple[str, str, type[BqMonitorError], str]] = [
    ("SELECT * FROM `acme-ml.mon.gone` AS t", "", TableNotFoundError, "q: not found: Table acme-ml:mon.gone was not found in location US"),
    ("SELECT * FROM `acme-ml.gone.t` AS t", "", TableNotFoundError, "Dataset acme-ml:gone was not found"),
    ("SELECT 1 +", "", StatementError, "q: Syntax error"),
    ("SELECT @nobody AS x", "", StatementError, "'nobody' not found"),
    ("SELECT 1 AS one", "403 before", AccessError, "q: no access: Access Denied.*bigquery.jobs.create permission.*Grant roles/bigquery.jobUser"),
]  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal[0])
def test_a_refusal_is_told_in_one_paragraph(lab: Lab, refusal: tuple[str, str, type[BqMonitorError], str]) -> None:
    """What the service refuses, and what is not there, is one of our errors: the place, the service's words, what to do."""
    sql, fault, kind, match = refusal
    if fault:
        lab.server.faults.add("jobs.insert", fault)
    with pytest.raises(kind, match=match) as caught:
        lab.warehouse.query(Statement("q", sql))
    assert type(caught.value) is kind
    assert_told_well(caught.value)


def test_a_refusal_of_a_later_page_is_told_too(lab: Lab) -> None:
    """Pages are fetched while rows are read; a refusal there is one of our errors as well."""
    lab.server.page_rows = 2
    lab.server.faults.add("jobs.getQueryResults", "403 before", nth=3)
    with pytest.raises(WarehouseError, match="q: no access"):
        lab.warehouse.query(Statement("q", "SELECT n FROM UNNEST([1, 2, 3, 4, 5]) AS n"))


def test_a_service_that_stays_away_is_told_at_the_deadline(server: Server) -> None:
    """503 for longer than the deadline ends in an error that says how long it was tried."""
    warehouse = BigQueryWarehouse("acme-ml", "mon", client=connect(server))
    warehouse.begin(Terms(0.2))
    server.faults.add("jobs.insert", "503 before", times=1000)
    with pytest.raises(WarehouseError, match="q: no answer within 0 s") as caught:
        warehouse.query(Statement("q", "SELECT 1 AS one"))
    assert_told_well(caught.value)
    warehouse.close()


def test_work_that_outlasts_the_deadline_is_cancelled(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline the job is cancelled and has written nothing; the next run does the work under the next id, once."""
    monkeypatch.setattr("tests.bigquery_server.jobs._MAX_WAIT_SECONDS", 0.1)
    lab.server.faults.add("statement INSERT", "slow 30")
    lab.warehouse.begin(Terms(0.5))
    with pytest.raises(DeadlineError, match=r"the deadline of the run; what still ran was cancelled.*Run again"):
        lab.warehouse.execute(INSERT, key="k")
    (job,) = [job for job in lab.server.jobs.values() if "-k-" in job.id]
    assert job.finished.wait(5)
    assert job.error is not None
    assert job.error.reason == "stopped"
    assert lab.count("runs") == 0
    lab.warehouse.begin(Terms())
    lab.warehouse.execute(INSERT, key="k")
    assert lab.count("runs") == 1


def test_work_is_cancelled_at_the_deadline_though_nobody_answers(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests for rows that fail one after another end with the deadline too, and with them the job."""
    monkeypatch.setattr("tests.bigquery_server.jobs._MAX_WAIT_SECONDS", 0.1)
    lab.server.faults.add("statement INSERT", "slow 30")
    lab.server.faults.add("jobs.getQueryResults bq-monitor-k-", lambda: time.sleep(0.3), times=99)
    lab.server.faults.add("jobs.getQueryResults bq-monitor-k-", "503 before", times=99)
    lab.warehouse.begin(Terms(0.5))
    with pytest.raises(DeadlineError, match=r"what still ran was cancelled"):
        lab.warehouse.execute(INSERT, key="k")
    (job,) = [job for job in lab.server.jobs.values() if "-k-" in job.id]
    assert job.finished.wait(5)
    assert job.error is not None
    assert job.error.reason == "stopped"


def test_a_job_that_another_run_cancelled_is_done_by_this_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wait for one job; the first one's time is over and it cancels; the second does the work under the next id."""
    monkeypatch.setattr("tests.bigquery_server.jobs._MAX_WAIT_SECONDS", 0.1)
    lab.server.faults.add("statement INSERT", "slow 30")
    patient = threading.Thread(target=lambda: lab.warehouse.execute(INSERT, key="k"))
    hasty = BigQueryWarehouse("acme-ml", "mon", client=connect(lab.server))
    hasty.begin(Terms(0.7))
    patient.start()
    with pytest.raises(DeadlineError):
        hasty.execute(INSERT, key="k")
    patient.join()
    hasty.close()
    assert lab.count("runs") == 1
    assert len({item.job_id for item in lab.server.queries("INSERT")}) == 2


def test_more_than_a_request_holds_is_refused_with_a_reason(lab: Lab) -> None:
    """A request has at most 10 MB, parameters included."""
    rows = [{"id": "x" * 1000}] * 11_000
    asked = Statement(
        "write/rows", "SELECT r.id FROM UNNEST(@rows) AS r", {"rows": Param("ARRAY<STRUCT<id STRING>>", rows)}
    )
    with pytest.raises(WarehouseError, match="payload size exceeds the limit: 10485760 bytes"):
        lab.warehouse.query(asked)


def test_rows_come_a_page_at_a_time(lab: Lab) -> None:
    """Of many rows no more than a page is held: what is taken of each is all that stays, and pages are no larger than asked for."""
    asked = Statement("read/rows", "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 1200)) AS n ORDER BY n", {})
    assert lab.warehouse.query_each(asked, lambda row: row["n"] * 2) == list(range(2, 2402, 2))
    pages = [item.path for item in lab.server.log if "/queries/" in item.path]
    assert len(pages) >= 3


def test_a_large_commit_is_staged_and_still_one_transaction(captured: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """More verdicts than a request holds arrive in parts, and appear all at once or not at all; no stage is left behind."""
    monkeypatch.setattr("bq_monitor.warehouse.bigquery.MAX_ROWS_BYTES", 30_000)
    captured.deadline_seconds = 300.0  # each attempt stages anew
    captured.server.faults.add("statement INSERT INTO `acme-ml.mon.runs`", "fail", times=4)
    with pytest.raises(WarehouseError, match=r"bq-monitor-commit"):
        captured.run("2026-01-20")
    assert {captured.count(name) for name in RESULTS} == {0}
    left = {name for name in captured.server.engine.entities if ".staging_" in name}
    result = captured.run("2026-01-20")
    expected = {
        (r.feature, r.judgement.model_version, r.judgement.window.end, r.verdict.n_current) for r in result.results
    }
    rows = captured.warehouse.query(
        Statement(
            "q", "SELECT d.feature, d.model_version, d.window_end, d.n_current FROM `acme-ml.mon.drift_results` AS d"
        )
    )
    assert len(rows) == len(result.results)
    assert {tuple(row.values()) for row in rows} == expected
    assert {name for name in captured.server.engine.entities if ".staging_" in name} == left
    loads = [item for item in captured.server.log if item.kind == "load"]
    assert len(loads) == captured.steps().count("write-stage") == 2 * len(RESULTS)  # by two runs


def test_every_job_is_labelled(captured: Lab) -> None:
    """Costs can be told apart by label: every job of a run says that it is ours, and its step."""
    captured.run("2026-01-20")
    run_key = captured.server.engine.ask("SELECT run_id FROM `acme-ml.mon.runs`")[0][0]
    labels = [item.params["labels"] for item in captured.server.queries() if item.params["labels"].get("run_key")]
    assert {(item["application"], item["monitor"], item["run_key"]) for item in labels} == {
        ("bq-monitor", "loans", run_key)
    }
    assert set(captured.steps()) >= {
        "read-references",
        "scan-granules",
        "scan-histograms",
        "read-windows",
        "write-commit",
    }
