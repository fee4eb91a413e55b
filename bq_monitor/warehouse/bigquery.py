"""BigQuery through `google-cloud-bigquery`: parameters, labels, byte caps, dry runs, one transaction per commit."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bq_monitor.errors import BudgetError, TableNotFoundError, WarehouseError
from bq_monitor.warehouse.base import Dialect, JobStats, Param, Relation, Row, Statement
from bq_monitor.warehouse.identifiers import bigquery_table, parse_bigquery_url
from bq_monitor.warehouse.types import SqlType, from_bigquery, parse_type

if TYPE_CHECKING:
    from google.cloud import bigquery

MAX_ATTEMPTS = 10
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
        return [dict(row.items()) for row in rows]

    def execute(self, statement: Statement, *, key: str | None = None) -> None:
        self._run(statement, key)

    def commit(self, inserts: Sequence[Statement], *, key: str) -> None:
        self._run(transaction(inserts), key)

    def estimate(self, statement: Statement) -> int | None:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            dry_run=True, use_query_cache=False, query_parameters=query_parameters(statement.params)
        )
        job = self._call(statement.name, lambda: self._client.query(statement.sql, job_config=config))
        return int(job.total_bytes_processed)

    def close(self) -> None:
        self._client.close()

    def _run(self, statement: Statement, key: str | None) -> Any:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=query_parameters(statement.params),
            maximum_bytes_billed=self.max_bytes,
            labels={"application": "bq-monitor", "step": label_value(statement.name)},
        )
        job = self._call(statement.name, lambda: self._insert(statement, config, key))
        rows = self._call(statement.name, lambda: job.result(timeout=self.deadline_seconds, job_retry=None))
        self.spent += JobStats(job.total_bytes_processed, job.slot_millis)
        return rows

    def _insert(self, statement: Statement, config: bigquery.QueryJobConfig, key: str | None) -> Any:
        """Begin a job. With a key, the id says what it does: where it exists it is attached to; a failed id is spent."""
        from google.api_core.exceptions import Conflict

        for attempt in range(MAX_ATTEMPTS):
            job_id = f"bq-monitor-{_LABEL.sub('-', key.lower())}-{attempt}" if key else f"bq-monitor-{uuid.uuid4().hex}"
            try:
                return self._client.query(statement.sql, job_config=config, job_id=job_id, job_retry=None)
            except Conflict:
                job = self._client.get_job(job_id)
                if not (job.done() and job.error_result):
                    return job
        raise WarehouseError(
            f"{statement.name}: failed {MAX_ATTEMPTS} times before; look at job {job_id}, then change what it complains of."
        )

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
        except (DeadlineError, OSError) as error:
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
    return " ".join(str(getattr(error, "message", None) or error).split())[:300] or type(error).__name__
