-- Count each row of a log once, into the frozen buckets of a reference, per granule. Same contract as the BigQuery template.
-- Shape: DuckDB's native HISTOGRAM counts the bits of each DOUBLE, read as an integer, into bins that warehouse/bins.py makes of
--   the buckets; NaN and the infinities have bins of their own. That is exact, and much faster than bins of DOUBLEs.
-- Grain: one row per (granule, segment, [outcome, predicted,] feature); granule is NULL where there is no time column. A row
--   counts in the segment 'all' and once in each dimension of segments (grouping sets).
-- Reads: the log, only its monitored columns; the labels where outcomes are asked for. Partition filter: $start, $end on the time
--   column; $start, $known_at on the labels' time.
-- Moments are those of v_N, the values within 1e150 (the squares of others overflow; to DuckDB NaN is above all); VAR_POP does not
--   cancel. One finite value beyond leaves mean and second moment undefined.
-- Parameters: ends_N BIGINT[] and bins_N STRUCT(bucket, bins)[] per numeric feature (see warehouse/bins.py); features, codes (see
--   scan.py; cast, as DuckDB forgets the type of an empty list); salt VARCHAR; start, end, timezone with a time column; model_version with a version column.
{% import "scan/time.duckdb.jinja" as clock %}
{% set numbers = features | selectattr("numeric") | list %}
{% set texts = features | rejectattr("numeric") | list %}
{% set cell = ", outcome, predicted" if cells else "" %}
{% set keys = "granule" ~ cell %}
{% macro segment() -%}
CASE {% for _ in segments %}WHEN GROUPING(g_{{ loop.index0 }}) = 0 THEN g_{{ loop.index0 }} {% endfor %}ELSE 'all' END
{%- endmacro %}
{% macro sets(more) -%}
({{ keys }}{{ more }}){% for _ in segments %}, ({{ keys }}, g_{{ loop.index0 }}{{ more }}){% endfor %}
{%- endmacro %}
{% include "scan/into.jinja" %}
WITH log AS NOT MATERIALIZED (
  SELECT
    {{ clock.granule(time) if time else "CAST(NULL AS TIMESTAMP)" }} AS granule{{ "," if features or segments or cells }}
{% for key in segments %}
    {{ key }} AS g_{{ loop.index0 }}{{ "," if features or cells or not loop.last }}
{% endfor %}
{% if cells %}
    {{ cells.outcome }} AS outcome,
    {{ cells.predicted }} AS predicted{{ "," if features }}
{% endif %}
{% for f in numbers %}
    CAST({{ f.value }} AS DOUBLE) AS x_{{ f.position }},
    {{ "CASE WHEN ABS(" ~ f.value ~ ") <= 1e150 THEN " ~ f.value ~ " END" if f.float else f.value }} AS v_{{ f.position }}{{ "," if texts or not loop.last }}
{% endfor %}
{% for f in texts %}
    {{ f.value }} AS c_{{ f.position }}{{ "," if not loop.last }}
{% endfor %}
  FROM {{ source }} AS t
{% if labels %}
{% include "scan/labels.jinja" %}
{% endif %}
{% include "scan/where.duckdb.jinja" %}
),
number_sums AS (
{% if numbers %}
  SELECT
    {{ keys }},
    {{ segment() if segments else "'all'" }} AS segment,
    UNNEST([
{% for f in numbers %}
      {
        'position': {{ f.position }},
        'counts': LIST_PREPEND(COUNT(*) - COUNT(x_{{ f.position }}), MAP_VALUES(HISTOGRAM(CAST(CAST(x_{{ f.position }} AS BIT) AS BIGINT), $ends_{{ f.position }}))),
        'bins': $bins_{{ f.position }},
        'n_moderate': COUNT(v_{{ f.position }}),
        'sum': SUM(v_{{ f.position }}),
        'variance': VAR_POP(v_{{ f.position }}),
        'low': MIN(v_{{ f.position }}),
        'high': MAX(v_{{ f.position }})
      }{{ "," if not loop.last }}
{% endfor %}
    ]) AS s
  FROM log
  GROUP BY {{ "GROUPING SETS (" ~ sets("") ~ ")" if segments else keys }}
{% else %}
  SELECT CAST(NULL AS TIMESTAMP) AS granule, {{ "NULL AS outcome, NULL AS predicted, " if cells }}'all' AS segment, {'position': 0, 'counts': [0::BIGINT], 'bins': [{'bucket': 0::BIGINT, 'bins': [1::BIGINT]}],
    'n_moderate': 0::BIGINT, 'sum': 0.0, 'variance': 0.0, 'low': 0.0, 'high': 0.0} AS s
  WHERE FALSE
{% endif %}
),
number_counts AS (
  SELECT
    {{ keys }},
    segment,
    s,
    [{'bucket': b.bucket, 'n': LIST_SUM(LIST_SELECT(s.counts, b.bins))::BIGINT} FOR b IN s.bins] AS buckets
  FROM number_sums
),
number_rows AS (
  SELECT
    {{ keys }},
    segment,
    s.position AS position,
    LIST_SUM([b.n FOR b IN buckets])::BIGINT AS n_rows,
    s.counts[1]::BIGINT AS n_null,
    COALESCE(LIST_SUM([b.n FOR b IN buckets IF b.bucket >= 0]), 0)::BIGINT AS n_finite,
    CASE WHEN s.n_moderate = n_finite THEN s.sum / s.n_moderate END AS mean,
    CASE WHEN s.n_moderate = n_finite THEN s.variance * s.n_moderate END AS second_moment,
    s.low AS low,
    s.high AS high,
    LIST_FILTER(buckets, LAMBDA b : b.n > 0) AS buckets
  FROM number_counts
),
label_cells AS (
{% if texts %}
  SELECT
    {{ keys }},
    {{ segment() if segments else "'all'" }} AS segment,
    CASE {% for f in texts %}WHEN GROUPING(c_{{ f.position }}) = 0 THEN {{ f.position }} {% endfor %}END AS position,
    CASE {% for f in texts %}WHEN GROUPING(c_{{ f.position }}) = 0 THEN c_{{ f.position }} {% endfor %}END AS label,
    COUNT(*) AS n
  FROM log
  GROUP BY GROUPING SETS ({% for f in texts %}{{ sets(", c_" ~ f.position) }}{{ ", " if not loop.last }}{% endfor %})
{% else %}
  SELECT CAST(NULL AS TIMESTAMP) AS granule, {{ "NULL AS outcome, NULL AS predicted, " if cells }}'all' AS segment, 0 AS position, '' AS label, 0::BIGINT AS n WHERE FALSE
{% endif %}
),
label_counts AS (
  SELECT
    {{ keys }},
    segment,
    c.position,
    CASE WHEN c.label IS NULL THEN -1 ELSE COALESCE(k.bucket, f.fallback) END AS bucket,
    SUM(c.n)::BIGINT AS n
  FROM label_cells AS c
  JOIN (SELECT UNNEST($features, recursive := true)) AS f ON f.position = c.position
  LEFT JOIN (SELECT UNNEST(CAST($codes AS STRUCT(position BIGINT, hash VARCHAR, bucket BIGINT)[]), recursive := true)) AS k
    ON k.position = c.position AND k.hash = SUBSTRING(MD5($salt || c.label), 1, 16)
  GROUP BY ALL
),
label_rows AS (
  SELECT
    {{ keys }},
    segment,
    position,
    SUM(n)::BIGINT AS n_rows,
    COALESCE(SUM(n) FILTER (WHERE bucket = -1), 0)::BIGINT AS n_null,
    0::BIGINT AS n_finite,
    NULL::DOUBLE AS mean,
    NULL::DOUBLE AS second_moment,
    NULL::DOUBLE AS low,
    NULL::DOUBLE AS high,
    ARRAY_AGG({'bucket': bucket::BIGINT, 'n': n} ORDER BY bucket) AS buckets
  FROM label_counts
  GROUP BY {{ keys }}, segment, position
)
SELECT
{% include "scan/keys.jinja" %}
  {{ clock.instant(time, "m.granule") if time else "CAST(NULL AS TIMESTAMPTZ)" }} AS granule,
  m.segment AS segment,
{% if cells %}
  m.outcome AS outcome,
  m.predicted AS predicted,
{% endif %}
  f.feature AS feature,
  m.n_rows AS n_rows,
  m.n_null AS n_null,
  m.n_finite AS n_finite,
  m.mean AS mean,
  m.second_moment AS second_moment,
  m.low AS min,
  m.high AS max,
  m.buckets AS buckets
FROM (SELECT * FROM number_rows UNION ALL SELECT * FROM label_rows) AS m
JOIN (SELECT UNNEST($features, recursive := true)) AS f ON f.position = m.position
{% if not into %}
ORDER BY granule, segment{{ ", outcome NULLS FIRST, predicted NULLS FIRST" if cells }}, feature
{% endif %}
