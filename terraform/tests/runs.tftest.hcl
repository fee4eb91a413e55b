# How the function is deployed and called.
mock_provider "google" {
  override_during = plan

  mock_resource "google_cloudfunctions2_function" {
    override_during = plan
    defaults        = { service_config = { uri = "https://bq-monitor-abc-ew.a.run.app" } }
  }
}

variables {
  project  = "acme-ml"
  location = "europe-west1"
  fleet    = "tests/fleet"
  function = { archive = "tests/archive.txt" }
}

run "the_function_runs_one_call_at_a_time" {
  command = plan

  assert {
    condition     = google_cloudfunctions2_function.monitor.service_config[0].max_instance_request_concurrency == 1 && google_cloudfunctions2_function.monitor.service_config[0].max_instance_count == 3
    error_message = "One call an instance, and a cap on instances."
  }
  assert {
    condition     = google_cloudfunctions2_function.monitor.build_config[0].entry_point == "monitor"
    error_message = "The entry point is that of functions/main.py."
  }
}

run "each_patience_is_shorter_than_the_next" {
  command = plan

  variables {
    function = { archive = "tests/archive.txt", timeout_seconds = 1740 }
  }
  assert {
    condition     = tonumber(google_cloudfunctions2_function.monitor.service_config[0].environment_variables.BQ_MONITOR_CALL_SECONDS) < google_cloudfunctions2_function.monitor.service_config[0].timeout_seconds
    error_message = "A run ends before the function is cut off."
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.this : google_cloudfunctions2_function.monitor.service_config[0].timeout_seconds < tonumber(trimsuffix(job.attempt_deadline, "s")) && tonumber(trimsuffix(job.attempt_deadline, "s")) <= 1800])
    error_message = "The function is cut off before the scheduler gives up, which it does after 1800 s at most."
  }
}

run "the_function_knows_where_everything_is" {
  command = plan

  assert {
    condition     = google_cloudfunctions2_function.monitor.service_config[0].environment_variables.BQ_MONITOR_CONFIG == "gs://acme-ml-bq-monitor-config/fleet" && google_cloudfunctions2_function.monitor.service_config[0].environment_variables.BQ_MONITOR_WAREHOUSE == "bigquery://acme-ml/ml_monitoring?location=europe-west1"
    error_message = "Configuration and warehouse are this installation's."
  }
  assert {
    condition     = google_cloudfunctions2_function.monitor.service_config[0].environment_variables.BQ_MONITOR_PUBSUB_TOPIC == "projects/acme-ml/topics/bq-monitor-alerts"
    error_message = "A channel of type pubsub finds its topic."
  }
  assert {
    condition     = google_cloudfunctions2_function.monitor.service_config[0].environment_variables.BQ_MONITOR_METRICS == "off"
    error_message = "Metrics are answered on request only."
  }
}

run "a_new_archive_is_a_new_object" {
  command = plan

  assert {
    condition     = google_storage_bucket_object.archive.name == "function-${filesha256("tests/archive.txt")}.zip" && google_cloudfunctions2_function.monitor.build_config[0].source[0].storage_source[0].object == google_storage_bucket_object.archive.name
    error_message = "The object's name holds the hash, and the function is built from it."
  }
}

run "by_default_one_job_calls_the_fleet" {
  command = plan

  assert {
    condition     = { for name, job in google_cloud_scheduler_job.this : name => base64decode(job.http_target[0].body) } == { run = "{}", check = "{\"do\":\"check\"}" }
    error_message = "One call for all monitors, one that asks whether runs come."
  }
  assert {
    condition     = alltrue([for job in google_cloud_scheduler_job.this : job.http_target[0].oidc_token[0].audience == job.http_target[0].uri && job.retry_config[0].retry_count == 3])
    error_message = "Calls carry a token for the address that they go to, and are retried."
  }
}

run "each_monitor_can_have_its_job" {
  command = plan

  variables {
    schedule = { per_monitor = true, crons = { churn = "15 7 * * *" }, time_zone = "Europe/Berlin", retries = 1 }
  }
  assert {
    condition     = toset(keys(google_cloud_scheduler_job.this)) == toset(["run-loan", "run-churn", "run-price", "check"])
    error_message = "A job a monitor, and the check."
  }
  assert {
    condition     = jsondecode(base64decode(google_cloud_scheduler_job.this["run-churn"].http_target[0].body)) == { monitor = "churn" }
    error_message = "Each names its monitor."
  }
  assert {
    condition     = google_cloud_scheduler_job.this["run-churn"].schedule == "15 7 * * *" && google_cloud_scheduler_job.this["run-loan"].schedule == "0 6 * * *" && google_cloud_scheduler_job.this["run-loan"].time_zone == "Europe/Berlin"
    error_message = "churn has a time of its own, the others the fleet's."
  }
}

run "the_network_is_the_users" {
  command = plan

  variables {
    network = { vpc_connector = "projects/acme-ml/locations/europe-west1/connectors/out", egress = "ALL_TRAFFIC" }
  }
  assert {
    condition     = google_cloudfunctions2_function.monitor.service_config[0].vpc_connector == "projects/acme-ml/locations/europe-west1/connectors/out" && google_cloudfunctions2_function.monitor.service_config[0].vpc_connector_egress_settings == "ALL_TRAFFIC"
    error_message = "The function reaches out through the connector."
  }
}

run "more_jobs_than_instances_at_one_time_are_told" {
  command = plan

  variables {
    schedule = { per_monitor = true }
    function = { archive = "tests/archive.txt", max_instances = 2 }
  }
  expect_failures = [check.calls_find_an_instance]
}
