-- The newest checks of each window's data. Restated ones supersede as a whole; the older rows stay in quality_results.
-- Grain: one row per (monitor, model_version, window, check_name, feature). Reads: quality_results.
SELECT
  q.monitor AS monitor,
  q.model_version AS model_version,
  q.reference_id AS reference_id,
  q.run_id AS run_id,
  q.computed_at AS computed_at,
  q.window_start AS window_start,
  q.window_end AS window_end,
  q.check_name AS check_name,
  q.feature AS feature,
  q.verdict_key AS verdict_key,
  q.status AS status,
  q.reason AS reason,
  q.value AS value,
  q.reference_value AS reference_value,
  q.limit_value AS limit_value,
  q.n_rows AS n_rows,
  q.explanation AS explanation
FROM {{ table("quality_results") }} AS q
WHERE TRUE
QUALIFY RANK() OVER (
  PARTITION BY q.monitor, q.model_version, q.window_start, q.window_end
  ORDER BY q.computed_at DESC, q.run_id DESC
) = 1
