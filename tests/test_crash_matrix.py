"""A part of the crash matrix; benchmarks/crash_matrix.py is the whole of it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

import pytest

from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import Table
from tests.crash import on_bigquery, on_duckdb
from tests.crash.matrix import Account, table
from tests.crash.on_bigquery import KILLS, REQUEST_FAULTS, STATEMENT_FAULTS
from tests.crash.scenarios import FEATURES, named, of

FIRST = "first"
EVERY = 4
"""On DuckDB a scenario is killed after every fourth statement that writes, each one from another on."""
_ONLY = 1000
_VERDICTS_ALONE = 5
"""Of a commit in pieces: after that of the counts (three statements) and that of the verdicts, before the others."""
ON_BIGQUERY = [scenario.name for scenario in of("bigquery")]
ON_DUCKDB = [scenario.name for scenario in of("duckdb")]


@pytest.fixture(scope="module")
def forking() -> Iterator[Executor]:
    """A process without threads, of which others can be forked."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


Record = Callable[[Account], None]


@pytest.fixture(scope="module")
def record(pytestconfig: pytest.Config) -> Iterator[Record]:
    """Takes accounts; all of this file are printed when it is done, by each process those of its own."""
    accounts: list[Account] = []
    yield accounts.append
    capture: Any = pytestconfig.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stdout.write(f"\n{table(accounts)}\n")


_KNOWN: set[str] = set()


def known() -> set[str]:
    """The sorts of requests and statements of the simplest run: what others ask for beside them is what is tried of theirs."""
    if not _KNOWN:
        with on_bigquery.bench(named(FIRST)) as bench:
            _KNOWN.update(bench.sorts)
    return _KNOWN


@pytest.mark.parametrize("name", ON_BIGQUERY)
def test_bigquery(name: str, record: Record) -> None:
    """Killed at each request that changes something, and met by a fault at each sort of request, a run is made good as it should be."""
    others: set[str] = set() if name == FIRST else known()
    with on_bigquery.bench(named(name)) as bench:
        cases = bench.sample(others, 5 * ON_BIGQUERY.index(name))
        account = Account(name, "bigquery", len(bench.texts["request"])).try_all(cases, bench.check)
        tried = {on_bigquery.sort(case.text) for case in cases}
        assert tried | others >= bench.sorts
    record(account)
    assert account.failures == []
    assert account.n_cases == len(cases)
    assert account.n_kills > 0
    if name == FIRST:
        _KNOWN.update(tried)
        assert account.kinds == {*KILLS[1:], *REQUEST_FAULTS, *STATEMENT_FAULTS}


@pytest.mark.parametrize("name", ON_DUCKDB)
def test_duckdb(name: str, forking: Executor, record: Record) -> None:
    """SIGKILL between two statements that write: the next run leaves what an uninterrupted one leaves."""
    account = forking.submit(killed, name, EVERY, ON_DUCKDB.index(name) % 3).result()
    record(account)
    assert account.failures == []
    assert account.n_kills >= max(account.n_requests // EVERY, 1)


def test_a_run_whose_keys_are_not_heeded_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each job gets an id of its own, a killed run's job and the next one's both store: the matrix says so."""
    run = BigQueryWarehouse._run

    def unkeyed(self: BigQueryWarehouse, statement: Statement, key: str | None, take: Any) -> list[Any]:
        return run(self, statement, key and f"{key}-{uuid.uuid4().hex}", take)

    monkeypatch.setattr(BigQueryWarehouse, "_run", unkeyed)
    with on_bigquery.bench(named("reference")) as bench:
        (case,) = bench.cases(KILLS[2:])
        found = bench.check(case)
    assert found
    assert "did not wait for the job that still ran" in found
    assert f"reference_histograms: 0 of {len(FEATURES)} rows missing, {len(FEATURES)} too many" in found


def test_rows_that_are_committed_one_table_after_the_other_are_caught(forking: Executor) -> None:
    """A commit on DuckDB that is no transaction can be cut in two: the matrix says where."""
    account = forking.submit(killed, FIRST, _ONLY, _VERDICTS_ALONE, torn=True).result()
    (failure,) = account.failures
    assert "killed after at statement 6: COMMIT" in failure


def killed(name: str, every: int, start: int, *, torn: bool = False) -> Account:
    """Kills after every so manieth statement that writes, in this process' children; `torn` breaks commits in pieces."""
    torn_or_not = patch.object(DuckDBWarehouse, "commit", _one_by_one) if torn else nullcontext()
    with torn_or_not, on_duckdb.bench(named(name)) as bench:
        account = Account(name, "duckdb", len(bench.texts))
        return account.try_all(bench.cases(on_duckdb.KILLS[1:])[start::every], bench.check)


def _one_by_one(self: DuckDBWarehouse, rows: Mapping[Table, Sequence[Row]], *, key: str) -> None:
    for written, given in rows.items():
        if given:
            self.execute(statements.insert(self, written, given))
