"""One monitor's configuration, whole and checked. Every fault is collected, each with its path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from bq_monitor.alerts.settings import Action, Alerts
from bq_monitor.baselines import Baseline
from bq_monitor.errors import ConfigError, did_you_mean
from bq_monitor.measure.deciding import WITH_THRESHOLD
from bq_monitor.measure.performance import METRICS
from bq_monitor.measure.verdict import Rule
from bq_monitor.sections import (
    MAX_ALPHA,
    BaselineField,
    Budget,
    Business,
    Detection,
    Fairness,
    Feature,
    Labels,
    Limits,
    Prediction,
    Quality,
    ReportPlace,
    Section,
    SegmentField,
    Source,
    WindowConfig,
    listed_twice,
)  # fmt: skip
from bq_monitor.timegrid import Window, parse_moment

NAME = re.compile(r"[a-z0-9_]+")
WAREHOUSE_ENV = "BQ_MONITOR_WAREHOUSE"
MAX_SHOWN = 24
"""What is longer, where secrets are spoken of, is not repeated in a message."""
BUSINESS_OF = {
    "binary": ("positive_rate", "mean_confidence", "low_confidence_share", "prediction_shift"),
    "multiclass": ("mean_confidence", "low_confidence_share"), "regression": ("prediction_shift",),
}  # fmt: skip
"""Which numbers of `business` each kind of prediction has."""


def _check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"got {name!r}; allowed: lower-case letters, digits and '_'")
    return name


def _full_names(value: object) -> object:
    """`auc` is short for `roc_auc`."""
    if isinstance(value, Mapping) and {"auc", "roc_auc"} <= set(value):
        raise ValueError("got both auc and roc_auc, which are one measure; give one of them")
    return (
        {"roc_auc" if key == "auc" else key: item for key, item in value.items()}
        if isinstance(value, Mapping)
        else value
    )


def _feature_list(value: object) -> object:
    if value == "auto":
        return value
    if not isinstance(value, list) or not value:
        raise ValueError(f"got {value!r}; allowed: auto, or a list of at least one column")
    return [{"name": item} if isinstance(item, str) else item for item in value]


class MonitorConfig(Section):
    """A monitor, whole and checked. `features` is `"auto"` or a tuple of `Feature`."""

    monitor: Annotated[str, AfterValidator(_check_name)]
    warehouse: str
    source: Source
    features: Annotated[Literal["auto"] | list[Feature], BeforeValidator(_feature_list)] = "auto"
    prediction: Prediction | None = None
    window: WindowConfig = WindowConfig()
    baselines: Annotated[list[BaselineField], Field(min_length=1, default_factory=lambda: [Baseline("training")])]
    detection: Detection = Detection()
    budget: Budget = Budget()
    labels: Labels | None = None
    segments: list[SegmentField] = Field(default_factory=list)
    performance: Annotated[dict[str, Limits], BeforeValidator(_full_names)] = Field(default_factory=dict)
    quality: Quality = Quality()
    business: Business = Business()
    fairness: list[Fairness] = Field(default_factory=list)
    report: ReportPlace | None = None
    alerts: Alerts = Alerts()
    actions: list[Action] = Field(default_factory=list)

    @model_validator(mode="after")
    def _each_baseline_once(self) -> MonitorConfig:
        names = [baseline.name for baseline in self.baselines]
        if twice := listed_twice(names):
            raise ValueError(f"baselines: {', '.join(twice)} listed twice; name each baseline once")
        return self

    @model_validator(mode="after")
    def _each_column_once(self) -> MonitorConfig:
        if isinstance(self.features, list):
            names = [feature.name for feature in self.features]
            limit = 1.0 if self.detection.metric == "js_distance" else float("inf")
            if high := [f.name for f in self.features if f.threshold is not None and f.threshold >= limit]:
                raise ValueError(
                    f"features: threshold of {', '.join(high)}: got 1 or more; js_distance lies between 0 and 1"
                )
            if self.detection.metric not in WITH_THRESHOLD and (own := [f.name for f in self.features if f.threshold]):
                raise ValueError(f"features: threshold of {', '.join(own)}: {self.detection.metric} has no threshold")
            if twice := listed_twice(names):
                raise ValueError(f"features: {', '.join(twice)} listed twice; name each feature once")
        return self

    @model_validator(mode="after")
    def _outcomes_fit_predictions(self) -> MonitorConfig:
        if self.prediction is None:
            needing = [name for name in ("labels", "performance", "fairness") if getattr(self, name)]
            needing += ["business"] if self.business.model_fields_set else []
            if needing:
                raise ValueError(
                    f"{', '.join(needing)}: without 'prediction'; name the column that holds the model's answer"
                )
            return self
        known = METRICS[self.prediction.kind]
        for name in self.performance:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ValueError(
                    f"performance: unknown measure of {self.prediction.kind} predictions; got {name!r}; known: {', '.join(known)}.{hint}"
                )
        numbers = BUSINESS_OF[self.prediction.kind]
        if other := sorted(self.business.model_fields_set - {*numbers, "low_confidence"}):
            raise ValueError(
                f"business: no number of {self.prediction.kind} predictions; got {', '.join(other)}; allowed: {', '.join(numbers)}"
            )
        if self.performance and self.labels is None:
            raise ValueError("performance: without 'labels'; say where the outcomes are")
        if self.labels and self.labels.positive is not None and self.prediction.kind != "binary":
            raise ValueError(
                f"labels: positive: got {self.labels.positive!r} with {self.prediction.kind} predictions; take it out"
            )
        if self.labels and self.labels.table and not (self.labels.id or self.source.id):
            raise ValueError(
                "labels: no id; name the id's column in 'source.id' (and in 'labels.id' where it is another)"
            )
        if self.labels and self.labels.table and not self.source.id:
            raise ValueError("labels: without 'source.id'; name the log's column that labels are joined by")
        return self

    @model_validator(mode="after")
    def _segments_have_names(self) -> MonitorConfig:
        titles = [segment.title for segment in self.segments]
        if twice := listed_twice(titles):
            raise ValueError(f"segments: {', '.join(twice)} listed twice; name each once")
        for fairness in self.fairness:
            if fairness.group not in titles:
                known, hint = ", ".join(titles) or "none is configured", did_you_mean(fairness.group, titles)
                raise ValueError(f"fairness: group: got {fairness.group!r}; allowed: a segment ({known}).{hint}")
            if fairness.reference is not None and fairness.reference.count(" & ") < fairness.group.count(" & "):
                raise ValueError(
                    f"fairness: reference: got {fairness.reference!r}; allowed: a value for each of {fairness.group}, with ' & ' between"
                )
        groups = [fairness.group for fairness in self.fairness]
        if twice := listed_twice(groups):
            raise ValueError(f"fairness: {', '.join(twice)} listed twice; say all limits of a group in one entry")
        if self.fairness and self.prediction and self.prediction.kind != "binary":
            raise ValueError(f"fairness: got {self.prediction.kind} predictions; allowed: binary")
        return self

    @model_validator(mode="after")
    def _actions_can_be_taken(self) -> MonitorConfig:
        titles = [action.title for action in self.actions]
        if twice := listed_twice(titles):
            raise ValueError(f"actions: {', '.join(twice)} listed twice; give each a name of its own")
        if not self.warehouse.startswith("duckdb:") and (shell := [a.title for a in self.actions if a.shell]):
            raise ValueError(
                f"actions: {shell[0]}: shell is for duckdb:// alone; publish to Pub/Sub, post to a webhook or call a function"
            )
        return self

    @property
    def healthy(self) -> Window | None:
        """The stretch of `detection.healthy`, read in the monitor's zone."""
        said, zone = self.detection.healthy, self.window.timezone
        return None if said is None else Window(parse_moment(said.start, zone), parse_moment(said.end, zone))

    @property
    def alpha(self) -> float:
        """Chance of any false verdict in one window; from `false_alarms_per_month`, shared among the windows of a month."""
        d = self.detection
        if d.alpha is not None:
            return d.alpha
        return min(MAX_ALPHA, (d.false_alarms_per_month or 0) / self.window.grid.per_month)

    def rule(self, threshold: float | None = None, n_bins: int = 10) -> Rule:
        """The verdict's rule, with a feature's own threshold if it has one."""
        d = self.detection
        return Rule(d.metric, threshold or d.threshold or 0.0, self.alpha, d.min_rows, n_bins)

    @property
    def report_link(self) -> str | None:
        """Where people open the report: `alerts.report`, else where runs leave it; None where the configuration says neither."""
        return self.alerts.report or (self.report.link(self.monitor) if self.report else None)

    def declared_features(self) -> tuple[Feature, ...]:
        """The features that the configuration lists; none when they are `auto`."""
        return () if self.features == "auto" else tuple(self.features)


def parse_config(data: object, place: str = "configuration") -> MonitorConfig:
    """A mapping as YAML gives it -> `MonitorConfig`; raises `ConfigError` with every fault."""
    if not isinstance(data, Mapping):
        raise ConfigError(
            place, [f"got {type(data).__name__}; must be a mapping of keys, starting with 'monitor: NAME'"]
        )
    from bq_monitor.warehouse.config_check import check_config

    data = dict(data)
    data.setdefault("warehouse", os.environ.get(WAREHOUSE_ENV))
    if data["warehouse"] is None:
        del data["warehouse"]
    try:
        config = MonitorConfig.model_validate(data)
    except ValidationError as error:
        faults = [_fault(dict(item)) for item in error.errors() if "literal['auto']" not in item["loc"]]
        faults += _faults_of_the_rest(data, {str(item["loc"][0]) for item in error.errors() if item["loc"]})
        raise ConfigError(place, list(dict.fromkeys(faults))) from None
    if faults := check_config(config):
        raise ConfigError(place, faults)
    return config


def _faults_of_the_rest(data: Mapping[str, Any], faulty: set[str]) -> list[str]:
    """What else is wrong in the sections without a fault of their own: names and expressions."""
    from bq_monitor.warehouse.config_check import check_config

    if "warehouse" in faulty:
        return []  # which names are allowed depends on it
    sound = {key: value for key, value in data.items() if key not in faulty}
    try:
        return check_config(
            MonitorConfig.model_validate({"monitor": "m", "source": {"table": "place.d.t", "timestamp": "t"}, **sound})
        )
    except ValidationError as error:
        return [_fault(dict(item)) for item in error.errors() if item["loc"]]  # what lacks may lack by our own hand


def _fault(error: dict[str, Any]) -> str:
    """One pydantic error as `path: what is wrong; got; allowed`."""
    steps = [
        step
        for step in error["loc"]
        if not (isinstance(step, str) and step.startswith(("literal[", "list[", "function-")))
    ]
    path = _dotted(steps)
    kind, context, got = error["type"], error.get("ctx", {}), _shown(steps, error["input"])
    if kind == "extra_forbidden":
        known = _keys_at(steps[:-1])
        return f"{path}: unknown key; known: {', '.join(known)}.{did_you_mean(str(steps[-1]), known)}"
    if kind == "missing":
        hint = f" (or set {WAREHOUSE_ENV})" if path == "warehouse" else ""
        return f"{path}: missing; this key is required{hint}"
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context.get("expected", ""))
        return f"{path}: unknown value; got {got}; known: {', '.join(known)}.{did_you_mean(str(error['input']), known)}"
    if kind == "value_error":
        message = str(context["error"])
        return f"{path}: {message}" if path else message
    if kind == "model_type":
        return f"{path}: must be a mapping of keys; got {got}"
    return f"{path}: {error['msg']}; got {got}"


def _shown(steps: Sequence[str | int], value: object) -> str:
    """What was written; not where somebody may have written a secret."""
    is_doubtful = bool(steps) and steps[0] in ("alerts", "actions") and len(repr(value)) > MAX_SHOWN
    return "something that is not shown here, as it may be a secret" if is_doubtful else repr(value)


def _dotted(steps: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _keys_at(steps: Iterable[str | int]) -> list[str]:
    """The keys known at a place of the configuration."""
    section: type[BaseModel] = MonitorConfig
    for step in steps:
        found = section.model_fields.get(str(step))
        section = next(_sections_in(found.annotation), section) if found else section
    return sorted(info.alias or name for name, info in section.model_fields.items())


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections_in(inner)
