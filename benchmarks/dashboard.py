"""How long the dashboard takes to show its pages over a large warehouse, measured in Chromium.

    python benchmarks/dashboard.py [FOLDER]      # 50 monitors x 200 features x 365 days; a folder that holds them is used again

Prints a table: the page, seconds until its first table is there (of a visit that nothing is remembered for), and again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import duckdb

from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.setup import create_tables

N_MONITORS, N_FEATURES, N_DAYS, PORT = 50, 200, 365, 8599
PAGES = {"fleet": {}} | {tab: {"monitor": "model_07", "tab": tab} for tab in ("overview", "drift", "quality", "alerts")}
_COMMON = {
    "monitor": "printf('model_%02d', m)", "model_version": "'1'", "reference_id": "'r'", "run_id": "printf('run_%03d', d)", "verdict_key": "'k'",
    "computed_at": "TIMESTAMPTZ '2025-01-01 02:00:00+00' + INTERVAL 1 DAY * (d + 1)",
    "window_start": "TIMESTAMPTZ '2025-01-01 00:00:00+00' + INTERVAL 1 DAY * d",
    "window_end": "TIMESTAMPTZ '2025-01-01 00:00:00+00' + INTERVAL 1 DAY * (d + 1)",
}  # fmt: skip
_FEATURE = "printf('feature_%03d', f)"
ROWS = {
    "drift_results": (N_FEATURES, _COMMON | {
        "segment": "'all'", "feature": _FEATURE, "role": "'feature'", "kind": "'numeric'", "baseline": "'training'",
        "n_baseline": "1000000", "n_current": "10000", "status": "CASE WHEN hash(m, f, d) % 50 = 0 THEN 'drift' ELSE 'ok' END",
        "psi": "(hash(m, f, d) % 1000) / 5000.0", "js_distance": "(hash(m, f, d, 1) % 1000) / 5000.0", "metric": "'js_distance'",
        "threshold": "0.1", "noise_floor": "0.02", "lower": "0.01", "upper": "0.2", "drift_score": "(hash(m, f, d, 2) % 1000) / 5000.0",
        "p_adjusted": "1.0", "contributions": "list_transform(range(10), lambda i: {'bucket': 'b' || i, 'baseline_share': 0.1, "
        "'current_share': (hash(m, f, d, i) % 1000) / 5000.0, 'psi': (hash(m, f, d, i) % 1000) / 50000.0})",
    }),
    "quality_results": (N_FEATURES, _COMMON | {
        "check_name": "'null_rate'", "feature": _FEATURE, "status": "'ok'", "value": "0.01", "n_rows": "10000",
    }),
    "alert_events": (10, {name: sql for name, sql in _COMMON.items() if name != "reference_id"} | {
        "segment": "'all'", "feature": _FEATURE, "baseline": "'training'", "kind": "'drift'", "severity": "'warning'", "message": "'it drifted'",
        "notify": "d % 30 = 0", "alert_id": "md5(m || '-' || f || '-' || (d // 30))", "event_id": "md5(m || '-' || f || '-' || d)",
        "event": "CASE d % 30 WHEN 0 THEN 'opened' WHEN 29 THEN 'resolved' ELSE 'firing' END",
        "since": "TIMESTAMPTZ '2025-01-01 00:00:00+00' + INTERVAL 1 DAY * (d // 30 * 30)", "n_windows": "d % 30", "n_clean": "0",
        "n_reopened": "0",
    }),
    "runs": (1, {name: _COMMON[name] for name in ("monitor", "run_id", "window_end")} | {
        "started_at": _COMMON["computed_at"], "finished_at": f"{_COMMON['computed_at']} + INTERVAL 1 MINUTE", "as_of": _COMMON["computed_at"],
        "is_backfill": "FALSE", "n_windows": "1", "n_windows_left": "0", "duration_seconds": "12.5",
    }),
}  # fmt: skip
"""Table -> rows of it a monitor and day, and SQL of its columns by monitor m, day d and feature f."""


def main() -> None:
    """Make the warehouse where it is not there, serve it, visit each page twice."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="bq-monitor-dashboard-"))
    path = folder / "large.duckdb"
    if not path.exists():
        folder.mkdir(exist_ok=True, parents=True)
        make(path)
    command = [
        sys.executable,
        "-m",
        "bq_monitor.cli",
        "dashboard",
        "--warehouse",
        f"duckdb://{path.resolve()}",
        "--port",
        str(PORT),
    ]
    server = subprocess.Popen(command, env={**os.environ, "HOME": str(folder)}, stdout=subprocess.PIPE)
    try:
        visit(f"http://127.0.0.1:{PORT}")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def make(path: Path) -> None:
    """A year of daily windows, as the job would have written them."""
    url = f"duckdb://{path}"
    warehouse = open_warehouse(url, create=True)
    create_tables(warehouse)
    warehouse.close()
    with duckdb.connect(str(path)) as connection:
        for table, (n, columns) in ROWS.items():
            for monitor in range(N_MONITORS):
                source = f"(SELECT {monitor} AS m), range({N_DAYS}) AS days(d), range({n}) AS features(f)"
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {source}"
                )


def visit(address: str) -> None:
    """Print the seconds until the first table of each page is there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        _until_up(address)
        print(f"{'page':10}{'first visit, s':>16}{'again, s':>12}")
        for name, query in PAGES.items():
            seconds = []
            for _ in range(2):
                began = time.perf_counter()
                page.goto(f"{address}/?{urlencode(query)}")
                page.locator(".bq-table").filter(visible=True).first.wait_for(timeout=120_000)
                seconds.append(time.perf_counter() - began)
            print(f"{name:10}{seconds[0]:16.2f}{seconds[1]:12.2f}")
        browser.close()


def _until_up(address: str) -> None:
    from urllib.request import urlopen

    for _ in range(300):
        try:
            urlopen(f"{address}/_stcore/health", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the dashboard did not answer")


if __name__ == "__main__":
    main()
