"""References: the frozen histograms of a model's training data, as values and as rows of their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bq_monitor.measure.histogram import Buckets, Coarse, Histogram, Kind
from bq_monitor.measure.restlessness import Restlessness
from bq_monitor.scan import Counted, counted, digest, histogram_from_row
from bq_monitor.timegrid import Window
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Relation, Row, Warehouse
from bq_monitor.warehouse.schema import REFERENCE_HISTOGRAMS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FeatureReference:
    """One feature of a reference: its frozen buckets with the exact counts of the training data.

    Args:
        role: `feature`, `prediction`, `score` or `label`.
        source_type: GoogleSQL type of the training column.
        known: salted hashes of the labels that training saw and that are not buckets.
        known_complete: False when there were too many to remember; unseen labels then cannot be told.
        labels_hashed: whether the labels are salted hashes (`sensitive: true`).
        n_singletons: training rows (counted as OTHER) whose label occurs once.
        restless: how days differ; None where the training data carry no time, or too few days.
    """

    name: str
    role: str
    source_type: str
    histogram: Histogram
    n_bins: int = 10
    known: tuple[str, ...] = ()
    known_complete: bool = True
    labels_hashed: bool = False
    n_singletons: int = 0
    restless: Restlessness | None = None

    @property
    def kind(self) -> Kind:
        return self.histogram.buckets.kind

    @cached_property
    def coarse(self) -> Coarse:
        """The coarse buckets that it fixes."""
        return Coarse.of(self.histogram, self.n_bins)

    def counted(self, relation: Relation, expression: str | None = None) -> Counted | str:
        """This feature ready to be counted in a log, or the reason why it cannot be."""
        return counted(
            self.name, self.histogram.buckets, self.source_type, relation, expression=expression,
            known=self.known, known_complete=self.known_complete, labels_hashed=self.labels_hashed,
        )  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """The frozen reference of one model version; `excluded` says why a column of the training data is not monitored.

    `clumping` says how its rows lie in days (0 where they carry no time), `promoted` is the newest stretch of production that
    was made a baseline, counted in the same buckets; of that, `stretch` says when it was
    and `scan_definition_id` what was counted. `segments` are the same features in each listed segment, `labels` the outcome
    (where the training data have it), and `cells` the rows of counts by outcome and prediction (`outcomes.answers_from_rows`
    for those of role `answer`; of role `joint` are the features).
    """

    monitor: str
    model_version: str
    reference_id: str
    salt: str
    captured_at: datetime
    features: tuple[FeatureReference, ...]
    excluded: Mapping[str, str]
    clumping: float = 0.0
    promoted: Reference | None = None
    stretch: Window | None = None
    scan_definition_id: str | None = None
    segments: Mapping[str, tuple[FeatureReference, ...]] = field(default_factory=dict)
    labels: tuple[FeatureReference, ...] = ()
    cells: tuple[Row, ...] = ()

    @property
    def n_rows(self) -> int:
        return max((feature.histogram.n_rows for feature in self.features), default=0)

    @property
    def by_segment(self) -> dict[str, tuple[FeatureReference, ...]]:
        """The features in `all` rows, then in each listed segment."""
        return {"all": self.features, **self.segments}

    def to_dict(self) -> dict[str, Any]:
        """The reference as plain values, one entry a feature."""
        return {
            "monitor": self.monitor, "model_version": self.model_version, "reference_id": self.reference_id,
            "captured_at": self.captured_at.isoformat(), "n_rows": self.n_rows,
            "features": [
                {"feature": f.name, "kind": f.kind, "role": f.role, "n_null": f.histogram.n_null, "n_buckets": len(f.histogram.buckets.codes),
                 "day_correlation": f.restless.correlation if f.restless else None}
                for f in self.features
            ],
            "excluded": dict(self.excluded),
        }  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One row per feature and bucket: `feature, kind, role, bucket, name, n, share`."""
        import pandas as pd

        rows = [
            {
                "feature": f.name,
                "kind": f.kind,
                "role": f.role,
                "bucket": code,
                "name": f.histogram.buckets.name(code),
                "n": int(n),
                "share": int(n) / f.histogram.n_rows,
            }
            for f in self.features
            for code, n in zip(f.histogram.buckets.codes, f.histogram.counts, strict=True)
        ]
        return pd.DataFrame(rows)


def store_reference(warehouse: Warehouse, reference: Reference) -> Reference:
    """Append a reference to its table; the stored one is returned when it is already there."""
    for stored in load_references(warehouse, reference.monitor):
        if (stored.reference_id, stored.model_version) == (reference.reference_id, reference.model_version):
            return stored
    warehouse.commit(
        {REFERENCE_HISTOGRAMS: _rows(reference, "training")},
        key=f"reference-{reference.monitor}-{reference.reference_id}",
    )
    return reference


def store_promoted(warehouse: Warehouse, promoted: Reference) -> None:
    """Append the counts of a stretch of production as a baseline beside the training data of their reference."""
    key = f"promoted-{promoted.monitor}-{promoted.reference_id}-{digest(promoted.captured_at)}"
    warehouse.commit({REFERENCE_HISTOGRAMS: _rows(promoted, "promoted")}, key=key)


def load_references(warehouse: Warehouse, monitor: str) -> list[Reference]:
    """The stored references of a monitor, newest first; the first of a version is the one in force."""
    rows = warehouse.query(statements.references(warehouse, monitor))
    grouped: dict[tuple[str, str, str, datetime], list[Row]] = {}
    for row in rows:
        key = (row["baseline"], row["model_version"], row["reference_id"], row["captured_at"])
        grouped.setdefault(key, []).append(row)
    promoted: dict[tuple[str, str], Reference] = {}
    for (baseline, version, reference_id, _), group in grouped.items():
        if baseline == "promoted":
            promoted.setdefault((version, reference_id), _from_rows(group))
    return [
        replace(_from_rows(group), promoted=promoted.get((version, reference_id)))
        for (baseline, version, reference_id, _), group in grouped.items()
        if baseline == "training"
    ]


def _rows(reference: Reference, baseline: str) -> list[Row]:
    """A reference as rows of `reference_histograms`."""
    columns = [column.name for column in REFERENCE_HISTOGRAMS.columns]
    common = {
        "monitor": reference.monitor, "model_version": reference.model_version, "reference_id": reference.reference_id,
        "captured_at": reference.captured_at, "baseline": baseline, "clumping": reference.clumping or None,
        "promoted_from": reference.stretch.start if reference.stretch else None,
        "promoted_to": reference.stretch.end if reference.stretch else None,
        "scan_definition_id": reference.scan_definition_id,
        "segment": "all", "salt": reference.salt, "known_hashes": [], "buckets": [],
    }  # fmt: skip
    monitored = [{**common, **_feature_row(feature)} for feature in (*reference.features, *reference.labels)]
    apart = [
        {**common, **_feature_row(feature), "segment": segment, "known_hashes": []}
        for segment, features in reference.segments.items()
        for feature in features
    ]
    cells = [
        {**common, **row, "buckets": [{**_NO_BOUNDS, **item} for item in row["buckets"]]} for row in reference.cells
    ]
    left_out = [
        {**common, "feature": name, "role": "feature", "excluded_reason": why}
        for name, why in reference.excluded.items()
    ]
    rows = [{**row, "position": i} for i, row in enumerate([*monitored, *left_out, *apart, *cells])]
    return [{name: row.get(name) for name in columns} for row in rows]


_NO_BOUNDS = {"lower": None, "upper": None, "label": None}
_CELL_ROLES = ("answer", "joint")


def _feature_row(feature: FeatureReference) -> Row:
    histogram, moments = feature.histogram, feature.histogram.moments
    buckets = histogram.buckets
    return {
        "feature": feature.name, "role": feature.role, "kind": feature.kind, "source_type": feature.source_type,
        "n_bins": feature.n_bins, "n_rows": histogram.n_rows, "n_null": histogram.n_null, "n_finite": moments.n if moments else 0,
        "mean": moments.mean if moments else None, "second_moment": moments.second_moment if moments else None,
        "min": moments.min if moments else None, "max": moments.max if moments else None,
        "buckets": [
            {"bucket": code, "n": int(n), "lower": buckets.bounds(code)[0], "upper": buckets.bounds(code)[1],
             "label": buckets.name(code)}
            for code, n in zip(buckets.codes, histogram.counts, strict=True)
        ],
        "known_hashes": list(feature.known), "known_complete": feature.known_complete, "labels_hashed": feature.labels_hashed,
        "n_singletons": feature.n_singletons, **_restlessness_row(feature.restless),
    }  # fmt: skip


def _restlessness_row(found: Restlessness | None) -> Row:
    if found is None:
        return {}
    return {
        "n_days": found.n_days,
        "day_correlation": found.correlation,
        "day_directions": found.directions,
        "day_buckets": found.n_buckets,
        "day_special": found.special,
    }


def _from_rows(rows: Sequence[Row]) -> Reference:
    first = rows[0]
    ordered = sorted(rows, key=lambda row: row["position"])
    plain = [row for row in ordered if row["excluded_reason"] is None and row["role"] not in _CELL_ROLES]
    found = [_feature_from_row(row) for row in plain if row["segment"] == "all"]
    known = {feature.name: feature for feature in found}
    segments: dict[str, list[FeatureReference]] = {}
    for row in plain:
        if row["segment"] != "all":
            feature = replace(_feature_from_row(row), known=known[row["feature"]].known)
            segments.setdefault(row["segment"], []).append(feature)
    features = tuple(feature for feature in found if feature.role != "label")
    excluded = {row["feature"]: row["excluded_reason"] for row in ordered if row["excluded_reason"] is not None}
    return Reference(
        first["monitor"],
        first["model_version"],
        first["reference_id"],
        first["salt"],
        first["captured_at"],
        features,
        excluded,
        first["clumping"] or 0.0,
        stretch=_stretch(first),
        scan_definition_id=first["scan_definition_id"],
        segments={segment: tuple(group) for segment, group in segments.items()},
        labels=tuple(feature for feature in found if feature.role == "label"),
        cells=tuple(_cell_from_row(row) for row in ordered if row["role"] in _CELL_ROLES),
    )


CELL_COLUMNS = (
    "segment", "role", "feature", "outcome", "predicted", "n_rows", "n_null", "n_finite", "mean", "second_moment", "min", "max",
)  # fmt: skip


def _cell_from_row(row: Row) -> Row:
    buckets = [{"bucket": item["bucket"], "n": item["n"]} for item in row["buckets"]]
    return {**{name: row[name] for name in CELL_COLUMNS}, "buckets": buckets}


def _stretch(row: Row) -> Window | None:
    if row["promoted_from"] is None:
        return None
    return Window(row["promoted_from"].astimezone(UTC), row["promoted_to"].astimezone(UTC))


def _feature_from_row(row: Row) -> FeatureReference:
    regular = sorted((item for item in row["buckets"] if item["bucket"] >= 0), key=lambda item: item["bucket"])
    numeric = row["kind"] in ("numeric", "timestamp")
    edges = tuple(item["upper"] for item in regular[:-1]) if numeric else ()
    labels = () if numeric else tuple(item["label"] for item in regular)
    buckets = Buckets(row["kind"], edges, labels)
    restless = (
        None
        if row["n_days"] is None
        else Restlessness(
            row["day_correlation"], row["day_directions"], row["n_days"], row["day_buckets"], row["day_special"]
        )
    )
    return FeatureReference(
        row["feature"], row["role"], row["source_type"], histogram_from_row(row, buckets), row["n_bins"],
        tuple(row["known_hashes"]), row["known_complete"], row["labels_hashed"], row["n_singletons"],
        restless,
    )  # fmt: skip
