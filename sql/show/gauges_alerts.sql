-- How many alerts of each kind stand, for a scraper; 0 where the last one is over, so that a graph comes down instead of breaking off.
-- Grain: one row per (monitor, severity, kind) that ever opened. Reads: alerts. Parameters: monitors ARRAY<STRING>.
SELECT
  a.monitor AS monitor,
  a.severity AS severity,
  a.kind AS kind,
  COUNTIF(a.status != 'resolved') AS n_open
FROM {{ table("alerts") }} AS a
WHERE a.monitor IN UNNEST(@monitors)
GROUP BY a.monitor, a.severity, a.kind
ORDER BY monitor, severity, kind
