"""The module and its examples are sound: for terraform, for the provider's schema, for their own tests and rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.terraform.conftest import EXAMPLES, MODULE
from tests.terraform.hcl import Module
from tests.terraform.lint import lint
from tests.terraform.offline import Terraform
from tests.terraform.plan import Planned
from tests.terraform.rules import module_faults, plan_faults
from tests.terraform.schema import Schema

EVERYWHERE = pytest.mark.parametrize("place", ["", *EXAMPLES])


def test_files_are_formatted(terraform: Terraform) -> None:
    """`terraform fmt` has nothing to change."""
    done = terraform.run(MODULE, "fmt", "-check", "-recursive", "-diff")
    assert done.code == 0, done.text


@EVERYWHERE
def test_terraform_finds_it_valid(terraform: Terraform, installed: Path, place: str) -> None:
    """`terraform validate` passes without a warning."""
    done = terraform.run(installed / place, "validate")
    assert done.code == 0, done.text
    assert "Warning" not in done.text


@EVERYWHERE
def test_its_own_tests_pass(terraform: Terraform, installed: Path, place: str) -> None:
    """`terraform test` passes, and has something to run."""
    done = terraform.run(installed / place, "test")
    assert done.code == 0, done.text
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", done.text)


@EVERYWHERE
def test_the_provider_has_all_that_it_uses(schema: Schema, place: str) -> None:
    """No argument, block or attribute is unknown, missing, misplaced or of another type."""
    assert lint(MODULE / place, schema) == []


def test_it_keeps_its_rules(module: Module) -> None:
    """Required inputs, descriptions, kept data and small files."""
    assert module_faults(module) == []


@pytest.mark.parametrize("place", EXAMPLES)
def test_what_it_would_make_works(plans: dict[str, list[Planned]], place: str) -> None:
    """Deadlines nest, and the tables and views are those of the package."""
    assert plan_faults(plans[place]) == []


def test_the_schema_holds_no_type_that_nobody_uses(schema: Schema) -> None:
    """The file of the provider's types does not grow beyond the module, its examples and what its README prints."""
    declared = [item for place in ("", *EXAMPLES) for item in Module(MODULE / place).declared]
    printed = set(re.findall(r'resource "(google_\w+)"', (MODULE / "README.md").read_text("utf-8")))
    for kind, known in (("resource", schema.resources), ("data", schema.data_sources)):
        used = {item.type for item in declared if item.kind == kind and item.type.startswith("google_")}
        assert set(known) == (used | printed if kind == "resource" else used)
