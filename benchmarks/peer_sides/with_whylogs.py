"""whylogs: a profile of each side, and its own drift scores of the two profiles (KS of sketches, chi-square of frequent items)."""

from __future__ import annotations

import whylogs
from pair import answer, read_pair
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

reference, current = (whylogs.log(frame).view() for frame in read_pair())
scores = calculate_drift_scores(target_view=current, reference_view=reference, with_thresholds=True)
answer({column: score["drift_category"] == "DRIFT" for column, score in scores.items() if score})
