"""The stand-in as a test sees it: the methods of the REST API on loopback, the log of what was asked, accounts of what it cost.

What the stand-in keeps of the service: a job id is taken once, for ever; a job of a regional location is found only with that
location, and reaches only datasets there; each query is billed at least 10 MB, a load job nothing; a request has at most 10 MB
(an upload more), a text 1024 K characters. A query of INFORMATION_SCHEMA.PARTITIONS processes and bills 10 MB.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

from tests.bigquery_server.catalog import colon
from tests.bigquery_server.engine import Engine, listed
from tests.bigquery_server.errors import not_found
from tests.bigquery_server.faults import Faults
from tests.bigquery_server.handler import Handler, Request
from tests.bigquery_server.jobs import Job, Jobs
from tests.bigquery_server.resources import entity_of, table_head, table_resource
from tests.bigquery_server.uploads import Answer, Uploads
from tests.bigquery_server.values import Json


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Server:
    """The stand-in. Use `with serve() as server`; `engine` holds the tables, `log` what was asked, `faults` what goes wrong."""

    def __init__(self, location: str = "US") -> None:
        self.location = location
        self.faults = Faults()
        self.engine = Engine()
        self.uploads = Uploads()
        self.log: list[Request] = []
        self.page_rows = 10_000
        self.closing = threading.Event()
        self._jobs = Jobs(self.engine, self.faults, location)
        self.jobs = self._jobs.by_id
        self._http = _HTTPServer(("127.0.0.1", 0), Handler)
        self._http.service = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        self._serving = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._serving.start()

    def close(self) -> None:
        """Stop; what hangs or waits is let go at once."""
        self.closing.set()
        self._jobs.halt()
        self._http.shutdown()
        self._serving.join()
        self._http.server_close()
        self._jobs.halt()
        self._jobs.join()
        self.engine.close()

    # --- what a test asks ---

    def deny(self, permission: str, resource: str) -> None:
        """Take a permission on `project`, `project.dataset` or `project.dataset.table` away."""
        self.engine.access.deny(permission, resource)

    def allow(self, permission: str, resource: str) -> None:
        """Take a denial back."""
        self.engine.access.allow(permission, resource)

    def queries(self, containing: str = "") -> list[Request]:
        """The query jobs that were inserted (not the dry runs), in order."""
        return [item for item in self._inserted("query") if containing in item.sql]

    def loads(self) -> list[Request]:
        """The load jobs that were inserted, in order."""
        return self._inserted("load")

    def jobs_of(self, step: str) -> list[Job]:
        """The jobs, of queries and loads, with a label `step`, in order."""
        return [job for job in self.jobs.values() if job.step == step]

    def bytes_by_step(self) -> dict[str, int]:
        """The bytes that the finished jobs of each label `step` have processed."""
        total: Counter[str] = Counter()
        for job in self._succeeded():
            total[job.step] += job.outcome.bytes_processed if job.outcome else 0
        return dict(total)

    def bytes_of(self, table: str) -> int:
        """The bytes that the finished jobs have read of `project.dataset.table`."""
        return sum(job.outcome.bytes_of.get(table, 0) for job in self._succeeded() if job.outcome)

    def _inserted(self, kind: str) -> list[Request]:
        return [item for item in self.log if item.method == "jobs.insert" and not item.dry_run and item.kind == kind]

    def _succeeded(self) -> list[Job]:
        return [job for job in list(self.jobs.values()) if job.finished.is_set() and job.outcome is not None]

    # --- the methods of the API ---

    def datasets_get(self, project: str, dataset: str) -> Json:
        name = f"{project}.{dataset}"
        self.engine.access.check("bigquery.datasets.get", name)
        if name not in self.engine.datasets:
            raise not_found(f"Dataset {project}:{dataset}")
        reference = {"projectId": project, "datasetId": dataset}
        return {
            "kind": "bigquery#dataset", "id": f"{project}:{dataset}", "datasetReference": reference,
            "location": self.engine.datasets[name],
        }  # fmt: skip

    def datasets_insert(self, project: str, body: Json) -> Json:
        dataset = body["datasetReference"]["datasetId"]
        self.engine.create_dataset(f"{project}.{dataset}", body.get("location", self.location))
        return self.datasets_get(project, dataset)

    def tables_get(self, project: str, dataset: str, table: str) -> Json:
        name = f"{project}.{dataset}.{table}"
        self.engine.access.check("bigquery.tables.get", name)
        return self._table(name)

    def tables_insert(self, project: str, dataset: str, body: Json) -> Json:
        name = f"{project}.{dataset}.{body['tableReference']['tableId']}"
        fields = body.get("schema", {}).get("fields", [])
        self.engine.create_table(name, fields, entity_of(body, self.engine.now_ms()))
        return self._table(name)

    def tables_delete(self, project: str, dataset: str, table: str) -> Answer:
        name = f"{project}.{dataset}.{table}"
        self.engine.access.check("bigquery.tables.delete", name)
        if name not in self.engine.entities:
            raise not_found(f"Table {colon(name)}")
        self.engine.drop(name)
        return Answer(204)

    def tables_test(self, project: str, dataset: str, table: str, body: Json) -> Json:
        """Which of some permissions the caller has; of a table that is not there, none."""
        name = f"{project}.{dataset}.{table}"
        is_there = name in self.engine.entities
        held = [item for item in body["permissions"] if is_there and self.engine.access.allows(item, name)]
        return {"permissions": held} if held else {}

    def tables_list(self, project: str, dataset: str) -> Json:
        name = f"{project}.{dataset}"
        self.engine.access.check("bigquery.tables.list", name)
        tables = [table_head(f"{name}.{table}", entity) for table, entity in listed(self.engine, name)]
        return {"kind": "bigquery#tableList", "tables": tables, "totalItems": len(tables)}

    def jobs_insert(self, project: str, body: Json, data: bytes | None = None) -> Json:
        return self._jobs.insert(project, body, data)

    def jobs_get(self, project: str, job_id: str, location: str | None) -> Json:
        return self._jobs.get(project, job_id, location).resource()

    def jobs_cancel(self, project: str, job_id: str, location: str | None) -> Json:
        return self._jobs.cancel(project, job_id, location)

    def jobs_results(self, project: str, job_id: str, query: dict[str, str]) -> Json:
        return self._jobs.results(
            project, job_id, query, min(self.page_rows, int(query.get("shortPage", self.page_rows)))
        )

    def _table(self, name: str) -> Json:
        fields = self.engine.schema(name)
        dataset = name.rpartition(".")[0]
        return table_resource(name, self.engine.entities[name], fields, self.engine.datasets[dataset])


@contextmanager
def serve(location: str = "US") -> Iterator[Server]:
    """A running stand-in."""
    server = Server(location)
    server.start()
    try:
        yield server
    finally:
        server.close()
