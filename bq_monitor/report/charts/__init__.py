"""Charts of results, drawn from frames with the views' columns: no warehouse, no arithmetic of their own.

Each function returns an altair chart, as wide as its container unless `width` gives pixels. An empty frame gives a chart that says so.
"""

from bq_monitor.report.charts.answers import calibration, concept, confidence, confusion
from bq_monitor.report.charts.parts import Chart, themed
from bq_monitor.report.charts.shares import distribution, heat_map
from bq_monitor.report.charts.times import (
    alert_timeline,
    bars_over_time,
    metric_timeline,
    performance_timeline,
    volume,
)

__all__ = [
    "Chart", "alert_timeline", "bars_over_time", "calibration", "concept", "confidence", "confusion", "distribution", "heat_map",
    "metric_timeline", "performance_timeline", "themed", "volume",
]  # fmt: skip
