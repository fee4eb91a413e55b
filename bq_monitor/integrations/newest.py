"""What stands of a monitor, read from its tables: the same answer whoever asks, and however often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from bq_monitor.alerts.ledger import read_alerts
from bq_monitor.alerts.messages import OF_RUNS, WORST_FIRST
from bq_monitor.config import MonitorConfig
from bq_monitor.due import moment_of
from bq_monitor.report.views import Stretch, scopes
from bq_monitor.warehouse.base import Param, Row, Warehouse
from bq_monitor.warehouse.statements import show


def standing_alerts(warehouse: Warehouse, monitor: str) -> list[dict[str, str | None]]:
    """The alerts about a monitor's model that stand, the worst first, in a fixed order; those about its runs are not among them."""
    found = [
        {**alert.key._asdict(), "severity": alert.severity, "since": alert.since.isoformat(), "message": alert.message}
        for alert in read_alerts(warehouse, monitor).values()
        if alert.is_open and alert.key.kind not in OF_RUNS
    ]
    places = {str(severity): place for place, severity in enumerate(WORST_FIRST)}
    found.sort(key=lambda alert: [alert[name] or "" for name in ("since", "kind", "feature", "message")])
    return sorted(found, key=lambda alert: places[str(alert["severity"])])


def has_findings(warehouse: Warehouse, config: MonitorConfig, as_of: str | None = None) -> bool:
    """Whether the newest judged window, any model version's, drifted or broke a limit; with `as_of`, the newest that ended by then.

    Realised performance is that of the newest window whose outcomes have come, as in `model_health`. What is no drift to a run
    (`RunResult.has_findings`) is none here.
    """
    ends: list[datetime] = [row["last_end"] for row in warehouse.query(scopes(warehouse, config.monitor))]
    if not ends:
        return False
    end = max(ends) if as_of is None else min(max(ends), moment_of(as_of, config.window.timezone))
    return any(row["status"] == "drift" for row in _newest(warehouse, config, end))


def _newest(warehouse: Warehouse, config: MonitorConfig, end: datetime) -> Iterator[Row]:
    window = config.window
    start = end
    for span in (window.delay, window.every, window.every):  # one judged window ends in it, whatever moment `end` is
        start = span.before(start, window.timezone)
    matured = config.labels.matures_after.before(start, window.timezone) if config.labels else start
    yield from _last(_rows(warehouse, config.monitor, "drift_latest", Stretch(start, end), ()))
    checks = _rows(warehouse, config.monitor, "quality_latest", Stretch(start, end), ("check_name",))
    yield from _last(row for row in checks if row["check_name"] != "type")
    scores = _rows(warehouse, config.monitor, "performance_latest", Stretch(matured, end), ("basis", "is_provisional"))
    yield from _last(row for row in scores if row["basis"] == "realised" and not row["is_provisional"])
    yield from _last(row for row in scores if row["basis"] != "realised")


def _last(rows: Iterable[Row]) -> list[Row]:
    """Those of the newest window."""
    found = list(rows)
    end = max((row["window_end"] for row in found), default=None)
    return [row for row in found if row["window_end"] == end]


def _rows(warehouse: Warehouse, monitor: str, view: str, stretch: Stretch, more: tuple[str, ...]) -> list[Row]:
    params = {
        "monitor": Param("STRING", monitor), "start": Param("TIMESTAMP", stretch.start), "end": Param("TIMESTAMP", stretch.end),
    }  # fmt: skip
    statement = show(
        warehouse, "rows", params, source=view, columns=("window_end", "status", *more), equal=["monitor"],
        moment="window_end", order=["window_end", "status", *more],
    )  # fmt: skip
    return list(warehouse.query(statement))
