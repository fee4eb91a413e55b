# The monitor's own health, from what it logs (bq_monitor/alerts/senders/log.py) and what the scheduler does.
locals {
  of_function = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloudfunctions2_function.monitor.name}\""
  of_monitor  = { monitor = "EXTRACT(labels.monitor)", kind = "EXTRACT(labels.kind)" }
  runbook     = var.alert_policies.runbook == null ? "" : "\n\nRunbook: ${var.alert_policies.runbook}"

  line_policies = {
    failed = {
      title  = "a run failed"
      filter = "${local.of_function} AND severity >= WARNING AND labels.kind = \"run_failed\""
      labels = local.of_monitor
      says   = "A run of monitor $${log.extracted_label.monitor} failed; the log line says why. Nothing is lost: the next run takes up what is due."
    }
    overdue = {
      title  = "a window was not judged in time"
      filter = "${local.of_function} AND severity >= WARNING AND labels.kind = \"overdue\""
      labels = local.of_monitor
      says   = "Monitor $${log.extracted_label.monitor} should have judged a window and has not. Look whether the job ${var.name}-run* is paused, and what the function answers."
    }
    budget = {
      title  = "a run stopped at its budget"
      filter = "${local.of_function} AND severity >= WARNING AND labels.kind = \"budget\""
      labels = local.of_monitor
      says   = "Monitor $${log.extracted_label.monitor} would have read more than budget allows, so it was not run. See run_costs; fewer features, a partitioned log, or a higher cap."
    }
    undelivered = {
      title  = "a message or an action was given up"
      filter = "${local.of_function} AND severity >= WARNING AND labels.kind = (\"delivery\" OR \"action_failed\")"
      labels = local.of_monitor
      says   = "Monitor $${log.extracted_label.monitor} gave up a message, or an action failed. See notifications_latest and actions_latest for the error; mend the channel's secret or address."
    }
    unreached = {
      title  = "the scheduler could not get an answer"
      filter = "resource.type = \"cloud_scheduler_job\" AND resource.labels.job_id =~ \"^${var.name}-(run(-.*)?|check)$\" AND severity >= ERROR AND NOT httpRequest.status = 500"
      labels = { job = "EXTRACT(resource.labels.job_id)" }
      says   = "Job $${log.extracted_label.job} got an error instead of an answer: 400 is a configuration that is not valid, 403 a missing grant of roles/run.invoker, 429 and 503 more calls at once than function.max_instances, DEADLINE_EXCEEDED a call of over ${local.attempt_seconds} s."
    }
  }
}

resource "google_monitoring_alert_policy" "lines" {
  for_each = var.alert_policies.enabled ? local.line_policies : {}

  project               = var.project
  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title
    condition_matched_log {
      filter           = each.value.filter
      label_extractors = each.value.labels
    }
  }

  alert_strategy {
    auto_close = "${var.alert_policies.close_after_seconds}s"
    notification_rate_limit {
      period = "${var.alert_policies.repeat_seconds}s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.says}${local.runbook}"
  }

  depends_on = [google_project_service.this]
}
