# With a key, whatever stores anything encrypts with it; without one, nothing asks for it.
mock_provider "google" {
  override_during = plan

  mock_data "google_project" {
    override_during = plan
    defaults        = { number = "123456789012" }
  }
  mock_data "google_bigquery_default_service_account" {
    override_during = plan
    defaults        = { email = "bq-123456789012@bigquery-encryption.iam.gserviceaccount.com" }
  }
  mock_data "google_storage_project_service_account" {
    override_during = plan
    defaults        = { email_address = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com" }
  }
}

variables {
  project   = "acme-ml"
  location  = "europe-west1"
  fleet     = "tests/fleet"
  function  = { archive = "tests/archive.txt" }
  secrets   = { BQ_MONITOR_SLACK_URL = {} }
  dashboard = { image = "europe-docker.pkg.dev/acme-ml/apps/dashboard:1" }
}

run "a_key_encrypts_everything" {
  command = plan

  variables {
    kms_key = "projects/acme-keys/locations/europe-west1/keyRings/r/cryptoKeys/k"
  }
  assert {
    condition     = google_bigquery_dataset.results.default_encryption_configuration[0].kms_key_name == var.kms_key && alltrue([for table in google_bigquery_table.tables : table.encryption_configuration[0].kms_key_name == var.kms_key])
    error_message = "The dataset, and each table."
  }
  assert {
    condition     = alltrue([for bucket in [google_storage_bucket.config, google_storage_bucket.reports[0], google_storage_bucket.source] : bucket.encryption[0].default_kms_key_name == var.kms_key])
    error_message = "Each bucket."
  }
  assert {
    condition     = alltrue([for topic in google_pubsub_topic.this : topic.kms_key_name == var.kms_key])
    error_message = "Each topic."
  }
  assert {
    condition     = google_artifact_registry_repository.images.kms_key_name == var.kms_key && google_cloudfunctions2_function.monitor.kms_key_name == var.kms_key && google_cloud_run_v2_service.dashboard["this"].template[0].encryption_key == var.kms_key
    error_message = "Images, function and dashboard."
  }
  assert {
    condition     = google_secret_manager_secret.this["BQ_MONITOR_SLACK_URL"].replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.kms_key
    error_message = "Each secret."
  }
}

run "each_service_may_use_the_key" {
  command = plan

  variables {
    kms_key = "projects/acme-keys/locations/europe-west1/keyRings/r/cryptoKeys/k"
  }
  assert {
    condition = toset([for grant in google_kms_crypto_key_iam_member.agent : grant.member]) == toset([
      "serviceAccount:bq-123456789012@bigquery-encryption.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@gcp-sa-artifactregistry.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@gcf-admin-robot.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com",
      "serviceAccount:service-123456789012@gcp-sa-secretmanager.iam.gserviceaccount.com",
    ])
    error_message = "The agent of each service that stores something."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "cloudkms.googleapis.com")
    error_message = "The service of keys is turned on."
  }
}

run "without_a_key_no_agent_is_granted_anything" {
  command = plan

  assert {
    condition     = length(google_kms_crypto_key_iam_member.agent) == 0 && length(google_bigquery_dataset.results.default_encryption_configuration) == 0 && length(google_storage_bucket.config.encryption) == 0
    error_message = "Google's keys encrypt."
  }
  assert {
    condition     = !contains(keys(google_project_service.this), "cloudkms.googleapis.com")
    error_message = "The service of keys is left alone."
  }
}
