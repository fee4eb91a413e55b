"""The dashboard in a browser: tabs, links, numbers that equal the tables, an alert that somebody sees to, uploads, hostile names."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import urlopen

import duckdb
import numpy as np
import pytest

from tests.browser.conftest import NARROW, PATIENCE_MS, WIDE, Watched, serious_faults, window
from tests.dashboard.lab import HOSTILE, frame, make

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

TABS = {
    "overview": ("Overview", "What is worst first"), "drift": ("Drift", "Drift by feature and window"),
    "predictions": ("Predictions", "Answers in the window"), "performance": ("Performance", "All measures of the window"),
    "quality": ("Data quality", "the broken ones first"), "alerts": ("Alerts", "Since when"), "costs": ("Costs", "Runs, the newest first"),
    "replay": ("Replay", "What would have fired"),
}  # fmt: skip
"""Tab -> what it is called, and words that it alone shows."""


@dataclass
class Site:
    """A running dashboard and the folder of its warehouse."""

    address: str
    folder: Path

    def at(self, **query: str) -> str:
        return f"{self.address}/?{urlencode(query)}"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "monitor.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for all tests, as `bq-monitor dashboard` starts it; ended by the signal of Ctrl-C."""
    folder = tmp_path_factory.mktemp("site")
    make(folder)
    port = _free_port()
    configs = [str(folder / f"{name}.yaml") for name in ("loans", "bare", "empty")]
    command = [sys.executable, "-m", "bq_monitor.cli", "dashboard", *configs, "--as", "ann *b*", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        _wait_for(f"http://127.0.0.1:{port}", server, folder / "server.log")
        yield Site(f"http://127.0.0.1:{port}", folder)
    finally:
        server.send_signal(signal.SIGINT)
        code = server.wait(20)
    assert code == 0, (folder / "server.log").read_text()
    assert "Traceback" not in (folder / "server.log").read_text()


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = threading.Event()
    for _ in range(300):
        try:
            with urlopen(f"{address}/_stcore/health", timeout=5) as answer:  # noqa: S310 - this machine
                assert answer.status == 200
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            until.wait(0.1)
    pytest.fail(f"the server did not answer: {log.read_text()}")


@pytest.fixture(scope="module")
def wide(site: Site, chromium: Browser) -> Iterator[Watched]:
    """One page of a wide window, from which the tests of this module go on by clicks."""
    yield from _window(site, chromium, WIDE)


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def phone(site: Site, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page of a narrow window, light and dark."""
    yield from _window(site, chromium, NARROW, dark=request.param, monitor="loans")


def _window(site: Site, chromium: Browser, viewport: Any, *, dark: bool = False, **query: str) -> Iterator[Watched]:
    watched = window(chromium, viewport, dark=dark)
    watched.page.goto(site.at(**query))
    settled(watched.page)
    yield watched
    watched.page.context.close()


@pytest.fixture
def page(wide: Watched) -> Iterator[Page]:
    """The wide page; a fault of it fails the test in which it happens."""
    wide.faults.clear()
    yield wide.page
    assert wide.faults == []


def show(page: Page, monitor: str, tab: str | None = None) -> Page:
    """Open a monitor and one of its tabs by clicks, as a person does."""
    if page.locator(".bq-title").inner_text() != monitor:
        page.get_by_label("Show", exact=True).click()
        page.get_by_role("option", name=monitor, exact=True).click()
        page.locator(".bq-title").get_by_text(monitor, exact=True).wait_for()
        settled(page)
    if tab:
        page.get_by_role("radio", name=TABS[tab][0], exact=True).click()
        page.get_by_text(TABS[tab][1]).first.wait_for(timeout=PATIENCE_MS)
    return settled(page)


def settled(page: Page) -> Page:
    """The page once its script has run."""
    page.locator(".stApp[data-test-script-state=notRunning] .bq-title").wait_for(timeout=PATIENCE_MS)
    return page


def cells(table: Locator) -> list[dict[str, str]]:
    """A table of the page, row by row."""
    head, *lines = table.evaluate("t => [...t.rows].map(r => [...r.cells].map(c => c.innerText.trim()))")
    return [dict(zip(head, line, strict=True)) for line in lines]


def table_of(page: Page, caption: str) -> list[dict[str, str]]:
    found = page.get_by_role("table").filter(has_text=caption).first
    found.wait_for(timeout=PATIENCE_MS)
    return cells(found)


def card(page: Page, name: str) -> str:
    found = page.locator(".bq-cards > div").filter(has=page.get_by_text(name, exact=True)).first
    return found.locator("dd").inner_text()


def test_the_fleet_is_what_the_views_say(site: Site, page: Page) -> None:
    """Health, alerts and the newest window of each monitor; a click on a name opens it."""
    listed = {row["monitor"]: row for row in table_of(page, "Monitors, the worst first")}
    ((health, n_drift, n_features),) = site.ask(
        "SELECT health, n_drift, n_features FROM model_health WHERE monitor = 'loans'"
    )
    ((n_open,),) = site.ask("SELECT COUNT(*) FROM open_alerts WHERE monitor = 'loans'")
    loans = listed["loans"]
    assert (loans["health"], loans["drifted"], loans["newest window ends"]) == (
        str(health),
        f"{n_drift} of {n_features}",
        "2026-02-16",
    )
    assert loans["open alerts"].split()[-1] == str(n_open)
    assert set(listed) == {"loans", "ugly"}
    page.get_by_role("link", name="loans", exact=True).click()
    page.wait_for_url(re.compile("monitor=loans"))
    assert card(settled(page), "health, of 100") == str(health)
    assert page.locator("[data-testid=stAppDeployButton], [data-testid=stMainMenu]").count() == 0


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_at_its_own_address(page: Page, tab: str) -> None:
    """Without a fault of the page or an outside request, accessible, and no wider than the window."""
    show(page, "loans", tab)
    assert tab == "overview" or f"tab={tab}" in page.url
    assert page.locator(".bq-note.fault, [data-testid=stException]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for chart in page.locator("[data-testid=stVegaLiteChart]").all():
        chart.locator("svg").wait_for()
    assert serious_faults(page) == []


def test_all_tabs_are_reachable_on_a_phone(phone: Watched) -> None:
    """Each is in sight, and opens by a touch."""
    page = phone.page
    for words, _ in TABS.values():
        box = page.get_by_role("radio", name=words, exact=True).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
    page.get_by_role("radio", name="Data quality").click()
    page.wait_for_url(re.compile("tab=quality"))
    page.get_by_text("the broken ones first").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert phone.faults == []


def test_drift_is_what_the_tables_say(site: Site, page: Page, open_page: Any) -> None:
    """Scores of all features, the evidence of the chosen one; its link and its segment stand in the address, for others to open."""
    show(page, "loans", "drift")
    expected = dict(site.ask(
        "SELECT feature, drift_score FROM drift_latest WHERE monitor = 'loans' AND segment = 'all' AND role = 'feature' "
        "AND window_end = TIMESTAMPTZ '2026-02-16 00:00:00+00'"
    ))  # fmt: skip
    listed = {
        row["feature"]: row["drift score"] for row in table_of(page, "Features in the window that ends 2026-02-16")
    }
    assert {name: float(score) for name, score in listed.items()} == pytest.approx(expected, rel=1e-3)
    page.get_by_role("link", name="region", exact=True).click()
    page.wait_for_url(re.compile("feature=region"))
    settled(page)
    page.get_by_label("Segment").click()
    page.get_by_role("option", name="region=south").click()
    page.wait_for_url(re.compile("segment=region%3Dsouth"))
    ((n_rows,),) = site.ask(
        "SELECT n_current FROM drift_latest WHERE monitor = 'loans' AND segment = 'region=south' AND feature = 'region' "
        "AND window_end = TIMESTAMPTZ '2026-02-16 00:00:00+00'"
    )
    page.locator(".bq-cards").get_by_text(str(n_rows), exact=True).wait_for()
    again = settled(open_page(page.url).page)
    assert card(again, "rows, window") == str(n_rows)


def test_an_alert_is_acknowledged(site: Site, page: Page) -> None:
    """Who and why are in the warehouse, and on the page at once; without a reason nothing happens."""
    show(page, "loans", "alerts")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_role("alert").filter(has_text="got 0 characters").wait_for()
    page.get_by_label("Why").fill("a new <b>partner</b>")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_role("status").filter(has_text="Acknowledged").wait_for()
    stored = site.ask(
        "SELECT alert_id, actor, note FROM alert_events WHERE monitor = 'loans' AND event = 'acknowledged'"
    )
    assert [row[1:] for row in stored] == [("ann *b*", "a new <b>partner</b>")]
    mine = next(row for row in table_of(page, "Alerts, the worst first") if row["id"] == stored[0][0][:8])
    assert (mine["status"].split()[-1], mine["seen to by"], mine["they said"]) == (
        "acknowledged",
        "ann *b*",
        "a new <b>partner</b>",
    )
    assert site.ask(f"SELECT status, acknowledged_by FROM alerts WHERE alert_id = '{stored[0][0]}'") == [
        ("acknowledged", "ann *b*")
    ]


@pytest.mark.parametrize(
    ("button", "event", "status"), [("Snooze", "snoozed", "open"), ("Resolve", "closed", "resolved")]
)
def test_an_alert_is_put_off_or_ended(site: Site, page: Page, button: str, event: str, status: str) -> None:
    """Who and why are in the warehouse; what is put off says until when, what is ended stands no more."""
    show(page, "loans", "alerts")
    why = f"{button} it: 50 % of *them*"
    page.get_by_label("Why").fill(why)
    page.get_by_role("button", name=button).click()
    page.get_by_role("status").filter(has_text=f"{button}d: ").wait_for(timeout=PATIENCE_MS)
    ((alert, actor, until),) = site.ask(
        f"SELECT alert_id, actor, CAST(until AT TIME ZONE 'UTC' AS VARCHAR) FROM alert_events WHERE event = '{event}' AND note = '{why}'"
    )
    assert actor == "ann *b*"
    assert site.ask(f"SELECT status FROM alerts WHERE alert_id = '{alert}'") == [(status,)]
    listed = {row["id"]: row for row in table_of(page, "Alerts, the worst first")}
    if button == "Resolve":
        assert alert[:8] not in listed
    else:
        assert listed[alert[:8]]["silent until"] == until[:16]


def test_the_form_stands_while_what_was_said_goes(page: Page) -> None:
    """Words on the last change do not move the form: made anew under somebody's hands, it would lose a reason or a click."""
    show(page, "loans", "alerts")
    why = page.get_by_label("Why")
    why.fill("the first")
    page.get_by_role("button", name="Acknowledge").click()
    said = page.get_by_role("status").filter(has_text="Acknowledged: ")
    said.wait_for(timeout=PATIENCE_MS)
    settled(page)
    why.evaluate("field => { field.isTheSame = true }")
    page.get_by_role("radio", name=TABS["alerts"][0], exact=True).click()
    said.wait_for(state="detached", timeout=PATIENCE_MS)
    settled(page)
    assert why.evaluate("field => field.isTheSame === true")


def test_two_files_are_compared(page: Page, tmp_path: Path) -> None:
    """Parquet with CSV; the verdict, each column, a chart; the files are gone, and a bad one is refused in words."""
    rng = np.random.default_rng(3)
    frame(rng, 800).to_parquet(tmp_path / "before.parquet")
    frame(rng, 800, 3.0).to_csv(tmp_path / "after.csv", index=False)
    (tmp_path / "bad.csv").write_text("amount,region,score\n")
    show(page, "Compare two files")
    compare = page.get_by_role("button", name="Compare", exact=True)
    compare.click()
    page.get_by_role("alert").filter(has_text="Choose both files").wait_for()
    page.locator("input[type=file]").first.set_input_files(str(tmp_path / "before.parquet"))
    page.locator("input[type=file]").last.set_input_files(str(tmp_path / "after.csv"))
    for name in ("before.parquet", "after.csv"):
        page.get_by_role("button", name=f"Remove {name}").wait_for()
    compare.click()
    page.get_by_role("heading", name="Verdict: drift").wait_for(timeout=PATIENCE_MS)
    page.get_by_text("before.parquet (baseline) beside after.csv (current)").wait_for()
    listed = {row["column"]: row["status"] for row in table_of(page, "800 baseline rows, 800 current rows")}
    assert (listed["amount"], listed["region"]) == ("drift", "ok")
    page.get_by_role("heading", name="amount", exact=True).wait_for()
    page.get_by_role("button", name="Remove after.csv").click()
    page.locator("input[type=file]").last.set_input_files(str(tmp_path / "bad.csv"))
    page.get_by_role("button", name="Remove bad.csv").wait_for()
    compare.click()
    page.get_by_role("alert").filter(has_text="bad.csv").wait_for()


def test_a_threshold_is_replayed(site: Site, page: Page) -> None:
    """The slider moves, and the events of both thresholds stand beside each other."""
    show(page, "loans", "replay")
    (plain,) = table_of(page, "What would have fired")
    ((n_drift,),) = site.ask(
        "SELECT COUNT(*) FROM drift_latest WHERE monitor = 'loans' AND status = 'drift' AND window_end > TIMESTAMPTZ '2026-01-01 00:00:00+00'"
    )
    assert (plain["settings"], plain["drift verdicts"]) == ("as configured", str(n_drift))
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("End")
    page.wait_for_url(re.compile("threshold=0.6"))
    page.get_by_role("cell", name="detection.threshold=0.6").wait_for(timeout=PATIENCE_MS)
    configured, tried = table_of(page, "What would have fired")
    assert configured == plain
    assert int(tried["drift verdicts"]) < int(plain["drift verdicts"])


@pytest.mark.parametrize("tab", ["drift", "performance", "quality", "alerts"])
def test_hostile_names_stay_text(page: Page, tab: str) -> None:
    """No script, no picture, no Markdown: the names as they are, in tables and in the lists to pick from."""
    show(page, "ugly", tab)
    assert page.locator("img[src='x'], a[href^='javascript']").count() == 0
    shown = page.locator("body").inner_text()
    for name in HOSTILE if tab != "performance" else HOSTILE[:2]:
        assert name in shown
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_empty_warehouses_have_a_page(site: Site, page: Page) -> None:
    """It says what is missing; a monitor can be asked for elsewhere."""
    page.goto(site.at(warehouse="2"))
    page.get_by_text("No monitor has run here yet").wait_for()
    page.goto(site.at(warehouse="3"))
    page.get_by_text("bq-monitor init").wait_for()
