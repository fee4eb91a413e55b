"""Every page stands and says something true: of a real monitor, of ugly rows, of warehouses in which there is nothing."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bq_monitor.dashboard import data, page
from bq_monitor.dashboard.serving import ENVIRONMENT, Settings
from tests.dashboard.lab import HOSTILE, made

__all__ = ["made"]
APP = str(Path(page.__file__).with_name("app.py"))


@pytest.fixture
def visit(made: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that opens the page at a query: `visit(monitor=..., tab=...)`; read-only, all three warehouses."""
    data.forget()
    configs = tuple(str(made / f"{name}.yaml") for name in ("loans", "bare", "empty"))

    def open_page(settings: Settings | None = None, **query: str) -> AppTest:
        monkeypatch.setenv(ENVIRONMENT, (settings or Settings(configs)).text())
        opened = AppTest.from_file(APP, default_timeout=60)
        for name, value in query.items():
            opened.query_params[name] = value
        return opened.run()

    return open_page


def words(opened: AppTest) -> str:
    """All that the page says in HTML of ours, the sidebar included."""
    assert not opened.exception
    bodies = [item.proto.body for block in (opened.main, opened.sidebar) for item in block if item.type == "html"]
    assert re.findall(r">(nan|NaN|NaT|None|<NA>|inf|-inf)<", "".join(bodies)) == []
    return unescape(re.sub("<style>.*?</style>|<[^>]*>", " ", " ".join(bodies), flags=re.DOTALL))


@pytest.mark.parametrize("tab", list(page.TABS))
@pytest.mark.parametrize("monitor", ["loans", "ugly"])
def test_every_tab_stands(visit: Any, monitor: str, tab: str) -> None:
    """With good rows and with ugly ones, without an exception and without a fault."""
    said = words(visit(monitor=monitor, tab=tab))
    assert monitor in said
    assert "fault of" not in said


@pytest.mark.parametrize("tab", ["drift", "quality", "alerts"])
def test_hostile_names_are_said_as_they_are(visit: Any, tab: str) -> None:
    """As text, whole."""
    said = words(visit(monitor="ugly", tab=tab))
    for name in HOSTILE:
        assert name in said


def test_empty_warehouses_say_so(visit: Any) -> None:
    """Without a monitor: that none has run. Without tables: which one is missing, and what makes it."""
    assert "No monitor has run here yet" in words(visit(warehouse="2"))
    assert "bq-monitor init" in words(visit(warehouse="3"))


def test_an_unknown_monitor_is_named(visit: Any) -> None:
    """A link to what is not there shows the others, and says so."""
    said = words(visit(monitor="nobody"))
    assert "There is no monitor 'nobody' here" in said
    assert "loans" in said


@pytest.mark.parametrize("query", [{"range": "x"}, {"range": "custom", "from": "2026-99-99"}, {"segment": "<b>"}, {"window": "1"}, {"tab": "../x"},
                                   {"range": "custom", "from": "1970-01-02", "to": "1970-01-02"}, {"threshold": "nan", "tab": "replay"}])  # fmt: skip
def test_an_address_that_is_wrong_in_part_shows_the_rest(visit: Any, query: dict[str, str]) -> None:
    """What cannot be picked is as if it were not there."""
    assert "loans" in words(visit(monitor="loans", **{"tab": "drift", **query}))


def test_without_an_identity_there_is_no_form(visit: Any, made: Path) -> None:
    """The page says why; with a name, but without the monitor's configuration, there is none either."""
    opened = visit(monitor="loans", tab="alerts")
    assert "read-only" in words(opened)
    assert [button.label for button in opened.button] == ["Refresh"]
    settings = Settings((), f"duckdb://{made}/monitor.duckdb", "ann")
    opened = visit(settings, monitor="loans", tab="alerts")
    assert "configuration" in words(opened)
    assert [button.label for button in opened.button] == ["Refresh"]
    assert "needs the monitor's configuration" in words(visit(settings, monitor="loans", tab="replay"))


def test_with_a_name_there_is_one(visit: Any, made: Path) -> None:
    """Of a monitor whose configuration is known."""
    opened = visit(Settings((str(made / "loans.yaml"),), None, "ann"), monitor="loans", tab="alerts")
    assert {"Acknowledge", "Snooze", "Resolve"} <= {button.label for button in opened.button}


def test_behind_the_proxy_a_request_without_an_assertion_changes_nothing(visit: Any, made: Path) -> None:
    """No header, no name."""
    opened = visit(Settings((str(made / "loans.yaml"),), None, None, "aud"), monitor="loans", tab="alerts")
    assert "X-Goog-Iap-Jwt-Assertion" in words(opened)
    assert [button.label for button in opened.button] == ["Refresh"]
