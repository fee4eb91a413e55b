"""What reading and counting the same columns costs at the least: `python limits.py {bare,histogram} REFERENCE CURRENT`.

Prints one line of JSON: the columns that were read, and the seconds that the statements alone took.
"""

from __future__ import annotations

import json
import sys
import time

import duckdb
from make_data import COLUMNS, FLOATS, INTEGERS, STRINGS

N_EDGES = 60


def main() -> None:
    which, *files = sys.argv[1:]
    chosen = {"bare": _aggregates, "histogram": _histograms}[which]()
    connection = duckdb.connect()
    begun = time.perf_counter()
    for file in files:
        rows = connection.execute(f"SELECT {', '.join(chosen)} FROM read_parquet(?)", [file]).fetchall()
        assert len(rows) == 1
    print(json.dumps({"judged": len(COLUMNS), "seconds": time.perf_counter() - begun}))


def _aggregates() -> list[str]:
    """Minimum, maximum, sum and count of each column (no sum of text)."""
    of_text, of_numbers = ("min", "max", "count"), ("min", "max", "sum", "count")
    return [f"{function}({name})" for name in COLUMNS for function in (of_text if name in STRINGS else of_numbers)]


def _histograms() -> list[str]:
    """A histogram of each column: by edges that are given, of text by value."""
    edges = {name: [-3 + 6 * i / (N_EDGES - 1) for i in range(N_EDGES)] for name in FLOATS}
    edges |= {"i1000": [1000 * i // N_EDGES for i in range(N_EDGES)], "i10": list(range(10))}
    assert {*edges, *STRINGS} == {*COLUMNS}, INTEGERS
    return [f"histogram({name}, {edges[name]})" if name in edges else f"histogram({name})" for name in COLUMNS]


if __name__ == "__main__":
    main()
