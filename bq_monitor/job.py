"""One run of a monitor: plan -> scan -> read -> measure -> decide -> commit. Every step may crash and be run again.

Counts are stored as they are made (each granule's row says which rows it saw); verdicts, events and the run row are committed
together at the end. A run that was killed has at most counted; the next one finds those counts and goes on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bq_monitor.alerts.rules import events_of
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BudgetError, InputError
from bq_monitor.measure.histogram import Histogram
from bq_monitor.measure.verdict import judge, not_evaluated, settle
from bq_monitor.plan import BEGINNING, MAX_WINDOWS, Count, Judgement, Plan, Planner, Progress, Stored
from bq_monitor.reference import FeatureReference, Reference, load_references
from bq_monitor.results import DriftResult, RunResult, by_judgement, event_row, result_row, run_row
from bq_monitor.scan import Counted, Scan, digest, histogram_from_row, log_scan, scan_definition_id
from bq_monitor.timegrid import Window, parse_moment
from bq_monitor.warehouse import open_warehouse, statements
from bq_monitor.warehouse.base import Param, Relation, Row, Statement, Warehouse
from bq_monitor.warehouse.schema import ALERT_EVENTS, DRIFT_RESULTS, PRODUCTION_HISTOGRAMS, RUNS

Progressed = Callable[[str, int, int], None]
"""Called as `(step, done, total)` while a run goes on."""


def run(config: MonitorConfig, as_of: datetime | str | None = None, *, progress: Progressed | None = None) -> RunResult:
    """Judge every window of a monitor that is due, and store the results.

    Args:
        config: the monitor; its tables must exist (`bq-monitor init`) and a reference must be captured.
        as_of: the moment the run is for (default: now). Windows that ended before it, less `window.delay`, are due.
        progress: called with the step, what is done and what is to do.

    Returns:
        The verdicts of the windows judged now; none when there was nothing to do.

    Raises:
        InputError: the log lacks what the configuration names, or there is no reference.
        WarehouseError: the warehouse failed, or stayed locked until the deadline; nothing was committed.
    """
    warehouse = open_warehouse(
        config.warehouse, deadline_seconds=config.budget.deadline_seconds, max_bytes=config.budget.max_bytes_per_run
    )
    try:
        return execute(warehouse, config, as_of, progress or (lambda step, done, total: None))
    finally:
        warehouse.close()


def execute(
    warehouse: Warehouse, config: MonitorConfig, as_of: datetime | str | None, progress: Progressed
) -> RunResult:
    """`run` on an open warehouse."""
    started, clock = datetime.now(UTC), time.monotonic()
    moment = moment_of(as_of, config.window.timezone)
    plan, relation = make_plan(warehouse, config, moment)
    run_id = uuid.uuid4().hex
    for i, count in enumerate(plan.counts):
        progress("count", i, len(plan.counts))
        _store_counts(warehouse, plan, count, relation, run_id)
    histograms = _read_windows(warehouse, plan)
    results = _judge(plan, relation, histograms, progress)
    events = [event for found in by_judgement(results).values() for event in events_of(found, config)]
    outcome = RunResult(
        config.monitor, run_id, moment, tuple(results), tuple(events), sum(count.n_granules for count in plan.counts),
        warehouse.spent, time.monotonic() - clock,
    )  # fmt: skip
    if plan.judgements:
        warehouse.commit(_inserts(warehouse, plan, outcome, started), key=_commit_key(plan))
    return outcome


def make_plan(warehouse: Warehouse, config: MonitorConfig, as_of: datetime) -> tuple[Plan, Relation]:
    """What a run at `as_of` would do, and the log it would read; nothing is counted or written."""
    references = load_references(warehouse, config.monitor)
    if not references:
        raise InputError(
            f"monitor {config.monitor!r}: no reference captured; run 'bq-monitor reference capture' with its training data first"
        )
    relation = warehouse.relation(config.source.table)
    planner = Planner(config, references, as_of)
    progress = _read_progress(warehouse, planner)
    earliest = None
    if progress.watermark is None and config.window.start is None:
        earliest = min((granule for granule, _ in _look(warehouse, planner, relation, BEGINNING)), default=None)
        if earliest is None:
            raise InputError(
                f"{relation.place}: no rows of monitor {config.monitor!r}: none has a {config.source.timestamp!r} before {as_of:%Y-%m-%d %H:%M} UTC"
                + (f" and passes source.filter {config.source.filter!r}" if config.source.filter else "")
                + ". Check the log; to watch a log that is still empty, set window.start."
            )
    after = planner.due_after(progress, earliest)
    start = config.window.start_moment() or progress.first_start or earliest
    windows = planner.candidates(after, start=start) if after else []
    if len(windows) > MAX_WINDOWS:
        raise InputError(
            f"monitor {config.monitor!r}: {len(windows):,} windows are due since {windows[0].start:%Y-%m-%d}, at most {MAX_WINDOWS:,} make one run. "
            "Is a row of the log dated wrongly? Set window.start to the first day that counts."
        )
    looked_from = planner.look_from(progress, windows)
    seen = _look(warehouse, planner, relation, looked_from) if looked_from else {}
    return planner.plan(
        windows, seen, looked_from, _read_stored(warehouse, planner, relation, windows), progress
    ), relation


def moment_of(as_of: datetime | str | None, zone: ZoneInfo) -> datetime:
    """The moment to run for; one in the future would judge windows that are not over, and never look at them again."""
    now = datetime.now(UTC)
    moment = now if as_of is None else parse_moment(as_of, zone)
    if moment > now:
        raise InputError(
            f"as_of: got {moment:%Y-%m-%d %H:%M} UTC, which is to come; allowed: now ({now:%Y-%m-%d %H:%M} UTC) or before."
        )
    return moment


def preview(config: MonitorConfig, as_of: datetime | str | None = None) -> dict[str, Any]:
    """What a run would do and read, as plain values; nothing is counted or written."""
    warehouse = open_warehouse(config.warehouse, deadline_seconds=config.budget.deadline_seconds, read_only=True)
    try:
        plan, relation = make_plan(warehouse, config, moment_of(as_of, config.window.timezone))
        return {
            "monitor": config.monitor,
            "windows": [{"start": w.start.isoformat(), "end": w.end.isoformat()} for w in plan.windows],
            "n_granules": sum(count.n_granules for count in plan.counts),
            "n_rows": sum(count.n_rows for count in plan.counts),
            "bytes": estimate_bytes(warehouse, plan, relation),
        }
    finally:
        warehouse.close()


def estimate_bytes(warehouse: Warehouse, plan: Plan, relation: Relation) -> int | None:
    """Bytes that the scans of a plan would read; None where the warehouse does not count bytes."""
    scans = (_count_scan(warehouse, plan, count, relation, "") for count in plan.counts)
    reading = (replace(scan, into=None, keys={}) for scan in scans)  # a look may be read-only
    sizes = [warehouse.estimate(s) for scan in reading for s in scan.statements(warehouse.dialect)]
    known = [size for size in sizes if size is not None]
    return sum(known) if known or not sizes else None


def _read_progress(warehouse: Warehouse, planner: Planner) -> Progress:
    (row,) = warehouse.query(statements.progress(warehouse, planner.config.monitor, planner.coverage_key))
    return Progress(_utc(row["watermark"]), _utc(row["covered_to"]), _utc(row["first_start"]))


def _look(
    warehouse: Warehouse, planner: Planner, relation: Relation, start: datetime
) -> dict[tuple[datetime, str], int]:
    scan = log_scan(planner.config, relation, start, planner.grid.floor(planner.horizon))
    rows = warehouse.query(scan.granules(warehouse.dialect))
    return {
        (row["granule"].astimezone(UTC), row["model_version"]): int(row["n_rows"])
        for row in rows
        if row["granule"] is not None
    }


def _read_stored(warehouse: Warehouse, planner: Planner, relation: Relation, windows: Sequence[Window]) -> Stored:
    if not windows:
        return Stored()
    monitor, start, end = planner.config.monitor, windows[0].start, windows[-1].end
    rows = warehouse.query(statements.stored(warehouse, monitor, planner.scan_definition_id, start, end))
    keys = warehouse.query(statements.verdict_keys(warehouse, monitor, start))
    n_countable = {
        reference.reference_id: sum(not isinstance(item, str) for item in _ready(planner.config, reference, relation))
        for reference in planner.targets()
    }
    by_granule = {(row["reference_id"], row["granule"].astimezone(UTC)): row for row in rows}
    partial = {
        key for key, row in by_granule.items()
        if row["least_n_rows"] != row["n_rows"] or row["n_features"] < n_countable.get(key[0], 0)
    }  # fmt: skip
    return Stored(
        {key: int(row["n_rows"]) for key, row in by_granule.items()},
        frozenset(partial),
        frozenset(row["verdict_key"] for row in keys),
    )


def _ready(config: MonitorConfig, reference: Reference, relation: Relation) -> list[Counted | str]:
    """The features of a reference as the scan of a log counts them, or why it cannot."""
    return [feature.counted(relation, _expressions(config).get(feature.name)) for feature in reference.features]


def _count_scan(warehouse: Warehouse, plan: Plan, count: Count, relation: Relation, run_id: str) -> Scan:
    """The scan of one stretch, its result stored."""
    config, reference = plan.config, count.reference
    ready = _ready(config, reference, relation)
    keys = {
        "monitor": Param("STRING", config.monitor), "model_version": Param("STRING", reference.model_version),
        "reference_id": Param("STRING", reference.reference_id), "run_id": Param("STRING", run_id),
        "scan_definition_id": Param("STRING", scan_definition_id(config)), "computed_at": Param("TIMESTAMP", datetime.now(UTC)),
    }  # fmt: skip
    return replace(
        log_scan(config, relation, count.start, count.end), features=tuple(item for item in ready if not isinstance(item, str)),
        salt=reference.salt, model_version=reference.model_version,
        into=_target(warehouse, PRODUCTION_HISTOGRAMS.name), keys=keys,
    )  # fmt: skip


def _store_counts(warehouse: Warehouse, plan: Plan, count: Count, relation: Relation, run_id: str) -> None:
    scan = _count_scan(warehouse, plan, count, relation, run_id)
    identity = digest(
        [
            count.reference.reference_id, scan_definition_id(plan.config), count.start, count.end, count.n_rows,
            [feature.name for feature in scan.features],
        ]
    )  # fmt: skip
    for i, statement in enumerate(scan.statements(warehouse.dialect)):
        _check_budget(warehouse, statement, plan.config)
        warehouse.execute(statement, key=f"count-{identity}-{i}")


def _check_budget(warehouse: Warehouse, statement: Statement, config: MonitorConfig) -> None:
    """Refuse a scan over the budget before it runs."""
    limit = config.budget.max_bytes_per_run
    if limit is None:
        return
    size, spent = warehouse.estimate(statement), warehouse.spent.bytes_processed or 0
    if size is not None and size + spent > limit:
        raise BudgetError(
            f"monitor {config.monitor!r}: the scan would read {size:,} bytes ({spent:,} used so far); budget.max_bytes_per_run allows {limit:,}; "
            "nothing more was run. Raise the budget, monitor fewer features, or partition the log by its time column."
        )


def _read_windows(warehouse: Warehouse, plan: Plan) -> dict[int, dict[str, Row]]:
    """The summed histograms of the plan's windows, by the index of the judgement and the feature."""
    asked = [(i, j, j.reference) for i, j in enumerate(plan.judgements) if j.reference]
    if not asked:
        return {}
    windows: list[Row] = [
        {"window_id": i, "reference_id": reference.reference_id, "start_at": j.window.start, "end_at": j.window.end}
        for i, j, reference in asked
    ]
    config = plan.config
    rows = warehouse.query(statements.windows(warehouse, config.monitor, scan_definition_id(config), windows))
    found: dict[int, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(int(row["window_id"]), {})[row["feature"]] = row
    return found


def _judge(
    plan: Plan, relation: Relation, histograms: Mapping[int, Mapping[str, Row]], progress: Progressed
) -> list[DriftResult]:
    """Judge every expected feature of every window; p-values are corrected over the tests of each window."""
    pending: dict[Window, list[DriftResult]] = {}
    for i, judgement in enumerate(plan.judgements):
        progress("judge", i, len(plan.judgements))
        found = _judge_window(plan.config, judgement, relation, histograms.get(i, {}))
        pending.setdefault(judgement.window, []).extend(found)
    results: list[DriftResult] = []
    for window in sorted(pending):
        settled = settle([result.verdict for result in pending[window]], plan.config.detection.alpha)
        results += [replace(result, verdict=v) for result, v in zip(pending[window], settled, strict=True)]
    return results


def _judge_window(
    config: MonitorConfig, judgement: Judgement, relation: Relation, rows: Mapping[str, Row]
) -> list[DriftResult]:
    reference = judgement.reference
    if reference is None:
        names = [feature.name for feature in config.declared_features()] or ["*"]
        verdict = not_evaluated(judgement.reason or "no reference")
        return [DriftResult(judgement, name, "feature", None, verdict) for name in names]
    return [
        _judge_feature(config, judgement, feature, relation, rows.get(feature.name)) for feature in reference.features
    ] + [
        DriftResult(judgement, name, "feature", None, not_evaluated("not in the reference: capture it again"))
        for name in _not_captured(config, reference)
    ]


def _judge_feature(
    config: MonitorConfig, judgement: Judgement, feature: FeatureReference, relation: Relation, row: Row | None
) -> DriftResult:
    baseline = feature.histogram
    ready = feature.counted(relation, _expressions(config).get(feature.name))
    if isinstance(ready, str) and (row is None or int(row["n_rows"]) < judgement.n_rows):
        verdict = not_evaluated(ready, n_baseline=baseline.n_rows)
    else:
        current = Histogram.empty(baseline.buckets) if row is None else histogram_from_row(row, baseline.buckets)
        rule = config.rule(_thresholds(config).get(feature.name), feature.n_bins)
        verdict = judge(baseline, current, rule, unseen_known=feature.known_complete, n_singletons=feature.n_singletons)
    return DriftResult(judgement, feature.name, feature.role, feature.kind, verdict)


def _inserts(warehouse: Warehouse, plan: Plan, outcome: RunResult, started: datetime) -> list[Statement]:
    """Everything that a run commits, as INSERT statements of one transaction."""
    finished = datetime.now(UTC)
    rows = {
        DRIFT_RESULTS: [result_row(result, outcome, finished) for result in outcome.results],
        ALERT_EVENTS: [event_row(event, outcome, finished) for event in outcome.events],
        RUNS: [run_row(plan, outcome, started, finished)],
    }
    return [statements.insert(warehouse, table, given) for table, given in rows.items() if given]


def _commit_key(plan: Plan) -> str:
    return "commit-" + digest(sorted(judgement.verdict_key for judgement in plan.judgements))


def _target(warehouse: Warehouse, name: str) -> str:
    return warehouse.table(name) if warehouse.dialect == "bigquery" else name


def _expressions(config: MonitorConfig) -> dict[str, str]:
    return {feature.name: feature.expression for feature in config.declared_features() if feature.expression}


def _thresholds(config: MonitorConfig) -> dict[str, float]:
    return {feature.name: feature.threshold for feature in config.declared_features() if feature.threshold}


def _not_captured(config: MonitorConfig, reference: Reference) -> list[str]:
    captured = {feature.name for feature in reference.features}
    wanted = [feature.name for feature in config.declared_features()]
    if config.prediction:
        wanted += [name for name in (config.prediction.column, config.prediction.score) if name]
    return [name for name in wanted if name not in captured]


def _utc(value: datetime | None) -> datetime | None:
    return value.astimezone(UTC) if value else None
