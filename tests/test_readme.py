"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.command import call
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    """The fenced block of a language that contains a text."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in text]
    return found


def loans(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return pd.DataFrame({
        "loan_amount": rng.lognormal(11, 1, n), "low_doc": rng.choice(["Y", "N"], n), "sector": rng.choice(["11", "44"], n),
        "state": rng.choice(["CA", "NY"], n), "approved": rng.random(n) < 0.6, "probability": rng.random(n),
    })  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of, and its YAML as printed (but for where the database lies)."""
    loans(rng, 2000).to_parquet(tmp_path / "training.parquet")
    days = np.repeat(pd.date_range("2026-01-01", periods=10), 100)
    loans(rng, 1000).assign(predicted_at=days).to_parquet(tmp_path / "predictions.parquet")
    loans(rng, 1000).to_parquet(tmp_path / "production.parquet")
    printed = block("yaml", "monitor: loan_approval")
    (tmp_path / "loan.yaml").write_text(printed.replace("duckdb:///tmp/", f"duckdb://{tmp_path}/"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_work_as_printed(folder: Path) -> None:
    """Each `bq-monitor` line of the README ends with the exit code of a quiet monitor."""
    lines = re.findall(r"^bq-monitor ([^#\n]*)", README, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        at_the_time = ["--as-of", "2026-01-11"] if line.startswith("run") else []
        found = call(*line.split(), *at_the_time)
        assert found.returncode == 0, (line, found.stderr)


def test_the_python_works_as_printed(folder: Path) -> None:
    """The five lines capture a reference and judge what is due."""
    code = block("python", "capture_reference").replace("run(config)", "run(config, '2026-01-11')")
    printed: list[object] = []
    exec(code, {"training_frame": pd.read_parquet(folder / "training.parquet"), "print": printed.append})  # noqa: S102 - our own page
    (frame,) = printed
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["status"]) == {"ok"}
    assert len(frame) == 6 * frame["window_end"].nunique()


def test_pictures_are_there() -> None:
    """Each picture that the README shows is a file of the project, with words for those who do not see it."""
    shown = re.findall(r"^!\[(.*)\]\((.+)\)$", README, re.MULTILINE)
    assert len(shown) == 3
    for words, path in shown:
        assert len(words) > 20
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG")
