"""The job on real data sets: quiet where nothing that matters moves, prompt and to the point where something does.

A chunk of rows is given a day of its own, so that one scan counts all chunks and a window of a day judges one. What is
expected comes from the description beside the data sets, or is counted from their rows by other means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from bq_monitor import MonitorConfig, RunResult, capture_reference, run
from bq_monitor.config import parse_config
from bq_monitor.results import DriftResult
from tests.conftest import SHARED, missing

CHUNK = 5_000
SHUFFLED, IN_FILE_ORDER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
PERSON = (
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX", "RAC1P",
)  # fmt: skip
EMPLOYED = {"column": "prediction", "kind": "binary", "score": "predicted_probability"}
GROUP_QUARTERS = (16, 17)
"""Codes of RELP in the ACS data dictionary: people in institutions, and in other group quarters such as dormitories."""
CAR_INPUTS = (
    "car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car", "size_of_downpayment", "driver_tenure",
)  # fmt: skip
CAR_MOVED = {"car_value", "loan_length", "repaid_loan_on_prev_car", "salary_range", "y_pred_proba"}
CAR_CHANGE = 25_000
"""Rows of the analysis part before the planted change."""


def monitor(
    folder: Path, features: Sequence[str], span: str, prediction: Mapping[str, str] | None = None
) -> MonitorConfig:
    """A monitor by the balanced preset over `log.parquet`, whose windows follow one another without a gap."""
    return parse_config(
        {
            "monitor": "real", "warehouse": f"duckdb://{folder}/monitor.duckdb",
            "source": {"table": f"{folder}/log.parquet", "timestamp": "at"}, "features": list(features), "prediction": prediction,
            "window": {"length": span, "every": span}, "detection": {"preset": "balanced"},
        }
    )  # fmt: skip


def judged(config: MonitorConfig, start: datetime, end: datetime) -> RunResult:
    """Every window between two moments, each feature of which could be evaluated."""
    found = run(config, backfill=(start, end))
    assert found.count("not_evaluated") == 0
    return found


def by_day(numbers: Any, first: datetime) -> pd.DatetimeIndex:
    """The day that stands for a chunk, for the numbers of chunks."""
    return pd.DatetimeIndex([first.replace(tzinfo=None)]).repeat(len(numbers)) + pd.to_timedelta(numbers, unit="D")


def by_chunk(results: Sequence[DriftResult], first: datetime) -> dict[int, set[str]]:
    """The features of some verdicts by the number of their chunk; chunks without any are left out."""
    found: dict[int, set[str]] = {}
    for result in results:
        found.setdefault((result.judgement.window.start - first).days, set()).add(result.feature)
    return found


def alarms(result: RunResult) -> list[DriftResult]:
    return [found for found in result.results if found.verdict.status == "drift"]


@dataclass(frozen=True)
class People:
    """The monitor of employment in Massachusetts, trained on 2015; `chunks` is RELP of each chunk in the order of the file."""

    config: MonitorConfig
    training: pd.Series
    chunks: dict[int, pd.Series]

    def judged(self, first: datetime) -> RunResult:
        result = judged(self.config, first, first + timedelta(days=len(self.chunks)))
        assert len(result.windows) == len(self.chunks)
        assert {found.feature for found in result.results} == {*PERSON, EMPLOYED["column"], EMPLOYED["score"]}
        return result


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """2016 to 2018 stand twice in the log: shuffled within each year, and in the order of the file. No chunk holds two years."""
    if not SHARED.is_dir():
        missing("the folder of real data sets", "set BQ_MONITOR_SHARED_DATA to it")
    columns = [*PERSON, EMPLOYED["column"], EMPLOYED["score"]]
    rows = pd.read_parquet(SHARED / "employment_ma.parquet", columns=["partition", "year", *columns])
    training, later = rows[rows["partition"] == "reference"], rows[rows["partition"] == "analysis"]
    shuffled = later.sample(frac=1, random_state=np.random.default_rng(20260101)).sort_values("year", kind="stable")
    folder = tmp_path_factory.mktemp("people")
    parts = [
        part.assign(at=by_day(chunks_of(part), day)) for part, day in ((shuffled, SHUFFLED), (later, IN_FILE_ORDER))
    ]
    pd.concat(parts)[["at", *columns]].to_parquet(folder / "log.parquet")
    config = monitor(folder, PERSON, "1d", EMPLOYED)
    capture_reference(training[columns], config, version="2015")
    return People(config, training["RELP"], dict(iter(later["RELP"].groupby(chunks_of(later)))))


@pytest.fixture(scope="module")
def in_file_order(people: People) -> RunResult:
    return people.judged(IN_FILE_ORDER)


def chunks_of(rows: pd.DataFrame) -> np.ndarray:
    """The number of each row's chunk; the last of a year holds what is left."""
    return rows.groupby(["year", rows.groupby("year").cumcount() // CHUNK]).ngroup().to_numpy()


def test_no_chunk_of_a_stable_population_alarms(people: People) -> None:
    """Three years of employment, shuffled within each: 43 chunks of 18 columns, the smallest of 131 rows, without one alarm."""
    assert (len(people.chunks), min(len(chunk) for chunk in people.chunks.values())) == (43, 131)
    assert by_chunk(alarms(people.judged(SHUFFLED)), SHUFFLED) == {}


def test_the_same_people_in_file_order_drift_by_where_they_live(people: People, in_file_order: RunResult) -> None:
    """The file has group quarters apart in 2017 and 2018: a chunk without them, or of nothing else, alarms by RELP and says so."""
    shares = {
        number: relp.isin(GROUP_QUARTERS).mean() for number, relp in people.chunks.items() if len(relp) >= CHUNK / 2
    }
    without, only = ({number for number, share in shares.items() if share == extreme} for extreme in (0, 1))
    assert len(without) > len(only) > 0
    found = by_chunk(alarms(in_file_order), IN_FILE_ORDER)
    assert found.keys() == without | only
    assert all(found[number] == {"RELP"} for number in without)
    assert all("RELP" in found[number] for number in only)
    assert all("'17'" in (alarm.explanation or "") for alarm in alarms(in_file_order) if alarm.feature == "RELP")


def test_the_distance_of_a_chunk_is_the_one_that_scipy_finds(people: People, in_file_order: RunResult) -> None:
    """RELP's 18 codes are its buckets. Published: about 0.03 in 2016, about 0.20 in most chunks after, 0.9 where it is largest."""
    told = {
        (found.judgement.window.start - IN_FILE_ORDER).days: found.verdict.divergences.js_distance or 0.0
        for found in in_file_order.results if found.feature == "RELP"
    }  # fmt: skip
    codes = sorted(people.training.unique())
    training = _shares(people.training, codes)
    scipys = {number: jensenshannon(training, _shares(relp, codes), base=2) for number, relp in people.chunks.items()}
    assert told == pytest.approx(scipys, abs=1e-9)
    n_2016 = 14  # chunks
    of_2016, after = ([told[number] for number in told if (number < n_2016) == is_2016] for is_2016 in (True, False))
    assert (np.median(of_2016), np.median(after), max(after)) == pytest.approx((0.03, 0.20, 0.90), abs=0.01)


def _shares(values: pd.Series, codes: Sequence[int]) -> np.ndarray:
    return values.value_counts(normalize=True).reindex(codes, fill_value=0.0).to_numpy(dtype=float)


@pytest.mark.parametrize("with_days", [False, True], ids=["without-times", "with-times"])
def test_no_month_of_flights_alarms(shared_data: Path, tmp_path: Path, with_days: bool) -> None:
    """The season moves flights from New York, not beyond the threshold: whether or not it is known how days differ."""
    names = ["carrier", "origin", "distance"]
    flights = pd.read_parquet(shared_data / "nyc_flights_2013.parquet", columns=["year", "month", "day", *names])
    log = flights[names].assign(at=pd.to_datetime(flights[["year", "month", "day"]]))
    log.to_parquet(tmp_path / "log.parquet")
    training = log[log["at"] < "2013-04-01"]
    config = monitor(tmp_path, names, "1mo")
    reference = capture_reference(training if with_days else training[names], config, version="1")
    n_days = [feature.restless.n_days if feature.restless else None for feature in reference.features]
    assert n_days == [90 if with_days else None] * 3
    result = judged(config, datetime(2013, 4, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
    assert [window.start.month for window in result.windows] == [4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert [(found.judgement.window.start.month, found.feature) for found in alarms(result)] == []
    rows = flights["month"].value_counts()
    assert all(found.verdict.n_current == rows[found.judgement.window.start.month] for found in result.results)
    farthest = {name: _farthest(result, name) for name in names}
    assert max(farthest["carrier"][0], farthest["origin"][0]) == pytest.approx(0.036, abs=0.0005)  # as published
    assert farthest["distance"][1] == 9


def _farthest(result: RunResult, feature: str) -> tuple[float, int]:
    """The largest JS distance of a feature, and its month."""
    return max(
        (found.verdict.divergences.js_distance or 0.0, found.judgement.window.start.month)
        for found in result.results if found.feature == feature
    )  # fmt: skip


def test_a_planted_change_alarms_from_its_first_chunk_on(shared_data: Path, tmp_path: Path) -> None:
    """No alarm before the change, its five columns and no other in every chunk after; the confirmed event is a chunk later at most."""
    loans = pd.read_parquet(shared_data / "car_loan_synthetic.parquet")
    later = loans[loans["partition"] == "analysis"]
    assert later["timestamp"].is_monotonic_increasing
    first = datetime(2020, 1, 1, tzinfo=UTC)
    later.assign(at=by_day(np.arange(len(later)) // CHUNK, first)).to_parquet(tmp_path / "log.parquet")
    config = monitor(tmp_path, CAR_INPUTS, "1d", {"column": "y_pred", "kind": "binary", "score": "y_pred_proba"})
    capture_reference(loans[loans["partition"] == "reference"], config, version="1")
    result = judged(config, first, first + timedelta(days=10))
    assert len(result.windows) == 10
    change = CAR_CHANGE // CHUNK
    assert by_chunk(alarms(result), first) == dict.fromkeys(range(change, 10), CAR_MOVED)
    told = {event.feature: (event.judgement.window.start - first).days for event in reversed(result.events)}
    assert {feature: told.get(feature) for feature in CAR_MOVED} == dict.fromkeys(CAR_MOVED, change + 1)
    assert told.keys() - {None} == CAR_MOVED
