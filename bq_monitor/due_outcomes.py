"""What is due of answers and outcomes, from the log, the labels and what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from bq_monitor.budget import Allowance
from bq_monitor.outcomes import arrivals_statement, outcomes_of, why_not_answers
from bq_monitor.plan import GranuleRows, Plan, Planner, Progress
from bq_monitor.plan_outcomes import (
    Arrivals,
    Arrived,
    OutcomePlan,
    OutcomePlanner,
    OutcomesStored,
    StoredArrival,
    arrivals_of_rows,
)  # fmt: skip
from bq_monitor.scan import AGES, log_scan
from bq_monitor.timegrid import Window
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Relation, Row, Warehouse


class OutcomeDesk:
    """Everything that the outcome part of a run's plan is made from, read once."""

    def __init__(
        self, warehouse: Warehouse, planner: Planner, relation: Relation, allowance: Allowance | None = None
    ) -> None:
        self.warehouse, self.relation, self.allowance = warehouse, relation, allowance
        self.config, self.outcomes = planner.config, OutcomePlanner(planner)
        labels = self.config.labels
        self.labels = warehouse.relation(labels.table) if labels and labels.table else None
        self._seen: dict[tuple[datetime, datetime], Arrivals] = {}

    def plan(
        self, plan: Plan, progress: Progress, taken: Sequence[Window], rows: GranuleRows, *, max_windows: int
    ) -> OutcomePlan:
        """The outcome part of a plan; `rows` of the log's granules in the reach of the windows `taken`."""
        windows = list(taken)
        if self.config.labels:
            windows = self.outcomes.candidates(self._mark(), self._first(progress, taken), plan.watermark)
        reach = self.outcomes.reach(windows)
        if reach is None or not self._is_wanted:
            return OutcomePlan()
        stored = self._stored(windows, reach)
        if self._is_past(stored):
            return OutcomePlan()
        looked_from = self.outcomes.look_from(windows, stored)
        most = None if plan.is_backfill else max_windows
        reason = why_not_answers(self.config, self.relation)
        if not self._must_look:
            return self.outcomes.plan(windows, arrivals_of_rows(rows), None, stored, max_windows=most, reason=reason)
        seen = self._look(looked_from, reach.end) if looked_from else {}
        since = looked_from or reach.end
        return self.outcomes.plan(windows, seen, since, stored, max_windows=most, reason=reason)

    def _first(self, progress: Progress, taken: Sequence[Window]) -> datetime | None:
        """Where the first window of the monitor begins: as said, or as far as it is known."""
        known = [progress.first_start, *(window.start for window in taken)]
        return self.config.window.start_moment() or min((moment for moment in known if moment), default=None)

    def _is_past(self, stored: OutcomesStored) -> bool:
        """Whether a later run has seen more outcomes than there were at this moment: it has said all that this one could."""
        planner = self.outcomes.planner
        return planner.backfill is None and any(found.known_at > planner.as_of for found in stored.arrivals.values())

    @property
    def _is_wanted(self) -> bool:
        return self.config.prediction is not None or self._must_look

    @property
    def _must_look(self) -> bool:
        """Whether rows alone do not tell what has arrived: outcomes, ids, and the time of the newest row do not show in them."""
        quality = self.config.quality
        return self.config.labels is not None or quality.duplicate_ids is not None or quality.freshness is not None

    def _mark(self) -> datetime | None:
        """Up to where judgements are final; under a new definition, up to where no more outcomes are to come."""
        statement = statements.settled(self.warehouse, self.config.monitor, self.outcomes.definition)
        (row,) = self.warehouse.query(statement)
        if row["settled_to"]:
            moment: datetime = row["settled_to"].astimezone(UTC)
            return moment
        return self.outcomes.mature_to if row["was_redefined"] else None

    def _stored(self, windows: Sequence[Window], reach: Window) -> OutcomesStored:
        monitor, definition = self.config.monitor, self.outcomes.definition
        found = self.warehouse.query(statements.arrivals(self.warehouse, monitor, definition, reach.start, reach.end))
        arrivals = {
            (row["reference_id"], row["granule"].astimezone(UTC)): StoredArrival(
                _arrived(row), *(row[name].astimezone(UTC) for name in ("known_at", "computed_at"))
            )
            for row in found
        }
        keys = self.warehouse.query(statements.performance_keys(self.warehouse, monitor, windows[0].start))
        judged_by: dict[tuple[Window, str], set[str]] = {}
        for row in keys:
            window = Window(row["window_start"].astimezone(UTC), row["window_end"].astimezone(UTC))
            judged_by.setdefault((window, row["model_version"]), set()).add(row["run_id"])
        runs = {key: tuple(sorted(found)) for key, found in judged_by.items()}
        return OutcomesStored(arrivals, frozenset(row["verdict_key"] for row in keys), runs)

    def _look(self, start: datetime, end: datetime) -> Arrivals:
        """What has arrived of `[start, end)`, looked up once."""
        if (start, end) in self._seen:
            return self._seen[start, end]
        warehouse, scan = self.warehouse, log_scan(self.config, self.relation, start, end)
        outcomes = outcomes_of(self.config, self.relation, self.labels, self.outcomes.planner.as_of)
        statement = arrivals_statement(scan, self.config, outcomes, warehouse.dialect)
        if self.allowance:
            self.allowance.check(warehouse.estimate(statement), warehouse.spent.bytes_processed or 0)
        self._seen[start, end] = {
            (row["granule"].astimezone(UTC), row["model_version"]): _arrived(row)
            for row in warehouse.query(statement)
            if row["granule"] is not None
        }
        return self._seen[start, end]


def _arrived(row: Row) -> Arrived:
    """A row of the look, or of the table `arrivals`."""
    stored = row.get("ages")
    ages = (
        tuple(int(row[f"within_{days}_days"]) for days in AGES)
        if stored is None
        else tuple(int(a["n"]) for a in stored)
    )
    newest_label, newest_row = row["newest_label_at"], row["newest_row_at"]
    return Arrived(
        int(row["n_rows"]), int(row["n_labelled"]), int(row["n_labels"]), int(row["n_contradictory"]),
        newest_label.astimezone(UTC) if newest_label else None, None if row["n_ids"] is None else int(row["n_ids"]),
        newest_row.astimezone(UTC) if newest_row else None, ages,
    )  # fmt: skip
