"""The two files as data frames, as a user of these tools reads them, and the answer of a side: one line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import pandas as pd


def read_pair() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reference and the current data: the files that the command line names."""
    reference, current = sys.argv[1:]
    return pd.read_parquet(reference), pd.read_parquet(current)


def is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def answer(drifted: Mapping[str, bool]) -> None:
    """Print the columns that were judged, and those of them that drifted."""
    print(
        json.dumps({"judged": len(drifted), "drifted": sorted(name for name, is_drift in drifted.items() if is_drift)})
    )
