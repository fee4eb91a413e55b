"""The demo on real loans: what is known to have changed in them is found, and what did not change is left alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from glob import escape
from pathlib import Path

import duckdb
import pytest

from bq_monitor import load_config, resources
from bq_monitor.demo import DemoResult, DemoRow, run_demo
from bq_monitor.errors import InputError

Reported = list[tuple[DemoRow, int, int]]


@pytest.fixture(scope="session")
def reported() -> Reported:
    """What the demo called back with."""
    return []


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, reported: Reported) -> DemoResult:
    """One whole demo, run over the remains of an earlier one."""
    folder = tmp_path_factory.mktemp("demo") / "made" / "by the demo [1]"
    folder.mkdir(parents=True)
    (folder / "monitor.yaml").write_text(
        "# Written by 'bq-monitor demo', which may remove this folder's files when it is run here again.\n"
    )
    (folder / "monitor.duckdb").write_text("not a database")
    return run_demo(folder, lambda row, done, total: reported.append((row, done, total)))


@pytest.fixture
def months(demo: DemoResult) -> dict[date, DemoRow]:
    return {row.month: row for row in demo.rows}


@pytest.fixture
def select(demo: DemoResult) -> Callable[[str], list[tuple[object, ...]]]:
    """Ask the finished database with the plain duckdb module."""

    def query(sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(str(demo.database), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    return query


def test_every_month_is_judged_once_in_order(demo: DemoResult, reported: Reported) -> None:
    """72 months from October 2003 to September 2009, each reported while the demo goes on."""
    expected = [date(2003 + (9 + i) // 12, (9 + i) % 12 + 1, 1) for i in range(72)]
    assert [row.month for row in demo.rows] == expected
    assert reported == [(row, done, 72) for done, row in enumerate(demo.rows, start=1)]
    assert demo.rows[0].n_loans == 192
    assert sum(row.n_loans for row in demo.rows) == demo.n_logged == 15_353
    assert demo.n_training == 5_258


def test_the_end_of_the_short_form_is_found(months: dict[date, DemoRow]) -> None:
    """No loan has `low_doc` from October 2005 on; it drifts in every month until the crisis thins the log."""
    span = [row for month, row in months.items() if date(2005, 10, 1) <= month <= date(2008, 2, 1)]
    assert len(span) == 29
    assert [row.month for row in span if "low_doc" not in row.drifted] == []


def test_shrinking_loans_are_found(months: dict[date, DemoRow]) -> None:
    """The median loan falls from 100,000 dollars in training to 35,000 in 2007."""
    span = [row for month, row in months.items() if date(2004, 10, 1) <= month <= date(2008, 2, 1)]
    found = [row for row in span if "loan_amount" in row.drifted]
    assert len(span) == 41
    assert len(found) / len(span) > 0.8


def test_stable_features_never_drift(demo: DemoResult) -> None:
    """New against existing and urban against rural businesses keep their shares: no false alarm in 72 months."""
    assert [row.month for row in demo.rows if {"new_exist", "urban_rural"} & set(row.drifted)] == []


def test_months_with_few_loans_are_not_evaluated(months: dict[date, DemoRow]) -> None:
    """The three months with fewer than 50 loans have a reason instead of a verdict, and no other month has."""
    few = {month: row for month, row in months.items() if row.not_evaluated}
    assert {month: row.n_loans for month, row in few.items()} == {
        date(2008, 11, 1): 35, date(2009, 1, 1): 47, date(2009, 2, 1): 42,
    }  # fmt: skip
    assert few[date(2008, 11, 1)].reasons == ("too few rows: 35 of at least 50",)
    assert all(len(row.not_evaluated) == 13 and row.drifted == () for row in few.values())


def test_predictions_are_watched_beside_the_features(
    demo: DemoResult, select: Callable[[str], list[tuple[object, ...]]]
) -> None:
    """The decision and its score are rows of their own, told apart by their role."""
    roles = select("SELECT DISTINCT feature, role FROM drift_latest WHERE role <> 'feature' ORDER BY feature")
    assert roles == [("approved", "prediction"), ("probability", "score")]
    assert 0.55 < demo.roc_auc < 0.70  # 0.63 is reached by gradient boosting; 0.96 would be leakage


def test_the_views_answer_a_plain_client(demo: DemoResult, select: Callable[[str], list[tuple[object, ...]]]) -> None:
    """Any DuckDB client reads the stored counts: 237 loans in October 2005, none of them on the short form."""
    counted = select(
        "SELECT bucket_name, SUM(production_n) FROM feature_histograms "
        "WHERE feature = 'low_doc' AND segment = 'all' AND granule >= '2005-10-01' AND granule < '2005-11-01' GROUP BY ALL ORDER BY ALL"
    )
    assert {name: n for name, n in counted if n} == {"N": 237}
    assert select("SELECT COUNT(*), COUNT(DISTINCT window_start) FROM drift_latest WHERE segment = 'all'") == [
        (72 * 13, 72)
    ]
    assert select(
        "SELECT SUM(n_loans) FROM (SELECT MAX(n_current) AS n_loans FROM drift_latest GROUP BY window_start)"
    ) == [(15_353,)]
    for query in demo.queries:
        assert select(query.sql), query.title


def test_the_crisis_is_concept_shift_once_outcomes_come(demo: DemoResult) -> None:
    """From mid 2005 on far fewer loans are repaid than the same answers promised: told a year after each month, as concept shift."""
    outcomes = {item.month: item for item in demo.outcomes}
    assert list(outcomes) == [
        row.month for row in demo.rows if row.month < date(2008, 10, 1)
    ]  # the others' have not come
    crisis = [item for month, item in outcomes.items() if date(2005, 6, 1) <= month <= date(2008, 5, 1)]
    assert len(crisis) == 36
    assert all((item.shift or "").startswith("concept shift") for item in crisis)
    assert all((item.happened or 1) < (item.predicted or 0) - 0.15 for item in crisis)
    quiet = [item for month, item in outcomes.items() if month < date(2004, 12, 1)]
    assert not any((item.shift or "").startswith("concept shift") for item in quiet)


def test_what_happened_is_what_the_data_say(demo: DemoResult) -> None:
    """The share of charge-offs by fiscal year is that of the raw file: 0.615, 0.702, 0.781 and 0.750 in 2005 to 2008; the log promised far less."""
    for year, charged_off in {2005: 0.615, 2006: 0.702, 2007: 0.781, 2008: 0.750}.items():
        months = [item for item in demo.outcomes if date(year - 1, 10, 1) <= item.month < date(year, 10, 1)]
        n_loans = sum(item.n_loans for item in months)
        repaid = sum((item.happened or 0) * item.n_loans for item in months) / n_loans
        promised = sum((item.predicted or 0) * item.n_loans for item in months) / n_loans
        assert 1 - repaid == pytest.approx(charged_off, abs=0.002)
        logged = f"predicted_at >= DATE '{year - 1}-10-01' AND predicted_at < DATE '{year}-10-01'"
        with duckdb.connect() as connection:
            (mean,) = connection.execute(
                f"SELECT AVG(probability) FROM read_parquet(?) WHERE {logged}", [escape(str(demo.log))]
            ).fetchone() or (0,)
        assert promised == pytest.approx(mean, abs=1e-9)
        assert charged_off - (1 - promised) > 0.15


def test_the_alert_comes_when_outcomes_mature(demo: DemoResult, months: dict[date, DemoRow]) -> None:
    """No month raises a concept alert before its outcomes are a year old; the run of January 2008 tells of January 2007."""
    first = next(row for row in demo.rows if any("concept shift" in event for event in row.events))
    assert first.month >= date(2005, 10, 1)
    told = [event for event in months[date(2008, 1, 1)].events if event.startswith("critical")]
    assert any("concept shift" in event for event in told)
    assert any("calibration_gap" in event and "limit max 0.1" in event for event in told)


def test_the_estimate_cannot_see_the_shift(demo: DemoResult) -> None:
    """While the realised AUC falls by a tenth in the crisis, what is estimated without outcomes stays where it was."""
    crisis = [item for item in demo.outcomes if date(2006, 3, 1) <= item.month < date(2008, 6, 1)]
    realised = sum((item.roc_auc or 0) for item in crisis) / len(crisis)
    estimated = sum((item.estimated_roc_auc or 0) for item in crisis) / len(crisis)
    assert realised < 0.54
    assert estimated > realised + 0.03


def test_the_folder_holds_a_monitor_anyone_can_run(demo: DemoResult) -> None:
    """The resolved YAML is the example with this folder's database and log; the log holds no outcome."""
    config, example = (
        load_config(demo.config),
        load_config(resources.resource("examples/loan_approval/loan_approval.yaml")),
    )
    assert config.warehouse == f"duckdb://{demo.database}"
    placed = {"warehouse": example.warehouse, "source": example.source, "labels": example.labels}
    assert config.model_copy(update=placed) == example
    with duckdb.connect() as connection:
        columns = connection.execute("SELECT * FROM read_parquet(?) LIMIT 0", [escape(str(demo.log))]).description
    assert columns is not None
    names = {column[0] for column in columns}
    assert names >= {"application_id", "predicted_at", "approved", "probability", "model_version"}
    assert not names & {"repaid", "mis_status", "term", "chg_off_date", "chg_off_prin_gr", "balance_gross"}


def test_the_result_has_plain_forms(demo: DemoResult) -> None:
    """`to_dict` and `to_frame` hold one entry a month."""
    assert demo.to_dict()["rows"][61]["not_evaluated"]["state"] == "too few rows: 35 of at least 50"
    assert list(demo.to_frame()["n_loans"]) == [row.n_loans for row in demo.rows]


@pytest.mark.parametrize(
    ("name", "text"), [("notes.txt", "mine"), ("monitor.yaml", "monitor: mine\n"), ("monitor.duckdb", "mine")]
)
def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, name: str, text: str) -> None:
    """Files that no demo wrote are named and kept, even under the demo's own names."""
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f"holds other things than an earlier demo: {name}"):
        run_demo(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, text)]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A path that cannot be a folder is the user's mistake, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be used"):
        run_demo(tmp_path / "file")


def test_without_scikit_learn_the_demo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The missing extra is named before anything is written."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"pip install 'bq-monitor\[ml\]'"):
        run_demo(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_resources_of_an_installed_wheel_stand_under_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped copy is used where there is one, even beside somebody's pyproject.toml; else the checkout's."""
    assert resources.resource("sql").is_dir()
    assert resources.resource("examples/loan_approval/sba_loans.parquet").is_file()
    package = tmp_path / "site-packages" / "bq_monitor"
    (package / "_resources").mkdir(parents=True)
    (package.parent / "pyproject.toml").touch()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert resources.resource("sql") == package / "_resources" / "sql"
