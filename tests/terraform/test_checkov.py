"""checkov finds nothing in the module and its examples, and would find it."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from tests.terraform.conftest import MODULE
from tests.terraform.offline import copy_tree

COMMAND = os.environ.get("BQ_MONITOR_CHECKOV", "")
"""`make terraform` installs it beside the project, in an environment of its own, and says where."""
OPEN = """
resource "google_storage_bucket" "open" {
  name                        = "acme-open"
  location                    = "EU"
  uniform_bucket_level_access = false
}
"""
UNIFORM_ACCESS = "CKV_GCP_29"
Found = tuple[str, str, str]
"""Check, file, resource."""
pytestmark = pytest.mark.skipif(not COMMAND, reason="'make terraform' runs it")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> set[Found]:
    """The findings of one scan, of a copy of the module with a bucket beside it that is not closed."""
    folder = tmp_path_factory.mktemp("scanned")
    copy_tree(MODULE, folder / "terraform")
    (folder / "broken").mkdir()
    (folder / "broken/main.tf").write_text(OPEN, "utf-8")
    arguments = ["--config-file", str(MODULE / ".checkov.yaml"), "--directory", str(folder), "--output", "json"]
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.lstrip().startswith("{"), done.stdout + done.stderr
    checks = json.loads(done.stdout)["results"]["failed_checks"]
    return {(check["check_id"], check["file_path"], check["resource"]) for check in checks}


def test_it_finds_nothing_in_the_module(failed: set[Found]) -> None:
    """Every check passes, or is excepted in the HCL."""
    assert sorted(found for found in failed if found[1].startswith("/terraform/")) == []


def test_it_finds_a_bucket_that_is_not_closed(failed: set[Found]) -> None:
    """A bucket without uniform access is caught by that check."""
    assert (UNIFORM_ACCESS, "/broken/main.tf", "google_storage_bucket.open") in failed


def test_each_exception_has_its_reason() -> None:
    """`checkov:skip=CHECK:why`, with a why of some words."""
    found = [
        (path.name, check, why)
        for path in sorted(MODULE.rglob("*.tf"))
        for check, why in re.findall(r"checkov:skip=(\w+)(.*)", path.read_text("utf-8"))
    ]
    assert [one for one in found if len(one[2].removeprefix(":").split()) < 3] == []
