"""The archive in a clean environment, called as Cloud Scheduler calls it: what is judged, what is told, what is answered.

The clients in the function are the real ones. Its key is found as Google's libraries find it, and its tokens are fetched; the
variables of the emulators make only the client of Cloud Storage anonymous, and publishing go without a token.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bq_monitor.warehouse.jobs import TRIES_PER_RUN
from tests.alerts.receivers import Receiver, receiver
from tests.bigquery_server.server import Server as BigQuery
from tests.bigquery_server.server import serve as serve_bigquery
from tests.deploy import fleet
from tests.deploy.fleet import FEATURES, MONITORS, WEEK_ENDS
from tests.deploy.served import Account, Instance, account, build, environment, installed, served, unpacked
from tests.storage_server import Server as Storage
from tests.storage_server import serve as serve_storage

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy")]
SEGMENTS = {
    "by_region": ("all", "region=(other)", "region=north", "region=south"),
    "drifting": ("all",),
    "steady": ("all",),
}


@dataclass
class Deployed:
    """Two instances of the function, as two ticks at one moment get them, over the stand-ins."""

    bigquery: BigQuery
    storage: Storage
    topic: Receiver
    account: Account
    instances: tuple[Instance, Instance]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query; `our.NAME` is a table or view of the monitors' dataset."""
        return self.bigquery.engine.ask(re.sub(r"our\.(\w+)", rf"`{fleet.PROJECT}.ml_monitoring.\1`", sql))

    def at_once(self, **body: str) -> list[tuple[int, Any]]:
        """One tick that is delivered twice, to both instances at one moment."""
        ticks = [threading.Thread(target=instance.tick, kwargs=body) for instance in self.instances]
        for tick in ticks:
            tick.start()
        for tick in ticks:
            tick.join()
        return [instance.answers[-1] for instance in self.instances]


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Python of an environment with the archive's own requirements, and the folder of the unpacked archive."""
    folder = tmp_path_factory.mktemp("function")
    app = unpacked(build(folder / "function.zip"), folder / "app")
    return installed(app, folder / "venv"), app


@pytest.fixture
def deployed(function: tuple[Path, Path], rng: np.random.Generator, tmp_path: Path) -> Iterator[Deployed]:
    python, app = function
    with ExitStack() as stack:
        bigquery, storage = stack.enter_context(serve_bigquery()), stack.enter_context(serve_storage())
        topic, runner = stack.enter_context(receiver("pubsub")), stack.enter_context(account(tmp_path, fleet.PROJECT))
        variables = environment(
            runner,
            BIGQUERY_EMULATOR_HOST=bigquery.url,
            STORAGE_EMULATOR_HOST=storage.url,
            PUBSUB_EMULATOR_HOST=f"127.0.0.1:{topic.port}",
            BQ_MONITOR_CONFIG=fleet.CONFIG,
            BQ_MONITOR_WAREHOUSE=fleet.WAREHOUSE,
            BQ_MONITOR_CALL_SECONDS="240",
            BQ_MONITOR_PUBSUB_TOPIC=fleet.TOPIC,
        )
        fleet.put_fleet(storage)
        fleet.put_logs(bigquery, rng)
        with fleet.as_deployed(variables):
            fleet.capture(rng)
        runner.n_tokens = 0  # of the training pipeline
        one, two = (
            stack.enter_context(served(python, app, variables, tmp_path / f"{name}.log")) for name in ("one", "two")
        )
        yield Deployed(bigquery, storage, topic, runner, (one, two))


def windows_of(answer: Any) -> dict[str, int]:
    return {item["monitor"]: item["windows"] for item in answer["monitors"]}


def assert_judged_once(deployed: Deployed, *, again: dict[str, int] | None = None) -> None:
    """Every verdict of both weeks stands once, but for the last week of the monitors that were judged `again` so often."""
    found = deployed.ask(
        "SELECT monitor, window_end, segment, feature, COUNT(*) FROM our.drift_results GROUP BY monitor, window_end, segment, feature"
    )
    times = {name: (again or {}).get(name, 0) for name in MONITORS}
    assert sorted(found) == sorted(
        (name, end, segment, feature, 1 + (times[name] if end == WEEK_ENDS[1] else 0))
        for name in MONITORS
        for end in WEEK_ENDS
        for segment in SEGMENTS[name]
        for feature in FEATURES
    )


def assert_counted_once(deployed: Deployed) -> None:
    """No state of a granule was counted twice, and the newest counts are those of the log."""
    key = "monitor, scan_definition_id, granule, segment, feature, data_version"
    assert deployed.ask(f"SELECT {key} FROM our.production_histograms GROUP BY {key} HAVING COUNT(*) > 1") == []
    counted = deployed.ask(
        "SELECT monitor, feature, segment, SUM(n_rows) FROM our.production_histograms_latest GROUP BY 1, 2, 3"
    )
    for name in MONITORS:
        ((n_rows,),) = deployed.bigquery.engine.ask(f"SELECT COUNT(*) FROM `{fleet.log_of(name)}`")
        of_all = {feature: n for monitor, feature, segment, n in counted if (monitor, segment) == (name, "all")}
        assert of_all == dict.fromkeys(FEATURES, n_rows), name


def assert_told_once(deployed: Deployed) -> None:
    """The drift of the one monitor was opened once, and is one notification; where both runs send at one moment it comes twice (docs/alerts.md)."""
    opened = deployed.ask(
        "SELECT monitor, kind, feature, COUNT(*) FROM our.alert_events GROUP BY monitor, kind, feature, event"
    )
    assert ("drifting", "drift", "amount", 1) in opened
    assert {(monitor, n) for monitor, _, _, n in opened} == {("drifting", 1)}
    ids = [message["attributes"]["notification_id"] for message in deployed.topic.delivered]
    assert len(set(ids)) == 1
    assert len(ids) <= 2
    assert {message["attributes"]["monitor"] for message in deployed.topic.delivered} == {"drifting"}
    assert f"/v1/{fleet.TOPIC}:publish" in {request.path for request in deployed.topic.requests}


def test_a_tick_that_comes_twice_is_worked_once(deployed: Deployed) -> None:
    """Both answers are good; windows, counts, alerts and runs are there once; a later tick finds nothing to do; the fleet is on time."""
    before = len(deployed.storage.log)
    answers = deployed.at_once()
    assert [status for status, _ in answers] == [200, 200], answers
    assert all(windows_of(body).keys() == set(MONITORS) for _, body in answers)
    assert_judged_once(deployed)
    assert_counted_once(deployed)
    assert_told_once(deployed)
    assert deployed.ask("SELECT monitor, COUNT(*) FROM our.runs GROUP BY monitor ORDER BY 1") == [
        (name, 1) for name in MONITORS
    ]
    assert any("defaults.yaml" in line for line in deployed.storage.log[before:])
    assert deployed.account.n_tokens > 0
    later = deployed.instances[1].tick()
    assert (later[0], windows_of(later[1])) == (200, dict.fromkeys(MONITORS, 0))
    status, body = deployed.instances[0].tick(do="check")
    assert (status, {item["monitor"]: item["overdue_since"] for item in body["monitors"]}) == (
        200,
        dict.fromkeys(MONITORS),
    )


def test_late_rows_are_judged_again_by_the_tick_of_their_monitor(deployed: Deployed, rng: np.random.Generator) -> None:
    """Rows that arrive after the verdict change the counts of their days and the verdict of their week, of this monitor, once."""
    first, _ = deployed.instances
    assert [first.tick(monitor=name)[0] for name in MONITORS] == [200] * 3
    late = fleet.rows(rng, range(12, 14), 25)
    late["amount"] *= 4
    deployed.bigquery.engine.append(fleet.log_of("drifting"), "SELECT * FROM late", late=late)
    answers = deployed.at_once(monitor="drifting")
    assert [status for status, _ in answers] == [200, 200], answers
    assert all([item["monitor"] for item in body["monitors"]] == ["drifting"] for _, body in answers)
    assert_judged_once(deployed, again={"drifting": 1})
    assert_counted_once(deployed)
    newest = deployed.ask("SELECT n_current, window_end FROM our.drift_latest WHERE segment = 'all' GROUP BY 1, 2")
    assert set(newest) == {(7 * fleet.PER_DAY, end) for end in WEEK_ENDS} | {(7 * fleet.PER_DAY + 50, WEEK_ENDS[1])}


def test_a_tick_that_failed_is_made_good_by_its_retry(deployed: Deployed) -> None:
    """A commit that the service refuses is a 500 which names the monitor; others are done, and the retry does what is left."""
    deployed.bigquery.faults.add(
        "statement INSERT INTO `acme-ml.ml_monitoring.drift_results`", "fail", times=TRIES_PER_RUN
    )
    first, second = deployed.instances
    status, body = first.tick()
    failed = [item["monitor"] for item in body["monitors"] if "error" in item]
    assert (status, len(failed)) == (500, 1), body
    status, body = second.tick()
    assert (status, windows_of(body)) == (200, {name: 2 if name in failed else 0 for name in MONITORS})
    assert_judged_once(deployed)
    assert_counted_once(deployed)


def test_a_tick_whose_client_gave_up_is_finished_and_comes_again(deployed: Deployed) -> None:
    """The scheduler hangs up while counts are written, and calls another instance: the work of both is there once."""
    begun, gone = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert gone.wait(60)

    deployed.bigquery.faults.add("statement INSERT INTO `acme-ml.ml_monitoring.production_histograms`", hold)
    first, second = deployed.instances
    connection = first.send()
    assert begun.wait(60)
    connection.close()
    gone.set()
    status, body = second.tick()
    assert status == 200, body
    assert first.tick()[0] == 200  # one at a time, as concurrency 1 has it: what the first call began is over
    assert_judged_once(deployed)
    assert_counted_once(deployed)
    assert_told_once(deployed)


def test_a_tick_that_asks_for_what_is_not_there_is_400(deployed: Deployed) -> None:
    """A job of the scheduler that is set up wrongly is told so, and nothing runs."""
    before = len(deployed.bigquery.jobs)
    for body, words in (({"monitor": "lones"}, "steady"), ({"do": "wash"}, "allowed: run, check")):
        status, answer = deployed.instances[0].tick(**body)
        assert (status, words in answer["error"]) == (400, True)
    assert len(deployed.bigquery.jobs) == before
