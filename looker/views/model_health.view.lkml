# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# Health of each monitor in its newest judged window, by model version.

view: model_health {
  label: "Model health"
  sql_table_name: `@{gcp_project}.@{dataset}.model_health` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.model_version]) ;;
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

  dimension: n_features {
    type: number
    description: "Features expected."
    sql: ${TABLE}.n_features ;;
    value_format_name: decimal_0
  }

  dimension: n_ok {
    type: number
    description: "Features judged ok."
    sql: ${TABLE}.n_ok ;;
    value_format_name: decimal_0
  }

  dimension: n_drift {
    type: number
    description: "Features judged drifted."
    sql: ${TABLE}.n_drift ;;
    value_format_name: decimal_0
  }

  dimension: n_not_evaluated {
    type: number
    description: "Features not evaluated."
    sql: ${TABLE}.n_not_evaluated ;;
    value_format_name: decimal_0
  }

  dimension: share_drifted {
    type: number
    description: "Drifted share of those evaluated."
    sql: ${TABLE}.share_drifted ;;
    value_format_name: percent_1
  }

  dimension: features_health {
    type: number
    description: "0..100: share of the evaluated features without drift."
    sql: ${TABLE}.features_health ;;
    value_format_name: decimal_0
  }

  dimension: prediction_health {
    type: number
    description: "0..100: the same of the prediction and its score."
    sql: ${TABLE}.prediction_health ;;
    value_format_name: decimal_0
  }

  dimension: performance_health {
    type: number
    description: "0..100: share of the limits on answers that hold, in the newest window whose outcomes have come."
    sql: ${TABLE}.performance_health ;;
    value_format_name: decimal_0
  }

  dimension: concept_health {
    type: number
    description: "0..100: share of the features given which the outcome did not move, there."
    sql: ${TABLE}.concept_health ;;
    value_format_name: decimal_0
  }

  dimension: quality_health {
    type: number
    description: "0..100: share of the checks of the data that hold."
    sql: ${TABLE}.quality_health ;;
    value_format_name: decimal_0
  }

  dimension: health {
    type: number
    description: "0..100: the parts that could be evaluated, weighted 30, 20, 30, 10 and 10; NULL when none could."
    sql: ${TABLE}.health ;;
    value_format_name: decimal_0
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

  measure: count {
    type: count
    description: "Number of model versions."
    drill_fields: [detail*]
  }

  measure: average_health {
    type: average
    description: "Average health."
    sql: ${health} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: min_health {
    type: min
    description: "Smallest health."
    sql: ${health} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: total_n_drift {
    type: sum
    description: "Sum of n_drift."
    sql: ${n_drift} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: total_n_not_evaluated {
    type: sum
    description: "Sum of n_not_evaluated."
    sql: ${n_not_evaluated} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      monitor,
      model_version,
      window_end_time,
      health,
      n_drift,
      share_drifted
    ]
  }
}
