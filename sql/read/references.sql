-- The captured references of a monitor, newest first, all features of each.
-- Grain: one row per (reference, feature). Reads: reference_histograms. Parameters: monitor STRING.
SELECT
{% for column in columns %}
  {{ "COALESCE(r.baseline, 'training')" if column == "baseline" else "r." ~ column }} AS {{ column }}{{ "," if not loop.last }}
{% endfor %}
FROM {{ table("reference_histograms") }} AS r
WHERE r.monitor = @monitor
ORDER BY r.captured_at DESC, r.reference_id, r.position
