"""Who may do what: the page, the HCL and the plan say the same, and it is no more and no less than is needed."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from bq_monitor.warehouse.access import NEEDS
from tests.conftest import ROOT
from tests.terraform.access import HOLDS, access_faults, grants, planned_faults, uncovered
from tests.terraform.conftest import EXAMPLES
from tests.terraform.hcl import Module
from tests.terraform.plan import ACCOUNTS, Planned

PAGE = ROOT / "docs" / "access.md"
_ROW = re.compile(
    r"^\| (?P<who>.+?) \| (?P<role>.+?) \| (?P<on>.+?) \| (?P<why>.+?) \| `(?P<address>google_[\w.]+)` \|$",
    re.MULTILINE,
)
LOGS = (("serving", "loan_predictions"), ("serving", "loan_outcomes"))
"""What the minimal example's fleet reads."""


@dataclass(frozen=True)
class Row:
    """A row of the page's table: one resource that grants."""

    who: str
    role: str
    on: str
    why: str
    address: str


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [Row(**found.groupdict()) for found in _ROW.finditer(PAGE.read_text("utf-8"))]


def test_the_page_has_a_row_for_each_grant(rows: list[Row], module: Module) -> None:
    """No resource that grants is missing from the page, none is there twice, and none is invented."""
    assert sorted(row.address for row in rows) == sorted(grants(module))


def test_the_page_says_what_is_granted_to_whom(rows: list[Row], module: Module) -> None:
    """Role, account and whether it is the whole project agree with the HCL; each row has its reason."""
    granted = grants(module)
    for row in rows:
        assert sorted(re.findall(r"`(roles/[\w.]+)`", row.role)) == sorted(granted[row.address].roles), row.address
        assert _accounts(row) == {granted[row.address].account} - {""}, row.address
        assert row.on.startswith("project") == granted[row.address].on_project, row.address
        assert len(row.why.split()) >= 3, row.address


def _accounts(row: Row) -> set[str]:
    return set(re.findall(r"`(\w+)`", row.who)) & set(ACCOUNTS)


def test_nothing_gives_more_than_needed(module: Module) -> None:
    """Members only, no primitive and no admin role, nobody unknown, and the runner may only run queries in the project."""
    assert access_faults(module) == []


@pytest.mark.parametrize("place", EXAMPLES)
def test_no_plan_gives_more_than_needed(plans: dict[str, list[Planned]], place: str) -> None:
    """The same of what would be made, where each name is resolved."""
    assert planned_faults(plans[place]) == []


def test_the_runner_can_do_what_it_must(plans: dict[str, list[Planned]]) -> None:
    """Every permission that bq-monitor needs is held where it is needed."""
    assert uncovered(plans["examples/minimal"], "ml_monitoring", LOGS) == []


def _is_the_runners(resource: Planned) -> bool:
    return "_iam_member" in resource.type and str(resource.values.get("member")).endswith(":runner")


def test_each_grant_of_the_runner_is_needed(plans: dict[str, list[Planned]]) -> None:
    """Without any one of the grants on BigQuery something that bq-monitor needs is missing."""
    resources = plans["examples/minimal"]
    on_bigquery = [
        item for item in resources if _is_the_runners(item) and item.values["role"].startswith("roles/bigquery.")
    ]
    assert len(on_bigquery) == 2 + 1 + len(LOGS)
    for one in on_bigquery:
        assert uncovered([item for item in resources if item is not one], "ml_monitoring", LOGS), one.address


def test_the_roles_that_errors_name_hold_what_is_missing() -> None:
    """The role that an error tells people to grant holds the permission that it is about."""
    assert [need for need in NEEDS if need.permission not in HOLDS[need.role]] == []
