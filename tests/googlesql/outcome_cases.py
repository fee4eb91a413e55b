"""Logs with outcomes, and what is to be counted of them: by hand, row by row, in plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.measure.histogram import Buckets
from bq_monitor.outcomes import (
    ANOTHER_CLASS,
    OTHER_CLASS,
    Outcomes,
    Scheme,
    answers_scan,
    arrivals_statement,
    joint_scan,
    outcomes_of,
)
from bq_monitor.scan import Counted, Scan, TimeRange
from bq_monitor.warehouse.base import Dialect, Relation, Row, Statement
from tests.googlesql.differential import LABELS, LOGS, Log, between

BERLIN = ZoneInfo("Europe/Berlin")
KNOWN_AT = datetime(2026, 4, 10, 10, tzinfo=UTC)
SCORES = Buckets("numeric", edges=(0.2, 0.8))
SCHEMES = {
    "binary": Scheme("binary", "true", "false", "yes", score=SCORES),
    "multiclass": Scheme("multiclass", classes=("a", "b", "it's"), score=SCORES),
    "regression": Scheme("regression", predicted_edges=(1.0, 2.5), outcome_edges=(2.0,), score=Buckets("numeric", (1.0,))),
}  # fmt: skip


def monitor(kind: str, labels: Mapping[str, Any] | None, **changes: Any) -> MonitorConfig:
    prediction = {
        "column": "answer",
        "kind": kind,
        "score": "score",
        **({"positive": True} if kind == "binary" else {}),
    }
    if labels is not None and kind != "binary":
        labels = {key: value for key, value in labels.items() if key != "positive"}
    data = {
        "monitor": "m", "warehouse": "bigquery://proj-1/monitoring", "source": {"table": LOGS, "timestamp": "ts", "id": "id"},
        "prediction": prediction, "labels": None if labels is None else {"column": "outcome", **labels}, "window": {"timezone": "Europe/Berlin"},
    }  # fmt: skip
    return parse_config({**data, **changes})


Place = tuple[datetime | None, str | None, str | None]
"""`(granule, outcome, predicted)`."""


@dataclass(frozen=True)
class Case:
    """A monitor over a log, and over labels, where these have a table of their own."""

    config: MonitorConfig
    log: Log
    labels: Log | None = None
    time: TimeRange | None = field(default_factory=lambda: between("2026-03-28", "2026-03-31", zone="Europe/Berlin"))
    known_at: datetime | None = KNOWN_AT
    listed: Sequence[str] = ()

    @property
    def scheme(self) -> Scheme:
        assert self.config.prediction
        return SCHEMES[self.config.prediction.kind]

    @property
    def logs(self) -> list[Log]:
        return [self.log, self.labels] if self.labels else [self.log]

    def answers(self, dialect: Dialect, log: Relation, labels: Relation | None = None) -> list[Statement]:
        outcomes = self._outcomes(log, labels)
        return answers_scan(self.scan(log), self.config, self.scheme, outcomes, self.listed).statements(dialect)

    def joint(self, *features: Counted) -> Any:
        def make(dialect: Dialect, log: Relation, labels: Relation | None = None) -> list[Statement]:
            outcomes = self._outcomes(log, labels)
            return joint_scan(self.scan(log), features, self.config, self.scheme, outcomes).statements(dialect)

        return make

    def arrivals(self, dialect: Dialect, log: Relation, labels: Relation | None = None) -> list[Statement]:
        version = "version" if "version" in log.columns else None
        scan = replace(self.scan(log), version_column=version)
        return [arrivals_statement(scan, self.config, self._outcomes(log, labels), dialect)]

    def scan(self, log: Relation) -> Scan:
        return Scan(log, (), "salt", self.time)

    def _outcomes(self, log: Relation, labels: Relation | None) -> Outcomes:
        return outcomes_of(self.config, log, labels, self.known_at)

    def rows(self) -> list[Row]:
        """The rows of the log that count."""
        time = self.time
        if time is None:
            return list(self.log.rows)
        start, end = (reading(moment, time.type) for moment in (time.start, time.end))
        return [row for row in self.log.rows if row[time.column] is not None and start <= row[time.column] < end]

    def known(self) -> dict[str, list[Row]]:
        """The labels that count, by id as text: those that came in time (not long before the log), if that is said."""
        said = self.config.labels
        assert said and self.labels and self.known_at
        kind = self.labels.columns.get("at", "")
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.labels.rows:
            if said.timestamp and self.time:
                since, until = (
                    reading(moment, kind)
                    for moment in (self.time.start.astimezone(UTC) - timedelta(days=1), self.known_at)
                )
                if row["at"] is None or not since <= row["at"] < until:
                    continue
            if is_known(row["outcome"], self.scheme) and row["id"] is not None:
                found[id_text(row["id"])].append(row)
        if said.contradictory == "newest":
            return {
                key: [row for row in rows if row["at"] == max(r["at"] for r in rows)] for key, rows in found.items()
            }
        return dict(found)

    def labels_of(self) -> list[tuple[Row, list[Row]]]:
        """Each row that counts, with its labels."""
        if self.labels:
            by_id = self.known()
            return [(row, by_id.get(id_text(row["id"]), [])) for row in self.rows()]
        said = self.config.labels
        assert said and self.known_at
        found = []
        for row in self.rows():
            counts = is_known(row["outcome"], self.scheme)
            if said.timestamp:
                until = reading(self.known_at, self.log.columns["at"])
                counts = counts and row["at"] is not None and row["at"] < until
            found.append((row, [row] if counts else []))
        return found

    def outcomes(self) -> list[tuple[Row, Any]]:
        """Each row that counts, with what came true: what all its labels say, else None."""
        found = []
        for row, labels in self.labels_of():
            said = {label["outcome"] for label in labels}
            found.append((row, said.pop() if len(said) == 1 else None))
        return found

    def cells(self) -> Counter[Place]:
        """Rows by granule, outcome and prediction."""
        return Counter(
            (self.granule(row), self.outcome_cell(outcome, row["answer"]), self.predicted_cell(row["answer"]))
            for row, outcome in self.outcomes()
        )

    def outcome_cell(self, outcome: Any, answer: Any) -> str | None:
        if outcome is None:
            return None
        if self.scheme.task == "binary":
            return "true" if outcome == "yes" else "false"
        if self.scheme.task == "multiclass":  # two classes that are not told apart are right only where they are one
            is_apart = outcome not in self.scheme.classes and outcome != answer
            return ANOTHER_CLASS if is_apart else self._class(outcome)
        return str(sum(outcome >= edge for edge in self.scheme.outcome_edges))

    def predicted_cell(self, answer: Any) -> str | None:
        if answer is None or (isinstance(answer, float) and math.isnan(answer)):
            return None
        if self.scheme.task == "binary":
            return str(answer).lower()
        return (
            self._class(answer)
            if self.scheme.task == "multiclass"
            else str(sum(answer >= edge for edge in self.scheme.predicted_edges))
        )

    def _class(self, text: str) -> str:
        return text if text in self.scheme.classes else OTHER_CLASS

    def granule(self, row: Row) -> datetime | None:
        """Start of the hour or day of Berlin in which a row lies."""
        if self.time is None:
            return None
        local = moment_of(row[self.time.column]).astimezone(BERLIN)
        if self.time.granule == "day":
            return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
        return local.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def is_known(outcome: Any, scheme: Scheme) -> bool:
    """Whether a label says something: a class that is not NULL, or a finite number."""
    return outcome is not None and (scheme.task != "regression" or math.isfinite(outcome))


def reading(moment: datetime, kind: str) -> Any:
    """An instant as a column of a type reads it on the clock of Berlin."""
    local = moment.astimezone(BERLIN)
    return {"DATE": local.date(), "DATETIME": local.replace(tzinfo=None, fold=0)}.get(kind, moment)


def moment_of(given: Any) -> datetime:
    """The instant of a time of any type; of a reading that the clock of Berlin shows twice the first."""
    if isinstance(given, datetime):
        return given if given.tzinfo else given.replace(tzinfo=BERLIN).astimezone(UTC)
    assert isinstance(given, date)
    return datetime(given.year, given.month, given.day, tzinfo=BERLIN).astimezone(UTC)


def typed(moment: datetime | None, kind: str) -> Any:
    """An instant as a value of a time column."""
    return None if moment is None else reading(moment, kind)


def labels_table(columns: Mapping[str, str], rows: Sequence[Row]) -> Log:
    return Log(columns, rows, LABELS)


def id_text(given: object) -> str:
    """An id as text: one is 1, 1.0 and '1'; of NULL it is empty, which no label has."""
    return f"{given:.0f}" if isinstance(given, float) else "" if given is None else str(given)


def counted_cells(rows: Sequence[Row], feature: str, segment: str = "all") -> Counter[Place]:
    """The rows of one segment as a scan has counted them."""
    found: Counter[Place] = Counter()
    for row in rows:
        if (row["feature"], row["segment"]) == (feature, segment):
            found[row["granule"], row["outcome"], row["predicted"]] += row["n_rows"]
    return found
