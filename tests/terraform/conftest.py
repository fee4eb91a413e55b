"""A real terraform with a provider that only knows its schema, and copies of the module to run it in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing
from tests.terraform.hcl import Module
from tests.terraform.offline import Terraform, copy_tree
from tests.terraform.plan import Planned, plan
from tests.terraform.schema import Schema, load_schema

MODULE = ROOT / "terraform"
KEY = "projects/acme-keys/locations/europe-west1/keyRings/drift/cryptoKeys/drift"
EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "examples/minimal": {"project": "acme-ml", "archive": "tests/archive.txt"},
    "examples/complete": {"project": "acme-ml", "archive": "tests/archive.txt", "kms_key": KEY},
}
"""The folders that call the module, with their variables."""


@pytest.fixture(scope="session", autouse=True)
def _reader() -> None:
    """Everything here reads HCL."""
    if find_spec("hcl2") is None:
        missing("python-hcl2", "install the extra 'dev'")


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load_schema()


@pytest.fixture(scope="session")
def terraform(schema: Schema) -> Iterator[Terraform]:
    """The command, with its provider listening as long as the session lasts."""
    binary = shutil.which("terraform")
    if binary is None:
        missing("terraform", "install terraform 1.9 or later")
    if find_spec("grpc") is None:
        missing("grpcio", "install the extra 'googlesql'")
    from tests.terraform.provider import serve

    with serve(schema) as providers:
        yield Terraform(str(binary), providers)


@pytest.fixture(scope="session")
def installed(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the module in which terraform has found all that module and examples call."""
    folder = copy_tree(MODULE, tmp_path_factory.mktemp("installed") / "terraform")
    for place in ("", *EXAMPLES):
        done = terraform.init(folder / place)
        assert done.code == 0, done.text
    return folder


@pytest.fixture
def copied(installed: Path, tmp_path: Path) -> Path:
    """A copy of the module to break, ready to run."""
    return Path(shutil.copytree(installed, tmp_path / "terraform"))


@pytest.fixture(scope="session")
def plans(terraform: Terraform, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Planned]]:
    """What each example would make."""
    folder = shutil.copytree(installed, tmp_path_factory.mktemp("planned") / "terraform")
    return {place: plan(terraform, folder / place, variables) for place, variables in EXAMPLES.items()}


@pytest.fixture(scope="session")
def module() -> Module:
    """The module as it stands."""
    return Module(MODULE)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a module of one file; gives its folder."""

    def write(text: str) -> Path:
        (tmp_path / "main.tf").write_text(text, encoding="utf-8")
        return tmp_path

    return write
