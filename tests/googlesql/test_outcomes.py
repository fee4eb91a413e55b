"""Answers and features by outcome: counted by Google's evaluator, by DuckDB and by hand, the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bq_monitor.measure.histogram import Buckets
from bq_monitor.segments import keys
from bq_monitor.warehouse.base import Dialect, Relation, Row, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.googlesql.differential import LABELS, Log, assert_same_rows, between, both_answers, feature, seeded
from tests.googlesql.outcome_cases import (
    KNOWN_AT,
    SCORES,
    Case,
    counted_cells,
    labels_table,
    monitor,
    typed,
)

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = pytest.mark.googlesql

FIRST = datetime(2026, 3, 27, 12, tzinfo=UTC)
ANSWERS: dict[str, tuple[str, list[Any]]] = {
    "binary": ("BOOL", [True, False, None]),
    "multiclass": ("STRING", ["a", "b", "it's", "never seen", "", None]),
    "regression": ("FLOAT64", [0.5, 1.0, 2.5, -1e200, math.nan, math.inf, None]),
}
OUTCOMES: dict[str, tuple[str, list[Any]]] = {
    "binary": ("STRING", ["yes", "no", "maybe", None]),
    "multiclass": ("STRING", ["a", "b", "it's", "never seen", "(other)", None]),
    "regression": ("FLOAT64", [0.0, 1.5, 2.0, 7.0, math.nan, -math.inf, None]),
}
ODD_SCORES = (None, math.nan, math.inf, -math.inf, -0.25, 0.0, 1e-300, 0.2, 0.5, 0.8, 1.0, 1.5)
IN_TABLE = {"table": LABELS, "positive": "yes"}


def drawn_log(kind: str, seed: int, *, id_type: str = "INT64", scores: Sequence[float | None] = ODD_SCORES) -> Log:
    """Four days of answers, a few with the same id, a few without one."""
    pick = seeded(seed)
    ids = [*range(1, 41), None]
    rows = [
        {
            "ts": FIRST + timedelta(minutes=80 * i), "id": None if (drawn := pick.choice(ids)) is None else text_or_number(drawn, id_type),
            "answer": pick.choice(ANSWERS[kind][1]), "score": pick.choice(scores), "region": pick.choice(["EU", "US", None]),
            "amount": pick.choice([None, math.nan, -1.0, 0.5, 3.0]), "latency": pick.choice([None, 0.05, 12.5, 1e9]),
        }
        for i in range(80)
    ]  # fmt: skip
    columns = {
        "ts": "TIMESTAMP", "id": id_type, "answer": ANSWERS[kind][0], "score": "FLOAT64", "region": "STRING", "amount": "FLOAT64",
        "latency": "FLOAT64",
    }  # fmt: skip
    return Log(columns, rows)


def drawn_labels(kind: str, seed: int, *, id_type: str = "INT64", time_type: str | None = "TIMESTAMP") -> Log:
    """Labels before, during and after the log, of ids that it has and others: single, repeated, contradictory, NULL."""
    pick = seeded(seed)
    ids: list[int | None] = [*range(1, 51), *range(1, 26), *range(1, 26), None, None]
    rows = []
    for drawn in ids:
        at = FIRST + timedelta(hours=pick.randrange(-60, 400)) if pick.random() < 0.95 else None
        identity = None if drawn is None else text_or_number(drawn, id_type)
        row: Row = {"id": identity, "outcome": pick.choice(OUTCOMES[kind][1])}
        rows.append(row | {"at": typed(at, time_type)} if time_type else row)
    again = [dict(row) for row in rows[:12]]  # the same label, twice
    columns = {"id": id_type, "outcome": OUTCOMES[kind][0]} | ({"at": time_type} if time_type else {})
    return labels_table(columns, rows + again)


def text_or_number(number: int, id_type: str) -> Any:
    return str(number) if id_type == "STRING" else float(number) if id_type == "FLOAT64" else number


def assert_counted_by_hand(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, case: Case, name: str) -> list[Row]:
    """Both engines count the same answers, cell by cell as plain Python does; the rows are returned."""
    expected, actual = both_answers(googlesql, warehouse, case.answers, *case.logs)
    assert_same_rows(expected, actual)
    assert counted_cells(expected, name) == case.cells()
    return expected


@pytest.mark.parametrize("time_type", ["TIMESTAMP", "DATETIME", "DATE", None])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_answers_by_outcome(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, kind: str, time_type: str | None) -> None:
    """Only labels that had come count (those without a time all do); contradictory ones are no outcome, repeated ones are one."""
    when = {"timestamp": "at"} if time_type else {}
    case = Case(monitor(kind, IN_TABLE | when), drawn_log(kind, 1), drawn_labels(kind, 2, time_type=time_type))
    rows = assert_counted_by_hand(googlesql, warehouse, case, "score")
    assert {outcome for _, outcome, _ in counted_cells(rows, "score")} > {None}


@pytest.mark.parametrize("time_type", ["TIMESTAMP", "DATETIME", "DATE"])
@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_the_newest_label_stands(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, kind: str, time_type: str) -> None:
    """With `contradictory: newest` the last label that came counts; two that came last together still contradict each other."""
    said = IN_TABLE | {"timestamp": "at", "contradictory": "newest"}
    labels = drawn_labels(kind, 5, time_type=time_type)
    case = Case(monitor(kind, said), drawn_log(kind, 4), labels)
    assert_counted_by_hand(googlesql, warehouse, case, "score")
    excluding = replace(case, config=monitor(kind, {**said, "contradictory": "exclude"}))
    assert excluding.cells() != case.cells()


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [("INT64", "STRING"), ("STRING", "INT64"), ("FLOAT64", "INT64"), ("INT64", "FLOAT64"), ("FLOAT64", "FLOAT64"), ("STRING", "STRING")],
)  # fmt: skip
def test_ids_of_any_type(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, mine: str, theirs: str) -> None:
    """A prediction finds its labels by the text of its id: 7, '7' and 7.0 are one; NULL is nobody's."""
    labels = drawn_labels("binary", 6, id_type=theirs)
    case = Case(monitor("binary", IN_TABLE | {"timestamp": "at"}), drawn_log("binary", 7, id_type=mine), labels)
    assert_counted_by_hand(googlesql, warehouse, case, "score")
    whole = drawn_labels("binary", 6), drawn_log("binary", 7)
    assert case.cells() == replace(case, labels=whole[0], log=whole[1]).cells()


@pytest.mark.parametrize("time_type", ["TIMESTAMP", "DATETIME", "DATE", None])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_outcomes_in_the_log_itself(
    googlesql: GoogleSQL, warehouse: DuckDBWarehouse, kind: str, time_type: str | None
) -> None:
    """An outcome beside its prediction counts once its time has come; without a time it is known when it is there."""
    case = Case(
        monitor(kind, {"positive": "yes"} | ({"timestamp": "at"} if time_type else {})), own_log(kind, time_type)
    )
    case = replace(case, known_at=FIRST + timedelta(days=3))
    assert_counted_by_hand(googlesql, warehouse, case, "score")


def own_log(kind: str, time_type: str | None) -> Log:
    """A log that holds its outcomes, and when they came."""
    pick, log = seeded(9), drawn_log(kind, 8)
    said = [{"outcome": pick.choice(OUTCOMES[kind][1])} for _ in log.rows]
    when = [
        {"at": typed(pick.choice([None, FIRST + timedelta(hours=pick.randrange(150))]), time_type or "")}
        for _ in log.rows
    ]
    rows = [row | outcome | (at if time_type else {}) for row, outcome, at in zip(log.rows, said, when, strict=True)]
    return Log({**log.columns, "outcome": OUTCOMES[kind][0]} | ({"at": time_type} if time_type else {}), rows)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_training_data_have_neither_time_nor_deadline(
    googlesql: GoogleSQL, warehouse: DuckDBWarehouse, kind: str
) -> None:
    """Without a time column all rows are one granule, and every outcome of theirs counts; without labels none is known."""
    case = Case(monitor(kind, {"positive": "yes"}), own_log(kind, None), time=None)
    assert_counted_by_hand(googlesql, warehouse, case, "score")
    blind = replace(case, log=drawn_log(kind, 8))
    expected, actual = both_answers(googlesql, warehouse, blind.answers, *blind.logs)
    assert_same_rows(expected, actual)
    assert {row["outcome"] for row in expected} == {None}


START = between("2026-03-28", "2026-03-31", zone="Europe/Berlin").start.astimezone(UTC)
BOUNDS = {
    "the first that is read": (START - timedelta(days=1), "true"),
    "too early for these rows": (START - timedelta(days=1, microseconds=1), None),
    "just in time": (KNOWN_AT - timedelta(microseconds=1), "true"),
    "too late": (KNOWN_AT, None),
}


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("time_type", ["TIMESTAMP", "DATETIME"])
def test_labels_at_the_bounds(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, name: str, time_type: str) -> None:
    """A label counts from a day before the rows on, and until just before the moment at which it must have been known."""
    at, outcome = BOUNDS[name]
    case = Case(monitor("binary", IN_TABLE | {"timestamp": "at"}), drawn_log("binary", 1))
    log = replace(case.log, rows=[{**case.log.rows[10], "ts": START, "id": 1, "answer": True}])
    label = {"id": 1, "outcome": "yes", "at": typed(at, time_type)}
    labels = labels_table({"id": "INT64", "outcome": "STRING", "at": time_type}, [label])
    rows = assert_counted_by_hand(googlesql, warehouse, replace(case, log=log, labels=labels), "score")
    assert counted_cells(rows, "score") == {(START, outcome, "true"): 1}


def test_measured_quantities_by_hand(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """Scores in their buckets, confidence as the larger probability, the loss of what came true; each cell has every row."""
    scores = (None, 0.0, 0.1, 0.2, 0.5, 0.79, 0.8, 1.0)
    log = drawn_log("binary", 11, scores=scores)
    changes = {"quality": {"latency_ms": {"column": "latency"}}}
    case = Case(monitor("binary", IN_TABLE, **changes), log, drawn_labels("binary", 12, time_type=None))
    rows = assert_counted_by_hand(googlesql, warehouse, case, "score")
    for name in ("confidence", "log_loss", "latency"):
        assert counted_cells(rows, name) == case.cells(), name
    given, losses, confidences = buckets_and_losses(case)
    assert Counter({k: n for row in rows if row["feature"] == "score" for k, n in by_bucket(row).items()}) == given
    assert sums(rows, "log_loss") == {place: pytest.approx(sum(found)) for place, found in losses.items()}
    assert sums(rows, "confidence") == {place: pytest.approx(sum(found)) for place, found in confidences.items()}


def buckets_and_losses(case: Case) -> tuple[Counter[Any], dict[Any, list[float]], dict[Any, list[float]]]:
    """By cell: rows by bucket of the score, the losses of those with an outcome, the confidences."""
    buckets: Counter[Any] = Counter()
    losses: dict[Any, list[float]] = {}
    confidences: dict[Any, list[float]] = {}
    for row, outcome in case.outcomes():
        place = (case.granule(row), case.outcome_cell(outcome, row["answer"]), case.predicted_cell(row["answer"]))
        score = row["score"]
        buckets[*place, -1 if score is None else (score >= 0.2) + (score >= 0.8)] += 1
        if score is None:
            continue
        confidences.setdefault(place, []).append(max(score, 1 - score))
        if outcome is not None:
            losses.setdefault(place, []).append(-math.log(max(score if outcome == "yes" else 1 - score, 1e-15)))
    return buckets, losses, confidences


def place_of(row: Row) -> tuple[Any, ...]:
    return row["granule"], row["outcome"], row["predicted"]


def by_bucket(row: Row) -> dict[Any, int]:
    return {(*place_of(row), item["bucket"]): item["n"] for item in row["buckets"]}


def sums(rows: Sequence[Row], name: str) -> dict[Any, float]:
    """The sum of a measured quantity in each cell that has it."""
    return {place_of(row): row["mean"] * row["n_finite"] for row in rows if row["feature"] == name and row["n_finite"]}


def test_errors_of_a_regression_by_hand(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """Errors are prediction less outcome; relative ones are undefined where the outcome is 0; an infinite outcome is none."""
    pairs = [(1.0, 2.0), (5.0, 2.0), (3.0, 0.0), (3.0, math.inf), (3.0, math.nan), (None, 2.0), (math.nan, 2.0)]
    rows = [{"answer": answer, "outcome": outcome} for answer, outcome in pairs]
    log = Log({"answer": "FLOAT64", "outcome": "FLOAT64"}, rows)
    config = monitor("regression", {}, prediction={"column": "answer", "kind": "regression"})
    expected, actual = both_answers(googlesql, warehouse, Case(config, log, time=None).answers, log)
    assert_same_rows(expected, actual)
    found = {(row["feature"], row["outcome"], row["predicted"]): row for row in expected}
    assert {place: row["n_rows"] for place, row in found.items() if place[0] == "error"} == {
        ("error", "1", "1"): 1, ("error", "1", "2"): 1, ("error", "0", "2"): 1, ("error", None, "2"): 2, ("error", "1", None): 2,
    }  # fmt: skip
    assert (found["error", "1", "1"]["mean"], found["error", "1", "2"]["mean"]) == (-1.0, 3.0)
    assert found["absolute_error", "1", "1"]["mean"] == 1.0
    assert (found["relative_error", "1", "2"]["mean"], found["relative_error", "0", "2"]["n_null"]) == (1.5, 1)
    assert (found["actual", None, "2"]["n_null"], found["error", "1", None]["n_null"]) == (2, 1)
    assert found["error", "1", None]["buckets"] == [{"bucket": -2, "n": 1}, {"bucket": -1, "n": 1}]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_sums_over_outcomes_are_the_plain_counts(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, kind: str) -> None:
    """By segment, answers and features over all outcomes and predictions are what the scan without outcomes counts."""
    listed = ["region=EU", "region IS NULL"]
    config = monitor(
        kind,
        IN_TABLE | {"timestamp": "at"},
        segments=["region", ["region", "answer"]] if kind != "regression" else ["region"],
    )
    log = drawn_log(kind, 13)
    case = Case(config, log, drawn_labels(kind, 14), listed=listed)
    score = "answer" if kind == "regression" else "score"
    items = [
        feature(log, "amount", Buckets("numeric", edges=(0.0, 1.0))),
        feature(log, "region", Buckets("categorical", labels=("EU",))),
        replace(feature(log, score, case.scheme.score or SCORES), name="score"),
    ]

    def plain(dialect: Dialect, relation: Relation, _: Relation) -> list[Statement]:
        asked = replace(case.scan(relation), features=tuple(items), segments=keys(config, relation, listed))
        return asked.statements(dialect)

    totals = bucket_totals(both(googlesql, warehouse, plain, case))
    answers = bucket_totals(both(googlesql, warehouse, case.answers, case))
    assert {place: n for place, n in answers.items() if place[1] == "score"} == {
        place: n for place, n in totals.items() if place[1] == "score"
    }
    joint = both(
        googlesql, warehouse, case.joint(*(replace(item, name=f"joint:{item.name}") for item in items[:2])), case
    )
    assert {row["segment"] for row in joint} == {"all"}
    assert bucket_totals(joint) == {
        (segment, f"joint:{name}", *rest): n
        for (segment, name, *rest), n in totals.items()
        if segment == "all" and name != "score"
    }
    for name in ("joint:amount", "joint:region"):
        assert counted_cells(joint, name) == case.cells()


def both(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, make: Any, case: Case) -> list[Row]:
    """The rows that both engines answer."""
    expected, actual = both_answers(googlesql, warehouse, make, *case.logs)
    assert_same_rows(expected, actual)
    return expected


def bucket_totals(rows: Sequence[Row]) -> Counter[Any]:
    """Rows by segment, feature, granule and bucket, over all outcomes and predictions."""
    found: Counter[Any] = Counter()
    for row in rows:
        for item in row["buckets"]:
            found[row["segment"], row["feature"], row["granule"], item["bucket"]] += item["n"]
    return found


def test_a_feature_by_outcome_by_hand(googlesql: GoogleSQL, warehouse: DuckDBWarehouse) -> None:
    """Each region of each outcome and prediction is counted by itself."""
    case = Case(monitor("binary", IN_TABLE), drawn_log("binary", 15), drawn_labels("binary", 16, time_type=None))
    region = feature(case.log, "region", Buckets("categorical", labels=("EU", "US")))
    rows = both(googlesql, warehouse, case.joint(region), case)
    by_hand = Counter(
        (case.granule(row), case.outcome_cell(outcome, row["answer"]), case.predicted_cell(row["answer"]), {"EU": 0, "US": 1}.get(row["region"], -1))
        for row, outcome in case.outcomes()
    )  # fmt: skip
    assert Counter({place: n for row in rows for place, n in by_bucket(row).items()}) == by_hand


IDS = st.one_of(st.none(), st.integers(0, 4))


@st.composite
def small_cases(draw: st.DrawFn) -> Case:
    """A few answers and labels that like to share ids, times and outcomes."""
    said = {"timestamp": "at", "contradictory": draw(st.sampled_from(["exclude", "newest"]))}
    when = st.integers(-30, 80).map(lambda hours: START + timedelta(hours=hours))
    answers = st.fixed_dictionaries({
        "ts": when, "id": IDS, "answer": st.sampled_from([True, False, None]), "score": st.sampled_from(ODD_SCORES),
    })  # fmt: skip
    outcomes = st.fixed_dictionaries({
        "id": IDS.map(lambda drawn: None if drawn is None else str(drawn)), "outcome": st.sampled_from(["yes", "no", None]),
        "at": st.one_of(st.none(), when),
    })  # fmt: skip
    log = Log(
        {"ts": "TIMESTAMP", "id": "INT64", "answer": "BOOL", "score": "FLOAT64"}, draw(st.lists(answers, max_size=8))
    )
    columns = {"id": "STRING", "outcome": "STRING", "at": "TIMESTAMP"}
    labels = labels_table(columns, draw(st.lists(outcomes, max_size=12)))
    known_at = draw(when.filter(lambda moment: moment > START))
    return Case(monitor("binary", IN_TABLE | said), log, labels, known_at=known_at)


@settings(
    max_examples=20, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(case=small_cases())
def test_any_small_log_with_labels(googlesql: GoogleSQL, warehouse: DuckDBWarehouse, case: Case) -> None:
    """Whatever comes when, answers are counted once each, under what was known of them by then."""
    assert_counted_by_hand(googlesql, warehouse, case, "score")
