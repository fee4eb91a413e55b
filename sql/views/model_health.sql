-- Health of each monitor in its newest judged window, by model version.
-- Grain: one row per (monitor, model_version). Reads: drift_latest.
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  MIN(d.window_start) AS window_start,
  d.window_end AS window_end,
  COUNT(*) AS n_features,
  COUNTIF(d.status = 'ok') AS n_ok,
  COUNTIF(d.status = 'drift') AS n_drift,
  COUNTIF(d.status = 'not_evaluated') AS n_not_evaluated,
  SAFE_DIVIDE(COUNTIF(d.status = 'drift'), COUNTIF(d.status IN ('ok', 'drift'))) AS share_drifted,
  CAST(ROUND(100 * SAFE_DIVIDE(COUNTIF(d.status = 'ok'), COUNTIF(d.status IN ('ok', 'drift')))) AS INT64) AS health,
  MAX(d.computed_at) AS computed_at
FROM {{ table("drift_latest") }} AS d
JOIN (
  SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
  FROM {{ table("drift_latest") }} AS m
  GROUP BY m.monitor
) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
GROUP BY d.monitor, d.model_version, d.window_end
