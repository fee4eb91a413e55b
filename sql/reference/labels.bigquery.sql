-- The labels of each categorical training column, most frequent first. Rare labels leave the warehouse as hashes only.
-- Grain: one row per (position, label), and one for NULL, whose label_hash is NULL. Reads: the training data, each column once.
-- Parameters: max_labels INT64; salt STRING.
{% include "reference/label_counts.jinja" %}
ranked AS (
  SELECT
    k.position AS position,
    k.top_k AS top_k,
    k.min_rows AS min_rows,
    k.label AS label,
    k.n AS n,
    ROW_NUMBER() OVER (PARTITION BY k.position ORDER BY k.label IS NULL, k.n DESC, k.label) AS rank_in_column,
    SUM(k.n) OVER (PARTITION BY k.position) AS n_rows
  FROM labels AS k
)
SELECT
  r.position AS position,
  r.rank_in_column AS rank_in_column,
  r.n AS n,
  r.n_rows AS n_rows,
  IF(r.n >= r.min_rows AND r.rank_in_column <= r.top_k, r.label, NULL) AS label,
  SUBSTR(TO_HEX(MD5(CONCAT(@salt, r.label))), 1, 16) AS label_hash
FROM ranked AS r
WHERE r.rank_in_column <= @max_labels OR r.label IS NULL
ORDER BY position, rank_in_column
