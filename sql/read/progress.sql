-- How far a monitor has come: the newest window judged, for one coverage key up to where counts are complete and when the last
-- run began that saw to it, and where the first window began. Backfills leave these marks as they are.
-- Grain: one row. Reads: runs, drift_results. Parameters: monitor, coverage_key STRING.
SELECT
  MAX(r.window_end) AS watermark,
  MAX(IF(r.coverage_key = @coverage_key, r.granules_to, NULL)) AS covered_to,
  MAX(IF(r.coverage_key = @coverage_key, r.started_at, NULL)) AS last_run_at,
  (SELECT MIN(d.window_start) FROM {{ table("drift_results") }} AS d WHERE d.monitor = @monitor) AS first_start
FROM {{ table("runs") }} AS r
WHERE r.monitor = @monitor AND NOT COALESCE(r.is_backfill, FALSE)
