-- Create or replace one of our views. The query is sql/views/NAME.sql.
CREATE OR REPLACE VIEW {{ name }} AS
{{ query }}
