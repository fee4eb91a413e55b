"""Refit the model of a comparison on what came true lately; save it only where it is surely better, and leave a trace of that."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bq_monitor.comparison.paired import Metric, Pair
from bq_monitor.errors import InputError, TableNotFoundError
from bq_monitor.models import PICKLES, Model, Predictions, load_estimator, model_of
from bq_monitor.outcomes import as_label, positive_of
from bq_monitor.warehouse.schema import ACTIONS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from bq_monitor.config import MonitorConfig
    from bq_monitor.warehouse.base import Row

MIN_ROWS = 100
"""Labelled rows that each part, to train on and held out, needs at least."""
MIN_OF_A_CLASS = 10
"""Of two classes, rows that each needs in each part."""
HOLDOUT_SHARE = 0.25


@dataclass(frozen=True)
class Retrained:
    """What became of a refit.

    Args:
        status: `saved`: surely better; `not_better`; `not_evaluated`: nothing was fitted, or nothing could be told of it.
        reason: why nothing was saved; None where it was.
        metric: what decided: ROC AUC of two classes with probabilities, else accuracy; of numbers the mean absolute error.
        old, new: that metric of both models on the held-out rows.
        difference: how much better the new one is, above 0 whatever the metric; `lower` and `upper` bound it, one-sided at 0.05 each.
        measures: all that was measured, by `old` and `new`, and then by metric.
        n_labelled, n_train, n_holdout: rows; those without a time are in neither part.
        n_incomplete: labelled rows with a missing or infinite feature; the estimator got them as they are.
        holdout: `newest`: the last quarter by time; `random`: a seeded quarter, of classes a quarter of each.
    """

    status: Literal["saved", "not_better", "not_evaluated"]
    reason: str | None
    out: str
    holdout: Literal["newest", "random"]
    n_labelled: int = 0
    n_incomplete: int = 0
    n_train: int = 0
    n_holdout: int = 0
    metric: Metric | None = None
    old: float | None = None
    new: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def sentence(self) -> str:
        """What came of it, in words."""
        if self.status == "not_evaluated":
            return f"not evaluated: {self.reason}"
        moved = f"{self.metric} {self.old:.4g} -> {self.new:.4g} on {self.n_holdout:,} held-out rows ({self.holdout})"
        told = f"{moved}, better by {self.difference:.3g} ({self.lower:.3g} .. {self.upper:.3g})"
        return f"saved to {self.out}: {told}" if self.status == "saved" else f"not saved, for {self.reason}: {told}"

    def to_dict(self) -> dict[str, Any]:
        """The entry `retrain` of the JSON report."""
        return asdict(self)


@dataclass(frozen=True)
class Refit:
    """A refit that was checked as far as that goes without rows.

    Args:
        model: the old estimator, as what answers.
        hidden: columns that the model may not see.
        monitor: whose warehouse the trace is committed to; None: it is only in the file beside the model.
    """

    out: str
    estimator: Any
    model: Model
    label: str
    time: str | None
    hidden: frozenset[str]
    monitor: MonitorConfig | None = None
    seed: int = 0

    @property
    def classes(self) -> NDArray[Any] | None:
        """The classes that the old model answers; None for numbers."""
        import numpy as np

        found = getattr(self.estimator, "classes_", None)
        return None if found is None else np.asarray(found)

    def columns(self, existing: Sequence[str]) -> list[str]:
        """The columns of the rows that a refit needs; raises `InputError` where the time's is missing."""
        if self.time is not None and self.time not in existing:
            raise InputError.missing_columns("current", [self.time], existing)
        needed = [*self.features(existing), self.label, *([self.time] if self.time else [])]
        return [name for name in dict.fromkeys(needed) if name in existing]

    def features(self, existing: Sequence[str]) -> list[str]:
        """The columns of the model, in its order."""
        hidden = {name.lower() for name in self.hidden}
        return list(self.model.features or [name for name in existing if str(name).lower() not in hidden])


def prepare(
    out: str | os.PathLike[str] | None, *, model: str | os.PathLike[str] | None, allow_pickle: bool, label: str | None, time: str | None,
    features: Sequence[str] | None, answers: Sequence[str], config: MonitorConfig | str | os.PathLike[str] | None,
) -> Refit | None:  # fmt: skip
    """Check, before anything is counted, that a refit can be made, saved and told of; None where none is asked for.

    Args:
        answers: the columns of prediction and score, which the model may not see.
        config: a monitor (or its file) whose warehouse gets the row of `actions`.

    Raises:
        InputError: no model or label, a model that cannot be refitted, an `out` that cannot be written, no scikit-learn, or not
            exactly one monitor. TableNotFoundError: the warehouse has no table `actions`.
    """
    if out is None:
        if config is not None:
            raise InputError(
                "compare: config: got one without retrain, and it is for that alone. Name the file to save (retrain)."
            )
        return None
    if lacking := [option for option, given in (("--model", model), ("--label", label)) if not given]:
        raise InputError(
            f"compare: retrain: {' and '.join(lacking)} missing; needed: the file of the estimator to refit (model) and the column of "
            "what came true (label). Name both."
        )
    assert model is not None  # noqa: S101 - just checked
    assert label is not None  # noqa: S101 - just checked
    place = _checked_out(os.fspath(out))
    try:
        from sklearn.base import clone
    except ImportError:
        raise InputError(
            "compare: retrain: scikit-learn is not installed; it refits and measures. Run: pip install 'bq-monitor[ml]'"
        ) from None
    estimator = load_estimator(model, allow_pickle=allow_pickle)
    try:
        clone(estimator)
    except Exception as error:  # a constructor may do anything
        raise InputError(
            f"{os.fspath(model)}: cannot be refitted: scikit-learn cannot clone it: {_why(error)}. "
            "Its constructor must keep its arguments as they are."
        ) from None
    hidden = frozenset(name for name in (label, time, *answers) if name)
    asked = Refit(place, estimator, model_of(estimator, model, features), label, time, hidden)
    return asked if config is None else replace(asked, monitor=_checked_monitor(config))


def retrain(asked: Refit, current: pd.DataFrame) -> Retrained:
    """Refit on the labelled rows, measure old and new on what was held out, save the new one where it is surely better.

    The trace is a line of `OUT.audit.jsonl`, and a row of `actions` where a monitor was named.

    Raises:
        InputError: the time holds no times, or a file cannot be written. WarehouseError: the row cannot be committed.
    """
    found, fitted = _evaluated(asked, current)
    if found.status == "saved":
        try:
            _save(fitted, Path(asked.out))
        except Exception as error:  # of a full disk, or of what cannot be pickled
            _leave_trace(asked, found, "failed", f"better, but cannot be saved: {_why(error)}")
            raise InputError(
                f"{asked.out}: cannot be saved: {_why(error)}; what was there is as it was. Check the folder, and that joblib takes it."
            ) from None
    _leave_trace(asked, found, "succeeded" if found.status == "saved" else "failed", found.sentence())
    return found


# --- rows ---


@dataclass(frozen=True)
class _Rows:
    """Labelled rows: the model's columns, the outcomes as the model names them, and the times where there are any."""

    features: pd.DataFrame
    outcomes: NDArray[Any]
    times: pd.Series[Any] | None

    def part(self, which: NDArray[np.bool_]) -> _Rows:
        times = None if self.times is None else self.times[which]
        return _Rows(self.features[which], self.outcomes[which], times)


def _labelled(asked: Refit, current: pd.DataFrame) -> _Rows | str:
    """The labelled rows; or why there are none to use."""
    columns = [str(name) for name in current.columns]
    if asked.label not in columns:
        return f"the current data has no column {asked.label!r}"
    known = current[current[asked.label].notna()].reset_index(drop=True)
    if not len(known):
        return f"every {asked.label!r} of the current data is missing"
    outcomes = _outcomes(asked, known[asked.label])
    if isinstance(outcomes, str):
        return outcomes
    times = None if asked.time is None else _times(known[asked.time])
    return _Rows(known[asked.features(columns)], outcomes, times)


def _outcomes(asked: Refit, labels: pd.Series[Any]) -> NDArray[Any] | str:
    """Numbers, or classes as the model writes them; or why they are neither."""
    import numpy as np

    classes = asked.classes
    if classes is None:
        try:
            numbers = labels.to_numpy(dtype=np.float64)
        except (TypeError, ValueError):
            return f"{asked.label!r} is no number, and the model's answers are"
        n_infinite = int(np.isinf(numbers).sum())
        return f"{asked.label!r} is infinite in {n_infinite} rows" if n_infinite else numbers
    texts = [as_label(value) for value in labels.tolist()]
    known = {as_label(value): i for i, value in enumerate(classes.tolist())}
    codes = known | _renamed(list(known), list(dict.fromkeys(texts)))
    if unknown := sorted(set(texts) - codes.keys()):
        return f"{asked.label!r} has classes that the model does not know: {', '.join(unknown[:8])}; it knows {', '.join(known)}"
    return np.asarray(classes[[codes[text] for text in texts]])


def _renamed(classes: list[str], labels: list[str]) -> dict[str, int]:
    """Which class each of two labels is where the model calls them otherwise, as true and false for 1 and 0."""
    theirs, ours = positive_of(classes), positive_of(labels)
    if len(classes) != 2 or theirs is None or ours is None or set(labels) & set(classes):
        return {}
    return {label: classes.index(theirs) if label == ours else 1 - classes.index(theirs) for label in labels}


def _times(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column
    try:
        return pd.to_datetime(column, utc=True, format="ISO8601")
    except (TypeError, ValueError):
        raise InputError(
            f"compare: time: {column.name!r} holds no times; got such as {column.dropna().iloc[0]!r}; allowed: times, numbers, "
            "or text such as 2026-01-31T12:00. Convert the column, or leave the time out."
        ) from None


def _held_out(rows: _Rows, seed: int, *, of_classes: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows to train on, and which are held out; rows of one moment are on one side, rows without a time on none."""
    import numpy as np

    held = np.zeros(len(rows.outcomes), dtype=bool)
    if rows.times is not None:
        ordered = rows.times.dropna().sort_values(ignore_index=True)
        if ordered.empty:
            return held, held
        cut = ordered.iloc[int(len(ordered) * (1 - HOLDOUT_SHARE))]
        return np.asarray(rows.times < cut, dtype=bool), np.asarray(rows.times >= cut, dtype=bool)
    generator = np.random.default_rng(seed)
    groups = [rows.outcomes == value for value in np.unique(rows.outcomes)] if of_classes else [~held]
    for group in groups:
        members = generator.permutation(np.flatnonzero(group))
        held[members[: round(len(members) * HOLDOUT_SHARE)]] = True
    return ~held, held


def _why_too_few(train: NDArray[Any], held: NDArray[Any], classes: NDArray[Any] | None) -> str | None:
    """Why one of the parts says too little; None where both will do."""
    for what, outcomes in (("to train on", train), ("to hold out", held)):
        if len(outcomes) < MIN_ROWS:
            return f"too few labelled rows {what}: {len(outcomes)} of at least {MIN_ROWS}"
        if classes is None:
            continue
        n_of = {as_label(value): int((outcomes == value).sum()) for value in classes.tolist()}
        if sum(n > 0 for n in n_of.values()) < 2:
            return f"only one class among the rows {what}: {next(name for name, n in n_of.items() if n)}"
        needed = MIN_OF_A_CLASS if len(n_of) == 2 else int(what == "to train on")
        name, n = min(n_of.items(), key=lambda item: item[1])
        if n < needed:
            return f"too few rows of class {name} {what}: {n} of at least {needed}"
    return None


# --- old against new ---


def _evaluated(asked: Refit, current: pd.DataFrame) -> tuple[Retrained, Any]:
    """What is to be said of the refit, and the refitted estimator where there is one."""
    import numpy as np

    nothing = Retrained("not_evaluated", None, asked.out, "random" if asked.time is None else "newest")
    rows = _labelled(asked, current)
    if isinstance(rows, str):
        return replace(nothing, reason=rows), None
    train, held = _held_out(rows, asked.seed, of_classes=asked.classes is not None)
    incomplete = (rows.features.isna() | rows.features.isin([np.inf, -np.inf])).any(axis=1)
    nothing = replace(
        nothing, n_labelled=len(held), n_incomplete=int(incomplete.sum()), n_train=int(train.sum()), n_holdout=int(held.sum())
    )  # fmt: skip
    if why := _why_too_few(rows.outcomes[train], rows.outcomes[held], asked.classes):
        return replace(nothing, reason=why), None
    try:
        fitted = _fitted(asked, rows.part(train))
        told = _answers(asked, fitted, rows.part(held).features)
    except Exception as error:  # an estimator may refuse rows with any error: missing values, for one
        return replace(nothing, reason=f"the estimator cannot be refitted: {_why(error)}"), None
    return _compared(nothing, rows.outcomes[held], told, asked), fitted


def _fitted(asked: Refit, rows: _Rows) -> Any:
    from sklearn.base import clone

    knows_names = hasattr(asked.estimator, "feature_names_in_")
    return clone(asked.estimator).fit(rows.features if knows_names else rows.features.to_numpy(), rows.outcomes)


def _answers(asked: Refit, fitted: Any, rows: pd.DataFrame) -> tuple[Predictions, Predictions]:
    """What old and new say of the same rows."""
    return asked.model.predict(rows), model_of(fitted, "the refitted estimator", asked.model.features).predict(rows)


def _compared(
    found: Retrained, outcomes: NDArray[Any], told: tuple[Predictions, Predictions], asked: Refit
) -> Retrained:
    pair = Pair(outcomes, *told, asked.classes)
    if not pair.is_finite:
        return replace(found, reason="a model gave answers that are no numbers, or are far too large")
    metric, old, new = pair.metric, pair.measures(pair.old), pair.measures(pair.new)
    lower, upper = pair.bounds(asked.seed)
    is_better = lower > 0
    return replace(
        found, status="saved" if is_better else "not_better", metric=metric, old=old[metric], new=new[metric],
        reason=None if is_better else f"the new one is not surely better (lower bound {lower:.3g})",
        difference=old[metric] - new[metric] if metric == "mae" else new[metric] - old[metric],
        lower=lower, upper=upper, measures={"old": old, "new": new},
    )  # fmt: skip


# --- the file, and the trace ---


def _checked_out(out: str) -> str:
    """A path that a model can be saved to."""
    name = out.rsplit("/", 1)[-1]
    if out.startswith("gs://"):
        raise InputError(
            f"{out}: models are saved to local files. Name one here, and then run: gcloud storage cp {name} {out}"
        )
    path = Path(out)
    if path.suffix.lower() not in PICKLES:
        raise InputError(
            f"{out}: not a model's name; got {path.suffix or 'no ending'!r}; allowed: {', '.join(PICKLES)}."
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"{out}: cannot be written: it is a folder, or its folder is not there. Correct the path.")
    if not os.access(path.resolve().parent, os.W_OK):
        raise InputError(f"{out}: cannot be written: no permission to write in its folder. Choose another one.")
    return out


def _checked_monitor(config: MonitorConfig | str | os.PathLike[str]) -> MonitorConfig:
    """One monitor whose warehouse has the table `actions`."""
    from bq_monitor.config_files import load_config
    from bq_monitor.warehouse import open_warehouse

    monitor = load_config(os.fspath(config)) if isinstance(config, str | os.PathLike) else config
    try:
        warehouse = open_warehouse(monitor.warehouse, deadline_seconds=monitor.budget.deadline_seconds, read_only=True)
        try:
            warehouse.relation(warehouse.table(ACTIONS.name).strip("`"))
        finally:
            warehouse.close()
    except TableNotFoundError:
        raise TableNotFoundError(
            f"{monitor.warehouse}: no table {ACTIONS.name!r} to tell of the refit in. Run: bq-monitor init, with this configuration."
        ) from None
    return monitor


def _save(estimator: Any, out: Path) -> None:
    """Write beside the target, then rename over it; a link is followed, an existing file's mode is kept."""
    import joblib

    target = out.resolve()
    fresh = target.with_name(f".bq-monitor-{secrets.token_hex(8)}.tmp")
    try:
        with fresh.open("wb") as file:
            joblib.dump(estimator, file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _leave_trace(asked: Refit, found: Retrained, status: Literal["succeeded", "failed"], outcome: str) -> None:
    """A line beside the model, first; then the row of the monitor's warehouse."""
    now, run_id = datetime.now(UTC), uuid.uuid4().hex
    row: Row = {
        "monitor": asked.monitor.monitor if asked.monitor else None, "run_id": run_id, "computed_at": now,
        "action_id": f"retrain-{run_id}", "action": "compare --retrain", "kind": "retrain", "target": asked.out,
        "status": status, "alert_id": None, "reason": "asked for with compare --retrain", "outcome": outcome,
        "details": json.dumps({**found.to_dict(), "model": asked.model.path}, allow_nan=False, ensure_ascii=False),
        "created_at": now,
    }  # fmt: skip
    line = json.dumps(row, default=datetime.isoformat, ensure_ascii=False)
    try:
        with Path(f"{asked.out}.audit.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise InputError(
            f"{asked.out}.audit.jsonl: cannot be written: {_why(error)}; the refit: {outcome}. Check its permissions."
        ) from None
    if asked.monitor is not None:
        _commit(asked.monitor, row)


def _commit(monitor: MonitorConfig, row: Row) -> None:
    from bq_monitor.warehouse import open_warehouse

    warehouse = open_warehouse(monitor.warehouse, deadline_seconds=monitor.budget.deadline_seconds)
    try:
        warehouse.commit({ACTIONS: [row]}, key=row["action_id"])
    finally:
        warehouse.close()


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
