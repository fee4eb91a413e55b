"""`bq-monitor alerts`: what stands, and what people say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bq_monitor.cli.shown import CLEAN, DRIFT, configs_argument, exit_with, json_option, print_json, print_table

if TYPE_CHECKING:
    from bq_monitor.alerts.people import Listed, Word
    from bq_monitor.config import MonitorConfig
    from bq_monitor.warehouse.base import Warehouse

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group()
def alerts() -> None:
    """The alerts that stand: list them, see to them, put them off, end them."""


def _said(command: _Command) -> _Command:
    """What every word about alerts takes: which ones, who and why."""
    command = json_option(command)
    command = click.option("--why", required=True, metavar="TEXT", help="Why; it is kept with the alert.")(command)
    command = click.option("--who", metavar="NAME", help="Who says it (default: your login).")(command)
    command = click.argument("alert", nargs=-1, required=True, metavar="ALERT...")(command)
    return click.argument("config")(command)


@alerts.command("list")
@configs_argument
@click.option("--all", "resolved", is_flag=True, help="Those that are over, too.")
@json_option
def list_command(config: Sequence[str], resolved: bool, as_json: bool) -> None:
    """List the alerts that stand, the worst first. Exit code 1 when there is one."""
    from bq_monitor.alerts.people import list_alerts
    from bq_monitor.config_files import load_configs
    from bq_monitor.tables import alerts_table

    found: list[tuple[MonitorConfig, list[Listed]]] = []
    for monitor in load_configs(list(config)):
        with _opened(monitor, read_only=True) as warehouse:
            found.append((monitor, list_alerts(warehouse, monitor, resolved=resolved)))
    if as_json:
        print_json([{"monitor": monitor.monitor, **item.to_dict()} for monitor, listed in found for item in listed])
    else:
        print_table(alerts_table([(monitor.monitor, item) for monitor, listed in found for item in listed]))
    exit_with(DRIFT if any(item.alert.is_open for _, listed in found for item in listed) else CLEAN)


@alerts.command()
@_said
def ack(config: str, alert: Sequence[str], who: str | None, why: str, as_json: bool) -> None:
    """Say that alerts are being seen to: no reminders until they are over."""
    from bq_monitor.alerts.people import acknowledge

    _say(config, as_json, lambda warehouse, monitor: acknowledge(warehouse, monitor, alert, _word(who, why)))


@alerts.command()
@_said
@click.option("--until", required=True, metavar="TIME", help="Until when (ISO 8601, or a length such as 3d from now).")
def snooze(config: str, alert: Sequence[str], *, who: str | None, why: str, until: str, as_json: bool) -> None:
    """Hear nothing of alerts for a while; the first run after it tells of those that still fire."""
    from bq_monitor.alerts.people import moment_to_come
    from bq_monitor.alerts.people import snooze as put_off

    def say(warehouse: Warehouse, monitor: MonitorConfig) -> list[Listed]:
        return put_off(warehouse, monitor, alert, _word(who, why), moment_to_come(until, monitor.window.timezone))

    _say(config, as_json, say)


@alerts.command()
@_said
def resolve(config: str, alert: Sequence[str], who: str | None, why: str, as_json: bool) -> None:
    """End alerts; the channels hear of it. One that fires in a window to come is reopened."""
    from bq_monitor.alerts.people import close

    _say(config, as_json, lambda warehouse, monitor: close(warehouse, monitor, alert, _word(who, why)))


@alerts.command()
@configs_argument
@json_option
def check(config: Sequence[str], as_json: bool) -> None:
    """See whether runs come at all, and tell when they do not. To be called by another scheduler than the runs."""
    from bq_monitor.alerts.own_health import check_overdue
    from bq_monitor.config_files import load_configs

    found = {}
    for monitor in load_configs(list(config)):
        with _opened(monitor) as warehouse:
            found[monitor.monitor] = check_overdue(warehouse, monitor)
    if as_json:
        print_json([{"monitor": name, "overdue_since": since and since.isoformat()} for name, since in found.items()])
    for name, since in found.items() if not as_json else ():
        print(f"{name}: " + (f"overdue since {since:%Y-%m-%d %H:%M} UTC" if since else "on time"))
    exit_with(DRIFT if any(found.values()) else CLEAN)


def _opened(monitor: MonitorConfig, *, read_only: bool = False) -> AbstractContextManager[Warehouse]:
    from bq_monitor.warehouse import opened

    seconds = monitor.budget.deadline_seconds
    return opened(monitor.warehouse, monitor.monitor, deadline_seconds=seconds, read_only=read_only)


def _word(who: str | None, why: str) -> Word:
    import getpass

    from bq_monitor.alerts.people import Word

    return Word(who or getpass.getuser(), why)


def _say(config: str, as_json: bool, say: Callable[[Warehouse, MonitorConfig], list[Listed]]) -> None:
    from bq_monitor.config_files import load_config
    from bq_monitor.tables import alerts_table

    monitor = load_config(config)
    with _opened(monitor) as warehouse:
        listed = say(warehouse, monitor)
    if as_json:
        print_json([{"monitor": monitor.monitor, **item.to_dict()} for item in listed])
    else:
        print_table(alerts_table([(monitor.monitor, item) for item in listed]))
