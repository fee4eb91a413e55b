-- How many outcomes of each granule are known, per model version, and how old their predictions were when they came.
-- Grain: one row per (granule, model_version). Reads: the log's time, id, version and filter columns; the labels.
-- Parameters: start, end, known_at TIMESTAMP, timezone STRING. Partition filter: @start, @end; @start, @known_at of the labels.
{% import "scan/time.bigquery.jinja" as clock %}
SELECT
  {{ clock.granule(time) }} AS granule,
  {{ "COALESCE(" ~ version ~ ", '')" if version else "''" }} AS model_version,
{% include "scan/arrived.jinja" %}
FROM {{ source }} AS t
{% if labels %}
{% include "scan/labels.jinja" %}
{% endif %}
{% with version = none %}{% include "scan/where.bigquery.jinja" %}{% endwith %}
GROUP BY granule, model_version
ORDER BY granule, model_version
