-- The newest counts of each granule: all segments of a feature are counted at once, so that one that is gone has no count.
-- Superseded counts (late rows) stay in production_histograms.
-- Grain: one row per (monitor, reference_id, scan_definition_id, granule, segment, feature). Reads: production_histograms.
SELECT
  h.monitor AS monitor,
  h.model_version AS model_version,
  h.reference_id AS reference_id,
  h.scan_definition_id AS scan_definition_id,
  h.granule AS granule,
  h.segment AS segment,
  h.feature AS feature,
  h.n_rows AS n_rows,
  h.n_null AS n_null,
  h.n_finite AS n_finite,
  h.mean AS mean,
  h.second_moment AS second_moment,
  h.min AS min,
  h.max AS max,
  h.buckets AS buckets,
  h.data_version AS data_version,
  h.computed_at AS computed_at,
  h.run_id AS run_id
FROM {{ table("production_histograms") }} AS h
WHERE TRUE
QUALIFY RANK() OVER (
  PARTITION BY h.monitor, h.reference_id, h.scan_definition_id, h.granule, h.feature
  ORDER BY h.computed_at DESC, h.run_id DESC
) = 1
