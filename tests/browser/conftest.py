"""A headless Chromium that reaches this machine alone; every fault of a page fails its test."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

PATIENCE_MS = 60_000
"""How long a page may take on a busy machine before a test gives up."""
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Watched:
    """A page with what went wrong on it: errors of its console and scripts, and requests to anywhere but this machine."""

    page: Page
    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One headless Chromium; skipped (in CI: failed) where it is not installed."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("Chromium", "install the Debian package chromium, or set CHROMIUM to a browser")
    if importlib.util.find_spec("playwright") is None:
        missing("playwright", "pip install 'bq-monitor[dev]'")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Any]:
    """A function that opens a page: `open_page(url, viewport=WIDE, dark=False, expect_faults=False)`; its faults fail the test."""
    with contextlib.ExitStack() as stack:
        opened: list[Watched] = []

        def open_one(url: str, viewport: dict[str, int] = WIDE, *, dark: bool = False, **options: Any) -> Watched:
            watched = window(chromium, viewport, dark=dark, **options)
            stack.callback(watched.page.context.close)
            opened.append(watched)
            watched.page.goto(url)
            return watched

        yield open_one
        assert [fault for watched in opened for fault in watched.faults] == []


def window(chromium: Browser, viewport: dict[str, int], *, dark: bool = False, **options: Any) -> Watched:
    """An empty page in a context of its own, watched."""
    scheme = "dark" if dark else "light"
    context = chromium.new_context(viewport=viewport, color_scheme=scheme, **options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page())
    _watch(watched)
    return watched


def _watch(watched: Watched) -> None:
    page, faults = watched.page, watched.faults

    def guard(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in ("localhost", "127.0.0.1"):
            faults.append(f"request to {route.request.url}")
            route.abort()
        else:
            route.continue_()

    page.route("**/*", guard)
    page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))


SETTLED = """() => !document.querySelector('[data-stale=true]') && document.getAnimations().every(
    fading => fading.playState !== 'running' || fading.effect.getTiming().iterations === Infinity)"""
"""Nothing fades in or out: what is half there has half its contrast."""


def serious_faults(page: Page) -> list[str]:
    """What axe-core finds on a page that is serious or critical, once it has settled: rule, and where."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_function(SETTLED)
    violations = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {item['help']}: {node['target']}"
        for item in violations
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]
