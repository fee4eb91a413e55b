-- Create one of our tables if it is not there. Generated from warehouse/schema.py; descriptions are parameters of this template.
CREATE TABLE IF NOT EXISTS {{ name }} (
{% for column in table.columns %}
  {{ column.name }} {{ column.type }} OPTIONS (description = {{ string(column.description) }}){{ "," if not loop.last }}
{% endfor %}
)
PARTITION BY DATE({{ table.partition }})
CLUSTER BY {{ table.cluster | join(", ") }}
OPTIONS (description = {{ string(table.description) }})
