-- Add to one of our tables the columns that an older version did not have (DuckDB adds one a statement): all or none.
BEGIN TRANSACTION;
{% for column in columns %}
ALTER TABLE {{ name }} ADD COLUMN IF NOT EXISTS "{{ column.name }}" {{ duckdb_type(column.type) }};
{% endfor %}
COMMIT;
