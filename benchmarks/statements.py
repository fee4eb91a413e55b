"""How large the statements are that monitors of growing size send to BigQuery, what they read, and where each limit is met.

The first five tables depend on no machine and stand in docs/statements.md; seconds are those of Google's analyzer.

Run: `GOOGLESQL_HOME=HOME python benchmarks/statements.py`. See docs/statements.md.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bq_monitor import freeze, scan
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.bigquery import MAX_ROWS_BYTES, BigQueryWarehouse
from bq_monitor.warehouse.parameters import json_lines
from bq_monitor.warehouse.schema import DRIFT_RESULTS, TABLES, Column, Table
from bq_monitor.warehouse.setup import create_tables, setup_statements
from bq_monitor.warehouse.types import parse_type
from tests.bigquery_lab import connect
from tests.bigquery_server.cost import FIXED
from tests.bigquery_server.engine import Engine
from tests.bigquery_server.server import serve
from tests.googlesql.server import GoogleSQL
from tests.googlesql.sizes import (
    COMMITTED,
    LABEL_COLUMNS,
    LABELS,
    LOG,
    OWN,
    START,
    Line,
    Monitor,
    Names,
    Size,
    batches_of,
    by_kind,
    full_row,
    named_in,
    request_bytes,
    small_row,
    tables,
    widest_request,
)

FEATURES = (10, 40, 100, 1_000, 5_000, 10_000)
SEGMENTS = (0, 3, 20)
GRANULES = (1, 7, 365)
DAYS = 10
BATCHES = (10, 20, 40, 80, 160, 320)
REPEATS = 3
TEXT, PARAMETERS, REQUEST, RESOLVED = 1024 * 1024, 10_000, 10_000_000, 12_000_000
COLUMNS, PARTITIONS_OF_A_JOB, PARTITIONS, LOADS = 10_000, 4_000, 10_000, 1_500
"""As Google documents them (cloud.google.com/bigquery/quotas); check yours."""
WIDEST = Size(features=scan.MAX_FEATURES_PER_STATEMENT, bins=100, labels=1_000, known=9_000)
"""The most bins, and categories of as many labels as are remembered."""


@dataclass(frozen=True)
class Largest:
    """The largest statement of a kind, and how many of the kind there are."""

    n: int
    statement: Statement

    @classmethod
    def of(cls, found: Sequence[Statement]) -> Largest:
        return cls(len(found), max(found, key=lambda item: (len(item.sql), len(item.params))))


def everything(size: Size) -> list[Statement]:
    """What a capture and a run of a monitor send."""
    monitor = Monitor(size)
    return [*monitor.capture(), *run_statements(monitor)]


def run_statements(monitor: Monitor, rows_bytes: int = MAX_ROWS_BYTES) -> list[Statement]:
    """What a run sends; so many bytes of verdicts are committed."""
    return [*monitor.counting(), *monitor.outcomes(), *monitor.reads(), *monitor.writes(rows_bytes)]


def sizes_table(features: Sequence[int] = FEATURES) -> str:
    """Each kind of statement: how many there are by the number of features, and the largest of all."""
    found = {n: by_kind(everything(Size(features=n, segments=3))) for n in features}
    rows = []
    for kind in found[features[-1]]:
        counts = [len(found[n].get(kind, ())) for n in features]
        worst = Largest.of([item for n in features for item in found[n].get(kind, ())]).statement
        rows.append([f"`{kind}`", *counts, len(worst.sql), len(worst.params), request_bytes(worst)])
    heads = ["statement", *(f"{n:,} features" for n in features), "text, characters", "parameters", "request, bytes"]
    return markdown(heads, rows)


def segments_table() -> str:
    """What segments and labels add to the statements of 40 features."""
    sizes = [Size(segments=n) for n in SEGMENTS]
    sizes += [Size(labels=10), Size(labels=1_000), Size(labels=1_000, known=9_000), Size(bins=100)]
    rows: list[list[object]] = []
    for size in sizes:
        counting = Largest.of([item for item in Monitor(size).counting() if item.name == "scan/histograms"])
        sql, params = counting.statement.sql, counting.statement.params
        said = [size.segments, size.labels, size.known, size.bins]
        rows.append([*said, counting.n, len(sql), len(params), request_bytes(counting.statement)])
    heads = ["dimensions of 100 segments", "labels of a category", "hashes beside", "bins",
             "statements", "text, characters", "parameters", "request, bytes"]  # fmt: skip
    return markdown(heads, rows)


def groups_table() -> str:
    """What one statement of 40 features hands from its pass over the rows to what comes after, at most."""
    size, rows = Size(), []
    codes = sum(len(item.buckets.codes) for item in Monitor(size).features)
    for segments in SEGMENTS:
        keys = 1 + segments * (size.listed + 1)
        entries = size.features * (1 + segments)
        rows.append([segments, entries, *(codes * keys * n for n in GRANULES), *(size.features * keys * n for n in GRANULES)])  # fmt: skip
    counts = [f"{what}, {n} granule{'s' * (n > 1)}" for what in ("groups", "rows stored") for n in GRANULES]
    heads = ["dimensions", "values a row", *counts]
    return markdown(heads, rows)


def limits_table() -> str:
    """Each limit, what meets it first, and at how many; `not met` where our own bounds come before it."""
    dimensions, commit = _dimensions(), largest_commit()
    codes, resolved = scan.MAX_CODES_PER_STATEMENT, _largest_resolved()
    widest = widest_request(scan.MAX_FEATURES_PER_STATEMENT, codes, dimensions - 1)
    days = COLUMNS - len(Monitor(Size(features=0)).log.columns)
    verdicts = MAX_ROWS_BYTES // len(json_lines([full_row(DRIFT_RESULTS)]))
    profile = Monitor(Size(features=freeze._BATCH, kinds=("numeric",))).capture()[0]
    rows = [
        ["text of a statement, characters", TEXT, "`scan/histograms`, expressions of 40 numbers, characters each", expression_characters()],
        ["parameters of a statement", PARAMETERS, "`scan/histograms`, dimensions of 100 segments", dimensions],
        ["a request, bytes", REQUEST, "`read/windows`, stretches (windows and their baselines of production) judged at once", _stretches()],
        ["", REQUEST, f"`scan/histograms`, 100 bins, {codes:,} labels, {dimensions - 1} dimensions: {widest:,}", "not met"],
        ["", REQUEST, f"`write/commit` of {MAX_ROWS_BYTES:,} bytes of rows: {commit:,}", "not met"],
        ["a statement with its views' text, characters", RESOLVED, f"`{resolved[0]}`: {resolved[1]:,}", "not met"],
        ["columns of a result", COLUMNS, f"`reference/profile`: {len(re.findall(r' AS [a-z]+_[0-9]+', profile.sql)) + 1:,}", "not met"],
        ["columns of a table", COLUMNS, "the log: features that are columns of it", days + 1],
        ["partitions that a statement changes", PARTITIONS_OF_A_JOB, "`scan/histograms`, days counted in one stretch", PARTITIONS_OF_A_JOB + 1],
        ["partitions of a table", PARTITIONS, "`production_histograms`, days kept", PARTITIONS + 1],
        ["loads into a table a day", LOADS, f"commits of more than {verdicts:,} verdicts", LOADS + 1],
    ]  # fmt: skip
    return markdown(["limit", "value", "met first by", "at"], rows)


def expression_characters() -> int:
    """Characters that the expressions of a batch may have, each."""
    numbers = Monitor(Size(features=scan.MAX_FEATURES_PER_STATEMENT, kinds=("numeric",)))

    def text(n: int) -> int:
        features = tuple(replace(item, value="x" * n) for item in numbers.features)
        return len(replace(numbers.scan, features=features).statements("bigquery")[0].sql)

    return Line.of(text, 100, 100).first_beyond(TEXT)


def _dimensions() -> int:
    """Dimensions beside the widest 40 features."""
    return Line.of(lambda n: len(_counting(replace(WIDEST, segments=n)).params), 1, 1).first_beyond(PARAMETERS)


def _stretches() -> int:
    def request(n: int) -> int:
        return request_bytes(Monitor(Size(features=1, windows=n, past=0)).windows)

    return Line.of(request, 10_000, 100).first_beyond(REQUEST)  # numbers of five digits, as there


def _counting(size: Size) -> Statement:
    return Monitor(size).counting()[1]


@lru_cache
def largest_commit() -> int:
    """The request of rows that just need no stage, of the table whose rows grow most on their way into parameters."""

    def request(table: Table, row: Row) -> int:
        line = Line.of(lambda n: request_bytes(statements.insert(Names(), table, [row] * n)), 10, 10)
        return line.at(MAX_ROWS_BYTES // len(json_lines([row])))

    return max(request(table, row(table)) for table in COMMITTED for row in (small_row, full_row))


def _largest_resolved() -> tuple[str, int]:
    """The statement that is longest with the texts of the views that it reads."""
    views = view_texts()

    def whole(sql: str) -> int:
        return len(sql) + sum(whole(text) for name, text in views.items() if name in sql)

    return max(((item.name, whole(item.sql)) for item in everything(Size(segments=3))), key=lambda item: item[1])


@lru_cache
def view_texts() -> dict[str, str]:
    """The query of each of our views, by its quoted name."""
    made = [item for item in setup_statements(Names()) if item.name.startswith("views/")]
    return {f"`{OWN}.{item.name.removeprefix('views/')}`": item.sql.partition("\nAS\n")[2] for item in made}


def reads_table(prefix: str = "") -> str:
    """What each statement (whose name begins so) reads of tables that hold ten days, as the stand-in for BigQuery counts bytes."""
    monitor = Monitor(Size(features=8, segments=1, windows=1, past=0))
    found = [*monitor.capture(), *monitor.counting(), *monitor.outcomes(), *monitor.reads()]
    asked = {item.name: item for item in found if item.name.startswith(prefix) and item.name != "read/partitions"}
    known = [LOG, LABELS, *(f"{OWN}.{table.name}" for table in TABLES)]
    wholes = {name: Statement(name, f"SELECT * FROM `{name}` AS t", {}) for name in known}
    with _stand_in() as (warehouse, engine):
        _fill(engine, monitor, 1)
        day = {name: warehouse.estimate(item) or 0 for name, item in (wholes | asked).items()}
        _fill(engine, monitor, DAYS)
        ten_days = {name: warehouse.estimate(item) or 0 for name, item in asked.items()}
    rows = []
    for kind, item in asked.items():
        names = _tables_of(item.sql, known)
        share, days = day[kind] / sum(day[name] for name in names), ten_days[kind] / day[kind]
        said = ", ".join(f"`{name.rpartition('.')[2]}`" for name in names)
        rows.append([f"`{kind}`", said, f"{share:.0%}", f"{days:.3g}"])
    return markdown(["statement", "reads", "of a row's bytes", f"of {DAYS} days"], rows)


@contextmanager
def _stand_in() -> Iterator[tuple[BigQueryWarehouse, Engine]]:
    """The stand-in for BigQuery with our tables, empty, behind the real client."""
    with serve() as server:
        for dataset in ("ml_monitoring", "serving"):
            server.engine.create_dataset(f"acme-ml.{dataset}", "US")
        warehouse = BigQueryWarehouse("acme-ml", "ml_monitoring", client=connect(server))
        create_tables(warehouse)
        yield warehouse, server.engine
        warehouse.close()


def _fill(engine: Engine, monitor: Monitor, days: int) -> None:
    """A row a day, back from the day that is asked for, in the log, the labels and each table of ours."""
    log, labels = (Table(name, "", tuple(Column(column, kind, "") for column, kind in columns.items()), time)
                   for name, columns, time in ((LOG, monitor.log.columns, "predicted_at"), (LABELS, LABEL_COLUMNS, "labelled_at")))  # fmt: skip
    for table in (log, labels, *(replace(table, name=f"{OWN}.{table.name}") for table in TABLES)):
        rows = [{**full_row(table), table.partition: START - timedelta(days=k)} for k in range(days)]
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            file.write(json_lines(rows))
            file.flush()
            kinds = {column.name: parse_type(column.type).duckdb() for column in table.columns}
            engine.load(
                table.name, f"SELECT * FROM read_json('{file.name}', columns = {kinds})", partition=table.partition
            )


def _tables_of(sql: str, known: Sequence[str]) -> list[str]:
    """The tables that a statement reads, through views too; where it writes is none of them."""
    query = sql.partition("INSERT INTO")[2].partition("\n")[2] or sql
    within = [text for name, text in view_texts().items() if name in query]
    return [name for name in known if f"`{name}`" in query or any(name in _tables_of(text, known) for text in within)]


def batches_table(googlesql: GoogleSQL, segments: int = 3) -> str:
    """Statements of so many features: how large, how long they are analyzed, and what all of them read of a wide log."""
    rows: list[list[object]] = []
    for batch in BATCHES:
        with batches_of(batch):
            monitor = Monitor(Size(features=batch, segments=segments))
            known, counting = tables(monitor, {}), monitor.counting()[1]
            analyzed = [_seconds(googlesql, item, known) for item in (counting, *monitor.capture()[:3])]
        n = -(-FEATURES[-1] // batch)
        widest = widest_request(batch, scan.MAX_CODES_PER_STATEMENT, _dimensions() - 1)
        rows.append([batch, n, len(counting.sql), request_bytes(counting), widest, _read_twice(monitor, n), *analyzed])
    heads = ["features a statement", f"statements for {FEATURES[-1]:,}", "text, characters", "request, bytes", "widest request, bytes",
             "read beside one pass", "histograms, s", "profile, s", "quantiles, s", "labels, s"]  # fmt: skip
    return markdown(heads, rows)


def _seconds(googlesql: GoogleSQL, statement: Statement, known: Mapping[str, Mapping[str, str]]) -> float:
    """Seconds of Google's analyzer, the middle of some tries."""
    named, taken = named_in(statement.sql, known), []
    for _ in range(REPEATS):
        started = time.perf_counter()
        googlesql.resolve(statement.sql, named, statement.params)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _read_twice(monitor: Monitor, n: int) -> str:
    """What n statements read beside one pass over all their columns: each reads those that all need once more. A text has 10 bytes."""
    widths = {name: FIXED.get({"FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}.get(kind, kind), 10) for name, kind in monitor.log.columns.items()}  # fmt: skip
    own = sum(widths[name] for name in monitor.names) * n
    sql = monitor.counting()[1].sql
    shared = sum(size for name, size in widths.items() if name not in monitor.names and f"`{name}`" in sql)
    return f"{(own + shared * n) / (own + shared):.3f} x"


def main() -> None:
    for title, table in (
        ("Statements by the number of features", sizes_table), ("40 features", segments_table), ("What a statement hands on", groups_table),
        ("What is read", reads_table), ("Limits", limits_table),
    ):  # fmt: skip
        print(f"## {title}\n\n{table()}\n", flush=True)
    googlesql = GoogleSQL()
    try:
        print(f"## Features a statement\n\n{batches_table(googlesql)}")
    finally:
        googlesql.close()


def markdown(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as the page has it: numbers to the right, with commas."""
    lines = [heads, *([_cell(value) for value in row] for row in rows)]
    right = [all(line[i][:1].isdigit() or not line[i] for line in lines[1:]) for i in range(len(heads))]
    marks = "|" + "|".join("---:" if number else "---" for number in right) + "|"
    return "\n".join([f"| {' | '.join(lines[0])} |", marks, *(f"| {' | '.join(line)} |" for line in lines[1:])])


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
