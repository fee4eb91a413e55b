-- The rows of windows, as they were checked. Grain: one row per (window, version).
-- Reads: quality_latest. Partition filter: window_end. Parameters: monitor STRING; start, end TIMESTAMP.
SELECT
  q.window_start AS window_start,
  q.window_end AS window_end,
  q.model_version AS model_version,
  q.n_rows AS n_rows
FROM {{ table("quality_latest") }} AS q
WHERE q.monitor = @monitor AND q.check_name = 'volume' AND q.window_end > @start AND q.window_end <= @end
ORDER BY window_end, window_start, model_version
