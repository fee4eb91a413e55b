"""`bq-monitor report`: one window of a monitor for people, for other programs, or for a ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bq_monitor.cli.shown import write

if TYPE_CHECKING:
    from bq_monitor.comparison.compare import Comparison


@click.command()
@click.argument("config")
@click.option(
    "--window",
    metavar="TIME",
    help="The window that ends at this time, or that it lies in (default: the newest judged one).",
)
@click.option(
    "--output",
    metavar="FILE",
    help="Write here (a file or gs:// path). Default: report-MONITOR.html for html, else it is printed.",
)
@click.option("--format", "form", type=click.Choice(["html", "json", "csv", "md"]), default="html", show_default=True,
              help="html needs altair and vl-convert: pip install 'bq-monitor[report]'.")  # fmt: skip
def report(config: str, window: str | None, output: str | None, form: str) -> None:
    """Write the report of a judged window: what drifted, how good the answers are, what stands. Exit code 0 whatever it says."""
    from bq_monitor.config_files import load_config
    from bq_monitor.report.html import require_charts
    from bq_monitor.report.publish import FORMATS, page_of

    if form == "html":
        require_charts("report")
    monitor = load_config(config)
    text = FORMATS[form](page_of(monitor, window))
    path = output or (f"report-{monitor.monitor}.html" if form == "html" else None)
    if path is None:
        print(text, end="")
        return
    write(path, text)
    print(path)


def write_comparison(path: str, result: Comparison, name: str) -> None:
    """The report of a comparison as HTML."""
    from bq_monitor.report.html import render_html
    from bq_monitor.report.of_comparison import page_of_comparison

    write(path, render_html(page_of_comparison(result, name)))
