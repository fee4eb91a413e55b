"""Models as files: the scores are those of the library that wrote them; nothing of a pickle runs unless that is allowed."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from bq_monitor.errors import InputError
from bq_monitor.models import Model, load_model

NUMBERS = ["amount", "income"]


@pytest.fixture
def frame(rng: np.random.Generator) -> pd.DataFrame:
    """Rows with two numbers, a text, and answers that depend on them."""
    amount, income = rng.normal(size=(2, 300))
    region = rng.choice(["north", "south"], 300)
    risk = amount + 0.5 * income + (region == "south") + rng.normal(size=300)
    grade = np.where(risk < 0, "a", np.where(risk < 1, "b", "c"))
    return pd.DataFrame(
        {
            "amount": amount,
            "income": income,
            "region": region,
            "yes": (risk > 0).astype(int),
            "grade": grade,
            "risk": risk,
        }
    )


def pipeline(frame: pd.DataFrame, target: str = "yes") -> Any:
    columns = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), ["region"]))
    model = make_pipeline(columns, LogisticRegression())
    return model.fit(frame[[*NUMBERS, "region"]], frame[target])


def as_onnx(path: Path, model: Any, inputs: list[tuple[str, Any]], *, zipmap: bool = True) -> str:
    from skl2onnx import to_onnx

    options = {} if zipmap else {"zipmap": False}
    written = to_onnx(model, initial_types=inputs, options=options)
    path.write_bytes(written.SerializeToString())
    return str(path)


def column_inputs() -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    return [(name, FloatTensorType([None, 1])) for name in NUMBERS] + [("region", StringTensorType([None, 1]))]


def matrix_input(width: int = 2) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import FloatTensorType

    return [("X", FloatTensorType([None, width]))]


def pickled(path: Path, model: Any) -> Model:
    joblib.dump(model, path)
    return load_model(path, allow_pickle=True)


# --- ONNX ---


@pytest.mark.parametrize("zipmap", [True, False])
def test_a_pipeline_in_onnx_scores_as_in_scikit_learn(tmp_path: Path, frame: pd.DataFrame, zipmap: bool) -> None:
    """One named input a column, found by name in any order; probabilities as dictionaries or as a tensor."""
    expected = pipeline(frame)
    model = load_model(as_onnx(tmp_path / "m.onnx", expected, column_inputs(), zipmap=zipmap))
    found = model.predict(frame[frame.columns[::-1]])
    assert model.features == (*NUMBERS, "region")
    assert found.prediction.tolist() == expected.predict(frame).tolist()
    assert found.score == pytest.approx(expected.predict_proba(frame)[:, 1], abs=1e-5)


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("n_rows", [300, 1])
def test_the_positive_class_is_whom_one_names(tmp_path: Path, frame: pd.DataFrame, zipmap: bool, n_rows: int) -> None:
    """As number or as text, when loading or when scoring, though the file may not say which column is whose."""
    expected = pipeline(frame)
    path = as_onnx(tmp_path / "m.onnx", expected, column_inputs(), zipmap=zipmap)
    rows = frame[:n_rows]
    negative, positive = (pytest.approx(column, abs=1e-5) for column in expected.predict_proba(rows).T)
    assert load_model(path, positive="0").predict(rows).score == negative
    assert load_model(path).predict(rows, positive=0).score == negative
    assert load_model(path, positive=0).predict(rows, positive=1).score == positive
    if n_rows > 1:
        with pytest.raises(InputError, match=r"positive: got 'maybe'; the model's classes are 0, 1"):
            load_model(path, positive="maybe").predict(rows)


def test_a_multiclass_score_is_that_of_the_predicted_class(tmp_path: Path, frame: pd.DataFrame) -> None:
    """One tensor of all columns, fed in the order that `features` gives, whatever else the rows hold."""
    expected = LogisticRegression().fit(frame[NUMBERS].to_numpy(), frame["grade"])
    path = as_onnx(tmp_path / "m.onnx", expected, matrix_input())
    found = load_model(path, features=NUMBERS).predict(frame[["income", "grade", "amount"]])
    assert found.prediction.tolist() == expected.predict(frame[NUMBERS].to_numpy()).tolist()
    assert found.score == pytest.approx(expected.predict_proba(frame[NUMBERS].to_numpy()).max(axis=1), abs=1e-5)
    unnamed = load_model(path).predict(frame[NUMBERS])
    assert unnamed.score == pytest.approx(found.score)


def test_a_tensor_model_does_not_guess_its_columns(tmp_path: Path, frame: pd.DataFrame) -> None:
    """Without names the rows must have just its columns; a list of names of another length is refused at once."""
    path = as_onnx(
        tmp_path / "m.onnx", LinearRegression().fit(frame[NUMBERS].to_numpy(), frame["risk"]), matrix_input()
    )
    with pytest.raises(InputError, match=r"takes 2 columns and knows no names; got 6.*features"):
        load_model(path).predict(frame)
    with pytest.raises(InputError, match="features: got 1; needed: 2"):
        load_model(path, features=["amount"])


def test_a_regression_has_no_score(tmp_path: Path, frame: pd.DataFrame) -> None:
    """Its prediction is one number a row; missing numbers go in as NaN."""
    expected = LinearRegression().fit(frame[NUMBERS].to_numpy(), frame["risk"])
    model = load_model(as_onnx(tmp_path / "m.onnx", expected, matrix_input()), features=NUMBERS)
    rows = frame[NUMBERS].astype("Float64")
    rows.loc[0, "amount"] = pd.NA
    found = model.predict(rows)
    assert found.score is None
    assert np.isnan(found.prediction[0])
    assert found.prediction[1:] == pytest.approx(expected.predict(frame[NUMBERS].to_numpy())[1:], abs=1e-5)


def test_missing_values_in_onnx(tmp_path: Path, frame: pd.DataFrame) -> None:
    """A missing text scores as the empty one; a whole number cannot be missing."""
    from skl2onnx.common.data_types import Int64TensorType

    known = frame.assign(region=frame["region"].where(frame.index > 99, ""))
    expected = pipeline(known)
    rows = known.astype({"region": object}).assign(region=known["region"].where(known.index > 99, None))
    found = load_model(as_onnx(tmp_path / "text.onnx", expected, column_inputs())).predict(rows)
    assert found.score == pytest.approx(expected.predict_proba(known)[:, 1], abs=1e-5)

    whole = LogisticRegression().fit(frame[["yes"]].to_numpy(), frame["grade"])
    path = as_onnx(tmp_path / "whole.onnx", whole, [("yes", Int64TensorType([None, 1]))])
    assert load_model(path).predict(frame).prediction.tolist() == whole.predict(frame[["yes"]].to_numpy()).tolist()
    with pytest.raises(InputError, match="columns with missing values: yes; the model takes int64"):
        load_model(path).predict(
            frame.astype({"yes": "Int64"}).assign(yes=lambda rows: rows["yes"].where(rows.index > 0))
        )


def test_rows_that_the_model_cannot_take_are_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    """Missing columns by name, text where numbers belong, and no rows at all."""
    model = load_model(as_onnx(tmp_path / "m.onnx", pipeline(frame), column_inputs()))
    with pytest.raises(InputError, match=r"no column 'income'; existing columns: .*'incom'.*Did you mean 'incom'\?"):
        model.predict(frame.rename(columns={"income": "incom"}))
    with pytest.raises(InputError, match=r"cannot score the rows: .*much"):
        model.predict(frame.assign(amount="much"))
    with pytest.raises(InputError, match="no rows"):
        model.predict(frame[:0])


# --- pickles ---


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["m.pkl", "m.pickle", "m.joblib", "M.PKL", "m.onnx", "m.cbm", "m.bin", "m"])
def test_a_pickle_does_not_run_unless_allowed(tmp_path: Path, name: str) -> None:
    """Whatever the file is called, its code stays asleep; only with allow_pickle and a pickle's ending it runs."""
    target = tmp_path / "was-here"
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Malicious(target)))
    with pytest.raises(InputError):
        load_model(path)
    assert not target.exists()
    with pytest.raises(InputError):
        load_model(path, allow_pickle=True)
    assert target.exists() == (path.suffix.lower() in (".pkl", ".pickle", ".joblib"))


def test_a_refused_pickle_says_why_and_what_to_do(tmp_path: Path) -> None:
    """Even before looking whether the file is there."""
    with pytest.raises(InputError, match=r"runs whatever code its author put in it.*\.onnx or \.cbm.*--allow-pickle"):
        load_model(tmp_path / "m.pkl")


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib"])
def test_an_allowed_pickle_scores_by_the_estimator_protocol(tmp_path: Path, frame: pd.DataFrame, name: str) -> None:
    """Columns by the names it was trained with; the positive class is the second, or the one named."""
    expected = pipeline(frame)
    model = pickled(tmp_path / name, expected)
    assert model.features == (*NUMBERS, "region")
    found = model.predict(frame)
    assert found.prediction.tolist() == expected.predict(frame).tolist()
    assert found.score is not None
    assert found.score.tolist() == expected.predict_proba(frame)[:, 1].tolist()
    assert model.predict(frame, positive="0").score == pytest.approx(1 - found.score)
    with pytest.raises(InputError, match=r"positive: got 2; the model's classes are 0, 1"):
        model.predict(frame, positive=2)


def test_a_plain_pickle_is_read_too(tmp_path: Path, frame: pd.DataFrame) -> None:
    """One that joblib did not write; trained on an array, it takes the columns that are named."""
    expected = LinearRegression().fit(frame[NUMBERS].to_numpy(), frame["risk"])
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(expected))
    found = load_model(tmp_path / "m.pkl", allow_pickle=True, features=NUMBERS).predict(frame)
    assert found.score is None
    assert found.prediction.tolist() == expected.predict(frame[NUMBERS].to_numpy()).tolist()


def test_labels_are_named_as_the_log_has_them(tmp_path: Path, frame: pd.DataFrame) -> None:
    """A boolean class is found by `true`, a class of a classifier without probabilities has no score."""
    flags = LogisticRegression().fit(frame[NUMBERS], frame["yes"] == 1)
    found = pickled(tmp_path / "flags.pkl", flags).predict(frame, positive="true")
    assert found.score == pytest.approx(flags.predict_proba(frame[NUMBERS])[:, 1])
    plain = LinearSVC().fit(frame[NUMBERS], frame["yes"])
    assert pickled(tmp_path / "plain.pkl", plain).predict(frame).score is None


def test_what_is_no_estimator_is_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    """A dictionary around the model, and a model with two answers a row."""
    with pytest.raises(InputError, match="holds a dict without a method 'predict'"):
        pickled(tmp_path / "m.pkl", {"model": 1})
    double = LinearRegression().fit(frame[NUMBERS], frame[["risk", "yes"]])
    with pytest.raises(InputError, match=r"answers of shape \(300, 2\) for 300 rows"):
        pickled(tmp_path / "double.pkl", double).predict(frame)


def test_a_model_of_one_class_gives_its_probability(tmp_path: Path, frame: pd.DataFrame) -> None:
    """There is no second class to take the probability of."""
    only = DummyClassifier().fit(frame[NUMBERS], np.ones(len(frame)))
    assert pickled(tmp_path / "m.pkl", only).predict(frame).score == pytest.approx(np.ones(len(frame)))


# --- CatBoost ---


@pytest.mark.parametrize("target", ["yes", "grade"])
def test_catboost_scores_as_the_trained_model(tmp_path: Path, frame: pd.DataFrame, target: str) -> None:
    """Columns by the model's names, a categorical one with a missing value among them; binary and multiclass."""
    catboost = pytest.importorskip("catboost", reason="catboost is large; pip install 'bq-monitor[catboost]'")
    rows = frame.astype({"region": object})
    rows.loc[:9, "region"] = "nan"
    features = ["region", *NUMBERS]
    settings = {"iterations": 20, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    expected = catboost.CatBoostClassifier(**settings, cat_features=["region"]).fit(rows[features], rows[target])
    expected.save_model(str(tmp_path / "m.cbm"))
    model = load_model(tmp_path / "m.cbm")
    given = rows[features[::-1]].assign(region=rows["region"].where(rows.index > 9))
    found = model.predict(given)
    probabilities = expected.predict_proba(rows[features])
    assert model.features == tuple(features)
    assert found.prediction.tolist() == expected.predict(rows[features]).reshape(-1).tolist()
    assert found.score == pytest.approx(probabilities[:, 1] if target == "yes" else probabilities.max(axis=1))
    if target == "yes":
        assert model.predict(given, positive="0").score == pytest.approx(probabilities[:, 0])


def test_a_catboost_regression_without_names(tmp_path: Path, frame: pd.DataFrame) -> None:
    """Trained on an array it knows no names: the columns are named, or are just as many."""
    catboost = pytest.importorskip("catboost", reason="catboost is large; pip install 'bq-monitor[catboost]'")
    settings = {"iterations": 20, "verbose": False, "allow_writing_files": False, "thread_count": 1}
    expected = catboost.CatBoostRegressor(**settings).fit(frame[NUMBERS].to_numpy(), frame["risk"])
    expected.save_model(str(tmp_path / "m.cbm"))
    found = load_model(tmp_path / "m.cbm", features=NUMBERS).predict(frame)
    assert found.score is None
    assert found.prediction == pytest.approx(expected.predict(frame[NUMBERS].to_numpy()))
    with pytest.raises(InputError, match="takes 2 columns and knows no names; got 6"):
        load_model(tmp_path / "m.cbm").predict(frame)


# --- files ---


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m.h5", r"got '\.h5'; allowed: \.onnx, \.cbm, \.pkl, \.pickle, \.joblib"),
        ("model", "got 'no ending'"),
        ("gs://models/m.onnx", "gcloud storage cp gs://models/m.onnx"),
        ("m.onnx", "no such file"),
    ],
)
def test_what_is_no_model_file_is_refused(name: str, said: str) -> None:
    """Endings that are not known, files that are not there, and files that are not here."""
    with pytest.raises(InputError, match=said):
        load_model(name)


@pytest.mark.parametrize("name", ["m.onnx", "m.pkl", "m.joblib", "m.cbm"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    """Whatever error the library raises, it is ours, and names the file."""
    if name == "m.cbm":
        pytest.importorskip("catboost", reason="catboost is large; pip install 'bq-monitor[catboost]'")
    (tmp_path / name).write_bytes(b"\x08\x01not a model")
    with pytest.raises(InputError, match=rf"{name}: cannot be loaded as a \.\w+ model: .+Export it again"):
        load_model(tmp_path / name, allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("m.onnx", "onnxruntime", "onnx"), ("m.cbm", "catboost", "catboost"), ("m.pkl", "joblib", "ml")]
)  # fmt: skip
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=rf"{package} is not installed.*pip install 'bq-monitor\[{extra}\]'"):
        load_model(tmp_path / name, allow_pickle=True)
