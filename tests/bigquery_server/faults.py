"""Faults that a test scripts: which request or statement, which occurrence, what happens."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to the `nth` to `nth + times - 1`-th request or statement whose text contains `match`."""

    match: str
    do: str
    nth: int = 1
    times: int = 1
    seen: int = 0

    def strikes(self, text: str) -> bool:
        if self.match not in text:
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


@dataclass
class Faults:
    """The script of a test.

    The text of a request is `METHOD JOB_ID SQL`, such as `jobs.insert bq-monitor-count-... SELECT ...`; that of a statement
    as it runs is `statement SQL`. What can happen to a request: `503 before`, `503 after` (done, but the answer is lost;
    any of 403, 429, 500, 503), `drop before`, `drop after` (the connection breaks), `slow SECONDS`. To a statement: `fail`,
    `serialization`, `slow SECONDS`.
    """

    script: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, match: str, do: str, *, nth: int = 1, times: int = 1) -> None:
        self.script.append(Fault(match, do, nth, times))

    def take(self, text: str) -> list[str]:
        """What is to happen now."""
        with self.lock:
            return [fault.do for fault in self.script if fault.strikes(text)]
