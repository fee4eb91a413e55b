"""The parts of a reference beside its features: the same in each segment, and answers and features by outcome."""

from __future__ import annotations

from dataclasses import replace

from bq_monitor.config import MonitorConfig
from bq_monitor.counting import countable
from bq_monitor.freeze import MIN_LABEL_ROWS
from bq_monitor.measure.histogram import Histogram
from bq_monitor.outcomes import JOINT, Scheme, answers_scan, joint_scan, outcomes_of
from bq_monitor.reference import CELL_COLUMNS, FeatureReference, Reference
from bq_monitor.scan import Scan, digest, histogram_from_row
from bq_monitor.segments import ALL, dimensions, keys, sizes_statement
from bq_monitor.warehouse.base import Relation, Row, Warehouse


def with_segments(engine: Warehouse, relation: Relation, reference: Reference, config: MonitorConfig) -> Reference:
    """A reference that holds its features in each segment too; as it is where no segments are configured."""
    if not config.segments:
        return reference
    rows = engine.query(sizes_statement(config, relation, MIN_LABEL_ROWS, engine.dialect))
    listed = [row["segment"] for row in rows]
    features = countable(config, reference, relation)
    scan = Scan(relation, tuple(features), reference.salt, segments=keys(config, relation, listed))
    by_name = {feature.name: feature for feature in reference.features}
    found: dict[str, dict[str, FeatureReference]] = {}
    for statement in scan.statements(engine.dialect):
        for row in engine.query(statement):
            if row["segment"] != ALL:
                feature = by_name[row["feature"]]
                found.setdefault(row["segment"], {})[feature.name] = _in_segment(feature, row)
    for dimension in dimensions(config):  # groups that are new in production fall there
        nothing = {
            f.name: replace(f, histogram=Histogram.empty(f.histogram.buckets), n_singletons=0)
            for f in reference.features
        }
        found.setdefault(dimension.other, nothing)
    order = [*listed, *(dimension.other for dimension in dimensions(config))]
    segments = {
        name: tuple(found[name][feature.name] for feature in reference.features if feature.name in found[name])
        for name in order
        if name in found
    }
    identity = digest([reference.reference_id, [segment.model_dump(mode="json") for segment in config.segments]])
    return replace(reference, reference_id=identity, segments=segments)


def _in_segment(feature: FeatureReference, row: Row) -> FeatureReference:
    """A feature as it is in one segment; of its labels that occur once, the segment has its share."""
    histogram = histogram_from_row(row, feature.histogram.buckets)
    n_singletons = round(feature.n_singletons * histogram.n_rows / max(1, feature.histogram.n_rows))
    return replace(feature, histogram=histogram, n_singletons=n_singletons)


def with_outcomes(engine: Warehouse, relation: Relation, reference: Reference, config: MonitorConfig) -> Reference:
    """A reference that knows its answers by outcome and prediction; as it is where no prediction is configured."""
    scheme = Scheme.of(config, reference)
    if scheme is None:
        return reference
    outcomes = outcomes_of(config, relation)
    plain = Scan(relation, (), reference.salt)
    features = [replace(item, name=JOINT + item.name) for item in countable(config, reference, relation)]
    scans = {
        "answer": answers_scan(plain, config, scheme, outcomes, list(reference.segments)),
        "joint": joint_scan(plain, features, config, scheme, outcomes),
    }
    cells = tuple(
        {**{name: row.get(name) for name in CELL_COLUMNS}, "role": role, "buckets": row["buckets"]}
        for role, scan in scans.items()
        for statement in scan.statements(engine.dialect)
        for row in engine.query(statement)
    )
    counts = sorted(
        [row["role"], row["feature"], row["segment"], str(row["outcome"]), str(row["predicted"]), row["n_rows"]]
        for row in cells
    )
    return replace(reference, reference_id=digest([reference.reference_id, counts]), cells=cells)
