-- The judgements of answers that stand. Grain: one row per (window, version, key, run).
-- Reads: performance_latest. Partition filter: window_end. Parameters: monitor STRING, start TIMESTAMP.
SELECT DISTINCT
  p.window_start AS window_start,
  p.window_end AS window_end,
  p.model_version AS model_version,
  p.verdict_key AS verdict_key,
  p.run_id AS run_id
FROM {{ table("performance_latest") }} AS p
WHERE p.monitor = @monitor AND p.window_end > @start
ORDER BY window_end, window_start, model_version, verdict_key, run_id
