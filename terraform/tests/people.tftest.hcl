# Who hears and sees: topics, secrets, policies, the dashboard.
mock_provider "google" {
  override_during = plan

  mock_data "google_project" {
    override_during = plan
    defaults        = { number = "123456789012" }
  }
}

variables {
  project               = "acme-ml"
  location              = "europe-west1"
  fleet                 = "tests/fleet"
  function              = { archive = "tests/archive.txt" }
  notification_channels = ["projects/acme-ml/notificationChannels/17"]
}

run "topics_take_anything_without_a_schema" {
  command = plan

  assert {
    condition     = alltrue([for name in ["alerts", "retrain"] : length(google_pubsub_topic.this[name].schema_settings) == 0])
    error_message = "No schema is made up."
  }
  assert {
    condition     = output.topic_definitions == { alerts = file("schema/alert.proto"), retrain = file("schema/action.proto") }
    error_message = "Definitions are the package's."
  }
}

run "topics_refuse_what_does_not_fit" {
  command = plan

  variables {
    topic_schemas = { alerts = "projects/acme-ml/schemas/a", retrain = "projects/acme-ml/schemas/r" }
  }
  assert {
    condition     = { for name, topic in google_pubsub_topic.this : name => topic.schema_settings[0].schema } == { alerts = "projects/acme-ml/schemas/a", retrain = "projects/acme-ml/schemas/r" }
    error_message = "Each topic has its own schema."
  }
  assert {
    condition     = alltrue([for topic in google_pubsub_topic.this : topic.schema_settings[0].encoding == "JSON"])
    error_message = "Messages are JSON."
  }
}

run "a_schema_is_named_in_full" {
  command = plan

  variables {
    topic_schemas = { alerts = "alert.proto" }
  }
  expect_failures = [var.topic_schemas]
}

run "a_secret_is_made_empty_or_referred_to" {
  command = plan

  variables {
    secrets = { BQ_MONITOR_SLACK_URL = { create = false, secret = "projects/acme-keys/secrets/slack" }, BQ_MONITOR_PAGERDUTY_KEY = {} }
  }
  assert {
    condition     = { for variable, secret in google_secret_manager_secret.this : variable => secret.secret_id } == { BQ_MONITOR_PAGERDUTY_KEY = "bq-monitor-pagerduty-key" }
    error_message = "Only what does not exist is made."
  }
  assert {
    condition     = [for secret in google_cloudfunctions2_function.monitor.service_config[0].secret_environment_variables : [secret.key, secret.project_id, secret.secret]] == [["BQ_MONITOR_SLACK_URL", "acme-keys", "slack"]]
    error_message = "The function gets those that have a value; one without would fail its deployment."
  }
  assert {
    condition     = toset(keys(google_secret_manager_secret_iam_member.runner)) == toset(["acme-keys/hook", "acme-keys/slack", "acme-ml/bq-monitor-pagerduty-key"])
    error_message = "The runner may read each."
  }
  assert {
    condition     = output.secrets.BQ_MONITOR_PAGERDUTY_KEY == "secret:projects/acme-ml/secrets/bq-monitor-pagerduty-key"
    error_message = "The output says how a YAML refers to it."
  }
}

run "policies_watch_the_monitor_itself" {
  command = plan

  assert {
    condition     = toset(keys(google_monitoring_alert_policy.lines)) == toset(["failed", "overdue", "budget", "undelivered", "unreached"])
    error_message = "One for each way in which it can be unwell."
  }
  assert {
    condition     = alltrue([for kind in ["run_failed", "overdue", "budget", "delivery", "action_failed"] : anytrue([for policy in google_monitoring_alert_policy.lines : strcontains(policy.conditions[0].condition_matched_log[0].filter, "\"${kind}\"")])])
    error_message = "Each kind of line about the monitor's own runs is in a filter."
  }
  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.lines), [google_monitoring_alert_policy.refused[0], google_monitoring_alert_policy.silent[0]]) : policy.notification_channels == tolist(var.notification_channels)])
    error_message = "The user's channels hear."
  }
  assert {
    condition     = google_monitoring_alert_policy.silent[0].conditions[0].condition_absent[0].duration == "10800s"
    error_message = "Silence is noticed."
  }
}

run "policies_can_be_left_out" {
  command = plan

  variables {
    alert_policies = { enabled = false }
  }
  assert {
    condition     = length(google_monitoring_alert_policy.lines) + length(google_monitoring_alert_policy.refused) + length(google_monitoring_alert_policy.silent) == 0
    error_message = "None where none is wanted."
  }
}

run "there_is_no_dashboard_by_default" {
  command = plan

  assert {
    condition     = length(google_cloud_run_v2_service.dashboard) == 0 && !contains(keys(google_service_account.this), "dashboard") && output.dashboard_uri == null
    error_message = "No page and no account of it."
  }
}

run "a_scraper_may_call" {
  command = plan

  variables {
    function = { archive = "tests/archive.txt", metrics = true, scrapers = ["serviceAccount:prometheus@acme-ml.iam.gserviceaccount.com"] }
  }
  assert {
    condition     = toset(values(google_cloud_run_v2_service_iam_member.scrapers)[*].member) == toset(["serviceAccount:prometheus@acme-ml.iam.gserviceaccount.com"]) && alltrue([for grant in google_cloud_run_v2_service_iam_member.scrapers : grant.name == google_cloudfunctions2_function.monitor.name && grant.role == "roles/run.invoker"])
    error_message = "Who is named asks for the gauges."
  }
}

run "a_dashboard_reads" {
  command = plan

  variables {
    dashboard = { image = "europe-docker.pkg.dev/acme-ml/apps/dashboard:1", viewers = ["group:risk@example.com"] }
  }
  assert {
    condition     = google_bigquery_dataset_iam_member.dashboard["this"].role == "roles/bigquery.dataViewer" && google_storage_bucket_iam_member.config_dashboard["this"].role == "roles/storage.objectViewer" && google_project_iam_member.dashboard["this"].role == "roles/bigquery.jobUser"
    error_message = "It changes nothing."
  }
  assert {
    condition     = google_cloud_run_v2_service.dashboard["this"].ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" && google_cloud_run_v2_service.dashboard["this"].template[0].session_affinity
    error_message = "From inside and from the load balancer; a session stays where it began."
  }
  assert {
    condition     = google_cloud_run_v2_service.dashboard["this"].template[0].containers[0].args == tolist(["dashboard", "gs://acme-ml-bq-monitor-config/fleet", "--host", "0.0.0.0", "--port", "8080"])
    error_message = "It shows the fleet, and listens where Cloud Run looks."
  }
  assert {
    condition     = toset(keys(google_cloud_run_v2_service_iam_member.viewers)) == toset(["group:risk@example.com"])
    error_message = "Viewers may call it."
  }
}

run "behind_identity_aware_proxy_alerts_may_be_changed" {
  command = plan

  variables {
    dashboard = { image = "europe-docker.pkg.dev/acme-ml/apps/dashboard:1", iap_audience = "/projects/123456789012/global/backendServices/7" }
  }
  assert {
    condition     = google_bigquery_dataset_iam_member.dashboard["this"].role == "roles/bigquery.dataEditor" && slice(google_cloud_run_v2_service.dashboard["this"].template[0].containers[0].args, 6, 8) == tolist(["--iap-audience", "/projects/123456789012/global/backendServices/7"])
    error_message = "Who looks is known, so that what they say is kept."
  }
  assert {
    condition     = toset(values(google_cloud_run_v2_service_iam_member.viewers)[*].member) == toset(["serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"])
    error_message = "The proxy calls it."
  }
}
