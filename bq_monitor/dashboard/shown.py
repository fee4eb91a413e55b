"""Values as text, and text as HTML: all that came from users is escaped here, and nothing is read as markup."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urlencode

from bq_monitor.report.palette import DARK, PALETTE

NOTHING = "\u2013"
MAX_ROWS = 200
MAX_SHORT = 28
_TAG = re.compile("<[^>]*>|&[a-z#0-9]+;")
Row = Mapping[str, Any]
_MARKS = {
    "drift": ("▲", "drift"), "ok": ("●", "good"), "not_evaluated": ("\u00d7", "muted"), "critical": ("▲", "critical"), "warning": ("◆", "warning"),
    "info": ("●", "info"), "open": ("○", "ink"), "acknowledged": ("◐", "muted"), "resolved": ("●", "good"),
}  # fmt: skip


class Html(str):
    """Text that is safe to show as HTML."""

    __slots__ = ()


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, what a row shows there, whether that is a number, and whether it goes where all rows lack it."""

    title: str
    cell: Callable[[Row], Any]
    is_number: bool = False
    is_optional: bool = False


def is_missing(value: Any) -> bool:
    """Whether there is nothing to show: NULL, NaN, NaT."""
    return value is None or (not isinstance(value, (str, list, tuple)) and value != value)  # noqa: PLR0124 - NaN, NaT


def text(value: Any) -> str:
    """Any value as a person reads it."""
    if is_missing(value) or value == "":
        return NOTHING
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)


def number(value: Any, digits: int = 4) -> str:
    """A number with so many digits that count; whole ones with marks between thousands."""
    if is_missing(value) or not math.isfinite(value):
        return NOTHING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.{digits}g}"


def share(value: Any) -> str:
    """0..1 in percent."""
    return NOTHING if is_missing(value) or not math.isfinite(value) else f"{value:.1%}"


def moment(value: Any) -> str:
    """A moment in UTC; midnight is the day."""
    if is_missing(value):
        return NOTHING
    return f"{value:%Y-%m-%d}" if (value.hour, value.minute, value.second) == (0, 0, 0) else f"{value:%Y-%m-%d %H:%M}"


def span(lower: Any, upper: Any) -> str:
    """An interval."""
    return NOTHING if is_missing(lower) and is_missing(upper) else f"{number(lower, 3)} to {number(upper, 3)}"


def plain(value: Any) -> Html:
    """A value as HTML, in its own direction of writing."""
    return value if isinstance(value, Html) else Html(f"<bdi>{escape(text(value))}</bdi>")


def badge(word: Any) -> Html:
    """A status or severity: its sign, its colour, and the word."""
    if is_missing(word):
        return Html(NOTHING)
    sign, colour = _MARKS.get(word, ("", "muted"))
    said = escape(str(word).replace("_", " "))
    coloured = f'<span aria-hidden="true" style="color:var(--bq-{colour})">{sign}</span> ' if sign else ""
    return Html(f'<span class="bq-badge">{coloured}{said}</span>')


def link(words: str, /, **query: str | None) -> Html:
    """A link to a place of this page."""
    given = {name: value for name, value in query.items() if value is not None}
    return Html(f'<a href="?{escape(urlencode(given), quote=True)}"><bdi>{escape(words or "(no name)")}</bdi></a>')


def heading(words: str, below: str = "") -> Html:
    """A heading, and what stands under it in small."""
    said = f'<p class="bq-note">{escape(below)}</p>' if below else ""
    return Html(f'<h3 class="bq-h">{escape(words)}</h3>{said}')


def note(words: Any, kind: str = "") -> Html:
    """A sentence; `kind` is fault, done or nothing."""
    role = ' role="alert"' if kind == "fault" else ' role="status"' if kind == "done" else ""
    lines = "<br>".join(escape(line) for line in str(words).splitlines())
    return Html(f'<p class="bq-note {escape(kind)}"{role}><bdi>{lines}</bdi></p>')


def cards(pairs: Iterable[tuple[str, Any]]) -> Html:
    """Names and values side by side."""
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{plain(value)}</dd></div>" for name, value in pairs)
    return Html(f'<dl class="bq-cards">{shown}</dl>')


def table(caption: str, columns: Sequence[Column], rows: Sequence[Row], limit: int = MAX_ROWS) -> Html:
    """A table that scrolls sideways where it must; says how many rows it leaves out."""
    cells = [[plain(column.cell(row)) for column in columns] for row in rows[:limit]]
    kept = [i for i, c in enumerate(columns) if not c.is_optional or any(line[i] != plain(None) for line in cells)]
    head = "".join(
        f'<th scope="col"{" class=bq-n" * columns[i].is_number}>{escape(columns[i].title)}</th>' for i in kept
    )
    lines = ("<tr>" + "".join(_cell(line[i], columns[i]) for i in kept) + "</tr>" for line in cells)
    more = len(rows) - limit
    left_out = f'<p class="bq-note">and {more:,} more</p>' if more > 0 else ""
    return Html(
        f'<div class="bq-scroll" tabindex="0" role="region" aria-label="{escape(caption, quote=True)}"><table class="bq-table">'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>{left_out}"
    )


def _cell(shown: Html, column: Column) -> str:
    """Short words stay on one line, long ones have room to break."""
    is_short = column.is_number or len(_TAG.sub("", shown)) <= MAX_SHORT
    kind = "bq-n" if column.is_number else "bq-s" if is_short else ""
    return f'<td class="{kind}">{shown}</td>'


def style(*, dark: bool) -> Html:
    """The look of all of it."""
    colours = DARK if dark else PALETTE
    named = "".join(f"--bq-{name}:{value};" for name, value in colours.items())
    return Html(f"<style>:root{{{named}--bq-good:{colours['estimated']}}}{_STYLE}</style>")


_STYLE = """
[data-testid="stMainBlockContainer"]{padding:2.6rem 1.6rem 3rem;max-width:86rem}
[data-testid="stSidebarUserContent"]{padding-top:.4rem}
[data-testid="stVerticalBlock"]{gap:.7rem}
.bq-h{font-size:1rem;font-weight:600;margin:.9rem 0 .2rem;padding:0;color:var(--bq-ink)}
.bq-title{font-size:1.3rem;font-weight:600;margin:0;padding:0;overflow-wrap:anywhere;color:var(--bq-ink)}
.bq-note{font-size:.82rem;color:var(--bq-muted);margin:.15rem 0;max-width:90ch;overflow-wrap:anywhere}
.bq-note.fault{color:var(--bq-ink);border-left:3px solid var(--bq-critical);padding:.3rem .7rem;background:var(--bq-heat-0)}
.bq-note.done{color:var(--bq-ink);border-left:3px solid var(--bq-good);padding:.3rem .7rem;background:var(--bq-heat-0)}
dl.bq-cards{padding:0;margin:.2rem 0!important;display:flex;flex-wrap:wrap;gap:.5rem}
.bq-cards>div{border:1px solid var(--bq-grid);border-radius:4px;padding:.35rem .6rem;flex:1 1 auto;min-width:6.4rem;max-width:12rem}
.bq-cards dt{font-size:.74rem;color:var(--bq-muted);font-weight:400;margin:0}
.bq-cards dd{font-size:1.05rem;margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.bq-scroll{overflow-x:auto;max-width:100%}
.bq-table{border-collapse:collapse;font-size:.82rem;line-height:1.35;width:100%;margin:0}
.bq-table caption{text-align:left;caption-side:top;font-size:.82rem;color:var(--bq-muted);padding:.5rem 0 .2rem}
.bq-table th,.bq-table td{padding:.22rem 1rem .22rem 0;border:0;border-bottom:1px solid var(--bq-grid);text-align:left;vertical-align:top;
 overflow-wrap:anywhere;min-width:15rem}
.bq-table th,.bq-table td.bq-s{white-space:nowrap;min-width:0}
.bq-table th{font-weight:500;color:var(--bq-muted);white-space:nowrap;overflow-wrap:normal}
.bq-table th.bq-n,.bq-table td.bq-n{min-width:0;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bq-badge{white-space:nowrap}
[role="radiogroup"] button p{color:var(--bq-ink)!important}
.bq-marks{white-space:pre;font-size:.78rem;color:var(--bq-ink);background:none;padding:0}
.stHtml a{color:var(--bq-production)}
a:focus-visible,.bq-scroll:focus-visible{outline:2px solid var(--bq-production);outline-offset:1px}
@media(max-width:640px){[data-testid="stMainBlockContainer"]{padding:4rem .8rem 3rem}}
"""
