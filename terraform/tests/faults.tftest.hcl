# What is refused of the variables.
mock_provider "google" {}

variables {
  project  = "acme-ml"
  location = "europe-west1"
  fleet    = "tests/fleet"
  function = { archive = "tests/archive.txt" }
}

run "an_archive_that_is_not_there" {
  command = plan

  variables {
    function = { archive = "tests/none.zip" }
  }
  expect_failures = [google_storage_bucket_object.archive]
}

run "a_multi_region_without_a_region" {
  command = plan

  variables {
    location = "EU"
  }
  expect_failures = [var.region]
}

run "a_location_that_is_none" {
  command = plan

  variables {
    location = "Frankfurt"
    region   = "europe-west3"
  }
  expect_failures = [var.location]
}

run "a_timeout_beyond_the_schedulers_patience" {
  command = plan

  variables {
    function = { archive = "tests/archive.txt", timeout_seconds = 1800 }
  }
  expect_failures = [var.function]
}

run "an_environment_that_overrides_the_module" {
  command = plan

  variables {
    function = { archive = "tests/archive.txt", environment = { BQ_MONITOR_WAREHOUSE = "bigquery://acme-ml/other" } }
  }
  expect_failures = [var.function]
}

run "readers_who_are_everybody" {
  command = plan

  variables {
    readers = ["allUsers"]
  }
  expect_failures = [var.readers]
}

run "a_dashboard_for_everybody" {
  command = plan

  variables {
    dashboard = { image = "europe-docker.pkg.dev/acme-ml/apps/dashboard:1", viewers = ["allAuthenticatedUsers"] }
  }
  expect_failures = [var.dashboard]
}

run "gauges_for_everybody" {
  command = plan

  variables {
    function = { archive = "tests/archive.txt", metrics = true, scrapers = ["allUsers"] }
  }
  expect_failures = [var.function]
}

run "a_scraper_of_nothing" {
  command = plan

  variables {
    function = { archive = "tests/archive.txt", scrapers = ["serviceAccount:prometheus@acme-ml.iam.gserviceaccount.com"] }
  }
  expect_failures = [var.function]
}

run "a_key_in_another_region" {
  command = plan

  variables {
    kms_key = "projects/acme-keys/locations/europe/keyRings/r/cryptoKeys/k"
  }
  expect_failures = [var.kms_key]
}

run "a_secret_that_exists_but_has_no_name" {
  command = plan

  variables {
    secrets = { BQ_MONITOR_SLACK_URL = { create = false } }
  }
  expect_failures = [var.secrets]
}

run "a_name_that_is_too_long" {
  command = plan

  variables {
    name = "the-monitor-of-all-models"
  }
  expect_failures = [var.name]
}

run "silence_longer_than_monitoring_can_tell" {
  command = plan

  variables {
    alert_policies = { silent_seconds = 90000 }
  }
  expect_failures = [var.alert_policies]
}
