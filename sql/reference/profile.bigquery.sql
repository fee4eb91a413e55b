-- What kind of values each training column holds. Reads: the training data (or a sample), once. Parameters: none.
-- Grain: one row. Columns, per position N: given_N (not NULL), distinct_N, whole_N (whole numbers; numbers only),
--   dates_N (texts that start with a date; texts only), low_N and high_N (numbers only).
SELECT
  COUNT(*) AS n_rows{{ "," if columns }}
{% for c in columns %}
  COUNT({{ c.sql }}) AS given_{{ c.position }},
  COUNT(DISTINCT {{ c.sql }}) AS distinct_{{ c.position }},
{% if c.number %}
  COUNTIF({{ c.number }} = TRUNC({{ c.number }})) AS whole_{{ c.position }},
  MIN({{ c.number }}) AS low_{{ c.position }},
  MAX({{ c.number }}) AS high_{{ c.position }},
{% endif %}
{% if c.text %}
  COUNT(CASE WHEN {{ c.sql }} LIKE '____-__-__%' THEN SAFE_CAST(SUBSTR({{ c.sql }}, 1, 10) AS DATE) END) AS dates_{{ c.position }},
{% endif %}
  {{ c.position }} AS position_{{ c.position }}{{ "," if not loop.last }}
{% endfor %}
FROM {{ source }} AS t
