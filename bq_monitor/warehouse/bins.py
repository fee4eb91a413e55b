"""Buckets of floats as bins of integers: DuckDB finds the bin of an integer four times as fast as that of a DOUBLE.

The 64 bits of a DOUBLE, read as a signed integer, keep the order of the positive numbers and turn round that of the negative
ones; NaN and the infinities lie outside the finite numbers on both sides. So each bucket is one stretch of integers, or two
or three (around zero, and for NaN), and nothing is rounded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from bq_monitor.measure.histogram import NAN, NEG_INF, NULL, POS_INF
from bq_monitor.warehouse.base import Row


def integer_bins(edges: Sequence[float]) -> tuple[list[int], list[Row]]:
    """Bins for DuckDB's `HISTOGRAM` over `CAST(CAST(x AS BIT) AS BIGINT)`.

    Args:
        edges: of the buckets `[lower, upper)`, ascending and finite.

    Returns:
        The upper ends of the bins `(lower, upper]`, ascending; and `{bucket, bins}` for each bucket by its code, where bins are
        positions in the list `[n of NULL, *n of each bin]`, counted from 1.
    """
    finite = np.asarray(edges, dtype=np.float64)
    last_of_bucket = np.concatenate([finite[finite < 0], np.nextafter(finite[finite > 0], -np.inf)])
    largest = sys.float_info.max
    special = np.array([-0.0, -largest, -np.inf, largest, np.inf])
    not_numbers = np.array([-1, np.iinfo(np.int64).max])
    ends = np.unique(np.concatenate([last_of_bucket.view(np.int64), special.view(np.int64), not_numbers]))
    bins: dict[int, list[int]] = {NULL: [1]}
    for position, value in enumerate(ends.view(np.float64), start=2):
        bins.setdefault(_bucket(float(value), finite), []).append(position)
    return ends.tolist(), [{"bucket": bucket, "bins": bins[bucket]} for bucket in sorted(bins)]


def _bucket(value: float, edges: np.ndarray) -> int:
    if np.isnan(value):
        return NAN
    if np.isinf(value):
        return POS_INF if value > 0 else NEG_INF
    return int(np.searchsorted(edges, value, side="right"))
