# What machines hear: alerts, and that a model should be retrained. With a schema, a topic refuses what does not fit it.
locals {
  topics = { alerts = "alert.proto", retrain = "action.proto" }
}

resource "google_pubsub_topic" "this" {
  for_each = local.topics

  project                    = var.project
  name                       = "${var.name}-${each.key}"
  kms_key_name               = var.kms_key
  message_retention_duration = "604800s"
  labels                     = local.labels

  dynamic "schema_settings" {
    for_each = var.topic_schemas[each.key] == null ? [] : [var.topic_schemas[each.key]]
    content {
      schema   = schema_settings.value
      encoding = "JSON"
    }
  }

  message_storage_policy {
    allowed_persistence_regions = [local.region]
  }

  depends_on = [google_project_service.this, terraform_data.key_known]
}

resource "google_pubsub_topic_iam_member" "runner" {
  for_each = local.topics

  project = var.project
  topic   = google_pubsub_topic.this[each.key].name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.this["runner"].member
}
