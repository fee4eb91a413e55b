"""Freeze the buckets of features: quantile edges for numbers, the most frequent labels for categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from bq_monitor.measure.histogram import NULL, OTHER, Buckets, Histogram, Kind
from bq_monitor.sections import Feature
from bq_monitor.warehouse.base import Dialect, Param, Relation, Row, Statement, Warehouse
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.fragments import value
from bq_monitor.warehouse.identifiers import quote_column
from bq_monitor.warehouse.render import render, translate

MIN_LABEL_ROWS = 5
"""A label seen in fewer training rows is never stored in clear: it counts as `other`."""
MAX_KNOWN_LABELS = 10_000
"""Up to so many distinct labels are remembered (hashed), so that an unseen one can be told from a rare one."""
FINE_PER_BIN = 6
TAIL_SHARE = 0.001
_SKETCH_STEPS = 6000  # of BigQuery's quantile sketch: a multiple of the default grid, fine enough for the tails
_BATCH = 20
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Planned:
    """A feature on its way to a reference; all from `buckets` on comes with `freeze_buckets`, the counts only where labels were counted."""

    feature: Feature
    role: str
    kind: Kind
    source_type: str
    buckets: Buckets | None = None
    counts: Histogram | None = None
    known: tuple[str, ...] = ()
    known_complete: bool = True
    n_singletons: int = 0

    @property
    def sql(self) -> str:
        """GoogleSQL of the value that is counted."""
        if self.feature.expression is not None:
            expression = Expression(self.feature.expression, f"feature {self.feature.name!r}").sql("bigquery")
        else:
            expression = f"t.{quote_column(self.feature.name, 'bigquery')}"
        return value(self.kind, expression, self.source_type)

    @property
    def min_label_rows(self) -> int:
        """What a model answers is no one's secret, and its rarest class may be the one that matters."""
        return MIN_LABEL_ROWS if self.role == "feature" else 1

    @property
    def labels_hashed(self) -> bool:
        return self.feature.sensitive and self.kind == "categorical"


def freeze_buckets(
    engine: Warehouse, relation: Relation, sample: Relation, planned: Sequence[Planned], salt: str
) -> list[Planned]:
    """The features with their buckets: edges from a sample, labels from every row."""
    frozen: dict[str, Planned] = {}
    numeric = [item for item in planned if item.kind in ("numeric", "timestamp")]
    for batch in batches(numeric):
        (row,) = engine.query(quantiles_statement(sample, batch, engine.dialect))
        frozen |= {item.feature.name: _with_edges(item, row[f"quantiles_{i}"]) for i, item in enumerate(batch)}
    for batch in batches([item for item in planned if item.kind == "categorical"]):
        rows = engine.query(labels_statement(relation, batch, salt, engine.dialect))
        frozen |= {
            item.feature.name: _with_labels(item, [row for row in rows if row["position"] == i])
            for i, item in enumerate(batch)
        }
    return [frozen.get(item.feature.name) or _with_declared_labels(item) for item in planned]


def quantiles_statement(sample: Relation, batch: Sequence[Planned], dialect: Dialect) -> Statement:
    """The statement that answers the quantile grid of numeric features."""
    params: dict[str, Param] = {}
    for i, item in enumerate(batch):
        fractions = quantile_grid(item.feature.bins)
        if dialect == "duckdb":
            params[f"fractions_{i}"] = Param("ARRAY<FLOAT64>", fractions)
        else:
            params[f"offsets_{i}"] = Param("ARRAY<INT64>", [round(share * _SKETCH_STEPS) for share in fractions])
    context = [{"position": i, "value": translate(item.sql, dialect)} for i, item in enumerate(batch)]
    sql = render("reference/quantiles", dialect, columns=context, source=sample.sql, steps=_SKETCH_STEPS)
    return Statement("reference/quantiles", sql, params)


def labels_statement(relation: Relation, batch: Sequence[Planned], salt: str, dialect: Dialect) -> Statement:
    """The statement that answers the labels of categorical features, most frequent first."""
    context = [
        {
            "position": i,
            "value": translate(item.sql, dialect),
            "top_k": item.feature.top_k,
            "min_rows": item.min_label_rows,
        }
        for i, item in enumerate(batch)
    ]
    params = {
        "max_labels": Param("INT64", MAX_KNOWN_LABELS + 1),
        "salt": Param("STRING", salt),
    }
    sql = render("reference/labels", dialect, columns=context, source=relation.sql)
    return Statement("reference/labels", sql, params)


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


def _with_edges(item: Planned, quantiles: Sequence[float] | None) -> Planned:
    return replace(item, buckets=Buckets(item.kind, freeze_edges(quantiles or ())))


def _with_labels(item: Planned, rows: Sequence[Row]) -> Planned:
    """A categorical feature with its labels frozen and counted; hashes of the rest, unless there are too many to remember."""
    given = [row for row in rows if row["label_hash"] is not None]
    listed = [row for row in given if row["label"] is not None]
    labels = tuple(str(row["label_hash" if item.labels_hashed else "label"]) for row in listed)
    complete = len(given) <= MAX_KNOWN_LABELS
    known = tuple(str(row["label_hash"]) for row in given if row["label"] is None) if complete else ()
    once = sum(int(row["n"]) == 1 and row["label"] is None for row in given) if complete else 0
    buckets = Buckets(item.kind, labels=labels)
    pairs = [(code, int(row["n"])) for code, row in enumerate(listed)]
    pairs += [(NULL, int(row["n"])) for row in rows if row["label_hash"] is None]
    n_rows = int(rows[0]["n_rows"]) if rows else 0
    counts = Histogram.from_pairs(buckets, [*pairs, (OTHER, n_rows - sum(n for _, n in pairs))])
    return replace(item, buckets=buckets, counts=counts, known=known, known_complete=complete, n_singletons=once)


def _with_declared_labels(item: Planned) -> Planned:
    """Booleans and ordinals: their labels are said, not found."""
    labels = ("false", "true") if item.kind == "boolean" else tuple(item.feature.order or ())
    return replace(item, buckets=Buckets(item.kind, labels=labels))


def batches(items: Sequence[_Item]) -> list[Sequence[_Item]]:
    """Columns in the numbers that one statement of a capture takes."""
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
