"""The HTML of a report as text: one file that asks for nothing, small, and the same each time."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from bq_monitor.report.html import number, render_html, share
from bq_monitor.report.page import Page
from tests.report.samples import END, MARKUP, drawn_once, feature, hostile_page, large_page, page, score

MADE_AT = datetime(2026, 5, 5, tzinfo=UTC)
MAX_BYTES = 3_000_000


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._in = tag

    def handle_data(self, data: str) -> None:
        if self._in in ("style", "script"):
            self.texts[self._in] = self.texts.get(self._in, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


@pytest.fixture(scope="module")
def hostile() -> Elements:
    with drawn_once():
        return Elements(render_html(hostile_page(), made_at=MADE_AT))


def test_the_policy_allows_the_own_style_and_script_alone(hostile: Elements) -> None:
    """Nothing by default; style and script by the hashes of what stands there; no attribute brings either."""
    (policy,) = [
        attrs["content"] or "" for tag, attrs in hostile.found if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(hostile.texts[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert sum(tag == "script" for tag, _ in hostile.found) == 1
    assert not [attrs for _, attrs in hostile.found for name in attrs if name.startswith("on") or name == "style"]


def test_nothing_is_asked_for(hostile: Elements) -> None:
    """No element refers to anything outside the file; links lead within the page, or to the runbook."""
    assert not {tag for tag, _ in hostile.found} & {
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "audio",
        "video",
        "base",
        "form",
        "use",
        "image",
    }
    assert not [attrs for _, attrs in hostile.found if {"src", "srcset", "xlink:href"} & attrs.keys()]
    outside = [
        attrs["href"] for tag, attrs in hostile.found if tag == "a" and not (attrs["href"] or "").startswith("#")
    ]
    assert outside == [hostile_page().runbook]
    assert "@import" not in hostile.texts["style"]
    assert "url(" not in hostile.texts["style"]


def test_no_text_of_a_user_is_in_style_or_script(hostile: Elements) -> None:
    """Style and script are the same whatever the report is about."""
    assert hostile.texts == Elements(render_html(page(features=()), made_at=MADE_AT)).texts


def test_200_features_with_long_names_stay_below_three_megabytes() -> None:
    """Every feature is there, with its buckets; the file can be sent by mail."""
    with drawn_once():
        text = render_html(large_page(), made_at=MADE_AT)
    assert text.count('<tbody class="feature"') == 200
    assert text.count(">Buckets: share of rows<") == 200
    assert len(text.encode()) < MAX_BYTES


@pytest.mark.parametrize(
    "bare",
    [
        Page("loans", "run"), Page("a against b", "comparison"), page(features=(feature("x", "not_evaluated", metrics={}, contributions=()),)),
        page(performance=(score("roc_auc", value=None, lower=None, upper=None, reference_value=None, rule=None, n=None),)),
    ],
)  # fmt: skip
def test_missing_parts_are_left_out(bare: Page) -> None:
    """Whatever lacks, there is a page with the verdict, and NaN or None nowhere."""
    text = render_html(bare, made_at=MADE_AT)
    body = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    assert bare.verdict in body
    assert not re.search(r">\s*(nan|NaN|None|NaT)\s*<", body)


def test_it_is_the_same_each_time() -> None:
    """The same report at the same moment gives the same bytes."""
    told = page(features=(feature("x", "drift"),))
    assert render_html(told, made_at=MADE_AT) == render_html(told, made_at=MADE_AT)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "not known"), (0.0, ">0<"), (0.123456789, ">0.123<"), (1234.5, ">1,234<"), (1e300, ">1.00 × 10³⁰⁰<"), (1e-300, ">1.00 × 10⁻³⁰⁰<"),  # noqa: RUF001
        (-2.5e-7, ">-2.50 × 10⁻⁷<"),  # noqa: RUF001
    ],
)  # fmt: skip
def test_numbers_are_readable_and_exact(value: float | None, shown: str) -> None:
    """Three digits for the eye, all of them in the attribute; what is not known is said in words."""
    text = str(number(value))
    assert shown in text
    assert value is None or f'value="{value!r}"' in text


def test_shares_are_percent_where_they_are_shares() -> None:
    """A share in percent; what is too small or no share at all as a number."""
    assert ">5.1%<" in share(0.0512)
    assert "10⁻³⁰⁰" in share(1e-300)
    assert "10³⁰⁰" in share(1e300)


def test_lone_surrogates_do_not_break_the_file() -> None:
    """A name that is no Unicode text still gives a file."""
    render_html(page(features=(feature("bad \ud800 name"),), notes=(MARKUP, f"{END}"))).encode()
