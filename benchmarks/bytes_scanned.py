"""How much of the log a year of daily runs reads, beside what comparing raw tables each day would read.

A year of a log (the stand-in for BigQuery of tests/bigquery_server counts bytes as the service bills them: widths of the columns
named, over the partitions that a query cannot skip) is watched day by day, each day by five window lengths, through the real
client. `raw` is what five comparisons a day of raw tables read: the window's rows and each of four baselines in raw form
(training data; the window before; the same weekdays of four weeks; the same days of the month before), the same columns, nothing remembered.

    python benchmarks/bytes_scanned.py [DAYS [ROWS_PER_DAY]]
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import google.api_core.retry.retry_unary as retries
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent.parent))

from bq_monitor.config import parse_config
from bq_monitor.due import Asked
from bq_monitor.job import execute
from bq_monitor.reference import store_reference
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.bigquery_lab import LOG, Lab, connect
from tests.bigquery_server.server import serve

LENGTHS = (1, 7, 14, 28, 56)
BASELINES = ["training", "previous", {"same_weekday": 4}, {"same_monthday": 1}]
START = datetime(2025, 1, 1, tzinfo=UTC)
TRAINING_DAYS = 90


def entries(rng: np.random.Generator, days: int, per_day: int) -> pa.Table:
    n = days * per_day
    seconds = np.repeat(np.arange(days) * 86400, per_day) + rng.integers(0, 86400, n)
    return pa.table({
        "predicted_at": pa.array([START + timedelta(seconds=int(s)) for s in seconds], pa.timestamp("us", tz="UTC")),
        "amount": rng.lognormal(9, 1, n), "term": rng.integers(1, 360, n),
        "region": rng.choice(["north", "south", "east", "west"], n).tolist(),
    })  # fmt: skip


def width(table: pa.Table) -> int:
    return int(24 * table.num_rows + 2 * table.num_rows + (pc.sum(pc.binary_length(table["region"])).as_py() or 0))


def raw_bytes(by_day: list[int], training: int) -> int:
    """What the comparisons of raw tables read, day by day; nothing before the log begins."""
    total = 0
    for day, length in itertools.product(range(1, len(by_day) + 1), LENGTHS):
        if day < length:
            continue
        window = sum(by_day[day - length : day])
        before = sum(by_day[max(day - 2 * length, 0) : day - length])
        weekdays = sum(sum(by_day[max(day - 7 * k - length, 0) : max(day - 7 * k, 0)]) for k in range(1, 5))
        month = 30 * -(-length // 31)
        month_before = sum(by_day[max(day - month - length, 0) : max(day - month, 0)])
        total += 4 * window + training + before + weekdays + month_before
    return total


def main(days: int, per_day: int) -> None:
    retries.exponential_sleep_generator = lambda *given, **named: itertools.repeat(0.01)
    rng = np.random.default_rng(20260101)
    log, training = entries(rng, days, per_day), entries(rng, TRAINING_DAYS, per_day)
    day_of = (
        (pc.cast(log["predicted_at"], pa.int64()).to_numpy() - int(START.timestamp() * 1e6)) // 86_400_000_000
    ).astype(int)
    by_day = [width(log.filter(pa.array(day_of == day))) for day in range(days)]
    started = time.perf_counter()
    with serve() as server, tempfile.TemporaryDirectory() as folder:
        for dataset in ("mon", "serving"):
            server.engine.create_dataset(f"acme-ml.{dataset}", "US")
        lab = Lab(server, connect(server), BigQueryWarehouse("acme-ml", "mon", client=connect(server)), Path(folder))
        create_tables(lab.warehouse)
        settings = {"monitor": "loans", "warehouse": "bigquery://acme-ml/mon", "source": {"table": LOG, "timestamp": "predicted_at"},
                    "features": ["amount", "term", "region"], "baselines": BASELINES}  # fmt: skip
        lab.settings = {**settings, "prediction": None, "window": {"length": "7d"}}
        store_reference(lab.warehouse, lab.build(training))
        n_runs = 0
        for day in range(days):
            pq.write_table(log.filter(pa.array(day_of == day)), f"{folder}/day.parquet")
            if day:
                server.engine.append(LOG, f"SELECT * FROM '{folder}/day.parquet'")
            else:
                server.engine.load(LOG, f"SELECT * FROM '{folder}/day.parquet'", partition="predicted_at")
            for length in LENGTHS:
                window = {"length": f"{length}d", "every": "1d", "start": "2025-01-01", "restate": "3d"}
                execute(
                    lab.warehouse, parse_config({**settings, "window": window}), Asked(START + timedelta(days=day + 1))
                )
                n_runs += 1
        read = server.bytes_of(LOG)
        ((results, windows),) = server.engine.ask(
            "SELECT COUNT(*), COUNT(DISTINCT (window_start, window_end)) FROM `acme-ml.mon.drift_results`"
        )
    one_pass, raw = sum(by_day), raw_bytes(by_day, width(training))
    print(f"{days} days of {per_day} rows, {len(BASELINES)} baselines, "
          f"{len(LENGTHS)} window lengths ({', '.join(map(str, LENGTHS))} days): {n_runs:,} runs, "
          f"{windows:,} windows, {results:,} verdicts in {time.perf_counter() - started:.0f} s")  # fmt: skip
    print("| | bytes of the log and of raw baselines | of one pass |\n|---|---:|---:|")
    for what, size in (
        ("one pass over the monitored columns", one_pass),
        ("bq-monitor, all runs", read),
        ("raw tables compared each day", raw),
    ):
        print(f"| {what} | {size:,} | {size / one_pass:.2f} x |")


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] + ["365", "50"][len(sys.argv) - 1 :])))
