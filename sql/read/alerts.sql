-- Where the alerts of a monitor stand, all that there ever were.
-- Grain: one row per alert_id. Reads: alerts. Parameters: monitor STRING.
SELECT
  a.alert_id AS alert_id,
  a.status AS status,
  a.kind AS kind,
  a.severity AS severity,
  a.message AS message,
  a.measure AS measure,
  a.feature AS feature,
  a.segment AS segment,
  a.baseline AS baseline,
  a.model_version AS model_version,
  a.since AS since,
  a.window_start AS window_start,
  a.window_end AS window_end,
  a.n_windows AS n_windows,
  a.n_clean AS n_clean,
  a.n_reopened AS n_reopened,
  a.told_end AS told_end,
  a.sure AS sure,
  a.carrier AS carrier,
  a.acknowledged_by AS acknowledged_by,
  a.snoozed_until AS snoozed_until,
  a.event AS event
FROM {{ table("alerts") }} AS a
WHERE a.monitor = @monitor
ORDER BY alert_id
