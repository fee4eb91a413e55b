"""What a look at a monitor finds before anything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Findings:
    """`faults` keep the monitor from running; `advice` says what it could run without, or for less."""

    faults: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        return Findings(self.faults + other.faults, self.advice + other.advice)
