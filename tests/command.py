"""The command line as tests call it: in a process of its own, or in this one, which need not load everything anew."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from bq_monitor.cli import main
from tests.conftest import ROOT

Done = subprocess.CompletedProcess[str]
"""Exit code, standard output and standard error of a call."""
_NOT_INHERITED = ("BQ_MONITOR_WAREHOUSE", "COLUMNS")
_COLUMNS = "80"
"""The width of what is no terminal."""


def start(*args: str, cwd: Path | None = None, **env: str) -> Done:
    """Run `bq-monitor` in a process of its own: for what hangs on one, such as locks, encodings and warnings at its end."""
    command = [sys.executable, "-m", "bq_monitor.cli", *args]
    clean = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    environment = {**clean, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def call(*args: str, **env: str) -> Done:
    """Run the entry point of `bq-monitor` here, up to its exit code; an error that is no exit fails the test."""
    out, err = io.StringIO(), io.StringIO()
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    with (
        patch.dict(os.environ, {**environment, "COLUMNS": _COLUMNS, **env}, clear=True),
        patch.object(sys, "argv", ["bq-monitor", *args]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        main()
    return subprocess.CompletedProcess(list(args), int(left.value.code or 0), out.getvalue(), err.getvalue())
