-- How far a monitor has come: the newest window judged, and up to where counts are complete for one coverage key.
-- Grain: one row. Reads: runs. Parameters: monitor, coverage_key STRING.
SELECT
  MAX(r.window_end) AS watermark,
  MAX(IF(r.coverage_key = @coverage_key, r.granules_to, NULL)) AS covered_to
FROM {{ table("runs") }} AS r
WHERE r.monitor = @monitor
