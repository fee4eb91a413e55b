"""`compare --retrain`: a refit is saved where it is surely better and nowhere else; its numbers are scikit-learn's; it leaves a trace."""

from __future__ import annotations

import json
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn import metrics
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from bq_monitor import InputError, compare, load_config
from bq_monitor.cli import cli
from bq_monitor.comparison.paired import Pair
from bq_monitor.comparison.retrain import Retrained, prepare, retrain
from bq_monitor.errors import TableNotFoundError
from bq_monitor.models import Predictions
from bq_monitor.tables import comparison_lines
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.schema import ACTIONS
from bq_monitor.warehouse.setup import create_tables
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "retrain.md").read_text(encoding="utf-8")
INPUTS = ["amount", "income"]
MONITOR = """
monitor: loans
warehouse: duckdb://{folder}/monitor.duckdb
source: {{table: "{folder}/log.parquet", timestamp: ts}}
"""


def loans(rng: np.random.Generator, n: int = 1200, *, turned: bool = False) -> pd.DataFrame:
    """Loans over time; `turned`: what spoke for repayment now speaks against it."""
    amount, income = rng.normal(size=(2, n))
    sign = -1 if turned else 1
    repaid = rng.random(n) < 1 / (1 + np.exp(-sign * 1.5 * amount - income))
    moments = pd.date_range("2026-01-05", periods=n, freq="h")
    return pd.DataFrame({"amount": amount, "income": income, "repaid": repaid.astype(int), "decided_at": moments})


def dumped(path: Path, data: pd.DataFrame, model: Any = None, label: str = "repaid") -> Path:
    joblib.dump((model or LogisticRegression()).fit(data[INPUTS], data[label]), path)
    return path


def refitted(tmp_path: Path, current: pd.DataFrame, **changes: Any) -> Retrained:
    """The refit alone, without the comparison around it."""
    given: dict[str, Any] = {
        "model": tmp_path / "model.pkl", "allow_pickle": True, "label": "repaid", "time": None, "features": None,
        "answers": ("prediction", "score"), "config": None,
    }  # fmt: skip
    asked = prepare(tmp_path / "new.pkl", **{**given, **changes})
    assert asked is not None
    return retrain(asked, current)


def trace(out: Path) -> list[Row]:
    return [json.loads(line) for line in Path(f"{out}.audit.jsonl").read_text(encoding="utf-8").splitlines()]


def stored(url: str) -> list[Row]:
    warehouse = open_warehouse(url, read_only=True)
    try:
        return warehouse.query(Statement("actions", "SELECT * FROM actions"))
    finally:
        warehouse.close()


# --- saved, or not ---


@pytest.mark.parametrize("as_files", [True, False])
def test_after_a_concept_shift_the_refit_is_saved_and_is_better(
    tmp_path: Path, as_files: bool, rng: np.random.Generator
) -> None:
    """The file is loaded like any model, and ranks fresh rows far better than the old one; report and lines tell of it."""
    sides: list[Any] = [loans(rng), loans(rng, turned=True)]
    model, out = dumped(tmp_path / "model.pkl", sides[0]), tmp_path / "new.joblib"
    if as_files:
        for i, side in enumerate(sides):
            side.to_parquet(tmp_path / f"{i}.parquet")
        sides = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    given: dict[str, Any] = {"label": "repaid", "time": "decided_at", "model": model, "allow_pickle": True}
    result = compare(*sides, retrain=out, **given)
    found = result.retrained
    assert found is not None
    assert (found.status, found.reason, found.metric, found.holdout) == ("saved", None, "roc_auc", "newest")
    assert (found.n_labelled, found.n_train, found.n_holdout, found.n_incomplete) == (1200, 900, 300, 0)
    fresh = loans(rng, turned=True)
    old, new = (
        metrics.roc_auc_score(fresh["repaid"], joblib.load(path).predict_proba(fresh[INPUTS])[:, 1])
        for path in (model, out)
    )
    assert new > old + 0.2
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["retrain"]["status"] == "saved"
    assert any(line.startswith(f"retrain: saved to {out}: roc_auc 0.") for line in comparison_lines(result))
    plain = compare(*sides, **given)
    assert plain.to_dict()["retrain"] is None
    assert plain.drift_detected == result.drift_detected


def test_without_a_shift_hardly_any_refit_is_saved(tmp_path: Path) -> None:
    """Of 30 refits on as many rows as the old model had, many look better by luck; at most 4 are taken for it."""
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        dumped(tmp_path / "model.pkl", loans(rng, 450))
        (tmp_path / "new.pkl").unlink(missing_ok=True)
        found.append(refitted(tmp_path, loans(rng, 600)))
        assert (tmp_path / "new.pkl").exists() == (found[-1].status == "saved")
    assert {item.status for item in found} <= {"saved", "not_better"}
    assert sum((item.difference or 0) > 0 for item in found) >= 8
    assert sum(item.status == "saved" for item in found) <= 4
    assert all("not surely better" in item.sentence() for item in found if item.status == "not_better")


def test_loans_of_the_crisis_want_another_model(tmp_path: Path, shared_data: Path) -> None:
    """Business loans of 2006-07 failed for other reasons than those of 2000-03: a refit on the earlier ones ranks the later ones better."""
    rows = pd.read_parquet(shared_data / "sba_loans.parquet")
    year, names = rows["approval_fy"].astype(int), ["no_emp", "new_exist", "urban_rural", "gr_appv", "sba_appv"]
    before, after = rows[year.between(2000, 2003)], rows[year.between(2006, 2007)]
    trees = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(before[names], before["mis_status"])
    joblib.dump(trees, tmp_path / "model.pkl")
    found = refitted(tmp_path, after[[*names, "mis_status"]], label="mis_status")
    assert (found.status, found.metric, found.n_holdout) == ("saved", "roc_auc", found.n_labelled // 4)
    assert (found.lower or 0) > 0.01


@pytest.mark.parametrize("before", [b"the old file", None])
def test_a_file_that_was_there_stays_whole_when_the_refit_is_not_better(
    tmp_path: Path, before: bytes | None, rng: np.random.Generator
) -> None:
    """Byte by byte; where there was none, there is none."""
    data, out = loans(rng), tmp_path / "new.pkl"
    dumped(tmp_path / "model.pkl", loans(rng, 20_000))
    if before is not None:
        out.write_bytes(before)
    assert refitted(tmp_path, data).status == "not_better"
    assert (out.read_bytes() if out.exists() else None) == before


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt("no space left; what was there")])
def test_a_file_that_was_there_stays_whole_when_saving_fails(
    tmp_path: Path, error: BaseException, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the new file is written when the disk is full, or someone interrupts: the old one is whole, and nothing lies beside it."""

    def dies(_: Any, file: Any) -> None:
        file.write(b"half")
        raise error

    data, out = loans(rng, turned=True), tmp_path / "new.pkl"
    dumped(tmp_path / "model.pkl", loans(rng))
    out.write_bytes(b"the old file")
    monkeypatch.setattr(joblib, "dump", dies)
    is_ours = isinstance(error, OSError)
    with pytest.raises(InputError if is_ours else KeyboardInterrupt, match="no space left; what was there"):
        refitted(tmp_path, data)
    assert out.read_bytes() == b"the old file"
    assert {path.name for path in tmp_path.iterdir()} - {"new.pkl.audit.jsonl"} == {"model.pkl", "new.pkl"}
    if is_ours:
        assert (trace(out)[0]["status"], "cannot be saved: no space left" in trace(out)[0]["outcome"]) == (
            "failed",
            True,
        )


def test_a_better_refit_replaces_the_file_that_was_there(tmp_path: Path, rng: np.random.Generator) -> None:
    """Even where that is the old model itself, through a link, whose target keeps its mode."""
    model = dumped(tmp_path / "model.pkl", loans(rng))
    model.chmod(0o640)
    (tmp_path / "new.pkl").symlink_to(model)
    before = model.read_bytes()
    assert refitted(tmp_path, loans(rng, turned=True)).status == "saved"
    assert (tmp_path / "new.pkl").is_symlink()
    assert model.read_bytes() != before
    assert model.stat().st_mode & 0o777 == 0o640


# --- numbers ---


def graded(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(grade=np.digitize(data["amount"] + data["income"] * data["repaid"], [-0.5, 0.8]).astype(str))


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LinearSVC(), LinearRegression()], ids=["auc", "accuracy", "mae"]
)
def test_the_numbers_are_those_of_scikit_learn(tmp_path: Path, estimator: Any, rng: np.random.Generator) -> None:
    """Of the raw rows, the newest quarter, and an estimator that was fitted on the older ones, in whatever order the rows come."""
    label = "income" if isinstance(estimator, LinearRegression) else "repaid"
    names = ["amount"] if label == "income" else INPUTS
    before, after = loans(rng), loans(rng, turned=True)
    after["income"] += 2 * after["amount"]
    old = clone(estimator).fit(before[names], before[label])
    joblib.dump(old, tmp_path / "model.pkl")
    found = refitted(tmp_path, after.sample(frac=1, random_state=1), label=label, time="decided_at")
    train, held = after[:900], after[900:]
    new = clone(estimator).fit(train[names], train[label])
    for side, model in (("old", old), ("new", new)):
        said, expected = model.predict(held[names]), {}
        if isinstance(estimator, LinearRegression):
            expected = {
                "mae": metrics.mean_absolute_error(held[label], said),
                "rmse": metrics.root_mean_squared_error(held[label], said),
            }
        else:
            expected["accuracy"] = metrics.accuracy_score(held[label], said)
        if isinstance(estimator, LogisticRegression):
            score = model.predict_proba(held[names])[:, 1]
            expected |= {
                "roc_auc": metrics.roc_auc_score(held[label], score),
                "log_loss": metrics.log_loss(held[label], score),
            }
        assert found.measures[side] == pytest.approx(expected, rel=1e-6)
        assert getattr(found, side) == pytest.approx(expected[found.metric or ""], rel=1e-6)
    sign = -1 if label == "income" else 1
    assert found.status == "saved"
    assert found.difference == pytest.approx(sign * ((found.new or 0) - (found.old or 0)))
    assert (found.lower or 0) < (found.difference or 0) < (found.upper or 0)


def test_classes_by_accuracy(tmp_path: Path, rng: np.random.Generator) -> None:
    """Of three classes accuracy decides, and a refit that loses one of them is not made."""
    before, after = graded(loans(rng)), graded(loans(rng, turned=True))
    after["grade"] = after["grade"].map({"0": "2", "1": "1", "2": "0"})
    dumped(tmp_path / "model.pkl", before, label="grade")
    found = refitted(tmp_path, after, label="grade")
    assert (found.status, found.metric, set(found.measures["new"])) == ("saved", "accuracy", {"accuracy"})
    without = refitted(tmp_path, after[after["grade"] != "1"], label="grade")
    assert (without.status, without.reason) == ("not_evaluated", "too few rows of class 1 to train on: 0 of at least 1")


@pytest.mark.parametrize("decimals", [1, 12])
def test_the_interval_is_that_of_plain_resampling(decimals: int, rng: np.random.Generator) -> None:
    """Drawn row by row and ranked by scikit-learn, with ties and without: the same bounds but for the luck of the draw."""
    outcome = rng.random(300) < 0.4
    scores = [np.round(1 / (1 + np.exp(-rng.normal(size=300) - k * outcome)), decimals) for k in (0.5, 1.0)]
    pair = Pair(outcome, *(Predictions(score > 0.5, score) for score in scores), classes=np.array([False, True]))
    groups = [np.flatnonzero(outcome), np.flatnonzero(~outcome)]
    draws = []
    for _ in range(200):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        old, new = (metrics.roc_auc_score(outcome[rows], score[rows]) for score in scores)
        draws.append(new - old)
    assert pair.bounds(0) == pytest.approx(tuple(np.quantile(draws, (0.05, 0.95))), abs=0.015)
    assert pair.bounds(0) == pair.bounds(0)


# --- rows ---


def test_the_newest_rows_are_held_out(tmp_path: Path, rng: np.random.Generator) -> None:
    """The world turns in the last quarter: a refit on the rows before is no better; rows of one moment are not parted."""
    data = pd.concat([loans(rng, 900), loans(rng, 300, turned=True)], ignore_index=True)
    data["decided_at"] = pd.Timestamp("2026-01-05") + pd.to_timedelta(np.arange(1200) // 400, unit="D")
    data.loc[:9, "decided_at"] = pd.NaT
    dumped(tmp_path / "model.pkl", loans(rng))
    found = refitted(tmp_path, data, time="decided_at")
    assert (found.n_labelled, found.n_train, found.n_holdout) == (1200, 790, 400)
    assert (found.new or 1) < 0.5, "a quarter of the held-out rows are as before, the others are turned"
    as_text = data.assign(decided_at=data["decided_at"].dt.strftime("%Y-%m-%dT%H:%M"))
    assert refitted(tmp_path, as_text, time="decided_at") == found
    with pytest.raises(InputError, match=r"time: 'decided_at' holds no times; got such as 'soon'"):
        refitted(tmp_path, data.assign(decided_at="soon"), time="decided_at")
    with pytest.raises(InputError, match="no column 'when'"):
        compare(
            data,
            data,
            label="repaid",
            time="when",
            model=tmp_path / "model.pkl",
            allow_pickle=True,
            retrain=tmp_path / "n.pkl",
        )


def test_a_random_quarter_is_seeded_and_of_each_class_alike(tmp_path: Path, rng: np.random.Generator) -> None:
    """Two refits on the same rows tell the same."""
    data = loans(rng, 1000)
    data["repaid"] = (np.arange(1000) < 60).astype(int)
    dumped(tmp_path / "model.pkl", loans(rng))
    first, again = refitted(tmp_path, data), refitted(tmp_path, data)
    assert first == again
    assert (first.n_train, first.n_holdout, first.holdout) == (750, 250, "random")


@pytest.mark.parametrize(
    ("classes", "labels"),
    [((0, 1), ("0", "1")), ((0, 1), (0.0, 1.0)), ((False, True), (0, 1)), (("a no", "yes"), (False, True))],
)
def test_labels_are_told_as_the_model_names_them(
    tmp_path: Path, classes: tuple[Any, Any], labels: tuple[Any, Any], rng: np.random.Generator
) -> None:
    """Text for numbers, true for 1: the refitted estimator answers with the classes of the old one."""
    before, after = (
        data.assign(repaid=data["repaid"].map(dict(enumerate(names))))
        for data, names in ((loans(rng), classes), (loans(rng, turned=True), labels))
    )
    dumped(tmp_path / "model.pkl", before)
    after["repaid"] = after["repaid"].astype(object).where(np.arange(len(after)) > 99, None)
    found = refitted(tmp_path, after)
    assert (found.status, found.n_labelled) == ("saved", 1100)
    assert (found.new or 0) > 0.7
    assert joblib.load(tmp_path / "new.pkl").classes_.tolist() == list(classes)


def spoiled(data: pd.DataFrame, what: str) -> pd.DataFrame:
    changes: dict[str, Any] = {
        "few": data[:300], "one class": data.assign(repaid=1), "no label": data.drop(columns="repaid"),
        "empty label": data.assign(repaid=None), "strange": data.assign(repaid="maybe"),
        "rare": data.assign(repaid=(np.arange(len(data)) % 60 == 0).astype(int)),
        "gaps": data.assign(amount=data["amount"].where(data.index > 4, np.inf), income=data["income"].where(data.index > 2)),
    }  # fmt: skip
    return changes[what]


@pytest.mark.parametrize(
    ("what", "why", "n_labelled"),
    [
        ("few", "too few labelled rows to hold out: 75 of at least 100", 300),
        ("one class", "only one class among the rows to train on: 1", 1200),
        ("rare", "too few rows of class 1 to hold out: 5 of at least 10", 1200),
        ("no label", "the current data has no column 'repaid'", 0),
        ("empty label", "every 'repaid' of the current data is missing", 0),
        ("strange", "'repaid' has classes that the model does not know: maybe; it knows 0, 1", 0),
        ("gaps", r"the estimator cannot be refitted: Input X contains", 1200),
    ],
)
def test_what_cannot_be_evaluated_is_said_and_not_saved(
    tmp_path: Path, what: str, why: str, n_labelled: int, rng: np.random.Generator
) -> None:
    """With the reason, in the result and in the trace; nothing is written but that."""
    dumped(tmp_path / "model.pkl", loans(rng))
    found = refitted(tmp_path, spoiled(loans(rng, turned=True), what))
    assert (found.status, found.n_labelled, found.metric) == ("not_evaluated", n_labelled, None)
    assert (found.reason or "").startswith(why)
    assert found.n_incomplete == (5 if what == "gaps" else 0)
    (row,) = trace(tmp_path / "new.pkl")
    assert (row["status"], row["outcome"]) == ("failed", f"not evaluated: {found.reason}")
    assert not (tmp_path / "new.pkl").exists()


@pytest.mark.parametrize(
    ("label", "why"), [("repaid", "'repaid' is infinite in 1 rows"), ("name", "'name' is no number")]
)
def test_numbers_that_are_none(tmp_path: Path, label: str, why: str, rng: np.random.Generator) -> None:
    """Quantities that are infinite, or text, are not refitted on."""
    dumped(tmp_path / "model.pkl", loans(rng), LinearRegression())
    data = loans(rng).astype({"repaid": float}).assign(name="x")
    data.loc[0, "repaid"] = np.inf
    assert (refitted(tmp_path, data, label=label).reason or "").startswith(why)


@pytest.mark.parametrize("said", [np.nan, np.inf, 1e200])
def test_answers_that_are_no_numbers_are_not_measured(tmp_path: Path, said: float, rng: np.random.Generator) -> None:
    """Nothing is told of them, and nothing saved; the report holds no NaN."""
    joblib.dump(Says(said), tmp_path / "model.pkl")
    found = refitted(tmp_path, loans(rng), label="income")
    assert (found.status, found.reason) == (
        "not_evaluated",
        "a model gave answers that are no numbers, or are far too large",
    )
    json.dumps(found.to_dict(), allow_nan=False)


def test_missing_features_are_left_to_the_estimator(tmp_path: Path, rng: np.random.Generator) -> None:
    """One that takes them is refitted on them; they are counted."""
    data = loans(rng, turned=True)
    data.loc[:99, "amount"] = np.nan
    trees = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    dumped(tmp_path / "model.pkl", loans(rng), trees)
    found = refitted(tmp_path, data)
    assert (found.status, found.n_labelled, found.n_incomplete) == ("saved", 1200, 100)


def test_an_estimator_without_names_takes_the_columns_named(tmp_path: Path, rng: np.random.Generator) -> None:
    """Trained on an array: the features in order, and neither label nor time nor stale answers among them."""
    before, after = loans(rng), loans(rng, turned=True).assign(score=0.5)
    joblib.dump(LogisticRegression().fit(before[INPUTS].to_numpy(), before["repaid"]), tmp_path / "model.pkl")
    assert refitted(tmp_path, after, time="decided_at").status == "saved"
    named = refitted(tmp_path, after.assign(more=1), time="decided_at", features=INPUTS)
    assert named.status == "saved"
    assert joblib.load(tmp_path / "new.pkl").n_features_in_ == 2


# --- what is refused ---


class Odd(BaseEstimator):
    """An estimator whose constructor does not keep its argument."""

    def __init__(self, names: Any = None) -> None:
        self.names = list(names or [])

    def fit(self, *_: Any) -> Odd:
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


class Says(BaseEstimator):
    """It always says the same."""

    def __init__(self, said: float = 0.0) -> None:
        self.said = said

    def fit(self, *_: Any) -> Says:
        return self

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), self.said)


class Alone:
    """It predicts, and that is all."""

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"model": None}, "retrain: --model missing; needed"),
        ({"label": None}, "retrain: --label missing; needed"),
        ({"allow_pickle": False}, "a pickle is not loaded"),
        ({"retrain": "gs://bucket/new.pkl"}, "gcloud storage cp new.pkl gs://bucket/new.pkl"),
        ({"retrain": "new.onnx"}, r"got '\.onnx'; allowed: \.pkl, \.pickle, \.joblib"),
        ({"retrain": "nowhere/new.pkl"}, "its folder is not there"),
        ({"model": "m.onnx"}, r"m\.onnx: cannot be refitted: .*not how to learn it; allowed: \.pkl"),
        ({"model": "m.cbm"}, r"m\.cbm: cannot be refitted: .*with --allow-pickle"),
        ({"model": "alone.pkl"}, "holds a Alone without fit, get_params; allowed: a fitted scikit-learn-compatible"),
        ({"model": "odd.pkl"}, "scikit-learn cannot clone it"),
        ({"retrain": None, "config": "loan.yaml"}, "config: got one without retrain"),
        ({"features": ["amount"]}, None),
        ({"current": ["amount"]}, "no column 'income'"),
    ],
)
def test_what_cannot_be_refitted_is_refused(
    tmp_path: Path,
    changes: dict[str, Any],
    match: str | None,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what is allowed, before anything is fitted or written; features that are only compared change nothing."""
    monkeypatch.chdir(tmp_path)
    data = loans(rng)
    dumped(tmp_path / "model.pkl", data)
    for name, odd in (("odd.pkl", Odd(["a"])), ("alone.pkl", Alone())):
        (tmp_path / name).write_bytes(pickle.dumps(odd))
    given: dict[str, Any] = {
        "label": "repaid",
        "model": "model.pkl",
        "allow_pickle": True,
        "retrain": "new.pkl",
        **changes,
    }
    before = set(tmp_path.iterdir())
    names = given.pop("current", INPUTS)
    if match is None:
        assert compare(data, data, **given).retrained is not None
        return
    with pytest.raises(InputError, match=match):
        compare(data, data[[*names, "repaid"]], **given)
    assert set(tmp_path.iterdir()) == before


def test_a_missing_scikit_learn_is_named_with_its_extra(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    dumped(tmp_path / "model.pkl", loans(rng))
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(InputError, match=r"scikit-learn is not installed.*pip install 'bq-monitor\[ml\]'"):
        refitted(tmp_path, loans(rng))


# --- the trace ---


def test_the_trace_is_a_line_and_a_row(tmp_path: Path, rng: np.random.Generator) -> None:
    """Both say the same, in the columns of `actions`; each refit adds one, and none without a configuration to the warehouse."""
    path = tmp_path / "loan.yaml"
    path.write_text(MONITOR.format(folder=tmp_path))
    config = load_config(path)
    dumped(tmp_path / "model.pkl", loans(rng))
    with pytest.raises(TableNotFoundError, match=r"no table 'actions'.*Run: bq-monitor init"):
        refitted(tmp_path, loans(rng), config=path)
    assert not (tmp_path / "new.pkl.audit.jsonl").exists()
    warehouse = open_warehouse(config.warehouse, create=True)
    create_tables(warehouse)
    warehouse.close()
    found = refitted(tmp_path, loans(rng, turned=True), config=path)
    refitted(tmp_path, loans(rng, 20), config=config)
    refitted(tmp_path, loans(rng, 20))
    lines, rows = trace(tmp_path / "new.pkl"), stored(config.warehouse)
    assert [line["monitor"] for line in lines] == ["loans", "loans", None]
    assert all(list(line) == [column.name for column in ACTIONS.columns] for line in lines)
    assert sorted(row["action_id"] for row in rows) == sorted(line["action_id"] for line in lines[:2])
    (row,) = [row for row in rows if row["action_id"] == lines[0]["action_id"]]
    for name in ("kind", "action", "target", "status", "outcome", "details", "reason", "run_id"):
        assert row[name] == lines[0][name]
    assert (row["kind"], row["action"], row["target"]) == ("retrain", "compare --retrain", str(tmp_path / "new.pkl"))
    assert [line["status"] for line in lines] == ["succeeded", "failed", "failed"]
    assert row["created_at"].isoformat()[:19] == lines[0]["created_at"][:19]
    details = json.loads(row["details"])
    assert (details["new"], details["measures"]["old"]["roc_auc"]) == (found.new, found.old)


def test_a_fleet_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    """The row belongs to one monitor."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(
            MONITOR.format(folder=tmp_path).replace("monitor: loans", f"monitor: {name}")
        )
    dumped(tmp_path / "model.pkl", loans(rng))
    with pytest.raises(InputError, match="2 monitors; this command takes one"):
        refitted(tmp_path, loans(rng), config=tmp_path)


def test_the_page_works_as_printed(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands end with the exit code of a drifted comparison, its Python prints what became of the refit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loan.yaml").write_text(MONITOR.format(folder=tmp_path))
    before = loans(rng)
    dumped(tmp_path / "model.pkl", before)
    before.to_parquet("training.parquet")
    loans(rng, turned=True).to_parquet("production.parquet")
    lines = re.findall(r"^bq-monitor (.*)", PAGE, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        shown = CliRunner().invoke(cli, line.split())
        assert shown.exit_code == (0 if line.startswith("init") else 1), shown.output
        assert line.startswith("init") or "\nretrain: saved to new.pkl: roc_auc 0." in shown.stdout
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    printed: list[str] = []
    exec(code, {"print": lambda *words: printed.extend(words)})  # noqa: S102 - our own page
    assert printed[0] == "saved"
    assert len(stored(f"duckdb://{tmp_path}/monitor.duckdb")) == 1
    assert len(trace(tmp_path / "new.pkl")) == 3
