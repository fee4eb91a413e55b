"""What Evidently and NannyML say of the same raw values, each by its own defaults, beside bq-monitor's `compare`.

A part of `detection.py`. Neither tool is a dependency: one that cannot be imported is named and left out. All judge the same two data
frames; a tool finds the columns that it marks as drifted. No usage data is sent from here.

Evidently judges each column by `ValueDrift`, which chooses the test. Its `DataDriftPreset` does nothing else with a column, but draws
figures of its own and takes twice as long: the first run of a line is judged by the preset too, and must agree. NannyML judges by
`UnivariateDriftCalculator`, whose chunk is the window. Its threshold comes from the chunks of the reference: where there are fewer than
the six that it asks for, it is not asked. Both judge columns one by one; where one has changed, they are shown only that one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata, util
from typing import Any

import numpy as np
import pandas as pd
from detection_report import N_FEATURES, Report, percent
from numpy.typing import NDArray

from bq_monitor import compare

N_REFERENCE = 10_000
N_FEW = 500
MAX_WINDOWS = 50
"""Windows in a reference, at most: NannyML takes its time for each."""
MIN_CHUNKS = 6
SIZES = (30, 100, 300, 1_000, 10_000)
CHANGED_SIZES = (300, 1_000, 10_000)
MAX_TRIALS = 20
"""Runs of a line: either tool takes a second or two for each."""
CHANGED = "feature_0"

Values = NDArray[np.float64] | NDArray[np.object_]
Draw = Callable[[np.random.Generator, int], Values]
Judge = Callable[[pd.DataFrame, pd.DataFrame], set[str] | None]
Found = dict[str, set[str] | None]


def normal(shift: float = 0.0, scale: float = 1.0) -> Draw:
    """A normal number with this mean and standard deviation."""
    return lambda rng, n: rng.normal(shift, scale, n)


def of_values(shares: Iterable[float], *, is_text: bool) -> Draw:
    """The values 0, 1, 2, ... in these proportions, as numbers or as labels."""
    weights = np.array(tuple(shares))
    names = np.array([f"label {i}" for i in range(len(weights))], dtype=object)
    values: Values = names if is_text else np.arange(len(weights), dtype=np.float64)
    return lambda rng, n: values[rng.choice(len(weights), n, p=weights / weights.sum())]


def with_share(draw: Draw, value: str | float | None, share: float) -> Draw:
    """Values of which each is replaced with this probability."""

    def drawn(rng: np.random.Generator, n: int) -> Values:
        values = draw(rng, n)
        values[rng.random(n) < share] = value
        return values

    return drawn


NUMBERS = normal()
LABELS = of_values((30, 20, 15, 12, 10, 7, 4, 2), is_text=True)
FAMILIES: tuple[tuple[str, Draw, int], ...] = (
    ("numbers", NUMBERS, N_REFERENCE),
    ("numbers, 500 rows of reference", NUMBERS, N_FEW),
    ("8 labels", LABELS, N_REFERENCE),
    ("8 labels, 500 rows of reference", LABELS, N_FEW),
    ("70 % zeros and 14 other values", of_values([0.7, *(0.3 * 0.5**i for i in range(1, 15))], is_text=False), N_REFERENCE),
)  # fmt: skip


POWER: tuple[tuple[str, Draw, Draw], ...] = (
    ("mean + 0.5 standard deviations", NUMBERS, normal(0.5)),
    ("mean + 1 standard deviation", NUMBERS, normal(1)),
    ("variance x 2", NUMBERS, normal(0, np.sqrt(2))),
    ("one new label, 5 % of the rows", LABELS, with_share(LABELS, "new", 0.05)),
    ("NULL from 1 % to 10 %, number", with_share(NUMBERS, np.nan, 0.01), with_share(NUMBERS, np.nan, 0.1)),
    ("NULL from 1 % to 10 %, 8 labels", with_share(LABELS, None, 0.01), with_share(LABELS, None, 0.1)),
)


def own_verdict(reference: pd.DataFrame, window: pd.DataFrame) -> set[str] | None:
    """The columns that drift by `compare`; None where the window has too few rows to be judged."""
    found = compare(reference, window, features=list(reference.columns)).features
    if all(item.status == "not_evaluated" for item in found):
        return None
    return {item.feature for item in found if item.status == "drift"}


def evidently_verdict(reference: pd.DataFrame, window: pd.DataFrame) -> set[str]:
    """The columns that fail the test of value drift which Evidently chooses."""
    from evidently.metrics import ValueDrift

    return _failed([ValueDrift(column=column) for column in reference.columns], reference, window)


def evidently_preset(reference: pd.DataFrame, window: pd.DataFrame) -> set[str]:
    """The columns that fail by the data-drift preset."""
    from evidently.presets import DataDriftPreset

    return _failed([DataDriftPreset()], reference, window)


def _failed(metrics: list[Any], reference: pd.DataFrame, window: pd.DataFrame) -> set[str]:
    from evidently import Report as EvidentlyReport

    tests = EvidentlyReport(metrics, include_tests=True).run(window, reference).dict()["tests"]
    failed = (test["metric_config"]["params"] for test in tests if test["status"] == "FAIL")
    return {params["column"] for params in failed if "column" in params}


def nannyml_verdict(reference: pd.DataFrame, window: pd.DataFrame) -> set[str] | None:
    """The columns with an alert by a default method in the chunk that is the window; None where the reference has too few chunks."""
    from nannyml import UnivariateDriftCalculator

    if len(reference) < MIN_CHUNKS * len(window):
        return None
    calculator = UnivariateDriftCalculator(list(reference.columns), chunk_size=len(window)).fit(reference)
    alerts = calculator.calculate(window).filter(period="analysis").to_df().xs("alert", axis=1, level=-1)
    assert len(alerts) == 1
    return {str(column) for column, *_ in alerts.columns[alerts.iloc[0].astype(bool)]}


RIVALS: Mapping[str, Judge] = {"Evidently": evidently_verdict, "NannyML": nannyml_verdict}


def rivals_own_verdicts(report: Report) -> None:
    """Raw values, judged by each tool that is here as it would by itself: false alarms, then power."""
    judges: dict[str, Judge] = {"bq-monitor": own_verdict}
    print("\nRivals' own verdicts")
    for name, judge in RIVALS.items():
        if util.find_spec(name.lower()) is None:
            print(f"{name}: not installed, left out")
        else:
            print(f"{name} {metadata.version(name)}")
            judges[name] = judge
    if len(judges) == 1:
        return
    os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}
    with warnings.catch_warnings(action="ignore"):
        quiet_windows(report, judges)
        changed_windows(report, judges)
    print("-: not judged (bq-monitor below 50 rows; NannyML with fewer than six windows in the reference)")


def quiet_windows(report: Report, judges: Mapping[str, Judge]) -> None:
    """Nothing changed: the share of runs with any alarm."""
    trials = min(report.trials, MAX_TRIALS)
    report.title(f"Raw values, no drift: runs of {N_FEATURES} features with any alarm, of {trials}", ["rows", *judges])
    for number, (name, draw, most) in enumerate(FAMILIES):
        for size in SIZES:
            found: list[Found] = []
            for trial in range(trials):
                rng = report.rng(8, number, size, trial)
                pair = frame(rng, min(most, MAX_WINDOWS * size), draw), frame(rng, size, draw)
                found.append({tool: judge(*pair) for tool, judge in judges.items()})
                if trial == 0 and "Evidently" in judges:
                    assert evidently_preset(*pair) == found[0]["Evidently"]
            shares = {tool: share_of_runs([run[tool] for run in found], bool) for tool in judges}
            is_quiet = (shares["bq-monitor"] or 0) <= 0.01
            report.line(name, [f"{size:,}", *map(cell, shares.values())], "ours at most 1 %", met=is_quiet)


def changed_windows(report: Report, judges: Mapping[str, Judge]) -> None:
    """One of 20 features changed: in how many windows it is found."""
    trials = min(report.trials, MAX_TRIALS)
    report.title(f"Raw values, one of {N_FEATURES} features changed: found, of {trials}", ["rows", *judges])
    for number, (name, before, after) in enumerate(POWER):
        for size in CHANGED_SIZES:
            found = [
                changed_run(report.rng(9, number, size, trial), size, before, after, judges) for trial in range(trials)
            ]
            shares = [
                share_of_runs([run[tool] for run in found], lambda columns: CHANGED in columns) for tool in judges
            ]
            report.line(name, [f"{size:,}", *map(cell, shares)])


def changed_run(rng: np.random.Generator, size: int, before: Draw, after: Draw, judges: Mapping[str, Judge]) -> Found:
    """One window in which the first feature has changed."""
    reference, window = frame(rng, N_REFERENCE, before), frame(rng, size, before)
    window[CHANGED] = after(rng, size)
    return {
        tool: judge(reference, window) if tool == "bq-monitor" else judge(reference[[CHANGED]], window[[CHANGED]])
        for tool, judge in judges.items()
    }


def frame(rng: np.random.Generator, n: int, draw: Draw) -> pd.DataFrame:
    """The columns of a run, drawn alike and independently."""
    return pd.DataFrame({f"feature_{i}": draw(rng, n) for i in range(N_FEATURES)})


def share_of_runs(found: Iterable[set[str] | None], is_hit: Callable[[set[str]], bool]) -> float | None:
    """The share of the judged runs that are hits; None where no run was judged."""
    judged = [is_hit(columns) for columns in found if columns is not None]
    return sum(judged) / len(judged) if judged else None


def cell(share: float | None) -> str:
    return "-" if share is None else percent(share)
