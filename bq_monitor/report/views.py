"""What the surfaces read: rows of the views as data frames, the same on both warehouses; nothing is reckoned here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bq_monitor.warehouse.base import Param, Statement, Warehouse
from bq_monitor.warehouse.schema import TABLES
from bq_monitor.warehouse.statements import Names, show
from bq_monitor.warehouse.views import VIEWS

if TYPE_CHECKING:
    import pandas as pd

FLEET = (
    "monitor", "model_version", "window_start", "window_end", "n_features", "n_ok", "n_drift", "n_not_evaluated", "share_drifted",
    "features_health", "prediction_health", "performance_health", "concept_health", "quality_health", "health", "n_open", "n_critical",
    "severity", "last_finished_at", "last_as_of", "n_windows_left", "month_to_date_cost",
)  # fmt: skip
SCOPES = ("model_version", "segment", "baseline", "first_end", "last_end", "n_windows")
_COLUMNS = {
    **{table.name: tuple(column.name for column in table.columns) for table in TABLES},
    **{view.name: tuple(view.columns) for view in VIEWS},
}
_TIMES = {column.name for table in TABLES for column in table.columns if column.type == "TIMESTAMP"} | {
    "first_end", "last_end", "last_finished_at", "last_as_of", "snoozed_until",
}  # fmt: skip


@dataclass(frozen=True)
class Stretch:
    """The windows (or runs) after `start` and up to `end`."""

    start: datetime
    end: datetime


class Views:
    """The views of a warehouse as frames. Times are aware, in UTC; what is NULL is missing; arrays are lists of mappings."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def fleet(self) -> pd.DataFrame:
        """Every monitor with its health, open alerts, last run and cost: one row a model version, by name."""
        return self._frame(fleet(self._warehouse), FLEET)

    def health(self, monitor: str) -> pd.DataFrame:
        """`model_health` of one monitor: a row a model version."""
        return self._rows("model_health", {"monitor": monitor}, ("model_version",))

    def scopes(self, monitor: str) -> pd.DataFrame:
        """What can be picked of a monitor: model versions, segments and baselines, with their windows."""
        return self._frame(scopes(self._warehouse, monitor), SCOPES)

    def drift(self, monitor: str, stretch: Stretch, segment: str = "all", baseline: str = "training") -> pd.DataFrame:
        """`drift_timeline` of one segment against one baseline, by window and feature."""
        chosen = {"monitor": monitor, "segment": segment, "baseline": baseline}
        return self._rows("drift_timeline", chosen, ("window_end", "model_version", "feature"), stretch)

    def verdicts(self, monitor: str, window_end: datetime) -> pd.DataFrame:
        """`drift_latest`, all evidence, of the windows that end at one moment: every version, segment and baseline."""
        order = ("model_version", "segment", "baseline", "feature")
        return self._rows("drift_latest", {"monitor": monitor, "window_end": window_end}, order)

    def performance(self, monitor: str, stretch: Stretch) -> pd.DataFrame:
        """`performance_latest`, by window."""
        order = ("window_end", "model_version", "segment", "basis", "metric")
        return self._rows("performance_latest", {"monitor": monitor}, order, stretch)

    def quality(self, monitor: str, stretch: Stretch) -> pd.DataFrame:
        """`quality_latest`, by window."""
        order = ("window_end", "model_version", "check_name", "feature")
        return self._rows("quality_latest", {"monitor": monitor}, order, stretch)

    def alerts(self, monitor: str | None = None) -> pd.DataFrame:
        """`alerts`, of one monitor or of all, oldest first."""
        return self._rows("alerts", _of(monitor), ("monitor", "since", "alert_id"))

    def alert_events(self, monitor: str, stretch: Stretch) -> pd.DataFrame:
        """`alert_events`, by window."""
        order = ("window_end", "computed_at", "alert_id", "event_id")
        return self._rows("alert_events", {"monitor": monitor}, order, stretch)

    def costs(self, stretch: Stretch, monitor: str | None = None) -> pd.DataFrame:
        """`run_costs` of the runs that began in a stretch, of one monitor or of all."""
        return self._rows("run_costs", _of(monitor), ("started_at", "monitor", "run_id"), stretch, "started_at")

    def _rows(
        self, view: str, equal: Mapping[str, str | datetime], order: Sequence[str], stretch: Stretch | None = None,
        moment: str = "window_end",
    ) -> pd.DataFrame:  # fmt: skip
        return self._frame(rows(self._warehouse, view, equal, order, stretch, moment=moment), _COLUMNS[view])

    def _frame(self, statement: Statement, columns: Iterable[str]) -> pd.DataFrame:
        import pandas as pd

        frame = pd.DataFrame(self._warehouse.query(statement), columns=list(columns))
        for name in _TIMES.intersection(frame.columns):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        return frame


def fleet(names: Names) -> Statement:
    """Every monitor at a glance."""
    return show(names, "fleet", {})


def scopes(names: Names, monitor: str) -> Statement:
    """The model versions, segments and baselines of a monitor."""
    return show(names, "scopes", {"monitor": Param("STRING", monitor)})


def rows(
    names: Names, view: str, equal: Mapping[str, str | datetime], order: Sequence[str], stretch: Stretch | None = None, *,
    moment: str = "window_end",
) -> Statement:  # fmt: skip
    """Rows of a view or table where columns equal values and, with a stretch, whose `moment` lies in it."""
    params = {name: Param("STRING" if isinstance(value, str) else "TIMESTAMP", value) for name, value in equal.items()}
    if stretch is not None:
        params |= {"start": Param("TIMESTAMP", stretch.start), "end": Param("TIMESTAMP", stretch.end)}
    return show(
        names, "rows", params,
        source=view, columns=_COLUMNS[view], equal=list(equal), moment=moment if stretch else None, order=list(order),
    )  # fmt: skip


def _of(monitor: str | None) -> dict[str, str | datetime]:
    return {} if monitor is None else {"monitor": monitor}
