"""What a scraper is told: the rows of our tables, each as one sample, and nothing that is undefined."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from prometheus_client import REGISTRY, openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from bq_monitor import InputError, capture_reference, load_config, run
from bq_monitor.config import MonitorConfig
from bq_monitor.report import prometheus
from bq_monitor.report.prometheus import GAUGES, Scrape, exposition, scrape
from bq_monitor.warehouse.base import Row, Statement
from tests.bigquery_lab import Lab
from tests.command import call
from tests.conftest import ROOT

HOSTILE = 'so"u\\th\nn 🎈 {a="b"}'
START, PER_DAY, N_DAYS = pd.Timestamp("2026-01-05"), 90, 28
Key = tuple[str, frozenset[tuple[str, str]]]
Samples = dict[Key, float]


def answers(rng: np.random.Generator, n: int, shift: float = 0.0) -> pd.DataFrame:
    x = rng.normal(shift, 1, n)
    score = 1 / (1 + np.exp(-1.5 * x))
    found = {"amount": x, "score": score, "approved": score >= 0.5, "repaid": rng.random(n) < score}
    return pd.DataFrame(found).assign(region=rng.choice(["north", HOSTILE], n), ghost=x)


@dataclass(frozen=True)
class World:
    """A monitor that judged four weeks, some of them twice; the outcomes of the last two are still to come."""

    config: MonitorConfig

    def rows(self, sql: str) -> list[Row]:
        """Rows by plain SQL."""
        with duckdb.connect(self.config.warehouse.removeprefix("duckdb://"), read_only=True) as connection:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder, rng = tmp_path_factory.mktemp("prometheus"), np.random.default_rng(20260102)
    halves = [answers(rng, PER_DAY * N_DAYS // 2, shift) for shift in (0.0, 0.8)]
    log = pd.concat(halves, ignore_index=True).drop(columns="ghost")
    log["ts"] = START + pd.to_timedelta(np.arange(len(log)) // PER_DAY, unit="D")
    log["id"] = [f"a{i}" for i in range(len(log))]
    log["known_at"] = log["ts"] + pd.to_timedelta(rng.uniform(0, 10, len(log)), unit="D")
    log.drop(columns=["repaid", "known_at"]).to_parquet(folder / "log.parquet")
    log[["id", "repaid", "known_at"]].to_parquet(folder / "labels.parquet")
    data = {
        "monitor": "loans", "warehouse": f"duckdb://{folder}/monitor.duckdb",
        "source": {"table": f"{folder}/log.parquet", "timestamp": "ts", "id": "id"},
        "features": ["amount", "ghost", {"name": "region", "kind": "categorical"}],
        "prediction": {"column": "approved", "kind": "binary", "positive": True, "score": "score"},
        "labels": {"table": f"{folder}/labels.parquet", "column": "repaid", "timestamp": "known_at", "matures_after": "10d"},
        "segments": ["region"], "performance": {"accuracy": {"min": 0.6}}, "baselines": ["training", "previous"],
        "window": {"granule": "day", "length": "7d", "every": "7d", "start": "2026-01-05"},
    }  # fmt: skip
    (folder / "loans.yaml").write_text(yaml.safe_dump(data))
    made = load_config(folder / "loans.yaml")
    capture_reference(answers(rng, 3000), made, version="1")
    for moment in ("2026-01-19", "2026-02-02"):
        run(made, moment)
    return World(made)


def samples(text: str) -> Samples:
    """The samples of a text, each once; of each name one HELP and one TYPE, and its samples right behind them."""
    found: Samples = {}
    lines = text.splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert names == [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert len(set(names)) == len(names)
    for family in text_string_to_metric_families(text):
        assert (family.type, bool(family.documentation), bool(family.samples)) == ("gauge", True, True), family.name
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            assert sample.name == family.name
            assert isfinite(sample.value)
            found[key] = sample.value
    return found


def told(found: Scrape) -> Samples:
    return samples(exposition(found)[0].decode())


def number(value: Any) -> float:
    return value.timestamp() if isinstance(value, datetime) else float(value)


def expect(found: Sequence[Row], names: Mapping[str, str], labels: Sequence[str], **fixed: str) -> Samples:
    """What gauges, each of a column, must say of rows."""
    return {
        (name, frozenset({**{label: str(row[label]) for label in labels}, **fixed}.items())): number(row[column])
        for row in found
        for name, column in names.items()
        if row[column] is not None
    }


MODEL = ["monitor", "model_version"]
PLACE = [*MODEL, "segment"]
FEATURE = [*PLACE, "feature", "baseline"]
MEASURE = [*PLACE, "basis", "metric"]
PERFORMANCE = {
    "bq_monitor_performance_value": "value", "bq_monitor_performance_lower_bound": "lower",
    "bq_monitor_performance_upper_bound": "upper", "bq_monitor_performance_reference_value": "reference_value",
}  # fmt: skip
FLAGS = {"drift": 1, "ok": 0}


def counted(found: Sequence[Row], labels: Sequence[str], is_one: Callable[[Row], bool]) -> list[Row]:
    """How many rows of each kind are ones."""
    n: Counter[tuple[Any, ...]] = Counter()
    for row in found:
        n[tuple(row[label] for label in labels)] += is_one(row)
    return [{**dict(zip(labels, key, strict=True)), "n": value} for key, value in n.items()]


def unjudged(found: Sequence[Row], of: str) -> Samples:
    missing = counted(found, PLACE, lambda row: row["status"] == "not_evaluated")
    return expect(missing, {"bq_monitor_not_evaluated": "n"}, PLACE, of=of)


def expected_drift(world: World) -> Samples:
    verdicts = world.rows(
        "SELECT * FROM drift_results WHERE window_end = (SELECT MAX(window_end) FROM drift_results) "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY segment, feature, baseline, model_version ORDER BY computed_at DESC) = 1"
    )
    for row in verdicts:
        row |= {"flag": FLAGS.get(row["status"]), "value": row["metric"] and row[row["metric"]]}
    plain = {"bq_monitor_drift_detected": "flag", "bq_monitor_drift_score": "drift_score"}
    decided = {
        "bq_monitor_drift_value": "value", "bq_monitor_drift_threshold": "threshold", "bq_monitor_drift_lower_bound": "lower",
    }  # fmt: skip
    found = expect(verdicts, plain, FEATURE) | expect(verdicts, decided, [*FEATURE, "metric"])
    return found | unjudged(verdicts, "drift")


def expected_performance(world: World) -> Samples:
    rows = world.rows(
        "SELECT * FROM performance_results QUALIFY RANK() OVER (PARTITION BY window_end ORDER BY computed_at DESC) = 1"
    )
    settled = [row for row in rows if row["basis"] == "realised" and not row["is_provisional"]]
    parts = ([row for row in rows if row["basis"] != "realised"], settled)
    judged = [row for part in parts for row in part if row["window_end"] == max(r["window_end"] for r in part)]
    assert max(row["window_end"] for row in settled) < max(row["window_end"] for row in rows)
    for row in judged:
        row["broken"] = FLAGS.get(row["status"]) if row["rule"] else None
    accuracy = [row for row in judged if (row["metric"], row["basis"]) == ("accuracy", "realised")]
    for row in accuracy:
        row["lost"] = None if row["value"] is None else row["reference_value"] - row["value"]
    bins = [{**row, "confidence_bin": item["bin"], **item} for row in accuracy for item in row["bins"]]
    assert len(bins) > 3
    return (
        expect(judged, PERFORMANCE | {"bq_monitor_performance_limit_broken": "broken"}, MEASURE)
        | expect(judged, {"bq_monitor_performance_window_end_timestamp_seconds": "window_end"}, [*MODEL, "basis"])
        | expect(accuracy, {"model_accuracy_drift": "lost"}, PLACE)
        | expect(bins, {"model_accuracy_by_confidence": "share"}, [*PLACE, "confidence_bin"])
        | unjudged(judged, "performance")
    )


def expected_monitor(world: World) -> Samples:
    """What is told of the monitor as a whole."""
    health = world.rows("SELECT * FROM model_health")
    whole = {
        "bq_monitor_health": "health", "bq_monitor_drifted_features_ratio": "share_drifted",
        "bq_monitor_window_end_timestamp_seconds": "window_end",
    }  # fmt: skip
    found = expect(health, whole, MODEL)
    for part in ("features", "prediction", "performance", "concept", "quality"):
        found |= expect(health, {"bq_monitor_health_part": f"{part}_health"}, MODEL, part=part)
    for status in ("ok", "drift", "not_evaluated"):
        found |= expect(health, {"bq_monitor_features": f"n_{status}"}, MODEL, status=status)
    volume = world.rows("SELECT * FROM quality_results WHERE check_name = 'volume' ORDER BY window_end, computed_at")
    runs = world.rows("SELECT * FROM runs WHERE NOT is_backfill ORDER BY started_at")
    last = {
        "bq_monitor_last_run_finished_timestamp_seconds": "finished_at", "bq_monitor_windows_left": "n_windows_left",
        "bq_monitor_last_run_billed_bytes": "bytes_billed",
    }  # fmt: skip
    up = {("bq_monitor_up", frozenset({("warehouse", world.config.warehouse)})): 1.0}
    found |= expect(volume[-1:], {"bq_monitor_window_rows": "n_rows"}, MODEL) | expect(runs[-1:], last, ["monitor"])
    return found | up


def expected_alerts(world: World) -> Samples:
    events = world.rows(
        "SELECT * FROM alert_events WHERE event != 'observed' ORDER BY window_end, computed_at, n_windows, n_clean"
    )
    newest = {row["alert_id"]: row for row in events}.values()
    kinds = ["monitor", "severity", "kind"]
    standing = counted(list(newest), kinds, lambda row: row["event"] not in ("resolved", "closed"))
    return expect(standing, {"bq_monitor_open_alerts": "n"}, kinds)


def everything(world: World) -> Samples:
    return expected_drift(world) | expected_performance(world) | expected_monitor(world) | expected_alerts(world)


def test_samples_are_the_rows_of_the_tables(world: World) -> None:
    """With segments, every sample is a value of our tables, and every value is a sample; hostile names come back as they were."""
    found = told(scrape([world.config], every_segment=True))
    assert found == everything(world)
    assert ("segment", f"region={HOSTILE}") in {label for _, labels in found for label in labels}


def test_segments_are_told_when_asked_for(world: World) -> None:
    """By default only all rows together: the number of segments does not multiply the series."""
    found = told(scrape([world.config]))
    whole = {key: value for key, value in everything(world).items() if dict(key[1]).get("segment", "all") == "all"}
    assert found == whole
    assert len(whole) < len(everything(world))


def test_what_is_undefined_has_no_sample_but_is_counted(world: World) -> None:
    """A feature that the log lacks is in no gauge of drift; it is counted as not evaluated, once for each baseline."""
    found = told(scrape([world.config]))
    assert not [labels for _, labels in found if ("feature", "ghost") in labels]
    n = found["bq_monitor_not_evaluated", frozenset({
        ("monitor", "loans"), ("model_version", "1"), ("segment", "all"), ("of", "drift"),
    })]  # fmt: skip
    assert n == 2
    rows = [{"monitor": "m", "model_version": "", "health": value} for value in (None, float("nan"), float("inf"))]
    assert (
        "health"
        not in exposition(Scrape({g.source: rows if g.source == "health" else [] for g in GAUGES}, {}))[0].decode()
    )


def test_the_look_back_covers_the_wait_for_outcomes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long outcomes take to mature, the newest window that has them is found."""
    monkeypatch.setattr(prometheus, "LOOK_BACK", timedelta(0))
    found = {name for name, _ in told(scrape([world.config]))}
    assert {"model_accuracy_drift", "model_accuracy_by_confidence"} <= found


def test_windows_before_the_look_back_are_not_read(world: World) -> None:
    """Statements are bounded by the end of the newest window (answers: by the look-back), so that partitions are pruned."""
    moment = datetime(2026, 2, 2, tzinfo=UTC)
    made = prometheus.gauge_statements(_Names(), ["loans"], moment, moment - timedelta(days=9), every_segment=False)
    since = {source: statement.params["since"].value for source, statement in made.items()}
    assert since == {"drift": moment, "rows": moment, "performance": moment - timedelta(days=9)}
    assert all("window_end >= @since" in statement.sql for statement in made.values())


class _Names:
    dialect = "bigquery"

    def table(self, name: str) -> str:
        return f"`p.d.{name}`"


def test_two_windows_with_one_end_make_no_series_twice(world: World, tmp_path: Path) -> None:
    """After the length of windows was changed, the shorter window of those that end last is told, by every gauge once."""
    path = tmp_path / "monitor.duckdb"
    path.write_bytes(Path(world.config.warehouse.removeprefix("duckdb://")).read_bytes())
    with duckdb.connect(str(path)) as connection:
        for table in ("drift_results", "performance_results", "quality_results"):
            connection.execute(
                f"INSERT INTO {table} SELECT * REPLACE (window_start + INTERVAL 6 DAY AS window_start, n_{'current' if table[0] == 'd' else 'rows'}"
                f" + 7 AS n_{'current' if table[0] == 'd' else 'rows'}) FROM {table}"
            )
        connection.execute(
            "UPDATE drift_results SET drift_score = 0.75 WHERE window_end - window_start < INTERVAL 2 DAY"
        )
        connection.execute(
            "UPDATE performance_results SET value = 0.5 WHERE window_end - window_start < INTERVAL 2 DAY"
        )
    found = told(scrape([world.config.model_copy(update={"warehouse": f"duckdb://{path}"})]))
    of = {name: {value for key, value in found.items() if key[0] == name} for name, _ in found}
    assert of["bq_monitor_drift_score"] == {0.75}
    assert of["bq_monitor_performance_value"] == {0.5}
    assert of["bq_monitor_window_rows"] == {7 * PER_DAY + 7}


def test_what_only_older_windows_hold_is_not_told(world: World, tmp_path: Path) -> None:
    """A model version that is gone from the newest window has no sample, even where another monitor's older windows are read."""
    path = tmp_path / "monitor.duckdb"
    path.write_bytes(Path(world.config.warehouse.removeprefix("duckdb://")).read_bytes())
    with duckdb.connect(str(path)) as connection:
        for table in ("drift_results", "performance_results", "quality_results"):
            first = f"window_end = (SELECT MIN(window_end) FROM {table})"
            connection.execute(f"INSERT INTO {table} SELECT * REPLACE ('older' AS monitor) FROM {table} WHERE {first}")
            connection.execute(f"UPDATE {table} SET model_version = '0' WHERE monitor = 'loans' AND {first}")
    loans = world.config.model_copy(update={"warehouse": f"duckdb://{path}"})
    found = told(scrape([loans, loans.model_copy(update={"monitor": "older"})]))
    versions = {
        (dict(labels)["monitor"], dict(labels).get("model_version")) for name, labels in found if "up" not in name
    }
    assert versions == {("loans", "1"), ("older", "1"), ("loans", None)}


def test_a_warehouse_that_fails_is_down_and_the_others_answer(world: World, tmp_path: Path) -> None:
    """Its `up` is 0 and nothing else is told of it; why is said beside. The other warehouse is told as ever."""
    gone = world.config.model_copy(update={"warehouse": f"duckdb://{tmp_path}/gone.duckdb", "monitor": "other"})
    both = scrape([gone, world.config])
    found = told(both)
    down = ("bq_monitor_up", frozenset({("warehouse", gone.warehouse)}))
    assert found.pop(down) == 0
    assert found == told(scrape([world.config]))
    assert list(both.failures) == [gone.warehouse]
    assert "no such database" in both.failures[gone.warehouse]


def test_each_warehouse_is_opened_once_and_read_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two monitors of one warehouse share a connection that may not write; one that never ran has no sample."""
    opened: list[tuple[str, Any]] = []

    def spy(url: str, **options: Any) -> Any:
        opened.append((url, options["read_only"]))
        return open_warehouse(url, **options)

    open_warehouse = prometheus.open_warehouse
    monkeypatch.setattr(prometheus, "open_warehouse", spy)
    found = told(scrape([world.config, world.config.model_copy(update={"monitor": "never_ran"})]))
    assert opened == [(world.config.warehouse, True)]
    assert {value for _, labels in found for name, value in labels if name == "monitor"} == {"loans"}
    assert set(told(scrape([world.config.model_copy(update={"monitor": "never_ran"})]))) == {
        ("bq_monitor_up", frozenset({("warehouse", world.config.warehouse)}))
    }


def test_one_name_in_two_warehouses_is_refused(world: World, tmp_path: Path) -> None:
    """Their samples would be the same series."""
    twin = world.config.model_copy(update={"warehouse": f"duckdb://{tmp_path}/twin.duckdb"})
    with pytest.raises(InputError, match=r"'loans' stands in two warehouses.*Rename one"):
        scrape([world.config, twin])


def test_the_global_registry_is_left_alone(world: World) -> None:
    """Nothing of ours is registered where the host's own metrics are."""
    before = {family.name for family in REGISTRY.collect()}
    told(scrape([world.config]))
    assert {family.name for family in REGISTRY.collect()} == before


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"), ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=banana", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.1",
         "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
    ],
)  # fmt: skip
def test_the_format_is_the_one_asked_for(world: World, accept: str, content_type: str) -> None:
    """Text 0.0.4, or OpenMetrics where it is accepted; both say the same. An Accept header that means nothing is no failure."""
    scraped = scrape([world.config], every_segment=True)
    text, said = exposition(scraped, accept)
    assert said == content_type
    if content_type.startswith(openmetrics.exposition.CONTENT_TYPE_LATEST.partition(";")[0]):
        families = parse_openmetrics(text.decode())
        found = {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
        assert found == told(scraped)
    else:
        assert samples(text.decode()) == told(scraped)


def test_names_follow_the_conventions_of_prometheus() -> None:
    """Base units at the end, no suffix of a counter or histogram, our prefix (two names are given), a meaning each, no name twice."""
    names = Counter(gauge.name for gauge in GAUGES)
    assert set(names.values()) == {1}
    assert {name for name in names if not name.startswith("bq_monitor_")} == {
        "model_accuracy_drift", "model_accuracy_by_confidence",
    }  # fmt: skip
    for gauge in GAUGES:
        assert not gauge.name.endswith(("_total", "_count", "_sum", "_bucket", "_info", "_created")), gauge.name
        assert gauge.meaning.endswith("."), gauge.name
        assert ("timestamp" in gauge.name) == gauge.name.endswith("_timestamp_seconds")


def test_the_page_names_every_gauge_and_no_other() -> None:
    """Each gauge stands in the table of the page; each name there, in a rule too, is a gauge."""
    page = (ROOT / "docs" / "prometheus.md").read_text(encoding="utf-8")
    table = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    names = {gauge.name for gauge in GAUGES}
    assert set(re.findall(r"`((?:bq_monitor|model)_\w+)`", table)) == names
    assert set(re.findall(r"(?:bq_monitor|model)_\w+(?=\{|\)| [=>])", page)) <= names


def test_without_the_extra_the_error_says_what_to_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read; the sentence names the package and the extra."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setattr(prometheus, "open_warehouse", None)
    with pytest.raises(InputError, match=r"prometheus_client is not installed.*bq-monitor\[prometheus\]"):
        scrape([world.config])


def test_reading_gauges_loads_no_data_frames() -> None:
    """A scrape needs neither pandas nor a chart."""
    code = (
        "import sys, bq_monitor.report.prometheus;"
        "print([name for name in ('pandas', 'altair', 'prometheus_client') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_command_prints_or_writes_and_ends_with_4_when_a_warehouse_failed(world: World, tmp_path: Path) -> None:
    """The same text on stdout and in the file, whole; a failed warehouse is said on stderr, and the rest is there all the same."""
    config = str(Path(world.config.warehouse.removeprefix("duckdb://")).with_name("loans.yaml"))
    printed = call("export", "prometheus", config, "--segments")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert samples(printed.stdout) == everything(world)
    target = tmp_path / "loans.prom"
    assert call("export", "prometheus", config, "--segments", "--output", str(target)).returncode == 0
    assert target.read_text() == printed.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["loans.prom"]
    data = {
        **yaml.safe_load(Path(config).read_text()),
        "monitor": "gone",
        "warehouse": f"duckdb://{tmp_path}/gone.duckdb",
    }
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(data))
    half = call("export", "prometheus", config, str(tmp_path / "gone.yaml"))
    assert half.returncode == 4
    assert "gone.duckdb: no such database" in half.stderr
    assert 'warehouse="duckdb://' in half.stdout and "bq_monitor_health{" in half.stdout


def test_bigquery_tells_the_same_and_what_the_scrape_billed(captured: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the stand-in for BigQuery: the newest window's scores, the bytes of the scrape, each job labelled and within the budget."""
    captured.settings = {"budget": {"max_bytes_per_run": "1GB"}}
    captured.run("2026-01-19")
    ran = len(captured.steps())
    monkeypatch.setattr(prometheus, "open_warehouse", lambda url, **options: captured.warehouse)
    monkeypatch.setattr(captured.warehouse, "close", lambda: None)
    found = told(scrape([captured.config()]))
    jobs = captured.server.queries()[ran:]
    assert {job.params["labels"]["surface"] for job in jobs} == {"prometheus"}
    assert {job.params["query"]["maximumBytesBilled"] for job in jobs} == {"1000000000"}
    drift = captured.warehouse.table("drift_latest")
    newest = f"SELECT * FROM {drift} WHERE window_end = (SELECT MAX(window_end) FROM {drift})"
    stored = {
        (row["feature"], row["model_version"], row["baseline"]): row["drift_score"]
        for row in captured.warehouse.query(Statement("newest", newest))
        if row["drift_score"] is not None and row["segment"] == "all"
    }  # fmt: skip
    assert len(stored) > 5
    scores = {
        tuple(dict(labels)[name] for name in ("feature", "model_version", "baseline")): value
        for (name, labels), value in found.items() if name == "bq_monitor_drift_score"
    }  # fmt: skip
    assert scores == stored
    assert found["bq_monitor_scrape_billed_bytes", frozenset({("warehouse", "bigquery://acme-ml/mon")})] > 0
