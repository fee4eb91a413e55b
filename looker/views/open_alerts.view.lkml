# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# The alerts that stand: neither clean windows nor a person has ended them.

view: open_alerts {
  label: "Open alerts"
  sql_table_name: `@{gcp_project}.@{dataset}.open_alerts` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: ${TABLE}.alert_id ;;
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

  dimension: alert_id {
    type: string
    description: "Identity of the alert: monitor, kind, measure, feature, segment and baseline."
    sql: ${TABLE}.alert_id ;;
    hidden: yes
  }

  dimension: status {
    type: string
    description: "open, acknowledged or resolved."
    sql: ${TABLE}.status ;;
  }

  dimension: is_unknown {
    type: yesno
    description: "Whether its last window could not tell."
    sql: ${TABLE}.is_unknown ;;
  }

  dimension: kind {
    type: string
    description: "drift, prediction_drift, slow_drift, dataset_drift, performance, estimated_performance, business, accuracy_drift, concept_drift, fairness, quality, nothing_evaluated, run_failed, budget, overdue, delivery or action_failed."
    sql: ${TABLE}.kind ;;
  }

  dimension: severity {
    type: string
    description: "info, warning or critical."
    sql: ${TABLE}.severity ;;
  }

  dimension: message {
    type: string
    description: "One sentence for people."
    sql: ${TABLE}.message ;;
  }

  dimension: measure {
    type: string
    description: "The measure of answers, or the check of the data, that it is about."
    sql: ${TABLE}.measure ;;
  }

  dimension: feature {
    type: string
    description: "Name of the column or expression."
    sql: ${TABLE}.feature ;;
  }

  dimension: segment {
    type: string
    description: "The part of the log that was counted; 'all' is every row."
    sql: ${TABLE}.segment ;;
  }

  dimension: baseline {
    type: string
    description: "What the window was compared with."
    sql: ${TABLE}.baseline ;;
  }

  dimension: model_version {
    type: string
    description: "Version of the model that the rows were logged by; '' when the log names none."
    sql: ${TABLE}.model_version ;;
  }

  dimension: n_windows {
    type: number
    description: "Windows of this life in which it stood."
    sql: ${TABLE}.n_windows ;;
    value_format_name: decimal_0
  }

  dimension: sure {
    type: string
    description: "How sure it is, in words."
    sql: ${TABLE}.sure ;;
  }

  dimension: carrier {
    type: string
    description: "What carries most of the change: nulls, one category, ..."
    sql: ${TABLE}.carrier ;;
  }

  dimension: acknowledged_by {
    type: string
    description: "Who has seen to it; NULL where nobody has."
    sql: ${TABLE}.acknowledged_by ;;
  }

  dimension: note {
    type: string
    description: "What they said."
    sql: ${TABLE}.note ;;
  }

  dimension: run_id {
    type: string
    description: "The run that wrote the row."
    sql: ${TABLE}.run_id ;;
    hidden: yes
  }

  dimension_group: since {
    type: time
    description: "End of the first window of this life of the alert."
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
    sql: ${TABLE}.since ;;
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

  dimension_group: snoozed_until {
    type: time
    description: "Until then nobody is told; NULL without a snooze."
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
    sql: ${TABLE}.snoozed_until ;;
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
    description: "Number of open alerts."
    drill_fields: [detail*]
  }

  measure: count_critical {
    type: count
    description: "Number of open alerts of severity critical."
    filters: [
      severity: "critical"
    ]
    drill_fields: [detail*]
  }

  measure: max_n_windows {
    type: max
    description: "Largest n_windows."
    sql: ${n_windows} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      monitor,
      severity,
      kind,
      feature,
      measure,
      segment,
      since_time,
      message
    ]
  }
}
