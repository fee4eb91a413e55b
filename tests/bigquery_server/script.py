"""A job as it runs through the engine."""

from __future__ import annotations

from typing import Any, Protocol

from tests.bigquery_server.catalog import Outcome


class Control(Protocol):
    """What a job meets on its way."""

    def before(self, text: str) -> None:
        """Called with the text of each statement, outside the lock; may wait, and raise what the statement is to fail with."""

    def check(self) -> None:
        """Called right before a statement runs; raises when the job was cancelled."""


class Free:
    def before(self, text: str) -> None:
        """Nothing is scripted."""

    def check(self) -> None:
        """Never cancelled."""


class Script:
    """A job as it runs: its cursor, whether a transaction is open, the tables that it changed, what its last statement answered."""

    def __init__(self, cursor: Any) -> None:
        self.cursor, self.is_open = cursor, False
        self.touched: set[str] = set()
        self.outcome = Outcome("SCRIPT")

    def begin(self) -> None:
        self.cursor.execute("BEGIN")
        self.is_open = True

    def commit(self) -> None:
        self.cursor.execute("COMMIT")
        self.is_open = False

    def roll_back(self) -> None:
        self.cursor.execute("ROLLBACK")
        self.is_open = False

    def close(self) -> None:
        """Roll back what is open."""
        self.cursor.close()
