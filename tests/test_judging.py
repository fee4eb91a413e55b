"""Windows judged from stored evidence, all tests of a window at once; and the benchmark of it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bq_monitor.judging import judge_windows
from bq_monitor.measure.histogram import Histogram
from bq_monitor.measure.restlessness import Clumping, Restlessness
from bq_monitor.measure.verdict import compared, settle
from bq_monitor.plan import Judgement
from bq_monitor.reference import FeatureReference, Reference
from bq_monitor.stored import CURRENT, Evidence
from bq_monitor.timegrid import Window
from tests.conftest import ROOT, make_config
from tests.measure.zoo import edges_of, labelled, numeric

START = datetime(2026, 1, 5, tzinfo=UTC)
RESTLESS = Restlessness(0.002, 2.0, 30, 10, 0.001)


def references(rng: np.random.Generator, n_rows: int) -> tuple[FeatureReference, ...]:
    """Numbers of many and of few fine buckets, labels, and one that restless days move."""
    found = []
    for name, values in (("amount", rng.normal(size=n_rows)), ("age", rng.integers(18, 30, n_rows).astype(np.float64))):
        found.append(FeatureReference(name, "feature", "FLOAT64", numeric(values, edges_of(values))))
    region = labelled({"north": n_rows // 2, "south": n_rows // 3, "west": n_rows // 6})
    found.append(FeatureReference("region", "feature", "STRING", region, restless=RESTLESS))
    return tuple(found)


def moved(feature: FeatureReference, n_rows: int, shift: float, rng: np.random.Generator) -> Histogram:
    weights = (feature.histogram.counts + 1e-9) * np.exp(shift * np.linspace(-1, 1, len(feature.histogram.counts)))
    return Histogram(
        feature.histogram.buckets, rng.multinomial(n_rows, weights / weights.sum()), feature.histogram.moments
    )


class Case:
    """Three windows of two segments: the second window moved, in the third a segment is thin and a feature is missing."""

    def __init__(self, rng: np.random.Generator, path: Path) -> None:
        self.config = make_config(
            path, features=[{"name": "amount", "threshold": 0.9}, "age", "region"], segments=["tier"]
        )
        whole, part = references(rng, 6000), references(rng, 900)
        segments = {"tier=gold": part}
        self.reference = Reference("loans", "1", "r", "salt", START, whole, {}, clumping=1 / 60, segments=segments)
        self.sums: dict[tuple[int, str], dict[tuple[str, str], Histogram]] = {}
        for window, shift in enumerate((0.0, 1.5, 0.0)):
            for segment, features in self.reference.by_segment.items():
                for feature in features:
                    n_rows = 20 if (window, segment) == (2, "tier=gold") else 700
                    if (window, feature.name) != (2, "age"):
                        side = self.sums.setdefault((window, CURRENT), {})
                        side[segment, feature.name] = moved(feature, n_rows, shift, rng)
        weeks = [Window(START + timedelta(days=7 * i), START + timedelta(days=7 * i + 7)) for i in range(3)]
        self.judgements = [Judgement(week, "1", self.reference, f"key {i}", (100,) * 7) for i, week in enumerate(weeks)]


@pytest.fixture
def case(rng: np.random.Generator, tmp_path: Path) -> Case:
    return Case(rng, tmp_path)


def test_every_verdict_is_that_of_its_own_feature_and_segment(case: Case) -> None:
    """In the order of windows, segments and features, each with its own counts, threshold and days, as judged alone."""
    results = judge_windows(case.config, case.judgements, Evidence(case.sums))
    names = [(segment, f.name) for segment, features in case.reference.by_segment.items() for f in features]
    assert [(r.judgement, r.segment, r.feature) for r in results] == [
        (j, *name) for j in case.judgements for name in names
    ]
    thresholds = {"amount": 0.9}
    for index in range(3):
        alone = []
        for segment, name in names:
            (feature,) = (f for f in case.reference.by_segment[segment] if f.name == name)
            current = case.sums[index, CURRENT].get((segment, name), Histogram.empty(feature.histogram.buckets))
            pair = compared(
                feature.histogram, current, feature.coarse, restless=feature.restless, clumping=Clumping(1 / 60, 1 / 7)
            )
            alone.append(pair.verdict(case.config.rule(thresholds.get(name), feature.n_bins)))
        for result, verdict in zip(results[6 * index :], settle(alone, case.config.alpha), strict=False):
            assert (result.verdict.status, result.verdict.reason) == (verdict.status, verdict.reason)
            assert (result.verdict.p_adjusted is None) == (verdict.p_adjusted is None)
            assert (result.verdict.p_adjusted or 0) == pytest.approx(verdict.p_adjusted or 0, rel=1e-9)
            assert result.verdict.contributions == verdict.contributions
            assert result.verdict.threshold == verdict.threshold
            assert result.verdict.n_effective == verdict.n_effective
    statuses = [[r.verdict.status for r in results[6 * i : 6 * i + 6]] for i in range(3)]
    assert statuses[0] == ["ok"] * 6
    assert statuses[1] == ["ok", "drift", "drift"] * 2
    assert statuses[2] == ["ok", "not_evaluated", "ok", *["not_evaluated"] * 3]


def test_brief_verdicts_are_the_full_ones_without_their_evidence(case: Case) -> None:
    """Status, score and corrected p-value are the same, whatever else is asked for."""
    full, brief = (
        judge_windows(case.config, case.judgements, Evidence(case.sums), is_brief=flag) for flag in (False, True)
    )
    decisive = (
        "status",
        "reason",
        "metric",
        "threshold",
        "p_value",
        "p_adjusted",
        "drift_score",
        "n_baseline",
        "n_current",
    )
    for ours, theirs in zip(brief, full, strict=True):
        assert [getattr(ours.verdict, name) for name in decisive] == [
            getattr(theirs.verdict, name) for name in decisive
        ]
        assert ours.verdict.divergences.js_distance is None
        assert (theirs.verdict.divergences.js_distance is None) == (theirs.verdict.status == "not_evaluated")


def test_the_judging_benchmark_runs() -> None:
    """On a few features the columns have drift and health, and tests judged again one by one are the same."""
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "judging.py"),
        "--features",
        "21",
        "--segments",
        "3",
        "--windows",
        "4",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode in (0, 1), found.stderr  # 1: a target missed
    tests, drifted = (int(number.replace(",", "")) for number in found.stdout.splitlines()[3].split()[:2])
    assert tests == 21 * 3 * 4
    assert 0 < drifted < tests / 4
    assert "judged again one by one: 2,000 tests, 0 differ" in found.stdout
