"""The report in a browser: its numbers, its controls, on paper, for everybody, and with names that would like to be scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bq_monitor.report.html import render_html
from bq_monitor.report.page import Page as Report
from tests.browser.conftest import NARROW, WIDE, serious_faults
from tests.report.lab import Watched, shared
from tests.report.samples import NAMES, drawn_once, feature, hostile_page, page, points

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., Any]
SHOWN = "tbody.feature:not([hidden])"


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return shared(tmp_path_factory.getbasetemp())


def filed(folder: Path, report: Report) -> str:
    """The report in a file, as a URL."""
    path = folder / "report.html"
    with drawn_once():
        path.write_text(render_html(report))
    return path.as_uri()


@pytest.fixture(scope="module")
def real(monitor: Watched, tmp_path_factory: pytest.TempPathFactory) -> str:
    return filed(tmp_path_factory.mktemp("real"), monitor.page())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return filed(tmp_path_factory.mktemp("hostile"), hostile_page())


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four features of different statuses and scores."""
    made = (
        feature("beta", "drift", drift_score=0.3, timeline=points(3)), feature("Alpha", drift_score=0.1), feature("gamma", drift_score=0.2),
        feature("delta", "not_evaluated", drift_score=None, reason="no rows"),
    )  # fmt: skip
    return filed(tmp_path_factory.mktemp("several"), page(features=made))


def names(page: Page) -> list[str]:
    found: list[str] = page.locator(f"{SHOWN} .name").all_inner_texts()
    return found


def numbers(page: Page, within: str) -> dict[str, float | None]:
    """What the elements with `data-of` in a place carry."""
    found: dict[str, float | None] = page.locator(within).evaluate(
        "at => Object.fromEntries([...at.querySelectorAll('[data-of]')].map(cell => {"
        " const data = cell.querySelector('data'); return [cell.dataset.of, data ? Number(data.value) : null]; }))"
    )
    return found


def test_numbers_are_those_of_the_rows(monitor: Watched, real: str, open_page: Open) -> None:
    """Each number that a feature shows is, to the last digit, what SQL finds in the newest window."""
    shown = open_page(real).page
    stored = monitor.ask(
        "SELECT * FROM drift_latest WHERE segment = 'all' AND window_end = (SELECT MAX(window_end) FROM drift_latest)"
    )
    assert sorted(names(shown)) == sorted(row["feature"] for row in stored)
    for row in stored:
        place = names(shown).index(row["feature"])
        said = numbers(shown, f"tbody.feature[data-place='{place}']")
        assert said["value"] == row["js_distance"]
        assert said["drift_score"] == row["drift_score"]
        for name in said.keys() & row.keys() - {"status"}:
            assert said[name] == row[name], name
    (health,) = monitor.ask("SELECT health FROM model_health")
    assert numbers(shown, ".health") == {"health": health["health"]}


def test_answers_are_those_of_the_rows(monitor: Watched, real: str, open_page: Open) -> None:
    """So is each measure of the answers of all rows."""
    shown = open_page(real).page
    stored = monitor.ask(
        "SELECT basis, metric, value, reference_value FROM performance_latest WHERE segment = 'all' AND metric != 'shift' "
        "AND NOT STARTS_WITH(metric, 'concept:') AND window_end = (SELECT MAX(window_end) FROM performance_latest)"
    )
    assert len(stored) > 10
    for row in stored:
        said = numbers(
            shown, f".scores tr[data-metric='{row['metric']}'][data-basis='{row['basis']}'][data-segment='all']"
        )
        assert {"value": said["value"], "reference_value": said["reference_value"]} == {
            "value": row["value"], "reference_value": row["reference_value"],
        }  # fmt: skip


@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_read_it(real: str, tmp_path: Path, open_page: Open, dark: bool) -> None:
    """axe finds nothing serious with all details open: in light of a real report, in dark of one with hostile names in every part."""
    shown = open_page(filed(tmp_path, hostile_page(NAMES[:2])) if dark else real, dark=dark).page
    shown.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    assert serious_faults(shown) == []


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_nothing_overflows_the_page(real: str, hostile: str, open_page: Open, viewport: dict[str, int]) -> None:
    """However narrow the screen and long the names, the page does not scroll sideways; also with all details open."""
    for url in (real, hostile):
        shown = open_page(url, viewport).page
        shown.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
        wide, there = shown.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= there


def test_hostile_names_are_text(hostile: str, open_page: Open) -> None:
    """No dialog, no element that a name brought, no fault of the console; each name is shown as it is written."""
    watched_page = open_page(hostile)
    shown, dialogs = watched_page.page, []
    shown.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    shown.reload()
    assert dialogs == []
    assert shown.locator("img, body script:not(body > script)").count() == 0
    said = set(names(shown))
    assert {" ".join(name.replace("\u202e", "").split()) for name in NAMES if name} <= {
        " ".join(name.replace("\u202e", "").split()) for name in said
    }


def test_search_filter_and_sort(several: str, open_page: Open) -> None:
    """Typing narrows, a button shows one verdict, a head sorts and says so; unknown numbers stay last either way."""
    shown = open_page(several).page
    assert names(shown) == ["beta", "gamma", "Alpha", "delta"]
    shown.get_by_label("Search").fill("ALPH")
    assert names(shown) == ["Alpha"]
    assert shown.get_by_role("status").inner_text() == "1 of 4 shown"
    shown.get_by_label("Search").fill("no such")
    assert shown.get_by_text("No feature fits.").is_visible()
    shown.get_by_label("Search").fill("")
    shown.get_by_role("button", name="ok 2").click()
    assert names(shown) == ["gamma", "Alpha"]
    assert shown.get_by_role("button", name="ok 2").get_attribute("aria-pressed") == "true"
    shown.get_by_role("button", name="all 4").click()
    by_score = shown.get_by_role("button", name="drift score", exact=True)
    by_score.click()
    assert names(shown) == ["beta", "gamma", "Alpha", "delta"]
    by_score.click()
    assert names(shown) == ["Alpha", "gamma", "beta", "delta"]
    assert shown.locator("th[aria-sort]").all_inner_texts() == ["drift score"]
    assert shown.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    shown.get_by_role("button", name="feature", exact=True).click()
    assert names(shown) == ["Alpha", "beta", "delta", "gamma"]


def test_the_keyboard_is_enough(several: str, open_page: Open) -> None:
    """The first stop leads past the head; details open with Enter, and what has the focus is seen to have it."""
    shown = open_page(several).page
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.textContent") == "Skip to the report"
    shown.locator("tbody.feature summary").first.focus()
    shown.keyboard.press("Enter")
    assert shown.locator("tbody.feature details[open]").count() == 1
    shown.keyboard.press("Tab")
    shown.keyboard.press("Shift+Tab")
    assert shown.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert shown.get_by_text("Buckets: share of rows").first.is_visible()


def test_without_script_all_is_there(several: str, open_page: Open) -> None:
    """No control that would do nothing is shown; all features are, and details open."""
    shown = open_page(several, java_script_enabled=False).page
    assert shown.locator(".control:visible, input:visible").count() == 0
    assert shown.locator("tbody.feature .name:visible").count() == 4
    shown.locator("tbody.feature summary").first.click()
    assert shown.get_by_text("Buckets: share of rows").first.is_visible()


def test_the_theme_can_be_changed(several: str, open_page: Open) -> None:
    """The button turns light into dark and back, charts included."""
    shown = open_page(several).page
    colour = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('svg .f-production')).fill]"
    light = shown.evaluate(colour)
    shown.get_by_role("button", name="Show in dark colours").click()
    dark = shown.evaluate(colour)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    shown.get_by_role("button", name="Show in light colours").click()
    assert shown.evaluate(colour) == light


def test_paper_shows_details_and_no_controls(several: str, open_page: Open) -> None:
    """In print all details are open, controls are gone, and dark becomes light."""
    shown = open_page(several, dark=True).page
    shown.emulate_media(media="print")
    assert shown.locator(".control:visible, input:visible").count() == 0
    assert shown.get_by_text("Buckets: share of rows").first.is_visible()
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shown.emulate_media(media="screen")
    assert shown.locator("tbody.feature details[open]").count() == 0
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.locator("details:not([open])").count() == 0
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.locator("tbody.feature details[open]").count() == 0
