# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# How much each bucket of a feature adds to its PSI in each window.

view: bucket_contributions {
  label: "Bucket contributions"
  sql_table_name: `@{gcp_project}.@{dataset}.bucket_contributions` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.model_version, CAST(${TABLE}.window_start AS STRING), CAST(${TABLE}.window_end AS STRING), ${TABLE}.segment, ${TABLE}.feature, ${TABLE}.baseline, ${TABLE}.bucket]) ;;
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

  dimension: segment {
    type: string
    description: "The part of the log that was counted; 'all' is every row."
    sql: ${TABLE}.segment ;;
  }

  dimension: feature {
    type: string
    description: "Name of the column or expression."
    sql: ${TABLE}.feature ;;
  }

  dimension: baseline {
    type: string
    description: "What the window was compared with; 'training' is the reference."
    sql: ${TABLE}.baseline ;;
  }

  dimension: status {
    type: string
    description: "ok, drift or not_evaluated."
    sql: ${TABLE}.status ;;
  }

  dimension: bucket {
    type: string
    description: "Label, interval or special name of the coarse bucket."
    sql: ${TABLE}.bucket ;;
  }

  dimension: baseline_share {
    type: number
    description: "Share in the baseline, 0..1."
    sql: ${TABLE}.baseline_share ;;
    value_format_name: percent_1
  }

  dimension: current_share {
    type: number
    description: "Share in the window, 0..1."
    sql: ${TABLE}.current_share ;;
    value_format_name: percent_1
  }

  dimension: psi_contribution {
    type: number
    description: "Its part of psi, nats; the parts add up."
    sql: ${TABLE}.psi_contribution ;;
    value_format_name: decimal_3
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
    description: "Number of buckets of verdicts."
    drill_fields: [detail*]
  }

  measure: total_psi_contribution {
    type: sum
    description: "Sum of psi_contribution."
    sql: ${psi_contribution} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_baseline_share {
    type: average
    description: "Average baseline_share."
    sql: ${baseline_share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  measure: average_current_share {
    type: average
    description: "Average current_share."
    sql: ${current_share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      window_end_time,
      feature,
      segment,
      bucket,
      baseline_share,
      current_share,
      psi_contribution
    ]
  }
}
