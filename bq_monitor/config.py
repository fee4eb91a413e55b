"""One YAML a model becomes one validated `MonitorConfig`; a folder is a fleet. Every fault is collected, each with its path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from bq_monitor.baselines import Baseline
from bq_monitor.errors import ConfigError, InputError, did_you_mean
from bq_monitor.measure.histogram import Kind
from bq_monitor.measure.presets import PRESETS, Confirmation, PresetName
from bq_monitor.measure.verdict import WITH_THRESHOLD, Rule
from bq_monitor.timegrid import Granule, Grid, Span, Window, parse_moment

NAME = re.compile(r"[a-z0-9_]+")
_KEY = re.compile(r"[a-z_]+(\.[a-z_]+)*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|PB)", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_POWERS = {unit: 1000**i for i, unit in enumerate(["B", "KB", "MB", "GB", "TB", "PB"])}
MAX_ALPHA = 0.5
WAREHOUSE_ENV = "BQ_MONITOR_WAREHOUSE"


def parse_size(value: object) -> int:
    """`'50GB'` -> 50_000_000_000 bytes (decimal units); a plain integer is bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(str(value).strip())
    if not match:
        raise ValueError(
            f"not a size; got {value!r}; allowed: a number of bytes, or a number with KB, MB, GB or TB, as in '50GB'"
        )
    return int(float(match[1]) * _POWERS[match[2].upper()])


def _parse_deadline(value: object) -> str:
    if not re.fullmatch(r"0*[1-9]\d*[smhd]", str(value)):
        raise ValueError(f"not a deadline; got {value!r}; allowed: a whole number and s, m, h or d, as in '25m'")
    return str(value)


def _parse_span(value: object) -> Span:
    return value if isinstance(value, Span) else Span.parse(str(value))


def _parse_zone(value: object) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    known = available_timezones()
    if str(value) not in known:
        hint = did_you_mean(str(value), known)
        raise ValueError(f"unknown time zone; got {value!r}; allowed: an IANA name such as 'Europe/Berlin'.{hint}")
    return ZoneInfo(str(value))


def _parse_start(value: object) -> object:
    """YAML reads `2026-01-01` as a date; it is kept as ISO text and read in the monitor's zone."""
    text = value.isoformat() if isinstance(value, date | datetime) else value
    if isinstance(text, str):
        parse_moment(text, ZoneInfo("UTC"))
    return text


def _parse_confirmation(value: object) -> Confirmation:
    return value if isinstance(value, Confirmation) else Confirmation.parse(str(value))


SpanField = Annotated[Span, BeforeValidator(_parse_span)]
ZoneField = Annotated[ZoneInfo, BeforeValidator(_parse_zone)]
SizeField = Annotated[int, BeforeValidator(parse_size)]
StartField = Annotated[str, BeforeValidator(_parse_start)]
BaselineField = Annotated[Baseline, BeforeValidator(Baseline.parse)]
ConfirmField = Annotated[Confirmation, BeforeValidator(_parse_confirmation), PlainSerializer(str)]
_PENDING = "not supported yet"
Pending = Annotated[Any, _PENDING]
"""A key of the configuration language that a later release gives a meaning; setting it is refused, never ignored."""


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, strict=True, allow_inf_nan=False
    )


class Source(_Section):
    """The production log."""

    table: str
    timestamp: str
    filter: str | None = None
    model_version: str | None = None
    id: str | None = None


_OPTIONS_OF_KIND: dict[Kind, set[str]] = {
    "numeric": {"bins"}, "timestamp": {"bins"}, "categorical": {"top_k", "sensitive"}, "ordinal": set(), "boolean": set(),
}  # fmt: skip


class Feature(_Section):
    """One monitored column; what is not said is detected when the reference is captured."""

    name: str
    kind: Kind | None = None
    expression: str | None = None
    bins: Annotated[int, Field(ge=2, le=100)] = 10
    order: list[str] | None = None
    top_k: Annotated[int, Field(ge=1, le=1000)] = 100
    sensitive: bool = False
    threshold: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _order_belongs_to_ordinal(self) -> Feature:
        if (self.kind == "ordinal") != (self.order is not None):
            raise ValueError(
                "kind 'ordinal' and 'order' go together; give both, the labels from lowest to highest, or neither"
            )
        unused = set() if self.kind is None else {"bins", "top_k", "sensitive"} - _OPTIONS_OF_KIND[self.kind]
        if given := sorted(name for name in unused & self.model_fields_set if getattr(self, name)):
            raise ValueError(
                f"{', '.join(given)}: no meaning for kind {self.kind!r}; bins are for numbers, top_k and sensitive for categories"
            )
        if self.order is not None and len(set(self.order)) != len(self.order):
            raise ValueError(f"order: a label stands twice; got {self.order!r}; give each label once")
        return self


class Prediction(_Section):
    """What the model answered; its distribution is watched beside the features'."""

    column: str
    kind: Literal["binary", "multiclass", "regression"]
    positive: bool | int | str | None = None
    score: str | None = None


class WindowConfig(_Section):
    granule: Granule = "day"
    length: SpanField = Span(7, "d")
    every: SpanField = Span(1, "d")
    delay: SpanField = Span(0, "h")
    timezone: ZoneField = ZoneInfo("UTC")
    restate: SpanField = Span(3, "d")
    start: Annotated[str | None, BeforeValidator(_parse_start)] = None

    @model_validator(mode="after")
    def _whole_granules(self) -> WindowConfig:
        for name in ("length", "every"):
            span: Span = getattr(self, name)
            if span.count == 0:
                raise ValueError(f"{name}: got '{span}'; must be longer than nothing")
            if self.granule == "day" and span.unit == "h":
                raise ValueError(f"{name}: got '{span}' with granule 'day'; use whole days, or granule 'hour'")
        offsets = {datetime(2024, month, 1, tzinfo=self.timezone).utcoffset() or timedelta() for month in (1, 7)}
        if self.granule == "hour" and len({offset % timedelta(hours=1) for offset in offsets}) > 1:
            raise ValueError(
                f"timezone: got {self.timezone.key!r}, whose clocks change by half an hour; use granule 'day', or UTC"
            )
        return self

    @property
    def grid(self) -> Grid:
        return Grid(self.granule, self.length, self.every, self.timezone)

    def start_moment(self) -> datetime | None:
        return None if self.start is None else parse_moment(self.start, self.timezone)


class Healthy(_Section):
    """A stretch of production that the user vouches for: how its days differ is how much days may differ."""

    start: StartField = Field(alias="from")
    end: StartField = Field(alias="to")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Healthy:
        start, end = (parse_moment(moment, ZoneInfo("UTC")) for moment in (self.start, self.end))
        if start >= end:
            raise ValueError(f"got {self.start} to {self.end}; 'to' must be later than 'from'")
        return self


class Detection(_Section):
    """What counts as drift; what is not said comes from the preset. `confirm` governs alert events, not verdicts."""

    preset: PresetName = "balanced"
    metric: Literal["js_distance", "psi", "chi2_statistic", "ks_statistic"] = "js_distance"
    threshold: Annotated[float, Field(gt=0)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    false_alarms_per_month: Annotated[float, Field(gt=0)] | None = None
    confirm: ConfirmField = Confirmation(1, 1)
    min_rows: Annotated[int, Field(ge=1)] = 50
    share_drifted: Annotated[float, Field(ge=0, le=1)] = 0.3
    healthy: Healthy | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = {key: value for key, value in data.items() if value is not None}  # an empty key says nothing
        name, metric = data.get("preset", "balanced"), data.get("metric", "js_distance")
        preset = PRESETS.get(name) if isinstance(name, str) else None  # type: ignore[call-overload]
        if preset is None or not isinstance(metric, str):
            return data
        filled: dict[str, Any] = {
            "threshold": preset.threshold(metric),
            "confirm": str(preset.confirm),
        }
        if "false_alarms_per_month" not in data:
            filled["alpha"] = preset.alpha
        return {**filled, **data}

    @model_validator(mode="after")
    def _threshold_fits_metric(self) -> Detection:
        if self.threshold is not None and self.metric not in WITH_THRESHOLD:
            raise ValueError(
                f"threshold: got {self.threshold}; {self.metric} tests whether anything changed at all and has none. "
                "Take it out, or choose js_distance or psi"
            )
        if self.metric == "js_distance" and (self.threshold or 0) >= 1:
            raise ValueError(f"threshold: got {self.threshold}; js_distance lies between 0 and 1")
        if self.alpha is not None and self.false_alarms_per_month is not None:
            raise ValueError("alpha and false_alarms_per_month: got both; one follows from the other, give one of them")
        return self


class Budget(_Section):
    """What a run may cost. `price_per_tib` turns bytes billed into money, in whatever currency it is given (0: a flat rate)."""

    max_bytes_per_run: SizeField | None = None
    max_bytes_per_month: SizeField | None = None
    price_per_tib: Annotated[float, Field(ge=0)] = 6.25
    deadline: Annotated[str, BeforeValidator(_parse_deadline)] = "25m"

    @property
    def deadline_seconds(self) -> float:
        return float(self.deadline[:-1]) * _SECONDS[self.deadline[-1]]


def _check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"got {name!r}; allowed: lower-case letters, digits and '_'")
    return name


def _feature_list(value: object) -> object:
    if value == "auto":
        return value
    if not isinstance(value, list) or not value:
        raise ValueError(f"got {value!r}; allowed: auto, or a list of at least one column")
    return [{"name": item} if isinstance(item, str) else item for item in value]


class MonitorConfig(_Section):
    """A monitor, whole and checked. `features` is `"auto"` or a tuple of `Feature`."""

    monitor: Annotated[str, AfterValidator(_check_name)]
    warehouse: str
    source: Source
    features: Annotated[Literal["auto"] | list[Feature], BeforeValidator(_feature_list)] = "auto"
    prediction: Prediction | None = None
    window: WindowConfig = WindowConfig()
    baselines: Annotated[list[BaselineField], Field(min_length=1)] = [Baseline("training")]
    detection: Detection = Detection()
    budget: Budget = Budget()
    labels: Pending = None
    segments: Pending = None
    performance: Pending = None
    quality: Pending = None
    business: Pending = None
    alerts: Pending = None
    actions: Pending = None

    @model_validator(mode="after")
    def _each_baseline_once(self) -> MonitorConfig:
        names = [baseline.name for baseline in self.baselines]
        if twice := sorted({name for name in names if names.count(name) > 1}):
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
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"features: {', '.join(twice)} listed twice; name each feature once")
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

    def declared_features(self) -> tuple[Feature, ...]:
        """The features that the configuration lists; none when they are `auto`."""
        return () if self.features == "auto" else tuple(self.features)


def parse_config(data: object, place: str = "configuration") -> MonitorConfig:
    """A mapping as YAML gives it -> `MonitorConfig`; raises `ConfigError` with every fault."""
    if not isinstance(data, Mapping):
        raise ConfigError(
            place, [f"got {type(data).__name__}; must be a mapping of keys, starting with 'monitor: NAME'"]
        )
    from bq_monitor.warehouse.identifiers import check_config

    data = dict(data)
    data.setdefault("warehouse", os.environ.get(WAREHOUSE_ENV))
    if data["warehouse"] is None:
        del data["warehouse"]
    try:
        config = MonitorConfig.model_validate(data)
    except ValidationError as error:
        faults = [_fault(dict(item)) for item in error.errors() if "literal['auto']" not in item["loc"]]
        faults += _faults_of_the_rest(data, {str(item["loc"][0]) for item in error.errors() if item["loc"]})
        raise ConfigError(place, [*dict.fromkeys(faults), *_pending_in(data)]) from None
    if faults := _pending_in(data) + check_config(config):
        raise ConfigError(place, faults)
    return config


def _faults_of_the_rest(data: Mapping[str, Any], faulty: set[str]) -> list[str]:
    """What else is wrong in the sections without a fault of their own: names and expressions."""
    from bq_monitor.warehouse.identifiers import check_config

    if "warehouse" in faulty:
        return []  # which names are allowed depends on it
    sound = {key: value for key, value in data.items() if key not in faulty}
    try:
        return check_config(
            MonitorConfig.model_validate({"monitor": "m", "source": {"table": "place.d.t", "timestamp": "t"}, **sound})
        )
    except ValidationError as error:
        return [_fault(dict(item)) for item in error.errors()]


def load_configs(paths: str | Path | Sequence[str | Path]) -> list[MonitorConfig]:
    """Read monitors from YAML files or folders, local or `gs://`; a folder is a fleet with an optional `defaults.yaml`.

    Raises:
        ConfigError: with the faults of every file; nothing is returned unless all are good.
        InputError: a path that cannot be read, or a folder without monitors.
    """
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    documents = [document for path in listed for document in _read(str(path))]
    configs, faults = [], []
    for place, data in documents:
        try:
            configs.append(parse_config(data, place))
        except ConfigError as error:
            faults += [(place, fault) for fault in error.faults]
    if faults:
        raise ConfigError(
            faults[0][0],
            [faults[0][1], *(f"{place}: {fault}" if place != faults[0][0] else fault for place, fault in faults[1:])],
        )
    _refuse_twice(configs)
    return configs


def load_config(path: str | Path) -> MonitorConfig:
    """Read exactly one monitor; see `load_configs`."""
    configs = load_configs(path)
    if len(configs) != 1:
        raise InputError(
            f"{path}: {len(configs)} monitors; this command takes one. Name the file of the monitor that you mean."
        )
    return configs[0]


def load_variants(path: str | Path, settings: Sequence[str]) -> list[tuple[dict[str, Any], MonitorConfig]]:
    """One monitor as it is, and with settings such as `detection.threshold=0.15` in place of what its file says.

    A key that is set several times makes a variant for each of its values, several such keys one for each combination.

    Raises:
        ConfigError: a variant is not valid. InputError: a setting is not `KEY=VALUE`, or the path is not one monitor.
    """
    plain = load_config(path)
    ((place, data),) = _read(str(path))
    values: dict[str, list[Any]] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if not _KEY.fullmatch(key) or not text:
            raise InputError(
                f"--set: got {setting!r}; allowed: KEY=VALUE with a dotted key, as in detection.threshold=0.15"
            )
        values.setdefault(key, []).append(_parse(f"--set {key}", text))
    chosen = (
        [dict(zip(values, combination, strict=True)) for combination in product(*values.values())] if values else []
    )
    return [({}, plain), *((variant, parse_config(_with(data, variant), place)) for variant in chosen)]


def _with(data: Any, settings: Mapping[str, Any]) -> Any:
    """A document with the values at dotted keys replaced."""
    for key, value in settings.items():
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        data = _merged(data, nested)
    return data


def _refuse_twice(configs: Sequence[MonitorConfig]) -> None:
    names = [(config.warehouse, config.monitor) for config in configs]
    for warehouse, name in names:
        if names.count((warehouse, name)) > 1:
            raise ConfigError(
                "fleet", [f"monitor: {name!r} stands in two files; give each monitor of {warehouse} its own name"]
            )


def _read(path: str) -> list[tuple[str, Any]]:
    """`(place, parsed YAML)` of a file, or of each monitor in a folder with its defaults merged under it."""
    from bq_monitor.warehouse.storage import list_texts, read_text

    if not path.endswith((".yaml", ".yml")):
        texts = {name: text for name, text in list_texts(path).items() if name.endswith((".yaml", ".yml"))}
        defaults: Any = next((_parse(name, text) for name, text in texts.items() if _is_defaults(name)), {}) or {}
        found = [
            (name, _merged(defaults, _parse(name, text)))
            for name, text in sorted(texts.items())
            if not _is_defaults(name)
        ]
        if not found:
            raise InputError(f"{path}: no monitor here; a fleet folder holds one .yaml a monitor. Check the path.")
        return found
    return [(path, _parse(path, read_text(path)))]


def _is_defaults(name: str) -> bool:
    return name.rsplit("/", 1)[-1] in ("defaults.yaml", "defaults.yml")


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key may stand only once in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is not a plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(place: str, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:  # PyYAML lets a date such as 2026-13-01 fail as a ValueError
        raise ConfigError(place, [f"not YAML: {' '.join(str(error).split())}; correct the line named"]) from None


def _merged(under: Any, over: Any) -> Any:
    if not (isinstance(under, Mapping) and isinstance(over, Mapping)):
        return over
    return {**under, **{key: _merged(under.get(key), value) for key, value in over.items()}}


def _pending_in(data: Mapping[str, Any]) -> list[str]:
    """Keys that are part of the language and have no meaning yet."""
    return [f"{name}: {_PENDING}; remove it" for name in _pending_keys(MonitorConfig) if data.get(name) is not None]


def _pending_keys(model: type[BaseModel]) -> list[str]:
    return [name for name, info in model.model_fields.items() if _PENDING in info.metadata]


def _fault(error: dict[str, Any]) -> str:
    """One pydantic error as `path: what is wrong; got; allowed`."""
    steps = [
        step
        for step in error["loc"]
        if not (isinstance(step, str) and step.startswith(("literal[", "list[", "function-")))
    ]
    path = _dotted(steps)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(steps[:-1])
        return f"{path}: unknown key; known: {', '.join(known)}.{did_you_mean(str(steps[-1]), known)}"
    if kind == "missing":
        hint = f" (or set {WAREHOUSE_ENV})" if path == "warehouse" else ""
        return f"{path}: missing; this key is required{hint}"
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", context.get("expected", ""))
        return f"{path}: unknown value; got {error['input']!r}; known: {', '.join(known)}.{did_you_mean(str(error['input']), known)}"
    if kind == "value_error":
        message = str(context["error"])
        return f"{path}: {message}" if path else message
    if kind == "model_type":
        return f"{path}: must be a mapping of keys; got {error['input']!r}"
    return f"{path}: {error['msg']}; got {error['input']!r}"


def _dotted(steps: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _keys_at(steps: Iterable[str | int]) -> list[str]:
    """The keys known at a place of the configuration."""
    sections: dict[str, type[BaseModel]] = {
        "source": Source, "features": Feature, "prediction": Prediction, "window": WindowConfig,
        "detection": Detection, "budget": Budget,
    }  # fmt: skip
    section: type[BaseModel] = MonitorConfig
    sections["healthy"] = Healthy
    for step in steps:
        section = sections.get(str(step), section)
    return sorted(info.alias or name for name, info in section.model_fields.items())
