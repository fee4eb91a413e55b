-- What kind of values each training column holds. Same contract as the BigQuery template. Reads: the training data (or a sample),
-- once. Parameters: none.
SELECT
  COUNT(*) AS n_rows{{ "," if columns }}
{% for c in columns %}
  COUNT({{ c.sql }}) AS given_{{ c.position }},
  COUNT(DISTINCT {{ c.sql }}) AS distinct_{{ c.position }},
{% if c.number %}
  COUNT_IF({{ c.number }} = TRUNC({{ c.number }}) AND NOT ISNAN({{ c.number }})) AS whole_{{ c.position }},
  MIN({{ c.number }}) AS low_{{ c.position }},
  MAX({{ c.number }}) AS high_{{ c.position }},
{% endif %}
{% if c.text %}
  COUNT(CASE WHEN {{ c.sql }} LIKE '____-__-__%' THEN TRY_CAST(SUBSTRING({{ c.sql }}, 1, 10) AS DATE) END) AS dates_{{ c.position }},
{% endif %}
  {{ c.position }} AS position_{{ c.position }}{{ "," if not loop.last }}
{% endfor %}
FROM {{ source }} AS t
