"""Two models on the same held-out rows: their metrics, and how surely the second one is better. Of raw rows, by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from bq_monitor.models import Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Metric = Literal["roc_auc", "accuracy", "mae"]
ALPHA = 0.05
"""Of each bound, one-sided."""
N_RESAMPLES = 1000
_LARGEST = 1e150
_CELLS = 2_000_000
"""Resamples times rows that are in memory at a time."""


@dataclass(frozen=True)
class Pair:
    """The answers of an old and of a new model to rows whose outcome is known.

    Args:
        outcomes: numbers, or classes as both models write them.
        classes: the classes; None for numbers.
    """

    outcomes: NDArray[Any]
    old: Predictions
    new: Predictions
    classes: NDArray[Any] | None

    @cached_property
    def metric(self) -> Metric:
        """What decides: ROC AUC of two classes with probabilities, else accuracy; of numbers the mean absolute error."""
        if self.classes is None:
            return "mae"
        has_scores = self.old.score is not None and self.new.score is not None
        return "roc_auc" if len(self.classes) == 2 and has_scores else "accuracy"

    @property
    def is_finite(self) -> bool:
        """Whether the metrics can be told: each answer that they need is a number, and no error too large to be squared."""
        import numpy as np

        if self.metric == "mae":
            return all(bool((abs(said - self.outcomes) < _LARGEST).all()) for said in self._told())
        return self.metric == "accuracy" or all(bool(np.isfinite(score).all()) for score in self._told())

    def measures(self, answers: Predictions) -> dict[str, float]:
        """The deciding metric, and others beside it: log loss (nats) and accuracy, or the root of the mean squared error."""
        import numpy as np
        from sklearn import metrics

        if self.metric == "mae":
            errors = answers.prediction - self.outcomes
            return {"mae": float(abs(errors).mean()), "rmse": float(np.sqrt((errors**2).mean()))}
        accuracy = float((answers.prediction == self.outcomes).mean())
        if self.metric == "accuracy" or answers.score is None:
            return {"accuracy": accuracy}
        auc = metrics.roc_auc_score(self._is_second, answers.score)
        loss = metrics.log_loss(self._is_second, np.clip(answers.score, 0, 1))
        return {"roc_auc": float(auc), "log_loss": float(loss), "accuracy": accuracy}

    def bounds(self, seed: int) -> tuple[float, float]:
        """Between which values the new model is better by the deciding metric (above 0, whatever the metric), each one-sided at 0.05.

        Percentiles of a paired bootstrap: each resample draws the same rows for both models; for ROC AUC each class by itself.

        Source: Efron and Tibshirani (1993), "An introduction to the bootstrap", section 13.3.
        """
        import numpy as np

        better, groups = self._better()
        n_rows = len(self.outcomes)
        generator, size = np.random.default_rng(seed), max(1, _CELLS // n_rows)
        sizes = [min(size, N_RESAMPLES - start) for start in range(0, N_RESAMPLES, size)]
        draws = np.concatenate([better(_weights(generator, groups, n, n_rows)) for n in sizes])
        lower, upper = np.quantile(draws, (ALPHA, 1 - ALPHA))
        return float(lower), float(upper)

    @property
    def _is_second(self) -> NDArray[np.bool_]:
        import numpy as np

        assert self.classes is not None  # noqa: S101 - asked for only of two classes
        return np.asarray(self.outcomes == self.classes[1])

    def _told(self) -> tuple[Any, Any]:
        """What the deciding metric is of."""
        if self.metric == "roc_auc":
            return self.old.score, self.new.score
        return self.old.prediction, self.new.prediction

    def _better(self) -> tuple[Callable[[NDArray[np.int64]], NDArray[np.float64]], list[NDArray[np.int64]]]:
        """Gives by how much the new one is better, of rows drawn so often; and the groups of rows that are drawn by themselves."""
        import numpy as np

        if self.metric == "roc_auc":
            is_second = self._is_second
            before, after = (_auc_of(is_second, score) for score in self._told())
            return lambda weights: after(weights) - before(weights), [
                np.flatnonzero(is_second),
                np.flatnonzero(~is_second),
            ]
        before_wrong, after_wrong = (
            abs(said - self.outcomes) if self.metric == "mae" else (said != self.outcomes).astype(float)
            for said in self._told()
        )  # fmt: skip
        gain = before_wrong - after_wrong
        return lambda weights: weights @ gain / len(gain), [np.arange(len(gain))]


def _weights(
    generator: np.random.Generator, groups: Sequence[NDArray[np.int64]], n: int, n_rows: int
) -> NDArray[np.int64]:
    """How often each row is drawn in each of `n` resamples, shape `(n, n_rows)`; of each group as many as it has."""
    import numpy as np

    drawn = np.hstack([group[generator.integers(len(group), size=(n, len(group)))] for group in groups])
    cells = (drawn + n_rows * np.arange(n)[:, None]).ravel()
    return np.bincount(cells, minlength=n * n_rows).reshape(n, n_rows)


def _auc_of(positive: NDArray[np.bool_], score: Any) -> Callable[[NDArray[np.int64]], NDArray[np.float64]]:
    """Gives the AUC of rows drawn so often: the share of pairs in order, ties one half."""
    import numpy as np

    order = np.argsort(score, kind="stable")
    ordered, is_up = np.asarray(score)[order], positive[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def auc(weights: NDArray[np.int64]) -> NDArray[np.float64]:
        drawn = weights[:, order]
        up, down = (np.add.reduceat(drawn * mask, starts, axis=1) for mask in (is_up, ~is_up))
        pairs = (up * (down.cumsum(axis=1) - down / 2)).sum(axis=1)
        return np.asarray(pairs / (up.sum(axis=1) * down.sum(axis=1)), dtype=np.float64)

    return auc
