"""The classifier test: it finds what no single column shows, stays silent without drift, and takes columns as they come."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from bq_monitor import InputError, compare
from bq_monitor.classifier_test import MAX_CATEGORIES, ClassifierTest, classifier_test, hash_sample
from tests.conftest import ROOT

N = 400


def turned(rng: np.random.Generator, correlation: float, n: int = N) -> pd.DataFrame:
    """Two standard normal columns with this correlation, and one that is apart."""
    x, noise, apart = rng.normal(size=(3, n))
    return pd.DataFrame({"x": x, "y": correlation * x + np.sqrt(1 - correlation**2) * noise, "apart": apart})


def mixed(rng: np.random.Generator, n: int = N) -> pd.DataFrame:
    """One column of each kind, with missing values, constants, and nothing at all."""
    return pd.DataFrame(
        {
            "number": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "label": pd.Series(rng.choice(["a", "b", "c"], n), dtype=object).where(rng.random(n) > 0.1, None),
            "flag": rng.random(n) < 0.5,
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 30, n), unit="D"),
            "price": [Decimal(int(cents)) / 100 for cents in rng.integers(0, 1000, n)],
            "category": pd.Categorical(rng.choice([1, 2, 3], n)),
            "whole": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "constant": 1.0,
            "empty": pd.Series([None] * n, dtype=object),
        }
    )


def auc(result: ClassifierTest) -> tuple[float, float, float]:
    assert result.lower is not None
    assert result.roc_auc is not None
    assert result.upper is not None
    return result.lower, result.roc_auc, result.upper


# --- what it finds ---


def test_a_turned_correlation_fires_where_no_single_column_does(rng: np.random.Generator) -> None:
    """Correlation +0.9 against -0.9 with the same marginals: the classifier alone sees it, and names the two columns."""
    before, after = turned(rng, 0.9, 1000), turned(rng, -0.9, 1000)
    assert not compare(before, after, features=["x", "y"]).drift_detected
    result = classifier_test(before, after, ["x", "y", "apart"])
    assert result.status == "drift"
    assert result.p_value is not None
    assert result.p_value < 0.01
    lower, found, upper = auc(result)
    # the likelihood ratio is monotone in -x y: its AUC, from many rows, is the best that there is
    ranked = np.random.default_rng(1)
    products = [turned(ranked, rho, 20_000).eval("x * y").to_numpy() for rho in (0.9, -0.9)]
    best = float(np.mean(products[0][:, None] > np.random.default_rng(2).choice(products[1], 500)))
    assert 0.55 < lower < found < upper <= 1
    assert lower < best
    assert [name for name, _ in result.importances[:2]] in (["x", "y"], ["y", "x"])
    assert result.importances[1][1] > 0.1 > abs(result.importances[2][1])


def test_an_exclusive_or_of_two_flags_fires(rng: np.random.Generator) -> None:
    """Two fair coins, equal in the baseline and unequal in production: each row is told, and the interval keeps a width."""
    coin, other = rng.random((2, N)) < 0.5
    before, after = pd.DataFrame({"a": coin, "b": coin}), pd.DataFrame({"a": other, "b": ~other})
    result = classifier_test(before, after, ["a", "b"])
    lower, found, upper = auc(result)
    assert result.status == "drift"
    assert found == 1.0
    assert 0.95 < lower < upper == 1.0
    sampled = classifier_test(
        before, after, ["a", "b"], max_rows=100
    )  # a sample of whole values would hold one coin's side
    assert (sampled.status, sampled.roc_auc, sampled.n_baseline, sampled.n_current) == ("drift", 1.0, 100, 100)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("number", lambda column: column.where(column.index % 2 == 0)),  # half is missing
        ("label", lambda column: column.where(column.index % 2 == 0, "unseen")),
        ("flag", lambda column: column | (column.index % 4 > 0)),
        ("day", lambda column: column + pd.Timedelta(days=15)),
        ("price", lambda column: column + Decimal(5)),
        ("category", lambda column: column.cat.add_categories([9]).where(column.index % 2 == 0, 9)),
        ("empty", lambda column: column.where(column.index % 2 == 0, 1.5)),
        ("constant", lambda column: column.where(column.index % 2 == 0, np.inf)),
    ],
)
def test_a_change_in_a_column_of_any_kind_is_its_own(rng: np.random.Generator, column: str, change: object) -> None:
    """The column that changed is the first of the importances; the others are within noise."""
    before, after = mixed(rng), mixed(rng)
    after[column] = change(after[column])  # type: ignore[operator]
    result = classifier_test(before, after, list(before.columns))
    assert result.status == "drift"
    (first, most), (_, second), *_ = result.importances
    assert first == column
    assert most > 0.1 > second


# --- what it does not ---


@pytest.mark.parametrize("seed", range(6))
def test_healthy_data_does_not_fire(seed: int) -> None:
    """Nothing moved: the AUC stays near 0.5 (below it, as cross-validation has it), within the bounds."""
    rng = np.random.default_rng(seed)
    before, after = mixed(rng), mixed(rng)
    result = classifier_test(before, after, list(before.columns), seed=seed)
    lower, found, upper = auc(result)
    assert (result.status, result.reason) == ("ok", None)
    assert 0 < lower < found < upper < 1
    assert abs(found - 0.5) < 0.08
    assert dict(result.importances)["constant"] == dict(result.importances)["empty"] == 0.0
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["roc_auc"] == found


def test_the_same_rows_cannot_be_told_apart(rng: np.random.Generator) -> None:
    """Twins fall into one fold, where they tie: exactly 0.5, not the far lower AUC of twins that one learns from."""
    before = mixed(rng)
    result = classifier_test(before, before.sample(frac=1, random_state=1), list(before.columns))
    assert result.roc_auc == 0.5


def test_constant_columns_tell_nothing() -> None:
    """Every score ties."""
    frame = pd.DataFrame({"a": [1] * N, "b": [None] * N})
    assert classifier_test(frame, frame, ["a", "b"]).roc_auc == 0.5


def test_the_margin_is_what_must_be_exceeded(rng: np.random.Generator) -> None:
    """The verdict is that of the lower bound; p-value and bound say the same on either side of it."""
    before, after = turned(rng, 0.0), turned(rng, 0.0)
    after["x"] += 0.6
    lower, found, _ = auc(classifier_test(before, after, ["x", "y"]))
    for margin, status in ((lower - 0.5 - 0.001, "drift"), (lower - 0.5 + 0.001, "ok")):
        result = classifier_test(before, after, ["x", "y"], margin=margin)
        assert (result.status, result.lower, result.roc_auc) == (status, lower, found)
        assert result.p_value == pytest.approx(0.01, abs=0.002)


def test_the_p_value_is_that_of_the_rank_test_at_one_half(rng: np.random.Generator) -> None:
    """At an AUC of 0.5 the standard error is Mann and Whitney's, sqrt((n + m + 1) / 12 n m), times 1.5 for the folds."""
    from scipy import special

    before, after = mixed(rng), mixed(rng)[:300]
    result = classifier_test(before, after, ["number"], margin=0.0)
    error = 1.5 * np.sqrt((N + 300 + 1) / (12 * N * 300))
    assert result.p_value == pytest.approx(float(special.ndtr((0.5 - auc(result)[1]) / error)))


def test_bounds_are_where_the_p_value_is_alpha() -> None:
    """On both sides of the AUC, with unequal sizes too."""
    from bq_monitor.classifier_test import _bounds, _p_value

    for observed in (0.3, 0.5, 0.8, 1.0):
        lower, upper = _bounds(observed, 200, 900, 0.01)
        assert lower < observed <= upper
        assert _p_value(observed, lower, 200, 900) == pytest.approx(0.01, rel=1e-6)
        if upper < 1:
            assert _p_value(observed, upper, 200, 900) == pytest.approx(0.99, rel=1e-6)


# --- the sample ---


def test_the_result_does_not_hang_on_the_order_of_rows(rng: np.random.Generator) -> None:
    """Nor on the index, nor on numpy's global state; another seed draws other rows."""
    before, after = mixed(rng, 600), mixed(rng, 600)
    columns = list(before.columns)
    results = []
    for state in (1, 2):
        np.random.seed(state)
        shuffled = [frame.sample(frac=1, random_state=state) for frame in (before, after)]
        results.append(classifier_test(*shuffled, columns, max_rows=200))
    assert results[0] == results[1]
    assert (results[0].n_baseline, results[0].n_current) == (200, 200)
    assert classifier_test(before, after, columns, max_rows=200, seed=1) != results[0]


def test_a_hash_sample_is_a_fair_one(rng: np.random.Generator) -> None:
    """The same rows in any order, no row twice, copies of a row one by one, and all of a frame that is small."""
    frame = mixed(rng, 1000)
    sample = hash_sample(frame, 300, 0)
    again = hash_sample(frame.sample(frac=1, random_state=3), 300, 0)
    assert sample.reset_index(drop=True).equals(again.reset_index(drop=True))
    assert sample.index.is_unique
    assert len(set(sample.index) & set(hash_sample(frame, 300, 1).index)) == pytest.approx(90, abs=40)
    assert sorted(hash_sample(frame, 2000, 0).index) == list(range(1000))
    coins = pd.DataFrame({"coin": [True, False] * 500})
    assert hash_sample(coins, 200, 0)["coin"].mean() == pytest.approx(0.5, abs=0.15)  # four standard errors


def test_infinite_numbers_are_far_apart(rng: np.random.Generator) -> None:
    """The two infinities are told apart, though there is no middle between them."""
    sides = [pd.DataFrame({"x": np.where(rng.random(N) < share, np.inf, -np.inf)}) for share in (0.2, 0.8)]
    assert auc(classifier_test(*sides, ["x"]))[1] == pytest.approx(0.8, abs=0.05)


def test_the_simulation_runs() -> None:
    """On two seeds it prints its four lines and the verdict on its target."""
    command = [sys.executable, str(ROOT / "benchmarks" / "classifier_false_alarms.py"), "--seeds", "2", "--rows", "100"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 9
    assert "at most 1% of the seeds fire: met" in done.stdout


def test_categories_beyond_the_limit_are_one(rng: np.random.Generator) -> None:
    """A column of more labels than the trees take: the frequent ones still count, the rare ones do not crash."""
    rare = [f"r{number}" for number in range(2 * MAX_CATEGORIES)]
    before = pd.DataFrame({"label": rng.choice(["common", "usual"], N), "x": 0})
    after = pd.DataFrame({"label": ["common"] * (N // 2) + rare[: N // 2], "x": 0})
    before.loc[: N // 4, "label"] = rare[-(N // 4) - 1 :]
    result = classifier_test(before, after, ["label", "x"])
    assert result.status == "drift"
    assert result.importances[0][0] == "label"


# --- what it refuses ---


@pytest.mark.parametrize("sides", [(1, N), (N, 1), (99, N), (N, 0)])
def test_few_rows_are_not_evaluated(rng: np.random.Generator, sides: tuple[int, int]) -> None:
    """Below 100 on either side there is a reason, and no number."""
    before, after = (turned(rng, 0.5, N)[:n] for n in sides)
    result = classifier_test(before, after, ["x"])
    reason = f"{sides[0]} and {sides[1]} rows; a classifier needs at least 100 on each side"
    assert result == ClassifierTest("not_evaluated", reason, *sides)
    assert classifier_test(turned(rng, 0.5, 100), turned(rng, 0.5, 100), ["x"]).status == "ok"


def test_columns_that_the_sides_do_not_share(rng: np.random.Generator) -> None:
    """One that only production lacks is left out; one that the baseline lacks is a slip; none at all is refused."""
    before, after = turned(rng, 0.5), turned(rng, 0.5)
    assert dict(classifier_test(before, after[["x"]], ["x", "y", "x"]).importances).keys() == {"x"}
    with pytest.raises(InputError, match=r"baseline: no column 'apar'.*Did you mean 'apart'"):
        classifier_test(before, after, ["apar"])
    for features in (["y"], []):
        with pytest.raises(InputError, match="no common feature"):
            classifier_test(before, after[["x"]], features)


@pytest.mark.parametrize(
    ("option", "value"), [("alpha", 0.0), ("alpha", 0.5), ("margin", -0.1), ("margin", 0.5), ("max_rows", 99)]
)
def test_options_out_of_range_are_refused(rng: np.random.Generator, option: str, value: float) -> None:
    """Each names itself, what it got and what is allowed."""
    frame = turned(rng, 0.5)
    with pytest.raises(InputError, match=rf"{option}: got {value}; allowed: "):
        classifier_test(frame, frame, ["x"], **{option: value})  # type: ignore[arg-type]


def test_without_scikit_learn_the_remedy_is_named(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings it."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    frame = turned(rng, 0.5)
    with pytest.raises(InputError, match=r"scikit-learn is not installed.*pip install 'bq-monitor\[ml\]'"):
        classifier_test(frame, frame, ["x"])
