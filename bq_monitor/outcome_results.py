"""One number about the answers of a window, with its verdict, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bq_monitor.measure.measured import Measured
from bq_monitor.plan_outcomes import OutcomeJudgement
from bq_monitor.warehouse.base import Row

Basis = Literal["realised", "estimated", "observed"]


@dataclass(frozen=True)
class PerformanceResult:
    """One number of one window and segment, with its verdict: a row of `performance_results`."""

    judgement: OutcomeJudgement
    segment: str
    basis: Basis
    metric: str
    measured: Measured
    status: str = "ok"
    reason: str | None = None
    reference_value: float | None = None
    rule: str | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    alpha: float | None = None
    explanation: str | None = None
    confusion: tuple[Row, ...] = ()
    bins: tuple[Row, ...] = ()
    n_rows: int = 0
    n_labelled: int = 0

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Confidence bounds, each one-sided at alpha."""
        return self.measured.bounds(self.alpha or 0.05)
