"""Every statement for BigQuery is accepted by Google's analyzer, and reads what it should and nothing more."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from bq_monitor.capture import profile_statement
from bq_monitor.config import parse_config
from bq_monitor.freeze import Planned, labels_statement, quantiles_statement
from bq_monitor.listing import monitor_statements
from bq_monitor.measure.histogram import Buckets, Kind
from bq_monitor.outcomes import Scheme, answers_scan, arrivals_statement, joint_scan, outcomes_of
from bq_monitor.report import views
from bq_monitor.report.prometheus import gauge_statements, health_statement, standing_statements
from bq_monitor.resources import resource
from bq_monitor.scan import Scan, TimeRange, counted
from bq_monitor.sections import Feature
from bq_monitor.segments import sizes_statement
from bq_monitor.timegrid import Granule
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Dialect, Param, Relation, Statement
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.setup import add_columns, setup_statements
from bq_monitor.warehouse.types import parse_json_field
from bq_monitor.warehouse.views import VIEWS

if TYPE_CHECKING:
    from tests.googlesql.server import Analysis, GoogleSQL

pytestmark = pytest.mark.googlesql

LOGS = "proj-1.ds.logs"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
COLUMNS = {
    "ts": "TIMESTAMP", "booked": "DATETIME", "day": "DATE", "amount": "FLOAT64", "term": "INT64", "rate": "NUMERIC", "region": "STRING",
    "approved": "BOOL", "grade": "STRING", "version": "STRING", "environment": "STRING", "secret": "STRING",
}  # fmt: skip
LOG = Relation(f"`{LOGS}`", COLUMNS, "logs")
KINDS: dict[str, Kind] = {
    "amount": "numeric", "term": "numeric", "rate": "numeric", "booked": "timestamp", "region": "categorical",
    "approved": "boolean", "grade": "ordinal", "day": "categorical",
}  # fmt: skip


@dataclass(frozen=True)
class Names:
    """A BigQuery warehouse without a connection."""

    dialect: Dialect = "bigquery"

    def table(self, name: str) -> str:
        return f"`proj-1.monitoring.{name}`"


def full(name: str) -> str:
    return f"proj-1.monitoring.{name}"


def log_scan(*, features: tuple[str, ...] = tuple(KINDS), **options: Any) -> Scan:
    ready = []
    for name in features:
        numeric = KINDS[name] in ("numeric", "timestamp")
        buckets = Buckets(KINDS[name], (0.0, 1.0) if numeric else (), () if numeric else ("a",))
        item = counted(name, buckets, COLUMNS[name], LOG)
        assert not isinstance(item, str), item
        ready.append(item)
    return Scan(LOG, tuple(ready), "salt", **options)


def stretch(column: str = "ts", granule: Granule = "day") -> TimeRange:
    return TimeRange(column, COLUMNS[column], NOW, NOW, granule, ZoneInfo("Europe/Berlin"))


def stored_scan() -> Scan:
    """The scan of a run: into production_histograms, with its keys."""
    names = ("monitor", "model_version", "reference_id", "scan_definition_id", "run_id")
    keys = {**{name: Param("STRING", "") for name in names}, "computed_at": Param("TIMESTAMP", NOW)}
    into = Names().table("production_histograms")
    return log_scan(time=stretch(), version_column="version", into=into, keys=keys)


def reference_statements() -> list[Statement]:
    features = [Feature(name=name, kind=kind) for name, kind in KINDS.items() if kind != "ordinal"]
    planned = [Planned(item, "feature", KINDS[item.name], COLUMNS[item.name]) for item in features]
    numeric = [item for item in planned if item.kind in ("numeric", "timestamp")]
    return [
        profile_statement(LOG, list(COLUMNS), "bigquery"),
        quantiles_statement(LOG, numeric, "bigquery"),
        labels_statement(LOG, [item for item in planned if item.kind == "categorical"], "salt", "bigquery"),
    ]


def own_statements() -> list[Statement]:
    """The statements that read or write our own tables."""
    names, span = Names(), (NOW, NOW)
    window = {"window_id": 0, "reference_id": "r", "start_at": NOW, "end_at": NOW}
    return [
        statements.references(names, "m"), statements.progress(names, "m", "k"), statements.stored(names, "m", "d", *span),
        statements.verdict_keys(names, "m", NOW), statements.windows(names, "m", "d", [window]), statements.month_cost(names, "m", NOW),
        statements.answers(names, "m", "d", [window]), statements.arrivals(names, "m", "d", *span), statements.settled(names, "m", "d"),
        statements.performance_keys(names, "m", NOW), statements.volumes(names, "m", NOW, NOW),
        statements.history(names, "m", NOW, NOW), statements.days(names, "m", "d", *span),
        statements.alerts(names, "m"), statements.outbox(names, "m", NOW), statements.actions(names, "m", NOW),
        *(statements.insert(names, table, []) for table in TABLES), *shown_statements(),
    ]  # fmt: skip


def shown_statements() -> list[Statement]:
    """What the report and the dashboard read."""
    names, day = Names(), views.Stretch(NOW, NOW)
    scope = {"monitor": "m", "segment": "all", "baseline": "training"}
    return [
        views.fleet(names), views.scopes(names, "m"), views.rows(names, "drift_timeline", scope, ["window_end"], day),
        views.rows(names, "drift_latest", {"monitor": "m", "window_end": NOW}, ["feature"]),
        *(views.rows(names, name, {"monitor": "m"}, ["window_end"], day) for name in ("performance_latest", "quality_latest", "alert_events")),
        views.rows(names, "model_health", {"monitor": "m"}, ["model_version"]),
        views.rows(names, "alerts", {}, ["since"]), views.rows(names, "run_costs", {}, ["started_at"], day, moment="started_at"),
        health_statement(names), *standing_statements(names, ["m"]).values(),
        *gauge_statements(names, ["m"], NOW, NOW, every_segment=False).values(),
    ]  # fmt: skip


def stage_statements() -> list[Statement]:
    """What a large commit does before and after its transaction."""
    return [statements.create_stage(Names(), "staging_1", TABLES[0]), statements.drop_stage(Names(), "staging_1")]


def upgrade_statements() -> list[Statement]:
    """What `init` does to tables of an older version: here they lack every column but the first."""
    return [add_columns(table, table.columns[1:], Names()) for table in TABLES]


def every_statement() -> list[Statement]:
    return [
        *stage_statements(), statements.partitions(LOG),
        *setup_statements(Names()), *upgrade_statements(),
        *own_statements(), *reference_statements(), *log_scan(time=stretch()).statements("bigquery"),
        *stored_scan().statements("bigquery"), log_scan(time=stretch()).granules("bigquery"),
        *every_outcome_statement(),
    ]  # fmt: skip


LABELS = "proj-1.ds.labels"
LABEL_COLUMNS = {"id": "INT64", "repaid": "BOOL", "loss": "FLOAT64", "at": "TIMESTAMP", "day": "DATE"}
SCHEMES = {
    "binary": Scheme("binary", "true", "false", "true", score=Buckets("numeric", (0.2, 0.8))),
    "multiclass": Scheme("multiclass", classes=("a", "b"), score=Buckets("numeric", (0.2, 0.8))),
    "regression": Scheme(
        "regression", predicted_edges=(1.0, 2.0), outcome_edges=(3.0,), score=Buckets("numeric", (1.0,))
    ),
}


def outcome_statements(kind: str, **labels: Any) -> list[Statement]:
    """What counts answers and outcomes, with every kind of segment."""
    answer = {"binary": "approved", "multiclass": "grade", "regression": "amount"}[kind]
    column = {"binary": "repaid", "multiclass": "repaid", "regression": "loss"}[kind]
    config = parse_config({
        "monitor": "m", "warehouse": "bigquery://proj-1/monitoring", "source": {"table": LOGS, "timestamp": "ts", "id": "term"},
        "prediction": {"column": answer, "kind": kind, **({"positive": True} if kind == "binary" else {}), "score": "rate"},
        "labels": {"column": column, **labels}, "quality": {"latency_ms": {"column": "amount"}},
        "segments": ["region", ["region", "grade"], {"name": "big", "expression": "amount > 3"}],
    })  # fmt: skip
    table = Relation(f"`{LABELS}`", LABEL_COLUMNS, "labels") if "table" in labels else None
    log = LOG if table else replace(LOG, columns={**COLUMNS, **LABEL_COLUMNS})
    outcomes, plain = outcomes_of(config, log, table, NOW), replace(log_scan(time=stretch()), relation=log)
    plan_keys = {**stored_scan().keys, "data_version": Param("STRING", "")}
    stored = replace(stored_scan(), into=Names().table("outcome_histograms"), relation=log, keys=plan_keys)
    return [
        *answers_scan(stored, config, SCHEMES[kind], outcomes, ["region=EU", "region=EU & grade=A"]).statements("bigquery"),
        *joint_scan(stored, stored.features, config, SCHEMES[kind], outcomes).statements("bigquery"),
        arrivals_statement(plain, config, outcomes, "bigquery"),
        sizes_statement(config, LOG, 5, "bigquery"),
    ]  # fmt: skip


def every_outcome_statement() -> list[Statement]:
    joined = {"table": LABELS, "id": "id"}
    return [
        *outcome_statements("binary", **joined, timestamp="at"), *outcome_statements("multiclass", **joined, timestamp="day"),
        *outcome_statements("regression", **joined, timestamp="at", contradictory="newest"), *outcome_statements("binary", **joined),
        *outcome_statements("binary"), *outcome_statements("regression", timestamp="day"),
    ]  # fmt: skip


PARTITIONS = "proj-1.ds.INFORMATION_SCHEMA.PARTITIONS"
METADATA = {"table_name": "STRING", "partition_id": "STRING", "total_rows": "INT64", "last_modified_time": "TIMESTAMP"}


@pytest.fixture(scope="module")
def tables(googlesql: GoogleSQL) -> dict[str, dict[str, str]]:
    """The log, our tables, and our views with the types that Google finds for their columns."""
    known = {LOGS: {**LABEL_COLUMNS, **COLUMNS}, LABELS: LABEL_COLUMNS, PARTITIONS: METADATA} | {
        full(t.name): {c.name: c.type for c in t.columns} for t in TABLES
    }
    for statement in setup_statements(Names()):
        if statement.name.startswith("views/"):
            known[full(statement.name.removeprefix("views/"))] = dict(googlesql.analyze(statement.sql, known).outputs)
    return known


def analyze(googlesql: GoogleSQL, tables: dict[str, dict[str, str]], statement: Statement) -> Analysis:
    return googlesql.analyze(statement.sql, tables, statement.params)


def test_every_template_is_analyzed() -> None:
    """No template for BigQuery escapes this module."""
    root = Path(str(resource("sql")))
    found = {str(path.relative_to(root)) for path in root.rglob("*.sql") if not path.name.endswith(".duckdb.sql")}
    templates = {name.removesuffix(".sql").removesuffix(".bigquery") for name in found}
    shared = {"tables": "tables/create", "write": "write/insert"}
    covered = {statement.name for statement in every_statement()}
    covered |= {shared.get(name.split("/")[0], name) for name in covered}
    assert templates - covered == {"views/create"}


def test_tables_and_views_are_accepted(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """Each DDL statement is what it says; a view answers the columns that the schema describes, in their order."""
    described = {view.name: list(view.columns) for view in VIEWS}
    for statement in setup_statements(Names()):
        kind, name = statement.name.split("/")
        analysis = analyze(googlesql, tables, statement)
        assert analysis.kind == f"create_{kind[:-1]}_stmt"
        if kind == "views":
            assert list(tables[full(name)]) == described[name]
            assert set(analysis.scans) <= set(tables) - {LOGS, full(name)}


def test_upgrades_are_accepted(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """Columns are added by one ALTER TABLE for each table, which reads nothing."""
    for statement in upgrade_statements():
        analysis = analyze(googlesql, tables, statement)
        assert (analysis.kind, dict(analysis.scans)) == ("alter_table_stmt", {}), statement.sql


def test_the_views_of_terraform_are_accepted(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """With the placeholders filled in each is a query, whose columns have the types that terraform is told."""
    written = Path(__file__).parents[2] / "terraform" / "schema" / "views.json"
    for view in json.loads(written.read_text(encoding="utf-8")):
        sql = view["query"].replace("${project}", "proj-1").replace("${dataset}", "monitoring")
        found = googlesql.analyze(sql, tables).outputs
        assert dict(found) == {field["name"]: str(parse_json_field(field)) for field in view["columns"]}, view["name"]


def test_own_statements_are_accepted(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """Reads query our tables alone; inserts write to one of them and read only their parameter."""
    for statement in own_statements():
        analysis = analyze(googlesql, tables, statement)
        if statement.name.startswith("write/"):
            assert (analysis.kind, dict(analysis.scans)) == ("insert_stmt", {}), statement.name
        else:
            assert analysis.kind == "query_stmt", statement.name
            assert analysis.scans, statement.name
            assert set(analysis.scans) <= set(tables) - {LOGS}


def test_stages_and_metadata_are_accepted(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """A stage is made like its table and dropped by name; partitions are read from the metadata of the log's dataset alone."""
    create, drop = (analyze(googlesql, tables, statement) for statement in stage_statements())
    assert (create.kind, drop.kind) == ("create_table_stmt", "drop_stmt")
    assert dict(analyze(googlesql, tables, statements.partitions(LOG)).scans) == {PARTITIONS: 1}


def test_captures_read_only_what_they_profile(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """A profile and a quantile grid read the training table once; labels once a column; none reads another column."""
    profile, quantiles, labels = (analyze(googlesql, tables, statement) for statement in reference_statements())
    assert (dict(profile.scans), profile.columns[LOGS]) == ({LOGS: 1}, set(COLUMNS))
    assert (dict(quantiles.scans), quantiles.columns[LOGS]) == ({LOGS: 1}, {"amount", "term", "rate", "booked"})
    assert (dict(labels.scans), labels.columns[LOGS]) == ({LOGS: 2}, {"region", "day"})


@pytest.mark.parametrize(
    ("column", "granule"), [("ts", "day"), ("ts", "hour"), ("booked", "day"), ("booked", "hour"), ("day", "day")]
)
def test_a_scan_reads_the_log_once(
    googlesql: GoogleSQL, tables: dict[str, dict[str, str]], column: str, granule: Granule
) -> None:
    """One reference to the log, and of its columns only the monitored, the time, the version and those of the filter."""
    asked = log_scan(
        features=("amount", "region"), time=stretch(column, granule), version_column="version",
        filter=Expression("environment = 'prod'", "filter"),
    )  # fmt: skip
    (statement,) = asked.statements("bigquery")
    analysis = analyze(googlesql, tables, statement)
    assert dict(analysis.scans) == {LOGS: 1}
    assert analysis.columns[LOGS] == {"amount", "region", column, "version", "environment"}
    rows = analyze(googlesql, tables, asked.granules("bigquery"))
    assert (dict(rows.scans), rows.columns[LOGS]) == ({LOGS: 1}, {column, "version", "environment"})


@pytest.mark.parametrize("features", [("amount",), ("region",), ("approved", "grade"), tuple(KINDS)])
def test_a_scan_without_time_reads_its_features(
    googlesql: GoogleSQL, tables: dict[str, dict[str, str]], features: tuple[str, ...]
) -> None:
    """Numbers alone, labels alone and all kinds together: one pass over exactly these columns."""
    (statement,) = log_scan(features=features).statements("bigquery")
    analysis = analyze(googlesql, tables, statement)
    assert (dict(analysis.scans), analysis.columns[LOGS]) == ({LOGS: 1}, set(features))


def test_a_stored_scan_fills_the_table(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """The INSERT of a run fits production_histograms column by column, and reads nothing but the log."""
    (statement,) = stored_scan().statements("bigquery")
    analysis = analyze(googlesql, tables, statement)
    assert (analysis.kind, dict(analysis.scans)) == ("insert_stmt", {LOGS: 1})
    assert analysis.columns[LOGS] == {*KINDS, "ts", "version"}


def test_counting_outcomes_reads_the_log_and_the_labels_once(
    googlesql: GoogleSQL, tables: dict[str, dict[str, str]]
) -> None:
    """Whatever the task, wherever the labels: one pass over the log, one over the labels, no more columns than are named."""
    for statement in every_outcome_statement():
        analysis, joined = analyze(googlesql, tables, statement), LABELS in statement.sql
        if statement.name != "reference/segments":
            assert dict(analysis.scans) == {LOGS: 1} | ({LABELS: 1} if joined else {}), statement.name
            assert analysis.kind == ("query_stmt" if statement.name == "scan/arrivals" else "insert_stmt")
        if joined:
            assert analysis.columns[LABELS] <= {"id", "repaid", "loss", "at", "day"}


def test_statements_call_only_functions_of_bigquery(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """The analyzer knows functions that BigQuery lacks; no statement calls one."""
    from tests.googlesql.server import NOT_BIGQUERY

    for statement in every_statement():
        assert not analyze(googlesql, tables, statement).functions & NOT_BIGQUERY, statement.name


def test_statements_name_all_their_parameters(googlesql: GoogleSQL, tables: dict[str, dict[str, str]]) -> None:
    """Each parameter that is sent is named in the statement."""
    for statement in every_statement():
        for name in statement.params:
            assert f"@{name}" in statement.sql, (statement.name, name)


def test_listed_statements_carry_what_an_analyzer_needs(googlesql: GoogleSQL) -> None:
    """Each statement that `bq-monitor sql --json` prints is resolved from its own parameters and schemas alone."""
    config = parse_config(
        {
            "monitor": "loans", "warehouse": "bigquery://acme-ml/ml_monitor",
            "source": {
                "table": "acme-ml.serving.predictions", "timestamp": "predicted_at", "model_version": "version", "filter": "environment = 'prod'",
            },
            "features": [
                {"name": "amount", "kind": "numeric"}, {"name": "region", "kind": "categorical"}, {"name": "owner", "kind": "boolean"},
                {"name": "grade", "kind": "ordinal", "order": ["a", "b"]}, {"name": "ratio", "kind": "numeric", "expression": "amount / 2"},
            ],
            "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "probability"},
            "window": {"granule": "day", "length": "7d", "every": "7d"},
        }
    )  # fmt: skip
    listed = monitor_statements(config)
    single = [item for item in listed if "BEGIN TRANSACTION" not in item["sql"]]
    assert len(listed) - len(single) == 1  # the commit; its statements are listed singly too
    for item in single:
        params = {name: Param(kind, None) for name, kind in item["params"].items()}
        analysis = googlesql.analyze(item["sql"], item["schemas"], params)
        assert set(analysis.scans) <= set(item["schemas"])
