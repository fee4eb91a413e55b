# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# What happened to each alert, one row an event; never changed. `alerts` is where each stands.

view: alert_events {
  label: "Alert events"
  sql_table_name: `@{gcp_project}.@{dataset}.alert_events` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.event_id, ${TABLE}.run_id]) ;;
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

  dimension: run_id {
    type: string
    description: "The run that wrote the row."
    sql: ${TABLE}.run_id ;;
    hidden: yes
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
    description: "What the window was compared with."
    sql: ${TABLE}.baseline ;;
  }

  dimension: measure {
    type: string
    description: "The measure of answers, or the check of the data, that it is about."
    sql: ${TABLE}.measure ;;
  }

  dimension: verdict_key {
    type: string
    description: "The verdict that raised the event; NULL for what people and runs did."
    sql: ${TABLE}.verdict_key ;;
    hidden: yes
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

  dimension: notify {
    type: yesno
    description: "Whether anybody is to be told; false for what a backfill found."
    sql: ${TABLE}.notify ;;
  }

  dimension: alert_id {
    type: string
    description: "Identity of the alert: monitor, kind, measure, feature, segment and baseline."
    sql: ${TABLE}.alert_id ;;
    hidden: yes
  }

  dimension: event_id {
    type: string
    description: "Identity of the event; what was committed twice has the same."
    sql: ${TABLE}.event_id ;;
    hidden: yes
  }

  dimension: event {
    type: string
    description: "opened, reopened, firing, reminded, escalated, doubtful, clean, unknown or resolved (by windows); acknowledged, snoozed or closed (by people); observed (by a backfill, which changes no alert)."
    sql: ${TABLE}.event ;;
  }

  dimension: n_windows {
    type: number
    description: "Windows of this life in which it stood."
    sql: ${TABLE}.n_windows ;;
    value_format_name: decimal_0
  }

  dimension: n_clean {
    type: number
    description: "Windows in a row that were clean since."
    sql: ${TABLE}.n_clean ;;
    value_format_name: decimal_0
  }

  dimension: n_reopened {
    type: number
    description: "How often it came back soon after it was resolved; each time it takes longer to resolve."
    sql: ${TABLE}.n_reopened ;;
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

  dimension: actor {
    type: string
    description: "Who acknowledged, snoozed or closed it."
    sql: ${TABLE}.actor ;;
  }

  dimension: note {
    type: string
    description: "Why."
    sql: ${TABLE}.note ;;
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

  dimension_group: told_end {
    type: time
    description: "End of the window that people were last told of."
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
    sql: ${TABLE}.told_end ;;
  }

  dimension_group: until {
    type: time
    description: "How long it is snoozed."
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
    sql: ${TABLE}.until ;;
  }

  measure: count {
    type: count
    description: "Number of events."
    drill_fields: [detail*]
  }

  measure: count_alerts {
    type: count_distinct
    description: "Number of different alerts."
    sql: ${alert_id} ;;
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      computed_at_time,
      monitor,
      event,
      severity,
      kind,
      feature,
      measure,
      message,
      actor,
      note
    ]
  }
}
