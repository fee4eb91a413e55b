"""References and reports in MLflow: each model version knows what it was trained on, each run what its monitor found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow import MlflowClient, active_run
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from bq_monitor.config import MonitorConfig
from bq_monitor.errors import BqMonitorError, InputError, said
from bq_monitor.report.html import require_charts
from bq_monitor.report.publish import FORMATS, page_of
from bq_monitor.warehouse.storage import read_text

if TYPE_CHECKING:
    from bq_monitor.reference import Reference
    from bq_monitor.report.page import Page

PREFIX = "bq_monitor"
FOLDER = PREFIX
"""Artifacts lie in this folder of the run."""
MAX_METRICS_PER_CALL = 1000
"""MLflow refuses more."""


class TrackingError(BqMonitorError):
    """The tracking server could not do what was asked."""

    exit_code = 4


def log_reference(
    reference: Reference,
    config: str | Path | None = None,
    *,
    run_id: str | None = None,
    registered_model: str | None = None,
) -> None:
    """Tie a captured reference to the run that trained its model.

    The run gets the tags `bq_monitor.reference_id`, `bq_monitor.monitor` and `bq_monitor.model_version` (no parameter: one could not be
    changed when the reference is captured anew), and as artifacts `bq_monitor/reference.json` (every feature with its buckets; labels
    of `sensitive` features are hashes) and, of a `config`, `bq_monitor/monitor.yaml`.

    Args:
        config: the file of the monitor, local or `gs://`.
        run_id: of the run (default: the active one).
        registered_model: a registered model; its version `reference.model_version` gets the tags, too.

    Raises:
        InputError: there is no run, or the file cannot be read. TrackingError: MLflow refused or failed.
    """
    run_id, text = _run_id("log_reference", run_id), None if config is None else read_text(str(config))
    tags = {
        f"{PREFIX}.monitor": reference.monitor, f"{PREFIX}.model_version": reference.model_version,
        f"{PREFIX}.reference_id": reference.reference_id,
    }  # fmt: skip
    client = MlflowClient()
    with _tracked(f"log_reference: run {run_id}"):
        client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])
        client.log_dict(run_id, histograms(reference), f"{FOLDER}/reference.json")
        if text is not None:
            client.log_text(run_id, text, f"{FOLDER}/monitor.yaml")
        for tag in tags.items() if registered_model else ():
            client.set_model_version_tag(registered_model, reference.model_version, *tag)


def log_report(
    config: MonitorConfig,
    window: str | None = None,
    *,
    run_id: str | None = None,
    formats: Sequence[str] = ("html", "json"),
) -> dict[str, float]:
    """Log what a monitor found in a window to a run: the report as artifacts, its numbers as metrics.

    The metrics are at the time of the window's end, so that a run that each window is logged to shows them over time.

    Args:
        window: the window that ends at this time, or that it lies in (default: the newest judged one).
        run_id: of the run (default: the active one).
        formats: of the report: html (needs the extra `[report]`), json, csv, md.

    Returns:
        The metrics: see `metrics_of`.

    Raises:
        InputError: there is no run, no such window or format. WarehouseError: the results cannot be read.
        TrackingError: MLflow refused or failed.
    """
    run_id = _run_id("log_report", run_id)
    if unknown := sorted(set(formats) - set(FORMATS)):
        raise InputError(f"log_report: formats: got {', '.join(unknown)}; allowed: {', '.join(FORMATS)}.")
    if "html" in formats:
        require_charts("log_report")
    page = page_of(config, window)
    metrics, client = metrics_of(page), MlflowClient()
    name = f"{FOLDER}/{page.name}-{page.window_end:%Y%m%dT%H%MZ}"
    texts, entries = {form: FORMATS[form](page) for form in formats}, _at(page.window_end, metrics)
    with _tracked(f"log_report: run {run_id}"):
        for form, text in texts.items():
            client.log_text(run_id, text, f"{name}.{form}")
        for start in range(0, len(entries), MAX_METRICS_PER_CALL):
            client.log_batch(run_id, metrics=entries[start : start + MAX_METRICS_PER_CALL])
    return metrics


def metrics_of(page: Page) -> dict[str, float]:
    """The numbers of a report by MLflow's names; what is undefined has none.

    `bq_monitor.n_ok`, `.n_drift` and `.n_not_evaluated` count features of model versions, `.health` is the lowest of the versions (0..100,
    known of the newest window alone), `.drift_score.FEATURE` (0..1) is that of the feature's worst verdict over all rows.
    """
    worst = [row.worst for row in page.rows]
    found = {f"{PREFIX}.n_{status}": _count(worst, status) for status in ("ok", "drift", "not_evaluated")}
    if known := [item.health for item in page.health if item.health is not None]:
        found[f"{PREFIX}.health"] = min(known)
    for item in worst:
        name = f"{PREFIX}.drift_score.{_plain(item.feature)}"
        if item.drift_score is not None:
            found[name] = max(item.drift_score, found.get(name, 0.0))
    return found


def histograms(reference: Reference) -> dict[str, Any]:
    """A reference as plain values, each feature with its buckets: `bucket, name, n`."""
    plain = reference.to_dict()
    for entry, feature in zip(plain["features"], reference.features, strict=True):
        buckets = feature.histogram.buckets
        entry["buckets"] = [
            {"bucket": code, "name": buckets.name(code), "n": int(n)}
            for code, n in zip(buckets.codes, feature.histogram.counts, strict=True)
        ]
    return plain


@contextmanager
def _tracked(place: str) -> Iterator[None]:
    """What fails in it is a `TrackingError`; stores of artifacts, and requests, fail with an OSError."""
    try:
        yield
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{place}: MLflow refused or failed; got {said(error)}. See that the tracking URI answers and that you may write to the run, "
            "to its artifacts and to the registered model; then call again: what was logged before is logged over."
        ) from error


def _run_id(place: str, run_id: str | None) -> str:
    if run_id is not None:
        return run_id
    run = active_run()
    if run is None:
        raise InputError(f"{place}: no MLflow run; start one with mlflow.start_run(), or give run_id.")
    return str(run.info.run_id)


def _at(moment: datetime | None, metrics: dict[str, float]) -> list[Any]:
    milliseconds = 0 if moment is None else int(moment.timestamp() * 1000)
    return [Metric(name, value, milliseconds, milliseconds // 1000) for name, value in metrics.items()]


def _count(found: Iterable[Any], status: str) -> float:
    return float(sum(item.status == status for item in found))


def _plain(name: str) -> str:
    """A feature's name with '_' for what MLflow does not allow in the name of a metric."""
    return "".join(letter if letter.isalnum() or letter in "_-. " else "_" for letter in name)
