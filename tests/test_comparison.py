"""`compare`: real data sets with known drift, the report's structure, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bq_monitor import Comparison, InputError, compare
from bq_monitor.errors import TableNotFoundError

MOVED = {"car_value", "loan_length", "repaid_loan_on_prev_car", "salary_range", "y_pred_proba"}
CAR_INPUTS = [
    "car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car", "size_of_downpayment", "driver_tenure",
]  # fmt: skip


def by_status(result: Comparison, status: str) -> set[str]:
    return {item.feature for item in result.features if item.status == status}


@pytest.fixture(scope="module")
def car(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reference part of the synthetic car loans, and its last 25,000 rows, in which a change was planted."""
    from tests.conftest import SHARED, missing

    if not SHARED.is_dir():
        missing("the folder of real data sets", "set BQ_MONITOR_SHARED_DATA to it")
    loans = pd.read_parquet(SHARED / "car_loan_synthetic.parquet")
    return loans[loans["partition"] == "reference"], loans[-25_000:]


def test_a_stable_year_is_not_drift(shared_data: Path) -> None:
    """Employment in Massachusetts, 2018 against 2015: with 69,000 rows on each side nothing that matters moved."""
    columns = [
        "id",
        "AGEP",
        "SCHL",
        "MAR",
        "ANC",
        "RAC1P",
        "employed",
        "year",
        "prediction",
        "predicted_probability",
        "partition",
    ]
    people = pd.read_parquet(shared_data / "employment_ma.parquet", columns=columns)
    before, after = people[people["year"] == 2015], people[people["year"] == 2018]
    result = compare(
        before, after, prediction="prediction", score="predicted_probability", label="employed", positive=1
    )
    assert not result.drift_detected
    assert (result.n_baseline, result.n_current, result.health) == (len(before), len(after), 100)
    assert by_status(result, "excluded") == {"id", "year", "partition"}
    assert result.not_evaluated == []
    assert result.prediction is not None
    rates = {
        side: float((frame["prediction"] == 1).mean()) for side, frame in (("baseline", before), ("current", after))
    }
    assert result.prediction.positive_rate == pytest.approx(rates)
    means = {
        side: float(frame["predicted_probability"].mean()) for side, frame in (("baseline", before), ("current", after))
    }
    assert result.prediction.mean_score == pytest.approx(means)


def test_a_planted_change_is_found_and_nothing_else(car: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Five columns moved (PSI 0.20 to 1.90 as published with the data), the others at most 0.003."""
    result = compare(*car, features=CAR_INPUTS, prediction="y_pred", score="y_pred_proba", label="repaid")
    assert by_status(result, "drift") == MOVED
    assert by_status(result, "ok") == {*CAR_INPUTS, "y_pred", "y_pred_proba", "repaid"} - MOVED
    psi = {item.feature: item.verdict.divergences.psi or 0.0 for item in result.features}
    published = {
        "car_value": (1.76, 1.90), "loan_length": (0.31, 0.34), "repaid_loan_on_prev_car": (0.26, 0.32),
        "salary_range": (0.20, 0.25), "y_pred_proba": (0.26, 0.32),
    }  # fmt: skip
    for name, (low, high) in published.items():
        assert low <= psi[name] <= high, name
    assert max(psi[name] for name in set(CAR_INPUTS) - MOVED) <= 0.003
    assert {item.feature: item.role for item in result.features if item.role != "feature"} == {
        "y_pred": "prediction", "y_pred_proba": "score", "repaid": "label",
    }  # fmt: skip
    assert result.share_drifted == 0.5
    kinds = {alert["feature"]: (alert["kind"], alert["severity"]) for alert in result.alerts()}
    assert kinds["y_pred_proba"] == ("prediction_drift", "critical")
    assert kinds["car_value"] == ("drift", "warning")
    assert kinds[None] == ("dataset_drift", "critical")


def test_without_a_list_the_verdict_is_the_same(car: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Identifier, time and the column that only says which part it is are excluded with the reason, not drifted."""
    result = compare(*car)
    assert by_status(result, "drift") == MOVED
    reasons = {item.feature: item.verdict.reason or "" for item in result.features if item.status == "excluded"}
    assert set(reasons) == {"id", "timestamp", "partition"}
    assert reasons["id"].startswith("an identifier: 50,000 distinct values")
    assert reasons["timestamp"].startswith("a time (DATETIME)")
    assert reasons["partition"] == "constant in each file (reference in the baseline)"


def frame(rng: np.random.Generator, n: int = 400, shift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "amount": rng.normal(shift, 1, n), "region": rng.choice(["north", "south"], n), "approved": rng.choice(["yes", "no"], n),
            "p": rng.random(n), "at": pd.date_range("2026-01-01", periods=n, freq="h"),
        }
    )  # fmt: skip


def test_the_report_has_the_documented_structure(rng: np.random.Generator) -> None:
    """Keys and types of the JSON report; every number is finite or null, null with a reason beside it."""
    after = frame(rng, shift=1.0).assign(extra=1).drop(columns="region")
    result = compare(frame(rng), after, prediction="approved", score="p")
    report = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert {key: type(value) for key, value in report.items()} == {
        "schema_version": int, "drift_detected": bool, "share_drifted": float, "n_baseline": int, "n_current": int, "features": list,
        "prediction": dict, "performance": type(None), "concept": type(None), "shift": type(None), "segments": list,
        "classifier_test": type(None), "quality": dict, "alerts": list, "health": int, "health_parts": list, "notes": list,
        "retrain": type(None),
    }  # fmt: skip
    assert (report["schema_version"], report["drift_detected"], report["n_baseline"]) == (1, True, 400)
    entries = {entry["feature"]: entry for entry in report["features"]}
    assert {name: entry["status"] for name, entry in entries.items()} == {
        "amount": "drift", "region": "not_evaluated", "approved": "ok", "p": "ok", "at": "excluded",
    }  # fmt: skip
    wanted = {
        "feature", "kind", "status", "reason", "role", "drift_score", "n_baseline", "n_current", "metrics", "lower", "upper",
        "p_adjusted", "contributions",
    }  # fmt: skip
    metrics = {
        "psi", "kl_divergence", "kl_divergence_reverse", "js_divergence", "js_distance", "hellinger", "total_variation", "l_infinity",
        "ks_statistic", "ks_p_value", "chi2_statistic", "chi2_p_value", "wasserstein", "mean_shift", "std_shift",
        "null_share_baseline", "null_share_current", "unseen_share", "noise_floor",
    }  # fmt: skip
    for entry in entries.values():
        assert wanted <= set(entry)
        assert metrics <= set(entry["metrics"])
        assert (entry["reason"] is None) == (entry["status"] in ("ok", "drift"))
    amount = entries["amount"]
    assert 0 < amount["lower"] <= amount["metrics"]["js_distance"] <= amount["upper"] <= 1
    assert 0 < amount["drift_score"] <= amount["metrics"]["js_distance"]
    parts = amount["contributions"]
    assert {key for part in parts for key in part} == {"bucket", "baseline_share", "current_share", "psi"}
    assert sum(part["psi"] for part in parts) == pytest.approx(amount["metrics"]["psi"])
    assert sum(part["baseline_share"] for part in parts) == pytest.approx(1)
    assert set(report["prediction"]) == {"column", "status", "positive_rate", "mean_score"}
    assert (
        set(report["prediction"]["positive_rate"]) == set(report["prediction"]["mean_score"]) == {"baseline", "current"}
    )
    assert {key for alert in report["alerts"] for key in alert} == {"kind", "severity", "feature", "message"}
    assert entries["region"]["reason"] == "missing column"
    assert result.not_evaluated == ["region"]
    table = result.to_frame()
    assert list(table["feature"]) == list(entries)
    assert {"status", "psi", "js_distance", "drift_score"} <= set(table.columns)


def test_nothing_evaluated_is_no_clean_bill(rng: np.random.Generator) -> None:
    """With too few rows for any verdict, share and health are null, and every column says why."""
    report = compare(frame(rng, 20), frame(rng, 20)).to_dict()
    assert (report["drift_detected"], report["share_drifted"], report["health"]) == (False, None, None)
    assert {entry["reason"] for entry in report["features"] if entry["status"] != "excluded"} == {
        "too few rows in the baseline: 20 of at least 50"
    }
    json.dumps(report, allow_nan=False)


def test_odd_values_give_no_nan(rng: np.random.Generator) -> None:
    """Infinities, all-missing and constant columns leave no NaN in the report."""
    odd = pd.DataFrame(
        {"inf": [np.inf, -np.inf, 1.0, 2.0] * 100, "none": pd.array([None] * 400, dtype="float64"), "one": 1.0, "x": rng.random(400)}
    )  # fmt: skip
    result = compare(odd, odd.assign(none=1.0, one=[1.0, 2.0] * 200), features=["inf", "none", "one", "x"])
    json.dumps(result.to_dict(), allow_nan=False)
    assert {item.feature: item.status for item in result.features} == {
        "inf": "ok",
        "none": "drift",
        "one": "drift",
        "x": "ok",
    }


def test_thresholds_decide(rng: np.random.Generator) -> None:
    """A wide threshold, in either metric, lets the same shift pass, and the verdict says which metric decided."""
    before, after = frame(rng, 4000), frame(rng, 4000, shift=0.5)
    for options, status, metric in (
        ({}, "drift", "js_distance"),
        ({"js_threshold": 0.5}, "ok", "js_distance"),
        ({"psi_threshold": 0.1}, "drift", "psi"),
        ({"psi_threshold": 2.0}, "ok", "psi"),
    ):
        (item,) = compare(before, after, features=["amount"], **options).features  # type: ignore[arg-type]
        assert (item.status, item.verdict.metric) == (status, metric), options


def test_the_time_column_is_set_apart(rng: np.random.Generator) -> None:
    """A column named as time is neither compared nor listed."""
    result = compare(frame(rng), frame(rng), time="at")
    assert "at" not in {item.feature for item in result.features}


@pytest.mark.parametrize(
    ("column", "positive", "rate"),
    [
        ("yes_no", "yes", 0.25), ("yes_no", None, 0.25), ("flag", None, 0.25), ("flag", True, 0.25), ("code", 1, 0.25),
        ("three", None, None), ("three", "c", 0.5),
    ],
)  # fmt: skip
def test_positive_rates(column: str, positive: Any, rate: float | None) -> None:
    """The positive class is the one said, or the one that a two-class prediction shows; else the rate is null."""
    n = 100
    data = pd.DataFrame(
        {
            "yes_no": ["yes", "no", "no", "no"] * n, "flag": [True, False, False, False] * n, "code": [1, 0, 0, 0] * n,
            "three": ["a", "b", "c", "c"] * n, "x": np.arange(4.0 * n) % 97,
        }
    )  # fmt: skip
    result = compare(data, data, features=["x"], prediction=column, positive=positive)
    assert result.prediction is not None
    assert result.prediction.positive_rate == {"baseline": rate, "current": rate}
    assert result.prediction.mean_score == {"baseline": None, "current": None}


def test_files_and_frames_give_one_answer(tmp_path: Path, rng: np.random.Generator) -> None:
    """Parquet, CSV, a path object and a DataFrame of the same rows compare alike."""
    before, after = frame(rng), frame(rng, shift=1.0)
    for name, data in (("before", before), ("after", after)):
        data.to_parquet(tmp_path / f"{name}.parquet")
        data.to_csv(tmp_path / f"{name}.csv", index=False)
    reports = [
        compare(before, after), compare(tmp_path / "before.parquet", f"{tmp_path}/after.csv"), compare(f"{tmp_path}/before.csv", after),
    ]  # fmt: skip
    values = [
        [(f.feature, f.status, f.verdict.divergences.psi) for f in result.features if f.status != "excluded"]
        for result in reports
    ]
    assert values[0] == values[1] == values[2]


def test_a_file_that_is_overwritten_is_compared_anew(tmp_path: Path) -> None:
    """Each comparison reads for itself, even where the file keeps its time."""
    before, after = tmp_path / "before.parquet", tmp_path / "after.parquet"
    pd.DataFrame({"x": np.arange(1000.0) // 4}).to_parquet(before)
    for beyond in (0.0, 5000.0):
        pd.DataFrame({"x": np.arange(1000.0) // 4 + beyond}).to_parquet(after)
        os.utime(after, (0, 0))
        (column,) = compare(before, after).features
        assert column.current is not None and column.current.moments is not None
        assert (column.current.moments.min, column.current.moments.max) == (beyond, beyond + 249)
        assert column.status == ("drift" if beyond else "ok")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"psi_threshold": 0.2, "js_threshold": 0.1}, "got both; one metric decides"),
        ({"js_threshold": 1.0}, "threshold: got 1.0; allowed: above 0"),
        ({"psi_threshold": 0}, "threshold: got 0; allowed"),
        ({"js_threshold": float("nan")}, "threshold: got nan"),
        ({"features": ["amuont"]}, "baseline: no column 'amuont'.*Did you mean 'amount'"),
        ({"prediction": "aproved"}, "no column 'aproved'.*Did you mean 'approved'"),
        ({"time": "att"}, "no column 'att'"),
        (
            {"prediction": "approved", "positive": "maybe"},
            "positive: got 'maybe'; the prediction's classes are no, yes|yes, no",
        ),
        ({"positive": "yes"}, "positive: got 'yes' without a prediction"),
        ({"score": "region"}, "'region' is of type STRING, which cannot be numeric"),
    ],
)
def test_wrong_options_are_input_errors(options: dict[str, Any], match: str, rng: np.random.Generator) -> None:
    """Each option that makes no sense is refused with what was got and what is allowed."""
    with pytest.raises(InputError, match=match):
        compare(frame(rng), frame(rng), **options)


def test_wrong_data_is_an_input_error(tmp_path: Path, rng: np.random.Generator) -> None:
    """No common column, no rows on a side, an empty file, no file, and a name that is no file."""
    data = frame(rng)
    data[:0].to_parquet(tmp_path / "empty.parquet")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="baseline and current: no common column"):
        compare(data, data.add_prefix("new_"))
    for one, other, place in (
        (data[:0], data, "baseline"),
        (data, data[:0], "current"),
        (data, tmp_path / "empty.parquet", "empty.parquet"),
    ):
        with pytest.raises(InputError, match=f"{place}: no rows"):
            compare(one, other)
    with pytest.raises(InputError, match=r"empty\.csv: no rows"):
        compare(data, tmp_path / "empty.csv")
    with pytest.raises(TableNotFoundError, match="no such file"):
        compare(data, tmp_path / "absent.parquet")
    with pytest.raises(InputError, match="not a file that can be compared"):
        compare(data, "table")
    with pytest.raises(InputError, match="every column is constant"):
        compare(pd.DataFrame({"a": [1] * 90}), pd.DataFrame({"a": [2] * 90}))


def test_listed_columns_are_compared_even_when_detection_would_leave_them_out(rng: np.random.Generator) -> None:
    """Whoever names a column means it: a unique whole number is numeric, a time a timestamp, a unique text categorical."""

    def data(shift: int) -> pd.DataFrame:
        order = rng.permutation(2000) + shift
        times = pd.Timestamp("2026-01-01") + pd.to_timedelta(order, unit="h")
        return pd.DataFrame({"price": order * 7 + 1000, "at": times, "code": [f"c{i}" for i in order]})

    same = compare(data(0), data(0), features=["price", "at", "code"])
    assert [(item.feature, item.kind, item.status) for item in same.features] == [
        ("price", "numeric", "ok"), ("at", "timestamp", "ok"), ("code", "categorical", "ok"),
    ]  # fmt: skip
    moved = compare(data(0), data(5000), features=["price", "at"])
    assert {item.status for item in moved.features} == {"drift"}
    auto = compare(data(0), data(0).assign(x=1.5), prediction="price")
    assert {item.feature: item.status for item in auto.features} == {
        "price": "ok",
        "at": "excluded",
        "code": "excluded",
    }


def test_a_column_that_lost_all_its_values_is_drift(tmp_path: Path, rng: np.random.Generator) -> None:
    """In a CSV a column without values has no type; it is all NULL, which is a change, not a change of type."""
    before = pd.DataFrame({"amount": rng.normal(size=500), "region": ["n", "s"] * 250})
    before.to_csv(tmp_path / "before.csv", index=False)
    before.assign(amount=None).to_csv(tmp_path / "after.csv", index=False)
    for after in (str(tmp_path / "after.csv"), before.assign(amount=None)):
        found = compare(str(tmp_path / "before.csv"), after)
        (amount,) = [item for item in found.features if item.feature == "amount"]
        assert (amount.status, amount.verdict.null_share_current) == ("drift", 1.0)


def test_a_column_of_rare_labels_that_became_one_is_drift() -> None:
    """Labels too rare to be named are not one value: what they turned into is compared, not excluded as constant."""
    before = pd.DataFrame({"code": [f"c{i % 150}" for i in range(300)], "x": [0.5, 1.5] * 150})
    found = compare(before, before.assign(code="X"))
    assert {item.feature: item.status for item in found.features}["code"] == "drift"


def test_columns_with_dots_and_quotes_are_compared(rng: np.random.Generator) -> None:
    """Names that SQL would read as paths or ends of names are only names."""
    names = ["default.payment.next.month", 'say "when"', "per cent %", "größe", "a.b.c d"]
    data = pd.DataFrame({name: rng.normal(size=200) for name in names})
    found = compare(data, data)
    assert {item.feature: item.status for item in found.features} == dict.fromkeys(names, "ok")


def test_the_rarest_class_of_a_prediction_keeps_its_name() -> None:
    """What a model answers is not folded for privacy: three positives of 400 are a rate of 0.0075."""
    data = pd.DataFrame({"x": [0.5, 1.5] * 200, "p": [1.0] * 3 + [0.0] * 397})
    for positive in (1, 1.0, "1"):
        found = compare(data, data, prediction="p", positive=positive)
        assert found.prediction is not None
        assert found.prediction.positive_rate == {"baseline": 0.0075, "current": 0.0075}


def test_a_column_whose_new_type_cannot_be_counted_is_not_taken_for_empty() -> None:
    """A number that became a list is a change of type, neither a column of NULLs nor a constant."""
    before = pd.DataFrame({"x": [i * 0.37 for i in range(100)], "k": ["a"] * 100, "y": [0.5, 1.5] * 50})
    after = before.assign(x=[[1.0, 2.0]] * 100, k=[["a"]] * 100)
    found = {item.feature: item for item in compare(before, after).features}
    assert {name: item.status for name, item in found.items()} == {
        "x": "not_evaluated",
        "k": "not_evaluated",
        "y": "ok",
    }
    assert "type changed" in (found["x"].verdict.reason or "")
