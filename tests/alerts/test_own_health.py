"""The monitor's own health: runs that fail, cost too much or never come are alerts, and end with the next good run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from bq_monitor import capture_reference, job, run
from bq_monitor.alerts import outbox, own_health
from bq_monitor.alerts.ledger import read_alerts
from bq_monitor.alerts.life import Alert
from bq_monitor.alerts.messages import Message
from bq_monitor.alerts.own_health import check_overdue, overdue_since, report_failure, run_look, tell
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.alerts.senders.base import Undelivered
from bq_monitor.errors import BudgetError, WarehouseError
from bq_monitor.fleet import run_fleet
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.setup import create_tables
from tests.alerts.lives import NOW, emptied, watcher
from tests.conftest import make_config


@dataclass
class Wire:
    """Channels that hear everything, but those that are down."""

    heard: list[tuple[str, Message]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    def sender_for(self, channel: Any, *_: Any) -> Any:
        wire = self

        class Sender:
            def send(self, message: Message) -> None:
                if channel.title in wire.down:
                    raise Undelivered(f"{channel.title}: gone", retry="never")
                wire.heard.append((channel.title, message))

        return Sender()

    @property
    def news(self) -> list[tuple[str, str, str]]:
        return [(channel, item.news, item.kind) for channel, message in self.heard for item in message.items]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()
    monkeypatch.setattr(outbox, "sender_for", made.sender_for)
    return made


@pytest.fixture(scope="module")
def tables() -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse()
    create_tables(opened)
    yield opened
    opened.close()


@pytest.fixture
def store(tables: DuckDBWarehouse) -> DuckDBWarehouse:
    return emptied(tables)


HEARD = {"channels": ["slack", "webhook"]}


def standing(store: DuckDBWarehouse) -> dict[str, Alert]:
    return {key.kind: alert for key, alert in read_alerts(store, "loans").items() if alert.is_open}


def test_a_failed_run_is_told_and_what_went_wrong(store: DuckDBWarehouse, wire: Wire) -> None:
    """Budget is an alert of its own; an error without words is told by its name; a second failure is no second opening."""
    config = watcher(alerts=HEARD)
    report_failure(store, config, WarehouseError("the log is gone"), "run-1")
    report_failure(store, config, WarehouseError("the log is still gone"), "run-2")
    report_failure(store, config, BudgetError("would read 2 TB"), "run-3")
    assert {kind: (a.message, a.severity) for kind, a in standing(store).items()} == {
        "run_failed": ("the log is still gone", "critical"), "budget": ("would read 2 TB", "critical"),
    }  # fmt: skip
    assert wire.news == [(c, "opened", kind) for kind in ("run_failed", "budget") for c in ("slack", "webhook")]
    report_failure(store, watcher(monitor="cars"), KeyError(), "run")
    assert [alert.message for alert in read_alerts(store, "cars").values()] == ["KeyError"]


def test_of_a_channel_that_takes_nothing_the_others_hear(store: DuckDBWarehouse, wire: Wire) -> None:
    """A message that is given up is an alert; it is over when the channel takes one again."""
    config, wire.down = watcher(alerts=HEARD), {"slack"}
    report_failure(store, config, WarehouseError("gone"), "run-1")
    assert wire.news == [("webhook", "opened", "run_failed"), ("webhook", "opened", "delivery")]
    assert standing(store)["delivery"].message == "given up: slack: gone"
    wire.down = set()
    tell(store, config, run_look(datetime.now(UTC), clean=[AlertKey("run_failed")]), "run-2")
    own_health.deliver(store, config, "run-2")
    assert standing(store) == {}
    assert wire.news[2:] == [
        ("slack", "resolved", "run_failed"),
        ("webhook", "resolved", "run_failed"),
        ("webhook", "resolved", "delivery"),
    ]


def test_without_channels_nothing_is_sent_or_asked(store: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alert is kept all the same."""
    monkeypatch.setattr(own_health, "dispatch", lambda *_: pytest.fail("asked"))
    report_failure(store, watcher(), WarehouseError("gone"), "run")
    assert set(standing(store)) == {"run_failed"}


MARK = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "alerts", "late_after"),
    [
        ({"length": "1d", "every": "1d"}, {}, timedelta(days=2)), ({"length": "7d", "every": "1d", "delay": "6h"}, {}, timedelta(days=2, hours=6)),
        ({"length": "1d", "every": "1d"}, {"overdue_after": "6h"}, timedelta(days=1, hours=6)),
        ({"granule": "hour", "length": "3h", "every": "1h"}, {}, timedelta(hours=2)),
    ],
)  # fmt: skip
def test_a_window_is_overdue_when_it_should_have_been_judged(
    window: dict[str, str], alerts: dict[str, str], late_after: timedelta
) -> None:
    """The next window ends, is due after its delay, and overdue `overdue_after` (or one window) later; not a minute before."""
    config, minute = watcher(window=window, alerts=alerts), timedelta(minutes=1)
    assert overdue_since(config, MARK, MARK + late_after - minute) is None
    first = overdue_since(config, MARK, MARK + late_after)
    assert first == MARK + (timedelta(hours=1) if "granule" in window else timedelta(days=1))
    assert overdue_since(config, MARK, MARK + late_after + timedelta(days=30)) == first
    assert overdue_since(config, None, MARK + timedelta(days=900)) is None


@dataclass
class Lab:
    """A monitor over a weekly log on disk."""

    folder: Path
    rng: np.random.Generator
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Any:
        return make_config(self.folder, **{"alerts": HEARD, **self.settings})

    def write(self, n_weeks: int = 1, **columns: Any) -> None:
        days = np.repeat(pd.date_range("2026-01-05", periods=7 * n_weeks), 30)
        self.frame(len(days)).assign(ts=days, **columns).to_parquet(self.folder / "log.parquet")

    def frame(self, n: int) -> pd.DataFrame:
        return pd.DataFrame({"amount": self.rng.normal(0, 1, n), "region": self.rng.choice(["north", "south"], n)})

    def open_alerts(self) -> list[str]:
        with duckdb.connect(str(self.folder / "monitor.duckdb"), read_only=True) as connection:
            return [kind for (kind,) in connection.execute("SELECT kind FROM open_alerts ORDER BY kind").fetchall()]


@pytest.fixture
def lab(tmp_path: Path, rng: np.random.Generator) -> Lab:
    made = Lab(tmp_path, rng)
    capture_reference(made.frame(2000), made.config, version="1")
    return made


def test_a_run_that_fails_is_an_alert_until_one_ends_well(lab: Lab, wire: Wire) -> None:
    """Also one that ends well with nothing to do; the error itself is raised as before."""
    lab.write()
    run(lab.config, "2026-01-12")
    lab.settings["source"] = {"table": f"{lab.folder}/log.parquet", "timestamp": "nowhere"}
    with pytest.raises(ValueError, match="no column 'nowhere'"):
        run(lab.config, "2026-01-12")
    assert lab.open_alerts() == ["run_failed"]
    assert "no column 'nowhere'" in wire.heard[0][1].items[0].message
    lab.settings.clear()
    assert run(lab.config, "2026-01-12").results == ()
    assert lab.open_alerts() == []
    assert wire.news == [(c, news, "run_failed") for news in ("opened", "resolved") for c in ("slack", "webhook")]


def test_a_run_over_its_budget_is_an_alert(lab: Lab, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with the run that stays within it."""
    lab.write()
    with monkeypatch.context() as patched:
        patched.setattr(DuckDBWarehouse, "estimate", lambda self, statement: 2000)
        lab.settings["budget"] = {"max_bytes_per_run": "1KB"}
        with pytest.raises(BudgetError):
            run(lab.config, "2026-01-12")
    assert lab.open_alerts() == ["budget"]
    run(lab.config, "2026-01-12")
    assert lab.open_alerts() == []


def test_a_backfill_that_fails_is_told_to_whoever_asked_for_it(lab: Lab, wire: Wire) -> None:
    """Somebody sits before it: no alert."""
    lab.write()
    lab.settings["source"] = {"table": f"{lab.folder}/log.parquet", "timestamp": "nowhere"}
    with pytest.raises(ValueError, match="nowhere"):
        run(lab.config, "2026-01-12", backfill=("2026-01-05", "2026-01-12"))
    assert (lab.open_alerts(), wire.heard) == ([], [])


def test_a_window_of_which_nothing_could_be_said_is_an_alert(lab: Lab, wire: Wire) -> None:
    """It ends with the first window that has a verdict."""
    lab.settings["features"] = ["amount"]
    lab.write(2)
    log = pd.read_parquet(lab.folder / "log.parquet")
    log[log["ts"] >= "2026-01-12"].to_parquet(lab.folder / "log.parquet")
    run(lab.config, "2026-01-12")
    assert "nothing_evaluated" in lab.open_alerts()
    run(lab.config, "2026-01-19")
    assert "nothing_evaluated" not in lab.open_alerts()


def test_a_monitor_whose_runs_stopped_is_overdue_until_the_next(lab: Lab, wire: Wire) -> None:
    """Told once by however many checks; before it is late nothing is said."""
    lab.write(2)

    def check(now: datetime) -> datetime | None:
        opened = open_warehouse(lab.config.warehouse, deadline_seconds=60)
        try:
            return check_overdue(opened, lab.config, now)
        finally:
            opened.close()

    run(lab.config, "2026-01-12")
    assert check(datetime(2026, 1, 25, tzinfo=UTC)) is None
    assert [check(NOW + timedelta(hours=n)) for n in range(3)] == [datetime(2026, 1, 19, tzinfo=UTC)] * 3
    assert lab.open_alerts() == ["overdue"]
    assert wire.news == [("slack", "opened", "overdue"), ("webhook", "opened", "overdue")]
    assert "the last window judged ended 2026-01-12 00:00 UTC" in wire.heard[0][1].items[0].message
    run(lab.config, "2026-01-19")
    assert lab.open_alerts() == []


def test_a_monitor_that_never_ran_is_overdue_from_its_start(lab: Lab, wire: Wire) -> None:
    """Where the configuration says when windows start, the first of them is waited for."""
    lab.write(1)
    opened = open_warehouse(lab.config.warehouse, deadline_seconds=60)
    assert check_overdue(opened, lab.config, datetime(2026, 1, 18, tzinfo=UTC)) is None
    assert check_overdue(opened, lab.config, NOW) == datetime(2026, 1, 12, tzinfo=UTC)
    opened.close()
    assert wire.heard[0][1].items[0].message.endswith("no window was ever judged")


def test_one_monitor_that_fails_does_not_stop_the_others(lab: Lab, wire: Wire, tmp_path: Path) -> None:
    """Its answer is the error, its alert its own."""
    lab.write()
    other = lab.config.model_copy(update={"monitor": "cars"})
    answers = {answer["monitor"]: answer for answer in run_fleet([other, lab.config], "2026-01-12")}
    assert "'cars': no reference captured" in answers["cars"]["error"]
    assert answers["loans"]["ok"] == 2
    assert {(message.monitor, item.kind) for _, message in wire.heard for item in message.items} == {
        ("cars", "run_failed")
    }


def test_where_the_warehouse_cannot_be_opened_the_error_carries_on(tmp_path: Path, wire: Wire) -> None:
    """There is no outbox then: nothing can be told, and nothing hides why."""
    with pytest.raises(Exception, match="bq-monitor init"):
        run(make_config(tmp_path, alerts=HEARD), "2026-01-12")
    assert wire.heard == []


def test_where_nobody_could_be_told_the_error_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first error is raised, the second noted on it."""
    lab.write()

    def fails(*_: object) -> None:
        raise WarehouseError("no connection")

    monkeypatch.setattr(job, "report_failure", fails)
    lab.settings["source"] = {"table": f"{lab.folder}/log.parquet", "timestamp": "nowhere"}
    with pytest.raises(ValueError, match="nowhere") as caught:
        run(lab.config, "2026-01-12")
    assert caught.value.__notes__ == ["Nobody could be told of it: no connection"]
