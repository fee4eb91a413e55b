"""The training hook: which kinds are found, what is stored (and what never is), and that every input gives the same reference."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from bq_monitor import InputError, Reference, capture_reference
from bq_monitor.capture import profile_columns
from bq_monitor.config import MonitorConfig
from bq_monitor.measure.histogram import NAN, NEG_INF, NULL, OTHER, POS_INF, UNSEEN
from bq_monitor.reference import FeatureReference, load_references
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.conftest import make_config

N = 600


def everything(rng: np.random.Generator) -> pd.DataFrame:
    """A column of each sort that training data may hold."""
    days = pd.date_range("2020-01-01", periods=N, freq="h")
    return pd.DataFrame(
        {
            "amount": rng.normal(0, 1, N),
            "codes": np.tile([1, 2, 3], N // 3),
            "years": rng.integers(18, 80, N),
            "loan_id": np.arange(N) + 70_000,
            "uuid": [f"row-{i}" for i in range(N)],
            "member": rng.random(N) < 0.5,
            "seen_at": days,
            "day": [moment.date() for moment in days],
            "written": days.strftime("%Y-%m-%d"),
            "price": [Decimal(i % 200) / 8 for i in range(N)],
            "maybe": pd.array([None if i % 4 == 0 else i % 100 for i in range(N)], dtype="Int64"),
            "region": rng.choice(["north", "south"], N),
            "nothing": pd.array([None] * N, dtype="float64"),
            "constant": "x",
        }
    )


def auto(folder: Path, **changes: Any) -> MonitorConfig:
    return make_config(folder, **{"features": "auto", **changes})


def by_name(reference: Reference) -> dict[str, FeatureReference]:
    return {feature.name: feature for feature in reference.features}


def counts(feature: FeatureReference) -> dict[str, int]:
    """Counts of the buckets that are not empty, by name."""
    histogram = feature.histogram
    return {histogram.buckets.name(code): n for code, n in histogram.pairs()}


def test_kinds_are_found_and_what_is_no_feature_is_left_out_with_a_reason(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Few numbers are codes, many are quantities; identifiers and times are excluded, and told."""
    reference = capture_reference(everything(rng), auto(tmp_path), version="1")
    assert {feature.name: feature.kind for feature in reference.features} == {
        "amount": "numeric", "codes": "categorical", "years": "numeric", "member": "boolean", "price": "numeric",
        "maybe": "numeric", "region": "categorical", "nothing": "numeric", "constant": "categorical",
    }  # fmt: skip
    assert {name: why.split(";")[0] for name, why in reference.excluded.items()} == {
        "loan_id": "an identifier: 600 distinct values in 600 rows", "uuid": "an identifier: 600 distinct values in 600 rows",
        "seen_at": "a time (DATETIME)", "day": "a time (DATE)", "written": "a time written as text",
    }  # fmt: skip
    features = by_name(reference)
    assert counts(features["codes"]) == {"1": 200, "2": 200, "3": 200}
    assert counts(features["nothing"]) == {"NULL": N}
    assert counts(features["constant"]) == {"x": N}
    assert (features["maybe"].histogram.n_null, features["maybe"].source_type) == (N // 4, "INT64")
    moments = features["price"].histogram.moments
    assert moments is not None
    assert (moments.min, moments.max, moments.mean) == (0.0, 24.875, 12.4375)  # eighths of 0..199, three times


@pytest.mark.parametrize(
    ("name", "why"), [("loan_id", "an identifier"), ("seen_at", "a time"), ("written", "a time written as text")]
)
def test_a_listed_column_that_is_no_feature_is_refused(
    name: str, why: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """What is listed is never left out silently."""
    with pytest.raises(InputError, match=f"not a feature: '{name}' is {why}"):
        capture_reference(everything(rng), make_config(tmp_path, features=["amount", name]), version="1")


def test_a_kind_that_is_said_overrides_detection(tmp_path: Path, rng: np.random.Generator) -> None:
    """An identifier taken as a number, a time as a timestamp, codes as numbers: as said."""
    listed = [
        {"name": "loan_id", "kind": "numeric"},
        {"name": "seen_at", "kind": "timestamp"},
        {"name": "codes", "kind": "numeric"},
    ]
    features = by_name(capture_reference(everything(rng), make_config(tmp_path, features=listed), version="1"))
    assert {name: feature.kind for name, feature in features.items()} == {
        "loan_id": "numeric",
        "seen_at": "timestamp",
        "codes": "numeric",
    }
    moments = features["seen_at"].histogram.moments
    assert moments is not None
    assert moments.min == datetime.fromisoformat("2020-01-01T00:00:00+00:00").timestamp()
    with pytest.raises(InputError, match="'region' is of type STRING, which cannot be numeric"):
        capture_reference(
            everything(rng), make_config(tmp_path, features=[{"name": "region", "kind": "numeric"}]), version="2"
        )


def test_nan_and_infinities_have_buckets_of_their_own(tmp_path: Path) -> None:
    """In a file NaN is a value; in a DataFrame's float column it is a missing one, as pandas means it."""
    values = [*np.arange(100.0), np.nan, np.inf, np.inf, -np.inf]
    config = make_config(tmp_path, features=[{"name": "x", "kind": "numeric"}])
    from_frame = capture_reference(pd.DataFrame({"x": values}), config, version="frame").features[0].histogram
    assert [from_frame.n_of(code) for code in (NULL, NAN, POS_INF, NEG_INF)] == [1, 0, 2, 1]
    with duckdb.connect() as connection:
        connection.sql("SELECT UNNEST($x) AS x", params={"x": values}).write_parquet(f"{tmp_path}/x.parquet")
    from_file = capture_reference(f"{tmp_path}/x.parquet", config, version="file").features[0].histogram
    assert [from_file.n_of(code) for code in (NULL, NAN, POS_INF, NEG_INF)] == [0, 1, 2, 1]
    assert from_file.moments is not None
    assert (from_file.moments.n, from_file.moments.mean, from_file.moments.max) == (100, 49.5, 99.0)


def test_an_ordinal_keeps_its_order(tmp_path: Path) -> None:
    """Labels stand in the order that is said, also those that training lacks; a label that is not listed is unseen."""
    config = make_config(
        tmp_path, features=[{"name": "grade", "kind": "ordinal", "order": ["low", "mid", "high", "top"]}]
    )
    grades = pd.DataFrame({"grade": ["high"] * 30 + ["low"] * 60 + ["odd"] * 5})
    (feature,) = capture_reference(grades, config, version="1").features
    assert feature.histogram.buckets.labels == ("low", "mid", "high", "top")
    assert [feature.histogram.n_of(code) for code in range(4)] == [60, 0, 30, 0]
    assert feature.histogram.n_of(UNSEEN) == 5


def test_only_the_most_frequent_labels_are_buckets(tmp_path: Path) -> None:
    """Beyond `top_k` a label counts as other, though it is known."""
    config = make_config(tmp_path, features=[{"name": "city", "top_k": 2, "kind": "categorical"}])
    cities = pd.DataFrame({"city": ["a"] * 50 + ["b"] * 40 + ["c"] * 30 + ["d"] * 20})
    (feature,) = capture_reference(cities, config, version="1").features
    assert counts(feature) == {"a": 50, "b": 40, "other": 50}
    assert (len(feature.known), feature.known_complete) == (2, True)


def test_texts_are_not_scanned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts the labels gives the histogram: the scan is asked for numbers only."""
    asked: list[Statement] = []
    query = DuckDBWarehouse.query
    monkeypatch.setattr(DuckDBWarehouse, "query", lambda self, it: [asked.append(it), query(self, it)][1])
    data = pd.DataFrame({"city": ["a", "b"] * 50, "amount": np.arange(100) % 60 + 0.5})
    capture_reference(data, make_config(tmp_path, features=["city", "amount"]), version="1")
    (scan,) = [statement.sql for statement in asked if statement.name == "scan/histograms"]
    assert ("amount" in scan, "city" in scan) == (True, False)


def test_expressions_are_captured(tmp_path: Path) -> None:
    """An expression is a feature like a column; without a kind it is refused."""
    data = pd.DataFrame({"debt": np.arange(100.0), "income": 200.0})
    listed = [
        {"name": "burden", "kind": "numeric", "expression": "debt / income"},
        {"name": "size", "kind": "categorical", "expression": "IF(debt < 25, 'small', 'large')"},
    ]
    burden, size = capture_reference(data, make_config(tmp_path, features=listed), version="1").features
    assert burden.histogram.moments is not None
    assert burden.histogram.moments.max == 99 / 200
    assert counts(size) == {"large": 75, "small": 25}
    with pytest.raises(InputError, match="an expression without a kind"):
        capture_reference(data, make_config(tmp_path, features=[{"name": "b", "expression": "debt + 1"}]), version="2")


def stored_text(folder: Path) -> str:
    """Everything that the reference's table holds, as text."""
    with duckdb.connect(str(folder / "monitor.duckdb"), read_only=True) as connection:
        return str(connection.execute("SELECT * FROM reference_histograms").fetchall())


def test_sensitive_and_rare_labels_are_never_stored_in_clear(tmp_path: Path) -> None:
    """A sensitive feature's labels, and any label of fewer than five rows, are stored as salted hashes only."""
    data = pd.DataFrame(
        {"illness": ["asthma"] * 60 + ["gout"] * 40, "town": ["bigtown"] * 91 + ["hamlet"] * 5 + ["lonely"] * 4}
    )
    config = make_config(tmp_path, features=[{"name": "illness", "sensitive": True}, "town"])
    illness, town = capture_reference(data, config, version="1").features
    assert sorted(int(n) for _, n in illness.histogram.pairs()) == [40, 60]
    assert (illness.labels_hashed, town.labels_hashed) == (True, False)
    assert counts(town) == {"bigtown": 91, "hamlet": 5, "other": 4}
    text = stored_text(tmp_path)
    assert "bigtown" in text
    assert "hamlet" in text
    for secret in ("asthma", "gout", "lonely"):
        assert secret not in text


def test_sensitive_labels_are_still_told_apart_in_the_log(tmp_path: Path) -> None:
    """Hashes are compared with hashes: the same labels are ok, new ones are unseen."""
    from bq_monitor import run

    config = make_config(tmp_path, features=[{"name": "illness", "sensitive": True}])
    capture_reference(pd.DataFrame({"illness": ["asthma", "gout"] * 200}), config, version="1")
    days = np.repeat(pd.date_range("2026-01-05", periods=14), 20)
    illness = ["asthma", "gout"] * 70 + ["asthma", "cold"] * 70
    pd.DataFrame({"illness": illness, "ts": days}).to_parquet(tmp_path / "log.parquet")
    first, second = run(config, "2026-01-19").results
    assert (first.verdict.status, first.verdict.unseen_share) == ("ok", 0.0)
    assert (second.verdict.status, second.verdict.unseen_share) == ("drift", 0.5)


def test_too_many_labels_to_remember(tmp_path: Path) -> None:
    """Of a hundred thousand labels the unseen cannot be told: no hashes are kept, and the unseen share is not known."""
    from bq_monitor import compare

    data = pd.DataFrame({"word": [f"w{i}" for i in range(100_000)] + ["common"] * 900 + [None] * 7})
    config = make_config(tmp_path, features=[{"name": "word", "kind": "categorical"}])
    (feature,) = capture_reference(data, config, version="1").features
    assert counts(feature) == {"common": 900, "NULL": 7, "other": 100_000}
    assert (feature.known, feature.known_complete) == ((), False)
    small = pd.DataFrame({"word": ["a", "b", "c"] * 50})
    many = pd.DataFrame({"word": np.tile([f"w{i}" for i in range(11_000)], 2)})
    assert compare(many, small).features[0].verdict.unseen_share is None
    assert compare(small, many).features[0].verdict.unseen_share == 1.0


def test_a_stored_reference_reads_back_equal(tmp_path: Path, rng: np.random.Generator) -> None:
    """Edges, counts, moments, labels, hashes and reasons survive the table."""
    data = everything(rng).assign(rare=["common"] * (N - 2) + ["odd", "strange"])
    captured = capture_reference(data, auto(tmp_path), version="1")
    warehouse = open_warehouse(auto(tmp_path).warehouse)
    try:
        (loaded,) = load_references(warehouse, "loans")
    finally:
        warehouse.close()
    assert loaded.to_dict() == captured.to_dict()
    pd.testing.assert_frame_equal(loaded.to_frame(), captured.to_frame())
    assert loaded.excluded == captured.excluded
    for mine, theirs in zip(loaded.features, captured.features, strict=True):
        assert mine.histogram.buckets == theirs.histogram.buckets
        assert (mine.known, mine.known_complete, mine.n_bins) == (theirs.known, theirs.known_complete, theirs.n_bins)
        assert mine.histogram.moments == theirs.histogram.moments


def test_capturing_the_same_data_again_adds_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    """The same version and data give the same reference; other data, and another version, a new one."""
    data = everything(rng)
    config = make_config(tmp_path, features=["amount", {"name": "region", "sensitive": True}])
    first = capture_reference(data, config, version="1")
    assert capture_reference(data, config, version="1").reference_id == first.reference_id
    assert stored_text(tmp_path).count("'amount'") == 1
    ids = {
        first.reference_id,
        capture_reference(data, config, version="2").reference_id,
        capture_reference(data[:-9], config, version="1").reference_id,
    }
    assert len(ids) == 3
    assert stored_text(tmp_path).count("'amount'") == 3


def test_every_way_in_gives_the_same_histograms(tmp_path: Path, rng: np.random.Generator) -> None:
    """A DataFrame, a Parquet file, a CSV file, a glob and a DuckDB table of the same rows are one reference."""
    data = everything(rng)[["amount", "codes", "years", "member", "maybe", "region"]]
    data.to_parquet(tmp_path / "all.parquet")
    data.to_csv(tmp_path / "all.csv", index=False)
    data[:250].to_parquet(tmp_path / "part1.parquet")
    data[250:].to_parquet(tmp_path / "part2.parquet")
    config = auto(tmp_path)
    with duckdb.connect(str(tmp_path / "monitor.duckdb")) as connection:
        connection.execute(f"CREATE TABLE training AS SELECT * FROM '{tmp_path}/all.parquet'")
    ways: list[Any] = [data, tmp_path / "all.parquet", f"{tmp_path}/all.csv", f"{tmp_path}/part*.parquet", "training"]
    captured = [capture_reference(way, config, version="1") for way in ways]
    assert len({reference.reference_id for reference in captured}) == 1


def test_predictions_may_stand_apart(tmp_path: Path, rng: np.random.Generator) -> None:
    """Answers given beside the data are captured as prediction and score; their number must fit."""
    prediction = {"column": "approved", "kind": "binary", "positive": 1, "score": "p"}
    config = make_config(tmp_path, features=["amount"], prediction=prediction)
    data = everything(rng)
    answers = pd.DataFrame({"approved": np.tile([0, 1], N // 2), "p": rng.random(N)})
    reference = capture_reference(data, config, version="1", predictions=answers)
    assert [(f.name, f.role, f.kind) for f in reference.features] == [
        ("amount", "feature", "numeric"), ("approved", "prediction", "categorical"), ("p", "score", "numeric"),
    ]  # fmt: skip
    one = make_config(tmp_path, features=["amount"], prediction={"column": "approved", "kind": "binary"})
    sequence = capture_reference(data, one, version="2", predictions=[True, False] * (N // 2))
    assert by_name(sequence)["approved"].kind == "boolean"
    with pytest.raises(InputError, match=r"another number of rows than data \(600\)"):
        capture_reference(data, one, version="3", predictions=[True])
    with pytest.raises(InputError, match="no prediction is configured"):
        capture_reference(data, make_config(tmp_path, features=["amount"]), version="3", predictions=[True] * N)
    with pytest.raises(InputError, match="no column 'approved'"):
        capture_reference(data, one, version="3")


def test_a_prediction_that_is_listed_too_is_captured_once(tmp_path: Path, rng: np.random.Generator) -> None:
    """A column that is both listed and the prediction has the prediction's role alone."""
    config = make_config(tmp_path, features=["amount", "codes"], prediction={"column": "codes", "kind": "multiclass"})
    reference = capture_reference(everything(rng), config, version="1")
    assert [(f.name, f.role) for f in reference.features] == [("amount", "feature"), ("codes", "prediction")]


def test_what_cannot_be_captured_is_said(tmp_path: Path, rng: np.random.Generator) -> None:
    """A missing column, data without rows, and data without a feature are input errors that name the place."""
    data = everything(rng)
    with pytest.raises(InputError, match=r"training data: no column 'amuont'.*Did you mean 'amount'"):
        capture_reference(data, make_config(tmp_path, features=["amuont"]), version="1")
    with pytest.raises(InputError, match="training data: no rows"):
        capture_reference(data[:0], make_config(tmp_path, features=["amount"]), version="1")
    with pytest.raises(InputError, match="no column can be monitored: 'loan_id' is an identifier"):
        capture_reference(data[["loan_id"]], auto(tmp_path), version="1")
    with pytest.raises(InputError, match="two columns of one name"):
        capture_reference(pd.DataFrame([[1, 2]], columns=["a", "a"]), auto(tmp_path), version="1")


def test_columns_that_are_no_features_stay_apart_from_auto(tmp_path: Path, rng: np.random.Generator) -> None:
    """The time, the identifier, the version and the prediction of the log are not features of the training data."""
    source = {"table": "log.parquet", "timestamp": "seen_at", "id": "years", "model_version": "region"}
    config = auto(tmp_path, source=source, prediction={"column": "codes", "kind": "multiclass"})
    reference = capture_reference(
        everything(rng)[["amount", "years", "region", "codes", "seen_at"]], config, version="1"
    )
    assert [(f.name, f.role) for f in reference.features] == [("amount", "feature"), ("codes", "prediction")]
    assert reference.excluded == {}
    assert date.fromisoformat(reference.to_dict()["captured_at"][:10]) == reference.captured_at.date()
    assert OTHER in reference.features[1].histogram.buckets.codes


def test_a_sensitive_column_that_turns_out_numeric_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    """Edges and extremes would show values of people; only categories can be sensitive."""
    config = make_config(tmp_path, features=[{"name": "salary", "sensitive": True}])
    with pytest.raises(InputError, match="'salary' is numeric and sensitive"):
        capture_reference(pd.DataFrame({"salary": rng.normal(size=500)}), config, version="1")


def test_nan_is_no_whole_number(tmp_path: Path) -> None:
    """Of a file, whose NaN is a value: two of four are whole."""
    file = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT UNNEST([1.0, 2.5, 'NaN'::DOUBLE, -3.0]) AS x) TO '{file}'")
    warehouse = DuckDBWarehouse()
    profile = profile_columns(warehouse, warehouse.relation(str(file)), ["x"])["x"]
    warehouse.close()
    assert (profile.n_given, profile.n_whole) == (4, 2)
