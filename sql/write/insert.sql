-- Append rows, given as one ARRAY<STRUCT> parameter, to one of our tables.
-- Parameters: rows.
INSERT INTO {{ table(into) }} ({{ columns | join(", ") }})
SELECT
{% for column in columns %}
  r.{{ column }} AS {{ column }}{{ "," if not loop.last }}
{% endfor %}
FROM UNNEST(@rows) AS r
