"""Make a stretch of production a baseline: its stored counts, summed, beside the training data. No log is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.measure.restlessness import clumping_of
from bq_monitor.plan import Judgement
from bq_monitor.reference import Reference, load_references, store_promoted
from bq_monitor.scan import scan_definition_id
from bq_monitor.stored import CURRENT, Evidence, read_sums
from bq_monitor.timegrid import Window, parse_stretch
from bq_monitor.warehouse import open_warehouse, statements
from bq_monitor.warehouse.base import Terms, Warehouse


def promote(
    config: MonitorConfig, start: datetime | str, end: datetime | str, *, version: str | None = None
) -> Reference:
    """Store the counts of `[start, end)` as the baseline `promoted` of a model version (default: of the newest).

    Returns:
        The promoted baseline: the features of the reference with the counts of production.

    Raises:
        InputError: no reference of this version, nothing counted in this stretch, or it ends before it starts.
        WarehouseError: it could not be stored.
    """
    warehouse = open_warehouse(config.warehouse, deadline_seconds=config.budget.deadline_seconds)
    try:
        warehouse.begin(Terms(config.budget.deadline_seconds, None, {"monitor": config.monitor}))
        grid, asked = config.window.grid, parse_stretch("promote", start, end, config.window.timezone)
        window = Window(grid.floor(asked.start), grid.floor(asked.end))
        promoted = _summed(warehouse, config, _reference(warehouse, config, version), window)
        store_promoted(warehouse, promoted)
        return promoted
    finally:
        warehouse.close()


def _reference(warehouse: Warehouse, config: MonitorConfig, version: str | None) -> Reference:
    references = load_references(warehouse, config.monitor)
    found = [item for item in references if version in (None, item.model_version)]
    if not found:
        known = ", ".join(dict.fromkeys(repr(item.model_version) for item in references)) or "none"
        raise InputError(f"promote: version {version!r}: no reference of it; captured are {known}.")
    return found[0]


def _summed(warehouse: Warehouse, config: MonitorConfig, reference: Reference, window: Window) -> Reference:
    judgement = Judgement(window, reference.model_version, reference, "")
    evidence = Evidence(read_sums(warehouse, config, [judgement]))
    found = {
        segment: tuple(
            replace(feature, histogram=histogram, n_singletons=0)
            for feature in features
            if (histogram := evidence.histogram(0, CURRENT, feature, segment)) is not None
        )
        for segment, features in reference.by_segment.items()
    }
    features = found.pop("all")
    if not features:
        raise InputError(
            f"promote: {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC: nothing counted there for version "
            f"{reference.model_version!r}; run the monitor over it first ('bq-monitor run --from --to')."
        )
    rows = warehouse.query(
        statements.stored(warehouse, config.monitor, scan_definition_id(config), window.start, window.end)
    )
    own = ((row["granule"], int(row["n_rows"])) for row in rows if row["reference_id"] == reference.reference_id)
    clumping = clumping_of(config.window.grid.rows_by_day(own))
    return replace(
        reference, features=features, captured_at=datetime.now(UTC), clumping=clumping,
        promoted=None, stretch=window, scan_definition_id=scan_definition_id(config), segments=found, labels=(), cells=(),
    )  # fmt: skip
