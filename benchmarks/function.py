"""How fast the Cloud Function starts, and what memory it needs: the archive as it is deployed, in its own environment.

Run: `python benchmarks/function.py [--starts N] [--features N] [--windows N] [--venv FOLDER]`. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.deploy.served import account, await_port, build, environment, free_port, installed, unpacked

TARGET_SECONDS, TARGET_MEMORY = 1.5, 512e6
CONFIG, PROJECT = "gs://acme-ml-config/fleet", "acme-ml"
LOG = f"{PROJECT}.serving.log"
IMPORT = "import time; t = time.perf_counter(); import main; print(time.perf_counter() - t)"
JUDGE = """
import json, resource, sys, time
import functions_framework
started = time.perf_counter()
answer = functions_framework.create_app("monitor", "main.py").test_client().post("/", json={})
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
body = answer.get_json()
print(json.dumps({"peak": peak, "seconds": time.perf_counter() - started, "body": body}))
"""


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process to the first byte of an answer; of a process that only imports; of processors."""

    answer: float
    imports: float
    processor: float


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        app = unpacked(build(folder / "function.zip"), folder / "app")
        python = _python(app, options.venv)
        with _stand_ins(1, 1) as stand_ins, account(folder, PROJECT) as runner:
            variables = {**environment(runner), **stand_ins}
            starts = [_start(python, app, variables, folder / "log") for _ in range(options.starts + 1)][1:]
        with _stand_ins(options.features, options.windows) as stand_ins, account(folder, PROJECT) as runner:
            judged = _judge(python, app, {**environment(runner), **stand_ins})
    return _report(options, starts, judged)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--features", type=int, default=500)
    parser.add_argument("--windows", type=int, default=30)
    parser.add_argument("--venv", type=Path, help="environment to keep and use again (default: a new one)")
    return parser.parse_args()


def _python(app: Path, kept: Path | None) -> Path:
    """The python of an environment with the archive's own requirements."""
    python = (kept or app.parent / "venv") / "bin" / "python"
    return python if python.exists() else installed(app, python.parent.parent)


# --- what is measured ---


def _start(python: Path, app: Path, variables: dict[str, str], log: Path) -> Start:
    done = subprocess.run([python, "-c", IMPORT], cwd=app, env=variables, capture_output=True, text=True, check=True)
    imports, port, begun = float(done.stdout), free_port(), time.perf_counter()
    between = _seconds_of_children()
    command = [python, "-m", "functions_framework", "--target", "monitor", "--source", "main.py", "--port", str(port)]
    with log.open("ab") as written:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], cwd=app, env=variables, stdout=written, stderr=written
        )
    try:
        await_port(process, port, log)
        _answered(port)
        seconds = time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(30)
    return Start(seconds, imports, _seconds_of_children() - between)


def _answered(port: int) -> None:
    """One tick; raises where it does not find that nothing is due."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/", b"{}", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    if answer.status != 200 or body["monitors"][0]["windows"]:
        raise SystemExit(f"not a tick at which nothing is due: {answer.status} {body}")


def _seconds_of_children() -> float:
    """Seconds of processors that children spent which have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _judge(python: Path, app: Path, variables: dict[str, str]) -> dict[str, Any]:
    """One call that has all windows to judge, in a process of its own: its answer and its peak memory."""
    done = subprocess.run([python, "-c", JUDGE], cwd=app, env=variables, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


# --- the stand-ins, in a process of their own ---


@contextmanager
def _stand_ins(features: int, windows: int) -> Iterator[dict[str, str]]:
    """Where BigQuery and Cloud Storage are; with one feature and one window, that window has been judged."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, features, windows))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def _serve(pipe: Connection, features: int, windows: int) -> None:
    from google.auth.credentials import AnonymousCredentials

    from tests.bigquery_server.server import serve as serve_bigquery
    from tests.storage_server import serve as serve_storage

    with serve_bigquery() as bigquery, serve_storage() as storage:
        os.environ |= {"BIGQUERY_EMULATOR_HOST": bigquery.url, "STORAGE_EMULATOR_HOST": storage.url}
        import google.auth

        google.auth.default = lambda **options: (AnonymousCredentials(), PROJECT)
        _fill(bigquery, storage, features, windows)
        variables = {name: os.environ[name] for name in ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")}
        pipe.send(
            {**variables, "BQ_MONITOR_CONFIG": CONFIG, "BQ_MONITOR_WAREHOUSE": f"bigquery://{PROJECT}/ml_monitoring"}
        )
        pipe.recv()


def _fill(bigquery: Any, storage: Any, features: int, windows: int) -> None:
    """A monitor with daily windows that have all ended, its reference, and its log of 100 rows a day."""
    import numpy as np
    import pandas as pd
    import yaml

    from bq_monitor import capture_reference, load_config, run

    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=windows)
    rng, names, n = np.random.default_rng(1), [f"f{i}" for i in range(features)], 100 * windows
    frame = pd.DataFrame(rng.normal(size=(n, features)), columns=names)
    frame["predicted_at"] = [first + timedelta(seconds=864 * i + 1) for i in range(n)]
    for dataset in ("ml_monitoring", "serving"):
        bigquery.engine.create_dataset(f"{PROJECT}.{dataset}", "US")
    bigquery.engine.load(LOG, "SELECT * FROM frame", partition="predicted_at", frame=frame)
    storage.put("acme-ml-config/fleet/monitor.yaml", yaml.safe_dump({
        "monitor": "wide", "warehouse": f"bigquery://{PROJECT}/ml_monitoring", "features": names,
        "source": {"table": LOG, "timestamp": "predicted_at"},
        "window": {"granule": "day", "length": "1d", "every": "1d", "start": f"{first:%Y-%m-%d}"},
        "budget": {"deadline": "25m"},
    }))  # fmt: skip
    config = load_config(f"{CONFIG}/monitor.yaml")
    capture_reference(pd.DataFrame(rng.normal(size=(2000, features)), columns=names), config, version="")
    if windows == 1:
        run(config)


# --- the table ---


def _report(options: argparse.Namespace, starts: list[Start], judged: dict[str, Any]) -> int:
    (monitor,) = judged["body"]["monitors"]
    if monitor.get("windows") != options.windows:
        raise SystemExit(f"not all windows were judged: {monitor}")
    answer, imports, processor = (
        statistics.median(getattr(start, name) for start in starts) for name in ("answer", "imports", "processor")
    )
    print(
        f"median of {len(starts)} starts; load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    )
    print()
    print(f"{'cold start: process to first byte, nothing due':58} {answer:8.2f} s   target {TARGET_SECONDS} s")
    print(f"{'  of it, seconds of processors':58} {processor:8.2f} s")
    print(f"{'  import of main.py alone':58} {imports:8.2f} s")
    what = f"peak memory, {options.features} features x {options.windows} windows in one call"
    print(f"{what:58} {judged['peak'] / 1e6:8.0f} MB  target {TARGET_MEMORY / 1e6:.0f} MB")
    print(f"{'  that call took':58} {judged['seconds']:8.1f} s")
    is_met = answer <= TARGET_SECONDS and judged["peak"] <= TARGET_MEMORY
    print(f"\ntargets: {'met' if is_met else 'missed'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
