-- What had arrived of granules when their answers were counted. Grain: one row per (reference_id, granule).
-- Reads: arrivals_latest. Partition filter: granule. Parameters: monitor, scan_definition_id STRING; start, end TIMESTAMP.
SELECT
  a.reference_id AS reference_id,
  a.granule AS granule,
  a.n_rows AS n_rows,
  a.n_ids AS n_ids,
  a.newest_row_at AS newest_row_at,
  a.n_labelled AS n_labelled,
  a.n_labels AS n_labels,
  a.n_contradictory AS n_contradictory,
  a.newest_label_at AS newest_label_at,
  a.ages AS ages,
  a.known_at AS known_at,
  a.computed_at AS computed_at
FROM {{ table("arrivals_latest") }} AS a
WHERE a.monitor = @monitor
  AND a.scan_definition_id = @scan_definition_id
  AND a.granule >= @start
  AND a.granule < @end
ORDER BY reference_id, granule
