-- The newest counts by outcome and prediction of each granule: those of the counting that arrivals_latest names.
-- Grain: one row per (monitor, reference_id, scan_definition_id, granule, segment, outcome, predicted, feature).
-- Reads: outcome_histograms, arrivals_latest.
SELECT
  h.monitor AS monitor,
  h.model_version AS model_version,
  h.reference_id AS reference_id,
  h.scan_definition_id AS scan_definition_id,
  h.granule AS granule,
  h.segment AS segment,
  h.outcome AS outcome,
  h.predicted AS predicted,
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
FROM {{ table("outcome_histograms") }} AS h
JOIN {{ table("arrivals_latest") }} AS a
  ON a.monitor = h.monitor AND a.model_version = h.model_version AND a.reference_id = h.reference_id
  AND a.scan_definition_id = h.scan_definition_id AND a.granule = h.granule AND a.data_version = h.data_version
WHERE TRUE
QUALIFY RANK() OVER (
  PARTITION BY h.monitor, h.reference_id, h.scan_definition_id, h.granule, h.feature
  ORDER BY h.computed_at DESC, h.run_id DESC
) = 1
