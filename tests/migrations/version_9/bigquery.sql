CREATE TABLE IF NOT EXISTS `acme-ml.mon.reference_histograms` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  captured_at TIMESTAMP,
  baseline STRING,
  promoted_from TIMESTAMP,
  promoted_to TIMESTAMP,
  scan_definition_id STRING,
  segment STRING,
  feature STRING,
  role STRING,
  outcome STRING,
  predicted STRING,
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
  salt STRING,
  n_days INT64,
  day_correlation FLOAT64,
  day_directions FLOAT64,
  day_buckets INT64,
  day_special FLOAT64,
  clumping FLOAT64
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
CREATE TABLE IF NOT EXISTS `acme-ml.mon.outcome_histograms` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  scan_definition_id STRING,
  granule TIMESTAMP,
  segment STRING,
  outcome STRING,
  predicted STRING,
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
CREATE TABLE IF NOT EXISTS `acme-ml.mon.arrivals` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  scan_definition_id STRING,
  granule TIMESTAMP,
  n_rows INT64,
  n_ids INT64,
  newest_row_at TIMESTAMP,
  n_labelled INT64,
  n_labels INT64,
  n_contradictory INT64,
  newest_label_at TIMESTAMP,
  ages ARRAY<STRUCT<days INT64, n INT64>>,
  known_at TIMESTAMP,
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
  n_effective INT64,
  day_correlation FLOAT64,
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
  explanation STRING,
  carrier STRING,
  trend_slope FLOAT64,
  trend_p_value FLOAT64,
  trend_crosses_at TIMESTAMP,
  contributions ARRAY<STRUCT<bucket STRING, baseline_share FLOAT64, current_share FLOAT64, psi FLOAT64>>
)
PARTITION BY DATE(window_end)
CLUSTER BY monitor
;
CREATE TABLE IF NOT EXISTS `acme-ml.mon.performance_results` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  scan_definition_id STRING,
  run_id STRING,
  computed_at TIMESTAMP,
  window_start TIMESTAMP,
  window_end TIMESTAMP,
  segment STRING,
  basis STRING,
  metric STRING,
  verdict_key STRING,
  is_provisional BOOL,
  status STRING,
  reason STRING,
  value FLOAT64,
  lower FLOAT64,
  upper FLOAT64,
  bound FLOAT64,
  reference_value FLOAT64,
  n_rows INT64,
  n_labelled INT64,
  n INT64,
  rule STRING,
  p_value FLOAT64,
  p_adjusted FLOAT64,
  alpha FLOAT64,
  explanation STRING,
  confusion ARRAY<STRUCT<outcome STRING, predicted STRING, n INT64>>,
  bins ARRAY<STRUCT<bin STRING, n INT64, share FLOAT64, reference_share FLOAT64>>
)
PARTITION BY DATE(window_end)
CLUSTER BY monitor
;
CREATE TABLE IF NOT EXISTS `acme-ml.mon.quality_results` (
  monitor STRING,
  model_version STRING,
  reference_id STRING,
  run_id STRING,
  computed_at TIMESTAMP,
  window_start TIMESTAMP,
  window_end TIMESTAMP,
  check_name STRING,
  feature STRING,
  verdict_key STRING,
  status STRING,
  reason STRING,
  value FLOAT64,
  reference_value FLOAT64,
  limit_value FLOAT64,
  n_rows INT64,
  explanation STRING
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
  message STRING,
  notify BOOL
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
  is_backfill BOOL,
  coverage_key STRING,
  granules_to TIMESTAMP,
  window_end TIMESTAMP,
  n_windows INT64,
  n_windows_left INT64,
  n_granules_counted INT64,
  n_ok INT64,
  n_drift INT64,
  n_not_evaluated INT64,
  share_drifted FLOAT64,
  dataset_drift BOOL,
  bytes_processed INT64,
  bytes_billed INT64,
  cost FLOAT64,
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
QUALIFY RANK() OVER (
  PARTITION BY h.monitor, h.reference_id, h.scan_definition_id, h.granule, h.feature
  ORDER BY h.computed_at DESC, h.run_id DESC
) = 1
;
CREATE OR REPLACE VIEW `acme-ml.mon.arrivals_latest` (
  monitor,
  model_version,
  reference_id,
  scan_definition_id,
  granule,
  n_rows,
  n_ids,
  newest_row_at,
  n_labelled,
  n_labels,
  n_contradictory,
  newest_label_at,
  ages,
  known_at,
  data_version,
  computed_at,
  run_id
)
AS
SELECT
  a.monitor AS monitor,
  a.model_version AS model_version,
  a.reference_id AS reference_id,
  a.scan_definition_id AS scan_definition_id,
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
  a.data_version AS data_version,
  a.computed_at AS computed_at,
  a.run_id AS run_id
FROM `acme-ml.mon.arrivals` AS a
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY a.monitor, a.model_version, a.reference_id, a.scan_definition_id, a.granule
  ORDER BY a.computed_at DESC, a.run_id DESC
) = 1
;
CREATE OR REPLACE VIEW `acme-ml.mon.outcome_histograms_latest` (
  monitor,
  model_version,
  reference_id,
  scan_definition_id,
  granule,
  segment,
  outcome,
  predicted,
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
FROM `acme-ml.mon.outcome_histograms` AS h
JOIN `acme-ml.mon.arrivals_latest` AS a
  ON a.monitor = h.monitor AND a.model_version = h.model_version AND a.reference_id = h.reference_id
  AND a.scan_definition_id = h.scan_definition_id AND a.granule = h.granule AND a.data_version = h.data_version
WHERE TRUE
QUALIFY RANK() OVER (
  PARTITION BY h.monitor, h.reference_id, h.scan_definition_id, h.granule, h.feature
  ORDER BY h.computed_at DESC, h.run_id DESC
) = 1
;
CREATE OR REPLACE VIEW `acme-ml.mon.performance_latest` (
  monitor,
  model_version,
  reference_id,
  scan_definition_id,
  run_id,
  computed_at,
  window_start,
  window_end,
  segment,
  basis,
  metric,
  verdict_key,
  is_provisional,
  status,
  reason,
  value,
  lower,
  upper,
  bound,
  reference_value,
  n_rows,
  n_labelled,
  n,
  rule,
  p_value,
  p_adjusted,
  alpha,
  explanation,
  confusion,
  bins
)
AS
SELECT
  p.monitor AS monitor,
  p.model_version AS model_version,
  p.reference_id AS reference_id,
  p.scan_definition_id AS scan_definition_id,
  p.run_id AS run_id,
  p.computed_at AS computed_at,
  p.window_start AS window_start,
  p.window_end AS window_end,
  p.segment AS segment,
  p.basis AS basis,
  p.metric AS metric,
  p.verdict_key AS verdict_key,
  p.is_provisional AS is_provisional,
  p.status AS status,
  p.reason AS reason,
  p.value AS value,
  p.lower AS lower,
  p.upper AS upper,
  p.bound AS bound,
  p.reference_value AS reference_value,
  p.n_rows AS n_rows,
  p.n_labelled AS n_labelled,
  p.n AS n,
  p.rule AS rule,
  p.p_value AS p_value,
  p.p_adjusted AS p_adjusted,
  p.alpha AS alpha,
  p.explanation AS explanation,
  p.confusion AS confusion,
  p.bins AS bins
FROM `acme-ml.mon.performance_results` AS p
WHERE TRUE
QUALIFY RANK() OVER (
  PARTITION BY p.monitor, p.model_version, p.window_start, p.window_end
  ORDER BY p.computed_at DESC, p.run_id DESC
) = 1
;
CREATE OR REPLACE VIEW `acme-ml.mon.performance_timeline` (
  monitor,
  model_version,
  segment,
  basis,
  metric,
  window_start,
  window_end,
  is_provisional,
  status,
  value,
  lower,
  upper,
  reference_value,
  n_rows,
  n_labelled,
  rule,
  explanation
)
AS
SELECT
  p.monitor AS monitor,
  p.model_version AS model_version,
  p.segment AS segment,
  p.basis AS basis,
  p.metric AS metric,
  p.window_start AS window_start,
  p.window_end AS window_end,
  p.is_provisional AS is_provisional,
  p.status AS status,
  p.value AS value,
  p.lower AS lower,
  p.upper AS upper,
  p.reference_value AS reference_value,
  p.n_rows AS n_rows,
  p.n_labelled AS n_labelled,
  p.rule AS rule,
  p.explanation AS explanation
FROM `acme-ml.mon.performance_latest` AS p
;
CREATE OR REPLACE VIEW `acme-ml.mon.quality_latest` (
  monitor,
  model_version,
  reference_id,
  run_id,
  computed_at,
  window_start,
  window_end,
  check_name,
  feature,
  verdict_key,
  status,
  reason,
  value,
  reference_value,
  limit_value,
  n_rows,
  explanation
)
AS
SELECT
  q.monitor AS monitor,
  q.model_version AS model_version,
  q.reference_id AS reference_id,
  q.run_id AS run_id,
  q.computed_at AS computed_at,
  q.window_start AS window_start,
  q.window_end AS window_end,
  q.check_name AS check_name,
  q.feature AS feature,
  q.verdict_key AS verdict_key,
  q.status AS status,
  q.reason AS reason,
  q.value AS value,
  q.reference_value AS reference_value,
  q.limit_value AS limit_value,
  q.n_rows AS n_rows,
  q.explanation AS explanation
FROM `acme-ml.mon.quality_results` AS q
WHERE TRUE
QUALIFY RANK() OVER (
  PARTITION BY q.monitor, q.model_version, q.window_start, q.window_end
  ORDER BY q.computed_at DESC, q.run_id DESC
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
  n_effective,
  day_correlation,
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
  explanation,
  carrier,
  trend_slope,
  trend_p_value,
  trend_crosses_at,
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
  d.n_effective AS n_effective,
  d.day_correlation AS day_correlation,
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
  d.explanation AS explanation,
  d.carrier AS carrier,
  d.trend_slope AS trend_slope,
  d.trend_p_value AS trend_p_value,
  d.trend_crosses_at AS trend_crosses_at,
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
  CASE d.metric
    WHEN 'psi' THEN d.psi
    WHEN 'js_distance' THEN d.js_distance
    WHEN 'ks_statistic' THEN d.ks_statistic
    WHEN 'chi2_statistic' THEN d.chi2_statistic
  END AS value,
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
  ON r.monitor = h.monitor AND r.baseline = 'training' AND r.reference_id = h.reference_id AND r.segment = h.segment
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
    d.run_id AS run_id,
    TRUE AS is_newest
  FROM `acme-ml.mon.drift_latest` AS d
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM `acme-ml.mon.drift_latest` AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
  UNION ALL
  SELECT DISTINCT
    p.monitor AS monitor,
    p.verdict_key AS verdict_key,
    p.run_id AS run_id,
    p.window_end = newest.window_end AS is_newest
  FROM `acme-ml.mon.performance_latest` AS p
  JOIN (
    SELECT
      m.monitor AS monitor,
      MAX(m.window_end) AS window_end,
      MAX(IF(m.is_provisional, NULL, m.window_end)) AS settled_end
    FROM `acme-ml.mon.performance_latest` AS m
    GROUP BY m.monitor
  ) AS newest
    ON newest.monitor = p.monitor AND (newest.window_end = p.window_end OR newest.settled_end = p.window_end)
) AS v ON v.monitor = a.monitor AND v.verdict_key = a.verdict_key AND v.run_id = a.run_id
WHERE v.is_newest OR a.kind IN ('performance', 'accuracy_drift', 'concept_drift', 'fairness')
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
  features_health,
  prediction_health,
  performance_health,
  concept_health,
  quality_health,
  health,
  computed_at
)
AS
WITH features AS (
  SELECT
    d.monitor AS monitor,
    d.model_version AS model_version,
    MIN(d.window_start) AS window_start,
    d.window_end AS window_end,
    d.role = 'feature' AS is_feature,
    IF(COUNTIF(d.status = 'drift') > 0, 'drift', IF(COUNTIF(d.status = 'ok') > 0, 'ok', 'not_evaluated')) AS status,
    MAX(d.computed_at) AS computed_at
  FROM `acme-ml.mon.drift_latest` AS d
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM `acme-ml.mon.drift_latest` AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
  WHERE d.segment = 'all'
  GROUP BY d.monitor, d.model_version, d.window_end, d.feature, d.role
),
drift AS (
  SELECT
    f.monitor AS monitor,
    f.model_version AS model_version,
    MIN(f.window_start) AS window_start,
    f.window_end AS window_end,
    COUNT(*) AS n_features,
    COUNTIF(f.status = 'ok') AS n_ok,
    COUNTIF(f.status = 'drift') AS n_drift,
    COUNTIF(f.status = 'not_evaluated') AS n_not_evaluated,
    100 * SAFE_DIVIDE(COUNTIF(f.is_feature AND f.status = 'ok'), COUNTIF(f.is_feature AND f.status != 'not_evaluated')) AS features_health,
    100 * SAFE_DIVIDE(COUNTIF(NOT f.is_feature AND f.status = 'ok'), COUNTIF(NOT f.is_feature AND f.status != 'not_evaluated')) AS prediction_health,
    MAX(f.computed_at) AS computed_at
  FROM features AS f
  GROUP BY f.monitor, f.model_version, f.window_end
),
answers AS (
  SELECT
    p.monitor AS monitor,
    p.model_version AS model_version,
    100 * SAFE_DIVIDE(
      COUNTIF(p.status = 'ok' AND p.rule IS NOT NULL AND NOT STARTS_WITH(p.metric, 'concept:')),
      COUNTIF(p.status != 'not_evaluated' AND p.rule IS NOT NULL AND NOT STARTS_WITH(p.metric, 'concept:'))
    ) AS performance_health,
    100 * SAFE_DIVIDE(
      COUNTIF(p.status = 'ok' AND STARTS_WITH(p.metric, 'concept:')),
      COUNTIF(p.status != 'not_evaluated' AND STARTS_WITH(p.metric, 'concept:'))
    ) AS concept_health
  FROM `acme-ml.mon.performance_latest` AS p
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM `acme-ml.mon.performance_latest` AS m
    WHERE NOT m.is_provisional
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = p.monitor AND newest.window_end = p.window_end
  WHERE p.segment = 'all'
  GROUP BY p.monitor, p.model_version
),
quality AS (
  SELECT
    q.monitor AS monitor,
    q.model_version AS model_version,
    100 * SAFE_DIVIDE(COUNTIF(q.status = 'ok'), COUNTIF(q.status != 'not_evaluated')) AS quality_health
  FROM `acme-ml.mon.quality_latest` AS q
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM `acme-ml.mon.quality_latest` AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = q.monitor AND newest.window_end = q.window_end
  GROUP BY q.monitor, q.model_version
)
SELECT
  d.monitor AS monitor,
  d.model_version AS model_version,
  d.window_start AS window_start,
  d.window_end AS window_end,
  d.n_features AS n_features,
  d.n_ok AS n_ok,
  d.n_drift AS n_drift,
  d.n_not_evaluated AS n_not_evaluated,
  SAFE_DIVIDE(d.n_drift, d.n_ok + d.n_drift) AS share_drifted,
  d.features_health AS features_health,
  d.prediction_health AS prediction_health,
  a.performance_health AS performance_health,
  a.concept_health AS concept_health,
  q.quality_health AS quality_health,
  CAST(ROUND(SAFE_DIVIDE(
COALESCE(features_health * 30, 0) + COALESCE(prediction_health * 20, 0) + COALESCE(performance_health * 30, 0) + COALESCE(concept_health * 10, 0) + COALESCE(quality_health * 10, 0),
IF(features_health IS NULL, 0, 30) + IF(prediction_health IS NULL, 0, 20) + IF(performance_health IS NULL, 0, 30) + IF(concept_health IS NULL, 0, 10) + IF(quality_health IS NULL, 0, 10)  )) AS INT64) AS health,
  d.computed_at AS computed_at
FROM drift AS d
LEFT JOIN answers AS a ON a.monitor = d.monitor AND a.model_version = d.model_version
LEFT JOIN quality AS q ON q.monitor = d.monitor AND q.model_version = d.model_version
;
CREATE OR REPLACE VIEW `acme-ml.mon.run_costs` (
  monitor,
  run_id,
  started_at,
  finished_at,
  as_of,
  is_backfill,
  n_windows,
  n_windows_left,
  n_granules_counted,
  bytes_processed,
  bytes_billed,
  cost,
  slot_ms,
  duration_seconds,
  month_to_date_cost
)
AS
SELECT
  r.monitor AS monitor,
  r.run_id AS run_id,
  r.started_at AS started_at,
  r.finished_at AS finished_at,
  r.as_of AS as_of,
  r.is_backfill AS is_backfill,
  r.n_windows AS n_windows,
  r.n_windows_left AS n_windows_left,
  r.n_granules_counted AS n_granules_counted,
  r.bytes_processed AS bytes_processed,
  r.bytes_billed AS bytes_billed,
  r.cost AS cost,
  r.slot_ms AS slot_ms,
  r.duration_seconds AS duration_seconds,
  SUM(r.cost) OVER (
    PARTITION BY r.monitor, EXTRACT(YEAR FROM r.started_at), EXTRACT(MONTH FROM r.started_at)
    ORDER BY r.started_at, r.run_id
  ) AS month_to_date_cost
FROM `acme-ml.mon.runs` AS r
