-- How much each coarse bucket of a feature adds to its PSI in each window.
-- Grain: one row per (verdict of drift_latest, coarse bucket). Reads: drift_latest.
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.segment AS segment,
  d.feature AS feature,
  d.baseline AS baseline,
  d.status AS status,
  c.bucket AS bucket,
  c.baseline_share AS baseline_share,
  c.current_share AS current_share,
  c.psi AS psi_contribution
FROM {{ table("drift_latest") }} AS d
CROSS JOIN UNNEST(d.contributions) AS c
