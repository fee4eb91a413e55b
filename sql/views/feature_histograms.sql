-- Reference beside production, per granule and bucket.
-- Grain: one row per (monitor, reference_id, scan definition, granule, segment, feature, bucket of the reference).
-- Reads: reference_histograms, production_histograms_latest.
SELECT
  h.monitor AS monitor,
  h.model_version AS model_version,
  h.reference_id AS reference_id,
  h.scan_definition_id AS scan_definition_id,
  h.feature AS feature,
  h.segment AS segment,
  h.granule AS granule,
  b.bucket AS bucket,
  b.label AS bucket_name,
  b.lower AS lower,
  b.upper AS upper,
  b.n AS reference_n,
  SAFE_DIVIDE(b.n, r.n_rows) AS reference_share,
  COALESCE(p.n, 0) AS production_n,
  SAFE_DIVIDE(COALESCE(p.n, 0), h.n_rows) AS production_share
FROM {{ table("production_histograms_latest") }} AS h
JOIN {{ table("reference_histograms") }} AS r
  ON r.monitor = h.monitor AND COALESCE(r.baseline, 'training') = 'training' AND r.reference_id = h.reference_id AND r.segment = h.segment
  AND r.feature = h.feature AND r.role NOT IN ('answer', 'joint')
CROSS JOIN UNNEST(r.buckets) AS b
LEFT JOIN (
  SELECT
    q.monitor AS monitor,
    q.reference_id AS reference_id,
    q.scan_definition_id AS scan_definition_id,
    q.granule AS granule,
    q.segment AS segment,
    q.feature AS feature,
    c.bucket AS bucket,
    c.n AS n
  FROM {{ table("production_histograms_latest") }} AS q
  CROSS JOIN UNNEST(q.buckets) AS c
) AS p
  ON p.monitor = h.monitor AND p.reference_id = h.reference_id AND p.scan_definition_id = h.scan_definition_id
  AND p.granule = h.granule AND p.segment = h.segment AND p.feature = h.feature AND p.bucket = b.bucket
