"""Drift monitoring for models whose predictions are logged in BigQuery. Importing this is cheap; names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bq_monitor.capture import capture_reference as capture_reference
    from bq_monitor.comparison.compare import Comparison as Comparison
    from bq_monitor.comparison.compare import compare as compare
    from bq_monitor.config import MonitorConfig as MonitorConfig
    from bq_monitor.config_files import load_config as load_config
    from bq_monitor.config_files import load_configs as load_configs
    from bq_monitor.errors import BqMonitorError as BqMonitorError
    from bq_monitor.errors import ConfigError as ConfigError
    from bq_monitor.errors import InputError as InputError
    from bq_monitor.errors import WarehouseError as WarehouseError
    from bq_monitor.job import run as run
    from bq_monitor.reference import Reference as Reference
    from bq_monitor.results import RunResult as RunResult

__version__ = "0.1.0"
_HOME = {
    "capture": ("capture_reference",),
    "comparison.compare": ("Comparison", "compare"),
    "config": ("MonitorConfig",),
    "config_files": ("load_config", "load_configs"),
    "errors": ("BqMonitorError", "ConfigError", "InputError", "WarehouseError"),
    "job": ("run",),
    "reference": ("Reference",),
    "results": ("RunResult",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
__all__ = [*sorted(_MODULE_OF), "__version__"]  # noqa: PLE0604 - the names are strings


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
