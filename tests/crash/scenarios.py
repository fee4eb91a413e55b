"""The histories of the crash matrix. A later feature joins by adding a line to `SCENARIOS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from unittest.mock import patch

import numpy as np
import pandas as pd

from bq_monitor.capture import build_reference, wanted_features
from bq_monitor.capture_outcomes import with_outcomes, with_segments
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.due import Asked
from bq_monitor.job import Backfill, execute
from bq_monitor.reference import Reference, store_reference
from bq_monitor.warehouse.base import Warehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.bigquery_lab import TOLD

ROWS_A_DAY = 20
DEADLINE_SECONDS = 100.0
WEEKLY = {"length": "7d", "every": "7d", "start": "2026-01-05"}
RESTATED = {**WEEKLY, "restate": "14d"}
VERSIONED = {"timestamp": "ts", "model_version": "version"}
FEATURES = ["amount", {"name": "region", "kind": "categorical"}, "repeat"]


class Desk(Protocol):
    """Where a history happens: a warehouse with our tables, and the log beside it."""

    url: str
    source: str
    labels: str
    warehouse: Warehouse

    def write_log(self, log: pd.DataFrame) -> None:
        """Put these rows in the place of the log's."""
        ...

    def write_labels(self, labels: pd.DataFrame) -> None:
        """Put these rows in the place of the labels'."""
        ...


Act = Callable[[Warehouse, MonitorConfig], None]


@dataclass(frozen=True)
class Scenario:
    """A history: `prepare` is never disturbed, `act` is; `limits` are names of the package that it needs smaller."""

    name: str
    prepare: Callable[[Desk, MonitorConfig], None]
    act: Act
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    warehouses: tuple[str, ...] = ("bigquery", "duckdb")

    def config(self, desk: Desk) -> MonitorConfig:
        settings = {
            "source": {"timestamp": "ts"}, "window": WEEKLY, "features": FEATURES, "detection": {"confirm": "1 of 1"}, **TOLD, **self.settings,
        }  # fmt: skip
        settings["source"] = {**settings["source"], "table": desk.source}
        if "labels" in settings:
            settings["labels"] = {**settings["labels"], "table": desk.labels}
        return parse_config({"monitor": "loans", "warehouse": desk.url, **settings})

    @contextmanager
    def limited(self) -> Iterator[None]:
        """While the limits are in force."""
        with ExitStack() as stack:
            for name, value in self.limits.items():
                stack.enter_context(patch(name, value))
            yield


def rows(start: str, days: int, *, per_day: int = ROWS_A_DAY, shift: float = 0.0, second: float = 0.0) -> pd.DataFrame:
    """Days of a log; `second` is the share of rows that version 2 of the model logged."""
    rng = np.random.default_rng([days, per_day, pd.Timestamp(start).day])
    n, dates = days * per_day, pd.date_range(start, periods=days, tz="UTC")
    return pd.DataFrame(
        {
            "amount": rng.normal(shift, 1, n),
            "region": rng.choice(["north", "south", "it's"], n),
            "repeat": rng.random(n) < 0.3,
            "version": rng.choice(["1", "2"], n, p=[1 - second, second]),
            "ts": np.repeat(dates, per_day) + pd.to_timedelta(rng.integers(0, 86_400, n), unit="s"),
        }
    )


TWO_WEEKS = [("2026-01-05", 7, 0.0), ("2026-01-12", 7, 2.0)]
THREE_WEEKS = [*TWO_WEEKS, ("2026-01-19", 7, 0.0)]


def log(weeks: list[tuple[str, int, float]], second: float = 0.0) -> pd.DataFrame:
    """The rows of stretches `(start, days, shift of the amounts)`."""
    return pd.concat([rows(start, days, shift=shift, second=second) for start, days, shift in weeks])


def build(config: MonitorConfig, version: str = "1") -> Reference:
    """A reference of 500 rows (without their outcomes), made by the embedded engine with a known salt."""
    engine = DuckDBWarehouse()
    training = rows("2025-12-01", 1, per_day=500)
    relation = engine.frame(answered(training).drop(columns="repaid") if config.prediction else training, "training")
    wanted = wanted_features(config, relation)
    made = build_reference(engine, relation, wanted, monitor="loans", version=version, unfit="refuse", salt="salt")
    made = with_outcomes(engine, relation, with_segments(engine, relation, made, config), config)
    engine.close()
    return made


def run(as_of: str, **asked: Any) -> Act:
    """One run for a moment."""
    return lambda warehouse, config: _run(warehouse, config, as_of, **asked)


def _run(
    warehouse: Warehouse,
    config: MonitorConfig,
    as_of: str,
    max_windows: int | None = None,
    backfill: Backfill | None = None,
) -> None:
    n_left = 1
    while n_left:
        asked = Asked.parse(config, as_of, max_windows, backfill)
        n_left = execute(warehouse, config, asked, deadline_seconds=DEADLINE_SECONDS).n_windows_left


def logged(weeks: list[tuple[str, int, float]], versions: tuple[str, ...] = ("1",)) -> Callable[..., None]:
    """A monitor with its references and a log; nothing was run."""

    def prepare(desk: Desk, config: MonitorConfig) -> None:
        for version in versions:
            store_reference(desk.warehouse, build(config, version))
        desk.write_log(log(weeks, second=0.4 if "2" in versions else 0.0))

    return prepare


def restated(desk: Desk, config: MonitorConfig) -> None:
    """Two weeks were judged; since then rows came late for one of their days, another one was emptied, a week is new."""
    logged(TWO_WEEKS)(desk, config)
    run("2026-01-20")(desk.warehouse, config)
    before = log(TWO_WEEKS)
    kept = before[before["ts"].dt.day != 14]
    desk.write_log(pd.concat([kept, rows("2026-01-08", 1, per_day=7), rows("2026-01-19", 7)]))


def begun_late(desk: Desk, config: MonitorConfig) -> None:
    """Of three weeks the last was judged."""
    logged(THREE_WEEKS)(desk, config)
    run("2026-01-27")(desk.warehouse, config)


def answered(days: pd.DataFrame) -> pd.DataFrame:
    """Rows with an id, what the model answered, and what came true: mostly what it said."""
    rng = np.random.default_rng(len(days))
    score = rng.random(len(days))
    ids = [f"{when:%m%d}-{i}" for i, when in enumerate(days["ts"])]
    return days.reset_index(drop=True).assign(
        application=ids, approved=score >= 0.5, score=score, repaid=rng.random(len(days)) < score
    )


def labels_come(desk: Desk, config: MonitorConfig) -> None:
    """Two weeks were judged when half of their outcomes were known; since then the others came, and some that contradict."""
    store_reference(desk.warehouse, build(config))
    given = answered(log(TWO_WEEKS))
    desk.write_log(given.drop(columns="repaid"))
    labels = given[["application", "repaid"]].assign(labelled_at=given["ts"].max())
    desk.write_labels(labels[::2])
    run("2026-01-20")(desk.warehouse, config)
    late = pd.concat([labels[1::2], labels[:6:2].assign(repaid=~labels["repaid"])])
    desk.write_labels(pd.concat([labels[::2], late.assign(labelled_at=pd.Timestamp("2026-01-20 12:00", tz="UTC"))]))


def store_it(warehouse: Warehouse, config: MonitorConfig) -> None:
    store_reference(warehouse, build(config))


ONE_A_STATEMENT = {"bq_monitor.scan.MAX_FEATURES_PER_STATEMENT": 1}
LATE_START = {"window": {**WEEKLY, "start": "2026-01-19"}}
LABELLED: dict[str, Any] = {
    "source": {"timestamp": "ts", "id": "application"}, "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "score"},
    "labels": {"id": "application", "column": "repaid", "timestamp": "labelled_at", "matures_after": "30d"},
    "segments": ["region"], "performance": {"accuracy": {"min": 0.9}}, "quality": {"duplicate_ids": {"max_share": 0.01}},
}  # fmt: skip
SCENARIOS = (
    Scenario("first", logged(TWO_WEEKS), run("2026-01-20")),
    Scenario("versions", logged(TWO_WEEKS, ("1", "2")), run("2026-01-20"), {"source": VERSIONED}),
    Scenario("restate", restated, run("2026-01-27"), {"window": RESTATED}),
    Scenario("batches", restated, run("2026-01-27"), {"window": RESTATED}, ONE_A_STATEMENT),
    Scenario("catch-up", logged(TWO_WEEKS), run("2026-01-20", max_windows=1)),
    Scenario("backfill", begun_late, run("2026-01-27", backfill=("2026-01-05", "2026-01-19")), LATE_START),
    Scenario(
        "staged", logged(TWO_WEEKS), run("2026-01-20"), limits={"bq_monitor.warehouse.bigquery.MAX_ROWS_BYTES": 100},
        warehouses=("bigquery",),
    ),
    Scenario("labels", labels_come, run("2026-01-22"), LABELLED),
    Scenario("reference", lambda desk, config: None, store_it),
)  # fmt: skip


def of(warehouse: str) -> list[Scenario]:
    """The scenarios of one warehouse."""
    return [scenario for scenario in SCENARIOS if warehouse in scenario.warehouses]


def named(name: str) -> Scenario:
    """A scenario by its name."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)
