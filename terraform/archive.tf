# The function's source: the archive that `make archive` builds, under a name that holds its hash, so that a new one is deployed.
locals {
  archive     = coalesce(var.function.archive, "${path.module}/../dist/function.zip")
  archive_sha = fileexists(local.archive) ? filesha256(local.archive) : "missing"
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:who reads is in Cloud Audit Logs; an access log needs another bucket
  project                     = var.project
  name                        = local.source_bucket
  location                    = upper(local.region)
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # built anew at any time
  labels                      = local.labels

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.this, terraform_data.key_known]
}

resource "google_storage_bucket_object" "archive" {
  bucket       = google_storage_bucket.source.name
  name         = "function-${local.archive_sha}.zip"
  source       = local.archive
  content_type = "application/zip"

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = fileexists(local.archive)
      error_message = "function.archive: no file ${local.archive}; run 'make archive' in the repository, or name the archive of a release."
    }
  }
}
