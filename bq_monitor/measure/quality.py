"""Whether the data of a window are what they should be, from counts alone: missing values, ranges, categories, rows. Pure.

A limit on a share is broken when the true share is surely above it, not when the observed one is: so many rows must have a chance
below `alpha` if the true share were at the limit. That chance is the exact binomial one (the interval of Clopper and Pearson, 1934):
for the small shares that matter here Wilson's breaks a limit of 1 % in 50 rows fourteen times as often as `alpha` = 0.001 says.
A limit on a rise compares with the reference's share, whose own uncertainty counts (`Measured.minus`). Limits on plain facts
(rows, hours) are compared as they are. Without a limit the number is told all the same. Rows count as independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from bq_monitor.measure.explanation import MAX_LABEL_CHARACTERS
from bq_monitor.measure.histogram import (
    MOMENT_LIMIT,
    NAN,
    NEG_INF,
    NULL,
    OTHER,
    POS_INF,
    UNSEEN,
    Histogram,
    Moments,
)
from bq_monitor.measure.measured import Measured

MIN_EXPECTED = 20
"""Rows that must have been expected of what is missed altogether."""
CERTAIN = 1e-4
"""The chance below which missing it altogether is no chance."""
NAMED = 5
"""So many vanished categories are named."""
LABELS_FORGOTTEN = "training had too many categories to remember: a new one cannot be told from a rare one"


@dataclass(frozen=True)
class Check:
    """One check of the data; every number is None where undefined, and `reason` says why nothing was evaluated.

    Args:
        name: such as `null_rate`; feature: None for what concerns the whole window.
        value, reference_value: what was found, and the same of the reference; the function of that name says what it is.
        limit: None without one.
        n_rows: of the window.
        explanation: what is wrong, in one sentence; None where nothing is.
    """

    name: str
    feature: str | None
    status: Literal["ok", "drift", "not_evaluated"]
    value: float | None = None
    reference_value: float | None = None
    limit: float | None = None
    n_rows: int = 0
    reason: str | None = None
    explanation: str | None = None


@dataclass(frozen=True)
class Sides:
    """One feature in training and in a window. `alpha`: chance of a false verdict of one check; `min_rows`: fewer are not evaluated."""

    feature: str
    reference: Histogram
    current: Histogram
    alpha: float = 0.01
    min_rows: int = 50

    @cached_property
    def reason(self) -> str | None:
        """Why nothing can be said of it; None where something can."""
        if not self.reference.n_rows:
            return "no rows in training"
        return _too_few(self.current.n_rows, self.min_rows)

    def found(
        self, name: str, value: float, wrong: str | None, *, reference_value: float | None = None, limit: float | None = None
    ) -> Check:  # fmt: skip
        """A check that was made; `wrong` says what is, in words."""
        n = self.current.n_rows
        return Check(name, self.feature, _status(wrong), value, reference_value, limit, n, explanation=wrong)

    def not_evaluated(self, name: str, reason: str, limit: float | None = None) -> Check:
        """A check that could not be made."""
        return Check(name, self.feature, "not_evaluated", limit=limit, n_rows=self.current.n_rows, reason=reason)


def null_rate(sides: Sides, max_rise: float | None = None) -> Check:
    """The share of NULL, 0..1; `max_rise`: how far it may lie above the reference's."""
    return _rise(sides, "null_rate", (NULL,), max_rise)


def nan_rate(sides: Sides, max_rise: float | None = None) -> Check:
    """The share of NaN and infinities, 0..1; `max_rise`: how far it may lie above the reference's."""
    return _rise(sides, "nan_rate", (NAN, NEG_INF, POS_INF), max_rise)


def out_of_range(sides: Sides, max_share: float | None = None) -> Check:
    """The share of rows with a number below the least or above the greatest of training, 0..1; infinities are no numbers here.

    Only buckets are counted. While the window's least and greatest lie within those of training, the share is 0, exactly. Where
    one lies beyond, the rows of the outermost bucket on that side are told: all of them are out of range where training had none
    there; otherwise that bucket also holds the last 0.1 % of training, the share lies between one row and the value told, which is
    the upper end. The limit is broken when what is certain breaks it, or what the bucket holds beyond its share of training does.
    """
    before, now, n = sides.reference.moments, sides.current.moments, sides.current.n_rows
    if sides.reason:
        return sides.not_evaluated("out_of_range", sides.reason, max_share)
    if before is None or now is None or before.min is None:
        return sides.not_evaluated("out_of_range", "no numbers in training", max_share)
    certain, possible, expected = _beyond(sides, before, now)
    excess = Measured(possible / n, n, scale="share").minus(expected)
    wrong = None
    if _above(certain, n, max_share, sides.alpha) or _surely_above(excess, max_share, sides.alpha):
        most = "" if certain == possible else "up to "
        wrong = (
            f"out_of_range of {sides.feature} is {most}{percent(possible / n)} (training {_range(before)}, now {_range(now)}, "
            f"limit {percent(max_share or 0.0)})"
        )
    return sides.found("out_of_range", possible / n, wrong, reference_value=0.0, limit=max_share)


def new_categories(
    sides: Sides, max_share: float | None = None, *, known_complete: bool = True, n_singletons: int = 0
) -> Check:
    """The share of rows whose category training never saw, 0..1.

    Args:
        known_complete: whether all labels of training are remembered; otherwise nothing can be said.
        n_singletons: training rows whose label occurs once: so many unseen ones are to be expected (`Histogram.expecting_unseen`).
    """
    if sides.reason or not known_complete:
        return sides.not_evaluated("new_categories", sides.reason or LABELS_FORGOTTEN, max_share)
    k, n = sides.current.n_of(UNSEEN), sides.current.n_rows
    expected, wrong = n_singletons / sides.reference.n_rows, None
    if max_share is not None and _above(k, n, max_share, sides.alpha):
        wrong = (
            f"new_categories of {sides.feature} is {percent(k / n)} ({percent(expected)} to be expected, "
            f"limit {percent(max_share)})"
        )
    return sides.found("new_categories", k / n, wrong, reference_value=expected, limit=max_share)


def vanished_categories(sides: Sides) -> Check:
    """How many categories have no row though many were to be expected, by their share of the rows that are not NULL."""
    if sides.reason:
        return sides.not_evaluated("vanished_categories", sides.reason)
    before, now = sides.reference, sides.current
    n_before, n_now = before.n_rows - before.n_null, now.n_rows - now.n_null
    regular = range(before.buckets.n_regular)
    gone = [code for code in regular if not now.n_of(code) and _surely_gone(before.n_of(code), n_before, n_now)]
    names = [before.buckets.name(code) for code in sorted(gone, key=before.n_of, reverse=True)]
    wrong = f"categories of {sides.feature} have vanished: {_listed(names)}" if gone else None
    return sides.found("vanished_categories", float(len(gone)), wrong)


def constant(sides: Sides) -> Check:
    """Whether all rows that are not NULL (where there are none: all rows) have one value: 1 if so, else 0.

    It is wrong where training has others, so many that some were surely to be expected.
    """
    if sides.reason:
        return sides.not_evaluated("constant", sides.reason)
    before, now = sides.reference, sides.current
    only, wrong = _only_value(now), None
    if only is not None:
        n_before, n_now = (h.n_rows - (h.n_null if only != NULL else 0) for h in (before, now))
        if _surely_gone(n_before - before.n_of(only), n_before, n_now):
            wrong = f"{sides.feature} is constant: each of {n_now:,} values is {_value_name(now, only)}, training has others"
    reference_value = float(_only_value(before) is not None)
    return sides.found("constant", float(only is not None), wrong, reference_value=reference_value)


def type_changed(feature: str, reason: str, n_rows: int = 0) -> Check:
    """The check of a column that is missing, or of another type than in training; `reason` says which."""
    return Check("type", feature, "drift", n_rows=n_rows, explanation=f"{feature} cannot be counted: {reason}")


def volume(
    n_rows: int,
    before: float | None = None,
    minimum: float | None = None,
    max_drop: float | None = None,
    alpha: float = 0.01,
) -> Check:
    """The rows of a window; none at all is wrong without any limit. `limit` is the higher of the two, in rows.

    Args:
        before: rows of the windows before, on average; None: there are none, and `max_drop` cannot be judged.
        minimum: fewer rows are wrong.
        max_drop: the part of `before` that may be missing, 0..1. Rows count as Poisson, and `before` as the rows of one window:
            given the sum of both, the window's are binomial. Source: Przyborowski and Wilenski (1940).
    """
    floor = None if before is None or max_drop is None else before * (1 - max_drop)
    limit = max((bound for bound in (minimum, floor) if bound is not None), default=None)
    wrong = None
    if not n_rows:
        wrong = "no rows at all" + (f" ({before:,.0f} before)" if before else "")
    elif minimum is not None and n_rows < minimum:
        wrong = f"volume is {n_rows:,} rows (at least {minimum:,.0f} wanted)"
    elif before is not None and max_drop is not None and _surely_dropped(n_rows, before, max_drop, alpha):
        wrong = f"volume is {n_rows:,} rows ({before:,.0f} before, may drop by {percent(max_drop)})"
    elif before is None and max_drop is not None:
        reason = "no window before to compare with"
        return Check("volume", None, "not_evaluated", float(n_rows), None, limit, n_rows, reason)
    return Check("volume", None, _status(wrong), float(n_rows), before, limit, n_rows, explanation=wrong)


def duplicate_ids(
    n_rows: int, n_ids: int | None, max_share: float | None = None, alpha: float = 0.01, min_rows: int = 50
) -> Check:
    """The share of rows whose id is missing or was there before, 0..1; `n_ids`: different ids, None where they were not counted."""
    reason = "ids were not counted" if n_ids is None else _too_few(n_rows, min_rows)
    if reason or n_ids is None:
        return Check("duplicate_ids", None, "not_evaluated", limit=max_share, n_rows=n_rows, reason=reason)
    k, wrong = n_rows - n_ids, None
    if max_share is not None and _above(k, n_rows, max_share, alpha):
        wrong = f"duplicate_ids is {percent(k / n_rows)}: ids that are missing or repeat (limit {percent(max_share)})"
    return Check("duplicate_ids", None, _status(wrong), k / n_rows, None, max_share, n_rows, explanation=wrong)


def freshness(
    newest_row_at: datetime | None, window_end: datetime, max_age_hours: float | None = None, n_rows: int = 0
) -> Check:
    """Hours from the newest row to the end of the window; `newest_row_at`: None where it is not known."""
    if newest_row_at is None:
        reason = "the time of the newest row is not known"
        return Check("freshness", None, "not_evaluated", limit=max_age_hours, n_rows=n_rows, reason=reason)
    hours, wrong = (window_end - newest_row_at).total_seconds() / 3600, None
    if max_age_hours is not None and hours > max_age_hours:
        wrong = f"freshness is {hours:,.1f} hours: the age of the newest row at the end of the window (limit {max_age_hours:g})"
    return Check("freshness", None, _status(wrong), hours, None, max_age_hours, n_rows, explanation=wrong)


def percent(share: float) -> str:
    """A share in words, with three digits that tell.

    >>> percent(0.12345), percent(0.02), percent(0.0)
    ('12.3%', '2%', '0%')
    """
    return f"{100 * share:.3g}%"


def _rise(sides: Sides, name: str, codes: Sequence[int], max_rise: float | None) -> Check:
    if sides.reason:
        return sides.not_evaluated(name, sides.reason, max_rise)
    now, before = (sum(map(h.n_of, codes)) / h.n_rows for h in (sides.current, sides.reference))
    rise = Measured(now, sides.current.n_rows, scale="share").minus(
        Measured(before, sides.reference.n_rows, scale="share")
    )
    wrong = None
    if max_rise is not None and _surely_above(rise, max_rise, sides.alpha):
        points = "1 point" if max_rise == 0.01 else f"{100 * max_rise:.3g} points"
        wrong = f"{name} of {sides.feature} is {percent(now)} (reference {percent(before)}, may rise by {points})"
    return sides.found(name, now, wrong, reference_value=before, limit=max_rise)


def _beyond(sides: Sides, before: Moments, now: Moments) -> tuple[int, int, Measured]:
    """Rows surely out of range, rows that may be, and the share of training in the same buckets."""
    last = sides.reference.buckets.n_regular - 1
    too_large = (
        now.mean is None and before.mean is not None and now.n > 0
    )  # beyond MOMENT_LIMIT, on a side that is not known
    certain = possible = tail = 0
    for code, is_beyond in ((0, _less(now.min, before.min)), (last, _less(before.max, now.max))):
        if is_beyond or too_large:
            n, n_before = sides.current.n_of(code), sides.reference.n_of(code)
            certain += int(is_beyond) if n_before else n
            possible += n
            tail += n_before
    n_reference = sides.reference.n_rows
    return certain, possible, Measured(tail / n_reference, n_reference, scale="share")


def _less(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b


def _range(moments: Moments) -> str:
    if moments.mean is None or moments.min is None:
        return f"beyond {MOMENT_LIMIT:g}"
    return f"{moments.min:.6g} to {moments.max:.6g}"


def _only_value(histogram: Histogram) -> int | None:
    """The bucket of the one value that all rows but NULL have (NULL where they all are); None where there are several."""
    present = [code for code, _ in histogram.pairs() if code != NULL]
    if not present:
        return NULL if histogram.n_rows else None
    if len(present) > 1 or present[0] in (OTHER, UNSEEN):
        return None
    moments = histogram.moments
    if moments and present[0] >= 0 and (moments.mean is None or moments.min != moments.max):
        return None
    return present[0]


def _value_name(histogram: Histogram, code: int) -> str:
    buckets, moments = histogram.buckets, histogram.moments
    if buckets.kind == "timestamp" and code >= 0:
        return "the same moment"
    return f"{moments.min:.6g}" if moments and code >= 0 else buckets.name(code)[:MAX_LABEL_CHARACTERS]


def _listed(names: Sequence[str]) -> str:
    named = ", ".join(name[:MAX_LABEL_CHARACTERS] for name in names[:NAMED])
    return named + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _too_few(n: int, min_rows: int) -> str | None:
    return f"{n} rows, fewer than the {min_rows} of min_rows" if n < max(1, min_rows) else None


def _status(wrong: str | None) -> Literal["ok", "drift"]:
    return "drift" if wrong else "ok"


def _above(k: int, n: int, limit: float | None, alpha: float) -> bool:
    """Whether `k` of `n` rows are surely more than a share `limit`: the exact binomial test."""
    from scipy import special

    return limit is not None and float(special.bdtrc(k - 1, n, limit)) < alpha


def _surely_above(measured: Measured, limit: float | None, alpha: float) -> bool:
    p_value = None if limit is None else measured.p_above(limit)
    return p_value is not None and p_value < alpha


def _surely_gone(k: int, n_before: int, n_now: int) -> bool:
    """Whether none among `n_now` rows is no chance, where `k` of `n_before` were: all `k` of both would be among the earlier ones.

    Fisher's exact test (1935), at most: (n_before / (n_before + n_now)) ** k.
    """
    if not n_before or k * n_now / n_before < MIN_EXPECTED:
        return False
    return (n_before / (n_before + n_now)) ** k < CERTAIN


def _surely_dropped(n: int, before: float, max_drop: float, alpha: float) -> bool:
    from scipy import special

    left = 1 - max_drop
    return float(special.bdtr(n, n + round(before), left / (1 + left))) < alpha
