output "warehouse" {
  description = "The warehouse as `bq-monitor` takes it (`BQ_MONITOR_WAREHOUSE`), once its tables and views are there."
  value       = local.warehouse

  depends_on = [google_bigquery_table.views_of_views]
}

output "dataset" {
  description = "The dataset of results (`project.dataset`), once its tables, views and grants are there."
  value       = "${google_bigquery_dataset.results.project}.${google_bigquery_dataset.results.dataset_id}"

  depends_on = [
    google_bigquery_table.views_of_views,
    google_bigquery_dataset_iam_member.runner,
    google_bigquery_dataset_iam_member.readers,
  ]
}

output "config_folder" {
  description = "Where the fleet's YAMLs lie (`gs://…/fleet`), once they do."
  value       = local.config_folder

  depends_on = [google_storage_bucket_object.fleet]
}

output "report_folder" {
  description = "Where runs leave reports (`report.to`); null without `reports`."
  value       = var.reports == null ? null : google_storage_bucket.reports[0].url

  depends_on = [google_storage_bucket_iam_member.reports_runner]
}

output "function_uri" {
  description = "Address of the function, once the scheduler may call it."
  value       = google_cloudfunctions2_function.monitor.service_config[0].uri

  depends_on = [google_cloud_run_v2_service_iam_member.scheduler]
}

output "function_name" {
  description = "Name of the function, and of its service on Cloud Run."
  value       = google_cloudfunctions2_function.monitor.name
}

output "jobs" {
  description = "Names of the scheduler's jobs, by what they do; `gcloud scheduler jobs run NAME` calls one at once."
  value       = { for name, job in google_cloud_scheduler_job.this : name => job.name }
}

output "topics" {
  description = "The topics (`projects/P/topics/T`): `alerts` for a channel of type pubsub, `retrain` for `actions`; once the runner may publish."
  value       = { for name, topic in google_pubsub_topic.this : name => topic.id }

  depends_on = [google_pubsub_topic_iam_member.runner]
}

output "topic_definitions" {
  description = "What the topics carry, as protocol buffers, by topic: the definitions for `topic_schemas`."
  value       = { for name, definition in local.topics : name => file("${path.module}/schema/${definition}") }
}

output "secrets" {
  description = "Each secret as a YAML refers to it (`secret:projects/P/secrets/ID`), by its variable; once the runner may read it."
  value       = { for variable, secret in local.secrets : variable => "secret:projects/${secret.project}/secrets/${secret.id}" }

  depends_on = [google_secret_manager_secret_iam_member.runner]
}

output "service_accounts" {
  description = "E-mail addresses of the service accounts: runner, builder, scheduler, and dashboard if there is one."
  value       = { for name, account in google_service_account.this : name => account.email }
}

output "monitors" {
  description = "Names of the monitors in the fleet."
  value       = sort(local.monitors)

  depends_on = [google_cloud_scheduler_job.this]
}

output "sources" {
  description = "Tables that the runner may read, as `project.dataset.table`."
  value       = sort(keys(google_bigquery_table_iam_member.logs))
}

output "dashboard_uri" {
  description = "Address of the dashboard, once its viewers may call it; null without one."
  value       = one([for service in google_cloud_run_v2_service.dashboard : service.uri])

  depends_on = [google_cloud_run_v2_service_iam_member.viewers]
}
