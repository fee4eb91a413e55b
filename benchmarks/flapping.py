"""How often one alert opens while a feature moves around the threshold, by real verdicts and the defaults: 60 daily windows of 1,000 rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.alerts.lives import simulated

N_SEEDS, N_WINDOWS = 25, 60
Rng = np.random.Generator


def walk(rng: Rng) -> np.ndarray:
    """A random walk that is drawn back to 0.11 by a tenth each day."""
    found = [0.11]
    for step in rng.normal(0, 0.015, N_WINDOWS - 1):
        found.append(0.11 + 0.9 * (found[-1] - 0.11) + step)
    return np.array(found)


def wave(period: int) -> Callable[[Rng], np.ndarray]:
    """0.07 to 0.15 and back, from a day of the period drawn by chance."""
    return lambda rng: 0.11 + 0.04 * np.sin(2 * np.pi * (np.arange(N_WINDOWS) + rng.integers(period)) / period)


HISTORIES: dict[str, Callable[[Rng], np.ndarray]] = {
    **{f"stays at {d:.2f}": lambda rng, d=d: np.full(N_WINDOWS, d) for d in (0.10, 0.11, 0.12, 0.13)},
    "drawn daily, 0.07 to 0.13": lambda rng: rng.uniform(0.07, 0.13, N_WINDOWS),
    "drawn daily, 0.11, sd 0.02": lambda rng: rng.normal(0.11, 0.02, N_WINDOWS),
    "drawn daily, 0.02 to 0.18": lambda rng: rng.uniform(0.02, 0.18, N_WINDOWS),
    "random walk, sd 0.015 a day": walk,
    **{f"wave of {n} days, 0.07 to 0.15": wave(n) for n in (6, 10, 14, 20, 30)},
    "0.05, and 0.20 every other day": lambda rng: np.resize([0.05, 0.20], N_WINDOWS),
    "three days 0.05, three 0.20": lambda rng: np.resize([0.05] * 3 + [0.20] * 3, N_WINDOWS),
}  # fmt: skip


def main() -> None:
    print(f"threshold 0.1, {N_SEEDS} seeds, {N_WINDOWS} windows; openings are `opened` and `reopened`")
    print(f"{'true JS distance':<34}{'most':>6}{'mean':>7}{'more than 2':>13}")
    for name, history in HISTORIES.items():
        worst = []
        for seed in range(N_SEEDS):
            rng = np.random.default_rng(seed)
            distances = [round(float(d), 3) for d in history(rng).clip(0.01)]
            worst.append(max(simulated(distances, rng).values(), default=0))
        print(f"{name:<34}{max(worst):>6}{np.mean(worst):>7.2f}{sum(n > 2 for n in worst):>13}")


if __name__ == "__main__":
    main()
