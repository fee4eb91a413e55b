-- Which granules are counted, in how many rows each, and since when; a scan that was cut off leaves fewer features, or some with
-- older counts: `computed_at` is the oldest of them. Grain: one row per (reference_id, granule).
-- Reads: production_histograms_latest. Partition filter: granule. Parameters: monitor, scan_definition_id, start, end.
SELECT
  h.reference_id AS reference_id,
  h.granule AS granule,
  MAX(h.n_rows) AS n_rows,
  MIN(h.n_rows) AS least_n_rows,
  COUNT(*) AS n_features,
  MIN(h.computed_at) AS computed_at
FROM {{ table("production_histograms_latest") }} AS h
WHERE h.monitor = @monitor
  AND h.segment = 'all'
  AND h.scan_definition_id = @scan_definition_id
  AND h.granule >= @start
  AND h.granule < @end
GROUP BY h.reference_id, h.granule
ORDER BY reference_id, granule
