-- Describe a table, a view, or one of its columns (DuckDB keeps descriptions as comments).
COMMENT ON {{ what }} {{ name }} IS {{ string(description) }}
