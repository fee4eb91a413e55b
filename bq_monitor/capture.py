"""The training hook: from training data to a stored reference. Profile -> kinds -> buckets -> exact counts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from bq_monitor.capture_outcomes import with_outcomes, with_segments
from bq_monitor.config import MonitorConfig
from bq_monitor.days import with_days
from bq_monitor.errors import InputError
from bq_monitor.freeze import Planned, batches, freeze_buckets
from bq_monitor.measure.histogram import Buckets, Kind
from bq_monitor.measure.kinds import Excluded, Profile, detect
from bq_monitor.reference import FeatureReference, Reference, load_references, store_reference
from bq_monitor.scan import Counted, Scan, digest, histogram_from_row
from bq_monitor.sections import Feature
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Dialect, Relation, Row, Statement, Terms, Warehouse
from bq_monitor.warehouse.fragments import ALLOWED, LABELS, NUMBERS, TIMES, value
from bq_monitor.warehouse.identifiers import is_file, quote_column
from bq_monitor.warehouse.render import render, translate
from bq_monitor.warehouse.setup import create_missing

if TYPE_CHECKING:
    import pandas as pd

MAX_SAMPLE_ROWS = 100_000
"""Kinds and edges come from about so many rows on DuckDB (a seeded sample beyond); counts are of every row."""
Unfit = Literal["refuse", "exclude", "insist"]
_KIND_OF_TYPE: dict[str, Kind] = {
    **dict.fromkeys(NUMBERS, "numeric"), **dict.fromkeys(TIMES, "timestamp"), "STRING": "categorical",
}  # fmt: skip


def capture_reference(
    data: pd.DataFrame | str | os.PathLike[str],
    config: MonitorConfig,
    *,
    version: str,
    predictions: Any = None,
    labels: Any = None,
    timestamps: Any = None,
) -> Reference:
    """Capture and store the reference of a model version; a training pipeline's one call.

    Args:
        data: training data: a DataFrame, a Parquet or CSV path or glob, or a table of the monitor's warehouse.
        config: the monitor.
        version: of the model, as the production log names it.
        predictions: the model's answers on the training data, when `data` does not hold them: a sequence for
            `prediction.column`, or a DataFrame with the columns of `prediction`. Only with a DataFrame.
        labels: what came true of each training row, where `data` does not hold `labels.column`. Only with a DataFrame. Where outcomes
            are known, performance and P(outcome | feature) in production are compared with those of the training data.
        timestamps: when each training row came about, where `data` does not hold `source.timestamp`. Only with a DataFrame.
            Where times are known, it is measured how much days differ, and verdicts reckon with it.

    Returns:
        The stored reference. Capturing the same data again finds the stored one and adds nothing.

    Raises:
        InputError: a column is missing, of the wrong type, or no feature (an identifier, a time) and its kind is not said.
        WarehouseError: it could not be stored.
    """
    given = _with_predictions(os.fspath(data) if isinstance(data, os.PathLike) else data, predictions, config)
    if labels is not None:
        given = _with_labels(given, labels, config)
    if timestamps is not None:
        given = _with_columns(given, {config.source.timestamp: timestamps}, "timestamps")
    terms = Terms(config.budget.deadline_seconds, config.budget.max_bytes_per_run, {"monitor": config.monitor})
    warehouse = open_warehouse(config.warehouse, deadline_seconds=terms.deadline_seconds, create=True)
    warehouse.begin(terms)
    engine = warehouse
    try:
        local = not isinstance(given, str) or is_file(given)
        if local and warehouse.dialect == "bigquery":
            engine = open_warehouse("duckdb://")
        relation = _relation(engine, given)
        create_missing(warehouse)
        stored = load_references(warehouse, config.monitor)
        reference = build_reference(
            engine,
            relation,
            wanted_features(config, relation),
            monitor=config.monitor,
            version=version,
            unfit="exclude" if config.features == "auto" else "refuse",
            salt=stored[0].salt if stored else None,
        )
        reference = with_days(engine, relation, _labels_apart(reference), config)
        reference = with_outcomes(engine, relation, with_segments(engine, relation, reference, config), config)
        return store_reference(warehouse, reference)
    finally:
        engine.close()
        warehouse.close()


def build_reference(
    engine: Warehouse,
    relation: Relation,
    wanted: Sequence[tuple[Feature, str]],
    *,
    monitor: str,
    version: str,
    unfit: Unfit,
    salt: str | None = None,
) -> Reference:
    """The reference of a relation, not stored.

    Args:
        salt: of the label hashes; a monitor keeps one, so that capturing the same data again gives the same reference.
        wanted: the features to capture, each with its role.
        unfit: what becomes of a column that detection takes for no feature (an identifier, a time): `refuse` is an error,
            `exclude` lists it with the reason, `insist` counts it all the same; columns with a role are always counted.
    """
    sample = engine.sample(relation, MAX_SAMPLE_ROWS)
    profiles = profile_columns(engine, sample, [feature.name for feature, _ in wanted if feature.expression is None])
    if not next(iter(profiles.values())).n_rows if profiles else _is_empty(engine, relation):
        raise InputError.no_rows(relation.place)
    chosen, excluded = _choose(wanted, profiles, relation, unfit)
    salt = salt or secrets.token_hex(8)
    planned = freeze_buckets(engine, relation, sample, chosen, salt)
    features = _count(engine, relation, planned, salt)
    identity = digest(
        [
            monitor,
            version,
            [[f.name, f.role, f.histogram.buckets, f.histogram.pairs(), sorted(f.known)] for f in features],
        ]
    )
    return Reference(monitor, version, identity, salt, datetime.now(UTC), features, excluded)


def _with_predictions(data: Any, predictions: Any, config: MonitorConfig) -> Any:
    if predictions is None:
        return data
    if config.prediction is None:
        raise InputError(
            "capture_reference: predictions: no prediction is configured; name its column in 'prediction'."
        )
    is_frame = hasattr(predictions, "columns")
    named = predictions.to_dict("list") if is_frame else {config.prediction.column: predictions}
    return _with_columns(data, named, "predictions")


def _with_labels(data: Any, labels: Any, config: MonitorConfig) -> Any:
    if config.labels is None:
        raise InputError("capture_reference: labels: no labels are configured; name their column in 'labels'.")
    return _with_columns(data, {config.labels.column: labels}, "labels")


def _labels_apart(reference: Reference) -> Reference:
    """A reference whose outcome is none of the features that are expected in the log."""
    features = tuple(feature for feature in reference.features if feature.role != "label")
    return replace(reference, features=features, labels=tuple(f for f in reference.features if f.role == "label"))


def _with_columns(data: Any, named: Mapping[str, Any], place: str) -> Any:
    if isinstance(data, str):
        raise InputError(f"capture_reference: {place}: only with a DataFrame; put the column into the data instead.")
    named = {name: list(values) for name, values in named.items()}
    if any(len(values) != len(data) for values in named.values()):
        raise InputError(
            f"capture_reference: {place}: got another number of rows than data ({len(data)}); give one for each row."
        )
    return data.assign(**named)


def _relation(engine: Warehouse, data: Any) -> Relation:
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    if isinstance(data, str):
        return engine.relation(data)
    assert isinstance(engine, DuckDBWarehouse)  # noqa: S101 - DataFrames are counted by the embedded engine
    return engine.frame(data, "training data")


def _is_empty(engine: Warehouse, relation: Relation) -> bool:
    statement = profile_statement(relation, [], engine.dialect)
    return not engine.query(statement)[0]["n_rows"]


def wanted_features(config: MonitorConfig, relation: Relation) -> list[tuple[Feature, str]]:
    """The features to capture, each with its role; raises `InputError` when the data lacks one."""
    source, prediction = config.source, config.prediction
    roles: list[tuple[Feature, str]] = []
    if prediction:
        roles.append(
            (
                Feature(name=prediction.column, kind="numeric" if prediction.kind == "regression" else "categorical"),
                "prediction",
            )
        )
        if prediction.score:
            roles.append((Feature(name=prediction.score, kind="numeric"), "score"))
    if config.labels and config.labels.column in relation.columns:
        is_number = prediction is not None and prediction.kind == "regression"
        roles.append((Feature(name=config.labels.column, kind="numeric" if is_number else "categorical"), "label"))
    apart = {source.timestamp, source.id, source.model_version, *(feature.name for feature, _ in roles)}
    found = [Feature(name=name) for name in relation.columns if name not in apart]
    declared = found if config.features == "auto" else config.declared_features()
    listed = [feature for feature in declared if feature.name not in {role.name for role, _ in roles}]
    wanted = [*((feature, "feature") for feature in listed), *roles]
    missing = [
        feature.name for feature, _ in wanted if feature.expression is None and feature.name not in relation.columns
    ]
    if missing:
        raise InputError.missing_columns(relation.place, missing, relation.columns)
    return wanted


def profile_columns(engine: Warehouse, sample: Relation, names: Sequence[str]) -> dict[str, Profile]:
    """A profile of each column whose type can be counted, by batches of columns."""
    found: dict[str, Profile] = {}
    countable = [name for name in names if sample.columns[name] in (*LABELS, *TIMES)]
    for batch in batches(countable):
        (row,) = engine.query(profile_statement(sample, batch, engine.dialect))
        found |= {name: _profile(row, i, sample.columns[name]) for i, name in enumerate(batch)}
    return found


def profile_statement(sample: Relation, names: Sequence[str], dialect: Dialect) -> Statement:
    """The statement that answers what kind of values columns hold."""
    context = []
    for i, name in enumerate(names):
        sql, column_type = f"t.{quote_column(name, dialect)}", sample.columns[name]
        number = (
            value("numeric", f"t.{quote_column(name, 'bigquery')}", column_type) if column_type in NUMBERS else None
        )
        context.append(
            {
                "position": i,
                "sql": sql,
                "number": number and translate(number, dialect),
                "text": column_type == "STRING",
            }
        )
    return Statement("reference/profile", render("reference/profile", dialect, columns=context, source=sample.sql))


def _profile(row: Row, i: int, kind: str) -> Profile:
    return Profile(
        kind, int(row["n_rows"]), int(row[f"given_{i}"]), int(row[f"distinct_{i}"]),
        int(row.get(f"whole_{i}") or 0), int(row.get(f"dates_{i}") or 0), row.get(f"low_{i}"), row.get(f"high_{i}"),
    )  # fmt: skip


def _choose(
    wanted: Sequence[tuple[Feature, str]], profiles: Mapping[str, Profile], relation: Relation, unfit: Unfit
) -> tuple[list[Planned], dict[str, str]]:
    """The features with their kinds, and the columns left out with the reason; listed ones are never left out silently."""
    chosen: list[Planned] = []
    excluded: dict[str, str] = {}
    for feature, role in wanted:
        source_type = relation.columns[feature.name] if feature.expression is None else _expression_type(feature)
        kind = _kind(feature, role, profiles.get(feature.name), source_type)
        if isinstance(kind, Excluded) and feature.kind is None and (unfit == "insist" or role != "feature"):
            kind = _KIND_OF_TYPE.get(source_type, kind)
        if feature.sensitive and kind != "categorical" and not isinstance(kind, Excluded):
            kind = Excluded(
                f"{kind} and sensitive, which only categories can be; monitor an expression that makes classes of it"
            )
        if isinstance(kind, Excluded):
            excluded[feature.name] = kind.reason
        else:
            chosen.append(Planned(feature, role, kind, source_type))
    roles = {feature.name: role for feature, role in wanted}
    if refused := [name for name in excluded if unfit != "exclude" or roles[name] != "feature"]:
        lines = "; ".join(f"{name!r} is {excluded[name]}" for name in refused)
        raise InputError(f"{relation.place}: not a feature: {lines}. Take it out of 'features', or correct the data.")
    if not chosen:
        found = "; ".join(f"{name!r} is {why}" for name, why in excluded.items())
        raise InputError(f"{relation.place}: no column can be monitored: {found}")
    return chosen, excluded


def _expression_type(feature: Feature) -> str:
    return "FLOAT64" if feature.kind == "numeric" else "STRING"


def _kind(feature: Feature, role: str, profile: Profile | None, source_type: str) -> Kind | Excluded:
    """The kind that is said, if the column's type allows it, else the one detected."""
    if feature.expression is not None:
        return feature.kind or Excluded("an expression without a kind; say kind: numeric or categorical")
    if role in ("prediction", "label") and source_type == "BOOL" and feature.kind == "categorical":
        return "boolean"
    if feature.kind is None:
        return detect(feature.name, profile or Profile(source_type, 0, 0, 0))  # detection refuses other types
    if source_type not in ALLOWED[feature.kind]:
        return Excluded(
            f"of type {source_type}, which cannot be {feature.kind} (allowed: {', '.join(ALLOWED[feature.kind])})"
        )
    return feature.kind


def _count(
    engine: Warehouse, relation: Relation, planned: Sequence[Planned], salt: str
) -> tuple[FeatureReference, ...]:
    """The exact counts of the training data in its frozen buckets: labels have theirs, the others are counted as production will be."""
    buckets = {item.feature.name: item.buckets or Buckets(item.kind) for item in planned}
    ready = [
        Counted(item.feature.name, buckets[item.feature.name], item.sql, item.source_type in ("FLOAT64", "NUMERIC"))
        for item in planned
        if item.counts is None
    ]
    rows = [
        row
        for statement in Scan(relation, tuple(ready), salt).statements(engine.dialect)
        for row in engine.query(statement)
    ]
    histograms = {item.feature.name: item.counts for item in planned if item.counts is not None}
    histograms |= {row["feature"]: histogram_from_row(row, buckets[row["feature"]]) for row in rows}
    return tuple(
        FeatureReference(
            item.feature.name, item.role, item.source_type, histograms[item.feature.name], item.feature.bins,
            item.known, item.known_complete, item.labels_hashed, item.n_singletons,
        )
        for item in planned
    )  # fmt: skip
