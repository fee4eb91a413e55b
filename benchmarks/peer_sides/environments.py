"""The peers, the exact versions that are measured, and an environment of its own for each."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    """A tool: its title in the table, the script that asks it, what pip installs for it.

    Args:
        takes_tables: whether it compares a table as it is. A library of tests over arrays does not: kinds, encodings, NULL and the
            loop over the columns are then the script's work.
    """

    title: str
    script: str
    requirements: tuple[str, ...]
    takes_tables: bool = True


_DATA = ("numpy==2.4.6", "pandas==2.3.3", "pyarrow==26.0.1", "scipy==1.17.1")
PEERS: Mapping[str, Peer] = {
    # the newest pandas that Evidently 0.7.23 and NannyML 0.13.1 can be imported with is below 3
    "evidently": Peer("Evidently 0.7.23", "with_evidently.py", ("evidently==0.7.23", *_DATA)),
    "nannyml": Peer("NannyML 0.13.1", "with_nannyml.py", ("nannyml==0.13.1", "statsmodels==0.15.0", *_DATA)),
    "whylogs": Peer("whylogs 1.6.4", "with_whylogs.py", ("whylogs[viz]==1.6.4", *_DATA)),
    "frouros": Peer(
        "frouros 0.9.0",
        "with_frouros.py",
        ("frouros==0.9.0", "numpy==2.1.3", "pandas==3.1.1", "pyarrow==26.0.1", "scipy==1.14.1"),
        takes_tables=False,
    ),
    # alibi-detect needs numpy 1, which newer versions of pyarrow cannot be imported with
    "alibi-detect": Peer(
        "alibi-detect 0.13.0",
        "with_alibi_detect.py",
        ("alibi-detect==0.13.0", "numpy==1.26.4", "pandas==2.3.3", "pyarrow==18.1.0", "scipy==1.17.1"),
        takes_tables=False,
    ),
}


def python_of(folder: Path, name: str) -> Path:
    return folder / name / "bin" / "python"


def why_absent(folder: Path, name: str) -> str | None:
    """Why a peer cannot be run; None where it can."""
    if (failure := _failure(folder, name)).exists():
        return f"cannot be installed: {failure.read_text().strip()}"
    return None if _ready(folder, name).exists() else "not installed (--install)"


def install(folder: Path, name: str) -> None:
    """An environment with exactly these versions; where pip refuses, its last words are kept for the table."""
    wanted = "\n".join(PEERS[name].requirements)
    if _ready(folder, name).exists() and _ready(folder, name).read_text() == wanted:
        return
    print(f"installing {PEERS[name].title} ...", file=sys.stderr)
    shutil.rmtree(folder / name, ignore_errors=True)
    _failure(folder, name).unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
    command = [python_of(folder, name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, *PEERS[name].requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        _failure(folder, name).write_text((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    else:
        _ready(folder, name).write_text(wanted)


def _ready(folder: Path, name: str) -> Path:
    return folder / name / "installed.txt"


def _failure(folder: Path, name: str) -> Path:
    return folder / f"{name}.failed.txt"
