-- Count each row of a log once, into the frozen buckets of a reference, per granule. Same contract as the BigQuery template.
-- Shape: DuckDB's native HISTOGRAM counts the bits of each DOUBLE, read as an integer, into bins that warehouse/bins.py makes of
--   the buckets; NaN and the infinities have bins of their own. That is exact, and much faster than bins of DOUBLEs.
-- Grain: one row per (granule, segment, [outcome, predicted,] feature); granule is NULL where there is no time column. A row
--   counts in the segment 'all' and once in each dimension of segments: dimensions of few groups are counted together (scan.py: `_bundles`) and
--   summed up, and so is 'all': bin by bin in columns, as unnested they would be 60 rows each. Where groups are many, numbers are counted a dozen at
--   a time, as their counters outgrow the caches. With segments, labels become buckets before rows are told apart, so that 5,000 labels in 100
--   segments are not 500,000 groups.
-- Reads: the log, only its monitored columns: numbers and texts apart, keys in each pass; the labels where outcomes are asked for. Partition filter: $start, $end on the time
--   column; $start, $known_at on the labels' time.
-- Moments are those of v_N, the values within 1e150 (the squares of others overflow; to DuckDB NaN is above all); VAR_POP does not
--   cancel, and means of groups come from FSUM, whose rounding does not grow with rows. One finite value beyond leaves mean and second moment undefined.
-- Parameters: ends_N BIGINT[] and bins_N STRUCT(bucket, bins)[] per numeric feature (see warehouse/bins.py); features, codes (see
--   scan.py; cast, as DuckDB forgets the type of an empty list); salt VARCHAR; start, end, timezone with a time column; model_version with a version column;
--   listed_N, segment_N, part_N_i of segments; those of cells; known_at, labels_from of labels.
{% import "scan/time.duckdb.jinja" as clock %}
{% set numbers = features | selectattr("numeric") | list %}
{% set texts = features | rejectattr("numeric") | list %}
{% set cell = ", outcome, predicted" if cells else "" %}
{% set keys = "granule" ~ cell %}
{% macro listed(key) -%}
CAST(${{ key.listed }} AS VARCHAR[])
{%- endmacro %}
{% macro segment_code(key) -%}
COALESCE(LIST_POSITION({{ listed(key) }}, {{ key.given }}), CASE WHEN {{ key.given }} IS NULL THEN LIST_POSITION({{ listed(key) }}, {{ key.key }}) END, 0)::USMALLINT
{%- endmacro %}
{% macro segment_names(sets) -%}
{%- if not sets %}['all']{% else -%}
CASE {% for set in sets %}WHEN GROUPING(g_{{ set[0] }}) = 0 THEN [{{ "'all', " if loop.first }}{% for i in set -%}
COALESCE({{ listed(segments[i]) }}[g_{{ i }}], ${{ segments[i].other }}){{ ", " if not loop.last }}{% endfor %}] {% endfor %}END
{%- endif %}
{%- endmacro %}
{% macro grouping_sets(sets, more="") -%}
{% for set in sets or [[]] %}({{ keys }}{% for i in set %}, g_{{ i }}{% endfor %}{{ more }}){{ ", " if not loop.last }}{% endfor %}
{%- endmacro %}
{% macro of_this_set(column, as_position=false) -%}
CASE {% for f in texts %}WHEN GROUPING({{ column }}_{{ f.position }}) = 0 THEN {{ "" if as_position else column ~ "_" }}{{ f.position }} {% endfor %}END
{%- endmacro %}
{% macro n_where(condition) -%}
COALESCE(LIST_SUM([b.n FOR b IN buckets IF {{ condition }}]), 0)::BIGINT
{%- endmacro %}
{% include "scan/into.jinja" %}
WITH log AS NOT MATERIALIZED (
  SELECT
    {{ clock.granule(time) if time else "CAST(NULL AS TIMESTAMP)" }} AS granule{{ "," if features or segments or cells }}
{% for key in segments %}
    {{ segment_code(key) }} AS g_{{ loop.index0 }}{{ "," if features or cells or not loop.last }}
{% endfor %}
{% if cells %}
    {{ cells.outcome }} AS outcome,
    {{ cells.predicted }} AS predicted{{ "," if features }}
{% endif %}
{% for f in numbers %}
    CAST(CAST(CAST({{ f.value }} AS DOUBLE) AS BIT) AS BIGINT) AS x_{{ f.position }},
    {{ "CASE WHEN ABS(" ~ f.value ~ ") <= 1e150 THEN " ~ f.value ~ " END" if f.float else f.value }} AS v_{{ f.position }}{{ "," if texts or not loop.last }}
{% endfor %}
{% for f in texts %}
    {{ f.value }} AS c_{{ f.position }}{{ "," if not loop.last }}
{% endfor %}
  FROM {{ source }} AS t
{% if labels %}
{% include "scan/labels.jinja" %}
{% endif %}
{% include "scan/where.duckdb.jinja" %}
),
number_groups AS MATERIALIZED (
{% for pass in numbers | batch(per_pass) %}
  SELECT
    {{ keys }},
    {{ segment_names(bundles) }} AS segments,
    UNNEST([
{% for f in pass %}
      {
        'position': {{ f.position }},
        'counts': LIST_PREPEND(COUNT(*) - COUNT(x_{{ f.position }}), MAP_VALUES(HISTOGRAM(x_{{ f.position }}, $ends_{{ f.position }}))::BIGINT[]),
        'n_moderate': COUNT(v_{{ f.position }}),
        'sum': FSUM(v_{{ f.position }}),
        'variance': VAR_POP(v_{{ f.position }}),
        'low': MIN(v_{{ f.position }}),
        'high': MAX(v_{{ f.position }})
      }{{ "," if not loop.last }}
{% endfor %}
    ], recursive := true)
  FROM log
  GROUP BY GROUPING SETS ({{ grouping_sets(bundles) }})
{% if not loop.last %}
  UNION ALL
{% endif %}
{% else %}
  SELECT CAST(NULL AS TIMESTAMP) AS granule, {{ "NULL AS outcome, NULL AS predicted, " if cells }}['all'] AS segments, 0 AS position, [0::BIGINT] AS counts,
    0::BIGINT AS n_moderate, 0.0 AS sum, 0.0 AS variance, 0.0 AS low, 0.0 AS high
  WHERE FALSE
{% endfor %}
),
number_parts AS NOT MATERIALIZED (
  SELECT * EXCLUDE (segments), UNNEST(segments) AS segment
  FROM number_groups
),
bins AS (
{% for f in numbers %}
  SELECT {{ f.position }} AS position, $bins_{{ f.position }} AS bins
{% if not loop.last %}
  UNION ALL
{% endif %}
{% else %}
  SELECT 0 AS position, CAST([] AS STRUCT(bucket BIGINT, bins BIGINT[])[]) AS bins WHERE FALSE
{% endfor %}
),
number_counts AS (
  SELECT {{ keys }}, segment, position, [{% for i in range(1, n_bins + 1) %}SUM(counts[{{ i }}]){{ ", " if not loop.last }}{% endfor %}]::BIGINT[] AS counts
  FROM number_parts
  GROUP BY {{ keys }}, segment, position
),
moments AS (
  SELECT
    {{ keys }},
    segment,
    position,
    SUM(n_moderate)::BIGINT AS n_moderate,
    ANY_VALUE(mean) AS mean,
    CASE WHEN MIN(low) < MAX(high) THEN FSUM(n_moderate * (variance + POW(sum / n_moderate - mean, 2))) WHEN MIN(low) IS NOT NULL THEN 0.0 END AS second_moment,
    MIN(low) AS low,
    MAX(high) AS high
  FROM (
    SELECT *, FSUM(sum) OVER whole / SUM(n_moderate) OVER whole AS mean
    FROM number_parts
    WINDOW whole AS (PARTITION BY {{ keys }}, segment, position)
  )
  GROUP BY ALL
),
{% if texts and segments %}
labels AS (
  SELECT {{ of_this_set("c", as_position=true) }} AS position, {{ of_this_set("c") }} AS label
  FROM log
  GROUP BY GROUPING SETS ({% for f in texts %}(c_{{ f.position }}){{ ", " if not loop.last }}{% endfor %})
),
{% elif texts %}
label_groups AS MATERIALIZED (
  SELECT {{ keys }}, ['all'] AS segments, {{ of_this_set("c", as_position=true) }} AS position, {{ of_this_set("c") }} AS label, COUNT(*) AS n
  FROM log
  GROUP BY GROUPING SETS ({% for f in texts %}({{ keys }}, c_{{ f.position }}){{ ", " if not loop.last }}{% endfor %})
),
labels AS (SELECT DISTINCT position, label FROM label_groups),
{% endif %}
{% if texts %}
label_buckets AS MATERIALIZED (
  SELECT c.position, c.label, CASE WHEN c.label IS NULL THEN -1 ELSE COALESCE(k.bucket, f.fallback) END::INTEGER AS bucket
  FROM labels AS c
  JOIN (SELECT UNNEST($features, recursive := true)) AS f ON f.position = c.position
  LEFT JOIN (SELECT UNNEST(CAST($codes AS STRUCT(position BIGINT, hash VARCHAR, bucket BIGINT)[]), recursive := true)) AS k
    ON k.position = c.position AND k.hash = SUBSTRING(MD5($salt || c.label), 1, 16)
),
{% endif %}
label_counts AS (
{% if texts and segments %}
  SELECT {{ keys }}, {{ segment_names(bundles) }} AS segments, {{ of_this_set("b", as_position=true) }} AS position, COALESCE({{ of_this_set("b") }}, -1) AS bucket, COUNT(*) AS n
  FROM (
    SELECT
      {{ keys }},
{% for key in segments %}
      g_{{ loop.index0 }},
{% endfor %}
{% for f in texts %}
      k_{{ f.position }}.bucket AS b_{{ f.position }}{{ "," if not loop.last }}
{% endfor %}
    FROM log
{% for f in texts %}
    LEFT JOIN label_buckets AS k_{{ f.position }} ON k_{{ f.position }}.position = {{ f.position }} AND k_{{ f.position }}.label = log.c_{{ f.position }}
{% endfor %}
  )
  GROUP BY GROUPING SETS ({% for f in texts %}{{ grouping_sets(bundles, ", b_" ~ f.position) }}{{ ", " if not loop.last }}{% endfor %})
{% elif texts %}
  SELECT c.* EXCLUDE (label), b.bucket
  FROM label_groups AS c
  JOIN label_buckets AS b ON b.position = c.position AND b.label IS NOT DISTINCT FROM c.label
{% else %}
  SELECT CAST(NULL AS TIMESTAMP) AS granule, {{ "NULL AS outcome, NULL AS predicted, " if cells }}['all'] AS segments, 0 AS position, 0 AS bucket, 0::BIGINT AS n WHERE FALSE
{% endif %}
),
label_parts AS (
  SELECT {{ keys }}, segment, position, bucket, SUM(n)::BIGINT AS n
  FROM (SELECT * EXCLUDE (segments), UNNEST(segments) AS segment FROM label_counts)
  GROUP BY {{ keys }}, segment, position, bucket
),
buckets AS (
  SELECT {{ keys }}, segment, position, [{'bucket': b.bucket, 'n': LIST_SUM(LIST_SELECT(counts, b.bins))::BIGINT} FOR b IN bins IF LIST_SUM(LIST_SELECT(counts, b.bins)) > 0] AS buckets
  FROM number_counts
  JOIN bins USING (position)
  UNION ALL
  SELECT {{ keys }}, segment, position, ARRAY_AGG({'bucket': bucket::BIGINT, 'n': n} ORDER BY bucket) AS buckets
  FROM label_parts
  GROUP BY {{ keys }}, segment, position
),
histograms AS (
  SELECT *, {{ n_where("TRUE") }} AS n_rows, {{ n_where("b.bucket = -1") }} AS n_null, {{ n_where("b.bucket >= 0") }} AS n_known
  FROM buckets
)
SELECT
{% include "scan/keys.jinja" %}
  {{ clock.instant(time, "m.granule") if time else "CAST(NULL AS TIMESTAMPTZ)" }} AS granule,
  m.segment AS segment,
{% if cells %}
  m.outcome AS outcome,
  m.predicted AS predicted,
{% endif %}
  f.feature AS feature,
  m.n_rows AS n_rows,
  m.n_null AS n_null,
  CASE WHEN s.position IS NULL THEN 0 ELSE m.n_known END::BIGINT AS n_finite,
  CASE WHEN s.n_moderate = m.n_known THEN s.mean END AS mean,
  CASE WHEN s.n_moderate = m.n_known THEN s.second_moment END AS second_moment,
  s.low AS min,
  s.high AS max,
  m.buckets AS buckets
FROM histograms AS m
JOIN (SELECT UNNEST($features, recursive := true)) AS f ON f.position = m.position
LEFT JOIN moments AS s
  ON s.position = m.position AND s.segment = m.segment AND s.granule IS NOT DISTINCT FROM m.granule
{% if cells %}
    AND s.outcome IS NOT DISTINCT FROM m.outcome AND s.predicted IS NOT DISTINCT FROM m.predicted
{% endif %}
{% if not into %}
ORDER BY granule, segment{{ ", outcome NULLS FIRST, predicted NULLS FIRST" if cells }}, feature
{% endif %}
