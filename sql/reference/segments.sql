-- The segments of training data that are listed: the largest of each dimension, with enough rows.
-- Grain: one row per (position, segment). Reads: the training data, the columns of the segments, once a dimension.
-- Parameters: min_rows, max_listed INT64; those of the keys.
{% for d in dimensions %}
SELECT * FROM (
  SELECT {{ d.position }} AS position, {{ d.sql }} AS segment, COUNT(*) AS n
  FROM {{ source }} AS t
  GROUP BY segment
  HAVING COUNT(*) >= {{ p }}min_rows
  QUALIFY ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, segment) <= {{ p }}max_listed
)
{{ "UNION ALL" if not loop.last }}
{% endfor %}
ORDER BY position, n DESC, segment
