# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# What each run cost.

view: run_costs {
  label: "Run costs"
  sql_table_name: `@{gcp_project}.@{dataset}.run_costs` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.run_id]) ;;
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

  dimension: run_id {
    type: string
    description: "The run that wrote the row."
    sql: ${TABLE}.run_id ;;
    hidden: yes
  }

  dimension: is_backfill {
    type: yesno
    description: "Whether a stretch of the past was asked for; a backfill moves no mark and notifies nobody."
    sql: ${TABLE}.is_backfill ;;
  }

  dimension: n_windows {
    type: number
    description: "Windows judged by this run."
    sql: ${TABLE}.n_windows ;;
    value_format_name: decimal_0
  }

  dimension: n_windows_left {
    type: number
    description: "Windows that were due and left to the next run."
    sql: ${TABLE}.n_windows_left ;;
    value_format_name: decimal_0
  }

  dimension: n_granules_counted {
    type: number
    description: "Granules counted by this run."
    sql: ${TABLE}.n_granules_counted ;;
    value_format_name: decimal_0
  }

  dimension: bytes_processed {
    type: number
    description: "Bytes that the statements processed; NULL where the warehouse does not count."
    sql: ${TABLE}.bytes_processed ;;
    value_format_name: decimal_0
  }

  dimension: bytes_billed {
    type: number
    description: "Bytes billed: whole MB, at least 10 a table that is read; NULL where the warehouse does not count."
    sql: ${TABLE}.bytes_billed ;;
    value_format_name: decimal_0
  }

  dimension: cost {
    type: number
    description: "Price of the bytes billed at budget.price_per_tib, in its currency; NULL where nothing is counted."
    sql: ${TABLE}.cost ;;
    value_format: "#,##0.0000"
  }

  dimension: slot_ms {
    type: number
    description: "Slot milliseconds; NULL where the warehouse does not count."
    sql: ${TABLE}.slot_ms ;;
    value_format_name: decimal_0
  }

  dimension: duration_seconds {
    type: number
    description: "Seconds from start to commit."
    sql: ${TABLE}.duration_seconds ;;
    value_format_name: decimal_3
  }

  dimension: month_to_date_cost {
    type: number
    description: "Cost of the monitor's runs of this calendar month (UTC), up to and with this one."
    sql: ${TABLE}.month_to_date_cost ;;
    value_format: "#,##0.0000"
  }

  dimension_group: started_at {
    type: time
    description: "When the run began."
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
    sql: ${TABLE}.started_at ;;
  }

  dimension_group: finished_at {
    type: time
    description: "When its results were committed."
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
    sql: ${TABLE}.finished_at ;;
  }

  dimension_group: as_of {
    type: time
    description: "The moment the run was made for."
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
    sql: ${TABLE}.as_of ;;
  }

  measure: count {
    type: count
    description: "Number of runs."
    drill_fields: [detail*]
  }

  measure: total_cost {
    type: sum
    description: "Sum of cost."
    sql: ${cost} ;;
    value_format: "#,##0.0000"
    drill_fields: [detail*]
  }

  measure: total_bytes_billed {
    type: sum
    description: "Sum of bytes_billed."
    sql: ${bytes_billed} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: total_slot_ms {
    type: sum
    description: "Sum of slot_ms."
    sql: ${slot_ms} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: total_n_windows {
    type: sum
    description: "Sum of n_windows."
    sql: ${n_windows} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: max_month_to_date_cost {
    type: max
    description: "Largest month_to_date_cost."
    sql: ${month_to_date_cost} ;;
    value_format: "#,##0.0000"
    drill_fields: [detail*]
  }

  measure: max_n_windows_left {
    type: max
    description: "Largest n_windows_left."
    sql: ${n_windows_left} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: average_duration_seconds {
    type: average
    description: "Average duration_seconds."
    sql: ${duration_seconds} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      monitor,
      started_at_time,
      is_backfill,
      n_windows,
      cost,
      bytes_billed,
      duration_seconds
    ]
  }
}
