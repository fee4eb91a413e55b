"""What only the real service can confirm; docs/verified.md lists each claim that stands on one of these."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from google.cloud import bigquery

from bq_monitor import capture_reference, run
from bq_monitor.due import preview
from bq_monitor.errors import BudgetError, DeadlineError
from bq_monitor.job import run_until_done
from bq_monitor.validation import check_live
from bq_monitor.warehouse.base import Statement, Terms
from bq_monitor.warehouse.schema import RUNS
from tests.live.conftest import Live

pytestmark = pytest.mark.live
DAYS = 30


@pytest.fixture(scope="module")
def watched(live: Live) -> Live:
    """A month of log, cut by day, with the reference of a training set."""
    rng = np.random.default_rng(20260101)
    n = DAYS * 2000
    start = datetime(2026, 1, 5, tzinfo=UTC)
    rows = [
        {
            "predicted_at": (start + timedelta(minutes=i * DAYS * 1440 / n)).isoformat(),
            "amount": float(a),
            "region": str(r),
        }
        for i, (a, r) in enumerate(zip(rng.lognormal(9, 1, n), rng.choice(["north", "süd"], n), strict=True))
    ]
    lines = "\n".join(map(json.dumps, rows)).encode()
    config = bigquery.LoadJobConfig(
        source_format="NEWLINE_DELIMITED_JSON", time_partitioning=bigquery.TimePartitioning(field="predicted_at"),
        schema=[bigquery.SchemaField(name, kind) for name, kind in (("predicted_at", "TIMESTAMP"), ("amount", "FLOAT64"), ("region", "STRING"))],
    )  # fmt: skip
    live.client.load_table_from_file(io.BytesIO(lines), live.name("log"), job_config=config).result()
    training = pd.DataFrame({"amount": rng.lognormal(9, 1, 5000), "region": rng.choice(["north", "süd"], 5000)})
    capture_reference(training, live.config(), version="1")
    return live


def test_a_healthy_monitor_is_found_healthy(watched: Live) -> None:
    """Permissions, region, partitions: no fault, no advice."""
    found = check_live(watched.config())
    assert (found.faults, found.advice) == ((), ())


def test_estimates_are_what_is_billed_and_partitions_are_skipped(watched: Live) -> None:
    """The preview of a month's scan is what the month's scans then process; a second run reads none of the log."""
    expected = preview(watched.config(), "2026-02-04")
    outcomes = list(run_until_done(watched.config(), "2026-02-04"))
    assert sum(outcome.n_granules_counted for outcome in outcomes) == expected["n_granules"] == DAYS
    (job,) = [
        job for job in watched.client.list_jobs(max_results=200, all_users=False)
        if job.labels.get("step") == "scan-histograms" and job.labels.get("run_key") == outcomes[0].run_id
    ]  # fmt: skip
    assert job.total_bytes_processed == expected["bytes"]
    assert run(watched.config(), "2026-02-04").results == ()


def test_commits_of_megabytes_are_staged_and_atomic(live: Live) -> None:
    """Rows beyond what a request takes arrive by load jobs and one transaction; the same key commits once."""
    blank = {column.name: None for column in RUNS.columns}
    rows = [{**blank, "monitor": "x" * 500, "run_id": str(i), "started_at": datetime.now(UTC)} for i in range(10_000)]
    before = live.count("runs")
    for _ in range(2):
        live.warehouse.commit({RUNS: rows}, key="live-large")
    assert live.count("runs") == before + 10_000


def test_a_job_is_cancelled_at_the_deadline(live: Live) -> None:
    """What would take minutes is cancelled; the error says so."""
    slow = "SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b WHERE MOD(a * b, 7) = 3"
    live.warehouse.begin(Terms(15))
    with pytest.raises(DeadlineError):
        live.warehouse.query(Statement("read/slow", slow))
    live.warehouse.begin(Terms())


def test_the_cap_stops_a_query_before_it_costs(watched: Live) -> None:
    """maximum_bytes_billed, below the least billing of a query, refuses it as over budget."""
    watched.warehouse.begin(Terms(60, 1_000_000))
    with pytest.raises(BudgetError):
        watched.warehouse.query(Statement("read/log", f"SELECT SUM(amount) AS n FROM `{watched.name('log')}`"))
    watched.warehouse.begin(Terms())
