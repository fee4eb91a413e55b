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

_CERTAIN = 1e-6
"""Below this the p-value of a KS statistic need only be small."""
_MANY = 1000
_CANCELS = 1e-5
"""Below this the complement of a probability keeps fewer than ten digits."""
_FACTORS = {"js_distance": 8 * float(np.log(2)), "psi": 1.0}


@dataclass(frozen=True)
class Law:
    """The law of an observed divergence at given sample sizes; the module says which.

    Args:
        metric: `js_distance` (0..1, base 2) or `psi` (nats).
        n_buckets: buckets with rows on either side, at least 2; the degrees of freedom are one less.
        n_baseline, n_current: rows, or what they are worth.
        wide: what the restlessness of days does to the statistic, where it is known; otherwise rows count as independent.
    """

    metric: str
    n_buckets: int
    n_baseline: float
    n_current: float
    wide: Widening | None = None

    @property
    def df(self) -> float:
        return self.wide.df if self.wide else self.n_buckets - 1.0

    @property
    def noise_floor(self) -> float:
        """What the metric shows on average without any change."""
        return self._unit(self.df)

    def p_value(self, value: float, threshold: float) -> float:
        """The chance, 0..1, of a value at least this large if the true one equals the threshold (0: of any change)."""
        from scipy import special

        statistic = self._statistic(value)
        with np.errstate(all="ignore"):
            if not threshold:
                return float(special.chdtrc(self.df, statistic))
            return min(1.0, max(0.0, _survival(statistic, self.df, self._statistic(threshold))))

    def bounds(self, value: float, alpha: float) -> tuple[float, float]:
        """Confidence bounds of the true value, each one-sided at `alpha`; lower <= value <= upper."""
        from scipy import special

        df, statistic = self.df, self._statistic(value)
        central = float(special.chdtrc(df, statistic))  # the chance of a statistic this large without any change
        with np.errstate(all="ignore"):
            lower = _noncentrality(float(special.chndtrinc(statistic, df, 1 - alpha))) if central < alpha else 0.0
            upper = _noncentrality(float(special.chndtrinc(statistic, df, alpha))) if 1 - central > alpha else 0.0
        return self._unit(lower), max(value, self._unit(upper))

    def corrected(self, value: float) -> float:
        """The value less what chance gives, floored at 0."""
        return self._unit(max(0.0, self._statistic(value) - self.df))

    @property
    def _scale(self) -> float:
        scale = _FACTORS[self.metric] * self.n_baseline * self.n_current / (self.n_baseline + self.n_current)
        return scale / self.wide.scale if self.wide else scale

    @property
    def _power(self) -> int:
        return 2 if self.metric == "js_distance" else 1  # a distance is the square root of a divergence

    def _statistic(self, value: float) -> float:
        return self._scale * value**self._power

    def _unit(self, statistic: float) -> float:
        limit = 1.0 if self.metric == "js_distance" else float("inf")
        return min(limit, float((statistic / self._scale) ** (1 / self._power)))


def ks_p_value(statistic: float, n_baseline: float, n_current: float) -> float | None:
    """Asymptotic two-sided p-value of a two-sample KS statistic; None when a side is empty. Sizes may be effective ones.

    Source: `scipy.stats.ks_2samp(method="asymp")`: the one-sample law at the effective size nm / (n + m). Below 1e-6 and from
    1,000 rows on, where that takes long and nothing hangs on a digit, Kolmogorov's limit with Stephens' (1970) correction: at most a
    tenth less than that law, and more than a tenth above it only below 1e-20.
    """
    from scipy import special, stats

    if not n_baseline or not n_current:
        return None
    n = max(1, round(n_baseline * n_current / (n_baseline + n_current)))
    root = np.sqrt(n)
    limit = float(special.kolmogorov((root + 0.12 + 0.11 / root) * statistic))
    return limit if limit < _CERTAIN and n >= _MANY else float(stats.kstwo.sf(statistic, n))


def chi2_test(baseline: ArrayLike, current: ArrayLike) -> tuple[float, float] | None:
    """Pearson's chi-square of a 2 x buckets table, `(statistic, p_value)`, without Yates' correction.

    Returns:
        None when a side has no rows or fewer than two buckets are used: there is nothing to compare.

    Source: Pearson (1900); `scipy.stats.chi2_contingency(correction=False)`.
    """
    from scipy import special

    table = np.array([baseline, current], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not (table.sum(axis=1) > 0).all():
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(special.chdtrc(table.shape[1] - 1, statistic))


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
    """P(noncentral chi-square >= statistic): the complement where that is accurate, far above the mean the sum of what it is a
    mixture of: central laws of df + 2k degrees, k Poisson of mean noncentrality / 2; of that sum the terms about its largest.

    Source: Fisher (1928); Johnson, Kotz and Balakrishnan (1995), eq. 29.3.
    """
    from scipy import special

    complement = 1.0 - float(special.chndtr(statistic, df, noncentrality))
    if complement > _CANCELS or statistic < df + noncentrality:
        return complement
    mean = noncentrality / 2
    largest = -df / 4 + np.sqrt(df**2 / 16 + mean * statistic / 2)
    width = 50 + 12 * np.sqrt(largest)
    k = np.arange(max(0, int(largest - width)), int(largest + width) + 1, dtype=np.float64)
    weights = np.exp(special.xlogy(k, mean) - mean - special.gammaln(k + 1))
    return float((weights * special.chdtrc(df + 2 * k, statistic)).sum())


def _noncentrality(value: float) -> float:
    """What scipy answers where no non-centrality fits (NaN) or the search ran away (its ceiling) counts as none."""
    return float(value) if np.isfinite(value) and value < 1e299 else 0.0
