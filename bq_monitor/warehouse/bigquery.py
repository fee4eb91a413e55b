"""BigQuery through `google-cloud-bigquery`: parameters, labels, byte caps, dry runs, one transaction per commit."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bq_monitor.errors import BudgetError, TableNotFoundError, WarehouseError
from bq_monitor.warehouse.base import Dialect, JobStats, Param, Relation, Row, Statement
from bq_monitor.warehouse.identifiers import bigquery_table, parse_bigquery_url
from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.types import SqlType, from_bigquery, parse_type

if TYPE_CHECKING:
    from google.cloud import bigquery

MAX_ATTEMPTS = 10
MAX_REQUEST_BYTES = 8_000_000
"""Rows sent in one request; the service takes 10 MB, everything included."""
_LABEL = re.compile(r"[^a-z0-9_-]")


class BigQueryWarehouse:
    """See `Warehouse`. Statements that write carry a job id made from their key: the service runs each id at most once."""

    dialect: Dialect = "bigquery"

    def __init__(
        self,
        project: str,
        dataset: str,
        *,
        location: str | None = None,
        deadline_seconds: float = 1500.0,
        max_bytes: int | None = None,
        client: bigquery.Client | None = None,
    ) -> None:
        self.project, self.dataset, self.location = project, dataset, location
        self.deadline_seconds, self.max_bytes = deadline_seconds, max_bytes
        self.spent = JobStats()
        self._client = client if client is not None else _connect(project, location)

    @classmethod
    def from_url(cls, rest: str, **options: Any) -> BigQueryWarehouse:
        """`PROJECT/DATASET[?location=EU]` -> a warehouse; raises `IdentifierError` for anything else."""
        project, dataset, location = parse_bigquery_url(rest)
        return cls(project, dataset, location=location, **options)

    def relation(self, source: str) -> Relation:
        quoted = bigquery_table(source, self.project)
        table = self._call(source, lambda: self._client.get_table(quoted.strip("`")))
        return Relation(
            quoted, {field.name: from_bigquery(field.field_type, field.mode) for field in table.schema}, source
        )

    def sample(self, relation: Relation, rows: int) -> Relation:
        return relation

    def table(self, name: str) -> str:
        return f"`{self.project}.{self.dataset}.{name}`"

    def query(self, statement: Statement) -> list[Row]:
        rows = self._run(statement, None)
        found: list[Row] = self._call(statement.name, lambda: [dict(row.items()) for row in rows])  # fetches pages
        return found

    def execute(self, statement: Statement, *, key: str | None = None) -> None:
        self._run(statement, key)

    def commit(self, inserts: Sequence[Statement], *, key: str) -> None:
        if sum(sum(_row_sizes(statement)) for statement in inserts) <= MAX_REQUEST_BYTES:
            self._run(transaction(inserts), key)
            return
        staged = [(statement, self._stage(statement)) for statement in inserts]
        moves = [
            Statement(statement.name, statement.sql.replace("UNNEST(@rows)", stage)) for statement, stage in staged
        ]
        self._run(transaction(moves), key)  # when it fails, the stages go by themselves after a day
        for statement, stage in staged:
            self.execute(Statement(statement.name, f"DROP TABLE IF EXISTS {stage}"))

    def estimate(self, statement: Statement) -> int | None:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            dry_run=True, use_query_cache=False, query_parameters=query_parameters(statement.params)
        )
        job = self._call(
            statement.name, lambda: self._client.query(statement.sql, job_config=config, retry=self._retry())
        )
        return int(job.total_bytes_processed)

    def close(self) -> None:
        self._client.close()

    def _stage(self, insert: Statement) -> str:
        """The rows of an INSERT in a table of their own, put there by requests of the size that the service takes."""
        target = insert.sql.split("INSERT INTO ", 1)[1].split(" ", 1)[0]
        stage, rows = self.table(f"staging_{uuid.uuid4().hex}"), insert.params["rows"]
        expiry = "TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY)"
        self.execute(
            Statement(insert.name, f"CREATE TABLE {stage} LIKE {target} OPTIONS (expiration_timestamp = {expiry})")
        )
        batches: list[list[Row]] = [[]]
        size = 0
        for row, row_size in zip(rows.value, _row_sizes(insert), strict=True):
            if size + row_size > MAX_REQUEST_BYTES and batches[-1]:
                batches.append([])
                size = 0
            batches[-1].append(row)
            size += row_size
        for batch in batches:
            sql = insert.sql.replace(target, stage, 1)
            self.execute(Statement(insert.name, sql, {"rows": Param(rows.type, batch)}))
        return stage

    def _run(self, statement: Statement, key: str | None) -> Any:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=query_parameters(statement.params),
            labels={"application": "bq-monitor", "step": label_value(statement.name)},
        )
        if self.max_bytes is not None:  # the client would send None as the text 'None', which the service refuses
            config.maximum_bytes_billed = self.max_bytes
        job = self._call(statement.name, lambda: self._insert(statement, config, key))
        rows = self._call(
            statement.name, lambda: job.result(timeout=self.deadline_seconds, job_retry=None, retry=self._retry())
        )
        self.spent += JobStats(job.total_bytes_processed, job.slot_millis)
        return rows

    def _insert(self, statement: Statement, config: bigquery.QueryJobConfig, key: str | None) -> Any:
        """Begin a job. With a key, the id says what it does: where it exists it is attached to; a failed id is spent."""
        from google.api_core.exceptions import Conflict

        for attempt in range(MAX_ATTEMPTS):
            job_id = self._job_id(key, attempt) if key else f"bq-monitor-{uuid.uuid4().hex}"
            try:
                return self._client.query(
                    statement.sql, job_config=config, job_id=job_id, job_retry=None, retry=self._retry()
                )
            except Conflict:
                job = self._client.get_job(job_id, location=self._job_location())
                if not (job.done() and (job.error_result or self._is_older_than_tables(job))):
                    return job
        raise WarehouseError(
            f"{statement.name}: failed {MAX_ATTEMPTS} times before; look at job {job_id}, then change what it complains of."
        )

    def _job_id(self, key: str, attempt: int) -> str:
        """Ids are unique in a project: the dataset is part of them, so that two monitored datasets never share a job."""
        return f"bq-monitor-{_LABEL.sub('-', key.lower())}-{self.dataset}-{attempt}"

    def _job_location(self) -> str | None:
        """Where our jobs run; outside US and EU a job is only found with its location."""
        if self.location is None:
            self.location = self._client.get_dataset(f"{self.project}.{self.dataset}").location
        return self.location

    def _is_older_than_tables(self, job: Any) -> bool:
        """Whether a job wrote into tables that were dropped since: its rows are gone, so its id is spent too."""
        own = {table.name for table in TABLES}
        listed = self._client.list_tables(f"{self.project}.{self.dataset}")
        created = [item.created for item in listed if item.table_id in own and item.created]
        return bool(created) and job.created < max(created)

    def _retry(self) -> Any:
        """How the client repeats a request that the service could not take, at most until the deadline."""
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(min(self.deadline_seconds, DEFAULT_RETRY.timeout or self.deadline_seconds))

    def _call(self, place: str, call: Any) -> Any:
        """Run a client call; what the service refuses becomes an error that says what to do."""
        from concurrent.futures import TimeoutError as DeadlineError

        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        try:
            return call()
        except exceptions.NotFound as error:
            raise TableNotFoundError(
                f"{place}: not found: {_reason(error)}. Check the name and location; our own tables are made by 'bq-monitor init'."
            ) from None
        except exceptions.Forbidden as error:
            if "quotaExceeded" in str(error.errors):
                raise WarehouseError(
                    f"{place}: over a quota: {_reason(error)}. Run again later, or raise it."
                ) from None
            raise WarehouseError(
                f"{place}: no access: {_reason(error)}. Grant the role that the message names."
            ) from None
        except exceptions.GoogleAPICallError as error:
            if "bytesBilledLimitExceeded" in str(getattr(error, "errors", "")):
                raise BudgetError(
                    f"{place}: over budget.max_bytes_per_run: {_reason(error)}. Nothing was billed."
                ) from None
            raise WarehouseError(f"{place}: {_reason(error)}") from None
        except GoogleAuthError as error:
            raise WarehouseError(
                f"BigQuery: no credentials: {_reason(error)}. Run 'gcloud auth application-default login', "
                "or set GOOGLE_APPLICATION_CREDENTIALS."
            ) from None
        except (DeadlineError, OSError, exceptions.RetryError) as error:
            raise WarehouseError(
                f"{place}: no answer within {self.deadline_seconds:.0f} s ({_reason(error)}). Run again: finished steps are kept."
            ) from None


def transaction(inserts: Sequence[Statement]) -> Statement:
    """INSERT statements as one script in a transaction; each one's parameters get a prefix of its own."""
    lines, params = ["BEGIN TRANSACTION;"], {}
    for i, statement in enumerate(inserts):
        sql = statement.sql
        for name, param in statement.params.items():
            sql = re.sub(rf"@{name}\b", f"@s{i}_{name}", sql)
            params[f"s{i}_{name}"] = param
        lines.append(sql.rstrip() + ";")
    return Statement("write/commit", "\n".join([*lines, "COMMIT TRANSACTION;"]), params)


def _row_sizes(insert: Statement) -> list[int]:
    """Bytes of each row of an INSERT on the wire; none for a statement without rows."""
    if "rows" not in insert.params or not insert.params["rows"].type.startswith("ARRAY<STRUCT<"):
        return []
    (rows,) = query_parameters({"rows": insert.params["rows"]})
    return [len(json.dumps(item)) for item in rows.to_api_repr()["parameterValue"]["arrayValues"]]


def query_parameters(params: Mapping[str, Param]) -> list[Any]:
    """Our parameters as the client's, arrays and structs included."""
    return [_parameter(name, parse_type(param.type), param.value) for name, param in params.items()]


def label_value(text: str) -> str:
    """Text as a BigQuery label value: lower case, at most 63 of letters, digits, '-' and '_'."""
    return _LABEL.sub("-", text.lower())[:63]


def _parameter(name: str | None, kind: SqlType, value: Any) -> Any:
    from google.cloud import bigquery

    if kind.element is not None:
        element = _parameter_type(kind.element)
        values = [_parameter(None, kind.element, item) for item in value] if kind.element.fields else list(value)
        return bigquery.ArrayQueryParameter(name, element, values)
    if kind.fields:
        return bigquery.StructQueryParameter(
            name, *(_parameter(field, sub, value[field]) for field, sub in kind.fields)
        )
    return bigquery.ScalarQueryParameter(name, kind.name, value)


def _parameter_type(kind: SqlType, name: str | None = None) -> Any:
    from google.cloud import bigquery

    if kind.element is not None:
        return bigquery.ArrayQueryParameterType(_parameter_type(kind.element), name=name)
    if kind.fields:
        return bigquery.StructQueryParameterType(
            *(_parameter_type(sub, field) for field, sub in kind.fields), name=name
        )
    return bigquery.ScalarQueryParameterType(kind.name, name=name)


def _connect(project: str, location: str | None) -> bigquery.Client:
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import bigquery

    try:
        return bigquery.Client(project=project, location=location)
    except GoogleAuthError as error:
        raise WarehouseError(
            f"BigQuery project {project!r}: no credentials: {_reason(error)}. "
            "Run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS."
        ) from None


def _reason(error: BaseException) -> str:
    """What the service says, in one line, and the job that it says it of."""
    details = getattr(error, "errors", None) or [{}]
    said = details[0].get("message") or getattr(error, "message", None) or error
    job = getattr(error, "query_job", None)
    told = " ".join(str(said).split())[:300].rstrip(".") or type(error).__name__
    return f"{told} (job {job.job_id})" if job is not None else told
