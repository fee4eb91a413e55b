"""What had arrived of a log's outcomes: counted by Google's evaluator, by DuckDB and by hand, the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bq_monitor.scan import AGES
from bq_monitor.timegrid import Granule
from bq_monitor.warehouse.base import Row
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.googlesql.differential import LABELS, Log, between, both_answers, seeded
from tests.googlesql.outcome_cases import Case, labels_table, moment_of, monitor, typed

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = pytest.mark.googlesql

KINDS: list[tuple[str, Granule]] = [
    ("TIMESTAMP", "day"), ("TIMESTAMP", "hour"), ("DATETIME", "day"), ("DATETIME", "hour"), ("DATE", "day"),
]  # fmt: skip
SPRING, AUTUMN = ("2026-03-28", "2026-03-31"), ("2026-10-24", "2026-10-27")


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def drawn_log(first: datetime, kind: str, *, outcomes: str | None = None) -> Log:
    """Rows of three versions around three days, 50 minutes apart; some ids twice, some none; or with outcomes of their own."""
    pick = seeded(20)
    rows: list[Row] = []
    for i in range(110):
        moment = first + timedelta(minutes=50 * i - 600, microseconds=i % 3)
        row = {
            "ts": typed(moment, kind),
            "id": pick.choice([None, *range(1, 60)]),
            "version": pick.choice(["1", "2", None]),
        }
        age = pick.choice(
            [timedelta(hours=-2), timedelta(0), *(timedelta(days=days) for days in AGES), timedelta(days=900)]
        )
        exact = age - timedelta(microseconds=pick.choice([0, 1]))
        at = pick.choice([None, moment + exact]) if pick.random() < 0.2 else moment + exact
        own = {"outcome": pick.choice(["yes", "no", None])} | ({"at": typed(at, outcomes)} if outcomes else {})
        rows.append({**row, **(own if outcomes is not None else {})})
    columns = {"ts": kind, "id": "INT64", "version": "STRING", "answer": "BOOL", "score": "FLOAT64"}
    if outcomes is not None:
        columns |= {"outcome": "STRING"} | ({"at": outcomes} if outcomes else {})
    return Log(columns, [{"answer": True, "score": 0.5, **row} for row in rows])


def drawn_labels(first: datetime, kind: str) -> Log:
    """Labels, text ids: single, repeated, contradictory; many come in the hours in which clocks are set."""
    pick = seeded(21)
    rows = [
        {
            "id": str(pick.randrange(1, 70)), "outcome": pick.choice(["yes", "yes", "no", None]),
            "at": typed(pick.choice([None, first + timedelta(minutes=pick.randrange(-3000, 60000))]) if i % 7 == 0
                        else first + timedelta(minutes=pick.randrange(-3000, 60000)), kind),
        }
        for i in range(90)
    ]  # fmt: skip
    rows += [
        {"id": str(i), "outcome": "yes", "at": typed(first + timedelta(days=1, minutes=15 * i), kind)}
        for i in range(30)
    ]
    return labels_table({"id": "STRING", "outcome": "STRING", "at": kind}, rows)


def by_hand(case: Case) -> list[Row]:
    """What a granule's rows of each version have of outcomes, counted in plain Python."""
    groups: dict[tuple[datetime, str], list[tuple[Row, list[Row]]]] = {}
    for row, labels in case.labels_of():
        granule = case.granule(row)
        assert granule
        groups.setdefault((granule, row["version"] or ""), []).append((row, labels))
    return [
        {"granule": granule, "model_version": version, **arrived(case, groups[granule, version])}
        for granule, version in sorted(groups)
    ]


def arrived(case: Case, rows: Sequence[tuple[Row, list[Row]]]) -> Row:
    assert case.time and case.config.labels
    said = [len({label["outcome"] for label in labels}) for _, labels in rows]
    when = [
        [moment_of(label["at"]) for label in labels] if case.config.labels.timestamp and n == 1 else []
        for (_, labels), n in zip(rows, said, strict=True)
    ]
    moments = [moment_of(row[case.time.column]) for row, _ in rows]
    ids = [row["id"] for row, _ in rows]
    ages = [(min(came) - moment) // timedelta(seconds=1) for came, moment in zip(when, moments, strict=True) if came]
    return {
        "n_rows": len(rows), "n_ids": len(set(ids) - {None}) + ids.count(None), "newest_row_at": max(moments),
        "n_labelled": said.count(1), "n_labels": sum(len(labels) for _, labels in rows), "n_contradictory": sum(n > 1 for n in said),
        "newest_label_at": max((moment for came in when for moment in came), default=None),
        **{f"within_{days}_days": sum(age < days * 86400 for age in ages) for days in AGES},
    }  # fmt: skip


def assert_arrived_by_hand(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, case: Case) -> list[Row]:
    expected, actual = both_answers(googlesql, warehouse, case.arrivals, *case.logs)
    assert actual == expected
    assert [dict(row) for row in expected] == by_hand(case)
    return expected


@pytest.mark.parametrize("stretch", [SPRING, AUTUMN], ids=" ".join)
@pytest.mark.parametrize("column", KINDS, ids=" ".join)
def test_arrivals_of_labels_in_a_table(
    googlesql: GoogleSQL, warehouse: DuckDBWarehouse, stretch: tuple[str, str], column: tuple[str, Granule]
) -> None:
    """Rows, ids, outcomes, labels, contradictions, ages and newest times of each granule and version, whatever the columns' types."""
    kind, granule = column
    first = midnight(stretch[0])
    for label_kind in ("TIMESTAMP", "DATETIME", "DATE"):
        case = Case(
            monitor("binary", {"table": LABELS, "timestamp": "at"}), drawn_log(first, kind), drawn_labels(first, label_kind),
            time=between(*stretch, kind=kind, granule=granule, zone="Europe/Berlin"), known_at=first + timedelta(days=30),
        )  # fmt: skip
        rows = assert_arrived_by_hand(googlesql, warehouse, case)
        assert sum(row["n_contradictory"] for row in rows) > 0
        assert 0 < sum(row["within_1_days"] for row in rows) < sum(row["n_labelled"] for row in rows)


@pytest.mark.parametrize("stretch", [SPRING, AUTUMN], ids=" ".join)
@pytest.mark.parametrize("own", ["TIMESTAMP", "DATETIME", "DATE", ""])
def test_arrivals_of_outcomes_in_the_log(
    googlesql: GoogleSQL, warehouse: DuckDBWarehouse, stretch: tuple[str, str], own: str
) -> None:
    """An outcome beside its prediction came when its own time says; without one it has no age."""
    first = midnight(stretch[0])
    for kind, granule in KINDS:
        case = Case(
            monitor("binary", {"timestamp": "at"} if own else {}), drawn_log(first, kind, outcomes=own),
            time=between(*stretch, kind=kind, granule=granule, zone="Europe/Berlin"), known_at=first + timedelta(days=100),
        )  # fmt: skip
        rows = assert_arrived_by_hand(googlesql, warehouse, case)
        assert any(row["newest_label_at"] for row in rows) == bool(own)


def test_only_the_newest_labels_arrive(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """With `contradictory: newest` only an id's last labels are counted, and only they can contradict each other."""
    first = midnight(SPRING[0])
    said: dict[str, Any] = {"table": LABELS, "timestamp": "at"}
    time = between(*SPRING, zone="Europe/Berlin")
    log, labels = drawn_log(first, "TIMESTAMP"), drawn_labels(first, "DATE")
    case = Case(monitor("binary", said | {"contradictory": "newest"}), log, labels, time, first + timedelta(days=30))
    newest = assert_arrived_by_hand(googlesql, warehouse, case)
    every = assert_arrived_by_hand(googlesql, warehouse, replace(case, config=monitor("binary", said)))
    for name in ("n_labels", "n_contradictory"):
        assert sum(row[name] for row in newest) < sum(row[name] for row in every)


def test_ages_are_counted_to_the_second(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """A label that comes a day later to the second is not within one day; one of a microsecond less is, and so is one before its row."""
    first = midnight(SPRING[0]) + timedelta(hours=1)
    ages = [timedelta(days=1), timedelta(days=1, microseconds=-1), timedelta(hours=-1), timedelta(days=365)]
    rows = [{"ts": first, "id": i, "version": None, "answer": None, "score": None} for i in range(5)]
    log = Log({"ts": "TIMESTAMP", "id": "INT64", "version": "STRING", "answer": "BOOL", "score": "FLOAT64"}, rows)
    said = [{"id": str(i), "outcome": "yes", "at": first + age} for i, age in enumerate(ages)]
    labels = labels_table({"id": "STRING", "outcome": "STRING", "at": "TIMESTAMP"}, said)
    config = monitor("binary", {"table": LABELS, "timestamp": "at"})
    case = Case(config, log, labels, between(*SPRING, zone="Europe/Berlin"), first + timedelta(days=900))
    (row,) = assert_arrived_by_hand(googlesql, warehouse, case)
    found = {days: row[f"within_{days}_days"] for days in AGES}
    assert found == {days: 2 if days == 1 else 3 for days in AGES}
    assert (row["n_rows"], row["n_labelled"], row["newest_label_at"]) == (5, 4, first + timedelta(days=365))


def test_labels_without_times_have_no_age(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """Labels whose time is not said are all known; when they came, and at which age, is not."""
    first = midnight(SPRING[0])
    case = Case(
        monitor("binary", {"table": LABELS}), drawn_log(first, "TIMESTAMP"), drawn_labels(first, "TIMESTAMP"),
        time=between(*SPRING, zone="Europe/Berlin"), known_at=first,
    )  # fmt: skip
    rows = assert_arrived_by_hand(googlesql, warehouse, case)
    assert sum(row["n_labelled"] for row in rows) > 0
    assert {row[name] for row in rows for name in ("newest_label_at", "within_1_days", "within_365_days")} == {None, 0}


def test_without_labels_rows_and_ids_are_counted(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """A log of which no outcome is known still tells its rows, its ids and its newest row; without an id the ids are unknown."""
    log, time = drawn_log(midnight(SPRING[0]), "DATETIME"), between(*SPRING, kind="DATETIME", zone="Europe/Berlin")
    config = monitor("binary", None)
    expected, actual = both_answers(googlesql, warehouse, Case(config, log, time=time).arrivals, log)
    assert actual == expected
    assert sum(row["n_rows"] for row in expected) > sum(row["n_ids"] for row in expected) > 0
    assert {row[name] for row in expected for name in ("n_labelled", "n_labels", "n_contradictory")} == {0}
    source = {"table": "proj-1.ds.logs", "timestamp": "ts"}
    nameless = Case(monitor("binary", None, source=source), log, time=time)
    expected, actual = both_answers(googlesql, warehouse, nameless.arrivals, log)
    assert actual == expected
    assert {row["n_ids"] for row in expected} == {None}
