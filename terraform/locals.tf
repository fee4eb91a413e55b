locals {
  region   = coalesce(var.region, var.location)
  location = upper(var.location) # as Cloud Storage writes it, so that nothing changes on the next plan
  labels   = merge({ app = var.name }, var.labels)

  # Environment variables that the module sets itself.
  reserved = [
    "BQ_MONITOR_CONFIG", "BQ_MONITOR_WAREHOUSE", "BQ_MONITOR_CALL_SECONDS", "BQ_MONITOR_PUBSUB_TOPIC", "BQ_MONITOR_METRICS",
  ]

  warehouse     = "bigquery://${var.project}/${var.dataset.id}?location=${var.location}"
  config_bucket = "${var.project}-${var.name}-config"
  report_bucket = "${var.project}-${var.name}-reports"
  source_bucket = "${var.project}-${var.name}-source"
  config_folder = "gs://${local.config_bucket}/fleet"

  attempt_seconds = 1800 # the longest that Cloud Scheduler waits for an answer
  call_seconds    = var.function.timeout_seconds - 60
}

data "google_project" "this" {
  project_id = var.project
}
