-- Add to one of our tables the columns that an older version did not have, in one change. Generated from warehouse/schema.py.
ALTER TABLE {{ name }}
{% for column in columns %}
  ADD COLUMN IF NOT EXISTS {{ column.name }} {{ column.type }} OPTIONS (description = {{ string(column.description) }}){{ "," if not loop.last }}
{% endfor %}
