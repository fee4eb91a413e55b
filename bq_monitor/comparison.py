"""Compare two data sets without any set-up: the reference, the scan and the verdict of the job, in an embedded warehouse."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bq_monitor.capture import build_reference, profile_columns
from bq_monitor.errors import InputError
from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Histogram, Moments
from bq_monitor.measure.presets import PRESETS, PresetName
from bq_monitor.measure.verdict import (
    Rule,
    Status,
    Verdict,
    dataset_drifted,
    judge,
    not_evaluated,
    settle,
    share_drifted,
)
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.scan import Scan, histogram_from_row
from bq_monitor.sections import Feature
from bq_monitor.warehouse.base import Relation

if TYPE_CHECKING:
    import pandas as pd

    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

SCHEMA_VERSION = 1
_POSITIVE_LABELS = ("1", "true", "True", "yes", "Yes", "Y", "positive")


@dataclass(frozen=True)
class FeatureComparison:
    """One column of a comparison."""

    feature: str
    kind: str | None
    role: str
    verdict: Verdict
    baseline: Histogram | None = None
    current: Histogram | None = None

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
class Comparison:
    """The result of `compare`."""

    n_baseline: int
    n_current: int
    features: tuple[FeatureComparison, ...]
    prediction: PredictionComparison | None
    max_share_drifted: float

    @property
    def drift_detected(self) -> bool:
        """Whether any column drifted."""
        return any(item.status == "drift" for item in self.features)

    @property
    def share_drifted(self) -> float | None:
        """Share (0..1) of the evaluated columns that drifted; None when none was evaluated."""
        return share_drifted([item.verdict for item in self.features])

    @property
    def not_evaluated(self) -> list[str]:
        """Expected columns that could not be evaluated."""
        return [item.feature for item in self.features if item.status == "not_evaluated"]

    @property
    def health(self) -> int | None:
        """0..100: the share of evaluated columns without drift; None when none was evaluated."""
        return None if self.share_drifted is None else round(100 * (1 - self.share_drifted))

    def alerts(self) -> list[dict[str, Any]]:
        """What a person should hear of, worst first."""
        from bq_monitor.alerts.rules import dataset_sentence, drift_sentence, severity_of

        found: list[dict[str, Any]] = []
        for item in self.features:
            if item.status == "drift":
                kind, severity = severity_of(item.role)
                message = drift_sentence(item.feature, item.verdict)
                found.append({"kind": kind, "severity": severity, "feature": item.feature, "message": message})
        verdicts = [item.verdict for item in self.features]
        if dataset_drifted(verdicts, self.max_share_drifted):
            found.append(
                {
                    "kind": "dataset_drift",
                    "severity": "critical",
                    "feature": None,
                    "message": dataset_sentence(verdicts, self.max_share_drifted),
                }
            )
        return sorted(found, key=lambda alert: ("critical", "warning", "info").index(alert["severity"]))

    def to_dict(self) -> dict[str, Any]:
        """The JSON report, schema version 1. Undefined numbers are None with a reason beside them, never NaN."""
        return {
            "schema_version": SCHEMA_VERSION, "drift_detected": self.drift_detected, "share_drifted": self.share_drifted,
            "n_baseline": self.n_baseline, "n_current": self.n_current,
            "features": [item.to_dict() for item in self.features],
            "prediction": asdict(self.prediction) if self.prediction else None,
            "performance": None, "concept": None,
            "quality": {
                item.feature: {
                    "null_share": {"baseline": item.verdict.null_share_baseline, "current": item.verdict.null_share_current},
                    "unseen_share": item.verdict.unseen_share,
                }
                for item in self.features if item.status in ("ok", "drift")
            },
            "alerts": self.alerts(), "health": self.health,
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row a column: role, kind, status, reason, drift_score, sizes, bounds, p-value and every metric."""
        import pandas as pd

        return pd.DataFrame([_flat(item) for item in self.features])


def compare(
    baseline: pd.DataFrame | str | os.PathLike[str], current: pd.DataFrame | str | os.PathLike[str], *, features: Sequence[str] | None = None,
    label: str | None = None, prediction: str | None = None, score: str | None = None, time: str | None = None,
    positive: Any = None, preset: PresetName = "balanced", psi_threshold: float | None = None, js_threshold: float | None = None,
) -> Comparison:  # fmt: skip
    """Compare current data with a baseline, column by column.

    Args:
        baseline, current: a pandas DataFrame, or a path or glob of Parquet or CSV files.
        features: the columns to compare; None takes every column of the baseline but identifiers, times, and columns constant
            in both (these are listed as `excluded`, with the reason).
        label, prediction, score: columns with these roles; compared too, and reported apart.
        time: a column that holds the time; not compared.
        positive: the prediction's positive class, for the positive rate.
        preset: `conservative`, `balanced` or `aggressive`: the divergence that matters and the chance of a false alarm.
        psi_threshold, js_threshold: the divergence that matters instead, in PSI or as JS distance.

    Returns:
        A `Comparison`; a column drifts when its true divergence exceeds the threshold with confidence (the preset's alpha,
        balanced 0.01, over all columns together).

    Raises:
        InputError: unreadable or empty input, no common column, a column that does not exist, or both thresholds.
    """
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    rule = _rule(preset, psi_threshold, js_threshold)
    if positive is not None and prediction is None:
        raise InputError(f"compare: positive: got {positive!r} without a prediction; name the prediction's column too.")
    warehouse = DuckDBWarehouse()
    try:
        before, after = _relation(warehouse, baseline, "baseline"), _relation(warehouse, current, "current")
        _require_common(before, after)
        n_current = warehouse.count_rows(after)
        if not n_current:
            raise InputError.no_rows(after.place)
        roles = {name: role for name, role in ((prediction, "prediction"), (score, "score"), (label, "label")) if name}
        wanted = _wanted(before, features, roles, apart={time} if time else set())
        reference = build_reference(
            warehouse, before, wanted, monitor="compare", version="", unfit="exclude" if features is None else "insist"
        )
        if features is None:
            reference = _without_constants(warehouse, reference, before, after)
        compared = _compare_features(warehouse, reference, after, rule, n_current)
    finally:
        warehouse.close()
    return Comparison(reference.n_rows, n_current, compared, _prediction(compared, positive), max_share_drifted=0.3)


def _rule(preset: PresetName, psi_threshold: float | None, js_threshold: float | None) -> Rule:
    if preset not in PRESETS:
        raise InputError(f"compare: preset: got {preset!r}; allowed: {', '.join(PRESETS)}.")
    if psi_threshold is not None and js_threshold is not None:
        raise InputError("compare: psi_threshold and js_threshold: got both; one metric decides, give one of them.")
    chosen, metric = PRESETS[preset], "psi" if psi_threshold is not None else "js_distance"
    given = psi_threshold if psi_threshold is not None else js_threshold
    threshold = chosen.js_distance if given is None else given
    if not 0 < threshold < (float("inf") if metric == "psi" else 1):
        raise InputError(f"compare: threshold: got {threshold}; allowed: above 0, and for the JS distance below 1.")
    return Rule(metric=metric, threshold=threshold, alpha=chosen.alpha)


def _relation(warehouse: DuckDBWarehouse, data: pd.DataFrame | str | os.PathLike[str], place: str) -> Relation:
    if not isinstance(data, str | os.PathLike):
        if not hasattr(data, "columns"):
            raise InputError(f"{place}: got {type(data).__name__}; allowed: a pandas DataFrame, or the path of a file.")
        return warehouse.frame(data, place)
    from bq_monitor.warehouse.identifiers import FILE_ENDINGS, is_file

    if not is_file(str(data)):
        raise InputError(
            f"{data}: not a file that can be compared; allowed: a path or glob that ends in {', '.join(FILE_ENDINGS)}. Check the path."
        )
    return warehouse.relation(str(data))


def _require_common(before: Relation, after: Relation) -> None:
    if not set(before.columns) & set(after.columns):
        raise InputError(
            f"{before.place} and {after.place}: no common column; got {sorted(before.columns)[:8]} and {sorted(after.columns)[:8]}. "
            "Compare files with the same columns; a CSV needs a header line."
        )


def _wanted(
    before: Relation, features: Sequence[str] | None, roles: Mapping[str, str], apart: set[str]
) -> list[tuple[Feature, str]]:
    names = (
        [name for name in before.columns if name not in roles and name not in apart]
        if features is None
        else list(features)
    )
    kinds = {"score": "numeric"}
    listed = [(Feature(name=name), "feature") for name in dict.fromkeys(names) if name not in roles]
    listed += [(Feature.model_validate({"name": name, "kind": kinds.get(role)}), role) for name, role in roles.items()]
    if missing := [feature.name for feature, _ in listed if feature.name not in before.columns]:
        raise InputError.missing_columns(before.place, missing, before.columns)
    if missing := sorted(apart - set(before.columns)):
        raise InputError.missing_columns(before.place, missing, before.columns)
    return listed


def _without_constants(
    warehouse: DuckDBWarehouse, reference: Reference, before: Relation, after: Relation
) -> Reference:
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


def _compare_features(
    warehouse: DuckDBWarehouse, reference: Reference, after: Relation, rule: Rule, n_current: int
) -> tuple[FeatureComparison, ...]:
    ready = {feature.name: feature.counted(after) for feature in reference.features}
    scan = Scan(after, tuple(item for item in ready.values() if not isinstance(item, str)), reference.salt)
    rows = {row["feature"]: row for statement in scan.statements("duckdb") for row in warehouse.query(statement)}
    changed = [name for name, item in ready.items() if isinstance(item, str) and name in after.columns]
    empty = {name for name, profile in profile_columns(warehouse, after, changed).items() if not profile.n_given}
    compared = [
        _compare_feature(
            feature, ready[feature.name], rows.get(feature.name), rule, n_current if feature.name in empty else None
        )
        for feature in reference.features
    ]
    settled = settle([item.verdict for item in compared], rule.alpha)
    judged = [replace(item, verdict=verdict) for item, verdict in zip(compared, settled, strict=True)]
    left_out = (
        FeatureComparison(name, None, "feature", Verdict("excluded", why)) for name, why in reference.excluded.items()
    )
    return (*judged, *left_out)


def _compare_feature(
    feature: FeatureReference, ready: object, row: Mapping[str, Any] | None, rule: Rule, n_nulls: int | None
) -> FeatureComparison:
    """Judge one column; `n_nulls` is the number of rows of a column without any value, whose type says nothing."""
    baseline = feature.histogram
    if n_nulls is not None:
        current = Histogram.from_pairs(baseline.buckets, [(NULL, n_nulls)], Moments() if baseline.moments else None)
    elif isinstance(ready, str):
        verdict = not_evaluated(ready, n_baseline=baseline.n_rows)
        return FeatureComparison(feature.name, feature.kind, feature.role, verdict, baseline)
    else:
        current = Histogram.empty(baseline.buckets) if row is None else histogram_from_row(row, baseline.buckets)
    verdict = judge(
        baseline, current, replace(rule, n_bins=feature.n_bins),
        unseen_known=feature.known_complete, n_singletons=feature.n_singletons,
    )  # fmt: skip
    return FeatureComparison(feature.name, feature.kind, feature.role, verdict, baseline, current)


def _prediction(compared: Sequence[FeatureComparison], positive: Any) -> PredictionComparison | None:
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
    if positive is not None and _as_label(positive) not in labels:
        classes = ", ".join(labels) or "numbers, which have no class"
        raise InputError(
            f"compare: positive: got {positive!r}; the prediction's classes are {classes}. Name one of them."
        )
    known = [label for label in _POSITIVE_LABELS if label in labels and len(labels) == 2]
    found = known if positive is None else [_as_label(positive)]
    return histogram.n_of(labels.index(found[0])) / (histogram.n_rows - histogram.n_null) if found else None


def _as_label(value: Any) -> str:
    """A class as its label is written: booleans in lower case, whole numbers without a point."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _mean(histogram: Histogram | None) -> float | None:
    return histogram.moments.mean if histogram and histogram.moments else None


def _flat(item: FeatureComparison) -> dict[str, Any]:
    whole = item.to_dict()
    metrics = whole.pop("metrics")
    whole.pop("contributions")
    return {**whole, **metrics}
