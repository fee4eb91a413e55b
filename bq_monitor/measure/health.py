"""One number for how a model is, from the parts that it is made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

WEIGHTS: Mapping[str, int] = {"features": 30, "prediction": 20, "performance": 30, "concept": 10, "quality": 10}
"""What each part counts for in the whole; parts that could not be evaluated count for nothing."""


def health(parts: Mapping[str, float | None]) -> int | None:
    """0..100: the mean of the parts that could be evaluated (each 0..100), by `WEIGHTS`, halves up; None when none could.

    >>> health({"features": 50, "prediction": None, "quality": 100})
    63
    """
    known = [(score, WEIGHTS[part]) for part, score in parts.items() if score is not None]
    return (
        floor(sum(score * weight for score, weight in known) / sum(weight for _, weight in known) + 0.5)
        if known
        else None
    )
