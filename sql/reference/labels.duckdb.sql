-- The labels of each categorical training column, most frequent first. Same contract as the BigQuery template.
-- Grain: one row per (position, label), and one for NULL, whose label_hash is NULL. Reads: the training data, each column once.
-- Parameters: max_labels BIGINT; salt VARCHAR.
{% include "reference/label_counts.jinja" %}
ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY position ORDER BY label IS NULL, n DESC, label) AS rank_in_column,
    SUM(n) OVER (PARTITION BY position)::BIGINT AS n_rows
  FROM labels
)
SELECT
  position,
  rank_in_column,
  n,
  n_rows,
  CASE WHEN n >= min_rows AND rank_in_column <= top_k THEN label END AS label,
  SUBSTRING(MD5($salt || label), 1, 16) AS label_hash
FROM ranked
WHERE rank_in_column <= $max_labels OR label IS NULL
ORDER BY position, rank_in_column
