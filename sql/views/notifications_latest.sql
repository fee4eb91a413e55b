-- How each notification stands: its newest row, with what the first one says. An attempt that was recorded twice is one; one that was
-- sent is sent, whatever another run made of it.
-- Grain: one row per notification_id. Reads: notifications.
SELECT
  n.monitor AS monitor,
  n.notification_id AS notification_id,
  n.channel AS channel,
  n.position AS position,
  n.status AS status,
  n.attempt AS attempt,
  n.not_before AS not_before,
  n.held_until AS held_until,
  n.severity AS severity,
  n.n_alerts AS n_alerts,
  said.payload AS payload,
  n.error AS error,
  n.created_at AS created_at,
  n.computed_at AS computed_at,
  n.run_id AS run_id
FROM {{ table("notifications") }} AS n
JOIN (
  SELECT p.monitor AS monitor, p.notification_id AS notification_id, MAX(p.payload) AS payload
  FROM {{ table("notifications") }} AS p
  GROUP BY p.monitor, p.notification_id
) AS said ON said.monitor = n.monitor AND said.notification_id = n.notification_id
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY n.monitor, n.notification_id
  ORDER BY n.status = 'sent' DESC, n.status = 'dead' DESC, n.attempt DESC, n.computed_at DESC, n.run_id DESC
) = 1
