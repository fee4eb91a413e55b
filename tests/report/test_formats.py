"""A report for other programs and for tickets, and the commands that write it."""

from __future__ import annotations

import builtins
import csv
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bq_monitor.cli import cli
from bq_monitor.cli.main import _report_demo
from bq_monitor.demo import _OWN_FILES, REPORT
from bq_monitor.report.formats import csv_text, json_text, markdown_text
from tests.report.lab import Watched, rows, shared
from tests.report.samples import NAMES, feature, hostile_page, page, score


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return shared(tmp_path_factory.getbasetemp())


def called(*args: str) -> Any:
    return CliRunner().invoke(cli, ["report", *args])


def test_csv_has_a_line_a_verdict() -> None:
    """Feature by segment by baseline, with every metric; names read back as they are, numbers to the last digit."""
    told = hostile_page()
    found = list(csv.DictReader(io.StringIO(csv_text(told))))
    assert [row["feature"] for row in found] == [item.feature for item in told.features]
    assert {row["segment"] for row in found} == {item.segment for item in told.features}
    assert [float(row["psi"]) if row["psi"] else None for row in found] == [
        item.metrics.get("psi") for item in told.features
    ]
    assert all(None not in row and None not in row.values() for row in found)


def test_json_is_strict() -> None:
    """No NaN, whatever there is; unknown is null."""
    plain = json.loads(json_text(hostile_page()), parse_constant=pytest.fail)
    assert plain["features"][0]["metrics"] == {"js_distance": 1e300, "psi": 1e-300}
    assert plain["health"] is None


def test_markdown_names_stay_in_their_cells() -> None:
    """However a feature is called, each line of a table has as many cells as its head, and nothing is markup or calls anybody."""
    text = markdown_text(hostile_page())
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 5
    for lines in tables:
        cells = {line.replace("\\|", "").count("|") for line in lines if line}
        assert len(cells) == 1, lines
    assert "<img" not in text
    assert "<script" not in text
    assert "@here" not in text
    assert "\n1" not in markdown_text(page(features=(feature("a\n1. b | c"),)))


def test_markdown_says_the_verdict_and_the_numbers() -> None:
    """The sentence first, then the features with their scores, then the answers with their intervals."""
    text = markdown_text(page(performance=(score("roc_auc"),)))
    assert "**None of 1 feature drifted; the answers are as good as in training.**" in text
    assert (
        "| x | ✓ ok | 0.125 | 0.1235 | 500 | js\\_distance is above its threshold, but not surely: with 500 rows it may be chance |"
        in text
    )
    assert r"| roc\_auc | all | realised | 0.8 | 0.75 to 0.85 | 0.8 | max\_drop 0.05 | ✓ ok |" in text


def test_empty_reports_are_written() -> None:
    """Nothing judged is a report too, in every format."""
    bare = page(features=(), n_baseline=None, n_current=None)
    assert csv_text(bare).startswith("window_start,window_end,feature,")
    assert "Nothing was judged" in markdown_text(bare)
    assert json.loads(json_text(bare))["status"] == "not_evaluated"


def test_the_command_prints_or_writes(monitor: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON, CSV and Markdown are printed, HTML goes to a file whose name is printed; drift is no failure of the command."""
    monkeypatch.chdir(tmp_path)
    printed = called(monitor.path, "--format", "json")
    assert printed.exit_code == 0
    assert json.loads(printed.output)["status"] == "drift"
    written = called(monitor.path)
    assert written.output == "report-loans.html\n"
    assert (tmp_path / "report-loans.html").read_text().startswith("<!doctype html>")
    assert called(monitor.path, "--format", "md", "--output", "x.md", "--window", "2026-01-12").output == "x.md\n"
    assert "2026-01-05 to 2026-01-12" in (tmp_path / "x.md").read_text()


def test_compare_writes_a_page(tmp_path: Path, rng: np.random.Generator) -> None:
    """`compare --html` writes the report beside the other outputs, and keeps its exit code."""
    for name, shift in (("before", 0.0), ("after", 3.0)):
        rows(rng, 400, shift).to_parquet(tmp_path / f"{name}.parquet")
    page_path = tmp_path / "r.html"
    done = CliRunner().invoke(
        cli, ["compare", str(tmp_path / "before.parquet"), str(tmp_path / "after.parquet"), "--html", str(page_path)]
    )
    assert done.exit_code == 1
    assert "features drifted" in page_path.read_text()


@pytest.mark.parametrize("args", [["report", "x.yaml"], ["compare", "a.csv", "b.csv", "--html", "r.html"]])
def test_without_the_extra_it_is_said_at_once(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """HTML without altair: what is missing and how to get it, before anything is read."""
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "altair":
            raise ModuleNotFoundError("No module named 'altair'", name="altair")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    done = CliRunner().invoke(cli, args)
    assert "altair is not installed" in str(done.exception)
    assert "pip install 'bq-monitor[report]'" in str(done.exception)


def test_a_demo_may_replace_its_report() -> None:
    """The report is among the files that a second demo removes from the folder."""
    assert REPORT in _OWN_FILES


def test_numbers_in_markdown_have_nothing_hidden() -> None:
    """A number that is copied is that number: only what would begin a list is kept from it."""
    assert "threshold 0.1" in markdown_text(page(made_from=(("threshold", "0.1"),)))


def demo_of(monitor: Watched, directory: Path) -> Any:
    """What the demo would have found, as far as its report needs it."""
    return SimpleNamespace(directory=directory, config=Path(monitor.path))


def test_the_demo_leaves_its_report(monitor: Watched, tmp_path: Path) -> None:
    """The newest window's report lies in the demo's folder, and the demo says where."""
    assert _report_demo(demo_of(monitor, tmp_path)) == f"report: {tmp_path / REPORT}"
    assert "features drifted" in (tmp_path / REPORT).read_text()


def test_a_demo_without_the_extra_goes_on(monitor: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without altair there is no report but a word on how to get one."""
    monkeypatch.setitem(sys.modules, "altair", None)
    told = _report_demo(demo_of(monitor, tmp_path))
    assert told.startswith("no report was written: ")
    assert "pip install 'bq-monitor[report]'" in told
    assert list(tmp_path.iterdir()) == []


def test_names_of_the_sample_are_hostile() -> None:
    """The sample has what the other tests rely on: markup, a script's end, a pipe, a formula and an empty name."""
    assert any("<img" in name for name in NAMES)
    assert any("</script>" in name for name in NAMES)
    assert any("|" in name for name in NAMES)
    assert any(name.startswith("=") for name in NAMES)
    assert "" in NAMES
