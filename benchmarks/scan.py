"""How fast one pass counts a log into histograms, against DuckDB's bare aggregates of the same columns.

Run: `python benchmarks/scan.py [CACHE_FOLDER]`. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

# Nothing heavy is imported here: a child's peak memory begins at what its parent held when it was started.

FLOATS = [f"f{i}" for i in range(10)]
STRINGS = [f"s{n}" for n in (5, 20, 200, 5000)]
INTEGERS = ["i1000", "i10"]
COLUMNS = [*FLOATS, *STRINGS, *INTEGERS]
REFERENCE_ROWS = 100_000
START, DAYS = datetime(2026, 1, 1, tzinfo=UTC), 30
HALF = {"name": "half", "expression": "IF(i10 < 5, 'low', 'high')"}
THIRD = {"name": "third", "expression": "IF(i1000 < 300, 'a', IF(i1000 < 600, 'b', 'c'))"}
SEGMENTS = {"few": ["s5", HALF, THIRD], "some": ["s5", "i10", "s20"], "many": ["s5", "s20", "s200"]}
TARGET_RATIO, TARGET_SEGMENTS, TARGET_MEMORY = 5.0, 2.0, 1e9
TITLES = {
    "bare": "bare min/max/sum/count", "scan": "scan into histograms", "few": "by 3 dimensions: 5, 2, 3 groups",
    "some": "by 3 dimensions: 5, 10, 20 groups", "many": "by 3 dimensions: 5, 20, 100 groups",
}  # fmt: skip


def main() -> None:
    options = _options()
    log = options.cache / f"log_{options.rows}.parquet"
    if options.side:
        _answer(_bare(log) if options.side == "bare" else _scan(log, SEGMENTS.get(options.side, [])))
        return
    options.cache.mkdir(parents=True, exist_ok=True)
    if not (log.exists() and _reference_of(log).exists()):
        print(f"making {log} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-c", _MAKE, str(log), str(_reference_of(log)), str(options.rows)], check=True)
    sides = {name: Side(name, options) for name in TITLES}
    for _ in range(options.repeats):  # in turn, so that a busy spell of the machine meets all
        for side in sides.values():
            side.seconds.append(side.ask("pass"))
    _report(options, {name: (statistics.median(side.seconds), side.end()) for name, side in sides.items()})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(tempfile.gettempdir()) / "bq-monitor-benchmark"
    parser.add_argument(
        "cache", nargs="?", type=Path, default=default, help="folder for the data (default: %(default)s)"
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", choices=list(TITLES), help=argparse.SUPPRESS)
    return parser.parse_args()


_MAKE = """
import os
import sys
import duckdb

log, reference, rows = sys.argv[1:]
normal = "sqrt(-2 * ln(random() + 1e-12)) * cos(2 * pi() * random())"
columns = [f"CASE WHEN random() >= 0.01 THEN {normal} END AS f{i}" for i in range(10)]
columns += [f"'c' || floor(random() * {n})::INTEGER AS s{n}" for n in (5, 20, 200, 5000)]
columns += [f"floor(random() * {n})::BIGINT AS i{n}" for n in (1000, 10)]
span = f"30 * 86400.0 * i / {rows}"
columns += [f"TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds({span}) AS ts"]
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
connection.execute("SET threads = 1; SELECT setseed(0.5)")  # one thread: the same rows every time
for path, n in ((reference, 100_000), (log, int(rows))):
    connection.execute(f"COPY (SELECT {', '.join(columns)} FROM range({n}) AS r(i)) TO '{path}.part' (FORMAT parquet)")
    os.replace(f"{path}.part", path)  # an interrupted run leaves no half file under the name
"""


def _reference_of(log: Path) -> Path:
    return log.with_name("reference.parquet")


class Side:
    """One side in a process of its own; each line that it is sent is one pass, and it answers with seconds or, at last, memory."""

    def __init__(self, side: str, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, str(options.cache), "--side", side, "--rows", str(options.rows)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask("pass")  # a warm-up
        self.seconds: list[float] = []

    def ask(self, what: str) -> float:
        assert self._process.stdin and self._process.stdout
        print(what, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit(self._process.wait() or 1)
        return float(answer)

    def end(self) -> float:
        """Peak memory in bytes."""
        with self._process:
            return self.ask("memory")


def _answer(run: Callable[[], int]) -> None:
    """The child's end of a `Side`."""
    for line in sys.stdin:
        if line.strip() == "memory":
            unit = 1 if sys.platform == "darwin" else 1024
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, flush=True)
            return
        before = time.perf_counter()
        run()
        print(time.perf_counter() - before, flush=True)


def _bare(log: Path) -> Callable[[], int]:
    """Minimum, maximum, sum and count of each column (no sum of text)."""
    import duckdb

    connection = duckdb.connect()
    functions = {
        name: ["min", "max", "count"] if name in STRINGS else ["min", "max", "sum", "count"] for name in COLUMNS
    }
    chosen = ", ".join(f"{function}({name})" for name in COLUMNS for function in functions[name])
    sql = f"SELECT {chosen} FROM read_parquet(?)"
    return lambda: len(connection.execute(sql, [str(log)]).fetchall())


def _scan(log: Path, segments: Sequence[object]) -> Callable[[], int]:
    """The scan of a monitor: histograms and moments of every column by day, against a reference of 100,000 rows."""
    from bq_monitor.capture import build_reference, wanted_features
    from bq_monitor.capture_outcomes import with_segments
    from bq_monitor.config import parse_config
    from bq_monitor.scan import Scan, TimeRange
    from bq_monitor.segments import keys
    from bq_monitor.warehouse.base import Statement
    from bq_monitor.warehouse.duckdb import DuckDBWarehouse

    warehouse = DuckDBWarehouse()
    training, relation = warehouse.relation(str(_reference_of(log))), warehouse.relation(str(log))
    source = {"table": str(log), "timestamp": "ts"}
    config = parse_config({
        "monitor": "benchmark", "warehouse": "duckdb://", "source": source, "features": COLUMNS, "segments": list(segments),
    })  # fmt: skip
    wanted = wanted_features(config, training)
    whole = build_reference(warehouse, training, wanted, monitor="benchmark", version="1", unfit="insist")
    reference = with_segments(warehouse, training, whole, config)
    features = tuple(feature.counted(relation) for feature in reference.features)
    month = TimeRange("ts", relation.columns["ts"], START, START + timedelta(days=DAYS), "day", ZoneInfo("UTC"))
    names = list(reference.segments)
    scan = Scan(relation, features, reference.salt, month, segments=keys(config, relation, names))
    statements = [
        replace(statement, sql=f"CREATE OR REPLACE TEMP TABLE counted_{i} AS {statement.sql}")
        for i, statement in enumerate(scan.statements("duckdb"))
    ]
    counted = " UNION ALL ".join(f"SELECT segment FROM counted_{i}" for i in range(len(statements)))
    counted = f"SELECT segment, COUNT(*) AS n FROM ({counted}) GROUP BY segment"

    def run() -> int:
        for statement in statements:
            warehouse.execute(statement)
        return len(statements)

    run()
    found = {row["segment"]: row["n"] for row in warehouse.query(Statement("counted", counted))}
    assert found.pop("all") == DAYS * len(COLUMNS)
    assert found.keys() <= set(names)
    return run


def _report(options: argparse.Namespace, measured: Mapping[str, tuple[float, float]]) -> None:
    print(f"{options.rows:,} rows x {len(COLUMNS)} columns, {DAYS} days; median of {options.repeats}\n")
    print(f"{'':<36}{'seconds':>9}{'ratio':>8}{'peak memory':>14}")
    bare, scan = measured["bare"][0], measured["scan"][0]
    for name, (seconds, peak) in measured.items():
        print(f"{TITLES[name]:<36}{seconds:>9.2f}{seconds / bare:>8.2f}{peak / 1e6:>11,.0f} MB")
    targets = [("scan / bare", scan / bare, TARGET_RATIO)]
    targets += [(f"{TITLES[name]} / without", measured[name][0] / scan, TARGET_SEGMENTS) for name in SEGMENTS]
    targets += [("peak memory, GB", max(peak for _, peak in measured.values()) / 1e9, TARGET_MEMORY / 1e9)]
    print()
    for what, found, most in targets:
        print(f"{what:<46}{found:>6.2f}, at most {most:g}: {'met' if found <= most else 'MISSED'}")
    sys.exit(0 if all(found <= most for _, found, most in targets) else 1)


if __name__ == "__main__":
    main()
