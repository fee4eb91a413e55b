"""What users wrote is shown as it is and never read as markup; numbers at their ends stay readable."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from html import unescape

import pandas as pd
import pytest

from bq_monitor.dashboard.choices import usual_range
from bq_monitor.dashboard.shown import (
    Column,
    badge,
    cards,
    heading,
    link,
    moment,
    note,
    number,
    plain,
    share,
    table,
    text,
)
from tests.dashboard.lab import HOSTILE

_OURS = re.compile(r"</?(bdi|a|p|h3|br|dl|dt|dd|div|span|table|caption|thead|tbody|tr|th|td)\b[^<>]*>")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_wherever_they_stand(name: str) -> None:
    """No tag but ours, and unescaped the name itself."""
    shown = [
        plain(name), badge(name), link(name, feature=name), heading(name, name), note(name, "fault"), cards([(name, name)]),
        table(name, [Column(name, lambda row: row["a"])], [{"a": name}]),
    ]  # fmt: skip
    for html in shown:
        left = _OURS.sub("", html)
        assert "<" not in left
        assert name in unescape(left).replace("not_", "not ") or name.replace("_", " ") in unescape(left)


def test_a_link_carries_its_place() -> None:
    """Each value as it was, whatever signs it has."""
    html = link("x", feature='a&b="<c>', window=None)
    assert html == '<a href="?feature=a%26b%3D%22%3Cc%3E"><bdi>x</bdi></a>'


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "\u2013"), (math.nan, "\u2013"), (math.inf, "\u2013"), (1e300, "1e+300"), (-1e-300, "-1e-300"), (0.0, "0"), (12345678.0, "12,345,678"),
     (0.123456, "0.1235"), (1234567.5, "1,234,568"), (89, "89")],
)  # fmt: skip
def test_numbers_are_short(value: float | None, shown: str) -> None:
    """Four digits that count; nothing for what is none."""
    assert number(value) == shown


def test_other_values() -> None:
    """Moments by day where they are days; shares in percent; what is missing is a dash."""
    assert moment(pd.NaT) == moment(None) == share(None) == text("") == text(None) == "\u2013"
    assert moment(datetime(2026, 1, 5, tzinfo=UTC)) == "2026-01-05"
    assert moment(datetime(2026, 1, 5, 7, 30, tzinfo=UTC)) == "2026-01-05 07:30"
    assert share(0.1234) == "12.3%"


def test_a_table_counts_what_it_leaves_out_and_drops_what_is_empty() -> None:
    """A column that nobody fills goes where it may."""
    columns = [
        Column("a", lambda row: row["a"]),
        Column("b", lambda _: None, is_optional=True),
        Column("c", lambda _: None),
    ]
    html = table("t", columns, [{"a": i} for i in range(5)], limit=2)
    assert re.findall(r"<th[^>]*>(\w)", html) == ["a", "c"]
    assert html.count("<tr>") == 3
    assert "and 3 more" in html


@pytest.mark.parametrize(
    ("every_days", "n", "chosen"), [(1, 365, "30d"), (7, 100, "365d"), (30, 60, "all"), (1, 1, "30d"), (3, 50, "90d")]
)
def test_the_usual_range_holds_enough_windows(every_days: int, n: int, chosen: str) -> None:
    """The shortest one that does."""
    last = pd.Timestamp("2026-01-05", tz="UTC")
    first = last - pd.Timedelta(days=every_days * (n - 1))
    assert usual_range(pd.DataFrame({"first_end": [first], "last_end": [last], "n_windows": [n]})) == chosen
