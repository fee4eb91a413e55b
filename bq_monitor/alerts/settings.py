"""What `alerts` of a configuration may say: who hears of what, and when. No secret stands here, only where it is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bq_monitor.alerts.messages import OF_RUNS, Kind, Severity
from bq_monitor.errors import did_you_mean
from bq_monitor.sections import LinkField, Section, SpanField, ZoneField, listed_twice
from bq_monitor.timegrid import Span

ChannelType = Literal["log", "slack", "pagerduty", "teams", "google_chat", "email", "webhook", "pubsub"]
_SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|secret:projects/[\w-]+/secrets/[\w-]+(?:/versions/(?:latest|\d+))?")
_TOPIC = re.compile(r"projects/[a-z][a-z0-9.:-]{4,28}[a-z0-9]/topics/[A-Za-z][\w.~+%-]{2,254}")
_NAME = re.compile(r"[a-z0-9_]+")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_HELD_TYPES = ("slack", "teams", "google_chat", "email")
"""Channels that people read as they come in; quiet hours and digests are for these."""
_KEYS: dict[str, tuple[str, ...]] = {
    "log": (), "slack": ("url",), "teams": ("url",), "google_chat": ("url",), "webhook": ("url", "key"),
    "pagerduty": ("key", "endpoint"), "pubsub": ("topic",),
    "email": ("host", "port", "username", "password", "sender", "to"),
}  # fmt: skip
_REQUIRED: dict[str, tuple[str, ...]] = {"email": ("host", "sender", "to")}


def _secret(value: object) -> object:
    """A reference to a secret. What was written instead is not repeated: it may be the secret itself."""
    if not isinstance(value, str) or not _SECRET.fullmatch(value):
        raise ValueError(
            "not a reference to a secret; allowed: env:NAME, or secret:projects/PROJECT/secrets/NAME. "
            "Put the value there, and change it if it was committed"
        )
    return value


def parse_clock(value: object) -> time:
    """`'22:00'` -> a time of day. YAML reads an unquoted 22:00 as 1320 minutes."""
    if isinstance(value, time):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError(f"not a time of day; got {value!r}; allowed: HH:MM in quotes, as in '22:00'")
    return time.fromisoformat(value)


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value):
        raise ValueError("not a topic; allowed: projects/PROJECT/topics/TOPIC")
    return value


SecretRef = Annotated[str, BeforeValidator(_secret)]
ClockField = Annotated[time, BeforeValidator(parse_clock)]
TopicField = Annotated[str, AfterValidator(_topic)]


class Channel(Section):
    """Where notifications go. `type` decides which of the other keys it takes; what it lacks comes from the environment:
    BQ_MONITOR_<NAME>_URL, BQ_MONITOR_<NAME>_KEY, where NAME is `name` in capitals.
    """

    type: ChannelType
    name: Annotated[str, Field(max_length=40)] = ""
    min_severity: Severity | None = None
    digest: ClockField | None = None
    url: SecretRef | None = None
    key: SecretRef | None = None
    endpoint: LinkField | None = None
    topic: TopicField | None = None
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    username: SecretRef | None = None
    password: SecretRef | None = None
    sender: str | None = None
    to: list[str] = Field(default_factory=list)
    allow_private: bool = False

    @model_validator(mode="after")
    def _keys_fit_the_type(self) -> Channel:
        allowed = ("type", "name", "min_severity", "allow_private", *_KEYS[self.type])
        allowed += ("digest",) if self.type in _HELD_TYPES else ()
        if odd := sorted(self.model_fields_set - set(allowed)):
            raise ValueError(f"{odd[0]}: not for {self.type}; allowed: {', '.join(sorted(allowed))}")
        if missing := [key for key in _REQUIRED.get(self.type, ()) if not getattr(self, key)]:
            raise ValueError(f"{missing[0]}: missing; {self.type} needs it")
        if self.name and not _NAME.fullmatch(self.name):
            raise ValueError(f"name: got {self.name!r}; allowed: lower-case letters, digits and '_'")
        if odd := [
            to for to in (*self.to, *filter(None, [self.sender])) if not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", to)
        ]:
            raise ValueError("not an address; allowed: name@example.com")
        return self

    @property
    def title(self) -> str:
        """What it is called: its name, or its type."""
        return self.name or self.type

    @property
    def least(self) -> Severity:
        """The least severity that it hears of: people from `warning` on, machines all."""
        return self.min_severity or ("warning" if self.type in (*_HELD_TYPES, "pagerduty") else "info")

    @property
    def is_held(self) -> bool:
        """Whether it waits in quiet hours."""
        return self.type in _HELD_TYPES

    def reference(self, what: Literal["url", "key", "username", "password"]) -> str:
        """Where its secret is kept."""
        return getattr(self, what) or f"env:BQ_MONITOR_{self.title.upper()}_{what.upper()}"

    @property
    def references(self) -> tuple[str, ...]:
        """Where all is kept that it cannot do without."""
        needed = tuple(self.reference(what) for what in ("url", "key") if what in _KEYS[self.type])
        said = tuple(found for found in (self.username, self.password) if found)
        topic = (f"env:BQ_MONITOR_{self.title.upper()}_TOPIC",) if self.type == "pubsub" and not self.topic else ()
        return needed + said + topic


def parse_channel(value: object) -> object:
    """`slack`, or a mapping with its `type`."""
    known = list(_KEYS)
    said = value if isinstance(value, str) else value.get("type") if isinstance(value, Mapping) else None
    if said is not None and said not in known:
        got = (
            f"got {said!r}; " if isinstance(said, str) and re.fullmatch(r"[\w-]{1,20}", said) else ""
        )  # a URL is a secret
        raise ValueError(f"unknown type; {got}known: {', '.join(known)}.{did_you_mean(str(said), known)}")
    return {"type": value} if isinstance(value, str) else value


class QuietHours(Section):
    """When people's channels wait: from `start` to `end` on the clock of `timezone`, and all day on `days`; what is at least `but` passes."""

    start: ClockField | None = None
    end: ClockField | None = None
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(default_factory=list)
    timezone: ZoneField | None = None
    but: Severity = "critical"

    @model_validator(mode="after")
    def _says_something(self) -> QuietHours:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end go together; give both")
        if self.start is None and not self.days:
            raise ValueError("no hours; allowed: start and end ('22:00', '07:00'), days ([sat, sun])")
        if self.start == self.end and self.start is not None:
            raise ValueError(f"start and end: got {self.start:%H:%M} twice; for whole days say days")
        if len(set(self.days)) == 7:
            raise ValueError("days: got all seven; nobody would ever be told")
        return self


class Override(Section):
    """Another severity for what fits all that is said; of several that fit the last one counts."""

    kind: Kind | None = None
    feature: str | None = None
    segment: str | None = None
    measure: str | None = None
    severity: Severity

    @model_validator(mode="after")
    def _says_of_what(self) -> Override:
        if not self.model_fields_set - {"severity"}:
            raise ValueError("fits everything; name a kind, feature, segment or measure")
        if self.kind in OF_RUNS:
            raise ValueError(
                f"kind: got {self.kind}; alerts about the monitor itself are critical; give the channel another min_severity"
            )
        return self


_WINDOWS = re.compile(r"([1-9]\d{0,2})(?: windows?)?")
_CALLABLE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def _windows(value: object) -> object:
    """`'3 windows'` -> 3."""
    found = _WINDOWS.fullmatch(str(value))
    if not found or isinstance(value, bool | float):
        raise ValueError(f"not a number of windows; got {value!r}; allowed: 1 to 999, as in '3 windows'")
    return int(found[1])


def _callable(value: str) -> str:
    if not _CALLABLE.fullmatch(value):
        raise ValueError("not a function; allowed: module:function")
    return value


class Action(Section):
    """What a standing alert sets off: published, posted, called, or (on a laptop) run. `on`: kinds of alerts, or any.

    It is fired when such an alert has stood for `for` windows, once for each alert and each of its lives, and not again within `cool_down`.
    """

    do: Annotated[str, Field(max_length=40)]
    on: list[Kind | Literal["any"]]
    after: Annotated[int, BeforeValidator(_windows), Field(alias="for")] = 1
    name: Annotated[str, Field(max_length=40)] = ""
    feature: str | None = None
    segment: str | None = None
    measure: str | None = None
    min_severity: Severity = "info"
    cool_down: SpanField = Span(7, "d")
    dry_run: bool = False
    pubsub: TopicField | None = None
    webhook: SecretRef | None = None
    key: SecretRef | None = None
    callable: Annotated[str, AfterValidator(_callable)] | None = None
    shell: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    allow_private: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_kind_is_a_list(cls, value: Any) -> Any:
        """`on: drift`; YAML takes the word `on` itself for true."""
        if not isinstance(value, Mapping):
            return value
        said = {"on" if key is True else key: item for key, item in value.items()}
        return {**said, "on": [said["on"]]} if isinstance(said.get("on"), str) else said

    @model_validator(mode="after")
    def _does_one_thing(self) -> Action:
        said = [name for name in ("pubsub", "webhook", "callable", "shell") if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(
                f"got {' and '.join(said) or 'nothing to call'}; allowed: one of pubsub, webhook, callable, shell"
            )
        if (self.key or self.allow_private) and self.webhook is None:
            raise ValueError("key and allow_private go with webhook; take them out")
        if odd := [name for name in (self.do, self.name) if name and not _NAME.fullmatch(name)]:
            raise ValueError(f"got {odd[0]!r}; allowed in do and name: lower-case letters, digits and '_'")
        if not self.on or (runs := sorted(set(self.on) & set(OF_RUNS))):
            raise ValueError(
                f"on: got {', '.join(runs) if self.on else 'no kind'}; allowed: kinds of alerts about the model, or any of them"
            )
        return self

    @property
    def title(self) -> str:
        """What it is called: its name, or what it does."""
        return self.name or self.do

    @property
    def references(self) -> tuple[str, ...]:
        """Where the secrets are kept that it needs."""
        key = self.key or f"env:BQ_MONITOR_{self.title.upper()}_KEY"
        return (self.webhook, key) if self.webhook else ()

    @property
    def target(self) -> str:
        """What is called, without secrets."""
        return self.pubsub or self.callable or self.shell or f"webhook {self.webhook}"


class Heartbeat(Section):
    """A URL that is fetched after each run that ended well; who waits for it there notices when it stays away."""

    url: SecretRef
    allow_private: bool = False


def parse_heartbeat(value: object) -> object:
    """A reference to the URL, or a mapping."""
    is_mapping = isinstance(value, Mapping) and set(value) <= {"url", "allow_private"}
    return value if is_mapping or isinstance(value, Heartbeat) else {"url": value}


def parse_reminder(value: object) -> object:
    """`7 windows` -> 7, `7d` -> a length of time, `never` -> None."""
    if value is None or value == "never":
        return None
    text = str(value)
    if (
        not isinstance(value, Span | int)
        and not _WINDOWS.fullmatch(text)
        and not re.fullmatch(r"[1-9]\d*(mo|h|d|w)", text)
    ):
        raise ValueError(
            f"got {value!r}; allowed: a number of windows ('7 windows'), a length of time ('7d'), or never"
        )
    return value if isinstance(value, Span) else _windows(value) if _WINDOWS.fullmatch(text) else Span.parse(text)


class Alerts(Section):
    """Who hears of what, and when. `resolve_after`: clean windows in a row after which an alert is over.
    `remind_every`: how often people hear again of one that stands and that nobody has acknowledged.
    """

    channels: list[Annotated[Channel, BeforeValidator(parse_channel)]] = Field(default_factory=list)
    owner: Annotated[str, Field(max_length=200)] | None = None
    runbook: LinkField | None = None
    report: LinkField | None = None
    overrides: list[Override] = Field(default_factory=list)
    resolve_after: Annotated[int, Field(ge=1, le=100)] = 3
    remind_every: Annotated[Span | int | None, BeforeValidator(parse_reminder)] = 7
    quiet_hours: QuietHours | None = None
    overdue_after: SpanField | None = None
    heartbeat: Annotated[Heartbeat, BeforeValidator(parse_heartbeat)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _channels_are_a_list(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("channels"), str):
            return {**value, "channels": [value["channels"]]}
        return value

    @model_validator(mode="after")
    def _each_channel_once(self) -> Alerts:
        names = [channel.title for channel in self.channels]
        if twice := listed_twice(names):
            raise ValueError(f"channels: {', '.join(twice)} listed twice; give each a name of its own")
        return self
