"""What kind of feature a column is, from its type and a profile of its values. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bq_monitor.measure.histogram import Kind

MAX_CODES = 20
"""A number with at most this many distinct values is a code (a category), not a quantity."""
_ID_NAME = re.compile(r"(^|[^a-zA-Z])(?i:id|uuid|guid|key)s?$|[a-z](Id|ID)s?$")
_UNIQUE_SHARE = 0.99


@dataclass(frozen=True)
class Profile:
    """What a column holds: its GoogleSQL type, counts over the rows looked at, and the range of its numbers."""

    type: str
    n_rows: int
    n_given: int
    n_distinct: int
    n_whole: int = 0
    n_dates: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Excluded:
    """A column that is no feature, and why."""

    reason: str


def detect(name: str, profile: Profile) -> Kind | Excluded:
    """The kind of a column, or why it should not be monitored unless someone says its kind.

    A number with few distinct values is a category; a value that is different in (almost) every row identifies it.
    A column without values keeps the kind of its type: all its training rows are NULL, so any value later is a change.
    """
    if profile.type in ("TIMESTAMP", "DATETIME", "DATE"):
        return Excluded(f"a time ({profile.type}); give it kind: timestamp to monitor it")
    if profile.type == "BOOL":
        return "boolean"
    if profile.type not in ("STRING", "INT64", "FLOAT64", "NUMERIC"):
        return Excluded(f"type {profile.type} cannot be counted; monitor an expression over it instead")
    if profile.n_given and profile.n_dates == profile.n_given:
        return Excluded("a time written as text; give it kind: categorical to monitor it")
    if _identifies_rows(name, profile):
        return Excluded(
            f"an identifier: {profile.n_distinct:,} distinct values in {profile.n_given:,} rows; give it a kind to monitor it"
        )
    return "categorical" if profile.type == "STRING" or _is_code(profile) else "numeric"


def _is_code(profile: Profile) -> bool:
    """Whether a number stands for a category: few distinct values, each seen several times."""
    return 0 < profile.n_distinct <= MAX_CODES and profile.n_given >= 3 * profile.n_distinct


def _identifies_rows(name: str, profile: Profile) -> bool:
    if profile.n_given < 20 or profile.n_distinct < _UNIQUE_SHARE * profile.n_given:
        return False
    if profile.type == "STRING":
        return True
    if profile.n_whole < profile.n_given:
        return False
    dense = profile.low is not None and profile.high is not None and profile.high - profile.low < 2 * profile.n_given
    return dense or profile.n_given >= 1000 or bool(_ID_NAME.search(name))
