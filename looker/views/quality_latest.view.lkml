# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# The newest check of each window's data.

view: quality_latest {
  label: "Quality latest"
  sql_table_name: `@{gcp_project}.@{dataset}.quality_latest` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.model_version, CAST(${TABLE}.window_start AS STRING), CAST(${TABLE}.window_end AS STRING), ${TABLE}.check_name, ${TABLE}.feature]) ;;
  }

  dimension: monitor {
    type: string
    description: "Name of the monitor, from its configuration."
    sql: ${TABLE}.monitor ;;

    link: {
      label: "Dashboard of {{ value }}"
      url: "/dashboards/bq_monitor::bq_monitor?Monitor={{ value | url_encode }}"
    }
  }

  dimension: model_version {
    type: string
    description: "Version of the model that the rows were logged by; '' when the log names none."
    sql: ${TABLE}.model_version ;;
  }

  dimension: reference_id {
    type: string
    description: "Identity of the reference: a hash of its frozen buckets and counts."
    sql: ${TABLE}.reference_id ;;
    hidden: yes
  }

  dimension: run_id {
    type: string
    description: "The run that wrote the row."
    sql: ${TABLE}.run_id ;;
    hidden: yes
  }

  dimension: check_name {
    type: string
    description: "volume, null_rate, nan_rate, out_of_range, new_categories, vanished_categories, constant, type, duplicate_ids or freshness."
    sql: ${TABLE}.check_name ;;
  }

  dimension: feature {
    type: string
    description: "Name of the column or expression."
    sql: ${TABLE}.feature ;;
  }

  dimension: verdict_key {
    type: string
    description: "Identity of the verdict's inputs: configuration, reference, window, data versions."
    sql: ${TABLE}.verdict_key ;;
    hidden: yes
  }

  dimension: status {
    type: string
    description: "ok, drift (a limit is broken) or not_evaluated."
    sql: ${TABLE}.status ;;
  }

  dimension: reason {
    type: string
    description: "Why it was not evaluated."
    sql: ${TABLE}.reason ;;
  }

  dimension: value {
    type: number
    description: "What was found: a share 0..1, rows, or hours (freshness)."
    sql: ${TABLE}.value ;;
    value_format_name: decimal_3
  }

  dimension: reference_value {
    type: number
    description: "The same of the reference, or of the window before (volume)."
    sql: ${TABLE}.reference_value ;;
    value_format_name: decimal_3
  }

  dimension: limit_value {
    type: number
    description: "The limit; NULL without one."
    sql: ${TABLE}.limit_value ;;
    value_format_name: decimal_3
  }

  dimension: n_rows {
    type: number
    description: "Rows of the window."
    sql: ${TABLE}.n_rows ;;
    value_format_name: decimal_0
  }

  dimension: explanation {
    type: string
    description: "What is wrong, in words; NULL where nothing is."
    sql: ${TABLE}.explanation ;;
  }

  dimension_group: computed_at {
    type: time
    description: "When the row was computed; of rows with one key the newest counts."
    timeframes: [
      raw,
      time,
      hour,
      date,
      week,
      month,
      quarter,
      year
    ]
    convert_tz: no
    datatype: timestamp
    sql: ${TABLE}.computed_at ;;
  }

  dimension_group: window_start {
    type: time
    description: "First instant of the window."
    timeframes: [
      raw,
      time,
      hour,
      date,
      week,
      month,
      quarter,
      year
    ]
    convert_tz: no
    datatype: timestamp
    sql: ${TABLE}.window_start ;;
  }

  dimension_group: window_end {
    type: time
    description: "End of the window, exclusive."
    timeframes: [
      raw,
      time,
      hour,
      date,
      week,
      month,
      quarter,
      year
    ]
    convert_tz: no
    datatype: timestamp
    sql: ${TABLE}.window_end ;;
  }

  measure: count {
    type: count
    description: "Number of checks."
    drill_fields: [detail*]
  }

  measure: count_ok {
    type: count
    description: "Number of checks with status ok."
    filters: [
      status: "ok"
    ]
    drill_fields: [detail*]
  }

  measure: count_drift {
    type: count
    description: "Number of checks with status drift."
    filters: [
      status: "drift"
    ]
    drill_fields: [detail*]
  }

  measure: count_not_evaluated {
    type: count
    description: "Number of checks with status not_evaluated."
    filters: [
      status: "not_evaluated"
    ]
    drill_fields: [detail*]
  }

  measure: average_value {
    type: average
    description: "Average value."
    sql: ${value} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: max_n_rows {
    type: max
    description: "Largest n_rows."
    sql: ${n_rows} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      monitor,
      window_end_time,
      check_name,
      feature,
      status,
      value,
      limit_value,
      explanation
    ]
  }
}
