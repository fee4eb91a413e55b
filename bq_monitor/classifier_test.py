"""Can a classifier tell reference from production? Where it can, their joint distribution moved, whatever single columns show.

Gradient-boosted trees learn on four fifths of a sample which side a row is of, and rank the last fifth; the mean of five such AUCs is the
result. 0.5: the sides cannot be told apart; 1: every row can be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal

from bq_monitor.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MIN_ROWS = 100
MAX_CATEGORIES = 250
_N_FOLDS = 5
_FOLD_DEPENDENCE = 1 + _N_FOLDS / (_N_FOLDS - 1)
"""What the variance grows by because folds learn from each other's rows (Nadeau and Bengio): 1 + folds * test rows / training rows."""
_HASH_KEY = "bq-monitor-rows1"  # pandas wants 16 bytes
_LARGEST = 1e300
"""Stands for infinity: the trees take the middle of two values."""


@dataclass(frozen=True)
class ClassifierTest:
    """The result of `classifier_test`.

    Args:
        n_baseline, n_current: rows used, at most `max_rows`.
        roc_auc: 0..1; the numbers are None where the status is `not_evaluated`.
        lower, upper: bounds of the true AUC, each one-sided at alpha.
        p_value: the chance of an AUC this high if the true one were 0.5 + margin; drift: below alpha, so that `lower` exceeds that.
        importances: per feature the AUC lost on held-out rows when its values are shuffled, worst first. Features that say the same
            share theirs; what only a joint shows counts for each that takes part.
    """

    status: Literal["ok", "drift", "not_evaluated"]
    reason: str | None
    n_baseline: int
    n_current: int
    roc_auc: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None
    importances: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For a JSON report; undefined numbers are None, never NaN."""
        importances = [{"feature": name, "importance": value} for name, value in self.importances]
        return asdict(self) | {"importances": importances}


def classifier_test(
    baseline: pd.DataFrame, current: pd.DataFrame, features: Sequence[str], *,
    max_rows: int = 10_000, alpha: float = 0.01, margin: float = 0.05, seed: int = 0,
) -> ClassifierTest:  # fmt: skip
    """Ask a cross-validated classifier which side a row is of.

    Args:
        baseline, current: the sides.
        features: columns to tell them by; one that only the current side lacks is left out.
        max_rows: rows used of each side, chosen by a hash of their content (`hash_sample`).
        alpha: the chance of a false alarm, above 0 and below 0.5.
        margin: how far above 0.5 the true AUC must be to matter, 0 or more and below 0.5.
        seed: another one draws other rows and folds; the same one gives the same result, in whatever order the rows come.

    Returns:
        A `ClassifierTest`; `not_evaluated` with a reason below 100 rows a side. Without drift the AUC is centred a little below
        0.5: what a fold has more than its share of, the rest has less of, and the rest is what is learned. It is not floored.

    Raises:
        InputError: no scikit-learn, no common feature, a feature that the baseline lacks, or an argument out of range.

    Source: Lopez-Paz and Oquab (2017), "Revisiting classifier two-sample tests"; for the standard error Hanley and McNeil (1982), eq. 1,
    times 1.5 for the dependence of folds, after Nadeau and Bengio (2003), "Inference for the generalization error", section 3. It is
    taken at the AUC in question, not at the one observed (as Wilson does for shares), so that an AUC of 1 keeps an interval.
    """
    _check(max_rows, alpha, margin)
    names = _common(baseline, current, features)
    sides = (len(baseline), len(current))
    if min(sides) < MIN_ROWS:
        reason = f"{sides[0]} and {sides[1]} rows; a classifier needs at least {MIN_ROWS} on each side"
        return ClassifierTest("not_evaluated", reason, *sides)
    rows = _rows(baseline, current, names, max_rows, seed)
    roc_auc, importances = _cross_validated(rows, names, seed)
    n, m = rows.n_of(0), rows.n_of(1)
    lower, upper = _bounds(roc_auc, n, m, alpha)
    p_value = _p_value(roc_auc, 0.5 + margin, n, m)
    status: Literal["ok", "drift"] = "drift" if p_value < alpha else "ok"
    return ClassifierTest(status, None, n, m, roc_auc, lower, upper, p_value, importances)


def hash_sample(frame: pd.DataFrame, max_rows: int, seed: int) -> pd.DataFrame:
    """At most `max_rows` rows, in the order of a hash of content and seed: the same ones in whatever order the frame has them.

    Copies of a row are told apart by their number, so a frame of a few different rows is sampled row by row too. The sample is the
    same under every version of Python; two frames that share rows share those of the sample.
    """
    keys = _keys(frame, seed)
    return frame.iloc[keys.argsort(kind="stable")[:max_rows]]


# --- rows ---


@dataclass(frozen=True)
class _Rows:
    """The sampled rows as numbers: `values` of shape (rows, features), `side` 0 (baseline) or 1, `fold` below 5."""

    values: NDArray[np.float64]
    categorical: list[bool]
    side: NDArray[np.int64]
    fold: NDArray[np.int64]

    def n_of(self, side: int) -> int:
        return int((self.side == side).sum())


def _check(max_rows: int, alpha: float, margin: float) -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise InputError(
            "classifier_test: scikit-learn is not installed; the classifier is its. Run: pip install 'bq-monitor[ml]'"
        ) from None
    if not 0 < alpha < 0.5:
        raise InputError(f"classifier_test: alpha: got {alpha}; allowed: above 0 and below 0.5.")
    if not 0 <= margin < 0.5:
        raise InputError(f"classifier_test: margin: got {margin}; allowed: 0 or more, and below 0.5.")
    if max_rows < MIN_ROWS:
        raise InputError(f"classifier_test: max_rows: got {max_rows}; allowed: {MIN_ROWS} or more.")


def _common(baseline: pd.DataFrame, current: pd.DataFrame, features: Sequence[str]) -> list[str]:
    if missing := [name for name in features if name not in baseline.columns]:
        raise InputError.missing_columns("classifier_test: baseline", missing, map(str, baseline.columns))
    names = [name for name in dict.fromkeys(features) if name in current.columns]
    if not names:
        raise InputError(
            f"classifier_test: no common feature; got {list(features)[:8]}, and the current side has "
            f"{sorted(map(str, current.columns))[:8]}. Name columns that both sides have."
        )
    return names


def _rows(baseline: pd.DataFrame, current: pd.DataFrame, names: list[str], max_rows: int, seed: int) -> _Rows:
    import numpy as np
    import pandas as pd

    aligned = [_aligned(baseline[name], current[name]) for name in names]
    frames = [pd.DataFrame({name: pair[side] for name, pair in zip(names, aligned, strict=True)}) for side in (0, 1)]
    sampled = [hash_sample(frame, max_rows, seed) for frame in frames]
    both = pd.concat(sampled, ignore_index=True)
    categorical = [not pd.api.types.is_float_dtype(both[name]) for name in names]
    columns = [_codes(both[name]) if nominal else both[name] for name, nominal in zip(names, categorical, strict=True)]
    return _Rows(
        np.column_stack([np.asarray(column, dtype=np.float64) for column in columns]),
        categorical,
        np.repeat([0, 1], [len(frame) for frame in sampled]),
        np.concatenate([(_keys(frame, seed + 1) % _N_FOLDS).astype(np.int64) for frame in sampled]),
    )


def _keys(frame: pd.DataFrame, seed: int) -> NDArray[np.uint64]:
    """A number for each row, of its content, the seed, and how many equal rows stand above it."""
    import numpy as np
    import pandas as pd

    content = pd.util.hash_pandas_object(frame, index=False, hash_key=_HASH_KEY)
    parts = pd.DataFrame({"content": content, "copy": content.groupby(content).cumcount(), "seed": seed})
    return np.asarray(pd.util.hash_pandas_object(parts, index=False, hash_key=_HASH_KEY), dtype=np.uint64)


def _aligned(before: pd.Series[Any], after: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Both sides of a column as numbers; as text where either is not numbers."""
    numbers = _numbers(before), _numbers(after)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0], numbers[1]
    return _texts(before), _texts(after)


def _numbers(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Numbers, times and durations (in nanoseconds) as floats, NaN where missing; None for anything else."""
    import numpy as np
    import pandas as pd

    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("datetime64", "datetime", "date"):
        times = pd.to_datetime(column, utc=True).dt.as_unit("ns")
        return times.astype("int64").astype("float64").where(times.notna())
    if kind in ("timedelta64", "timedelta"):
        spans = pd.to_timedelta(column).dt.as_unit("ns")
        return spans.astype("int64").astype("float64").where(spans.notna())
    if kind in ("integer", "floating", "mixed-integer-float", "decimal", "empty"):
        values = pd.Series(column.to_numpy(dtype="float64", na_value=np.nan), index=column.index)
        return values.clip(-_LARGEST, _LARGEST)
    return None


def _texts(column: pd.Series[Any]) -> pd.Series[Any]:
    return column.astype(object).map(str, na_action="ignore").where(column.notna(), None).astype(object)


def _codes(column: pd.Series[Any]) -> pd.Series[Any]:
    """The rank of each category by frequency, NaN where missing; all beyond the 250th are one."""
    counts = column.value_counts()
    order = sorted(counts.index, key=lambda label: (-counts[label], label))
    return column.map({label: min(rank, MAX_CATEGORIES) for rank, label in enumerate(order)})


# --- the classifier ---


def _cross_validated(rows: _Rows, names: list[str], seed: int) -> tuple[float, tuple[tuple[str, float], ...]]:
    """The mean AUC of the folds by their rows, and what shuffling each feature takes from it."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(seed)
    whole, losses = 0.0, np.zeros(len(names))
    for fold in range(_N_FOLDS):
        held = rows.fold == fold
        model = HistGradientBoostingClassifier(
            max_leaf_nodes=15, early_stopping=False, categorical_features=rows.categorical, random_state=seed
        )
        never = np.isnan(rows.values[~held]).all(axis=0)  # the binning of scikit-learn fails without any value
        values = np.where(never, 0.0, rows.values)
        with threadpool_limits(1):  # so little work takes far longer when threads wait for each other on a busy machine
            model.fit(values[~held], rows.side[~held])
        score = _scorer(model, rows.side[held])
        values, weight = values[held], float(held.mean())
        roc_auc = score(values)
        whole += weight * roc_auc
        for column in range(len(names)):
            shuffled = values.copy()
            shuffled[:, column] = generator.permutation(values[:, column])
            losses[column] += weight * (roc_auc - score(shuffled))
    ranked = sorted(zip(names, map(float, losses), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return whole, tuple(ranked)


def _scorer(model: Any, side: NDArray[np.int64]) -> Callable[[NDArray[np.float64]], float]:
    """Gives the AUC of the model on held-out rows of these sides: the share of pairs in order, ties one half."""
    from scipy import stats
    from threadpoolctl import threadpool_limits

    m = int(side.sum())
    n = len(side) - m

    def score(values: NDArray[np.float64]) -> float:
        with threadpool_limits(1):
            ranks = stats.rankdata(model.decision_function(values))
        return float((ranks[side == 1].sum() - m * (m + 1) / 2) / (n * m))

    return score


# --- the interval ---


def _standard_error(roc_auc: float, n: int, m: int) -> float:
    """Hanley and McNeil's, with the negative exponential model; the same for 1 - AUC with the sides exchanged."""
    q1, q2 = roc_auc / (2 - roc_auc), 2 * roc_auc**2 / (1 + roc_auc)
    spread = roc_auc * (1 - roc_auc) + (m - 1) * (q1 - roc_auc**2) + (n - 1) * (q2 - roc_auc**2)
    return sqrt(_FOLD_DEPENDENCE * max(0.0, spread) / (n * m))


def _p_value(roc_auc: float, limit: float, n: int, m: int) -> float:
    from scipy import special

    return float(special.ndtr((limit - roc_auc) / _standard_error(limit, n, m)))


def _bounds(roc_auc: float, n: int, m: int, alpha: float) -> tuple[float, float]:
    """One-sided each; the upper one is the lower one of the reversed question, in which the sides change places."""
    return _lower_bound(roc_auc, n, m, alpha), 1 - _lower_bound(1 - roc_auc, m, n, alpha)


def _lower_bound(roc_auc: float, n: int, m: int, alpha: float) -> float:
    """The true AUC at which one as high as this, or higher, has chance alpha."""
    from scipy import optimize

    if roc_auc <= 0:
        return 0.0
    highest = min(roc_auc, 1 - 1e-9)  # at 1 nothing varies, and nothing is solved
    return float(optimize.brentq(lambda true: _p_value(roc_auc, true, n, m) - alpha, 1e-9, highest))
