-- Add to one of our tables the columns that an older version did not have (DuckDB adds one a statement). Run in a transaction: all or none.
{% for column in columns %}
ALTER TABLE {{ name }} ADD COLUMN IF NOT EXISTS "{{ column.name }}" {{ duckdb_type(column.type) }};
{% endfor %}
