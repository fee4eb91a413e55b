"""`validate` on BigQuery: what will not work and what wastes money is said before anything runs, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from bq_monitor import waste
from bq_monitor.budget import billed
from bq_monitor.cli import cli
from bq_monitor.config import parse_config
from bq_monitor.errors import AccessError, DeadlineError
from bq_monitor.findings import Findings
from bq_monitor.reference import store_reference
from bq_monitor.validation import check_live, examine
from bq_monitor.warehouse.access import NEEDS, Need
from bq_monitor.warehouse.base import Layout, Statement, Terms
from bq_monitor.warehouse.bigquery import BigQueryWarehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.bigquery_lab import LOG, TOLD, Lab, connect, loans
from tests.bigquery_server.server import Server, serve
from tests.conftest import make_config

TODAY = datetime(2026, 6, 15, tzinfo=UTC)
DAYS = 40
ROWS_A_DAY = 30
FEATURES = ["amount", {"name": "region", "kind": "categorical", "top_k": 3}]
BYTES_A_ROW = 8 + 8 + (2 + 5)
"""Of the time, the amount and the region (`south`)."""


@pytest.fixture
def ready(lab: Lab, rng: np.random.Generator) -> Lab:
    """A healthy monitor: its tables, a reference, and forty days of log up to yesterday, partitioned by the day."""
    lab.settings |= {"features": FEATURES, "prediction": None, "window": {"length": "7d", "every": "1d"}}
    store_reference(lab.warehouse, lab.build(loans(rng, 1, 500)))
    lab.settings["source"] = {"table": LOG, "timestamp": "predicted_at"}
    write_log(lab, partition="predicted_at")
    return lab


@pytest.fixture
def small_waste(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of a test is small, but big enough to care about."""
    monkeypatch.setattr(waste, "MIN_WASTE_BYTES", 1000)


def write_log(lab: Lab, **layout: Any) -> None:
    times = pd.date_range(TODAY - timedelta(days=DAYS), TODAY, freq=f"{24 * 60 // ROWS_A_DAY}min", inclusive="left")
    frame = pd.DataFrame({"predicted_at": times, "loaded_at": times, "amount": 1.0, "region": "south"})
    lab.server.engine.load(LOG, "SELECT * FROM frame", frame=frame, **layout)


def look(lab: Lab, **changes: Any) -> Findings:
    """What `validate` finds; `changes` replace sections of the configuration."""
    lab.settings |= changes
    return examine(lab.warehouse, lab.config(), TODAY)


def test_a_healthy_monitor_has_no_fault_and_no_advice(ready: Lab, small_waste: None) -> None:
    """Nothing is said, nothing is changed, and no job reads the log."""
    tables = set(ready.server.engine.entities)
    assert look(ready, budget={"max_bytes_per_run": "1GB", "max_bytes_per_month": "30GB"}) == Findings()
    assert set(ready.server.engine.entities) == tables
    assert ready.server.bytes_of(LOG) == 0


PLACES = {"project": "project acme-ml: ", "log": LOG, "own": "acme-ml.mon: "}
RESOURCES = {"project": "acme-ml", "log": "acme-ml.serving", "own": "acme-ml.mon"}
GRANTED_ON = {"project": "project acme-ml", "log": "dataset", "own": "dataset acme-ml.mon"}


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: f"{need.permission} on {need.where}")
def test_a_missing_permission_is_named_with_the_role_that_grants_it(ready: Lab, need: Need) -> None:
    """Each one is told once: where it lacks, what for it is needed, the least role, and on what to grant it."""
    ready.server.deny(need.permission, RESOURCES[need.where])
    found = look(ready)
    is_advice = (need.permission, need.where) == ("bigquery.tables.list", "log")
    (text,) = found.advice if is_advice else found.faults
    assert text.startswith(PLACES[need.where])
    assert f"permission {need.permission} is missing" in text
    assert f"needed to {need.purpose}." in text
    assert f"Grant {need.role} on " in text
    assert GRANTED_ON[need.where] in text
    assert "\n" not in text
    assert (len(found.faults), len(found.advice)) == ((0, 1) if is_advice else (1, 0))


def test_a_permission_that_lacks_on_one_table_names_that_table(ready: Lab) -> None:
    """A grant that misses a single table of ours is found before a run has counted anything."""
    ready.server.deny("bigquery.tables.updateData", "acme-ml.mon.runs")
    (fault,) = look(ready).faults
    assert fault.startswith("acme-ml.mon.runs: permission bigquery.tables.updateData is missing")


def test_a_permission_that_lacks_on_all_tables_is_one_fault(ready: Lab) -> None:
    """The dataset is named, not each table."""
    ready.server.deny("bigquery.tables.updateData", "acme-ml.mon")
    (fault,) = look(ready).faults
    assert fault.startswith("acme-ml.mon: permission bigquery.tables.updateData is missing")


def test_checks_go_on_past_a_log_that_cannot_be_read(ready: Lab) -> None:
    """Without its columns, what the account lacks elsewhere is said all the same."""
    for permission, resource in (
        ("bigquery.tables.get", LOG), ("bigquery.tables.getData", LOG), ("bigquery.tables.updateData", "acme-ml.mon"),
    ):  # fmt: skip
        ready.server.deny(permission, resource)
    found = look(ready)
    assert [text.split(": ")[1].split()[1] for text in found.faults] == [
        "bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.updateData",
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["read/partitions", "write/stage"])
def test_a_refusal_that_names_no_permission_means_the_one_that_was_tried(
    ready: Lab, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The service also says only that a table may not be queried, 'or perhaps it does not exist'."""
    estimate = ready.warehouse.estimate

    def refuse(statement: Statement) -> int | None:
        if statement.name == step and "`acme-ml.mon" in statement.sql:
            raise AccessError(
                f"{step}: no access: User does not have permission. Grant the role that the message names."
            )
        return estimate(statement)

    monkeypatch.setattr(ready.warehouse, "estimate", refuse)
    (fault,) = look(ready).faults
    assert {"read/partitions": "bigquery.tables.list", "write/stage": "bigquery.tables.create"}[step] in fault


def test_a_refusal_that_names_nothing_is_not_told_beside_its_permission(
    ready: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our tables say that they may not be read; that their queries are refused is no second fault."""
    ready.server.deny("bigquery.tables.getData", "acme-ml.mon")
    estimate = ready.warehouse.estimate

    def refuse(statement: Statement) -> int | None:
        if statement.name.startswith("read/") and "`acme-ml.mon." in statement.sql:
            raise AccessError("q: no access: User does not have permission. Grant the role that the message names.")
        return estimate(statement)

    monkeypatch.setattr(ready.warehouse, "estimate", refuse)
    (fault,) = look(ready).faults
    assert "bigquery.tables.getData" in fault


def test_a_column_is_still_missed_where_rows_may_not_be_read(ready: Lab) -> None:
    """Metadata alone tells it."""
    ready.server.deny("bigquery.tables.getData", LOG)
    first, second = look(ready, features=["amuont"]).faults
    assert "bigquery.tables.getData" in first
    assert "Did you mean 'amount'?" in second


def test_without_an_account_nothing_can_be_granted(ready: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal for want of credentials is no fault of the configuration: it is raised."""

    def refuse(*given: object) -> None:
        raise AccessError("q: no access: no credentials: expired. Run 'gcloud auth application-default login'.")

    monkeypatch.setattr(ready.warehouse, "relation", refuse)
    with pytest.raises(AccessError, match="no credentials"):
        look(ready)


def test_a_service_that_does_not_answer_is_no_fault(ready: Lab) -> None:
    """At the deadline the look ends with the error of the warehouse."""
    ready.server.faults.add("tables.get", "503 before", times=1000)
    ready.warehouse.begin(Terms(0.2))
    with pytest.raises(DeadlineError):
        look(ready)


def test_a_log_that_is_not_there_is_a_fault(ready: Lab) -> None:
    """Told once, with its name; our own tables are looked at all the same."""
    source = {"table": "acme-ml.serving.lgo", "timestamp": "predicted_at"}
    ready.server.deny("bigquery.tables.updateData", "acme-ml.mon")
    first, second = look(ready, source=source).faults
    assert "not found: Table acme-ml:serving.lgo was not found" in first
    assert "bigquery.tables.updateData" in second


def test_a_dataset_that_is_not_there_is_told_how_to_make(server: Server, tmp_path: Path) -> None:
    """In the region of the log, by terraform or bq; no other fault follows from it."""
    del server.engine.datasets["acme-ml.mon"]
    client = connect(server)
    bare = Lab(server, client, BigQueryWarehouse("acme-ml", "mon", client=client), tmp_path)
    bare.settings |= {"features": FEATURES, "prediction": None, "source": {"table": LOG, "timestamp": "predicted_at"}}
    write_log(bare, partition="predicted_at")
    (fault,) = look(bare).faults
    assert fault.startswith("warehouse: no dataset acme-ml.mon. ")
    assert "bq mk --dataset --location=US acme-ml:mon" in fault
    assert "terraform" in fault
    bare.warehouse.close()


def test_tables_that_are_not_there_want_init(ready: Lab) -> None:
    """One that was dropped, or all of them before `init`: told by name, not taken for a missing permission."""
    ready.server.engine.drop("acme-ml.mon.runs")
    (fault,) = look(ready).faults
    assert fault == "monitor 'loans': our tables are not there (acme-ml.mon.runs); run 'bq-monitor init'"


def test_before_init_the_permission_to_make_tables_is_checked(ready: Lab) -> None:
    """No table of ours is there to be asked; the dataset is."""
    for name in [name for name in ready.server.engine.entities if name.startswith("acme-ml.mon.")]:
        del ready.server.engine.entities[name]
    ready.server.deny("bigquery.tables.create", "acme-ml.mon")
    first, second = look(ready).faults
    assert "run 'bq-monitor init'" in first
    assert second.startswith("acme-ml.mon: permission bigquery.tables.create is missing")


@pytest.fixture
def abroad(ready: Lab) -> Iterator[Lab]:
    """The log lies in EU, the monitor's dataset in US."""
    with serve() as elsewhere:
        elsewhere.engine.create_dataset("acme-ml.mon", "US")
        elsewhere.engine.create_dataset("acme-ml.serving", "EU")
        client = bigquery.Client(
            project="acme-ml", location="US", credentials=AnonymousCredentials(), client_options={"api_endpoint": elsewhere.url}
        )  # fmt: skip
        made = Lab(elsewhere, client, BigQueryWarehouse("acme-ml", "mon", client=client), ready.folder, ready.settings)
        create_tables(made.warehouse)
        write_log(made, partition="predicted_at")
        yield made
        made.warehouse.close()


def test_a_log_in_another_region_is_a_fault(abroad: Lab) -> None:
    """BigQuery cannot join across regions; the remedy names the dataset to make and the URL."""
    fault, other = look(abroad).faults
    assert "no reference captured" in other  # our own tables are looked at all the same
    assert fault.startswith("acme-ml.serving.log: lies in EU, but the monitor's dataset acme-ml.mon in US")
    assert "warehouse: bigquery://acme-ml/NAME?location=EU" in fault
    assert "replicate" in fault


def test_a_log_of_another_project_is_good(ready: Lab) -> None:
    """Only the region counts."""
    ready.server.engine.create_dataset("other-project.serving", "US")
    ready.server.engine.load(
        "other-project.serving.log", 'SELECT * FROM "acme-ml.serving".log', partition="predicted_at"
    )
    source = {"table": "other-project.serving.log", "timestamp": "predicted_at"}
    assert look(ready, source=source) == Findings()


def test_a_location_that_is_not_the_datasets_is_a_fault(ready: Lab) -> None:
    """Jobs would look for the tables where they are not."""
    config = ready.config().model_copy(update={"warehouse": "bigquery://acme-ml/mon?location=EU"})
    (fault,) = examine(ready.warehouse, config, TODAY).faults
    assert fault.startswith("warehouse: location=EU, but dataset acme-ml.mon lies in US")


def test_a_log_without_partitions_is_told_with_what_it_costs(ready: Lab, small_waste: None) -> None:
    """One day reads as much as all days; the bytes are those of the columns that a run counts."""
    write_log(ready)
    (advice,) = look(ready).advice
    whole = DAYS * ROWS_A_DAY * BYTES_A_ROW
    assert f"one day of 'predicted_at' reads {waste.readable(whole)}, all of it {waste.readable(whole)}" in advice
    assert "the table is not partitioned by time" in advice
    scan_and_look = 2 * billed(1)
    assert f"Each run bills {waste.readable(scan_and_look)}, a month of them at window.every 1d" in advice
    assert waste.readable(30 * scan_and_look) in advice
    assert "PARTITION BY DATE(predicted_at) AS SELECT * FROM `acme-ml.serving.log`" in advice
    assert look(ready).faults == ()


def test_what_a_month_wastes_has_its_price(ready: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a TiB in every run (the scan of it; the look for new rows besides), thirty times, at five a TiB."""
    write_log(ready)
    monkeypatch.setattr(ready.warehouse, "estimate", lambda statement: 1 << 39 if "scan" in statement.name else 0)
    (advice,) = look(ready, budget={"price_per_tib": 5.0}).advice
    assert "Each run bills 1.1 TB" in advice
    assert "33.0 TB (150.00 at 5 a TiB)" in advice
    (free,) = look(ready, budget={"price_per_tib": 0.0}).advice
    assert "a TiB" not in free


@pytest.mark.parametrize(("granule", "model_version", "expected"), [
    ("hour", None, "PARTITION BY TIMESTAMP_TRUNC(predicted_at, HOUR) AS"),
    ("day", "region", "PARTITION BY DATE(predicted_at) CLUSTER BY region AS"),
])  # fmt: skip
def test_the_table_to_make_fits_the_monitor(
    ready: Lab, small_waste: None, granule: str, model_version: str | None, expected: str
) -> None:
    """Cut by the granule that is counted, clustered by the version that is asked for."""
    write_log(ready)
    source = {"table": LOG, "timestamp": "predicted_at", "model_version": model_version}
    (advice,) = look(ready, source=source, window={"granule": granule, "length": "7d", "every": "1d"}).advice
    assert expected in advice


def test_a_log_that_is_cut_by_another_column_names_it(ready: Lab, small_waste: None) -> None:
    """To name that column as the time is the cheapest remedy."""
    write_log(ready, partition="loaded_at")
    (advice,) = look(ready).advice
    assert "the table is partitioned by 'loaded_at', a DAY at a time, so that a run skips nothing" in advice
    assert "name 'loaded_at' as source.timestamp" in advice


def test_a_log_that_is_cut_by_the_time_of_loading_says_so(ready: Lab, small_waste: None) -> None:
    """The pseudo-column cannot be named as it stands; a view can give it a name."""
    write_log(ready)
    relation = replace(ready.warehouse.relation(LOG), layout=Layout("TABLE", "US", "_PARTITIONTIME", "DAY"))
    (advice,) = waste.find_waste(ready.warehouse, ready.config(), relation, [], TODAY).advice
    assert "by the time of loading (_PARTITIONTIME)" in advice
    assert "SELECT *, _PARTITIONTIME AS loaded_at" in advice


def test_a_log_that_is_cut_too_coarsely_is_told(ready: Lab, small_waste: None) -> None:
    """A day that reads its year, where the year is all there is."""
    write_log(ready, partition="predicted_at", granularity="YEAR")
    (advice,) = look(ready).advice
    assert "by 'predicted_at', a YEAR at a time" in advice


def test_a_log_of_one_day_is_no_waste(ready: Lab, small_waste: None) -> None:
    """Where the newest day is all there is, a partitioned table is still good."""
    frame = pd.DataFrame({"predicted_at": [TODAY - timedelta(hours=1)] * 500, "amount": 1.0, "region": "south"})
    ready.server.engine.load(LOG, "SELECT * FROM frame", frame=frame, partition="predicted_at")
    assert look(ready) == Findings()


def test_a_small_log_may_lie_as_it_likes(ready: Lab) -> None:
    """Nobody is bothered for a few kilobytes."""
    write_log(ready)
    assert look(ready) == Findings()


def test_a_table_that_demands_another_filter_is_a_fault(ready: Lab) -> None:
    """Every query would be refused: told once, before the service does."""
    write_log(ready, partition="loaded_at", require_filter=True)
    (fault,) = look(ready).faults
    assert "takes only queries that filter by its partition column; got source.timestamp 'predicted_at'" in fault
    assert "partitioned by 'loaded_at'" in fault
    assert "require_partition_filter = FALSE" in fault


def test_a_table_that_demands_our_filter_is_good(ready: Lab, small_waste: None) -> None:
    """Each of our queries filters by the time column."""
    write_log(ready, partition="predicted_at", require_filter=True)
    assert look(ready) == Findings()


@pytest.mark.parametrize(("query", "is_waste"), [
    ("SELECT l.predicted_at, l.amount, l.region FROM `acme-ml.serving.log` AS l", False),
    ("SELECT TIMESTAMP_ADD(l.predicted_at, INTERVAL 0 DAY) AS predicted_at, l.amount, l.region FROM `acme-ml.serving.log` AS l", True),
])  # fmt: skip
def test_a_view_is_told_with_what_it_reads(ready: Lab, small_waste: None, query: str, is_waste: bool) -> None:
    """Whether it passes the partition column on is measured, not guessed."""
    ready.client.query(f"CREATE VIEW `acme-ml.serving.seen` AS {query}").result()
    (advice,) = look(ready, source={"table": "acme-ml.serving.seen", "timestamp": "predicted_at"}).advice
    day, whole = ROWS_A_DAY * BYTES_A_ROW, DAYS * ROWS_A_DAY * BYTES_A_ROW
    assert f"reads {waste.readable(whole if is_waste else day)}, all of it {waste.readable(whole)}" in advice
    assert ("Each run bills" in advice) == is_waste
    assert "Name the table behind it as source.table" in advice


def test_before_a_capture_the_time_column_is_measured(ready: Lab, small_waste: None) -> None:
    """Without a reference nobody knows what a scan would count; the look for new rows is known."""
    write_log(ready)
    ready.server.engine.drop("acme-ml.mon.reference_histograms")
    create_tables(ready.warehouse)
    found = look(ready)
    assert "no reference captured" in found.faults[0]
    assert f"all of it {waste.readable(DAYS * ROWS_A_DAY * 8)}" in found.advice[0]


@pytest.mark.parametrize("name", ["max_bytes_per_run", "max_bytes_per_month"])
def test_a_cap_below_what_a_query_bills_is_a_fault(ready: Lab, name: str) -> None:
    """10 MB, as the service counts them, are the least; not a byte less."""
    (fault,) = look(ready, budget={name: 10 * 1024 * 1024 - 1}).faults
    assert fault.startswith(
        f"budget.{name}: less than one query bills; got 10,485,759 bytes; allowed: 10,485,760 or more"
    )
    assert look(ready, budget={name: 10 * 1024 * 1024}).faults == ()


def wide_log(lab: Lab) -> int:
    """A log whose regions are long: a day of it has more than 11 MB, of which the number is returned."""
    write_log(lab, partition="predicted_at")
    text = 400_000
    recent = f"FROM \"acme-ml.serving\".log WHERE predicted_at >= TIMESTAMPTZ '{TODAY - timedelta(days=9)}'"
    longer = f"SELECT * REPLACE (REPEAT('x', {text}) AS region) {recent}"
    lab.server.engine.load(LOG, longer, partition="predicted_at")
    return ROWS_A_DAY * (8 + 8 + 2 + text)


def test_a_run_over_its_budget_is_a_fault_with_both_numbers(ready: Lab) -> None:
    """The day that a run would count holds more than it may read."""
    day = wide_log(ready)
    (fault,) = look(ready, budget={"max_bytes_per_run": day - 1}).faults
    assert f"a run at window.every 1d reads {day:,} bytes; allowed: {day - 1:,}" in fault
    assert look(ready, budget={"max_bytes_per_run": day}).faults == ()


def test_a_first_window_over_the_budget_is_advice(ready: Lab) -> None:
    """A day fits, the seven days of the first window do not: said before the first run is refused."""
    day = wide_log(ready)
    found = look(ready, budget={"max_bytes_per_run": 7 * day - 1})
    assert found.faults == ()
    (advice,) = found.advice
    assert f"counts a whole window (7d), which reads {7 * day:,} bytes; allowed: {7 * day - 1:,}" in advice
    assert look(ready, budget={"max_bytes_per_run": 7 * day}) == Findings()


def test_a_month_over_its_budget_is_advice(ready: Lab) -> None:
    """Thirty runs, each billed in whole MB."""
    month = 30 * billed(wide_log(ready))
    (advice,) = look(ready, budget={"max_bytes_per_month": month - 1}).advice
    assert f"30 runs a month bill {month:,} bytes; allowed: {month - 1:,}" in advice
    assert look(ready, budget={"max_bytes_per_month": month}) == Findings()


def test_a_look_for_new_rows_counts_into_the_budget(ready: Lab) -> None:
    """With a filter the partitions cannot tell what is new: a run reads the time and filter columns of the days that may be late."""
    day = wide_log(ready)
    source = {"table": LOG, "timestamp": "predicted_at", "filter": "amount > 0"}
    expected = day + (1 + 3) * ROWS_A_DAY * (8 + 8)
    (fault,) = look(ready, source=source, budget={"max_bytes_per_run": expected - 1}).faults
    assert f"reads {expected:,} bytes" in fault


def test_the_command_prints_advice_and_exits_0(
    ready: Lab, small_waste: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Advice is for reading: it changes no exit code; a fault does."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", ready.server.url)
    monkeypatch.setattr("google.auth.default", lambda **options: (AnonymousCredentials(), "acme-ml"))
    write_log(ready)
    path = ready.folder / "loans.yaml"
    given = {
        "monitor": "loans",
        "warehouse": "bigquery://acme-ml/mon",
        "detection": {"confirm": "1 of 1"},
        **TOLD,
        **ready.settings,
    }
    path.write_text(yaml.safe_dump(given))
    assert parse_config(given) == ready.config()
    assert cli(["validate", str(path)], standalone_mode=False) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "loans: good"
    assert second.startswith("  advice: acme-ml.serving.log: the table is not partitioned by time")
    ready.server.deny("bigquery.datasets.get", "acme-ml.mon")
    assert cli(["validate", str(path), "--json", "--offline"], standalone_mode=False) == 0
    assert json.loads(capsys.readouterr().out) == [{"monitor": "loans", "ok": True, "faults": [], "advice": []}]
    assert cli(["validate", str(path), "--json"], standalone_mode=False) == 2
    (told,) = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert ["bigquery.datasets.get" in text for text in told["faults"]] == [True]
    assert ["not partitioned" in text for text in told["advice"]] == [True]


def test_nothing_of_bigquery_is_asked_of_duckdb(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """A file bills nothing, lies in no region and permits everything: a small cap is no fault."""
    pd.DataFrame({"ts": [TODAY], "amount": [1.0], "region": ["south"]}).to_parquet(tmp_path / "log.parquet")
    create_tables(warehouse)
    found = examine(warehouse, make_config(tmp_path, budget={"max_bytes_per_run": 1}), TODAY)
    assert found == Findings(("monitor 'loans': no reference captured; run 'bq-monitor reference capture'",))


def test_secrets_that_are_not_set_are_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named with who needs it; what is set, what has its secret elsewhere, and a log need no word."""
    channels = [
        "log", "slack", "pubsub", "pagerduty", {"type": "teams", "url": "secret:projects/p/secrets/teams"},
        {"type": "email", "host": "mail.test", "sender": "a@b.test", "to": ["c@d.test"], "password": "env:MAIL"},
    ]  # fmt: skip
    actions = [
        {"on": "drift", "do": "retrain", "webhook": "env:TRAIN"},
        {"on": "drift", "do": "call", "callable": "a:b"},
    ]
    config = make_config(tmp_path, alerts={"channels": channels, "heartbeat": "env:BEAT"}, actions=actions)
    monkeypatch.setenv("BQ_MONITOR_PAGERDUTY_KEY", "key")
    assert [text.split(" is not set")[0] for text in check_live(config).advice] == [
        "alerts.channels: slack: BQ_MONITOR_SLACK_URL", "alerts.channels: pubsub: BQ_MONITOR_PUBSUB_TOPIC",
        "alerts.channels: email: MAIL", "actions: retrain: TRAIN", "actions: retrain: BQ_MONITOR_RETRAIN_KEY",
        "alerts.heartbeat: BEAT",
    ]  # fmt: skip
