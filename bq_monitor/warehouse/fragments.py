"""Small pieces of GoogleSQL that depend on a column's type: a value as a number, a value as a label."""

from __future__ import annotations

from bq_monitor.measure.histogram import COUNTED_BY_EDGES, Kind

NUMBERS = ("INT64", "FLOAT64", "NUMERIC")
TIMES = ("TIMESTAMP", "DATETIME", "DATE")
LABELS = ("STRING", "INT64", "FLOAT64", "NUMERIC", "BOOL", "DATE")
ALLOWED: dict[Kind, tuple[str, ...]] = {
    "numeric": NUMBERS, "timestamp": TIMES, "categorical": LABELS, "ordinal": LABELS, "boolean": ("BOOL",),
}  # fmt: skip
_SECONDS = {
    "TIMESTAMP": "UNIX_MICROS({0}) / 1000000.0",
    "DATETIME": "UNIX_MICROS(TIMESTAMP({0})) / 1000000.0",
    "DATE": "CAST(UNIX_DATE({0}) * 86400 AS FLOAT64)",
}
IN_DUCKDB = {
    "{0}": "{0}",
    "CAST({0} AS STRING)": "CAST({0} AS TEXT)",
    "CAST({0} AS FLOAT64)": "CAST({0} AS DOUBLE)",
    _SECONDS["TIMESTAMP"]: "EPOCH_US({0}) / 1000000.0",
    _SECONDS["DATETIME"]: "EPOCH_US(CAST({0} AS TIMESTAMPTZ)) / 1000000.0",
    _SECONDS["DATE"]: "CAST(DATE_DIFF('DAY', CAST('1970-01-01' AS DATE), {0}) * 86400 AS DOUBLE)",
}
"""The commonest pieces as the translator writes them: loading it takes longer than many a comparison."""


def accepts(kind: Kind, source_type: str, column_type: str) -> bool:
    """Whether a log column of `column_type` can be counted for a feature captured from `source_type`."""
    if kind in COUNTED_BY_EDGES:
        return column_type in ALLOWED[kind]
    return _family(source_type) == _family(column_type)


def value(kind: Kind, expression: str, column_type: str) -> str:
    """What the scan counts for a feature of this kind: a FLOAT64 where buckets have edges, else a STRING."""
    return (_number if kind in COUNTED_BY_EDGES else _label)(expression, column_type)


def _number(expression: str, column_type: str) -> str:
    """The value as FLOAT64: integers above 2^53 round to even, times are seconds since 1970 in UTC."""
    return _SECONDS[column_type].format(expression) if column_type in TIMES else f"CAST({expression} AS FLOAT64)"


def _label(expression: str, column_type: str) -> str:
    """The value as text, the same in both dialects: whole floats without a point, so that 1.0 and 1 are one category.

    Other floats take 15 digits where these name the float, else 17, as GoogleSQL casts them (DuckDB's own cast takes the fewest).
    """
    if column_type not in ("FLOAT64", "NUMERIC"):
        return f"CAST({expression} AS STRING)"
    x = f"CAST({expression} AS FLOAT64)"
    return (
        f"CASE WHEN IS_NAN({x}) THEN 'NaN' WHEN IS_INF({x}) THEN IF({x} > 0, '+Inf', '-Inf') "
        f"WHEN ABS({x}) < 9007199254740992 AND {x} = TRUNC({x}) THEN CAST(CAST({x} AS INT64) AS STRING) "
        f"WHEN CAST(FORMAT('%.15g', {x}) AS FLOAT64) = {x} THEN FORMAT('%.15g', {x}) ELSE FORMAT('%.17g', {x}) END"
    )


def _family(column_type: str) -> str:
    return "number" if column_type in NUMBERS else column_type
