"""Outcomes of real data sets: realised and estimated performance are what is known of them; concept drift is found where it was made.

A year, or a chunk of rows, is given a day of its own, so that a window of a day judges it. What is expected comes from the
description beside the data sets, or from scikit-learn on the raw rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from bq_monitor import RunResult, capture_reference, run
from bq_monitor.config import parse_config

FIRST = datetime(2021, 1, 1, tzinfo=UTC)
CHUNK = 5_000
Numbers = dict[tuple[int, str, str], Any]


def judge(folder: Path, training: pd.DataFrame, log: pd.DataFrame, parts: Any, **settings: Any) -> RunResult:
    """One day a part of the log, its outcomes in a table of their own."""
    days = pd.DatetimeIndex([FIRST.replace(tzinfo=None)]).repeat(len(log)) + pd.to_timedelta(
        np.asarray(parts), unit="D"
    )
    column = settings["labels"]["column"]
    logged = log.assign(at=days, id=np.arange(len(log)))
    logged.drop(columns=column).to_parquet(folder / "log.parquet")
    logged[["id", column]].to_parquet(folder / "labels.parquet")
    config = parse_config({
        "monitor": "real", "warehouse": f"duckdb://{folder}/monitor.duckdb",
        "source": {"table": f"{folder}/log.parquet", "timestamp": "at", "id": "id"}, "features": "auto",
        "window": {"length": "1d", "every": "1d"}, "detection": {"preset": "balanced"}, **settings,
        "labels": {"table": f"{folder}/labels.parquet", **settings["labels"]},
    })  # fmt: skip
    capture_reference(training, config, version="1")
    return run(config, backfill=(FIRST, FIRST + timedelta(days=int(np.max(parts)) + 1)))


def numbers(result: RunResult) -> Numbers:
    """Values of all rows, by day, basis and metric."""
    return {
        ((r.judgement.window.start - FIRST).days, r.basis, r.metric): r.measured.value
        for r in result.performance if r.segment == "all"
    }  # fmt: skip


def test_a_stable_model_keeps_its_performance_and_raises_no_alarm(shared_data: Path, tmp_path: Path) -> None:
    """Employment in Massachusetts: AUC 0.902 to 0.906 and accuracy 0.825 to 0.829 a year; the estimate is within 0.01; all is quiet."""
    rows = pd.read_parquet(shared_data / "employment_ma.parquet").drop(columns="partition")
    training, later = (rows[rows["year"] == 2015], rows[rows["year"] > 2015])
    result = judge(
        tmp_path, training.drop(columns="year"), later.drop(columns="year"), later["year"] - 2016,
        prediction={"column": "prediction", "kind": "binary", "score": "predicted_probability"},
        labels={"column": "employed"}, segments=["SEX"], performance={"accuracy": {"min": 0.8, "max_drop": 0.01}, "auc": {"max_drop": 0.01}},
    )  # fmt: skip
    found = numbers(result)
    for day, (_, year) in enumerate(later.groupby("year")):
        accuracy = found[day, "realised", "accuracy"]
        assert accuracy == pytest.approx(metrics.accuracy_score(year["employed"], year["prediction"]), abs=1e-12)
        assert 0.825 <= round(accuracy, 3) <= 0.829
        assert 0.902 <= round(found[day, "realised", "roc_auc"], 3) <= 0.906
        assert abs(found[day, "estimated", "accuracy"] - accuracy) < 0.01
        assert abs(found[day, "estimated", "roc_auc"] - found[day, "realised", "roc_auc"]) < 0.01
    assert {r.status for r in result.performance if "(other)" not in r.segment} == {"ok"}
    assert result.events == ()


def test_the_estimate_falls_where_the_realised_auc_does(shared_data: Path, tmp_path: Path) -> None:
    """Car loans: the AUC of the last 25,000 rows is 0.958 to 0.963 a chunk; the estimate falls in the same chunks, without outcomes."""
    rows = pd.read_parquet(shared_data / "car_loan_synthetic.parquet")
    training, later = (
        rows[rows["partition"] == "reference"],
        rows[rows["partition"] == "analysis"].sort_values("timestamp"),
    )
    apart = ["partition", "timestamp", "id"]
    result = judge(
        tmp_path, training.drop(columns=apart), later.drop(columns=apart), np.arange(len(later)) // CHUNK,
        prediction={"column": "y_pred", "kind": "binary", "score": "y_pred_proba"}, labels={"column": "repaid"},
        performance={"auc": {"max_drop": 0.0}},
    )  # fmt: skip
    found, moved = numbers(result), range(25_000 // CHUNK, 50_000 // CHUNK)
    realised, estimated = ([found[day, basis, "roc_auc"] for day in range(10)] for basis in ("realised", "estimated"))
    aucs = [r for r in result.performance if (r.basis, r.metric, r.segment) == ("realised", "roc_auc", "all")]
    bounds = {(r.judgement.window.start - FIRST).days: r.measured.bound for r in aucs}
    for day, (_, chunk) in enumerate(later.groupby(np.arange(len(later)) // CHUNK)):
        assert abs(realised[day] - metrics.roc_auc_score(chunk["repaid"], chunk["y_pred_proba"])) <= bounds[day] < 0.01
    assert 0.958 <= np.mean([realised[day] for day in moved]) <= 0.963
    assert max(estimated[day] for day in moved) < min(estimated[day] for day in range(5)) - 0.003
    assert max(realised[day] for day in moved) < min(realised[day] for day in range(5))
    shifts = {(r.judgement.window.start - FIRST).days: r.explanation for r in result.performance if r.metric == "shift"}
    assert all((shifts[day] or "").startswith("covariate shift") == (day in moved) for day in range(10))
    fired = {(e.judgement.window.start - FIRST).days for e in result.events if e.kind == "estimated_performance"}
    assert fired == set(moved)


def credit(rng: np.random.Generator, n: int, *, is_turned: bool) -> pd.DataFrame:
    """Repaid: 0.8 where the account is old, 0.2 where it is new, 0.5 in between; turned, old and new have changed places."""
    age = rng.choice(["old", "new", "between"], n, p=[0.25, 0.25, 0.5])
    chance = pd.Series(age).map(
        {"old": 0.2, "new": 0.8, "between": 0.5} if is_turned else {"old": 0.8, "new": 0.2, "between": 0.5}
    )
    frame = pd.DataFrame({"account": age, "amount": rng.normal(0, 1, n), "region": rng.choice(["n", "s"], n)})
    return frame.assign(approved=frame["account"] != "new", repaid=rng.random(n) < chance.to_numpy())


def test_a_joint_that_turns_while_its_margins_stay_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    """Neither the inputs nor the share repaid move, only which accounts repay: the feature and its buckets are named, nothing else is."""
    training = credit(rng, 20_000, is_turned=False)
    log = pd.concat([credit(rng, 4_000, is_turned=False), credit(rng, 4_000, is_turned=True)], ignore_index=True)
    result = judge(
        tmp_path, training, log, np.repeat([0, 1], 4_000),
        prediction={"column": "approved", "kind": "binary", "positive": True}, labels={"column": "repaid"},
    )  # fmt: skip
    assert result.count("drift") == 0
    moved = {((r.judgement.window.start - FIRST).days, r.metric) for r in result.performance if r.status == "drift"}
    assert moved == {(1, "concept:account"), (1, "shift"), (1, "accuracy_js_divergence")}
    (event,) = (e for e in result.events if e.kind == "concept_drift")
    assert "account" in event.message
    (row,) = (r for r in result.performance if r.metric == "concept:account" and r.status == "drift")
    assert {item["bin"].split(":")[0] for item in row.bins[:2]} == {"old", "new"}
    worst = row.bins[0]
    assert {round(worst["share"], 1), round(worst["reference_share"], 1)} == {0.2, 0.8}
    (shift,) = (r for r in result.performance if r.metric == "shift" and r.status == "drift")
    assert shift.explanation == "concept shift: the same inputs now lead to other outcomes"
