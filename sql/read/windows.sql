-- The histograms of windows: sums of stored granules, moments merged with Chan's formula.
-- Grain: one row per (window_id, {{ keys | join(", ") }}, feature). Reads: {{ counts }}. Partition filter: granule.
-- Parameters: monitor, scan_definition_id STRING; windows ARRAY<STRUCT<window_id, reference_id, start_at, end_at>>; start, end TIMESTAMP.
{% macro same(a, b) -%}
{{ a }}.window_id = {{ b }}.window_id AND {{ a }}.feature = {{ b }}.feature
{%- for key in keys %} AND {{ a }}.{{ key }} IS NOT DISTINCT FROM {{ b }}.{{ key }}{% endfor %}
{%- endmacro %}
{% macro own(alias) -%}
{{ alias }}.window_id, {{ alias }}.feature{% for key in keys %}, {{ alias }}.{{ key }}{% endfor %}
{%- endmacro %}
WITH granules AS (
  SELECT
    w.window_id AS window_id,
{% for key in keys %}
    h.{{ key }} AS {{ key }},
{% endfor %}
    h.feature AS feature,
    h.n_rows AS n_rows,
    h.n_null AS n_null,
    h.n_finite AS n_finite,
    h.mean AS mean,
    h.second_moment AS second_moment,
    h.min AS min,
    h.max AS max,
    h.buckets AS buckets
  FROM {{ table(counts) }} AS h
  JOIN UNNEST(@windows) AS w
    ON h.reference_id = w.reference_id AND h.granule >= w.start_at AND h.granule < w.end_at
  WHERE h.monitor = @monitor
    AND h.scan_definition_id = @scan_definition_id
    AND h.granule >= @start
    AND h.granule < @end
),
means AS (
  SELECT
    {{ own("g") }},
    SUM(g.n_rows) AS n_rows,
    SUM(g.n_null) AS n_null,
    SUM(g.n_finite) AS n_finite,
    COUNTIF(g.n_finite > 0 AND g.mean IS NULL) AS n_without_mean,
    SUM(g.mean * g.n_finite) / NULLIF(SUM(g.n_finite), 0) AS mean,
    MIN(g.min) AS min,
    MAX(g.max) AS max
  FROM granules AS g
  GROUP BY {{ own("g") }}
),
spreads AS (
  SELECT
    {{ own("g") }},
    SUM(g.second_moment + g.n_finite * POW(g.mean - m.mean, 2)) AS second_moment
  FROM granules AS g
  JOIN means AS m ON {{ same("m", "g") }}
  GROUP BY {{ own("g") }}
),
bucket_counts AS (
  SELECT
    {{ own("g") }},
    b.bucket AS bucket,
    SUM(b.n) AS n
  FROM granules AS g
  CROSS JOIN UNNEST(g.buckets) AS b
  GROUP BY {{ own("g") }}, b.bucket
),
histograms AS (
  SELECT
    {{ own("c") }},
    ARRAY_AGG(STRUCT(c.bucket AS bucket, c.n AS n) ORDER BY c.bucket) AS buckets
  FROM bucket_counts AS c
  GROUP BY {{ own("c") }}
)
SELECT
  m.window_id AS window_id,
{% for key in keys %}
  m.{{ key }} AS {{ key }},
{% endfor %}
  m.feature AS feature,
  m.n_rows AS n_rows,
  m.n_null AS n_null,
  m.n_finite AS n_finite,
  IF(m.n_without_mean = 0, m.mean, NULL) AS mean,
  IF(m.n_without_mean = 0, s.second_moment, NULL) AS second_moment,
  m.min AS min,
  m.max AS max,
  h.buckets AS buckets
FROM means AS m
JOIN spreads AS s ON {{ same("s", "m") }}
JOIN histograms AS h ON {{ same("h", "m") }}
ORDER BY window_id, {{ keys | join(", ") }}, feature
