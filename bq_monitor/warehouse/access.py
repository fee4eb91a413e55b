"""Which permission each step needs on BigQuery, and the role that grants it: one table for errors, `validate` and the docs."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_PERMISSION = re.compile(r"bigquery\.[a-z]+\.[A-Za-z]+")
_OF_A_TABLE = (
    "bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.update", "bigquery.tables.updateData",
    "bigquery.tables.delete",
)  # fmt: skip
Where = Literal["project", "log", "own"]


class Need(NamedTuple):
    """A permission, where it is needed (`project`, `log` or `own` tables), what for, and the least role that grants it."""

    permission: str
    where: Where
    purpose: str
    role: str

    @property
    def is_of_table(self) -> bool:
        """Whether a single table can grant it; otherwise only its dataset or project."""
        return self.permission in _OF_A_TABLE


NEEDS = (
    Need("bigquery.jobs.create", "project", "run queries", "roles/bigquery.jobUser"),
    Need("bigquery.tables.get", "log", "read the columns of the log", "roles/bigquery.dataViewer"),
    Need("bigquery.tables.getData", "log", "count the log", "roles/bigquery.dataViewer"),
    Need("bigquery.tables.list", "log", "read when partitions changed", "roles/bigquery.dataViewer"),
    Need("bigquery.datasets.get", "own", "learn where the dataset lies", "roles/bigquery.dataEditor"),
    Need("bigquery.tables.get", "own", "stage large results in tables like ours", "roles/bigquery.dataEditor"),
    Need("bigquery.tables.getData", "own", "read references and stored counts", "roles/bigquery.dataEditor"),
    Need("bigquery.tables.updateData", "own", "store counts and results", "roles/bigquery.dataEditor"),
    Need(
        "bigquery.tables.create", "own", "create tables ('init') and stage large results", "roles/bigquery.dataEditor"
    ),
    Need(
        "bigquery.tables.update",
        "own",
        "add columns to older tables and replace views ('init')",
        "roles/bigquery.dataEditor",
    ),
    Need("bigquery.tables.delete", "own", "drop the staging tables", "roles/bigquery.dataEditor"),
    Need("bigquery.tables.list", "own", "learn when our tables were made", "roles/bigquery.dataEditor"),
)
_ROLES = {need.permission: need.role for need in reversed(NEEDS)}


def needs_of(where: Where) -> tuple[Need, ...]:
    """What is needed in one place."""
    return tuple(need for need in NEEDS if need.where == where)


def need_in(said: str, *where: Where) -> Need | None:
    """The need, in one of some places, whose permission a refusal names; None where it names none of ours."""
    named = _PERMISSION.search(said)
    return next((need for need in NEEDS if named and need.permission == named[0] and need.where in where), None)


def remedy_for(said: str) -> str:
    """What to grant, from the permission that a refusal names."""
    if lacks_credentials(said):
        return "Run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS."
    found = _PERMISSION.search(said)
    if not found:
        return "Grant the role that the message names."
    return f"Grant {_ROLES.get(found[0], 'roles/bigquery.dataEditor')} (it holds {found[0]}) to the account that runs this."


def lacks_credentials(said: str) -> bool:
    """Whether a refusal is not of an account, but of nobody: there is no account to grant anything to."""
    return "credentials" in said
