"""Integer bins hold exactly the floats of their buckets."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from struct import pack, unpack

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bq_monitor.measure.histogram import NAN, NEG_INF, POS_INF
from bq_monitor.warehouse.bins import integer_bins

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
EDGES = st.lists(FLOATS.map(lambda x: x + 0.0), max_size=20, unique=True).map(sorted)
LARGEST = 1.7976931348623157e308
NAN_BELOW, NAN_ABOVE = unpack(
    "<2d", pack("<2q", -1, 0x7FF0000000000001)
)  # of either sign, with other bits than the usual NaN


def bits(value: float) -> int:
    return int(unpack("<q", pack("<d", value))[0])


def bucket_of(value: float, edges: list[float]) -> int:
    """Where the bins put a value."""
    ends, buckets = integer_bins(edges)
    position = bisect_left(ends, bits(value)) + 2
    (bucket,) = [item["bucket"] for item in buckets if position in item["bins"]]
    return int(bucket)


@given(EDGES, FLOATS)
@example([0.0], -0.0)
@example([-5e-324, 0.0, 5e-324], -5e-324)
@example([-LARGEST, LARGEST], -LARGEST)
@example([-LARGEST, LARGEST], LARGEST)
def test_a_float_is_in_the_bins_of_its_bucket(edges: list[float], value: float) -> None:
    """Any float, every edge and its neighbours: the bucket is the number of edges that are not above it."""
    near = [x for edge in edges for x in (math.nextafter(edge, -math.inf), edge, math.nextafter(edge, math.inf))]
    for x in [value, *(x for x in near if math.isfinite(x))]:
        assert bucket_of(x, edges) == bisect_right(edges, x)


@given(EDGES)
def test_what_is_no_number_has_bins_of_its_own(edges: list[float]) -> None:
    """Infinities and NaN of either sign are kept out of the first and the last bucket."""
    assert [bucket_of(x, edges) for x in (math.inf, -math.inf)] == [POS_INF, NEG_INF]
    assert {bucket_of(x, edges) for x in (math.nan, -math.nan, NAN_BELOW, NAN_ABOVE)} == {NAN}


@given(EDGES)
def test_every_bin_belongs_to_one_bucket(edges: list[float]) -> None:
    """The ends ascend to the largest integer, so that DuckDB's histogram has no overflow; each position is used once."""
    ends, buckets = integer_bins(edges)
    assert ends == sorted(set(ends))
    assert ends[-1] == 2**63 - 1
    assert sorted(position for item in buckets for position in item["bins"]) == list(range(1, len(ends) + 2))


@pytest.mark.parametrize("value", [-LARGEST, -1.5, -5e-324, 0.0, 5e-324, 1.5, LARGEST, math.inf, -math.inf])
def test_duckdb_reads_the_same_bits(value: float) -> None:
    """A DOUBLE cast to BIT and BIGINT in DuckDB is its 64 bits as a signed integer."""
    with duckdb.connect() as connection:
        found = connection.execute("SELECT CAST(CAST(?::DOUBLE AS BIT) AS BIGINT)", [value]).fetchone()
    assert found == (bits(value),)


def test_duckdb_counts_in_the_order_of_the_ends() -> None:
    """HISTOGRAM over bins answers a count for each, empty ones too, `(lower, upper]`, in ascending order."""
    sql = "SELECT MAP_VALUES(HISTOGRAM(x, [0, 5, 9])) FROM (VALUES (-3::BIGINT), (0), (1), (5), (NULL)) AS t(x)"
    with duckdb.connect() as connection:
        assert connection.execute(sql).fetchone() == ([2, 2, 0],)
