"""From histograms to a status: what is judged, what is not and why, and how the evidence adds up."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest

from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Buckets, Histogram
from bq_monitor.measure.pooling import Layout, pool_each
from bq_monitor.measure.significance import holm
from bq_monitor.measure.verdict import (
    Rule,
    Verdict,
    dataset_drifted,
    judge,
    not_evaluated,
    settle,
    share_drifted,
)
from tests.measure.zoo import ZOO, edges_of, labelled, numeric

RULE = Rule()


def halves(n: int) -> Histogram:
    return labelled({"a": n // 2, "b": n - n // 2})


@pytest.mark.parametrize(
    ("n", "m", "reason"),
    [
        (49, 500, "too few rows in the baseline: 49 of at least 50"),
        (0, 500, "too few rows in the baseline: 0 of at least 50"),
        (500, 49, "too few rows: 49 of at least 50"),
        (500, 0, "no rows"),
    ],
)
def test_too_few_rows_are_not_evaluated_and_say_how_many(n: int, m: int, reason: str) -> None:
    """Below `min_rows` on a side there is no verdict, no p-value and no metric; the sizes are kept."""
    assert judge(halves(n), halves(m), RULE) == not_evaluated(reason, n_baseline=n, n_current=m)


def test_exactly_min_rows_are_evaluated() -> None:
    """`min_rows` is the least that is enough."""
    assert judge(halves(50), halves(50), RULE).status == "ok"


def test_a_baseline_without_rows_is_not_evaluated_whatever_the_rule() -> None:
    """`min_rows: 0` does not turn an empty reference into a verdict."""
    verdict = judge(halves(0), halves(10), Rule(min_rows=0))
    assert (verdict.status, verdict.reason) == ("not_evaluated", "too few rows in the baseline: 0 of at least 1")


def test_other_buckets_are_refused() -> None:
    """A production histogram of other labels is an error, not a verdict."""
    with pytest.raises(ValueError, match="different buckets"):
        judge(labelled({"a": 100}), labelled({"b": 100}), RULE)


@pytest.mark.parametrize("metric", ["js_distance", "psi"])
def test_a_large_change_is_drift_and_none_is_ok(metric: str) -> None:
    """50/50 against 90/10 in 500 rows drifts; against itself it does not, with p-value near 1."""
    rule = Rule(metric=metric)
    same, moved = settle(
        [judge(halves(500), current, rule) for current in (halves(500), labelled({"a": 450, "b": 50}))], 0.01
    )
    assert (same.status, moved.status) == ("ok", "drift")
    assert same.p_value == pytest.approx(1, abs=0.01)
    assert same.drift_score == 0
    assert (moved.metric, moved.threshold, moved.alpha) == (metric, 0.1, 0.01)
    assert moved.lower is not None
    assert moved.lower > 0.1


def test_a_change_below_the_threshold_is_ok_however_many_rows() -> None:
    """51/49 against 50/50 in ten million rows each is certain, and does not matter."""
    (verdict,) = settle([judge(halves(10**7), labelled({"a": 5_100_000, "b": 4_900_000}), RULE)], 0.01)
    assert verdict.status == "ok"
    assert verdict.chi2_p_value == pytest.approx(0, abs=1e-12)
    assert verdict.upper is not None
    assert verdict.upper < 0.1


def test_a_value_never_seen_by_a_constant_is_drift() -> None:
    """A constant feature of which a third moves elsewhere drifts, at its default threshold."""
    baseline = numeric([7.0] * 500, edges_of([7.0] * 500))
    current = numeric([7.0] * 200 + [9.0] * 100, baseline.buckets.edges)
    assert settle([judge(baseline, current, RULE)], 0.01)[0].status == "drift"


def test_nulls_and_unseen_labels_are_evidence() -> None:
    """A fifth of the rows turned NULL, or into a label that training never saw, drifts and is reported by its share."""
    baseline = labelled({"a": 300, "b": 200})
    nulls = labelled({"a": 240, "b": 160}, specials={NULL: 100})
    unseen = labelled({"a": 240, "b": 160}, specials={UNSEEN: 100})
    first, second = settle([judge(baseline, nulls, RULE), judge(baseline, unseen, RULE)], 0.01)
    assert (first.status, second.status) == ("drift", "drift")
    assert (first.null_share_baseline, first.null_share_current, first.unseen_share) == (0.0, 0.2, 0.0)
    assert (second.null_share_current, second.unseen_share) == (0.0, 0.2)


def test_unseen_labels_that_cannot_be_told_have_no_share() -> None:
    """An incomplete set of known labels, or a number, leaves `unseen_share` None."""
    assert judge(halves(100), halves(100), RULE, unseen_known=False).unseen_share is None
    numbers = numeric(np.arange(100.0), (50.0,))
    assert judge(numbers, numbers, RULE).unseen_share is None


def test_a_long_tail_of_rare_labels_is_no_drift(rng: np.random.Generator) -> None:
    """1,000 labels by Zipf's law, 300 rows a side, nothing changed: labels new by chance were once called drift each time."""
    shares = 1 / np.arange(1, 1001)
    shares /= shares.sum()
    statuses = []
    for _ in range(20):
        a, b = rng.multinomial(300, shares), rng.multinomial(300, shares)
        listed = np.flatnonzero(a >= 5)  # rarer labels are `other`, as at capture
        rare, unseen = (a > 0) & (a < 5), a == 0
        buckets = Buckets("categorical", labels=tuple(map(str, listed)))
        baseline = Histogram.from_pairs(buckets, [*enumerate(a[listed].tolist()), (OTHER, int(a[rare].sum()))])
        specials = [(OTHER, int(b[rare].sum())), (UNSEEN, int(b[unseen].sum()))]
        current = Histogram.from_pairs(buckets, [*enumerate(b[listed].tolist()), *specials])
        assert current.n_of(UNSEEN) > 30
        verdict = judge(baseline, current, RULE, n_singletons=int((a == 1).sum()))
        statuses.append(settle([verdict], 0.01)[0].status)
    assert statuses == ["ok"] * 20


def test_known_rare_labels_that_all_became_new_ones_are_drift() -> None:
    """150 labels seen twice promise no new label: a window of nothing but new ones moved, though none was ever listed."""
    buckets = Buckets("categorical")
    baseline = Histogram.from_pairs(buckets, [(OTHER, 300)])
    current = Histogram.from_pairs(buckets, [(UNSEEN, 300)])
    assert settle([judge(baseline, current, RULE)], 0.01)[0].status == "drift"


def test_fewer_unseen_labels_than_expected_are_no_drift() -> None:
    """The very rows of training hold no unseen label, whatever the number of labels that occur once: nothing moved."""
    buckets = Buckets("categorical")
    baseline = Histogram.from_pairs(buckets, [(OTHER, 300)])
    verdict = judge(baseline, baseline, RULE, n_singletons=200)
    assert (verdict.divergences.js_distance, verdict.drift_score) == (0.0, 0.0)


def test_expected_unseen_rows_are_those_seen_once() -> None:
    """Good and Turing: as many rows as have a label of their own move from other to unseen; nothing is lost."""
    buckets = Buckets("categorical", labels=("a",))
    baseline = Histogram.from_pairs(buckets, [(0, 90), (OTHER, 10)])
    assert baseline.expecting_unseen(4).pairs() == [(0, 90), (OTHER, 6), (UNSEEN, 4)]
    assert baseline.expecting_unseen(0) == baseline


def pooled(baseline: Histogram, current: Histogram) -> tuple[list[float], list[float]]:
    """Both sides of one test, as it is made of them."""
    layout = Layout.of(baseline.buckets, len(baseline.counts))
    ((_, p, q),) = pool_each(layout, *(side.counts[None].astype(np.float64) for side in (baseline, current)))
    return p[0].tolist(), q[0].tolist()


def test_sparse_labels_are_pooled_by_what_the_baseline_expects() -> None:
    """Labels with fewer than ten expected rows join `other`, whatever the window holds; NULL and unseen stay apart."""
    buckets = Buckets("categorical", labels=("a", "b", "c"))
    baseline = Histogram.from_pairs(buckets, [(0, 900), (1, 80), (2, 15), (NULL, 5)])
    current = Histogram.from_pairs(buckets, [(0, 100), (1, 5), (2, 60), (UNSEEN, 35)])
    # expected of 200 rows: 180, 16, 3, 1
    assert pooled(baseline, current) == ([0, 15, 5, 900, 80], [35, 60, 0, 100, 5])


def test_sparse_neighbours_of_an_order_are_pooled() -> None:
    """Until eight rows are expected, from below; what is left joins the last pool. Specials and what the baseline lacks stay apart."""
    buckets = Buckets("numeric", edges=(1.0, 2.0, 3.0, 4.0, 5.0))
    baseline = Histogram.from_pairs(buckets, [(0, 300), (1, 300), (2, 200), (3, 160), (4, 40), (NULL, 5)])
    current = Histogram.from_pairs(
        buckets, [(0, 1), (4, 3), (5, 7), (NULL, 9)]
    )  # expected of 20: 6, 6, 4, 3.2, 0.8, 0, 0.1
    assert pooled(baseline, current) == ([1000, 0, 5, 0, 0, 0], [4, 7, 9, 0, 0, 0])
    full = Histogram.from_pairs(buckets, [(0, 80), (1, 20)])  # of 100 rows now: 29.9, 29.9, 19.9, 15.9, 4.0
    p, _ = pooled(baseline, full)
    assert p == [300, 300, 200, 200, 0, 5, 0, 0, 0]


@pytest.mark.parametrize("name", ZOO)
def test_contributions_add_up_to_psi_and_shares_to_one(name: str, rng: np.random.Generator) -> None:
    """The buckets' parts are the whole: nothing of PSI comes from elsewhere, no empty bucket is listed."""
    values = ZOO[name](rng, 3000)
    baseline = numeric(values, edges_of(values), n_null=30)
    verdict = judge(baseline, numeric(ZOO[name](rng, 400) + 0.3, baseline.buckets.edges, n_null=90), RULE)
    parts = verdict.contributions
    assert sum(part.psi for part in parts) == pytest.approx(verdict.divergences.psi, abs=1e-9)
    assert sum(part.baseline_share for part in parts) == pytest.approx(1)
    assert sum(part.current_share for part in parts) == pytest.approx(1)
    assert all(part.baseline_share + part.current_share > 0 for part in parts)
    null = next(part for part in parts if part.bucket == "NULL")
    assert (null.baseline_share, null.current_share) == pytest.approx((30 / 3030, 90 / 490))


def test_drift_score_without_change_is_small_at_thirty_rows(rng: np.random.Generator) -> None:
    """The raw distance of 30 rows of one distribution is above 0.2 by chance alone; the score, chance taken off, is near 0."""
    reference = rng.normal(0, 1, 5000)
    baseline = numeric(reference, edges_of(reference))
    found = [
        judge(baseline, numeric(rng.normal(0, 1, 30), baseline.buckets.edges), Rule(min_rows=30)) for _ in range(60)
    ]
    raw = np.median([verdict.divergences.js_distance or 0 for verdict in found])
    scores = [verdict.drift_score for verdict in found]
    assert raw > 0.2
    assert np.median([score or 0 for score in scores]) < 0.1
    assert all(score is not None and 0 <= score <= 1 for score in scores)


def test_drift_score_of_disjoint_samples_is_nearly_one() -> None:
    """Everything in another bucket: the score reaches 1 as the sample grows, never beyond."""
    scores = [
        judge(labelled({"a": n, "b": 0}), labelled({"a": 0, "b": n}), RULE).drift_score for n in (50, 5000, 10**6)
    ]
    assert scores == sorted(scores, key=float)
    assert scores[-1] == pytest.approx(1, abs=1e-5)
    assert max(score or 0 for score in scores) <= 1


def test_drift_score_is_a_distance_whatever_the_deciding_metric() -> None:
    """PSI as the deciding metric leaves the score as it is."""
    pair = halves(500), labelled({"a": 400, "b": 100})
    assert judge(*pair, Rule(metric="psi")).drift_score == judge(*pair, RULE).drift_score


def test_every_number_of_a_verdict_is_finite_or_none() -> None:
    """All NULL on both sides: one bucket, evaluated, `ok`, without NaN."""
    column = numeric([], (), n_null=100)
    (verdict,) = settle([judge(column, column, RULE)], 0.01)
    assert verdict.status == "ok"
    numbers = [value for value in (*astuple(verdict.divergences), *astuple(verdict)) if isinstance(value, float)]
    assert np.isfinite(numbers).all()
    assert verdict.chi2_p_value is None
    assert verdict.ks_p_value is None


def with_p(p_value: float) -> Verdict:
    return Verdict("ok", p_value=p_value)


def test_settle_adjusts_all_p_values_of_the_run_and_fixes_the_status() -> None:
    """0.004 of three tests is 0.012: drift at 0.05, not at 0.01; what was not evaluated is neither counted nor touched."""
    verdicts = [with_p(0.3), not_evaluated("no rows"), with_p(0.004), with_p(0.2)]
    settled = settle(verdicts, 0.05)
    assert [verdict.status for verdict in settled] == ["ok", "not_evaluated", "drift", "ok"]
    assert [verdict.p_adjusted for verdict in settled] == [
        pytest.approx(0.4),
        None,
        pytest.approx(0.012),
        pytest.approx(0.4),
    ]
    assert settled[1] is verdicts[1]
    assert [verdict.status for verdict in settle(verdicts, 0.01)] == ["ok", "not_evaluated", "ok", "ok"]


def test_settle_again_gives_the_same() -> None:
    """It starts from the raw p-values: settling twice corrects once."""
    once = settle([with_p(0.004), with_p(0.02)], 0.05)
    assert settle(once, 0.05) == once


def test_a_p_value_of_zero_is_drift_and_one_equal_to_alpha_is_not() -> None:
    """The adjusted p-value must be below alpha."""
    assert settle([with_p(0.0)], 0.01)[0].status == "drift"
    assert settle([with_p(0.01)], 0.01)[0].status == "ok"
    assert settle([], 0.01) == []


def test_the_chance_of_any_false_verdict_in_a_run_is_bounded(rng: np.random.Generator) -> None:
    """Uniform p-values of 40 tests: at alpha 0.05 about 5 % of 2,000 runs have a false verdict; uncorrected 87 % would."""
    runs = rng.random((2000, 40))
    any_false = np.mean([min(holm(p.tolist())) < 0.05 for p in runs])
    assert 0.035 <= any_false <= 0.065


def test_share_drifted_counts_evaluated_verdicts_only() -> None:
    """One of two evaluated; excluded and not evaluated ones are not in the denominator; of none it is None."""
    drift, ok = replace(with_p(0.0), status="drift"), with_p(1.0)
    left_out = [not_evaluated("no rows"), Verdict("excluded")]
    assert share_drifted([drift, ok, *left_out]) == 0.5
    assert share_drifted(left_out) is None
    assert share_drifted([]) is None


def test_a_dataset_drifts_above_its_limit_only() -> None:
    """More than the limit; nothing evaluated is no drift."""
    drift, ok = replace(with_p(0.0), status="drift"), with_p(1.0)
    assert dataset_drifted([drift, ok], 0.49)
    assert not dataset_drifted([drift, ok], 0.5)
    assert not dataset_drifted([not_evaluated("no rows")], 0.0)
