"""Performance without labels, against what came true in seeded simulations and in real data."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from bq_monitor.errors import HistogramError
from bq_monitor.measure.answers import Answers
from bq_monitor.measure.estimate import NO_OUTCOMES, estimated
from bq_monitor.measure.histogram import NULL
from bq_monitor.measure.measured import Measured
from tests.measure.counted import answers_of
from tests.measure.zoo import edges_of, labelled, numeric

FINE = 100
YES = "yes"


class Rows(NamedTuple):
    """Raw rows of a binary task."""

    is_true: NDArray[np.bool_]
    score: NDArray[np.float64]

    @property
    def answered_yes(self) -> NDArray[np.bool_]:
        return self.score >= 0.5

    @property
    def edges(self) -> tuple[float, ...]:
        return edges_of(self.score, FINE)

    def counted(self, edges: tuple[float, ...], *, with_outcome: bool = True) -> Answers:
        outcome = np.where(self.is_true, YES, "no") if with_outcome else [None] * len(self.score)
        return answers_of(
            "binary", outcome, np.where(self.answered_yes, YES, "no"), self.score, positive=YES, score_edges=edges
        )

    def realised(self) -> dict[str, float]:
        """Counted from the rows by the definitions; AUC as the rank-sum statistic."""
        y, yes = self.is_true, self.answered_yes
        hits = int((y & yes).sum())
        return {
            "accuracy": float((y == yes).mean()), "precision": hits / int(yes.sum()), "recall": hits / int(y.sum()),
            "f1": 2 * hits / int(yes.sum() + y.sum()),
            "roc_auc": float(stats.mannwhitneyu(self.score[y], self.score[~y]).statistic / (y.sum() * (~y).sum())),
        }  # fmt: skip


def draw(rng: np.random.Generator, n: int, centre: float = 0.0, *, is_calibrated: bool = True) -> Rows:
    """Log-odds about a centre; a score that is not calibrated understates every risk."""
    risk = 1 / (1 + np.exp(-rng.normal(centre, 1.2, n)))
    return Rows(rng.random(n) < risk, risk if is_calibrated else 0.8 * risk**2)


@pytest.mark.parametrize("is_calibrated", [True, False], ids=["calibrated", "not calibrated"])
@pytest.mark.parametrize("centre", [0.0, 1.0, -0.5])
def test_estimates_come_true_under_covariate_shift(
    rng: np.random.Generator, centre: float, is_calibrated: bool
) -> None:
    """Whatever the scores themselves claim, and however x moved: what came true is where the narrow bounds of 20,000 rows say."""
    training = draw(rng, 20_000, is_calibrated=is_calibrated)
    window = draw(rng, 20_000, centre, is_calibrated=is_calibrated)
    found = estimated(training.counted(training.edges), window.counted(training.edges, with_outcome=False))
    for name, realised in window.realised().items():
        lower, upper = found[name].bounds(0.0005)
        assert lower is not None and upper is not None
        assert lower < realised < upper < lower + (0.05 if name in {"accuracy", "roc_auc"} else 0.1)
    assert found["accuracy"].n == found["roc_auc"].n == 20_000
    assert found["precision"].n == window.answered_yes.sum()


def test_the_reference_itself_is_told_exactly(rng: np.random.Generator) -> None:
    """On the rows that the calibration comes from, smoothing changes no number; the AUC is that of the raw rows within its bound."""
    training = draw(rng, 1500)
    counted = training.counted(training.edges)
    found, realised = estimated(counted, counted), training.realised()
    for name in ("accuracy", "precision", "recall", "f1"):
        assert found[name].value == pytest.approx(realised[name], abs=1e-12)
    assert abs((found["roc_auc"].value or 0.0) - realised["roc_auc"]) <= found["roc_auc"].bound < 0.02


def test_concept_drift_does_not_show(rng: np.random.Generator) -> None:
    """The stated limit: outcomes turned round, scores alike, and the estimate is the same."""
    training, window = draw(rng, 2000), draw(rng, 2000)
    turned = window._replace(is_true=~window.is_true)
    assert turned.realised()["accuracy"] < 0.4
    reference = training.counted(training.edges)
    seen, unseen = (estimated(reference, rows.counted(training.edges)) for rows in (window, turned))
    assert seen["accuracy"].value == pytest.approx(unseen["accuracy"].value)
    assert (seen["accuracy"].value or 0.0) > 0.6


@pytest.mark.parametrize("centre", [0.0, 0.8])
def test_the_interval_covers_what_came_true(rng: np.random.Generator, centre: float) -> None:
    """Of 200 windows, bounds of 5 % in all miss at most 10 %; those of the accuracy miss some: they are no wider than need be."""
    missed = dict.fromkeys(["accuracy", "precision", "recall", "f1", "roc_auc"], 0)
    for _ in range(200):
        training, window = draw(rng, 1000), draw(rng, 500, centre)
        edges = edges_of(training.score)
        found = estimated(training.counted(edges), window.counted(edges, with_outcome=False))
        for name, realised in window.realised().items():
            lower, upper = found[name].bounds(0.025)
            assert lower is not None and upper is not None
            missed[name] += not lower <= realised <= upper
    assert max(missed.values()) <= 20
    assert missed["accuracy"] >= 1


def test_a_small_reference_makes_the_interval_wider(rng: np.random.Generator) -> None:
    """What the calibration does not know is in the interval: of 200 rows more than of 20,000, for the same window."""
    window = draw(rng, 5000)
    errors = []
    for n in (200, 20_000):
        training = draw(rng, n)
        found = estimated(training.counted(edges_of(training.score)), window.counted(edges_of(training.score)))
        errors.append(found["accuracy"].plain_error or 0.0)
    assert errors[0] > 2 * errors[1] > 0


def test_split_then_merge_equals_the_whole(rng: np.random.Generator) -> None:
    """Counts of parts, added, estimate what the counts of all rows do; both sides."""
    training, window = draw(rng, 3000), draw(rng, 2000, 0.5)
    edges = training.edges
    whole = estimated(training.counted(edges), window.counted(edges))
    first, rest = (
        [Rows(rows.is_true[part], rows.score[part]).counted(edges) for rows in (training, window)]
        for part in (slice(700), slice(700, None))
    )
    merged = estimated(first[0] + rest[0], first[1] + rest[1])
    for name, found in whole.items():
        assert merged[name].value == pytest.approx(found.value)
        assert merged[name].error == pytest.approx(found.error)


def test_outcomes_of_the_window_are_not_read(rng: np.random.Generator) -> None:
    """Known, unknown or half known: every row with an answer counts the same."""
    training, window = draw(rng, 2000), draw(rng, 1000)
    edges, reference = training.edges, training.counted(training.edges)
    known, unknown = (estimated(reference, window.counted(edges, with_outcome=has)) for has in (True, False))
    for name, found in known.items():
        assert unknown[name].value == pytest.approx(found.value)
        assert unknown[name].n == found.n


def binary(*cells: tuple[str | None, str | None, float, int]) -> Answers:
    """So many rows of `(outcome, predicted, score)`."""
    outcome, predicted, score = ([cell[part] for cell in cells for _ in range(cell[3])] for part in range(3))
    return answers_of("binary", outcome, predicted, score, positive=YES, score_edges=(0.25, 0.5, 0.75))


KNOWN = binary(("no", "no", 0.1, 90), (YES, "no", 0.1, 10), ("no", YES, 0.6, 20), (YES, YES, 0.6, 30))


def test_expected_counts_by_hand() -> None:
    """100 rows with 10 % and 100 with 60 %: 60 hits of 100 yeses, 10 missed of 100 noes."""
    found = estimated(KNOWN, binary((None, "no", 0.1, 100), (None, YES, 0.6, 100)))
    value = {name: one.value for name, one in found.items()}
    assert value["accuracy"] == pytest.approx((60 + 90) / 200)
    assert value["precision"] == pytest.approx(0.6)
    assert value["recall"] == pytest.approx(60 / 70)
    assert value["f1"] == pytest.approx(2 * 60 / (100 + 70))
    auc = (60 * 90 + (60 * 40 + 10 * 90) / 2) / (70 * 130)
    assert value["roc_auc"] == pytest.approx(auc)
    assert found["roc_auc"].bound == pytest.approx((60 * 40 + 10 * 90) / 2 / (70 * 130))


def test_the_error_by_hand() -> None:
    """Outcomes: 0.1 x 0.9 and 0.6 x 0.4 a row. Calibration: the reference's shares with half a row of each class, of 100 and 50."""
    found = estimated(KNOWN, binary((None, "no", 0.1, 100), (None, YES, 0.6, 100)))
    low, high = 10.5 / 101, 30.5 / 51
    variance = 100 * 0.09 + 100 * 0.24 + 100**2 * (low * (1 - low) / 100 + high * (1 - high) / 50)
    assert found["accuracy"].plain_error == pytest.approx(variance**0.5 / 200)


def test_small_buckets_do_not_overfit() -> None:
    """A bucket in which chance turned the order takes the share of both: 10 % of 90 and 0 of 10 are 9 %."""
    known = binary(("no", "no", 0.1, 81), (YES, "no", 0.1, 9), ("no", "no", 0.3, 10), (YES, YES, 0.6, 5))
    found = estimated(known, binary((None, "no", 0.3, 100)))
    assert found["accuracy"].value == pytest.approx(0.91)


def test_a_bucket_never_filled_takes_the_nearest_share() -> None:
    """Yeses scored 0.9 are new: they come true as often as those scored 0.6 did."""
    found = estimated(KNOWN, binary((None, YES, 0.9, 10)))
    assert found["precision"].value == pytest.approx(0.6)


def test_rows_without_a_finite_score_are_left_out() -> None:
    """They count neither in the value nor in n."""
    window = binary((None, "no", 0.1, 100), (None, YES, 0.6, 100), (None, YES, float("nan"), 50))
    found = estimated(KNOWN, window)["accuracy"]
    assert (found.value, found.n) == (pytest.approx(0.75), 200)


@pytest.mark.parametrize(
    ("reference", "window", "reason"),
    [
        (binary((None, "no", 0.1, 9)), KNOWN, NO_OUTCOMES),
        (Answers("binary", {}, YES), KNOWN, NO_OUTCOMES),
        (KNOWN, Answers("binary", {}, YES), "no rows with an answer"),
        (KNOWN, binary((YES, None, 0.1, 9)), "no rows with an answer"),
        (KNOWN, binary((None, YES, float("nan"), 9)), "the window has no finite score"),
        (KNOWN, answers_of("binary", [None], [YES], positive=YES), "the window has no finite score"),
        (answers_of("binary", [YES], [YES], positive=YES), KNOWN, "the reference has no finite score of a row with an outcome"),
        (binary((YES, "no", 0.1, 9)), KNOWN, "the reference has no outcome of a row that was answered 'yes'"),
        (binary((YES, YES, 0.6, 9)), KNOWN, "the reference has no outcome of a row that was answered anything but 'yes'"),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_says_why(reference: Answers, window: Answers, reason: str) -> None:
    """Every metric is there, without a value."""
    found = estimated(reference, window)
    assert list(found) == ["accuracy", "precision", "recall", "f1", "roc_auc"]
    assert {(one.value, one.reason) for one in found.values()} == {(None, reason)}


def test_what_a_single_metric_lacks_is_its_own_reason() -> None:
    """Without yeses there is no precision; without a positive to expect no recall, F1 or AUC; the accuracy is there."""
    found = estimated(KNOWN, binary((None, "no", 0.1, 10)))
    assert found["precision"].reason == "no row was answered 'yes'"
    assert found["recall"].value == 0.0
    never = estimated(binary(("no", "no", 0.1, 50)), binary((None, "no", 0.1, 10)))
    assert never["accuracy"] == Measured(1.0, 10, scale="share")
    assert never["recall"].reason == never["f1"].reason == "no row is expected to come true as 'yes'"
    assert never["roc_auc"].reason == "only one class is expected to come true"


def test_other_buckets_are_refused() -> None:
    """A score counted with another reference's edges is not looked up in this one's."""
    other = answers_of("binary", [None], [YES], [0.6], positive=YES, score_edges=(0.4,))
    with pytest.raises(HistogramError, match="different buckets"):
        estimated(KNOWN, other)


def test_accuracy_of_many_classes(rng: np.random.Generator) -> None:
    """Confidence calibrated on the reference tells the accuracy of a window that is surer of itself, though it boasts."""

    def rows(n: int, low: float) -> tuple[Answers, float]:
        confidence = rng.uniform(low, 1, n)
        is_right = rng.random(n) < 0.8 * confidence
        predicted = rng.choice(["a", "b", "c"], n)
        outcome = np.where(is_right, predicted, "d")
        return answers_of("multiclass", outcome, predicted, confidence), float(is_right.mean())

    (reference, _), (window, realised) = rows(20_000, 0.3), rows(5000, 0.7)
    found = estimated(reference, window)
    assert list(found) == ["accuracy"]
    lower, upper = found["accuracy"].bounds(0.001)
    assert lower is not None and upper is not None
    assert lower < realised < upper < lower + 0.06


def regression(errors: dict[str, list[float]], *, with_outcome: bool = True) -> Answers:
    """Rows by tenth of the prediction, with the sizes of their errors."""
    outcome = "2" if with_outcome else None
    return Answers(
        "regression", {(outcome, tenth): {"absolute_error": numeric(sizes, ())} for tenth, sizes in errors.items()}
    )


def window_of(rows: dict[str, int]) -> Answers:
    """A window of which only the answers are known."""
    return Answers(
        "regression", {(None, tenth): {"score": labelled({}, specials={NULL: n})} for tenth, n in rows.items()}
    )


def test_the_mean_absolute_error_by_hand() -> None:
    """Errors of 2 among low predictions and of 6 among high ones; three of four rows are high now: 5. A new tenth takes the mean of all."""
    known = regression({"0": [1.0, 3.0], "9": [5.0, 7.0]})
    found = estimated(known, window_of({"0": 1, "9": 3}))["mae"]
    assert (found.value, found.n, found.scale) == (pytest.approx(5.0), 4, "log")
    variance = 2 * (1 / 16 + (1 / 4) ** 2 / 2) + 2 * (
        3 / 16 + (3 / 4) ** 2 / 2
    )  # 2 is the sample variance in each tenth
    assert found.plain_error == pytest.approx(variance**0.5)
    assert estimated(known, window_of({"5": 3}))["mae"].value == pytest.approx(4.0)


def test_the_mean_absolute_error_merges_over_outcomes(rng: np.random.Generator) -> None:
    """Which quarter the outcome fell in does not matter; nor does the split of the reference."""
    sizes = rng.exponential(2, 400)
    whole = regression({"0": sizes.tolist()})
    parted = Answers(
        "regression", {(quarter, "0"): {"absolute_error": numeric(part, ())} for quarter, part in zip("0123", np.split(sizes, 4), strict=True)}
    )  # fmt: skip
    found, expected = (estimated(known, window_of({"0": 50}))["mae"] for known in (parted, whole))
    assert found.value == pytest.approx(expected.value)
    assert found.error == pytest.approx(expected.error)


def test_a_regression_without_errors_says_why() -> None:
    """Outcomes that were never known, or are no numbers, tell no error; errors of 0 are an estimate of 0."""
    assert estimated(regression({"0": [1.0]}, with_outcome=False), window_of({"0": 1}))["mae"].reason == NO_OUTCOMES
    no_number = regression({"0": [float("nan")]})
    assert estimated(no_number, window_of({"0": 1}))["mae"].reason == "the reference has no finite error"
    assert estimated(regression({"0": [0.0, 0.0]}), window_of({"0": 1}))["mae"] == Measured(0.0, 1, 0.0)


def real(frame: pd.DataFrame, edges: tuple[float, ...], names: tuple[str, str, str]) -> Answers:
    outcome, predicted, score = (frame[name] for name in names)
    return answers_of("binary", outcome, predicted, score.to_numpy(), positive="1", score_edges=edges)


def test_employment_in_massachusetts(shared_data: Path) -> None:
    """2015 tells the accuracy and the AUC of 2016, 2017 and 2018 within 0.01, and each interval holds what came true."""
    names = ("employed", "prediction", "predicted_probability")
    rows = pd.read_parquet(shared_data / "employment_ma.parquet", columns=[*names, "year"])
    training = rows[rows["year"] == 2015]
    edges = edges_of(training[names[2]], FINE)
    reference = real(training, edges, names)
    for _, year in rows[rows["year"] > 2015].groupby("year"):
        found = estimated(reference, real(year, edges, names))
        assert found["accuracy"].value == pytest.approx((year[names[0]] == year[names[1]]).mean(), abs=0.01)
        is_true = year[names[0]] == 1
        ranks = stats.mannwhitneyu(year[names[2]][is_true], year[names[2]][~is_true]).statistic
        assert found["roc_auc"].value == pytest.approx(ranks / (is_true.sum() * (~is_true).sum()), abs=0.01)


def test_car_loans(shared_data: Path) -> None:
    """After the planted change the estimated AUC falls, before any outcome is known, to within 0.01 of the realised 0.958 to 0.963."""
    names = ("repaid", "y_pred", "y_pred_proba")
    rows = pd.read_parquet(shared_data / "car_loan_synthetic.parquet", columns=[*names, "partition", "timestamp"])
    training, later = rows[rows["partition"] == "reference"], rows[rows["partition"] == "analysis"]
    later = later.sort_values("timestamp", kind="stable")
    edges = edges_of(training[names[2]], FINE)
    reference = real(training, edges, names)
    before, after = (
        estimated(reference, real(half, edges, names))["roc_auc"] for half in (later[:25_000], later[25_000:])
    )
    assert before.value is not None and after.value is not None
    assert after.value < before.value - 0.003
    assert 0.958 - 0.01 < after.value < 0.963 + 0.01
