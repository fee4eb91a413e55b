"""Judging from stored counts: every feature in every segment and window, by arrays; and one window in full. Both cores are used.

The counts are made, seeded, feature by feature, and making them is timed apart; what they take of memory counts. A sample is judged
again one by one. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bq_monitor.config import parse_config
from bq_monitor.judging import judge_windows
from bq_monitor.measure.deciding import Sides, decide
from bq_monitor.measure.histogram import Buckets, Coarse, Counts, Histogram, Moments
from bq_monitor.measure.restlessness import Clumping, DayEffects, Restlessness
from bq_monitor.measure.significance import adjusted
from bq_monitor.measure.verdict import Rule, compared, is_drifted
from bq_monitor.plan import Judgement
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.stored import CURRENT, Evidence
from bq_monitor.timegrid import Window

SECONDS, PEAK_MB, SECONDS_OF_ONE_WINDOW = 60.0, 2000, 0.1
N_BASELINE, N_CURRENT = 20_000, 2_000
FEATURES_AT_ONCE, SAMPLE = 20, 2_000
RULE = Rule()
RESTLESS, CLUMPING = Restlessness(0.002, 2.0, 60, 10, 0.0005), Clumping(1 / 60, 1 / 7)
KINDS = (
    *3 * (Buckets("numeric", edges=tuple(np.linspace(-3, 3, 61).tolist())),),
    *(Buckets("categorical", labels=tuple(f"label {i}" for i in range(n))) for n in (5, 20)),
)
"""Three numbers of 62 fine buckets, one feature of five labels, one of twenty; then again."""


@dataclass(frozen=True)
class Feature:
    """Stored counts of one feature: the baseline of each segment, and the windows, made as they are asked for."""

    index: int
    sizes: NDArray[np.float64]

    @property
    def buckets(self) -> Buckets:
        return KINDS[self.index % len(KINDS)]

    @property
    def restless(self) -> Restlessness | None:
        """Every fourth has days that differ."""
        return RESTLESS if self.index % 4 == 0 else None

    @property
    def shares(self) -> NDArray[np.float64]:
        n = self.buckets.n_regular
        weights = np.random.default_rng([1, self.index]).dirichlet(np.full(n, 20.0))
        return np.concatenate([0.99 * weights, [0.01], np.zeros(len(self.buckets.codes) - n - 1)])

    def baseline(self) -> Counts:
        return _drawn([2, self.index], N_BASELINE * self.sizes[:, None] * self.shares)

    def current(self, n_windows: int) -> Counts:
        """Shape `(windows, segments, fine buckets)`; every twentieth feature drifts in the second half of the windows."""
        shares, tilted = self.shares, self.shares.copy()
        tilted[: self.buckets.n_regular // 3] *= 2.5
        tilted /= tilted.sum()
        has_moved = (self.index % 20 == 1) & (np.arange(n_windows) >= n_windows // 2)
        of_windows = np.where(has_moved[:, None], tilted, shares)
        return _drawn([3, self.index], N_CURRENT * self.sizes[:, None] * of_windows[:, None, :])


def _drawn(seed: list[int], expected: NDArray[np.float64]) -> Counts:
    """Counts by the normal law about what is expected: much faster than a draw of each row, and as good here."""
    noise = np.random.default_rng(seed).standard_normal(expected.shape, dtype=np.float32)
    return np.maximum(0, np.rint(expected + np.sqrt(expected) * noise)).astype(np.int64)


@dataclass(frozen=True)
class Stored:
    """What is read of one feature; the coarse buckets are frozen with the reference."""

    feature: Feature
    coarses: list[Coarse]
    starts: list[NDArray[np.intp]]
    baseline: Counts
    current: Counts

    @classmethod
    def of(cls, feature: Feature, n_windows: int) -> Stored:
        baseline = feature.baseline()
        coarses = [Coarse.of(Histogram(feature.buckets, counts)) for counts in baseline]
        return cls(feature, coarses, [coarse.starts for coarse in coarses], baseline, feature.current(n_windows))

    def sides(self) -> Iterator[tuple[NDArray[np.intp], Sides]]:
        """By number of coarse buckets: which segments, and their counts."""
        widths = np.array([len(starts) for starts in self.starts])
        for width in np.unique(widths):
            which = np.flatnonzero(widths == width)
            starts = np.stack([self.starts[i] for i in which])
            baseline, current = (
                self.baseline[which],
                self.current if len(which) == len(widths) else self.current[:, which],
            )
            same = np.zeros(len(which) * len(current), dtype=np.intp)
            days = DayEffects.of([self.feature.restless], [CLUMPING])[same]
            yield which, Sides(self.feature.buckets, starts, baseline, current, days)


@dataclass
class Columns:
    """What is found, shape `(windows, features, segments)`; adjusted p-values are handed on window by window, their status kept."""

    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        self.value, self.score, self.p_value = (np.full(self.shape, np.nan) for _ in range(3))
        self.is_drift = np.zeros(self.shape, dtype=np.bool_)

    def judge(self, stored: Stored) -> None:
        for which, sides in stored.sides():
            found = decide(sides, RULE.metric, np.full(len(sides), RULE.threshold), RULE.min_rows)
            for column, values in (
                (self.value, found.value), (self.score, found.drift_score), (self.p_value, found.p_value),
            ):  # fmt: skip
                column[:, stored.feature.index, which] = values.reshape(-1, len(which))

    def settle(self, window: int) -> None:
        self.is_drift[window] = self.drifted(self.p_value[window])

    def drifted(self, p_values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Of all tests of one window."""
        return is_drifted(adjusted(p_values.reshape(-1)), RULE.alpha).reshape(p_values.shape)


@dataclass(frozen=True)
class Sampled:
    """A test to judge again, one by one."""

    at: tuple[int, int, int]
    baseline: Histogram
    current: Histogram
    coarse: Coarse
    restless: Restlessness | None

    @classmethod
    def of(cls, at: tuple[int, int, int], stored: Stored) -> Sampled:
        (window, _, segment), buckets = at, stored.feature.buckets
        sides = (
            Histogram(buckets, counts.copy()) for counts in (stored.baseline[segment], stored.current[window, segment])
        )
        return cls(at, *sides, stored.coarses[segment], stored.feature.restless)

    def p_value(self) -> float:
        pair = compared(self.baseline, self.current, self.coarse, restless=self.restless, clumping=CLUMPING)
        found = pair.verdict(RULE).p_value
        return np.nan if found is None else found


@dataclass
class Bench:
    """All features, segments and windows; some windows at a time, some features at a time."""

    options: argparse.Namespace
    pool: ThreadPoolExecutor
    judging: float = 0.0
    processor: float = 0.0
    making: float = 0.0
    n_evaluated: int = 0
    n_drifted: int = 0
    n_checked: int = 0
    n_differing: int = 0

    def run(self) -> None:
        rng, options = np.random.default_rng(0), self.options
        sizes = rng.lognormal(0, 0.7, options.segments)
        columns = Columns((options.windows, options.features, options.segments))
        picks, sampled = rng.integers(0, columns.shape, (SAMPLE, 3)), []
        for first in range(0, options.features, FEATURES_AT_ONCE):
            some = [Feature(i, sizes) for i in range(first, min(options.features, first + FEATURES_AT_ONCE))]
            began = time.perf_counter()
            stored = list(self.pool.map(lambda feature: Stored.of(feature, options.windows), some))
            self.making += time.perf_counter() - began
            self._timed(columns.judge, stored)
            here = picks[(picks[:, 1] >= first) & (picks[:, 1] < first + len(some))]
            sampled += [Sampled.of((w, f, s), stored[f - first]) for w, f, s in here.tolist()]
        self._timed(columns.settle, range(options.windows))
        self.n_evaluated, self.n_drifted = (
            int(columns.p_value.size - np.isnan(columns.p_value).sum()),
            int(columns.is_drift.sum()),
        )
        self._check(columns, sampled)

    def _timed(self, do: Callable[[Any], None], what: Sequence[Any]) -> None:
        began, used = time.perf_counter(), time.process_time()
        list(self.pool.map(do, what))
        self.judging += time.perf_counter() - began
        self.processor += time.process_time() - used

    def _check(self, columns: Columns, sampled: Sequence[Sampled]) -> None:
        """Each sampled test, judged alone among the others of its window, has the same p-value and the same status."""
        by_window: dict[int, list[Sampled]] = {}
        for test in sampled:
            by_window.setdefault(test.at[0], []).append(test)
        for window, tests in by_window.items():
            again = columns.p_value[window].copy()
            for test in tests:
                again[test.at[1:]] = test.p_value()
            same = np.isclose(again, columns.p_value[window], rtol=1e-9, atol=0, equal_nan=True)
            self.n_differing += int((~same | (columns.drifted(again) != columns.is_drift[window])).sum())
        self.n_checked = len(sampled)


def one_window(n_features: int = 200) -> tuple[float, int]:
    """Seconds to judge one window of so many features in full, the median of five; and how many drifted."""
    config = parse_config({
        "monitor": "benchmark", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts"},
        "features": "auto", "window": {"start": "2026-01-01"},
    })  # fmt: skip
    features = [Feature(i, np.ones(1)) for i in range(n_features)]
    frozen = tuple(
        FeatureReference(f"f{x.index}", "feature", "FLOAT64", _histogram(x, x.baseline()[0]), restless=x.restless)
        for x in features
    )
    current = {("all", f"f{x.index}"): _histogram(x, x.current(2)[1, 0]) for x in features}
    start = datetime(2026, 2, 1, tzinfo=UTC)
    reference = Reference("benchmark", "1", "r", "salt", start, frozen, {}, clumping=CLUMPING.baseline)
    judgement = Judgement(Window(start, start + timedelta(days=7)), "1", reference, "key", (N_CURRENT // 7,) * 7)
    seconds = []
    for _ in range(6):  # the first loads scipy
        began = time.perf_counter()
        results = judge_windows(config, [judgement], Evidence({(0, CURRENT): current}))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:]), sum(result.verdict.status == "drift" for result in results)


def _histogram(feature: Feature, counts: Counts) -> Histogram:
    n = int(counts[: feature.buckets.n_regular].sum())
    moments = Moments(n, 0.0, float(n), -4.0, 4.0) if feature.buckets.numeric else None
    return Histogram(feature.buckets, counts, moments)


def main() -> int:
    options = _options()
    seconds_of_one, n_drifted = one_window()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bench = Bench(options, pool)
        bench.run()
    n_tests = options.features * options.segments * options.windows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024) * 1.048576
    targets = {
        f"{n_tests:,} tests in less than {SECONDS:.0f} s": bench.judging < SECONDS,
        f"less than {PEAK_MB:,} MB": peak < PEAK_MB,
        f"200 features x 1 window in less than {SECONDS_OF_ONE_WINDOW} s": seconds_of_one < SECONDS_OF_ONE_WINDOW,
        "judged one by one, the sample is the same": not bench.n_differing,
    }
    print(f"{options.features:,} features x {options.segments:,} segments x {options.windows:,} windows\n")
    print("       tests   drifted   seconds   of processors   us a test   peak memory   making counts, s")
    print(
        f"{bench.n_evaluated:>12,}{bench.n_drifted:>10,}{bench.judging:>10.1f}{bench.processor:>16.1f}"
        f"{1e6 * bench.judging / n_tests:>12.2f}{peak:>11,.0f} MB{bench.making:>19.1f}\n"
    )
    print(f"200 features x 1 window with all evidence: {seconds_of_one:.3f} s, {n_drifted} drifted")
    print(f"judged again one by one: {bench.n_checked:,} tests, {bench.n_differing:,} differ\n")
    for target, met in targets.items():
        print(f"target: {target}: {'met' if met else 'MISSED'}")
    return 0 if all(targets.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=5_000)
    parser.add_argument("--segments", type=int, default=100)
    parser.add_argument("--windows", type=int, default=90)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
