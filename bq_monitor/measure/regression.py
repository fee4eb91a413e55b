"""How far predicted numbers were from what came true, from moments alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np

from bq_monitor.measure.answers import Answers
from bq_monitor.measure.histogram import Histogram
from bq_monitor.measure.measured import Measured, Scale, undefined
from bq_monitor.measure.observed import TOO_LARGE, mean_of

NO_OUTCOME = "no outcome yet"


def of_regression(known: Answers) -> dict[str, Measured]:
    """mse, rmse, mae, mape, r2 and bias of rows whose outcome is known; see `performance`."""
    found = {
        "mae": mean_of(known.total("absolute_error"), NO_OUTCOME),
        "mape": mean_of(known.total("relative_error"), "no outcome other than 0"),
        "bias": mean_of(known.total("error"), NO_OUTCOME),
    }
    error, actual = known.total("error"), known.total("actual")
    if found["bias"].value is None or error is None or error.moments is None:
        return found | dict.fromkeys(("mse", "rmse", "r2"), found["bias"])
    n, squares = error.moments.n, error.moments.second_moment or 0.0
    mse = squares / n + found["bias"].value ** 2
    relative = sqrt(_squares_variance(known, 1 / mse, 0.0) / n) if mse else 0.0
    scale: Scale = "log" if relative else "none"
    found["mse"] = Measured(mse, n, relative or None, scale)
    found["rmse"] = Measured(sqrt(mse), n, relative / 2 or None, scale)
    return found | {"r2": _r2(known, mse, actual)}


def _r2(known: Answers, mse: float, actual: Histogram | None) -> Measured:
    """Share of the outcome's variance that is explained; the error is that of ln(mse / variance)."""
    moments = actual.moments if actual else None
    if moments is None or moments.n < 2:
        return undefined("fewer than two outcomes", moments.n if moments else 0)
    if moments.second_moment is None:
        return undefined(TOO_LARGE, moments.n)
    if not moments.second_moment:
        return undefined("the outcome does not vary", moments.n)
    variance = moments.second_moment / moments.n
    if not mse:
        return Measured(1.0, moments.n)
    spread = sqrt(_squares_variance(known, 1 / mse, 1 / variance) / moments.n)
    return Measured(1 - mse / variance, moments.n, mse / variance * spread or None)


def _squares_variance(known: Answers, of_error: float, of_actual: float) -> float:
    """Variance over rows of `of_error * error^2 - of_actual * (y - mean y)^2`, which needs fourth moments: not counted.

    Between the cells as it was counted; within a cell as of jointly normal error and outcome (Isserlis 1918), whose
    covariance follows from the variance of their sum, the prediction. One row a cell: the sample's own variance.
    """
    actual = known.total("actual")
    centre = (actual.moments.mean if actual and actual.moments else None) or 0.0
    rows = [row for measured in known.cells.values() if (row := _cell_moments(measured, centre)) is not None]
    n, e, var_e, y, var_y, cov = np.array(rows).T
    means = of_error * (var_e + e**2) - of_actual * (var_y + y**2)
    within = of_error**2 * (2 * var_e**2 + 4 * e**2 * var_e) + of_actual**2 * (2 * var_y**2 + 4 * y**2 * var_y)
    within -= 2 * of_error * of_actual * (2 * cov**2 + 4 * e * y * cov)
    spread = np.maximum(within, 0.0) + (means - np.average(means, weights=n)) ** 2
    return float(np.average(spread, weights=n))


def _cell_moments(measured: Mapping[str, Histogram], centre: float) -> tuple[float, ...] | None:
    """Rows, mean and variance of the error and of the outcome from `centre`, their covariance; None without rows."""
    moments = {name: histogram.moments for name, histogram in measured.items()}
    error, actual, score = (moments.get(name) for name in ("error", "actual", "score"))
    if error is None or error.mean is None or error.std is None:
        return None
    if actual is None or actual.mean is None or actual.std is None:
        return error.n, error.mean, error.std**2, 0.0, 0.0, 0.0
    var_e, var_y = error.std**2, actual.std**2
    var_sum = score.std**2 if score and score.std is not None else var_e + var_y
    limit = sqrt(var_e * var_y)
    cov = min(limit, max(-limit, (var_sum - var_e - var_y) / 2))
    return error.n, error.mean, var_e, actual.mean - centre, var_y, cov
