mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project = "acme-ml"
  archive = "tests/archive.txt"
  kms_key = "projects/acme-keys/locations/europe-west1/keyRings/drift/cryptoKeys/drift"
}

run "everything_on_plans" {
  command = plan

  assert {
    condition     = output.dataset == "acme-ml.drift"
    error_message = "The dataset is the one that was asked for."
  }

  assert {
    condition     = output.secrets["BQ_MONITOR_PAGERDUTY_KEY"] == "secret:projects/acme-ml/secrets/drift-pagerduty-key"
    error_message = "defaults.yaml refers to the secret by the name that the module gives it."
  }
}
