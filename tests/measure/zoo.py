"""A named zoo of samples, and histograms made from raw samples the way the scan makes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bq_monitor.freeze import freeze_edges, quantile_grid
from bq_monitor.measure.histogram import NAN, NEG_INF, NULL, POS_INF, Buckets, Histogram, Moments

Sample = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Sample]

ZOO: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "lognormal": lambda rng, n: rng.lognormal(0, 1.5, n),
    "exponential": lambda rng, n: rng.exponential(2, n),
    "uniform": lambda rng, n: rng.uniform(-1, 1, n),
    "heavy ties": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.normal(0, 1, n)),
    "pareto": lambda rng, n: rng.pareto(1.5, n),
    "bimodal": lambda rng, n: np.where(rng.random(n) < 0.5, rng.normal(-5, 1, n), rng.normal(5, 0.1, n)),
    "integers": lambda rng, n: rng.integers(0, 40, n).astype(np.float64),
}


def edges_of(values: ArrayLike, bins: int = 10) -> tuple[float, ...]:
    """Frozen edges from the values of a sample at the quantile grid (exact, discrete quantiles, as DuckDB gives)."""
    return freeze_edges(np.quantile(values, quantile_grid(bins), method="inverted_cdf").tolist())


def moments_of(values: ArrayLike) -> Moments:
    """The moments of finite values, straight from numpy."""
    x = np.asarray(values, dtype=np.float64)
    if not x.size:
        return Moments()
    return Moments(x.size, float(x.mean()), float(((x - x.mean()) ** 2).sum()), float(x.min()), float(x.max()))


def numeric(values: ArrayLike, edges: tuple[float, ...], *, n_null: int = 0) -> Histogram:
    """The histogram of a raw sample with `[lower, upper)` buckets; NaN and infinities in buckets of their own."""
    x = np.asarray(values, dtype=np.float64)
    finite = x[np.isfinite(x)]
    codes, counts = np.unique(np.searchsorted(edges, finite, side="right"), return_counts=True)
    special = {NULL: n_null, NAN: np.isnan(x).sum(), NEG_INF: np.isneginf(x).sum(), POS_INF: np.isposinf(x).sum()}
    pairs = [*zip(codes.tolist(), counts.tolist(), strict=True), *((code, int(n)) for code, n in special.items())]
    return Histogram.from_pairs(Buckets("numeric", edges=edges), pairs, moments_of(finite))


def labelled(counts: dict[str, int], *, specials: dict[int, int] | None = None) -> Histogram:
    """A categorical histogram of the given labels."""
    buckets = Buckets("categorical", labels=tuple(counts))
    return Histogram.from_pairs(buckets, [*enumerate(counts.values()), *(specials or {}).items()])
