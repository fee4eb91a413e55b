"""Answers and outcomes on BigQuery, with labels in a table of their own, against the stand-in of `tests/bigquery_server`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bq_monitor import capture_reference
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.due import Asked, Due, affordable_plan, estimate_bytes, make_plan, preview, scan_sizes
from bq_monitor.errors import BudgetError
from bq_monitor.job import execute
from bq_monitor.reference import load_references, store_reference
from bq_monitor.results import RunResult
from bq_monitor.warehouse.base import Terms
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.views import VIEWS
from tests.bigquery_lab import LOG, TOLD, Lab, connect
from tests.test_bigquery_server import assert_same, stored

LABELS = "acme-ml.serving.labels"
START = pd.Timestamp("2026-01-05", tz="UTC")
N_DAYS, PER_DAY = 14, 60
OUTCOME_SCANS = 2
"""Of the answers, and of the features by outcome."""
SETTINGS: dict[str, Any] = {
    "features": ["amount", {"name": "region", "kind": "categorical"}],
    "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "score"},
    "segments": ["region"],
    "performance": {"accuracy": {"min": 0.9}, "roc_auc": {"max_drop": 0.2}},
    "fairness": [{"group": "region", "min_ratio": 0.8}],
    "quality": {
        "volume": {"min": 10}, "null_rate": {"max_rise": 0.01}, "new_categories": {"max_share": 0.01}, "duplicate_ids": {"max_share": 0.01},
        "freshness": {"max_age": "6h"},
    },
    "window": {"length": "7d", "every": "7d", "start": "2026-01-05"},
    "detection": {"confirm": "1 of 1"},
    **TOLD,
}  # fmt: skip


def answers(rng: np.random.Generator, n: int) -> pd.DataFrame:
    x = rng.normal(0, 1, n)
    score = 1 / (1 + np.exp(-1.5 * x))
    region = rng.choice(["nörd", "süd", "it's"], n)
    return pd.DataFrame(
        {"amount": x, "region": region, "approved": score >= 0.5, "score": score, "repaid": rng.random(n) < score}
    )


def logged(rng: np.random.Generator) -> pd.DataFrame:
    """Two weeks of answers with their outcomes; in the second some amounts are NULL, and some ids come twice."""
    n = N_DAYS * PER_DAY
    rows = answers(rng, n)
    rows["predicted_at"] = START + pd.to_timedelta(np.sort(rng.integers(0, N_DAYS * 86_400, n)), unit="s")
    rows["application"] = [f"a{i:03}" for i in range(n)]
    rows.loc[rows.index[-60:-30], "amount"] = np.nan
    rows.loc[rows.index[-20:], "application"] = rows["application"].iloc[-40:-20].to_numpy()
    return rows


def labelled(log: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A label of each id after 0 to 15 days; of some ids another one that says the same, of some one that says the opposite."""
    own = log.drop_duplicates("application")
    came = own["predicted_at"] + pd.to_timedelta(rng.integers(0, 15 * 86_400, len(own)), unit="s")
    labels = pd.DataFrame({"application": own["application"], "repaid": own["repaid"], "labelled_at": came})
    again = labels.iloc[rng.choice(len(labels), 30, replace=False)].copy()
    again.iloc[:10, 1] = ~again.iloc[:10, 1]
    return pd.concat([labels, again.assign(labelled_at=again["labelled_at"] + pd.Timedelta(hours=5))])


@dataclass
class Bench:
    """The lab with a reference, a log and its labels: on the stand-in, and as files for the embedded warehouse."""

    lab: Lab
    log: pd.DataFrame
    labels: pd.DataFrame
    embedded: DuckDBWarehouse

    def config(self, *, embedded: bool = False, **changes: Any) -> MonitorConfig:
        folder = self.lab.folder
        source, labels = (f"{folder}/log.parquet", f"{folder}/labels.parquet") if embedded else (LOG, LABELS)
        return parse_config({
            "monitor": "loans", "warehouse": f"duckdb://{folder}/monitor.duckdb" if embedded else "bigquery://acme-ml/mon",
            "source": {"table": source, "timestamp": "predicted_at", "id": "application"},
            "labels": {"table": labels, "id": "application", "column": "repaid", "timestamp": "labelled_at", "matures_after": "16d"},
            **SETTINGS, **changes,
        })  # fmt: skip

    def write(self, labels: pd.DataFrame, partition: str | None = "labelled_at") -> None:
        """Put these labels, and the log, in their places."""
        folder, engine = self.lab.folder, self.lab.server.engine
        log = self.log.drop(columns="repaid")
        for name, rows, file, cut in ((LOG, log, "log", "predicted_at"), (LABELS, labels, "labels", partition)):
            rows.to_parquet(folder / f"{file}.parquet")
            engine.load(name, f"SELECT * FROM '{folder}/{file}.parquet'", partition=cut)

    def run(self, as_of: str) -> RunResult:
        config = self.config()
        return execute(self.lab.warehouse, config, Asked.parse(config, as_of), deadline_seconds=60)

    def run_embedded(self, as_of: str) -> RunResult:
        config = self.config(embedded=True)
        return execute(self.embedded, config, Asked.parse(config, as_of))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.lab.server.engine.ask(sql.replace("mon.", "acme-ml.mon."))

    def n_scans(self) -> int:
        return self.lab.steps().count("scan-histograms")


@pytest.fixture
def bench(lab: Lab, rng: np.random.Generator) -> Iterator[Bench]:
    log = logged(rng)
    made = Bench(lab, log, labelled(log, rng), DuckDBWarehouse())
    made.embedded.close()
    capture_reference(answers(rng, 2000), made.config(embedded=True), version="1")
    made.embedded = DuckDBWarehouse(f"{lab.folder}/monitor.duckdb")
    (reference,) = load_references(made.embedded, "loans")
    store_reference(lab.warehouse, reference)
    yield made
    made.embedded.close()


@pytest.mark.parametrize("partition", ["labelled_at", None])
def test_every_row_equals_the_embedded_warehouse(bench: Bench, partition: str | None) -> None:
    """Judged when some outcomes were known, and when all were: the same rows of every table and view on both warehouses."""
    bench.write(bench.labels, partition)
    for as_of in ("2026-01-22", "2026-02-04"):
        bench.run(as_of)
        bench.run_embedded(as_of)
    bench.lab.warehouse.begin(Terms())  # the time of the last run is over
    for entity in (*TABLES, *VIEWS):
        expected = stored(bench.embedded, entity.name)
        assert expected, entity.name
        assert_same(expected, stored(bench.lab.warehouse, entity.name))
    judged = bench.ask("SELECT DISTINCT basis, status FROM mon.performance_latest WHERE rule IS NOT NULL")
    assert ("realised", "drift") in judged  # accuracy is below 0.9
    marks = "SELECT COUNTIF(is_provisional), COUNT(DISTINCT window_end) FROM mon.{} WHERE n_rows > 0"
    assert bench.ask(marks.format("performance_latest")) == [(0, 2)]
    ((n_provisional, _),) = bench.ask(marks.format("performance_results"))
    assert n_provisional > 0
    broken = {
        name for (name,) in bench.ask("SELECT DISTINCT check_name FROM mon.quality_latest WHERE status = 'drift'")
    }
    assert broken >= {"null_rate", "duplicate_ids"}


def test_what_had_arrived_is_what_the_labels_say(bench: Bench) -> None:
    """Rows, labels and contradictions of each day as pandas counts them, of the labels that had come."""
    bench.write(bench.labels)
    bench.run("2026-01-22")
    known = bench.labels[bench.labels["labelled_at"] < "2026-01-22"]
    by_id = known.groupby("application")["repaid"].agg(["nunique", "size"])
    rows = bench.log.merge(by_id, how="left", left_on="application", right_index=True)
    days = rows.groupby(rows["predicted_at"].dt.date)
    expected = [
        (day, len(own), own["application"].nunique(), (own["nunique"] == 1).sum(), own["size"].sum(), (own["nunique"] > 1).sum())
        for day, own in days
    ]  # fmt: skip
    actual = bench.ask(
        "SELECT DATE(granule), n_rows, n_ids, n_labelled, n_labels, n_contradictory FROM mon.arrivals_latest ORDER BY granule"
    )
    assert actual == expected
    assert sum(row[-1] for row in actual) > 0


def test_late_labels_recount_their_days_alone(bench: Bench) -> None:
    """Outcomes of one day come: that day is counted again, the week that holds it judged again, drift and quality are not."""
    known = bench.labels[bench.labels["labelled_at"] < "2026-01-22"]
    bench.write(known)
    bench.run("2026-01-22")
    before = bench.n_scans()
    of_day = bench.log[bench.log["predicted_at"].dt.day == 7]
    missing = of_day[~of_day["application"].isin(known["application"])]
    late = missing[["application", "repaid"]].assign(labelled_at=pd.Timestamp("2026-01-22 12:00", tz="UTC"))
    bench.write(pd.concat([known, late]))
    result = bench.run("2026-01-23")
    assert (result.results, result.quality) == ((), ())
    assert {r.judgement.window.end.day for r in result.performance} == {12}
    assert bench.n_scans() - before == OUTCOME_SCANS
    for table in ("arrivals", "outcome_histograms"):
        days = bench.ask(f"SELECT DISTINCT EXTRACT(DAY FROM granule) FROM mon.{table} WHERE run_id = '{result.run_id}'")
        assert days == [(7,)], table
    contradictory = (
        of_day["application"].isin(known.groupby("application")["repaid"].nunique()[lambda n: n > 1].index).sum()
    )
    of_view = "SELECT n_labelled FROM mon.arrivals_latest WHERE EXTRACT(DAY FROM granule) = 7"
    assert bench.ask(of_view) == [(len(of_day) - contradictory,)]
    bench.run("2026-01-23")
    assert bench.n_scans() - before == OUTCOME_SCANS


def widths(labels: pd.DataFrame) -> int:
    """Bytes of labels: id (a text), outcome and time."""
    return int(labels["application"].str.len().sum()) + len(labels) * (2 + 1 + 8)


@pytest.mark.parametrize("partition", ["labelled_at", None])
def test_only_partitions_of_labels_that_can_count_are_read(bench: Bench, partition: str | None) -> None:
    """From a day before the days that are counted on, and none that came later: by the look and by both scans, once each."""
    old = bench.labels.assign(labelled_at=bench.labels["labelled_at"] - pd.Timedelta(days=90))
    labels = pd.concat([bench.labels, old])
    bench.write(labels, partition)
    bench.run("2026-01-22")
    from_day_before, before_run = START - pd.Timedelta(days=1), pd.Timestamp("2026-01-22", tz="UTC")
    can_count = labels[(labels["labelled_at"] >= from_day_before) & (labels["labelled_at"] < before_run)]
    assert 0 < len(can_count) < len(bench.labels)
    read = can_count if partition else labels
    assert bench.lab.server.bytes_of(LABELS) == (1 + OUTCOME_SCANS) * widths(read)


def test_the_plan_shows_what_the_scans_of_outcomes_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned, estimated and read are one number: features, answers, and features by outcome."""
    bench.write(bench.labels)
    config, server = bench.config(), bench.lab.server
    opened = lambda *args, **kwargs: BigQueryWarehouse("acme-ml", "mon", client=connect(server))  # noqa: E731
    monkeypatch.setattr("bq_monitor.due.open_warehouse", opened)
    planned = preview(config, "2026-01-22")
    looked = server.bytes_by_step()["scan-arrivals"]
    estimated = estimate_bytes(
        bench.lab.warehouse, make_plan(bench.lab.warehouse, config, Asked.parse(config, "2026-01-22"))
    )
    assert bench.n_scans() == 0
    bench.run("2026-01-22")
    assert planned["n_statements"] == bench.n_scans() == 1 + OUTCOME_SCANS
    assert planned["bytes"] == estimated == server.bytes_by_step()["scan-histograms"]
    assert (
        planned["bytes_planning"] >= looked > len(bench.log) * (8 + 2 + 4)
    )  # the time and the id of each row, and labels


def test_a_budget_counts_the_scans_of_outcomes(bench: Bench) -> None:
    """A cap that holds planning and every scan is kept to the byte; one byte less leaves the answers to the next run, before anything
    is scanned, and drift is judged; a cap that holds no scan at all is refused."""
    bench.write(bench.labels)
    warehouse, asked = bench.lab.warehouse, Asked(datetime(2026, 1, 12, tzinfo=UTC))

    def afford(cap: int) -> Due:
        warehouse.begin(Terms())
        return affordable_plan(warehouse, bench.config(budget={"max_bytes_per_run": cap}), asked)

    due = afford(10**9)
    planning, sizes = warehouse.spent.bytes_processed, scan_sizes(warehouse, due)
    assert planning is not None
    known = [size for size in sizes if size is not None]
    assert len(known) == len(sizes) == 1 + OUTCOME_SCANS
    whole = planning + sum(known)
    assert afford(whole).outcomes.counts
    less = afford(whole - 1)
    assert (len(less.plan.counts), less.outcomes.counts, less.n_windows_left) == (1, (), 1)
    with pytest.raises(BudgetError, match="nothing was scanned"):
        afford(planning)
    assert bench.n_scans() == 0
