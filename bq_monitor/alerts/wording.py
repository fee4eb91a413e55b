"""What an alert is called, what to do about it, and which rows it is about: an event in its life as an item of news. Pure."""

from __future__ import annotations

from bq_monitor.alerts.life import Alert, Transition, alert_id, event_id
from bq_monitor.alerts.messages import Item, News
from bq_monitor.alerts.rules import AlertKey
from bq_monitor.config import MonitorConfig

_NEWS: dict[str, News] = {"closed": "resolved"}
_SUMMARIES = {
    "drift": "{feature} drifted", "prediction_drift": "answers moved: {feature}", "slow_drift": "{feature} drifts slowly",
    "dataset_drift": "many features drifted at once", "quality": "data quality: {measure}{of_feature}",
    "nothing_evaluated": "nothing could be evaluated", "performance": "{measure} broke its limit",
    "estimated_performance": "estimated {measure} broke its limit", "business": "{measure} broke its limit",
    "accuracy_drift": "accuracy moved: {measure}", "concept_drift": "outcomes no longer follow from the inputs as in training",
    "fairness": "groups are treated differently: {measure}", "run_failed": "the run failed", "budget": "the budget is exceeded",
    "overdue": "the run is overdue", "delivery": "notifications to {measure} cannot be delivered",
    "action_failed": "the action {measure} failed",
}  # fmt: skip
_RECOMMENDATIONS = {
    "drift": "See whether the change is real (new customers, another season) or made by the pipeline. If real and lasting, retrain on newer data.",
    "prediction_drift": "Look at the features that drifted with it; if none did, check the model that is served and how its answers are logged.",
    "slow_drift": "No hurry: plan to retrain before it crosses the threshold.",
    "dataset_drift": "When so much moves at once, look first for a change of source, filter or join; then at who is asking.",
    "quality": "Check the pipeline that writes the log, and the join that fills the column.",
    "nothing_evaluated": "Check that the log is written, that source.filter still fits, and that the model's version has a reference.",
    "performance": "Look at concept drift and at the segments; retrain on labelled rows of production, or go back to the version before.",
    "estimated_performance": "Outcomes are not in yet: look at the features that drifted, and confirm with the first outcomes.",
    "business": "Check with the owner of the decision whether this is meant; if not, compare with the version before.",
    "accuracy_drift": "Compare the classes that are wrong more often than before with what drifted.",
    "concept_drift": "The model learned a rule that no longer holds: retrain on rows that are labelled since it changed.",
    "fairness": "Compare the groups' inputs and outcomes before a decision is taken on this.",
    "run_failed": "Read the error; the next run takes up what this one left, nothing is lost.",
    "budget": "Raise budget, or count fewer features, segments or granules; `bq-monitor plan` shows what a run reads.",
    "overdue": "Check the scheduler and the function's log; one run catches up on all that is due.",
    "delivery": "Mend the channel's address or key; what was given up stands in `notifications_latest` with the status dead.",
    "action_failed": "Read its outcome in `actions_latest`; it is not tried again for the same cause.",
}  # fmt: skip
_BY_CARRIER = {
    "null": "NULL carries the change: look first at the join or the field that fills this column.",
    "nan": "NaN carries the change: look first at the calculation that fills this column.",
    "unseen": "Values that training never had carry the change: a new category, or another spelling.",
}


def item_of(transition: Transition, config: MonitorConfig) -> Item:
    """What is told of an event."""
    alert, key = transition.alert, transition.alert.key
    is_run, zone = key.stream == "runs", config.window.timezone
    said = f" (closed by {transition.actor}: {transition.note})" if transition.event == "closed" else ""
    return Item(
        event_id(config.monitor, transition), alert_id(config.monitor, key), _NEWS.get(transition.event, transition.event),  # type: ignore[arg-type]
        key.kind, alert.severity, summary(key), alert.message + said, recommendation(alert), alert.since.astimezone(zone),
        None if is_run else alert.window.start.astimezone(zone), None if is_run else alert.window.end.astimezone(zone), alert.n_windows,
        key.feature, key.segment, key.baseline, key.measure, alert.sure, None if is_run else rows_of(alert, config), alert.carrier,
    )  # fmt: skip


def summary(key: AlertKey) -> str:
    """An alert in a few words."""
    of_feature = f" of {key.feature}" if key.feature else ""
    text = _SUMMARIES[key.kind].format(feature=key.feature, measure=key.measure, of_feature=of_feature)
    where = "" if key.segment == "all" else f" in {key.segment}"
    against = f" (against {key.baseline})" if key.baseline not in (None, "training") else ""
    return text + where + against


def recommendation(alert: Alert) -> str:
    """What to do next."""
    general = _RECOMMENDATIONS[alert.key.kind]
    special = _BY_CARRIER.get((alert.carrier or "").split(":")[0])
    return f"{special} {general}" if special and alert.key.kind == "drift" else general


def rows_of(alert: Alert, config: MonitorConfig) -> str:
    """The rows of the log that it is about, in words that a query is quickly made of."""
    source, window = config.source, alert.window
    parts = [f"{source.timestamp} from {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC"]
    parts += [f"where {source.filter}"] if source.filter else []
    parts += [f"version {alert.model_version}"] if alert.model_version else []
    parts += [f"segment {alert.key.segment}"] if alert.key.segment != "all" else []
    return f"{source.table}: {', '.join(parts)}"
