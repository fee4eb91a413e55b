"""Which checks of the data are worth an event: every one whose limit is broken. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bq_monitor.alerts.rules import Event, with_severities
from bq_monitor.config import MonitorConfig

if TYPE_CHECKING:
    from bq_monitor.checking import QualityResult


def quality_events(results: Iterable[QualityResult], config: MonitorConfig) -> list[Event]:
    """One event a check that found something wrong, in the order of the results; the sentence is the check's own."""
    found = [
        Event(
            result.judgement, kind="quality", severity="warning", message=check.explanation or check.name, feature=check.feature,
            measure=check.name,
        )
        for result in results
        if (check := result.check).status == "drift"
    ]  # fmt: skip
    return with_severities(found, config)
