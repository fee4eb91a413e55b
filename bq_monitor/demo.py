"""The main job on real loans: train a small credit model, capture its reference, replay six years of its predictions.

Everything happens in one folder: the training data, the prediction log, the monitor's YAML and an embedded warehouse that
any DuckDB client can open. See `examples/loan_approval` for the data and what is known to have changed in it.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bq_monitor.capture import capture_reference
from bq_monitor.config import MonitorConfig
from bq_monitor.config_files import load_config
from bq_monitor.errors import InputError
from bq_monitor.job import run
from bq_monitor.resources import resource
from bq_monitor.results import RunResult
from bq_monitor.warehouse import open_warehouse
from bq_monitor.warehouse.base import Param, Statement
from bq_monitor.warehouse.duckdb import DuckDBWarehouse
from bq_monitor.warehouse.identifiers import duckdb_string

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

TRAINING = (datetime(1999, 10, 1), datetime(2003, 10, 1))
"""Approval dates of the training data: the US fiscal years 2000 to 2003."""
PRODUCTION = (datetime(2003, 10, 1), datetime(2009, 10, 1))
"""Approval dates of the replayed log: the fiscal years 2004 to 2009, the crisis among them."""
MODEL_VERSION = "2003-10"
NUMBERS = ("loan_amount", "guarantee_share", "no_emp", "create_job", "retained_job")
CATEGORIES = ("low_doc", "rev_line_cr", "new_exist", "urban_rural", "sector", "state")
OUTCOME_AFTER_DAYS = 365
"""The outcome of a loan arrives so long after its approval: a simplification, the data do not say when a repaid loan was."""
_CONFIG, _DATABASE, _TRAINING, _LOG = "monitor.yaml", "monitor.duckdb", "training.parquet", "predictions.parquet"
_OUTCOMES = "outcomes.parquet"
REPORT = "report.html"
"""Written into the folder by whoever can draw it."""
_OWN_FILES = (_DATABASE, f"{_DATABASE}.wal", _TRAINING, _LOG, _OUTCOMES, REPORT, _CONFIG)
"""What a demo writes; the configuration is written first and removed last, and its first line says whose folder it is."""
_MARK = "# Written by 'bq-monitor demo', which may remove this folder's files when it is run here again.\n"
_FOLDS = 5


@dataclass(frozen=True)
class DemoRow:
    """One month of the replay; `not_evaluated` says of each feature without a verdict why, `events` what was raised."""

    month: date
    n_loans: int
    drifted: tuple[str, ...]
    not_evaluated: dict[str, str]
    events: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why features were not evaluated, each reason once."""
        return tuple(sorted(set(self.not_evaluated.values())))


@dataclass(frozen=True)
class DemoOutcome:
    """One month of loans and what became of them, as the monitor saw it once their outcomes had arrived.

    Args:
        predicted, happened: mean probability of being repaid, and the share that was, 0..1.
        roc_auc, estimated_roc_auc: realised, and what the estimate without outcomes had said before.
        shift: what moved between the inputs and the outcome, in words.
    """

    month: date
    n_loans: int
    predicted: float | None
    happened: float | None
    roc_auc: float | None
    estimated_roc_auc: float | None
    shift: str | None


@dataclass(frozen=True)
class DemoQuery:
    """A query to try in any DuckDB client."""

    title: str
    sql: str


@dataclass(frozen=True)
class DemoResult:
    """What the demo found, and where its files are.

    Args:
        roc_auc: of the model on its training data, each fold scored by a model that did not see it; 0..1.
    """

    directory: Path
    config: Path
    database: Path
    training: Path
    log: Path
    labels: Path
    n_training: int
    n_logged: int
    roc_auc: float
    rows: tuple[DemoRow, ...]
    outcomes: tuple[DemoOutcome, ...]
    queries: tuple[DemoQuery, ...]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values."""
        paths = {
            name: str(getattr(self, name)) for name in ("directory", "config", "database", "training", "log", "labels")
        }
        rows = [
            {**asdict(row), "month": row.month.isoformat(), "drifted": list(row.drifted), "events": list(row.events)}
            for row in self.rows
        ]
        outcomes = [{**asdict(item), "month": item.month.isoformat()} for item in self.outcomes]
        counts = {"n_training": self.n_training, "n_logged": self.n_logged, "roc_auc": self.roc_auc}
        return {
            **paths,
            **counts,
            "rows": rows,
            "outcomes": outcomes,
            "queries": [asdict(query) for query in self.queries],
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a month."""
        import pandas as pd

        return pd.DataFrame(self.to_dict()["rows"])


OnWindow = Callable[[DemoRow, int, int], None]
"""Called as `(month just judged, months done, months in all)`."""


def run_demo(directory: Path, on_window: OnWindow | None = None) -> DemoResult:
    """Train, capture, and run the monitor at the beginning of each month of the log, as a scheduler would.

    Args:
        directory: where the files go; made if it is missing. The files of an earlier demo in it are replaced.
        on_window: called after each month.

    Returns:
        One row a month, and queries to try on the views.

    Raises:
        InputError: scikit-learn is not installed, or the folder holds other things than an earlier demo.
        WarehouseError: the database could not be written.
    """
    _require_scikit_learn()
    folder = Path(directory).absolute()
    _start_afresh(folder)
    config = _write_config(folder)
    n_training, n_logged, roc_auc = _write_data(folder)
    capture_reference(str(_pattern(folder / _TRAINING)), config, version=MODEL_VERSION)
    rows = tuple(_replay(config, on_window or (lambda row, done, total: None)))
    return DemoResult(
        folder, folder / _CONFIG, folder / _DATABASE, folder / _TRAINING, folder / _LOG, folder / _OUTCOMES,
        n_training, n_logged, roc_auc, rows, _outcomes(config), QUERIES,
    )  # fmt: skip


def _require_scikit_learn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise InputError(
            "demo: scikit-learn is not installed; the demo trains a model with it. Run: pip install 'bq-monitor[ml]'"
        ) from None


def _start_afresh(folder: Path) -> None:
    """Make the folder, or empty it of an earlier demo; a folder with anything else in it is left alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {path.name for path in folder.iterdir()}
        config = folder / _CONFIG
        ours = _CONFIG in found and config.read_text(encoding="utf-8", errors="replace").startswith(_MARK)
        if found and (strange := sorted(found - set(_OWN_FILES)) or ([] if ours else sorted(found))):
            raise InputError(
                f"{folder}: holds other things than an earlier demo: {', '.join(strange[:5])}. Name a new or an empty folder."
            )
        for name in _OWN_FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be used: {error.strerror}. Name a folder that this user may write to."
        ) from None


def _write_config(folder: Path) -> MonitorConfig:
    """The example's monitor with the folder's own database and log."""
    data = yaml.safe_load((_example() / "loan_approval.yaml").read_text(encoding="utf-8"))
    data["warehouse"] = f"duckdb://{folder / _DATABASE}"
    data["source"]["table"] = _pattern(folder / _LOG)
    data["labels"]["table"] = _pattern(folder / _OUTCOMES)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    (folder / _CONFIG).write_text(_MARK + text, encoding="utf-8")
    return load_config(folder / _CONFIG)


def _write_data(folder: Path) -> tuple[int, int, float]:
    """Training data and prediction log; returns their numbers of rows and the model's cross-validated ROC AUC."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    engine = DuckDBWarehouse()
    try:
        training, production = _applications(engine, *TRAINING), _applications(engine, *PRODUCTION)
        inputs, repaid = _inputs(training), training["repaid"].to_numpy(dtype=bool)
        # What the model says of rows it was fitted to would be too good a reference for what it says of new ones.
        unseen = cross_val_predict(_model(), inputs, repaid, cv=_FOLDS, method="predict_proba")[:, 1]
        scores = _model().fit(inputs, repaid).predict_proba(_inputs(production))[:, 1]
        _write(engine, _predicted(training, unseen), folder / _TRAINING)
        _write(engine, _predicted(production.drop(columns="repaid"), scores), folder / _LOG)
        _write(engine, _labels(production), folder / _OUTCOMES)
        return len(training), len(production), float(roc_auc_score(repaid, unseen))
    finally:
        engine.close()


def _applications(engine: DuckDBWarehouse, start: datetime, end: datetime) -> pd.DataFrame:
    import pandas as pd

    loans = engine.relation(_pattern(_example() / "sba_loans.parquet"))
    sql = (_example() / "applications.sql").read_text(encoding="utf-8")
    params = {"start": Param("DATETIME", start), "end": Param("DATETIME", end)}
    statement = Statement("demo/applications", f"WITH loans AS (SELECT * FROM {loans.sql})\n{sql}", params)
    return pd.DataFrame(engine.query(statement))


def _inputs(applications: pd.DataFrame) -> pd.DataFrame:
    """What the model sees: logarithms of amounts and head counts, categories as text, a missing one as its own."""
    import numpy as np

    numbers = {name: np.log1p(applications[name].astype(float)) for name in NUMBERS}
    categories = {name: applications[name].astype(object).fillna("missing").astype(str) for name in CATEGORIES}
    return applications[["application_id"]].assign(**numbers, **categories).drop(columns="application_id")


def _model() -> Pipeline:
    """A plain scorecard: logistic regression on scaled numbers and one-hot categories."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    one_hot = OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist")
    columns = make_column_transformer((StandardScaler(), list(NUMBERS)), (one_hot, list(CATEGORIES)))
    return make_pipeline(columns, LogisticRegression(max_iter=1000))


def _predicted(applications: pd.DataFrame, scores: Any) -> pd.DataFrame:
    """Applications with the model's answers: `probability` of being repaid, `approved` from one half on."""
    return applications.assign(approved=scores >= 0.5, probability=scores, model_version=MODEL_VERSION)


def _labels(applications: pd.DataFrame) -> pd.DataFrame:
    """What became of each loan, and when that is taken to be known."""
    import pandas as pd

    known_at = applications["predicted_at"] + pd.Timedelta(days=OUTCOME_AFTER_DAYS)
    return applications[["application_id", "repaid"]].assign(known_at=known_at)


def _write(engine: DuckDBWarehouse, data: pd.DataFrame, path: Path) -> None:
    relation = engine.frame(data, path.name)
    sql = f"COPY (SELECT * FROM {relation.sql}) TO {duckdb_string(str(path))} (FORMAT parquet)"
    engine.execute(Statement("demo/write", sql))


def _replay(config: MonitorConfig, on_window: OnWindow) -> Iterator[DemoRow]:
    start, end = PRODUCTION
    months = [datetime(year, month, 1) for year in range(start.year, end.year + 1) for month in range(1, 13)]
    due = [month for month in months if start < month <= end]
    for done, moment in enumerate(due, start=1):
        row = _row(run(config, moment.isoformat()))
        on_window(row, done, len(due))
        yield row


def _row(outcome: RunResult) -> DemoRow:
    """The one window that a run at the beginning of a month judges."""
    (window,) = outcome.windows
    verdicts = {result.feature: result.verdict for result in outcome.results if result.segment == "all"}
    return DemoRow(
        window.start.date(),
        max(verdict.n_current for verdict in verdicts.values()),
        tuple(name for name, verdict in verdicts.items() if verdict.status == "drift"),
        {name: v.reason or "" for name, v in verdicts.items() if v.status == "not_evaluated"},
        tuple(f"{event.severity}: {event.message}" for event in outcome.events),
    )


def _outcomes(config: MonitorConfig) -> tuple[DemoOutcome, ...]:
    """Each month whose outcomes are all known, from the view that anybody may read."""
    names = ("score", "happened", "auc", "estimate", "shift")
    warehouse = open_warehouse(config.warehouse, read_only=True)
    try:
        rows = warehouse.query(Statement("demo/outcomes", _OUTCOMES_QUERY))
    finally:
        warehouse.close()
    return tuple(DemoOutcome(row["month"], int(row["n_loans"]), *(row[name] for name in names)) for row in rows)


_OUTCOMES_QUERY = """
SELECT
  CAST(window_start AS DATE) AS month,
  MAX(n_labelled) AS n_loans,
  MAX(value) FILTER (WHERE basis = 'observed' AND metric = 'mean_score') AS score,
  MAX(value) FILTER (WHERE basis = 'realised' AND metric = 'outcome_rate') AS happened,
  MAX(value) FILTER (WHERE basis = 'realised' AND metric = 'roc_auc') AS auc,
  MAX(value) FILTER (WHERE basis = 'estimated' AND metric = 'roc_auc') AS estimate,
  MAX(explanation) FILTER (WHERE metric = 'shift') AS shift
FROM performance_latest
WHERE segment = 'all' AND NOT is_provisional
GROUP BY month
ORDER BY month
"""


def _example() -> Path:
    return resource("examples/loan_approval")


def _pattern(path: Path) -> str:
    """A path as a pattern that matches just this file, whatever its characters."""
    return glob.escape(str(path))


QUERIES = (
    DemoQuery(
        "Which features drifted, in how many months, and how far",
        "SELECT feature, COUNT_IF(status = 'drift') AS n_months_drifted, ROUND(MAX(drift_score), 2) AS highest_score\n"
        "FROM drift_latest WHERE segment = 'all' GROUP BY feature ORDER BY n_months_drifted DESC, feature",
    ),
    DemoQuery(
        "The loan amount, month by month",
        "SELECT window_start::DATE AS month, n_current, status, ROUND(value, 3) AS js_distance, ROUND(lower, 3) AS at_least\n"
        "FROM drift_timeline WHERE feature = 'loan_amount' AND segment = 'all' ORDER BY month",
    ),
    DemoQuery(
        "What moved in the short application form when it ended",
        "SELECT bucket, ROUND(baseline_share, 3) AS training, ROUND(current_share, 3) AS production, ROUND(psi_contribution, 3) AS psi\n"
        "FROM bucket_contributions WHERE feature = 'low_doc' AND segment = 'all' AND window_start::DATE = '2005-10-01' ORDER BY bucket",
    ),
    DemoQuery(
        "How far the promised probability was from what happened, month by month",
        "SELECT window_start::DATE AS month, n_labelled, ROUND(value, 3) AS gap, ROUND(lower, 3) AS at_least, status\n"
        "FROM performance_timeline WHERE metric = 'calibration_gap' AND segment = 'all' AND NOT is_provisional ORDER BY month",
    ),
    DemoQuery(
        "Which inputs lead to other outcomes than in training, in how many months",
        "SELECT metric, COUNT(*) AS n_months, ANY_VALUE(explanation) AS for_example FROM performance_latest\n"
        "WHERE metric LIKE 'concept:%' AND status = 'drift' GROUP BY metric ORDER BY n_months DESC, metric",
    ),
    DemoQuery(
        "Which alerts stand", "SELECT kind, severity, feature, measure, since, n_windows, message FROM open_alerts ORDER BY since, kind, feature"
    ),
    DemoQuery(
        "What people would have been told, and when",
        "SELECT window_end::DATE AS month_end, COUNT(*) AS n_news,\n"
        "  STRING_AGG(event || ': ' || COALESCE(feature, measure, kind), ', ' ORDER BY kind, feature, measure) AS news\n"
        "FROM alert_events WHERE notify GROUP BY month_end ORDER BY month_end",
    ),
    DemoQuery("What each run did", "SELECT as_of::DATE AS as_of, n_granules_counted, n_drift, n_not_evaluated FROM runs ORDER BY as_of"),
)  # fmt: skip
"""Queries over the views; a test runs each."""
