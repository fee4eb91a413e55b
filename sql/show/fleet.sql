-- Every monitor of the warehouse at a glance: its health, what is open, when it last ran, what it has cost this month.
-- A monitor that ran but never judged a window has a row without health.
-- Grain: one row per (monitor, model_version). Reads: model_health, open_alerts, run_costs. Parameters: none.
WITH last_run AS (
  SELECT
    c.monitor AS monitor,
    c.finished_at AS last_finished_at,
    c.as_of AS last_as_of,
    c.n_windows_left AS n_windows_left,
    c.month_to_date_cost AS month_to_date_cost
  FROM {{ table("run_costs") }} AS c
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY c.monitor ORDER BY c.is_backfill, c.started_at DESC, c.run_id DESC) = 1
),
standing AS (
  SELECT
    a.monitor AS monitor,
    COUNT(*) AS n_open,
    COUNTIF(a.severity = 'critical') AS n_critical,
    CASE
      WHEN COUNTIF(a.severity = 'critical') > 0 THEN 'critical'
      WHEN COUNTIF(a.severity = 'warning') > 0 THEN 'warning'
      ELSE 'info'
    END AS severity
  FROM {{ table("open_alerts") }} AS a
  GROUP BY a.monitor
)
SELECT
  r.monitor AS monitor,
  h.model_version AS model_version,
  h.window_start AS window_start,
  h.window_end AS window_end,
  h.n_features AS n_features,
  h.n_ok AS n_ok,
  h.n_drift AS n_drift,
  h.n_not_evaluated AS n_not_evaluated,
  h.share_drifted AS share_drifted,
  h.features_health AS features_health,
  h.prediction_health AS prediction_health,
  h.performance_health AS performance_health,
  h.concept_health AS concept_health,
  h.quality_health AS quality_health,
  h.health AS health,
  COALESCE(s.n_open, 0) AS n_open,
  COALESCE(s.n_critical, 0) AS n_critical,
  s.severity AS severity,
  r.last_finished_at AS last_finished_at,
  r.last_as_of AS last_as_of,
  r.n_windows_left AS n_windows_left,
  r.month_to_date_cost AS month_to_date_cost
FROM last_run AS r
LEFT JOIN {{ table("model_health") }} AS h ON h.monitor = r.monitor
LEFT JOIN standing AS s ON s.monitor = r.monitor
ORDER BY monitor, model_version
