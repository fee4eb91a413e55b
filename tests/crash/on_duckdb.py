"""The crash matrix on DuckDB: the process dies before or after each statement that writes, and is begun again."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from bq_monitor.warehouse.base import Warehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.crash.matrix import Case
from tests.crash.scenarios import Scenario
from tests.crash.stored import Stored, counted_twice, differences, stored

KILLS = ("killed before", "killed after")
_WRITES = ("BEGIN TRANSACTION", "COMMIT")
_DONE, _FAILED = 0, 9


class Doomed:
    """A connection that counts the statements that write, and kills its process at one of them; at none where `case` is None."""

    def __init__(self, connection: Any, case: Case | None) -> None:
        self.connection, self.case, self.texts = connection, case, list[str]()

    def execute(self, *args: Any) -> Any:
        sql = args[0]
        if "INSERT INTO" not in sql and sql not in _WRITES:
            return self.connection.execute(*args)
        self.texts.append(" ".join(sql.split())[:140])
        is_here = self.case is not None and len(self.texts) == self.case.place
        if is_here and self.case and self.case.kind == KILLS[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        done = self.connection.execute(*args)
        if is_here:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


class Bench:
    """One scenario on a file: prepared once, copied for each case. `texts` are the statements that write in the undisturbed act."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.scenario, self.source, self.labels = scenario, str(folder / "log.parquet"), str(folder / "labels.parquet")
        self._start, self._file = folder / "start.duckdb", folder / "case.duckdb"
        self.url = f"duckdb://{self._start}"
        self.config = scenario.config(self)
        self.warehouse: Warehouse = DuckDBWarehouse(str(self._start))
        create_tables(self.warehouse)
        scenario.prepare(self, self.config)
        self.warehouse.close()
        shutil.copy(self._start, self._file)
        self.texts, self.expected = self._act(None), self.stored()

    def write_log(self, log: pd.DataFrame) -> None:
        log.to_parquet(self.source)

    def write_labels(self, labels: pd.DataFrame) -> None:
        labels.to_parquet(self.labels)

    def stored(self) -> Stored:
        """All that the file holds of ours; of counts those in force: batches of a granule that were stored before a kill are stored anew."""
        with duckdb.connect(str(self._file), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return stored(lambda query: connection.execute(query).fetchall(), _name, counts=False)

    def cases(self, kinds: tuple[str, ...] = KILLS) -> list[Case]:
        """Every kind at every place."""
        name = self.scenario.name
        return [
            Case(name, "duckdb", kind, "statement", i, text) for kind in kinds for i, text in enumerate(self.texts, 1)
        ]

    def check(self, case: Case) -> str | None:
        """What is wrong after a case: None when the act is made good as it should be."""
        shutil.copy(self._start, self._file)
        self._file.with_name(self._file.name + ".wal").unlink(missing_ok=True)
        status = self._child(case)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            return f"the act ended before this statement, with the status {os.waitstatus_to_exitcode(status)}"
        try:
            self._act(None)
        except Exception as error:
            return f"the next act failed after the kill: {type(error).__name__}: {error}"
        return self._judge()

    def _child(self, case: Case) -> int:
        """The status of a process of its own that acts and dies."""
        child = os.fork()
        if child:
            return os.waitpid(child, 0)[1]
        try:
            self._act(case)
            os._exit(_DONE)
        except BaseException:
            os._exit(_FAILED)

    def _act(self, case: Case | None) -> list[str]:
        """Act once; the texts of the statements that wrote."""
        warehouse: Any = DuckDBWarehouse(str(self._file))
        doomed = Doomed(warehouse._connection, case)
        warehouse._connection = doomed
        try:
            with self.scenario.limited():
                self.scenario.act(warehouse, self.config)
        finally:
            warehouse.close()
        return doomed.texts

    def _judge(self) -> str | None:
        wrong = list(differences(self.expected, self.stored()))
        with duckdb.connect(str(self._file), read_only=True) as connection:
            if n := counted_twice(lambda query: connection.execute(query).fetchall(), _name):
                wrong.append(f"{n} counts stand twice")
        return "; ".join(wrong) or None


@contextmanager
def bench(scenario: Scenario) -> Iterator[Bench]:
    """A scenario ready to be disturbed. Processes are forked off this one: it should have no threads."""
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(Path(folder), scenario)


def _name(entity: str) -> str:
    return f'"{entity}"'
