-- How many rows each granule of a log holds, per model version: what has come in since the last run.
-- Grain: one row per (granule, model_version). Reads: the log's time, version and filter columns.
-- Parameters: start, end TIMESTAMPTZ, timezone VARCHAR. Partition filter: $start, $end.
{% import "scan/time.duckdb.jinja" as clock %}
SELECT
  {{ clock.instant(time, "g.reading") }} AS granule,
  g.model_version,
  g.n_rows
FROM (
  SELECT
    {{ clock.granule(time) }} AS reading,
    {{ "COALESCE(" ~ version ~ ", '')" if version else "''" }} AS model_version,
    COUNT(*) AS n_rows
  FROM {{ source }} AS t
{% with version = none %}{% include "scan/where.duckdb.jinja" %}{% endwith %}
  GROUP BY ALL
) AS g
ORDER BY granule, model_version
