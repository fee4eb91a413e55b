-- Health of each monitor in its newest judged window, by model version, with its parts; a feature is as bad as its worst baseline
-- says, in all rows. Performance and concept are those of the newest window whose outcomes have come.
-- The newest window is looked for first, and only its rows are ranked as in drift_latest, performance_latest and quality_latest: ranking
-- all rows that there ever were would take most of the time.
-- Grain: one row per (monitor, model_version). Reads: drift_results, performance_results, quality_results.
WITH verdicts AS (
  SELECT
    d.monitor AS monitor,
    d.model_version AS model_version,
    d.window_start AS window_start,
    d.window_end AS window_end,
    d.feature AS feature,
    d.role AS role,
    d.status AS status,
    d.computed_at AS computed_at
  FROM {{ table("drift_results") }} AS d
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM {{ table("drift_results") }} AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = d.monitor AND newest.window_end = d.window_end
  WHERE d.segment = 'all'
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY d.monitor, d.model_version, d.window_start, d.feature, d.baseline ORDER BY d.computed_at DESC, d.run_id DESC
  ) = 1
),
features AS (
  SELECT
    d.monitor AS monitor,
    d.model_version AS model_version,
    MIN(d.window_start) AS window_start,
    d.window_end AS window_end,
    d.role = 'feature' AS is_feature,
    IF(COUNTIF(d.status = 'drift') > 0, 'drift', IF(COUNTIF(d.status = 'ok') > 0, 'ok', 'not_evaluated')) AS status,
    MAX(d.computed_at) AS computed_at
  FROM verdicts AS d
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
judged AS (
  SELECT
    p.monitor AS monitor,
    p.model_version AS model_version,
    p.segment AS segment,
    p.metric AS metric,
    p.status AS status,
    p.rule AS rule
  FROM {{ table("performance_results") }} AS p
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM {{ table("performance_latest") }} AS m
    WHERE NOT m.is_provisional
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = p.monitor AND newest.window_end = p.window_end
  WHERE TRUE
  QUALIFY RANK() OVER (
    PARTITION BY p.monitor, p.model_version, p.window_start, p.window_end ORDER BY p.computed_at DESC, p.run_id DESC
  ) = 1
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
  FROM judged AS p
  WHERE p.segment = 'all'
  GROUP BY p.monitor, p.model_version
),
checks AS (
  SELECT
    q.monitor AS monitor,
    q.model_version AS model_version,
    q.status AS status
  FROM {{ table("quality_results") }} AS q
  JOIN (
    SELECT m.monitor AS monitor, MAX(m.window_end) AS window_end
    FROM {{ table("quality_results") }} AS m
    GROUP BY m.monitor
  ) AS newest ON newest.monitor = q.monitor AND newest.window_end = q.window_end
  WHERE TRUE
  QUALIFY RANK() OVER (
    PARTITION BY q.monitor, q.model_version, q.window_start, q.window_end ORDER BY q.computed_at DESC, q.run_id DESC
  ) = 1
),
quality AS (
  SELECT
    q.monitor AS monitor,
    q.model_version AS model_version,
    100 * SAFE_DIVIDE(COUNTIF(q.status = 'ok'), COUNTIF(q.status != 'not_evaluated')) AS quality_health
  FROM checks AS q
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
    {% for part in weights %}COALESCE({{ part }}_health * {{ weights[part] }}, 0){{ " + " if not loop.last }}{% endfor %},
    {% for part in weights %}IF({{ part }}_health IS NULL, 0, {{ weights[part] }}){{ " + " if not loop.last }}{% endfor %}
  )) AS INT64) AS health,
  d.computed_at AS computed_at
FROM drift AS d
LEFT JOIN answers AS a ON a.monitor = d.monitor AND a.model_version = d.model_version
LEFT JOIN quality AS q ON q.monitor = d.monitor AND q.model_version = d.model_version
