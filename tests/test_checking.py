"""Checks of windows from stored counts: which are made, which fire, what is not evaluated, and their rows and events."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from bq_monitor.alerts.quality import quality_events
from bq_monitor.checking import QualityResult, check_windows, quality_row
from bq_monitor.config import MonitorConfig, parse_config
from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Buckets, Histogram
from bq_monitor.measure.quality import LABELS_FORGOTTEN, Check
from bq_monitor.plan import Judgement
from bq_monitor.plan_outcomes import Arrived
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.results import RunResult
from bq_monitor.stored import CURRENT, Evidence
from bq_monitor.timegrid import Window
from bq_monitor.warehouse.base import JobStats
from bq_monitor.warehouse.schema import QUALITY_RESULTS
from tests.measure.zoo import edges_of, labelled, numeric

CONFIG = parse_config(
    {"monitor": "loans", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts"}}
)

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = Window(START, START + timedelta(days=7))
NEXT = Window(WEEK.end, WEEK.end + timedelta(days=7))
INCOME = np.random.default_rng(3).normal(100, 10, 4000)
EDGES = edges_of(INCOME)
CITIES = {"Rome": 2000, "Oslo": 1000, "Bern": 1000}
ALL_LIMITS = {
    "volume": {"min": 100, "max_drop": 0.5}, "null_rate": {"max_rise": 0.02}, "nan_rate": {"max_rise": 0.02},
    "out_of_range": {"max_share": 0.01}, "new_categories": {"max_share": 0.01}, "duplicate_ids": {"max_share": 0.01},
    "freshness": {"max_age": "1d"},
}  # fmt: skip


def cities(counts: Mapping[str, int], **specials: int) -> Histogram:
    codes = {"null": NULL, "other": OTHER, "unseen": UNSEEN}
    every = {name: counts.get(name, 0) for name in CITIES}
    return labelled(every, specials={codes[name]: n for name, n in specials.items()})


def reference(*more: FeatureReference, known_complete: bool = True, version: str = "1") -> Reference:
    income = FeatureReference("income", "feature", "FLOAT64", numeric(INCOME, EDGES))
    city = FeatureReference("city", "feature", "STRING", cities(CITIES), known_complete=known_complete, n_singletons=4)
    return Reference("loans", version, f"ref{version}", "salt", START, (income, city, *more), {})


def config(quality: Mapping[str, Any] | None = None, **detection: Any) -> MonitorConfig:
    return parse_config(
        {
            "monitor": "loans", "warehouse": "duckdb://", "source": {"table": "log.parquet", "timestamp": "ts"},
            "detection": detection, "quality": dict(quality or {}),
        }
    )  # fmt: skip


def judged(n: int, window: Window = WEEK, version: str = "1", ref: Reference | None = None) -> Judgement:
    return Judgement(window, version, ref or reference(version=version), f"key-{version}-{window.start:%d}", (n,))


def evidence(*windows: Mapping[str, Histogram]) -> Evidence:
    """The counts of each judgement's window."""
    return Evidence({(i, CURRENT): {("all", name): h for name, h in found.items()} for i, found in enumerate(windows)})


HEALTHY = {"income": numeric(INCOME[:1000], EDGES), "city": cities({"Rome": 500, "Oslo": 250, "Bern": 250})}
BROKEN = {
    "income": numeric([*INCOME[:600], *[500.0] * 150, *[np.nan] * 100], EDGES, n_null=150),
    "city": cities({"Rome": 900}, unseen=50, null=50),
}
FRESH = Arrived(n_rows=1000, n_ids=1000, newest_row_at=WEEK.end - timedelta(minutes=1))


def checked(
    windows: Mapping[str, Histogram] = HEALTHY, quality: Mapping[str, Any] | None = None, *, n: int = 1000,
    ref: Reference | None = None, why_not: Mapping[str, str] | None = None, arrived: Arrived | None = FRESH,
    before: float | None = 1000.0, **detection: Any,
) -> list[QualityResult]:  # fmt: skip
    """The checks of one week."""
    key = (WEEK, "1")
    return check_windows(
        config(quality, **detection), [judged(n, ref=ref)], evidence(windows),
        why_not=lambda feature: (why_not or {}).get(feature.name),
        arrived={key: arrived} if arrived else {}, before={} if before is None else {key: before},
    )  # fmt: skip


def by_name(results: list[QualityResult]) -> dict[tuple[str, str | None], Check]:
    return {(r.check.name, r.check.feature): r.check for r in results}


def test_every_check_is_made_in_its_order() -> None:
    """The window first, then each feature of the reference; numbers and categories each have their own."""
    assert [(r.check.name, r.check.feature, r.check.status) for r in checked(quality=ALL_LIMITS)] == [
        ("volume", None, "ok"), ("duplicate_ids", None, "ok"), ("freshness", None, "ok"),
        ("null_rate", "income", "ok"), ("nan_rate", "income", "ok"), ("out_of_range", "income", "ok"), ("constant", "income", "ok"),
        ("null_rate", "city", "ok"), ("new_categories", "city", "ok"), ("vanished_categories", "city", "ok"), ("constant", "city", "ok"),
    ]  # fmt: skip


def test_without_limits_everything_is_told_and_nothing_silent_is_certain() -> None:
    """No limit, no breach: the same numbers. What is certainly gone has no limit and is said."""
    told, limited = by_name(checked(BROKEN)), by_name(checked(BROKEN, ALL_LIMITS))
    assert {key: check.value for key, check in told.items()} == {key: check.value for key, check in limited.items()}
    assert {key for key, check in told.items() if check.status == "drift"} == {("vanished_categories", "city")}
    assert all(check.limit is None for check in told.values())


def test_each_broken_limit_is_found() -> None:
    """Every check of a broken window fires, with the number that was planted."""
    late = Arrived(n_rows=1000, n_ids=800, newest_row_at=WEEK.end - timedelta(hours=36))
    found = by_name(checked(BROKEN, ALL_LIMITS, arrived=late, before=5000.0))
    drifted = {key: check.value for key, check in found.items() if check.status == "drift"}
    assert drifted == {
        ("volume", None): 1000.0, ("duplicate_ids", None): 0.2, ("freshness", None): 36.0,
        ("null_rate", "income"): 0.15, ("nan_rate", "income"): 0.1, ("out_of_range", "income"): pytest.approx(0.15, abs=0.002),
        ("null_rate", "city"): 0.05, ("new_categories", "city"): 0.05, ("vanished_categories", "city"): 2.0,
    }  # fmt: skip
    assert found["new_categories", "city"].reference_value == 4 / 4000
    assert found["freshness", None].limit == 24.0


def test_a_stuck_column_fires_beside_its_nulls() -> None:
    """One feature may have several faults; each is a result of its own."""
    stuck = {**HEALTHY, "income": numeric([100.0] * 800, EDGES, n_null=200)}
    found = checked(stuck, ALL_LIMITS)
    assert [r.check.name for r in found if r.check.status == "drift"] == ["null_rate", "constant"]


def test_a_column_that_cannot_be_counted_has_one_check() -> None:
    """A missing column is said once, with its reason; its rows would only be absent."""
    found = checked({"city": HEALTHY["city"]}, ALL_LIMITS, why_not={"income": "missing column"})
    of_income = [r.check for r in found if r.check.feature == "income"]
    assert of_income == [
        Check("type", "income", "drift", n_rows=1000, explanation="income cannot be counted: missing column")
    ]
    empty = checked({}, n=0, why_not={"income": "missing column"})
    assert [r.check.name for r in empty if r.check.feature == "income"] == ["type"]


def test_a_window_counted_before_its_column_went_is_checked() -> None:
    """Its counts are whole: that the column is missing now is no fault of that week."""
    found = by_name(checked(quality=ALL_LIMITS, why_not={"income": "missing column"}))
    assert ("type", "income") not in found and found["null_rate", "income"].status == "ok"


def test_counts_that_lack_are_not_evaluated() -> None:
    """No counts, too few rows, labels that training forgot: a reason each, never a pass."""
    found = by_name(checked({"city": cities({"Rome": 49})}, n=49, ref=reference(known_complete=False), min_rows=49))
    assert found["null_rate", "income"].reason == "0 rows, fewer than the 49 of min_rows"
    assert found["new_categories", "city"].reason == LABELS_FORGOTTEN
    assert found["vanished_categories", "city"].status == "ok"
    assert {check.status for (_, feature), check in found.items() if feature == "income"} == {"not_evaluated"}


def test_a_limit_on_what_did_not_arrive_is_not_evaluated() -> None:
    """Ids and the newest row are checked where they are known, and where a limit asks for them; else not at all."""
    asked = by_name(checked(quality=ALL_LIMITS, arrived=None, before=None))
    for name in ("duplicate_ids", "freshness", "volume"):
        assert asked[name, None].status == "not_evaluated" and asked[name, None].reason
    assert [r.check.name for r in checked(arrived=None) if r.check.feature is None] == ["volume"]


def test_no_rows_at_all_are_wrong_without_any_limit() -> None:
    """An empty window says so once; its features have nothing to say."""
    found = by_name(checked({}, n=0, arrived=None, before=None))
    assert {key for key, check in found.items() if check.status == "drift"} == {("volume", None)}
    assert found["volume", None].explanation == "no rows at all"


def test_without_a_reference_rows_are_counted_all_the_same() -> None:
    """The volume of a version without a reference is checked, nothing else."""
    lone = Judgement(WEEK, "9", None, "key", (40,), reason="no reference for version '9'")
    limits = {"volume": {"min": 100}, "duplicate_ids": {"max_share": 0.0}}
    (result,) = check_windows(config(limits), [lone], Evidence(), why_not=lambda feature: None)
    assert (result.check.name, result.check.status, result.check.value) == ("volume", "drift", 40.0)


def test_windows_come_oldest_first_each_with_its_own_counts() -> None:
    """The counts of a judgement are found by its place, what arrived by window and version."""
    judgements = [judged(1000, NEXT), judged(1000)]
    results = check_windows(
        config(ALL_LIMITS), judgements, evidence(BROKEN, HEALTHY), why_not=lambda feature: None,
        arrived={(WEEK, "1"): FRESH}, before={(NEXT, "1"): 9000.0, (WEEK, "2"): 9000.0},
    )  # fmt: skip
    assert [r.judgement for r in results] == [judgements[1]] * 11 + [judgements[0]] * 11
    old, new = by_name(results[:11]), by_name(results[11:])
    assert (old["null_rate", "city"].status, new["null_rate", "city"].status) == ("ok", "drift")
    assert (old["volume", None].status, new["volume", None].status) == ("not_evaluated", "drift")
    assert (old["freshness", None].status, new["freshness", None].status) == ("ok", "not_evaluated")


def test_the_chance_of_a_false_verdict_is_shared() -> None:
    """What breaks a limit at alpha in a window of two features need not in one of two hundred."""
    many = [FeatureReference(f"more{i}", "feature", "STRING", cities(CITIES)) for i in range(198)]
    window = {**HEALTHY, "city": cities({"Rome": 480, "Oslo": 250, "Bern": 250}, unseen=20)}
    limits = {"new_categories": {"max_share": 0.01}}
    few = by_name(checked(window, limits, alpha=0.05))
    more = by_name(checked(window, limits, ref=reference(*many), alpha=0.05))
    assert (few["new_categories", "city"].status, more["new_categories", "city"].status) == ("drift", "ok")
    assert few["new_categories", "city"].value == more["new_categories", "city"].value


def test_times_have_no_range_and_booleans_no_new_labels() -> None:
    """A timestamp moves on every day; a boolean has only the two."""
    times = replace(numeric(INCOME, EDGES), buckets=Buckets("timestamp", EDGES))
    flags = Histogram.from_pairs(Buckets("boolean", labels=("false", "true")), [(0, 500), (1, 500)])
    more = [
        FeatureReference("seen_at", "feature", "TIMESTAMP", times),
        FeatureReference("flag", "feature", "BOOL", flags),
    ]
    found = checked(quality=ALL_LIMITS, ref=reference(*more))
    names = {name: [r.check.name for r in found if r.check.feature == name] for name in ("seen_at", "flag")}
    assert names == {"seen_at": ["null_rate", "constant"], "flag": ["null_rate", "vanished_categories", "constant"]}


RUN = RunResult("loans", "run1", NEXT.end, (), (), 0, JobStats(), 1.0)


def test_a_row_has_the_columns_of_the_table_and_no_nan() -> None:
    """Of broken, empty and unjudgeable windows alike: every column, in order, and numbers or None."""
    cases = [checked(BROKEN, ALL_LIMITS), checked({}, ALL_LIMITS, n=0, arrived=None, before=None)]
    cases += [checked(n=0, why_not={"income": "missing column", "city": "missing column"})]
    rows = [quality_row(result, RUN, START) for results in cases for result in results]
    assert {tuple(row) for row in rows} == {tuple(column.name for column in QUALITY_RESULTS.columns)}
    numbers = [value for row in rows for value in row.values() if isinstance(value, float)]
    assert numbers and all(math.isfinite(value) for value in numbers)
    assert {row["status"] for row in rows} == {"ok", "drift", "not_evaluated"}
    assert all((row["reason"] is None) == (row["status"] != "not_evaluated") for row in rows)
    assert all((row["explanation"] is None) == (row["status"] != "drift") for row in rows)


def test_a_row_says_what_it_is_about() -> None:
    """The judgement's identity, the run's, and the check as it is."""
    (result,) = (r for r in checked(BROKEN, ALL_LIMITS) if (r.check.name, r.check.feature) == ("null_rate", "income"))
    assert quality_row(result, RUN, START) == {
        "monitor": "loans", "model_version": "1", "reference_id": "ref1", "run_id": "run1", "computed_at": START,
        "window_start": WEEK.start, "window_end": WEEK.end, "check_name": "null_rate", "feature": "income",
        "verdict_key": "key-1-01", "status": "drift", "reason": None, "value": 0.15, "reference_value": 0.0,
        "limit_value": 0.02, "n_rows": 1000,
        "explanation": "null_rate of income is 15% (reference 0%, may rise by 2 points)",
    }  # fmt: skip
    lone = QualityResult(Judgement(WEEK, "9", None, "key"), result.check)
    assert quality_row(lone, RUN, START)["reference_id"] is None


def test_each_fault_is_an_event() -> None:
    """A warning with the check's own sentence; neither what is well nor what was not evaluated is one."""
    results = checked(BROKEN, ALL_LIMITS, arrived=None)
    events = quality_events(results, CONFIG)
    wrong = [r for r in results if r.check.status == "drift"]
    assert [(e.feature, e.message) for e in events] == [(r.check.feature, r.check.explanation) for r in wrong]
    assert {(e.kind, e.severity, e.segment) for e in events} == {("quality", "warning", "all")}
    assert {e.judgement.verdict_key for e in events} == {"key-1-01"}
    assert "null_rate of income is 15% (reference 0%, may rise by 2 points)" in [e.message for e in events]
    assert quality_events(checked(quality=ALL_LIMITS), CONFIG) == []
