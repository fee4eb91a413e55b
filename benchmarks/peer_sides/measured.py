"""What the runs of one side at one size came to."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from peer_sides.processes import Spent

N_COLUMNS = 16
ANSWERED = (0, 1, 3)
"""Exit codes with which bq-monitor has compared: nothing drifted, something did, a column could not be evaluated."""


@dataclass
class Measured:
    """One line of the table; `why_not` says why there are no numbers."""

    side: str
    title: str
    rows: int
    why_not: str | None = None
    spent: list[Spent] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    scans: list[float] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether each column was given a verdict."""
        return bool(self.answer) and self.answer["judged"] == N_COLUMNS

    @property
    def seconds(self) -> float:
        return statistics.median(spent.seconds for spent in self.spent)

    @property
    def processor(self) -> float:
        return statistics.median(spent.processor for spent in self.spent)

    @property
    def peak(self) -> float:
        return statistics.median(spent.peak for spent in self.spent)

    @property
    def scan(self) -> float:
        """Seconds of a limit's statements alone, without the start of its process."""
        return statistics.median(self.scans)

    def add(self, spent: Spent) -> None:
        """One more run; one without an answer is the last, and its failure is all that is told."""
        if spent.is_late:
            self.why_not = f"timed out after {spent.seconds:,.0f} s"
        elif (answer := _answer(self.side, spent)) is None:
            self.why_not = f"failed: {_last_words(spent)}"
        else:
            self.spent.append(spent)
            self.answer = answer
            self.scans += [answer["seconds"]] if "seconds" in answer else []


def _answer(side: str, spent: Spent) -> dict[str, Any] | None:
    if side == "bq-monitor":
        return _own(json.loads(spent.out)) if spent.returncode in ANSWERED and spent.out.startswith("{") else None
    if spent.returncode or not spent.out:
        return None
    return dict(json.loads(spent.out.splitlines()[-1]))


def _own(report: dict[str, Any]) -> dict[str, Any]:
    status = {item["feature"]: item["status"] for item in report["features"]}
    judged = [name for name, found in status.items() if found in ("ok", "drift")]
    return {"judged": len(judged), "drifted": sorted(name for name in judged if status[name] == "drift")}


def _last_words(spent: Spent) -> str:
    if spent.returncode < 0:
        return f"ended by signal {-spent.returncode} at {spent.peak / 1e6:,.0f} MB"
    return (spent.err.strip().splitlines() or [f"exit code {spent.returncode}"])[-1][:120]


def table(lines: Sequence[Measured]) -> str:
    """The lines of one size as a Markdown table, the ratio to bq-monitor's wall time among them."""
    own = next((line for line in lines if line.side == "bq-monitor" and line.why_not is None), None)
    head = (f"{lines[0].rows:,} rows", "seconds", "of CPU", "peak memory", "x bq-monitor", "judged", "drifted")
    rows = [head, *(_cells(line, own) for line in lines)]
    widths = [max(len(row[place]) for row in rows if place == 0 or len(row) == len(head)) for place in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_printed(row, widths) for row in (head, rule, *rows[1:]))


def _cells(line: Measured, own: Measured | None) -> tuple[str, ...]:
    if line.why_not is not None:
        return line.title, line.why_not
    drifted = line.answer.get("drifted")
    return (
        line.title, f"{line.seconds:,.2f}", f"{line.processor:,.2f}", f"{line.peak / 1e6:,.0f} MB",
        f"{line.seconds / own.seconds:.2f}" if own else "", str(line.answer["judged"]), "" if drifted is None else str(len(drifted)),
    )  # fmt: skip


def _printed(row: Sequence[str], widths: Sequence[int]) -> str:
    if len(row) == 2:
        return f"| {row[0]:<{widths[0]}} | {row[1]}" + " |" * (len(widths) - 1)
    numbers = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    return " | ".join((f"| {row[0]:<{widths[0]}}", *numbers)) + " |"
