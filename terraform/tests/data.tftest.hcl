# Where data live: tables, views, what protects them.
mock_provider "google" {
  override_during = plan
}

variables {
  project  = "acme-ml"
  location = "EU"
  region   = "europe-west1"
  fleet    = "tests/fleet"
  function = { archive = "tests/archive.txt" }
}

run "tables_are_those_of_the_package" {
  command = plan

  assert {
    condition     = toset(keys(google_bigquery_table.tables)) == toset(keys(jsondecode(file("schema/tables.json"))))
    error_message = "Every table of tables.json."
  }
  assert {
    condition     = alltrue([for name, table in jsondecode(file("schema/tables.json")) : jsondecode(google_bigquery_table.tables[name].schema) == table.schema && google_bigquery_table.tables[name].time_partitioning[0].field == table.partition && google_bigquery_table.tables[name].time_partitioning[0].type == "DAY" && google_bigquery_table.tables[name].clustering == tolist(table.cluster)])
    error_message = "Columns, partition and clusters are those of tables.json."
  }
  assert {
    condition     = alltrue([for table in google_bigquery_table.tables : table.deletion_protection])
    error_message = "Tables are protected."
  }
}

run "views_name_this_dataset" {
  command = plan

  assert {
    condition     = setunion(keys(google_bigquery_table.views), keys(google_bigquery_table.views_of_views)) == toset([for view in jsondecode(file("schema/views.json")) : view.name])
    error_message = "Every view of views.json."
  }
  assert {
    condition     = alltrue([for view in merge(google_bigquery_table.views, google_bigquery_table.views_of_views) : strcontains(view.view[0].query, "`acme-ml.ml_monitoring.") && !can(regex("[$][{]", view.view[0].query)) && !view.view[0].use_legacy_sql])
    error_message = "No placeholder is left."
  }
  assert {
    condition = alltrue([
      for view in jsondecode(file("schema/views.json")) : alltrue([for read in view.depends_on : contains(keys(google_bigquery_table.views), read)]) if view.level > 0
    ])
    error_message = "What a view reads is made before it."
  }
}

run "locations_are_kept_apart" {
  command = plan

  assert {
    condition     = google_bigquery_dataset.results.location == "EU" && google_storage_bucket.config.location == "EU" && google_storage_bucket.reports[0].location == "EU"
    error_message = "Data lie in location."
  }
  assert {
    condition     = google_cloudfunctions2_function.monitor.location == "europe-west1" && google_storage_bucket.source.location == "EUROPE-WEST1" && alltrue([for topic in google_pubsub_topic.this : topic.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"]) || tolist(topic.message_storage_policy[0].allowed_persistence_regions) == tolist(["europe-west1"])])
    error_message = "What runs lies in region, messages too."
  }
}

run "configurations_and_reports_have_versions" {
  command = plan

  variables {
    reports = { delete_after_days = 30 }
  }
  assert {
    condition     = google_storage_bucket.config.versioning[0].enabled && google_storage_bucket.reports[0].versioning[0].enabled
    error_message = "What was replaced can be had."
  }
  assert {
    condition     = google_storage_bucket.reports[0].lifecycle_rule[0].condition != null && anytrue([for condition in google_storage_bucket.reports[0].lifecycle_rule[0].condition : condition.days_since_noncurrent_time == 30])
    error_message = "A replaced report goes after so many days."
  }
  assert {
    condition     = !google_storage_bucket.config.force_destroy && !google_storage_bucket.reports[0].force_destroy && !google_bigquery_dataset.results.delete_contents_on_destroy
    error_message = "Nothing with data is deleted with what is in it."
  }
}

run "services_are_left_on" {
  command = plan

  assert {
    condition     = alltrue([for service in google_project_service.this : service.disable_on_destroy == false])
    error_message = "Others may use them."
  }
}

run "views_are_made_anew_when_they_change" {
  command = plan

  assert {
    condition     = length(setsubtract(keys(terraform_data.view), concat(keys(google_bigquery_table.views), keys(google_bigquery_table.views_of_views)))) == 0
    error_message = "Each view is made anew when what it says changes."
  }
}
