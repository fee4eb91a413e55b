# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# How each notification stands: sent, still to be sent, or given up.

view: notifications_latest {
  label: "Notifications latest"
  sql_table_name: `@{gcp_project}.@{dataset}.notifications_latest` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: ${TABLE}.notification_id ;;
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

  dimension: notification_id {
    type: string
    description: "Identity; a receiver that gets it twice knows it by this."
    sql: ${TABLE}.notification_id ;;
    hidden: yes
  }

  dimension: channel {
    type: string
    description: "Name of the channel."
    sql: ${TABLE}.channel ;;
  }

  dimension: position {
    type: number
    description: "Place among those of one channel that were written at one moment."
    sql: ${TABLE}.position ;;
    value_format_name: decimal_0
  }

  dimension: status {
    type: string
    description: "pending, sent, failed (is tried again) or dead (given up)."
    sql: ${TABLE}.status ;;
  }

  dimension: attempt {
    type: number
    description: "Attempts so far; 0 for one that was never tried."
    sql: ${TABLE}.attempt ;;
    value_format_name: decimal_0
  }

  dimension: severity {
    type: string
    description: "The worst of its alerts."
    sql: ${TABLE}.severity ;;
  }

  dimension: n_alerts {
    type: number
    description: "Alerts that it tells of."
    sql: ${TABLE}.n_alerts ;;
    value_format_name: decimal_0
  }

  dimension: payload {
    type: string
    description: "What it says, as JSON; NULL in the rows of attempts."
    sql: ${TABLE}.payload ;;
  }

  dimension: error {
    type: string
    description: "Why the attempt failed; never with a secret in it."
    sql: ${TABLE}.error ;;
  }

  dimension: run_id {
    type: string
    description: "The run that wrote the row."
    sql: ${TABLE}.run_id ;;
    hidden: yes
  }

  dimension_group: not_before {
    type: time
    description: "When it is due, or to be tried again."
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
    sql: ${TABLE}.not_before ;;
  }

  dimension_group: held_until {
    type: time
    description: "End of the quiet hours, or time of the digest, that it waits for; NULL where it does not."
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
    sql: ${TABLE}.held_until ;;
  }

  dimension_group: created_at {
    type: time
    description: "When there was something to tell."
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
    sql: ${TABLE}.created_at ;;
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
    description: "Number of notifications."
    drill_fields: [detail*]
  }

  measure: count_pending {
    type: count
    description: "Number of notifications with status pending."
    filters: [
      status: "pending"
    ]
    drill_fields: [detail*]
  }

  measure: count_sent {
    type: count
    description: "Number of notifications with status sent."
    filters: [
      status: "sent"
    ]
    drill_fields: [detail*]
  }

  measure: count_failed {
    type: count
    description: "Number of notifications with status failed."
    filters: [
      status: "failed"
    ]
    drill_fields: [detail*]
  }

  measure: count_dead {
    type: count
    description: "Number of notifications with status dead."
    filters: [
      status: "dead"
    ]
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      created_at_time,
      monitor,
      channel,
      status,
      severity,
      n_alerts,
      attempt,
      error
    ]
  }
}
