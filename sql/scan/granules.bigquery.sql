-- How many rows each granule of a log holds, per model version: what has come in since the last run.
-- Grain: one row per (granule, model_version). Reads: the log's time, version and filter columns.
-- Parameters: start, end TIMESTAMP, timezone STRING. Partition filter: @start, @end.
{% import "scan/time.bigquery.jinja" as clock %}
SELECT
  {{ clock.granule(time) }} AS granule,
  {{ "COALESCE(" ~ version ~ ", '')" if version else "''" }} AS model_version,
  COUNT(*) AS n_rows
FROM {{ source }} AS t
{% with version = none %}{% include "scan/where.bigquery.jinja" %}{% endwith %}
GROUP BY granule, model_version
ORDER BY granule, model_version
