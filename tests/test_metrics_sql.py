"""The SQL on the page of formulas recomputes what runs stored: on DuckDB, and in Google's evaluator over the same rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bq_monitor import capture_reference, run
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.schema import DRIFT_RESULTS, PRODUCTION_HISTOGRAMS, REFERENCE_HISTOGRAMS, Table
from tests.conftest import ROOT, make_config
from tests.googlesql.conftest import googlesql

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

__all__ = ["googlesql"]  # its fixture

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NAMES = ("labels", "moments", "statistic", "holm")
READ: dict[str, Table] = {
    "drift_latest": DRIFT_RESULTS, "drift_results": DRIFT_RESULTS,
    "production_histograms_latest": PRODUCTION_HISTOGRAMS, "reference_histograms": REFERENCE_HISTOGRAMS,
}  # fmt: skip
WEEKS = (
    {"amount": 0.0, "region": [0.4, 0.3, 0.2, 0.1, 0.0], "grade": [0.5, 0.5]},
    {"amount": 0.3, "region": [0.4, 0.3, 0.0, 0.2, 0.1], "grade": [0.42, 0.58]},
    {"amount": 0.28, "region": [0.35, 0.3, 0.05, 0.2, 0.1], "grade": [0.44, 0.56]},
)


def rows(rng: np.random.Generator, n: int, week: dict[str, Any]) -> pd.DataFrame:
    """Rows of three features: a number that is sometimes missing, five regions, two grades."""
    amount = rng.normal(week["amount"], 1 + week["amount"], n)
    return pd.DataFrame(
        {
            "amount": pd.array(np.where(rng.random(n) < 0.05, np.nan, amount), dtype="Float64"),
            "region": rng.choice(list("abcde"), n, p=week["region"]),
            "grade": rng.choice(["x", "y"], n, p=week["grade"]),
        }
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """The tables of a monitor after two runs: two baselines, an unseen label and one that is gone, late rows counted anew."""
    folder, rng = tmp_path_factory.mktemp("metrics"), np.random.default_rng(20260101)
    config = _config(folder)
    capture_reference(rows(rng, 3000, WEEKS[0]), config, version="1")
    days = pd.date_range("2026-01-05", periods=21)
    log = pd.concat([rows(rng, 120 + 7 * i, WEEKS[i // 7]).assign(ts=day) for i, day in enumerate(days)])
    log.to_parquet(folder / "log.parquet")
    run(config, "2026-01-19")
    late = rows(rng, 60, WEEKS[1]).assign(ts=pd.Timestamp("2026-01-15"))
    pd.concat([log, late]).to_parquet(folder / "log.parquet")
    run(config, "2026-01-26")
    return {name: _query(folder, f"SELECT * FROM {name}") for name in READ} | {
        name: _query(folder, sql) for name, sql in zip(NAMES, BLOCKS, strict=True)
    }


def _config(folder: Path) -> Any:
    window = {"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05", "restate": "14d"}
    features = ["amount", *({"name": name, "kind": "categorical"} for name in ("region", "grade"))]
    detection = {"threshold": 0.05, "alpha": 0.01}
    baselines = ["training", "previous"]
    return make_config(folder, window=window, features=features, detection=detection, baselines=baselines)


def _query(folder: Path, sql: str) -> list[Row]:
    warehouse = open_warehouse(_config(folder).warehouse, read_only=True)
    try:
        return warehouse.query(Statement("page", sql))
    finally:
        warehouse.close()


def by_key(found: Sequence[Row], *names: str) -> dict[tuple[Any, ...], Row]:
    keyed = {tuple(row[name] for name in names): row for row in found}
    assert len(keyed) == len(found)
    return keyed


WINDOW = ("feature", "window_start", "window_end")


def test_the_page_has_these_queries() -> None:
    """Every block of SQL on the page is run here."""
    assert len(BLOCKS) == PAGE.count("```sql") == len(NAMES)


def test_divergences_of_labels(stored: dict[str, list[Row]]) -> None:
    """PSI and JS distance, also where a bucket is empty on one side, are those of drift_results."""
    expected = by_key(_judged(stored, kind="categorical", baseline="training"), *WINDOW)
    actual = by_key(stored["labels"], *WINDOW)
    assert actual.keys() == expected.keys()
    assert len(actual) == 6
    for key, row in actual.items():
        assert [row["psi"], row["js_distance"]] == pytest.approx(
            [expected[key]["psi"], expected[key]["js_distance"]], abs=1e-9
        )
    shares = [
        (item["baseline_share"], item["current_share"]) for row in expected.values() for item in row["contributions"]
    ]
    assert any(p == 0 < q for p, q in shares)
    assert any(q == 0 < p for p, q in shares)


def test_shifts_of_moments(stored: dict[str, list[Row]]) -> None:
    """Granules merged as the page says give the stored shifts of mean and standard deviation."""
    expected = by_key(_judged(stored, kind="numeric", baseline="training"), *WINDOW)
    actual = by_key(stored["moments"], *WINDOW)
    assert actual.keys() == expected.keys()
    assert len(actual) == 3
    for key, row in actual.items():
        wanted = [expected[key]["mean_shift"], expected[key]["std_shift"]]
        assert [row["mean_shift"], row["std_shift"]] == pytest.approx(wanted, abs=1e-9)


def test_the_statistic(stored: dict[str, list[Row]]) -> None:
    """Noise floor and score are the stored ones, and so is scipy's tail of a non-central chi-square at the page's T."""
    expected = by_key(_judged(stored), "baseline", *WINDOW)
    actual = by_key(stored["statistic"], "baseline", *WINDOW)
    assert actual.keys() == expected.keys()
    assert len(actual) == 15  # the first week has no week before
    for key, row in actual.items():
        wanted = expected[key]
        assert [row["noise_floor"], row["drift_score"]] == pytest.approx(
            [wanted["noise_floor"], wanted["drift_score"]], abs=1e-9
        )
        tail = stats.ncx2.sf(row["t"], row["df"], row["t_at_threshold"])
        assert tail == pytest.approx(wanted["p_value"], abs=1e-9)
    assert {row["drift_score"] > 0 for row in actual.values()} == {True, False}


def test_adjusted_p_values(stored: dict[str, list[Row]]) -> None:
    """Holm's values are the stored ones, those of superseded verdicts too; some are raised, some cut at 1, some carried on."""
    verdict = ("run_id", "baseline", *WINDOW)
    expected = by_key([row for row in stored["drift_results"] if row["p_value"] is not None], *verdict)
    actual = by_key(stored["holm"], *verdict)
    assert actual.keys() == expected.keys()
    assert len(actual) > 15
    for key, row in actual.items():
        assert row["p_adjusted"] == pytest.approx(expected[key]["p_adjusted"], rel=1e-9)
    assert any(row["p_value"] < row["p_adjusted"] < 1 for row in expected.values())
    largest: dict[tuple[Any, ...], Row] = {}
    for row in sorted(expected.values(), key=lambda row: row["p_value"]):
        largest[row["run_id"], row["window_start"]] = row  # counts once: more than itself only when carried on
    assert any(row["p_value"] < row["p_adjusted"] == 1 for row in largest.values())


@pytest.mark.googlesql
@pytest.mark.parametrize("name", NAMES)
def test_google_answers_the_same(name: str, stored: dict[str, list[Row]], request: pytest.FixtureRequest) -> None:
    """Each query is GoogleSQL as it stands, and Google's evaluator gives what DuckDB gave."""
    server: GoogleSQL = request.getfixturevalue("googlesql")
    tables = {table: {column.name: column.type for column in READ[table].columns} for table in READ}
    found = server.evaluate(BLOCKS[NAMES.index(name)], tables, {}, {table: stored[table] for table in READ})
    keys = (
        ["run_id", "baseline", *WINDOW] if name == "holm" else ["baseline", *WINDOW] if name == "statistic" else WINDOW
    )
    expected, actual = by_key(stored[name], *keys), by_key(found, *keys)
    assert actual.keys() == expected.keys()
    for key, row in actual.items():
        assert _numbers(row) == pytest.approx(_numbers(expected[key]), abs=1e-9)


def _numbers(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, int | float)}


def _judged(stored: dict[str, list[Row]], **wanted: Any) -> list[Row]:
    """The newest evaluated verdicts with these values."""
    found = (row for row in stored["drift_latest"] if row["status"] != "not_evaluated")
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]
