# The reports: MONITOR.html is written anew by each run; the bucket keeps what it replaced for a while.
resource "google_storage_bucket" "reports" {
  #checkov:skip=CKV_GCP_62:who reads is in Cloud Audit Logs; an access log needs another bucket
  count = var.reports == null ? 0 : 1

  project                     = var.project
  name                        = local.report_bucket
  location                    = local.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = local.labels

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.reports.delete_after_days
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
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

resource "google_storage_bucket_iam_member" "reports_runner" {
  count = var.reports == null ? 0 : 1

  bucket = google_storage_bucket.reports[0].name
  role   = "roles/storage.objectUser"
  member = google_service_account.this["runner"].member
}

resource "google_storage_bucket_iam_member" "reports_readers" {
  for_each = var.reports == null ? [] : var.readers

  bucket = google_storage_bucket.reports[0].name
  role   = "roles/storage.objectViewer"
  member = each.key
}
