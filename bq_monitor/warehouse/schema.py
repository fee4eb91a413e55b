"""Our tables and views, described once: DDL, inserts, load schemas and terraform all come from here."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 10
"""Grows with every change of the tables below. New columns go to the end of their table, as `init` adds them to older ones there."""
_BUCKET_COUNTS = "ARRAY<STRUCT<bucket INT64, n INT64>>"
_REFERENCE_BUCKETS = "ARRAY<STRUCT<bucket INT64, n INT64, lower FLOAT64, upper FLOAT64, label STRING>>"
_BUCKETS_TEXT = (
    "Every bucket with its count, its edges [lower, upper) if it has any, and its label (what a person calls it); "
    "negative codes: -1 NULL, -2 NaN, -3 -Inf, -4 +Inf, -5 other, -6 unseen."
)
_BINS = "ARRAY<STRUCT<bin STRING, n INT64, share FLOAT64, reference_share FLOAT64>>"
_CONTRIBUTIONS = "ARRAY<STRUCT<bucket STRING, baseline_share FLOAT64, current_share FLOAT64, psi FLOAT64>>"


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """A table: partitioned by the date of `partition`, clustered by `cluster`."""

    name: str
    description: str
    columns: tuple[Column, ...]
    partition: str
    cluster: tuple[str, ...] = ("monitor",)

    @property
    def row_type(self) -> str:
        """The STRUCT type of one row, as a parameter carries it."""
        return "STRUCT<" + ", ".join(f"{column.name} {column.type}" for column in self.columns) + ">"


_MONITOR = Column("monitor", "STRING", "Name of the monitor, from its configuration.")
_VERSION = Column(
    "model_version", "STRING", "Version of the model that the rows were logged by; '' when the log names none."
)
_REFERENCE = Column("reference_id", "STRING", "Identity of the reference: a hash of its frozen buckets and counts.")
_RUN = Column("run_id", "STRING", "The run that wrote the row.")
_COMPUTED = Column("computed_at", "TIMESTAMP", "When the row was computed; of rows with one key the newest counts.")
_SEGMENT = Column("segment", "STRING", "The part of the log that was counted; 'all' is every row.")
_FEATURE = Column("feature", "STRING", "Name of the column or expression.")
_ROLE = Column("role", "STRING", "feature, prediction, score or label.")
_OUTCOME = Column(
    "outcome",
    "STRING",
    "What came true: a class, or in which part of the reference's outcomes a number lies; NULL: not known.",
)
_PREDICTED = Column(
    "predicted",
    "STRING",
    "What was predicted: a class, or in which tenth of the reference's predictions a number lies.",
)
_WINDOW = (
    Column("window_start", "TIMESTAMP", "First instant of the window."),
    Column("window_end", "TIMESTAMP", "End of the window, exclusive."),
)
_MOMENTS = (
    Column("n_rows", "INT64", "Rows counted."),
    Column("n_null", "INT64", "Rows in which the value is NULL."),
    Column("n_finite", "INT64", "Rows with a finite number; 0 for categories."),
    Column("mean", "FLOAT64", "Mean of the finite numbers; NULL without any, or when one exceeds 1e150."),
    Column("second_moment", "FLOAT64", "Sum of squared deviations from the mean; add histograms with Chan's formula."),
    Column("min", "FLOAT64", "Smallest number within 1e150."),
    Column("max", "FLOAT64", "Largest number within 1e150."),
)
_METRICS = (
    Column("psi", "FLOAT64", "Population stability index on the coarse buckets, nats."),
    Column("kl_divergence", "FLOAT64", "KL(production || baseline), nats, coarse buckets."),
    Column("kl_divergence_reverse", "FLOAT64", "KL(baseline || production), nats, coarse buckets."),
    Column("js_divergence", "FLOAT64", "Jensen-Shannon divergence, base 2, 0..1, coarse buckets."),
    Column("js_distance", "FLOAT64", "Square root of js_divergence, 0..1."),
    Column("hellinger", "FLOAT64", "Hellinger distance, 0..1, coarse buckets."),
    Column("total_variation", "FLOAT64", "Half the sum of absolute share differences, 0..1, coarse buckets."),
    Column("l_infinity", "FLOAT64", "Largest share difference of one coarse bucket, 0..1."),
    Column(
        "ks_statistic", "FLOAT64", "Kolmogorov-Smirnov statistic at the fine edges, 0..1; NULL for unordered kinds."
    ),
    Column("ks_bound", "FLOAT64", "By how much the raw-sample KS statistic may exceed ks_statistic."),
    Column("ks_p_value", "FLOAT64", "Asymptotic p-value of ks_statistic."),
    Column("chi2_statistic", "FLOAT64", "Pearson's chi-square of production against baseline, coarse buckets."),
    Column("chi2_p_value", "FLOAT64", "Its p-value."),
    Column("wasserstein", "FLOAT64", "First Wasserstein distance in the feature's unit, from the fine buckets."),
    Column("wasserstein_bound", "FLOAT64", "By how much the raw-sample distance may differ from wasserstein."),
    Column("mean_shift", "FLOAT64", "Difference of means in baseline standard deviations."),
    Column("std_shift", "FLOAT64", "Natural log of the ratio of standard deviations."),
    Column("null_share_baseline", "FLOAT64", "Share of NULL in the baseline, 0..1."),
    Column("null_share_current", "FLOAT64", "Share of NULL in the window, 0..1."),
    Column(
        "unseen_share", "FLOAT64", "Share of categories never seen in training, 0..1; NULL where it cannot be told."
    ),
)

REFERENCE_HISTOGRAMS = Table(
    "reference_histograms",
    "Frozen buckets and exact counts of a model's training data, one row per feature. Written once, never changed.",
    (
        _MONITOR, _VERSION, _REFERENCE,
        Column("captured_at", "TIMESTAMP", "When the reference was captured, or promoted."),
        Column("baseline", "STRING", "training; or promoted: the counts of a stretch of production, in the same buckets."),
        Column("promoted_from", "TIMESTAMP", "Start of the promoted stretch; NULL for training data."),
        Column("promoted_to", "TIMESTAMP", "Its end, exclusive."),
        Column("scan_definition_id", "STRING", "What the promoted counts are of; NULL for training data."),
        _SEGMENT, _FEATURE,
        Column("role", "STRING", "feature, prediction, score or label; answer and joint: counts by outcome and prediction."),
        _OUTCOME, _PREDICTED,
        Column("position", "INT64", "Order of the feature."),
        Column("kind", "STRING", "numeric, timestamp, categorical, ordinal or boolean; NULL for an excluded column."),
        Column("source_type", "STRING", "GoogleSQL type of the training column."),
        Column("excluded_reason", "STRING", "Why the column is not monitored; NULL for a monitored feature."),
        Column("n_bins", "INT64", "Coarse buckets of a numeric feature."),
        *_MOMENTS,
        Column("buckets", _REFERENCE_BUCKETS, _BUCKETS_TEXT),
        Column("known_hashes", "ARRAY<STRING>", "Salted hashes of the known labels that are not listed as buckets."),
        Column("known_complete", "BOOL", "Whether the hashes hold every known label, so that unseen ones can be told."),
        Column("labels_hashed", "BOOL", "Whether the labels are salted hashes too (a sensitive feature)."),
        Column("n_singletons", "INT64", "Rows (in other) whose label occurs once: as many unseen labels are to be expected."),
        Column("salt", "STRING", "Salt of the hashes."),
        Column("n_days", "INT64", "Days that restlessness was measured on; NULL where the training data carry no time."),
        Column("day_correlation", "FLOAT64", "Intra-class correlation of days, 0..0.2: how much days differ beyond chance."),
        Column("day_directions", "FLOAT64", "In how many directions days differ, at least 1."),
        Column("day_buckets", "INT64", "Buckets that both were measured in."),
        Column("day_special", "FLOAT64", "Correlation of days of the share of NULL, NaN, infinite and unseen values."),
        Column("clumping", "FLOAT64", "Sum over days of (rows of the day / rows) squared; NULL where the data carry no time."),
    ),
    partition="captured_at",
)  # fmt: skip

PRODUCTION_HISTOGRAMS = Table(
    "production_histograms",
    "Counts of the production log per granule, one row per feature; windows are sums of these.",
    (
        _MONITOR, _VERSION, _REFERENCE,
        Column("scan_definition_id", "STRING", "Identity of what is counted: table, filter, expressions, time column, granule."),
        Column("granule", "TIMESTAMP", "Start of the hour or day that was counted."),
        _SEGMENT, _FEATURE, *_MOMENTS,
        Column("buckets", _BUCKET_COUNTS, "Buckets that are not empty, with their counts; codes as in reference_histograms."),
        Column("data_version", "STRING", "Row count of the granule when it was counted; another count is another version."),
        _COMPUTED, _RUN,
    ),
    partition="granule",
)  # fmt: skip

OUTCOME_HISTOGRAMS = Table(
    "outcome_histograms",
    "Counts of the production log by outcome and prediction, per granule: what is measured of answers, and the features.",
    (
        _MONITOR, _VERSION, _REFERENCE,
        Column("scan_definition_id", "STRING", "Identity of what is counted: the log's definition, the prediction, the labels."),
        Column("granule", "TIMESTAMP", "Start of the hour or day that was counted."),
        _SEGMENT, _OUTCOME, _PREDICTED,
        Column("feature", "STRING", "What is counted: score, confidence, log_loss, ..., or joint:NAME for a feature."),
        *_MOMENTS,
        Column("buckets", _BUCKET_COUNTS, "Buckets that are not empty, with their counts; codes as in reference_histograms."),
        Column("data_version", "STRING", "Identity of the counting that it belongs to; that of arrivals_latest counts."),
        _COMPUTED, _RUN,
    ),
    partition="granule",
)  # fmt: skip

ARRIVALS = Table(
    "arrivals",
    "What had arrived of each granule when its answers were counted: rows, ids, outcomes; written after the counts.",
    (
        _MONITOR, _VERSION, _REFERENCE,
        Column("scan_definition_id", "STRING", "Identity of what is counted: the log's definition, the prediction, the labels."),
        Column("granule", "TIMESTAMP", "Start of the hour or day that was counted."),
        Column("n_rows", "INT64", "Rows of the log."),
        Column("n_ids", "INT64", "Different ids among them, rows without one each counting as another; NULL where they were not looked at."),
        Column("newest_row_at", "TIMESTAMP", "Time of the newest row; NULL where it was not looked at."),
        Column("n_labelled", "INT64", "Rows whose outcome is known."),
        Column("n_labels", "INT64", "Labels that came for them; more than one a row are duplicates."),
        Column("n_contradictory", "INT64", "Rows whose labels contradict each other; they have no outcome."),
        Column("newest_label_at", "TIMESTAMP", "When the newest label came; NULL where that is not said."),
        Column("ages", "ARRAY<STRUCT<days INT64, n INT64>>", "Rows whose outcome was known within so many days."),
        Column("known_at", "TIMESTAMP", "The moment it was counted for: labels that came later did not count."),
        Column("data_version", "STRING", "Identity of the counting of this granule in outcome_histograms."),
        _COMPUTED, _RUN,
    ),
    partition="granule",
)  # fmt: skip

DRIFT_RESULTS = Table(
    "drift_results",
    "One verdict per window, segment, feature and baseline, with all its evidence. Restated windows add rows.",
    (
        _MONITOR, _VERSION, _REFERENCE, _RUN, _COMPUTED, *_WINDOW, _SEGMENT, _FEATURE, _ROLE,
        Column("kind", "STRING", "Kind of the feature."),
        Column("baseline", "STRING", "What the window was compared with; 'training' is the reference."),
        Column("verdict_key", "STRING", "Identity of the verdict's inputs: configuration, reference, window, data versions."),
        Column("n_baseline", "INT64", "Rows of the baseline."),
        Column("n_current", "INT64", "Rows of the window."),
        Column("n_effective", "INT64", "What the window's rows are worth, as days differ; n_current where that is not known."),
        Column("day_correlation", "FLOAT64", "Intra-class correlation of days that was reckoned with; NULL where it is not known."),
        Column("status", "STRING", "ok, drift or not_evaluated."),
        Column("reason", "STRING", "Why it was not evaluated."),
        *_METRICS,
        Column("metric", "STRING", "The deciding metric."),
        Column("threshold", "FLOAT64", "The true divergence that matters, in its unit; NULL for tests of any change."),
        Column("noise_floor", "FLOAT64", "What the deciding metric shows on average without any change."),
        Column("lower", "FLOAT64", "Lower confidence bound of the true value of the deciding metric."),
        Column("upper", "FLOAT64", "Upper confidence bound of the true value of the deciding metric."),
        Column("drift_score", "FLOAT64", "Noise-corrected JS distance, 0..1; comparable across sample sizes."),
        Column("p_value", "FLOAT64", "Chance of such a divergence if the true one were at the threshold."),
        Column("p_adjusted", "FLOAT64", "The same, adjusted for all tests of the window (Holm)."),
        Column("alpha", "FLOAT64", "drift is said when p_adjusted is below."),
        Column("metric_version", "INT64", "Version of the formulas."),
        Column("explanation", "STRING", "What moved, in words; NULL when nothing did."),
        Column("carrier", "STRING", "What carries most of the shift: range, category, null, nan, infinite, other or unseen."),
        Column("trend_slope", "FLOAT64", "Rise of drift_score a day over the last windows; NULL with too few."),
        Column("trend_p_value", "FLOAT64", "Chance of such a rise without a trend (Mann-Kendall, one-sided)."),
        Column("trend_crosses_at", "TIMESTAMP", "When the trend passes, or passed, the threshold; NULL when it does not soon."),
        Column("contributions", _CONTRIBUTIONS, "Each coarse bucket's shares and its part of psi."),
    ),
    partition="window_end",
)  # fmt: skip

PERFORMANCE_RESULTS = Table(
    "performance_results",
    "One number per window, segment and measure of how good the answers are, with its interval and verdict. Restated windows add rows.",
    (
        _MONITOR, _VERSION, _REFERENCE,
        Column("scan_definition_id", "STRING", "Identity of what was counted: the log's definition, the prediction, the labels."),
        _RUN, _COMPUTED, *_WINDOW, _SEGMENT,
        Column("basis", "STRING", "realised (from outcomes), estimated (without them) or observed (of the answers alone)."),
        Column("metric", "STRING", "accuracy, roc_auc, log_loss, positive_rate, ...; concept:NAME and shift: what changed between x and y."),
        Column("verdict_key", "STRING", "Identity of the verdict's inputs: configuration, reference, window, data versions."),
        Column("is_provisional", "BOOL", "Whether outcomes of the window are still to come."),
        Column("status", "STRING", "ok, drift or not_evaluated."),
        Column("reason", "STRING", "Why it was not evaluated."),
        Column("value", "FLOAT64", "The measure; NULL where undefined."),
        Column("lower", "FLOAT64", "Lower confidence bound of the true value, one-sided at alpha."),
        Column("upper", "FLOAT64", "Upper confidence bound of the true value, one-sided at alpha."),
        Column("bound", "FLOAT64", "By how much the number from the raw rows may differ, as buckets approximate."),
        Column("reference_value", "FLOAT64", "The same measure of the reference."),
        Column("n_rows", "INT64", "Rows of the window."),
        Column("n_labelled", "INT64", "Those whose outcome is known."),
        Column("n", "INT64", "Rows that the measure is told from."),
        Column("rule", "STRING", "The limit that is nearest to be broken, such as min 0.75; NULL without one."),
        Column("p_value", "FLOAT64", "Chance of such a value if the true one were at the limit."),
        Column("p_adjusted", "FLOAT64", "The same, adjusted for all limits of the window (Holm)."),
        Column("alpha", "FLOAT64", "drift is said when p_adjusted is below."),
        Column("explanation", "STRING", "What changed, in words."),
        Column("confusion", "ARRAY<STRUCT<outcome STRING, predicted STRING, n INT64>>", "With accuracy: rows by outcome and prediction."),
        Column("bins", _BINS, "With ece: what came true by score; with accuracy: what was right by confidence; with concept: by bucket."),
    ),
    partition="window_end",
)  # fmt: skip

QUALITY_RESULTS = Table(
    "quality_results",
    "One number per window and check of the data themselves. Restated windows add rows.",
    (
        _MONITOR, _VERSION, _REFERENCE, _RUN, _COMPUTED, *_WINDOW,
        Column("check_name", "STRING", "volume, null_rate, nan_rate, out_of_range, new_categories, vanished_categories, constant, type, "
               "duplicate_ids or freshness."),
        _FEATURE,
        Column("verdict_key", "STRING", "Identity of the verdict's inputs: configuration, reference, window, data versions."),
        Column("status", "STRING", "ok, drift (a limit is broken) or not_evaluated."),
        Column("reason", "STRING", "Why it was not evaluated."),
        Column("value", "FLOAT64", "What was found: a share 0..1, rows, or hours (freshness)."),
        Column("reference_value", "FLOAT64", "The same of the reference, or of the window before (volume)."),
        Column("limit_value", "FLOAT64", "The limit; NULL without one."),
        Column("n_rows", "INT64", "Rows of the window."),
        Column("explanation", "STRING", "What is wrong, in words; NULL where nothing is."),
    ),
    partition="window_end",
)  # fmt: skip

ALERT_EVENTS = Table(
    "alert_events",
    "What happened to each alert, one row an event; never changed. `alerts` is where each stands.",
    (
        _MONITOR, _VERSION, _RUN, _COMPUTED, *_WINDOW, _SEGMENT, _FEATURE,
        Column("baseline", "STRING", "What the window was compared with."),
        Column("measure", "STRING", "The measure of answers, or the check of the data, that it is about."),
        Column("verdict_key", "STRING", "The verdict that raised the event; NULL for what people and runs did."),
        Column("kind", "STRING", "drift, prediction_drift, slow_drift, dataset_drift, performance, estimated_performance, business, "
               "accuracy_drift, concept_drift, fairness, quality, nothing_evaluated, run_failed, budget, overdue, delivery or action_failed."),
        Column("severity", "STRING", "info, warning or critical."),
        Column("message", "STRING", "One sentence for people."),
        Column("notify", "BOOL", "Whether anybody is to be told; false for what a backfill found."),
        Column("alert_id", "STRING", "Identity of the alert: monitor, kind, measure, feature, segment and baseline."),
        Column("event_id", "STRING", "Identity of the event; what was committed twice has the same."),
        Column("event", "STRING", "opened, reopened, firing, reminded, escalated, doubtful, clean, unknown or resolved (by windows); acknowledged, "
               "snoozed or closed (by people); observed (by a backfill, which changes no alert)."),
        Column("since", "TIMESTAMP", "End of the first window of this life of the alert."),
        Column("n_windows", "INT64", "Windows of this life in which it stood."),
        Column("n_clean", "INT64", "Windows in a row that were clean since."),
        Column("n_reopened", "INT64", "How often it came back soon after it was resolved; each time it takes longer to resolve."),
        Column("told_end", "TIMESTAMP", "End of the window that people were last told of."),
        Column("sure", "STRING", "How sure it is, in words."),
        Column("carrier", "STRING", "What carries most of the change: nulls, one category, ..."),
        Column("actor", "STRING", "Who acknowledged, snoozed or closed it."),
        Column("note", "STRING", "Why."),
        Column("until", "TIMESTAMP", "How long it is snoozed."),
    ),
    partition="window_end",
)  # fmt: skip

NOTIFICATIONS = Table(
    "notifications",
    "The outbox: what is to be told to whom, and every attempt at it; never changed. The newest row of an id says how it stands.",
    (
        _MONITOR, _RUN, _COMPUTED,
        Column("notification_id", "STRING", "Identity; a receiver that gets it twice knows it by this."),
        Column("channel", "STRING", "Name of the channel."),
        Column("position", "INT64", "Place among those of one channel that were written at one moment."),
        Column("status", "STRING", "pending, sent, failed (is tried again) or dead (given up)."),
        Column("attempt", "INT64", "Attempts so far; 0 for one that was never tried."),
        Column("not_before", "TIMESTAMP", "When it is due, or to be tried again."),
        Column("held_until", "TIMESTAMP", "End of the quiet hours, or time of the digest, that it waits for; NULL where it does not."),
        Column("severity", "STRING", "The worst of its alerts."),
        Column("n_alerts", "INT64", "Alerts that it tells of."),
        Column("payload", "STRING", "What it says, as JSON; NULL in the rows of attempts."),
        Column("error", "STRING", "Why the attempt failed; never with a secret in it."),
        Column("created_at", "TIMESTAMP", "When there was something to tell."),
    ),
    partition="created_at",
)  # fmt: skip

ACTIONS = Table(
    "actions",
    "What alerts set off (retrain, roll back, ...): one row for each step of each action; never changed.",
    (
        _MONITOR, _RUN, _COMPUTED,
        Column("action_id", "STRING", "Identity of one firing: the action and its cause. It happens at most once."),
        Column("action", "STRING", "Name of the action."),
        Column("kind", "STRING", "What it does: retrain, rollback, ..., as the configuration calls it."),
        Column("target", "STRING", "What is called: a topic, a webhook, a Python function or a command; no secret."),
        Column("status", "STRING", "pending, started, succeeded, failed, dry_run, cooling (too soon after the last) or interrupted."),
        Column("alert_id", "STRING", "The alert that set it off."),
        Column("reason", "STRING", "Why, in words."),
        Column("outcome", "STRING", "What came of it."),
        Column("details", "STRING", "What was handed over, or measured, as JSON."),
        Column("created_at", "TIMESTAMP", "When it was decided."),
    ),
    partition="created_at",
)  # fmt: skip

RUNS = Table(
    "runs",
    "One row per finished run of a monitor: what it covered, found and cost.",
    (
        _MONITOR, _RUN,
        Column("started_at", "TIMESTAMP", "When the run began."),
        Column("finished_at", "TIMESTAMP", "When its results were committed."),
        Column("as_of", "TIMESTAMP", "The moment the run was made for."),
        Column("is_backfill", "BOOL", "Whether a stretch of the past was asked for; a backfill moves no mark and notifies nobody."),
        Column("coverage_key", "STRING", "What was counted against which references; counts are complete up to granules_to."),
        Column("granules_to", "TIMESTAMP", "End of the granules counted so far; NULL for a backfill."),
        Column("window_end", "TIMESTAMP", "End of the newest window judged so far: the watermark; NULL for a backfill."),
        Column("n_windows", "INT64", "Windows judged by this run."),
        Column("n_windows_left", "INT64", "Windows that were due and left to the next run."),
        Column("n_granules_counted", "INT64", "Granules counted by this run."),
        Column("n_ok", "INT64", "Verdicts ok."),
        Column("n_drift", "INT64", "Verdicts drift."),
        Column("n_not_evaluated", "INT64", "Verdicts not_evaluated."),
        Column("share_drifted", "FLOAT64", "Drifted features of those evaluated in the newest window, 0..1; of the worst model version."),
        Column("dataset_drift", "BOOL", "Whether the newest window drifted as a whole, for any model version."),
        Column("bytes_processed", "INT64", "Bytes that the statements processed; NULL where the warehouse does not count."),
        Column("bytes_billed", "INT64", "Bytes billed: whole MB, at least 10 a table that is read; NULL where the warehouse does not count."),
        Column("cost", "FLOAT64", "Price of the bytes billed at budget.price_per_tib, in its currency; NULL where nothing is counted."),
        Column("slot_ms", "INT64", "Slot milliseconds; NULL where the warehouse does not count."),
        Column("duration_seconds", "FLOAT64", "Seconds from start to commit."),
        Column("package_version", "STRING", "Version of bq-monitor."),
    ),
    partition="started_at",
)  # fmt: skip

TABLES = (
    REFERENCE_HISTOGRAMS, PRODUCTION_HISTOGRAMS, OUTCOME_HISTOGRAMS, ARRIVALS, DRIFT_RESULTS, PERFORMANCE_RESULTS,
    QUALITY_RESULTS, ALERT_EVENTS, NOTIFICATIONS, ACTIONS, RUNS,
)  # fmt: skip
