explore: model_health {
  label: "Fleet health"
  description: "One row for each monitor and model version: the health of its newest judged window."
}

explore: open_alerts {
  label: "Open alerts"
  description: "The alerts that stand, acknowledged and snoozed ones among them."
}

explore: alerts {
  label: "Alerts and their events"
  description: "Every alert there ever was, with what happened to it."

  join: alert_events {
    type: left_outer
    relationship: one_to_many
    sql_on: ${alerts.alert_id} = ${alert_events.alert_id} ;;
  }
}

explore: alert_events {
  label: "Alert events"
  description: "What happened to alerts, in order of time."
  always_filter: {
    filters: [alert_events.window_end_date: "90 days"]
  }
}

explore: drift_latest {
  label: "Drift verdicts"
  description: "One verdict for each window, segment, feature and baseline, with all its numbers and the shares of its buckets."
  always_filter: {
    filters: [drift_latest.window_end_date: "90 days"]
  }

  join: drift_latest__contributions {
    type: left_outer
    relationship: one_to_many
    sql: LEFT JOIN UNNEST(${drift_latest.contributions}) AS drift_latest__contributions ;;
  }
}

explore: drift_timeline {
  label: "Drift over time"
  description: "The deciding metric of each feature with its threshold, noise floor and bounds."
  always_filter: {
    filters: [drift_timeline.window_end_date: "90 days"]
  }
}

explore: bucket_contributions {
  label: "What moved"
  description: "How much each bucket of a feature adds to its PSI."
  always_filter: {
    filters: [bucket_contributions.window_end_date: "30 days"]
  }
}

explore: feature_histograms {
  label: "Histograms"
  description: "Reference beside production, for each day or hour and bucket."
  always_filter: {
    filters: [feature_histograms.granule_date: "7 days", feature_histograms.segment: "all"]
  }
}

explore: performance_latest {
  label: "Performance"
  description: "How good the answers were: realised, estimated and observed, with intervals; with ece, accuracy and concept:NAME by bin."
  always_filter: {
    filters: [performance_latest.window_end_date: "90 days"]
  }

  join: performance_latest__bins {
    type: left_outer
    relationship: one_to_many
    sql: LEFT JOIN UNNEST(${performance_latest.bins}) AS performance_latest__bins ;;
  }
}

# An explore of its own: a row with bins and cells of the confusion matrix would multiply the one by the other.
explore: performance_confusion {
  view_name: performance_latest
  label: "Confusion matrix"
  description: "Rows by outcome and prediction."
  always_filter: {
    filters: [performance_latest.window_end_date: "90 days", performance_latest.metric: "accuracy"]
  }

  join: performance_latest__confusion {
    type: inner
    relationship: one_to_many
    sql: INNER JOIN UNNEST(${performance_latest.confusion}) AS performance_latest__confusion ;;
  }
}

explore: quality_latest {
  label: "Data quality"
  description: "Checks of the data of each window."
  always_filter: {
    filters: [quality_latest.window_end_date: "90 days"]
  }
}

explore: run_costs {
  label: "Runs and costs"
  description: "What each run counted, judged and cost."
  always_filter: {
    filters: [run_costs.started_at_date: "90 days"]
  }
}

explore: notifications_latest {
  label: "Notifications"
  description: "What was to be told to whom, and whether it was."
  always_filter: {
    filters: [notifications_latest.created_at_date: "90 days"]
  }
}

explore: actions_latest {
  label: "Actions"
  description: "What alerts set off."
  always_filter: {
    filters: [actions_latest.created_at_date: "90 days"]
  }
}
