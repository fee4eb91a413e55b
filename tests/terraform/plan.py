"""What terraform would make: the resources of a plan, in which service accounts have addresses that name them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.terraform.offline import Finished, Terraform

ACCOUNTS = ("runner", "builder", "scheduler", "dashboard")
_TEST = """mock_provider "google" {
  override_during = plan
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}
variables {
%s}
%s
run "planned" {
  command = plan
}
"""
_ACCOUNT = """override_resource {
  target          = %sgoogle_service_account.this["%s"]
  override_during = plan
  values          = { member = "serviceAccount:%s", email = "%s" }
}
"""


class PlanError(Exception):
    """A folder that cannot be planned; holds what terraform printed."""


@dataclass(frozen=True)
class Planned:
    """One resource with what terraform knows of it before it is made."""

    address: str
    type: str
    values: Mapping[str, Any]


def plan(terraform: Terraform, folder: Path, variables: Mapping[str, str]) -> list[Planned]:
    """The plan of an initialised folder that calls the module as `bq_monitor`; raises PlanError where there is none."""
    (folder / "planned.tftest.hcl").write_text(_text(variables), encoding="utf-8")
    done = terraform.run(folder, "test", "-json", "-verbose", "-filter=planned.tftest.hcl")
    if done.code:
        raise PlanError(done.text)
    return list(_resources(done))


def _text(variables: Mapping[str, str]) -> str:
    given = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in variables.items())
    return _TEST % (given, "".join(_ACCOUNT % ("module.bq_monitor.", name, name, name) for name in ACCOUNTS))


def _resources(done: Finished) -> Iterator[Planned]:
    messages = [json.loads(line) for line in done.text.splitlines()]
    (found,) = [message["test_plan"] for message in messages if message["type"] == "test_plan"]
    for change in found["resource_changes"]:
        if change["mode"] == "managed":
            yield Planned(change["address"], change["type"], change["change"]["after"])
