# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# How each action stands.

view: actions_latest {
  label: "Actions latest"
  sql_table_name: `@{gcp_project}.@{dataset}.actions_latest` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.action_id]) ;;
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

  dimension: action_id {
    type: string
    description: "Identity of one firing: the action and its cause. It happens at most once."
    sql: ${TABLE}.action_id ;;
    hidden: yes
  }

  dimension: action {
    type: string
    description: "Name of the action."
    sql: ${TABLE}.action ;;
  }

  dimension: kind {
    type: string
    description: "What it does: retrain, rollback, ..., as the configuration calls it."
    sql: ${TABLE}.kind ;;
  }

  dimension: target {
    type: string
    description: "What is called: a topic, a webhook, a Python function or a command; no secret."
    sql: ${TABLE}.target ;;
  }

  dimension: status {
    type: string
    description: "pending, started, succeeded, failed, dry_run, cooling (too soon after the last) or interrupted."
    sql: ${TABLE}.status ;;
  }

  dimension: alert_id {
    type: string
    description: "The alert that set it off."
    sql: ${TABLE}.alert_id ;;
    hidden: yes
  }

  dimension: reason {
    type: string
    description: "Why, in words."
    sql: ${TABLE}.reason ;;
  }

  dimension: outcome {
    type: string
    description: "What came of it."
    sql: ${TABLE}.outcome ;;
  }

  dimension: details {
    type: string
    description: "What was handed over, or measured, as JSON."
    sql: ${TABLE}.details ;;
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

  dimension_group: created_at {
    type: time
    description: "When it was decided."
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

  measure: count {
    type: count
    description: "Number of actions."
    drill_fields: [detail*]
  }

  measure: count_succeeded {
    type: count
    description: "Number of actions with status succeeded."
    filters: [
      status: "succeeded"
    ]
    drill_fields: [detail*]
  }

  measure: count_failed {
    type: count
    description: "Number of actions with status failed."
    filters: [
      status: "failed"
    ]
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      created_at_time,
      monitor,
      action,
      kind,
      status,
      reason,
      outcome
    ]
  }
}
