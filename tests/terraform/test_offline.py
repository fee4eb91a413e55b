"""A real terraform is judged by the schema-only provider, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terraform.offline import Terraform, offer

Write = Callable[[str], Path]
BUCKET = """
resource "google_storage_bucket" "own" {
  name     = "acme-own"
  location = "EU"
}
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (BUCKET.replace("location", "locaton"), 'An argument named "locaton" is not expected here'),
        (BUCKET.replace('  location = "EU"\n', ""), 'The argument "location" is required'),
        (BUCKET.replace('"EU"', "google_storage_bucket.own.colour"), "has no argument, nested block, or exported attribute"),
        (BUCKET.replace("}", "  labels {\n  }\n}"), 'Blocks of type "labels" are not expected here'),
        (BUCKET.replace("}", "  uniform_bucket_level_access = [1]\n}"), "Inappropriate value for attribute"),
        (BUCKET.replace("}", "  lifecycle_rule {\n  }\n}"), "At least 1 \"action\" blocks are required"),
    ],
)  # fmt: skip
def test_validate_knows_the_schema(terraform: Terraform, written: Write, text: str, fault: str) -> None:
    """What the provider's schema does not allow is refused by `terraform validate`."""
    assert terraform.run(written(BUCKET), "validate").code == 0
    done = terraform.run(written(text), "validate")
    assert done.code == 1
    assert fault.lower() in done.prose.lower(), done.text


def test_a_copy_leaves_state_behind(terraform: Terraform, installed: Path) -> None:
    """What terraform keeps in the folder of a user does not come along: the copy was initialised anew."""
    assert not list(installed.rglob("*.tfstate*"))
    assert not (installed / ".terraform.lock.hcl").exists()


@pytest.mark.parametrize(
    ("version", "taken"), [("6.49.3", False), ("6.50.0", True), ("8.99.0", True), ("9.0.0", False)]
)
def test_the_module_says_which_providers_it_takes(
    terraform: Terraform, copied: Path, tmp_path: Path, version: str, *, taken: bool
) -> None:
    """The oldest version tested is taken, and none of a major version that nobody has seen."""
    platform = json.loads(terraform.run(tmp_path, "version", "-json").text)["platform"]
    done = terraform.init(copied, settings=offer(tmp_path, version, platform))
    assert (done.code == 0) == taken, done.text
    assert taken or "no available releases match the given constraints >= 6.50.0, < 9.0.0" in done.prose
