"""Make the pictures of the README from the demo's folder: `make pictures`, or `python docs/pictures/make.py FOLDER`.

Needs Chromium (CHROMIUM names it where it is not on the path) and the extras dashboard and dev.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
TABS = {"drift": "guarantee_share", "performance": None}
"""Tabs of the dashboard, with the feature that is chosen there."""


def main() -> None:
    """Write report.png, and a picture of each of the tabs, beside this file."""
    demo = Path(sys.argv[1] if len(sys.argv) > 1 else "bq-monitor-demo").resolve()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or not (demo / "report.html").exists():
        sys.exit(f"{demo}: needs a folder of 'bq-monitor demo' with its report.html, and Chromium (set CHROMIUM)")
    with sync_playwright() as playwright, dashboard(demo / "monitor.yaml") as address:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, device_scale_factor=1)
        page.goto((demo / "report.html").as_uri())
        save(page, "report")
        for tab, feature in TABS.items():
            query = {"monitor": "loan_approval", "tab": tab, "range": "all"} | ({"feature": feature} if feature else {})
            page.goto(f"{address}/?{urlencode(query)}")
            page.locator("canvas, svg.marks").first.wait_for()
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(2000)  # charts are drawn one after the other; nothing says when the last one is
            save(page, tab)
        browser.close()


def save(page: Page, name: str) -> None:
    page.screenshot(path=HERE / f"{name}.png")
    print(f"{HERE / name}.png")


@contextlib.contextmanager
def dashboard(config: Path) -> Iterator[str]:
    """The dashboard of one monitor; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "bq_monitor.cli", "dashboard", str(config), "--port", str(port)]
        server = subprocess.Popen(command, env={**os.environ, "HOME": home}, stdout=subprocess.DEVNULL)
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


def wait_for(port: int, seconds: float = 30.0) -> None:
    """Until something listens."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    sys.exit(f"nothing listens on port {port} after {seconds:g} s")


if __name__ == "__main__":
    main()
