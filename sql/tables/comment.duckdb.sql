-- Describe a table or a view and its columns (DuckDB keeps descriptions as comments): all at once. Run in one transaction, which saves most of the time.
{% for what, name, description in described %}
COMMENT ON {{ what }} {{ name }} IS {{ string(description) }};
{% endfor %}
