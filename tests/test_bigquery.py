"""The BigQuery warehouse on the client's own parameter and configuration objects, with a stand-in for the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery

from bq_monitor.errors import (
    AccessError,
    BqMonitorError,
    BudgetError,
    DeadlineError,
    IdentifierError,
    StatementError,
    TableNotFoundError,
    WarehouseError,
)
from bq_monitor.warehouse.base import JobStats, Param, Statement, Terms
from bq_monitor.warehouse.bigquery import BigQueryWarehouse, transaction
from bq_monitor.warehouse.jobs import label_value
from bq_monitor.warehouse.parameters import query_parameters

ASK = Statement("read/rows", "SELECT @n AS n", {"n": Param("INT64", 7)})


@dataclass
class Job:
    """A job of the service: how many bytes it read, and what its result is."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None
    total_bytes_processed: int = 1000
    total_bytes_billed: int = 10_485_760
    slot_millis: int = 20
    state: str = "DONE"
    job_type: str = "query"
    waited: list[dict[str, Any]] = field(default_factory=list)

    def result(self, **options: Any) -> list[dict[str, Any]]:
        self.waited.append(options)
        if self.error:
            raise self.error
        return self.rows

    @property
    def error_result(self) -> dict[str, str] | None:
        return {"reason": "backendError"} if self.error else None


@dataclass
class Service:
    """Where the client stands: it remembers what it was asked, and answers 409 for a job id that exists."""

    jobs: dict[str, Job] = field(default_factory=dict)
    asked: list[SimpleNamespace] = field(default_factory=list)
    answer: Callable[[], Job] = Job
    tables: dict[str, list[bigquery.SchemaField]] = field(default_factory=dict)
    closed: bool = False

    def query(self, sql: str, *, job_config: bigquery.QueryJobConfig, job_id: str = "", **options: Any) -> Job:
        self.asked.append(SimpleNamespace(sql=sql, config=job_config, id=job_id, options=options))
        if job_id in self.jobs:
            raise exceptions.Conflict("Already Exists: Job")  # type: ignore[no-untyped-call]
        job = self.answer()
        if job_id:
            self.jobs[job_id] = job
        return job

    def get_job(self, job_id: str, *, location: str | None, **options: Any) -> Job:
        assert location == "EU"
        if job_id not in self.jobs:
            raise exceptions.NotFound(f"Not found: Job {job_id}")  # type: ignore[no-untyped-call]
        return self.jobs[job_id]

    def list_tables(self, dataset: str) -> list[SimpleNamespace]:
        assert dataset == "acme-ml.monitoring"
        return []

    def get_table(self, name: str, **options: Any) -> SimpleNamespace:
        if name not in self.tables:
            raise exceptions.NotFound(f"Not found: Table {name}")  # type: ignore[no-untyped-call]
        return SimpleNamespace(
            schema=self.tables[name], time_partitioning=None, table_type="TABLE", location="EU", num_rows=3, num_bytes=24,
            streaming_buffer=None, require_partition_filter=None,
        )  # fmt: skip

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr("bq_monitor.warehouse.jobs._FIRST_WAIT_SECONDS", 0.001)
    return Service()


@pytest.fixture
def warehouse(service: Service) -> BigQueryWarehouse:
    made = BigQueryWarehouse("acme-ml", "monitoring", location="EU", client=service)
    made.begin(Terms(60, 5000, {"monitor": "loans", "run_key": "ab12"}))
    return made


def test_a_query_carries_its_parameters_labels_and_cap(warehouse: BigQueryWarehouse, service: Service) -> None:
    """Values travel as typed parameters; every job is labelled and its bytes are capped."""
    service.answer = lambda: Job(rows=[{"n": 7}])
    assert warehouse.query(ASK) == [{"n": 7}]
    (asked,) = service.asked
    assert asked.sql == ASK.sql
    assert asked.config.query_parameters == [bigquery.ScalarQueryParameter("n", "INT64", 7)]
    assert asked.config.labels == {
        "application": "bq-monitor", "step": "read-rows", "monitor": "loans", "run_key": "ab12",
    }  # fmt: skip
    assert asked.config.maximum_bytes_billed == 5000
    assert asked.config.use_legacy_sql in (None, False)
    (waited,) = service.jobs[asked.id].waited
    assert waited["job_retry"] is None
    assert 59 < waited["timeout"] <= 60
    assert 59 < waited["retry"].timeout <= 60
    assert warehouse.spent == JobStats(1000, 10_485_760, 20)


def test_scalars_keep_their_types() -> None:
    """Each scalar type reaches the service's JSON under its own name."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    params = {
        "i": Param("INT64", 1), "f": Param("FLOAT64", 0.5), "s": Param("STRING", "it's"), "b": Param("BOOL", True),
        "t": Param("TIMESTAMP", now), "none": Param("STRING", None),
    }  # fmt: skip
    sent = {p.name: p.to_api_repr() for p in query_parameters(params)}
    assert {name: item["parameterType"]["type"] for name, item in sent.items()} == {
        "i": "INT64", "f": "FLOAT64", "s": "STRING", "b": "BOOL", "t": "TIMESTAMP", "none": "STRING",
    }  # fmt: skip
    assert sent["i"]["parameterValue"] == {"value": "1"}
    assert sent["s"]["parameterValue"] == {"value": "it's"}
    assert sent["t"]["parameterValue"]["value"].startswith("2026-01-01 00:00:00")
    assert sent["none"]["parameterValue"] == {"value": None}


def test_nested_rows_are_one_parameter() -> None:
    """ARRAY<STRUCT<.., ARRAY<STRUCT<..>>>>: types and values as the service's JSON wants them, empty arrays included."""
    kind = "ARRAY<STRUCT<feature STRING, n INT64, buckets ARRAY<STRUCT<bucket INT64, n INT64>>>>"
    rows = [
        {"feature": "a", "n": 3, "buckets": [{"bucket": -1, "n": 1}, {"bucket": 0, "n": 2}]},
        {"feature": "b", "n": 0, "buckets": []},
    ]
    (parameter,) = query_parameters({"rows": Param(kind, rows)})
    sent = parameter.to_api_repr()
    bucket_type = {
        "type": "ARRAY",
        "arrayType": {
            "type": "STRUCT",
            "structTypes": [{"name": "bucket", "type": {"type": "INT64"}}, {"name": "n", "type": {"type": "INT64"}}],
        },
    }
    row_type = {
        "type": "STRUCT",
        "structTypes": [
            {"name": "feature", "type": {"type": "STRING"}}, {"name": "n", "type": {"type": "INT64"}}, {"name": "buckets", "type": bucket_type},
        ],
    }  # fmt: skip
    assert sent["name"] == "rows"
    assert sent["parameterType"] == {"type": "ARRAY", "arrayType": row_type}
    first, second = (item["structValues"] for item in sent["parameterValue"]["arrayValues"])
    assert first["buckets"]["arrayValues"] == [
        {"structValues": {"bucket": {"value": "-1"}, "n": {"value": "1"}}},
        {"structValues": {"bucket": {"value": "0"}, "n": {"value": "2"}}},
    ]
    assert second == {"feature": {"value": "b"}, "n": {"value": "0"}, "buckets": {"arrayValues": []}}


@pytest.mark.parametrize("kind", ["ARRAY<STRING>", "ARRAY<STRUCT<a INT64, b ARRAY<STRING>>>"])
def test_an_empty_array_keeps_its_type(kind: str) -> None:
    """Without a value the type is still sent whole: a bare ARRAY would be refused."""
    (parameter,) = query_parameters({"x": Param(kind, [])})
    sent = parameter.to_api_repr()
    assert sent["parameterValue"] == {"arrayValues": []}
    element = sent["parameterType"]["arrayType"]
    assert element == {"type": "STRING"} or [item["name"] for item in element["structTypes"]] == ["a", "b"]


def test_rows_of_every_own_table_can_be_sent() -> None:
    """The row type of each table becomes a parameter of the client, with all its columns NULL or empty."""
    from bq_monitor.warehouse.schema import TABLES

    for table in TABLES:
        row = {column.name: [] if column.type.startswith("ARRAY") else None for column in table.columns}
        (parameter,) = query_parameters({"rows": Param(f"ARRAY<{table.row_type}>", [row])})
        names = [item["name"] for item in parameter.to_api_repr()["parameterType"]["arrayType"]["structTypes"]]
        assert names == [column.name for column in table.columns]


def test_work_with_a_key_runs_at_most_once(warehouse: BigQueryWarehouse, service: Service) -> None:
    """The job id is made of the key: the second insert gets 409 and waits for the first one's job."""
    warehouse.execute(ASK, key="count-ab12-0")
    warehouse.execute(ASK, key="count-ab12-0")
    assert len(service.jobs) == 1
    (job_id,) = service.jobs
    assert job_id.startswith("bq-monitor-count-ab12-0")
    assert len(service.jobs[job_id].waited) == 2
    assert [asked.options["job_retry"] for asked in service.asked] == [None, None]
    warehouse.execute(ASK, key="count-ab12-1")
    assert len(service.jobs) == 2


def refused(reason: str, message: str, kind: type[exceptions.GoogleAPICallError]) -> exceptions.GoogleAPICallError:
    return kind(message, errors=[{"reason": reason, "message": message}])  # type: ignore[no-untyped-call]


SYNTAX = refused("invalidQuery", "Syntax error: Unexpected end of statement", exceptions.BadRequest)
BACKEND = refused("backendError", "Retrying the job may solve the problem.", exceptions.InternalServerError)


def test_an_id_whose_job_failed_is_spent(warehouse: BigQueryWarehouse, service: Service) -> None:
    """After a failure the next run tries under the next id, instead of reading the old failure for ever."""
    service.answer = lambda: Job(error=SYNTAX)
    with pytest.raises(WarehouseError, match="Syntax"):
        warehouse.execute(ASK, key="k")
    service.answer = Job
    warehouse.execute(ASK, key="k")
    first, second = service.jobs.values()
    assert first.error is not None
    assert (second.error, len(second.waited)) == (None, 1)


def test_a_failure_that_may_pass_is_tried_again_within_the_run(warehouse: BigQueryWarehouse, service: Service) -> None:
    """A backend error spends the id; the same run goes on under the next ones, and gives up after a few."""
    answers = iter([Job(error=BACKEND), Job(error=BACKEND), Job()])
    service.answer = lambda: next(answers)
    warehouse.execute(ASK, key="k")
    assert [job.error is None for job in service.jobs.values()] == [False, False, True]
    service.answer = lambda: Job(error=BACKEND)
    with pytest.raises(WarehouseError, match="tried again without success"):
        warehouse.execute(ASK, key="other")
    assert len(service.jobs) == 3 + 4


def test_work_that_failed_for_weeks_is_still_done_in_the_end(warehouse: BigQueryWarehouse, service: Service) -> None:
    """However many ids are spent, the next is found in few requests, and the work is done under it."""
    for i in range(1000):
        service.jobs[f"bq-monitor-k-monitoring-{i}"] = Job(error=SYNTAX)
    warehouse.execute(ASK, key="k")
    assert len(service.jobs) == 1001
    assert service.jobs["bq-monitor-k-monitoring-1000"].error is None
    assert [asked.id for asked in service.asked] == ["bq-monitor-k-monitoring-0", "bq-monitor-k-monitoring-1000"]


def test_reads_have_ids_of_their_own(warehouse: BigQueryWarehouse, service: Service) -> None:
    """A SELECT is asked anew each time."""
    warehouse.query(ASK)
    warehouse.query(ASK)
    assert len(service.jobs) == 2


def test_a_commit_is_one_transaction() -> None:
    """All inserts are one script; each one's parameters get names of their own, whole words only."""
    inserts = [
        Statement(
            "a", "INSERT INTO a SELECT @rows, @rows_more", {"rows": Param("INT64", 1), "rows_more": Param("INT64", 2)}
        ),
        Statement("b", "INSERT INTO b SELECT @rows\n", {"rows": Param("INT64", 3)}),
    ]
    script = transaction(inserts)
    assert script.sql == (
        "BEGIN TRANSACTION;\nINSERT INTO a SELECT @s0_rows, @s0_rows_more;\nINSERT INTO b SELECT @s1_rows;\nCOMMIT TRANSACTION;"
    )
    assert {name: param.value for name, param in script.params.items()} == {
        "s0_rows": 1,
        "s0_rows_more": 2,
        "s1_rows": 3,
    }


def test_an_estimate_is_a_dry_run(warehouse: BigQueryWarehouse, service: Service) -> None:
    """Nothing runs and nothing is spent; the cache is not asked, so that the bytes are those of a real run."""
    service.answer = lambda: Job(total_bytes_processed=123)
    assert warehouse.estimate(ASK) == 123
    (asked,) = service.asked
    assert (asked.config.dry_run, asked.config.use_query_cache) == (True, False)
    assert asked.config.query_parameters == [bigquery.ScalarQueryParameter("n", "INT64", 7)]
    assert warehouse.spent == JobStats()


def test_costs_add_up(warehouse: BigQueryWarehouse) -> None:
    """Bytes and slot time of all jobs are summed."""
    warehouse.query(ASK)
    warehouse.execute(ASK)
    assert warehouse.spent == JobStats(2000, 2 * 10_485_760, 40)
    warehouse.begin(Terms())
    assert warehouse.spent == JobStats()


REFUSALS: list[tuple[str, Exception, type[BqMonitorError], str, int]] = [
    ("read/rows", refused("notFound", "Dataset acme-ml:m", exceptions.NotFound), TableNotFoundError, "not found: Dataset.*bq-monitor init", 2),
    ("read/rows", exceptions.NotFound("Dataset"), TableNotFoundError, "not found: Dataset", 2),  # type: ignore[no-untyped-call]
    ("read/rows", refused("accessDenied", "User does not have bigquery.jobs.create permission", exceptions.Forbidden), AccessError,
     "no access: User.*Grant roles/bigquery.jobUser .it holds bigquery.jobs.create", 4),
    ("read/rows", refused("quotaExceeded", "Quota exceeded", exceptions.Forbidden), WarehouseError, "quota of the project", 4),
    ("read/rows", refused("rateLimitExceeded", "Too many", exceptions.Forbidden), WarehouseError, "tried again without success", 4),
    ("read/rows", refused("resourcesExceeded", "Out of memory", exceptions.BadRequest), WarehouseError, "fewer features", 4),
    ("read/rows", refused("bytesBilledLimitExceeded", "Limit", exceptions.BadRequest), BudgetError, "over budget.max_bytes_per_run", 4),
    ("read/rows", SYNTAX, StatementError, "read/rows: Syntax error.*fault of bq-monitor", 4),
    ("scan/histograms", refused("invalidQuery", "Unrecognized name: x", exceptions.BadRequest), WarehouseError, "'bq-monitor validate' compares", 4),
    ("write/commit", refused("invalidQuery", "Could not serialize access to table t", exceptions.BadRequest), WarehouseError,
     "tried again without success", 4),
    ("read/rows", exceptions.ServiceUnavailable("x"), WarehouseError, "tried again without success", 4),  # type: ignore[no-untyped-call]
    ("read/rows", DefaultCredentialsError("none"), AccessError, "no credentials: none.*gcloud auth", 4),  # type: ignore[no-untyped-call]
    ("read/rows", TimeoutError("read"), WarehouseError, "read/rows: read.*tried again", 4),
    ("read/rows", ConnectionError("reset"), WarehouseError, "read/rows: reset.*tried again", 4),
]  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[1])[:30])
def test_what_the_service_refuses_is_an_error_to_act_on(
    refusal: tuple[str, Exception, type[BqMonitorError], str, int], warehouse: BigQueryWarehouse, service: Service
) -> None:
    """Each refusal, at the insert or while waiting, becomes one of our errors with its exit code."""
    step, error, kind, match, code = refusal

    def refuse() -> Job:
        raise error

    for answer in (refuse, lambda: Job(error=error)):
        service.answer = answer
        with pytest.raises(kind, match=match) as caught:
            warehouse.query(Statement(step, ASK.sql, ASK.params))
        assert type(caught.value) is kind
        assert caught.value.exit_code == code


def test_a_run_whose_time_is_over_asks_for_nothing_more(warehouse: BigQueryWarehouse, service: Service) -> None:
    """Past the deadline no request is made, and the error says so; the next run begins with a new deadline."""
    warehouse.begin(Terms(1e-9))
    for attempt in (
        lambda: warehouse.query(ASK),
        lambda: warehouse.estimate(ASK),
        lambda: warehouse.relation("serving.log"),
    ):
        with pytest.raises(DeadlineError, match=r"deadline of the run.*raise budget.deadline"):
            attempt()
    assert service.asked == []
    warehouse.begin(Terms(60))
    warehouse.query(ASK)


def test_a_table_is_described_in_googlesql_types(warehouse: BigQueryWarehouse, service: Service) -> None:
    """Legacy type names are told in GoogleSQL; a repeated field is an ARRAY; a dataset in the project may be short."""
    field_ = bigquery.SchemaField
    service.tables["acme-ml.serving.log"] = [
        field_("n", "INTEGER"), field_("x", "FLOAT"), field_("b", "BOOLEAN"), field_("t", "STRING"), field_("at", "TIMESTAMP"),
        field_("tags", "STRING", mode="REPEATED"), field_("big", "BIGNUMERIC"),
    ]  # fmt: skip
    for name in ("serving.log", "acme-ml.serving.log"):
        relation = warehouse.relation(name)
        assert relation.sql == "`acme-ml.serving.log`"
        assert dict(relation.columns) == {
            "n": "INT64", "x": "FLOAT64", "b": "BOOL", "t": "STRING", "at": "TIMESTAMP", "tags": "ARRAY", "big": "NUMERIC",
        }  # fmt: skip
    assert warehouse.sample(relation, 10) is relation
    with pytest.raises(TableNotFoundError, match=r"serving\.gone: not found"):
        warehouse.relation("serving.gone")
    with pytest.raises(IdentifierError, match="not a BigQuery table"):
        warehouse.relation("acme-ml.serving.`x`")


def test_names_labels_and_closing(warehouse: BigQueryWarehouse, service: Service) -> None:
    """Our tables are quoted in full; a label is cut to what the service takes; closing closes the client."""
    assert warehouse.table("runs") == "`acme-ml.monitoring.runs`"
    assert label_value("Read/Windows ü" + "x" * 80) == "read-windows--" + "x" * 49
    warehouse.close()
    assert service.closed


def test_a_url_names_project_dataset_and_location(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is made for the URL's project and location; without credentials the error says what to do."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr("google.cloud.bigquery.Client", lambda **options: made.append(options))
    warehouse = BigQueryWarehouse.from_url("acme-ml/monitoring?location=europe-west3")
    assert made == [{"project": "acme-ml", "location": "europe-west3"}]
    assert warehouse.dataset == "monitoring"

    def refuse(**options: Any) -> None:
        raise DefaultCredentialsError("none")  # type: ignore[no-untyped-call]

    monkeypatch.setattr("google.cloud.bigquery.Client", refuse)
    with pytest.raises(WarehouseError, match="'acme-ml': no access: no credentials"):
        BigQueryWarehouse.from_url("acme-ml/monitoring")
