-- How many outcomes of each granule are known, per model version, and how old their predictions were when they came.
-- Grain: one row per (granule, model_version). Reads: the log's time, id, version and filter columns; the labels.
-- Parameters: start, end, known_at TIMESTAMPTZ, timezone VARCHAR. Partition filter: $start, $end; $start, $known_at of the labels.
{% import "scan/time.duckdb.jinja" as clock %}
SELECT
  {{ clock.instant(time, "g.reading") }} AS granule,
  g.* EXCLUDE (reading)
FROM (
  SELECT
    {{ clock.granule(time) }} AS reading,
    {{ "COALESCE(" ~ version ~ ", '')" if version else "''" }} AS model_version,
{% include "scan/arrived.jinja" %}
  FROM {{ source }} AS t
{% if labels %}
{% include "scan/labels.jinja" %}
{% endif %}
{% with version = none %}{% include "scan/where.duckdb.jinja" %}{% endwith %}
  GROUP BY ALL
) AS g
ORDER BY granule, model_version
