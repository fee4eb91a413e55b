"""The module's README: its tables are the HCL's, its examples can be planned, its links lead somewhere."""

from __future__ import annotations

import re
import runpy
import shutil
import textwrap
from pathlib import Path

import pytest

from tests.terraform.conftest import EXAMPLES, MODULE
from tests.terraform.hcl import Module
from tests.terraform.lint import lint
from tests.terraform.offline import Terraform
from tests.terraform.plan import plan
from tests.terraform.schema import Schema

README = MODULE / "README.md"
PRINTED = [
    textwrap.dedent(block)
    for block in re.findall(r"^ *```hcl\n(.*?)^ *```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
]
SOURCE = "./bq-monitor/terraform"
ARCHIVE = '  function = { archive = "${path.module}/archive.txt" }\n'
"""What `make archive` would have put in its place."""
PROVIDER = 'provider "google" {\n  project = "acme-ml"\n}\n'
"""What a later step of the text takes for granted."""


def test_its_tables_are_what_the_hcl_says() -> None:
    """`python terraform/readme.py` would change nothing."""
    render = runpy.run_path(str(MODULE / "readme.py"))["render"]
    text = README.read_text("utf-8")
    assert render(text) == text, "run 'python terraform/readme.py'"


def test_its_tables_name_every_input_and_output(module: Module) -> None:
    """Each variable, each field of an object, and each output has its place in the text."""
    text = README.read_text("utf-8")
    for kind in ("variable", "output"):
        for item in module.of_kind(kind).values():
            assert f"\n| `{item.name}` | " in text
            assert [
                field for field in re.findall(r"(\w+) = optional\(", item.text("type")) if f"`{field} = " not in text
            ] == []


@pytest.fixture
def own_folder(installed: Path, tmp_path: Path) -> Path:
    """A user's folder with the repository in it and one YAML."""
    shutil.copytree(installed, tmp_path / SOURCE)
    minimal = installed / "examples/minimal"
    shutil.copytree(minimal / "fleet", tmp_path / "fleet")
    shutil.copy(minimal / "tests/archive.txt", tmp_path)
    return tmp_path


@pytest.mark.parametrize("printed", PRINTED, ids=range(1, len(PRINTED) + 1))
def test_what_it_prints_can_be_planned(terraform: Terraform, own_folder: Path, schema: Schema, printed: str) -> None:
    """Each block of HCL, in a folder as the text describes, is valid and makes the function."""
    main = own_folder / "main.tf"
    main.write_text(printed, "utf-8")
    assert terraform.run(own_folder, "fmt", "-check", "main.tf").code == 0
    assert lint(own_folder, schema) == []
    if "provider" not in printed:
        (own_folder / "provider.tf").write_text(PROVIDER, "utf-8")
    main.write_text(re.sub(r"(  fleet .*\n)", lambda line: line[0] + ARCHIVE, printed), "utf-8")
    assert terraform.init(own_folder).code == 0
    assert "google_cloudfunctions2_function" in {resource.type for resource in plan(terraform, own_folder, {})}


def test_it_prints_examples() -> None:
    """Every block is found, so that none escapes the test above."""
    assert len(PRINTED) == README.read_text("utf-8").count("```hcl") == 3


def test_its_links_lead_somewhere() -> None:
    """Each relative link of the page is a file or folder, and both examples are named."""
    links = re.findall(r"\]\(([^):#]+)\)", README.read_text("utf-8"))
    assert set(EXAMPLES) <= set(links)
    assert [link for link in links if not (MODULE / link).exists()] == []
