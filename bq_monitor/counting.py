"""Store the counts of the log, granule by granule; each work has a key, so that it is done once whoever asks for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bq_monitor.config import MonitorConfig
from bq_monitor.outcomes import JOINT, Scheme, Sources, answers_scan, joint_scan, outcomes_of
from bq_monitor.plan import Count, Plan
from bq_monitor.plan_outcomes import OutcomeCount
from bq_monitor.reference import Reference
from bq_monitor.scan import AGES, Counted, Scan, digest, log_scan, outcome_definition_id, scan_definition_id
from bq_monitor.segments import keys as segment_keys
from bq_monitor.warehouse.base import Param, Relation, Row, Warehouse
from bq_monitor.warehouse.schema import ARRIVALS, OUTCOME_HISTOGRAMS, PRODUCTION_HISTOGRAMS


def countable(config: MonitorConfig, reference: Reference, relation: Relation) -> list[Counted]:
    """The features of a reference that the scan of a log can count; why it cannot the others, their verdicts say."""
    said = expressions(config)
    ready = (feature.counted(relation, said.get(feature.name)) for feature in reference.features)
    return [item for item in ready if not isinstance(item, str)]


def expressions(config: MonitorConfig) -> dict[str, str]:
    """The features that are expressions over the log's columns, by name."""
    return {feature.name: feature.expression for feature in config.declared_features() if feature.expression}


def _keys(plan: Plan, reference: Reference, run_id: str) -> Row:
    """What every row of counts says of where it comes from."""
    return {
        "monitor": plan.config.monitor, "model_version": reference.model_version, "reference_id": reference.reference_id,
        "run_id": run_id, "scan_definition_id": scan_definition_id(plan.config), "computed_at": datetime.now(UTC),
    }  # fmt: skip


def count_scan(warehouse: Warehouse, plan: Plan, count: Count, relation: Relation, run_id: str) -> Scan:
    """The scan of one stretch, its result stored."""
    reference = count.reference
    keys = _keys(plan, reference, run_id)
    return replace(
        log_scan(plan.config, relation, count.start, count.end), features=tuple(countable(plan.config, reference, relation)),
        salt=reference.salt, model_version=reference.model_version, into=_target(warehouse, PRODUCTION_HISTOGRAMS.name),
        keys={name: Param("TIMESTAMP" if name == "computed_at" else "STRING", value) for name, value in keys.items()},
        segments=segment_keys(plan.config, relation, list(reference.segments)),
    )  # fmt: skip


def store_counts(warehouse: Warehouse, plan: Plan, count: Count, relation: Relation, run_id: str) -> None:
    """Count one stretch of granules and store it, by batches of features."""
    scan = count_scan(warehouse, plan, count, relation, run_id)
    identity = digest(
        [
            count.reference.reference_id, scan_definition_id(plan.config), count.start, count.end, count.n_rows, count.supersedes,
            [feature.name for feature in scan.features],
        ]
    )  # fmt: skip
    for i, statement in enumerate(scan.statements(warehouse.dialect)):
        warehouse.execute(statement, key=f"count-{identity}-{i}")


def store_emptied(warehouse: Warehouse, plan: Plan, relation: Relation, run_id: str) -> None:
    """Granules whose rows are all gone: a scan has nothing to say of them, so that it is said here."""
    if not plan.emptied:
        return
    blank = dict.fromkeys(column.name for column in PRODUCTION_HISTOGRAMS.columns) | {
        "data_version": "0", "segment": "all", "n_rows": 0, "n_null": 0, "n_finite": 0, "buckets": [],
    }  # fmt: skip
    rows = [
        {**blank, **_keys(plan, gone.reference, run_id), "granule": gone.granule, "feature": feature.name}
        for gone in plan.emptied
        for feature in countable(plan.config, gone.reference, relation)
    ]
    identity = [[gone.reference.reference_id, gone.granule, gone.supersedes] for gone in plan.emptied]
    warehouse.commit(
        {PRODUCTION_HISTOGRAMS: rows}, key="emptied-" + digest([scan_definition_id(plan.config), identity])
    )


def outcome_scans(warehouse: Warehouse, plan: Plan, count: OutcomeCount, sources: Sources, run_id: str) -> list[Scan]:
    """The scans of one stretch of answers, their results stored: what is measured of answers, and, with outcomes, the features."""
    config, reference = plan.config, count.reference
    scheme = Scheme.of(config, reference)
    if scheme is None:
        return []
    keys = {
        **_keys(plan, reference, run_id),
        "scan_definition_id": outcome_definition_id(config),
        "data_version": count.identity,
    }
    plain = replace(
        log_scan(config, sources.log, count.start, count.end), salt=reference.salt, model_version=reference.model_version,
        into=_target(warehouse, OUTCOME_HISTOGRAMS.name),
        keys={name: Param("TIMESTAMP" if name == "computed_at" else "STRING", value) for name, value in keys.items()},
    )  # fmt: skip
    outcomes = outcomes_of(config, sources.log, sources.labels, plan.as_of)
    scans = [answers_scan(plain, config, scheme, outcomes, list(reference.segments))]
    if config.labels:
        features = [replace(item, name=JOINT + item.name) for item in countable(config, reference, sources.log)]
        scans.append(joint_scan(plain, features, config, scheme, outcomes))
    return scans


def store_outcomes(warehouse: Warehouse, plan: Plan, count: OutcomeCount, sources: Sources, run_id: str) -> None:
    """Count the answers of one stretch, then say what had arrived of it: only with that do the counts hold."""
    scans = outcome_scans(warehouse, plan, count, sources, run_id)
    found = [statement for scan in scans for statement in scan.statements(warehouse.dialect)]
    for i, statement in enumerate(found):
        warehouse.execute(statement, key=f"outcomes-{count.identity}-{i}")
    keys = _keys(plan, count.reference, run_id) | {"scan_definition_id": outcome_definition_id(plan.config)}
    rows = [_arrival_row(granule, count, keys, plan.as_of) for granule in count.granules]
    warehouse.commit({ARRIVALS: rows}, key=f"arrived-{count.identity}")


def _arrival_row(granule: datetime, count: OutcomeCount, keys: Row, known_at: datetime) -> Row:
    arrived = count.granules[granule]
    known = {
        **vars(arrived), **keys, "granule": granule, "known_at": known_at, "data_version": count.identity,
        "ages": [{"days": days, "n": n} for days, n in zip(AGES, arrived.ages, strict=False)],
    }  # fmt: skip
    return {column.name: known[column.name] for column in ARRIVALS.columns}


def _target(warehouse: Warehouse, name: str) -> str:
    return warehouse.table(name) if warehouse.dialect == "bigquery" else name
