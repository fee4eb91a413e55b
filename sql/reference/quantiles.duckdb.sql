-- The quantile grid of each numeric training column: exact, values of the data. Reads: the training data (or a sample), once.
-- Grain: one row; column quantiles_N per position N. Parameters: fractions_N DOUBLE[].
SELECT
{% for c in columns %}
  QUANTILE_DISC({{ c.value }}, $fractions_{{ c.position }}) FILTER (WHERE ISFINITE({{ c.value }})) AS quantiles_{{ c.position }}{{ "," if not loop.last }}
{% endfor %}
FROM {{ source }} AS t
