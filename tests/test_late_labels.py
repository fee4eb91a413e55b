"""Outcomes that come late, twice, or contradict each other: the final numbers are scikit-learn's on the clean join."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from bq_monitor import MonitorConfig, capture_reference, run
from bq_monitor.job import run_until_done
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from tests.conftest import make_config

START = pd.Timestamp("2026-01-05")
N_DAYS, PER_DAY = 28, 120
EXACT = {
    "accuracy": lambda y, p, s: metrics.accuracy_score(y, p),
    "precision": lambda y, p, s: metrics.precision_score(y, p),
    "recall": lambda y, p, s: metrics.recall_score(y, p),
    "f1": lambda y, p, s: metrics.f1_score(y, p),
    "f1_macro": lambda y, p, s: metrics.f1_score(y, p, average="macro"),
    "balanced_accuracy": lambda y, p, s: metrics.balanced_accuracy_score(y, p),
    "log_loss": lambda y, p, s: metrics.log_loss(y, s),
    "brier": lambda y, p, s: metrics.brier_score_loss(y, s),
}
BOUNDED = {
    "roc_auc": lambda y, p, s: metrics.roc_auc_score(y, s),
    "pr_auc": lambda y, p, s: metrics.average_precision_score(y, s),
}


def answers(rng: np.random.Generator, n: int) -> pd.DataFrame:
    x = rng.normal(0, 1, n)
    score = 1 / (1 + np.exp(-1.5 * x))
    return pd.DataFrame(
        {"amount": x, "region": rng.choice(["north", "south", "east"], n), "approved": score >= 0.5, "score": score}
    ).assign(repaid=rng.random(n) < score)


def labels_of(log: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One label a row after 0 to 60 days; then 1 % twice, and of 0.1 % another label that says the opposite."""
    age = pd.to_timedelta(rng.uniform(0, 60, len(log)), unit="D")
    plain = pd.DataFrame({"application": log["id"], "repaid": log["repaid"], "labelled_at": log["ts"] + age})
    n_twice, n_contradictory = len(log) // 100, max(1, len(log) // 1000)
    chosen = rng.choice(len(log), n_twice + n_contradictory, replace=False)
    again = plain.iloc[chosen].copy()
    again["labelled_at"] += pd.to_timedelta(rng.uniform(0, 1, len(again)), unit="D")
    again.iloc[n_twice:, 1] = ~again.iloc[n_twice:, 1]
    return pd.concat([plain, again], ignore_index=True)


def made_data() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(20260101)
    n = N_DAYS * PER_DAY
    log = answers(rng, n)
    log["ts"] = START + pd.to_timedelta(np.sort(rng.uniform(0, N_DAYS, n)), unit="D")
    log["id"] = [f"a{i}" for i in range(n)]
    return {"training": answers(rng, 4000), "log": log, "labels": labels_of(log, rng)}


def settings(folder: Path) -> MonitorConfig:
    return make_config(
        folder,
        source={"table": f"{folder}/log.parquet", "timestamp": "ts", "id": "id"},
        prediction={"column": "approved", "kind": "binary", "positive": True, "score": "score"},
        labels={
            "table": f"{folder}/labels.parquet", "id": "application", "column": "repaid", "timestamp": "labelled_at",
            "matures_after": "62d",
        },
        segments=["region"],
        window={"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05"},
        performance={"accuracy": {"min": 0.5}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, pd.DataFrame]]:
    """Log, labels and a warehouse with its reference, in a folder that each test copies; and the data, to be read only."""
    folder, data = tmp_path_factory.mktemp("late_labels"), made_data()
    data["log"].drop(columns="repaid").to_parquet(folder / "log.parquet")
    data["labels"].to_parquet(folder / "labels.parquet")
    capture_reference(data["training"], settings(folder), version="1")
    return folder, data


@pytest.fixture
def data(made: tuple[Path, dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    return made[1]


@pytest.fixture
def config(tmp_path: Path, made: tuple[Path, dict[str, pd.DataFrame]]) -> MonitorConfig:
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    return settings(tmp_path)


def ask(config: MonitorConfig, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(config.warehouse.removeprefix("duckdb://"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def clean_join(data: dict[str, pd.DataFrame], known_before: str) -> pd.DataFrame:
    """Predictions with their outcome: each once, none whose labels contradict each other."""
    labels = data["labels"][data["labels"]["labelled_at"] < known_before]
    outcomes = labels.groupby("application")["repaid"].agg(["nunique", "first"])
    outcomes = outcomes[outcomes["nunique"] == 1]["first"].rename("outcome").astype(bool)
    return data["log"].merge(outcomes, left_on="id", right_index=True)


def windows(joined: pd.DataFrame) -> dict[date, pd.DataFrame]:
    number = (joined["ts"] - START) // pd.Timedelta(days=7)
    return {(START + pd.Timedelta(days=7 * int(i))).date(): group for i, group in joined.groupby(number)}


def realised(config: MonitorConfig) -> dict[tuple[date, str, str], tuple[float, float, int, bool]]:
    rows = ask(
        config,
        "SELECT window_start::DATE, segment, metric, value, bound, n_labelled, is_provisional FROM performance_latest "
        "WHERE basis = 'realised' AND value IS NOT NULL",
    )
    return {row[:3]: row[3:] for row in rows}


def assert_scikit_learn_agrees(config: MonitorConfig, joined: pd.DataFrame) -> None:
    found = realised(config)
    for start, group in windows(joined).items():
        parts = {"all": group} | {f"region={name}": part for name, part in group.groupby("region")}
        for segment, part in parts.items():
            y, p, s = part["outcome"], part["approved"], part["score"]
            for metric, function in EXACT.items():
                value, _, n_labelled, _ = found[start, segment, metric]
                assert n_labelled == len(part)
                assert value == pytest.approx(function(y, p, s), abs=1e-9), (start, segment, metric)
            for metric, function in BOUNDED.items():
                value, bound, _, _ = found[start, segment, metric]
                assert abs(value - function(y, p, s)) <= bound + 1e-9, (start, segment, metric)


def test_final_numbers_are_those_of_the_clean_join(config: MonitorConfig, data: dict[str, pd.DataFrame]) -> None:
    """Weekly runs while labels come; in the end every window and segment has scikit-learn's numbers, and none is provisional."""
    for moment in pd.date_range("2026-01-15", "2026-04-16", freq="7D"):
        run(config, f"{moment:%Y-%m-%d}")
    joined = clean_join(data, "2026-04-16")
    assert len(joined) == N_DAYS * PER_DAY - 3  # three contradictory ones
    assert_scikit_learn_agrees(config, joined)
    assert not any(provisional for *_, provisional in realised(config).values())
    (counted,) = ask(
        config, "SELECT SUM(n_rows), SUM(n_labelled), SUM(n_labels), SUM(n_contradictory) FROM arrivals_latest"
    )
    assert counted == (3360, 3357, 3396, 3)
    assert ask(
        config, "SELECT SUM(n_rows) FROM outcome_histograms_latest WHERE segment = 'all' AND feature = 'score'"
    ) == [(3360,)]


def test_windows_are_provisional_until_their_labels_can_be_there(
    config: MonitorConfig, data: dict[str, pd.DataFrame]
) -> None:
    """Half-way the numbers are those of the labels known by then, and marked; the window whose youngest row is old enough is final."""
    run(config, "2026-03-20")
    joined = clean_join(data, "2026-03-20")
    assert len(joined) < 3300
    assert_scikit_learn_agrees(config, joined)
    marks = dict(
        ask(config, "SELECT DISTINCT window_start::DATE, is_provisional FROM performance_latest WHERE n_rows > 0")
    )
    assert marks == {
        date(2026, 1, 5): False,
        **dict.fromkeys((date(2026, 1, 12), date(2026, 1, 19), date(2026, 1, 26)), True),
    }
    early = [event for event in run(config, "2026-03-21").events if event.kind in ("performance", "concept_drift")]
    assert early == []


def test_a_rerun_counts_nothing_twice(config: MonitorConfig) -> None:
    """The same moment again, and a moment at which nothing new had come: not a row more."""
    run(config, "2026-03-20")
    tables = ("performance_results", "outcome_histograms", "arrivals", "drift_results", "quality_results")
    before = [ask(config, f"SELECT COUNT(*) FROM {table}") for table in tables]
    run(config, "2026-03-20")
    assert [ask(config, f"SELECT COUNT(*) FROM {table}") for table in tables] == before
    again = run(config, "2026-06-01")  # everything is mature now: judged once more, then never again
    assert {result.judgement.is_provisional for result in again.performance if result.n_rows} == {False}
    assert run(config, "2026-06-02").performance == ()


@pytest.mark.parametrize("at", range(1, 5))
def test_a_run_that_dies_leaves_nothing_half_counted(
    config: MonitorConfig, data: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Whichever write it dies at, the next run ends with the numbers of the clean join."""
    n_writes = 0

    def dying(real: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> None:
            nonlocal n_writes
            n_writes += 1
            if n_writes == at:
                raise KeyboardInterrupt
            real(*args, **kwargs)

        return write

    run(config, "2026-02-20")
    with monkeypatch.context() as patch:
        for name in ("execute", "commit"):
            patch.setattr(DuckDBWarehouse, name, dying(getattr(DuckDBWarehouse, name)))
        with pytest.raises(KeyboardInterrupt):
            run(config, "2026-04-16")
    run(config, "2026-04-16")
    assert_scikit_learn_agrees(config, clean_join(data, "2026-04-16"))


def test_the_newest_of_contradictory_labels_can_be_the_outcome(
    config: MonitorConfig, data: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """`contradictory: newest`: the last label of an id is its outcome, so that all rows have one."""
    labels = config.labels
    assert labels is not None
    newest = config.model_copy(update={"labels": labels.model_copy(update={"contradictory": "newest"})})
    run(newest, "2026-04-16")
    last = data["labels"].sort_values("labelled_at").groupby("application")["repaid"].last().rename("outcome")
    assert_scikit_learn_agrees(newest, data["log"].merge(last, left_on="id", right_index=True))


def test_labels_may_be_a_column_of_the_log(data: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """An outcome that is written back into the log counts from its own time on."""
    first = data["labels"].drop_duplicates("application").set_index("application")
    log = data["log"].assign(labelled_at=first["labelled_at"].reindex(data["log"]["id"]).to_numpy())
    log.to_parquet(tmp_path / "log.parquet")
    config = make_config(
        tmp_path,
        prediction={"column": "approved", "kind": "binary", "positive": True, "score": "score"},
        labels={"column": "repaid", "timestamp": "labelled_at", "matures_after": "62d"},
        segments=["region"], window={"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05"},
    )  # fmt: skip
    capture_reference(data["training"], config, version="1")
    run(config, "2026-02-20")
    known = log[log["labelled_at"] < "2026-02-20"].assign(outcome=lambda rows: rows["repaid"])
    assert 0 < len(known) < len(log)
    assert_scikit_learn_agrees(config, known)


def test_labels_may_be_configured_later(config: MonitorConfig, data: dict[str, pd.DataFrame]) -> None:
    """Windows that were judged without outcomes get them, as far back as outcomes may still come."""
    plain = config.model_copy(update={"labels": None, "performance": {}})
    run(plain, "2026-02-10")
    assert realised(config) == {}
    run(config, "2026-02-20")
    assert_scikit_learn_agrees(config, clean_join(data, "2026-02-20"))


def test_an_earlier_moment_takes_no_outcome_away(config: MonitorConfig) -> None:
    """A run for a moment before the newest one's judges nothing: what was known then has been told."""
    run(config, "2026-03-20")
    before = realised(config)
    assert run(config, "2026-02-20").performance == ()
    assert realised(config) == before


def test_a_backfill_settles_nothing(config: MonitorConfig, data: dict[str, pd.DataFrame]) -> None:
    """Windows before a stretch that was backfilled are judged by the next run as if it had not been."""
    run(config, "2026-03-30", backfill=("2026-01-19", "2026-02-02"))
    assert len({key[0] for key in realised(config)}) == 2
    run(config, "2026-04-16")
    assert_scikit_learn_agrees(config, clean_join(data, "2026-04-16"))


def test_answers_of_many_windows_are_judged_in_parts(
    config: MonitorConfig, data: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one run does not take, the oldest first, the next one does; `n_windows_left` says how many."""
    monkeypatch.setattr("bq_monitor.due.MAX_OUTCOME_WINDOWS", 3)
    outcomes = list(run_until_done(config, "2026-04-16"))
    assert [len({r.judgement.window for r in outcome.performance}) for outcome in outcomes][:2] == [3, 3]
    assert outcomes[0].n_windows_left > outcomes[1].n_windows_left > outcomes[-1].n_windows_left == 0
    assert_scikit_learn_agrees(config, clean_join(data, "2026-04-16"))


def test_a_log_without_its_score_is_judged_all_the_same(
    config: MonitorConfig, data: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """Drift of the other columns goes on; the answers are not evaluated, with the reason; with the column back they are."""
    log = data["log"].drop(columns="repaid")
    log.drop(columns="score").to_parquet(tmp_path / "log.parquet")
    gone = run(config, "2026-04-16")
    assert {
        r.verdict.status for r in gone.results if r.feature == "amount" and r.segment == "all" and r.verdict.n_current
    } == {"ok"}
    assert {(r.status, r.reason) for r in gone.performance} == {("not_evaluated", "missing column 'score'")}
    log.to_parquet(tmp_path / "log.parquet")
    run(config, "2026-04-16")
    assert_scikit_learn_agrees(config, clean_join(data, "2026-04-16"))


def test_outcomes_may_name_their_classes_otherwise(data: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """Answers true and false, outcomes 1 and 0: the positive one is told by its name; where it cannot be, nothing is guessed."""

    def judged(folder: str, **names: Any) -> MonitorConfig:
        (tmp_path / folder).mkdir()
        log = data["log"].assign(repaid=data["log"]["repaid"].map(names["classes"]))
        log.to_parquet(tmp_path / folder / "log.parquet")
        made = make_config(
            tmp_path / folder, prediction={"column": "approved", "kind": "binary", "positive": True, "score": "score"},
            labels={"column": "repaid", **names.get("labels", {})}, features=["amount"],
        )  # fmt: skip
        training = data["training"].assign(repaid=data["training"]["repaid"].map(names["classes"]))
        capture_reference(training, made, version="1")
        run(made, "2026-02-02")
        return made

    joined = data["log"].assign(outcome=data["log"]["repaid"])
    ones = realised(judged("numbers", classes={True: 1, False: 0}))
    said = realised(judged("said", classes={True: "paid", False: "lost"}, labels={"positive": "paid"}))
    first = windows(joined)[START.date()]
    expected = metrics.recall_score(first["outcome"], first["approved"])
    assert ones[START.date(), "all", "recall"][0] == said[START.date(), "all", "recall"][0] == pytest.approx(expected)
    unknown = judged("unknown", classes={True: "paid", False: "lost"})
    (reason,) = {row[0] for row in ask(unknown, "SELECT DISTINCT reason FROM performance_latest")}
    assert "labels.positive" in reason
