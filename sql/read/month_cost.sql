-- What a monitor has cost since a moment. Grain: one row. Reads: runs. Partition filter: started_at.
-- Parameters: monitor STRING, month_start TIMESTAMP.
SELECT COALESCE(SUM(COALESCE(r.bytes_billed, r.bytes_processed)), 0) AS bytes_billed
FROM {{ table("runs") }} AS r
WHERE r.monitor = @monitor AND r.started_at >= @month_start
