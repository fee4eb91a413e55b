project_name: "bq_monitor"

# The name of the BigQuery connection in Looker (Admin > Connections).
constant: connection {
  value: "bigquery"
  export: override_required
}

# The Google Cloud project that holds the monitor's dataset.
constant: gcp_project {
  value: "my-project"
  export: override_required
}

# The dataset that `warehouse: bigquery://PROJECT/DATASET` names.
constant: dataset {
  value: "ml_monitoring"
  export: override_required
}
