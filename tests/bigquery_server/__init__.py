"""A local stand-in for BigQuery's REST API: the real client speaks to it over HTTP, DuckDB runs the statements."""
