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
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_SMALL, _MANY = 0.05, 1000
"""Where the p-value of a KS statistic is at most so large, and rows are fewer, it is exact."""
_CANCELS = 1e-5
"""Below this the complement of a probability keeps fewer than ten digits."""
_LOG_CANCELS = float(np.log(_CANCELS))
_LOG_NOTHING = -40.0
"""The log of a chance that changes no digit of its complement: that ends at 2^-53, -36.7; the rest is for the rounding of a bound."""
_TINY, _LOG_TINY = 1e-250, -690.0
"""Below these a product of small numbers may have lost digits: the least float that has all is 1e-308, e^-708."""
_TERMS_AT_ONCE = 1 << 16
_FACTORS = {"js_distance": 8 * float(np.log(2)), "psi": 1.0}


@dataclass(frozen=True)
class Law:
    """The law of an observed divergence at given sample sizes; the module says which.

    Args:
        metric: `js_distance` (0..1, base 2) or `psi` (nats).
        n_buckets: buckets with rows on either side, at least 2; the degrees of freedom are one less.
        n_baseline, n_current: rows, or what they are worth.
    """

    metric: str
    n_buckets: int
    n_baseline: float
    n_current: float

    def p_value(self, value: float, threshold: float) -> float:
        """The chance, 0..1, of a value at least this large if the true one equals the threshold (0: of any change)."""
        return float(self._laws.p_values(np.array([value]), np.array([threshold]))[0])

    def bounds(self, value: float, alpha: float) -> tuple[float, float]:
        """Confidence bounds of the true value, each one-sided at `alpha`; lower <= value <= upper."""
        lower, upper = self._laws.bounds(np.array([value]), np.array([alpha]))
        return float(lower[0]), float(upper[0])

    def corrected(self, value: float) -> float:
        """The value less what chance gives, floored at 0."""
        return float(self._laws.corrected(np.array([value]))[0])

    @property
    def _laws(self) -> Laws:
        k, n, m = (np.array([x], dtype=np.float64) for x in (self.n_buckets, self.n_baseline, self.n_current))
        return Laws.of(self.metric, k, n, m)


@dataclass(frozen=True)
class Laws:
    """`Law` of many tests; arrays, one element a test, of one metric.

    Args:
        df: degrees of freedom.
        scale: what turns the metric (squared, where it is a distance) into the statistic.
    """

    metric: str
    df: Floats
    scale: Floats

    @classmethod
    def of(
        cls,
        metric: str,
        n_buckets: Floats,
        n_baseline: Floats,
        n_current: Floats,
        wide: tuple[Floats, Floats] | None = None,
    ) -> Laws:
        """Sizes as of `Law`; `wide` are the scales and degrees of freedom of `widenings`, without which rows count as independent."""
        scale: Floats = _FACTORS[metric] * n_baseline * n_current / (n_baseline + n_current)
        return cls(metric, n_buckets - 1.0, scale) if wide is None else cls(metric, wide[1], scale / wide[0])

    def __getitem__(self, tests: NDArray[np.intp] | NDArray[np.bool_]) -> Laws:
        return Laws(self.metric, self.df[tests], self.scale[tests])

    @property
    def noise_floors(self) -> Floats:
        """What the metric shows on average without any change."""
        return self._unit(self.df)

    def p_values(self, values: Floats, thresholds: Floats) -> Floats:
        statistics, limits = self._statistic(values), self._statistic(thresholds)
        with np.errstate(all="ignore"):
            if thresholds.all():
                return np.clip(_survival(statistics, self.df, limits), 0.0, 1.0)
            some = self[thresholds > 0].p_values(values[thresholds > 0], thresholds[thresholds > 0])
            found = central_p_values(statistics, self.df)
        found[thresholds > 0] = some
        return found

    def bounds(self, values: Floats, alphas: Floats) -> tuple[Floats, Floats]:
        from scipy import special

        statistics = self._statistic(values)
        central = central_p_values(statistics, self.df)  # the chance of a statistic this large without any change
        lower, upper = np.zeros(len(values)), np.zeros(len(values))
        with np.errstate(all="ignore"):
            for found, sought, reached in (
                (lower, 1 - alphas, central < alphas),
                (upper, alphas, 1 - central > alphas),
            ):
                inverted: NDArray[np.floating] = special.chndtrinc(
                    statistics[reached], self.df[reached], sought[reached]
                )
                found[reached] = _noncentrality(inverted)
        return self._unit(lower), np.maximum(values, self._unit(upper))

    def corrected(self, values: Floats) -> Floats:
        return self._unit(np.maximum(0.0, self._statistic(values) - self.df))

    @property
    def _power(self) -> int:
        return 2 if self.metric == "js_distance" else 1  # a distance is the square root of a divergence

    def _statistic(self, values: Floats) -> Floats:
        return self.scale * values**self._power

    def _unit(self, statistics: Floats) -> Floats:
        limit = 1.0 if self.metric == "js_distance" else np.inf
        return np.minimum(limit, (statistics / self.scale) ** (1 / self._power))


def ks_p_value(statistic: float, n_baseline: float, n_current: float) -> float | None:
    """Asymptotic two-sided p-value of a two-sample KS statistic; None when a side is empty. Sizes may be effective ones.

    Source: the one-sample law at the effective size nm / (n + m), as `scipy.stats.ks_2samp(method="asymp")` has it. Where it is small, twice
    the exact law of one side (Smirnov, 1939; what it counts double is less than the square of it); elsewhere and from 1,000 rows on
    Kolmogorov's limit with Stephens' (1970) correction: within 3 % of the law from five rows on; within 7 % of one of 1e-20.
    """
    if not n_baseline or not n_current:
        return None
    return float(ks_p_values(*(np.array([x], dtype=np.float64) for x in (statistic, n_baseline, n_current)))[0])


def ks_p_values(statistics: Floats, n_baseline: Floats, n_current: Floats) -> Floats:
    """`ks_p_value` of many statistics; each side has rows."""
    from scipy import special  # not scipy.stats, whose import takes longer than many a comparison

    n = np.maximum(1, np.rint(n_baseline * n_current / (n_baseline + n_current)))
    root = np.sqrt(n)
    found: Floats = special.kolmogorov((root + 0.12 + 0.11 / root) * statistics)
    few = np.flatnonzero(n < _MANY)
    twice = 2 * special.smirnov(n[few].astype(np.int64), statistics[few])
    found[few] = np.where(twice < _SMALL, twice, found[few])
    return found


def chi2_test(baseline: ArrayLike, current: ArrayLike) -> tuple[float, float] | None:
    """Pearson's chi-square of a 2 x buckets table, `(statistic, p_value)`, without Yates' correction.

    Returns:
        None when a side has no rows or fewer than two buckets are used: there is nothing to compare.

    Source: Pearson (1900); `scipy.stats.chi2_contingency(correction=False)`.
    """
    statistics, p_values = chi2_tests(np.atleast_2d(baseline), np.atleast_2d(current))
    return None if np.isnan(statistics[0]) else (float(statistics[0]), float(p_values[0]))


def chi2_tests(baseline: ArrayLike, current: ArrayLike) -> tuple[Floats, Floats]:
    """`chi2_test` of many tables, counts of shape `(tests, buckets)`; NaN where there is nothing to compare."""
    table = np.stack([np.asarray(side, dtype=np.float64) for side in (baseline, current)], axis=-2)
    columns, rows = table.sum(axis=-2, keepdims=True), table.sum(axis=-1, keepdims=True)
    df = (columns > 0).sum(axis=(-1, -2)) - 1.0
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN: a side without rows
        expected = rows * columns / rows.sum(axis=-2, keepdims=True)
        parts = np.divide((table - expected) ** 2, expected, out=np.zeros_like(table), where=columns > 0)
        statistics = parts.sum(axis=(-1, -2))
    statistics[(df < 1) | ~(rows > 0).all(axis=(-1, -2))] = np.nan
    return statistics, central_p_values(statistics, df)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; controls the chance of any false verdict.

    Source: Holm (1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    found: list[float] = adjusted(np.asarray(p_values, dtype=np.float64)).tolist()
    return found


def adjusted(p_values: Floats) -> Floats:
    """`holm` of an array, shape `(tests,)`. NaN, what was not evaluated, stays NaN and does not count; 1 stays 1 and is not sorted."""
    found = np.where(np.isnan(p_values), np.nan, 1.0)
    below = np.flatnonzero(p_values < 1)
    order = below[np.argsort(p_values[below], kind="stable")]
    left = np.count_nonzero(~np.isnan(p_values)) - np.arange(len(order))
    found[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * left))
    return found


def central_p_values(statistics: Floats, df: Floats) -> Floats:
    """P(chi-square >= statistic)."""
    from scipy import special

    found: Floats = special.chdtrc(df, statistics)
    return found


def _survival(statistics: Floats, df: Floats, noncentrality: Floats) -> Floats:
    """P(noncentral chi-square >= statistic): the complement where that is accurate, far above the mean `_far_tail`.

    Where Chernoff's bound alone says that the complement is 1 to the last digit, or too small to be accurate, it is not asked for:
    most tests of healthy features end here.
    """
    from scipy import special

    log_bound, is_above = _chernoff(statistics, df, noncentrality), statistics >= df + noncentrality
    found = np.ones_like(statistics)
    asked = log_bound > np.where(is_above, _LOG_CANCELS, _LOG_NOTHING)
    found[asked] = 1.0 - special.chndtr(statistics[asked], df[asked], noncentrality[asked])
    far = is_above & (~asked | (found <= _CANCELS))
    if far.any():
        found[far] = _far_tail(statistics[far], df[far], noncentrality[far])
    return found


def _chernoff(statistics: Floats, df: Floats, noncentrality: Floats) -> Floats:
    """The log of a bound of the chance that a noncentral chi-square lies at least so far from its mean, on the side of the statistic.

    The least of -s x + log E exp(s X) over s; with v = 1 / (1 - 2 s) - 1 it is -df/2 (v - log(1 + v)) - noncentrality/2 v^2.
    Source: Chernoff (1952).
    """
    v = 2 * statistics / (df + np.sqrt(df**2 + 4 * statistics * noncentrality)) - 1
    return -df / 2 * (v - np.log1p(v)) - noncentrality / 2 * v**2


def _far_tail(statistics: Floats, df: Floats, noncentrality: Floats) -> Floats:
    """Of what a noncentral chi-square is a mixture of, central laws of df + 2k degrees, k Poisson of mean noncentrality / 2, the sum
    of the terms about the largest.

    Source: Fisher (1928); Johnson, Kotz and Balakrishnan (1995), eq. 29.3.
    """
    found = np.empty_like(statistics)
    mean, half = noncentrality / 2, statistics / 2
    largest = -df / 4 + np.sqrt(df**2 / 16 + mean * half)
    width = 20 + 8 * np.sqrt(largest)  # eight standard deviations of the Poisson law, and what it is skewed by
    first = np.maximum(0, np.trunc(largest - width))
    n_terms = np.trunc(largest + width - first).astype(np.int64) + 1
    order = np.argsort(n_terms)  # like with like: a block is as wide as its widest
    ends = np.searchsorted(
        np.cumsum(n_terms[order]), _TERMS_AT_ONCE * np.arange(1, 2 + n_terms.sum() // _TERMS_AT_ONCE)
    )
    for rows in np.split(order, np.unique(ends)):
        if len(rows):
            found[rows] = _mixture(half[rows], df[rows], mean[rows], first[rows], int(n_terms[rows].max()))
    return found


def _mixture(half: Floats, df: Floats, mean: Floats, first: Floats, n_terms: int) -> Floats:
    """The sum over k from `first` of P(Poisson = k) P(chi-square of df + 2k degrees >= 2 half), both by recurrence over k.

    By products; where these underflow by sums of logs, which take six times as long.
    """
    from scipy import special

    k = first[:, None] + np.arange(n_terms)
    steps = np.stack([mean[:, None] / np.maximum(k, 1), half[:, None] / (df[:, None] / 2 + k)])
    log_first = np.stack([
        special.xlogy(first, mean) - mean - special.gammaln(first + 1),
        special.xlogy(df / 2 + first, half) - half - special.gammaln(df / 2 + first + 1),
    ])  # fmt: skip
    tails = special.chdtrc(df + 2 * first, 2 * half)
    steps[..., 0] = np.exp(log_first)
    found = _weighted(np.cumprod(steps, axis=-1), tails)
    tiny = (found < _TINY) | (log_first < _LOG_TINY).any(axis=0)
    if tiny.any():
        logs = np.log(steps[:, tiny])
        logs[..., 0] = log_first[:, tiny]
        found[tiny] = _weighted(np.exp(np.cumsum(logs, axis=-1, out=logs), out=logs), tails[tiny])
    return found


def _weighted(laws: NDArray[np.floating], tails: Floats) -> Floats:
    """The sum of weights times tails, from the weights, by how much each tail exceeds the one before, and the first tail."""
    weights, gains = laws
    gains[:, 1:] = gains[:, :-1]
    gains[:, 0] = tails
    found: Floats = (weights * np.cumsum(gains, axis=-1, out=gains)).sum(axis=-1)
    return found


def _noncentrality(values: NDArray[np.floating]) -> Floats:
    """What scipy answers where no non-centrality fits (NaN) or the search ran away (its ceiling) counts as none."""
    found: Floats = np.where(np.isfinite(values) & (values < 1e299), values, 0.0)
    return found
