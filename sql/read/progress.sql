-- How far a monitor has come: the newest window judged, up to where counts are complete for one coverage key, and where
-- its first window began. Grain: one row. Reads: runs, drift_results. Parameters: monitor, coverage_key STRING.
SELECT
  MAX(r.window_end) AS watermark,
  MAX(IF(r.coverage_key = @coverage_key, r.granules_to, NULL)) AS covered_to,
  (SELECT MIN(d.window_start) FROM {{ table("drift_results") }} AS d WHERE d.monitor = @monitor) AS first_start
FROM {{ table("runs") }} AS r
WHERE r.monitor = @monitor
