"""NannyML's univariate drift with its defaults: ten chunks a side; a column drifts where a chunk of the current data alerts."""

from __future__ import annotations

from nannyml import UnivariateDriftCalculator
from pair import answer, read_pair

reference, current = read_pair()
found = UnivariateDriftCalculator(list(reference.columns)).fit(reference).calculate(current)
alerts = found.filter(period="analysis").to_df().xs("alert", axis=1, level=-1)
answer({column: bool(alerts[column].to_numpy().any()) for column in alerts.columns.get_level_values(0)})
