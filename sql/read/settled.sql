-- Up to where the judgements of answers under one definition are final, and whether there are any under others. What backfills
-- judged moves no mark. Grain: one row. Reads: performance_latest, runs. Parameters: monitor, scan_definition_id STRING.
SELECT
  MAX(IF(p.scan_definition_id = @scan_definition_id AND NOT p.is_provisional, p.window_end, NULL)) AS settled_to,
  COALESCE(LOGICAL_OR(p.scan_definition_id != @scan_definition_id), FALSE) AS was_redefined
FROM {{ table("performance_latest") }} AS p
JOIN {{ table("runs") }} AS r ON r.monitor = p.monitor AND r.run_id = p.run_id
WHERE p.monitor = @monitor AND NOT COALESCE(r.is_backfill, FALSE)
