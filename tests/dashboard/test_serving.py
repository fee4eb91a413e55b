"""How the page is started: what is refused before anything listens, and what streamlit is told."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from streamlit import config

from bq_monitor.cli.dashboard import dashboard
from bq_monitor.dashboard import serving
from bq_monitor.dashboard.serving import ENVIRONMENT, Settings, flags
from bq_monitor.errors import InputError

EVERYWHERE = "0.0.0.0"  # noqa: S104 - never listened on


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been served."""
    calls: list[Any] = []
    monkeypatch.setattr(serving, "serve", lambda *given: calls.append(given))
    return calls


def test_something_must_be_shown(served: list[Any]) -> None:
    """A configuration or a warehouse."""
    done = CliRunner().invoke(dashboard, [])
    assert done.exit_code == 2
    assert served == []


def test_a_configuration_that_is_wrong_ends_before_anything_listens(served: list[Any], tmp_path: Path) -> None:
    """As every command does."""
    (tmp_path / "a.yaml").write_text("monitor: A")
    done = CliRunner().invoke(dashboard, [str(tmp_path / "a.yaml")])
    assert isinstance(done.exception, ValueError)
    assert served == []


def test_what_is_given_is_served(served: list[Any]) -> None:
    """Read-only on this machine alone, unless more is said; and the page finds it in its environment."""
    assert CliRunner().invoke(dashboard, ["--warehouse", "duckdb:///a.duckdb"]).exit_code == 0
    assert (
        CliRunner()
        .invoke(
            dashboard,
            ["--warehouse", "duckdb:///a.duckdb", "--host", EVERYWHERE, "--port", "80", "--iap-audience", "x"],
        )
        .exit_code
        == 0
    )
    url = "duckdb:///a.duckdb"
    assert served == [(Settings((), url), "127.0.0.1", 8501), (Settings((), url, None, "x"), EVERYWHERE, 80)]
    assert Settings.read({ENVIRONMENT: served[1][0].text()}) == served[1][0]
    with pytest.raises(InputError, match="bq-monitor dashboard"):
        Settings.read({})


@pytest.mark.parametrize("package", ["streamlit", "altair"])
def test_a_missing_extra_says_what_to_install(served: list[Any], package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is served."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    done = CliRunner().invoke(dashboard, ["--warehouse", "duckdb:///a.duckdb"])
    assert isinstance(done.exception, InputError)
    assert "pip install 'bq-monitor[dashboard]'" in str(done.exception)
    assert served == []


def test_streamlit_tells_nobody_and_lets_no_other_site_in() -> None:
    """Each option exists in the streamlit that is installed; other hosts are refused where the page is for this machine."""
    given = flags("127.0.0.1", 8501)
    assert set(given) <= set(config.get_config_options())
    assert (given["browser.gatherUsageStats"], given["server.enableXsrfProtection"]) == (False, True)
    assert set(given["server.allowedHosts"]) == {"127.0.0.1", "localhost", "::1"}
    assert flags(EVERYWHERE, 8501)["server.allowedHosts"] == []
