"""What stands of a monitor: which rows count, and in which order alerts come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bq_monitor.alerts.life import Alert
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.integrations import newest
from bq_monitor.timegrid import Window
from tests.conftest import make_config

LAST = datetime(2026, 1, 19, tzinfo=UTC)
EARLIER = LAST - timedelta(days=7)


class Scopes:
    """A warehouse that knows the newest window alone."""

    def query(self, _: Any) -> list[dict[str, Any]]:
        return [{"last_end": EARLIER}, {"last_end": LAST}]


def score(status: str, end: datetime, basis: str = "realised", *, is_provisional: bool = False) -> dict[str, Any]:
    return {"status": status, "window_end": end, "basis": basis, "is_provisional": is_provisional}


def check(name: str, status: str) -> dict[str, Any]:
    return {"status": status, "window_end": LAST, "check_name": name}


@pytest.mark.parametrize(
    ("view", "rows", "found"),
    [
        ("drift_latest", [{"status": "drift", "window_end": EARLIER}, {"status": "ok", "window_end": LAST}], False),
        ("drift_latest", [{"status": "ok", "window_end": LAST}, {"status": "drift", "window_end": LAST}], True),
        ("quality_latest", [check("type", "drift")], False),
        ("quality_latest", [check("volume", "drift")], True),
        ("performance_latest", [score("drift", LAST, is_provisional=True)], False),
        ("performance_latest", [score("drift", EARLIER), score("ok", LAST, is_provisional=True)], True),
        ("performance_latest", [score("drift", EARLIER), score("ok", LAST)], False),
        ("performance_latest", [score("drift", EARLIER), score("ok", LAST, "estimated")], True),
        ("performance_latest", [score("drift", LAST, "estimated", is_provisional=True)], True),
    ],
)
def test_findings_are_those_of_the_newest_window(
    view: str, rows: list[dict[str, Any]], found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of outcomes the newest window whose outcomes have come; what counts as no drift of a run counts as none here."""
    monkeypatch.setattr(newest, "scopes", lambda *_: None)
    monkeypatch.setattr(newest, "_rows", lambda _, __, asked, *___: rows if asked == view else [])
    warehouse: Any = Scopes()
    assert newest.has_findings(warehouse, make_config(tmp_path)) is found


def test_the_worst_alerts_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the oldest, whatever order the table has; those that are over, or about runs, are none."""

    def alert(kind: Any, severity: Any, since: datetime, *, is_open: bool = True) -> Alert:
        return Alert(AlertKey(kind), severity, kind, since, Window(EARLIER, LAST), is_open=is_open)

    alerts = [
        alert("concept_drift", "warning", EARLIER),
        alert("performance", "critical", LAST),
        alert("quality", "info", EARLIER),
        alert("drift", "critical", EARLIER),
        alert("fairness", "critical", EARLIER, is_open=False),
        alert("run_failed", "critical", EARLIER),
    ]
    monkeypatch.setattr(newest, "read_alerts", lambda *_: {item.key: item for item in alerts})
    warehouse: Any = None
    kinds = [item["kind"] for item in newest.standing_alerts(warehouse, "loans")]
    assert kinds == ["drift", "performance", "concept_drift", "quality"]
