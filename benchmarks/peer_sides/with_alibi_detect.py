"""alibi-detect's `TabularDrift`: it wants one array of numbers, so text is encoded as its documentation asks, and NULL is filled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from alibi_detect.cd import TabularDrift
from pair import answer, is_text, read_pair

reference, current = read_pair()
texts = [column for column in reference if is_text(reference[column])]
categories = {}
for column in texts:
    codes, values = pd.factorize(pd.concat([reference[column], current[column]]), use_na_sentinel=False)
    reference[column], current[column] = codes[: len(reference)], codes[len(reference) :]
    categories[reference.columns.get_loc(column)] = len(values)
medians = reference.median()
before, after = (frame.fillna(medians).to_numpy(np.float32) for frame in (reference, current))
found = TabularDrift(before, categories_per_feature=categories).predict(after, drift_type="feature")
answer({column: bool(is_drift) for column, is_drift in zip(reference, found["data"]["is_drift"], strict=True)})
