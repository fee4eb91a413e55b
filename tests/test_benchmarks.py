"""The benchmarks run; what they measure is for people to read, and no test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_the_scan_benchmark_runs(tmp_path: Path) -> None:
    """On a small log the program counts both sides and prints its table; the ratio is not judged here."""
    command = [sys.executable, str(ROOT / "benchmarks" / "scan.py"), str(tmp_path), "--rows", "3000"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "3,000 rows x 16 columns" in found.stdout, found.stderr
    assert found.returncode in (0, 1)  # 1: a target missed
