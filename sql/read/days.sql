-- The counts of a healthy stretch, granule by granule. Grain: one row per (reference_id, segment, feature, granule).
-- Reads: production_histograms_latest. Partition filter: granule. Parameters: monitor, scan_definition_id STRING; start, end TIMESTAMP.
SELECT
  h.reference_id AS reference_id,
  h.segment AS segment,
  h.feature AS feature,
  h.granule AS granule,
  h.buckets AS buckets
FROM {{ table("production_histograms_latest") }} AS h
WHERE h.monitor = @monitor
  AND h.segment = 'all'
  AND h.scan_definition_id = @scan_definition_id
  AND h.granule >= @start
  AND h.granule < @end
  AND h.n_rows > 0
ORDER BY reference_id, segment, feature, granule
