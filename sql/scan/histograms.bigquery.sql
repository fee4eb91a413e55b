-- Count each row of a log once, into the frozen buckets of a reference, per granule.
-- Grain: one row per (granule, segment, feature); granule is NULL where there is no time column.
-- Reads: the log, once, and only its monitored columns. Partition filter: @start, @end on the time column.
-- Parameters: edges_N ARRAY<FLOAT64> per numeric feature; features, codes (see scan.py); salt STRING;
--   start, end TIMESTAMP and timezone STRING with a time column; model_version STRING with a version column.
-- Buckets: RANGE_BUCKET's number, or a negative code for NULL, NaN, -Inf, +Inf, other, unseen (measure/histogram.py).
{% import "scan/time.bigquery.jinja" as clock %}
{% include "scan/into.jinja" %}
WITH entries AS (
  SELECT
    {{ clock.granule(time) if time else "CAST(NULL AS TIMESTAMP)" }} AS granule,
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
  CROSS JOIN UNNEST([
{% for f in features %}
{% if f.numeric %}
    STRUCT({{ f.position }} AS position, {{ f.value }} AS number, CAST(NULL AS STRING) AS label, RANGE_BUCKET({{ f.value }}, @edges_{{ f.position }}) AS bucket){{ "," if not loop.last }}
{% else %}
    STRUCT({{ f.position }} AS position, CAST(NULL AS FLOAT64) AS number, {{ f.value }} AS label, {{ f.fallback }} AS bucket){{ "," if not loop.last }}
{% endif %}
{% endfor %}
  ]) AS s
{% include "scan/where.bigquery.jinja" %}
),
cells AS (
  SELECT
    e.granule AS granule,
    e.position AS position,
    e.bucket AS bucket,
    e.label AS label,
    COUNT(*) AS n,
    COUNTIF(e.bucket >= 0 AND e.number IS NOT NULL) AS n_finite,
    AVG(IF(e.bucket >= 0 AND ABS(e.number) <= 1e150, e.number, NULL)) AS mean,
    VAR_POP(IF(e.bucket >= 0 AND ABS(e.number) <= 1e150, e.number, NULL)) AS variance,
    COUNTIF(e.bucket >= 0 AND ABS(e.number) <= 1e150) AS n_moderate,
    MIN(IF(e.bucket >= 0 AND ABS(e.number) <= 1e150, e.number, NULL)) AS low,
    MAX(IF(e.bucket >= 0 AND ABS(e.number) <= 1e150, e.number, NULL)) AS high
  FROM entries AS e
  GROUP BY granule, position, bucket, label
),
coded AS (
  SELECT
    c.granule AS granule,
    c.position AS position,
    COALESCE(k.bucket, c.bucket) AS bucket,
    c.n AS n,
    c.n_finite AS n_finite,
    c.mean AS mean,
    c.variance AS variance,
    c.n_moderate AS n_moderate,
    c.low AS low,
    c.high AS high,
    SUM(c.mean * c.n_finite) OVER (PARTITION BY c.granule, c.position)
      / NULLIF(SUM(c.n_finite) OVER (PARTITION BY c.granule, c.position), 0) AS overall_mean
  FROM cells AS c
  LEFT JOIN UNNEST(@codes) AS k
    ON k.position = c.position AND k.hash = SUBSTR(TO_HEX(MD5(CONCAT(@salt, c.label))), 1, 16)
),
moments AS (
  SELECT
    d.granule AS granule,
    d.position AS position,
    SUM(d.n) AS n_rows,
    SUM(IF(d.bucket = -1, d.n, 0)) AS n_null,
    SUM(d.n_finite) AS n_finite,
    MAX(d.overall_mean) AS mean,
    SUM(d.n_finite * (d.variance + POW(d.mean - d.overall_mean, 2))) AS second_moment,
    SUM(d.n_moderate) AS n_moderate,
    MIN(d.low) AS low,
    MAX(d.high) AS high
  FROM coded AS d
  GROUP BY granule, position
),
counts AS (
  SELECT granule, position, ARRAY_AGG(STRUCT(bucket AS bucket, n AS n) ORDER BY bucket) AS buckets
  FROM (
    SELECT d.granule AS granule, d.position AS position, d.bucket AS bucket, SUM(d.n) AS n
    FROM coded AS d
    GROUP BY granule, position, bucket
  )
  GROUP BY granule, position
)
SELECT
{% include "scan/keys.jinja" %}
  m.granule AS granule,
  'all' AS segment,
  f.feature AS feature,
  m.n_rows AS n_rows,
  m.n_null AS n_null,
  m.n_finite AS n_finite,
  IF(m.n_moderate = m.n_finite, m.mean, NULL) AS mean,
  IF(m.n_moderate = m.n_finite, m.second_moment, NULL) AS second_moment,
  m.low AS min,
  m.high AS max,
  c.buckets AS buckets
FROM moments AS m
JOIN counts AS c ON c.position = m.position AND (c.granule = m.granule OR (c.granule IS NULL AND m.granule IS NULL))
JOIN UNNEST(@features) AS f ON f.position = m.position
{% if not into %}
ORDER BY granule, feature
{% endif %}
