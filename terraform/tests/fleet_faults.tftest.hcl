# What is refused of a fleet, and what its messages name.
mock_provider "google" {}

variables {
  project  = "acme-ml"
  location = "europe-west1"
  fleet    = "tests/fleet"
  function = { archive = "tests/archive.txt" }
}

run "a_fleet_that_the_runner_would_refuse" {
  command = plan

  variables {
    fleet = "tests/broken"
  }
  expect_failures = [terraform_data.fleet, check.health_is_logged, check.reading_has_a_cap]

  assert {
    condition = alltrue([
      for said in [
        "text.yaml: not a YAML mapping", "nameless.yaml: monitor: got null", "monitor: 'first' stands in again.yaml and first.yaml",
        "quoted.yaml: source.table: got \"`acme-ml.serving.quoted`\"", "nowhere.yaml: source.table: got null", "metadata.yaml: source.table",
        "twice.yaml: source stands twice", "elsewhere.yaml: warehouse: got 'bigquery://acme-ml/another'", "unset.yaml: env:TEAM_SLACK_URL",
      ] : anytrue([for fault in local.fleet_faults : startswith(fault, said)])
    ])
    error_message = "Named:\n${join("\n", local.fleet_faults)}"
  }
}

run "a_cron_for_a_monitor_that_is_not_there" {
  command = plan

  variables {
    schedule = { per_monitor = true, crons = { laon = "0 6 * * *" } }
  }
  expect_failures = [terraform_data.fleet]
}

run "a_folder_without_monitors" {
  command = plan

  variables {
    fleet = "tests/nothing"
  }
  expect_failures = [var.fleet]
}

run "a_topic_that_the_runner_may_not_publish_to" {
  command = plan

  variables {
    fleet = "tests/strange"
  }
  expect_failures = [check.topics_can_be_published_to]
}
