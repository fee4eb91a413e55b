"""What the parts of `detection.py` share: the size of a run, and the printed report that remembers missed targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_FEATURES = 20


@dataclass
class Report:
    """Prints lines as they come and remembers whether all targets were met."""

    trials: int
    seed: int
    missed: int = 0

    def rng(self, *part: int) -> np.random.Generator:
        """A generator of its own for each part: adding one changes no other."""
        return np.random.default_rng([self.seed, *part])

    def title(self, text: str, columns: Sequence[str]) -> None:
        print(f"\n{text}\n{'':<46}" + "".join(f"{column:>13}" for column in columns), flush=True)

    def line(self, name: str, cells: Sequence[str], target: str = "", *, met: bool = True) -> None:
        self.missed += not met
        verdict = f"   {target}: {'met' if met else 'MISSED'}" if target else ""
        print(f"{name:<46}" + "".join(f"{cell:>13}" for cell in cells) + verdict, flush=True)


def percent(share: float) -> str:
    return f"{share:.1%}"
