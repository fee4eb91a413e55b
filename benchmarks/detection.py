"""False alarms and power of the verdict, by seeded simulation, beside the fixed thresholds that are in common use.

A run judges 20 features in one window, balanced preset (JS distance 0.1, alpha 0.01 a run) unless said otherwise, against a reference
of 100,000 rows. Windows of healthy rows are drawn anew for each run, and so is the reference.
Raw values are drawn for the last part only: `detection_rivals.py`.

    python benchmarks/detection.py [--trials N] [--seed N] [--only PART ...]

What is exact, and what is left out. The counts of a window are multinomial given the reference's buckets, so counts are drawn, not
rows. The quantiles of a continuous sample are drawn as order statistics of uniform numbers (ratios of gamma sums; any other continuous
feature is a monotone function of those), ties and labels as multinomial counts of their distinct values; edges, coarse buckets, pooling
and p-values are the package's own. A feature is not tested when its JS distance before pooling is below what two buckets would need for
an alarm: pooling never raises the distance (data processing inequality), more buckets never lower the p-value. One run of each row is
judged in full by `judge` and `settle` and must agree. Power is that of one feature among 20, by Holm's strictest step: its p-value times 20.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from detection_features import Features, Floats, Ints, Make, continuous, distinct, draw, labels, normal, with_share
from detection_report import N_FEATURES, Report, percent
from detection_rivals import rivals_own_verdicts
from numpy.typing import NDArray
from scipy import special, stats

from bq_monitor.measure.deciding import Tested
from bq_monitor.measure.divergence import EMPTY_BUCKET_ROWS, js_distance, ks_statistic, psi
from bq_monitor.measure.histogram import NULL, UNSEEN, Buckets, Histogram
from bq_monitor.measure.pooling import Layout, pool_each
from bq_monitor.measure.restlessness import INDEPENDENT, Clumping, DayEffects, Restlessness, clumping_of, restlessness
from bq_monitor.measure.significance import Law, chi2_test
from bq_monitor.measure.verdict import Rule, judge, settle

Flags = NDArray[np.bool_]

N_REFERENCE = 100_000
SIZES = (30, 100, 300, 1_000, 10_000, 100_000, 1_000_000)
BALANCED = Rule(threshold=0.1, alpha=0.01, min_rows=1)
PRESETS = {
    "conservative": Rule(threshold=0.2, alpha=0.001, min_rows=1),
    "balanced": BALANCED,
    "aggressive": Rule(threshold=0.05, alpha=0.05, min_rows=1),
}
RIVALS = ("PSI > 0.2", "JS > 0.1", "KS p < .05", "chi2 p < .05")


def alarms(features: Features, current: Ints, rule: Rule) -> Flags:
    """For each feature: is its p-value times 20 below alpha? A run alarms when any of its features does (Holm, first step)."""
    p, q = features.sides(current)
    suspects = _js(p, q) > critical_distance(rule, int(p[0].sum()), int(q[0].sum()))
    found = np.zeros(len(features), dtype=np.bool_)
    for row in np.flatnonzero(suspects):
        width = len(features.coarse[row].names)
        p_value = tested(features.buckets[row], p[row, :width], q[row, :width], rule)
        found[row] = p_value * N_FEATURES < rule.alpha
    return found


def tested(
    buckets: Buckets, p: Ints, q: Ints, rule: Rule, *,
    restless: Restlessness | None = None, clumping: Clumping = INDEPENDENT,
) -> float:  # fmt: skip
    """The p-value that `judge` gives to these coarse counts."""
    sides = [side[None].astype(np.float64) for side in (p, q)]
    pooled = pool_each(Layout.of(buckets, len(p)), *sides)
    days, sizes = DayEffects.of([restless], [clumping]), (sides[0].sum(axis=-1), sides[1].sum(axis=-1))
    found = Tested.of(pooled, days, [rule.metric], sizes).p_values(rule.metric, np.array([rule.threshold]))
    return float(found[0])


@cache
def critical_distance(rule: Rule, n: int, m: int, n_buckets: int = 2) -> float:
    """The largest JS distance that does not alarm, found by halving; by default of two buckets: with more, it is larger."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        p_value = Law("js_distance", n_buckets, n, m).p_value(middle, rule.threshold)
        low, high = (low, middle) if p_value * N_FEATURES < rule.alpha else (middle, high)
    return low - 1e-9


def check_run(features: Features, current: Ints, rule: Rule, found: Flags) -> None:
    """The first run, judged as the product does, has the same p-values and the same alarms."""
    verdicts, p_values = [], []
    p, q = features.sides(current)
    for row in range(min(N_FEATURES, len(features))):
        buckets, width = features.buckets[row], len(features.coarse[row].names)
        sides = (Histogram(buckets, counts[row, : len(buckets.codes)]) for counts in (features.counts, current))
        verdicts.append(judge(*sides, rule, n_singletons=int(features.singletons[row])))
        p_values.append(tested(buckets, p[row, :width], q[row, :width], rule))
    assert p_values == [verdict.p_value for verdict in verdicts]
    any_drift = any(verdict.status == "drift" for verdict in settle(verdicts, rule.alpha))
    assert any_drift == bool(found[:N_FEATURES].any())


def rivals(features: Features, current: Ints) -> list[Flags | None]:
    """The alarms of `RIVALS` on the same counts; None where a test has no meaning (KS of labels).

    KS is taken at the edges of the fine buckets: at most that of the raw values, which favours it.
    """
    p, q = features.sides(current)
    n, m = int(p[0].sum()), int(q[0].sum())
    used = (p + q) > 0
    pooled = (p + q) / (n + m)
    pearson = ((p / n - q / m) ** 2 / np.where(used, pooled, 1)).sum(axis=1) * n * m / (n + m)
    ordered = np.array([buckets.numeric for buckets in features.buckets])
    ks = (_ks(features, current) > stats.kstwo.isf(0.05, round(n * m / (n + m)))) & ordered
    _check_rivals(features, current, p, q)
    return [
        _psi(p, q) > 0.2, _js(p, q) > 0.1, ks if ordered.any() else None,
        special.chdtrc(np.maximum(1, used.sum(axis=1) - 1), pearson) < 0.05,
    ]  # fmt: skip


def _check_rivals(features: Features, current: Ints, p: Ints, q: Ints) -> None:
    """The vectorised statistics are those of the package."""
    assert np.isclose(_psi(p[:1], q[:1])[0], psi(p[0], q[0]) or 0)
    assert np.isclose(_js(p[:1], q[:1])[0], js_distance(p[0], q[0]) or 0, atol=1e-7)
    test = chi2_test(p[0], q[0])
    n, m = p[0].sum(), q[0].sum()
    mixed = (p[0] + q[0]) / (n + m)
    own = ((p[0] / n - q[0] / m) ** 2 / np.where(mixed > 0, mixed, 1)).sum() * n * m / (n + m)
    assert test is None or np.isclose(test[0], own)
    regular = slice(0, features.buckets[0].n_regular)
    assert np.isclose(_ks(features, current)[0], ks_statistic(features.counts[0][regular], current[0][regular]) or 0)


def _ks(features: Features, current: Ints) -> Floats:
    """KS statistic of each row's regular buckets."""
    n_regular = np.array([buckets.n_regular for buckets in features.buckets])
    regular = np.arange(current.shape[1]) < n_regular[:, None]
    a, b = (np.cumsum(side * regular, axis=1) for side in (features.counts, current))
    return np.abs(a / a[:, -1:] - b / b[:, -1:]).max(axis=1)


def _js(p: NDArray[np.generic], q: NDArray[np.generic]) -> Floats:
    """JS distance of each row, base 2."""
    a, b = (side / side.sum(axis=1, keepdims=True) for side in (p, q))
    middle = (a + b) / 2
    bits = (special.rel_entr(a, middle) + special.rel_entr(b, middle)).sum(axis=1) / 2 / np.log(2)
    return np.sqrt(np.maximum(bits, 0))


def _psi(p: Ints, q: Ints) -> Floats:
    """PSI of each row, by the package's rule for empty buckets."""
    floor = np.where(p + q > 0, EMPTY_BUCKET_ROWS, 0.0)
    a, b = (np.where(side > 0, side, floor) for side in (p, q))
    a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
    return ((b - a) * np.log(np.where(a > 0, b, 1) / np.where(a > 0, a, 1))).sum(axis=1)


def any_in_run(flags: Flags | None) -> str:
    return "-" if flags is None else percent(float(flags.reshape(-1, N_FEATURES).any(axis=1).mean()))


HEALTHY = continuous(lambda at: at)
ZIPF = tuple(1 / np.arange(1, 5001))
FAMILIES: dict[str, tuple[Make, int]] = {
    "numbers": (HEALTHY, N_REFERENCE),
    "numbers, 500 rows of reference": (HEALTHY, 500),
    "8 labels": (labels((30, 20, 15, 12, 10, 7, 4, 2)), N_REFERENCE),
    "8 labels, 500 rows of reference": (labels((30, 20, 15, 12, 10, 7, 4, 2)), 500),
    "5,000 labels (Zipf)": (labels(ZIPF), N_REFERENCE),
    "5,000 labels (Zipf), 500 rows of reference": (labels(ZIPF), 500),
    "70 % zeros and 14 other values": (
        distinct([0.7, *(0.3 * 0.5**i / (1 - 0.5**14) for i in range(1, 15))]), N_REFERENCE,
    ),
    "99 % in one bucket, numbers": (distinct([0.99, *[0.001] * 10]), N_REFERENCE),
    "99 % in one bucket, labels": (labels((990, 5, 3, 2)), N_REFERENCE),
}  # fmt: skip


def false_alarms(report: Report) -> None:
    """Nothing changed: the share of runs with any alarm."""
    report.title("No drift: runs of 20 features with any alarm", ["rows", "bq-monitor", *RIVALS])
    for number, (name, (make, n)) in enumerate(FAMILIES.items()):
        rng = report.rng(1, number)
        features = make(rng, report.trials * N_FEATURES, n)
        for size in SIZES:
            current = draw(rng, size, features.shares)
            found = alarms(features, current, BALANCED)
            check_run(features, current, BALANCED, found)
            share = found.reshape(-1, N_FEATURES).any(axis=1).mean()
            others = [any_in_run(flags) for flags in rivals(features, current)]
            report.line(name, [f"{size:,}", percent(share), *others], "at most 1 %", met=bool(share <= 0.01))


def raw_ks(report: Report) -> None:
    """KS as it is used, on raw values: scipy's `ks_2samp`; p-values are uniform without drift, so 1 - 0.95^20 = 64 % of runs alarm."""
    report.title("KS of raw values (scipy), no drift, 500 rows of reference", ["rows", RIVALS[2]])
    rng = report.rng(2)
    for size in (300, 1_000):
        runs = min(report.trials, 200)
        hits = 0
        for _ in range(runs):
            pairs = ((rng.random(500), rng.random(size)) for _ in range(N_FEATURES))
            hits += any(stats.ks_2samp(*pair, method="asymp").pvalue < 0.05 for pair in pairs)
        report.line("numbers, raw", [f"{size:,}", percent(hits / runs)])


def harmless(report: Report) -> None:
    """A true change of half the threshold, however sure, is no alarm."""
    report.title("Half the threshold (true JS distance 0.05): runs with any alarm", ["rows", "bq-monitor", *RIVALS])
    for number, (name, make) in enumerate({"numbers": HEALTHY, "8 labels": FAMILIES["8 labels"][0]}.items()):
        rng = report.rng(3, number)
        features = make(rng, report.trials * N_FEATURES, N_REFERENCE)
        moved = tilted(features, 0.05)
        for size in (1_000, 10_000, 1_000_000, 10_000_000):
            current = draw(rng, size, moved)
            found = alarms(features, current, BALANCED)
            check_run(features, current, BALANCED, found)
            share = found.reshape(-1, N_FEATURES).any(axis=1).mean()
            others = [any_in_run(flags) for flags in rivals(features, current)]
            report.line(name, [f"{size:,}", percent(share), *others], "at most 1 %", met=bool(share <= 0.01))


def tilted(features: Features, distance: float) -> Floats:
    """The true shares, tilted along the order of the coarse buckets until these differ by a JS distance; by halving."""
    truth = features.coarsened(features.shares)
    slope = np.array([coarse.groups for coarse in features.coarse], dtype=np.float64)  # one shape in these families
    low, high = np.zeros(len(features)), np.full(len(features), 2.0)
    for _ in range(50):
        middle = (low + high) / 2
        is_far = _js(truth, features.coarsened(_tilt(features.shares, slope, middle))) > distance
        low, high = np.where(is_far, low, middle), np.where(is_far, middle, high)
    return _tilt(features.shares, slope, low)


def _tilt(shares: Floats, slope: Floats, by: Floats) -> Floats:
    weights = shares * np.exp(by[:, None] * slope)
    return weights / weights.sum(axis=1, keepdims=True)


POWER: tuple[tuple[str, Make, int, float], ...] = (
    ("mean + 0.5 standard deviations", normal(0.5), 10_000, 0.99),
    ("variance x 2", normal(0, np.sqrt(2)), 10_000, 0.99),
    ("one new label, 5 % of the rows", with_share(labels((30, 20, 15, 12, 10, 7, 4, 2)), UNSEEN, 0.05), 10_000, 0.99),
    ("NULL from 1 % to 10 %, number", with_share(HEALTHY, NULL, 0.1, 0.01), 10_000, 0.99),
    ("NULL from 1 % to 10 %, 8 labels", with_share(labels((30, 20, 15, 12, 10, 7, 4, 2)), NULL, 0.1, 0.01), 10_000, 0.99),
    ("mean + 1 standard deviation", normal(1), 300, 0.95),
)  # fmt: skip


def power(report: Report) -> None:
    """One of 20 features changed: in how many windows it is found."""
    report.title("Power: windows in which the changed feature is found", ["rows", "bq-monitor", *RIVALS])
    for number, (name, make, size, target) in enumerate(POWER):
        rng = report.rng(4, number)
        features = make(rng, report.trials, N_REFERENCE)
        current = draw(rng, size, features.shares)
        share = float(alarms(features, current, BALANCED).mean())
        others = ["-" if flags is None else percent(float(flags.mean())) for flags in rivals(features, current)]
        report.line(name, [f"{size:,}", percent(share), *others], f"at least {target:.0%}", met=share >= target)


N_DAYS, N_WINDOW_DAYS, ROWS_PER_DAY = 90, 7, 5_000
DECILES = tuple(str(i) for i in range(10))


@dataclass(frozen=True)
class Restless:
    """Features whose days differ: the true shares of each day, shape `(features, days, buckets)`, healthy and changed."""

    name: str
    change: str
    buckets: Buckets
    days: Callable[[np.random.Generator, int, bool], Floats]


def dirichlet_days(
    base: Floats, changed: Floats, correlation: float
) -> Callable[[np.random.Generator, int, bool], Floats]:
    """Each day's shares are Dirichlet around the base, with this intra-class correlation."""
    weight = (1 - correlation) / correlation

    def days(rng: np.random.Generator, n: int, is_changed: bool) -> Floats:
        drawn = rng.gamma((changed if is_changed else base) * weight, size=(N_FEATURES, n, len(base)))
        return drawn / drawn.sum(axis=2, keepdims=True)

    return days


HOURS = np.arange(24)
TRAFFIC = 1 + 0.8 * np.sin((HOURS - 9) * np.pi / 12)  # least at three, most at fifteen


def hourly_days(rng: np.random.Generator, n: int, is_changed: bool) -> Floats:
    """Values follow the hour; how traffic spreads over the hours differs by day: in bursts by luck, and later at weekends.

    The features of a run share the traffic; each has its own hour of the peak. Deciles are those of the mean profile.
    """
    weekend = np.arange(n) % 7 >= 5
    profile = np.where(weekend[:, None], np.roll(TRAFFIC, 4), TRAFFIC)
    traffic = rng.gamma(profile * BURST_SHAPE, size=(n, 24)) + 1e-12
    traffic /= traffic.sum(axis=1, keepdims=True)
    return np.einsum("dh,fhk->fdk", traffic, _hours(OVERALL_SD if is_changed else 0.0))


BURST_SHAPE = 0.1
"""Most rows of a day in two or three hours, as batches are scored."""
AMPLITUDE = 2.0
"""Of the daily rhythm, in standard deviations within an hour."""
OVERALL_SD = float(np.sqrt(1 + AMPLITUDE**2 / 2))


@cache
def _hours(shift: float) -> Floats:
    """Shares of the deciles by feature and hour, shape `(features, 24, 10)`; of values that lie `shift` higher."""
    means = AMPLITUDE * np.cos((HOURS - 24 * np.arange(N_FEATURES)[:, None] / N_FEATURES) * np.pi / 12)
    profile = (5 * TRAFFIC + 2 * np.roll(TRAFFIC, 4)) / (7 * TRAFFIC.sum())
    points = np.linspace(-8, 8, 20_001)
    shares = []
    for hours in means:
        below = np.einsum("h,hx->x", profile, special.ndtr(points - hours[:, None]))
        edges = np.interp(np.arange(1, 10) / 10, below, points)
        at = special.ndtr(edges - hours[:, None] - shift)
        shares.append(np.diff(at, axis=1, prepend=0.0, append=1.0))
    return np.array(shares)


SHIFTED = np.diff(special.ndtr(special.ndtri(np.arange(1, 10) / 10) - 1), prepend=0.0, append=1.0)
RESTLESS = (
    Restless("deciles, Dirichlet days, correlation 0.05", "mean + 1 sd", Buckets("ordinal", labels=DECILES),
             dirichlet_days(np.full(10, 0.1), SHIFTED, 0.05)),
    Restless("a share of 30 %, beta days, correlation 0.1", "30 % to 70 %", Buckets("boolean", labels=("false", "true")),
             dirichlet_days(np.array([0.7, 0.3]), np.array([0.3, 0.7]), 0.1)),
    Restless("deciles, mix by hour, bursts of traffic", "mean + 1 sd", Buckets("ordinal", labels=DECILES), hourly_days),
)  # fmt: skip


def restless_days(report: Report) -> None:
    """Days differ though all is well: false alarms with and without the measured restlessness, and the power that is left."""
    columns = ["window", "naive", "bq-monitor", "found", "correlation", "directions"]
    report.title(f"Days that differ, {N_DAYS} days of reference, about {ROWS_PER_DAY:,} rows a day", columns)
    for number, case in enumerate(RESTLESS):
        found = [restless_run(case, report.rng(5, number, trial)) for trial in range(report.trials)]
        for at, n_days in enumerate((1, N_WINDOW_DAYS)):
            naive, aware, power = (float(np.mean([run[at][i] for run in found])) for i in range(3))
            measured = np.mean([run[2] for run in found], axis=0)
            cells = [
                f"{n_days} days",
                percent(naive),
                percent(aware),
                percent(power),
                f"{measured[0]:.3f}",
                f"{measured[1]:.1f}",
            ]
            report.line(case.name, cells, "naive over 30 %, ours at most 2 %", met=naive > 0.3 and aware <= 0.02)
    print("found: one feature changed (" + "; ".join(f"{case.name}: {case.change}" for case in RESTLESS) + ")")


def restless_run(case: Restless, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """One run: for each window `(naive alarms, aware alarms, changed feature found)`, then the mean of what was measured."""
    rows = np.rint(rng.lognormal(np.log(ROWS_PER_DAY), 0.2, N_DAYS + N_WINDOW_DAYS)).astype(np.int64)
    training = draw(rng, rows[:N_DAYS], case.days(rng, N_DAYS, False))
    healthy, changed = (draw(rng, rows[N_DAYS:], case.days(rng, N_WINDOW_DAYS, moved)) for moved in (False, True))
    measured = [restlessness(feature) for feature in training]
    baseline = Clumping(clumping_of(rows[:N_DAYS].tolist())).baseline
    found: list[tuple[float, ...]] = []
    for n_days in (1, N_WINDOW_DAYS):
        clumping = Clumping(baseline, clumping_of(rows[N_DAYS : N_DAYS + n_days].tolist()))
        p = np.pad(training.sum(axis=1), ((0, 0), (0, 3)))  # NULL, other, unseen: empty
        q, moved = (np.pad(side[:, :n_days].sum(axis=1), ((0, 0), (0, 3))) for side in (healthy, changed))
        limit = BALANCED.alpha / N_FEATURES
        naive = any(tested(case.buckets, *pair, BALANCED) < limit for pair in zip(p, q, strict=True))
        aware = any(
            tested(case.buckets, *pair, BALANCED, restless=known, clumping=clumping) < limit
            for *pair, known in zip(p, q, measured, strict=True)
        )
        one = int(rng.integers(N_FEATURES))
        is_found = tested(case.buckets, p[one], moved[one], BALANCED, restless=measured[one], clumping=clumping) < limit
        found.append((naive, aware, is_found))
    known = [item for item in measured if item]
    return [*found, (np.mean([item.correlation for item in known]), np.mean([item.directions for item in known]))]


def presets(report: Report) -> None:
    """What each preset finds in 95 % of the windows, and its false alarms."""
    sizes = (1_000, 10_000, 100_000)
    report.title("Presets: smallest change found in 95 % of windows", [f"{size:,} rows" for size in sizes])
    for name, rule in PRESETS.items():
        means = [smallest(report, rule, size, _mean_shift_power, 3.0) for size in sizes]
        shares = [smallest(report, rule, size, _share_power, 0.5) for size in sizes]
        report.line(f"{name}: mean shift (standard deviations)", [f"{found:.2f}" for found in means])
        report.line(f"{name}: a share of 50 % (points)", [f"{100 * found:.1f}" for found in shares])
        quiet = [_quiet(report, rule, size) for size in sizes]
        target = f"at most {rule.alpha:.1%}"
        report.line(
            f"{name}: runs with a false alarm", [percent(x) for x in quiet], target, met=max(quiet) <= rule.alpha
        )


def _quiet(report: Report, rule: Rule, size: int) -> float:
    rng = report.rng(6, size)
    features = HEALTHY(rng, report.trials * N_FEATURES, N_REFERENCE)
    found = alarms(features, draw(rng, size, features.shares), rule)
    return float(found.reshape(-1, N_FEATURES).any(axis=1).mean())


def smallest(
    report: Report, rule: Rule, size: int, found: Callable[[np.random.Generator, int, Rule, int, float], float], most: float
) -> float:  # fmt: skip
    """The smallest effect that is found in 95 % of windows, by halving; the same draws at each step."""
    low, high = 0.0, most
    for _ in range(11):
        middle = (low + high) / 2
        share = found(report.rng(7, size), report.trials, rule, size, middle)
        low, high = (low, middle) if share >= 0.95 else (middle, high)
    return high


def _mean_shift_power(rng: np.random.Generator, trials: int, rule: Rule, size: int, shift: float) -> float:
    """All ten deciles hold rows at these sizes, so one critical distance serves all windows."""
    features = normal(shift)(rng, trials, N_REFERENCE)
    p, q = features.sides(draw(rng, size, features.shares))
    n_used = ((p + q) > 0).sum(axis=1)
    critical = np.array([critical_distance(rule, N_REFERENCE, size, int(k)) for k in n_used])
    return float((_js(p, q) > critical).mean())


def _share_power(rng: np.random.Generator, trials: int, rule: Rule, size: int, points: float) -> float:
    p = rng.binomial(N_REFERENCE, 0.5, trials)
    q = rng.binomial(size, 0.5 + points, trials)
    found = _js(np.column_stack([p, N_REFERENCE - p]), np.column_stack([q, size - q]))
    return float((found > critical_distance(rule, N_REFERENCE, size)).mean())


PARTS: tuple[Callable[[Report], None], ...] = (
    false_alarms, raw_ks, harmless, power, restless_days, presets, rivals_own_verdicts,
)  # fmt: skip


def main() -> None:
    parts = {part.__name__.replace("_", "-"): part for part in PARTS}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=1_000, help="runs of each line (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), metavar="PART", help=", ".join(parts))
    options = parser.parse_args()
    report = Report(options.trials, options.seed)
    before = time.perf_counter()
    print(f"{options.trials:,} runs of {N_FEATURES} features a line, seed {options.seed}")
    for name in options.only:
        started = time.perf_counter()
        parts[name](report)
        print(f"({time.perf_counter() - started:.0f} s)")
    print(f"\n{report.missed} targets missed; {time.perf_counter() - before:.0f} s")
    sys.exit(1 if report.missed else 0)


if __name__ == "__main__":
    main()
