"""The scan: statements that count a log into the frozen buckets of a reference, and the histograms that they answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bq_monitor.config import MonitorConfig
from bq_monitor.measure.histogram import OTHER, UNSEEN, Buckets, Histogram, Moments
from bq_monitor.timegrid import Granule
from bq_monitor.warehouse.base import Clause, Dialect, Param, Relation, Row, Statement
from bq_monitor.warehouse.bins import integer_bins
from bq_monitor.warehouse.expressions import Expression
from bq_monitor.warehouse.fragments import TIMES, accepts, value
from bq_monitor.warehouse.identifiers import quote_column
from bq_monitor.warehouse.render import render, translate

MAX_FEATURES_PER_STATEMENT = 40
"""The widest request stays below BigQuery's 10 MB, with room for long names: docs/statements.md."""
MAX_CODES_PER_STATEMENT = 60_000
MAX_COMBINATIONS = 128
"""DuckDB counts dimensions of segments together up to so many combinations of their groups: of more, the counters outgrow the caches."""
MAX_COMBINATIONS_OF_A_COUNT = 4096
"""... and of combinations times granules: each is held in memory for every feature."""
GROUPS_IN_CACHE, MIN_NUMBERS_PER_PASS = 640, 12
"""So many groups times numbers are counted in one pass, and at least so many numbers: see `benchmarks/scan.py`."""
HASH_CHARACTERS = 16
_FEATURES_TYPE = "ARRAY<STRUCT<position INT64, feature STRING, fallback INT64>>"
_CODES_TYPE = "ARRAY<STRUCT<position INT64, hash STRING, bucket INT64>>"
_BINS_TYPE = "ARRAY<STRUCT<bucket INT64, bins ARRAY<INT64>>>"


def hash_label(salt: str, text: str) -> str:
    """The salted hash of a label, as both dialects compute it. It hides labels at rest; it is no secret-keeping."""
    return hashlib.md5((salt + text).encode(), usedforsecurity=False).hexdigest()[:HASH_CHARACTERS]


@dataclass(frozen=True)
class Counted:
    """One feature as the scan counts it.

    Args:
        name: of the feature.
        buckets: its frozen buckets.
        value: GoogleSQL of the value over the alias `t`: a FLOAT64 for buckets by edges, else a STRING.
        is_float: whether the value can be NaN or infinite.
        known: salted hashes of known labels that are not buckets; they count as OTHER.
        known_complete: whether `known` and the labels are all that training ever saw; any other label is then UNSEEN.
        labels_hashed: whether the labels are themselves salted hashes (a sensitive feature).
    """

    name: str
    buckets: Buckets
    value: str
    is_float: bool = False
    known: tuple[str, ...] = ()
    known_complete: bool = True
    labels_hashed: bool = False

    @property
    def fallback(self) -> int:
        return UNSEEN if self.known_complete else OTHER


@dataclass(frozen=True)
class TimeRange:
    """The time column of a log and the stretch `[start, end)` to count, cut in granules."""

    column: str
    type: str
    start: datetime
    end: datetime
    granule: Granule
    zone: ZoneInfo

    @property
    def n_granules(self) -> float:
        """About how many granules lie in the stretch; at least one."""
        return max((self.end - self.start) / timedelta(**{f"{self.granule}s": 1}), 1)

    def context(self, dialect: Dialect) -> dict[str, Any]:
        offset = self.start.astimezone(self.zone).utcoffset() or timedelta()
        return {
            "column": quote_column(self.column, dialect), "type": self.type, "granule": self.granule,
            "zone": self.zone.key, "offset_minutes": int(offset.total_seconds()) // 60 % 60,
        }  # fmt: skip

    def params(self) -> dict[str, Param]:
        return {
            "start": Param("TIMESTAMP", self.start),
            "end": Param("TIMESTAMP", self.end),
            "timezone": Param("STRING", self.zone.key),
        }


@dataclass(frozen=True)
class SegmentKey(Clause):
    """The segment of each row in one dimension: GoogleSQL of a STRING that is never NULL.

    Args:
        key: GoogleSQL of the row's own group, listed or not.
        given: the same where every part of it is given, else NULL.
        listed: name of the parameter that holds the groups which are segments of their own.
        other: name of the parameter that holds the segment of all other groups.
        n_groups: how many segments there can be.
    """

    key: str = ""
    given: str = ""
    listed: str = ""
    other: str = ""
    n_groups: int = 1

    def context(self, dialect: Dialect) -> dict[str, str]:
        if dialect == "bigquery":
            return {"sql": self.sql}
        texts = {name: translate(getattr(self, name), dialect) for name in ("key", "given")}
        return {**texts, "listed": self.listed, "other": self.other}


@dataclass(frozen=True)
class Cells:
    """GoogleSQL of the outcome and the prediction (texts, or NULL) by which rows are told apart."""

    outcome: str
    predicted: str
    params: Mapping[str, Param]


@dataclass(frozen=True)
class Labels:
    """A table of labels to join to a log.

    Args:
        key: GoogleSQL of the log's id over the alias `t`; `id`: of the labels' id; `outcome`: of their outcome.
        time: when a label came; only those before `time.end` count. None: all count.
        newest: an id with several labels has its newest.
    """

    relation: Relation
    key: str
    id: str
    outcome: str
    time: TimeRange | None
    newest: bool

    def context(self, dialect: Dialect) -> dict[str, Any]:
        return {
            "dialect": dialect, "source": self.relation.sql, "newest": self.newest,
            "time": self.time.context(dialect) if self.time else None,
            **{name: translate(getattr(self, name), dialect) for name in ("key", "id", "outcome")},
        }  # fmt: skip


LABEL_MARGIN = timedelta(days=1)
"""Labels dated earlier than so long before the stretch that is counted are not read: they belong to older predictions."""
AGES = (1, 3, 7, 14, 30, 60, 90, 180, 365)
"""Days by which it is told how many outcomes had come."""


@dataclass(frozen=True)
class Scan:
    """What one pass over a log counts, and by what it tells rows apart beside their granule."""

    relation: Relation
    features: tuple[Counted, ...]
    salt: str
    time: TimeRange | None = None
    filter: Expression | None = None
    version_column: str | None = None
    model_version: str = ""
    into: str | None = None
    keys: Mapping[str, Param] = field(default_factory=dict)
    segments: tuple[SegmentKey, ...] = ()
    cells: Cells | None = None
    labels: Labels | None = None

    def statements(self, dialect: Dialect) -> list[Statement]:
        """One statement per batch of features. On BigQuery each reads the log once; DuckDB reads the columns that a pass needs, once a pass."""
        return [self._statement(batch, dialect) for batch in _batches(self.features)]

    def _statement(self, features: Sequence[Counted], dialect: Dialect) -> Statement:
        context = [
            {
                "position": i,
                "numeric": f.buckets.numeric,
                "value": translate(f.value, dialect),
                "float": f.is_float,
                "fallback": f.fallback,
            }
            for i, f in enumerate(features)
        ]
        cells = self.cells and {
            "outcome": translate(self.cells.outcome, dialect), "predicted": translate(self.cells.predicted, dialect)
        }  # fmt: skip
        params = _bucket_params(features, self.salt, dialect)
        bundles, per_pass = self._bundles()
        sql = render(
            "scan/histograms", dialect, features=context, into=self.into, p="@" if dialect == "bigquery" else "$",
            segments=[item.context(dialect) for item in self.segments],
            bundles=bundles, per_pass=per_pass, n_bins=_n_bins(params), cells=cells,
            **self._log(dialect, self.labels),
        )  # fmt: skip
        params |= {"salt": Param("STRING", self.salt)}
        params |= {name: param for clause in self.segments for name, param in clause.params.items()}
        params |= self.cells.params if self.cells else {}
        return Statement("scan/histograms", sql, _used(sql, params | self._params | dict(self.keys), dialect))

    def _bundles(self) -> tuple[list[list[int]], int]:
        """The dimensions of segments that DuckDB counts together, by position, and how many numbers it counts in one pass.

        The first bundle has the fewest groups; it makes the segment `all` too.
        """
        most = min(MAX_COMBINATIONS, MAX_COMBINATIONS_OF_A_COUNT / (self.time.n_granules if self.time else 1))
        most = 1 if self.cells else most  # outcomes and predictions multiply the groups already
        bundles: list[tuple[int, list[int]]] = []
        for position in sorted(range(len(self.segments)), key=lambda i: -self.segments[i].n_groups):
            n = self.segments[position].n_groups
            if bundles and bundles[0][0] * n <= most:
                groups, joined = bundles.pop(0)
                bundles.append((groups * n, [*joined, position]))
            else:
                bundles.append((n, [position]))
            bundles.sort()
        largest = bundles[-1][0] if bundles and not self.labels else 1  # each pass would join the labels anew
        return [positions for _, positions in bundles], max(GROUPS_IN_CACHE // largest, MIN_NUMBERS_PER_PASS)

    def arrivals(
        self, outcome: Clause, labels: Labels | None, time: TimeRange | None, id_column: str | None, dialect: Dialect
    ) -> Statement:
        """The statement that counts rows, ids and known outcomes per granule and version; `time`: of outcomes in the log itself."""
        raw, never = translate(outcome.sql, dialect), "CAST(NULL AS TIMESTAMP)"
        is_known = f"CASE WHEN {raw} IS NULL THEN 0 ELSE 1 END"
        arrived = {"outcome": raw, "n_labels": is_known, "n_outcomes": is_known, "first_at": never, "last_at": never}
        if labels:
            arrived = {name: f"y.{name}" for name in arrived}
        sql = render(
            "scan/arrivals", dialect, arrived=arrived, own=time.context(dialect) if time else None, limits=AGES,
            id=f"t.{quote_column(id_column, dialect)}" if id_column else None,
            **self._log(dialect, labels),
        )  # fmt: skip
        return Statement(
            "scan/arrivals", sql, _used(sql, {**outcome.params, **replace(self, labels=labels)._params}, dialect)
        )

    @property
    def _params(self) -> dict[str, Param]:
        params = {"model_version": Param("STRING", self.model_version)} if self.version_column else {}
        if self.labels and self.labels.time:
            params["known_at"] = Param("TIMESTAMP", self.labels.time.end)
            params |= {"labels_from": Param("TIMESTAMP", self.time.start - LABEL_MARGIN)} if self.time else {}
        return params | (self.time.params() if self.time else {})

    def granules(self, dialect: Dialect) -> Statement:
        """The statement that counts rows per granule and version."""
        assert self.time is not None  # noqa: S101 - only logs with a time column have granules
        sql = render("scan/granules", dialect, **self._log(dialect, None))
        return Statement("scan/granules", sql, _used(sql, self._params, dialect))

    def _log(self, dialect: Dialect, labels: Labels | None) -> dict[str, Any]:
        version = None
        if self.version_column:
            kind = self.relation.columns[self.version_column]
            version = value("categorical", f"t.{quote_column(self.version_column, 'bigquery')}", kind)
        return {
            "source": self.relation.sql,
            "time": self.time.context(dialect) if self.time else None,
            "filter": translate(self.filter.sql("bigquery"), dialect) if self.filter else None,
            "version": translate(version, dialect) if version else None,
            "labels": labels.context(dialect) if labels else None,
        }


def counted(
    name: str, buckets: Buckets, source_type: str, relation: Relation, *,
    expression: str | None = None, **known: Any,
) -> Counted | str:  # fmt: skip
    """A feature ready to be counted in a relation, or the reason why it cannot be; `known` are the last fields of `Counted`."""
    if expression is not None:
        parsed = Expression(expression, f"feature {name!r}")
        if missing := sorted(parsed.columns - set(relation.columns)):
            return f"missing column {missing[0]!r} of its expression"
        column_type = "FLOAT64" if buckets.numeric else "STRING"
        return Counted(
            name, buckets, value(buckets.kind, parsed.sql("bigquery"), column_type), buckets.numeric, **known
        )
    if name not in relation.columns:
        return "missing column"
    column_type = relation.columns[name]
    if not accepts(buckets.kind, source_type, column_type):
        return f"type changed: {source_type} in training, {column_type} in the log"
    sql = value(buckets.kind, f"t.{quote_column(name, 'bigquery')}", column_type)
    return Counted(name, buckets, sql, column_type in ("FLOAT64", "NUMERIC"), **known)


def histogram_from_row(row: Mapping[str, Any], buckets: Buckets) -> Histogram:
    """A row of the scan, of a stored granule or of a summed window -> its histogram."""
    pairs = [(int(item["bucket"]), int(item["n"])) for item in row["buckets"]]
    moments = None
    if buckets.numeric:
        moments = Moments(int(row["n_finite"] or 0), row["mean"], row["second_moment"], row["min"], row["max"])
    return Histogram.from_pairs(buckets, pairs, moments)


def scan_definition_id(config: MonitorConfig) -> str:
    """Identity of what is counted: counts of different definitions never mix. Thresholds are no part of it."""
    source = config.source
    expressions = {feature.name: feature.expression for feature in config.declared_features() if feature.expression}
    segments = [segment.model_dump(mode="json") for segment in config.segments]
    what = [source.table, source.filter, expressions, source.timestamp, source.model_version]
    return digest([*what, config.window.granule, config.window.timezone.key, *([segments] if segments else [])])


def outcome_definition_id(config: MonitorConfig) -> str:
    """Identity of what is counted of answers and outcomes; when they mature is no part of it."""
    labels = config.labels.model_dump(mode="json", exclude={"matures_after"}) if config.labels else None
    prediction = config.prediction.model_dump(mode="json") if config.prediction else None
    latency = config.quality.latency_ms.column if config.quality.latency_ms else None
    return digest([scan_definition_id(config), config.source.id, labels, prediction, latency])


def digest(value: Any) -> str:
    """A short stable identity of plain values (16 hexadecimal characters)."""
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def time_range(config: MonitorConfig, relation: Relation, start: datetime, end: datetime) -> TimeRange:
    """The stretch of a log's time column; raises `InputError` when the column is missing or holds no times."""
    from bq_monitor.errors import InputError

    name = config.source.timestamp
    if name not in relation.columns:
        raise InputError.missing_columns(f"{relation.place}: source.timestamp", [name], relation.columns)
    kind = relation.columns[name]
    if kind not in TIMES or (kind == "DATE" and config.window.granule == "hour"):
        allowed = "TIMESTAMP or DATETIME" if config.window.granule == "hour" else "TIMESTAMP, DATETIME or DATE"
        raise InputError.wrong_type(
            f"{relation.place}: source.timestamp {name!r}",
            kind,
            allowed,
            "Name the column that holds the time of a prediction.",
        )
    return TimeRange(name, kind, start, end, config.window.granule, config.window.timezone)


def log_scan(config: MonitorConfig, relation: Relation, start: datetime, end: datetime) -> Scan:
    """The production log of a monitor between two instants, not yet with features; checked against its columns."""
    from bq_monitor.errors import InputError

    source = config.source
    parsed = Expression(source.filter, "source.filter") if source.filter else None
    if parsed:
        parsed.require_columns(relation.columns)
    if source.model_version and source.model_version not in relation.columns:
        raise InputError.missing_columns(
            f"{relation.place}: source.model_version", [source.model_version], relation.columns
        )
    return Scan(relation, (), "", time_range(config, relation, start, end), parsed, source.model_version)


def _batches(features: Sequence[Counted]) -> Iterable[list[Counted]]:
    batch: list[Counted] = []
    codes = 0
    for feature in features:
        size = len(feature.known) + len(feature.buckets.labels)
        if batch and (len(batch) == MAX_FEATURES_PER_STATEMENT or codes + size > MAX_CODES_PER_STATEMENT):
            yield batch
            batch, codes = [], 0
        batch.append(feature)
        codes += size
    if batch:
        yield batch


def _bucket_params(features: Sequence[Counted], salt: str, dialect: Dialect) -> dict[str, Param]:
    params: dict[str, Param] = {}
    codes: list[Row] = []
    for i, feature in enumerate(features):
        if feature.buckets.numeric:
            params |= _edge_params(i, feature.buckets.edges, dialect)
        else:
            hashes = [text if feature.labels_hashed else hash_label(salt, text) for text in feature.buckets.labels]
            codes += [{"position": i, "hash": text, "bucket": code} for code, text in enumerate(hashes)]
            codes += [{"position": i, "hash": text, "bucket": OTHER} for text in feature.known]
    listed = [{"position": i, "feature": f.name, "fallback": f.fallback} for i, f in enumerate(features)]
    return params | {"features": Param(_FEATURES_TYPE, listed), "codes": Param(_CODES_TYPE, codes)}


def _edge_params(i: int, edges: Sequence[float], dialect: Dialect) -> dict[str, Param]:
    if dialect == "bigquery":
        return {f"edges_{i}": Param("ARRAY<FLOAT64>", list(edges))}
    ends, bins = integer_bins(edges)
    return {f"ends_{i}": Param("ARRAY<INT64>", ends), f"bins_{i}": Param(_BINS_TYPE, bins)}


def _n_bins(params: Mapping[str, Param]) -> int:
    """How many counts the widest number has: of NULL, and of each bin."""
    return 1 + max((len(param.value) for name, param in params.items() if name.startswith("ends_")), default=0)


def _used(sql: str, params: Mapping[str, Param], dialect: Dialect) -> dict[str, Param]:
    """Only the parameters that a statement names: both warehouses refuse others."""
    import re

    mark = "@" if dialect == "bigquery" else r"\$"
    named = set(re.findall(mark + r"(\w+)", sql))
    return {name: param for name, param in params.items() if name in named}
