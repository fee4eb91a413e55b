"""The sections of a monitor's configuration: what each key may say, checked by itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from bq_monitor.baselines import Baseline
from bq_monitor.errors import did_you_mean
from bq_monitor.measure.deciding import WITH_THRESHOLD
from bq_monitor.measure.histogram import Kind
from bq_monitor.measure.presets import PRESETS, Confirmation, PresetName
from bq_monitor.timegrid import Granule, Grid, Span, parse_moment

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|PB)", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_POWERS = {unit: 1000**i for i, unit in enumerate(["B", "KB", "MB", "GB", "TB", "PB"])}
MAX_ALPHA = 0.5


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


def listed_twice(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, sorted."""
    return sorted(name for name, n in Counter(names).items() if n > 1)


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # pydantic's own text would repeat a secret that was written here
    )


class Source(Section):
    """The production log."""

    table: str
    timestamp: str
    filter: str | None = None
    model_version: str | None = None
    id: str | None = None


_OPTIONS_OF_KIND: dict[Kind, set[str]] = {
    "numeric": {"bins"}, "timestamp": {"bins"}, "categorical": {"top_k", "sensitive"}, "ordinal": set(), "boolean": set(),
}  # fmt: skip


class Feature(Section):
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


class Prediction(Section):
    """What the model answered; its distribution is watched beside the features'."""

    column: str
    kind: Literal["binary", "multiclass", "regression"]
    positive: bool | int | str | None = None
    score: str | None = None


class WindowConfig(Section):
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


class Healthy(Section):
    """A stretch of production that the user vouches for: how its days differ is how much days may differ."""

    start: StartField = Field(alias="from")
    end: StartField = Field(alias="to")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Healthy:
        start, end = (parse_moment(moment, ZoneInfo("UTC")) for moment in (self.start, self.end))
        if start >= end:
            raise ValueError(f"got {self.start} to {self.end}; 'to' must be later than 'from'")
        return self


class Detection(Section):
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


def _link(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s<>\"'|]+", value):
        raise ValueError("not a link; allowed: a URL that begins with https://")
    return value


LinkField = Annotated[str, AfterValidator(_link)]


def _folder(value: str) -> str:
    scheme, found, rest = value.partition("://")
    if not value.strip() or (found and (scheme != "gs" or not rest.strip("/"))):
        raise ValueError(f"got {value!r}; allowed: a folder, or gs://BUCKET/FOLDER")
    return value.rstrip("/") or value


class ReportPlace(Section):
    """The folder (local, or in `gs://`) where each run leaves its report as MONITOR.html, and what it is called in a browser.

    `url` stands for the folder; without one, links to a report in `gs://` are those of Cloud Storage, which ask who reads.
    """

    to: Annotated[str, AfterValidator(_folder)]
    url: LinkField | None = None

    def file(self, monitor: str) -> str:
        """The path of a monitor's report."""
        return f"{self.to}/{monitor}.html"

    def link(self, monitor: str) -> str | None:
        """Where a browser finds it; None where only a local folder is known."""
        if self.url is not None:
            return f"{self.url.rstrip('/')}/{monitor}.html"
        bucket = self.to.removeprefix("gs://")
        return f"https://storage.cloud.google.com/{quote(bucket)}/{monitor}.html" if bucket != self.to else None


class Budget(Section):
    """What a run may cost. `price_per_tib` turns bytes billed into money, in whatever currency it is given (0: a flat rate)."""

    max_bytes_per_run: SizeField | None = None
    max_bytes_per_month: SizeField | None = None
    price_per_tib: Annotated[float, Field(ge=0)] = 6.25
    deadline: Annotated[str, BeforeValidator(_parse_deadline)] = "25m"

    @property
    def deadline_seconds(self) -> float:
        return float(self.deadline[:-1]) * _SECONDS[self.deadline[-1]]


class Labels(Section):
    """What came true, by the id of the prediction: in a table of its own, or (without `table`) in a column of the log.

    A label counts from `timestamp` on; without one, every label there is known. A window is provisional until its youngest row
    is `matures_after` old. An id with several different labels has no outcome (`exclude`), or its newest one.
    """

    column: str
    table: str | None = None
    id: str | None = None
    timestamp: str | None = None
    matures_after: SpanField = Span(0, "d")
    positive: bool | int | str | None = None
    contradictory: Literal["exclude", "newest"] = "exclude"

    @model_validator(mode="after")
    def _newest_needs_a_time(self) -> Labels:
        if self.contradictory == "newest" and self.timestamp is None:
            raise ValueError(
                "contradictory: got 'newest' without 'timestamp'; name the column that says when a label came"
            )
        return self


class Segment(Section):
    """One way to cut the log: by columns (several: their intersections), or by an expression with a name."""

    columns: Annotated[list[str], Field(max_length=5)] = []
    name: str | None = None
    expression: str | None = None

    @model_validator(mode="after")
    def _columns_or_expression(self) -> Segment:
        if bool(self.columns) == (self.expression is not None) or (self.expression is None) != (self.name is None):
            said = self.model_dump(exclude_defaults=True)
            raise ValueError(
                f"got {said}; allowed: a column, a list of columns (their intersections), or {{name: ..., expression: ...}}"
            )
        if len(set(self.columns)) != len(self.columns):
            raise ValueError(f"a column stands twice; got {self.columns!r}")
        if odd := [name for name in (*self.columns, self.name or "") if " & " in name or "=" in name]:
            raise ValueError(
                f"got {odd[0]!r}; '=' and ' & ' stand between the parts of a segment's name, not in them. Give an expression a name"
            )
        return self

    @property
    def title(self) -> str:
        """What it is called: `region`, `region & channel`, or its name."""
        return self.name or " & ".join(self.columns)


def parse_segment(value: object) -> object:
    """A column, a list of columns, or a mapping, as `Segment` takes it."""
    if isinstance(value, str):
        return {"columns": [value]}
    return {"columns": value} if isinstance(value, list) else value


SegmentField = Annotated[Segment, BeforeValidator(parse_segment)]
_Share = Annotated[float, Field(ge=0, le=1)]


class Limits(Section):
    """Where a number may lie: `min`, `max`, or how far it may fall (`max_drop`) or rise (`max_rise`) against the reference."""

    min: float | None = None
    max: float | None = None
    max_drop: Annotated[float, Field(ge=0)] | None = None
    max_rise: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Limits:
        if not self.model_dump(exclude_none=True):
            raise ValueError("no limit; allowed: min, max, max_drop, max_rise")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min: got {self.min}, above max: {self.max}")
        return self


class Business(Section):
    """Limits on what the model answers; no outcome is needed. `low_confidence` is below what a row counts as such."""

    positive_rate: Limits | None = None
    mean_confidence: Limits | None = None
    low_confidence_share: Limits | None = None
    prediction_shift: Limits | None = None
    low_confidence: Annotated[float, Field(gt=0, lt=1)] = 0.6

    @model_validator(mode="after")
    def _a_shift_has_a_size(self) -> Business:
        said = self.prediction_shift.model_dump(exclude_none=True) if self.prediction_shift else {"max": 0}
        if set(said) != {"max"} or said["max"] < 0:
            raise ValueError(f"prediction_shift: got {said}; allowed: max, how far the mean score may move either way")
        return self


class Volume(Section):
    """Rows of a window: at least `min`; `max_drop` is how much of those of the window before may be missing, 0..1."""

    min: Annotated[int, Field(ge=0)] | None = None
    max_drop: _Share | None = None


class Rise(Section):
    """How far a share may rise above the reference's, 0..1."""

    max_rise: _Share


class MaxShare(Section):
    """How large a share may be, 0..1."""

    max_share: _Share


class Freshness(Section):
    """How old the newest row may be at the end of a window."""

    max_age: SpanField


class Latency(Section):
    """A column of milliseconds, and where its percentiles may lie at most."""

    column: str
    p50_max: Annotated[float, Field(gt=0)] | None = None
    p95_max: Annotated[float, Field(gt=0)] | None = None
    p99_max: Annotated[float, Field(gt=0)] | None = None


class Quality(Section):
    """Limits on the data themselves; what has none is told all the same."""

    volume: Volume | None = None
    null_rate: Rise | None = None
    nan_rate: Rise | None = None
    out_of_range: MaxShare | None = None
    new_categories: MaxShare | None = None
    duplicate_ids: MaxShare | None = None
    freshness: Freshness | None = None
    latency_ms: Latency | None = None


class Fairness(Section):
    """Parity of the groups of a segment with one of them (without `reference`: the largest in training), as ratio and difference."""

    group: str
    reference: str | None = None
    min_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    max_difference: Annotated[float, Field(gt=0, le=1)] | None = None
