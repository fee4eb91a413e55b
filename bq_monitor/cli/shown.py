"""What the commands share: their options, what they print, the code that they end with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from bq_monitor.job import Progressed
    from bq_monitor.tables import TextTable

CLEAN, DRIFT, BAD_INPUT, NOT_EVALUATED, WAREHOUSE = 0, 1, 2, 3, 4
_PRECEDENCE = (WAREHOUSE, BAD_INPUT, DRIFT, NOT_EVALUATED, CLEAN)
_STATUS_STYLES = {"ok": "green", "drift": "bold red", "not_evaluated": "yellow", "excluded": "dim"}
_NUMBERS = {
    "drift score", "JS distance", "PSI", "rows", "null", "buckets", "windows", "granules to count", "bytes", "cost", "loans", "features",
    "baseline rows", "current rows", "baseline", "current", "estimated",
}  # fmt: skip
_Command = TypeVar("_Command", bound=Callable[..., Any])


def configs_argument(command: _Command) -> _Command:
    """One or more configuration files or fleet folders."""
    return click.argument("config", nargs=-1, required=True, metavar="CONFIG...")(command)


def json_option(command: _Command) -> _Command:
    """`--json` for machines."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines instead of a table.")(command)


as_of_option = click.option("--as-of", metavar="TIME", help="The moment to run for (ISO 8601; default: now).")


def exit_with(*codes: int) -> NoReturn:
    raise click.exceptions.Exit(next(code for code in _PRECEDENCE if code in codes))


def write(path: str, text: str) -> None:
    from bq_monitor.warehouse.storage import write_text

    write_text(path, text)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False)


def print_table(table: TextTable) -> None:
    """Draw a table; what users wrote is shown as it is, never read as markup."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(table.title), title_justify="left")
    for name in table.head:
        drawn.add_column(name, justify="right" if name in _NUMBERS else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell, style=_STATUS_STYLES.get(cell, "")) for cell in row))
    _console().print(drawn)


def progress_bar() -> Progress:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def follow(bar: Progress, title: str) -> Progressed:
    task = bar.add_task(title, total=None)
    return lambda step, done, total: bar.update(task, description=f"{title}: {step}", completed=done, total=total)
