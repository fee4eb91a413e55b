"""Monitors up to the sizes of docs/statements.md: Google's analyzer takes their statements, and none meets a limit of BigQuery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import statements as program
from bq_monitor.freeze import MAX_KNOWN_LABELS
from bq_monitor.listing import monitor_statements
from bq_monitor.scan import MAX_CODES_PER_STATEMENT, MAX_FEATURES_PER_STATEMENT
from bq_monitor.warehouse.bigquery import MAX_ROWS_BYTES
from bq_monitor.warehouse.setup import setup_statements
from tests.conftest import ROOT
from tests.googlesql.sizes import (
    NAME,
    OWN,
    Monitor,
    Names,
    Size,
    by_kind,
    named_in,
    request_bytes,
    tables,
    widest_request,
)
from tests.googlesql.test_listing import OUTCOMES, loans

if TYPE_CHECKING:
    from tests.googlesql.server import GoogleSQL

pytestmark = [pytest.mark.googlesql, pytest.mark.xdist_group("googlesql")]
PAGE = (ROOT / "docs" / "statements.md").read_text(encoding="utf-8")
SIZES = [
    Size(features=10), Size(features=10, kinds=("numeric",), bins=100), Size(features=10_000, segments=3),
    Size(features=40, segments=97, labels=10),
]  # fmt: skip


@pytest.fixture(scope="module")
def views(googlesql: GoogleSQL) -> dict[str, Mapping[str, str]]:
    """Our views with the types that Google finds for their columns."""
    known: dict[str, Mapping[str, str]] = {}
    for statement in setup_statements(Names()):
        kind, name = statement.name.split("/")
        if kind == "views":
            every = tables(Monitor(Size()), known)
            known[f"{OWN}.{name}"] = dict(googlesql.analyze(statement.sql, every).outputs)
    return known


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_statements_of_every_size_are_accepted_below_the_limits(
    googlesql: GoogleSQL, views: dict[str, Mapping[str, str]], size: Size
) -> None:
    """No text of 1 MB, no 10,000 parameters, no request of 10 MB; Google resolves the longest statement of each kind."""
    monitor = Monitor(size)
    known = tables(monitor, views)
    for kind, found in by_kind([*monitor.capture(), *program.run_statements(monitor, rows_bytes=1)]).items():
        assert max(len(item.sql) for item in found) < program.TEXT / 4, kind
        assert max(len(item.params) for item in found) <= program.PARAMETERS, kind
        longest = max(found, key=lambda item: (len(item.sql), len(item.params)))
        if longest.name.startswith("write/commit"):
            googlesql.parse(longest.sql)
            continue
        assert request_bytes(longest) < program.REQUEST, kind
        googlesql.resolve(longest.sql, named_in(longest.sql, known), longest.params)


def test_no_kind_of_statement_escapes() -> None:
    """The generated monitors send what the listing of a monitor with everything says, by name."""
    listed = {item["name"] for item in monitor_statements(loans(**OUTCOMES))}
    ours = {name.split(" (")[0] for name in by_kind(program.everything(Size(segments=1)))}
    singly = {name for name in listed if name.startswith("write/")}  # the inserts of a commit
    assert {name for name in listed - singly if not name.startswith(("tables/", "views/"))} <= ours


def test_the_widest_statement_is_sent_in_one_request() -> None:
    """As many labels as a statement takes, the most bins, segments up to the last parameter: still below 10 MB; of 160 features it is not."""
    assert 2 * MAX_KNOWN_LABELS < MAX_CODES_PER_STATEMENT
    assert widest_request(MAX_FEATURES_PER_STATEMENT, MAX_CODES_PER_STATEMENT, 97) < program.REQUEST
    assert widest_request(160, MAX_CODES_PER_STATEMENT, 97) > program.REQUEST


def test_rows_that_need_no_stage_are_sent_in_one_request() -> None:
    """Rows are at most half as long again as parameters, or nearly twice: 2 MB of them stay below half a request."""
    assert program.largest_commit() < program.REQUEST / 2
    (commit, *_) = Monitor(Size(features=1)).writes(MAX_ROWS_BYTES)
    assert request_bytes(commit) > MAX_ROWS_BYTES


@pytest.mark.parametrize(("n", "fits"), [(97, True), (98, False)])
def test_the_page_says_how_many_dimensions_fit(n: int, fits: bool) -> None:
    """Of 100 segments each, beside the widest 40 features."""
    widest = replace(program.WIDEST, labels=1, known=0, kinds=("numeric",), segments=n)
    (_, statement) = Monitor(widest).counting()
    assert (len(statement.params) <= program.PARAMETERS) is fits
    assert "the 98th dimension" in PAGE
    assert limit("parameters of a statement") == "98"


def test_the_page_has_the_limits_that_the_program_finds() -> None:
    """Worked out anew where that is soon done: expressions, columns, and the constants of the package that it names."""
    assert limit("text of a statement, characters") == f"{program.expression_characters():,}"
    assert f"`write/commit` of {MAX_ROWS_BYTES:,} bytes of rows: {program.largest_commit():,} |" in PAGE
    widest = widest_request(MAX_FEATURES_PER_STATEMENT, MAX_CODES_PER_STATEMENT, 97)
    assert f"100 bins, {MAX_CODES_PER_STATEMENT:,} labels, 97 dimensions: {widest:,} |" in PAGE
    assert f"## Why {MAX_FEATURES_PER_STATEMENT} features a statement" in PAGE


def limit(name: str) -> str:
    """The last cell of a limit's row on the page."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {name} |")]
    return row.split(" | ")[-1].removesuffix(" |")


def test_the_page_has_the_sizes_that_the_program_measures() -> None:
    """Groups to the letter; of each kind of statement the numbers up to a hundred features, and the largest of all."""
    assert program.groups_table() in PAGE
    for row in program.sizes_table((10, 40, 100)).splitlines()[2:]:
        kind, *counts, text, params, request = row.strip("| ").split(" | ")
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {kind} |") and line.count("|") == 11]
        said = line.strip("| ").split(" | ")
        assert (said[1:4], said[-3:]) == (counts, [text, params, request]), kind


def test_the_page_has_the_bytes_that_the_stand_in_counts() -> None:
    """Of scans the columns that are named and the day that is asked for, of labels the day before it too."""
    rows = program.reads_table("scan/").splitlines()[2:]
    assert len(rows) == 6
    assert [row for row in rows if row not in PAGE.splitlines()] == []


def test_each_feature_is_counted_once() -> None:
    """Of ten thousand, each stands in one statement of a run, in its own place."""
    _, *counting = Monitor(Size(features=10_000)).counting()
    assert len(counting) == 10_000 // MAX_FEATURES_PER_STATEMENT
    names = [row["feature"] for statement in counting for row in statement.params["features"].value]
    assert names == [NAME.format(i) for i in range(10_000)]
    for i in (0, 39, 40, 5_000, 9_999):
        assert [f"`{NAME.format(i)}`" in item.sql for item in counting].index(True) == i // MAX_FEATURES_PER_STATEMENT
