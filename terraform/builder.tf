# What builds the function's image, with an account that may do nothing else.
resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = local.region
  repository_id = var.name
  description   = "Images of the function ${var.name}."
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = local.labels

  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }

  depends_on = [google_project_service.this, terraform_data.key_known]
}

# Pushes the image, to this repository alone.
resource "google_artifact_registry_repository_iam_member" "builder" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.this["builder"].member
}

# Reads the archive.
resource "google_storage_bucket_iam_member" "source_builder" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.this["builder"].member
}

# Writes the build's log; entries belong to projects, not to anything smaller.
resource "google_project_iam_member" "builder_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.this["builder"].member
}

# The build reads the copy that Cloud Functions makes of the archive, in a bucket of its own that does not exist before the first
# function: hence a grant on the project that holds for that bucket alone (with a key its name goes on after the region).
resource "google_project_iam_member" "builder_copy" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.this["builder"].member

  condition {
    title       = "copies-of-function-sources"
    description = "Only the bucket in which Cloud Functions keeps the sources of this region."
    expression  = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${local.region}\")"
  }
}

# Grants take a while to be known everywhere; a build that comes first would fail.
resource "terraform_data" "builder_known" {
  triggers_replace = [google_service_account.this["builder"].unique_id]

  provisioner "local-exec" {
    command = "sleep 60"
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.builder,
    google_storage_bucket_iam_member.source_builder,
    google_project_iam_member.builder_logs,
    google_project_iam_member.builder_copy,
  ]
}
