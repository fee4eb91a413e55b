"""Reports made by hand: what no warehouse of a test would hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import vl_convert

from bq_monitor.report import charts
from bq_monitor.report.page import Alert, Bucket, Check, FeatureVerdict, Health, HealthPart, Page, Point, Score

END = datetime(2026, 5, 4, tzinfo=UTC)
START = END - timedelta(days=7)
MARKUP = "<img src=x onerror=alert(1)>"
BREAKER = "</script><script>alert(1)</script>"
RIGHT_TO_LEFT = "مبلغ القرض \u202eabc"
EMOJI = "🏦💶 Kredit | * _x_ \"'` & @here #1"
LONG = "a_very_long_name_" * 7 + "x"
NAMES = (MARKUP, BREAKER, RIGHT_TO_LEFT, EMOJI, LONG, "", "null", "=1+1")


def page(**changes: Any) -> Page:
    """A calm page of one feature."""
    return replace(
        Page(
            "loans", "run", window_start=START, window_end=END, n_baseline=1000, n_current=500, features=(feature("x"),)
        ),
        **changes,
    )


def feature(name: str, status: Any = "ok", **changes: Any) -> FeatureVerdict:
    """A verdict with its evidence."""
    buckets = tuple(Bucket(f"[{i}, {i + 1})", 0.1, 0.1 + i / 1000, i / 100) for i in range(10))
    measured = FeatureVerdict(
        name, "feature", "numeric", status, model_version="1", drift_score=0.125, n_baseline=1000, n_current=500,
        metrics={"js_distance": 0.12345678901234567, "psi": 0.25, "null_share_current": 0.05, "ks_statistic": None},
        metric="js_distance", threshold=0.1, lower=0.05, upper=0.2, p_adjusted=0.5, alpha=0.01, contributions=buckets,
    )  # fmt: skip
    return replace(measured, **changes)


def score(metric: str, **changes: Any) -> Score:
    """A realised number of all rows with a limit that holds."""
    made = Score(
        metric, "realised", START, END, "1", value=0.8, lower=0.75, upper=0.85, reference_value=0.8, n_rows=500, n_labelled=500, n=500,
        rule="max_drop 0.05",
    )  # fmt: skip
    return replace(made, **changes)


def points(n: int, **changes: Any) -> tuple[Point, ...]:
    """So many windows, the newest last."""
    ends = [END - timedelta(days=7 * (n - 1 - i)) for i in range(n)]
    made = [
        Point(end - timedelta(days=7), end, "ok", None, "js_distance", 0.1, 0.1, 0.02, 0.05, 0.2, 0.1, 500)
        for end in ends
    ]
    return tuple(replace(point, **changes) for point in made)


def hostile_page(names: tuple[str, ...] = NAMES) -> Page:
    """Names that would like to be something else, wherever a name may stand; numbers that are hardly any; parts without anything."""
    features = [
        feature(
            name, "drift", explanation=f"{name}: moved", kind="categorical", timeline=points(3),
            contributions=tuple(Bucket(other, 0.5, 1e-300, 1e300) for other in names),
            metrics={"js_distance": 1e300, "psi": 1e-300}, drift_score=0.9,
        )
        for name in names
    ]  # fmt: skip
    nothing = FeatureVerdict("nothing known", "feature", None, "not_evaluated", MARKUP)
    empty = feature(
        "bare", contributions=(Bucket(None),), metrics={}, metric=None, drift_score=None, lower=None, upper=None
    )
    apart = [feature(name, "drift", segment=f"{name}={other}") for name in names[:2] for other in names[:4]]
    bins = tuple({"bin": name, "n": None, "share": None, "reference_share": 1e-300} for name in names)
    cells = tuple({"outcome": name, "predicted": name, "n": 1} for name in names)
    scores = [
        score("roc_auc", status="drift"), score("accuracy", confusion=cells, bins=bins), score("ece", bins=bins, value=None, lower=None),
        score(f"concept:{MARKUP}", status="drift", explanation=MARKUP, bins=bins), score("roc_auc", segment=MARKUP, reason=BREAKER),
        score("shift", explanation=MARKUP), score("tpr_ratio", segment=EMOJI, status="drift"),
    ]  # fmt: skip
    alerts = [
        Alert("drift", "critical", name, name, name, name, "open", name, START, END, 1, name, name, END)
        for name in names
    ]
    parts = (HealthPart("features", None, 30, MARKUP), HealthPart("quality", 1e300, 10, LONG))
    return page(
        name=MARKUP, features=(*features, nothing, empty, *apart), performance=tuple(scores),
        history=tuple(replace(item, window_end=END - timedelta(days=n)) for item in scores for n in range(2)),
        quality=tuple(Check("null_rate", name, "drift", name, 1e300, -1e300, 1e-300, None, name) for name in names),
        alerts=tuple(alerts), health=(Health(None, parts, MARKUP),), notes=names, made_from=tuple((name, name) for name in names),
        owner=MARKUP, runbook="https://wiki.test/?a=1&b=\"><script>alert(1)</script>",
    )  # fmt: skip


def large_page() -> Page:
    """200 features with names of 120 characters, 30 windows and a dozen segments each drifting feature."""
    statuses = ["drift", "ok", "ok", "not_evaluated"]
    names = [f"{i:03}_{LONG}"[:120] for i in range(200)]
    whole = [
        feature(
            name,
            statuses[i % 4],
            timeline=points(30),
            explanation=f"{name}: 79.4% of rows are now below 3, 21.3% in training",
        )
        for i, name in enumerate(names)
    ]
    apart = [feature(name, segment=f"region={i}") for name in names for i in range(6)]
    return page(features=(*whole, *apart))


@contextmanager
def drawn_once() -> Iterator[None]:
    """Charts of equal rows are drawn once: samples have many, and each takes a while."""

    def remembered(draw: Callable[..., Any], key: Callable[..., str]) -> Callable[..., Any]:
        known: dict[str, Any] = {}

        def once(*args: Any, **options: Any) -> Any:
            place = key(*args, **options)
            if place not in known:
                known[place] = draw(*args, **options)
            return known[place]

        return once

    with pytest.MonkeyPatch.context() as patch:
        for name in ("distribution", "metric_timeline"):
            patch.setattr(
                charts, name, remembered(getattr(charts, name), lambda *args, **options: repr((args, options)))
            )
        patch.setattr(
            vl_convert, "vegalite_to_svg", remembered(vl_convert.vegalite_to_svg, lambda spec, **_: repr(spec))
        )
        yield
