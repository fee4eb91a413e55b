"""Every scenario of the crash matrix, disturbed in every way at every place: what is stored in the end is what one quiet run stores.

Run: `python benchmarks/crash_matrix.py [SCENARIO ...]`. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.crash import on_bigquery, on_duckdb
from tests.crash.matrix import Account, table
from tests.crash.scenarios import SCENARIOS

BIGQUERY_PARTS = (
    ("request", on_bigquery.KILLS), ("request", on_bigquery.REQUEST_FAULTS[:6]), ("request", on_bigquery.REQUEST_FAULTS[6:]),
    ("statement", on_bigquery.STATEMENT_FAULTS),
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Part:
    """Some kinds of cases of one scenario, done by one process."""

    scenario: int
    warehouse: str
    of: str
    kinds: tuple[str, ...]


def main() -> None:
    options = _options()
    before = time.perf_counter()
    parts = [part for part in _parts() if SCENARIOS[part.scenario].name in (options.scenarios or _names())]
    found: list[tuple[Part, Account]] = []
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        begun = {pool.submit(tried, part): part for part in parts}
        for done in as_completed(begun):
            found.append((begun[done], done.result()))
            print(f"{len(found)} of {len(parts)} parts\n{table([done.result()])}", file=sys.stderr, flush=True)
    accounts = merged(account for _, account in sorted(found, key=lambda pair: pair[0]))
    failures = [failure for account in accounts for failure in account.failures]
    print(table(accounts), *failures, sep="\n")
    print(f"{time.perf_counter() - before:.0f} s in {options.processes} processes", file=sys.stderr)
    sys.exit(1 if failures else 0)


def tried(part: Part) -> Account:
    """The account of a part."""
    scenario = SCENARIOS[part.scenario]
    with ExitStack() as stack:
        if part.warehouse == "duckdb":
            bench = stack.enter_context(on_duckdb.bench(scenario))
            account = Account(scenario.name, part.warehouse, len(bench.texts))
            return account.try_all(bench.cases(part.kinds), bench.check)
        served = stack.enter_context(on_bigquery.bench(scenario))
        account = Account(scenario.name, part.warehouse, len(served.texts["request"]))
        return account.try_all(served.cases(part.kinds, part.of), served.check)


def merged(accounts: Iterable[Account]) -> list[Account]:
    """One account for each scenario and warehouse."""
    made: dict[tuple[str, str], Account] = {}
    for account in accounts:
        key = (account.scenario, account.warehouse)
        made[key] = made[key] + account if key in made else account
    return list(made.values())


def _parts() -> list[Part]:
    """All of the matrix, the longest parts first."""
    whole = range(len(SCENARIOS))
    parts = [Part(i, "bigquery", of, kinds) for of, kinds in BIGQUERY_PARTS for i in whole]
    parts += [Part(i, "duckdb", "statement", on_duckdb.KILLS) for i in whole if "duckdb" in SCENARIOS[i].warehouses]
    return parts


def _names() -> list[str]:
    return [scenario.name for scenario in SCENARIOS]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", choices=[*_names(), []], metavar="SCENARIO", help=f"of {', '.join(_names())}; all"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    main()
