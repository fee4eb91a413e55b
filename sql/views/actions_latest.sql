-- How each action stands: the last step of it.
-- Grain: one row per action_id. Reads: actions.
SELECT
  a.monitor AS monitor,
  a.run_id AS run_id,
  a.computed_at AS computed_at,
  a.action_id AS action_id,
  a.action AS action,
  a.kind AS kind,
  a.target AS target,
  a.status AS status,
  a.alert_id AS alert_id,
  a.reason AS reason,
  a.outcome AS outcome,
  a.details AS details,
  a.created_at AS created_at
FROM {{ table("actions") }} AS a
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY a.monitor, a.action_id
  ORDER BY a.status = 'pending', a.status = 'started', a.status = 'interrupted', a.computed_at DESC, a.run_id DESC
) = 1
