"""The page about outcomes holds: its SQL answers what scikit-learn and plain Python do, in DuckDB and in Google's evaluator; its names are ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn import metrics

from bq_monitor import capture_reference, cli, run
from bq_monitor.alerts.rules import OF_OUTCOMES
from bq_monitor.freeze import MIN_LABEL_ROWS
from bq_monitor.history import WINDOWS_OF_VOLUME
from bq_monitor.measure.health import WEIGHTS
from bq_monitor.measure.performance import METRICS
from bq_monitor.measure.quality import MIN_EXPECTED
from bq_monitor.outcomes import MAX_CLASSES
from bq_monitor.scan import AGES, LABEL_MARGIN
from bq_monitor.segments import MAX_LISTED
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Row, Statement
from bq_monitor.warehouse.schema import ARRIVALS, OUTCOME_HISTOGRAMS, PERFORMANCE_RESULTS, QUALITY_RESULTS, Table
from tests.conftest import ROOT, make_config
from tests.googlesql.conftest import googlesql

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

__all__ = ["googlesql"]  # its fixture

PAGE = (ROOT / "docs" / "outcomes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NAMES = ("timeline", "broken", "confusion", "moved", "ages", "quality", "accuracy", "auc")
READ: dict[str, Table] = {
    "performance_timeline": PERFORMANCE_RESULTS, "performance_latest": PERFORMANCE_RESULTS, "arrivals_latest": ARRIVALS,
    "quality_latest": QUALITY_RESULTS, "outcome_histograms_latest": OUTCOME_HISTOGRAMS,
}  # fmt: skip
START, N_DAYS, PER_DAY = pd.Timestamp("2026-01-05"), 21, 100
AS_OF = "2026-02-01"  # the outcomes of the first two weeks are there, some of the third are not


def rows(rng: np.random.Generator, n: int, *, turned: bool = False) -> pd.DataFrame:
    """Answers whose score is the chance of the outcome; `turned`: in the north, the same score then means the contrary."""
    x, region = rng.normal(0, 1, n), rng.choice(["north", "south"], n)
    score = 1 / (1 + np.exp(-1.5 * x))
    chance = np.where((region == "north") & turned, 1 - score, score)
    return pd.DataFrame(
        {"amount": x, "region": region, "approved": score >= 0.5, "score": score, "repaid": rng.random(n) < chance}
    )


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """Three weeks; in the second the north is turned, in the third a tenth of the amounts is missing."""
    rng = np.random.default_rng(20260101)
    weeks = [rows(rng, 7 * PER_DAY, turned=week == 1) for week in range(3)]
    weeks[2].loc[weeks[2].index % 10 == 0, "amount"] = np.nan
    found = pd.concat(weeks, ignore_index=True)
    found["ts"] = START + pd.to_timedelta(np.arange(len(found)) // PER_DAY, unit="D")
    found["id"] = [f"a{i}" for i in range(len(found))]
    found["known_at"] = found["ts"] + pd.to_timedelta(rng.uniform(0, 12, len(found)), unit="D")
    return found


@pytest.fixture(scope="module")
def known(log: pd.DataFrame) -> pd.DataFrame:
    """The rows whose outcome is known at the last run."""
    return log[log["known_at"] < AS_OF].assign(week=lambda found: (found["ts"] - START).dt.days // 7)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, log: pd.DataFrame) -> dict[str, list[Row]]:
    """The views of a monitor after two runs, and what the queries of the page answer."""
    folder = tmp_path_factory.mktemp("outcomes")
    log.drop(columns=["repaid", "known_at"]).to_parquet(folder / "log.parquet")
    log[["id", "repaid", "known_at"]].to_parquet(folder / "labels.parquet")
    config = make_config(
        folder, source={"table": f"{folder}/log.parquet", "timestamp": "ts", "id": "id"},
        features=["amount", {"name": "region", "kind": "categorical"}],
        prediction={"column": "approved", "kind": "binary", "positive": True, "score": "score"},
        labels={"table": f"{folder}/labels.parquet", "column": "repaid", "timestamp": "known_at", "matures_after": "12d"},
        segments=["region"], performance={"accuracy": {"min": 0.7}}, quality={"null_rate": {"max_rise": 0.02}},
        detection={"alpha": 0.01},
    )  # fmt: skip
    capture_reference(rows(np.random.default_rng(5), 3000), config, version="1")
    for moment in ("2026-01-26", AS_OF):
        run(config, moment)
    warehouse = open_warehouse(config.warehouse, read_only=True)
    try:
        queries = {name: f"SELECT * FROM {name}" for name in READ} | dict(zip(NAMES, BLOCKS, strict=True))
        return {name: warehouse.query(Statement(name, sql)) for name, sql in queries.items()}
    finally:
        warehouse.close()


def week_of(row: Row) -> int:
    return int((row["window_start"].astimezone(UTC).date() - START.date()).days // 7)


def parts(known: pd.DataFrame) -> dict[tuple[int, str], pd.DataFrame]:
    """Known rows by week and segment."""
    whole = {(int(week), "all"): part for week, part in known.groupby("week")}
    return whole | {(int(week), f"region={name}"): part for (week, name), part in known.groupby(["week", "region"])}


def of_segments(found: Sequence[Row]) -> dict[tuple[int, str], Row]:
    """Rows by week and segment; without the segment that nothing fell in."""
    keyed = {(week_of(row), row["segment"]): row for row in found}
    assert len(keyed) == len(found)
    return {key: row for key, row in keyed.items() if key[1] != "region=(other)"}


def test_the_page_has_these_queries() -> None:
    """Every block of SQL on the page is run here."""
    assert len(BLOCKS) == PAGE.count("```sql") == len(NAMES)


def test_accuracy_over_time(stored: dict[str, list[Row]], known: pd.DataFrame) -> None:
    """Each week and segment has scikit-learn's accuracy within its bounds, the estimate, training's value, and is marked where outcomes lack."""
    found, expected = of_segments(stored["timeline"]), parts(known)
    assert found.keys() == expected.keys()
    for key, row in found.items():
        part = expected[key]
        assert row["realised"] == pytest.approx(metrics.accuracy_score(part["repaid"], part["approved"]), abs=1e-9)
        assert row["at_least"] < row["realised"] < row["at_most"]
        assert row["n_labelled"] == len(part)
        assert row["training"] == pytest.approx(0.75, abs=0.05)
        assert row["estimated"] == pytest.approx(0.75, abs=0.05), "the estimate cannot see that the world has turned"
        assert row["is_provisional"] is (key[0] == 2)
    assert found[1, "region=north"]["realised"] < 0.4


def test_broken_limits(stored: dict[str, list[Row]]) -> None:
    """They are those of the week in which the north was turned, where the accuracy is surely below 0.7; of the mature ones only."""
    found = [row for row in stored["broken"] if row["metric"] == "accuracy"]
    assert [(week_of(row), row["segment"], row["basis"]) for row in found] == [
        (1, "all", "realised"), (1, "region=north", "realised"),
    ]  # fmt: skip
    assert all(row["upper"] < 0.7 and row["rule"] == "min 0.7" and row["p_adjusted"] < 0.01 for row in found)
    assert all(row["rule"] and week_of(row) < 2 for row in stored["broken"])


def test_confusion(stored: dict[str, list[Row]], known: pd.DataFrame) -> None:
    """The cells are those of a cross table of the raw rows."""
    expected = {
        (int(week), str(outcome).lower(), str(predicted).lower()): len(part)
        for (week, outcome, predicted), part in known.groupby(["week", "repaid", "approved"])
    }
    assert {(week_of(row), row["outcome"], row["predicted"]): row["n"] for row in stored["confusion"]} == expected


def test_where_the_outcome_moved(stored: dict[str, list[Row]], known: pd.DataFrame) -> None:
    """Of the region, what the query says is the share that came true of each bucket; it drifted in no week, the score did in the second."""
    regions = [row for row in stored["moved"] if row["feature"] == "region"]
    assert {week_of(row) for row in stored["moved"]} == {0, 1}
    assert len(regions) == 4
    for row in regions:
        name, outcome = row["bucket"].split(": ")
        part = known[(known["week"] == week_of(row)) & (known["region"] == name)]
        assert row["now"] == pytest.approx((part["repaid"].astype(str).str.lower() == outcome).mean(), abs=1e-9)
        assert row["n"] == len(part)
    drifted = {(week_of(row), row["feature"]) for row in stored["moved"] if row["status"] == "drift"}
    assert (1, "score") in drifted
    assert {week for week, _ in drifted} == {1}
    assert {row["feature"] for row in stored["moved"]} == {"amount", "region", "score"}


def test_how_long_outcomes_take(stored: dict[str, list[Row]], log: pd.DataFrame) -> None:
    """The shares are those of the raw ages, in granules before the date of the query."""
    early = log[log["ts"] < "2026-01-19"]
    ages = early["known_at"] - early["ts"]
    assert [row["days"] for row in stored["ages"]] == list(AGES)
    for row in stored["ages"]:
        assert row["share_known"] == pytest.approx((ages < timedelta(days=row["days"])).mean(), abs=1e-9)
    assert stored["ages"][0]["share_known"] < 0.1 < stored["ages"][-1]["share_known"] == 1


def test_what_is_wrong_with_the_data(stored: dict[str, list[Row]]) -> None:
    """It is that a tenth of the amounts is missing in the third week."""
    (row,) = stored["quality"]
    assert (week_of(row), row["check_name"], row["feature"], row["limit_value"]) == (2, "null_rate", "amount", 0.02)
    assert row["value"] == pytest.approx(0.1)
    assert "null_rate of amount is 10%" in row["explanation"]


def test_accuracy_from_stored_counts(stored: dict[str, list[Row]]) -> None:
    """Accuracy and Wilson's bounds, from counts by outcome and prediction, are the stored ones."""
    expected = of_segments(_told(stored, "accuracy"))
    found = of_segments(stored["accuracy"])
    assert found.keys() == expected.keys()
    assert len(found) == 9
    for key, row in found.items():
        wanted = expected[key]
        assert row["n"] == wanted["n"]
        numbers = [row["accuracy"], row["lower"], row["upper"]]
        assert numbers == pytest.approx([wanted["value"], wanted["lower"], wanted["upper"]], abs=1e-9)


def test_auc_from_stored_counts(stored: dict[str, list[Row]], known: pd.DataFrame) -> None:
    """AUC and its bound, from histograms of the score, are the stored ones; scikit-learn's is at most the bound away."""
    expected, found, raw = of_segments(_told(stored, "roc_auc")), of_segments(stored["auc"]), parts(known)
    assert found.keys() == expected.keys() == raw.keys()
    for key, row in found.items():
        wanted = [expected[key]["value"], expected[key]["bound"]]
        assert [row["roc_auc"], row["bound"]] == pytest.approx(wanted, abs=1e-9)
        exact = metrics.roc_auc_score(raw[key]["repaid"], raw[key]["score"])
        assert abs(row["roc_auc"] - exact) <= row["bound"] + 1e-9


def _told(stored: dict[str, list[Row]], metric: str) -> list[Row]:
    found = stored["performance_latest"]
    return [r for r in found if (r["basis"], r["metric"]) == ("realised", metric) and r["value"] is not None]


@pytest.mark.googlesql
@pytest.mark.parametrize("name", NAMES)
def test_google_answers_the_same(name: str, stored: dict[str, list[Row]], request: pytest.FixtureRequest) -> None:
    """Each query is GoogleSQL as it stands, and Google's evaluator gives what DuckDB gave."""
    server: GoogleSQL = request.getfixturevalue("googlesql")
    sql = BLOCKS[NAMES.index(name)]
    read = [table for table in READ if re.search(rf"\b{table}\b", sql)]
    contents = {table: stored[table] for table in read}
    columns = {
        table: {column.name: column.type for column in READ[table].columns if column.name in contents[table][0]}
        for table in read
    }
    found = server.evaluate(sql, columns, {}, contents)
    assert len(found) == len(stored[name]) > 0
    for actual, expected in zip(*(sorted(map(_plain, side), key=_text) for side in (found, stored[name])), strict=True):
        assert actual.keys() == expected.keys()
        for column, value in expected.items():
            wanted = pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
            assert actual[column] == wanted, column


def _plain(row: Row) -> dict[str, Any]:
    return {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()}


def _text(row: dict[str, Any]) -> str:
    """By everything but numbers with a point, which may differ in their last digits."""
    return repr([value for value in row.values() if not isinstance(value, float)])


@pytest.mark.parametrize("metric", sorted({name for names in METRICS.values() for name in names}))
def test_every_metric_has_its_place(metric: str) -> None:
    """No metric that can be configured is missing on the page."""
    assert f"`{metric}`" in PAGE


@pytest.mark.parametrize("kind", sorted([*OF_OUTCOMES, "quality"]))
def test_every_event_has_its_place(kind: str) -> None:
    """The table of events has a line for each kind that this page is about."""
    assert re.search(rf"^\| `{kind}` \| (critical|warning) \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("part", WEIGHTS)
def test_the_parts_of_health_are_ours(part: str) -> None:
    """Each with its weight."""
    assert f"| `{part}_health` | {WEIGHTS[part]} |" in PAGE


@pytest.mark.parametrize(
    "said",
    [
        f"the first {MAX_CLASSES} classes",
        f"the {MAX_LISTED} largest groups with at least 5 training rows",
        f"dated more than {LABEL_MARGIN.days} day before the granules that are read are not read",
        f"at least {MIN_LABEL_ROWS} training rows",
        f"mean of up to {WINDOWS_OF_VOLUME} windows before",
        f"where {MIN_EXPECTED} rows or more were to be expected",
        f"within {', '.join(map(str, AGES[:-1]))} and {AGES[-1]} days",
    ],
)
def test_the_page_says_each_constant_as_it_is(said: str) -> None:
    """A constant that changes must change on the page."""
    assert said in " ".join(PAGE.split())


YAML = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_yaml_of_the_page_is_a_configuration(tmp_path: Any) -> None:
    """All its sections together are one monitor, and none is ignored."""
    sections: dict[str, Any] = {}
    for text in YAML:
        sections |= yaml.safe_load(text)
    sections["source"]["table"] = sections["labels"]["table"] = "log.parquet"
    config = make_config(tmp_path, **sections)
    assert len(YAML) == 5
    assert config.labels is not None
    assert config.labels.contradictory == "exclude"
    assert config.performance["roc_auc"].max_drop == 0.03
    assert [segment.title for segment in config.segments] == ["region", "region & channel", "thin_file"]
    assert config.fairness[0].min_ratio == 0.8


def test_the_readme_shows_sections_that_hold(tmp_path: Any) -> None:
    """Its YAML of outcomes, with the README's own monitor around it, is a configuration."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (text,) = [
        found for found in re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL) if "labels:" in found
    ]
    prediction = {"column": "approved", "kind": "binary", "positive": True, "score": "probability"}
    source = {"table": "log.parquet", "timestamp": "ts", "id": "id"}
    config = make_config(tmp_path, source=source, prediction=prediction, **yaml.safe_load(text))
    assert config.labels is not None
    assert str(config.labels.matures_after) == "45d"
    assert set(config.performance) == {"accuracy", "roc_auc"}


def test_the_readme_names_options_that_exist() -> None:
    """Each option in its table of `compare` is one, and each that reads data or says how to judge stands there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("| option | adds |") : readme.index("Extras:")]
    known = {
        name for parameter in cli.cli.commands["compare"].params for name in parameter.opts if name.startswith("--")
    }
    assert set(re.findall(r"--[a-z][a-z-]+", table)) == known - {"--prediction", "--score"}
