"""The linter finds each kind of fault by name, and lets what is right pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terraform.lint import lint
from tests.terraform.schema import Schema

Write = Callable[[str], Path]
SOUND = """
variable "project" {
  type = string
}

locals {
  days = 30
}

resource "google_storage_bucket" "own" {
  name                        = "${var.project}-own"
  project                     = var.project
  location                    = "EU"
  uniform_bucket_level_access = true

  dynamic "lifecycle_rule" {
    for_each = [local.days]
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_storage_bucket_iam_member" "reader" {
  bucket = google_storage_bucket.own.name
  role   = "roles/storage.objectViewer"
  member = "group:readers@example.com"
}
"""


def test_what_is_right_passes(written: Write, schema: Schema) -> None:
    """No fault is found in a module that has none."""
    assert lint(written(SOUND), schema) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("  location ", "  locaton ", "locaton: unknown argument or block (did you mean 'location'?)"),
        ('  location                    = "EU"\n', "", "google_storage_bucket.own: missing required argument 'location'"),
        ("      condition {\n        age = lifecycle_rule.value\n      }\n", "", "lifecycle_rule: missing required block 'condition'"),
        ("      action {", "      action = {", "lifecycle_rule.action: is a block, written as an argument (drop '=')"),
        ('role   = "roles/storage.objectViewer"', "role {\n  }", "reader.role: is an argument, written as a block (use '=')"),
        ("  location ", '  self_link = "x"\n  location ', "self_link: is output-only and cannot be set"),
        ("access = true", 'access = "perhaps"', 'access: "perhaps" does not fit type bool'),
        ("own.name", "owm.name", "reference to undeclared google_storage_bucket.owm (did you mean 'google_storage_bucket.own'?)"),
        ("own.name", "own.names", "reference to unknown attribute google_storage_bucket.own.names (did you mean 'name'?)"),
        ("[local.days]", "[local.weeks]", "reference to undeclared local.weeks"),
        ("= var.project", "= var.projekt", "reference to undeclared var.projekt (did you mean 'var.project'?)"),
        ("  lifecycle {", "  versioning {\n    enabled = true\n  }\n  versioning {\n    enabled = true\n  }\n  lifecycle {", "2 blocks, at most 1"),
        ('"google_storage_bucket" "own"', '"google_storage_bukket" "own"', "no schema for this type (did you mean 'google_storage_bucket'?)"),
        ("locals {", "locals", "main.tf: is no HCL"),
    ],
)  # fmt: skip
def test_a_fault_is_named(written: Write, schema: Schema, right: str, wrong: str, fault: str) -> None:
    """Each fault put into a sound module is reported with its place."""
    assert right in SOUND
    found = lint(written(SOUND.replace(right, wrong)), schema)
    assert any(fault in one and one.startswith("main.tf") for one in found), found


def test_what_later_versions_refuse_is_a_fault(written: Write, schema: Schema) -> None:
    """An event trigger without a type was allowed in version 6 of the provider; 7 requires one."""
    text = 'resource "google_cloudfunctions2_function" "f" {\n  name     = "f"\n  location = "europe-west1"\n  event_trigger {\n  }\n}\n'
    (fault,) = lint(written(text), schema)
    assert fault.endswith("google_cloudfunctions2_function.f.event_trigger: missing required argument 'event_type'")


def test_the_place_is_the_line_of_the_block(written: Write, schema: Schema) -> None:
    """A fault names file and line, so that an editor finds it."""
    line = 1 + SOUND.splitlines().index('resource "google_storage_bucket_iam_member" "reader" {')
    (fault,) = lint(written(SOUND.replace("member = ", "members = ").replace("role   ", "role    ")), schema)[:1]
    assert fault.startswith(f"main.tf:{line}: google_storage_bucket_iam_member.reader")
