-- The partitions of a log: how many rows each has, and when it was last written to. Reads metadata only, no byte of the log.
-- Grain: one row per partition. Reads: INFORMATION_SCHEMA.PARTITIONS of the log's dataset. Parameters: table_name STRING.
SELECT
  p.partition_id AS partition_id,
  p.total_rows AS total_rows,
  p.last_modified_time AS last_modified_time
FROM {{ source }} AS p
WHERE p.table_name = @table_name
ORDER BY partition_id
