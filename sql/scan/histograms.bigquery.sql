-- Count each row of a log once, into the frozen buckets of a reference, per granule.
-- Grain: one row per (granule, segment, [outcome, predicted,] feature); granule is NULL where there is no time column. A row
--   counts in the segment 'all' and once in each dimension of segments.
-- Reads: the log, once, and only its monitored columns; the labels where outcomes are asked for. Partition filter: @start, @end
--   on the time column; @start, @known_at on the labels' time.
-- Parameters: edges_N ARRAY<FLOAT64> per numeric feature; features, codes (see scan.py); salt STRING;
--   start, end TIMESTAMP and timezone STRING with a time column; model_version STRING with a version column; those of segments and cells.
-- Buckets: RANGE_BUCKET's number, or a negative code for NULL, NaN, -Inf, +Inf, other, unseen (measure/histogram.py).
{% import "scan/time.bigquery.jinja" as clock %}
{% set cell = ", outcome, predicted" if cells else "" %}
{% include "scan/into.jinja" %}
WITH entries AS (
  SELECT
    {{ clock.granule(time) if time else "CAST(NULL AS TIMESTAMP)" }} AS granule,
    {{ "segment" if segments else "'all'" }} AS segment,
{% if cells %}
    {{ cells.outcome }} AS outcome,
    {{ cells.predicted }} AS predicted,
{% endif %}
    s.position AS position,
    s.number AS number,
    s.label AS label,
    CASE
      WHEN s.number IS NULL AND s.label IS NULL THEN -1
      WHEN s.number IS NULL THEN s.bucket
      WHEN IS_NAN(s.number) THEN -2
      WHEN IS_INF(s.number) THEN IF(s.number < 0, -3, -4)
      ELSE s.bucket
    END AS bucket
  FROM {{ source }} AS t
{% if labels %}
{% include "scan/labels.jinja" %}
{% endif %}
  CROSS JOIN UNNEST([
{% for f in features %}
{% if f.numeric %}
    STRUCT({{ f.position }} AS position, {{ f.value }} AS number, CAST(NULL AS STRING) AS label, RANGE_BUCKET({{ f.value }}, @edges_{{ f.position }}) AS bucket){{ "," if not loop.last }}
{% else %}
    STRUCT({{ f.position }} AS position, CAST(NULL AS FLOAT64) AS number, {{ f.value }} AS label, {{ f.fallback }} AS bucket){{ "," if not loop.last }}
{% endif %}
{% endfor %}
  ]) AS s
{% if segments %}
  CROSS JOIN UNNEST(['all', {{ segments | map(attribute="sql") | join(", ") }}]) AS segment
{% endif %}
{% include "scan/where.bigquery.jinja" %}
),
cells AS (
  SELECT
    granule,
    segment{{ cell }},
    position,
    bucket,
    label,
    COUNT(*) AS n,
    COUNTIF(bucket >= 0 AND number IS NOT NULL) AS n_finite,
    AVG(IF(bucket >= 0 AND ABS(number) <= 1e150, number, NULL)) AS mean,
    VAR_POP(IF(bucket >= 0 AND ABS(number) <= 1e150, number, NULL)) AS variance,
    COUNTIF(bucket >= 0 AND ABS(number) <= 1e150) AS n_moderate,
    MIN(IF(bucket >= 0 AND ABS(number) <= 1e150, number, NULL)) AS low,
    MAX(IF(bucket >= 0 AND ABS(number) <= 1e150, number, NULL)) AS high
  FROM entries
  GROUP BY granule, segment{{ cell }}, position, bucket, label
),
coded AS (
  SELECT
    c.* EXCEPT (bucket, label),
    COALESCE(k.bucket, c.bucket) AS bucket,
    SUM(c.mean * c.n_finite) OVER (PARTITION BY granule, segment{{ cell }}, c.position)
      / NULLIF(SUM(c.n_finite) OVER (PARTITION BY granule, segment{{ cell }}, c.position), 0) AS overall_mean
  FROM cells AS c
  LEFT JOIN UNNEST(@codes) AS k
    ON k.position = c.position AND k.hash = SUBSTR(TO_HEX(MD5(CONCAT(@salt, c.label))), 1, 16)
),
counts AS (
  SELECT
    granule,
    segment{{ cell }},
    position,
    bucket,
    SUM(n) AS n,
    SUM(n_finite) AS n_finite,
    MAX(overall_mean) AS mean,
    SUM(n_finite * (variance + POW(mean - overall_mean, 2))) AS second_moment,
    SUM(n_moderate) AS n_moderate,
    MIN(low) AS low,
    MAX(high) AS high
  FROM coded
  GROUP BY granule, segment{{ cell }}, position, bucket
),
totals AS (
  SELECT
    granule,
    segment{{ cell }},
    position,
    SUM(n) AS n_rows,
    SUM(IF(bucket = -1, n, 0)) AS n_null,
    SUM(n_finite) AS n_finite,
    IF(SUM(n_moderate) = SUM(n_finite), MAX(mean), NULL) AS mean,
    IF(SUM(n_moderate) = SUM(n_finite), SUM(second_moment), NULL) AS second_moment,
    MIN(low) AS low,
    MAX(high) AS high,
    ARRAY_AGG(STRUCT(bucket AS bucket, n AS n) ORDER BY bucket) AS buckets
  FROM counts
  GROUP BY granule, segment{{ cell }}, position
)
SELECT
{% include "scan/keys.jinja" %}
  m.granule AS granule,
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
FROM totals AS m
JOIN UNNEST(@features) AS f ON f.position = m.position
{% if not into %}
ORDER BY granule, segment{{ cell }}, feature
{% endif %}
