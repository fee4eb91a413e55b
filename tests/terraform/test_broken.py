"""Deliberately broken copies of the module: each is caught, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.terraform.access import access_faults, planned_faults
from tests.terraform.conftest import EXAMPLES
from tests.terraform.hcl import Module
from tests.terraform.lint import lint
from tests.terraform.offline import Terraform
from tests.terraform.plan import plan
from tests.terraform.rules import module_faults, plan_faults
from tests.terraform.schema import Schema

SECOND_ROLE = """
resource "google_project_iam_member" "more" {
  project = var.project
  role    = "roles/bigquery.dataViewer"
  member  = google_service_account.this["runner"].member
}
"""
HIDDEN_ROLE = SECOND_ROLE.replace("  project", '  for_each = { dataViewer = "runner" }\n  project', 1).replace(
    '"roles/bigquery.dataViewer"', '"roles/bigquery.${each.key}"'
).replace('["runner"]', "[each.value]")  # fmt: skip


@dataclass(frozen=True)
class Break:
    """One change of a file: `right` becomes `wrong` (with no `right`, it is added); the judges named say `said`."""

    name: str
    file: str
    right: str
    wrong: str
    judges: tuple[str, ...]
    said: str

    def apply(self, folder: Path) -> None:
        path = folder / self.file
        text = path.read_text("utf-8")
        assert self.right in text, f"{self.file} has changed: {self.right!r} is not there to be broken"
        path.write_text(text.replace(self.right, self.wrong, 1) if self.right else text + self.wrong, "utf-8")


SCHEMA = ("validate", "lint")
BREAKS = (
    Break("unknown argument", "config.tf", "force_destroy ", "force_destruction ", SCHEMA, "force_destruction"),
    Break("missing required argument", "dataset.tf", "  dataset_id                 = var.dataset.id\n", "", SCHEMA, "dataset_id"),
    Break("wrong nesting", "function.tf", "source {\n      storage_source {", "storage_source {\n      source {", SCHEMA, "storage_source"),
    Break("undeclared variable", "dataset.tf", "var.location", "var.locaton", SCHEMA, "var.locaton"),
    Break("undeclared resource", "config.tf", "google_storage_bucket.config.name", "google_storage_bucket.confg.name",
          SCHEMA, "google_storage_bucket.confg"),
    Break("second role of the runner", "runner.tf", "", SECOND_ROLE,
          ("access", "plan"), "gives the runner roles/bigquery.dataViewer on the project"),
    Break("second role behind each.key", "runner.tf", "", HIDDEN_ROLE,
          ("plan",), "gives the runner roles/bigquery.dataViewer on the project"),
    Break("role and account not written out", "runner.tf", "", HIDDEN_ROLE,
          ("access",), "grants on the project, and whom is not written out"),
    Break("binding", "runner.tf", "", SECOND_ROLE.replace("iam_member", "iam_binding"),
          ("access",), "google_project_iam_binding replaces or hides"),
    Break("administrator", "topics.tf", "roles/pubsub.publisher", "roles/pubsub.admin",
          ("access",), "roles/pubsub.admin is more than anything here needs"),
    Break("primitive role", "topics.tf", "roles/pubsub.publisher", "roles/editor",
          ("access",), "roles/editor is more than anything here needs"),
    Break("open to everybody", "function.tf", 'google_service_account.this["scheduler"].member', '"allUsers"',
          ("access", "plan"), "is open to everybody"),
    Break("grant inside a resource", "dataset.tf", "  lifecycle {", '  access {\n    role = "READER"\n  }\n\n  lifecycle {',
          ("access",), "grants inside itself"),
    Break("timeout above the deadline", "locals.tf", "= 1800", "= 1700", ("plan",), "waits 1700 s for a call of up to 1740 s"),
    Break("call above the timeout", "locals.tf", "timeout_seconds - 60", "timeout_seconds + 60",
          ("plan",), "a call of 1800 s, stopped after 1740 s"),
    Break("timeout allowed above the deadline", "variables_runs.tf", "timeout_seconds <= 1740", "timeout_seconds <= 3600",
          ("faults",), "timeout"),
    Break("default for project", "variables.tf", 'variable "project" {', 'variable "project" {\n  default     = "acme-ml"',
          ("rules",), "var.project: has a default"),
    Break("data that a plan may destroy", "config.tf", "prevent_destroy = true", "prevent_destroy = false",
          ("rules",), "google_storage_bucket.config: holds data"),
    Break("view left out", "tables.tf", "view.level == 0", 'view.level == 0 && name != "run_costs"',
          ("plan",), "run_costs: no such table or view would be made"),
    Break("view renamed", "schema/views.json", '"name": "run_costs"', '"name": "run_prices"',
          ("plan",), "run_costs: no such table or view would be made"),
    Break("placeholder left", "tables.tf", '"$${dataset}", var.dataset.id', '"$${datasets}", var.dataset.id',
          ("plan",), "a placeholder was not filled in"),
)  # fmt: skip
Judge = Callable[[Path], str]


@pytest.fixture
def judges(terraform: Terraform, schema: Schema) -> dict[str, Judge]:
    """What each way of looking at a copy says about it; nothing, where it finds no fault."""

    def command(*arguments: str) -> Judge:
        def judged(folder: Path) -> str:
            done = terraform.run(folder, *arguments)
            return done.prose if done.code else ""

        return judged

    def planned(folder: Path) -> str:
        place = "examples/minimal"
        resources = plan(terraform, folder / place, EXAMPLES[place])
        return "\n".join([*plan_faults(resources), *planned_faults(resources)])

    return {
        "validate": command("validate"), "faults": command("test", "-filter=tests/faults.tftest.hcl"), "plan": planned,
        "lint": lambda folder: "\n".join(lint(folder, schema)),
        "access": lambda folder: "\n".join(access_faults(Module(folder))),
        "rules": lambda folder: "\n".join(module_faults(Module(folder))),
    }  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: broken.name)
def test_a_broken_copy_is_caught(copied: Path, judges: dict[str, Judge], broken: Break) -> None:
    """Each judge that should see a fault names it."""
    broken.apply(copied)
    for name in broken.judges:
        assert broken.said in judges[name](copied), name
