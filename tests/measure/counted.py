"""Answers counted from raw rows the way the scan counts them, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bq_monitor.measure.answers import CLIP, Answers, Cell, Task, measured_buckets
from bq_monitor.measure.histogram import Buckets
from tests.measure.zoo import edges_of, numeric


def answers_of(
    task: Task, outcome: Sequence[Any], predicted: Sequence[Any], score: Any = None, *, positive: str | None = None,
    score_edges: Sequence[float] | None = None,
) -> Answers:  # fmt: skip
    """Counts of rows of classes (as text; None: not known): `score` as `Answers` defines it. Edges: of this very score without others."""
    names = np.array([None if value is None else str(value) for value in outcome], dtype=object)
    answers = np.array([None if value is None else str(value) for value in predicted], dtype=object)
    given = np.full(len(names), np.nan) if score is None else np.asarray(score, dtype=np.float64)
    edges = edges_of(given) if score_edges is None and score is not None else tuple(score_edges or ())
    buckets = Buckets("numeric", tuple(edges))
    cells: dict[Cell, dict[str, Any]] = {}
    for cell in dict.fromkeys(zip(names.tolist(), answers.tolist(), strict=True)):
        chosen = np.array([(a, b) == cell for a, b in zip(names, answers, strict=True)])
        values = _measured(task, cell, given[chosen] if score is not None else None, positive, int(chosen.sum()))
        cells[cell] = {name: numeric(found, measured_buckets(name, buckets).edges) for name, found in values.items()}
    return Answers(task, cells, positive)


def regression_answers_of(
    actual: Sequence[float], predicted: Sequence[float], *, actual_edges: Sequence[float] | None = None,
    score_edges: Sequence[float] | None = None,
) -> Answers:  # fmt: skip
    """Counts of rows of numbers (NaN: not known), in cells by quarter of the outcome and tenth of the prediction.

    Edges of the quarters and of the prediction's fine buckets: of these very rows without others.
    """
    y, given = np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    quarters = np.nanquantile(y, [0.25, 0.5, 0.75]) if actual_edges is None else np.asarray(actual_edges)
    edges = tuple(edges_of(given[np.isfinite(given)]) if score_edges is None else score_edges)
    tenths = np.array(edges[:: max(1, len(edges) // 10)])
    outcomes = [None if np.isnan(v) else str(np.searchsorted(quarters, v, side="right")) for v in y]
    answers = [None if np.isnan(v) else str(np.searchsorted(tenths, v, side="right")) for v in given]
    rows: dict[Cell, list[int]] = {}
    for i, cell in enumerate(zip(outcomes, answers, strict=True)):
        rows.setdefault(cell, []).append(i)
    cells = {cell: _regression_cell(y[i], given[i], edges, known=cell[0] is not None) for cell, i in rows.items()}
    return Answers("regression", cells)


def _regression_cell(y: Any, given: Any, edges: tuple[float, ...], *, known: bool) -> dict[str, Any]:
    score = {"score": numeric(given[~np.isnan(given)], edges, n_null=int(np.isnan(given).sum()))}
    if not known:
        return score
    error = given - y
    relative = np.abs(error[y != 0] / y[y != 0])
    values = {"actual": y, "error": error, "absolute_error": np.abs(error)}
    counted = {name: numeric(found, ()) for name, found in values.items()}
    return score | counted | {"relative_error": numeric(relative, (), n_null=int((y == 0).sum()))}


def _measured(task: Task, cell: Cell, score: Any, positive: str | None, n: int) -> dict[str, Any]:
    if score is None:
        return {"rows": np.ones(n)}
    if task == "multiclass":
        return {"score": score, "confidence": score}
    found = {"score": score, "confidence": np.maximum(score, 1 - score)}
    if cell[0] is not None:
        likelihood = np.clip(score if cell[0] == positive else 1 - score, CLIP, None)
        found["log_loss"] = -np.log(likelihood)
    return found
