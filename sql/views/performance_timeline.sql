-- How good the answers were over time, by segment: realised beside estimated and observed, with intervals and the reference's value.
-- Grain: one row per (monitor, model_version, window, segment, basis, metric). Reads: performance_latest.
SELECT
  p.monitor AS monitor,
  p.model_version AS model_version,
  p.segment AS segment,
  p.basis AS basis,
  p.metric AS metric,
  p.window_start AS window_start,
  p.window_end AS window_end,
  p.is_provisional AS is_provisional,
  p.status AS status,
  p.value AS value,
  p.lower AS lower,
  p.upper AS upper,
  p.reference_value AS reference_value,
  p.n_rows AS n_rows,
  p.n_labelled AS n_labelled,
  p.rule AS rule,
  p.explanation AS explanation
FROM {{ table("performance_latest") }} AS p
