"""One run of a monitor: plan -> scan -> read -> measure -> decide -> commit. Every step may crash and be run again.

Counts are stored as they are made (each granule's row says which rows it saw); verdicts, events and the run row are committed
together at the end. A run that was killed has at most counted; the next one finds those counts and goes on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from bq_monitor.actions import decide, perform_and_tell, read_actions
from bq_monitor.alerts.conditions import feature_looks, outcome_looks
from bq_monitor.alerts.ledger import observed, read_alerts
from bq_monitor.alerts.news import News, news_of
from bq_monitor.alerts.outcomes import performance_events
from bq_monitor.alerts.own_health import after_success, deliver, heartbeat, report_failure
from bq_monitor.alerts.quality import quality_events
from bq_monitor.alerts.rules import events_of
from bq_monitor.checking import check_windows, quality_row
from bq_monitor.config import MonitorConfig
from bq_monitor.counting import expressions, store_counts, store_emptied, store_outcomes
from bq_monitor.due import Asked, Due, affordable_plan
from bq_monitor.errors import BqMonitorError
from bq_monitor.history import rows_before
from bq_monitor.judging import WhyNot, judge_windows
from bq_monitor.plan import Plan
from bq_monitor.reference import FeatureReference
from bq_monitor.results import RunResult, by_judgement, performance_row, result_row, run_row
from bq_monitor.scan import digest
from bq_monitor.scoring import score_windows
from bq_monitor.stored import Evidence, read_answers, read_evidence
from bq_monitor.timegrid import Window
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Relation, Row, Terms, Warehouse
from bq_monitor.warehouse.schema import ACTIONS, DRIFT_RESULTS, PERFORMANCE_RESULTS, QUALITY_RESULTS, RUNS, Table

WINDOWS_PER_CALL = 50
"""Windows that one call judges of those that were never judged: a backlog is worked off in bounded steps."""
Backfill = tuple[datetime | str, datetime | str]
Progressed = Callable[[str, int, int], None]
"""Called as `(step, done, total)` while a run goes on."""


def run(
    config: MonitorConfig,
    as_of: datetime | str | None = None,
    *,
    max_windows: int | None = None,
    backfill: Backfill | None = None,
    deadline_seconds: float | None = None,
    progress: Progressed | None = None,
) -> RunResult:
    """Judge every window of a monitor that is due, and store the results.

    Args:
        config: the monitor; its tables must exist (`bq-monitor init`) and a reference must be captured.
        as_of: the moment the run is for (default: now). Windows that ended before it, less `window.delay`, are due.
        max_windows: judge at most so many windows that were never judged, the oldest first; the result says how many are left.
            Where `budget`, time or memory allow less, less is done.
        backfill: `(start, end)`: judge the windows that end after `start` and not after `end` instead; nobody is notified of what they show.
        deadline_seconds: stop then, if that is sooner than `budget.deadline`.
        progress: called with the step, what is done and what is to do.

    Returns:
        The verdicts of the windows judged now; none when there was nothing to do.

    Raises:
        InputError: the log lacks what the configuration names, or there is no reference.
        BudgetError: even one window would read more than `budget` allows; nothing was scanned.
        DeadlineError: `budget.deadline` passed; nothing was committed, counts that were stored are kept.
        WarehouseError: the warehouse failed, or stayed locked until the deadline; nothing was committed.
    """
    seconds = min(config.budget.deadline_seconds, deadline_seconds or config.budget.deadline_seconds)
    asked = Asked.parse(config, as_of, max_windows, backfill)
    warehouse = open_warehouse(config.warehouse, deadline_seconds=seconds)
    run_id = uuid.uuid4().hex
    try:
        outcome = _executed(warehouse, config, asked, progress, run_id=run_id, deadline_seconds=seconds)
        return outcome if asked.backfill else _tell(warehouse, config, outcome)
    finally:
        warehouse.close()


def _executed(
    warehouse: Warehouse,
    config: MonitorConfig,
    asked: Asked,
    progress: Progressed | None,
    *,
    run_id: str,
    deadline_seconds: float,
) -> RunResult:
    """`execute`; that it failed is told."""
    try:
        return execute(warehouse, config, asked, progress, run_id=run_id, deadline_seconds=deadline_seconds)
    except Exception as error:
        if not asked.backfill:
            _report(warehouse, config, error, run_id)
        raise


def _tell(warehouse: Warehouse, config: MonitorConfig, outcome: RunResult) -> RunResult:
    """Send what there is to tell, then do what standing alerts set off."""
    delivered = deliver(warehouse, config, outcome.run_id)
    done = perform_and_tell(warehouse, config, outcome.run_id)
    if silent := heartbeat(config):
        delivered = replace(delivered, given_up={**delivered.given_up, "heartbeat": silent})
    return replace(outcome, delivered=delivered, actions=tuple(done))


def _report(warehouse: Warehouse, config: MonitorConfig, error: Exception, run_id: str) -> None:
    """Tell of a failed run; where that fails too, the error says so."""
    try:
        report_failure(warehouse, config, error, run_id)
    except BqMonitorError as second:
        error.add_note(f"Nobody could be told of it: {second}")


def run_until_done(
    config: MonitorConfig,
    as_of: datetime | str | None = None,
    *,
    backfill: Backfill | None = None,
    progress: Progressed | None = None,
) -> Iterator[RunResult]:
    """The runs that it takes until nothing is left to judge, each of at most `WINDOWS_PER_CALL` windows; see `run`."""
    if backfill is not None:
        stretch = Asked.parse(config, as_of, backfill=backfill).backfill
        for part in _parts(config, stretch) if stretch else ():
            yield run(config, as_of, backfill=part, progress=progress)
        return
    is_done = False
    while not is_done:
        outcome = run(config, as_of, max_windows=WINDOWS_PER_CALL, progress=progress)
        is_done = not outcome.n_windows_left
        yield outcome


def _parts(config: MonitorConfig, stretch: Window) -> Iterator[tuple[datetime, datetime]]:
    """A stretch cut so that no part holds the ends of more than `WINDOWS_PER_CALL` windows."""
    ends = [window.end for window in config.window.grid.windows(stretch.start, stretch.end)]
    start = stretch.start
    for end in [*ends[WINDOWS_PER_CALL - 1 : -1 : WINDOWS_PER_CALL], stretch.end]:
        yield start, end
        start = end


def execute(
    warehouse: Warehouse,
    config: MonitorConfig,
    asked: Asked,
    progress: Progressed | None = None,
    *,
    run_id: str = "",
    deadline_seconds: float | None = None,
) -> RunResult:
    """`run` on an open warehouse; what there is to tell is in its outbox, not yet sent."""
    started, clock = datetime.now(UTC), time.monotonic()
    run_id = run_id or uuid.uuid4().hex
    labels = {"monitor": config.monitor, "run_key": run_id}
    seconds = deadline_seconds or config.budget.deadline_seconds
    warehouse.begin(Terms(seconds, config.budget.max_bytes_per_run, labels))
    due = affordable_plan(warehouse, config, asked)
    plan, relation = due.plan, due.sources.log
    progress = progress or (lambda step, done, total: None)
    _count(warehouse, due, run_id, progress)
    evidence = read_evidence(warehouse, config, plan.judgements)
    results = judge_windows(
        config, plan.judgements, evidence, why_not=_why_not(config, relation), progress=partial(progress, "judge")
    )
    checked = check_windows(
        config, plan.judgements, evidence, why_not=_why_not(config, relation), arrived=due.outcomes.by_window,
        before=_rows_before(plan, evidence),
    )  # fmt: skip
    scored = score_windows(config, due.outcomes.judgements, read_answers(warehouse, config, due.outcomes.judgements))
    events = [event for found in by_judgement(results).values() for event in events_of(found, config, evidence.history)]
    events += [*performance_events(scored, config), *quality_events(checked, config)]
    if plan.is_backfill:
        news = News(config, {}, tuple(observed(event) for event in events))
    else:
        before, now = read_alerts(warehouse, config.monitor), datetime.now(UTC)
        looks = [*feature_looks(results, checked, events, config), *outcome_looks(scored, events)]
        is_behind = due.n_windows_left > 0
        looks.append(after_success(before, now, is_behind=is_behind))
        news = news_of(config, before, looks, now, is_behind=is_behind)
    outcome = RunResult(
        config.monitor, run_id, asked.as_of, tuple(results), tuple(events),
        sum(count.n_granules for count in plan.counts) + len(plan.emptied), warehouse.spent, time.monotonic() - clock,
        due.n_windows_left, plan.is_backfill, tuple(scored), tuple(checked), news.transitions,
    )  # fmt: skip
    if plan.judgements or due.outcomes.judgements or plan.moves_watermark:
        fired = [] if due.n_windows_left else _fired(warehouse, news, run_id)
        warehouse.commit(_rows(plan, outcome, started, news, fired), key=_commit_key(due))
    elif news.transitions:
        warehouse.commit(news.rows(run_id, datetime.now(UTC)), key=f"news-{news.identity}")
    return outcome


def _fired(warehouse: Warehouse, news: News, run_id: str) -> list[Row]:
    """What the alerts that this run looked at set off."""
    now, config = datetime.now(UTC), news.config
    looked_at = {
        transition.alert.key: transition.alert for transition in news.transitions if transition.event != "observed"
    }
    return decide(config, looked_at.values(), read_actions(warehouse, config, now), run_id, now)


def _count(warehouse: Warehouse, due: Due, run_id: str, progress: Progressed) -> None:
    """Store the counts that are due: of the features, then of answers and outcomes."""
    plan, n_counts = due.plan, len(due.plan.counts) + len(due.outcomes.counts)
    for i, count in enumerate(plan.counts):
        progress("count", i, n_counts)
        store_counts(warehouse, plan, count, due.sources.log, run_id)
    store_emptied(warehouse, plan, due.sources.log, run_id)
    for i, answers in enumerate(due.outcomes.counts, start=len(plan.counts)):
        progress("count", i, n_counts)
        store_outcomes(warehouse, plan, answers, due.sources, run_id)


def _rows_before(plan: Plan, evidence: Evidence) -> dict[tuple[Window, str], float]:
    """How many rows the windows before each had, those judged in this run included."""
    volumes = {**evidence.volumes, **{(j.window, j.model_version): j.n_rows for j in plan.judgements}}
    found = {key: rows_before(volumes, *key) for key in {(j.window, j.model_version) for j in plan.judgements}}
    return {key: rows for key, rows in found.items() if rows is not None}


def _why_not(config: MonitorConfig, relation: Relation) -> WhyNot:
    """Why a feature cannot be counted in the log as it is now."""
    said = expressions(config)

    def why_not(feature: FeatureReference) -> str | None:
        ready = feature.counted(relation, said.get(feature.name))
        return ready if isinstance(ready, str) else None

    return why_not


def _rows(plan: Plan, outcome: RunResult, started: datetime, news: News, fired: list[Row]) -> dict[Table, list[Row]]:
    """Everything that a run commits, by table."""
    finished = datetime.now(UTC)
    return {
        DRIFT_RESULTS: [result_row(result, outcome, finished) for result in outcome.results],
        QUALITY_RESULTS: [quality_row(result, outcome, finished) for result in outcome.quality],
        PERFORMANCE_RESULTS: [performance_row(result, outcome, finished) for result in outcome.performance],
        **news.rows(outcome.run_id, finished),
        ACTIONS: fired,
        RUNS: [run_row(plan, outcome, started, finished)],
    }


def _commit_key(due: Due) -> str:
    plan = due.plan
    judged = sorted((judgement.verdict_key, judgement.supersedes) for judgement in plan.judgements)
    judged += sorted((judgement.verdict_key, judgement.supersedes) for judgement in due.outcomes.judgements)
    return "commit-" + digest([plan.config.monitor, plan.is_backfill, judged, plan.watermark])
