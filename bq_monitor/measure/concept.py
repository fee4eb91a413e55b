"""Has what the outcome follows from moved, or only the inputs? One feature's coarse buckets x outcome classes, on two sides. Pure.

| test | compares | moves under |
|---|---|---|
| `covariate` | P(x), the buckets | covariate shift |
| `prior` | P(y), the outcome | prior shift; most other shifts |
| `conditional` | P(y given x), the outcome within each bucket | concept drift; prior shift |
| `reverse` | P(x given y), the buckets within each outcome | concept drift; covariate shift |

Each asks whether the true JS distance (base 2) is above the threshold that matters. For the last two that is the root of
D = sum of w JS / sum of w over the strata (buckets; outcomes), w = nm / (n + m) of their n and m rows. Given the rows of each
stratum, 8 sum of w JS (nats) is about non-central chi-square: the laws of `measure.significance` of each stratum, added.

Sparse strata are joined by direct standardisation: the shares of a joined stratum are the means of its parts' shares, weighted
by w, the same on both sides. So a move of rows among the parts is no move of the outcome, which raw totals would make it.
What is joined follows from the rows of the strata and the baseline's shares; what came of the window's rows plays no part.
With threshold 0, buckets in which an outcome is expected less than once raise the chance of a false alarm, to about twice alpha.

Source: Menendez et al. (1997), as `measure.significance`; Cochran (1954), "Some methods for strengthening the common chi-square
tests", for the weights; the names of the shifts: Moreno-Torres et al. (2012), "A unifying view on dataset shift".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bq_monitor.measure.divergence import js_distance, js_divergence
from bq_monitor.measure.explanation import quoted
from bq_monitor.measure.histogram import Counts
from bq_monitor.measure.significance import Law, holm
from bq_monitor.measure.verdict import Status

MIN_EXPECTED = 10
"""Expected rows below which classes, buckets and strata are joined for the tests: twice Cochran's five, as one side is often far larger."""
Shift = Literal["none", "covariate", "inputs together", "prior", "concept", "concept and covariate"]
SHIFT_WORDS: dict[Shift, str] = {
    "none": "neither the inputs nor what follows from them moved",
    "covariate": "covariate shift: the inputs moved, what follows from them did not",
    "inputs together": "covariate shift: inputs moved together; given the model's score, what follows did not",
    "prior": "prior shift: the outcomes moved as a whole, as far as the inputs tell",
    "concept": "concept shift: the same inputs now lead to other outcomes",
    "concept and covariate": "concept shift: the same inputs now lead to other outcomes; the inputs moved too",
}
"""What each kind of shift means."""
_Floats = NDArray[np.float64]
_Pools = list[list[int]]


@dataclass(frozen=True)
class ConceptRule:
    """What counts as drift of P(y given x).

    Args:
        threshold: the true JS distance (base 2, 0..1) that matters; 0 asks for any change.
        alpha: chance of any false verdict in one window, 0..1; of each bound.
        min_rows: fewer rows with an outcome on either side are not evaluated.
    """

    threshold: float = 0.1
    alpha: float = 0.01
    min_rows: int = 50


@dataclass(frozen=True)
class ConceptBucket:
    """One bucket of the feature, or several joined.

    Args:
        bucket: its name; of joined ones 'a to b' in an order, else a list.
        n_baseline, n_current: its rows with an outcome.
        outcome: the class whose share moved most there; of two the last by name ('true', 'yes', '1').
        baseline_share, current_share: of that class in the bucket, 0..1; of joined buckets as the module says.
        contribution: its part of the conditional divergence, 0..1; they sum to 1 where anything moved.
    """

    bucket: str
    n_baseline: int
    n_current: int
    outcome: str
    baseline_share: float
    current_share: float
    contribution: float


@dataclass(frozen=True)
class ConceptVerdict:
    """What moved of one feature and the outcome; numbers are None where undefined, `reason` says why nothing was evaluated.

    Args:
        covariate, prior, conditional, reverse: observed JS distances, base 2, 0..1.
        drift_score: the conditional one less what chance gives, 0..1.
        lower, upper: bounds of the true conditional distance, each one-sided at the rule's alpha.
        information_baseline, information_current: what the feature tells of the outcome on each side: mutual information, bits.
        p_adjusted: of `p_conditional`, for the number of features; `settle_concepts` sets it with the status.
        buckets: those with rows on both sides, the largest contribution first.
    """

    status: Status
    reason: str | None = None
    n_baseline: int = 0
    n_current: int = 0
    covariate: float | None = None
    prior: float | None = None
    conditional: float | None = None
    reverse: float | None = None
    drift_score: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_covariate: float | None = None
    p_prior: float | None = None
    p_conditional: float | None = None
    p_reverse: float | None = None
    p_adjusted: float | None = None
    information_baseline: float | None = None
    information_current: float | None = None
    buckets: tuple[ConceptBucket, ...] = ()


def concept(
    names: Sequence[str],
    baseline: Mapping[str, Counts],
    current: Mapping[str, Counts],
    rule: ConceptRule,
    *,
    ordered: bool = True,
) -> ConceptVerdict:
    """Compare the joint counts of a feature and the outcome; the status is `ok` until `settle_concepts` has seen all features.

    Args:
        names: of the feature's coarse buckets.
        baseline, current: by outcome class, the counts of these buckets, shape `(len(names),)`; the classes of both count.
        ordered: neighbours join where they are sparse; otherwise the smallest buckets do.

    Returns:
        Not evaluated, with a reason: too few rows on a side, one outcome class in all, no bucket with rows on both sides.
    """
    classes = sorted({*baseline, *current})
    order = range(len(names)) if ordered else sorted(range(len(names)), key=names.__getitem__)
    names, a, b = (
        [names[i] for i in order], *(_table(classes, len(names), side)[list(order)] for side in (baseline, current))
    )  # fmt: skip
    n, m = int(a.sum()), int(b.sum())
    used = [name for name, rows in zip(classes, (a + b).sum(axis=0), strict=True) if rows]
    if (reason := _not_comparable(a, b, rule.min_rows, used)) is not None:
        return ConceptVerdict("not_evaluated", reason, n, m)
    by_bucket = _Strata(a, b, is_ordered=ordered, has_ordered_cells=False)
    by_outcome = _Strata(a.T, b.T, is_ordered=False, has_ordered_cells=ordered)
    p_covariate, covariate = _marginal(a.sum(axis=1), b.sum(axis=1), rule.threshold, ordered=ordered)
    p_prior, prior = _marginal(a.sum(axis=0), b.sum(axis=0), rule.threshold, ordered=False)
    law, value = by_bucket.law, by_bucket.distance
    lower, upper = law.bounds(value, rule.alpha) if law else (None, None)
    return ConceptVerdict(
        "ok", None, n, m, covariate, prior, value, by_outcome.distance, law.corrected(value) if law else 0.0, lower, upper,
        p_covariate, p_prior, by_bucket.p_value(rule.threshold), by_outcome.p_value(rule.threshold),
        information_baseline=_information(a), information_current=_information(b), buckets=_buckets(names, classes, by_bucket, ordered=ordered),
    )  # fmt: skip


def settle_concepts(verdicts: Sequence[ConceptVerdict], alpha: float) -> list[ConceptVerdict]:
    """Adjust the conditional p-values of all evaluated features of a window for their number (Holm) and fix each status."""
    settled = list(verdicts)
    for i, adjusted in _adjusted(verdicts, "p_conditional").items():
        settled[i] = replace(verdicts[i], p_adjusted=adjusted, status="drift" if adjusted < alpha else "ok")
    return settled


def is_calm_given(score: ConceptVerdict, others: Sequence[ConceptVerdict], threshold: float) -> bool:
    """Whether the model's score accounts for what moved given other features: P(y given score) surely moved by less than matters
    (with few rows that is never sure), and the score tells at least as much of the outcome as each of those that moved, on both sides:
    a score that tells nothing stays calm whatever comes."""
    if score.status != "ok" or score.upper is None or score.upper >= threshold:
        return False
    told = min(score.information_baseline or 0.0, score.information_current or 0.0)
    moved = [verdict for verdict in others if verdict.status == "drift"]
    return all(told >= max(v.information_baseline or 0.0, v.information_current or 0.0) for v in moved)


def shift_kind(verdicts: Sequence[ConceptVerdict], alpha: float, *, is_calm_given_score: bool = False) -> Shift:
    """The shift of a window from the verdicts on all its features, Holm-adjusted within each of the tests.

    | for some feature moved | but not | is | because |
    |---|---|---|---|
    | P(y given x) and P(x given y) | - | concept | each of the pure shifts below would leave one of them |
    | P(x) and P(x given y) | P(y given x) | covariate | rows came from elsewhere, what follows from x stayed |
    | P(y given x) | P(x given y) | prior | the odds rose by one factor everywhere, which is a prior shift |
    | P(x) | P(y given x) | covariate | as above, too weak to show within the outcomes |

    The first line that holds for some feature counts; concept drift is "concept and covariate" where P(x) of some feature moved.
    It must be one feature that moved in both: features of different kinds each lose one under a pure shift of the other's inputs.

    In doubt: a jump of the risk that is the same for all values of the features at hand is told as "prior", since no counts of
    them can part the two. P(x) moves somewhat under a prior shift; so it alone outweighs nothing. Each feature is seen alone:
    where an input that goes with it moved, P(y given x) may move without concept drift. The model's score sums up all inputs: where
    the outcome given it surely did not move (`is_calm_given`), that is told as "inputs together". A prior shift with an unrelated
    covariate shift leaves neither conditional: with "concept and covariate", look whether the drifted feature's own P(x) moved.
    """
    moved = {name: _moved(verdicts, f"p_{name}", alpha) for name in ("covariate", "conditional", "reverse")}
    covariate, conditional, reverse = moved["covariate"], moved["conditional"], moved["reverse"]
    if conditional & reverse:
        if is_calm_given_score:
            return "inputs together"
        return "concept and covariate" if covariate else "concept"
    if (covariate & reverse) - conditional:
        return "covariate"
    if conditional:
        return "prior"
    return "covariate" if covariate else "none"


def concept_sentence(feature: str, verdict: ConceptVerdict, outcome_column: str) -> str:
    """Where the outcome moved most given the feature, in one line; "" where nothing moved or was evaluated.

    >>> worst = ConceptBucket("[700, 750)", 900, 300, "true", 0.812, 0.2, 1.0)
    >>> concept_sentence("credit_score", ConceptVerdict("drift", buckets=(worst,)), "repaid")
    "given credit_score, repaid moved: at [700, 750) 'true' was 81.2% in training, is 20.0% now"
    """
    if not verdict.buckets or not verdict.buckets[0].contribution:
        return ""
    worst = verdict.buckets[0]
    before, now = _percents(worst.baseline_share, worst.current_share)
    what = f"{quoted(worst.outcome)} was {before} in training, is {now} now"
    return f"given {feature}, {outcome_column} moved: at {worst.bucket} {what}"


def _percents(before: float, now: float) -> tuple[str, str]:
    """Two shares with one decimal, or as many as tell them apart."""
    first = second = ""
    for decimals in range(1, 6):
        first, second = (f"{share:.{decimals}%}" for share in (before, now))
        if first != second:
            break
    return first, second


def _table(classes: Sequence[str], n_buckets: int, side: Mapping[str, Counts]) -> Counts:
    """Counts of shape `(buckets, classes)`."""
    empty = np.zeros(n_buckets, dtype=np.int64)
    columns = [np.asarray(side.get(name, empty), dtype=np.int64) for name in classes]
    return np.stack(columns, axis=1) if columns else np.zeros((n_buckets, 0), dtype=np.int64)


def _information(table: NDArray[np.int64]) -> float:
    """Mutual information of rows and columns, bits."""
    p = table / table.sum()
    independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    used = p > 0
    return float((p[used] * np.log2(p[used] / independent[used])).sum())


def _not_comparable(a: Counts, b: Counts, min_rows: int, used: Sequence[str]) -> str | None:
    """Why two tables, shape `(buckets, classes)`, cannot be compared; None where they can."""
    for rows, where in ((int(a.sum()), " in the baseline"), (int(b.sum()), "")):
        if rows < max(1, min_rows):
            return f"too few rows with an outcome{where}: {rows} of at least {max(1, min_rows)}"
    if len(used) < 2:
        return f"one outcome only: {quoted(used[0])}"
    if not (a.sum(axis=1) * b.sum(axis=1)).any():
        return "no bucket has rows on both sides"
    return None


@dataclass(frozen=True)
class _Strata:
    """Counts of both sides, shape `(strata, cells)`: the shares of the cells are compared within each stratum."""

    baseline: Counts
    current: Counts
    is_ordered: bool
    has_ordered_cells: bool

    @cached_property
    def pools(self) -> _Pools:
        """The strata with rows on both sides; sparse ones joined until each cell is expected often enough on the lesser side."""
        shares = [self.baseline[:, cells].sum() / self.baseline.sum() for cells in self._cells]
        enough = MIN_EXPECTED / min(share for share in shares if share > 0)
        return _joined(self._weights, np.flatnonzero(self._weights), enough, ordered=self.is_ordered)

    @cached_property
    def shares(self) -> tuple[_Floats, _Floats]:
        """Of each cell in each joined stratum, the two sides, shape `(pools, cells)`."""
        before, now = (
            np.array([np.average(side[pool] / side[pool].sum(axis=1, keepdims=True), axis=0, weights=self._weights[pool])
                      for pool in self.pools])
            for side in (self.baseline, self.current)
        )  # fmt: skip
        return before, now

    @cached_property
    def terms(self) -> _Floats:
        """w JS (bits) of each joined stratum, shape `(pools,)`."""
        pairs = zip(self.pools, *self._cell_shares, strict=True)
        return np.array([self._weights[pool].sum() * (js_divergence(p, q) or 0.0) for pool, p, q in pairs])

    @property
    def distance(self) -> float:
        return sqrt(float(self.terms.sum() / self._weights.sum()))

    @cached_property
    def law(self) -> Law | None:
        """The law of `distance`: that of two samples worth as much as all strata; None where each has a single cell."""
        before, now = self._cell_shares
        used = (before > 0) | (now > 0)
        df = int((used.sum(axis=1) - 1).sum())
        rows = 2 * float(self._weights.sum())
        return Law("js_distance", df + 1, rows, rows) if df else None

    def p_value(self, threshold: float) -> float:
        return self.law.p_value(self.distance, threshold) if self.law else 1.0

    @cached_property
    def _cells(self) -> _Pools:
        return _common(self.baseline.sum(axis=0), self.current.sum(axis=0), ordered=self.has_ordered_cells)

    @cached_property
    def _cell_shares(self) -> tuple[_Floats, _Floats]:
        """`shares` with rare cells joined."""
        before, now = (np.stack([side[:, cells].sum(axis=1) for cells in self._cells], axis=1) for side in self.shares)
        return before, now

    @cached_property
    def _weights(self) -> _Floats:
        n, m = self.baseline.sum(axis=1), self.current.sum(axis=1)
        return np.asarray(n / np.maximum(n + m, 1) * m, dtype=np.float64)


def _common(a: Counts, b: Counts, *, ordered: bool) -> _Pools:
    """Cells that either side has, joined until the baseline's share lets `MIN_EXPECTED` rows expect of the lesser side; at least two."""
    used = np.flatnonzero(a + b)
    expected = a / a.sum() * min(a.sum(), b.sum())
    pools = _joined(expected, used, MIN_EXPECTED, ordered=ordered)
    if len(pools) > 1 or len(used) < 2:
        return pools
    largest = int(used[expected[used].argmax()])
    return [[largest], [int(i) for i in used if i != largest]]


def _joined(weights: _Floats, members: NDArray[np.intp], enough: float, *, ordered: bool) -> _Pools:
    """Members in turn, neighbours or else from the smallest on, until a pool weighs enough; the rest with the last pool."""
    turn = members if ordered else members[np.argsort(weights[members], kind="stable")]
    pools: _Pools = []
    is_full = True
    for i in turn.tolist():
        if is_full:
            pools.append([])
        pools[-1].append(i)
        is_full = weights[pools[-1]].sum() >= enough
    if not is_full and len(pools) > 1:
        last = pools.pop()
        pools[-1] += last
    return pools


def _marginal(a: Counts, b: Counts, threshold: float, *, ordered: bool) -> tuple[float, float]:
    """p-value and JS distance of two rows of counts, rare cells joined; 1 and 0 where nothing can differ."""
    pools = _common(a, b, ordered=ordered)
    before, now = ([int(side[pool].sum()) for pool in pools] for side in (a, b))
    value = js_distance(before, now) or 0.0
    return Law("js_distance", len(pools), int(a.sum()), int(b.sum())).p_value(value, threshold) if len(
        pools
    ) > 1 else 1.0, value


def _buckets(
    names: Sequence[str], classes: Sequence[str], strata: _Strata, *, ordered: bool
) -> tuple[ConceptBucket, ...]:
    total = float(strata.terms.sum())
    found = []
    for pool, term, before, now in zip(strata.pools, strata.terms.tolist(), *strata.shares, strict=True):
        moved = np.round(np.abs(now - before), 12)
        most = int(np.flatnonzero(moved == moved.max())[-1])
        n, m = (int(side[pool].sum()) for side in (strata.baseline, strata.current))
        name = _pool_name([names[i] for i in pool], ordered=ordered)
        part = term / total if total else 0.0
        found.append(ConceptBucket(name, n, m, classes[most], float(before[most]), float(now[most]), part))
    return tuple(sorted(found, key=lambda bucket: -bucket.contribution))


def _pool_name(names: Sequence[str], *, ordered: bool) -> str:
    """What joined buckets are called.

    >>> _pool_name(["< 1", "[1, 2)", ">= 2"], ordered=True), _pool_name(["a", "b", "c", "d", "e"], ordered=False)
    ('< 1 to >= 2', 'a, b, c and 2 others')
    """
    if len(names) == 1:
        return names[0]
    if ordered:
        return f"{names[0]} to {names[-1]}"
    if len(names) <= 4:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} others"


def _adjusted(verdicts: Sequence[ConceptVerdict], test: str) -> dict[int, float]:
    """Holm-adjusted p-values of one test by the position of the evaluated verdicts."""
    p_values = {i: p for i, verdict in enumerate(verdicts) if (p := getattr(verdict, test)) is not None}
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def _moved(verdicts: Sequence[ConceptVerdict], test: str, alpha: float) -> set[int]:
    """The positions of the verdicts for which a test fires."""
    return {i for i, adjusted in _adjusted(verdicts, test).items() if adjusted < alpha}
