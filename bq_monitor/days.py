"""How the days of training data differ: measured when a reference is captured from data that carry their time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from bq_monitor.config import MonitorConfig
from bq_monitor.counting import countable
from bq_monitor.errors import InputError
from bq_monitor.measure.histogram import Counts
from bq_monitor.measure.restlessness import clumping_of, restlessness
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.scan import Counted, Scan, TimeRange, digest, histogram_from_row
from bq_monitor.warehouse.base import Relation, Warehouse
from bq_monitor.warehouse.fragments import TIMES

MAX_DAYS = 366
"""Restlessness is measured on at most so many of the newest days with rows."""
_BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
_END = datetime(2200, 1, 1, tzinfo=UTC)


def with_days(engine: Warehouse, relation: Relation, reference: Reference, config: MonitorConfig) -> Reference:
    """A reference that knows how its days differ; as it is where the data lack the monitor's column of times."""
    time_column = config.source.timestamp
    if time_column not in relation.columns:
        return reference
    if relation.columns[time_column] not in TIMES:
        allowed = ", ".join(TIMES)
        raise InputError.wrong_type(
            f"{relation.place}: source.timestamp {time_column!r}", relation.columns[time_column], allowed,
            "Give times, or leave the column out of the training data.",
        )  # fmt: skip
    features = tuple(countable(config, reference, relation))
    looked = replace(day_scan(config, relation), features=features, salt=reference.salt)
    rows = {
        row["granule"]: int(row["n_rows"]) for row in engine.query(looked.granules(engine.dialect)) if row["granule"]
    }
    if not rows:
        return reference
    first = sorted(rows)[-MAX_DAYS:][0].astimezone(UTC)
    assert looked.time is not None  # noqa: S101 - a scan by day
    counts = _daily(engine, replace(looked, time=replace(looked.time, start=first)), features, reference)
    found = tuple(
        replace(f, restless=restlessness(counts[f.name], f.coarse.special)) if f.name in counts else f
        for f in reference.features
    )
    clumping = clumping_of(list(rows.values()))
    identity = digest(
        [reference.reference_id, clumping]
    )  # with its days known it is judged otherwise: another reference
    return replace(reference, reference_id=identity, features=found, clumping=clumping)


def day_scan(config: MonitorConfig, relation: Relation) -> Scan:
    """Training data by calendar day, not yet with features."""
    column, zone = config.source.timestamp, config.window.timezone
    return Scan(relation, (), "", TimeRange(column, relation.columns[column], _BEGINNING, _END, "day", zone))


def _daily(engine: Warehouse, scan: Scan, features: tuple[Counted, ...], reference: Reference) -> dict[str, Counts]:
    """Coarse counts of each feature, shape `(days, buckets)`, in the order of time."""
    by_name: dict[str, FeatureReference] = {f.name: f for f in reference.features}
    buckets = {item.name: item.buckets for item in features}
    coarse = {name: by_name[name].coarse for name in buckets}
    days: dict[str, dict[datetime, Counts]] = {}
    for statement in scan.statements(engine.dialect):
        for row in engine.query(statement):
            name = row["feature"]
            counts = coarse[name].counts(histogram_from_row(row, buckets[name]))
            days.setdefault(name, {})[row["granule"]] = counts
    return {name: np.array([found[day] for day in sorted(found)]) for name, found in days.items()}
