-- The events of the newest judged window of each monitor, and of the newest whose outcomes have come; a restated verdict
-- replaces the events of the older one.
-- Grain: one row per (monitor, model_version, kind, segment, feature, baseline). Reads: alert_events, drift_latest,
-- performance_latest.
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
    d.run_id AS run_id,
    TRUE AS is_newest
  FROM {{ table("drift_latest") }} AS d
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM {{ table("drift_latest") }} AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
  UNION ALL
  SELECT DISTINCT
    p.monitor AS monitor,
    p.verdict_key AS verdict_key,
    p.run_id AS run_id,
    p.window_end = newest.window_end AS is_newest
  FROM {{ table("performance_latest") }} AS p
  JOIN (
    SELECT
      m.monitor AS monitor,
      MAX(m.window_end) AS window_end,
      MAX(IF(m.is_provisional, NULL, m.window_end)) AS settled_end
    FROM {{ table("performance_latest") }} AS m
    GROUP BY m.monitor
  ) AS newest
    ON newest.monitor = p.monitor AND (newest.window_end = p.window_end OR newest.settled_end = p.window_end)
) AS v ON v.monitor = a.monitor AND v.verdict_key = a.verdict_key AND v.run_id = a.run_id
WHERE v.is_newest OR a.kind IN ('performance', 'accuracy_drift', 'concept_drift', 'fairness')
