-- The last run of monitors, for a scraper; of backfills only where there was nothing else.
-- Grain: one row per monitor. Reads: run_costs. Parameters: monitors ARRAY<STRING>.
SELECT
  c.monitor AS monitor,
  c.finished_at AS finished_at,
  c.n_windows_left AS n_windows_left,
  c.bytes_billed AS bytes_billed,
  c.month_to_date_cost AS month_to_date_cost
FROM {{ table("run_costs") }} AS c
WHERE c.monitor IN UNNEST(@monitors)
QUALIFY ROW_NUMBER() OVER (PARTITION BY c.monitor ORDER BY c.is_backfill, c.started_at DESC, c.run_id DESC) = 1
ORDER BY monitor
