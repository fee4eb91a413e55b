"""Who is granted what: read from the HCL, and from a plan, with what least privilege forbids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bq_monitor.warehouse.access import NEEDS, Need
from tests.terraform.hcl import Declared, Module, plain, texts
from tests.terraform.plan import Planned

ON_PROJECT = "google_project_iam_member"
RUNNERS_ROLE_ON_PROJECT = "roles/bigquery.jobUser"
HOLDS = {
    "roles/bigquery.jobUser": {"bigquery.jobs.create"},
    "roles/bigquery.metadataViewer": {"bigquery.datasets.get", "bigquery.tables.get", "bigquery.tables.list"},
    "roles/bigquery.dataViewer": {"bigquery.datasets.get", "bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.list"},
    "roles/bigquery.dataEditor": {
        "bigquery.datasets.get", "bigquery.tables.create", "bigquery.tables.delete", "bigquery.tables.get", "bigquery.tables.getData",
        "bigquery.tables.list", "bigquery.tables.update", "bigquery.tables.updateData",
    },
}  # fmt: skip
"""What of the permissions that we need Google's predefined roles hold, from Google's documentation of them."""
_ROLE = re.compile(r"roles/[\w.]+")
_ACCOUNT = re.compile(r'google_service_account\.this\[\\?"(\w+)\\?"\]')
_GRANTS = re.compile(r"_iam_(?:member|binding|policy|custom_role)$|_dataset_access$")
_TOO_MUCH = re.compile(r"roles/(?:owner|editor|viewer|.*[aA]dmin)")
_EVERYBODY = re.compile(r"\ball(?:Authenticated)?Users\b")


@dataclass(frozen=True)
class Grant:
    """One resource that grants; `account` is the module's service account that is named, empty for anyone else's."""

    address: str
    type: str
    roles: tuple[str, ...]
    account: str
    place: str = ""

    @property
    def on_project(self) -> bool:
        return self.type == ON_PROJECT


def grants(module: Module) -> dict[str, Grant]:
    """Every resource that grants anything, by its address."""
    return {item.address: _grant(item) for item in module.of_kind("resource").values() if _GRANTS.search(item.type)}


def access_faults(module: Module) -> list[str]:
    """What of the HCL gives more than least privilege does, each with its place."""
    found = [
        f"{grant.place}: {grant.address}: {fault}" for grant in grants(module).values() for fault in _faults(grant)
    ]
    for item in module.of_kind("resource").values():
        if any(_EVERYBODY.search(text) for text in texts(item.body)):
            found.append(f"{item.place}: {item.address}: is open to everybody")
        if "access" in item.body:
            found.append(f"{item.place}: {item.address}: grants inside itself; allowed: a resource of its own")
    return found


def planned_faults(resources: Iterable[Planned]) -> list[str]:
    """What of a plan gives the runner more on the project than to run queries, or anybody anything."""
    found = []
    for resource in _planned_grants(resources):
        role, member = str(resource.values["role"]), str(resource.values.get("member"))
        if resource.type == ON_PROJECT and member.endswith(":runner") and role != RUNNERS_ROLE_ON_PROJECT:
            found.append(f"{resource.address}: gives the runner {role} on the project")
        if _EVERYBODY.search(member):
            found.append(f"{resource.address}: is open to everybody")
    return found


def uncovered(resources: Iterable[Planned], own: str, logs: Iterable[tuple[str, str]]) -> list[Need]:
    """What the runner needs and is not given: on the project, its `own` dataset, and each log's (dataset, table)."""
    held = [(resource, HOLDS.get(resource.values["role"], set())) for resource in _runners(resources)]
    logs = tuple(logs)
    return [need for need in NEEDS if not all(_covers(held, need, place) for place in _places(need, own, logs))]


Place = tuple[str, ...]
"""Nothing for the project, (dataset,), or (dataset, table)."""


def _places(need: Need, own: str, logs: tuple[tuple[str, str], ...]) -> tuple[Place, ...]:
    return {"project": ((),), "own": ((own,),), "log": logs}[need.where]


def _covers(held: list[tuple[Planned, set[str]]], need: Need, place: Place) -> bool:
    """A grant on what a place lies in holds there; one on a table only for permissions that a table can give."""
    for resource, permissions in held:
        granted = tuple(resource.values[key] for key in ("dataset_id", "table_id") if key in resource.values)
        reaches = place[: len(granted)] == granted and (need.is_of_table or len(granted) < 2)
        if need.permission in permissions and reaches:
            return True
    return False


def _planned_grants(resources: Iterable[Planned]) -> Iterator[Planned]:
    return (resource for resource in resources if _GRANTS.search(resource.type))


def _runners(resources: Iterable[Planned]) -> Iterator[Planned]:
    return (item for item in _planned_grants(resources) if str(item.values.get("member")).endswith(":runner"))


def _grant(item: Declared) -> Grant:
    account = _ACCOUNT.search(item.text("member"))
    roles = tuple(_ROLE.findall(plain(item.body.get("role", ""))))
    return Grant(item.address, item.type, roles, account[1] if account else "", item.place)


def _faults(grant: Grant) -> Iterator[str]:
    if not grant.type.endswith("_iam_member"):
        yield f"{grant.type} replaces or hides what others granted; allowed: a resource *_iam_member"
        return
    if not grant.roles:
        yield "its role is not written out"
    for role in grant.roles:
        if _TOO_MUCH.fullmatch(role):
            yield f"{role} is more than anything here needs"
        if grant.on_project and grant.account == "runner" and role != RUNNERS_ROLE_ON_PROJECT:
            yield f"gives the runner {role} on the project; allowed: {RUNNERS_ROLE_ON_PROJECT}"
    if grant.on_project and not grant.account:
        yield "grants on the project, and whom is not written out"
