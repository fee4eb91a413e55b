"""The command line, as a user calls it: output, exit codes, one-paragraph errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.command import call, start


@pytest.fixture
def files(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A monitor with a year's first week of quiet log and a second week that moved."""
    days = np.repeat(pd.date_range("2026-01-05", periods=14), 100)
    amounts = np.concatenate([rng.normal(0, 1, 700), rng.normal(1, 1, 700)])
    regions = rng.choice(["north", "south"], 1400)
    pd.DataFrame({"amount": amounts, "region": regions, "ts": days}).to_parquet(tmp_path / "log.parquet")
    training = pd.DataFrame({"amount": rng.normal(0, 1, 3000), "region": rng.choice(["north", "south"], 3000)})
    training.to_parquet(tmp_path / "training.parquet")
    config = {
        "monitor": "loans",
        "warehouse": f"duckdb://{tmp_path}/monitor.duckdb",
        "source": {"table": f"{tmp_path}/log.parquet", "timestamp": "ts"},
        "features": ["amount", "region"],
        "window": {"length": "7d", "every": "7d", "start": "2026-01-05"},
    }
    (tmp_path / "loans.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_the_tour_of_a_monitor(files: Path) -> None:
    """init, validate, reference capture, plan, run, list: each says what it did, with the right exit code."""
    config = str(files / "loans.yaml")
    assert start("init", config).returncode == 0
    assert call("init", config).returncode == 0
    assert "no reference captured" in call("validate", config).stdout
    captured = call("reference", "capture", config, "--data", str(files / "training.parquet"), "--version", "1")
    assert captured.returncode == 0
    assert "amount" in captured.stdout
    assert call("validate", config).returncode == 0
    planned = json.loads(call("plan", config, "--as-of", "2026-01-19", "--json").stdout)
    assert (planned[0]["n_granules"], planned[0]["n_rows"], len(planned[0]["windows"])) == (14, 1400, 2)
    quiet = call("run", config, "--as-of", "2026-01-12")
    assert quiet.returncode == 0
    drifted = start("run", config, "--as-of", "2026-01-19", "--json")
    assert drifted.returncode == 1
    results = json.loads(drifted.stdout)[0]["results"]
    assert {item["feature"]: item["status"] for item in results} == {"amount": "drift", "region": "ok"}
    assert "nothing due" in call("run", config, "--as-of", "2026-01-19").stdout
    listed = json.loads(call("reference", "list", config, "--json").stdout)
    assert [item["model_version"] for item in listed] == ["1"]


def test_a_stretch_of_the_past_is_backfilled(files: Path) -> None:
    """--from and --to judge the windows that end in between; one without the other is a mistake."""
    config = str(files / "loans.yaml")
    call("reference", "capture", config, "--data", str(files / "training.parquet"), "--version", "1")
    past = call("run", config, "--from", "2026-01-13", "--to", "2026-01-19", "--json")
    assert past.returncode == 1
    (outcome,) = json.loads(past.stdout)
    assert (outcome["is_backfill"], [window["end"][:10] for window in outcome["windows"]]) == (True, ["2026-01-19"])
    half = call("run", config, "--from", "2026-01-13")
    assert (half.returncode, "--from and --to go together" in half.stderr) == (2, True)


def test_a_feature_that_cannot_be_evaluated_is_exit_3(files: Path) -> None:
    """A column that vanished from the log is a row with a reason and exit code 3, unless something drifted."""
    config = str(files / "loans.yaml")
    call("reference", "capture", config, "--data", str(files / "training.parquet"), "--version", "1")
    log = pd.read_parquet(files / "log.parquet").drop(columns="region")
    log.to_parquet(files / "log.parquet")
    found = call("run", config, "--as-of", "2026-01-12", "--json")
    assert found.returncode == 3
    (region,) = [item for item in json.loads(found.stdout)[0]["results"] if item["feature"] == "region"]
    assert (region["status"], region["reason"]) == ("not_evaluated", "missing column")
    assert call("run", config, "--as-of", "2026-01-19").returncode == 1


def test_compare_writes_what_it_is_asked_for(files: Path) -> None:
    """The JSON report, the CSV of scores and the printed JSON agree; drift is exit 1."""
    out, csv = files / "report.json", files / "scores.csv"
    log = str(files / "log.parquet")
    found = call("compare", str(files / "training.parquet"), log, "--output", str(out), "--csv", str(csv), "--json")
    assert found.returncode == 1
    report = json.loads(out.read_text())
    assert report == json.loads(found.stdout)
    scores = pd.read_csv(csv)
    assert dict(zip(scores["feature"], scores["status"], strict=True)) == {"amount": "drift", "region": "ok"}
    assert call("compare", str(files / "training.parquet"), log, "--features", "region").returncode == 0


def test_a_locked_database_is_exit_4(files: Path) -> None:
    """A database that another process holds past the deadline is a warehouse error, said in one paragraph."""
    import duckdb

    config = yaml.safe_load((files / "loans.yaml").read_text())
    config["budget"] = {"deadline": "1s"}
    (files / "loans.yaml").write_text(yaml.safe_dump(config))
    with duckdb.connect(str(files / "monitor.duckdb")):
        found = start("run", str(files / "loans.yaml"))
    assert found.returncode == 4
    assert "locked by another process" in found.stderr


def test_looking_makes_no_database_and_a_mistyped_path_is_said(files: Path) -> None:
    """plan, run and reference list answer exit 2 where no database is; only init and capture make one."""
    config = str(files / "loans.yaml")
    for command in (["plan", config], ["run", config], ["reference", "list", config]):
        found = call(*command)
        assert (found.returncode, "no such database" in found.stderr) == (2, True)
    assert not (files / "monitor.duckdb").exists()


def test_a_fleet_runs_on_past_a_broken_monitor(files: Path) -> None:
    """One monitor's missing log is told and counted in the exit code; the next one is still judged."""
    fleet = files / "fleet"
    fleet.mkdir()
    good = yaml.safe_load((files / "loans.yaml").read_text())
    broken = {**good, "monitor": "a_broken", "source": {"table": f"{files}/nowhere.parquet", "timestamp": "ts"}}
    for config in (good, broken):
        (fleet / f"{config['monitor']}.yaml").write_text(yaml.safe_dump(config))
        training = str(files / "training.parquet")
        call("reference", "capture", str(fleet / f"{config['monitor']}.yaml"), "--data", training, "--version", "1")
    found = call("run", str(fleet), "--as-of", "2026-01-19")
    assert found.returncode == 2
    assert "nowhere.parquet" in found.stderr
    assert "loans: 2 windows" in found.stdout


def test_a_filter_that_cannot_run_is_found_by_validate(files: Path) -> None:
    """A filter whose types do not fit is a fault of the configuration, before anything runs."""
    config = yaml.safe_load((files / "loans.yaml").read_text())
    config["source"]["filter"] = "STARTS_WITH(amount, 'x')"
    (files / "loans.yaml").write_text(yaml.safe_dump(config))
    found = call("validate", str(files / "loans.yaml"))
    assert found.returncode == 2
    assert "source.filter" in found.stdout


def test_output_survives_a_terminal_without_unicode(files: Path) -> None:
    """A column name that the terminal cannot show is escaped; the exit code stays that of the verdict."""
    pd.DataFrame({"größe": np.linspace(0, 1, 100)}).to_parquet(files / "a.parquet")
    found = start("compare", str(files / "a.parquet"), str(files / "a.parquet"), "--json", PYTHONIOENCODING="ascii")
    assert found.returncode == 0, found.stderr


def bad_input(folder: Path) -> dict[str, list[str]]:
    """Every kind of bad input that users meet, as arguments."""
    good = yaml.safe_load((folder / "loans.yaml").read_text())

    def config(name: str, **changes: object) -> str:
        (folder / name).write_text(yaml.safe_dump({**good, **changes}))
        return str(folder / name)

    training, log = str(folder / "training.parquet"), str(folder / "log.parquet")
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("amount,region\n")
    (folder / "broken.csv").write_text("amount,region\n1,north\n2,south,east,west\n3,north\n")
    (folder / "other.csv").write_text("colour\nred\nblue\n")
    (folder / "text.csv").write_text("amount,region\nmany,north\nfew,south\n")
    (folder / "h.yaml").write_text("monitor: m\nwindow: {start: 2026-13-01}\n")
    capture = ["reference", "capture"]
    numeric = config("c.yaml", features=[{"name": "amount", "kind": "numeric"}])
    backtick = {"table": "acme-ml.serving.lo`ans", "timestamp": "ts"}
    return {
        "unknown key": ["validate", "--offline", config("a.yaml", detektion={})],
        "missing column": ["compare", training, log, "--features", "amount,income"],
        "missing column of a log": ["run", config("b.yaml", source={**good["source"], "timestamp": "when"})],
        "wrong type": [*capture, numeric, "--data", str(folder / "text.csv"), "--version", "1"],
        "wrong type in YAML": ["validate", "--offline", config("d.yaml", detection={"alpha": "small"})],
        "empty file": ["compare", training, str(folder / "empty.csv")],
        "file without rows": ["compare", training, str(folder / "header.csv")],
        "broken row": ["compare", str(folder / "broken.csv"), log],
        "directory": ["compare", str(folder), log],
        "no common column": ["compare", training, str(folder / "other.csv")],
        "unreadable gs:// path": ["validate", "--offline", "gs://bq-monitor-nowhere/loans.yaml"],
        "backtick": ["validate", "--offline", config("e.yaml", warehouse="bigquery://acme-ml/monitoring", source=backtick)],
        "missing file": ["compare", training, str(folder / "nowhere.parquet")],
        "unknown channel": ["validate", "--offline", config("f.yaml", alerts={"channels": ["slak"]})],
        "no rows": ["run", config("g.yaml", source={**good["source"], "filter": "region = 'west'"}, window={"length": "7d", "every": "7d"})],
        "moment to come": ["plan", str(folder / "loans.yaml"), "--as-of", "2999-01-01"],
        "bad date": ["validate", "--offline", str(folder / "h.yaml")],
        "bad moment": ["plan", str(folder / "loans.yaml"), "--as-of", "yesterday"],
        "unwritable output": ["compare", training, log, "--output", str(folder / "no" / "report.json")],
        "unknown option": ["compare", training, log, "--colour"],
    }  # fmt: skip


KINDS = (
    "unknown key", "missing column", "missing column of a log", "wrong type", "wrong type in YAML", "empty file", "file without rows",
    "broken row", "directory", "no common column", "unreadable gs:// path", "backtick", "missing file", "unknown channel",
    "bad moment", "no rows", "moment to come", "bad date", "unwritable output", "unknown option",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_exit_2_with_one_paragraph(files: Path, kind: str) -> None:
    """A user's mistake ends in one paragraph on stderr that names the place, never in a traceback."""
    if kind in ("missing column of a log", "no rows", "moment to come", "bad moment"):
        captured = call(
            "reference",
            "capture",
            str(files / "loans.yaml"),
            "--data",
            str(files / "training.parquet"),
            "--version",
            "1",
        )
        assert captured.returncode == 0
    # Without credentials, and without a network to look for them.
    found = call(*bad_input(files)[kind], NO_GCE_CHECK="true", GOOGLE_APPLICATION_CREDENTIALS=str(files / "none.json"))
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    assert found.stdout == ""
    assert 20 < len(found.stderr) < 1200


def test_help_names_every_command() -> None:
    """`--help` works everywhere."""
    listed = start("--help").stdout
    for command in ("init", "validate", "plan", "reference", "run", "compare", "sql", "demo"):
        assert command in listed
        assert call(command, "--help").returncode == 0
