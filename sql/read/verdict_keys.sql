-- The verdicts that stand: the newest key of each window, and the runs that wrote it. Grain: one row per (window, version, key, run).
-- Reads: drift_latest. Partition filter: window_end. Parameters: monitor, start.
SELECT DISTINCT
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.model_version AS model_version,
  d.verdict_key AS verdict_key,
  d.run_id AS run_id
FROM {{ table("drift_latest") }} AS d
WHERE d.monitor = @monitor AND d.window_end > @start
ORDER BY window_end, window_start, model_version, verdict_key, run_id
