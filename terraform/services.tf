locals {
  services = toset(concat(
    [
      "artifactregistry.googleapis.com", "bigquery.googleapis.com", "cloudbuild.googleapis.com", "cloudfunctions.googleapis.com",
      "cloudscheduler.googleapis.com", "iam.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com", "pubsub.googleapis.com",
      "run.googleapis.com", "secretmanager.googleapis.com", "storage.googleapis.com",
    ],
    var.kms_key == null ? [] : ["cloudkms.googleapis.com"],
    var.network == null ? [] : ["vpcaccess.googleapis.com"],
    try(var.dashboard.iap_audience, null) == null ? [] : ["iap.googleapis.com"],
  ))
}

resource "google_project_service" "this" {
  for_each = local.services

  project            = var.project
  service            = each.key
  disable_on_destroy = false # others in the project may use it
}
