# The calls: all monitors at once or each by its own job, and, by another job, the question whether runs come at all.
locals {
  runs = var.schedule.per_monitor ? {
    for monitor in local.monitors : "run-${monitor}" => { cron = lookup(var.schedule.crons, monitor, var.schedule.cron), body = { monitor = monitor } }
  } : { run = { cron = var.schedule.cron, body = {} } }
  jobs = merge(
    { for name, job in local.runs : name => { cron = job.cron, body = jsonencode(job.body), says = "Runs what is due." } },
    { check = { cron = var.schedule.check_cron, body = jsonencode({ do = "check" }), says = "Asks whether runs come at all." } },
  )
}

resource "google_cloud_scheduler_job" "this" {
  for_each = local.jobs

  project          = var.project
  region           = local.region
  name             = "${var.name}-${each.key}"
  description      = each.value.says
  schedule         = each.value.cron
  time_zone        = var.schedule.time_zone
  attempt_deadline = "${local.attempt_seconds}s"

  # A call that failed may be made again at any time: what is due follows from what was judged.
  retry_config {
    retry_count          = var.schedule.retries
    min_backoff_duration = "30s"
    max_backoff_duration = "600s"
    max_doublings        = 4
  }

  http_target {
    http_method = "POST"
    uri         = google_cloudfunctions2_function.monitor.service_config[0].uri
    body        = base64encode(each.value.body)
    headers     = { "Content-Type" = "application/json" }

    oidc_token {
      service_account_email = google_service_account.this["scheduler"].email
      audience              = google_cloudfunctions2_function.monitor.service_config[0].uri
    }
  }

  # The first call finds everything in its place.
  depends_on = [
    google_cloud_run_v2_service_iam_member.scheduler,
    google_bigquery_table.views_of_views,
    google_bigquery_dataset_iam_member.runner,
    google_bigquery_dataset_iam_member.logs,
    google_bigquery_dataset_iam_member.extra,
    google_bigquery_table_iam_member.logs,
    google_project_iam_member.runner,
    google_pubsub_topic_iam_member.runner,
    google_storage_bucket_iam_member.config_runner,
    google_storage_bucket_iam_member.reports_runner,
    google_storage_bucket_object.fleet,
  ]
}
