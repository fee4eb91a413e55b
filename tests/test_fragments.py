"""Pieces of SQL that depend on a column's type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bq_monitor.warehouse.fragments import IN_DUCKDB
from bq_monitor.warehouse.identifiers import quote_column
from bq_monitor.warehouse.render import _to_duckdb, translate

UGLY = ["plain", 'say "x"', "it's", "a.b", "{0}", "名前 🚲", "t.x AS y -- "]


@pytest.mark.parametrize("column", UGLY)
@pytest.mark.parametrize("shape", IN_DUCKDB)
def test_the_commonest_pieces_are_written_as_the_translator_would(shape: str, column: str) -> None:
    written = shape.replace("{0}", f"t.{quote_column(column, 'bigquery')}")
    assert translate(written, "duckdb") == _to_duckdb(f"SELECT {written}").removeprefix("SELECT ")


def test_a_comparison_of_plain_columns_does_without_the_translator(tmp_path: Path) -> None:
    """Loading it takes longer than comparing small files."""
    times = pd.date_range("2026-01-01", periods=500, freq="h")
    pd.DataFrame({"amount": range(500), "state": ["CA", "TX"] * 250, "at": times}).to_parquet(tmp_path / "a.parquet")
    program = "import sys, bq_monitor; bq_monitor.compare('a.parquet', 'a.parquet'); sys.exit('sqlglot' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
