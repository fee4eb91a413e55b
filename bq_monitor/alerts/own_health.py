"""The monitor's own health: runs that failed, cost too much or never came, and messages that nobody got."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from bq_monitor.alerts.conditions import run_look
from bq_monitor.alerts.ledger import read_alerts
from bq_monitor.alerts.life import Alert, Look
from bq_monitor.alerts.news import News, news_of
from bq_monitor.alerts.outbox import Dispatched, dispatch
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.secrets import Secrets
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BudgetError
from bq_monitor.reference import load_references
from bq_monitor.timegrid import Span
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Terms, Warehouse

RUN_FAILED, BUDGET, OVERDUE = AlertKey("run_failed"), AlertKey("budget"), AlertKey("overdue")
SECONDS = 120.0
"""What is said of a run has so long, whatever the run itself had left."""


def after_success(alerts: Mapping[AlertKey, Alert], now: datetime, *, is_behind: bool = False) -> Look:
    """A run that ended well ends the alerts about runs that did not; `overdue` only when nothing is left to do."""
    over = (RUN_FAILED, BUDGET) if is_behind else (RUN_FAILED, BUDGET, OVERDUE)
    return run_look(now, clean=[key for key in over if key in alerts and alerts[key].is_open])


def tell(warehouse: Warehouse, config: MonitorConfig, look: Look, run_id: str) -> News:
    """Commit what a look at runs shows, with the messages that tell of it."""
    news = news_of(config, read_alerts(warehouse, config.monitor), [look], look.window.end)
    if news.transitions:
        warehouse.commit(news.rows(run_id, look.window.end), key=f"news-{news.identity}")
    return news


def failure_key(error: BaseException) -> AlertKey:
    """What a run that failed by an error is an alert of."""
    return BUDGET if isinstance(error, BudgetError) else RUN_FAILED


def report_failure(warehouse: Warehouse, config: MonitorConfig, error: BaseException, run_id: str) -> None:
    """Tell that a run failed: an alert that the next run that ends well resolves."""
    warehouse.begin(Terms(SECONDS, None, {"monitor": config.monitor}))
    text = Secrets.of(config).redact(str(error)) or type(error).__name__
    tell(warehouse, config, run_look(datetime.now(UTC), {failure_key(error): text}), run_id)
    deliver(warehouse, config, run_id)


def deliver(warehouse: Warehouse, config: MonitorConfig, run_id: str) -> Dispatched:
    """Send what the outbox holds; of a channel that gave a message up the others hear, and of one that works again all."""
    done = Dispatched()
    if not config.alerts.channels:
        return done
    while True:
        known = set(done.given_up)
        warehouse.begin(Terms(SECONDS, None, {"monitor": config.monitor}))
        done += dispatch(warehouse, config, run_id)
        if set(done.given_up) == known:  # nobody is left who has not heard of it
            break
    clean = [AlertKey("delivery", channel) for channel in sorted(done.reached - set(done.given_up))]
    if clean and tell(warehouse, config, run_look(datetime.now(UTC), clean=clean), run_id).is_told:
        done += dispatch(warehouse, config, run_id)
    return done


def heartbeat(config: MonitorConfig) -> str | None:
    """Fetch the URL that waits for good runs; why it could not be, None when it could or there is none."""
    beat = config.alerts.heartbeat
    if beat is None:
        return None
    from bq_monitor.alerts.senders.base import Undelivered
    from bq_monitor.alerts.senders.http import Route, fetch

    route = Route("heartbeat", Secrets(), allow_private=beat.allow_private)
    try:
        fetch(route, route.secrets.get(beat.url), {})
    except Undelivered as fault:
        return route.secrets.redact(fault.reason)
    return None


def overdue_since(config: MonitorConfig, judged_to: datetime | None, now: datetime) -> datetime | None:
    """The end of the first window that should have been judged by now, and was not; None when none is overdue.

    A window is due `window.delay` after its end, and overdue `alerts.overdue_after` (default: `window.every`) later.
    """
    window = config.window
    patience: Span = config.alerts.overdue_after or window.every
    due_by = window.delay.before(patience.before(now, window.timezone), window.timezone)
    ends = window.grid.windows(judged_to, due_by) if judged_to else []
    return ends[0].end if ends else None


def _captured_at(warehouse: Warehouse, config: MonitorConfig) -> datetime | None:
    """When the first reference was captured: from then on a monitor could run."""
    return min((reference.captured_at for reference in load_references(warehouse, config.monitor)), default=None)


def check_overdue(warehouse: Warehouse, config: MonitorConfig, now: datetime | None = None) -> datetime | None:
    """See whether a monitor's runs come at all, and tell when they do not; since when they are missing.

    To be called by something else than what calls the runs: a scheduler that stopped does not report itself.
    """
    moment = now or datetime.now(UTC)
    (row,) = warehouse.query(statements.progress(warehouse, config.monitor, ""))
    judged_to: datetime | None = row["watermark"] and row["watermark"].astimezone(UTC)
    since = overdue_since(config, judged_to or config.window.start_moment() or _captured_at(warehouse, config), moment)
    if since is None:
        return None
    run_id = uuid.uuid4().hex
    last = f"the last window judged ended {judged_to:%Y-%m-%d %H:%M} UTC" if judged_to else "no window was ever judged"
    text = f"nothing was judged of what ended since {since:%Y-%m-%d %H:%M} UTC; {last}"
    tell(warehouse, config, run_look(moment, {OVERDUE: text}), run_id)
    deliver(warehouse, config, run_id)
    return since
