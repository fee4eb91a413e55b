-- What is still to be sent, in the order in which it was written.
-- Grain: one row per notification_id. Reads: notifications_latest; all rows of the monitor: created_at is looked at after the newest are found.
-- Parameters: monitor STRING, start TIMESTAMP.
SELECT
  n.notification_id AS notification_id,
  n.channel AS channel,
  n.attempt AS attempt,
  n.not_before AS not_before,
  n.held_until AS held_until,
  n.severity AS severity,
  n.n_alerts AS n_alerts,
  n.payload AS payload,
  n.position AS position,
  n.created_at AS created_at
FROM {{ table("notifications_latest") }} AS n
WHERE n.monitor = @monitor AND n.created_at >= @start AND n.status IN ('pending', 'failed')
ORDER BY created_at, position, notification_id
