# What an organisation has already, or makes elsewhere.

resource "google_monitoring_notification_channel" "on_call" {
  project      = var.project
  display_name = "On call for models"
  type         = "email"
  labels       = { email_address = "on-call@example.com" }
}
