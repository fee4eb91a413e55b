-- The deciding metric of every feature over time, with what it is judged by.
-- Grain: one row per (monitor, model_version, window, segment, feature, baseline). Reads: drift_latest.
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  d.feature AS feature,
  d.role AS role,
  d.kind AS kind,
  d.segment AS segment,
  d.baseline AS baseline,
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.status AS status,
  d.reason AS reason,
  d.metric AS metric,
  CASE d.metric
    WHEN 'psi' THEN d.psi
    WHEN 'js_distance' THEN d.js_distance
    WHEN 'ks_statistic' THEN d.ks_statistic
    WHEN 'chi2_statistic' THEN d.chi2_statistic
  END AS value,
  d.threshold AS threshold,
  d.noise_floor AS noise_floor,
  d.lower AS lower,
  d.upper AS upper,
  d.drift_score AS drift_score,
  d.p_adjusted AS p_adjusted,
  d.n_baseline AS n_baseline,
  d.n_current AS n_current,
  d.explanation AS explanation,
  d.trend_crosses_at AS trend_crosses_at
FROM {{ table("drift_latest") }} AS d
