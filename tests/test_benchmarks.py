"""The benchmarks run; what they measure is for people to read, and no test's business."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_the_scan_benchmark_runs(tmp_path: Path) -> None:
    """On a small log the program counts both sides and prints its table; the ratio is not judged here."""
    command = [sys.executable, str(ROOT / "benchmarks" / "scan.py"), str(tmp_path), "--rows", "3000", "--repeats", "1"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "3,000 rows x 16 columns" in found.stdout, found.stderr
    assert found.returncode in (0, 1)  # 1: a target missed


RIVALS = ("Evidently", "NannyML")


@pytest.mark.skipif(any(find_spec(name.lower()) for name in RIVALS), reason="takes minutes where a rival is installed")
def test_the_detection_benchmark_runs() -> None:
    """The parts that are asked for print their tables, and no other; rivals that are missing are named."""
    parts = ("power", "rivals-own-verdicts")
    command = [sys.executable, str(ROOT / "benchmarks" / "detection.py"), "--trials", "2", "--only", *parts]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode in (0, 1), found.stderr  # 1: a target missed
    assert "Power: windows in which the changed feature is found" in found.stdout
    assert "No drift" not in found.stdout
    assert [name for name in RIVALS if f"{name}: not installed" in found.stdout] == list(RIVALS)
    assert "targets missed" in found.stdout  # printed last: an error on the way ends with 1 too


def test_the_benchmark_of_peers_runs(tmp_path: Path) -> None:
    """On small files bq-monitor and the two limits each look at every column, and no target is judged by so few rows."""
    sides = ("bare", "histogram", "bq-monitor")
    command = [sys.executable, str(ROOT / "benchmarks" / "peers.py"), "--cache", str(tmp_path), "--repeats", "1"]
    command += ["--rows", "2000", "--reference-rows", "2000", "--only", *sides]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    lines = [line for line in found.stdout.splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert head == ["2,000 rows", "seconds", "of CPU", "peak memory", "x bq-monitor", "judged", "drifted"]
    assert [row[5] for row in rows] == ["16"] * len(sides)
    assert rows[-1][0] == "bq-monitor"
    assert (rows[-1][4], rows[-1][6]) == ("1.00", "2")
    assert "0 met, 0 missed" in found.stdout


def test_the_benchmark_of_peers_says_why_a_side_has_no_numbers(tmp_path: Path) -> None:
    """A side that is late and a peer that is not installed keep their lines; a limit without numbers is a failure of the program."""
    command = [sys.executable, str(ROOT / "benchmarks" / "peers.py"), "--cache", str(tmp_path), "--repeats", "1"]
    command += ["--rows", "100", "--reference-rows", "100", "--timeout", "0.001", "--only", "bare", "evidently"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    late, absent = (line for line in found.stdout.splitlines()[2:] if line.startswith("|"))
    assert "timed out after 0 s" in late, found.stderr
    assert "not installed (--install)" in absent
    assert found.returncode == 1
