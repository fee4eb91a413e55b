"""The page about operations holds: its commands and SQL run, its costs are those of the program, what it says of privacy is so."""

from __future__ import annotations

import ast
import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import costs
from bq_monitor import capture_reference, run, scan
from bq_monitor.alerts.messages import OF_RUNS, Kind
from bq_monitor.cli import shown
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.errors import ConfigError
from bq_monitor.freeze import MIN_LABEL_ROWS
from bq_monitor.sections import Budget
from bq_monitor.warehouse.bigquery import MAX_ROWS_BYTES
from bq_monitor.warehouse.schema import TABLES
from tests.command import call
from tests.conftest import ROOT, make_config
from tests.googlesql.conftest import googlesql

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

__all__ = ["googlesql"]  # its fixture

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
BLOCKS = {language: re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S) for language in ("sh", "yaml", "sql")}
(RESTORE,) = [sql for sql in BLOCKS["sql"] if "NOT EXISTS" in sql]
DATASET = "acme-ml.ml_monitoring"


def loans(rng: np.random.Generator, n: int) -> pd.DataFrame:
    score = rng.random(n)
    return pd.DataFrame(
        {
            "loan_amount": rng.lognormal(11, 1, n),
            "state": rng.choice(["CA", "NY"], n),
            "approved": score > 0.4,
            "probability": score,
        }
    )


@pytest.fixture
def fleet(tmp_path: Path, rng: np.random.Generator) -> Path:
    """The page's YAML in a folder `fleet`, its warehouse and log on this machine; training data beside it."""
    said = yaml.safe_load(BLOCKS["yaml"][0])
    said |= {
        "warehouse": f"duckdb://{tmp_path}/monitor.duckdb",
        "source": {**said["source"], "table": f"{tmp_path}/log.parquet"},
    }
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "loan_approval.yaml").write_text(yaml.safe_dump(said))
    loans(rng, 2000).to_parquet(tmp_path / "training.parquet")
    days = np.repeat(pd.date_range("2026-01-01", periods=10), 100)
    loans(rng, 1000).assign(predicted_at=days).to_parquet(tmp_path / "log.parquet")
    return tmp_path


def test_the_first_hour_works_as_printed(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `bq-monitor` line, in its order, on a fleet of the page's YAML; a run so late is behind, which `check` would tell."""
    lines = [line for block in BLOCKS["sh"] for line in block.splitlines() if line.startswith("bq-monitor ")]
    assert len(lines) == 9
    monkeypatch.chdir(fleet)
    for line in lines:
        at_the_time = ["--as-of", "2026-01-11"] if line.split()[1] in ("run", "plan") else []
        found = call(*shlex.split(line)[1:], *at_the_time)
        overdue = line.startswith("bq-monitor alerts check")
        assert found.returncode == (1 if overdue else 0), (line, found.stdout, found.stderr)


def test_its_yaml_is_a_configuration_of_bigquery() -> None:
    """As it stands there."""
    (text,) = BLOCKS["yaml"]
    assert parse_config(yaml.safe_load(text)).budget.max_bytes_per_run == 50 * 10**9


@pytest.mark.googlesql
@pytest.mark.parametrize("sql", BLOCKS["sql"])
def test_google_takes_its_sql(googlesql: GoogleSQL, sql: str) -> None:
    """Google's analyzer resolves each statement over our tables; what snapshots and exports do, only the service shows."""
    known = {f"{DATASET}.{table.name}": {column.name: column.type for column in table.columns} for table in TABLES}
    copies = re.findall(r"`(acme-ml\.ml_monitoring_backup\.(\w+)_\d{8})`", sql)
    known |= {name: known[f"{DATASET}.{table}"] for name, table in copies if "CREATE" not in sql}
    assert googlesql.analyze(sql, known).kind


def test_a_restore_puts_back_what_is_missing_and_nothing_twice(tmp_path: Path, rng: np.random.Generator) -> None:
    """The page's statement on DuckDB: with all rows there nothing comes, without them all do, again nothing."""
    config = make_config(tmp_path, features=["loan_amount", "state"])
    capture_reference(loans(rng, 500), config, version="1")
    sql = re.sub(r"`acme-ml\.\w+\.(\w+?)(_\d{8})?`", lambda found: "backup" if found[2] else found[1], RESTORE)
    with duckdb.connect(str(tmp_path / "monitor.duckdb")) as database:
        database.execute("CREATE TABLE backup AS FROM reference_histograms")
        counts = [database.execute(sql).fetchall()[0][0]]
        database.execute("DELETE FROM reference_histograms")
        counts += [database.execute(sql).fetchall()[0][0] for _ in range(2)]
    assert counts == [0, 2, 0]


@pytest.fixture(scope="module")
def measured() -> list[costs.Measured]:
    return costs.variants()


def test_its_costs_are_those_of_the_program(measured: Sequence[costs.Measured]) -> None:
    """Both tables, to the letter; prices and their date in the text."""
    assert costs.table(measured) in PAGE
    assert costs.raw_table(measured[0]) in PAGE
    assert f"{costs.PRICE_PER_TIB} dollars a TiB on demand, {costs.PRICE_PER_GIB_MONTH} a GiB and month" in TEXT
    assert Budget().price_per_tib == costs.PRICE_PER_TIB


def test_bytes_of_a_day_are_those_counted_by_hand(measured: Sequence[costs.Measured]) -> None:
    """The monitored columns of the day's rows once; the columns of answers, with time, version and segment, once more."""
    day = costs.log_and_outcomes()[0].tail(costs.PER_DAY).drop(columns="application_id")
    answers = day[["predicted_at", "model_version", "approved", "probability", "new_exist"]]

    def width(frame: pd.DataFrame) -> int:
        texts = frame.select_dtypes(exclude=["number", "bool", "datetimetz"])
        fixed = frame.drop(columns=texts.columns)
        sizes = sum((1 if fixed[name].dtype == bool else 8) * fixed[name].notna().sum() for name in fixed)
        return int(sizes + texts.stack().map(lambda text: 2 + len(text.encode())).sum())

    assert costs.measured_width(measured[0]) * costs.PER_DAY == width(day) + width(answers)


def test_what_a_statement_bills() -> None:
    """Whole MB, at least ten a table; what grows with rows grows, what does not stays; one that reads nothing is free."""
    mb = 1 << 20
    assert costs.Statement("s", theirs=100, ours=0, n_tables=2).billed(1) == 20 * mb
    assert costs.Statement("s", theirs=mb, ours=mb // 2, n_tables=1).billed(50) == 51 * mb
    assert costs.Statement("s", theirs=0, ours=0, n_tables=0).billed(1e6) == 0


def test_its_playbook_names_every_alert_about_the_monitor() -> None:
    """And each exit code with its number."""
    table = PAGE[PAGE.index("## When something is wrong") : PAGE.index("| exit code")]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    assert named == {*OF_RUNS, "nothing_evaluated"}
    assert named <= set(get_args(Kind))
    codes = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.M))
    said = {
        shown.CLEAN: "clean",
        shown.DRIFT: "drift",
        shown.BAD_INPUT: "configuration",
        shown.NOT_EVALUATED: "an expected",
        shown.WAREHOUSE: "warehouse",
    }
    assert all(codes[str(code)].startswith(text) for code, text in said.items())
    assert f"Of several {', '.join(map(str, shown._PRECEDENCE))}".replace("4, ", "4 comes before ", 1) in TEXT


def test_its_numbers_are_those_of_the_program() -> None:
    """Labels in clear, features a statement, rows that are staged, the time of a call."""
    assert f"in clear from {MIN_LABEL_ROWS} training rows on" in TEXT
    assert f"{scan.MAX_FEATURES_PER_STATEMENT} features go into one statement" in TEXT
    assert f"rows above {MAX_ROWS_BYTES // 10**6} MB are loaded into stages" in TEXT
    assert f"at most {Budget().deadline.removesuffix('m')} minutes" in TEXT


# --- what it says of privacy ---


def stored(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "monitor.duckdb"), read_only=True) as database:
        return database.execute(sql).fetchall()


def test_edges_and_extremes_of_numbers_are_values_of_rows(tmp_path: Path, rng: np.random.Generator) -> None:
    """The least and greatest amount are stored, and most edges are amounts of somebody."""
    data = loans(rng, 997)
    capture_reference(data, make_config(tmp_path, features=["loan_amount"]), version="1")
    ((low, high, buckets),) = stored(tmp_path, "SELECT min, max, buckets FROM reference_histograms")
    amounts = set(data["loan_amount"])
    assert (low, high) == (min(amounts), max(amounts))
    edges = [bucket["lower"] for bucket in buckets if bucket["lower"] is not None]  # type: ignore[attr-defined]
    assert sum(edge in amounts for edge in edges) > 0


def test_small_counts_of_production_are_not_folded(tmp_path: Path) -> None:
    """One row in a bucket of a granule is stored as one."""
    config = make_config(tmp_path, features=[{"name": "state", "kind": "categorical"}])
    capture_reference(pd.DataFrame({"state": ["CA", "NY"] * 100}), config, version="1")
    days = np.repeat(pd.date_range("2026-01-05", periods=7), 20)
    pd.DataFrame({"state": ["CA"] * 139 + ["NY"], "ts": days}).to_parquet(tmp_path / "log.parquet")
    run(config, "2026-01-12")
    smallest = stored(tmp_path, "SELECT MIN(item.n) FROM (SELECT UNNEST(buckets) AS item FROM production_histograms)")
    assert smallest == [(1,)]


def test_hashes_of_labels_can_be_tried_out_by_who_reads_the_salt(tmp_path: Path) -> None:
    """The salt lies beside the hashes: guessing a label finds its hash."""
    config = make_config(tmp_path, features=[{"name": "illness", "kind": "categorical", "sensitive": True}])
    capture_reference(pd.DataFrame({"illness": ["asthma", "gout"] * 50}), config, version="1")
    ((salt, labels),) = stored(
        tmp_path, "SELECT salt, LIST_TRANSFORM(buckets, lambda b: b.label) FROM reference_histograms"
    )
    guesses = {
        hashlib.md5(f"{salt}{word}".encode(), usedforsecurity=False).hexdigest()[:16] for word in ("asthma", "gout")
    }
    assert guesses <= set(labels)  # type: ignore[call-overload]


def test_classes_of_predictions_are_stored_in_clear_however_rare(tmp_path: Path) -> None:
    """A class with one training row keeps its name."""
    prediction = {"column": "answer", "kind": "multiclass"}
    config = make_config(tmp_path, features=[{"name": "state", "kind": "categorical"}], prediction=prediction)
    data = pd.DataFrame({"state": ["CA", "NY"] * 100, "answer": ["yes"] * 199 + ["fraud"]})
    capture_reference(data, config, version="1")
    assert "fraud" in str(stored(tmp_path, "SELECT buckets FROM reference_histograms WHERE role = 'prediction'"))


def test_segments_of_few_training_rows_have_no_name(tmp_path: Path) -> None:
    """A group of four rows is part of `(other)`, one of five is called by its name."""
    config = make_config(tmp_path, features=["loan_amount"], segments=["town"])
    towns = ["big"] * 91 + ["five"] * 5 + ["four"] * 4
    capture_reference(pd.DataFrame({"town": towns, "loan_amount": np.arange(100) / 3}), config, version="1")
    names = {row[0] for row in stored(tmp_path, "SELECT DISTINCT segment FROM reference_histograms")}
    assert names == {"all", "town=big", "town=five", "town=(other)"}


def sensitive(segments: list[object], expression: str | None = None) -> MonitorConfig:
    hidden = {"name": "illness", "kind": "categorical", "sensitive": True}
    return parse_config(
        {
            "monitor": "m",
            "warehouse": "duckdb://",
            "source": {"table": "log.parquet", "timestamp": "ts"},
            "features": [{**hidden, "expression": expression} if expression else hidden, "age"],
            "segments": segments,
        }
    )


@pytest.mark.parametrize(
    ("segments", "expression"),
    [
        (["illness"], None),
        ([["age", "illness"]], None),
        ([{"name": "by", "expression": "(illness)"}], None),
        (["diagnosis"], "SUBSTR(diagnosis, 1, 3)"),
    ],
)
def test_a_segment_by_a_sensitive_column_is_refused(segments: list[object], expression: str | None) -> None:
    """Its labels would stand in clear as names of segments, alone or with others, whatever the feature is called."""
    column = "diagnosis" if expression else "illness"
    with pytest.raises(ConfigError, match=rf"segments\[0\]: '{column}' is read by a sensitive feature"):
        sensitive(segments, expression)


def test_a_column_that_only_shares_the_name_is_no_secret() -> None:
    """The feature reads another column."""
    assert sensitive(["illness"], "SUBSTR(diagnosis, 1, 3)").segments[0].title == "illness"


def test_an_expression_may_make_classes_of_a_sensitive_feature() -> None:
    """Which is what the refusal advises."""
    named = {"name": "chronic", "expression": "illness = 'asthma'"}
    assert sensitive([named, "age"]).segments[0].title == "chronic"


# --- what it says of data that leave the project ---


def test_the_package_knows_no_address_but_these() -> None:
    """Google's interfaces, the services of channels, and names of schemas: nobody else can be told anything unless configured."""
    found = set()
    for path in sorted((ROOT / "bq_monitor").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"https?://([\w.-]+\.\w+)", node.value))
    assert found == {
        "adaptivecards.io", "www.w3.org",  # names of schemas
        "cloud.google.com", "storage.cloud.google.com",  # who issues IAP's tokens; links to reports
        "events.pagerduty.com", "pubsub.googleapis.com", "secretmanager.googleapis.com", "www.googleapis.com", "www.gstatic.com",
    }  # fmt: skip


def test_no_statement_reads_ids_into_our_tables() -> None:
    """No table of ours has a column for identifiers of rows."""
    columns = {column.name for table in TABLES for column in table.columns}
    assert {name for name in columns if name.endswith("_id")} == {
        "reference_id", "scan_definition_id", "run_id", "alert_id", "event_id", "notification_id", "action_id",
    }  # fmt: skip


def test_the_tests_that_it_names_are_there() -> None:
    """Each claim of the last table points to tests of the project."""
    table = PAGE[PAGE.index("| claim | held by |") :]
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", table)
    assert len(named) > 10
    for path, test in named:
        assert f"def {test or 'test_'}" in (ROOT / path).read_text(encoding="utf-8"), (path, test)
