# Who may do what: as docs/access.md says.
mock_provider "google" {
  override_during = plan

  mock_data "google_project" {
    defaults        = { number = "123456789012" }
    override_during = plan
  }
}

override_resource {
  target          = google_service_account.this["runner"]
  override_during = plan
  values          = { member = "serviceAccount:runner@acme-ml.iam.gserviceaccount.com", email = "runner@acme-ml.iam.gserviceaccount.com" }
}

override_resource {
  target          = google_service_account.this["builder"]
  override_during = plan
  values          = { member = "serviceAccount:builder@acme-ml.iam.gserviceaccount.com", id = "projects/acme-ml/serviceAccounts/builder@acme-ml.iam.gserviceaccount.com" }
}

override_resource {
  target          = google_service_account.this["scheduler"]
  override_during = plan
  values          = { member = "serviceAccount:scheduler@acme-ml.iam.gserviceaccount.com", email = "scheduler@acme-ml.iam.gserviceaccount.com" }
}

variables {
  project  = "acme-ml"
  location = "europe-west1"
  fleet    = "tests/fleet"
  function = { archive = "tests/archive.txt" }
}

run "the_runner_may_only_run_jobs_in_the_project" {
  command = plan

  assert {
    condition     = google_project_iam_member.runner.role == "roles/bigquery.jobUser" && google_project_iam_member.runner.member == "serviceAccount:runner@acme-ml.iam.gserviceaccount.com"
    error_message = "On the project the runner has roles/bigquery.jobUser."
  }
  assert {
    condition     = google_project_iam_member.builder_logs.member == google_project_iam_member.builder_copy.member && google_project_iam_member.builder_logs.member == "serviceAccount:builder@acme-ml.iam.gserviceaccount.com"
    error_message = "The other grants on the project are the builder's."
  }
  assert {
    condition     = length(google_project_iam_member.dashboard) == 0
    error_message = "No grant of a dashboard that is not there."
  }
}

run "the_runner_writes_its_own_dataset_and_reports_alone" {
  command = plan

  assert {
    condition     = google_bigquery_dataset_iam_member.runner.role == "roles/bigquery.dataEditor" && google_bigquery_dataset_iam_member.runner.dataset_id == "ml_monitoring"
    error_message = "The runner edits the dataset of results."
  }
  assert {
    condition     = google_storage_bucket_iam_member.config_runner.role == "roles/storage.objectViewer" && google_storage_bucket_iam_member.reports_runner[0].role == "roles/storage.objectUser"
    error_message = "The runner reads configurations and writes reports."
  }
  assert {
    condition     = alltrue([for grant in google_pubsub_topic_iam_member.runner : grant.role == "roles/pubsub.publisher"])
    error_message = "The runner publishes, and subscribes to nothing."
  }
  assert {
    condition     = alltrue([for grant in google_secret_manager_secret_iam_member.runner : grant.role == "roles/secretmanager.secretAccessor"])
    error_message = "The runner reads each secret by itself."
  }
}

run "the_builder_pushes_to_its_own_repository" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository_iam_member.builder.role == "roles/artifactregistry.writer" && google_storage_bucket_iam_member.source_builder.role == "roles/storage.objectViewer"
    error_message = "The builder reads the source and writes images."
  }
  assert {
    condition     = google_project_iam_member.builder_logs.role == "roles/logging.logWriter" && google_project_iam_member.builder_copy.role == "roles/storage.objectViewer"
    error_message = "On the project the builder writes logs, and reads one bucket."
  }
  assert {
    condition     = strcontains(google_project_iam_member.builder_copy.condition[0].expression, "buckets/gcf-v2-sources-123456789012-europe-west1\"")
    error_message = "That bucket is the one of Cloud Functions in this region."
  }
  assert {
    condition     = google_cloudfunctions2_function.monitor.build_config[0].service_account == "projects/acme-ml/serviceAccounts/builder@acme-ml.iam.gserviceaccount.com" && google_cloudfunctions2_function.monitor.service_config[0].service_account_email == "runner@acme-ml.iam.gserviceaccount.com"
    error_message = "Build and run have different accounts."
  }
}

run "the_scheduler_alone_may_call_from_inside" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service_iam_member.scheduler.role == "roles/run.invoker" && google_cloud_run_v2_service_iam_member.scheduler.member == "serviceAccount:scheduler@acme-ml.iam.gserviceaccount.com"
    error_message = "The scheduler invokes."
  }
  assert {
    condition     = google_cloudfunctions2_function.monitor.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "Nobody calls the function from outside."
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.viewers) == 0
    error_message = "No invoker of a dashboard that is not there."
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.scrapers) == 0
    error_message = "Nobody scrapes who is not named."
  }
}

run "readers_read_results_and_reports" {
  command = plan

  variables {
    readers = ["group:risk@example.com"]
  }
  assert {
    condition     = google_bigquery_dataset_iam_member.readers["group:risk@example.com"].role == "roles/bigquery.dataViewer" && google_storage_bucket_iam_member.reports_readers["group:risk@example.com"].role == "roles/storage.objectViewer"
    error_message = "Readers view."
  }
}

run "buckets_are_closed_to_the_public" {
  command = plan

  assert {
    condition     = alltrue([for bucket in [google_storage_bucket.config, google_storage_bucket.reports[0], google_storage_bucket.source] : bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access])
    error_message = "No object is public, none has a list of its own."
  }
}
