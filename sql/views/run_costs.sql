-- What each run cost. Grain: one row per run. Reads: runs.
SELECT
  r.monitor AS monitor,
  r.run_id AS run_id,
  r.started_at AS started_at,
  r.finished_at AS finished_at,
  r.as_of AS as_of,
  r.n_windows AS n_windows,
  r.n_granules_counted AS n_granules_counted,
  r.bytes_processed AS bytes_processed,
  r.slot_ms AS slot_ms,
  r.duration_seconds AS duration_seconds
FROM {{ table("runs") }} AS r
