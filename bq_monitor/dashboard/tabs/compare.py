"""Two uploaded files, compared without any set-up; they are deleted at once after."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from bq_monitor.dashboard.serving import MAX_UPLOAD_MB
from bq_monitor.dashboard.shown import heading, note
from bq_monitor.dashboard.tabs.drawing import html, side_by_side
from bq_monitor.dashboard.tabs.replay import as_html
from bq_monitor.errors import BqMonitorError, InputError, said
from bq_monitor.report import charts

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from bq_monitor.comparison.columns import FeatureComparison
    from bq_monitor.comparison.compare import Comparison

ENDINGS = ("parquet", "csv")
MAX_CHARTS = 6


def show(dark: bool) -> None:
    """Two files, the columns with a role, a button; then the verdict, tables and charts."""
    html(note(f"Parquet or CSV, each up to {MAX_UPLOAD_MB} MB. They are compared here and deleted; nothing is kept."))
    with st.form("compare", enter_to_submit=False):
        files, options = _fields()
        pressed = st.form_submit_button("Compare", type="primary")
    if pressed and not all(files):
        html(note("Choose both files, the baseline and the current one, then compare.", "fault"))
    elif pressed and files[0] and files[1]:
        st.session_state.pop("comparison", None)
        try:
            with st.spinner("Comparing …"):
                found = compared(files[0], files[1], options)
        except BqMonitorError as error:
            html(note(said(error), "fault"))
        else:
            st.session_state["comparison"] = found, f"{files[0].name} (baseline) beside {files[1].name} (current)"
    if kept := st.session_state.get("comparison"):
        found, names = kept
        _result(found, names, dark)


def _fields() -> tuple[list[UploadedFile | None], dict[str, str | None]]:
    """What is to be compared. In a form: streamlit loses a file that is chosen in the moment in which the page is drawn anew."""
    places = st.columns(2)
    files = [
        place.file_uploader(title, list(ENDINGS), key=key, max_upload_size=MAX_UPLOAD_MB)
        for place, title, key in zip(places, ("Baseline", "Current"), ("baseline", "current"), strict=True)
    ]
    roles = st.columns(3)
    options = {
        name: place.text_input(f"Column of the {title}, if there is one", key=f"role_{name}").strip() or None
        for place, (name, title) in zip(
            roles, (("label", "outcome"), ("prediction", "prediction"), ("score", "score")), strict=True
        )
    }
    return files, options


def compared(baseline: UploadedFile, current: UploadedFile, options: dict[str, Any]) -> Comparison:
    """The comparison of two files, which are on disk only as long as it takes."""
    from bq_monitor.comparison.compare import compare

    with tempfile.TemporaryDirectory(prefix="bq-monitor-") as folder:
        paths = [_write(Path(folder), name, file) for name, file in (("baseline", baseline), ("current", current))]
        try:
            return compare(paths[0], paths[1], **options)
        except BqMonitorError as error:  # names of files as their owner knows them
            text = said(error)
            for path, file in zip(paths, (baseline, current), strict=True):
                text = text.replace(str(path), file.name)
            raise InputError(text) from None


def _write(folder: Path, name: str, file: UploadedFile) -> Path:
    """The file under a name of ours: nothing of the uploaded name reaches the disk but its known ending."""
    ending = next((ending for ending in ENDINGS if file.name.lower().endswith(f".{ending}")), "csv")
    path = folder / f"{name}.{ending}"
    path.write_bytes(file.getbuffer())
    return path


def _result(found: Comparison, names: str, dark: bool) -> None:
    from bq_monitor.tables import comparison_lines, comparison_tables

    *lines, verdict = comparison_lines(found)
    html(
        heading(f"Verdict: {verdict}", names),
        *(note(line) for line in lines),
        *(as_html(made) for made in comparison_tables(found)),
    )
    moved = sorted(
        (item for item in found.features if item.verdict.contributions),
        key=lambda item: (item.status != "drift", -(item.verdict.drift_score or 0.0), item.feature),
    )
    side_by_side(((_distribution(item), item.feature) for item in moved[:MAX_CHARTS]), dark=dark)


def _distribution(item: FeatureComparison) -> charts.Chart:
    buckets = [vars(part) for part in item.verdict.contributions]
    return charts.distribution(buckets, kind=item.kind or "categorical", baseline="baseline")
