"""What moved, in words a person can read: where rows were gained and where they were lost, from coarse counts. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.divergence import psi_terms
from bq_monitor.measure.histogram import (
    NAN,
    NEG_INF,
    NULL,
    ORDERED,
    OTHER,
    POS_INF,
    UNSEEN,
    Buckets,
    Coarse,
    Counts,
    just_below,
)

Carrier = Literal["range", "category", "null", "nan", "infinite", "other", "unseen"]
MIN_CARRIED = 0.1
"""The lesser of gain and loss is told from this part of the PSI on; less is mostly what every other bucket gave up."""
MAX_LABEL_CHARACTERS = 60
_SPECIALS: dict[int, tuple[str, Carrier]] = {
    NULL: ("missing (NULL)", "null"), NAN: ("NaN", "nan"), NEG_INF: ("-Inf", "infinite"), POS_INF: ("+Inf", "infinite"),
    OTHER: ("other categories", "other"), UNSEEN: ("never seen in training", "unseen"),
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Run = tuple[int, int]


@dataclass(frozen=True)
class Shift:
    """A part of a feature's values whose share of the rows changed.

    Args:
        what: the values, as in "... of rows are now below 25,000".
        baseline_share, current_share: of all rows, 0..1.
        carrier: the kind of bucket: `range` of neighbouring ones, `category`, or one of the specials.
        carried: the part of the feature's PSI that these buckets make up, 0..1.
    """

    what: str
    baseline_share: float
    current_share: float
    carrier: Carrier
    carried: float


def explain(
    buckets: Buckets, coarse: Coarse, p: Counts, q: Counts, terms: NDArray[np.float64] | None = None
) -> tuple[Shift, ...]:
    """Where the share of rows grew most and where it shrank most, the one that carries more PSI first.

    For numbers, times and ordinals: of the runs of neighbouring buckets that all gained (all lost), the one that did so by
    most rows; buckets that are empty on both sides do not interrupt a run. For labels: the one with the largest PSI term.
    NULL, NaN and the other specials compete with that one by their PSI terms. The lesser of gain and loss is left out when
    it carries less than `MIN_CARRIED`; and where the two hold all rows, so that each says what the other does, only the one
    with the smaller shares is told.

    Args:
        buckets: the fine buckets.
        coarse: made from these buckets.
        p, q: coarse counts of the baseline and the current rows, shape `(len(coarse.names),)`.
        terms: their `psi_terms`, where these are known.

    Returns:
        One or two shifts; none when nothing differs or a side has no rows.
    """
    terms = psi_terms(p, q) if terms is None else terms
    if terms is None or not terms.sum() > 0:
        return ()
    case = _Comparison.of(buckets, coarse, p.tolist(), q.tolist(), terms.tolist())
    runs = [run for run in (case.most_moved(1), case.most_moved(-1)) if run is not None]
    if case.hold_all_rows(runs):
        return (case.shift(min(runs, key=case.summed_shares)),)
    first, *lesser = sorted(runs, key=case.carried, reverse=True)
    return tuple(case.shift(run) for run in (first, *lesser) if run == first or case.carried(run) >= MIN_CARRIED)


def sentence(feature: str, shifts: Sequence[Shift], baseline: str = "training") -> str:
    """What `explain` found in one line, the gain first; `baseline` names what it is compared with. "" without shifts.

    >>> low = Shift("below 25,000", 0.12, 0.312, "range", 0.6)
    >>> high = Shift("at or above 100,000", 0.2, 0.0, "range", 0.3)
    >>> sentence("loan_amount", [high, low])
    'loan_amount: 31.2% of rows are now below 25,000, 12.0% in training; none are at or above 100,000, down from 20.0%'
    """
    if not shifts:
        return ""
    first, *rest = sorted(shifts, key=lambda shift: shift.current_share <= shift.baseline_share)
    before, now = _percents(first)
    told = f", {before} in {baseline}"
    if first.carrier == "unseen":  # training has none by definition; a share is what its rare labels lead one to expect
        told = "" if before == "none" else f", {before} expected"
    subject = "no rows" if now == "none" else f"{now} of rows"
    text = f"{feature}: {subject} are now {_predicate(first)}{told}"
    for shift in rest:
        before, now = _percents(shift)
        text += f"; {now} are {_predicate(shift)}, down from {before}"
    return text


def _predicate(shift: Shift) -> str:
    return {"other": "in ", "unseen": "in categories "}.get(shift.carrier, "") + shift.what


def _percents(shift: Shift) -> tuple[str, str]:
    """Baseline and current share with one decimal, or as many as tell them apart and from none."""
    shares = (shift.baseline_share, shift.current_share)
    texts = ["", ""]
    for decimals in range(1, 6):
        texts = [f"{share:.{decimals}%}" if share else "none" for share in shares]
        if texts[0] != texts[1] and f"{0:.{decimals}%}" not in texts:
            break
    return texts[0], texts[1]


@dataclass(frozen=True)
class _Comparison:
    """Two sides of the same coarse buckets, with the PSI term of each; a run is its first and last bucket."""

    buckets: Buckets
    coarse: Coarse
    p: list[int]
    q: list[int]
    terms: list[float]
    n_rows: tuple[int, int]
    psi: float
    specials: tuple[int, ...]

    @classmethod
    def of(cls, buckets: Buckets, coarse: Coarse, p: list[int], q: list[int], terms: list[float]) -> _Comparison:
        """`psi` is an exact sum: a part is never above 1."""
        specials = buckets.codes[buckets.n_regular :]
        return cls(buckets, coarse, p, q, terms, (sum(p), sum(q)), math.fsum(terms), specials)

    @property
    def n_regular(self) -> int:
        """How many coarse buckets are not special; those come first."""
        return len(self.p) - len(self.specials)

    def carried(self, run: _Run) -> float:
        return math.fsum(self.terms[_slice(run)]) / self.psi

    def shares(self, run: _Run) -> tuple[float, float]:
        (n, m), at = self.n_rows, _slice(run)
        return sum(self.p[at]) / n, sum(self.q[at]) / m

    def summed_shares(self, run: _Run) -> float:
        return sum(self.shares(run))

    def hold_all_rows(self, runs: Iterable[_Run]) -> bool:
        return sum(sum(side[_slice(run)]) for side in (self.p, self.q) for run in runs) == sum(self.n_rows)

    def most_moved(self, sign: int) -> _Run | None:
        """The run, label or special that gained most (sign 1) or lost most (sign -1); None when none did."""
        n, m = self.n_rows
        gains = [sign * (b * n - a * m) for a, b in zip(self.p, self.q, strict=True)]  # shares times n m, exact
        n_regular = self.n_regular
        regular = self._most_moved_regular(gains[:n_regular])
        runs = [(i, i) for i in range(n_regular, len(gains)) if gains[i] > 0]
        if regular is not None:
            runs.insert(0, regular)
        return max(runs, key=self.carried) if len(runs) > 1 else runs[0] if runs else None

    def _most_moved_regular(self, gains: list[int]) -> _Run | None:
        if self.buckets.kind not in ORDERED:
            return max(((i, i) for i, gain in enumerate(gains) if gain > 0), key=self.carried, default=None)
        empty = [not a and not b for a, b in zip(self.p, self.q, strict=True)][: self.n_regular]
        run = max(_runs(gains, empty), key=lambda run: sum(gains[_slice(run)]), default=None)
        return _to_the_ends(run, empty) if run is not None and self.buckets.numeric else run

    def shift(self, run: _Run) -> Shift:
        what, carrier = self._describe(run)
        return Shift(what, *self.shares(run), carrier, self.carried(run))

    def _describe(self, run: _Run) -> tuple[str, Carrier]:
        first, last = run
        if first >= self.n_regular:
            return _SPECIALS[self.specials[first - self.n_regular]]
        if self.buckets.numeric:
            return _range_text(self.buckets, self.coarse, run), "range"
        lower, upper = (_label_text(self.buckets, i) for i in run)
        return (lower, "category") if first == last else (f"from {lower} to {upper}", "range")


def _slice(run: _Run) -> slice:
    return slice(run[0], run[1] + 1)


def _runs(gains: list[int], empty: list[bool]) -> Iterator[_Run]:
    """The longest stretches of neighbours that gained, over what is empty in between.

    >>> list(_runs([1, 0, 2, 0, -1, 3], [False, True, False, True, False, False]))
    [(0, 2), (5, 5)]
    """
    first = last = None
    for i, gain in enumerate(gains):
        if gain > 0:
            first, last = i if first is None else first, i
        elif not empty[i] and first is not None and last is not None:
            yield first, last
            first = None
    if first is not None and last is not None:
        yield first, last


def _to_the_ends(run: _Run, empty: list[bool]) -> _Run:
    """A run that only empty buckets part from the lowest or highest one reaches there: it has one bound less to say."""
    first, last = run
    return 0 if all(empty[:first]) else first, len(empty) - 1 if all(empty[last + 1 :]) else last


def _label_text(buckets: Buckets, code: int) -> str:
    label = buckets.labels[code]
    return label if buckets.kind == "boolean" else quoted(label)


def quoted(label: str) -> str:
    r"""A label in single quotes on one line: control characters escaped, cut at `MAX_LABEL_CHARACTERS`.

    >>> quoted("it's\n"), len(quoted(70 * "x"))
    ("'it\\'s\\n'", 63)
    """
    text = ""
    for character in label:
        plain = character.isprintable() and character not in "'\\"
        written = character if plain else character.encode("unicode_escape").decode() if character != "'" else "\\'"
        if len(text) + len(written) > MAX_LABEL_CHARACTERS:
            return f"'{text}…'"
        text += written
    return f"'{text}'"


def _range_text(buckets: Buckets, coarse: Coarse, run: _Run) -> str:
    """The values from the first to the last of some coarse buckets, as a predicate: "below 25,000", "exactly 7"."""
    first, last = run
    is_time = buckets.kind == "timestamp"
    n_regular = buckets.n_regular
    edges = [buckets.edges[start - 1] for start in coarse.starts.tolist() if 0 < start < n_regular]
    if first == 0 and last == len(edges):
        return "a time" if is_time else "a finite number"
    if first == 0:
        below, upto = ("before", "up to") if is_time else ("below", "at or below")
        return f"{upto if _is_just_above(edges[last]) else below} {_edge_text(edges, last, is_time)}"
    lower = _edge_text(edges, first - 1, is_time)
    if last == len(edges):
        above, from_ = ("after", "at or after") if is_time else ("above", "at or above")
        return f"{above if _is_just_above(edges[first - 1]) else from_} {lower}"
    if edges[last] == math.nextafter(edges[first - 1], math.inf):
        return f"{'at' if is_time else 'exactly'} {lower}"
    return f"between {lower} and {_edge_text(edges, last, is_time)}"


def _is_just_above(edge: float) -> bool:
    return just_below(edge) is not None


def _edge_value(edge: float) -> float:
    """The value by which an edge is named: its own, or that which it lies one float above."""
    below = just_below(edge)
    return edge if below is None else below


def _edge_text(edges: list[float], i: int, is_time: bool) -> str:
    """An edge as short as it reads differently from its neighbours."""
    value = _edge_value(edges[i])
    others = [_edge_value(edge) for edge in edges[max(0, i - 1) : i + 2]]
    write = _write_time if is_time else _write_number
    return _shortest(value, [other for other in others if other != value], write)


def _shortest(value: float, others: list[float], write: Callable[[float, int], str]) -> str:
    text = ""
    for level in range(4):
        text = write(value, level)
        if text not in [write(other, level) for other in others]:
            break
    return text


def _write_number(value: float, level: int) -> str:
    """A number with thousands separators: whole ones in full below 10^15, others with 4, 6, 9 or all digits.

    >>> [_write_number(x, 0) for x in (1234567.0, 0.123456, 12345.678, -0.5, 1e20, 0.00001234)]
    ['1,234,567', '0.1235', '12,350', '-0.5', '1e+20', '1.234e-05']
    """
    digits = (4, 6, 9, 17)[level]
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    rounded = value if level == 3 else float(f"{value:.{digits}g}")
    if abs(rounded) < 1e15:
        return f"{rounded:,.0f}" if rounded.is_integer() else f"{rounded:,}"
    return f"{rounded:g}" if level == 0 else repr(rounded)


def _write_time(seconds: float, level: int) -> str:
    """Seconds since 1970 as a UTC date, or rounded to the minute, the second or the microsecond.

    >>> [_write_time(1709296230.25, level) for level in range(4)]
    ['2024-03-02', '2024-03-01 12:31', '2024-03-01 12:30:30', '2024-03-01 12:30:30.250000']
    """
    unit = (86_400, 60, 1, 1e-6)[level]
    try:
        at = _EPOCH + timedelta(seconds=round(seconds / unit) * unit)
    except OverflowError:
        return _write_number(seconds, level)
    if level == 0:
        return at.date().isoformat()
    return at.replace(tzinfo=None).isoformat(" ", ("", "minutes", "seconds", "microseconds")[level])
