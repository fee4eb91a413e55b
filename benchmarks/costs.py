"""What the monitor of the flagship example bills a day and a month at 1M, 100M and 10B rows a day, worked out from bytes.

The loan monitor (examples/loan_approval, judged daily over seven days) runs through the real client against the stand-in for
BigQuery of tests/bigquery_server, on real loans spread over time, until its state is steady; then one run of a day is taken apart. Each of
its statements read so many bytes of the log and of the outcomes, which grow with the rows a day, and so many of our own tables, which do
not. What it bills at another number of rows follows: whole MB, at least 10 of each table that it reads.

    python benchmarks/costs.py
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import google.api_core.retry.retry_unary as retries
import numpy as np
import pandas as pd
import yaml
from google.auth.credentials import AnonymousCredentials

sys.path.insert(0, str(Path(__file__).parent.parent))

from bq_monitor.budget import MB, TIB, billed
from bq_monitor.capture import capture_reference
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.job import run
from tests.bigquery_lab import LOG
from tests.bigquery_server.jobs import Job
from tests.bigquery_server.server import Server, serve

ROOT = Path(__file__).parent.parent
PRICE_PER_TIB = 6.25
"""US dollars a TiB on demand, region `us`, list price of November 2026 as the documentation had it; check that of your own region."""
PRICE_PER_GIB_MONTH = 0.02
"""US dollars a GiB and month of active logical storage, likewise; half of it for partitions that nobody changed for 90 days."""
GIB, GB = 1 << 30, 10**9
DAYS_A_MONTH = 30
OUTCOMES = "acme-ml.serving.outcomes"
START = datetime(2026, 1, 1, tzinfo=UTC)
PER_DAY, DAYS, MATURES_DAYS, TRAINING_DAYS, WINDOW_DAYS = 30, 12, 7, 30, 7
SIZES = {"1M": 10**6, "100M": 10**8, "10B": 10**10}
_EXAMPLE = ROOT / "examples" / "loan_approval"


@dataclass(frozen=True)
class Statement:
    """What one statement read: bytes of the user's tables, which grow with the rows a day, and of ours, which do not."""

    step: str
    theirs: int
    ours: int
    n_tables: int

    def billed(self, factor: float) -> int:
        """Bytes billed at `factor` times the rows a day that were measured."""
        size = round(self.theirs * factor) + self.ours
        return max(billed(size), self.n_tables * 10 * MB) if size else 0


@dataclass(frozen=True)
class Measured:
    """The steady state of a variant: the run of a day, a further call on that day, and what a day adds to our tables."""

    title: str
    daily: tuple[Statement, ...]
    idle: tuple[Statement, ...]
    stored_bytes: int

    def per_row(self, statements: Sequence[Statement]) -> float:
        """Bytes of the user's tables that are read for each row of a day."""
        return sum(item.theirs for item in statements) / PER_DAY

    @staticmethod
    def billed(statements: Sequence[Statement], rows_a_day: int) -> int:
        return sum(item.billed(rows_a_day / PER_DAY) for item in statements)


def loans(n: int) -> pd.DataFrame:
    """So many real applications with their outcomes, over and over where there are fewer, and a score."""
    sql = (_EXAMPLE / "applications.sql").read_text(encoding="utf-8")
    with duckdb.connect() as engine:
        engine.execute(f"CREATE VIEW loans AS SELECT * FROM '{_EXAMPLE}/sba_loans.parquet'")
        found = engine.execute(sql, {"start": datetime(1990, 1, 1), "end": datetime(2020, 1, 1)}).df()
    found = found.iloc[np.arange(n) % len(found)].reset_index(drop=True)
    score = np.random.default_rng(20260101).beta(4, 2, n)
    return found.assign(
        application_id=[f"{i:010d}" for i in range(n)],
        model_version="2026-01",
        approved=score >= 0.5,
        probability=score,
    )


def log_and_outcomes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """`DAYS` of log; the outcome of each application comes within `MATURES_DAYS`, on average after half of them."""
    rng = np.random.default_rng(20260102)
    found = loans(PER_DAY * DAYS)
    seconds = np.arange(len(found)) // PER_DAY * 86400 + rng.integers(0, 86400, len(found))
    found["predicted_at"] = pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s")
    known_at = found["predicted_at"] + pd.to_timedelta(rng.uniform(0, MATURES_DAYS * 86400, len(found)), unit="s")
    outcomes = pd.DataFrame(
        {"application_id": found["application_id"], "repaid": found["repaid"], "known_at": known_at}
    )
    precise = {"predicted_at": "datetime64[us, UTC]"}
    return found.drop(columns="repaid").astype(precise), outcomes.astype({"known_at": "datetime64[us, UTC]"})


def configuration(**changes: Any) -> MonitorConfig:
    """The flagship's, judged each day over seven days; a change to None takes a section out."""
    said = yaml.safe_load((_EXAMPLE / "loan_approval.yaml").read_text(encoding="utf-8"))
    said |= {"warehouse": "bigquery://acme-ml/mon", "source": {**said["source"], "table": LOG}}
    said["window"] = {
        "granule": "day",
        "length": f"{WINDOW_DAYS}d",
        "every": "1d",
        "restate": "3d",
        "start": "2026-01-01",
    }
    said["labels"] = {**said["labels"], "table": OUTCOMES, "matures_after": f"{MATURES_DAYS}d"}
    return parse_config({key: value for key, value in {**said, **changes}.items() if value is not None})


@contextmanager
def service() -> Iterator[Server]:
    """The stand-in, as every client of this process finds it."""
    waits = mock.patch.object(retries, "exponential_sleep_generator", lambda *given, **named: itertools.repeat(0.01))
    login = mock.patch("google.auth.default", lambda **options: (AnonymousCredentials(), "acme-ml"))
    with serve() as server, waits, login, mock.patch.dict(os.environ, {"BIGQUERY_EMULATOR_HOST": server.url}):
        for dataset in ("mon", "serving"):
            server.engine.create_dataset(f"acme-ml.{dataset}", "US")
        yield server


def measure(title: str, config: MonitorConfig) -> Measured:
    """Run a monitor day after day until it is steady, and take the last day apart."""
    log, outcomes = log_and_outcomes()
    with service() as server, tempfile.TemporaryDirectory() as folder:
        outcomes.to_parquet(f"{folder}/outcomes.parquet")
        server.engine.load(OUTCOMES, f"SELECT * FROM '{folder}/outcomes.parquet'", partition="known_at")
        training = loans(PER_DAY * TRAINING_DAYS)
        with mock.patch("bq_monitor.capture.secrets.token_hex", lambda n: "5a" * n):
            capture_reference(training.drop(columns="predicted_at"), config, version="2026-01")
        last = START + timedelta(days=DAYS)
        _append(server, log, last - timedelta(days=1), Path(folder))
        run(config, last - timedelta(days=1))
        before, seen = _stored(server), set(server.jobs)
        _append(server, log, last, Path(folder))
        run(config, last)
        daily, stored = _statements(server, seen), _stored(server) - before
        seen = set(server.jobs)
        run(config, last)
        return Measured(title, daily, _statements(server, seen), stored)


def variants() -> list[Measured]:
    """What the table tells: without outcomes, and with them."""
    bare = {"labels": None, "performance": None, "fairness": None}
    outcomes = f"outcomes within {MATURES_DAYS} days"
    return [measure("without outcomes", configuration(**bare)), measure(outcomes, configuration())]


def table(measured: Sequence[Measured]) -> str:
    """The table of docs/operations.md."""
    lines = [
        "| monitor | rows a day | a run reads | a run bills | dollars a day | a month | each further call bills | our tables grow a month |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for item, (name, rows) in itertools.product(measured, SIZES.items()):
        daily, idle = item.billed(item.daily, rows), item.billed(item.idle, rows)
        price = daily / TIB * PRICE_PER_TIB
        cells = [
            item.title, name, size_text(item.per_row(item.daily) * rows), size_text(daily), f"{price:,.3f}",
            f"{price * DAYS_A_MONTH:,.2f}", size_text(idle), size_text(item.stored_bytes * DAYS_A_MONTH),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def raw_table(measured: Measured) -> str:
    """What a daily recomputation from raw rows reads: the window, and the training data; the same columns, read once."""
    once = measured_width(measured)
    lines = [
        "| rows a day | one day's rows | the window from raw rows | with training data | bq-monitor |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rows in SIZES.items():
        whole = once * rows
        read = [
            whole,
            WINDOW_DAYS * whole,
            (WINDOW_DAYS + TRAINING_DAYS) * whole,
            measured.per_row(measured.daily) * rows,
        ]
        prices = [f"{size_text(size)} ({size / TIB * PRICE_PER_TIB * DAYS_A_MONTH:,.2f})" for size in read]
        lines.append("| " + " | ".join([name, *prices]) + " |")
    return "\n".join(lines)


def measured_width(measured: Measured) -> float:
    """Bytes a row of the monitored columns: what the scan reads of the one day that is new."""
    return measured.per_row([item for item in measured.daily if item.step == "scan-histograms"])


def size_text(size: float) -> str:
    """Three digits and a unit of a thousand.

    >>> size_text(10 * MB), size_text(1.2345e12)
    ('10.5 MB', '1.23 TB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{size:#.3g}".rstrip(".") + f" {unit}" if size < 999.5 else f"{size:,.0f} {unit}"


def _append(server: Server, log: pd.DataFrame, until: datetime, folder: Path) -> None:
    """The rows before a moment that are not there yet; they wait in the streaming buffer, as rows that are streamed do."""
    is_there = LOG in server.engine.entities
    begin = until - timedelta(days=1) if is_there else START
    found = log[(log["predicted_at"] >= begin) & (log["predicted_at"] < until)]
    found.to_parquet(folder / "day.parquet")
    sql = f"SELECT * FROM '{folder}/day.parquet'"
    if is_there:
        server.engine.flush(LOG)
        server.engine.append(LOG, sql, streaming=True)
    else:
        server.engine.load(LOG, sql, partition="predicted_at")


def _statements(server: Server, seen: set[Any]) -> tuple[Statement, ...]:
    made = [job for key, job in server.jobs.items() if key not in seen and job.kind == "query" and job.outcome]
    return tuple(_statement(job) for job in made if job.outcome and job.outcome.bytes_processed)


def _statement(job: Job) -> Statement:
    assert job.outcome is not None
    theirs = sum(size for name, size in job.outcome.bytes_of.items() if name in (LOG, OUTCOMES))
    return Statement(job.step, theirs, job.outcome.bytes_processed - theirs, len(job.outcome.bytes_of))


def _stored(server: Server) -> int:
    """Logical bytes of our tables."""
    return sum(entity.size for name, entity in server.engine.entities.items() if name.startswith("acme-ml.mon."))


def main() -> None:
    measured = variants()
    print(table(measured))
    print()
    print(raw_table(measured[0]))
    for item in measured:
        print(
            f"\n{item.title}: {item.per_row(item.daily):.1f} bytes a row of a day; a further call {item.per_row(item.idle):.1f}"
        )
        for statement in item.daily:
            print(
                f"  {statement.step:<24}{statement.theirs / PER_DAY:>10.1f} bytes a row{statement.ours:>12,} of ours, {statement.n_tables} tables"
            )


if __name__ == "__main__":
    main()
