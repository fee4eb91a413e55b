"""Reports made and put where people find them: by the command line on demand, by runs in the folder that `report` names."""

from __future__ import annotations

from bq_monitor.config import MonitorConfig
from bq_monitor.report import formats
from bq_monitor.report.html import render_html
from bq_monitor.report.of_run import page_of_run
from bq_monitor.report.page import Page
from bq_monitor.warehouse import opened
from bq_monitor.warehouse.storage import make_folder, write_text

FORMATS = {
    "html": render_html,
    "json": formats.json_text,
    "csv": formats.csv_text,
    "md": formats.markdown_text,
}


def page_of(config: MonitorConfig, window: str | None = None) -> Page:
    """The report of a window of a monitor (see `page_of_run`), read from its warehouse."""
    seconds = config.budget.deadline_seconds
    with opened(config.warehouse, config.monitor, deadline_seconds=seconds, read_only=True) as warehouse:
        return page_of_run(config, warehouse, window)


def publish(config: MonitorConfig) -> str | None:
    """Leave the report of the newest window in the folder of `report`; the file's path, None where there is no such folder.

    Raises:
        InputError: altair is not installed, or the folder cannot be made or written.
        WarehouseError: the results cannot be read.
    """
    if config.report is None:
        return None
    path = config.report.file(config.monitor)
    make_folder(config.report.to)
    write_text(path, render_html(page_of(config)))
    return path
