"""A report for other programs and for tickets: JSON, CSV and Markdown. The numbers are those that were stored, unrounded."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields

from bq_monitor.report.page import ALL, FeatureVerdict, Page, worst_status
from bq_monitor.report.sentence import moment, told

MAX_ROWS = 100
"""Lines of a table in Markdown; a line below counts the others."""
_LEFT_OUT = ("metrics", "contributions", "timeline")
_MARKS = {"drift": "▲ drift", "ok": "✓ ok", "not_evaluated": "○ not evaluated", "excluded": "left out"}
_SPECIAL = re.compile(r"[\\`*_\[\]|~$]|^[-+=>#]|^\d+(?=[.)](?:\s|$))|(?<=www)\.|:(?=//)")


def json_text(page: Page) -> str:
    """The report as JSON, named as in `docs/report.md`; what is not known is null."""
    return json.dumps(page.to_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def csv_text(page: Page) -> str:
    """A line a feature, segment and baseline, with every metric. Texts are as they were logged: a spreadsheet may take one for a formula."""
    names = [item.name for item in fields(FeatureVerdict) if item.name not in _LEFT_OUT]
    metrics = list(dict.fromkeys(name for item in page.features for name in item.metrics))
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["window_start", "window_end", *names, *metrics])
    for item in page.features:
        row = [page.window_start, page.window_end, *(getattr(item, name) for name in names)]
        writer.writerow([_cell(value) for value in (*row, *(item.metrics.get(name) for name in metrics))])
    return made.getvalue()


def markdown_text(page: Page) -> str:
    """The verdict and the tables, for a pull request or a ticket; names cannot become markup, mentions or further cells."""
    parts = [f"## {_text(page.name)}: {_MARKS[page.status]}", f"**{_text(page.verdict)}**"]
    if page.window_end:
        parts.append(f"{moment(page.window_start)} to {moment(page.window_end)}, {_count(page.n_current)} rows")
    parts += ["\n".join(f"- {_text(finding)}" for finding in page.findings)] if page.findings else []
    parts += [_health(page), _features(page), _answers(page), _checks(page), _segments(page), _alerts(page)]
    parts += ["\n".join(f"- {_text(note)}" for note in page.notes), _made_from(page)]
    return "\n\n".join(part for part in parts if part) + "\n"


# --- CSV ---


def _cell(value: object) -> object:
    if isinstance(value, str) or value is None:
        return value
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


# --- Markdown ---


def _health(page: Page) -> str:
    lines = []
    for item in page.health:
        of = f" of {_text(item.model_version)}" if len(page.health) > 1 and item.model_version else ""
        parts = ", ".join(f"{part.part} {_number(part.score)}" for part in item.parts if part.score is not None)
        lines.append(f"Health{of}: **{_number(item.health)}** of 100 ({parts or 'no part could be evaluated'})")
    return "\n\n".join(lines)


def _features(page: Page) -> str:
    rows = [
        (
            _text(row.worst.feature), _MARKS[row.worst.status], _number(row.worst.drift_score), _number(row.worst.value),
            _count(row.worst.n_current), _text(told(row.worst)),
        )
        for row in page.rows
    ]  # fmt: skip
    metric = next((row.worst.metric for row in page.rows if row.worst.metric), None) or "value"
    return _table("Features", ("feature", "verdict", "drift score", metric, "rows", "what changed"), rows)


def _answers(page: Page) -> str:
    found = [
        item for item in page.performance if not item.is_concept and item.segment == ALL and item.value is not None
    ]
    found += [item for item in page.performance if item.status == "drift" and item not in found]
    rows = [
        (
            _text(item.metric), _text(item.segment), item.basis, _number(item.value), _between(item.lower, item.upper),
            _number(item.reference_value), _text(item.rule or ""), _MARKS[item.status] if item.rule or item.status == "drift" else "",
        )
        for item in found
    ]  # fmt: skip
    head = ("measure", "segment", "basis", "value", "surely between", page.reference, "limit", "verdict")
    return _table("Answers", head, rows)


def _checks(page: Page) -> str:
    rows = [
        (item.check, _text(item.feature or "all rows"), _number(item.value), _number(item.limit), _text(item.explanation or ""))
        for item in page.quality
        if item.status == "drift"
    ]  # fmt: skip
    return _table("Failed checks of the data", ("check", "feature", "found", "limit", "what is wrong"), rows)


def _segments(page: Page) -> str:
    rows = [
        (_text(segment), ", ".join(_text(item.feature) for item in found if item.status == "drift"))
        for segment, found in page.segments.items()
        if worst_status(found) == "drift"
    ]
    return _table("Segments that drifted", ("segment", "drifted"), rows)


def _alerts(page: Page) -> str:
    rows = [
        (
            item.severity or "not known",
            item.kind,
            _text(item.message),
            moment(item.since) if item.since else "",
            _text(item.status or ""),
        )
        for item in page.alerts
    ]
    return _table("Alerts", ("severity", "kind", "message", "since", "state"), rows)


def _made_from(page: Page) -> str:
    return "; ".join(f"{_text(what)} {_text(which)}" for what, which in page.made_from)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [f"### {title}", "", _line(head), _line("---" for _ in head), *map(_line, rows[:MAX_ROWS])]
    return "\n".join([*lines, *([f"\nand {len(rows) - MAX_ROWS} more"] if len(rows) > MAX_ROWS else [])])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """A text in which nothing is markup, in one line; after `@` and `#` stands a space of no width, so that nobody is called."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return re.sub(
        r"([@#])(?=\w)",
        "\\1\u200b",
        _SPECIAL.sub(lambda found: "\\" + found[0] if not found[0].isdigit() else found[0] + "\u200b", plain),
    )


def _between(lower: float | None, upper: float | None) -> str:
    return "" if lower is None and upper is None else f"{_number(lower)} to {_number(upper)}"


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


def _count(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"
