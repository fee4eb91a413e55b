"""Our views, described once: what each answers. Their queries are `sql/views/NAME.sql`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bq_monitor.warehouse.schema import (
    ACTIONS,
    ALERT_EVENTS,
    ARRIVALS,
    DRIFT_RESULTS,
    NOTIFICATIONS,
    OUTCOME_HISTOGRAMS,
    PERFORMANCE_RESULTS,
    PRODUCTION_HISTOGRAMS,
    QUALITY_RESULTS,
    RUNS,
    Table,
)


@dataclass(frozen=True)
class View:
    """A view over the tables; `sql/views/NAME.sql` holds its query, `columns` what it answers, in order."""

    name: str
    description: str
    columns: Mapping[str, str] = field(default_factory=dict)


def _view(name: str, of: tuple[Table, ...], description: str, columns: str, **own: str) -> View:
    """A view over tables: columns that are named as there are described as there."""
    there = {column.name: column.description for table in reversed(of) for column in table.columns}
    return View(name, description, {column: own.get(column) or there[column] for column in columns.split()})


_ALERT = {
    "status": "open, acknowledged or resolved.", "is_unknown": "Whether its last window could not tell.",
    "acknowledged_by": "Who has seen to it; NULL where nobody has.", "snoozed_until": "Until then nobody is told; NULL without a snooze.",
    "note": "What they said.",
}  # fmt: skip


def _latest(name: str, table: Table, description: str) -> View:
    """A view with the columns of a table."""
    return View(name, description, {column.name: column.description for column in table.columns})


VIEWS = (
    _latest("production_histograms_latest", PRODUCTION_HISTOGRAMS, "The newest counts of each granule; others stay in production_histograms."),
    _latest("arrivals_latest", ARRIVALS, "What had arrived of each granule when its answers were last counted."),
    _latest("outcome_histograms_latest", OUTCOME_HISTOGRAMS, "The newest counts of each granule by outcome and prediction."),
    _latest("performance_latest", PERFORMANCE_RESULTS, "The newest judgement of each window's answers, by segment."),
    _view(
        "performance_timeline",
        (PERFORMANCE_RESULTS,),
        "How good the answers were over time: realised beside estimated and observed, with intervals.",
        "monitor model_version segment basis metric window_start window_end is_provisional status value lower upper "
        "reference_value n_rows n_labelled rule explanation",
        value="The measure; NULL where undefined.", lower="Lower confidence bound of the true value.",
        upper="Upper confidence bound of the true value.",
    ),
    _latest("quality_latest", QUALITY_RESULTS, "The newest check of each window's data."),
    _latest("drift_latest", DRIFT_RESULTS, "The newest verdict of each window, segment, feature and baseline."),
    _view(
        "drift_timeline",
        (DRIFT_RESULTS,),
        "The deciding metric of every feature over time, with its threshold, noise floor and bounds.",
        "monitor model_version feature role kind segment baseline window_start window_end status reason "
        "metric value threshold noise_floor lower upper drift_score p_adjusted n_baseline n_current explanation trend_crosses_at",
        value="Observed value of the deciding metric.",
    ),
    _view(
        "feature_histograms",
        (PRODUCTION_HISTOGRAMS,),
        "Reference beside production, per granule and bucket.",
        "monitor model_version reference_id scan_definition_id feature segment granule bucket bucket_name lower upper "
        "reference_n reference_share production_n production_share",
        bucket="Code of the bucket.", bucket_name="Its label, its edges, or its special name.",
        lower="Lower edge, inclusive.", upper="Upper edge, exclusive.",
        reference_n="Rows of the reference in the bucket.", reference_share="Their share, 0..1.",
        production_n="Rows of the granule in the bucket.", production_share="Their share, 0..1.",
    ),
    _view(
        "bucket_contributions",
        (DRIFT_RESULTS,),
        "How much each bucket of a feature adds to its PSI in each window.",
        "monitor model_version window_start window_end segment feature baseline status bucket baseline_share current_share psi_contribution",
        bucket="Label, interval or special name of the coarse bucket.", baseline_share="Share in the baseline, 0..1.",
        current_share="Share in the window, 0..1.", psi_contribution="Its part of psi, nats; the parts add up.",
    ),
    _view(
        "alerts",
        (ALERT_EVENTS,),
        "Where every alert stands that there ever was.",
        "monitor alert_id status is_unknown event kind severity message measure feature segment baseline model_version since "
        "window_start window_end n_windows n_clean n_reopened told_end sure carrier acknowledged_by note snoozed_until computed_at run_id",
        **_ALERT,
    ),
    _view(
        "open_alerts",
        (ALERT_EVENTS,),
        "The alerts that stand: neither clean windows nor a person has ended them.",
        "monitor alert_id status is_unknown kind severity message measure feature segment baseline model_version since window_start window_end "
        "n_windows sure carrier acknowledged_by note snoozed_until computed_at run_id",
        **_ALERT,
    ),
    _view(
        "notifications_latest",
        (NOTIFICATIONS,),
        "How each notification stands: sent, still to be sent, or given up.",
        "monitor notification_id channel position status attempt not_before held_until severity n_alerts payload error created_at computed_at run_id",
        status="pending, sent, failed (is tried again) or dead (given up).",
    ),
    _latest("actions_latest", ACTIONS, "How each action stands."),
    _view(
        "model_health",
        (DRIFT_RESULTS,),
        "Health of each monitor in its newest judged window, by model version.",
        "monitor model_version window_start window_end n_features n_ok n_drift n_not_evaluated share_drifted "
        "features_health prediction_health performance_health concept_health quality_health health computed_at",
        n_features="Features expected.", n_ok="Features judged ok.", n_drift="Features judged drifted.",
        n_not_evaluated="Features not evaluated.", share_drifted="Drifted share of those evaluated.",
        features_health="0..100: share of the evaluated features without drift.",
        prediction_health="0..100: the same of the prediction and its score.",
        performance_health="0..100: share of the limits on answers that hold, in the newest window whose outcomes have come.",
        concept_health="0..100: share of the features given which the outcome did not move, there.",
        quality_health="0..100: share of the checks of the data that hold.",
        health="0..100: the parts that could be evaluated, weighted 30, 20, 30, 10 and 10; NULL when none could.",
    ),
    _view(
        "run_costs",
        (RUNS,),
        "What each run cost.",
        "monitor run_id started_at finished_at as_of is_backfill n_windows n_windows_left n_granules_counted "
        "bytes_processed bytes_billed cost slot_ms duration_seconds month_to_date_cost",
        month_to_date_cost="Cost of the monitor's runs of this calendar month (UTC), up to and with this one.",
    ),
)  # fmt: skip
