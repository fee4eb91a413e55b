# Everything on: three models, a schedule for each, secrets, channels, a dashboard behind Identity-Aware Proxy, a key and a network of one's own.
# The archive holds what reports and metrics need: python functions/build.py --with report --with prometheus

module "bq_monitor" {
  source = "../.."

  project  = var.project
  location = "europe-west1"
  region   = "europe-west1"
  name     = "drift"
  fleet    = "${path.module}/fleet"

  dataset = { id = "drift", time_travel_hours = 168, storage_billing = "PHYSICAL" }
  labels  = { team = "risk-ml", cost-center = "4711" }

  function = {
    archive         = var.archive
    memory          = "2Gi"
    timeout_seconds = 1500
    max_instances   = 5
    metrics         = true
    environment     = { LOG_EXECUTION_ID = "true" }
  }

  schedule = {
    per_monitor = true
    cron        = "0 6 * * *"
    crons       = { churn = "15 6 * * *", price = "30 6 * * *" }
    time_zone   = "Europe/Berlin"
    check_cron  = "45 * * * *"
  }

  secrets = {
    BQ_MONITOR_SLACK_URL     = { create = false, secret = "slack-webhook" } # exists, with a value: the channel `slack` finds it
    BQ_MONITOR_PAGERDUTY_KEY = {}                                           # made empty; fleet/defaults.yaml refers to it
  }

  reports               = { delete_after_days = 365, for_all = true }
  readers               = ["group:risk@example.com"]
  extra_sources         = ["${var.project}.raw.predictions"] # the table under the view that churn reads
  notification_channels = [google_monitoring_notification_channel.on_call.id]
  alert_policies        = { silent_seconds = 7200, runbook = "https://runbooks.example.com/bq-monitor" }

  topic_schemas = { alerts = "projects/${var.project}/schemas/drift-alerts" } # exists, made of the output topic_definitions

  dashboard = {
    image        = "europe-docker.pkg.dev/${var.project}/apps/bq-monitor-dashboard:1"
    iap_audience = "/projects/123456789012/global/backendServices/987654321"
  }

  kms_key = var.kms_key
  network = { vpc_connector = "projects/${var.project}/locations/europe-west1/connectors/egress", egress = "ALL_TRAFFIC" }
}
