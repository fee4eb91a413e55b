"""What chance alone does to a divergence: p-values, noise floor, bounds, and the correction for testing many.

The chi-square approximation behind the verdict: for counts of `n` baseline and `m` current rows from one distribution,
`T = 8 JS nm / (n + m)` (JS in nats) is about chi-square with (buckets - 1) degrees of freedom; with a true divergence `d` it is
non-central with `8 d nm / (n + m)`. PSI obeys the same law with factor 1 instead of 8, because PSI is about 8 JS when
the two are close. Source: Menendez, Pardo, Pardo, Pardo (1997), "The Jensen-Shannon divergence", theorem 3.1 (first order).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bq_monitor.measure.restlessness import Widening

_FACTORS = {"js_distance": 8 * float(np.log(2)), "psi": 1.0}


@dataclass(frozen=True)
class Exceedance:
    """How sure one may be that a true divergence exceeds a threshold.

    Args:
        p_value: probability, 0..1, of a divergence at least this large if the true one equals the threshold.
        noise_floor: what the metric shows on average without any change, at these sample sizes.
        lower, upper: confidence bounds of the true divergence, each one-sided at `alpha`; lower <= observed <= upper.
        corrected: the divergence less what chance gives, floored at 0.
    """

    p_value: float
    noise_floor: float
    lower: float
    upper: float
    corrected: float


def exceedance(
    metric: str, value: float, threshold: float, *, n_buckets: int, n_baseline: int, n_current: int, alpha: float,
    wide: Widening | None = None,
) -> Exceedance | None:  # fmt: skip
    """Test "the true `metric` is above `threshold`" from the observed `value` and the sample sizes.

    Args:
        metric: `js_distance` (0..1, base 2) or `psi` (nats).
        n_buckets: buckets with rows on either side; the degrees of freedom are one less.
        wide: what the restlessness of days does to the statistic, where it is known; otherwise rows count as independent.

    Returns:
        None when a side is empty. With a single bucket nothing can differ: p-value 1, bounds 0.
    """
    from scipy import special

    if not n_baseline or not n_current:
        return None
    if n_buckets < 2:
        return Exceedance(1.0, 0.0, 0.0, 0.0, 0.0)
    power = 2 if metric == "js_distance" else 1  # a distance is the square root of a divergence
    scale = _FACTORS[metric] * n_baseline * n_current / (n_baseline + n_current)
    wide = wide or Widening(1.0, n_buckets - 1.0)
    scale, df = scale / wide.scale, wide.df
    statistic = scale * value**power
    central = float(special.chdtrc(df, statistic))  # the chance of a statistic this large without any change
    with np.errstate(all="ignore"):
        p_value = _survival(statistic, df, scale * threshold**power) if threshold else central
        lower = _noncentrality(float(special.chndtrinc(statistic, df, 1 - alpha))) if central < alpha else 0.0
        upper = _noncentrality(float(special.chndtrinc(statistic, df, alpha))) if 1 - central > alpha else 0.0

    def unit(t: float) -> float:
        return float((t / scale) ** (1 / power))

    limit = 1.0 if metric == "js_distance" else float("inf")
    return Exceedance(
        p_value=min(1.0, max(0.0, p_value)),
        noise_floor=min(limit, unit(df)),
        lower=min(limit, unit(lower)),
        upper=min(limit, max(value, unit(upper))),
        corrected=min(limit, unit(max(0.0, statistic - df))),
    )


def ks_p_value(statistic: float, n_baseline: float, n_current: float) -> float | None:
    """Asymptotic two-sided p-value of a two-sample KS statistic; None when a side is empty. Sizes may be effective ones.

    Source: `scipy.stats.ks_2samp(method="asymp")`: the one-sample law at the effective size nm / (n + m).
    """
    from scipy import stats

    if not n_baseline or not n_current:
        return None
    return float(stats.kstwo.sf(statistic, max(1, round(n_baseline * n_current / (n_baseline + n_current)))))


def chi2_test(baseline: ArrayLike, current: ArrayLike) -> tuple[float, float] | None:
    """Pearson's chi-square of a 2 x buckets table, `(statistic, p_value)`, without Yates' correction.

    Returns:
        None when a side has no rows or fewer than two buckets are used: there is nothing to compare.

    Source: Pearson (1900); `scipy.stats.chi2_contingency(correction=False)`.
    """
    from scipy import stats

    table = np.array([baseline, current], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not (table.sum(axis=1) > 0).all():
        return None
    result = stats.chi2_contingency(table, correction=False)
    return float(result.statistic), float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; controls the chance of any false verdict.

    Source: Holm (1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(value) for value in adjusted]


def _survival(statistic: float, df: float, noncentrality: float) -> float:
    """P(noncentral chi-square >= statistic), each half from the function that is accurate there.

    Far below the mean `ncx2.sf` overflows (scipy 1.17); far above it `1 - chndtr` cancels.
    """
    from scipy import special, stats

    if statistic < df + noncentrality:
        return 1.0 - float(special.chndtr(statistic, df, noncentrality))
    return float(stats.ncx2.sf(statistic, df, noncentrality))


def _noncentrality(value: float) -> float:
    """What scipy answers where no non-centrality fits (NaN) or the search ran away (its ceiling) counts as none."""
    return float(value) if np.isfinite(value) and value < 1e299 else 0.0
