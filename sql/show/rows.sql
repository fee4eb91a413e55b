-- Rows of one of our views or tables, as the report and the dashboard show them.
-- Grain: that of the view. Reads: one view. Partition filter: its time column, where a stretch is asked for.
-- Parameters: start, end TIMESTAMP (a stretch that is open at its start); each name of `equal` STRING or TIMESTAMP.
SELECT
{% for column in columns %}
  r.{{ column }} AS {{ column }}{{ "," if not loop.last }}
{% endfor %}
FROM {{ table(source) }} AS r
WHERE TRUE
{% for name in equal %}
  AND r.{{ name }} = @{{ name }}
{% endfor %}
{% if moment %}
  AND r.{{ moment }} > @start AND r.{{ moment }} <= @end
{% endif %}
ORDER BY {{ order | join(", ") }}
