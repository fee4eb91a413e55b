"""BigQuery through `google-cloud-bigquery`: parameters, byte caps, dry runs, one append-only transaction per commit."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bq_monitor.errors import StatementError, TableNotFoundError
from bq_monitor.timegrid import Partition
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Dialect, JobStats, Layout, Relation, Row, Shape, Statement, Taken, Terms
from bq_monitor.warehouse.identifiers import bigquery_table, parse_bigquery_url
from bq_monitor.warehouse.jobs import REQUEST_SECONDS, Call, Jobs
from bq_monitor.warehouse.migration import outdated_error
from bq_monitor.warehouse.parameters import json_lines, query_parameters, schema_fields
from bq_monitor.warehouse.refusals import refusal_of
from bq_monitor.warehouse.schema import Table
from bq_monitor.warehouse.types import from_bigquery, parse_json_field

if TYPE_CHECKING:
    from google.cloud import bigquery

MAX_ROWS_BYTES = 2_000_000
"""Rows that travel as parameters of the commit itself; more are loaded into staging tables first. A request takes 10 MB."""


class BigQueryWarehouse:
    """See `Warehouse`. Statements that write carry a job id made from their key: the service runs each id at most once."""

    dialect: Dialect = "bigquery"

    def __init__(
        self, project: str, dataset: str, *, location: str | None = None, client: bigquery.Client | None = None
    ) -> None:
        self.project, self.dataset = project, dataset
        self._client = client if client is not None else _connect(project, location)
        self._jobs = Jobs(self._client, project, dataset, location)

    @classmethod
    def from_url(cls, rest: str) -> BigQueryWarehouse:
        """`PROJECT/DATASET[?location=EU]` -> a warehouse; raises `IdentifierError` for anything else."""
        project, dataset, location = parse_bigquery_url(rest)
        return cls(project, dataset, location=location)

    @property
    def spent(self) -> JobStats:
        return self._jobs.spent

    def begin(self, terms: Terms) -> None:
        self._jobs.begin(terms)

    def relation(self, source: str) -> Relation:
        quoted = bigquery_table(source, self.project)
        table = self._get(quoted, source)
        columns = {field.name: from_bigquery(field.field_type, field.mode) for field in table.schema}
        return Relation(quoted, columns, source, _layout(table))

    def sample(self, relation: Relation, rows: int) -> Relation:
        return relation

    def table(self, name: str) -> str:
        return f"`{self.project}.{self.dataset}.{name}`"

    def names(self) -> frozenset[str]:
        name = f"{self.project}.{self.dataset}"
        listed = self._jobs.ask(
            name, lambda: list(self._client.list_tables(name, retry=self._jobs.retry(name), timeout=REQUEST_SECONDS))
        )
        return frozenset(item.table_id for item in listed)

    def shape(self, name: str) -> Shape | None:
        try:
            table = self._get(self.table(name), name)
        except TableNotFoundError:
            return None
        columns = {field.name: parse_json_field(field.to_api_repr()) for field in table.schema}
        layout = _layout(table)
        return Shape(columns, layout.partition_column, layout.partition_unit)

    def query(self, statement: Statement) -> list[Row]:
        return self.query_each(statement, _as_it_is)

    def query_each(self, statement: Statement, take: Callable[[Row], Taken]) -> list[Taken]:
        return self._run(statement, None, take)

    def execute(self, statement: Statement, *, key: str | None = None) -> None:
        self._run(statement, key, _as_it_is)

    def commit(self, rows: Mapping[Table, Sequence[Row]], *, key: str) -> None:
        inserts = [statements.insert(self, table, given) for table, given in rows.items() if given]
        lines = {table: json_lines(given) for table, given in rows.items() if given}
        if sum(map(len, lines.values())) <= MAX_ROWS_BYTES:
            self.execute(transaction(inserts), key=key)
            return
        stages = {table: self._stage(table, given) for table, given in lines.items()}
        moves = [statements.insert_from(self, table, self.table(stage)) for table, stage in stages.items()]
        self.execute(transaction(moves), key=key)  # when it fails, the stages go by themselves after a day
        for stage in stages.values():
            self.execute(statements.drop_stage(self, stage))

    def estimate(self, statement: Statement) -> int | None:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            dry_run=True, use_query_cache=False, query_parameters=query_parameters(statement.params)
        )
        with self._told_if_outdated():
            job = self._jobs.ask(
                statement.name,
                lambda: self._client.query(
                    statement.sql, job_config=config, retry=self._jobs.retry(statement.name), timeout=REQUEST_SECONDS
                ),
            )
        return int(job.total_bytes_processed)

    def partitions(self, relation: Relation, zone: ZoneInfo) -> list[Partition] | None:
        layout = relation.layout
        if layout is None or layout.partition_unit is None or layout.has_stream:
            return None
        civil = relation.columns.get(layout.partition_column or "") in ("DATE", "DATETIME")
        rows = self.query(statements.partitions(relation))
        clock = zone if civil else ZoneInfo("UTC")
        found = (
            Partition.parse(
                str(row["partition_id"]),
                layout.partition_unit,
                clock,
                n_rows=row["total_rows"],
                modified_at=row["last_modified_time"],
            )
            for row in rows
        )
        return [partition for partition in found if partition is not None]

    def missing_permissions(self, relation: Relation, permissions: Sequence[str]) -> list[str]:
        answer = self._jobs.ask(
            relation.place,
            lambda: self._client.test_iam_permissions(
                relation.sql.strip("`"),
                list(permissions),
                retry=self._jobs.retry(relation.place),
                timeout=REQUEST_SECONDS,
            ),
        )
        return [name for name in permissions if name not in answer.get("permissions", [])]

    def location(self) -> str | None:
        name = f"{self.project}.{self.dataset}"
        dataset = self._jobs.ask(
            name, lambda: self._client.get_dataset(name, retry=self._jobs.retry(name), timeout=REQUEST_SECONDS)
        )
        return str(dataset.location)

    def standing_aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        self._client.close()

    def _run(self, statement: Statement, key: str | None, take: Callable[[Row], Taken]) -> list[Taken]:
        from google.cloud import bigquery

        def begin(call: Call) -> Any:
            config = bigquery.QueryJobConfig(
                query_parameters=query_parameters(statement.params), labels=dict(call.labels)
            )
            if (
                self._jobs.terms.max_bytes is not None
            ):  # the client would send None as the text 'None', which is refused
                config.maximum_bytes_billed = self._jobs.terms.max_bytes
            return self._client.query(
                statement.sql,
                job_config=config,
                job_id=call.job_id,
                job_retry=None,
                retry=call.retry,
                timeout=call.timeout,
            )

        with self._told_if_outdated():
            return self._jobs.run(
                statement.name, begin, key=key, take=lambda rows: [take(dict(row.items())) for row in rows]
            )

    @contextmanager
    def _told_if_outdated(self) -> Iterator[None]:
        """Within, what fails because our tables are older than this version is refused by saying so."""
        try:
            yield
        except (StatementError, TableNotFoundError) as error:
            raise outdated_error(self, error) or error from None

    def _get(self, quoted: str, place: str) -> bigquery.Table:
        """What is known of a table or view beside its rows."""
        return self._jobs.ask(
            place,
            lambda: self._client.get_table(quoted.strip("`"), retry=self._jobs.retry(place), timeout=REQUEST_SECONDS),
        )

    def _stage(self, table: Table, lines: bytes) -> str:
        """The rows of one table in a staging table of this run's own, put there by a load job, which is atomic."""
        from google.cloud import bigquery

        stage = f"staging_{uuid.uuid4().hex}"
        self.execute(statements.create_stage(self, stage, table))

        def begin(call: Call) -> Any:
            config = bigquery.LoadJobConfig(
                source_format="NEWLINE_DELIMITED_JSON", write_disposition="WRITE_TRUNCATE", create_disposition="CREATE_NEVER",
                labels=dict(call.labels), schema=schema_fields(table),
            )  # fmt: skip
            return self._client.load_table_from_file(
                io.BytesIO(lines), self.table(stage).strip("`"), size=len(lines), job_id=call.job_id, job_config=config,
                timeout=call.timeout,
            )  # fmt: skip

        self._jobs.run("write/stage", begin, take=lambda rows: None)
        return stage


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


def _as_it_is(row: Row) -> Row:
    return row


def _layout(table: bigquery.Table) -> Layout:
    cut = table.time_partitioning
    return Layout(
        table.table_type, table.location, (cut.field or "_PARTITIONTIME") if cut else None, cut.type_ if cut else None,
        table.num_rows, table.num_bytes, table.streaming_buffer is not None, bool(table.require_partition_filter),
    )  # fmt: skip


def _connect(project: str, location: str | None) -> bigquery.Client:
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import bigquery

    try:
        return bigquery.Client(project=project, location=location)
    except GoogleAuthError as error:
        raise refusal_of(error, f"BigQuery project {project!r}").error() from None
