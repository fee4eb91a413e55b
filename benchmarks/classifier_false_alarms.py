"""How often the classifier test fires without drift, and whether its bounds hold where the best AUC is known.

Run: `python benchmarks/classifier_false_alarms.py [--seeds N] [--rows N]`, on one core. See README.md beside this file.

Six features a row: two correlated numbers, one with a tenth missing, a text of 5 labels, one of up to 400, and a boolean. `shift` moves
the first number of the current side by so many standard deviations. `best` is the AUC of the likelihood ratio, which no classifier
exceeds: a lower bound above it is an error of the test. An upper bound below the mean of all seeds is one too.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
from scipy import special

from bq_monitor.classifier_test import ClassifierTest, classifier_test

ALPHA, MARGIN, CORRELATION = 0.01, 0.05, 0.6
FEATURES = ("amount", "income", "balance", "region", "branch", "repeat")


@dataclass(frozen=True)
class Line:
    """What all seeds of one shift gave."""

    shift: float
    results: list[ClassifierTest]

    @property
    def best(self) -> float:
        """The AUC of the likelihood ratio: the two correlated numbers shift by (shift, 0)."""
        return float(special.ndtr(self.shift / np.sqrt(1 - CORRELATION**2) / np.sqrt(2)))

    def share(self, name: str) -> float:
        """Share of the seeds whose `fired`, `above` (lower bound above the best) or `below` (upper bound below the mean) holds."""
        centre = np.mean([item.roc_auc for item in self.results])
        holds = {
            "fired": lambda item: item.status == "drift",
            "above": lambda item: item.lower > max(self.best, 0.5),
            "below": lambda item: item.upper < centre,
        }[name]
        return sum(map(holds, self.results)) / len(self.results)

    def __str__(self) -> str:
        found = np.array([item.roc_auc for item in self.results])
        half = np.mean([(item.upper or 0) - (item.lower or 0) for item in self.results]) / 2
        shares = "".join(f"{self.share(name):>9.1%}" for name in ("fired", "above", "below"))
        return f"{self.shift:>6.2f}{self.best:>7.3f}{found.mean():>7.3f}{found.std():>7.3f}{half:>7.3f}{shares}"


def main() -> None:
    parser = argparse.ArgumentParser(description="False alarms of the classifier test.")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--rows", type=int, default=500, help="rows on each side")
    options = parser.parse_args()
    began = time.perf_counter()
    print(
        f"{options.seeds} seeds x {options.rows} rows a side, {len(FEATURES)} features, alpha {ALPHA}, margin {MARGIN}\n"
    )
    print(" shift   best   mean     sd   half    fired    above    below")
    lines = []
    for shift in (0.0, boundary(), 0.5, 1.0):
        seeds = options.seeds if not shift else max(1, options.seeds // 5)
        lines.append(Line(shift, [tried(seed, options.rows, shift) for seed in range(seeds)]))
        print(lines[-1], flush=True)
    met = lines[0].share("fired") <= ALPHA
    print(f"\ntarget: without drift at most {ALPHA:.0%} of the seeds fire: {'met' if met else 'missed'}")
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    sys.exit(0 if met else 1)


def boundary() -> float:
    """The shift whose best AUC is 0.5 + margin: no seed should fire beyond alpha."""
    return float(special.ndtri(0.5 + MARGIN) * np.sqrt(2) * np.sqrt(1 - CORRELATION**2))


def tried(seed: int, n: int, shift: float) -> ClassifierTest:
    generator = np.random.default_rng((20260101, seed))
    before, after = drawn(generator, n), drawn(generator, n)
    after["amount"] += shift
    return classifier_test(before, after, FEATURES, alpha=ALPHA, margin=MARGIN, seed=seed)


def drawn(generator: np.random.Generator, n: int) -> pd.DataFrame:
    """Rows of the healthy side."""
    amount, noise = generator.normal(size=(2, n))
    balance = generator.lognormal(size=n)
    return pd.DataFrame(
        {
            "amount": amount,
            "income": CORRELATION * amount + np.sqrt(1 - CORRELATION**2) * noise,
            "balance": np.where(generator.random(n) < 0.1, np.nan, balance),
            "region": generator.choice(list("abcde"), n, p=[0.4, 0.3, 0.15, 0.1, 0.05]),
            "branch": np.char.add("b", (generator.zipf(1.5, n) % 400).astype(str)),
            "repeat": generator.random(n) < 0.3,
        }
    )


if __name__ == "__main__":
    main()
