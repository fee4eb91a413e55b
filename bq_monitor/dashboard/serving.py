"""How the page is served: its settings, and streamlit's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bq_monitor.errors import InputError

ENVIRONMENT = "BQ_MONITOR_DASHBOARD"
MAX_UPLOAD_MB = 200


@dataclass(frozen=True)
class Settings:
    """What the page shows and for whom: configurations, a warehouse beside theirs, and how people are told apart."""

    configs: tuple[str, ...] = ()
    warehouse: str | None = None
    name: str | None = None
    audience: str | None = None

    def text(self) -> str:
        """As the page's process finds it in its environment."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """What `text` wrote; raises `InputError` where nobody did."""
        if ENVIRONMENT not in environment:
            raise InputError("dashboard: started without its settings; start it with 'bq-monitor dashboard'.")
        given = json.loads(environment[ENVIRONMENT])
        return cls(**{**given, "configs": tuple(given["configs"])})


def require_streamlit() -> None:
    """Raise `InputError` where the extra is not installed."""
    from importlib.util import find_spec

    for package in ("streamlit", "altair"):
        if find_spec(package) is None:
            raise InputError(
                f"dashboard: {package} is not installed; the page is made with it. Run: pip install 'bq-monitor[dashboard]'"
            )


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the page until a signal ends it; raises `InputError` where the port is taken."""
    from streamlit.logger import set_log_level
    from streamlit.web import bootstrap

    set_log_level("error")  # before that the options count

    os.environ[ENVIRONMENT] = settings.text()
    options = flags(host, port)
    bootstrap.load_config_options(options)
    _warm_up()
    try:
        bootstrap.run(str(Path(__file__).with_name("app.py")), False, [], options)
    except SystemExit as ended:
        if ended.code:
            raise InputError(
                f"dashboard: cannot listen on {host}:{port}; is the port taken? Choose another --port."
            ) from None


def flags(host: str, port: int) -> dict[str, Any]:
    """Streamlit's options: nothing is told to anybody, nothing is watched, and no other site may speak to the page."""
    local = host in ("127.0.0.1", "localhost", "::1")
    return {
        "server.address": host, "server.port": port, "server.headless": True, "server.fileWatcherType": "none",
        "server.runOnSave": False, "server.maxUploadSize": MAX_UPLOAD_MB, "server.enableXsrfProtection": True, "server.enableCORS": True,
        "server.enableStaticServing": False, "server.enableAgentApi": False,
        "server.allowedHosts": ["127.0.0.1", "localhost", "::1"] if local else [],
        "browser.gatherUsageStats": False, "client.toolbarMode": "minimal", "client.showErrorDetails": "none",
        "client.showErrorLinks": False, "client.showSidebarNavigation": False,
        "global.developmentMode": False, "runner.magicEnabled": False, "logger.hideWelcomeMessage": True, "logger.level": "error",
        **_theme(),
    }  # fmt: skip


def _theme() -> dict[str, str]:
    from bq_monitor.report.palette import DARK, PALETTE

    return {
        f"theme.{name}.{option}": colours[colour]
        for name, colours in (("light", PALETTE), ("dark", DARK))
        for option, colour in (
            ("primaryColor", "production"), ("backgroundColor", "surface"), ("secondaryBackgroundColor", "heat-0"),
            ("textColor", "ink"), ("borderColor", "grid"), ("linkColor", "production"),
        )
    } | {"theme.light.baseRadius": "small", "theme.dark.baseRadius": "small"}  # fmt: skip


def _warm_up() -> None:
    """Load what the first page needs before anybody asks for it."""
    import bq_monitor.dashboard.page  # noqa: F401
    from bq_monitor.report.views import fleet
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse()
    fleet(warehouse)
    warehouse.close()
