-- Append rows, given as one ARRAY<STRUCT> parameter or staged in a table, to one of our tables.
-- Parameters: rows, where the source is UNNEST(@rows).
INSERT INTO {{ table(into) }} ({{ columns | join(", ") }})
SELECT
{% for column in columns %}
  r.{{ column }} AS {{ column }}{{ "," if not loop.last }}
{% endfor %}
FROM {{ source }} AS r
