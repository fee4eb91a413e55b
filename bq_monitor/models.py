"""Score rows with the file of a model: ONNX, CatBoost, or (only where it is allowed) a pickle."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bq_monitor.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

PICKLES = (".pkl", ".pickle", ".joblib")
_ONNX_NUMBERS = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class Predictions:
    """One answer a row.

    Args:
        prediction: labels, or numbers of a regression.
        score: binary: the probability of the positive class; multiclass: of the predicted one; None for a regression, and for a
            classifier that gives no probabilities.
    """

    prediction: NDArray[Any]
    score: NDArray[np.float64] | None


@dataclass(frozen=True)
class _Answers:
    """What a model gave: labels or numbers, and the probabilities of its classes, shape `(rows, classes)`."""

    prediction: NDArray[Any]
    probabilities: NDArray[np.float64] | None = None
    classes: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Args:
        path: the file.
        features: its columns in order; None: it knows no names, and takes the columns of the frame as they come.
        positive: the positive class; None: the second one.
    """

    path: str
    features: tuple[str, ...] | None
    positive: Any
    _answer: Callable[[pd.DataFrame], _Answers]

    def predict(self, frame: pd.DataFrame, *, positive: Any = None) -> Predictions:
        """Score rows; other columns than the model's are left alone.

        Raises:
            InputError: no rows, a column is missing, the model does not take what is in one, or has no such positive class.
        """
        if self.features and (missing := [name for name in self.features if name not in frame.columns]):
            raise InputError.missing_columns(f"{self.path}: the rows to score", missing, map(str, frame.columns))
        if not len(frame):
            raise InputError.no_rows(f"{self.path}: the rows to score")
        try:
            answers = self._answer(frame[list(self.features)] if self.features else frame)
        except InputError:
            raise
        except Exception as error:  # the libraries have no base class in common
            raise InputError(
                f"{self.path}: cannot score the rows: {_why(error)}. Give it columns as they were when it was trained."
            ) from None
        if answers.prediction.shape != (len(frame),):
            raise InputError(
                f"{self.path}: gave answers of shape {answers.prediction.shape} for {len(frame)} rows; needed: one a row."
            )
        return Predictions(answers.prediction, self._score(answers, self.positive if positive is None else positive))

    def _score(self, answers: _Answers, positive: Any) -> NDArray[np.float64] | None:
        import numpy as np

        table = answers.probabilities
        if table is None:
            return None
        if table.shape[1] != 2:
            return np.asarray(table.max(axis=1))
        return table[:, 1 if positive is None else _column_of(self.path, answers, positive)]


def load_model(
    path: str | os.PathLike[str], *, allow_pickle: bool = False, positive: Any = None, features: Sequence[str] | None = None
) -> Model:  # fmt: skip
    """Load a model by the ending of its file's name.

    Args:
        path: a local file: `.onnx`; `.cbm` (CatBoost); `.pkl`, `.pickle`, `.joblib` (any object that has `predict`, and for a
            classifier `classes_` and `predict_proba`, as scikit-learn's).
        allow_pickle: whether a pickle may be loaded, which runs whatever code its author put in it.
        positive: the positive class of a binary model, as its label or as text; None: the second class.
        features: the columns in the model's order, for a model that does not know their names (an ONNX model of one tensor).

    Raises:
        InputError: another ending, no such file, not a model, a pickle that is not allowed, or a package is missing.
    """
    place, suffix = _checked(path, allow_pickle)
    load, _, _ = _LOADERS[suffix]
    named = tuple(features) if features is not None else None
    known, answer = _loaded(place, suffix, lambda: load(place, named))
    return Model(place, known, positive, answer)


def load_estimator(path: str | os.PathLike[str], *, allow_pickle: bool = False) -> Any:
    """The fitted estimator itself, which can be cloned and fitted anew: a pickle of one that is scikit-learn's, or is made like it.

    Raises:
        InputError: as of `load_model`; a file that holds no more than what was learned (ONNX, CatBoost); an object without
            `fit`, `predict` and `get_params`.
    """
    place = os.fspath(path)
    if Path(place).suffix.lower() in set(_LOADERS) - set(PICKLES):
        raise InputError(
            f"{place}: cannot be refitted: the file holds what was learned, not how to learn it; allowed: {', '.join(PICKLES)} of a "
            "fitted scikit-learn-compatible estimator or pipeline, with --allow-pickle (allow_pickle=True). Dump the estimator itself."
        )
    place, suffix = _checked(path, allow_pickle)
    import joblib

    estimator = _loaded(place, suffix, lambda: joblib.load(place))
    if missing := [name for name in ("fit", "predict", "get_params") if not callable(getattr(estimator, name, None))]:
        raise InputError(
            f"{place}: cannot be refitted: holds a {type(estimator).__name__} without {', '.join(missing)}; allowed: a fitted "
            "scikit-learn-compatible estimator or pipeline. Dump the estimator itself."
        )
    return estimator


def model_of(estimator: Any, path: str | os.PathLike[str], features: Sequence[str] | None = None) -> Model:
    """A fitted estimator as `load_model` gives it; raises `InputError` where it cannot predict."""
    place = os.fspath(path)
    known, answer = _estimator_answers(place, estimator, tuple(features) if features is not None else None)
    return Model(place, known, None, answer)


def _checked(path: str | os.PathLike[str], allow_pickle: bool) -> tuple[str, str]:
    """The path and its ending, of a file that may be loaded here and now."""
    place = os.fspath(path)
    suffix = Path(place).suffix.lower()
    if place.startswith("gs://"):
        raise InputError(f"{place}: models are read from local files. Run: gcloud storage cp {place} .")
    if suffix in PICKLES and not allow_pickle:
        raise InputError(
            f"{place}: a pickle is not loaded: it runs whatever code its author put in it. Export the model as .onnx or .cbm, "
            "or give --allow-pickle (allow_pickle=True) for a file that you trust."
        )
    if suffix not in _LOADERS:
        raise InputError(f"{place}: not a model; got {suffix or 'no ending'!r}; allowed: {', '.join(_LOADERS)}.")
    if not Path(place).is_file():
        raise InputError(f"{place}: no such file. Check the path.")
    _, package, extra = _LOADERS[suffix]
    try:
        import_module(package)
    except ImportError:
        raise InputError(
            f"{place}: {package} is not installed; it reads this kind of model. Run: pip install 'bq-monitor[{extra}]'"
        ) from None
    return place, suffix


_T = TypeVar("_T")


def _loaded(place: str, suffix: str, load: Callable[[], _T]) -> _T:
    try:
        return load()
    except InputError:
        raise
    except Exception as error:  # damaged files raise all kinds of errors
        raise InputError(
            f"{place}: cannot be loaded as a {suffix} model: {_why(error)}. Export it again, with the versions that are installed here."
        ) from None


_Loaded = tuple[tuple[str, ...] | None, Callable[["pd.DataFrame"], _Answers]]


# --- ONNX ---


def _load_onnx(path: str, features: tuple[str, ...] | None) -> _Loaded:
    """One 2-D tensor of all columns, or one input a column. Missing numbers are NaN, missing texts empty, as skl2onnx has them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {item.name: item for item in session.get_inputs()}
    only = next(iter(inputs.values()))
    width = only.shape[1] if len(only.shape) > 1 else 1
    as_matrix = len(inputs) == 1 and (width != 1 or features is not None)
    known = features if as_matrix else tuple(inputs)
    if as_matrix and known and isinstance(width, int) and width != len(known):
        raise InputError(f"{path}: features: got {len(known)}; needed: {width}, in the model's order.")

    def answer(frame: pd.DataFrame) -> _Answers:
        if as_matrix:
            _check_width(path, frame, width)
            feed = {only.name: _tensor(path, frame, only.type)}
        else:
            feed = {name: _tensor(path, frame[[name]], item.type) for name, item in inputs.items()}
            feed = {name: data if len(inputs[name].shape) == 2 else data[:, 0] for name, data in feed.items()}
        return _onnx_answers(path, session.run(None, feed))

    return known, answer


def _tensor(path: str, frame: pd.DataFrame, kind: str) -> NDArray[Any]:
    """Columns as the 2-D tensor that an input takes."""
    import numpy as np

    if kind == "tensor(string)":
        return frame.astype(object).where(frame.notna(), "").map(str).to_numpy(dtype=object)
    if kind not in _ONNX_NUMBERS:
        raise InputError(f"{path}: an input takes {kind}; allowed: tensor(string), {', '.join(_ONNX_NUMBERS)}.")
    dtype = np.dtype(_ONNX_NUMBERS[kind])
    if dtype.kind != "f" and (empty := [str(name) for name in frame if frame[name].isna().any()]):
        raise InputError(
            f"{path}: columns with missing values: {', '.join(empty)}; the model takes {dtype}, which has none. Fill or drop these rows."
        )
    numbers = frame.to_numpy(dtype=np.float64, na_value=np.nan) if dtype.kind == "f" else frame.to_numpy()
    return numbers.astype(dtype)


def _onnx_answers(path: str, outputs: Sequence[Any]) -> _Answers:
    """Label and probabilities (a tensor, or a dictionary a row), or one number a row."""
    import numpy as np

    first = np.asarray(outputs[0])
    if len(outputs) == 1 and first.dtype.kind == "f" and first.size == len(first):
        return _Answers(first.reshape(-1))
    if len(outputs) != 2 or first.size != len(first):
        shapes = ", ".join(str(np.shape(item)) for item in outputs)
        raise InputError(
            f"{path}: gave outputs of shapes {shapes}; allowed: label and probabilities (as skl2onnx writes them), or one number a row."
        )
    if isinstance(outputs[1], list):
        classes = tuple(outputs[1][0])
        table = np.array([[row[name] for name in classes] for row in outputs[1]], dtype=np.float64)
        return _Answers(first.reshape(-1), table, classes)
    return _Answers(first.reshape(-1), np.asarray(outputs[1], dtype=np.float64))


# --- CatBoost ---


def _load_catboost(path: str, features: tuple[str, ...] | None) -> _Loaded:
    """Categorical columns go in as text, whole numbers without a point, missing ones as `nan`: CatBoost takes no others."""
    import numpy as np
    from catboost import CatBoost

    model = CatBoost().load_model(path)
    names = tuple(model.feature_names_)
    unnamed = names == tuple(str(position) for position in range(len(names)))
    known = features if unnamed else names
    categorical = list(model.get_cat_feature_indices())
    classes = tuple(model.classes_)

    def answer(frame: pd.DataFrame) -> _Answers:
        _check_width(path, frame, len(names))
        fed = frame.copy()
        for position in categorical:
            fed.isetitem(position, fed.iloc[:, position].map(_category).astype(object))
        fed.columns = list(names)
        if not classes:
            return _Answers(np.asarray(model.predict(fed)))
        labels = np.asarray(model.predict(fed, prediction_type="Class")).reshape(len(fed), -1)
        return _Answers(labels[:, 0], np.asarray(model.predict(fed, prediction_type="Probability")), classes)

    return known, answer


def _category(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


# --- pickles ---


def _load_pickle(path: str, features: tuple[str, ...] | None) -> _Loaded:
    """The estimator protocol; joblib reads plain pickles too."""
    import joblib

    return _estimator_answers(path, joblib.load(path), features)


def _estimator_answers(path: str, model: Any, features: tuple[str, ...] | None) -> _Loaded:
    import numpy as np

    if not callable(getattr(model, "predict", None)):
        raise InputError(
            f"{path}: holds a {type(model).__name__} without a method 'predict'. Dump the fitted estimator itself."
        )
    names = getattr(model, "feature_names_in_", None)
    known = features if names is None else tuple(map(str, names))
    classes = getattr(model, "classes_", None)

    def answer(frame: pd.DataFrame) -> _Answers:
        fed = frame if names is not None else frame.to_numpy()
        labels = np.asarray(model.predict(fed))
        if classes is None or not hasattr(model, "predict_proba"):
            return _Answers(labels)
        return _Answers(labels, np.asarray(model.predict_proba(fed), dtype=np.float64), tuple(classes))

    return known, answer


# --- what all share ---


def _check_width(path: str, frame: pd.DataFrame, width: Any) -> None:
    if isinstance(width, int) and frame.shape[1] != width:
        raise InputError(
            f"{path}: takes {width} columns and knows no names; got {frame.shape[1]}. Name its columns in order (features)."
        )


def _column_of(path: str, answers: _Answers, positive: Any) -> int:
    """Which of two columns of probabilities is the positive class's; without names, the one that decides for it tells."""
    import numpy as np

    seen: Mapping[str, int]
    if answers.classes is not None:
        seen = {_label(name): column for column, name in enumerate(answers.classes)}
    else:
        surest = np.argsort(-np.abs(answers.probabilities[:, 1] - answers.probabilities[:, 0]), kind="stable")  # type: ignore[index]
        labels, columns = answers.prediction[surest], answers.probabilities[surest].argmax(axis=1)  # type: ignore[index]
        firsts = np.unique(labels, return_index=True)[1]
        seen = {_label(labels[row]): int(columns[row]) for row in firsts}
    wanted = _label(positive)
    if wanted in seen:
        return seen[wanted]
    if len(seen) == 1:  # all rows were given the other class
        return 1 - next(iter(seen.values()))
    raise InputError(
        f"{path}: positive: got {positive!r}; the model's classes are {', '.join(seen)}. Name one of them."
    )


def _label(value: Any) -> str:
    """A class as text, so that '1' names 1, and 'true' True."""
    text = str(value)
    return text.lower() if text in ("True", "False") else text


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


_LOADERS: Mapping[str, tuple[Callable[[str, tuple[str, ...] | None], _Loaded], str, str]] = {
    ".onnx": (_load_onnx, "onnxruntime", "onnx"),
    ".cbm": (_load_catboost, "catboost", "catboost"),
    **dict.fromkeys(PICKLES, (_load_pickle, "joblib", "ml")),
}
