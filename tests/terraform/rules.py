"""What the module promises beside what terraform itself checks: of its files, and of what it would make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.views import VIEWS
from tests.terraform.hcl import Module
from tests.terraform.plan import Planned

REQUIRED = ("var.project", "var.location", "var.fleet")
HOLD_DATA = (
    "google_bigquery_dataset.results",
    "google_bigquery_table.tables",
    "google_storage_bucket.config",
    "google_storage_bucket.reports",
)
MOST_LINES = 150
LONGEST_WAIT = 1800
"""Seconds that Cloud Scheduler waits for an answer, at most."""


def module_faults(module: Module) -> list[str]:
    """What the files break: each with the place."""
    return [*_inputs(module), *_described(module), *_kept(module), *_files(module)]


def _inputs(module: Module) -> Iterator[str]:
    """What depends on where one is has no default, everything else has."""
    for address, variable in module.of_kind("variable").items():
        if address in REQUIRED and "default" in variable.body:
            yield f"{variable.place}: {address}: has a default; allowed: none, as any would be wrong for most"
        if address not in REQUIRED and "default" not in variable.body:
            yield f"{variable.place}: {address}: has no default"
        if "type" not in variable.body:
            yield f"{variable.place}: {address}: has no type"


def _described(module: Module) -> Iterator[str]:
    for item in [*module.of_kind("variable").values(), *module.of_kind("output").values()]:
        if not item.text("description"):
            yield f"{item.place}: {item.address}: has no description"


def _kept(module: Module) -> Iterator[str]:
    """What holds data is not destroyed by a plan."""
    resources = module.of_kind("resource")
    for address in HOLD_DATA:
        found = resources.get(address)
        settings = found.body.get("lifecycle", [{}])[0] if found else {}
        if settings.get("prevent_destroy") is not True:
            yield f"{found.place if found else module.folder.name}: {address}: holds data without prevent_destroy"


def _files(module: Module) -> Iterator[str]:
    for name, content in module.files.items():
        lines = len((module.folder / name).read_text("utf-8").splitlines())
        if lines > MOST_LINES:
            yield f"{name}: {lines} lines; allowed: {MOST_LINES}"
        if "provider" in content:
            yield f"{name}: configures a provider, which is its caller's"


def plan_faults(resources: Sequence[Planned]) -> list[str]:
    """What of a plan would not work as promised."""
    return [*_times(resources), *_tables(resources)]


def _times(resources: Sequence[Planned]) -> Iterator[str]:
    """A call ends before its function is stopped, and that before the scheduler gives up."""
    (function,) = _of_type(resources, "google_cloudfunctions2_function")
    (service,) = function.values["service_config"]
    stopped, call = service["timeout_seconds"], int(service["environment_variables"]["BQ_MONITOR_CALL_SECONDS"])
    if not 0 < call < stopped:
        yield f"{function.address}: a call of {call} s, stopped after {stopped} s"
    for job in _of_type(resources, "google_cloud_scheduler_job"):
        waited = int(job.values["attempt_deadline"].removesuffix("s"))
        if not stopped < waited <= LONGEST_WAIT:
            yield f"{job.address}: waits {waited} s for a call of up to {stopped} s; allowed: longer, up to {LONGEST_WAIT}"


def _tables(resources: Sequence[Planned]) -> Iterator[str]:
    """The tables and views are the package's."""
    made = {item.values["table_id"]: item for item in _of_type(resources, "google_bigquery_table")}
    wanted = {table.name for table in TABLES} | {view.name for view in VIEWS}
    yield from (f"{name}: no such table or view would be made" for name in sorted(wanted - made.keys()))
    yield from (f"{name}: the package has no such table or view" for name in sorted(made.keys() - wanted))
    for name, item in made.items():
        if any(re.search(r"\$\{", view["query"]) for view in item.values.get("view") or ()):
            yield f"{name}: a placeholder was not filled in"


def _of_type(resources: Iterable[Planned], kind: str) -> list[Planned]:
    return [resource for resource in resources if resource.type == kind]
