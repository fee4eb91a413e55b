-- What can be picked of a monitor: its model versions, segments and baselines, and the windows that they were judged for.
-- Grain: one row per (model_version, segment, baseline). Reads: drift_results. Parameters: monitor STRING.
SELECT
  d.model_version AS model_version,
  d.segment AS segment,
  d.baseline AS baseline,
  MIN(d.window_end) AS first_end,
  MAX(d.window_end) AS last_end,
  COUNT(DISTINCT d.window_end) AS n_windows
FROM {{ table("drift_results") }} AS d
WHERE d.monitor = @monitor
GROUP BY d.model_version, d.segment, d.baseline
ORDER BY model_version, segment, baseline
