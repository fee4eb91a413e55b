"""A number with its uncertainty: bounds, and the chance of it where the true value lies on the other side of a limit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, sqrt
from typing import Literal

Scale = Literal["share", "plain", "log", "logit", "none"]


@dataclass(frozen=True)
class Measured:
    """An estimate.

    Args:
        value: None where undefined; `reason` then says why.
        n: rows that it is told from (for a share: of its denominator).
        error: standard error on the scale; a share needs none, None elsewhere: the uncertainty is not known.
        scale: where it is about normal: `share` (a proportion of n independent rows; Wilson's interval), `plain`, `log` (of a
            positive number), `logit` (of one within 0..1), `none` (no interval).
        bound: by how much the value from the raw rows may differ, as buckets approximate; 0 where sums suffice.

    Source: Wilson (1927) for shares; the delta method elsewhere.
    """

    value: float | None
    n: int = 0
    error: float | None = None
    scale: Scale = "plain"
    reason: str | None = None
    bound: float = 0.0

    def bounds(self, alpha: float) -> tuple[float | None, float | None]:
        """Confidence bounds of the true value, each one-sided at `alpha`; None where undefined."""
        from scipy import special

        if self.value is None or self.scale == "none":
            return None, None
        z = float(special.ndtri(1 - alpha))
        if self.scale == "share":
            return _wilson(self.value, self.n, z) if self.n else (None, None)
        if self.error is None:
            return None, None
        middle = self._to_scale(self.value)
        return self._from_scale(middle - z * self.error), self._from_scale(middle + z * self.error)

    def p_below(self, limit: float) -> float | None:
        """The chance of a value as low as this if the true one were at `limit`; small: it is surely below. None where undefined."""
        from scipy import special

        z = self._z(limit)
        return None if z is None else float(special.ndtr(z))

    def p_above(self, limit: float) -> float | None:
        """The chance of a value as high as this if the true one were at `limit`; small: it is surely above. None where undefined."""
        below = self._z(limit)
        from scipy import special

        return None if below is None else float(special.ndtr(-below))

    def minus(self, other: Measured) -> Measured:
        """The difference from an independent estimate, on the plain scale; undefined where either is."""
        if self.value is None or other.value is None:
            return Measured(None, self.n, reason=self.reason or other.reason)
        mine, others = self.plain_error, other.plain_error
        error = None if mine is None or others is None else sqrt(mine**2 + others**2)
        return Measured(self.value - other.value, self.n, error, bound=self.bound + other.bound)

    @property
    def plain_error(self) -> float | None:
        """The standard error of the value itself, by the delta method; None where it is not known."""
        if self.value is None or self.scale == "none":
            return None
        if self.scale == "share":  # Agresti and Coull's centre keeps a share of 0 or 1 uncertain
            share = (self.value * self.n + 2) / (self.n + 4)
            return sqrt(share * (1 - share) / (self.n + 4)) if self.n else None
        if self.error is None:
            return None
        slope = {"plain": 1.0, "log": self.value, "logit": self.value * (1 - self.value)}[self.scale]
        return self.error * slope

    def _z(self, limit: float) -> float | None:
        """How many standard errors the value lies above a limit."""
        if self.value is None or self.scale == "none":
            return None
        if self.scale == "share":
            if not self.n:
                return None
            spread = sqrt(max(0.0, limit * (1 - limit)) / self.n)
            distance = self.value - limit
        else:
            if self.error is None:
                return None
            spread, distance = self.error, self._to_scale(self.value) - self._to_scale(limit)
        if not distance:
            return 0.0
        return distance / spread if spread > 0 else (inf if distance > 0 else -inf)

    def _to_scale(self, value: float) -> float:
        if self.scale == "log":
            return log(value) if value > 0 else -inf
        if self.scale == "logit":
            return log(value / (1 - value)) if 0 < value < 1 else (-inf if value <= 0 else inf)
        return value

    def _from_scale(self, value: float) -> float:
        if self.scale == "log":
            return exp(min(value, 700.0))
        return 1 / (1 + exp(-value)) if self.scale == "logit" else value


def undefined(reason: str, n: int = 0) -> Measured:
    """What could not be measured, and why."""
    return Measured(None, n, reason=reason, scale="none")


def share_of(part: int, whole: int, reason: str) -> Measured:
    """The share `part / whole` of independent rows; undefined, as `reason`, of none."""
    return Measured(part / whole, whole, scale="share") if whole else undefined(reason)


def _wilson(share: float, n: int, z: float) -> tuple[float, float]:
    centre, spread = share + z * z / (2 * n), z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
    return max(0.0, min(low, share)), min(1.0, max(high, share))  # around the share also when rounded
