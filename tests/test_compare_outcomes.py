"""`compare` where outcomes, segments, a model or a classifier are asked for: real data sets, planted changes, what lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from bq_monitor import Comparison, InputError, compare
from bq_monitor.comparison.rows import sampled
from bq_monitor.tables import comparison_lines, comparison_tables
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.command import call

CAR_INPUTS = [
    "car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car", "size_of_downpayment", "driver_tenure",
]  # fmt: skip
KNOWN_BEFORE = ["no_emp", "new_exist", "urban_rural", "rev_line_cr", "gr_appv", "sba_appv", "state"]
"""Columns of the business loans that say nothing of what came later."""


def plain(result: Comparison) -> dict[str, Any]:
    """The JSON report, which holds no NaN."""
    report: dict[str, Any] = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    return report


def kinds(result: Comparison) -> set[str]:
    return {alert["kind"] for alert in result.alerts()}


def answered(rng: np.random.Generator, n: int = 4000, *, flipped: str = "") -> pd.DataFrame:
    """A region and an amount of which the outcome is the XOR, a model that knows that; in `flipped` the world turned around."""
    region, high = rng.choice(["north", "south", "west"], n), rng.random(n) < 0.5
    expected = (region == "north") ^ high
    score = np.where(expected, 0.8, 0.2) + rng.uniform(-0.15, 0.15, n)
    repaid = rng.random(n) < score
    repaid = np.where(region == flipped, ~repaid, repaid)
    amount = np.where(high, 100.0, 0.0) + rng.normal(0, 10, n)
    return pd.DataFrame(
        {"region": region, "amount": amount, "approved": (score >= 0.5).astype(int), "p": score, "repaid": repaid.astype(int)}
    )  # fmt: skip


ROLES: dict[str, Any] = {"prediction": "approved", "score": "p", "label": "repaid"}


def test_loans_before_the_crisis_went_another_way(shared_data: Path) -> None:
    """Business loans of 2006-07 failed far more often than those of 2000-03, whatever the inputs: a concept shift."""
    loans = pd.read_parquet(shared_data / "sba_loans.parquet")
    year = loans["approval_fy"].astype(int)
    result = compare(
        loans[year.between(2000, 2003)], loans[year.between(2006, 2007)], features=KNOWN_BEFORE, label="mis_status"
    )
    assert (result.shift or "").startswith("concept")
    assert result.performance is None
    assert "concept_drift" in kinds(result)
    assert result.drift_detected
    (urban,) = [item for item in result.concept or () if item.feature == "urban_rural"]
    for side, years in (("baseline_share", (2000, 2003)), ("current_share", (2006, 2007))):
        rows = loans[year.between(*years) & (loans["urban_rural"] == int(urban.verdict.buckets[0].bucket))]
        outcome = urban.verdict.buckets[0].outcome
        assert getattr(urban.verdict.buckets[0], side) == pytest.approx((rows["mis_status"] == outcome).mean())


def test_a_stable_year_has_a_stable_performance(shared_data: Path) -> None:
    """Answers of 2016 came true as in 2015, and the estimate without their outcomes is within 0.01 of that."""
    people = pd.read_parquet(shared_data / "employment_ma.parquet")
    before, after = people[people["year"] == 2015], people[people["year"] == 2016]
    roles = {"prediction": "prediction", "score": "predicted_probability", "label": "employed"}
    result = compare(before, after, features=["AGEP", "SCHL", "SEX"], **roles)  # type: ignore[arg-type]
    assert (result.drift_detected, result.shift, result.health) == (False, "none", 100)
    assert result.performance is not None
    assert result.performance.status == "ok"
    accuracy = accuracy_score(after["employed"], after["prediction"])
    assert result.performance.current["accuracy"].value == pytest.approx(accuracy)
    assert result.performance.estimated["accuracy"].value == pytest.approx(accuracy, abs=0.01)
    auc = roc_auc_score(after["employed"], after["predicted_probability"])
    assert result.performance.current["roc_auc"].value == pytest.approx(auc, abs=0.002)


def test_the_estimate_falls_where_performance_fell(shared_data: Path) -> None:
    """The planted change of the car loans costs accuracy; the eager preset calls it, and the estimate saw it without outcomes."""
    loans = pd.read_parquet(shared_data / "car_loan_synthetic.parquet")
    before, after = loans[loans["partition"] == "reference"], loans[-25_000:]
    roles: dict[str, Any] = {"prediction": "y_pred", "score": "y_pred_proba", "label": "repaid"}
    result = compare(before, after, features=CAR_INPUTS, preset="aggressive", **roles)
    found = result.performance
    assert found is not None
    values = {side: getattr(found, side)["accuracy"].value for side in ("baseline", "current", "estimated")}
    assert values["baseline"] == pytest.approx(accuracy_score(before["repaid"], before["y_pred"]))
    assert values["estimated"] < values["baseline"]
    assert values["current"] == pytest.approx(values["estimated"], abs=0.01)
    assert (found.status, "performance" in kinds(result)) == ("drift", True)
    assert {test.metric: test.status for test in found.tests} == {"accuracy": "drift", "roc_auc": "ok"}


def test_an_outcome_that_turned_in_one_region_is_named(rng: np.random.Generator) -> None:
    """Each feature alone says little of an XOR; the region in which it flipped, and its segment, are found all the same."""
    before, after = answered(rng).assign(region="north"), answered(rng).assign(region="north")
    before["region"], after["region"] = rng.choice(["a", "b"], 4000), rng.choice(["a", "b"], 4000)
    after.loc[(after["region"] == "b") & (after["amount"] > 50), "repaid"] = 0
    after.loc[(after["region"] == "b") & (after["amount"] < 50), "repaid"] = 0
    result = compare(before, after, features=["region", "amount"], segment="region", **ROLES)
    assert result.shift == "concept"
    worst = max(result.concept or (), key=lambda item: item.verdict.conditional or 0)
    assert (worst.feature, worst.verdict.buckets[0].bucket) == ("region", "b")
    assert "given region, repaid moved: at b" in (worst.explanation or "")
    by_name = {item.segment: item for item in result.segments}
    same, turned = (by_name[name].performance or {} for name in ("region=a", "region=b"))
    assert (same["accuracy"].value or 0) > (turned["accuracy"].value or 1) + 0.1
    report = plain(result)
    assert (report["shift"], report["performance"]["status"]) == ("concept", "drift")
    assert {"performance", "concept_drift"} <= kinds(result)
    assert {alert["severity"] for alert in report["alerts"] if alert["kind"] in ("performance", "concept_drift")} == {
        "critical"
    }


@pytest.mark.parametrize("lack", ["column", "values"])
def test_without_outcomes_performance_is_estimated(lack: str, rng: np.random.Generator) -> None:
    """Labels that have not come yet are no drift and no failure: metrics are estimated, and it is said why there are no others."""
    after = answered(rng)
    truth = accuracy_score(after["repaid"], after["approved"])
    after = after.drop(columns="repaid") if lack == "column" else after.assign(repaid=None)
    result = compare(answered(rng), after, segment="region", **ROLES)
    found = result.performance
    assert found is not None
    assert (found.status, found.current, result.drift_detected, result.not_evaluated) == (
        "not_evaluated",
        {},
        False,
        [],
    )
    assert "'repaid'" in (found.reason or "")
    assert found.estimated["accuracy"].value == pytest.approx(truth, abs=0.02)
    assert result.shift is None
    assert {item.verdict.status for item in result.concept or ()} == {"not_evaluated"}
    parts = {part["part"]: part["score"] for part in plain(result)["health_parts"]}
    assert (parts["performance"], parts["concept"], parts["features"]) == (None, None, 100)


def test_a_label_that_lacks_in_part_is_compared_where_it_is_known(rng: np.random.Generator) -> None:
    """Outcomes of half of the rows are still out; the known ones are as before, so nothing drifted."""
    after = answered(rng)
    after["repaid"] = after["repaid"].astype("Int64").mask(np.arange(len(after)) % 2 == 0)
    result = compare(answered(rng), after, **ROLES)
    (label,) = [item for item in result.features if item.role == "label"]
    assert (label.status, label.verdict.n_current, label.verdict.null_share_current) == ("ok", 2000, 0.5)
    assert not result.drift_detected


def test_a_score_alone_answers_from_one_half_on(rng: np.random.Generator) -> None:
    """Without a prediction the score decides, which a note says; the metrics are those of the model's own answers."""
    before, after = answered(rng), answered(rng, flipped="south")
    alone = compare(before, after, features=["region"], score="p", label="repaid")
    whole = compare(before, after, features=["region"], **ROLES)
    assert alone.performance is not None and whole.performance is not None
    assert alone.performance.current == whole.performance.current
    assert alone.performance.status == "drift"
    assert alone.notes == ("no prediction is named: a 'p' of 0.5 or more counts as the answer '1'",)
    assert {item.feature for item in alone.features} == {"region", "p", "repaid"}


def test_three_classes(rng: np.random.Generator) -> None:
    """Answers of several classes: accuracy is told and tested, and nothing of a positive class."""
    truth = rng.choice(["a", "b", "c"], 3000)
    right = pd.DataFrame({"x": rng.normal(size=3000), "said": truth, "true": truth})
    right.loc[:299, "said"] = "a"
    wrong = right.assign(said=np.where(rng.random(3000) < 0.3, "b", right["said"]))
    result = compare(right, wrong, features=["x"], prediction="said", label="true")
    found = result.performance
    assert found is not None
    assert (found.status, [test.metric for test in found.tests], "roc_auc" in found.current) == (
        "drift",
        ["accuracy"],
        False,
    )
    assert found.current["accuracy"].value == pytest.approx((wrong["said"] == wrong["true"]).mean())
    assert plain(result)["performance"]["current"]["ece"]["reason"]


@pytest.mark.parametrize(("worse", "status"), [(1.0, "ok"), (1.5, "drift")])
def test_a_regression(worse: float, status: str, rng: np.random.Generator) -> None:
    """Quantities are told by their errors; a mean absolute error half as large again is drift."""

    def data(factor: float) -> pd.DataFrame:
        x = rng.normal(size=4000)
        return pd.DataFrame({"x": x, "said": 3 * x, "true": 3 * x + factor * rng.normal(size=4000)})

    before, after = data(1.0), data(worse)
    result = compare(before, after, prediction="said", label="true")
    found = result.performance
    assert found is not None
    assert (found.status, [test.metric for test in found.tests]) == (status, ["mae"])
    assert found.current["mae"].value == pytest.approx(mean_absolute_error(after["true"], after["said"]))
    buckets = [bucket.outcome for item in result.concept or () for bucket in item.verdict.buckets]
    assert all(name[0] in "[(<" or ">" in name or "," in name for name in buckets)
    plain(result)


def test_odd_names_and_values(rng: np.random.Generator) -> None:
    """Emoji, dots and quotes in names and classes are only names; infinities leave no NaN."""
    names = {
        "region": "gegend 🌍.x",
        "amount": 'say "how much"',
        "approved": "ja/nein?",
        "p": "p (✓)",
        "repaid": "re.paid's",
    }

    def odd() -> pd.DataFrame:
        data = answered(rng).rename(columns=names)
        for column in (names["approved"], names["repaid"]):
            data[column] = data[column].map({1: "👍", 0: "it's"})
        data.loc[:5, names["amount"]] = np.inf
        return data

    roles: dict[str, Any] = {role: names[name] for role, name in ROLES.items()}
    result = compare(odd(), odd(), positive="👍", segment=[names["region"]], **roles)
    found = result.performance
    assert found is not None
    assert (found.status, result.drift_detected, len(result.segments)) == ("ok", False, 3)
    assert found.current["recall"].value is not None
    assert plain(result)["segments"][0]["segment"] == "gegend 🌍.x=north"
    assert any("👍" in line or "health" in line for line in comparison_lines(result))


def test_a_class_that_cannot_be_told_is_said(rng: np.random.Generator) -> None:
    """Two classes of which none is called positive: accuracy is told, the score is left alone, and a note asks for a name."""
    data = answered(rng)
    data[["approved", "repaid"]] = data[["approved", "repaid"]].replace({1: "PIF", 0: "CHGOFF"}).astype(str)
    result = compare(data, data, **ROLES)
    assert result.performance is not None
    assert (result.performance.status, "roc_auc" in result.performance.current) == ("ok", False)
    assert "name it with 'positive'" in result.notes[0]
    named = compare(data, data, positive="PIF", **ROLES).performance
    assert named is not None
    assert "roc_auc" in named.current


def test_segments_cut_and_cross(rng: np.random.Generator) -> None:
    """Each segment is judged by itself; one that is small or new is not evaluated, with the reason."""
    before = pd.DataFrame({"a": ["x", "y"] * 1000, "b": ["p"] * 1000 + ["q"] * 1000, "v": rng.normal(size=2000)})
    after = pd.DataFrame({"a": ["x", "y"] * 1000, "b": ["p"] * 1000 + ["q"] * 1000, "v": rng.normal(size=2000)})
    after.loc[after["a"] == "y", "v"] += 1
    after.loc[:9, "a"] = "z"
    result = compare(before, after, features=["v"], segment=["a", "a,b"])
    found = {item.segment: item for item in result.segments}
    assert (found["a=x"].status, found["a=y"].status, found["a=y"].drifted) == ("ok", "drift", ["v"])
    assert {"a=x & b=p", "a=y & b=q"} <= set(found)
    assert (found["a=(other)"].status, found["a=(other)"].to_dict(0.01)["reason"]) == (
        "not_evaluated",
        "not in the baseline",
    )
    assert any(alert["message"].startswith("in a=y: v") for alert in result.alerts())
    with pytest.raises(InputError, match="no column 'c'"):
        compare(before, after, features=["v"], segment="c")


@pytest.mark.parametrize("as_files", [True, False])
def test_a_model_answers_both_sides(
    tmp_path: Path, as_files: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's answers are scored chunk by chunk and compared like any others; a stale answer in the data gives way."""
    monkeypatch.setattr("bq_monitor.comparison.rows.CHUNK_ROWS", 1500)
    x = rng.normal(size=(2, 4000))
    sides = [
        pd.DataFrame({"x": row, "y": np.where(rng.random(4000) < 1 / (1 + np.exp(-2 * row)), 2, 1), "Score": 9})
        for row in x
    ]
    model = LogisticRegression().fit(sides[0][["x"]], sides[0]["y"])
    joblib.dump(model, tmp_path / "model.joblib")
    paths = [tmp_path / f"{name}.parquet" for name in ("before", "after")]
    for side, path in zip(sides, paths, strict=True):
        side.to_parquet(path)
    before, after = paths if as_files else sides
    given: dict[str, Any] = {"label": "y", "model": tmp_path / "model.joblib", "positive": 2}
    result = compare(before, after, allow_pickle=True, **given)
    found = result.performance
    assert found is not None
    expected = accuracy_score(sides[1]["y"], model.predict(sides[1][["x"]]))
    assert found.current["accuracy"].value == pytest.approx(expected)
    auc = roc_auc_score(sides[1]["y"], model.predict_proba(sides[1][["x"]])[:, 1])
    assert found.current["roc_auc"].value == pytest.approx(auc, abs=0.005)
    assert {item.feature: item.role for item in result.features} == {
        "x": "feature", "y": "label", "prediction": "prediction", "score": "score",
    }  # fmt: skip
    with pytest.raises(InputError, match="runs whatever code its author put in it"):
        compare(before, after, **given)


def test_the_score_is_of_the_class_called_positive(tmp_path: Path, rng: np.random.Generator) -> None:
    """A model whose first class is called positive still has scores of that class, so that its AUC is above one half."""
    data = pd.DataFrame({"x": rng.normal(size=1000)})
    data["y"] = np.where(data["x"] + rng.normal(size=1000) > 0, "Y", "a no")
    joblib.dump(LogisticRegression().fit(data[["x"]], data["y"] == "Y"), tmp_path / "flag.joblib")
    renamed = data.assign(y=np.where(data["y"] == "Y", "1", "2"))
    joblib.dump(LogisticRegression().fit(data[["x"]], renamed["y"]), tmp_path / "code.joblib")
    found = compare(renamed, renamed, label="y", model=tmp_path / "code.joblib", allow_pickle=True).performance
    assert found is not None
    assert (found.current["roc_auc"].value or 0) > 0.7


def test_a_classifier_sees_what_single_columns_hide(rng: np.random.Generator) -> None:
    """Two columns that went together and now oppose each other: no column drifts, the classifier does."""
    x = rng.normal(size=(2, 1500))
    before, after = (pd.DataFrame({"a": row, "b": sign * row}) for row, sign in zip(x, (1, -1), strict=True))
    assert not compare(before, after).drift_detected
    result = compare(before, after, classifier=True)
    assert (result.drift_detected, kinds(result)) == (True, {"classifier_test"})
    assert plain(result)["classifier_test"]["status"] == "drift"
    assert [alert["severity"] for alert in result.alerts()] == ["warning"]


def test_a_sample_is_the_same_in_any_order_and_keeps_shares(rng: np.random.Generator) -> None:
    """Rows are drawn by their content, copies as often as they occur: a column of two values keeps both."""
    data = pd.DataFrame({"flag": rng.random(20_000) < 0.3, "n": rng.integers(0, 3, 20_000)})
    warehouse = DuckDBWarehouse()
    try:
        relations = [warehouse.frame(rows, "rows") for rows in (data, data.sample(frac=1, random_state=1))]
        first, other = (sampled(warehouse, relation, ["flag", "n"], 2000) for relation in relations)
    finally:
        warehouse.close()
    assert first.equals(other)
    assert len(first) == 2000
    assert first["flag"].mean() == pytest.approx(0.3, abs=0.04)


def test_the_parts_of_the_health_add_up(rng: np.random.Generator) -> None:
    """The health is the mean of its parts by weight; missing values that rose count against the quality."""
    before, after = answered(rng), answered(rng, flipped="north")
    after.loc[:1999, "amount"] = np.nan
    result = compare(before, after, **ROLES)
    parts = {part.part: part for part in result.health_parts}
    told = [part for part in parts.values() if part.score is not None]
    assert result.health == round(sum(p.score * p.weight for p in told) / sum(p.weight for p in told))  # type: ignore[operator]
    assert sum(part.weight for part in parts.values()) == 100
    assert (parts["quality"].score, parts["quality"].why) == (
        75,
        "1 of 4 columns have more missing or unseen values: amount",
    )
    assert parts["performance"].score == 0


def test_the_tables_tell_what_was_found(rng: np.random.Generator) -> None:
    """Below the columns: the segments, performance with interval and estimate, the kind of shift, and the health, part by part."""
    result = compare(answered(rng), answered(rng, flipped="north"), segment="region", **ROLES)
    titles = [table.title for table in comparison_tables(result)]
    assert titles[1:] == ["Segments", "Performance: drift"]
    (accuracy,) = [row for row in comparison_tables(result)[2].rows if row[0] == "accuracy"]
    assert accuracy[1] == f"{result.performance.baseline['accuracy'].value:.3f}"  # type: ignore[union-attr]
    assert ".." in accuracy[2]
    lines = comparison_lines(result)
    assert any(line.startswith("shift: concept") for line in lines)
    assert any(line.startswith("health: ") for line in lines)
    assert lines[-1] == "drift"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"prediction": "repaid", "label": "repaid"}, "name a column of its own for each"),
        ({"score": "p", "label": "repaid", "positive": "maybe"}, "the label's classes are 1, 0|0, 1"),
        ({"segment": "region,"}, "segment: got 'region,'; allowed: a column"),
    ],
)
def test_wrong_roles_are_input_errors(options: dict[str, Any], match: str, rng: np.random.Generator) -> None:
    """One column with two roles, a class that the label does not have, and a cut without a name are refused."""
    with pytest.raises(InputError, match=match):
        compare(answered(rng), answered(rng), **options)


@pytest.mark.parametrize(
    ("changes", "options", "why"),
    [
        ({"approved": None}, ROLES, "every 'approved' of the current data is missing"),
        ({"repaid": "late"}, ROLES, "'repaid': type changed: INT64 in training, STRING in the log"),
        ({}, {"prediction": "amount", "label": "region"}, "is a quantity, the other is of classes"),
        ({}, {"score": "p", "label": "region"}, "a score alone answers two classes, and 'region' has more"),
        ({}, {"score": "amount", "label": "repaid"}, "so it is no probability"),
    ],
)
def test_why_performance_cannot_be_told(
    changes: dict[str, Any], options: dict[str, Any], why: str, rng: np.random.Generator
) -> None:
    """Answers or outcomes that cannot be counted leave performance not evaluated, with the reason, and the rest as it is."""
    result = compare(answered(rng), answered(rng).assign(**changes), **options)
    found = plain(result)["performance"]
    assert found["status"] == "not_evaluated"
    assert why in found["reason"]
    assert any(item.status == "ok" for item in result.features)


def test_the_command_line_tells_the_same(tmp_path: Path, rng: np.random.Generator) -> None:
    """Options reach the comparison; a fallen performance is exit 1, and a pickle is loaded only with a warning."""
    for name, data in (("before", answered(rng)), ("after", answered(rng, flipped="north"))):
        data.to_parquet(tmp_path / f"{name}.parquet")
        if name == "before":
            joblib.dump(LogisticRegression().fit(data[["p"]], data["repaid"]), tmp_path / "model.pkl")
    files = [str(tmp_path / f"{name}.parquet") for name in ("before", "after")]
    roles = ["--prediction", "approved", "--score", "p", "--label", "repaid", "--segment", "region"]
    shown = call("compare", *files, *roles)
    assert shown.returncode == 1
    for text in ("Performance: drift", "region=north", "shift: concept", "critical: accuracy fell from", "health: "):
        assert text in shown.stdout
    model = ["--model", str(tmp_path / "model.pkl"), "--label", "repaid", "--features", "p", "--json"]
    refused, allowed = call("compare", *files, *model), call("compare", *files, *model, "--allow-pickle")
    assert (refused.returncode, "a pickle is not loaded" in refused.stderr) == (2, True)
    assert "a pickle runs whatever code its author put in it" in allowed.stderr
    assert json.loads(allowed.stdout)["performance"]["status"] == "drift"
