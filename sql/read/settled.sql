-- Up to where the judgements of answers are final. Grain: one row. Reads: performance_latest. Parameters: monitor STRING.
SELECT MAX(p.window_end) AS settled_to
FROM {{ table("performance_latest") }} AS p
WHERE p.monitor = @monitor AND NOT p.is_provisional
