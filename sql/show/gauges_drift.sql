-- The verdicts of each monitor's newest window, for a scraper. Of two windows with one end the shorter counts.
-- Grain: one row per (monitor, model_version, segment, feature, baseline). Reads: drift_timeline. Partition filter: window_end.
-- Parameters: monitors ARRAY<STRING>; since TIMESTAMP, the oldest end; every_segment BOOL, else all rows together.
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  d.segment AS segment,
  d.feature AS feature,
  d.baseline AS baseline,
  d.status AS status,
  CASE d.status WHEN 'drift' THEN 1 WHEN 'ok' THEN 0 END AS is_drift,
  d.metric AS metric,
  d.value AS value,
  d.threshold AS threshold,
  d.lower AS lower,
  d.drift_score AS drift_score
FROM {{ table("drift_timeline") }} AS d
WHERE d.monitor IN UNNEST(@monitors)
  AND d.window_end >= @since
  AND (@every_segment OR d.segment = 'all')
QUALIFY RANK() OVER (PARTITION BY d.monitor ORDER BY d.window_end DESC) = 1
  AND ROW_NUMBER() OVER (
    PARTITION BY d.monitor, d.model_version, d.segment, d.feature, d.baseline ORDER BY d.window_end DESC, d.window_start DESC
  ) = 1
ORDER BY monitor, model_version, segment, feature, baseline
