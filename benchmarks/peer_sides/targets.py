"""What bq-monitor must reach beside its peers and the limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from peer_sides.measured import Measured

JUDGED_ROWS, LARGE, HUGE = 1_000_000, 10_000_000, 100_000_000
START_SECONDS = 1.5
GROWTH, MEMORY_GROWTH = 1.15, 1.1
WIDTH = 86

Lines = Mapping[tuple[str, int], Measured]


@dataclass(frozen=True)
class Target:
    """A number that must be at least or at most its bound; None where a side that it needs has none."""

    what: str
    found: float | None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"

    @property
    def is_unknown(self) -> bool:
        return self.found is None

    @property
    def is_missed(self) -> bool:
        if self.found is None:
            return False
        return self.found < (self.at_least or self.found) or self.found > (self.at_most or self.found)

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.what:<{WIDTH}}        -   not measured"
        bound = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:.4g}"
        verdict = "MISSED" if self.is_missed else "met"
        return f"{self.what:<{WIDTH}}{self.found:>7.2f} {self.unit}   {bound} {self.unit}: {verdict}"


def targets(measured: Iterable[Measured], peers: Iterable[str], reference_rows: int) -> Iterator[Target]:
    """The targets at a million rows against a reference of as many, and those of growth; `peers`: those that compare whole tables."""
    lines = {(line.side, line.rows): line for line in measured if line.why_not is None}
    judged = lines if reference_rows == JUDGED_ROWS else {}
    own, evidently = (judged.get((side, JUDGED_ROWS)) for side in ("bq-monitor", "evidently"))
    counted = judged.get(("histogram", JUDGED_ROWS))
    full = [line for name in peers if (line := judged.get((name, JUDGED_ROWS))) and line.is_full]
    fastest = min(full, key=lambda line: line.seconds, default=None)
    yield Target("seconds of Evidently / of bq-monitor", _ratio(evidently, own, "seconds"), at_least=20)
    what = f"seconds of the fastest peer of whole tables{f' ({fastest.title})' if fastest else ''} / of bq-monitor"
    yield Target(what, _ratio(fastest, own, "seconds"), at_least=5)
    bound = START_SECONDS + 3 * (counted.scan if counted else 0)
    what = "seconds of bq-monitor; 3 times the statements of the histogram scan + 1.5"
    yield Target(what, own.seconds if own and counted else None, at_most=bound, unit="s")
    yield Target("peak memory of Evidently / of bq-monitor", _ratio(evidently, own, "peak"), at_least=5)
    large, huge = (lines.get(("bq-monitor", rows)) for rows in (LARGE, HUGE))
    growth = _ratio(huge, large, "seconds")
    growth = None if growth is None else growth * LARGE / HUGE
    yield Target("seconds a row at 100 million rows / at 10 million", growth, at_most=GROWTH)
    yield Target("peak memory at 100 million rows / at 10 million", _ratio(huge, large, "peak"), at_most=MEMORY_GROWTH)


def _ratio(above: Measured | None, below: Measured | None, what: str) -> float | None:
    return float(getattr(above, what) / getattr(below, what)) if above and below else None
