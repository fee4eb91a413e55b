"""How the rates of a group compare with those of a reference group, from counts alone. Pure; binary tasks.

Selection rate: Calders, Verwer (2010), demographic parity. True and false positive rate: Hardt, Price, Srebro (2016), equalized odds.
Positive predictive value: Chouldechova (2017), predictive parity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from bq_monitor.measure.answers import Answers
from bq_monitor.measure.measured import Measured, share_of, undefined

RATES = ("selection_rate", "tpr", "fpr", "ppv")


@dataclass(frozen=True)
class Parity:
    """One rate of a group beside that of the reference group: `difference` = group - reference, `ratio` = group / reference."""

    group: str
    reference_group: str
    rate: str
    difference: Measured
    ratio: Measured


def rates(answers: Answers) -> dict[str, Measured]:
    """The rates of `RATES`, in that order, each a share 0..1 with its denominator as `n`; undefined where that is empty.

    selection_rate: answers that are positive, of all answers. Of the rows whose outcome is known: tpr and fpr: positive answers
    to what came true positive, and to what did not; ppv: positive outcomes of positive answers. Undefined unless binary.
    """
    if answers.task != "binary" or answers.positive is None:
        return {name: undefined(f"a {answers.task} task has no positive answer") for name in RATES}
    known = answers.labelled
    positive = answers.positive
    said = known.where(lambda _, predicted: predicted == positive).n_rows
    true = known.where(lambda outcome, _: outcome == positive).n_rows
    both = known.where(lambda outcome, predicted: outcome == positive and predicted == positive).n_rows
    selected = answers.answered.where(lambda _, predicted: predicted == positive).n_rows
    return {
        "selection_rate": share_of(selected, answers.answered.n_rows, "no answer"),
        "tpr": share_of(both, true, "nothing positive came true"),
        "fpr": share_of(said - both, known.n_rows - true, "nothing negative came true"),
        "ppv": share_of(both, said, "nothing was predicted positive"),
    }


def parity(groups: Mapping[str, Answers], reference_group: str) -> list[Parity]:
    """Every rate of every other group beside the reference group's, groups sorted, rates in the order of `RATES`.

    Returns:
        `difference`, -1..1, on the plain scale (independent groups; Agresti and Coull's (1998) errors); `ratio`, 0.. (the "four
        fifths rule" looks for less than 0.8), on the log scale with the error of Katz et al. (1978); a group's rate of 0 leaves
        it on the plain scale, with the error that reaches Wilson's 95 % bound. A rate of 1 counts as uncertain as in the
        difference. Undefined where a denominator is empty, and the ratio where the reference group's rate is 0.
    """
    found = {name: rates(answers) for name, answers in groups.items()}
    absent = f"no rows of the reference group {reference_group!r}"
    base = found.pop(reference_group, {name: undefined(absent) for name in RATES})
    return [
        Parity(group, reference_group, name, found[group][name].minus(base[name]), _ratio(found[group][name], base[name]))
        for group in sorted(found)
        for name in RATES
    ]  # fmt: skip


def _ratio(group: Measured, reference: Measured) -> Measured:
    if group.value is None or reference.value is None:
        return undefined(group.reason or reference.reason or "", group.n)
    if not reference.value:
        return undefined("the reference group's rate is 0", group.n)
    ratio = group.value / reference.value
    if not ratio:
        upper = group.bounds(0.05)[1] or 0.0
        return Measured(ratio, group.n, upper / Z_95 / reference.value)
    return Measured(ratio, group.n, sqrt(_log_variance(group) + _log_variance(reference)), "log")


Z_95 = 1.6448536269514722
"""The normal quantile of 0.95."""


def _log_variance(rate: Measured) -> float:
    """The variance of the log of a rate above 0: (1 - rate) / (n rate)."""
    value, error = rate.value or 0.0, rate.plain_error or 0.0
    return (1 - value) / (rate.n * value) if value < 1 else error**2
