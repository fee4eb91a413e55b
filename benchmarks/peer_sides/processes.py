"""One process from start to end: what it took, and what it said."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}
"""No tool sends usage data from here, nor waits for an answer to it."""


@dataclass(frozen=True)
class Spent:
    """Seconds of wall time and of processors, peak memory in bytes; the exit code (minus the signal that ended it) and the output."""

    seconds: float
    processor: float
    peak: int
    returncode: int
    is_late: bool
    out: str
    err: str


def spend(command: Sequence[str | Path], timeout: float) -> Spent:
    """Run a command; where it takes longer than `timeout` seconds, it and its children are killed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env={**os.environ, **QUIET}, start_new_session=True
        )  # fmt: skip
        late = threading.Event()
        timer = threading.Timer(timeout, _kill, (process.pid, late))
        timer.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            _kill(process.pid, late)
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        said = [_text(file) for file in (out, err)]
    unit = 1 if sys.platform == "darwin" else 1024
    is_late = late.is_set() and process.returncode < 0
    return Spent(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit, process.returncode, is_late, *said)


def _kill(pid: int, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.killpg(pid, signal.SIGKILL)


def _text(file: tempfile._TemporaryFileWrapper[str]) -> str:
    file.seek(0)
    return file.read()
