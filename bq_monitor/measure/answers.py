"""What a model answered and what came true, as mergeable counts: the joint of outcome and prediction, with what is measured of each. Pure.

Rows fall into cells `(outcome, predicted)`. For classes these are labels as text; for regression the outcome's quarter and the
prediction's tenth of the reference. `None` as outcome: not known (yet); as predicted: the model gave no answer.

| measured | is | counted |
|---|---|---|
| `score` | probability of the positive class; of the predicted one (multiclass); the prediction (regression) | in the reference's fine buckets |
| `confidence` | binary: max(score, 1 - score); multiclass: the score | in `CONFIDENCE_EDGES` |
| `log_loss` | binary, outcome known: -ln of the probability given to it, clipped to `CLIP`; NULL beyond 0..1 | moments only |
| `actual`, `error` | regression, outcome known: y, and prediction - y | moments only |
| `absolute_error`, `relative_error` | its size, and size / abs(y) (NULL where y = 0) | moments only |
| `latency` | milliseconds | in `LATENCY_EDGES` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Literal

from bq_monitor.measure.histogram import Buckets, Histogram

Task = Literal["binary", "multiclass", "regression"]
Cell = tuple[str | None, str | None]
"""`(outcome, predicted)`."""
CONFIDENCE_EDGES = tuple(round(0.05 * step, 2) for step in range(1, 20))
LATENCY_EDGES = tuple(float(f"{10 ** (step / 20):.4g}") for step in range(-20, 141))
"""Milliseconds, 20 steps a decade from 0.1 ms to 10,000 s: a percentile is told within 12.2 %."""
CLIP = 1e-15
"""A probability of 0 given to what came true costs -ln(CLIP)."""


@dataclass(frozen=True)
class Answers:
    """The counts of some rows of one segment.

    Args:
        task: what kind of answer it is.
        cells: per cell, what is measured of its rows, by name; each histogram counts every row of the cell (NULL where undefined).
        positive: the positive class of a binary task, as text.
    """

    task: Task
    cells: Mapping[Cell, Mapping[str, Histogram]]
    positive: str | None = None

    def __add__(self, other: Answers) -> Answers:
        """The counts of both sets of rows."""
        cells = {cell: dict(measured) for cell, measured in self.cells.items()}
        for cell, measured in other.cells.items():
            mine = cells.setdefault(cell, {})
            for name, histogram in measured.items():
                mine[name] = mine[name] + histogram if name in mine else histogram
        return replace(self, cells=cells)

    def where(self, keep: Callable[[str | None, str | None], bool]) -> Answers:
        """The rows of the cells for which `keep(outcome, predicted)` holds."""
        return replace(self, cells={cell: measured for cell, measured in self.cells.items() if keep(*cell)})

    @cached_property
    def labelled(self) -> Answers:
        """The rows with an answer whose outcome is known."""
        return self.where(lambda outcome, predicted: outcome is not None and predicted is not None)

    @cached_property
    def answered(self) -> Answers:
        """The rows with an answer."""
        return self.where(lambda outcome, predicted: predicted is not None)

    @cached_property
    def counts(self) -> Mapping[Cell, int]:
        """Rows by cell."""
        return {
            cell: max((histogram.n_rows for histogram in measured.values()), default=0)
            for cell, measured in self.cells.items()
        }

    @property
    def n_rows(self) -> int:
        return sum(self.counts.values())

    @property
    def classes(self) -> list[str]:
        """Every class that was answered or came true, sorted."""
        return sorted({name for cell in self.cells for name in cell if name is not None})

    def total(self, name: str) -> Histogram | None:
        """One measured quantity over all cells; None where it was not counted."""
        return merged(measured[name] for measured in self.cells.values() if name in measured)


def merged(histograms: Iterable[Histogram]) -> Histogram | None:
    """The sum of histograms of the same buckets; None of none."""
    listed = list(histograms)
    return reduce(add, listed) if listed else None


def measured_buckets(name: str, score: Buckets | None) -> Buckets:
    """The buckets in which a measured quantity is counted; `score` are those of the reference's score."""
    if name == "score" and score is not None:
        return score
    edges = {"confidence": CONFIDENCE_EDGES, "latency": LATENCY_EDGES}
    return Buckets("numeric", edges.get(name, ()))
