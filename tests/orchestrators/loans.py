"""The real loans of the example as a training table, a log, and a monitor: what an orchestrator's example is given."""

from __future__ import annotations

from pathlib import Path

import duckdb
import yaml

from tests.conftest import ROOT

LOANS = ROOT / "examples" / "loan_approval"
VERSION = "2003-10"
TRAINING = ("2001-10-01", "2003-10-01")
PRODUCTION = ("2005-07-01", "2006-01-01")
"""In October 2005 the short application form ended: low_doc moves."""


def write_loans(folder: Path, version: str = VERSION) -> Path:
    """`training.parquet`, `predictions.parquet` (of a rule, in place of a model) and `loan_approval.yaml`, which is returned."""
    query = (LOANS / "applications.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW loans AS SELECT * FROM '{LOANS / 'sba_loans.parquet'}'")
        for name, (start, end) in (("training", TRAINING), ("predictions", PRODUCTION)):
            dated = query.replace("$start", f"TIMESTAMP '{start}'").replace("$end", f"TIMESTAMP '{end}'")
            connection.execute(
                f"COPY (SELECT *, guarantee_share > 0.5 AS approved, guarantee_share AS probability, '{version}' AS model_version"
                f" FROM ({dated})) TO '{folder / name}.parquet'"
            )
    config = yaml.safe_load((LOANS / "loan_approval.yaml").read_text(encoding="utf-8"))
    config |= {"warehouse": f"duckdb://{folder}/monitor.duckdb"}
    config["source"]["table"] = f"{folder}/predictions.parquet"
    config["window"]["start"] = PRODUCTION[0]
    for part in ("labels", "performance", "fairness", "segments"):
        del config[part]
    config["detection"]["confirm"] = "1 of 1"
    path = folder / "loan_approval.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    """What a query finds in the monitor's tables."""
    with duckdb.connect(str(folder / "monitor.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()
