"""What a request to the scheduled function asks for: read once, refused as a whole."""

from __future__ import annotations

import os
from typing import Any
from zoneinfo import ZoneInfo

from bq_monitor.config import MonitorConfig
from bq_monitor.config_files import load_configs
from bq_monitor.due import moment_of
from bq_monitor.errors import InputError

ALLOWED = ("as_of", "config", "do", "monitor")


def chosen_monitors(asked: Any) -> list[MonitorConfig]:
    """The monitors that a request is about: those of `config` (default: BQ_MONITOR_CONFIG), or the one named `monitor`.

    Raises:
        InputError: anything else than the known texts, or no such monitor.
        ConfigError, WarehouseError: the configuration is not valid, or its storage does not answer.
    """
    if not isinstance(asked, dict) or set(asked) - set(ALLOWED) or any(not isinstance(v, str) for v in asked.values()):
        raise InputError(f"request: got {asked!r}; allowed: a JSON object of texts named {', '.join(ALLOWED)}.")
    if "as_of" in asked:
        moment_of(asked["as_of"], ZoneInfo("UTC"))
    if asked.get("do") not in (None, "run", "check"):
        raise InputError(f"request: do: got {asked['do']!r}; allowed: run, check.")
    path = asked.get("config") or os.environ.get("BQ_MONITOR_CONFIG")
    if not path:
        raise InputError("request: no config; send one, or set BQ_MONITOR_CONFIG to a file or folder, local or gs://.")
    configs = load_configs(path)
    if chosen := [config for config in configs if asked.get("monitor") in (None, config.monitor)]:
        return chosen
    raise InputError(f"request: monitor: got {asked['monitor']!r}; {path} has {', '.join(c.monitor for c in configs)}.")
