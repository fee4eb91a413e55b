-- The histograms of windows: sums of stored granules, moments merged with Chan's formula.
-- Grain: one row per (window_id, segment, feature). Reads: production_histograms_latest. Partition filter: granule.
-- Parameters: monitor, scan_definition_id STRING; windows ARRAY<STRUCT<window_id, reference_id, start_at, end_at>>; start, end TIMESTAMP.
WITH granules AS (
  SELECT
    w.window_id AS window_id,
    h.segment AS segment,
    h.feature AS feature,
    h.n_rows AS n_rows,
    h.n_null AS n_null,
    h.n_finite AS n_finite,
    h.mean AS mean,
    h.second_moment AS second_moment,
    h.min AS min,
    h.max AS max,
    h.buckets AS buckets
  FROM {{ table("production_histograms_latest") }} AS h
  JOIN UNNEST(@windows) AS w
    ON h.reference_id = w.reference_id AND h.granule >= w.start_at AND h.granule < w.end_at
  WHERE h.monitor = @monitor
    AND h.scan_definition_id = @scan_definition_id
    AND h.granule >= @start
    AND h.granule < @end
),
means AS (
  SELECT
    g.window_id AS window_id,
    g.segment AS segment,
    g.feature AS feature,
    SUM(g.n_rows) AS n_rows,
    SUM(g.n_null) AS n_null,
    SUM(g.n_finite) AS n_finite,
    COUNTIF(g.n_finite > 0 AND g.mean IS NULL) AS n_without_mean,
    SUM(g.mean * g.n_finite) / NULLIF(SUM(g.n_finite), 0) AS mean,
    MIN(g.min) AS min,
    MAX(g.max) AS max
  FROM granules AS g
  GROUP BY g.window_id, g.segment, g.feature
),
spreads AS (
  SELECT
    g.window_id AS window_id,
    g.segment AS segment,
    g.feature AS feature,
    SUM(g.second_moment + g.n_finite * POW(g.mean - m.mean, 2)) AS second_moment
  FROM granules AS g
  JOIN means AS m ON m.window_id = g.window_id AND m.segment = g.segment AND m.feature = g.feature
  GROUP BY g.window_id, g.segment, g.feature
),
bucket_counts AS (
  SELECT
    g.window_id AS window_id,
    g.segment AS segment,
    g.feature AS feature,
    b.bucket AS bucket,
    SUM(b.n) AS n
  FROM granules AS g
  CROSS JOIN UNNEST(g.buckets) AS b
  GROUP BY g.window_id, g.segment, g.feature, b.bucket
),
histograms AS (
  SELECT
    c.window_id AS window_id,
    c.segment AS segment,
    c.feature AS feature,
    ARRAY_AGG(STRUCT(c.bucket AS bucket, c.n AS n) ORDER BY c.bucket) AS buckets
  FROM bucket_counts AS c
  GROUP BY c.window_id, c.segment, c.feature
)
SELECT
  m.window_id AS window_id,
  m.segment AS segment,
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
JOIN spreads AS s ON s.window_id = m.window_id AND s.segment = m.segment AND s.feature = m.feature
JOIN histograms AS h ON h.window_id = m.window_id AND h.segment = m.segment AND h.feature = m.feature
ORDER BY window_id, segment, feature
