"""A run that tells dies before or after any statement that writes and any message that is sent, and is run again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bq_monitor import capture_reference, job
from bq_monitor.alerts import outbox
from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.senders import sender_for
from bq_monitor.warehouse import open_warehouse
from tests.alerts.lab import House, house
from tests.test_job import Lab, frame

KINDS = ("slack", "webhook")
RUNS = ("2026-01-12", "2026-01-19")
"""An alert opens in the first run, and is over in the second."""
COMPARED = {
    "alert_events": "* EXCLUDE (run_id, computed_at)",
    "notifications": "* EXCLUDE (run_id, computed_at, created_at, not_before, payload), "
    'regexp_replace(payload, \'"created_at": "[^"]*"\', \'\') AS said',
}


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Stage:
    """Counts the steps of a run, and ends it at a place: before step n at 2n - 1, after it at 2n. Then nothing happens any more."""

    place: int = 0
    steps: list[str] = field(default_factory=list)
    is_dead: bool = False

    def step(self, text: str, act: Callable[[], Any]) -> Any:
        self.steps.append(text)
        self._reach(2 * len(self.steps) - 1)
        done = act()
        self._reach(2 * len(self.steps))
        return done

    def require_life(self) -> None:
        if self.is_dead:
            raise Killed

    def _reach(self, place: int) -> None:
        self.is_dead |= place == self.place
        self.require_life()


class Doomed:
    """A connection whose statements that write are steps."""

    def __init__(self, connection: Any, stage: Stage) -> None:
        self.connection, self.stage = connection, stage

    def execute(self, *args: Any) -> Any:
        self.stage.require_life()
        if "INSERT INTO" not in args[0] and args[0] not in ("BEGIN TRANSACTION", "COMMIT"):
            return self.connection.execute(*args)
        return self.stage.step(" ".join(args[0].split())[:60], lambda: self.connection.execute(*args))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


@dataclass
class Staged:
    """A sender whose messages are steps."""

    sender: Any
    stage: Stage
    kind: str

    def send(self, message: Message) -> None:
        self.stage.step(f"send to {self.kind}", lambda: self.sender.send(message))


@dataclass
class History:
    """Two runs of a monitor, undisturbed: the file before each, and what it left."""

    lab: Lab
    receivers: House
    steps: list[list[str]] = field(default_factory=list)
    stored: list[dict[str, Counter[str]]] = field(default_factory=list)
    heard: list[dict[str, list[str]]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.lab.folder / "monitor.duckdb"

    def act(self, number: int, place: int = 0) -> Stage:
        """The run of a number, that ends at a place; at 0 it does not."""
        stage = Stage(place)

        def opened(*args: Any, **options: Any) -> Any:
            warehouse: Any = open_warehouse(*args, **options)
            warehouse._connection = Doomed(warehouse._connection, stage)
            return warehouse

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job, "open_warehouse", opened)
            patch.setattr(
                outbox, "sender_for", lambda channel, secrets: Staged(sender_for(channel, secrets), stage, channel.type)
            )
            try:
                self.lab.run(RUNS[number])
            except Killed:
                assert place
        return stage

    def restore(self, number: int) -> None:
        """As it was before that run; receivers have heard nothing."""
        self.file.with_name(f"{self.file.name}.wal").unlink(missing_ok=True)
        shutil.copy(f"{self.file}.{number}", self.file)
        for running in self.receivers.http.values():
            running.requests.clear()

    def found(self) -> dict[str, Counter[str]]:
        """The rows of the tables that tell, less ids of runs and times."""
        asked = {table: self.lab.ask(f"SELECT {columns} FROM {table}") for table, columns in COMPARED.items()}
        return {table: Counter(map(repr, rows)) for table, rows in asked.items()}

    def told(self) -> dict[str, list[str]]:
        """The ids that receivers which know them have heard, each once, in order."""
        return {kind: self.receivers.once(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """The history, lived through once without a death."""
    folder, rng = tmp_path_factory.mktemp("kills"), np.random.default_rng(20260101)
    with pytest.MonkeyPatch.context() as patch, house(KINDS, folder, patch) as receivers:
        alerts = {"channels": receivers.channels, "resolve_after": 1}
        lab = Lab(folder, rng, {"features": ["amount"], "alerts": alerts})
        capture_reference(frame(rng, 1000), lab.config, version="1")
        lab.write(lab.rows("2026-01-05", 7, shift=3), lab.rows("2026-01-12", 7, per_day=100))
        made = History(lab, receivers)
        for number in range(len(RUNS)):
            shutil.copy(made.file, f"{made.file}.{number}")
            made.restore(number)
            made.steps.append(made.act(number).steps)
            made.stored.append(made.found())
            made.heard.append(made.told())
        yield made


def test_the_history_tells(history: History) -> None:
    """It has something to lose: each run tells both channels, and books it."""
    for number, steps in enumerate(history.steps):
        assert [step for step in steps if step.startswith("send")] == [f"send to {kind}" for kind in KINDS]
        assert sum("INTO notifications" in step.replace('"', "") for step in steps) == 3
        assert all(len(ids) == 1 for ids in history.heard[number].values())
    assert history.heard[0] != history.heard[1]


def places(steps: list[str]) -> list[int]:
    """Before every step, and after those that last: after others all is as before the next."""
    lasting = [n for n, step in enumerate(steps, 1) if step == "COMMIT" or step.startswith("send")]
    return sorted([*range(1, 2 * len(steps), 2), *(2 * n for n in lasting)])


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_a_death_anywhere_loses_nothing_and_tells_nobody_twice(number: int, history: History) -> None:
    """After a death and a run, channels have heard each id once, in order, and the tables hold what they would have held."""
    n_twice = 0
    for place in places(history.steps[number]):
        history.restore(number)
        stage = history.act(number, place)
        assert (stage.is_dead, len(stage.steps)) == (True, (place + 1) // 2)
        history.act(number)
        where = f"{'before' if place % 2 else 'after'} {stage.steps[-1]}"
        assert history.told() == history.heard[number], where
        assert history.found() == history.stored[number], where
        n_twice += sum(len(history.receivers.ids(kind)) > 1 for kind in KINDS)
    assert n_twice == len(KINDS) * 4, (
        "sent again after a death after send, and before BEGIN, INSERT and COMMIT of its row"
    )
