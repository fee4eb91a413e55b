-- The events of the newest judged window of each monitor; a restated verdict replaces the events of the older one.
-- Grain: one row per (monitor, model_version, kind, segment, feature, baseline). Reads: alert_events, drift_latest.
SELECT
  a.monitor AS monitor,
  a.model_version AS model_version,
  a.window_start AS window_start,
  a.window_end AS window_end,
  a.segment AS segment,
  a.feature AS feature,
  a.baseline AS baseline,
  a.kind AS kind,
  a.severity AS severity,
  a.message AS message,
  a.computed_at AS computed_at,
  a.run_id AS run_id
FROM {{ table("alert_events") }} AS a
JOIN (
  SELECT DISTINCT
    d.monitor AS monitor,
    d.verdict_key AS verdict_key,
    d.run_id AS run_id
  FROM {{ table("drift_latest") }} AS d
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM {{ table("drift_latest") }} AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
) AS v ON v.monitor = a.monitor AND v.verdict_key = a.verdict_key AND v.run_id = a.run_id
