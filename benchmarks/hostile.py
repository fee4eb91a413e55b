"""Random configurations with hostile texts, each refused or analyzed by Google's own analyzer: none reads what it does not name.

Run: `GOOGLESQL_HOME=HOME python benchmarks/hostile.py [CASES]`. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.googlesql.hostile import Tally, tally

SHOWN = 30
BLOCK = 5_000


def main() -> None:
    options = _options()
    before = time.perf_counter()
    total = Tally()
    context = get_context("spawn")  # a server's connection survives no fork
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        size = min(BLOCK, -(-options.cases // options.processes))
        starts = range(0, options.cases, size)
        blocks = [pool.submit(_block, options.seed, start, min(start + size, options.cases)) for start in starts]
        for done in as_completed(blocks):
            total += done.result()
            print(f"{total.n:,} of {options.cases:,}: {len(total.failures)} failures", file=sys.stderr, flush=True)
    _report(options, total, time.perf_counter() - before)
    sys.exit(1 if total.failures else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="?", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _block(seed: int, start: int, end: int) -> Tally:
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    return tally(seed, range(start, end))


def _report(options: argparse.Namespace, total: Tally, seconds: float) -> None:
    n_refused, n_faults = total.refused.total(), total.faults.total()
    print(f"{total.n:,} configurations, seed {options.seed}, {options.processes} processes\n")
    _line("accepted", total.accepted, total.n)
    for name, n in sorted(total.accepted_with.items()):
        _line(f"  of these with {name}", n, total.accepted)
    _line("refused by bq-monitor", n_refused, total.n)
    _classes(total.refused)
    _line("statements analyzed", total.n_statements)
    _line("of these different", total.n_different)
    _line("refused by Google", n_faults, total.n_statements)
    _classes(total.faults)
    _line("leaks and crashes", len(total.failures))
    _line("seconds", round(seconds))
    for failure in total.failures[:SHOWN]:
        print(f"\n{failure}")
    for fault, sample in sorted(total.samples.items()):
        print(f"{fault}\n    {sample}", file=sys.stderr)


def _line(name: str, n: int, whole: int = 0) -> None:
    print(f"{name:<64}{n:>10,}" + (f"{n / whole:>8.1%}" if whole else ""))


def _classes(counts: Counter[str]) -> None:
    """The most frequent classes, and how many the others are together."""
    shown = counts.most_common(SHOWN)
    for name, n in shown:
        print(f"  {name[:60]:<62}{n:>10,}")
    if rest := counts.total() - sum(n for _, n in shown):
        print(f"  {f'{len(counts) - SHOWN} other classes':<62}{rest:>10,}")


if __name__ == "__main__":
    main()
