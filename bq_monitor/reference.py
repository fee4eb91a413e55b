"""The training hook: capture the frozen histograms of a model's training data, store them, read them back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from bq_monitor.config import Feature, MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.measure.histogram import Buckets, Histogram, Kind
from bq_monitor.measure.kinds import Excluded, Profile, detect
from bq_monitor.scan import Counted, Scan, counted, digest, histogram_from_row
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Param, Relation, Row, Statement, Warehouse
from bq_monitor.warehouse.fragments import ALLOWED, LABELS, NUMBERS, TIMES, value
from bq_monitor.warehouse.identifiers import Expression, quote_column
from bq_monitor.warehouse.render import render, translate
from bq_monitor.warehouse.schema import REFERENCE_HISTOGRAMS

if TYPE_CHECKING:
    import pandas as pd

MIN_LABEL_ROWS = 5
"""A label seen in fewer training rows is never stored in clear: it counts as `other`."""
MAX_KNOWN_LABELS = 10_000
"""Up to so many distinct labels are remembered (hashed), so that an unseen one can be told from a rare one."""
MAX_SAMPLE_ROWS = 500_000
"""Kinds and edges come from at most so many rows on DuckDB (a seeded sample beyond); counts are of every row."""
FINE_PER_BIN = 6
TAIL_SHARE = 0.001
_BATCH = 20


@dataclass(frozen=True)
class FeatureReference:
    """One feature of a reference: its frozen buckets with the exact counts of the training data.

    Args:
        role: `feature`, `prediction`, `score` or `label`.
        source_type: GoogleSQL type of the training column.
        known: salted hashes of the labels that training saw and that are not buckets.
        known_complete: False when there were too many to remember; unseen labels then cannot be told.
        labels_hashed: whether the labels are salted hashes (`sensitive: true`).
    """

    name: str
    role: str
    source_type: str
    histogram: Histogram
    n_bins: int = 10
    known: tuple[str, ...] = ()
    known_complete: bool = True
    labels_hashed: bool = False

    @property
    def kind(self) -> Kind:
        return self.histogram.buckets.kind

    def counted(self, relation: Relation, expression: str | None = None) -> Counted | str:
        """This feature ready to be counted in a log, or the reason why it cannot be."""
        return counted(
            self.name, self.histogram.buckets, self.source_type, relation, expression=expression,
            known=self.known, known_complete=self.known_complete, labels_hashed=self.labels_hashed,
        )  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """The frozen reference of one model version; `excluded` says why a column of the training data is not monitored."""

    monitor: str
    model_version: str
    reference_id: str
    salt: str
    captured_at: datetime
    features: tuple[FeatureReference, ...]
    excluded: Mapping[str, str]

    @property
    def n_rows(self) -> int:
        return max((feature.histogram.n_rows for feature in self.features), default=0)

    def to_dict(self) -> dict[str, Any]:
        """The reference as plain values, one entry a feature."""
        return {
            "monitor": self.monitor, "model_version": self.model_version, "reference_id": self.reference_id,
            "captured_at": self.captured_at.isoformat(), "n_rows": self.n_rows,
            "features": [
                {"feature": f.name, "kind": f.kind, "role": f.role, "n_null": f.histogram.n_null, "n_buckets": len(f.histogram.buckets.codes)}
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


def capture_reference(
    data: pd.DataFrame | str, config: MonitorConfig, *, version: str, predictions: Any = None
) -> Reference:
    """Capture and store the reference of a model version; a training pipeline's one call.

    Args:
        data: training data: a DataFrame, a Parquet or CSV path or glob, or a table of the monitor's warehouse.
        config: the monitor.
        version: of the model, as the production log names it.
        predictions: the model's answers on the training data, when `data` does not hold them: a sequence for
            `prediction.column`, or a DataFrame with the columns of `prediction`. Only with a DataFrame.

    Returns:
        The stored reference. Capturing the same data again finds the stored one and adds nothing.

    Raises:
        InputError: a column is missing, of the wrong type, or no feature (an identifier, a time) and its kind is not said.
        WarehouseError: it could not be stored.
    """
    from bq_monitor.warehouse import open_warehouse
    from bq_monitor.warehouse.identifiers import is_file
    from bq_monitor.warehouse.setup import create_tables

    with_predictions = _with_predictions(data, predictions, config)
    warehouse = open_warehouse(
        config.warehouse, deadline_seconds=config.budget.deadline_seconds, max_bytes=config.budget.max_bytes_per_run
    )
    try:
        local = not isinstance(with_predictions, str) or is_file(with_predictions)
        engine = open_warehouse("duckdb://") if local and warehouse.dialect == "bigquery" else warehouse
        relation = _relation(engine, with_predictions)
        reference = build_reference(
            engine,
            relation,
            wanted_features(config, relation),
            monitor=config.monitor,
            version=version,
            refuse=config.features != "auto",
        )
        create_tables(warehouse)
        return store_reference(warehouse, reference)
    finally:
        warehouse.close()


def build_reference(
    engine: Warehouse,
    relation: Relation,
    wanted: Sequence[tuple[Feature, str]],
    *,
    monitor: str,
    version: str,
    refuse: bool,
) -> Reference:
    """The reference of a relation, not stored.

    Args:
        wanted: the features to capture, each with its role.
        refuse: whether a column that is no feature is an error (it was listed) or merely excluded (it was found).
    """
    sample = engine.sample(relation, MAX_SAMPLE_ROWS)
    profiles = profile_columns(engine, sample, [feature.name for feature, _ in wanted if feature.expression is None])
    if not next(iter(profiles.values())).n_rows if profiles else _is_empty(engine, relation):
        raise InputError.no_rows(relation.place)
    chosen, excluded = _choose(wanted, profiles, relation, refuse=refuse)
    salt = secrets.token_hex(8)
    planned = _freeze_buckets(engine, relation, sample, chosen, salt)
    features = _count(engine, relation, planned, salt)
    identity = digest(
        [monitor, version, [[f.name, f.role, f.histogram.buckets, f.histogram.pairs()] for f in features]]
    )
    return Reference(monitor, version, identity, salt, datetime.now(UTC), features, excluded)


def store_reference(warehouse: Warehouse, reference: Reference) -> Reference:
    """Append a reference to its table; the stored one is returned when it is already there."""
    for stored in load_references(warehouse, reference.monitor):
        if (stored.reference_id, stored.model_version) == (reference.reference_id, reference.model_version):
            return stored
    warehouse.commit(
        [statements.insert(warehouse, REFERENCE_HISTOGRAMS, _rows(reference))],
        key=f"reference-{reference.monitor}-{reference.reference_id}",
    )
    return reference


def load_references(warehouse: Warehouse, monitor: str) -> list[Reference]:
    """The stored references of a monitor, newest first; the first of a version is the one in force."""
    rows = warehouse.query(statements.references(warehouse, monitor))
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["model_version"], row["reference_id"]), []).append(row)
    return [_from_rows(group) for group in grouped.values()]


@dataclass(frozen=True)
class _Planned:
    """A feature on its way to a reference."""

    feature: Feature
    role: str
    kind: Kind
    source_type: str
    sql: str
    buckets: Buckets | None = None
    known: tuple[str, ...] = ()
    known_complete: bool = True


def _with_predictions(data: Any, predictions: Any, config: MonitorConfig) -> Any:
    if predictions is None:
        return data
    if isinstance(data, str) or config.prediction is None:
        raise InputError(
            "capture_reference: predictions: only with a DataFrame and a configured prediction; put the column into the data instead."
        )
    named = (
        predictions.to_dict("list")
        if hasattr(predictions, "columns")
        else {config.prediction.column: list(predictions)}
    )
    if any(len(values) != len(data) for values in named.values()):
        raise InputError(
            f"capture_reference: predictions: got another number of rows than data ({len(data)}); give one for each row."
        )
    return data.assign(**named)


def _relation(engine: Warehouse, data: Any) -> Relation:
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    if isinstance(data, str):
        return engine.relation(data)
    assert isinstance(engine, DuckDBWarehouse)  # noqa: S101 - DataFrames are counted by the embedded engine
    return engine.frame(data, "training data")


def _is_empty(engine: Warehouse, relation: Relation) -> bool:
    statement = Statement(
        "reference/profile", render("reference/profile", engine.dialect, columns=[], source=relation.sql)
    )
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
    apart = {source.timestamp, source.id, source.model_version, *(feature.name for feature, _ in roles)}
    found = [Feature(name=name) for name in relation.columns if name not in apart]
    listed = found if config.features == "auto" else config.declared_features()
    wanted = [*((feature, "feature") for feature in listed), *roles]
    missing = [
        feature.name for feature, _ in wanted if feature.expression is None and feature.name not in relation.columns
    ]
    if missing:
        raise InputError.missing_columns(relation.place, missing, relation.columns)
    return wanted


def profile_columns(engine: Warehouse, sample: Relation, names: Sequence[str]) -> dict[str, Profile]:
    """A profile of each column, by batches of columns."""
    found: dict[str, Profile] = {}
    countable = [name for name in names if sample.columns[name] in (*LABELS, *TIMES)]
    for start in range(0, len(countable), _BATCH):
        batch = countable[start : start + _BATCH]
        context = [_profile_context(i, name, sample) for i, name in enumerate(batch)]
        sql = render("reference/profile", engine.dialect, columns=context, source=sample.sql)
        (row,) = engine.query(Statement("reference/profile", sql))
        found |= {name: _profile(row, i, sample.columns[name]) for i, name in enumerate(batch)}
    n_rows = next(iter(found.values())).n_rows if found else 0
    exotic = {name: Profile(sample.columns[name], n_rows, 0, 0) for name in names if name not in found}
    return {**found, **exotic}


def _profile_context(position: int, name: str, sample: Relation) -> Row:
    sql = f"t.{quote_column(name, 'bigquery')}"
    kind = sample.columns[name]
    return {
        "position": position,
        "sql": sql,
        "number": f"CAST({sql} AS FLOAT64)" if kind in NUMBERS else None,
        "text": kind == "STRING",
    }


def _profile(row: Row, i: int, kind: str) -> Profile:
    return Profile(
        kind, int(row["n_rows"]), int(row[f"given_{i}"]), int(row[f"distinct_{i}"]),
        int(row.get(f"whole_{i}") or 0), int(row.get(f"dates_{i}") or 0), row.get(f"low_{i}"), row.get(f"high_{i}"),
    )  # fmt: skip


def _choose(
    wanted: Sequence[tuple[Feature, str]], profiles: Mapping[str, Profile], relation: Relation, *, refuse: bool
) -> tuple[list[_Planned], dict[str, str]]:
    """The features with their kinds, and the columns left out with the reason; listed ones are never left out silently."""
    chosen: list[_Planned] = []
    excluded: dict[str, str] = {}
    for feature, role in wanted:
        source_type = (
            relation.columns.get(feature.name, "STRING") if feature.expression is None else _expression_type(feature)
        )
        kind = _kind(feature, role, profiles.get(feature.name), source_type)
        if isinstance(kind, Excluded):
            excluded[feature.name] = kind.reason
        else:
            chosen.append(_Planned(feature, role, kind, source_type, ""))
    roles = {feature.name: role for feature, role in wanted}
    refused = [name for name in excluded if refuse or roles[name] != "feature"]
    if refused:
        lines = "; ".join(f"{name!r} is {excluded[name]}" for name in refused)
        raise InputError(f"{relation.place}: not a feature: {lines}. Take it out of 'features', or correct the data.")
    if not chosen:
        raise InputError(
            f"{relation.place}: no column can be monitored: "
            + "; ".join(f"{name!r} is {why}" for name, why in excluded.items())
        )
    return chosen, excluded


def _expression_type(feature: Feature) -> str:
    return "FLOAT64" if feature.kind == "numeric" else "STRING"


def _kind(feature: Feature, role: str, profile: Profile | None, source_type: str) -> Kind | Excluded:
    """The kind that is said, if the column's type allows it, else the one detected."""
    if feature.expression is not None:
        return feature.kind or Excluded("an expression without a kind; say kind: numeric or categorical")
    if role == "prediction" and source_type == "BOOL" and feature.kind == "categorical":
        return "boolean"
    if feature.kind is None:
        assert profile is not None  # noqa: S101 - every plain column was profiled
        return detect(feature.name, profile)
    if source_type not in ALLOWED[feature.kind]:
        return Excluded(
            f"of type {source_type}, which cannot be {feature.kind} (allowed: {', '.join(ALLOWED[feature.kind])})"
        )
    return feature.kind


def _freeze_buckets(
    engine: Warehouse, relation: Relation, sample: Relation, chosen: Sequence[_Planned], salt: str
) -> list[_Planned]:
    planned = [replace(item, sql=_value_sql(item)) for item in chosen]
    numeric = [item for item in planned if item.kind in ("numeric", "timestamp")]
    listed = [item for item in planned if item.kind == "categorical"]
    frozen: dict[str, _Planned] = {}
    for start in range(0, len(numeric), _BATCH):
        batch = numeric[start : start + _BATCH]
        frozen |= {
            item.feature.name: done for item, done in zip(batch, _with_edges(engine, sample, batch), strict=True)
        }
    for start in range(0, len(listed), _BATCH):
        batch = listed[start : start + _BATCH]
        frozen |= {
            item.feature.name: done
            for item, done in zip(batch, _with_labels(engine, relation, batch, salt), strict=True)
        }
    for item in planned:
        if item.kind == "boolean":
            frozen[item.feature.name] = replace(item, buckets=Buckets("boolean", labels=("false", "true")))
        elif item.kind == "ordinal":
            frozen[item.feature.name] = replace(
                item, buckets=Buckets("ordinal", labels=tuple(item.feature.order or ()))
            )
    return [frozen[item.feature.name] for item in planned]


def _value_sql(item: _Planned) -> str:
    if item.feature.expression is not None:
        expression = Expression(item.feature.expression, f"feature {item.feature.name!r}").sql("bigquery")
    else:
        expression = f"t.{quote_column(item.feature.name, 'bigquery')}"
    return value(item.kind, expression, item.source_type)


def _with_edges(engine: Warehouse, sample: Relation, batch: Sequence[_Planned]) -> list[_Planned]:
    params: dict[str, Param] = {}
    steps = 60_000  # BigQuery's sketch: a multiple of every grid, fine enough for the 0.1 % tails
    for i, item in enumerate(batch):
        fractions = quantile_grid(item.feature.bins)
        if engine.dialect == "duckdb":
            params[f"fractions_{i}"] = Param("ARRAY<FLOAT64>", fractions)
        else:
            params[f"offsets_{i}"] = Param("ARRAY<INT64>", [round(fraction * steps) for fraction in fractions])
    context = [{"position": i, "value": translate(item.sql, engine.dialect)} for i, item in enumerate(batch)]
    sql = render("reference/quantiles", engine.dialect, columns=context, source=sample.sql, steps=steps)
    (row,) = engine.query(Statement("reference/quantiles", sql, params))
    return [
        replace(item, buckets=Buckets(item.kind, freeze_edges(row[f"quantiles_{i}"] or ())))
        for i, item in enumerate(batch)
    ]


def quantile_grid(bins: int) -> list[float]:
    """The fractions at which edges stand: six fine buckets a coarse one, and the 0.1 % tails."""
    n = FINE_PER_BIN * bins
    return [TAIL_SHARE, *(k / n for k in range(1, n)), 1 - TAIL_SHARE]


def freeze_edges(quantiles: Sequence[float]) -> tuple[float, ...]:
    """Quantiles, lowest to highest, as edges: ties collapse, and the last edge lies just above the top quantile.

    >>> freeze_edges([1.0, 2.0, 2.0])[:2]
    (1.0, 2.0)
    """
    if not len(quantiles):
        return ()
    edges = np.unique(np.asarray(quantiles, dtype=np.float64) + 0.0)
    top = np.nextafter(edges[-1], np.inf)
    return tuple(float(edge) for edge in (*edges, top) if np.isfinite(edge))


def _with_labels(engine: Warehouse, relation: Relation, batch: Sequence[_Planned], salt: str) -> list[_Planned]:
    context = [{"position": i, "value": item.sql, "top_k": item.feature.top_k} for i, item in enumerate(batch)]
    sql = render("reference/labels", engine.dialect, columns=context, source=relation.sql)
    params = {
        "min_rows": Param("INT64", MIN_LABEL_ROWS), "max_labels": Param("INT64", MAX_KNOWN_LABELS + 1), "salt": Param("STRING", salt),
    }  # fmt: skip
    rows = engine.query(Statement("reference/labels", sql, params))
    return [_labelled(item, [row for row in rows if row["position"] == i]) for i, item in enumerate(batch)]


def _labelled(item: _Planned, rows: Sequence[Row]) -> _Planned:
    """A categorical feature with its labels frozen; hashes of the rest, unless there are too many to remember."""
    hashed = item.feature.sensitive
    listed = [row for row in rows if row["label"] is not None]
    labels = tuple(str(row["hash" if hashed else "label"]) for row in listed)
    complete = len(rows) <= MAX_KNOWN_LABELS
    known = tuple(str(row["hash"]) for row in rows if row["label"] is None) if complete else ()
    return replace(item, buckets=Buckets(item.kind, labels=labels), known=known, known_complete=complete)


def _count(
    engine: Warehouse, relation: Relation, planned: Sequence[_Planned], salt: str
) -> tuple[FeatureReference, ...]:
    """The exact counts of the training data in its frozen buckets, by the same scan that counts production."""
    buckets = {item.feature.name: item.buckets or Buckets(item.kind) for item in planned}
    ready = [
        Counted(
            item.feature.name, buckets[item.feature.name], item.sql, item.source_type in ("FLOAT64", "NUMERIC"),
            item.known, item.known_complete, _labels_hashed(item),
        )
        for item in planned
    ]  # fmt: skip
    rows = [
        row
        for statement in Scan(relation, tuple(ready), salt).statements(engine.dialect)
        for row in engine.query(statement)
    ]
    histograms = {row["feature"]: histogram_from_row(row, buckets[row["feature"]]) for row in rows}
    return tuple(
        FeatureReference(
            item.feature.name, item.role, item.source_type, histograms[item.feature.name], item.feature.bins,
            item.known, item.known_complete, _labels_hashed(item),
        )
        for item in planned
    )  # fmt: skip


def _labels_hashed(item: _Planned) -> bool:
    return item.feature.sensitive and item.kind == "categorical"


def _rows(reference: Reference) -> list[Row]:
    """A reference as rows of `reference_histograms`."""
    columns = [column.name for column in REFERENCE_HISTOGRAMS.columns]
    common = {
        "monitor": reference.monitor, "model_version": reference.model_version, "reference_id": reference.reference_id,
        "captured_at": reference.captured_at, "segment": "all", "salt": reference.salt, "known_hashes": [], "buckets": [],
    }  # fmt: skip
    monitored = [{**common, **_feature_row(feature)} for feature in reference.features]
    left_out = [
        {**common, "feature": name, "role": "feature", "excluded_reason": why}
        for name, why in reference.excluded.items()
    ]
    rows = [{**row, "position": i} for i, row in enumerate([*monitored, *left_out])]
    return [{name: row.get(name) for name in columns} for row in rows]


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
             "label": buckets.labels[code] if code >= 0 and not buckets.numeric else None}
            for code, n in zip(buckets.codes, histogram.counts, strict=True)
        ],
        "known_hashes": list(feature.known), "known_complete": feature.known_complete, "labels_hashed": feature.labels_hashed,
    }  # fmt: skip


def _from_rows(rows: Sequence[Row]) -> Reference:
    first = rows[0]
    ordered = sorted(rows, key=lambda row: row["position"])
    features = tuple(_feature_from_row(row) for row in ordered if row["excluded_reason"] is None)
    excluded = {row["feature"]: row["excluded_reason"] for row in ordered if row["excluded_reason"] is not None}
    return Reference(
        first["monitor"],
        first["model_version"],
        first["reference_id"],
        first["salt"],
        first["captured_at"],
        features,
        excluded,
    )


def _feature_from_row(row: Row) -> FeatureReference:
    regular = sorted((item for item in row["buckets"] if item["bucket"] >= 0), key=lambda item: item["bucket"])
    numeric = row["kind"] in ("numeric", "timestamp")
    edges = tuple(item["upper"] for item in regular[:-1]) if numeric else ()
    labels = () if numeric else tuple(item["label"] for item in regular)
    buckets = Buckets(row["kind"], edges, labels)
    return FeatureReference(
        row["feature"], row["role"], row["source_type"], histogram_from_row(row, buckets), row["n_bins"],
        tuple(row["known_hashes"]), row["known_complete"], row["labels_hashed"],
    )  # fmt: skip
