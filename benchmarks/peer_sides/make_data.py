"""Write the rows that every side compares: `python make_data.py FILE ROWS {reference,current}`.

Each value is a hash of its row and column, so that the rows are the same every time, on any number of cores, and are written as
they are made: memory does not grow with the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

FLOATS = [f"f{i}" for i in range(10)]
CARDINALITIES = (5, 20, 200, 5000)
STRINGS = [f"s{n}" for n in CARDINALITIES]
INTEGERS = ["i1000", "i10"]
COLUMNS = [*FLOATS, *STRINGS, *INTEGERS]
DRIFTED = ("f0", "s20")
NULL_SHARE = 0.01
_DRAWS = 64  # of a row; each has a number of its own
_FIRST_OF_CURRENT = 10_000_000_000


def main() -> None:
    path, rows, which = sys.argv[1:]
    first = _FIRST_OF_CURRENT if which == "current" else 0
    sql = f"SELECT {', '.join(_columns(which == 'current'))} FROM range({first}, {first + int(rows)}) AS r(i)"
    connection = duckdb.connect()
    connection.execute("SET memory_limit = '2GB'; SET enable_progress_bar = false")
    connection.execute(f"COPY ({sql}) TO '{path}.part' (FORMAT parquet)")
    Path(f"{path}.part").replace(path)  # an interrupted run leaves no half file under the name


def _columns(is_current: bool) -> list[str]:
    draws = iter(range(_DRAWS))

    def uniform() -> str:
        return f"(hash(i * {_DRAWS} + {next(draws)})::DOUBLE / 18446744073709551616)"

    def normal() -> str:
        return f"sqrt(-2 * ln({uniform()} + 1e-12)) * cos(2 * pi() * {uniform()})"

    values = {name: normal() for name in FLOATS}
    values |= {f"s{n}": f"'c' || floor({uniform()} * {n})::INTEGER" for n in CARDINALITIES}
    values |= {name: f"floor({uniform()} * {name[1:]})::BIGINT" for name in INTEGERS}
    if is_current:
        values["f0"] += " + 1"
        values["s20"] = f"'c' || floor(({uniform()} ** 2) * 20)::INTEGER"
    return [f"CASE WHEN {uniform()} >= {NULL_SHARE} THEN {value} END AS {name}" for name, value in values.items()]


if __name__ == "__main__":
    main()
