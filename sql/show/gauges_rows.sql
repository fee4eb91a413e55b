-- The rows of each monitor's newest window, as they were checked, for a scraper. Of two windows with one end the shorter counts.
-- Grain: one row per (monitor, model_version). Reads: quality_latest. Partition filter: window_end.
-- Parameters: monitors ARRAY<STRING>; since TIMESTAMP, the oldest end.
SELECT
  q.monitor AS monitor,
  q.model_version AS model_version,
  q.n_rows AS n_rows
FROM {{ table("quality_latest") }} AS q
WHERE q.monitor IN UNNEST(@monitors) AND q.window_end >= @since AND q.check_name = 'volume'
QUALIFY RANK() OVER (PARTITION BY q.monitor ORDER BY q.window_end DESC) = 1
  AND ROW_NUMBER() OVER (PARTITION BY q.monitor, q.model_version ORDER BY q.window_end DESC, q.window_start DESC) = 1
ORDER BY monitor, model_version
