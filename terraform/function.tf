locals {
  environment = merge(var.function.environment, {
    BQ_MONITOR_CONFIG       = local.config_folder
    BQ_MONITOR_WAREHOUSE    = local.warehouse
    BQ_MONITOR_CALL_SECONDS = tostring(local.call_seconds)
    BQ_MONITOR_PUBSUB_TOPIC = "projects/${var.project}/topics/${google_pubsub_topic.this["alerts"].name}"
    BQ_MONITOR_METRICS      = var.function.metrics ? "on" : "off"
  })
}

resource "google_cloudfunctions2_function" "monitor" {
  project      = var.project
  location     = local.region
  name         = var.name
  description  = "Runs the due windows of the monitors in ${local.config_folder}."
  kms_key_name = var.kms_key
  labels       = local.labels

  build_config {
    runtime           = var.function.runtime
    entry_point       = "monitor"
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = google_service_account.this["builder"].id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.archive.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this["runner"].email
    available_memory                 = var.function.memory
    available_cpu                    = var.function.cpu
    timeout_seconds                  = var.function.timeout_seconds
    min_instance_count               = 0
    max_instance_count               = var.function.max_instances
    max_instance_request_concurrency = 1 # a run takes the memory of an instance
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true
    environment_variables            = local.environment
    vpc_connector                    = try(var.network.vpc_connector, null)
    vpc_connector_egress_settings    = try(var.network.egress, null)

    dynamic "secret_environment_variables" {
      for_each = local.secret_environment
      content {
        key        = secret_environment_variables.key
        project_id = secret_environment_variables.value.project
        secret     = secret_environment_variables.value.id
        version    = "latest"
      }
    }
  }

  depends_on = [
    google_project_service.this,
    terraform_data.key_known,
    google_artifact_registry_repository_iam_member.builder,
    google_project_iam_member.builder_copy,
    google_project_iam_member.builder_logs,
    google_storage_bucket_iam_member.source_builder,
    google_secret_manager_secret_iam_member.runner,
    google_bigquery_table.views_of_views, # tables first: an upgraded function must not meet older ones
    terraform_data.builder_known,
  ]
}

# Who may call it: the scheduler, and whom you name to scrape its gauges; nobody else.
resource "google_cloud_run_v2_service_iam_member" "scheduler" {
  project  = var.project
  location = local.region
  name     = google_cloudfunctions2_function.monitor.name
  role     = "roles/run.invoker"
  member   = google_service_account.this["scheduler"].member

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.monitor.id] # a function that is made anew has lost its grants
  }
}

resource "google_cloud_run_v2_service_iam_member" "scrapers" {
  for_each = var.function.scrapers

  project  = var.project
  location = local.region
  name     = google_cloudfunctions2_function.monitor.name
  role     = "roles/run.invoker"
  member   = each.value

  lifecycle {
    replace_triggered_by = [google_cloudfunctions2_function.monitor.id]
  }
}
