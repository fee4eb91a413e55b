"""A report of one judged window of a monitor, from the views alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

from bq_monitor import __version__
from bq_monitor.alerts.messages import WORST_FIRST
from bq_monitor.config import MonitorConfig
from bq_monitor.errors import InputError
from bq_monitor.measure.health import WEIGHTS
from bq_monitor.report.page import (
    ALL,
    Alert,
    Bucket,
    Check,
    FeatureVerdict,
    Health,
    HealthPart,
    Page,
    Point,
    Score,
)
from bq_monitor.report.sentence import moment
from bq_monitor.report.views import Stretch, Views
from bq_monitor.timegrid import Span, parse_moment
from bq_monitor.warehouse.base import Warehouse

if TYPE_CHECKING:
    import pandas as pd

HISTORY_WINDOWS = 30
"""Windows that timelines go back."""
METRICS = (
    "psi", "js_distance", "js_divergence", "kl_divergence", "kl_divergence_reverse", "hellinger", "total_variation", "l_infinity",
    "ks_statistic", "ks_bound", "ks_p_value", "chi2_statistic", "chi2_p_value", "wasserstein", "wasserstein_bound", "mean_shift",
    "std_shift", "null_share_baseline", "null_share_current", "unseen_share", "noise_floor",
)  # fmt: skip
_WHY = {
    "features": "share of the evaluated features without drift",
    "prediction": "the same of the answer and its score",
    "performance": "share of the limits on answers that hold",
    "concept": "share of the features given which the outcome did not move",
    "quality": "share of the checks of the data that hold",
}
_Value = TypeVar("_Value")


def page_of_run(config: MonitorConfig, warehouse: Warehouse, window: str | None = None) -> Page:
    """The report of a window.

    Args:
        window: a moment (ISO 8601, in the monitor's zone): the window that ends then, else the one that it lies in; None: the newest.

    Returns:
        A `Page`; parts that the warehouse does not have are empty. Health and its parts are there for the newest window alone.

    Raises:
        InputError: no window has been judged, or none at that moment.
        TableNotFoundError: the warehouse has no tables.
    """
    views = Views(warehouse)
    scopes = views.scopes(config.monitor)
    if scopes.empty:
        raise InputError(
            f"{config.monitor}: no window has been judged yet, so there is nothing to report. Run 'bq-monitor run CONFIG', "
            "then ask again."
        )
    newest = scopes["last_end"].max()
    end = newest if window is None else _end(views, config, window, scopes)
    verdicts = _shortest(views.verdicts(config.monitor, end))
    history = Stretch(_back(config.window.every, HISTORY_WINDOWS, end, config), end)
    features = _features(verdicts, _timelines(views, config.monitor, scopes, history))
    scores = _scores(views.performance(config.monitor, Stretch(_matured(config, history.start), end)))
    standing = _of_window(views, config, end) if end == newest else []
    return Page(
        config.monitor, "run", "training", features=features, **_spans(verdicts),
        share_drifted=_share(standing), performance=_newest(scores, end), history=_history(scores),
        quality=_checks(views, config, end), alerts=standing_alerts(views.alerts(config.monitor)), health=_health(standing),
        notes=_notes(end, newest), made_from=_made_from(config, verdicts, end),
        owner=config.alerts.owner, runbook=config.alerts.runbook,
    )  # fmt: skip


# --- which window ---


def _end(views: Views, config: MonitorConfig, window: str, scopes: pd.DataFrame) -> datetime:
    """The end of the window that a moment names."""
    asked = parse_moment(window, config.window.timezone)
    if not views.verdicts(config.monitor, asked).empty:
        return asked
    reach = _back(config.window.every, -2, config.window.length.before(asked, config.window.timezone), config)
    until = max(reach, asked + 2 * (asked - config.window.length.before(asked, config.window.timezone)))
    found = [
        row
        for baseline in _baselines(scopes)
        for row in records(views.drift(config.monitor, Stretch(asked, until), baseline=baseline))
        if row["window_start"] <= asked
    ]
    if found:
        end: datetime = min(row["window_end"] for row in found)
        return end
    first, last = scopes["first_end"].min(), scopes["last_end"].max()
    raise InputError(
        f"{config.monitor}: window: got {window!r}, in which no window was judged; the windows end from {moment(first)} to "
        f"{moment(last)}. Name the end of one of them, or a moment in it."
    )


def _back(every: Span, n: int, end: datetime, config: MonitorConfig) -> datetime:
    return Span(every.count * n, every.unit).before(end, config.window.timezone)


def _matured(config: MonitorConfig, start: datetime) -> datetime:
    """From when on answers are read: outcomes come late."""
    return config.labels.matures_after.before(start, config.window.timezone) if config.labels else start


def _shortest(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Of windows with one end the shortest."""
    newest: pd.DataFrame = verdicts[verdicts["window_start"] == verdicts["window_start"].max()]
    return newest


def _baselines(scopes: pd.DataFrame) -> list[str]:
    return sorted(set(scopes[scopes["segment"] == ALL]["baseline"]), key=lambda name: (name != "training", name))


def _spans(verdicts: pd.DataFrame) -> dict[str, Any]:
    """The window, and how many rows it has at most."""
    rows = records(verdicts)
    sizes = {
        name: max((row[name] for row in rows if row["segment"] == ALL and row[name] is not None), default=None)
        for name in ("n_baseline", "n_current")
    }
    return {"window_start": rows[0]["window_start"], "window_end": rows[0]["window_end"], **sizes}


# --- what was found ---


def _timelines(
    views: Views, monitor: str, scopes: pd.DataFrame, stretch: Stretch
) -> dict[tuple[Any, ...], tuple[Point, ...]]:
    """The last windows of each feature, by version, feature and baseline."""
    found: dict[tuple[Any, ...], list[Point]] = {}
    for baseline in _baselines(scopes):
        for row in records(views.drift(monitor, stretch, baseline=baseline)):
            found.setdefault((row["model_version"], row["feature"], baseline), []).append(made(Point, row))
    return {key: tuple(points) for key, points in found.items()}


def _features(
    verdicts: pd.DataFrame, timelines: Mapping[tuple[Any, ...], tuple[Point, ...]]
) -> tuple[FeatureVerdict, ...]:
    return tuple(
        made(
            FeatureVerdict, row,
            metrics={name: row[name] for name in METRICS},
            contributions=tuple(made(Bucket, part) for part in row["contributions"] or ()),
            timeline=timelines.get((row["model_version"], row["feature"], row["baseline"]), ()) if row["segment"] == ALL else (),
        )
        for row in records(verdicts)
    )  # fmt: skip


def _scores(frame: pd.DataFrame) -> list[Score]:
    return [
        made(Score, row, confusion=tuple(row["confusion"] or ()), bins=tuple(row["bins"] or ()))
        for row in records(frame)
    ]


def _newest(scores: list[Score], end: datetime) -> tuple[Score, ...]:
    """Of this window; with outcomes: of the newest one whose outcomes have come, else of this one."""
    whole = [item for item in scores if item.basis == "realised" and not item.is_provisional and item.value is not None]
    matured = max((item.window_end for item in whole if item.window_end), default=end)
    return tuple(
        item
        for item in scores
        if item.window_end == (matured if item.basis == "realised" else end)
        and not (item.basis == "realised" and matured != end and item.is_provisional)
    )


def _history(scores: list[Score]) -> tuple[Score, ...]:
    """Of all rows, over time, without what only a single window's picture needs."""
    from dataclasses import replace

    return tuple(replace(item, confusion=(), bins=()) for item in scores if item.segment == ALL and not item.is_concept)


def _checks(views: Views, config: MonitorConfig, end: datetime) -> tuple[Check, ...]:
    span = Stretch(_back(config.window.every, 1, end, config), end)
    rows = [row for row in records(views.quality(config.monitor, span)) if row["window_end"] == end]
    return tuple(made(Check, row, check=row["check_name"], limit=row["limit_value"]) for row in rows)


def standing_alerts(frame: pd.DataFrame) -> tuple[Alert, ...]:
    """The alerts that are not over, the worst first and the newest first among them."""
    rows = [row for row in records(frame) if row["status"] != "resolved"]
    rows.sort(key=lambda row: (row["since"] is not None, row["since"]), reverse=True)
    places = {severity: place for place, severity in enumerate(WORST_FIRST)}
    rows.sort(key=lambda row: places.get(row["severity"], len(places)))
    return tuple(made(Alert, row) for row in rows)


def _of_window(views: Views, config: MonitorConfig, end: datetime) -> list[dict[str, Any]]:
    """The health of each model version in this window."""
    return [row for row in records(views.health(config.monitor)) if row["window_end"] == end]


def _share(standing: list[dict[str, Any]]) -> float | None:
    return max((row["share_drifted"] for row in standing if row["share_drifted"] is not None), default=None)


def _health(standing: list[dict[str, Any]]) -> tuple[Health, ...]:
    return tuple(
        Health(
            row["health"],
            tuple(
                HealthPart(part, row[f"{part}_health"], weight, _WHY[part], row["model_version"])
                for part, weight in WEIGHTS.items()
            ),
            row["model_version"],
        )
        for row in standing
    )


def _notes(end: datetime, newest: datetime) -> tuple[str, ...]:
    if end == newest:
        return ()
    return (
        f"This is not the newest window, which ended {moment(newest)}: the health is known for that one alone, and alerts are as "
        "they stand now.",
    )


def _made_from(config: MonitorConfig, verdicts: pd.DataFrame, end: datetime) -> tuple[tuple[str, str], ...]:
    rows, detection = records(verdicts), config.detection
    computed = max(row["computed_at"] for row in rows)
    said = [
        ("monitor", config.monitor),
        ("window", f"{moment(rows[0]['window_start'])} to {moment(end)}"),
        ("model version", _listed(row["model_version"] for row in rows)),
        ("reference", _listed(row["reference_id"] for row in rows)),
        ("run", _listed(row["run_id"] for row in rows)),
        ("judged at", f"{computed:%Y-%m-%d %H:%M} UTC"),
        ("preset", detection.preset),
        ("deciding metric", _listed(row["metric"] for row in rows)),
        ("threshold", _listed(row["threshold"] for row in rows)),
        ("alpha", _listed(row["alpha"] for row in rows)),
        ("bq-monitor", __version__),
    ]
    return tuple((what, which) for what, which in said if which)


def _listed(values: Iterable[Any]) -> str:
    """Each value once, in order; nothing where none is known."""
    return ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in dict.fromkeys(values) if value is not None
    )


# --- rows as values ---


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame; NULL, NaN and the infinities are None, numbers are Python's."""
    return [{str(name): plain(value, str(name)) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any, name: str = "") -> Any:
    """A cell as a Python value. A count that a NULL beside it has made a float is an int again."""
    if isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0:
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): plain(part, str(key)) for key, part in value.items()}
    return _cell(value, is_count=name.startswith("n_") or name == "n")


def _cell(value: Any, *, is_count: bool) -> Any:
    import pandas as pd

    if value is None or pd.isna(value) or (isinstance(value, float) and not isfinite(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    value = value.item() if hasattr(value, "item") else value
    return int(value) if is_count and isinstance(value, float) else value


def made(kind: type[_Value], row: Mapping[str, Any], **own: Any) -> _Value:
    """A value of our own from the columns of a row that are named as its fields are."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]  # dataclasses, all
    return kind(**{name: value for name, value in row.items() if name in names and name not in own}, **own)
