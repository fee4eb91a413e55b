-- The verdicts that stand: the newest key of each window. Grain: one row per key.
-- Reads: drift_latest. Partition filter: window_end. Parameters: monitor, start.
SELECT DISTINCT d.verdict_key AS verdict_key
FROM {{ table("drift_latest") }} AS d
WHERE d.monitor = @monitor AND d.window_end > @start
ORDER BY verdict_key
