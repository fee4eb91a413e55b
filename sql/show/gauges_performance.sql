-- How good the answers are, for a scraper: realised in the newest window whose outcomes have come, the rest in the newest window of all.
-- Of two windows with one end the shorter counts. accuracy_drift is what realised accuracy has lost since training.
-- Grain: one row per (monitor, model_version, segment, basis, metric). Reads: performance_latest. Partition filter: window_end.
-- Parameters: monitors ARRAY<STRING>; since TIMESTAMP, the oldest end; every_segment BOOL, else all rows together.
SELECT
  p.monitor AS monitor,
  p.model_version AS model_version,
  p.segment AS segment,
  p.basis AS basis,
  p.metric AS metric,
  p.window_end AS window_end,
  p.status AS status,
  CASE WHEN p.rule IS NULL THEN NULL WHEN p.status = 'drift' THEN 1 WHEN p.status = 'ok' THEN 0 END AS is_broken,
  p.value AS value,
  p.lower AS lower,
  p.upper AS upper,
  p.reference_value AS reference_value,
  IF(p.basis = 'realised' AND p.metric = 'accuracy', p.reference_value - p.value, NULL) AS accuracy_drift,
  p.bins AS bins
FROM {{ table("performance_latest") }} AS p
WHERE p.monitor IN UNNEST(@monitors)
  AND p.window_end >= @since
  AND (p.basis != 'realised' OR NOT p.is_provisional)
  AND (@every_segment OR p.segment = 'all')
QUALIFY RANK() OVER (PARTITION BY p.monitor, p.basis = 'realised' ORDER BY p.window_end DESC) = 1
  AND ROW_NUMBER() OVER (
    PARTITION BY p.monitor, p.model_version, p.segment, p.basis, p.metric ORDER BY p.window_end DESC, p.window_start DESC
  ) = 1
ORDER BY monitor, model_version, segment, basis, metric
