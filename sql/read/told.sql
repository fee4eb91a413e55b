-- The broken limits of answers that an event has told of: all but those on outcomes of windows that were provisional.
-- Grain: one row per (window, version, segment, basis, metric). Reads: performance_latest. Partition filter: window_end.
-- Parameters: monitor STRING, start TIMESTAMP.
SELECT
  p.window_start AS window_start,
  p.window_end AS window_end,
  p.model_version AS model_version,
  p.segment AS segment,
  p.basis AS basis,
  p.metric AS metric
FROM {{ table("performance_latest") }} AS p
WHERE p.monitor = @monitor AND p.window_end > @start AND p.status = 'drift' AND (p.basis != 'realised' OR NOT p.is_provisional)
ORDER BY window_end, window_start, model_version, segment, basis, metric
