-- The newest judgement of each window's answers. Restated ones supersede as a whole; the older rows stay in performance_results.
-- Grain: one row per (monitor, model_version, window, segment, basis, metric). Reads: performance_results.
SELECT
  p.monitor AS monitor,
  p.model_version AS model_version,
  p.reference_id AS reference_id,
  p.scan_definition_id AS scan_definition_id,
  p.run_id AS run_id,
  p.computed_at AS computed_at,
  p.window_start AS window_start,
  p.window_end AS window_end,
  p.segment AS segment,
  p.basis AS basis,
  p.metric AS metric,
  p.verdict_key AS verdict_key,
  p.is_provisional AS is_provisional,
  p.status AS status,
  p.reason AS reason,
  p.value AS value,
  p.lower AS lower,
  p.upper AS upper,
  p.bound AS bound,
  p.reference_value AS reference_value,
  p.n_rows AS n_rows,
  p.n_labelled AS n_labelled,
  p.n AS n,
  p.rule AS rule,
  p.p_value AS p_value,
  p.p_adjusted AS p_adjusted,
  p.alpha AS alpha,
  p.explanation AS explanation,
  p.confusion AS confusion,
  p.bins AS bins
FROM {{ table("performance_results") }} AS p
WHERE TRUE
QUALIFY RANK() OVER (
  PARTITION BY p.monitor, p.model_version, p.window_start, p.window_end
  ORDER BY p.computed_at DESC, p.run_id DESC
) = 1
