"""Faults that a test scripts: which request or statement, which occurrence, what happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

Action = str | Callable[[], object]


@dataclass
class Fault:
    """What happens to the `nth` to `nth + times - 1`-th request or statement whose text contains `match`."""

    match: str
    do: Action
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

    The text of a request is `METHOD JOB_ID SQL`, such as `jobs.insert bq-monitor-count-... SELECT ...`, or `METHOD PATH` where
    no job is meant. Of one for results: `jobs.getQueryResults JOB_ID wait` (it asks for no rows), or `... page START`. Of an upload:
    `jobs.upload JOB_ID multipart`, `... start`, or `... bytes 0-99/100`. That of a statement as it runs is `statement SQL`, of a
    load job `statement LOAD project.dataset.table`.

    What can happen to a request: `503 before`, `503 after` (done, but the answer is lost; any of 403, 429, 500, 503, quota,
    rate, resources, fail), `drop before`, `drop after` (the connection breaks), `slow SECONDS`, `hang`, `hang after` (no answer
    until the server closes or the client goes away), `truncate` (the answer breaks in the middle), `short page N` (at most N
    rows, 1 unless given, and a token for the rest). To a statement: `fail`, `quota`, `rate`, `resources`, `serialization` (in the words
    for a COMMIT, or for a single statement), `aborted`, `slow SECONDS`. To both: something to call at that moment.
    """

    script: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, match: str, do: Action, *, nth: int = 1, times: int = 1) -> None:
        self.script.append(Fault(match, do, nth, times))

    def take(self, text: str) -> list[Action]:
        """What is to happen now."""
        with self.lock:
            return [fault.do for fault in self.script if fault.strikes(text)]
