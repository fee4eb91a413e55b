-- The alerts that stand: those that neither clean windows nor a person ended. Acknowledged and snoozed ones are among them.
-- Grain: one row per alert_id. Reads: alerts.
SELECT
  a.monitor AS monitor,
  a.alert_id AS alert_id,
  a.status AS status,
  a.is_unknown AS is_unknown,
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
  a.sure AS sure,
  a.carrier AS carrier,
  a.acknowledged_by AS acknowledged_by,
  a.note AS note,
  a.snoozed_until AS snoozed_until,
  a.computed_at AS computed_at,
  a.run_id AS run_id
FROM {{ table("alerts") }} AS a
WHERE a.status != 'resolved'
