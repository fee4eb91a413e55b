"""docs/orchestrators.md shows what the examples do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bq_monitor import __version__
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "orchestrators.md").read_text(encoding="utf-8")
FILES = [
    path for path in sorted((ROOT / "examples").rglob("*")) if path.suffix in (".py", ".yaml", "") and path.is_file()
]
EXAMPLES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in FILES}


def shown(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("snippet", shown("python"))
def test_snippets_are_of_the_examples(snippet: str) -> None:
    """Each block of Python stands in an example, which is run, as it stands here."""
    assert [name for name, text in EXAMPLES.items() if snippet in text]


def test_commands_are_those_of_the_examples() -> None:
    """The shell's lines, too."""
    for line in "".join(shown("sh")).splitlines():
        assert [name for name, text in EXAMPLES.items() if line in text], line


def test_each_example_is_named() -> None:
    """No example is left out, and no file is named that is not there."""
    named = set(re.findall(r"examples/[\w/]+[\w.]*\w", PAGE))
    assert all((ROOT / name).exists() for name in named)
    assert {Path(name).parts[1] for name in named} == {"airflow", "kfp", "mlflow", "container"}


def test_the_summary_has_these_names() -> None:
    """The JSON of the page has the names that a task hands on; `tests/orchestrators/test_task.py` has the values."""
    (block,) = shown("json")
    assert set(json.loads(block)) == {"as_of", "drifted", "alerting", "monitors"}


@pytest.mark.parametrize(("folder", "package"), [("airflow", "apache-airflow"), ("mlflow", "mlflow"), ("kfp", "kfp")])
def test_what_is_tested_is_pinned(folder: str, package: str) -> None:
    """Each example's requirements name one version, whose dependencies are all pinned by one version each, from no address."""
    text = (ROOT / "examples" / folder / "requirements.txt").read_text()
    (version,) = re.findall(rf"(?m)^{package}==(\S+)$", text)
    (constraints,) = re.findall(r"(?m)^--constraint (\S+)$", text)
    pins = (ROOT / "examples" / folder / constraints).read_text().splitlines()[1:]
    assert f"{package}=={version}" in pins
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!]+", pin) for pin in pins)
    if folder != "kfp":
        assert (
            f"tested with {'mlflow ' if folder == 'mlflow' else ''}{version}" in (ROOT / "pyproject.toml").read_text()
        )


def test_the_component_installs_this_version() -> None:
    """A pipeline compiled from this checkout installs this release, by its number."""
    assert f'"bq-monitor[report]=={__version__}"' in EXAMPLES["examples/kfp/pipeline.py"]
