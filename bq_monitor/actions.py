"""What a standing alert sets off: retraining, going back a version, whatever the configuration names.

A firing is decided with the verdicts (a `pending` row of `actions`, committed with them) and carried out after: first a row `started`,
then the call, then its outcome. It happens at most once: one that was cut off between start and outcome is `interrupted`, and not repeated.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bq_monitor.alerts.conditions import run_look
from bq_monitor.alerts.life import Alert, alert_id
from bq_monitor.alerts.messages import WORST_FIRST
from bq_monitor.alerts.outbox import MAX_TRIES, MAX_WAIT_SECONDS, Clock, backoff
from bq_monitor.alerts.own_health import SECONDS, deliver, tell
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.alerts.senders.base import Undelivered
from bq_monitor.alerts.settings import Action
from bq_monitor.alerts.wording import summary
from bq_monitor.config import MonitorConfig
from bq_monitor.scan import digest
from bq_monitor.timegrid import Span
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Terms, Warehouse
from bq_monitor.warehouse.schema import ACTIONS

CALLABLES_ENV = "BQ_MONITOR_CALLABLES"
"""The modules, with commas between, whose functions an action of a monitor in BigQuery may call."""
MEMORY = Span(400, "d")
"""Firings older than this are not read again."""
MAX_ALERTS = 20
"""So many alerts are handed over with an action."""
SHELL_SECONDS = 600.0
LEASE = timedelta(minutes=20)
"""An action without an outcome after so long was cut off."""
_MAX_OUTCOME = 1000


def read_actions(warehouse: Warehouse, config: MonitorConfig, now: datetime) -> list[Row]:
    """The firings of a monitor, oldest first; without configured actions nothing is asked."""
    if not config.actions:
        return []
    start = MEMORY.before(now, config.window.timezone)
    found = warehouse.query(statements.actions(warehouse, config.monitor, start))
    return [{**row, "monitor": config.monitor} for row in found]


def decide(
    config: MonitorConfig, alerts: Collection[Alert], fired: Sequence[Row], run_id: str, now: datetime
) -> list[Row]:
    """The rows of `actions` for what is to be done now: `pending`, `dry_run`, or `cooling` where it is too soon after the last.

    `alerts` are those that a window of this run has looked at. All alerts that an action fits are one cause.
    """
    rows = []
    for action in config.actions:
        mine = [row for row in fired if row["action"] == action.title]
        idle = ("cooling",) if action.dry_run else ("cooling", "dry_run")
        spent = {cause for row in mine if row["status"] not in idle for cause in json.loads(row["details"])["causes"]}
        fits = {cause_of(config, alert): alert for alert in alerts if _fits(action, alert)}
        fits = {cause: alert for cause, alert in fits.items() if cause not in spent}
        if not fits:
            continue
        edge = action.cool_down.before(now, config.window.timezone)
        is_cooling = any(row["status"] not in idle and row["created_at"].astimezone(UTC) > edge for row in mine)
        row = {
            **_row(config, action, fits, is_cooling=is_cooling),
            "run_id": run_id,
            "computed_at": now,
            "created_at": now,
        }
        if row["action_id"] not in {known["action_id"] for known in mine}:
            rows.append(row)
    return rows


def cause_of(config: MonitorConfig, alert: Alert) -> str:
    """Identity of one life of an alert."""
    return digest([alert_id(config.monitor, alert.key), alert.since])


def _fits(action: Action, alert: Alert) -> bool:
    said = {
        name: getattr(action, name) for name in ("feature", "segment", "measure") if getattr(action, name) is not None
    }
    return (
        alert.is_open
        and alert.condition == "firing"
        and alert.n_windows >= action.after
        and ("any" in action.on or alert.key.kind in action.on)
        and alert.key.kind != "action_failed"
        and WORST_FIRST.index(alert.severity) <= WORST_FIRST.index(action.min_severity)
        and all(getattr(alert.key, name) == value for name, value in said.items())
    )


def _row(config: MonitorConfig, action: Action, causes: Mapping[str, Alert], *, is_cooling: bool) -> Row:
    alerts = sorted(causes.values(), key=lambda a: (WORST_FIRST.index(a.severity), -a.n_windows, str(a.key)))
    more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    told = [
        {
            "alert_id": alert_id(config.monitor, alert.key), "severity": alert.severity, **alert.key._asdict(),
            "message": alert.message, "since": alert.since.isoformat(), "n_windows": alert.n_windows,
            "window_start": alert.window.start.isoformat(), "window_end": alert.window.end.isoformat(),
            "model_version": alert.model_version,
        }
        for alert in alerts[:MAX_ALERTS]
    ]  # fmt: skip
    status = "cooling" if is_cooling else "dry_run" if action.dry_run else "pending"
    return {
        "monitor": config.monitor,
        "action_id": digest([config.monitor, action.title, is_cooling, action.dry_run, sorted(causes)]), "action": action.title, "kind": action.do,
        "target": action.target, "status": status, "alert_id": told[0]["alert_id"],
        "reason": f"{summary(alerts[0].key)} for {alerts[0].n_windows} windows{more}",
        "outcome": {"cooling": f"not within {action.cool_down} of the last time", "dry_run": "nothing was called"}.get(status),
        "details": json.dumps({"causes": sorted(causes), "alerts": told}, ensure_ascii=False),
    }  # fmt: skip


def perform(warehouse: Warehouse, config: MonitorConfig, run_id: str, clock: Clock | None = None) -> list[Row]:
    """Carry out what is pending, and book what was cut off as `interrupted`; the rows of the outcomes."""
    done: list[Row] = []
    terms = Terms(SECONDS, None, {"monitor": config.monitor})
    warehouse.begin(terms)
    secrets = Secrets.of(config)
    named = {action.title: action for action in config.actions}
    for row in read_actions(warehouse, config, datetime.now(UTC)):
        action = named.get(row["action"])
        if row["status"] == "started" and _is_cut_off(row):
            text = "the process ended between start and outcome; it may or may not have happened, and is not repeated"
            done.append(_book(warehouse, row, run_id, "interrupted", text))
        elif row["status"] == "pending" and action is not None and action.dry_run:
            done.append(_book(warehouse, row, run_id, "dry_run", "nothing was called"))
        elif row["status"] == "pending" and action is not None and _start(warehouse, config, row, run_id):
            with warehouse.standing_aside():
                status, outcome = _carry_out(config, action, row, secrets, clock or Clock())
            warehouse.begin(terms)  # what was called may have taken its time
            done.append(_book(warehouse, row, run_id, status, secrets.redact(outcome)))
    return done


def perform_and_tell(warehouse: Warehouse, config: MonitorConfig, run_id: str) -> list[Row]:
    """`perform`; of actions that failed the channels hear."""
    if not config.actions:
        return []
    done = perform(warehouse, config, run_id)
    failed = {
        AlertKey("action_failed", row["action"]): f"{row['status']}: {row['outcome']}"
        for row in done
        if row["status"] in ("failed", "interrupted")
    }
    clean = {AlertKey("action_failed", row["action"]) for row in done if row["status"] == "succeeded"} - set(failed)
    if failed or clean:
        look = run_look(datetime.now(UTC), failed, clean)
        if tell(warehouse, config, look, run_id).is_told:
            deliver(warehouse, config, run_id)
    return done


def _is_cut_off(row: Row) -> bool:
    """Whether who started an action cannot be at it any more; only time tells."""
    return bool(datetime.now(UTC) - row["computed_at"].astimezone(UTC) >= LEASE)


def _start(warehouse: Warehouse, config: MonitorConfig, row: Row, run_id: str) -> bool:
    """Book the start; False where another run at the same time has."""
    _book(warehouse, row, run_id, "started")
    now = read_actions(warehouse, config, datetime.now(UTC))
    return any(r["action_id"] == row["action_id"] and r["status"] == "started" and r["run_id"] == run_id for r in now)


def _book(warehouse: Warehouse, row: Row, run_id: str, status: str, outcome: str | None = None) -> Row:
    booked = {
        **row, "run_id": run_id, "computed_at": datetime.now(UTC), "status": status,
        "outcome": outcome[:_MAX_OUTCOME] if outcome else None,
    }  # fmt: skip
    warehouse.commit({ACTIONS: [booked]}, key=f"action-{digest([row['action_id'], status])}")
    return booked


def _carry_out(config: MonitorConfig, action: Action, row: Row, secrets: Secrets, clock: Clock) -> tuple[str, str]:
    """What came of it: a status and words. Whatever goes wrong is an outcome, too."""
    handed = {
        "action_id": row["action_id"], "action": action.title, "do": action.do, "monitor": config.monitor, "reason": row["reason"],
        "alerts": json.loads(row["details"])["alerts"],
    }  # fmt: skip
    for n in range(MAX_TRIES):
        try:
            return "succeeded", _caller(config, action)(action, handed, secrets)
        except Undelivered as fault:
            if not fault.was_refused or n + 1 == MAX_TRIES:
                return "failed", fault.reason
            clock.sleep(min(MAX_WAIT_SECONDS, fault.after_seconds or backoff(n, clock)))
        except (Exception, SystemExit) as error:  # a user's function may raise anything
            return "failed", f"{type(error).__name__}: {error}"
    raise AssertionError("the last try has an outcome")


_Caller = Callable[[Action, Mapping[str, Any], Secrets], str]


def _caller(config: MonitorConfig, action: Action) -> _Caller:
    if action.pubsub:
        return _publish
    if action.webhook:
        return _post
    if action.callable:
        _require_listed(action.callable.split(":")[0], is_local=config.warehouse.startswith("duckdb:"))
        return _call
    return _shell


def _publish(action: Action, handed: Mapping[str, Any], secrets: Secrets) -> str:
    from bq_monitor.alerts.senders.google_api import publish

    attributes = {name: str(handed[name]) for name in ("monitor", "action", "do", "action_id")}
    publish(
        action.pubsub or "",
        _json(handed),
        attributes,
        secrets=secrets,
        timeout_seconds=10.0,
        place=f"action {action.title}",
    )
    return f"published to {action.pubsub}"


def _post(action: Action, handed: Mapping[str, Any], secrets: Secrets) -> str:
    from bq_monitor.alerts.senders.http import Route
    from bq_monitor.alerts.senders.webhook import post_signed

    url, key = (secrets.get(reference) for reference in action.references)
    route = Route(f"action {action.title}", secrets, timeout_seconds=10.0, allow_private=action.allow_private)
    answer = post_signed(url, key, _json(handed), handed["action_id"], route=route)
    return f"answered {answer.status}"


def _require_listed(module: str, *, is_local: bool) -> None:
    listed = [name.strip() for name in os.environ.get(CALLABLES_ENV, "").split(",") if name.strip()]
    if not is_local and module not in listed:
        raise PermissionError(
            f"module {module!r} is not among {CALLABLES_ENV} ({', '.join(listed) or 'unset'}); add it there to allow it"
        )


def _call(action: Action, handed: Mapping[str, Any], secrets: Secrets) -> str:
    module, _, name = (action.callable or "").partition(":")
    answer = getattr(importlib.import_module(module), name)(dict(handed))
    return "called" if answer is None else f"called; it answered {answer}"


def _shell(action: Action, handed: Mapping[str, Any], secrets: Secrets) -> str:
    """The command of a local monitor, the alerts as JSON on its standard input."""
    environment = {name: value for name, value in os.environ.items() if not secrets.holds(value)}
    command = subprocess.Popen(  # noqa: S602 - the command is the configuration's own, as in a Makefile; nothing of the data is in it
        action.shell or "", shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={**environment, "BQ_MONITOR_ACTION_ID": str(handed["action_id"])},
    )  # fmt: skip
    with command:
        try:
            answer, _ = command.communicate(_json(handed), timeout=SHELL_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(command.pid, signal.SIGKILL)
            raise TimeoutError(f"stopped after {SHELL_SECONDS:.0f} s, with all that it had begun") from None
    said = " ".join(answer.decode(errors="replace").split())[-_MAX_OUTCOME // 2 :]
    if command.returncode:
        raise RuntimeError(f"exit code {command.returncode}: {said}")
    return f"exit code 0{': ' + said if said else ''}"


def _json(handed: Mapping[str, Any]) -> bytes:
    return json.dumps(handed, ensure_ascii=False).encode()
