# What the fleet's YAMLs say becomes grants, objects and names.
mock_provider "google" {
  override_during = plan
}

override_resource {
  target          = google_service_account.this["runner"]
  override_during = plan
  values          = { member = "serviceAccount:runner@acme-ml.iam.gserviceaccount.com" }
}

variables {
  project  = "acme-ml"
  location = "EU"
  region   = "europe-west1"
  fleet    = "tests/fleet"
  function = { archive = "tests/archive.txt" }
  reports  = { for_all = true }
}

run "the_runner_reads_the_tables_that_yamls_name" {
  command = plan

  assert {
    condition = toset(keys(google_bigquery_table_iam_member.logs)) == toset([
      "acme-ml.serving.loans", "acme-ml.serving.outcomes", "acme-crm.scores.churn", "acme-crm.billing.cancellations",
    ])
    error_message = "Granted: ${join(", ", keys(google_bigquery_table_iam_member.logs))}."
  }
  assert {
    condition     = alltrue([for grant in google_bigquery_table_iam_member.logs : grant.role == "roles/bigquery.dataViewer" && grant.member == "serviceAccount:runner@acme-ml.iam.gserviceaccount.com"])
    error_message = "The runner reads logs and changes none."
  }
  assert {
    condition     = toset(keys(google_bigquery_dataset_iam_member.logs)) == toset(["acme-ml.serving", "acme-crm.scores", "acme-crm.billing"])
    error_message = "Of each dataset with a log the runner sees the metadata."
  }
  assert {
    condition     = alltrue([for grant in google_bigquery_dataset_iam_member.logs : grant.role == "roles/bigquery.metadataViewer"])
    error_message = "On datasets of logs the runner sees names, not rows."
  }
}

run "a_default_label_table_is_read_unless_a_file_says_null" {
  command = plan

  variables {
    fleet = "tests/fleet"
  }
  assert {
    condition     = local.fleet["loan.yaml"].labels == "serving.outcomes" && local.fleet["price.yml"].labels == null
    error_message = "Sections are merged key by key; null takes the place of a section."
  }
}

run "yamls_lie_in_the_bucket_as_they_are" {
  command = plan

  assert {
    condition     = toset(keys(google_storage_bucket_object.fleet)) == toset(["defaults.yaml", "loan.yaml", "churn.yaml", "price.yml"])
    error_message = "Each YAML is one object."
  }
  assert {
    condition     = google_storage_bucket_object.fleet["loan.yaml"].content == file("tests/fleet/loan.yaml") && google_storage_bucket_object.fleet["loan.yaml"].name == "fleet/loan.yaml"
    error_message = "A monitor's YAML is uploaded unchanged."
  }
  assert {
    condition     = yamldecode(google_storage_bucket_object.fleet["defaults.yaml"].content).report.to == "gs://acme-ml-bq-monitor-reports"
    error_message = "defaults.yaml says where reports are left."
  }
  assert {
    condition     = yamldecode(google_storage_bucket_object.fleet["defaults.yaml"].content).window == yamldecode(file("tests/fleet/defaults.yaml")).window
    error_message = "What defaults.yaml said stands."
  }
}

run "reports_are_for_all_only_if_asked" {
  command = plan

  variables {
    reports = {}
  }
  assert {
    condition     = !can(yamldecode(google_storage_bucket_object.fleet["defaults.yaml"].content).report) && length(google_storage_bucket.reports) == 1
    error_message = "There is a bucket, for the monitors that name it."
  }
}

run "without_reports_defaults_stay_as_they_are" {
  command = plan

  variables {
    reports = null
  }
  assert {
    condition     = trimspace(google_storage_bucket_object.fleet["defaults.yaml"].content) == trimspace(file("tests/fleet/defaults.yaml"))
    error_message = "Nothing is added to defaults.yaml without a bucket."
  }
  assert {
    condition     = length(google_storage_bucket.reports) == 0 && output.report_folder == null
    error_message = "No bucket without reports."
  }
}

run "secrets_that_yamls_refer_to_may_be_read" {
  command = plan

  assert {
    condition     = toset(keys(google_secret_manager_secret_iam_member.runner)) == toset(["acme-keys/hook"])
    error_message = "Granted: ${join(", ", keys(google_secret_manager_secret_iam_member.runner))}."
  }
}

run "tables_under_a_view_can_be_added" {
  command = plan

  variables {
    extra_sources = ["acme-raw.events.clicks", "acme-raw.lake"]
  }
  assert {
    condition     = google_bigquery_table_iam_member.logs["acme-raw.events.clicks"].table_id == "clicks" && google_bigquery_dataset_iam_member.extra["acme-raw.lake"].dataset_id == "lake"
    error_message = "A name of three parts is a table, one of two a dataset."
  }
}
