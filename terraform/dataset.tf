resource "google_bigquery_dataset" "results" {
  project                    = var.project
  dataset_id                 = var.dataset.id
  location                   = var.location
  description                = "Counts, verdicts and alerts of bq-monitor."
  max_time_travel_hours      = var.dataset.time_travel_hours
  storage_billing_model      = var.dataset.storage_billing
  delete_contents_on_destroy = false
  labels                     = local.labels

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.this, terraform_data.key_known]
}

resource "google_bigquery_dataset_iam_member" "runner" {
  project    = var.project
  dataset_id = google_bigquery_dataset.results.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.this["runner"].member
}

resource "google_bigquery_dataset_iam_member" "readers" {
  for_each = var.readers

  project    = var.project
  dataset_id = google_bigquery_dataset.results.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.key
}
