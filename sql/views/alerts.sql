-- Where every alert stands: its newest event that windows (or a person who closed it) brought about, and who has
-- acknowledged or snoozed it. What a backfill observed changes nothing, nor does an event that two runs wrote: its first row counts.
-- An acknowledgement holds for its life of the alert (known by `since` and `n_reopened`), a snooze until people are told again.
-- Grain: one row per alert_id. Reads: alert_events.
SELECT
  a.monitor AS monitor,
  a.alert_id AS alert_id,
  CASE
    WHEN a.event IN ('resolved', 'closed') THEN 'resolved'
    WHEN k.alert_id IS NOT NULL THEN 'acknowledged'
    ELSE 'open'
  END AS status,
  a.event = 'unknown' AS is_unknown,
  a.event AS event,
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
  IF(a.event IN ('resolved', 'closed'), NULL, k.actor) AS acknowledged_by,
  IF(a.event IN ('resolved', 'closed'), NULL, k.note) AS note,
  s.until AS snoozed_until,
  a.computed_at AS computed_at,
  a.run_id AS run_id
FROM {{ table("alert_events") }} AS a
JOIN (
  SELECT e.monitor AS monitor, e.event_id AS event_id, MIN(e.computed_at) AS computed_at
  FROM {{ table("alert_events") }} AS e
  GROUP BY e.monitor, e.event_id
) AS written ON written.monitor = a.monitor AND written.event_id = a.event_id AND written.computed_at = a.computed_at
LEFT JOIN (
  SELECT once.monitor AS monitor, once.alert_id AS alert_id, MAX(once.computed_at) AS computed_at
  FROM (
    SELECT e.monitor AS monitor, e.alert_id AS alert_id, e.event_id AS event_id, MIN(e.computed_at) AS computed_at
    FROM {{ table("alert_events") }} AS e
    WHERE e.notify AND e.event != 'resolved'
    GROUP BY e.monitor, e.alert_id, e.event_id
  ) AS once
  GROUP BY once.monitor, once.alert_id
) AS told ON told.monitor = a.monitor AND told.alert_id = a.alert_id
LEFT JOIN (
  SELECT e.monitor AS monitor, e.alert_id AS alert_id, e.since AS since, e.n_reopened AS n_reopened, e.actor AS actor, e.note AS note
  FROM {{ table("alert_events") }} AS e
  WHERE e.event = 'acknowledged'
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY e.monitor, e.alert_id, e.since, e.n_reopened ORDER BY e.computed_at DESC, e.event_id DESC
  ) = 1
) AS k ON k.monitor = a.monitor AND k.alert_id = a.alert_id AND k.since = a.since AND k.n_reopened = a.n_reopened
LEFT JOIN (
  SELECT e.monitor AS monitor, e.alert_id AS alert_id, e.until AS until, e.computed_at AS computed_at
  FROM {{ table("alert_events") }} AS e
  WHERE e.event = 'snoozed'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY e.monitor, e.alert_id ORDER BY e.computed_at DESC, e.event_id DESC) = 1
) AS s ON s.monitor = a.monitor AND s.alert_id = a.alert_id AND s.computed_at >= COALESCE(told.computed_at, s.computed_at)
WHERE a.event NOT IN ('acknowledged', 'snoozed', 'observed')
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY a.monitor, a.alert_id
  ORDER BY a.window_end DESC, a.computed_at DESC, a.n_windows DESC, a.n_clean DESC, a.event_id DESC, a.run_id DESC
) = 1
