"""`bq-monitor export`: the latest results for other systems."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from bq_monitor.cli.shown import CLEAN, WAREHOUSE, configs_argument, exit_with, write


@click.group()
def export() -> None:
    """The latest results in the formats of other systems."""


@export.command()
@configs_argument
@click.option("--output", metavar="FILE", help="Write here, whole or not at all, instead of printing.")
@click.option("--segments", "every_segment", is_flag=True, help="Segments too; so many times more series.")
def prometheus(config: Sequence[str], output: str | None, every_segment: bool) -> None:
    """Gauges of the newest windows, as Prometheus reads them. Exit code 4 when a warehouse did not answer; the others did."""
    from bq_monitor.config_files import load_configs
    from bq_monitor.report.prometheus import exposition, scrape

    scraped = scrape(load_configs(list(config)), every_segment=every_segment)
    text = exposition(scraped)[0].decode()
    if output:
        write(output, text)
    else:
        print(text, end="")
    for url, why in scraped.failures.items():
        print(f"error: {url}: {why}", file=sys.stderr)
    exit_with(WAREHOUSE if scraped.failures else CLEAN)
