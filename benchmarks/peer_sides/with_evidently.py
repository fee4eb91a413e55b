"""Evidently's data-drift preset with its defaults: a distance or a test, which it chooses for each column."""

from __future__ import annotations

from evidently import Report
from evidently.presets import DataDriftPreset
from pair import answer, read_pair

reference, current = read_pair()
tests = Report([DataDriftPreset()], include_tests=True).run(current, reference).dict()["tests"]
judged = {test["metric_config"]["params"].get("column"): test["status"] == "FAIL" for test in tests}
answer({column: is_drift for column, is_drift in judged.items() if column})
