# The monitor's own health, from the calls of the function: answers that are errors, and no answers at all.
locals {
  calls = "${local.of_function} AND metric.type = \"run.googleapis.com/request_count\""
}

resource "google_monitoring_alert_policy" "refused" {
  count = var.alert_policies.enabled ? 1 : 0

  project               = var.project
  display_name          = "${var.name}: calls of the function fail"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = "answers other than 2xx"
    condition_threshold {
      filter          = "${local.calls} AND metric.labels.response_code_class != \"2xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = var.schedule.retries * length(local.jobs) # as if every call and all its retries
      duration        = "0s"
      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  alert_strategy {
    auto_close = "${var.alert_policies.close_after_seconds}s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = "A call and its retries failed. 400: a configuration in ${local.config_folder} is not valid. 500: a monitor failed; its error stands in the answer and the log. 429 or 503: more calls at once than function.max_instances.${local.runbook}"
  }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "silent" {
  count = var.alert_policies.enabled ? 1 : 0

  project               = var.project
  display_name          = "${var.name}: no call has succeeded for ${var.alert_policies.silent_seconds / 60} minutes"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = "no answer 2xx"
    condition_absent {
      filter   = "${local.calls} AND metric.labels.response_code_class = \"2xx\""
      duration = "${var.alert_policies.silent_seconds}s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  alert_strategy {
    auto_close = "${var.alert_policies.close_after_seconds}s"
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Neither a run nor a check was answered well. Look whether the jobs ${var.name}-* are paused, and whether the function is deployed.${local.runbook}"
  }

  depends_on = [google_project_service.this]
}
