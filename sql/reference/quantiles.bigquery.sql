-- The quantile grid of each numeric training column, from BigQuery's sketch. Reads: the training data, once.
-- Grain: one row; column quantiles_N per position N, the quantiles at @offsets_N of {{ steps }} equal steps.
-- Parameters: offsets_N ARRAY<INT64>.
WITH sketches AS (
  SELECT
{% for c in columns %}
    APPROX_QUANTILES(IF(IS_NAN({{ c.value }}) OR IS_INF({{ c.value }}), NULL, {{ c.value }}), {{ steps }} IGNORE NULLS) AS sketch_{{ c.position }}{{ "," if not loop.last }}
{% endfor %}
  FROM {{ source }} AS t
)
SELECT
{% for c in columns %}
  ARRAY(
    SELECT q
    FROM UNNEST(s.sketch_{{ c.position }}) AS q WITH OFFSET AS o
    WHERE o IN UNNEST(@offsets_{{ c.position }})
    ORDER BY o
  ) AS quantiles_{{ c.position }}{{ "," if not loop.last }}
{% endfor %}
FROM sketches AS s
