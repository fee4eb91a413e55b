"""A report as one HTML file that needs nothing else: no request, own style and script, which its policy names by their hash."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from bq_monitor.errors import InputError
from bq_monitor.report.page import ALL, Check, FeatureRow, FeatureVerdict, Page, Score, names_of, worst_status
from bq_monitor.report.palette import PALETTE
from bq_monitor.report.sentence import moment, told
from bq_monitor.warehouse.schema import DRIFT_RESULTS

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_CARDS = 4
"""Features that are shown at the top."""
MAX_PICTURES = 32
"""Features, worst first, whose distribution is drawn; the buckets of all stand in tables with bars."""
MAX_TIMELINES = 12
"""Features, worst first, whose last windows are drawn; of all the newest stand in a table."""
MAX_MEASURES = 4
"""Measures of the answers that are drawn over time."""
MAX_CONCEPTS = 6
"""Features by which outcomes moved that are drawn."""
MAX_POINTS, FEW_POINTS = 8, 3
"""Newest windows in the table of a feature whose distribution is drawn, and of another."""
MAX_OTHERS, FEW_OTHERS = 24, 8
"""Verdicts by segment and baseline, likewise."""
_MAIN = ("roc_auc", "accuracy", "f1", "log_loss", "mae", "rmse", "r2", "calibration_gap", "outcome_rate")
_TEMPLATES = Path(__file__).parent / "templates"
_EXPONENT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNKNOWN = Markup(
    '<span class="none" title="not known"><span aria-hidden="true">—</span><span class="sr">not known</span></span>'
)


def render_html(page: Page, *, made_at: datetime | None = None) -> str:
    """The report as HTML; raises `InputError` where altair or vl-convert, which draw the charts, are not installed."""
    require_charts("report")
    style, script = _style(), _text("report.js")
    text = _environment().get_template("report.html.jinja").render(
        page=page, pictures=_Pictures(page), style=Markup(style), script=Markup(script), policy=_policy(style, script),  # noqa: S704 - our own files
        made_at=made_at or datetime.now(UTC), counts=_counts(page), glossary=_glossary(page),
    )  # fmt: skip
    return text.encode("utf-8", "replace").decode("utf-8")


def require_charts(place: str) -> None:
    """Raises `InputError`, which says what to install, where charts cannot be drawn."""
    try:
        import altair  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"{place}: {error.name} is not installed; charts are drawn with it. Run: pip install 'bq-monitor[report]'"
        ) from None


# --- the file ---


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "number": number,
        "share": share,
        "count": count,
        "moment": moment,
        "drawn": drawn,
        "named": named,
        "dated": dated,
        "told": told,
    }
    made.globals |= {
        "points": lambda place: MAX_POINTS if place < MAX_PICTURES else FEW_POINTS,
        "others_of": lambda place: MAX_OTHERS if place < MAX_PICTURES else FEW_OTHERS,
        "ALL": ALL,
    }
    return made


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _style() -> str:
    from bq_monitor.report.charts.svg import css_variables

    paper = "".join(f"--c-{name}:{value};" for name, value in PALETTE.items())
    return f"{css_variables()}{_text('report.css')}@media print{{:root:root:root{{{paper}}}}}\n"


def _policy(style: str, script: str) -> str:
    """The page's own style and script and nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# --- numbers as text ---


def number(value: float | None) -> Markup:
    """A number to three digits that carries its exact value; `—` where it is not known."""
    return _UNKNOWN if value is None else _data(value, _rounded(value))


def share(value: float | None) -> Markup:
    """A share as percent, likewise; one that is no share as a number."""
    if value is None:
        return _UNKNOWN
    is_share = value == 0 or 1e-4 <= abs(value) <= 10
    return _data(value, f"{value:.1%}" if is_share else _rounded(value))


def count(value: float | None) -> Markup:
    """A count with its thousands apart, likewise."""
    return _UNKNOWN if value is None else _data(value, f"{value:,}" if isinstance(value, int) else _rounded(value))


def drawn(value: float | None, most: float = 1.0) -> str:
    """The length of a bar: what is not known, below nothing or beyond the whole has the nearest length that a bar can have."""
    return f"{min(max(value or 0.0, 0.0), most):.4g}"


def named(name: str) -> str:
    """A name of our own in words: `not_evaluated` is `not evaluated`."""
    return _NAMES.get(name, name.replace("_", " "))


def dated(text: str) -> Markup:
    """A sentence whose dates are not broken over lines."""
    return Markup(_DATE.sub(r'<span class="nowrap">\g<0></span>', str(escape(text))))  # noqa: S704 - escaped before


_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_NAMES = {
    "js_distance": "JS distance", "psi": "PSI", "js_divergence": "JS divergence", "kl_divergence": "KL divergence",
    "kl_divergence_reverse": "KL divergence, reverse", "ks_statistic": "KS statistic", "ks_bound": "KS bound", "ks_p_value": "KS p-value",
    "chi2_statistic": "chi-square", "chi2_p_value": "chi-square p-value", "l_infinity": "largest difference", "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC", "f1": "F1", "ece": "ECE", "mae": "MAE", "rmse": "RMSE", "r2": "R²", "mape": "MAPE", "null_share_baseline": "NULL, before",
    "null_share_current": "NULL, now", "unseen_share": "unseen", "hellinger": "Hellinger distance",
    "wasserstein": "Wasserstein distance", "null_rate": "NULL", "nan_rate": "NaN",
}  # fmt: skip


def _data(value: float, text: str) -> Markup:
    return Markup('<data value="{}">{}</data>').format(repr(value), text)


def _rounded(value: float) -> str:
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa} \N{MULTIPLICATION SIGN} 10{str(int(exponent)).translate(_EXPONENT)}"


# --- pictures ---


class _Pictures:
    """The charts of a page; each is drawn when the template asks for it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._rows = page.rows
        self.cards = [row.worst for row in self._rows if row.worst.status == "drift"][:MAX_CARDS]
        self._drawn: dict[int, Markup] = {}

    @property
    def rows(self) -> Sequence[FeatureRow]:
        return self._rows

    def distribution(self, item: FeatureVerdict, place: int = 0) -> Markup | None:
        """Of a feature that is among the worst."""
        if place >= MAX_PICTURES or not item.contributions:
            return None
        if id(item) not in self._drawn:
            from bq_monitor.report.charts import distribution

            chart = distribution(
                [asdict(bucket) for bucket in item.contributions],
                kind=item.kind or "categorical",
                baseline=item.baseline,
            )
            self._drawn[id(item)] = _svg(chart, f"Distribution of {item.feature}: {item.baseline} beside production")
        return self._drawn[id(item)]

    def timeline(self, item: FeatureVerdict, place: int) -> Markup | None:
        """The deciding metric over the last windows, of a feature that is among the worst."""
        if place >= MAX_TIMELINES or len(item.timeline) < 2:
            return None
        from bq_monitor.report.charts import metric_timeline

        told = {"segment": item.segment, "baseline": item.baseline, "model_version": item.model_version}
        chart = metric_timeline([asdict(point) | told for point in item.timeline])
        return _svg(
            chart, f"{named(item.metric or 'divergence')} of {item.feature} over the last {len(item.timeline)} windows"
        )

    @property
    def heat(self) -> Markup | None:
        """All features by window."""
        rows = [
            asdict(point) | {"feature": row.worst.feature, "explanation": None}
            for row in self._rows
            for point in row.worst.timeline
        ]
        if len({row["window_end"] for row in rows}) < 2 or len(self._page.versions) > 1:
            return None
        from bq_monitor.report.charts import heat_map

        return _svg(heat_map(rows), "Drift score of every feature over the last windows")

    @property
    def over_time(self) -> list[tuple[str, Markup]]:
        """The main measures of the answers over the last windows."""
        from bq_monitor.report.charts import performance_timeline

        found = {name: [item for item in self._page.history if item.metric == name] for name in _measures(self._page)}
        return [
            (name, _svg(performance_timeline([asdict(item) for item in rows]), f"{named(name)} over the last windows"))
            for name, rows in found.items()
            if len({item.window_end for item in rows}) > 1
        ]  # fmt: skip

    def of_answers(self) -> list[tuple[str, Markup, Score]]:
        """Calibration, confidence and confusion of all rows: what each shows, its picture, and the score with its rows."""
        from bq_monitor.report import charts

        whole = [item for item in self._page.performance if item.segment == ALL and item.basis == "realised"]
        found = [
            ("What came true, by score", charts.calibration, item, item.bins) for item in whole if item.metric == "ece" and item.bins
        ] + [
            ("What was right, by confidence", charts.confidence, item, item.bins) for item in whole if item.metric == "accuracy" and item.bins
        ] + [
            ("What came true, by answer", charts.confusion, item, item.confusion) for item in whole if item.metric == "accuracy" and item.confusion
        ]  # fmt: skip
        return [(title, _svg(draw(list(rows)), title), item) for title, draw, item, rows in found]

    @property
    def concepts(self) -> list[tuple[Score, Markup]]:
        """The features given which outcomes moved, most first."""
        from bq_monitor.report.charts import concept

        return [
            (item, _svg(concept(list(item.bins)), f"Outcomes by bucket of {item.metric.removeprefix('concept:')}"))
            for item in concept_scores(self._page)
            if item.status == "drift" and item.bins
        ][:MAX_CONCEPTS]

    @property
    def alerts(self) -> Markup | None:
        rows = [asdict(replace(item, note=None)) | {"monitor": self._page.name} for item in self._page.alerts]
        if len(rows) < 2 or any(row["since"] is None or row["window_end"] is None for row in rows):
            return None
        from bq_monitor.report.charts import alert_timeline

        return _svg(alert_timeline(rows), "Since when each alert stands")


def _svg(chart: Any, label: str) -> Markup:
    from bq_monitor.report.charts.svg import inline_svg

    return Markup(inline_svg(chart, label))  # noqa: S704 - written by an XML library


def _measures(page: Page) -> list[str]:
    """The measures worth a picture: those with a limit, then the usual ones."""
    known = {
        item.metric for item in page.history if item.value is not None and not item.is_fairness and not item.is_concept
    }
    limited = [item.metric for item in page.history if item.rule and item.metric in known]
    return list(dict.fromkeys((*limited, *(name for name in _MAIN if name in known))))[:MAX_MEASURES]


# --- what the template counts and lists ---


def concept_scores(page: Page) -> list[Score]:
    """What the outcome does given each feature: moved ones first, the farthest first."""
    found = [item for item in page.performance if item.metric.startswith("concept:") and item.segment == ALL]
    return sorted(found, key=lambda item: (item.status != "drift", -(item.value or 0.0), item.metric))


def _counts(page: Page) -> dict[str, Any]:
    """What the sections are made of."""
    rows = page.rows
    statuses = [row.worst.status for row in rows]
    scores = [item for item in page.performance if not item.is_concept and not item.is_fairness]
    broken = [check for check in page.quality if check.status == "drift"]
    return {
        "statuses": {status: statuses.count(status) for status in ("drift", "ok", "not_evaluated", "excluded")},
        "has_versions": len(page.versions) > 1,
        "whole": _by_limit(item for item in scores if item.segment == ALL),
        "apart": _by_segment(item for item in scores if item.segment != ALL),
        "concepts": concept_scores(page),
        "shift": next((item for item in page.performance if item.metric == "shift" and item.segment == ALL and item.explanation), None),
        "fairness": [item for item in page.performance if item.is_fairness],
        "checks": _checks(page.quality, broken),
        "segments": [
            (segment, worst_status(found), names_of(found, "drift"), max((item.n_current or 0 for item in found), default=0))
            for segment, found in page.segments.items()
        ],
    }  # fmt: skip


def _by_limit(scores: Iterable[Score]) -> list[Score]:
    """Those that broke a limit first, then those with one, then the others as they came."""
    return sorted(scores, key=lambda item: (item.status != "drift", item.rule is None, item.value is None))


def _by_segment(scores: Iterable[Score]) -> tuple[list[str], dict[tuple[str, str], dict[str, Score]]]:
    """The measures that are known of segments, and the scores of each segment and basis by measure: those with a limit, or the main."""
    found: dict[tuple[str, str], dict[str, Score]] = {}
    for item in scores:
        if item.rule or item.metric in _MAIN or item.status == "drift":
            found.setdefault((item.segment, item.basis), {})[item.metric] = item
    measures = list(
        dict.fromkeys(name for known in found.values() for name, item in known.items() if item.value is not None)
    )
    shown = {key: known for key, known in found.items() if any(item.value is not None for item in known.values())}
    return measures[:6], shown


def _checks(quality: Sequence[Check], broken: Sequence[Check]) -> Mapping[str, Sequence[Check]]:
    unknown = [check for check in quality if check.status == "not_evaluated"]
    return {
        "broken": broken,
        "unknown": unknown,
        "passed": [c for c in quality if c.status not in ("drift", "not_evaluated")],
    }


def _glossary(page: Page) -> list[tuple[str, str]]:
    """What the numbers of features mean: those that are known of any."""
    known = {name for item in page.features for name, value in item.metrics.items() if value is not None}
    found = [(named(column.name), column.description) for column in DRIFT_RESULTS.columns if column.name in known]
    return [("drift score", _DRIFT_SCORE), ("true value between", _TRUE), *found] if page.features else []


_TRUE = (
    "Where the deciding metric of the whole population surely lies. Noise adds to whatever is measured and is taken off here, "
    "so that a measured value may lie above these bounds."
)
_DRIFT_SCORE = next(column.description for column in DRIFT_RESULTS.columns if column.name == "drift_score")
