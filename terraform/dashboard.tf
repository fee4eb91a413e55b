# The live page, if wanted: reads results and configurations with an account of its own.
locals {
  shown    = var.dashboard == null ? {} : { this = var.dashboard }
  audience = try(var.dashboard.iap_audience, null)
  callers = merge(
    { for member in try(var.dashboard.viewers, []) : member => member },
    local.audience == null ? {} : { iap = "serviceAccount:${local.agent_of}gcp-sa-iap.iam.gserviceaccount.com" },
  )
}

resource "google_cloud_run_v2_service" "dashboard" {
  for_each = local.shown

  project             = var.project
  location            = local.region
  name                = "${var.name}-dashboard"
  description         = "The live page of ${var.name}."
  ingress             = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  deletion_protection = var.deletion_protection
  labels              = local.labels

  template {
    service_account                  = google_service_account.this["dashboard"].email
    encryption_key                   = var.kms_key
    session_affinity                 = true # a session lives in one instance
    timeout                          = "3600s"
    max_instance_request_concurrency = 40

    scaling {
      min_instance_count = 0
      max_instance_count = each.value.max_instances
    }

    containers {
      image   = each.value.image
      command = ["bq-monitor"]
      args = concat(
        ["dashboard", local.config_folder, "--host", "0.0.0.0", "--port", "8080"],
        local.audience == null ? [] : ["--iap-audience", local.audience],
      )

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = each.value.cpu, memory = each.value.memory }
        startup_cpu_boost = true
      }

      env {
        name  = "BQ_MONITOR_WAREHOUSE"
        value = local.warehouse
      }
    }

    dynamic "vpc_access" {
      for_each = var.network == null ? [] : [var.network]
      content {
        connector = vpc_access.value.vpc_connector
        egress    = vpc_access.value.egress
      }
    }
  }

  depends_on = [
    terraform_data.key_known,
    google_bigquery_table.views_of_views,
    google_bigquery_dataset_iam_member.dashboard,
    google_project_iam_member.dashboard,
    google_storage_bucket_iam_member.config_dashboard,
    google_storage_bucket_object.fleet,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "viewers" {
  for_each = local.callers

  project  = var.project
  location = local.region
  name     = google_cloud_run_v2_service.dashboard["this"].name
  role     = "roles/run.invoker"
  member   = each.value
}

resource "google_project_iam_member" "dashboard" {
  for_each = local.shown

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.this["dashboard"].member
}

# Acknowledging an alert writes a row; without IAP nobody may.
resource "google_bigquery_dataset_iam_member" "dashboard" {
  for_each = local.shown

  project    = var.project
  dataset_id = google_bigquery_dataset.results.dataset_id
  role       = local.audience == null ? "roles/bigquery.dataViewer" : "roles/bigquery.dataEditor"
  member     = google_service_account.this["dashboard"].member
}

resource "google_storage_bucket_iam_member" "config_dashboard" {
  for_each = local.shown

  bucket = google_storage_bucket.config.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.this["dashboard"].member
}
