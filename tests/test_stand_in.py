"""The stand-in for BigQuery itself, through the real client: what the other tests rely on when they rely on it."""

from __future__ import annotations

import http.client
import io
import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tests.bigquery_server.server import Server, serve

D = "acme-ml.serving"
LOG = f"{D}.log"
DAY = datetime(2026, 1, 5, tzinfo=UTC)
Field = bigquery.SchemaField


def connect(server: Server, **options: Any) -> bigquery.Client:
    return bigquery.Client(
        project="acme-ml", credentials=AnonymousCredentials(), client_options={"api_endpoint": server.url}, **options
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A stand-in with one dataset; the client waits only a moment before it repeats a request."""
    waits = "google.api_core.retry.retry_unary.exponential_sleep_generator"
    monkeypatch.setattr(waits, lambda *given, **named: itertools.repeat(0.01))
    monkeypatch.setattr("google.resumable_media._helpers.calculate_retry_wait", lambda *given: (0.01, 0.01))
    with serve() as running:
        running.engine.create_dataset(D, "US")
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[bigquery.Client]:
    made = connect(server)
    yield made
    made.close()


def rows_of(client: bigquery.Client, sql: str, **params: Any) -> list[tuple[Any, ...]]:
    return [row.values() for row in client.query(sql, job_config=parameters(**params)).result()]


def parameters(**params: Any) -> bigquery.QueryJobConfig:
    kinds = {datetime: "TIMESTAMP", date: "DATE", str: "STRING", int: "INT64"}
    return bigquery.QueryJobConfig(
        query_parameters=[
            bigquery.ScalarQueryParameter(name, kinds[type(value)], value) for name, value in params.items()
        ]
    )


def put(
    client: bigquery.Client,
    table: str,
    rows: list[dict[str, Any]],
    schema: list[Field],
    job_id: str | None = None,
    **options: Any,
) -> bigquery.LoadJob:
    """Load rows by an upload, and wait for the job."""
    config = bigquery.LoadJobConfig(schema=schema, **options)
    job = client.load_table_from_json(rows, table, job_config=config, job_id=job_id)
    job.result()
    return job


def error_of(call: Callable[[], object]) -> GoogleAPICallError:
    with pytest.raises(GoogleAPICallError) as caught:
        call()
    return caught.value


def reason_of(error: GoogleAPICallError) -> str:
    return str(error.errors[0]["reason"])


N = [Field("n", "INTEGER")]
DRY = bigquery.QueryJobConfig(dry_run=True)


# --- load jobs ---

SCHEMA = [
    Field("s", "STRING"), Field("i", "INT64"), Field("f", "FLOAT64"), Field("b", "BOOL"), Field("t", "TIMESTAMP"), Field("d", "DATE"),
    Field("dt", "DATETIME"), Field("num", "NUMERIC"), Field("raw", "BYTES"), Field("fs", "FLOAT64", mode="REPEATED"),
    Field("r", "RECORD", fields=[Field("x", "INT64"), Field("ys", "STRING", mode="REPEATED")]),
    Field("rs", "RECORD", mode="REPEATED", fields=[Field("a", "STRING"), Field("in", "RECORD", fields=[Field("t", "TIMESTAMP")])]),
]  # fmt: skip
SENT: list[dict[str, Any]] = [
    {"s": "it's \"ü\" \\ 日本 😀 \n\t --bq", "i": 2**63 - 1, "f": "NaN", "b": True, "t": "2026-01-05T23:59:59.123456+00:00", "d": "2024-02-29",
     "dt": "2026-01-05 10:00:00.5", "num": "12.345678901", "raw": "AP8=", "fs": ["Infinity", "-Infinity", "NaN", 0.1, -0.0],
     "r": {"x": 1, "ys": ["a", "", "ü"]}, "rs": [{"a": "p", "in": {"t": "2026-01-05 01:00:00 UTC"}}, {"a": None, "in": None}]},
    {"s": "", "i": "-7", "f": 5e-324, "b": False, "t": "2026-01-05 01:00:00+01:00"},
]  # fmt: skip
ARRIVED: list[dict[str, Any]] = [
    {"s": SENT[0]["s"], "i": 2**63 - 1, "f": math.nan, "b": True, "t": datetime(2026, 1, 5, 23, 59, 59, 123456, tzinfo=UTC),
     "d": date(2024, 2, 29), "dt": datetime(2026, 1, 5, 10, 0, 0, 500000), "num": Decimal("12.345678901"), "raw": b"\x00\xff",
     "fs": [math.inf, -math.inf, math.nan, 0.1, -0.0], "r": {"x": 1, "ys": ["a", "", "ü"]},
     "rs": [{"a": "p", "in": {"t": datetime(2026, 1, 5, 1, tzinfo=UTC)}}, {"a": None, "in": None}]},
    {"s": "", "i": -7, "f": 5e-324, "b": False, "t": DAY, "d": None, "dt": None, "num": None, "raw": None, "fs": [], "r": None, "rs": []},
]  # fmt: skip


def test_rows_of_every_type_arrive_whole_by_an_upload(server: Server, client: bigquery.Client) -> None:
    """Nested, repeated, unicode, every kind of number, NULL: what was uploaded is what a query gives back."""
    job = put(client, LOG, SENT, SCHEMA)
    rows = client.query(f"SELECT * FROM `{LOG}` AS t ORDER BY i DESC").result()
    assert [repr(dict(row.items())) for row in rows] == [
        repr(row).replace("datetime.timezone.utc", repr(UTC)) for row in ARRIVED
    ]
    assert job.output_rows == 2
    kinds = [(item.name, item.field_type, item.mode) for item in client.get_table(LOG).schema][-3:]
    assert kinds == [("fs", "FLOAT", "REPEATED"), ("r", "RECORD", "NULLABLE"), ("rs", "RECORD", "REPEATED")]


def lines(n_rows: int) -> bytes:
    return b"".join(
        json.dumps({"n": n, "s": f"ü{n} " + "x" * 500}, ensure_ascii=False).encode() + b"\n" for n in range(n_rows)
    )


@pytest.mark.parametrize("fault", ["", "503 before", "503 after", "500 after", "drop before", "drop after"])
@pytest.mark.parametrize("chunk", [2, 13])
def test_a_large_file_arrives_in_chunks(
    server: Server, client: bigquery.Client, monkeypatch: pytest.MonkeyPatch, fault: str, chunk: int
) -> None:
    """Over 5 MB the client uploads in chunks; one that is lost, or whose answer is, is sent again: each row arrives once."""
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 1 << 20)
    data = lines(12_500)
    if fault:
        server.faults.add("jobs.upload big bytes", fault, nth=chunk if chunk < 3 else -(-len(data) // (1 << 20)))
    config = bigquery.LoadJobConfig(
        source_format="NEWLINE_DELIMITED_JSON", schema=[Field("n", "INT64"), Field("s", "STRING")]
    )
    client.load_table_from_file(io.BytesIO(data), LOG, size=len(data), job_id="big", job_config=config).result()
    assert len(data) > 5 * 1024 * 1024
    ((n, distinct, size),) = rows_of(client, f"SELECT COUNT(*), COUNT(DISTINCT n), SUM(LENGTH(s)) FROM `{LOG}` AS t")
    assert (n, distinct) == (12_500, 12_500)
    assert size == sum(len(json.loads(line)["s"]) for line in data.splitlines())
    chunks = [item for item in server.log if item.method == "jobs.upload"]
    assert len(chunks) == -(-len(data) // (1 << 20)) + bool(fault)


DISPOSITIONS = [
    ("WRITE_APPEND", [1, 2, 3]), ("WRITE_TRUNCATE", [3]), ("WRITE_EMPTY", "duplicate"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "left"), DISPOSITIONS)
def test_a_load_adds_to_what_is_there_or_takes_its_place(
    server: Server, client: bigquery.Client, write: str, left: Any
) -> None:
    """WRITE_APPEND, WRITE_TRUNCATE and WRITE_EMPTY on a table with rows, and on one without."""
    put(client, LOG, [{"n": 1}, {"n": 2}], N)
    if left == "duplicate":
        assert reason_of(error_of(lambda: put(client, LOG, [{"n": 3}], N, write_disposition=write))) == left
        left = [1, 2]
    else:
        put(client, LOG, [{"n": 3}], N, write_disposition=write)
    assert rows_of(client, f"SELECT n FROM `{LOG}` AS t ORDER BY n") == [(n,) for n in left]
    put(client, f"{D}.fresh", [{"n": 3}], N, write_disposition=write)
    assert rows_of(client, f"SELECT n FROM `{D}.fresh` AS t") == [(3,)]


def test_a_load_makes_no_table_that_it_must_not_make(server: Server, client: bigquery.Client) -> None:
    """CREATE_NEVER on a missing table is 'notFound'."""
    error = error_of(lambda: put(client, LOG, [{"n": 1}], N, create_disposition="CREATE_NEVER"))
    assert isinstance(error, NotFound)
    assert LOG not in server.engine.entities


BAD_ROWS: list[tuple[Any, str]] = [
    ({"n": "x"}, "Could not convert value to integer. Field: n; Value: x"), ({"n": 1.5}, "Could not convert value to integer"),
    ({"n": 1, "m": 2}, "No such field: m"), ({"f": "wide"}, "Could not convert value to float"), ({"t": "soon"}, "timestamp"),
    ({"f": math.nan}, "NaN is no JSON"), ({"a": [1, None]}, "Only optional fields can be set to NULL"), ({"a": 1}, "repeated"),
    ({"r": {"y": 1}}, "No such field: y"), ([1], "Expected a JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "said"), BAD_ROWS, ids=lambda item: str(item)[:20])
def test_a_bad_row_fails_the_whole_load(server: Server, client: bigquery.Client, row: Any, said: str) -> None:
    """The reason is 'invalid', `errors` has the place, and the rows of before are all that is there, also under WRITE_TRUNCATE."""
    schema = [
        *N, Field("f", "FLOAT64"), Field("t", "TIMESTAMP"), Field("a", "INT64", mode="REPEATED"), Field("r", "RECORD", fields=[Field("x", "INT64")]),
    ]  # fmt: skip
    put(client, LOG, [{"n": 1}], schema)
    config = bigquery.LoadJobConfig(schema=schema, write_disposition="WRITE_TRUNCATE")
    job = client.load_table_from_json([{"n": 2}, row], LOG, job_config=config)
    assert reason_of(error_of(job.result)) == "invalid"
    assert said in job.errors[1]["message"]
    assert "starting at position 9" in job.errors[1]["message"]
    assert rows_of(client, f"SELECT n FROM `{LOG}` AS t") == [(1,)]


def test_rows_of_another_schema_are_not_appended(server: Server, client: bigquery.Client) -> None:
    """A new field, another type and another mode are refused; a field may be missing."""
    put(client, LOG, [{"n": 1, "s": "a"}], [*N, Field("s", "STRING")])
    for field, said in (
        (Field("m", "INT64"), r"Cannot add fields \(field: m\)"),
        (Field("n", "STRING"), "Field n has changed type from INTEGER to STRING"),
        (Field("n", "INT64", mode="REPEATED"), "Field n has changed mode from NULLABLE to REPEATED"),
    ):
        with pytest.raises(BadRequest, match="Provided Schema does not match Table acme-ml:serving.log. " + said):
            put(client, LOG, [], [field])
    put(client, LOG, [{"n": 2}], N)
    assert rows_of(client, f"SELECT n, s FROM `{LOG}` AS t ORDER BY n") == [(1, "a"), (2, None)]


def test_a_load_job_has_an_id_labels_and_no_bill(server: Server, client: bigquery.Client) -> None:
    """Its id is taken once, it is in the log with its labels and kind, and it processes no bytes."""
    put(client, LOG, [{"n": 1}], N, "once", labels={"step": "stage"})
    with pytest.raises(Conflict, match=r"Already Exists: Job acme-ml:US\.once"):
        put(client, LOG, [{"n": 1}], N, "once")
    assert rows_of(client, f"SELECT COUNT(*) FROM `{LOG}` AS t") == [(1,)]
    first = server.loads()[0]
    assert (first.method, first.job_id, first.sql, first.kind) == ("jobs.insert", "once", "", "load")
    assert first.params["labels"] == {"step": "stage"}
    assert len(server.queries()) == 1
    assert server.bytes_by_step()["stage"] == 0
    assert [job.kind for job in server.jobs_of("stage")] == ["load"]


# --- tables ---


def test_a_table_is_made_described_and_deleted_through_the_api(server: Server, client: bigquery.Client) -> None:
    """What `create_table` says, `get_table` gives back; a second one is 409 unless `exists_ok`; deleted, it is gone."""
    table = bigquery.Table(LOG, [Field("ts", "TIMESTAMP", description="when"), Field("xs", "FLOAT64", mode="REPEATED")])
    table.time_partitioning = bigquery.TimePartitioning(type_="HOUR", field="ts")
    table.require_partition_filter, table.clustering_fields, table.description = True, ["ts"], "a log"
    table.expires = datetime(2030, 1, 1, tzinfo=UTC)
    client.create_table(table)
    with pytest.raises(Conflict):
        client.create_table(table)
    client.create_table(table, exists_ok=True)
    found = client.get_table(LOG)
    assert (found.time_partitioning.type_, found.time_partitioning.field) == ("HOUR", "ts")
    assert (found.require_partition_filter, found.clustering_fields, found.description) == (True, ["ts"], "a log")
    assert (found.expires, found.location, found.num_rows, found.num_bytes) == (table.expires, "US", 0, 0)
    assert [(item.name, item.field_type, item.mode, item.description) for item in found.schema] == [
        ("ts", "TIMESTAMP", "NULLABLE", "when"), ("xs", "FLOAT", "REPEATED", None),
    ]  # fmt: skip
    client.delete_table(LOG)
    client.delete_table(LOG, not_found_ok=True)
    with pytest.raises(NotFound):
        client.delete_table(LOG)


def test_a_table_says_how_much_it_holds_and_what_streams_in(server: Server, client: bigquery.Client) -> None:
    """Rows and bytes of `tables.get` leave out the streaming buffer, which is there while something is in it."""
    server.engine.load(LOG, "SELECT 1 AS n, 'ü' AS s UNION ALL SELECT 2, NULL")
    found = client.get_table(LOG)
    assert (found.num_rows, found.num_bytes, found.streaming_buffer) == (2, 8 + 4 + 8, None)
    server.engine.append(LOG, "SELECT 3 AS n", streaming=True)
    found = client.get_table(LOG)
    assert (found.num_rows, found.streaming_buffer.estimated_rows) == (2, 1)
    assert rows_of(client, f"SELECT COUNT(*) FROM `{LOG}` AS t") == [(3,)]
    server.engine.flush(LOG)
    found = client.get_table(LOG)
    assert (found.num_rows, found.streaming_buffer) == (3, None)


@pytest.mark.parametrize(
    ("cut", "kind", "unit"),
    [("DATE(ts)", "TIMESTAMP", "DAY"), ("TIMESTAMP_TRUNC(ts, HOUR)", "TIMESTAMP", "HOUR"), ("ts", "DATE", "DAY"),
     ("DATE_TRUNC(ts, MONTH)", "DATE", "MONTH"), ("DATETIME_TRUNC(ts, YEAR)", "DATETIME", "YEAR")],
)  # fmt: skip
def test_create_table_keeps_its_partitioning_and_options(
    server: Server, client: bigquery.Client, cut: str, kind: str, unit: str
) -> None:
    """PARTITION BY in each of its forms, expiration_timestamp and require_partition_filter; LIKE takes them over but for the expiry."""
    options = "expiration_timestamp = TIMESTAMP '2030-01-01 00:00:00+00', require_partition_filter = TRUE"
    client.query(f"CREATE TABLE `{LOG}` (ts {kind}) PARTITION BY {cut} OPTIONS ({options})").result()
    server.engine.entities[LOG].streaming = 1
    client.query(f"CREATE TABLE `{D}.copy` LIKE `{LOG}`").result()
    assert client.get_table(f"{D}.copy").streaming_buffer is None
    for name, expires in ((LOG, datetime(2030, 1, 1, tzinfo=UTC)), (f"{D}.copy", None)):
        found = client.get_table(name)
        assert (found.time_partitioning.type_, found.time_partitioning.field) == (unit, "ts")
        assert (found.require_partition_filter, found.expires) == (True, expires)


def test_a_table_is_made_of_a_query(server: Server, client: bigquery.Client) -> None:
    """CREATE TABLE AS reads what its query reads, and OR REPLACE takes the place of the old."""
    server.engine.load(LOG, "SELECT 1 AS n UNION ALL SELECT 2")
    job = client.query(f"CREATE TABLE `{D}.copy` AS SELECT n FROM `{LOG}` AS t")
    job.result()
    assert job.total_bytes_processed == 16
    client.query(f"CREATE OR REPLACE TABLE `{D}.copy` AS SELECT 'x' AS s").result()
    assert rows_of(client, f"SELECT * FROM `{D}.copy` AS t") == [("x",)]
    client.query(f"DROP TABLE IF EXISTS `{D}.copy`").result()
    client.query(f"DROP TABLE IF EXISTS `{D}.copy`").result()
    assert f"{D}.copy" not in server.engine.entities


# --- cancelling ---

SCRIPT = f"BEGIN TRANSACTION; INSERT INTO `{LOG}` (n) VALUES (2); COMMIT TRANSACTION;"
WAITING = [
    ("statement INSERT", f"INSERT INTO `{LOG}` (n) VALUES (2)"), ("statement COMMIT", SCRIPT), ("statement INSERT", SCRIPT),
    ("statement LOAD", ""),
]  # fmt: skip


@pytest.mark.parametrize(("match", "sql"), WAITING)
def test_a_job_that_is_cancelled_has_written_nothing(
    server: Server, client: bigquery.Client, match: str, sql: str
) -> None:
    """A job that waits ends at once, with the reason 'stopped'; of a transaction no statement stays."""
    put(client, LOG, [{"n": 1}], N)
    server.faults.add(match, "slow 600")
    config = bigquery.LoadJobConfig(schema=N)
    job = client.query(sql) if sql else client.load_table_from_json([{"n": 2}], LOG, job_config=config)
    assert client.get_job(job.job_id).state == "RUNNING"
    client.cancel_job(job.job_id)
    server.jobs[job.job_id].finished.wait(20)
    ended = client.get_job(job.job_id)
    assert ended.error_result == {
        "reason": "stopped", "message": "Job execution was cancelled: User requested cancellation",
    }  # fmt: skip
    assert rows_of(client, f"SELECT n FROM `{LOG}` AS t") == [(1,)]


def test_the_results_of_a_cancelled_job_are_an_error(server: Server, client: bigquery.Client) -> None:
    """Who waits for its rows is told."""
    server.faults.add("statement SELECT 1", "slow 600")
    job = client.query("SELECT 1")
    job.cancel()
    error = error_of(job.result)
    assert "Job execution was cancelled: User requested cancellation" in error.message
    assert reason_of(error) == "stopped"


def test_a_job_that_is_done_cannot_be_cancelled(server: Server, client: bigquery.Client) -> None:
    """It stays as it is, with its rows."""
    job = client.query("SELECT 1 AS one")
    assert [row.one for row in job.result()] == [1]
    client.cancel_job(job.job_id)
    again = client.get_job(job.job_id)
    assert (again.state, again.error_result) == ("DONE", None)
    assert [row.one for row in again.result()] == [1]


def test_closing_does_not_wait_for_what_is_slow() -> None:
    """Neither for a statement, nor for a request."""
    with serve() as running:
        client = connect(running)
        running.faults.add("statement SELECT 1", "slow 600")
        arrived = threading.Semaphore(0)
        running.faults.add("jobs.get ", arrived.release, times=2)
        running.faults.add("jobs.get ", "slow 600")
        running.faults.add("jobs.get ", "hang", nth=2)
        job = client.query("SELECT 1")
        asking = [
            threading.Thread(target=lambda: _ignore(lambda: client.get_job(job.job_id, retry=None))) for _ in range(2)
        ]
        for thread in asking:
            thread.start()
        assert all(arrived.acquire(timeout=20) for _ in asking)
        started = time.monotonic()
    for thread in asking:
        thread.join()
    assert time.monotonic() - started < 30
    client.close()


def _ignore(call: Callable[[], object]) -> None:
    try:
        call()
    except (GoogleAPICallError, OSError):
        return


# --- INFORMATION_SCHEMA.PARTITIONS ---

PARTITIONS = (
    f"SELECT x.partition_id, x.total_rows, x.total_logical_bytes, x.last_modified_time FROM `{D}.INFORMATION_SCHEMA.PARTITIONS` AS x "
    "WHERE x.table_name = @t ORDER BY partition_id"
)  # fmt: skip


def log_sql(*days: int, value: str = "1") -> str:
    """One row a day after the first."""
    return " UNION ALL ".join(
        f"SELECT TIMESTAMPTZ '2026-01-05 14:00:00+00' + INTERVAL {day} DAY AS ts, {value} AS n" for day in days
    )


def modified(client: bigquery.Client, table: str = "log") -> dict[str | None, int]:
    """The minute after noon at which each partition was last modified."""
    return {row[0]: row[3].minute for row in rows_of(client, PARTITIONS, t=table)}


@pytest.fixture
def clock(server: Server) -> Callable[[int], None]:
    """Sets the service's clock to a minute after noon."""

    def set_to(minute: int) -> None:
        server.engine.now = lambda: datetime(2026, 2, 1, 12, minute, tzinfo=UTC)

    set_to(1)
    return set_to


@pytest.mark.parametrize(
    ("unit", "ids"),
    [("HOUR", ["2026010514", "2026010614"]), ("DAY", ["20260105", "20260106"]), ("MONTH", ["202601"]), ("YEAR", ["2026"])],
)  # fmt: skip
def test_partitions_are_listed_by_their_ids(
    server: Server, client: bigquery.Client, clock: Callable[[int], None], unit: str, ids: list[str]
) -> None:
    """Each unit has its form of id; rows without a time are '__NULL__', those that stream in '__UNPARTITIONED__'."""
    rows = log_sql(0, 1, value="5::BIGINT") + " UNION ALL SELECT NULL, 5"
    server.engine.load(LOG, rows, partition="ts", granularity=unit)
    clock(2)
    server.engine.append(LOG, log_sql(0), streaming=True)
    found = rows_of(client, PARTITIONS, t="log")
    each, seen = 2 // len(ids), datetime(2026, 2, 1, 12, 1, tzinfo=UTC)
    assert found == [
        *((key, each, 16 * each, seen) for key in ids), ("__NULL__", 1, 8, seen),
        ("__UNPARTITIONED__", 1, 0, seen + timedelta(minutes=1)),
    ]  # fmt: skip


def test_an_unpartitioned_table_is_one_partition_without_an_id(server: Server, client: bigquery.Client) -> None:
    """Also where it is empty."""
    server.engine.load(LOG, "SELECT 1 AS n")
    client.query(f"CREATE TABLE `{D}.empty` (n INT64)").result()
    assert [row[:3] for row in rows_of(client, PARTITIONS, t="log")] == [(None, 1, 8)]
    assert [row[:3] for row in rows_of(client, PARTITIONS, t="empty")] == [(None, 0, 0)]
    names = f"SELECT DISTINCT x.table_catalog, x.table_schema, x.table_name FROM `{D}`.INFORMATION_SCHEMA.PARTITIONS AS x ORDER BY table_name"
    assert rows_of(client, names) == [("acme-ml", "serving", "empty"), ("acme-ml", "serving", "log")]


def test_only_the_partitions_whose_rows_change_are_modified(
    server: Server, client: bigquery.Client, clock: Callable[[int], None]
) -> None:
    """By replacing the table, appending, DML, a transaction and a load: the others keep their time."""
    server.engine.load(LOG, log_sql(0, 1, 2), partition="ts")
    clock(2)
    server.engine.load(LOG, log_sql(2, 1, 0, 3), partition="ts")
    assert modified(client) == {"20260105": 1, "20260106": 1, "20260107": 1, "20260108": 2}
    clock(3)
    server.engine.append(LOG, log_sql(0))
    assert modified(client) == {"20260105": 3, "20260106": 1, "20260107": 1, "20260108": 2}
    clock(4)
    client.query(
        f"UPDATE `{LOG}` AS t SET n = 9 WHERE t.ts >= @d", job_config=parameters(d=DAY + timedelta(3))
    ).result()
    assert modified(client)["20260108"] == 4
    clock(5)
    insert = f"INSERT INTO `{LOG}` (ts, n) VALUES (TIMESTAMP '2026-01-06 00:00:00+00', 3)"
    client.query(f"BEGIN TRANSACTION; {insert}; COMMIT TRANSACTION;").result()
    clock(6)
    put(client, LOG, [{"ts": "2026-01-07 00:00:00", "n": 1}], [Field("ts", "TIMESTAMP"), *N])
    assert modified(client) == {"20260105": 3, "20260106": 5, "20260107": 6, "20260108": 4}
    clock(7)
    client.query(f"DELETE FROM `{LOG}` AS t WHERE t.ts < @d", job_config=parameters(d=DAY + timedelta(1))).result()
    assert modified(client) == {"20260106": 5, "20260107": 6, "20260108": 4}


def test_a_value_that_changes_in_place_modifies_its_partition(
    server: Server, client: bigquery.Client, clock: Callable[[int], None]
) -> None:
    """As many rows as before, and two values that changed places: only a checksum of whole rows sees that."""
    first = "SELECT TIMESTAMPTZ '2026-01-05 14:00:00+00' AS ts, {} AS a, {} AS b"
    server.engine.load(LOG, first.format(1, 2) + " UNION ALL " + first.format(3, 4), partition="ts")
    clock(2)
    server.engine.load(LOG, first.format(3, 4) + " UNION ALL " + first.format(1, 2), partition="ts")
    assert modified(client) == {"20260105": 1}
    server.engine.load(LOG, first.format(1, 4) + " UNION ALL " + first.format(3, 2), partition="ts")
    assert modified(client) == {"20260105": 2}


def test_rows_that_stream_in_touch_no_partition_before_they_are_flushed(
    server: Server, client: bigquery.Client, clock: Callable[[int], None]
) -> None:
    """A query already sees them; INFORMATION_SCHEMA does so later."""
    server.engine.load(LOG, log_sql(0, 1), partition="ts")
    clock(2)
    server.engine.append(LOG, log_sql(1), streaming=True)
    assert modified(client) == {"20260105": 1, "20260106": 1, "__UNPARTITIONED__": 2}
    assert rows_of(client, f"SELECT COUNT(*) FROM `{LOG}` AS t") == [(3,)]
    clock(3)
    server.engine.append(LOG, log_sql(0))
    assert modified(client) == {"20260105": 3, "20260106": 1, "__UNPARTITIONED__": 2}
    clock(4)
    server.engine.flush(LOG)
    assert modified(client) == {"20260105": 3, "20260106": 4}


def test_asking_for_partitions_reads_no_byte_of_the_table(server: Server, client: bigquery.Client) -> None:
    """It is billed the least that a query is, 10 MB."""
    server.engine.load(LOG, log_sql(0), partition="ts")
    job = client.query(PARTITIONS, job_config=parameters(t="log"))
    job.result()
    assert (job.total_bytes_processed, job.total_bytes_billed) == (10 << 20, 10 << 20)
    assert server.bytes_of(LOG) == 0


# --- partitions that a query skips ---

FIRST = "TIMESTAMP '2026-01-05 00:00:00+00'"
PRUNED: list[tuple[str, str, str, list[int]]] = [
    ("TIMESTAMPTZ", "DAY", "t.ts >= @a AND t.ts < @b", [1, 2]),
    ("TIMESTAMPTZ", "DAY", "t.ts >= @a", [1, 2, 3]),
    ("TIMESTAMPTZ", "DAY", "TRUE AND (t.ts > @a AND (t.ts <= @b))", [1, 2, 3]),
    ("TIMESTAMPTZ", "DAY", "@b > t.ts AND @a <= ts", [1, 2]),
    ("TIMESTAMPTZ", "DAY", "t.ts = @c", [2]),
    ("TIMESTAMPTZ", "DAY", "t.ts BETWEEN @a AND @c", [1, 2]),
    ("TIMESTAMPTZ", "DAY", "t.ts IN (@a, @b)", [1, 3]),
    ("TIMESTAMPTZ", "DAY", "t.ts >= TIMESTAMP_SUB(@b, INTERVAL 1 DAY)", [2, 3]),
    ("TIMESTAMPTZ", "DAY", "t.ts >= @c", [2, 3]),
    ("TIMESTAMPTZ", "HOUR", "t.ts >= @c", [3]),
    ("TIMESTAMPTZ", "HOUR", "t.ts >= @d", [2, 3]),
    ("TIMESTAMPTZ", "MONTH", "t.ts >= @a AND t.ts < @b", [0, 1, 2, 3]),
    ("TIMESTAMPTZ", "MONTH", "t.ts >= TIMESTAMP '2026-02-01 00:00:00+00'", []),
    ("DATE", "DAY", "t.ts >= DATE(@a) AND t.ts < DATE(@b)", [1, 2]),
    ("DATE", "DAY", "t.ts > DATE(@a, 'UTC')", [2, 3]),
    ("DATE", "DAY", "t.ts BETWEEN DATE '2026-01-06' AND DATE(@c)", [1, 2]),
    ("DATE", "MONTH", "t.ts > DATE(@a)", [0, 1, 2, 3]),
    ("TIMESTAMP", "DAY", "t.ts >= DATETIME(@a) AND t.ts < DATETIME(@b, 'UTC')", [1, 2]),
    ("TIMESTAMP", "DAY", "t.ts <= DATETIME(@a)", [0, 1]),
    ("TIMESTAMPTZ", "DAY", "t.ts >= @a OR t.n = 1", [0, 1, 2, 3]),
    ("TIMESTAMPTZ", "DAY", "TIMESTAMP_TRUNC(t.ts, DAY) >= @a", [0, 1, 2, 3]),
    ("TIMESTAMPTZ", "DAY", "t.ts >= (SELECT @a)", [0, 1, 2, 3]),
    ("TIMESTAMPTZ", "DAY", "t.ts >= t.other", [0, 1, 2, 3]),
]  # fmt: skip
MOMENTS = {
    "a": DAY + timedelta(1), "b": DAY + timedelta(3), "c": DAY + timedelta(2, hours=15), "d": DAY + timedelta(2, hours=14, minutes=30),
}  # fmt: skip


def write_days(server: Server, kind: str = "TIMESTAMPTZ", unit: str = "DAY", **options: Any) -> None:
    """Four days of 1, 10, 100 and 1000 rows at 14:00: a number of rows tells which days it is of."""
    days = [
        f"SELECT CAST({FIRST.replace('TIMESTAMP', 'TIMESTAMPTZ')} + INTERVAL '{day * 24 + 14} hours' AS {kind}) AS ts, "
        f"1::BIGINT AS n, now() AS other FROM RANGE({10**day})" for day in range(4)
    ]  # fmt: skip
    server.engine.load(LOG, " UNION ALL ".join(days), partition="ts", granularity=unit, **options)


def read_days(client: bigquery.Client, sql: str, width: int) -> tuple[list[int], int]:
    """The days that a query reads of the log, and its bytes in all; asserts that a dry run says the same."""
    named = {name: value for name, value in MOMENTS.items() if f"@{name}" in sql}
    job = client.query(sql, job_config=parameters(**named))
    job.result()
    config = parameters(**named)
    config.dry_run = True
    size = job.total_bytes_processed
    assert client.query(sql, job_config=config).total_bytes_processed == size
    return [day for day in range(4) if size // width // 10**day % 10], size


@pytest.mark.parametrize("case", PRUNED, ids=lambda case: "-".join(case[:3]))
def test_a_condition_on_the_partition_column_skips_partitions(
    server: Server, client: bigquery.Client, case: tuple[str, str, str, list[int]]
) -> None:
    """A query is charged exactly the bytes of the partitions that a comparison with constants leaves."""
    kind, unit, where, days = case
    write_days(server, kind, unit)
    width = 24 if "other" in where else 16
    sql = f"SELECT SUM(t.n), MAX(t.ts) FROM `{LOG}` AS t WHERE {where}"
    assert read_days(client, sql, width) == (days, width * sum(10**day for day in days))


INSIDE = [
    ("WITH c AS (SELECT t.ts, t.n FROM `{}` AS t WHERE t.ts >= @b) SELECT SUM(c.n) FROM c", [3]),
    ("SELECT SUM(q.n) FROM (SELECT t.ts, t.n FROM `{}` AS t WHERE t.ts >= @b) AS q", [3]),
    ("WITH c AS (SELECT t.ts AS moment, t.n FROM `{}` AS t) SELECT SUM(c.n) FROM c WHERE c.moment >= @b", [3]),
    ("SELECT SUM(q.n) FROM (SELECT t.ts, t.n FROM `{}` AS t WHERE t.ts < @b) AS q WHERE q.ts >= @a", [1, 2]),
    ("SELECT SUM(v.n) FROM `acme-ml.serving.view` AS v WHERE v.ts >= @b", [3]),
    ("WITH c AS (SELECT t.ts, t.n FROM `{}` AS t LIMIT 5) SELECT SUM(c.n) FROM c WHERE c.ts >= @b", [0, 1, 2, 3]),
    ("WITH c AS (SELECT MAX(t.ts) AS ts, t.n FROM `{}` AS t GROUP BY t.n) SELECT SUM(c.n) FROM c WHERE c.ts >= @b", [0, 1, 2, 3]),
    ("WITH c AS (SELECT t.n AS ts, t.ts AS n FROM `{}` AS t) SELECT COUNT(*) FROM c WHERE c.ts >= 3", [0, 1, 2, 3]),
    ("WITH c AS (SELECT t.ts, t.n FROM `{}` AS t) SELECT SUM(c.n) FROM c CROSS JOIN c AS d WHERE c.ts >= @b AND d.ts >= @b AND FALSE", [0, 1, 2, 3]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "days"), INSIDE)
def test_conditions_reach_through_subqueries_that_pass_the_column_on(
    server: Server, client: bigquery.Client, sql: str, days: list[int]
) -> None:
    """Inside a CTE, a subquery or a view, or outside where the rows come through as they are."""
    write_days(server)
    client.query(f"CREATE VIEW `{D}.view` AS SELECT t.ts, t.n FROM `{LOG}` AS t").result()
    assert read_days(client, sql.format(LOG), 16)[0] == days


def test_a_table_can_require_a_filter(server: Server, client: bigquery.Client) -> None:
    """Without a condition that skips partitions a query is refused, dry or not; DML is, too."""
    write_days(server, require_filter=True)
    said = f"Cannot query over table '{LOG}' without a filter over column\\(s\\) 'ts' that can be used for partition elimination"
    for sql in (
        f"SELECT t.n FROM `{LOG}` AS t",
        f"SELECT t.n FROM `{LOG}` AS t WHERE t.n = 1 OR t.ts > @a",
        f"DELETE FROM `{LOG}` WHERE TRUE",
    ):
        with pytest.raises(BadRequest, match=said) as caught:
            rows_of(client, sql, a=DAY)
        assert reason_of(caught.value) == "invalidQuery"
    with pytest.raises(BadRequest, match=said):
        client.query(f"SELECT t.n FROM `{LOG}` AS t", job_config=DRY)
    assert rows_of(client, f"SELECT COUNT(*) FROM `{LOG}` AS t WHERE t.ts < @a", a=DAY + timedelta(1)) == [(1,)]


def test_a_table_is_named_with_its_dataset(server: Server, client: bigquery.Client) -> None:
    """A bare name is that of a CTE, or refused."""
    server.engine.load(LOG, "SELECT 1 AS n")
    assert rows_of(client, f"WITH log AS (SELECT t.n FROM `{LOG}` AS t) SELECT log.n FROM log") == [(1,)]
    with pytest.raises(BadRequest, match='Table "log" must be qualified with a dataset'):
        rows_of(client, "SELECT l.n FROM log AS l")


# --- locations ---


def test_a_job_reaches_only_the_datasets_of_its_location(server: Server, client: bigquery.Client) -> None:
    """Elsewhere a dataset is not found, for a query as for a load; without a location a job runs where its tables lie."""
    server.engine.create_dataset("other.eu", "EU")
    server.engine.load("other.eu.t", "SELECT 1 AS n")
    server.engine.load(LOG, "SELECT 1 AS n")
    sql = "SELECT t.n FROM `other.eu.t` AS t"
    job = client.query(sql)
    assert (job.location, [row.n for row in job.result()]) == ("EU", [1])
    with pytest.raises(NotFound, match="Not found: Dataset other:eu was not found in location US") as caught:
        client.query(sql, location="US").result()
    assert reason_of(caught.value) == "notFound"
    with pytest.raises(NotFound, match="Dataset other:eu was not found in location US"):
        client.query(f"SELECT t.n FROM `{LOG}` AS t JOIN `other.eu.t` AS u ON u.n = t.n").result()
    config = bigquery.LoadJobConfig(schema=N)
    with pytest.raises(NotFound, match="Dataset other:eu was not found in location US"):
        client.load_table_from_json([{"n": 1}], "other.eu.t", job_config=config, location="US").result()
    assert client.get_table("other.eu.t").location == client.get_dataset("other.eu").location == "EU"


# --- permissions ---

TABLE_WORDS = "Access Denied: Table acme-ml:serving.log: Permission {0} denied on table acme-ml:serving.log \\(or it may not exist\\)."
DATASET_WORDS = "Access Denied: Dataset acme-ml:serving: Permission {0} denied on dataset acme-ml:serving \\(or it may not exist\\)."
PROJECT_WORDS = "Access Denied: Project acme-ml: User does not have {0} permission in project acme-ml."
DENIED: list[tuple[str, str, str, Callable[[bigquery.Client], object]]] = [
    ("bigquery.jobs.create", "acme-ml", PROJECT_WORDS, lambda c: c.query("SELECT 1").result()),
    ("bigquery.jobs.create", "acme-ml", PROJECT_WORDS, lambda c: put(c, LOG, [], N)),
    ("bigquery.datasets.get", D, DATASET_WORDS, lambda c: c.get_dataset(D)),
    ("bigquery.tables.get", LOG, TABLE_WORDS, lambda c: c.get_table(LOG)),
    ("bigquery.tables.get", D, TABLE_WORDS, lambda c: c.get_table(LOG)),
    ("bigquery.tables.list", D, DATASET_WORDS, lambda c: list(c.list_tables(D))),
    ("bigquery.tables.list", D, DATASET_WORDS, lambda c: rows_of(c, PARTITIONS, t="log")),
    ("bigquery.tables.getData", LOG, TABLE_WORDS, lambda c: rows_of(c, f"SELECT t.n FROM `{LOG}` AS t")),
    ("bigquery.tables.getData", LOG, TABLE_WORDS, lambda c: c.query(f"SELECT t.n FROM `{LOG}` AS t", job_config=DRY)),
    ("bigquery.tables.getData", LOG, TABLE_WORDS, lambda c: rows_of(c, f"SELECT v.n FROM `{D}.view` AS v")),
    ("bigquery.tables.updateData", LOG, TABLE_WORDS, lambda c: rows_of(c, f"INSERT INTO `{LOG}` (n) VALUES (1)")),
    ("bigquery.tables.updateData", LOG, TABLE_WORDS, lambda c: put(c, LOG, [{"n": 1}], N)),
    ("bigquery.tables.create", D, DATASET_WORDS, lambda c: rows_of(c, f"CREATE TABLE `{D}.new` (n INT64)")),
    ("bigquery.tables.create", D, DATASET_WORDS, lambda c: c.create_table(bigquery.Table(f"{D}.new", N))),
    ("bigquery.tables.create", D, DATASET_WORDS, lambda c: put(c, f"{D}.new", [{"n": 1}], N)),
    ("bigquery.tables.delete", LOG, TABLE_WORDS, lambda c: c.delete_table(LOG)),
    ("bigquery.tables.delete", LOG, TABLE_WORDS, lambda c: rows_of(c, f"DROP TABLE `{LOG}`")),
]  # fmt: skip


@pytest.mark.parametrize("denied", DENIED, ids=lambda denied: f"{denied[0]}-{denied[3].__code__.co_firstlineno}")
def test_what_is_denied_is_refused_in_the_words_of_the_service(
    server: Server, client: bigquery.Client, denied: Any
) -> None:
    """403 with the reason 'accessDenied', the permission and the resource; allowed again, it works."""
    permission, resource, words, call = denied
    server.engine.load(LOG, "SELECT 1::BIGINT AS n")
    client.query(f"CREATE VIEW `{D}.view` AS SELECT t.n FROM `{LOG}` AS t").result()
    server.deny(permission, resource)
    with pytest.raises(Forbidden, match=words.format(permission)) as caught:
        call(client)
    assert reason_of(caught.value) == "accessDenied"
    assert server.engine.ask(f"SELECT COUNT(*) FROM `{LOG}`") == [(1,)]
    assert f"{D}.new" not in server.engine.entities
    server.allow(permission, resource)
    call(client)


def test_the_caller_can_ask_what_it_may(server: Server, client: bigquery.Client) -> None:
    """`testIamPermissions` answers the part of the permissions that is held; of a missing table none."""
    server.engine.load(LOG, "SELECT 1 AS n")
    asked = ["bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.updateData"]
    server.deny("bigquery.tables.getData", LOG)
    server.deny("bigquery.tables.updateData", D)
    assert client.test_iam_permissions(LOG, asked) == {"permissions": ["bigquery.tables.get"]}
    assert client.test_iam_permissions(f"{D}.gone", asked) == {}


# --- faults ---

REPEATED = ["503 before", "500 after", "429 before", "rate before", "drop before", "drop after", "truncate"]
REFUSED = [("403", "accessDenied"), ("quota", "quotaExceeded"), ("resources", "resourcesExceeded")]


@pytest.mark.parametrize("fault", REPEATED)
def test_what_passes_is_met_once_and_repeated(server: Server, client: bigquery.Client, fault: str) -> None:
    """The client asks again, and gets the answer."""
    server.engine.load(LOG, "SELECT 1 AS n")
    server.faults.add("tables.get /bigquery/v2/projects/acme-ml/datasets/serving/tables/log", fault)
    assert client.get_table(LOG).num_rows == 1
    assert sum(item.method == "tables.get" for item in server.log) == 2


@pytest.mark.parametrize(("fault", "reason"), REFUSED)
def test_what_does_not_pass_is_told_at_once(server: Server, client: bigquery.Client, fault: str, reason: str) -> None:
    """A request that is refused for good has the reason; so has an upload, and a statement, which has run nothing."""
    put(client, LOG, [{"n": 1}], N)
    for text in ("jobs.insert", "jobs.upload"):
        server.faults.add(text, f"{fault} before")
    assert reason_of(error_of(lambda: client.query("SELECT 1"))) == reason
    assert reason_of(error_of(lambda: put(client, LOG, [{"n": 2}], N))) == reason
    server.faults.add("statement INSERT", fault)
    assert reason_of(error_of(lambda: rows_of(client, f"INSERT INTO `{LOG}` (n) VALUES (2)"))) == reason
    assert rows_of(client, f"SELECT n FROM `{LOG}` AS t") == [(1,)]


@pytest.mark.parametrize(
    ("match", "fault", "words"),
    [("statement INSERT", "serialization", "Could not serialize access to table acme-ml:serving.log due to concurrent update"),
     ("statement COMMIT", "serialization", "Transaction is aborted due to concurrent update against table acme-ml:serving.log."),
     ("statement INSERT", "aborted", "Transaction is aborted due to concurrent update against table acme-ml:serving.log."),
     ("statement LOAD", "serialization", "Could not serialize access to table acme-ml:serving.log due to concurrent update")],
)  # fmt: skip
def test_a_concurrent_update_is_told_in_the_words_of_the_service(
    server: Server, client: bigquery.Client, match: str, fault: str, words: str
) -> None:
    """A single statement and a load could not be serialized, a transaction was aborted; nothing was written."""
    put(client, LOG, [{"n": 1}], N)
    server.faults.add(match, fault)
    with pytest.raises(BadRequest) as caught:
        put(client, LOG, [{"n": 2}], N) if "LOAD" in match else client.query(SCRIPT).result()
    assert caught.value.errors[0] | {"domain": "global"} == {
        "reason": "invalidQuery",
        "message": words,
        "domain": "global",
    }
    assert rows_of(client, f"SELECT n FROM `{LOG}` AS t") == [(1,)]


def test_two_transactions_that_change_the_same_rows_conflict_by_themselves(
    server: Server, client: bigquery.Client
) -> None:
    """While one waits in its transaction, another deletes what it deleted: the second is refused, the first commits."""
    put(client, LOG, [{"n": 1}, {"n": 2}], N)
    waits, goes_on = threading.Event(), threading.Event()
    server.faults.add("statement COMMIT", lambda: (waits.set(), goes_on.wait(20)))
    job = client.query(f"BEGIN TRANSACTION; DELETE FROM `{LOG}` WHERE n = 1; COMMIT TRANSACTION;")
    assert waits.wait(20)
    with pytest.raises(BadRequest, match=r"Could not serialize access to table acme-ml:serving\.log"):
        client.query(f"DELETE FROM `{LOG}` WHERE n >= 1").result()
    goes_on.set()
    job.result()
    assert rows_of(client, f"SELECT n FROM `{LOG}` AS t") == [(2,)]


@pytest.mark.parametrize("fault", ["503 before", "503 after", "drop before", "drop after", "truncate"])
def test_an_upload_meets_the_faults_of_requests(server: Server, client: bigquery.Client, fault: str) -> None:
    """What was done though the answer was lost is found as a conflict when it is sent again; the rows are there once."""
    server.faults.add("jobs.upload once multipart", fault)
    try:
        put(client, LOG, [{"n": 1}], N, "once")
    except Conflict:
        assert fault in ("503 after", "drop after", "truncate")
        client.get_job("once").result()
    assert rows_of(client, f"SELECT n FROM `{LOG}` AS t") == [(1,)]


@pytest.mark.parametrize("fault", ["hang", "hang after"])
def test_a_request_can_hang_until_the_client_goes_away(server: Server, client: bigquery.Client, fault: str) -> None:
    """The client's own time limit ends it; the next request is answered, the work was done only where said so."""
    client.query(f"CREATE TABLE `{LOG}` (n INT64)").result()
    server.faults.add("jobs.insert hung", fault)
    with pytest.raises(Exception, match="Read timed out"):
        client.query(f"INSERT INTO `{LOG}` (n) VALUES (1)", job_id="hung", timeout=0.2, retry=None, job_retry=None)
    assert rows_of(client, f"SELECT COUNT(*) FROM `{LOG}` AS t") == [(int(fault == "hang after"),)]


def test_a_request_that_hangs_ends_with_its_connection(server: Server) -> None:
    """Nothing is left waiting for a client that has gone."""
    earlier, arrived = set(threading.enumerate()), threading.Event()
    server.faults.add("datasets.get", arrived.set)
    server.faults.add("datasets.get", "hang")
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request("GET", "/bigquery/v2/projects/acme-ml/datasets/serving")
    assert arrived.wait(20)
    (waiting,) = set(threading.enumerate()) - earlier
    connection.close()
    waiting.join(20)
    assert not waiting.is_alive()


@pytest.mark.parametrize("n_rows", [0, 1, 3])
def test_a_page_can_be_shorter_than_asked(server: Server, client: bigquery.Client, n_rows: int) -> None:
    """Even empty, with a token for the rest: all rows arrive, in order."""
    server.faults.add("page", f"short page {n_rows}", times=2)
    found = rows_of(client, "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 50)) AS n ORDER BY n")
    assert found == [(n,) for n in range(1, 51)]
    assert sum(item.method == "jobs.getQueryResults" for item in server.log) >= 3


def test_something_can_happen_in_between(server: Server, client: bigquery.Client) -> None:
    """A call is made right before the request is answered, or the statement runs: here the table changes under the query."""
    server.engine.load(LOG, "SELECT 1 AS n")
    server.faults.add("statement SELECT", lambda: server.engine.load(LOG, "SELECT 'x' AS s"))
    with pytest.raises(BadRequest, match='does not have a column named "n"'):
        rows_of(client, f"SELECT t.n FROM `{LOG}` AS t")
    server.faults.add("tables.get", lambda: server.engine.drop(LOG))
    with pytest.raises(NotFound):
        client.get_table(LOG)


# --- accounts ---


def test_bytes_are_told_by_step_and_by_table(server: Server, client: bigquery.Client) -> None:
    """What finished jobs read, by their label and by table, views resolved; dry runs, failures and inserts add nothing."""
    server.engine.load(LOG, "SELECT 1 AS n, 'abc' AS s UNION ALL SELECT 2, NULL")
    server.engine.load(f"{D}.other", "SELECT 1 AS n")
    client.query(f"CREATE VIEW `{D}.view` AS SELECT t.n FROM `{LOG}` AS t").result()

    def ask(sql: str, step: str, **options: Any) -> bigquery.QueryJob:
        return client.query(sql, job_config=bigquery.QueryJobConfig(labels={"step": step}, **options))

    ask(f"SELECT t.n, t.s FROM `{LOG}` AS t", "scan").result()
    ask(f"SELECT t.n FROM `{LOG}` AS t JOIN `{D}.other` AS u ON u.n = t.n", "scan").result()
    ask(f"SELECT v.n FROM `{D}.view` AS v", "read").result()
    ask(f"INSERT INTO `{D}.other` (n) VALUES (7)", "write").result()
    ask(f"SELECT t.n FROM `{LOG}` AS t", "dry", dry_run=True)
    server.faults.add("statement SELECT", "fail")
    error_of(lambda: ask(f"SELECT t.n FROM `{LOG}` AS t", "failed").result(job_retry=None))
    assert {k: v for k, v in server.bytes_by_step().items() if k} == {"scan": 21 + 16 + 8, "read": 16, "write": 0}
    assert (server.bytes_of(LOG), server.bytes_of(f"{D}.other"), server.bytes_of(f"{D}.view")) == (21 + 16 + 16, 8, 0)
    assert [job.sql[:8] for job in server.jobs_of("scan")] == ["SELECT t", "SELECT t"]
    assert len(server.jobs_of("failed")) == 1


def test_every_column_of_the_rows_that_dml_may_change_is_read(server: Server, client: bigquery.Client) -> None:
    """UPDATE and DELETE are charged all columns of the partitions that their condition leaves."""
    write_days(server)
    sql = f"UPDATE `{LOG}` AS t SET n = 2 WHERE t.ts >= @b"
    job = client.query(sql, job_config=parameters(b=MOMENTS["b"]))
    job.result()
    assert (job.total_bytes_processed, job.num_dml_affected_rows) == (1000 * 24, 1000)


# --- many at once ---


def test_jobs_run_at_once(server: Server, client: bigquery.Client) -> None:
    """A job that waits holds nobody up: another one, begun later, ends before it."""
    waits, goes_on = threading.Event(), threading.Event()
    server.faults.add("statement SELECT 1", lambda: (waits.set(), goes_on.wait(20)))
    first = client.query("SELECT 1 AS one")
    assert waits.wait(20)
    assert rows_of(client, "SELECT 2 AS two") == [(2,)]
    assert client.get_job(first.job_id).state == "RUNNING"
    goes_on.set()
    assert [row.one for row in first.result()] == [1]


def test_eight_clients_write_and_read_at_once(server: Server, client: bigquery.Client) -> None:
    """Inserts, transactions, loads and queries of eight threads: every row is there once."""
    put(client, LOG, [], [*N, Field("k", "INT64")])
    together, failures = threading.Barrier(8), []

    def work(n: int) -> None:
        own = connect(server)
        try:
            together.wait(20)
            own.query(f"INSERT INTO `{LOG}` (n, k) VALUES ({n}, 1)").result()
            own.query(f"BEGIN TRANSACTION; INSERT INTO `{LOG}` (n, k) VALUES ({n}, 2); COMMIT TRANSACTION;").result()
            put(own, LOG, [{"n": n, "k": 3}], [*N, Field("k", "INT64")])
            assert rows_of(own, f"SELECT COUNT(*) FROM `{LOG}` AS t WHERE t.n = {n}") == [(3,)]
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = rows_of(client, f"SELECT t.n, t.k FROM `{LOG}` AS t ORDER BY n, k")
    assert found == [(n, k) for n in range(8) for k in (1, 2, 3)]
    assert client.get_table(LOG).num_rows == 24
