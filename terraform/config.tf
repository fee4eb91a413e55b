# The configuration: a bucket with the fleet's YAMLs, which the function reads at each call.
locals {
  report_default   = var.reports != null && try(var.reports.for_all, false) && !can(local.defaults.report) ? "report: {to: \"gs://${local.report_bucket}\"}\n" : ""
  defaults_written = "${local.defaults_text == "" ? "" : "${trimspace(local.defaults_text)}\n"}${local.report_default}"
  written          = merge(local.texts, local.defaults_written == "" ? {} : { (local.defaults_name) = local.defaults_written })
}

resource "google_storage_bucket" "config" {
  #checkov:skip=CKV_GCP_62:who reads is in Cloud Audit Logs; an access log needs another bucket
  project                     = var.project
  name                        = local.config_bucket
  location                    = local.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = local.labels

  versioning {
    enabled = true
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.this, terraform_data.key_known]
}

resource "google_storage_bucket_object" "fleet" {
  for_each = local.written

  bucket       = google_storage_bucket.config.name
  name         = "fleet/${each.key}"
  content      = each.value
  content_type = "application/yaml"

  depends_on = [terraform_data.fleet]
}

resource "google_storage_bucket_iam_member" "config_runner" {
  bucket = google_storage_bucket.config.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.this["runner"].member
}
