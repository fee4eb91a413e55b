-- The verdicts of earlier windows, by series. Grain: one row per (window, version, segment, feature, baseline).
-- Reads: drift_latest. Partition filter: window_end. Parameters: monitor STRING; start, end TIMESTAMP.
SELECT
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.reference_id AS reference_id,
  d.model_version AS model_version,
  d.segment AS segment,
  d.feature AS feature,
  d.baseline AS baseline,
  d.status AS status,
  d.drift_score AS drift_score
FROM {{ table("drift_latest") }} AS d
WHERE d.monitor = @monitor AND d.window_end > @start AND d.window_end <= @end
