"""What moved, in words: which buckets are named, with which shares, and how they read."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bq_monitor.measure import explanation
from bq_monitor.measure.divergence import psi
from bq_monitor.measure.explanation import Shift, explain, quoted, sentence
from bq_monitor.measure.histogram import NULL, OTHER, UNSEEN, Buckets, Coarse, Kind
from tests.measure.zoo import edges_of, labelled, numeric

AMOUNTS = (10_000.0, 25_000.0, 50_000.0, 100_000.0)
"""Five ranges; after them NULL, NaN, -Inf, +Inf."""


def shifts(buckets: Buckets, p: list[int], q: list[int]) -> tuple[Shift, ...]:
    """Explained with every fine bucket a coarse one."""
    coarse = Coarse(tuple(map(buckets.name, buckets.codes)), np.arange(len(buckets.codes)))
    return explain(buckets, coarse, np.array(p, dtype=np.int64), np.array(q, dtype=np.int64))


def amounts(
    p: list[int], q: list[int], edges: tuple[float, ...] = AMOUNTS, kind: Kind = "numeric"
) -> tuple[Shift, ...]:
    """Ranges by edges; counts that are not given are 0."""
    buckets = Buckets(kind, edges=edges)
    pad = [0] * len(buckets.codes)
    return shifts(buckets, (p + pad)[: len(pad)], (q + pad)[: len(pad)])


def categories(p: list[int], q: list[int], labels: str = "CA NY TX", kind: Kind = "categorical") -> tuple[Shift, ...]:
    """Labels, then NULL, OTHER, UNSEEN; counts that are not given are 0."""
    buckets = Buckets(kind, labels=tuple(labels.split()))
    pad = [0] * len(buckets.codes)
    return shifts(buckets, (p + pad)[: len(pad)], (q + pad)[: len(pad)])


def whats(found: tuple[Shift, ...]) -> list[str]:
    return [shift.what for shift in found]


def test_a_loan_example() -> None:
    """Both ranges below 25,000 grew, together from 12 % to 31.2 %; the top range lost all of its 20 %; the rest lost less."""
    found = amounts([50, 70, 380, 300, 200], [152, 160, 380, 308, 0])
    assert [(shift.what, shift.baseline_share, shift.current_share, shift.carrier) for shift in found] == [
        ("at or above 100,000", 0.2, 0.0, "range"),
        ("below 25,000", 0.12, 0.312, "range"),
    ]
    assert sentence("loan_amount", found) == (
        "loan_amount: 31.2% of rows are now below 25,000, 12.0% in training; "
        "none are at or above 100,000, down from 20.0%"
    )


def test_carried_is_the_part_of_the_psi() -> None:
    """By hand: shares 1/2 1/4 1/4 against 1/4 1/4 1/2 have the terms ln 2 / 4, 0, ln 2 / 4: half is carried by each end."""
    gain, loss = amounts([200, 100, 100], [100, 100, 200], edges=(1.0, 2.0))
    assert (gain.what, gain.baseline_share, gain.current_share) == ("at or above 2", 0.25, 0.5)
    assert (loss.what, loss.baseline_share, loss.current_share) == ("below 1", 0.5, 0.25)
    assert gain.carried == loss.carried == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        ([10, 10, 60, 10, 10], [10, 30, 20, 30, 10], ["between 25,000 and 50,000", "between 10,000 and 25,000"]),
        ([10, 10, 20, 30, 30], [10, 20, 40, 20, 10], ["at or above 50,000", "between 10,000 and 50,000"]),
        ([40, 10, 0, 10, 40], [20, 25, 0, 35, 20], ["between 10,000 and 100,000", "below 10,000"]),
        ([0, 25, 25, 25, 25], [0, 40, 35, 15, 10], ["at or above 50,000"]),
        ([0, 10, 30, 30, 30], [0, 31, 25, 23, 21], ["below 25,000"]),
    ],
)
def test_ranges_join_neighbours_that_moved_the_same_way(p: list[int], q: list[int], expected: list[str]) -> None:
    """Buckets that stood still end a range, buckets without rows do not; a range up to the last rows is one-sided."""
    assert whats(amounts(p, q)) == expected


def test_the_range_that_moved_most_rows_is_told_though_another_grew_by_a_larger_factor() -> None:
    """1 % to 6 % has the larger PSI term, 35 % to 50 % the more rows."""
    assert 0.05 * np.log(6 / 1) > 0.15 * np.log(50 / 35)
    found = amounts([10, 200, 350, 300, 140], [60, 190, 500, 180, 70])
    assert "between 25,000 and 50,000" in whats(found)
    assert "below 10,000" not in whats(found)


def test_equal_ranges_tell_the_lower_one() -> None:
    """Two gained 30 points each, two lost 30 each; in binary fractions (0.2 - 0.1) + (0.3 - 0.1) would be less than 0.3."""
    assert (0.2 - 0.1) + (0.3 - 0.1) < 0.4 - 0.1
    found = amounts([10, 10, 40, 10, 30], [20, 30, 10, 40, 0])
    assert whats(found) == ["between 25,000 and 50,000", "below 25,000"]


def test_nulls_carry_the_shift() -> None:
    """2 % to 30 % missing, the values as before: what all of them lost is not news."""
    (found,) = amounts([196, 196, 196, 196, 196, 20], [140, 140, 140, 140, 140, 300])
    assert (found.what, found.baseline_share, found.current_share, found.carrier) == (
        "missing (NULL)",
        0.02,
        0.3,
        "null",
    )
    assert found.carried == pytest.approx(0.28 * np.log(15) / (0.28 * np.log(15) + 0.28 * np.log(98 / 70)))
    assert sentence("income", [found]) == "income: 30.0% of rows are now missing (NULL), 2.0% in training"


@pytest.mark.parametrize(
    ("position", "what", "carrier"), [(6, "NaN", "nan"), (7, "-Inf", "infinite"), (8, "+Inf", "infinite")]
)
def test_values_that_are_no_finite_numbers_carry_the_shift(position: int, what: str, carrier: str) -> None:
    """Each is a bucket of its own, named as in SQL."""
    q = [18, 18, 18, 18, 18, 0, 0, 0, 0]
    q[position] = 10
    (found,) = amounts([20, 20, 20, 20, 20], q)
    assert (found.what, found.carrier, found.baseline_share, found.current_share) == (what, carrier, 0.0, 0.1)
    assert sentence("x", [found], "last month") == f"x: 10.0% of rows are now {what}, none in last month"


@pytest.mark.parametrize(("kind", "what"), [("numeric", "a finite number"), ("timestamp", "a time")])
def test_a_range_of_everything_says_that_there_is_a_value(kind: Kind, what: str) -> None:
    """All missing in training: now half the rows have a value, wherever; with rare -Inf so that no two hold all rows."""
    found = amounts([0, 0, 0, 0, 0, 98, 0, 2], [10, 10, 10, 10, 10, 48, 0, 2], kind=kind)
    assert whats(found) == [what, "missing (NULL)"]
    assert sentence("x", found[:1]) == f"x: 50.0% of rows are now {what}, none in training"


def test_one_bucket() -> None:
    """Without edges all numbers share a bucket: only missing values can move, and nothing differs without them."""
    assert whats(amounts([90, 10], [50, 50], edges=())) == ["missing (NULL)"]
    assert amounts([90, 10], [9, 1], edges=()) == ()
    assert amounts([100], [50], edges=()) == ()


@pytest.mark.parametrize(
    ("p", "q"), [([1, 2, 3], [10, 20, 30]), ([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], []), ([1, 0], [2, 1])]
)
def test_nothing_is_told_when_nothing_differs_or_a_side_is_empty(p: list[int], q: list[int]) -> None:
    """Equal shares, no rows, and the one row that half a row per empty bucket levels out (PSI 0)."""
    assert not psi(p + [0] * (3 - len(p)), q + [0] * (3 - len(q)))
    assert categories(p, q) == ()
    assert amounts(p, q) == ()
    assert sentence("x", ()) == ""


def test_the_label_with_the_largest_psi_term_is_told() -> None:
    """CA from 1 % to 6 % (0.05 ln 6), not NY from 50 % to 57 % (0.07 ln 1.14), though that is more rows."""
    found = categories([10, 500, 490], [60, 570, 370])
    assert [(shift.what, shift.carrier) for shift in found] == [("'CA'", "category"), ("'TX'", "category")]
    assert sentence("state", found) == (
        "state: 6.0% of rows are now 'CA', 1.0% in training; 37.0% are 'TX', down from 49.0%"
    )


def test_labels_are_not_joined() -> None:
    """Neighbours in a list of categories have nothing to do with each other."""
    assert whats(categories([10, 20, 70], [20, 40, 40])) == ["'TX'", "'NY'"]


def test_ordinals_are_joined_from_the_lowest_to_the_highest() -> None:
    """Both lower grades lost, in order; one grade alone is a category, and an unused one is not named."""
    found = categories([30, 30, 30, 10, 0], [10, 10, 30, 50, 0], "A B C D E", kind="ordinal")
    assert [(shift.what, shift.carrier) for shift in found] == [("'D'", "category"), ("from 'A' to 'B'", "range")]
    assert sentence("grade", found) == (
        "grade: 50.0% of rows are now 'D', 10.0% in training; 20.0% are from 'A' to 'B', down from 60.0%"
    )


def test_booleans_are_not_quoted_and_tell_one_side() -> None:
    """With two values the one says what the other does; the one that carries more is told."""
    assert whats(categories([50, 50], [80, 20], "false true", kind="boolean")) == ["true"]


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        ([15, 15, 30, 40], [28, 28, 29, 15], "x: 56.0% of rows are now below 25,000, 30.0% in training"),
        ([28, 28, 29, 15], [15, 15, 30, 40], "x: 30.0% of rows are now below 25,000, 56.0% in training"),
        ([35, 35, 0, 0, 0, 30], [50, 50], "x: no rows are now missing (NULL), 30.0% in training"),
    ],
)
def test_of_two_parts_that_hold_all_rows_the_smaller_is_told(p: list[int], q: list[int], expected: str) -> None:
    """Of 30 % and 70 % that trade rows, the 30 %: it changed by the larger factor, though the other carries more PSI."""
    assert sentence("x", amounts(p, q)) == expected


def test_unseen_labels_carry_the_shift() -> None:
    """10 % of labels that training never saw; that training had none goes without saying."""
    found = categories([300, 300, 400], [270, 270, 360, 0, 0, 100])
    assert [(shift.what, shift.carrier, shift.current_share) for shift in found] == [
        ("never seen in training", "unseen", 0.1)
    ]
    assert sentence("state", found) == "state: 10.0% of rows are now in categories never seen in training"


def test_unseen_labels_are_told_against_those_expected() -> None:
    """A baseline with a long tail expects some (`Histogram.expecting_unseen`)."""
    baseline = labelled({"a": 900}, specials={OTHER: 100}).expecting_unseen(20)
    current = labelled({"a": 600}, specials={OTHER: 80, UNSEEN: 320})
    coarse = Coarse.of(baseline)
    found = explain(baseline.buckets, coarse, coarse.counts(baseline), coarse.counts(current))
    assert sentence("city", found[:1]) == (
        "city: 32.0% of rows are now in categories never seen in training, 2.0% expected"
    )


def test_other_categories_carry_the_shift() -> None:
    """Labels that training knew but did not list."""
    found = categories([300, 300, 390, 0, 10], [220, 230, 300, 0, 250])
    assert (found[0].what, found[0].carrier) == ("other categories", "other")
    assert sentence("state", found[:1]) == "state: 25.0% of rows are now in other categories, 1.0% in training"


def test_a_loss_alone_is_told_when_every_gain_is_thin() -> None:
    """'x' is gone and its half went to 20 labels in equal parts, each with less than a tenth of the PSI."""
    labels = "x " + " ".join(f"y{i}" for i in range(20))
    found = categories([500] + 20 * [25], [0] + 20 * [50], labels)
    assert whats(found) == ["'x'"]
    assert sentence("f", found) == "f: no rows are now 'x', 50.0% in training"


@pytest.mark.parametrize(
    ("edges", "counts", "what"),
    [
        ((0.5, 1234567.0), ([50, 30, 20], [30, 20, 50]), "at or above 1,234,567"),
        ((0.5, 1234567.8), ([50, 30, 20], [30, 20, 50]), "at or above 1,235,000"),
        ((0.123456, 0.5), ([20, 30, 50], [50, 20, 30]), "below 0.1235"),
        ((-2500.0, -0.00001234), ([30, 20, 50], [20, 50, 30]), "between -2,500 and -1.234e-05"),
        ((0.12341, 0.12344), ([30, 20, 50], [20, 50, 30]), "between 0.12341 and 0.12344"),
        ((1e16, 3e20), ([30, 20, 50], [20, 50, 30]), "between 1e+16 and 3e+20"),
        ((5.0, float(np.nextafter(7.1, 8))), ([30, 20, 50], [20, 30, 50]), "between 5 and 7.1"),
        ((5.0, float(np.nextafter(7.1, 8))), ([30, 50, 20], [30, 20, 50]), "above 7.1"),
        ((float(np.nextafter(7.1, 8)), 8.0), ([20, 50, 30], [50, 20, 30]), "at or below 7.1"),
        ((7.1, float(np.nextafter(7.1, 8))), ([30, 20, 50], [20, 50, 30]), "exactly 7.1"),
    ],
)
def test_edges_are_readable(edges: tuple[float, ...], counts: tuple[list[int], list[int]], what: str) -> None:
    """Thousands apart, whole numbers in full, four digits else unless neighbours would read alike; top edges by value."""
    (gain,) = (shift for shift in amounts(*counts, edges=edges) if shift.current_share > shift.baseline_share)
    assert gain.what == what


def seconds(*args: int) -> float:
    return datetime(*args, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("edges", "counts", "what"),
    [
        ((seconds(2024, 3, 1), seconds(2024, 4, 1, 3)), ([20, 30, 50], [50, 20, 30]), "before 2024-03-01"),
        ((seconds(2024, 3, 1), seconds(2024, 4, 1, 3)), ([30, 20, 50], [20, 50, 30]), "between 2024-03-01 and 2024-04-01"),
        ((seconds(2024, 3, 1), seconds(2024, 4, 1, 21)), ([50, 30, 20], [30, 20, 50]), "at or after 2024-04-02"),
        ((seconds(2024, 3, 1, 7, 5), seconds(2024, 3, 1, 9)), ([50, 30, 20], [30, 20, 50]), "at or after 2024-03-01 09:00"),
        ((0.0, float(np.nextafter(86_400 * 9.0, 1e9))), ([50, 30, 20], [30, 20, 50]), "after 1970-01-10"),
        ((float(np.nextafter(86_400.0, 1e9)), 9e5), ([20, 50, 30], [50, 20, 30]), "up to 1970-01-02"),
        ((86_400.0, float(np.nextafter(86_400.0, 1e9))), ([30, 20, 50], [20, 50, 30]), "at 1970-01-02"),
        ((0.0, 1e300), ([50, 30, 20], [30, 20, 50]), "at or after 1e+300"),
    ],
)  # fmt: skip
def test_times_are_dates(edges: tuple[float, ...], counts: tuple[list[int], list[int]], what: str) -> None:
    """The nearest UTC day, or the minute when neighbours fall on one day; what no calendar holds stays a number."""
    found = amounts(*counts, edges=edges, kind="timestamp")
    (gain,) = (shift for shift in found if shift.current_share > shift.baseline_share)
    assert gain.what == what


def test_coarse_ranges_have_the_edges_of_their_fine_buckets() -> None:
    """Two fine buckets a coarse one: the edge between the groups is named, and NULLs are still found behind them."""
    buckets = Buckets("numeric", edges=(1.0, 2.0, 3.0))
    coarse = Coarse(("< 2", ">= 2", "NULL", "NaN", "-Inf", "+Inf"), np.array([0, 0, 1, 1, 2, 3, 4, 5]))
    found = explain(buckets, coarse, np.array([20, 60, 20, 0, 0, 0]), np.array([60, 20, 20, 0, 0, 0]))
    assert whats(found) == ["below 2", "at or above 2"]
    found = explain(buckets, coarse, np.array([50, 50, 0, 0, 0, 0]), np.array([25, 25, 50, 0, 0, 0]))
    assert whats(found) == ["missing (NULL)"]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("3f2a9c0d11e4b7a6", "'3f2a9c0d11e4b7a6'"),
        ("two\nlines\t\x1b[31m", r"'two\nlines\t\x1b[31m'"),
        ("\u202egnp.exe", r"'\u202egnp.exe'"),
        ("it's a \\", r"'it\'s a \\'"),
        ("Zürich 東京", "'Zürich 東京'"),
        ("x" * 60, "'" + "x" * 60 + "'"),
        ("x" * 61, "'" + "x" * 60 + "…'"),
        ("x" * 57 + "\x00y", "'" + "x" * 57 + "…'"),
        ("", "''"),
    ],
)  # fmt: skip
def test_labels_are_quoted_on_one_line_and_cut(label: str, text: str) -> None:
    """Nothing in a label reaches a terminal or breaks a line, and an escape is never cut in two."""
    assert quoted(label) == text


def test_shares_too_close_for_one_decimal_take_more() -> None:
    """3 of 100,000 is not 0.0 %, and two shares that differ read differently."""
    assert sentence("x", [Shift("NaN", 0.0, 0.00003, "nan", 1.0)]) == "x: 0.003% of rows are now NaN, none in training"
    assert sentence("x", [Shift("NaN", 0.1201, 0.1204, "nan", 1.0)]) == (
        "x: 12.04% of rows are now NaN, 12.01% in training"
    )


@st.composite
def two_sides(draw: st.DrawFn) -> tuple[Buckets, list[int], list[int]]:
    kind: Kind = draw(st.sampled_from(["numeric", "timestamp", "categorical", "ordinal", "boolean"]))
    n = draw(st.integers(0, 6))
    edges = tuple(float(10 * i) for i in range(n)) if kind in ("numeric", "timestamp") else ()
    labels = () if edges or kind in ("numeric", "timestamp") else tuple(f"label {i}" for i in range(n))
    buckets = Buckets(kind, edges, labels)
    counts = st.lists(
        st.integers(0, 9) | st.integers(0, 10**9), min_size=len(buckets.codes), max_size=len(buckets.codes)
    )
    return buckets, draw(counts), draw(counts)


@given(two_sides())
def test_shares_are_those_of_the_counts(sides: tuple[Buckets, list[int], list[int]]) -> None:
    """Every shift holds the share of whole buckets in one run, moved in its direction, with its part of the PSI."""
    buckets, p, q = sides
    found = shifts(buckets, p, q)
    assert len(found) <= 2
    assert bool(found) == bool(psi(p, q))
    spans = [slice(i, j) for i in range(len(p)) for j in range(i + 1, len(p) + 1)]
    possible = {(sum(p[span]) / sum(p), sum(q[span]) / sum(q)) for span in spans} if found else set()
    for shift in found:
        assert (shift.baseline_share, shift.current_share) in possible
        assert 0 <= shift.carried <= 1
        assert shift.what
    assert sum(shift.carried for shift in found) <= 1 + 1e-9
    assert [shift.carried for shift in found] == sorted((shift.carried for shift in found), reverse=True)
    gained = [shift.current_share > shift.baseline_share for shift in found]
    assert sorted(gained) == gained or sorted(gained, reverse=True) == gained
    assert len(set(gained)) == len(gained)
    text = sentence("x", found)
    assert text.startswith("x: ") == bool(found)


def test_explained_from_histograms_as_they_are_judged(rng: np.random.Generator) -> None:
    """A normal sample moved by one standard deviation: gained above the middle between the two, lost below it."""
    values = rng.normal(0, 1, 20_000)
    reference = numeric(values, edges_of(values), n_null=100)
    current = numeric(values + 1, reference.buckets.edges, n_null=100)
    coarse = Coarse.of(reference)
    found = explain(reference.buckets, coarse, coarse.counts(reference), coarse.counts(current))
    gain = next(shift for shift in found if shift.current_share > shift.baseline_share)
    bound = float(gain.what.removeprefix("at or above "))
    assert 0.2 < bound < 0.6
    assert gain.current_share == pytest.approx(np.mean(values + 1 >= bound), abs=0.01)
    assert current.share_of(NULL) == pytest.approx(100 / 20_100)


def test_the_examples_in_the_docstrings_run() -> None:
    """Doctests of the module."""
    result = doctest.testmod(explanation)
    assert result.attempted > 0
    assert result.failed == 0
