"""Restless days: measured at capture or on a healthy stretch, stored, and reckoned with by the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bq_monitor import InputError, MonitorConfig, RunResult, capture_reference, run
from bq_monitor.reference import load_references
from bq_monitor.warehouse import open_warehouse
from tests.conftest import make_config

FEATURES = ["amount", {"name": "region", "kind": "categorical"}]


def days(rng: np.random.Generator, start: str, n_days: int, spread: float, shift: float = 0.0) -> pd.DataFrame:
    """Days whose mean moves about by `spread` standard deviations, from day to day, without any drift."""
    per_day = 300
    means = rng.normal(shift, spread, n_days)
    dates = np.repeat(pd.date_range(start, periods=n_days, tz="UTC"), per_day) + pd.to_timedelta(
        rng.integers(0, 86_400, n_days * per_day), unit="s"
    )
    n = n_days * per_day
    return pd.DataFrame(
        {"amount": rng.normal(np.repeat(means, per_day), 1.0), "region": rng.choice(["north", "south"], n), "ts": dates}
    )


def daily(folder: Path, **settings: Any) -> MonitorConfig:
    window = {"granule": "day", "length": "1d", "every": "1d", "start": "2026-01-05"}
    return make_config(folder, features=FEATURES, window=window, **settings)


def drifted(result: RunResult, feature: str = "amount") -> float:
    """The share of a feature's windows that drifted."""
    found = [r.verdict.status == "drift" for r in result.results if r.feature == feature]
    return sum(found) / len(found)


def test_training_data_with_times_teach_what_days_do(tmp_path: Path, rng: np.random.Generator) -> None:
    """The same log: without times a third of the days and more alarm, with them none; a real shift is found all the same."""
    training = days(rng, "2025-10-01", 90, 0.5)
    log = pd.concat([days(rng, "2026-01-05", 40, 0.5), days(rng, "2026-02-14", 5, 0.5, shift=4.0)])
    found = {}
    for name, data in {"without": training.drop(columns="ts"), "with": training}.items():
        folder = tmp_path / name
        folder.mkdir()
        log.to_parquet(folder / "log.parquet")
        config = daily(folder)
        reference = capture_reference(data, config, version="1")
        assert (reference.clumping > 0) == (name == "with")
        found[name] = run(config, "2026-02-19")
    naive, aware = (
        [r for r in result.results if r.feature == "amount"] for result in (found["without"], found["with"])
    )
    assert sum(r.verdict.status == "drift" for r in naive[:40]) > 0.3 * 40
    assert sum(r.verdict.status == "drift" for r in aware[:40]) == 0
    assert sum(r.verdict.status == "drift" for r in aware[40:]) >= 4
    (last,) = [r for r in found["with"].results if r.feature == "amount"][-1:]
    assert last.verdict.day_correlation is not None
    assert 0.01 < last.verdict.day_correlation < 0.06
    assert last.verdict.n_effective is not None
    assert last.verdict.n_effective < 100 < last.verdict.n_current == 300
    assert drifted(found["with"], "region") == drifted(found["without"], "region") == 0


def test_what_was_measured_is_stored(tmp_path: Path, rng: np.random.Generator) -> None:
    """A reference read back knows its days; one of other days is another reference, the same data again are found."""
    config = daily(tmp_path)
    data = days(rng, "2025-10-01", 30, 0.5)
    captured = capture_reference(data, config, version="1")
    assert capture_reference(data, config, version="1").reference_id == captured.reference_id
    plain = capture_reference(data.drop(columns="ts"), config, version="1")
    assert plain.reference_id != captured.reference_id
    warehouse = open_warehouse(config.warehouse, read_only=True)
    stored = {reference.reference_id: reference for reference in load_references(warehouse, "loans")}
    warehouse.close()
    assert [feature.restless for feature in stored[captured.reference_id].features] == [
        feature.restless for feature in captured.features
    ]
    assert stored[captured.reference_id].clumping == pytest.approx(1 / 30)
    assert all(feature.restless is None for feature in stored[plain.reference_id].features)
    entry = captured.to_dict()["features"][0]
    assert entry["day_correlation"] == captured.features[0].restless.correlation  # type: ignore[union-attr]


def test_times_may_stand_apart(tmp_path: Path, rng: np.random.Generator) -> None:
    """`timestamps=` is the column that the data lack; as many as rows, and only with a DataFrame."""
    config = daily(tmp_path)
    data = days(rng, "2025-10-01", 30, 0.5)
    apart = capture_reference(data.drop(columns="ts"), config, version="1", timestamps=data["ts"])
    assert apart.features == capture_reference(data, config, version="1").features
    with pytest.raises(InputError, match="timestamps: got another number of rows"):
        capture_reference(data, config, version="1", timestamps=data["ts"][:5])
    with pytest.raises(InputError, match="timestamps: only with a DataFrame"):
        capture_reference("training.parquet", config, version="1", timestamps=data["ts"])


def test_a_healthy_stretch_teaches_too(tmp_path: Path, rng: np.random.Generator) -> None:
    """Days of production that the user vouches for, from stored counts; they count for more than what training said."""
    config = daily(tmp_path)
    capture_reference(days(rng, "2025-10-01", 30, 0.0).drop(columns="ts"), config, version="1")
    days(rng, "2026-01-05", 60, 0.5).to_parquet(tmp_path / "log.parquet")
    naive = run(config, "2026-03-06")
    assert drifted(naive) > 0.3
    vouched = {"healthy": {"from": "2026-01-05", "to": "2026-02-20"}}
    window = {
        **daily(tmp_path).window.model_dump(include={"granule", "start"}),
        "length": "1d",
        "every": "1d",
        "restate": "60d",
    }
    aware = run(make_config(tmp_path, features=FEATURES, window=window, detection=vouched), "2026-03-06")
    assert aware.n_granules_counted == 0
    assert len(aware.windows) == 60
    assert drifted(aware) <= 0.02


def test_a_week_of_days_is_the_least(tmp_path: Path, rng: np.random.Generator) -> None:
    """Six days say nothing of how days differ."""
    captured = capture_reference(days(rng, "2025-10-01", 6, 0.5), daily(tmp_path), version="1")
    assert all(feature.restless is None for feature in captured.features)


def test_healthy_days_count_first_however_the_work_is_cut(tmp_path: Path, rng: np.random.Generator) -> None:
    """One window a call or all at once: the same verdicts, as the healthy stretch is counted before any is judged."""
    vouched = {"healthy": {"from": "2026-01-05", "to": "2026-02-05"}}
    log, training = days(rng, "2026-01-05", 40, 0.5), days(rng, "2025-10-01", 30, 0.0).drop(columns="ts")
    found = []
    for name, max_windows in (("whole", None), ("cut", 10)):
        folder = tmp_path / name
        folder.mkdir()
        log.to_parquet(folder / "log.parquet")
        config = daily(folder, detection=vouched)
        capture_reference(training, config, version="1")
        outcome = [run(config, "2026-02-14", max_windows=max_windows) for _ in range(4 if max_windows else 1)]
        assert outcome[0].n_granules_counted >= 31
        found.append({(r.judgement.window, r.feature): r.verdict.p_value for o in outcome for r in o.results})
    whole, cut = found
    assert len(whole) == 80
    assert whole == cut


def test_times_that_are_no_times_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    """Texts would silently teach nothing."""
    data = days(rng, "2025-10-01", 10, 0.5)
    with pytest.raises(InputError, match=r"source.timestamp 'ts': .*STRING"):
        capture_reference(data.assign(ts=data["ts"].astype(str)), daily(tmp_path), version="1")
