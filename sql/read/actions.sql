-- The actions that a monitor has fired since a moment, or has still to.
-- Grain: one row per action_id. Reads: actions_latest, all rows of the monitor. Parameters: monitor STRING, start TIMESTAMP.
SELECT
  a.run_id AS run_id,
  a.action_id AS action_id,
  a.action AS action,
  a.kind AS kind,
  a.target AS target,
  a.status AS status,
  a.alert_id AS alert_id,
  a.reason AS reason,
  a.details AS details,
  a.computed_at AS computed_at,
  a.created_at AS created_at
FROM {{ table("actions_latest") }} AS a
WHERE a.monitor = @monitor AND a.created_at >= @start
ORDER BY created_at, action_id
