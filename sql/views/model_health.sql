-- Health of each monitor in its newest judged window, by model version; a feature is as bad as its worst baseline says.
-- Grain: one row per (monitor, model_version). Reads: drift_latest.
SELECT
  f.monitor AS monitor,
  f.model_version AS model_version,
  MIN(f.window_start) AS window_start,
  f.window_end AS window_end,
  COUNT(*) AS n_features,
  COUNTIF(f.status = 'ok') AS n_ok,
  COUNTIF(f.status = 'drift') AS n_drift,
  COUNTIF(f.status = 'not_evaluated') AS n_not_evaluated,
  SAFE_DIVIDE(COUNTIF(f.status = 'drift'), COUNTIF(f.status IN ('ok', 'drift'))) AS share_drifted,
  CAST(ROUND(100 * SAFE_DIVIDE(COUNTIF(f.status = 'ok'), COUNTIF(f.status IN ('ok', 'drift')))) AS INT64) AS health,
  MAX(f.computed_at) AS computed_at
FROM (
  SELECT
    d.monitor AS monitor,
    d.model_version AS model_version,
    MIN(d.window_start) AS window_start,
    d.window_end AS window_end,
    IF(COUNTIF(d.status = 'drift') > 0, 'drift', IF(COUNTIF(d.status = 'ok') > 0, 'ok', 'not_evaluated')) AS status,
    MAX(d.computed_at) AS computed_at
  FROM {{ table("drift_latest") }} AS d
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM {{ table("drift_latest") }} AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
  WHERE d.segment = 'all'
  GROUP BY d.monitor, d.model_version, d.window_end, d.segment, d.feature
) AS f
GROUP BY f.monitor, f.model_version, f.window_end
