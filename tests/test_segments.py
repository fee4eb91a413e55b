"""Segments: what each row's group is called, which are listed, and that each is captured, counted and judged for itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest

from bq_monitor import MonitorConfig, RunResult, capture_reference, run
from bq_monitor.capture import build_reference
from bq_monitor.capture_outcomes import with_segments
from bq_monitor.config import parse_config
from bq_monitor.errors import IdentifierError, InputError
from bq_monitor.promotion import promote
from bq_monitor.reference import load_references
from bq_monitor.results import DriftResult
from bq_monitor.scan import Cells, Scan, SegmentKey, TimeRange
from bq_monitor.sections import Feature
from bq_monitor.segments import MAX_LISTED, Dimension, belongs, dimensions, key, keys, listed_key, sizes_statement
from bq_monitor.validation import check_live
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Clause, Relation, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.render import translate
from tests.conftest import make_config
from tests.test_config import mapping
from tests.test_scoring import holm

REGION = Dimension("region", ("region",), {})
BOTH = Dimension("region & channel", ("region", "channel"), {})


def cut(*segments: Any) -> MonitorConfig:
    return parse_config(mapping(segments=list(segments)))


def evaluated(engine: DuckDBWarehouse, relation: Relation, clause: Clause) -> list[str]:
    """What a clause says of each row."""
    sql = f"SELECT {translate(clause.sql, 'duckdb')} AS found FROM {relation.sql} AS t"
    named = {name: param for name, param in clause.params.items() if re.search(rf"\${name}\b", sql)}
    return [row["found"] for row in engine.query(Statement("segments", sql, named))]


@pytest.fixture
def log(warehouse: DuckDBWarehouse) -> Relation:
    """Six rows with every sort of value that a group may have."""
    frame = pd.DataFrame(
        {
            "region": ["EU", "R & D", "a=b", None, "(other)", ""], "channel": ["web", None, "x & y", "web", "web", "web"],
            "n": [1, 2, 3, 4, 5, 6], "share": [1.0, 2.5, None, 4.0, 5.0, 6.0], "vip": [True, False, True, True, False, False],
            "on day": pd.to_datetime(["2026-01-05"] * 6).date, "at": pd.to_datetime(["2026-01-05"] * 6),
        }
    )  # fmt: skip
    return warehouse.frame(frame, "log")


def test_dimensions_are_columns_intersections_and_expressions() -> None:
    """In the order of the configuration; an intersection may name an expression's segment as one of its parts."""
    found = dimensions(cut("region", ["region", "thin"], {"name": "thin", "expression": "n < 3"}))
    assert [(item.title, item.parts) for item in found] == [
        ("region", ("region",)), ("region & thin", ("region", "thin")), ("thin", ("thin",)),
    ]  # fmt: skip
    assert all(item.expressions == {"thin": "n < 3"} for item in found)


def test_groups_are_called_by_their_parts() -> None:
    """One value for each part; the rest has a name of the same form."""
    assert (REGION.name(["EU"]), BOTH.name(["EU", "web"])) == ("region=EU", "region=EU & channel=web")
    assert (REGION.other, BOTH.other) == ("region=(other)", "region=(other) & channel=(other)")


def test_every_row_has_a_key(warehouse: DuckDBWarehouse, log: Relation) -> None:
    """NULL is a group of its own, unlike the empty text; values stand as they are."""
    assert evaluated(warehouse, log, key(REGION, 0, log)) == [
        "region=EU", "region=R & D", "region=a=b", "region IS NULL", "region=(other)", "region=",
    ]  # fmt: skip
    assert evaluated(warehouse, log, key(BOTH, 1, log)) == [
        "region=EU & channel=web", "region=R & D & channel IS NULL", "region=a=b & channel=x & y", "region IS NULL & channel=web",
        "region=(other) & channel=web", "region= & channel=web",
    ]  # fmt: skip


def test_numbers_booleans_dates_and_expressions_are_groups(warehouse: DuckDBWarehouse, log: Relation) -> None:
    """Whole floats have no point, a condition is true, false or NULL."""
    found = {
        name: evaluated(warehouse, log, key(Dimension(name, (name,), {"thin": "share < 3"}), 0, log))[:3]
        for name in ("n", "share", "vip", "on day", "thin")
    }
    assert found == {
        "n": ["n=1", "n=2", "n=3"], "share": ["share=1", "share=2.5", "share IS NULL"], "vip": ["vip=true", "vip=false", "vip=true"],
        "on day": ["on day=2026-01-05"] * 3, "thin": ["thin=true", "thin=true", "thin IS NULL"],
    }  # fmt: skip


def test_names_are_parameters_not_sql(warehouse: DuckDBWarehouse) -> None:
    """A column's name with quotes, `=` and ` & ` cuts as any other; no name stands in the text of the statement but quoted."""
    name = 'it\'s "a" = b & c'
    relation = warehouse.frame(pd.DataFrame({name: ["x'; DROP TABLE t; --", "y"]}), "log")
    dimension = Dimension(name, (name,), {})
    clause = listed_key(dimension, 0, relation, [f"{name}=x'; DROP TABLE t; --"])
    assert "DROP" not in clause.sql
    assert evaluated(warehouse, relation, clause) == [f"{name}=x'; DROP TABLE t; --", f"{name}=(other)"]


def test_keys_that_are_not_listed_are_one(warehouse: DuckDBWarehouse, log: Relation) -> None:
    """Listed ones keep their name, NULL too; with nothing listed, every row is in the rest."""
    listed = ["region=EU", "region IS NULL"]
    rest = "region=(other)"
    assert evaluated(warehouse, log, listed_key(REGION, 0, log, listed)) == [
        "region=EU", rest, rest, "region IS NULL", rest, rest,
    ]  # fmt: skip
    assert evaluated(warehouse, log, listed_key(REGION, 0, log, [])) == [rest] * 6


def test_each_dimension_takes_its_own_of_what_is_listed(warehouse: DuckDBWarehouse, log: Relation) -> None:
    """The reference's list holds all dimensions' groups: each row has one key a dimension, from that dimension's alone."""
    listed = ["region=EU", "region=R & D", "region=(other)", "region=EU & channel=web", "region=a=b & channel=x & y"]
    plain, crossed = (
        evaluated(warehouse, log, clause) for clause in keys(cut("region", ["region", "channel"]), log, listed)
    )
    assert plain == ["region=EU", "region=R & D", *["region=(other)"] * 4]
    rest = BOTH.other
    assert crossed == ["region=EU & channel=web", rest, "region=a=b & channel=x & y", rest, rest, rest]
    region = keys(cut("region"), log, listed)[0]
    assert {param.value for name, param in region.params.items() if name.startswith("segment_0_")} == {
        "region=EU",
        "region=R & D",
    }


@pytest.mark.parametrize(
    ("segment", "dimension", "expected"),
    [
        ("region=EU", REGION, True),
        ("region IS NULL", REGION, True),
        ("region=", REGION, True),
        ("region=a=b", REGION, True),
        ("region=R & D", REGION, True),
        ("all", REGION, False),
        ("region", REGION, False),
        ("regional=EU", REGION, False),
        ("sub region=EU", REGION, False),
        ("region=EU & channel=web", REGION, False),
        ("region=EU & channel IS NULL", REGION, False),
        ("region=EU", BOTH, False),
        ("region=EU & channel=web", BOTH, True),
        ("region IS NULL & channel IS NULL", BOTH, True),
        ("region=R & D & channel=x & y", BOTH, True),
        ("channel=web & region=EU", BOTH, False),
        ("region=EU & channel=web & vip=true", BOTH, False),
    ],
)
def test_a_group_belongs_to_one_dimension(segment: str, dimension: Dimension, expected: bool) -> None:
    """By the names of its parts, in their order; ` & ` within a value parts nothing."""
    assert belongs(segment, dimension) is expected


@pytest.mark.parametrize(
    ("segment", "error", "message"),
    [
        ("regoin", InputError, "log: segments: no column 'regoin'; existing columns: 'at', 'channel', 'n', 'on day', 'region', 'share', 'vip'. "
         "Did you mean 'region'? Correct the name, or add the column."),
        ("at", InputError, "log: segments: 'at': wrong type; got DATETIME; allowed: STRING, INT64, FLOAT64, NUMERIC, BOOL, DATE. "
         "Give an expression that makes a class of it."),
        ({"name": "thin", "expression": "m < 3"}, IdentifierError, "segment 'thin': 'm < 3' names column 'm', which the table does not have; "
         "existing: at, channel, n, on day, region, share, vip."),
    ],
)  # fmt: skip
def test_what_cannot_cut_is_refused(log: Relation, segment: Any, error: type[Exception], message: str) -> None:
    """A missing column, a time, an expression over a missing column: the place, what was got, and what is allowed."""
    with pytest.raises(error) as caught:
        for i, dimension in enumerate(dimensions(cut("region", segment))):
            key(dimension, i, log)
    assert str(caught.value) == message


def test_an_intersection_with_a_missing_column_is_refused(log: Relation) -> None:
    """Every part is looked for."""
    with pytest.raises(InputError, match=r"no column 'chanel'.*Did you mean 'channel'"):
        key(dimensions(cut(["region", "chanel"]))[0], 0, log)


def sizes(engine: DuckDBWarehouse, config: MonitorConfig, frame: pd.DataFrame) -> list[tuple[str, int]]:
    rows = engine.query(sizes_statement(config, engine.frame(frame, "training data"), 5, "duckdb"))
    return [(row["segment"], row["n"]) for row in rows]


def test_groups_of_enough_rows_are_listed_largest_first(warehouse: DuckDBWarehouse) -> None:
    """Five rows are enough, four are not; equal ones by name; one dimension after the other."""
    regions = ["b"] * 6 + ["a"] * 6 + ["c"] * 7 + ["d"] * 5 + ["e"] * 4 + [None] * 5
    frame = pd.DataFrame({"region": regions, "vip": [i % 3 == 0 for i in range(len(regions))]})
    assert sizes(warehouse, cut("vip", "region"), frame) == [
        ("vip=false", 22), ("vip=true", 11),
        ("region=c", 7), ("region=a", 6), ("region=b", 6), ("region IS NULL", 5), ("region=d", 5),
    ]  # fmt: skip


def test_at_most_so_many_groups_are_listed(warehouse: DuckDBWarehouse) -> None:
    """The largest hundred of a dimension; of another one as many again."""
    frame = pd.DataFrame({"a": [i for i in range(MAX_LISTED + 20) for _ in range(6 if i < 10 else 5)]}).assign(
        b=lambda rows: rows["a"]
    )
    found = sizes(warehouse, cut("a", "b"), frame)
    assert len(found) == 2 * MAX_LISTED == 200
    assert {name for name, n in found[:10]} == {f"a={i}" for i in range(10)}


def colours(counts: dict[str, tuple[int, int]], start: str = "2026-01-05", days: int = 7) -> pd.DataFrame:
    """So many red and blue rows of each region, spread evenly over the days."""
    rows = [
        (region, colour)
        for region, (red, blue) in counts.items()
        for colour, n in (("red", red), ("blue", blue))
        for _ in range(n)
    ]
    frame = pd.DataFrame(rows, columns=["region", "colour"])
    return frame.assign(ts=pd.Timestamp(start) + pd.to_timedelta([i % days for i in range(len(frame))], unit="D"))


def monitor(
    tmp_path: Path, log: pd.DataFrame, training: dict[str, tuple[int, int]] | None = None, **changes: Any
) -> MonitorConfig:
    """A monitor of colours by region, its reference captured (default: two regions, half of each red)."""
    log.to_parquet(tmp_path / "log.parquet")
    config = make_config(tmp_path, features=["colour"], segments=["region"], **changes)
    data = colours(training or {"EU": (1000, 1000), "US": (1000, 1000)}).drop(columns="ts")
    capture_reference(data, config, version="1")
    return config


def by_segment(result: RunResult, **wanted: Any) -> dict[str, DriftResult]:
    found = [r for r in result.results if all(getattr(r, name) == value for name, value in wanted.items())]
    assert len({r.segment for r in found}) == len(found)
    return {r.segment: r for r in found}


def test_a_reference_with_segments_is_stored_and_loaded_whole(tmp_path: Path) -> None:
    """The features of each group, in the whole's buckets, whose counts add up to the whole; labels are hidden as there."""
    frame = colours({"EU": (30, 20), "R & D": (40, 10), "tiny": (2, 2), "small": (1, 0)}).drop(columns="ts")
    frame.loc[frame.index[:7], "region"] = None
    frame["shade"] = frame["colour"]
    shade = {"name": "shade", "kind": "categorical", "sensitive": True}
    config = make_config(tmp_path, features=[shade], segments=["region", ["region", "colour"]])
    stored = capture_reference(frame, config, version="1")
    warehouse = open_warehouse(config.warehouse)
    (loaded,) = load_references(warehouse, "loans")
    warehouse.close()
    assert (loaded.reference_id, loaded.segments, loaded.features) == (
        stored.reference_id,
        stored.segments,
        stored.features,
    )
    assert list(loaded.segments) == list(stored.segments)
    names = [name for name in loaded.segments if " & colour=" not in name]
    assert names == ["region=R & D", "region=EU", "region IS NULL", "region=(other)"]
    counted = {name: loaded.segments[name][0].histogram for name in names}
    assert {name: histogram.n_rows for name, histogram in counted.items()} == {
        "region=R & D": 50, "region=EU": 43, "region IS NULL": 7, "region=(other)": 5,
    }  # fmt: skip
    whole = loaded.features[0]
    parts = list(counted.values())
    assert (parts[0] + parts[1] + parts[2] + parts[3]).pairs() == whole.histogram.pairs()
    assert all(features[0].labels_hashed and features[0].known == whole.known for features in loaded.segments.values())
    assert list(loaded.by_segment) == ["all", *loaded.segments]


def test_other_segments_are_another_reference(tmp_path: Path) -> None:
    """Captured again the same, it is found; cut in another way, it is a new one; without segments it has none."""
    data = colours({"EU": (30, 20), "US": (40, 10)}).drop(columns="ts").assign(channel="web")
    plain, cut_up, other = (
        capture_reference(data, make_config(tmp_path, features=["colour"], segments=segments), version="1")
        for segments in ([], ["region"], ["channel"])
    )
    again = capture_reference(data, make_config(tmp_path, features=["colour"], segments=["region"]), version="1")
    assert len({plain.reference_id, cut_up.reference_id, other.reference_id}) == 3
    assert (again.reference_id, again.captured_at) == (cut_up.reference_id, cut_up.captured_at)
    assert (plain.segments, list(other.segments)) == ({}, ["channel=web", "channel=(other)"])


def test_a_label_that_occurs_once_is_shared_among_segments(tmp_path: Path) -> None:
    """Each has its part of them, by rows."""
    frame = colours({"EU": (300, 300), "US": (100, 100)}).drop(columns="ts")
    frame.loc[frame.index[::20], "colour"] = [f"c{i}" for i in range(len(frame.index[::20]))]
    config = make_config(tmp_path, features=[{"name": "colour", "kind": "categorical"}], segments=["region"])
    reference = capture_reference(frame, config, version="1")
    assert reference.features[0].n_singletons == 40
    assert {name: features[0].n_singletons for name, features in reference.segments.items()} == {
        "region=EU": 30,
        "region=US": 10,
        "region=(other)": 0,
    }


def test_one_segment_drifts_though_the_whole_does_not(tmp_path: Path) -> None:
    """A twentieth of the rows turned red: the whole hides it, its segment shows it; the event says where, and each verdict is adjusted for all."""
    log = colours({"EU": (95, 5), "US": (1000, 1000)})
    result = run(monitor(tmp_path, log, {"EU": (50, 50), "US": (1000, 1000)}), "2026-01-13")
    found = by_segment(result)
    assert {name: r.verdict.status for name, r in found.items()} == {
        "all": "ok",
        "region=EU": "drift",
        "region=US": "ok",
        "region=(other)": "not_evaluated",
    }
    assert {name: r.verdict.n_current for name, r in found.items()} == {
        "all": 2100,
        "region=EU": 100,
        "region=US": 2000,
        "region=(other)": 0,
    }
    p_values = {name: r.verdict.p_value for name, r in found.items() if r.verdict.p_value is not None}
    assert {name: found[name].verdict.p_adjusted for name in p_values} == pytest.approx(holm(p_values))
    (event,) = [event for event in result.events if event.kind == "drift"]
    assert (event.segment, event.feature) == ("region=EU", "colour")
    assert event.message.startswith("in region=EU: ")


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_data_set_drifts_only_by_the_whole(tmp_path: Path) -> None:
    """Two regions turned in opposite ways: both drift, the whole did not move, and neither did the data set."""
    log = colours({"EU": (900, 100), "US": (100, 900)})
    result = run(monitor(tmp_path, log), "2026-01-13")
    assert {name: r.verdict.status for name, r in by_segment(result).items()} == {
        "all": "ok", "region=EU": "drift", "region=US": "drift", "region=(other)": "not_evaluated",
    }  # fmt: skip
    assert {(event.kind, event.segment) for event in result.events} == {("drift", "region=EU"), ("drift", "region=US")}
    moved = run(monitor(made(tmp_path / "moved"), colours({"EU": (900, 100), "US": (900, 100)})), "2026-01-13")
    assert "dataset_drift" in {event.kind for event in moved.events}


def test_a_small_segment_is_not_evaluated(tmp_path: Path) -> None:
    """49 rows of one region are too few for a verdict of its own, none at all too; each is a row with the reason."""
    log = colours({"EU": (49, 0), "US": (500, 500)})
    found = by_segment(
        run(monitor(tmp_path, log, {"EU": (100, 100), "US": (100, 100), "ASIA": (100, 100)}), "2026-01-13")
    )
    assert {name: (r.verdict.status, r.verdict.n_current) for name, r in found.items()} == {
        "all": ("ok", 1049), "region=US": ("ok", 1000), "region=EU": ("not_evaluated", 49), "region=ASIA": ("not_evaluated", 0),
        "region=(other)": ("not_evaluated", 0),
    }  # fmt: skip
    assert all(found[f"region={name}"].verdict.reason for name in ("EU", "ASIA"))


def test_a_new_group_counts_with_the_rest(tmp_path: Path) -> None:
    """Groups that training had too few of, or none, are one; a group listed there keeps its own rows."""
    log = colours({"EU": (100, 100), "tiny": (5, 5), "MARS": (70, 10), "R & D": (60, 60)})
    training = {"EU": (100, 100), "R & D": (100, 100), "tiny": (2, 2), "small": (2, 1)}
    found = by_segment(run(monitor(tmp_path, log, training), "2026-01-13"))
    assert {name: r.verdict.n_current for name, r in found.items()} == {
        "all": 410, "region=EU": 200, "region=R & D": 120, "region=(other)": 90,
    }  # fmt: skip


def test_a_segment_whose_column_is_gone_is_not_evaluated(tmp_path: Path) -> None:
    """The log lost the column: all rows are judged as ever, the segments have none; `validate` names the column."""
    config = monitor(tmp_path, colours({"EU": (100, 100)}).rename(columns={"region": "reg"}))
    found = by_segment(run(config, "2026-01-13"))
    assert found["all"].verdict.n_current == 200
    assert {name: r.verdict.status for name, r in found.items() if name != "all"} == dict.fromkeys(
        ("region=EU", "region=US", "region=(other)"), "not_evaluated"
    )
    assert any("segments: no column 'region'" in fault for fault in check_live(config).faults)


def test_a_group_that_is_new_falls_under_other(tmp_path: Path) -> None:
    """Rows of a region that training did not have are counted and told, though nothing is there to compare them with."""
    log = colours({"EU": (100, 100), "MARS": (60, 60)})
    found = by_segment(run(monitor(tmp_path, log, {"EU": (100, 100)}), "2026-01-13"))
    other = found["region=(other)"].verdict
    assert (other.status, other.n_current, other.reason) == (
        "not_evaluated",
        120,
        "too few rows in the baseline: 0 of at least 50",
    )


def test_stored_counts_of_segments_add_up(tmp_path: Path) -> None:
    """In each day the regions' rows are those of the whole, and a rerun adds no row."""
    config = monitor(tmp_path, colours({"EU": (100, 100), "US": (70, 30)}))
    totals = []
    for _ in range(2):
        run(config, "2026-01-13")
        with duckdb.connect(config.warehouse.removeprefix("duckdb://"), read_only=True) as connection:
            totals.append(
                connection.execute(
                    "SELECT granule, SUM(n_rows) FILTER (segment = 'all'), SUM(n_rows) FILTER (segment <> 'all') "
                    "FROM production_histograms GROUP BY granule ORDER BY granule"
                ).fetchall()
            )
    assert len(totals[0]) == 7
    assert all(whole == parts for _, whole, parts in totals[0])
    assert totals[0] == totals[1]


@pytest.mark.parametrize("n_groups", [(2, 3, 5), (7, 30, 101)], ids=["counted together", "counted apart"])
def test_each_segment_holds_what_numpy_counts_in_it(warehouse: DuckDBWarehouse, n_groups: tuple[int, ...]) -> None:
    """Counts, means and second moments of each number in each dimension, whether their groups are few or many."""
    rng = np.random.default_rng(5)
    size = 6_000
    frame = pd.DataFrame({f"d{n}": (np.arange(size) * n // size).astype(str) for n in n_groups})
    frame = frame.sample(frac=1, random_state=1, ignore_index=True)
    for i in range(8):  # more than are counted in one pass
        frame[f"x{i}"] = rng.lognormal(i, 1.0, size)
    for value in (0.1, 0.7, 1.1, 3.3, 1234.5678, 0.123456789):
        frame[f"always {value}"] = value
    frame["late"] = 1.7e9 + np.arange(size) % 3
    frame.loc[frame.index % 17 == 0, ["x0", f"d{n_groups[0]}"]] = None
    config = cut(*(f"d{n}" for n in n_groups))
    numbers = [column for column in frame if not str(column).startswith("d")]
    relation = warehouse.frame(frame, "log")
    wanted = [(Feature(name=name, kind="numeric"), "feature") for name in numbers]
    whole = build_reference(warehouse, relation, wanted, monitor="m", version="1", unfit="insist")
    reference = with_segments(warehouse, relation, whole, config)
    assert len(reference.segments) > sum(n_groups) - 10
    for segment, features in reference.by_segment.items():
        rows = frame if segment == "all" else frame[_named(frame, segment, reference.segments)]
        for found in features:
            values, moments = rows[found.name].dropna().to_numpy(), found.histogram.moments
            assert moments is not None
            assert (found.histogram.n_rows, moments.n) == (len(rows), len(values)), segment
            if len(values):
                assert moments.mean == pytest.approx(values.mean(), rel=1e-13)
                squares = (
                    0
                    if found.name.startswith("always")
                    else pytest.approx(((values - values.mean()) ** 2).sum(), rel=1e-6)
                )
                assert moments.second_moment == squares, (segment, found.name)
                assert (moments.min, moments.max) == (values.min(), values.max())


def _named(frame: pd.DataFrame, segment: str, listed: Iterable[str]) -> pd.Series:
    """Which rows lie in a segment of one column."""
    column = re.split("=| IS NULL", segment)[0]
    names = (column + "=" + frame[column].astype(object)).fillna(f"{column} IS NULL")
    return ~names.isin(list(listed)) if segment.endswith("=(other)") else names == segment


def test_promoted_counts_are_a_baseline_of_each_segment(tmp_path: Path) -> None:
    """A region whose new normal was promoted is compared with that: it drifted from training, not from the promoted stretch."""
    weeks = [colours({"EU": (900, 100), "US": (500, 500)}, f"2026-01-{first:02}") for first in (5, 12)]
    config = monitor(tmp_path, pd.concat(weeks), baselines=["training", "promoted"])
    run(config, "2026-01-12")
    promoted = promote(config, "2026-01-05", "2026-01-12")
    assert {name: features[0].histogram.n_rows for name, features in promoted.segments.items() if features} == {
        "region=EU": 1000, "region=US": 1000,
    }  # fmt: skip
    result = run(config, "2026-01-19")
    last = max(result.windows)
    found = {(r.segment, r.baseline): r.verdict.status for r in result.results if r.judgement.window == last}
    assert found == {
        ("all", "training"): "drift", ("region=EU", "training"): "drift", ("region=US", "training"): "ok",
        ("all", "promoted"): "ok", ("region=EU", "promoted"): "ok", ("region=US", "promoted"): "ok",
        ("region=(other)", "training"): "not_evaluated", ("region=(other)", "promoted"): "not_evaluated",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("n_groups", "days", "cells", "expected"),
    [
        ((3, 4, 5), 1, None, [[2, 1, 0]]),
        ((6, 11, 21), 1, None, [[2], [1, 0]]),
        ((3, 4, 5), 365, None, [[0], [1], [2]]),
        ((3, 4, 5), 1, Cells("y", "p", {}), [[0], [1], [2]]),
    ],
    ids=["few groups", "more than 128 combinations", "a year", "by outcome and prediction"],
)
def test_dimensions_of_few_groups_are_counted_together(
    log: Relation, n_groups: tuple[int, ...], days: int, cells: Cells | None, expected: list[list[int]]
) -> None:
    """At most 128 combinations, 4,096 over all granules; the fewest first, as it makes the whole."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    stretch = TimeRange("at", "DATETIME", start, start + timedelta(days=days), "day", ZoneInfo("UTC"))
    dimensions = tuple(SegmentKey("", n_groups=n) for n in n_groups)
    bundles, per_pass = Scan(log, (), "salt", stretch, segments=dimensions, cells=cells)._bundles()
    assert bundles == expected
    assert per_pass >= 12
