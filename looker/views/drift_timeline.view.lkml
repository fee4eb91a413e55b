# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# The deciding metric of every feature over time, with its threshold, noise floor and bounds.

view: drift_timeline {
  label: "Drift timeline"
  sql_table_name: `@{gcp_project}.@{dataset}.drift_timeline` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.model_version, CAST(${TABLE}.window_start AS STRING), CAST(${TABLE}.window_end AS STRING), ${TABLE}.segment, ${TABLE}.feature, ${TABLE}.baseline]) ;;
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

  dimension: feature {
    type: string
    description: "Name of the column or expression."
    sql: ${TABLE}.feature ;;
  }

  dimension: role {
    type: string
    description: "feature, prediction, score or label."
    sql: ${TABLE}.role ;;
  }

  dimension: kind {
    type: string
    description: "Kind of the feature."
    sql: ${TABLE}.kind ;;
  }

  dimension: segment {
    type: string
    description: "The part of the log that was counted; 'all' is every row."
    sql: ${TABLE}.segment ;;
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

  dimension: reason {
    type: string
    description: "Why it was not evaluated."
    sql: ${TABLE}.reason ;;
  }

  dimension: metric {
    type: string
    description: "The deciding metric."
    sql: ${TABLE}.metric ;;
  }

  dimension: value {
    type: number
    description: "Observed value of the deciding metric."
    sql: ${TABLE}.value ;;
    value_format_name: decimal_3
  }

  dimension: threshold {
    type: number
    description: "The true divergence that matters, in its unit; NULL for tests of any change."
    sql: ${TABLE}.threshold ;;
    value_format_name: decimal_3
  }

  dimension: noise_floor {
    type: number
    description: "What the deciding metric shows on average without any change."
    sql: ${TABLE}.noise_floor ;;
    value_format_name: decimal_3
  }

  dimension: lower {
    type: number
    description: "Lower confidence bound of the true value of the deciding metric."
    sql: ${TABLE}.lower ;;
    value_format_name: decimal_3
  }

  dimension: upper {
    type: number
    description: "Upper confidence bound of the true value of the deciding metric."
    sql: ${TABLE}.upper ;;
    value_format_name: decimal_3
  }

  dimension: drift_score {
    type: number
    description: "Noise-corrected JS distance, 0..1; comparable across sample sizes."
    sql: ${TABLE}.drift_score ;;
    value_format_name: decimal_3
  }

  dimension: p_adjusted {
    type: number
    description: "The same, adjusted for all tests of the window (Holm)."
    sql: ${TABLE}.p_adjusted ;;
    value_format_name: decimal_3
  }

  dimension: n_baseline {
    type: number
    description: "Rows of the baseline."
    sql: ${TABLE}.n_baseline ;;
    value_format_name: decimal_0
  }

  dimension: n_current {
    type: number
    description: "Rows of the window."
    sql: ${TABLE}.n_current ;;
    value_format_name: decimal_0
  }

  dimension: explanation {
    type: string
    description: "What moved, in words; NULL when nothing did."
    sql: ${TABLE}.explanation ;;
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

  dimension_group: trend_crosses_at {
    type: time
    description: "When the trend passes, or passed, the threshold; NULL when it does not soon."
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
    sql: ${TABLE}.trend_crosses_at ;;
  }

  measure: count {
    type: count
    description: "Number of verdicts."
    drill_fields: [detail*]
  }

  measure: count_ok {
    type: count
    description: "Number of verdicts with status ok."
    filters: [
      status: "ok"
    ]
    drill_fields: [detail*]
  }

  measure: count_drift {
    type: count
    description: "Number of verdicts with status drift."
    filters: [
      status: "drift"
    ]
    drill_fields: [detail*]
  }

  measure: count_not_evaluated {
    type: count
    description: "Number of verdicts with status not_evaluated."
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

  measure: average_threshold {
    type: average
    description: "Average threshold."
    sql: ${threshold} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_noise_floor {
    type: average
    description: "Average noise_floor."
    sql: ${noise_floor} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_lower {
    type: average
    description: "Average lower."
    sql: ${lower} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_upper {
    type: average
    description: "Average upper."
    sql: ${upper} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: max_drift_score {
    type: max
    description: "Largest drift_score."
    sql: ${drift_score} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      monitor,
      window_end_time,
      segment,
      feature,
      baseline,
      status,
      metric,
      value,
      threshold
    ]
  }
}
