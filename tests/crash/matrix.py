"""Cases of the crash matrix, and the account of those that were tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Case:
    """One disturbance of one scenario: what happens at the `place`-th (from 1) request or statement, whose text is `text`."""

    scenario: str
    warehouse: str
    kind: str
    of: str
    place: int
    text: str

    @property
    def is_kill(self) -> bool:
        return self.kind.startswith("killed")

    def __str__(self) -> str:
        return f"{self.scenario} on {self.warehouse}, {self.kind} at {self.of} {self.place}: {self.text}"


@dataclass
class Account:
    """The cases tried of one scenario on one warehouse; `failures` says of each that went wrong what did."""

    scenario: str
    warehouse: str
    n_requests: int = 0
    n_kills: int = 0
    n_faults: int = 0
    failures: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    @property
    def n_cases(self) -> int:
        return self.n_kills + self.n_faults

    def book(self, case: Case, fault: str | None) -> None:
        """Count a case; `fault` says what went wrong, None when nothing did."""
        if case.is_kill:
            self.n_kills += 1
        else:
            self.n_faults += 1
        self.kinds.add(case.kind)
        if fault:
            self.failures.append(f"{case}\n    {fault}")

    def __add__(self, other: Account) -> Account:
        """Both together, of the same scenario and warehouse."""
        return replace(
            self, n_kills=self.n_kills + other.n_kills, n_faults=self.n_faults + other.n_faults,
            failures=self.failures + other.failures, kinds=self.kinds | other.kinds,
        )  # fmt: skip

    def try_all(self, cases: Iterable[Case], check: Callable[[Case], str | None]) -> Account:
        """Try every case."""
        for case in cases:
            self.book(case, check(case))
        return self


_HEAD = ("scenario", "warehouse", "requests", "kills", "faults", "cases", "failures")


def table(accounts: Iterable[Account]) -> str:
    """The accounts as lines of text, the sum of them last."""
    lines = ["{:<12}{:<11}{:>9}{:>8}{:>8}{:>8}{:>10}".format(*_HEAD)]
    total = Account("total", "")
    for account in accounts:
        lines.append(_line(account))
        total.n_requests += account.n_requests
        total.n_kills += account.n_kills
        total.n_faults += account.n_faults
        total.failures += account.failures
    return "\n".join([*lines, _line(total)])


def _line(account: Account) -> str:
    a = account
    counts = f"{a.n_requests:>9,}{a.n_kills:>8,}{a.n_faults:>8,}{a.n_cases:>8,}{len(a.failures):>10,}"
    return f"{a.scenario:<12}{a.warehouse:<11}{counts}"
