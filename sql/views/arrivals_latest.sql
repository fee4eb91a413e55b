-- What had arrived of each granule when its answers were last counted.
-- Grain: one row per (monitor, model_version, reference_id, scan_definition_id, granule). Reads: arrivals.
SELECT
  a.monitor AS monitor,
  a.model_version AS model_version,
  a.reference_id AS reference_id,
  a.scan_definition_id AS scan_definition_id,
  a.granule AS granule,
  a.n_rows AS n_rows,
  a.n_ids AS n_ids,
  a.newest_row_at AS newest_row_at,
  a.n_labelled AS n_labelled,
  a.n_labels AS n_labels,
  a.n_contradictory AS n_contradictory,
  a.newest_label_at AS newest_label_at,
  a.ages AS ages,
  a.known_at AS known_at,
  a.data_version AS data_version,
  a.computed_at AS computed_at,
  a.run_id AS run_id
FROM {{ table("arrivals") }} AS a
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY a.monitor, a.model_version, a.reference_id, a.scan_definition_id, a.granule
  ORDER BY a.computed_at DESC, a.run_id DESC
) = 1
