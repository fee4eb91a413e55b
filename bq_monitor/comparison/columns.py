"""The columns of two data sets, one by one and in each segment: counted into the buckets of the first, and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bq_monitor.capture import profile_columns
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Histogram, Moments
from bq_monitor.measure.verdict import Rule, Status, Verdict, judge, not_evaluated, settle
from bq_monitor.outcomes import as_label, positive_of
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.scan import Scan, histogram_from_row
from bq_monitor.segments import ALL, keys
from bq_monitor.warehouse.base import Relation, Row

if TYPE_CHECKING:
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

NO_OUTCOME_YET = "no outcome yet"


@dataclass(frozen=True)
class FeatureComparison:
    """One column of a comparison, in all rows or in one segment."""

    feature: str
    kind: str | None
    role: str
    verdict: Verdict
    baseline: Histogram | None = None
    current: Histogram | None = None
    segment: str = ALL

    @property
    def status(self) -> Status:
        return self.verdict.status

    def to_dict(self) -> dict[str, Any]:
        """The entry of `features` in the JSON report."""
        verdict = self.verdict
        metrics = asdict(verdict.divergences) | {
            name: getattr(verdict, name)
            for name in (
                "ks_p_value",
                "chi2_statistic",
                "chi2_p_value",
                "null_share_baseline",
                "null_share_current",
                "unseen_share",
                "noise_floor",
            )
        }
        return {
            "feature": self.feature, "kind": self.kind, "status": verdict.status, "reason": verdict.reason, "role": self.role,
            "drift_score": verdict.drift_score, "n_baseline": verdict.n_baseline, "n_current": verdict.n_current,
            "metrics": metrics, "metric": verdict.metric, "threshold": verdict.threshold,
            "lower": verdict.lower, "upper": verdict.upper, "p_adjusted": verdict.p_adjusted,
            "contributions": [asdict(item) for item in verdict.contributions],
        }  # fmt: skip


@dataclass(frozen=True)
class PredictionComparison:
    """The model's answers on both sides; rates and means are None where undefined."""

    column: str
    status: Status
    positive_rate: Mapping[str, float | None]
    mean_score: Mapping[str, float | None]


@dataclass(frozen=True)
class Sides:
    """Both data sets in the embedded warehouse, with the reference that the first one gives."""

    warehouse: DuckDBWarehouse
    before: Relation
    after: Relation
    reference: Reference

    def rows(self, scan: Scan) -> list[Row]:
        """What a scan answers."""
        return [row for statement in scan.statements("duckdb") for row in self.warehouse.query(statement)]

    def plain_scan(self, relation: Relation) -> Scan:
        """A scan of one side, not yet with anything to count."""
        return Scan(relation, (), self.reference.salt)


@dataclass(frozen=True)
class Columns:
    """What was found of the columns: in all rows, in each segment, and the segments that only the current data have."""

    whole: tuple[FeatureComparison, ...]
    in_segments: Mapping[str, tuple[FeatureComparison, ...]]
    new_segments: tuple[str, ...] = ()


def without_constants(warehouse: DuckDBWarehouse, reference: Reference, before: Relation, after: Relation) -> Reference:
    """Columns with a single value in each file say nothing of drift within them: a partition, a year, a source."""
    constant = {
        feature.name: value
        for feature in reference.features
        if feature.role == "feature"
        and feature.name in after.columns
        and (value := _single_value(feature.histogram)) is not None
    }
    profiles = profile_columns(warehouse, after, list(constant))
    excluded = {
        name: f"constant in each file ({constant[name]} in the baseline)"
        for name, profile in profiles.items()
        if (profile.n_distinct == 1 and profile.n_given == profile.n_rows) or (profile.n_rows and not profile.n_given)
    }
    kept = tuple(feature for feature in reference.features if feature.name not in excluded)
    if not kept:
        raise InputError(f"{before.place}: every column is constant, an identifier or a time; nothing can be compared.")
    return replace(reference, features=kept, excluded={**reference.excluded, **excluded})


def _single_value(histogram: Histogram) -> str | None:
    """The name of the only value of a histogram; None when there are several (or it cannot be told)."""
    pairs = histogram.pairs()
    if len(pairs) != 1 or pairs[0][0] in (OTHER, UNSEEN):
        return None
    moments = histogram.moments
    if moments is not None and moments.n and moments.min != moments.max:
        return None
    return histogram.buckets.name(pairs[0][0])


def why_not_counted(warehouse: DuckDBWarehouse, feature: FeatureReference, relation: Relation) -> str | None:
    """Why a relation has nothing to count of a column of the baseline: it lacks, is empty, or of another type; None where it has."""
    if feature.name not in relation.columns:
        return f"the current data have no column {feature.name!r}"
    profile = profile_columns(warehouse, relation, [feature.name]).get(feature.name)
    if profile is not None and not profile.n_given:
        return f"every {feature.name!r} of the current data is missing"
    ready = feature.counted(relation)
    return f"{feature.name!r}: {ready}" if isinstance(ready, str) else None


def compare_columns(sides: Sides, config: MonitorConfig, rule: Rule) -> Columns:
    """Judge every column, in all rows and in each segment of the reference; p-values are adjusted over all of these together."""
    reference, after = sides.reference, sides.after
    ready = {feature.name: feature.counted(after) for feature in reference.features}
    scan = Scan(
        after, tuple(item for item in ready.values() if not isinstance(item, str)), reference.salt,
        segments=keys(config, after, list(reference.segments)),
    )  # fmt: skip
    rows = {(row["segment"], row["feature"]): row for row in sides.rows(scan)}
    changed = [name for name, item in ready.items() if isinstance(item, str) and name in after.columns]
    n_current = sides.warehouse.count_rows(after)
    empty = {name for name, profile in profile_columns(sides.warehouse, after, changed).items() if not profile.n_given}

    def compared() -> Iterator[FeatureComparison]:
        for segment, features in reference.by_segment.items():
            for feature in features:
                n_nulls = n_current if feature.name in empty and segment == ALL else None
                current = _current(feature, ready[feature.name], rows.get((segment, feature.name)), n_nulls)
                yield replace(_compare_column(feature, current, rule), segment=segment)

    judged = list(compared())
    settled = settle([item.verdict for item in judged], rule.alpha)
    judged = [replace(item, verdict=verdict) for item, verdict in zip(judged, settled, strict=True)]
    left_out = (
        FeatureComparison(name, None, "feature", Verdict("excluded", why)) for name, why in reference.excluded.items()
    )
    return Columns(
        (*(item for item in judged if item.segment == ALL), *left_out),
        {name: tuple(item for item in judged if item.segment == name) for name in reference.segments},
        tuple(sorted({segment for segment, _ in rows} - set(reference.by_segment))),
    )


def _current(feature: FeatureReference, ready: object, row: Row | None, n_nulls: int | None) -> Histogram | str:
    """What a column holds now, or why it cannot be counted; of one without any value (`n_nulls` rows) its type says nothing."""
    buckets = feature.histogram.buckets
    if n_nulls is not None:
        return Histogram.from_pairs(buckets, [(NULL, n_nulls)], Moments() if feature.histogram.moments else None)
    if isinstance(ready, str):
        return ready
    return Histogram.empty(buckets) if row is None else histogram_from_row(row, buckets)


def _compare_column(feature: FeatureReference, current: Histogram | str, rule: Rule) -> FeatureComparison:
    baseline = feature.histogram
    if isinstance(current, str):
        verdict = not_evaluated(current, n_baseline=baseline.n_rows)
        return FeatureComparison(feature.name, feature.kind, feature.role, verdict, baseline)
    is_label = feature.role == "label"
    verdict = _label_verdict(feature, current, rule) if is_label else _verdict(feature, baseline, current, rule)
    return FeatureComparison(feature.name, feature.kind, feature.role, verdict, baseline, current)


def _label_verdict(feature: FeatureReference, current: Histogram, rule: Rule) -> Verdict:
    """Of an outcome only rows where it is known are compared: a missing one has not come yet, which is no drift."""
    if current.n_null == current.n_rows:
        return not_evaluated(NO_OUTCOME_YET, n_baseline=feature.histogram.n_rows, n_current=current.n_rows)
    verdict = _verdict(feature, _without_null(feature.histogram), _without_null(current), rule)
    if verdict.status == "not_evaluated":
        return verdict
    shares = {"null_share_baseline": feature.histogram.share_of(NULL), "null_share_current": current.share_of(NULL)}
    return replace(verdict, **shares)  # type: ignore[arg-type]  # both are shares


def _without_null(histogram: Histogram) -> Histogram:
    return Histogram.from_pairs(
        histogram.buckets, [pair for pair in histogram.pairs() if pair[0] != NULL], histogram.moments
    )


def _verdict(feature: FeatureReference, baseline: Histogram, current: Histogram, rule: Rule) -> Verdict:
    return judge(
        baseline, current, replace(rule, n_bins=feature.n_bins),
        unseen_known=feature.known_complete, n_singletons=feature.n_singletons,
    )  # fmt: skip


def compare_predictions(compared: Sequence[FeatureComparison], positive: Any) -> PredictionComparison | None:
    """The positive rate and the mean score of both sides; None without a prediction."""
    by_role = {item.role: item for item in compared}
    item, score = by_role.get("prediction"), by_role.get("score")
    if item is None:
        return None
    sides = ("baseline", "current")
    rates = {side: _positive_rate(getattr(item, side), positive) for side in sides}
    means = {side: _mean(getattr(score, side)) if score else None for side in sides}
    return PredictionComparison(item.feature, item.status, rates, means)


def _positive_rate(histogram: Histogram | None, positive: Any) -> float | None:
    """Share of the positive class among the predictions that are not NULL; None when the class cannot be told."""
    if histogram is None or histogram.n_rows == histogram.n_null:
        return None
    labels = histogram.buckets.labels
    if positive is not None and as_label(positive) not in labels:
        classes = ", ".join(labels) or "numbers, which have no class"
        raise InputError(
            f"compare: positive: got {positive!r}; the prediction's classes are {classes}. Name one of them."
        )
    found = positive_of(labels, positive) if positive is not None or len(labels) == 2 else None
    return histogram.n_of(labels.index(found)) / (histogram.n_rows - histogram.n_null) if found else None


def _mean(histogram: Histogram | None) -> float | None:
    return histogram.moments.mean if histogram and histogram.moments else None
