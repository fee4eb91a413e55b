mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project = "acme-ml"
  archive = "tests/archive.txt"
}

run "the_smallest_installation_plans" {
  command = plan

  assert {
    condition     = toset(output.monitors) == toset(["loan"])
    error_message = "One YAML is one monitor."
  }

  assert {
    condition     = output.warehouse == "bigquery://acme-ml/ml_monitoring?location=europe-west1"
    error_message = "The warehouse is made of project, dataset and location."
  }
}
