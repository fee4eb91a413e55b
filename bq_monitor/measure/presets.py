"""How eager a monitor is: presets of threshold, error rate and confirmation; what each finds is measured (docs/metrics.md). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PresetName = Literal["conservative", "balanced", "aggressive"]
_CONFIRMATION = re.compile(r"(\d+)\s+of\s+(\d+)")
MAX_CONFIRMATION = 10


@dataclass(frozen=True)
class Confirmation:
    """An event needs `k` drifted windows among the last `n` that do not overlap, the newest one included.

    >>> Confirmation.parse("2 of 3")
    Confirmation(k=2, n=3)
    """

    k: int
    n: int

    @classmethod
    def parse(cls, text: str) -> Confirmation:
        """`'2 of 3'` -> `Confirmation(2, 3)`; ValueError for anything else."""
        match = _CONFIRMATION.fullmatch(text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]) <= MAX_CONFIRMATION:
            raise ValueError(f"got {text!r}; allowed: 'K of N' with 1 <= K <= N <= {MAX_CONFIRMATION}, as in '2 of 3'")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.k} of {self.n}"


@dataclass(frozen=True)
class Preset:
    """Args: js_distance, psi: the true divergence that matters; alpha: chance of a false verdict a window; confirm: of events."""

    js_distance: float
    psi: float
    alpha: float
    confirm: Confirmation

    def threshold(self, metric: str) -> float | None:
        """The threshold in the unit of a metric; None for tests of any change."""
        return {"js_distance": self.js_distance, "psi": self.psi}.get(metric)


PRESETS: dict[PresetName, Preset] = {
    "conservative": Preset(0.2, 0.25, 0.001, Confirmation(3, 3)),
    "balanced": Preset(0.1, 0.1, 0.01, Confirmation(2, 3)),
    "aggressive": Preset(0.05, 0.02, 0.05, Confirmation(1, 1)),
}
