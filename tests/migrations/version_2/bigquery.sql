CREATE TABLE IF NOT EXISTS `acme-ml.mon.reference_histograms` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  captured_at TIMESTAMP,
  segment STRING,
  feature STRING,
  role STRING,
  position INT64,
  kind STRING,
  source_type STRING,
  excluded_reason STRING,
  n_bins INT64,
  n_rows INT64,
  n_null INT64,
  n_finite INT64,
  mean FLOAT64,
  second_moment FLOAT64,
  min FLOAT64,
  max FLOAT64,
  buckets ARRAY<STRUCT<bucket INT64, n INT64, lower FLOAT64, upper FLOAT64, label STRING>>,
  known_hashes ARRAY<STRING>,
  known_complete BOOL,
  labels_hashed BOOL,
  n_singletons INT64,
  salt STRING
)
PARTITION BY DATE(captured_at)
CLUSTER BY monitor
;
CREATE TABLE IF NOT EXISTS `acme-ml.mon.production_histograms` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  scan_definition_id STRING,
  granule TIMESTAMP,
  segment STRING,
  feature STRING,
  n_rows INT64,
  n_null INT64,
  n_finite INT64,
  mean FLOAT64,
  second_moment FLOAT64,
  min FLOAT64,
  max FLOAT64,
  buckets ARRAY<STRUCT<bucket INT64, n INT64>>,
  data_version STRING,
  computed_at TIMESTAMP,
  run_id STRING
)
PARTITION BY DATE(granule)
CLUSTER BY monitor
;
CREATE TABLE IF NOT EXISTS `acme-ml.mon.drift_results` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  run_id STRING,
  computed_at TIMESTAMP,
  window_start TIMESTAMP,
  window_end TIMESTAMP,
  segment STRING,
  feature STRING,
  role STRING,
  kind STRING,
  baseline STRING,
  verdict_key STRING,
  n_baseline INT64,
  n_current INT64,
  status STRING,
  reason STRING,
  psi FLOAT64,
  kl_divergence FLOAT64,
  kl_divergence_reverse FLOAT64,
  js_divergence FLOAT64,
  js_distance FLOAT64,
  hellinger FLOAT64,
  total_variation FLOAT64,
  l_infinity FLOAT64,
  ks_statistic FLOAT64,
  ks_bound FLOAT64,
  ks_p_value FLOAT64,
  chi2_statistic FLOAT64,
  chi2_p_value FLOAT64,
  wasserstein FLOAT64,
  wasserstein_bound FLOAT64,
  mean_shift FLOAT64,
  std_shift FLOAT64,
  null_share_baseline FLOAT64,
  null_share_current FLOAT64,
  unseen_share FLOAT64,
  metric STRING,
  threshold FLOAT64,
  noise_floor FLOAT64,
  lower FLOAT64,
  upper FLOAT64,
  drift_score FLOAT64,
  p_value FLOAT64,
  p_adjusted FLOAT64,
  alpha FLOAT64,
  metric_version INT64,
  contributions ARRAY<STRUCT<bucket STRING, baseline_share FLOAT64, current_share FLOAT64, psi FLOAT64>>
)
PARTITION BY DATE(window_end)
CLUSTER BY monitor
;
CREATE TABLE IF NOT EXISTS `acme-ml.mon.alert_events` (
  monitor STRING,
  model_version STRING,
  run_id STRING,
  computed_at TIMESTAMP,
  window_start TIMESTAMP,
  window_end TIMESTAMP,
  segment STRING,
  feature STRING,
  baseline STRING,
  verdict_key STRING,
  kind STRING,
  severity STRING,
  message STRING
)
PARTITION BY DATE(window_end)
CLUSTER BY monitor
;
CREATE TABLE IF NOT EXISTS `acme-ml.mon.runs` (
  monitor STRING,
  run_id STRING,
  started_at TIMESTAMP,
  finished_at TIMESTAMP,
  as_of TIMESTAMP,
  coverage_key STRING,
  granules_to TIMESTAMP,
  window_end TIMESTAMP,
  n_windows INT64,
  n_granules_counted INT64,
  n_ok INT64,
  n_drift INT64,
  n_not_evaluated INT64,
  share_drifted FLOAT64,
  dataset_drift BOOL,
  bytes_processed INT64,
  slot_ms INT64,
  duration_seconds FLOAT64,
  package_version STRING
)
PARTITION BY DATE(started_at)
CLUSTER BY monitor
;
CREATE OR REPLACE VIEW `acme-ml.mon.production_histograms_latest` (
  monitor,
  model_version,
  reference_id,
  scan_definition_id,
  granule,
  segment,
  feature,
  n_rows,
  n_null,
  n_finite,
  mean,
  second_moment,
  min,
  max,
  buckets,
  data_version,
  computed_at,
  run_id
)
AS
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
FROM `acme-ml.mon.production_histograms` AS h
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY h.monitor, h.reference_id, h.scan_definition_id, h.granule, h.segment, h.feature
  ORDER BY h.computed_at DESC, h.run_id DESC
) = 1
;
CREATE OR REPLACE VIEW `acme-ml.mon.drift_latest` (
  monitor,
  model_version,
  reference_id,
  run_id,
  computed_at,
  window_start,
  window_end,
  segment,
  feature,
  role,
  kind,
  baseline,
  verdict_key,
  n_baseline,
  n_current,
  status,
  reason,
  psi,
  kl_divergence,
  kl_divergence_reverse,
  js_divergence,
  js_distance,
  hellinger,
  total_variation,
  l_infinity,
  ks_statistic,
  ks_bound,
  ks_p_value,
  chi2_statistic,
  chi2_p_value,
  wasserstein,
  wasserstein_bound,
  mean_shift,
  std_shift,
  null_share_baseline,
  null_share_current,
  unseen_share,
  metric,
  threshold,
  noise_floor,
  lower,
  upper,
  drift_score,
  p_value,
  p_adjusted,
  alpha,
  metric_version,
  contributions
)
AS
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  d.reference_id AS reference_id,
  d.run_id AS run_id,
  d.computed_at AS computed_at,
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.segment AS segment,
  d.feature AS feature,
  d.role AS role,
  d.kind AS kind,
  d.baseline AS baseline,
  d.verdict_key AS verdict_key,
  d.n_baseline AS n_baseline,
  d.n_current AS n_current,
  d.status AS status,
  d.reason AS reason,
  d.psi AS psi,
  d.kl_divergence AS kl_divergence,
  d.kl_divergence_reverse AS kl_divergence_reverse,
  d.js_divergence AS js_divergence,
  d.js_distance AS js_distance,
  d.hellinger AS hellinger,
  d.total_variation AS total_variation,
  d.l_infinity AS l_infinity,
  d.ks_statistic AS ks_statistic,
  d.ks_bound AS ks_bound,
  d.ks_p_value AS ks_p_value,
  d.chi2_statistic AS chi2_statistic,
  d.chi2_p_value AS chi2_p_value,
  d.wasserstein AS wasserstein,
  d.wasserstein_bound AS wasserstein_bound,
  d.mean_shift AS mean_shift,
  d.std_shift AS std_shift,
  d.null_share_baseline AS null_share_baseline,
  d.null_share_current AS null_share_current,
  d.unseen_share AS unseen_share,
  d.metric AS metric,
  d.threshold AS threshold,
  d.noise_floor AS noise_floor,
  d.lower AS lower,
  d.upper AS upper,
  d.drift_score AS drift_score,
  d.p_value AS p_value,
  d.p_adjusted AS p_adjusted,
  d.alpha AS alpha,
  d.metric_version AS metric_version,
  d.contributions AS contributions
FROM `acme-ml.mon.drift_results` AS d
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY d.monitor, d.model_version, d.window_start, d.window_end, d.segment, d.feature, d.baseline
  ORDER BY d.computed_at DESC, d.run_id DESC
) = 1
;
CREATE OR REPLACE VIEW `acme-ml.mon.drift_timeline` (
  monitor,
  model_version,
  feature,
  segment,
  baseline,
  window_start,
  window_end,
  status,
  metric,
  value,
  threshold,
  noise_floor,
  lower,
  upper,
  drift_score,
  n_current
)
AS
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  d.feature AS feature,
  d.segment AS segment,
  d.baseline AS baseline,
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.status AS status,
  d.metric AS metric,
  CASE d.metric WHEN 'psi' THEN d.psi WHEN 'js_distance' THEN d.js_distance END AS value,
  d.threshold AS threshold,
  d.noise_floor AS noise_floor,
  d.lower AS lower,
  d.upper AS upper,
  d.drift_score AS drift_score,
  d.n_current AS n_current
FROM `acme-ml.mon.drift_latest` AS d
;
CREATE OR REPLACE VIEW `acme-ml.mon.feature_histograms` (
  monitor,
  model_version,
  reference_id,
  scan_definition_id,
  feature,
  segment,
  granule,
  bucket,
  bucket_name,
  lower,
  upper,
  reference_n,
  reference_share,
  production_n,
  production_share
)
AS
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
FROM `acme-ml.mon.production_histograms_latest` AS h
JOIN `acme-ml.mon.reference_histograms` AS r
  ON r.monitor = h.monitor AND r.reference_id = h.reference_id AND r.segment = h.segment AND r.feature = h.feature
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
  FROM `acme-ml.mon.production_histograms_latest` AS q
  CROSS JOIN UNNEST(q.buckets) AS c
) AS p
  ON p.monitor = h.monitor AND p.reference_id = h.reference_id AND p.scan_definition_id = h.scan_definition_id
  AND p.granule = h.granule AND p.segment = h.segment AND p.feature = h.feature AND p.bucket = b.bucket
;
CREATE OR REPLACE VIEW `acme-ml.mon.bucket_contributions` (
  monitor,
  model_version,
  window_start,
  window_end,
  segment,
  feature,
  baseline,
  status,
  bucket,
  baseline_share,
  current_share,
  psi_contribution
)
AS
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.segment AS segment,
  d.feature AS feature,
  d.baseline AS baseline,
  d.status AS status,
  c.bucket AS bucket,
  c.baseline_share AS baseline_share,
  c.current_share AS current_share,
  c.psi AS psi_contribution
FROM `acme-ml.mon.drift_latest` AS d
CROSS JOIN UNNEST(d.contributions) AS c
;
CREATE OR REPLACE VIEW `acme-ml.mon.open_alerts` (
  monitor,
  model_version,
  window_start,
  window_end,
  segment,
  feature,
  baseline,
  kind,
  severity,
  message,
  computed_at,
  run_id
)
AS
SELECT
  a.monitor AS monitor,
  a.model_version AS model_version,
  a.window_start AS window_start,
  a.window_end AS window_end,
  a.segment AS segment,
  a.feature AS feature,
  a.baseline AS baseline,
  a.kind AS kind,
  a.severity AS severity,
  a.message AS message,
  a.computed_at AS computed_at,
  a.run_id AS run_id
FROM `acme-ml.mon.alert_events` AS a
JOIN (
  SELECT DISTINCT
    d.monitor AS monitor,
    d.verdict_key AS verdict_key,
    d.run_id AS run_id
  FROM `acme-ml.mon.drift_latest` AS d
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM `acme-ml.mon.drift_latest` AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
) AS v ON v.monitor = a.monitor AND v.verdict_key = a.verdict_key AND v.run_id = a.run_id
;
CREATE OR REPLACE VIEW `acme-ml.mon.model_health` (
  monitor,
  model_version,
  window_start,
  window_end,
  n_features,
  n_ok,
  n_drift,
  n_not_evaluated,
  share_drifted,
  health,
  computed_at
)
AS
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  MIN(d.window_start) AS window_start,
  d.window_end AS window_end,
  COUNT(*) AS n_features,
  COUNTIF(d.status = 'ok') AS n_ok,
  COUNTIF(d.status = 'drift') AS n_drift,
  COUNTIF(d.status = 'not_evaluated') AS n_not_evaluated,
  SAFE_DIVIDE(COUNTIF(d.status = 'drift'), COUNTIF(d.status IN ('ok', 'drift'))) AS share_drifted,
  CAST(ROUND(100 * SAFE_DIVIDE(COUNTIF(d.status = 'ok'), COUNTIF(d.status IN ('ok', 'drift')))) AS INT64) AS health,
  MAX(d.computed_at) AS computed_at
FROM `acme-ml.mon.drift_latest` AS d
JOIN (
  SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
  FROM `acme-ml.mon.drift_latest` AS m
  GROUP BY m.monitor
) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
GROUP BY d.monitor, d.model_version, d.window_end
;
CREATE OR REPLACE VIEW `acme-ml.mon.run_costs` (
  monitor,
  run_id,
  started_at,
  finished_at,
  as_of,
  n_windows,
  n_granules_counted,
  bytes_processed,
  slot_ms,
  duration_seconds
)
AS
SELECT
  r.monitor AS monitor,
  r.run_id AS run_id,
  r.started_at AS started_at,
  r.finished_at AS finished_at,
  r.as_of AS as_of,
  r.n_windows AS n_windows,
  r.n_granules_counted AS n_granules_counted,
  r.bytes_processed AS bytes_processed,
  r.slot_ms AS slot_ms,
  r.duration_seconds AS duration_seconds
FROM `acme-ml.mon.runs` AS r
