-- What each run cost, and what its monitor has cost this month. Grain: one row per run. Reads: runs.
SELECT
  r.monitor AS monitor,
  r.run_id AS run_id,
  r.started_at AS started_at,
  r.finished_at AS finished_at,
  r.as_of AS as_of,
  COALESCE(r.is_backfill, FALSE) AS is_backfill,
  r.n_windows AS n_windows,
  r.n_windows_left AS n_windows_left,
  r.n_granules_counted AS n_granules_counted,
  r.bytes_processed AS bytes_processed,
  r.bytes_billed AS bytes_billed,
  r.cost AS cost,
  r.slot_ms AS slot_ms,
  r.duration_seconds AS duration_seconds,
  SUM(r.cost) OVER (
    PARTITION BY r.monitor, EXTRACT(YEAR FROM r.started_at), EXTRACT(MONTH FROM r.started_at)
    ORDER BY r.started_at, r.run_id
  ) AS month_to_date_cost
FROM {{ table("runs") }} AS r
