"""What kind of feature a column is taken for, and which columns are left out."""

from __future__ import annotations

import pytest

from bq_monitor.measure.histogram import Kind
from bq_monitor.measure.kinds import MAX_CODES, Excluded, Profile, detect


def whole(n: int, n_distinct: int, low: float, high: float, type_: str = "INT64") -> Profile:
    return Profile(type_, n, n, n_distinct, n_whole=n, low=low, high=high)


FOUND: dict[str, tuple[Profile, Kind]] = {
    "an integer of three values": (whole(1000, 3, 0, 2), "categorical"),
    "as many codes as allowed": (whole(1000, MAX_CODES, 0, 19), "categorical"),
    "one value more": (whole(1000, MAX_CODES + 1, 0, 20), "numeric"),
    "few rows of few values": (whole(8, 3, 0, 2), "numeric"),
    "an integer of many values": (whole(1000, 60, 18, 80), "numeric"),
    "a continuous float": (Profile("FLOAT64", 1000, 1000, 998, n_whole=3, low=0, high=1), "numeric"),
    "a continuous float named id": (Profile("FLOAT64", 1000, 1000, 1000, n_whole=0, low=0, high=1), "numeric"),
    "a float of 0 and 1": (Profile("FLOAT64", 1000, 1000, 2, n_whole=1000, low=0, high=1), "categorical"),
    "a decimal": (Profile("NUMERIC", 1000, 1000, 900, n_whole=10, low=0, high=1e6), "numeric"),
    "a constant number": (whole(1000, 1, 7, 7), "categorical"),
    "a boolean": (Profile("BOOL", 1000, 1000, 2), "boolean"),
    "a boolean without values": (Profile("BOOL", 1000, 0, 0), "boolean"),
    "text": (Profile("STRING", 1000, 1000, 5), "categorical"),
    "constant text": (Profile("STRING", 1000, 1000, 1), "categorical"),
    "10^5 categories": (Profile("STRING", 10**6, 10**6, 10**5), "categorical"),
    "some dates among the text": (Profile("STRING", 1000, 1000, 5, n_dates=999), "categorical"),
    "text, all NULL": (Profile("STRING", 1000, 0, 0), "categorical"),
    "a number, all NULL": (Profile("FLOAT64", 1000, 0, 0), "numeric"),
    "few rows, all different": (whole(19, 19, 1, 19), "numeric"),
    "amounts, nearly all different": (whole(500, 500, 1000, 900_000), "numeric"),
}


@pytest.mark.parametrize("case", FOUND)
def test_the_kind_of_a_column(case: str) -> None:
    """Few distinct values are codes, text is a category, other numbers are quantities."""
    profile, kind = FOUND[case]
    assert detect("amount_id" if "named id" in case else "amount", profile) == kind


LEFT_OUT: dict[str, tuple[str, Profile, str]] = {
    "dense serial numbers": ("n", whole(1000, 1000, 1, 1000), "an identifier: 1,000 distinct values in 1,000 rows"),
    "few rows, dense": ("n", whole(20, 20, 100, 119), "an identifier: 20 distinct"),
    "sparse, many rows": ("n", whole(1000, 1000, 1, 10**9), "an identifier"),
    "sparse, few rows, named so": ("customer_id", whole(500, 500, 1, 10**9), "an identifier"),
    "capitals": ("CUSTOMER_ID", whole(500, 500, 1, 10**9), "an identifier"),
    "a plural key": ("row keys", whole(500, 500, 1, 10**9), "an identifier"),
    "camel case": ("loanId", whole(500, 500, 1, 10**9), "an identifier"),
    "text, different in every row": ("ref", Profile("STRING", 500, 500, 499), "an identifier: 499 distinct values in 500"),
    "a float that counts rows": ("id", whole(500, 500, 0, 499, "FLOAT64"), "an identifier"),
    "a timestamp": ("t", Profile("TIMESTAMP", 9, 9, 9), r"a time (TIMESTAMP); give it kind: timestamp"),
    "a datetime": ("t", Profile("DATETIME", 9, 9, 9), "a time (DATETIME)"),
    "a date": ("t", Profile("DATE", 9, 9, 9), "a time (DATE)"),
    "a date written as text": ("t", Profile("STRING", 900, 900, 50, n_dates=900), "a time written as text; give it kind: categorical"),
    "an array": ("a", Profile("ARRAY<INT64>", 9, 0, 0), "type ARRAY<INT64> cannot be counted; monitor an expression"),
    "bytes": ("b", Profile("BYTES", 9, 9, 9), "type BYTES cannot be counted"),
    "a struct": ("s", Profile("STRUCT<a INT64>", 9, 0, 0), "type STRUCT<a INT64> cannot be counted"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_left_out_says_why_and_what_to_do(case: str) -> None:
    """Identifiers, times and uncountable types are excluded with the reason."""
    name, profile, reason = LEFT_OUT[case]
    found = detect(name, profile)
    assert isinstance(found, Excluded)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("name", ["paid", "PAID", "valid", "Humid", "monkeys", "idle"])
def test_a_name_that_merely_ends_like_an_identifier_is_none(name: str) -> None:
    """Sparse whole numbers of few rows are identifiers by their name only, and `paid` is no `id`."""
    assert detect(name, whole(500, 500, 1, 10**9)) == "numeric"


def test_a_repeated_value_in_a_hundred_rows_is_enough_to_be_no_identifier() -> None:
    """Below 99 % distinct values the column does not identify its rows."""
    assert isinstance(detect("ref", Profile("STRING", 100, 100, 99)), Excluded)
    assert detect("ref", Profile("STRING", 100, 100, 98)) == "categorical"
