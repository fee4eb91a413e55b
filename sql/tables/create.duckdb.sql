-- Create one of our tables if it is not there. Generated from warehouse/schema.py.
CREATE TABLE IF NOT EXISTS {{ name }} (
{% for column in table.columns %}
  "{{ column.name }}" {{ duckdb_type(column.type) }}{{ "," if not loop.last }}
{% endfor %}
)
