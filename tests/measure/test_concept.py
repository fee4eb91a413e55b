"""Which shift it is: hand-worked distances, simulations of each kind, and loans before and in the crisis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from bq_monitor.measure.concept import (
    ConceptBucket,
    ConceptRule,
    ConceptVerdict,
    concept,
    concept_sentence,
    is_calm_given,
    settle_concepts,
    shift_kind,
)
from bq_monitor.measure.histogram import Counts

TENTHS = [f"x{i}" for i in range(10)]
EVEN = np.full(10, 0.1)
FALLING = np.arange(10, 0, -1) / 55
RISK = 1 / (1 + np.exp(-np.linspace(-1.5, 1.5, 10)))
"""P(y) by bucket of an informative feature."""
ANY = ConceptRule(threshold=0.0, alpha=0.05)
Joint = dict[str, Counts]


def joint(no: ArrayLike, yes: ArrayLike) -> Joint:
    return {"no": np.asarray(no, dtype=np.int64), "yes": np.asarray(yes, dtype=np.int64)}


def draw(rng: np.random.Generator, n: int, shares: NDArray[np.float64], risk: NDArray[np.float64]) -> Joint:
    """`n` rows with P(x) and P(yes | x)."""
    rows = rng.multinomial(n, shares)
    yes = rng.binomial(rows, risk)
    return joint(rows - yes, yes)


def judged(a: Joint, b: Joint, rule: ConceptRule = ANY, *, ordered: bool = True) -> ConceptVerdict:
    return concept(TENTHS[: len(a["no"])], a, b, rule, ordered=ordered)


def js(p: Sequence[float], q: Sequence[float]) -> float:
    """scipy's JS distance, base 2."""
    return float(jensenshannon(p, q, base=2))


BEFORE, NOW = joint([400, 300], [100, 200]), joint([100, 150], [100, 150])
"""Shares of yes by bucket: 0.2 and 0.4 of 500 rows each; then 0.5 and 0.5 of 200 and 300."""


def test_distances_by_hand() -> None:
    """Marginals as they are; within the strata the mean divergence, weighted by nm / (n + m)."""
    found = judged(BEFORE, NOW)
    assert found.covariate == pytest.approx(js([0.5, 0.5], [0.4, 0.6]))
    assert found.prior == pytest.approx(js([0.7, 0.3], [0.5, 0.5]))
    low, high = 500 * 200 / 700, 500 * 300 / 800
    within = [js([0.8, 0.2], [0.5, 0.5]) ** 2, js([0.6, 0.4], [0.5, 0.5]) ** 2]
    assert found.conditional == pytest.approx(math.sqrt((low * within[0] + high * within[1]) / (low + high)))
    no, yes = 700 * 250 / 950, 300 * 250 / 550
    within = [js([4 / 7, 3 / 7], [0.4, 0.6]) ** 2, js([1 / 3, 2 / 3], [0.4, 0.6]) ** 2]
    assert found.reverse == pytest.approx(math.sqrt((no * within[0] + yes * within[1]) / (no + yes)))
    assert (found.n_baseline, found.n_current) == (1000, 500)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3])
def test_p_values_are_noncentral_chi_square_tails(threshold: float) -> None:
    """T = 8 ln 2 W D with one degree of freedom a bucket; were D the threshold's square, its non-centrality is that of it."""
    found = judged(BEFORE, NOW, ConceptRule(threshold))
    assert found.conditional is not None and found.prior is not None
    scale = 8 * math.log(2) * (500 * 200 / 700 + 500 * 300 / 800)
    law = stats.ncx2(2, scale * threshold**2) if threshold else stats.chi2(2)
    assert found.p_conditional == pytest.approx(law.sf(scale * found.conditional**2), rel=1e-6)
    assert found.drift_score == pytest.approx(math.sqrt(found.conditional**2 - 2 / scale))
    scale = 8 * math.log(2) * 1000 * 500 / 1500
    law = stats.ncx2(1, scale * threshold**2) if threshold else stats.chi2(1)
    assert found.p_prior == pytest.approx(law.sf(scale * found.prior**2), rel=1e-6)


def test_buckets_tell_where_and_how_the_outcome_moved() -> None:
    """The worst first, with its rows, the outcome's shares, and its part of the divergence; of two outcomes the last is named."""
    first, second = judged(BEFORE, NOW).buckets
    assert first == ConceptBucket("x0", 500, 200, "yes", pytest.approx(0.2), 0.5, first.contribution)
    assert second == ConceptBucket("x1", 500, 300, "yes", pytest.approx(0.4), 0.5, second.contribution)
    assert first.contribution + second.contribution == pytest.approx(1.0)
    parts = 500 / 7 * 2 * js([0.8, 0.2], [0.5, 0.5]) ** 2, 500 * 3 / 8 * js([0.6, 0.4], [0.5, 0.5]) ** 2
    assert first.contribution == pytest.approx(parts[0] / sum(parts))


def test_a_flip_that_no_marginal_shows_is_found() -> None:
    """One bucket turns round, the others make up for it: P(x) and P(y) are the same, P(y given x) drifts, the bucket is named."""
    before = joint([640] + [500] * 6, [160] + [500] * 6)
    now = joint([160] + [580] * 6, [640] + [420] * 6)
    (found,) = settle_concepts([judged(before, now, ConceptRule())], 0.01)
    assert found.covariate == found.prior == 0.0
    assert found.status == "drift"
    assert found.buckets[0].bucket == "x0"
    assert found.buckets[0].contribution > 0.8
    assert (found.lower or 0.0) > 0.1
    assert shift_kind([found], 0.01) == "concept"
    assert concept_sentence("score", found, "repaid") == (
        "given score, repaid moved: at x0 'yes' was 20.0% in training, is 80.0% now"
    )


@pytest.mark.parametrize("rows", [(1000, 1000), (5000, 500), (300, 100)], ids=str)
@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_no_change_alarms_no_more_than_allowed(rows: tuple[int, int], threshold: float) -> None:
    """Of 500 windows without change, each test fires in about 5 % at threshold 0 and in less where a threshold is allowed for."""
    rng = np.random.default_rng(rows)
    fired = dict.fromkeys(["p_covariate", "p_prior", "p_conditional", "p_reverse"], 0)
    for _ in range(500):
        before, now = (draw(rng, n, EVEN, RISK) for n in rows)
        found = judged(before, now, ConceptRule(threshold, 0.05))
        for name in fired:
            fired[name] += getattr(found, name) < 0.05
    assert max(fired.values()) <= 500 * 0.05 + 3 * math.sqrt(500 * 0.05 * 0.95)
    assert threshold or min(fired.values()) >= 1


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("rows", [(5000, 2000), (400, 100)], ids=str)
def test_covariate_shift_is_no_concept_drift(rng: np.random.Generator, ordered: bool, rows: tuple[int, int]) -> None:
    """P(x) turns round and P(y given x) stays: the conditional test fires by chance alone, also where sparse buckets are joined."""
    fired = 0
    for _ in range(300):
        before, now = draw(rng, rows[0], FALLING, RISK), draw(rng, rows[1], FALLING[::-1], RISK)
        found = judged(before, now, ANY, ordered=ordered)
        fired += (found.p_conditional or 0.0) < 0.05
    assert fired <= 300 * 0.05 + 3 * math.sqrt(300 * 0.05 * 0.95)


def test_joined_buckets_compare_like_with_like() -> None:
    """All rows moved from a bucket of risk 0.1 to one of 0.5, both too sparse to stand alone: nothing of the outcome moved."""
    before, now = joint([90, 5, 500], [10, 5, 10]), joint([9, 50, 500], [1, 50, 10])
    assert len(judged(before, now).buckets) < 3
    assert judged(before, now).conditional == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("ordered", [True, False])
def test_sparse_buckets_join_by_rows_and_by_the_baseline(ordered: bool) -> None:
    """Neighbours in an order, else the smallest; the window's outcomes play no part."""
    before = joint([1000, 30, 900, 30], [100, 3, 100, 3])
    turned = joint([1100, 3, 1000, 33], [0, 30, 0, 0])
    expected = {("x0", 1100), ("x1 to x3", 1066)} if ordered else {("x0", 1100), ("x1, x3, x2", 1066)}
    for window in (before, turned):
        found = judged(before, window, ordered=ordered).buckets
        assert {(bucket.bucket, bucket.n_baseline) for bucket in found} == expected


def test_a_rare_class_joins_the_next(rng: np.random.Generator) -> None:
    """A class of one row does not make every bucket too sparse; the class that moved is still told by its own name."""
    before, now = draw(rng, 5000, EVEN, RISK), draw(rng, 5000, EVEN, RISK[::-1])
    rare = {"never": np.array([1, *[0] * 9], dtype=np.int64)}
    found = concept(TENTHS, before | rare, now | rare, ANY)
    assert len(found.buckets) == 10
    assert found.buckets[0].outcome in {"no", "yes"}
    assert (found.p_conditional or 0.0) < 1e-9


def test_a_class_that_is_new_counts() -> None:
    """The union of both sides' classes is compared: one that only the window has is a move."""
    before, now = {"no": np.array([500, 500])}, joint([400, 500], [100, 0])
    found = concept(["x0", "x1"], before, now, ConceptRule())
    assert found.prior == pytest.approx(js([1.0, 0.0], [0.9, 0.1]))
    assert (found.buckets[0].bucket, found.buckets[0].outcome, found.buckets[0].current_share) == ("x0", "yes", 0.2)


def test_names_without_an_order_may_come_in_any(rng: np.random.Generator) -> None:
    """States shuffled: the same verdict, joined buckets included."""
    before, now = draw(rng, 400, FALLING, RISK), draw(rng, 150, EVEN, RISK[::-1])
    order = rng.permutation(10)
    shuffled = [{name: rows[order] for name, rows in side.items()} for side in (before, now)]
    found = concept([TENTHS[i] for i in order], *shuffled, ANY, ordered=False)
    assert found == judged(before, now, ordered=False)


def test_sides_may_be_swapped(rng: np.random.Generator) -> None:
    """With buckets full on both sides, the four distances and p-values are symmetric."""
    before, now = draw(rng, 5000, EVEN, RISK), draw(rng, 4000, FALLING, RISK**2)
    there, back = judged(before, now), judged(now, before)
    for test in ("covariate", "prior", "conditional", "reverse"):
        assert getattr(there, test) == pytest.approx(getattr(back, test))
        assert getattr(there, f"p_{test}") == pytest.approx(getattr(back, f"p_{test}"))


def test_the_same_counts_have_not_moved() -> None:
    """Distances of 0, p-values of 1, no sentence."""
    found = judged(BEFORE, BEFORE)
    assert (found.covariate, found.prior, found.conditional, found.reverse) == (0.0, 0.0, 0.0, 0.0)
    assert (found.p_covariate, found.p_prior, found.p_conditional, found.p_reverse) == (1.0, 1.0, 1.0, 1.0)
    assert (found.drift_score, found.lower) == (0.0, 0.0)
    assert concept_sentence("x", found, "y") == ""


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ({}, NOW, "too few rows with an outcome in the baseline: 0 of at least 50"),
        (BEFORE, {}, "too few rows with an outcome: 0 of at least 50"),
        (BEFORE, joint([20, 10], [5, 5]), "too few rows with an outcome: 40 of at least 50"),
        (joint([50, 50], [0, 0]), joint([50, 50], [0, 0]), "one outcome only: 'no'"),
        (joint([50, 0], [50, 0]), joint([0, 50], [0, 50]), "no bucket has rows on both sides"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_why(before: Joint, now: Joint, reason: str) -> None:
    """Not evaluated, with the rows of both sides and no number; settling leaves it so and the shift is none."""
    found = concept(["x0", "x1"], before, now, ConceptRule())
    rows = (sum(int(side.sum()) for side in joint_.values()) for joint_ in (before, now))
    assert found == ConceptVerdict("not_evaluated", reason, *rows)
    assert settle_concepts([found], 0.01) == [found]
    assert shift_kind([found], 0.01) == "none"
    assert concept_sentence("x", found, "y") == ""


def test_a_single_bucket_says_what_the_outcome_alone_does() -> None:
    """Nothing can move among buckets; within the one the outcome moves as it does overall, which is a prior shift."""
    found = judged(joint([800], [200]), joint([500], [500]))
    assert (found.covariate, found.p_covariate, found.reverse, found.p_reverse) == (0.0, 1.0, 0.0, 1.0)
    assert found.conditional == pytest.approx(found.prior)
    assert shift_kind([found], 0.05) == "prior"


def verdict(covariate: float = 1.0, conditional: float = 1.0, reverse: float = 1.0) -> ConceptVerdict:
    return ConceptVerdict("ok", p_covariate=covariate, p_prior=1.0, p_conditional=conditional, p_reverse=reverse)


@pytest.mark.parametrize(
    ("verdicts", "kind"),
    [
        ([], "none"),
        ([verdict()], "none"),
        ([verdict(conditional=0, reverse=0)], "concept"),
        ([verdict(conditional=0, reverse=0), verdict(covariate=0)], "concept and covariate"),
        ([verdict(conditional=0), verdict(conditional=0)], "prior"),
        ([verdict(conditional=0), verdict(covariate=0)], "prior"),
        ([verdict(conditional=0), verdict(covariate=0, reverse=0)], "covariate"),
        ([verdict(covariate=0), verdict()], "covariate"),
        ([verdict(reverse=0)], "none"),
        ([verdict(0.03, 0.03, 0.03)], "concept and covariate"),
        ([verdict(0.03, 0.03, 0.03), verdict()], "none"),
    ],
)  # fmt: skip
def test_the_kind_of_shift_by_what_moved(verdicts: Sequence[ConceptVerdict], kind: str) -> None:
    """As the table says; both conditionals must have moved for one feature, and each test is corrected for the features."""
    assert shift_kind(verdicts, 0.05) == kind


def test_verdicts_are_corrected_for_the_number_of_features() -> None:
    """0.03 of two features is 0.06 by Holm: no drift; one that was not evaluated does not count."""
    alone = settle_concepts([verdict(conditional=0.03), ConceptVerdict("not_evaluated", "no rows")], 0.05)
    assert [(found.status, found.p_adjusted) for found in alone] == [("drift", 0.03), ("not_evaluated", None)]
    two = settle_concepts([verdict(conditional=0.03), verdict(conditional=0.5)], 0.05)
    assert [(found.status, found.p_adjusted) for found in two] == [("ok", 0.06), ("ok", 0.5)]


def given_outcome(rng: np.random.Generator, n: int, share: float) -> list[Joint]:
    """An informative and an uninformative feature with P(x given y) fixed, `share` of the outcomes yes."""
    yes = int(rng.binomial(n, share))
    rising = FALLING[::-1]
    pairs = [(FALLING, rising), (EVEN, EVEN)]
    return [joint(rng.multinomial(n - yes, no), rng.multinomial(yes, one)) for no, one in pairs]


def kinds(sides: Sequence[tuple[Sequence[Joint], Sequence[Joint]]]) -> list[str]:
    return [
        shift_kind([judged(a, b, ConceptRule()) for a, b in zip(before, now, strict=True)], 0.01)
        for before, now in sides
    ]


def test_a_prior_shift_is_told(rng: np.random.Generator) -> None:
    """P(y) from 0.3 to 0.6 with P(x given y) fixed: P(y given x) and P(x) move in its wake, yet it is called prior."""
    sides = [(given_outcome(rng, 5000, 0.3), given_outcome(rng, 2000, 0.6)) for _ in range(30)]
    assert set(kinds(sides)) == {"prior"}


def test_a_covariate_shift_is_told(rng: np.random.Generator) -> None:
    """P(x) of an informative feature turns round with P(y given x) fixed: P(y) moves in its wake, yet it is called covariate."""

    def rows(n: int, shares: NDArray[np.float64]) -> list[Joint]:
        moving = draw(rng, n, shares, RISK)
        yes = int(moving["yes"].sum())
        return [moving, joint(rng.multinomial(n - yes, EVEN), rng.multinomial(yes, EVEN))]

    assert set(kinds([(rows(5000, FALLING), rows(2000, FALLING[::-1])) for _ in range(30)])) == {"covariate"}


def test_concept_drift_is_told(rng: np.random.Generator) -> None:
    """The risk turns round: concept; with the inputs moved as well: both."""
    sides = [([draw(rng, 5000, EVEN, RISK)], [draw(rng, 2000, EVEN, RISK[::-1])]) for _ in range(10)]
    assert set(kinds(sides)) == {"concept"}
    sides = [([draw(rng, 5000, EVEN, RISK)], [draw(rng, 2000, FALLING, RISK[::-1])]) for _ in range(10)]
    assert set(kinds(sides)) == {"concept and covariate"}


def test_loans_before_and_in_the_crisis(shared_data: Path) -> None:
    """By the size of the loan: FY2006-07 charge off far more of the like; FY2002 does not differ from the two years before."""
    loans = pd.read_parquet(
        shared_data / "sba_loans.parquet", columns=["approval_fy", "gr_appv", "mis_status"]
    ).dropna()
    years = loans["approval_fy"].astype(int)
    edges = np.quantile(loans["gr_appv"][years.between(2000, 2003)], np.arange(0.1, 1, 0.1))
    size = np.searchsorted(edges, loans["gr_appv"], side="right")

    def side(first: int, last: int) -> Joint:
        chosen = years.between(first, last)
        return {
            str(name): np.bincount(size[chosen & (loans["mis_status"] == name)], minlength=10)
            for name in loans["mis_status"].unique()
        }

    crisis, calm = settle_concepts(
        [concept(TENTHS, *sides, ConceptRule()) for sides in ((side(2000, 2003), side(2006, 2007)), (side(2000, 2001), side(2002, 2002)))],
        0.01,
    )  # fmt: skip
    assert (crisis.status, calm.status) == ("drift", "ok")
    assert crisis.buckets[0].outcome == "PIF"
    assert crisis.buckets[0].current_share < crisis.buckets[0].baseline_share - 0.2


def test_a_score_that_tells_nothing_accounts_for_nothing() -> None:
    """A flip given a feature is concept drift beside a score unrelated to the outcome; beside one that tells all and stays, it is not."""
    rule = ConceptRule(0.1, 0.01, 50)
    names = ["a", "b"]
    kept, flipped = (
        {"no": np.array([900, 100]), "yes": np.array([100, 900])},
        {"no": np.array([100, 900]), "yes": np.array([900, 100])},
    )
    feature = concept(names, kept, flipped, rule)
    blind = concept(names, *({"no": np.array([500, 500]), "yes": np.array([500, 500])},) * 2, rule)
    sharp = concept(names, *({"no": np.array([950, 50]), "yes": np.array([50, 950])},) * 2, rule)
    for score, calm in ((blind, False), (sharp, True)):
        settled = settle_concepts([feature, score], 0.01)
        assert [verdict.status for verdict in settled] == ["drift", "ok"]
        assert is_calm_given(settled[1], settled, rule.threshold) is calm
        expected = "inputs together" if calm else "concept"
        assert shift_kind(settled, 0.01, is_calm_given_score=calm) == expected
    assert blind.information_baseline == pytest.approx(0.0, abs=1e-12)
    entropy = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    assert feature.information_current == pytest.approx(1 - entropy)  # one bit less what stays unknown
