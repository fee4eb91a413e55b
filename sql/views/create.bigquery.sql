-- Create or replace one of our views, each column described. The query is sql/views/NAME.sql.
CREATE OR REPLACE VIEW {{ name }} (
{% for column, description in view.columns.items() %}
  {{ column }} OPTIONS (description = {{ string(description) }}){{ "," if not loop.last }}
{% endfor %}
)
OPTIONS (description = {{ string(view.description) }})
AS
{{ query }}
