"""The statements of a monitor about answers and outcomes, unexecuted: with the types that its configuration implies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bq_monitor.config import MonitorConfig
from bq_monitor.freeze import MIN_LABEL_ROWS
from bq_monitor.measure.histogram import Buckets
from bq_monitor.outcomes import (
    JOINT,
    OTHER_CLASS,
    Scheme,
    Sources,
    answers_scan,
    arrivals_statement,
    as_label,
    joint_scan,
    outcomes_of,
)  # fmt: skip
from bq_monitor.scan import Scan, outcome_definition_id
from bq_monitor.segments import examples, sizes_statement
from bq_monitor.warehouse import statements
from bq_monitor.warehouse.base import Param, Relation, Statement
from bq_monitor.warehouse.identifiers import bigquery_table
from bq_monitor.warehouse.schema import ARRIVALS, OUTCOME_HISTOGRAMS

_NUMBERS = Buckets("numeric", (0.0, 1.0))


def outcome_columns(config: MonitorConfig) -> dict[str, str]:
    """The columns of the log that only segments, latency and outcomes of its own name, with their types."""
    made = {segment.name for segment in config.segments if segment.expression}
    columns = {name: "STRING" for segment in config.segments for name in segment.columns if name not in made}
    if config.quality.latency_ms:
        columns[config.quality.latency_ms.column] = "FLOAT64"
    if config.labels and config.labels.table is None:
        columns |= _label_columns(config)
    return columns


def labels_relation(config: MonitorConfig, project: str) -> Relation | None:
    """The table of labels, if there is one."""
    if config.labels is None or config.labels.table is None:
        return None
    columns = {str(config.labels.id or config.source.id): "STRING"} | _label_columns(config)
    return Relation(bigquery_table(config.labels.table, project), columns, config.labels.table)


def _label_columns(config: MonitorConfig) -> dict[str, str]:
    said, prediction = config.labels, config.prediction
    if said is None or prediction is None:
        return {}
    positive = said.positive if said.positive is not None else prediction.positive
    kind = "BOOL" if isinstance(positive, bool) else "STRING"
    columns = {said.column: "FLOAT64" if prediction.kind == "regression" else kind}
    return columns | ({said.timestamp: "TIMESTAMP"} if said.timestamp else {})


def _scheme(config: MonitorConfig) -> Scheme | None:
    """A scheme with placeholders: the statements' texts depend on how many classes and edges there are, not on which."""
    said = config.prediction
    if said is None:
        return None
    if said.kind == "regression":
        return Scheme("regression", predicted_edges=(0.0, 1.0), outcome_edges=(0.0, 1.0), score=_NUMBERS)
    score = _NUMBERS if said.score else None
    if said.kind == "multiclass":
        return Scheme("multiclass", classes=(OTHER_CLASS,), score=score)
    positive = as_label(said.positive) if said.positive is not None else "true"
    return Scheme("binary", positive, f"not {positive}", positive, score=score)


def outcome_statements(
    config: MonitorConfig, names: statements.Names, sources: Sources, scan: Scan, keys: Mapping[str, Param]
) -> list[Statement]:
    """What a capture and a run would run of segments, answers and outcomes; `scan` is that of the log with its features."""
    now = datetime.now().astimezone()
    own = _own_statements(config, names, now)
    found = [sizes_statement(config, sources.log, MIN_LABEL_ROWS, "bigquery")] if config.segments else []
    scheme = _scheme(config)
    if scheme is None:
        return [*found, *own]
    outcomes = outcomes_of(config, sources.log, sources.labels, now)
    stored = {**keys, "data_version": Param("STRING", "")}
    plain = replace(scan, into=names.table(OUTCOME_HISTOGRAMS.name), keys=stored, segments=())
    scans = [answers_scan(plain, config, scheme, outcomes, examples(config))]
    if config.labels:
        features = [replace(item, name=JOINT + item.name) for item in scan.features]
        scans.append(joint_scan(plain, features, config, scheme, outcomes))
    found.append(arrivals_statement(scan, config, outcomes, "bigquery"))
    return [*found, *(statement for item in scans for statement in item.statements("bigquery")), *own]


def _own_statements(config: MonitorConfig, names: statements.Names, now: datetime) -> Sequence[Statement]:
    monitor, definition = config.monitor, outcome_definition_id(config)
    return [
        statements.arrivals(names, monitor, definition, now, now),
        statements.settled(names, monitor, definition),
        statements.performance_keys(names, monitor, now),
        statements.volumes(names, monitor, now, now),
        statements.answers(names, monitor, definition, [{"start_at": now, "end_at": now}]),
        statements.insert(names, ARRIVALS, []),
    ]
