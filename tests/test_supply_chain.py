"""The page about the supply chain is what docs/licences.py writes, and what it says holds."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ROOT


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licences: Any = _load()
PAGE = (ROOT / "docs" / "supply-chain.md").read_text(encoding="utf-8")
ALL = [*licences.brought_by(), *licences.development()]


def test_the_page_is_what_the_program_writes() -> None:
    """Every table: packages, versions, licences, rules that are left out. `python docs/licences.py` writes them anew."""
    for name, table in licences.sections().items():
        assert f"<!-- {name}: written by docs/licences.py -->\n{table}\n<!-- end -->" in PAGE, name
    assert licences.page(PAGE) == PAGE


@pytest.mark.parametrize("name", ALL)
def test_each_licence_is_allowed(name: str) -> None:
    """By its metadata, or by its licence's file where these do not say it."""
    assert licences.is_allowed(licences.licence(name)), licences.licence(name)


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True), ("GPL-3.0-only", False), ("unknown", False), ("MIT OR GPL-3.0-only", True), ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND ISC", False), ("GPL-3.0-only WITH GCC-exception-3.1", False),
    ],
)  # fmt: skip
def test_which_expressions_are_allowed(expression: str, is_allowed: bool) -> None:
    """All of those that hold together, one of those to choose from; in doubt none."""
    assert licences.is_allowed(expression) is is_allowed


def test_the_page_names_the_allowed_licences() -> None:
    """Those of the program, in order."""
    (said,) = re.findall(r"^Allowed: (.*?)\. Of a", PAGE, re.MULTILINE | re.DOTALL)
    assert said.split(", ") == sorted(licences.ALLOWED)


def test_only_what_needs_it_was_read_by_hand() -> None:
    """A package whose metadata name an SPDX licence, or that is not installed with us, is no exception."""
    assert set(licences.READ_BY_HAND) <= set(ALL)
    for name in licences.READ_BY_HAND:
        assert licences.importlib.metadata.metadata(name).get("License-Expression") is None


def test_everything_that_is_installed_is_pinned() -> None:
    """By version alone: no address, no option, no line that pins nothing, and nothing twice."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.!+]+", line) for line in lines)
    assert len(licences.constraints()) == len(lines)
    assert set(ALL) - set(licences.constraints()) == set()


def test_the_closure_follows_extras_and_markers() -> None:
    """What an extra of a dependency brings is in it, what another system would need is not."""
    assert {"functions-framework", "flask", "werkzeug", "gunicorn"} <= licences.closure(["bq-monitor[function]"])
    assert "colorama" not in licences.closure(["click"])
    assert "altair" in licences.closure(["bq-monitor[dashboard]"])
    assert not {"pytest", "streamlit", "altair"} & licences.closure(licences.asked_for("core"))


def test_every_exception_has_a_reason() -> None:
    """Rules of ruff, single lines, checks of checkov."""
    for rows in (licences.ignored_rules(), licences.ignored_lines(), licences.checkov_skips()):
        assert [row for row in rows if not row[2]] == []


def test_no_exception_of_ruff_is_missed() -> None:
    """As many as pyproject.toml has, and security rules are on."""
    ruff = licences.project()["tool"]["ruff"]["lint"]
    listed = licences.ignored_rules()
    assert [rule for place, rule, _ in listed if place == "everywhere"] == ruff["ignore"]
    by_file = {place: rules.split(", ") for place, rules, _ in listed if place != "everywhere"}
    assert by_file == ruff["per-file-ignores"]
    assert "S" in ruff["select"]


def test_a_parts_list_holds_what_users_install_and_no_address() -> None:
    """Of an environment with tools and a component that was fetched from somewhere, what is left."""
    parts = [
        {"name": "PyYAML", "bom-ref": "a", "externalReferences": [
            {"type": "distribution", "url": "https://registry.invalid/x.whl"}, {"type": "website", "url": "https://pyyaml.org/"},
            {"type": "vcs", "url": "file:///home/me"},
        ]},
        {"name": "ruff", "bom-ref": "b"},
    ]  # fmt: skip
    edges = [{"ref": "root", "dependsOn": ["a", "b"]}, {"ref": "a"}, {"ref": "b"}]
    whole = {"components": parts, "dependencies": edges, "metadata": {"component": {"bom-ref": "root"}}}
    made = licences.parts_list(whole)
    assert made["components"] == [
        {**parts[0], "externalReferences": [{"type": "website", "url": "https://pyyaml.org/"}]}
    ]
    assert made["dependencies"] == [{"ref": "root", "dependsOn": ["a"]}, {"ref": "a"}]


def test_a_page_without_its_marks_is_refused() -> None:
    """Rather than written without a table."""
    with pytest.raises(SystemExit, match="no marks of 'licences'"):
        licences.page("# Supply chain\n")
