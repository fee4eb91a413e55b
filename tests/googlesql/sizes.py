"""Monitors of any size: the statements that they send to BigQuery, with parameters as large as real ones, and how large they are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any
from unittest.mock import patch

from bq_monitor import freeze, scan
from bq_monitor.capture import profile_statement
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.days import day_scan
from bq_monitor.freeze import Planned, freeze_edges, labels_statement, quantile_grid, quantiles_statement
from bq_monitor.measure.histogram import Buckets, Kind
from bq_monitor.outcomes import JOINT, Outcomes, Scheme, answers_scan, arrivals_statement, joint_scan, outcomes_of
from bq_monitor.scan import Counted, Scan, counted, log_scan
from bq_monitor.sections import Feature
from bq_monitor.segments import dimensions, listed_key, sizes_statement
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Clause, Dialect, Param, Relation, Row, Statement
from bq_monitor.warehouse.bigquery import transaction
from bq_monitor.warehouse.parameters import query_parameters
from bq_monitor.warehouse.schema import (
    ACTIONS,
    ALERT_EVENTS,
    ARRIVALS,
    DRIFT_RESULTS,
    NOTIFICATIONS,
    PERFORMANCE_RESULTS,
    QUALITY_RESULTS,
    RUNS,
    TABLES,
    Table,
)
from bq_monitor.warehouse.types import SqlType, parse_type

LOG, LABELS, OWN = "acme-ml.serving.predictions", "acme-ml.serving.outcomes", "acme-ml.ml_monitoring"
NAME = "a_feature_with_a_name_of_the_length_that_generated_names_have_{:05d}"
KINDS: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "timestamp")
TYPES = {"numeric": "FLOAT64", "categorical": "STRING", "boolean": "BOOL", "timestamp": "TIMESTAMP"}
PARTITIONS = "acme-ml.serving.INFORMATION_SCHEMA.PARTITIONS"
STAGE = f"{OWN}.staging_0"
LABEL_COLUMNS = {"application_id": "STRING", "repaid": "BOOL", "labelled_at": "TIMESTAMP"}
START = datetime(2026, 1, 1, tzinfo=UTC)
COMMITTED = (DRIFT_RESULTS, PERFORMANCE_RESULTS, QUALITY_RESULTS, ALERT_EVENTS, NOTIFICATIONS, ACTIONS, RUNS)
"""The tables of the transaction that ends a run."""


@dataclass(frozen=True)
class Names:
    """A BigQuery warehouse without a connection."""

    dialect: Dialect = "bigquery"

    def table(self, name: str) -> str:
        return f"`{OWN}.{name}`"


@dataclass(frozen=True)
class Size:
    """How large a monitor is.

    Args:
        features: of the kinds in turn; `bins` of each number, `labels` in clear and `known` hashes of each category.
        segments: dimensions, of `listed` segments each.
        windows: judged at once, each beside the training data and `past` stretches of production.
    """

    features: int = 40
    bins: int = 10
    labels: int = 100
    known: int = 0
    segments: int = 0
    listed: int = 100
    windows: int = 50
    past: int = 1
    kinds: tuple[Kind, ...] = KINDS


@dataclass(frozen=True)
class Monitor:
    """A monitor of a size, and what it sends."""

    size: Size

    @cached_property
    def config(self) -> MonitorConfig:
        """Everything but its features, which are said apart: a thousand names take a second to parse."""
        return parse_config({
            "monitor": "loan_approval", "warehouse": "bigquery://acme-ml/ml_monitoring",
            "source": {"table": LOG, "timestamp": "predicted_at", "model_version": "model_version", "id": "application_id",
                       "filter": "environment = 'prod'"},
            "features": [{"name": "amount", "kind": "numeric"}],
            "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "probability"},
            "labels": {"table": LABELS, "column": "repaid", "timestamp": "labelled_at", "matures_after": "45d"},
            "segments": [f"segment_{i}" for i in range(self.size.segments)],
            "window": {"granule": "day", "length": "7d", "every": "1d", "delay": "2h"},
        })  # fmt: skip

    @cached_property
    def names(self) -> dict[str, Kind]:
        return {NAME.format(i): self.size.kinds[i % len(self.size.kinds)] for i in range(self.size.features)}

    @cached_property
    def log(self) -> Relation:
        own = {"predicted_at": "TIMESTAMP", "model_version": "STRING", "application_id": "STRING", "environment": "STRING",
               "approved": "BOOL", "probability": "FLOAT64"}  # fmt: skip
        segments = {f"segment_{i}": "STRING" for i in range(self.size.segments)}
        features = {name: TYPES[kind] for name, kind in self.names.items()}
        return Relation(f"`{LOG}`", own | segments | features, LOG)

    @cached_property
    def features(self) -> tuple[Counted, ...]:
        edges = freeze_edges([math.pi * (k + 1) ** 0.5 for k in range(len(quantile_grid(self.size.bins)))])
        of_kind = {
            "boolean": Buckets("boolean", labels=("false", "true")),
            "categorical": Buckets("categorical", labels=tuple(f"label {k:06d}" for k in range(self.size.labels))),
        }
        known = tuple(f"{k:016x}" for k in range(self.size.known))
        return tuple(
            self._counted(name, of_kind.get(kind) or Buckets(kind, edges), known if kind == "categorical" else ())
            for name, kind in self.names.items()
        )

    def _counted(self, name: str, buckets: Buckets, known: tuple[str, ...]) -> Counted:
        found = counted(name, buckets, TYPES[buckets.kind], self.log, known=known)
        assert isinstance(found, Counted), found
        return found

    @cached_property
    def segments(self) -> tuple[Clause, ...]:
        """The keys of the segments that the reference lists."""
        values = [f"value {k:06d}" for k in range(self.size.listed)]
        return tuple(
            listed_key(item, i, self.log, [item.name([text]) for text in values])
            for i, item in enumerate(dimensions(self.config))
        )

    def capture(self) -> list[Statement]:
        """What `reference capture` of a table in BigQuery sends."""
        planned = [
            Planned(Feature(name=name, kind=kind), "feature", kind, TYPES[kind]) for name, kind in self.names.items()
        ]
        numbers = [item for item in planned if item.kind in ("numeric", "timestamp")]
        categories = [item for item in planned if item.kind == "categorical"]
        segments = [sizes_statement(self.config, self.log, 5, "bigquery")] if self.size.segments else []
        return [
            *(profile_statement(self.log, batch, "bigquery") for batch in freeze.batches(list(self.names))),
            *(quantiles_statement(self.log, batch, "bigquery") for batch in freeze.batches(numbers)),
            *(labels_statement(self.log, batch, "salt", "bigquery") for batch in freeze.batches(categories)),
            *segments,
            *(_named(found, "by day") for found in self._days.statements("bigquery")),
        ]

    @property
    def _days(self) -> Scan:
        return replace(day_scan(self.config, self.log), features=self.features, salt="salt")

    @cached_property
    def scan(self) -> Scan:
        """The log between two instants; its counts go where `into` says."""
        texts = ("monitor", "model_version", "reference_id", "run_id", "scan_definition_id", "data_version")
        stored = {name: Param("STRING", "0123456789abcdef") for name in texts} | {
            "computed_at": Param("TIMESTAMP", START)
        }
        made = log_scan(self.config, self.log, START, START + timedelta(days=1))
        return replace(made, salt="salt", model_version="1", keys=stored)

    def counting(self) -> list[Statement]:
        """What a run sends to count features."""
        counting = replace(
            self.scan, features=self.features, into=Names().table("production_histograms"),
            segments=self.segments,
        )  # fmt: skip
        return [self.scan.granules("bigquery"), *counting.statements("bigquery")]

    def outcomes(self) -> list[Statement]:
        """What a run sends to count answers and outcomes."""
        scheme = Scheme("binary", "true", "not true", "true", score=self._score)
        plain, known = replace(self.scan, into=Names().table("outcome_histograms")), self._outcomes
        answers = replace(answers_scan(plain, self.config, scheme, known, []), segments=self.segments)
        joint = [replace(item, name=JOINT + item.name) for item in self.features]
        return [
            arrivals_statement(self.scan, self.config, known, "bigquery"),
            *(_named(s, "answers") for s in answers.statements("bigquery")),
            *(_named(s, "by outcome") for s in joint_scan(plain, joint, self.config, scheme, known).statements("bigquery")),
        ]  # fmt: skip

    @property
    def _score(self) -> Buckets:
        return Buckets("numeric", freeze_edges(quantile_grid(10)))

    @property
    def _outcomes(self) -> Outcomes:
        return outcomes_of(
            self.config, self.log, Relation(f"`{LABELS}`", LABEL_COLUMNS, LABELS), START + timedelta(hours=1)
        )

    def reads(self) -> list[Statement]:
        """What a run reads of our own tables."""
        names, span = Names(), (START, START + timedelta(days=1))
        return [
            statements.partitions(self.log),
            statements.references(names, "m"), statements.progress(names, "m", "k"), statements.stored(names, "m", "d", *span),
            statements.verdict_keys(names, "m", START), self.windows,
            statements.days(names, "m", "d", *span), statements.history(names, "m", *span), statements.volumes(names, "m", *span),
            statements.month_cost(names, "m", START), statements.arrivals(names, "m", "d", *span), statements.settled(names, "m", "d"),
            statements.performance_keys(names, "m", START), _named(statements.answers(names, "m", "d", self._asked()), "answers"),
            statements.alerts(names, "m"), statements.outbox(names, "m", START), statements.actions(names, "m", START),
        ]  # fmt: skip

    @property
    def windows(self) -> Statement:
        """What reads the counts of the windows that are judged."""
        return statements.windows(Names(), "m", "d", self._asked())

    def _asked(self) -> list[Row]:
        one = {"reference_id": "0123456789abcdef", "start_at": START, "end_at": START + timedelta(days=7)}
        return [{"window_id": i, **one} for i in range(self.size.windows * (1 + self.size.past))]

    def writes(self, rows_bytes: int) -> list[Statement]:
        """What ends a run: so many bytes of verdicts, and a row of everything else; larger ones go through stages."""
        rows = {table: [small_row(table)] for table in (*COMMITTED, ARRIVALS)}
        rows[DRIFT_RESULTS] = [full_row(DRIFT_RESULTS)] * max(rows_bytes // len(json_text(full_row(DRIFT_RESULTS))), 1)
        names = Names()
        return [
            transaction([statements.insert(names, table, rows[table]) for table in COMMITTED]),
            _named(transaction([statements.insert(names, ARRIVALS, rows[ARRIVALS])]), "arrivals"),
            statements.create_stage(names, "staging_0", DRIFT_RESULTS),
            statements.insert_from(names, DRIFT_RESULTS, names.table("staging_0")),
            statements.drop_stage(names, "staging_0"),
        ]


def _named(statement: Statement, what: str) -> Statement:
    return replace(statement, name=f"{statement.name} ({what})")


def tables(monitor: Monitor, views: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """Every table that a monitor's statements name, with the types of its columns."""
    own = {f"{OWN}.{table.name}": {column.name: column.type for column in table.columns} for table in TABLES}
    own[PARTITIONS] = {
        "table_name": "STRING",
        "partition_id": "STRING",
        "total_rows": "INT64",
        "last_modified_time": "TIMESTAMP",
    }
    own[STAGE] = own[f"{OWN}.{DRIFT_RESULTS.name}"]
    return {LOG: monitor.log.columns, LABELS: LABEL_COLUMNS, **own, **views}


def named_in(sql: str, known: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Of some tables those that a statement names, and of their columns those whose names stand in it: a catalog soon read."""
    words = set(sql.replace("`", " ").replace("(", " ").replace(")", " ").replace(",", " ").replace(".", " ").split())
    found = {name: columns for name, columns in known.items() if f"`{name}`" in sql}
    return {
        name: {column: kind for column, kind in columns.items() if name != LOG or column in words}
        for name, columns in found.items()
    }


def request_bytes(statement: Statement) -> int:
    """The bytes of the request that sends a statement: the JSON that the client makes of it."""
    from google.cloud import bigquery

    job = bigquery.QueryJobConfig(query_parameters=query_parameters(statement.params)).to_api_repr()
    job["query"]["query"] = statement.sql
    return len(json.dumps({"configuration": job}))


def json_text(row: Row) -> str:
    return json.dumps(row, default=str)


def full_row(table: Table) -> Row:
    """A row with a value in every column: numbers of 17 digits, ten buckets with a name each."""
    return {column.name: _value(parse_type(column.type), math.pi, 10) for column in table.columns}


def small_row(table: Table) -> Row:
    """A row of the shortest values: of those a parameter is longest beside the row itself."""
    return {column.name: _value(parse_type(column.type), 1.0, 1) for column in table.columns}


def _value(kind: SqlType, number: float, n: int) -> Any:
    if kind.element:
        return [_value(kind.element, number, n)] * n
    if kind.fields:
        return {name: _value(sub, number, n) for name, sub in kind.fields}
    plain = {"INT64": int(number), "FLOAT64": number, "BOOL": True, "TIMESTAMP": START, "STRING": "text " * n}
    return plain[kind.name]


@dataclass(frozen=True)
class Line:
    """A measure that grows by the same with each n."""

    at_zero: int
    slope: int

    @classmethod
    def of(cls, measure: Callable[[int], int], start: int, step: int) -> Line:
        """Through three measured points; raises `ValueError` where they lie on none."""
        found = [measure(start + k * step) for k in range(3)]
        slope, rest = divmod(found[1] - found[0], step)
        if rest or found[2] - found[1] != found[1] - found[0]:
            raise ValueError(f"no line from {start} by {step}: {found}")
        return cls(found[0] - slope * start, slope)

    def at(self, n: int) -> int:
        return self.at_zero + self.slope * n

    def first_beyond(self, limit: int) -> int:
        """The least n that passes a limit."""
        return (limit - self.at_zero) // self.slope + 1


@contextmanager
def batches_of(n: int) -> Iterator[None]:
    """Statements of so many features, in captures and in scans."""
    with patch.object(scan, "MAX_FEATURES_PER_STATEMENT", n), patch.object(freeze, "_BATCH", n):
        yield


@lru_cache
def widest_request(batch: int, n_labels: int, n_dimensions: int) -> int:
    """The request of a statement of numbers in the most bins, so many labels to tell apart, and dimensions of 100 segments each."""

    def request(**size: Any) -> int:
        return request_bytes(Monitor(Size(**size)).counting()[1])

    labels = Line.of(lambda n: request(features=1, kinds=("categorical",), labels=0, known=n), 1_000, 100)
    segments = Line.of(lambda n: request(features=1, segments=n), 20, 10)
    with batches_of(batch):
        numbers = request(features=batch, bins=100, kinds=("numeric",))
    return numbers + labels.slope * n_labels + segments.slope * n_dimensions


def by_kind(found: Sequence[Statement]) -> dict[str, list[Statement]]:
    """Statements by name, in their order."""
    groups: dict[str, list[Statement]] = {}
    for statement in found:
        groups.setdefault(statement.name, []).append(statement)
    return groups
