"""The verdict of a report in one sentence, from stored statuses alone: it says no more than they do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from bq_monitor.report.page import ALL, FeatureVerdict, Page, Score, names_of, worst_status

MAX_NAMED = 3


def verdict(page: Page) -> str:
    """How many features drifted, and how good the answers are."""
    return _sentence("; ".join((*_drift(page), _answers(page))))


def findings(page: Page) -> tuple[str, ...]:
    """What else is wrong, a sentence each; nothing where nothing is."""
    return tuple(map(_sentence, (*_moved(page), *_estimate(page), *_concept(page), *_segments(page), *_quality(page))))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def moment(at: datetime | None) -> str:
    """How a moment is shown: the date alone where it is midnight (UTC)."""
    if at is None:
        return "not known"
    return f"{at:%Y-%m-%d}" if at.strftime("%H%M%S") == "000000" else f"{at:%Y-%m-%d %H:%M} UTC"


def _drift(page: Page) -> Iterator[str]:
    """Inputs and answers, version by version where there are several."""
    if not page.features:
        yield "nothing was judged"
    several = len(page.versions) > 1
    for version in page.versions:
        rows = [row.worst for row in page.rows if row.worst.model_version == version and row.worst.status != "excluded"]
        where = f"model version {version or 'unknown'}: " if several else ""
        inputs, answers = ([item for item in rows if (item.role == "feature") is wanted] for wanted in (True, False))
        yield where + (_counted(inputs) or _counted(answers) or "nothing was judged")


def told(item: FeatureVerdict) -> str:
    """What changed, or why nothing was judged; a value beyond its threshold that is no drift is said to be uncertain."""
    if item.reason:
        return item.reason
    beyond = item.threshold is not None and item.value is not None and item.value > item.threshold
    rows = f"with {_n(item.n_current, 'row')} it" if item.n_current is not None else "it"
    unsure = f"{item.metric} is above its threshold, but not surely: {rows} may be chance"
    return "; ".join(filter(None, (item.explanation, unsure if item.status == "ok" and beyond else None)))


def _moved(page: Page) -> Iterator[str]:
    """Answers and outcomes, whose drift the features' count does not tell."""
    for role, what in (
        ("prediction", "the model's answers"),
        ("score", "the model's scores"),
        ("label", "the outcomes"),
    ):
        rows = [row.worst for row in page.rows if row.worst.role == role and row.worst.status == "drift"]
        if rows:
            yield f"{what} drifted ({_named(names_of(rows, 'drift'))})"


def _counted(rows: Sequence[FeatureVerdict]) -> str:
    if not rows:
        return ""
    drifted, unknown = names_of(rows, "drift"), names_of(rows, "not_evaluated")
    n_judged = len(rows) - len(unknown)
    what = "feature" if rows[0].role == "feature" else "column"
    if not n_judged:
        reasons = {item.reason for item in rows}
        why = f": {reasons.pop()}" if len(reasons) == 1 and None not in reasons else ""
        return f"{f'none of {_n(len(rows), what)}' if len(rows) > 1 else f'the one {what}'} could {'' if len(rows) > 1 else 'not '}be evaluated{why}"
    rest = f" ({len(unknown)} more could not be evaluated)" if unknown else ""
    return f"{len(drifted) or 'none'} of {_n(n_judged, what)} drifted{rest}"


def _answers(page: Page) -> str:
    """Limits on the answers: by outcomes where they have come, else by the estimate."""
    mine = [item for item in page.performance if not item.is_concept and not item.is_fairness and item.segment == ALL]
    realised = [item for item in mine if item.basis == "realised" and not item.is_provisional]
    others = [item for item in mine if item.basis != "realised"]
    if judged := _judged(realised):
        return _limits(page, judged, "are", "the answers broke") + _of_window(page, judged[0])
    if judged := _judged(others):
        return _limits(page, judged, "are estimated to be", "the answers are estimated to break")
    if any(item.value is not None for item in realised):
        return "how good the answers are is known, but nothing was judged"
    return f"how good the answers are is not known{_why(mine)}"


def _estimate(page: Page) -> Iterator[str]:
    """What breaks a limit without outcomes, where the verdict speaks of outcomes."""
    mine = [item for item in page.performance if not item.is_concept and not item.is_fairness and item.segment == ALL]
    if not _judged([item for item in mine if item.basis == "realised" and not item.is_provisional]):
        return
    for basis, what in (("estimated", "the estimate without outcomes"), ("observed", "what the model answers")):
        broken = [item for item in mine if item.basis == basis and item.rule and item.status == "drift"]
        if broken:
            yield f"{what} breaks a limit ({_named([f'{item.metric}: {item.rule}' for item in broken])})"


def _judged(scores: Sequence[Score]) -> list[Score]:
    return [item for item in scores if item.rule and item.status in ("ok", "drift")]


def _limits(page: Page, judged: Sequence[Score], good: str, bad: str) -> str:
    """A limit that holds says that nothing is surely beyond it, which is less than 'as good as': that takes the intervals too."""
    broken = [item for item in judged if item.status == "drift"]
    if broken:
        limits = "their limit" if len(judged) == 1 else f"{len(broken)} of {len(judged)} limits"
        return f"{bad} {limits} ({_named([f'{item.metric}: {item.rule}' for item in broken])})"
    mine = [
        item
        for item in page.performance
        if item.basis == judged[0].basis and item.segment == ALL and not item.is_provisional
    ]
    if worse := [item.metric for item in mine if _is_worse(item)]:
        told = "surely" if good == "are" else "expected to be"
        return f"no limit on the answers is broken, but {_named(worse)} {'is' if len(worse) == 1 else 'are'} {told} worse than in {page.reference}"
    relative = page.kind == "comparison" or any(
        (item.rule or "").startswith(("max_drop", "max_rise")) for item in judged
    )
    return f"the answers {good} as good as in {page.reference}" if relative else "no limit on the answers is broken"


def _is_worse(item: Score) -> bool:
    """Whether the whole interval of a main measure is on the wrong side of the reference."""
    if item.reference_value is None:
        return False
    if item.metric in _HIGHER_IS_BETTER:
        return item.upper is not None and item.upper < item.reference_value
    return item.metric in _LOWER_IS_BETTER and item.lower is not None and item.lower > item.reference_value


_HIGHER_IS_BETTER, _LOWER_IS_BETTER = ("accuracy", "roc_auc", "r2"), ("mae", "rmse", "log_loss")


def _of_window(page: Page, score: Score) -> str:
    """Of which window, where outcomes are known later than answers."""
    if score.window_end is None or score.window_end == page.window_end:
        return ""
    return f", by the outcomes known so far ({moment(score.window_start)} to {moment(score.window_end)})"


def _why(scores: Sequence[Score]) -> str:
    reasons = {item.reason for item in scores if item.reason}
    return f" ({reasons.pop()})" if len(reasons) == 1 else ""


def _concept(page: Page) -> Iterator[str]:
    found = [item for item in page.performance if item.is_concept and item.segment == ALL and not item.is_provisional]
    found.sort(key=lambda item: -(item.value or 0.0))
    moved = [
        item.metric.removeprefix("concept:") for item in found if item.status == "drift" and item.metric != "shift"
    ]
    if moved:
        yield f"outcomes no longer follow from the inputs as in {page.reference} ({_named(moved)})"


def _segments(page: Page) -> Iterator[str]:
    drifted = [segment for segment, found in page.segments.items() if worst_status(found) == "drift"]
    if drifted:
        yield f"something drifted in {len(drifted)} of {_n(len(page.segments), 'segment')}"
    broken = [
        item for item in page.performance
        if item.status == "drift" and not item.is_provisional and (item.segment != ALL or item.is_fairness)
    ]  # fmt: skip
    if unfair := [item for item in broken if item.is_fairness]:
        yield f"{_n(len(unfair), 'limit')} of fairness {'is' if len(unfair) == 1 else 'are'} broken"
    if n := len(broken) - len(unfair):
        yield f"{_n(n, 'limit')} on the answers {'is' if n == 1 else 'are'} broken in segments"


def _quality(page: Page) -> Iterator[str]:
    if n := sum(item.status == "drift" for item in page.quality):
        yield f"{_n(n, 'check')} of the data failed"


def _n(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
