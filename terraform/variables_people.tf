variable "reports" {
  description = <<-TEXT
    Bucket of the reports that runs leave; `null` for none. `delete_after_days`: how long a replaced report is kept. `for_all`: say in `defaults.yaml` that
    every monitor leaves its report there, unless that file has a section `report`; the archive must be built for it (`functions/build.py --with report`).
  TEXT
  type = object({
    delete_after_days = optional(number, 400)
    for_all           = optional(bool, false)
  })
  default = {}

  validation {
    condition     = try(var.reports.delete_after_days, 1) >= 1
    error_message = "reports.delete_after_days: got ${try(var.reports.delete_after_days, 0)}; allowed: 1 or more."
  }
}

variable "notification_channels" {
  description = "Channels of Cloud Monitoring that hear when the monitor itself is not well (`projects/P/notificationChannels/ID`)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "notification_channels: got ${jsonencode(var.notification_channels)}; allowed: projects/PROJECT/notificationChannels/ID."
  }
}

variable "alert_policies" {
  description = <<-TEXT
    Policies on the monitor's own health: `enabled`, `silent_seconds` (no successful call for so long is an alarm; longer than the time between two calls),
    `repeat_seconds` (at most one message of a policy in so long), `close_after_seconds`, `runbook` (a link that messages carry).
  TEXT
  type = object({
    enabled             = optional(bool, true)
    silent_seconds      = optional(number, 10800)
    repeat_seconds      = optional(number, 3600)
    close_after_seconds = optional(number, 86400)
    runbook             = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.alert_policies.silent_seconds >= 600 && var.alert_policies.silent_seconds <= 84600 && var.alert_policies.silent_seconds % 60 == 0
    error_message = "alert_policies.silent_seconds: got ${var.alert_policies.silent_seconds}; allowed: whole minutes, 600 to 84600."
  }
  validation {
    condition     = var.alert_policies.repeat_seconds >= 60
    error_message = "alert_policies.repeat_seconds: got ${var.alert_policies.repeat_seconds}; allowed: 60 or more."
  }
  validation {
    condition     = var.alert_policies.close_after_seconds >= 1800 && var.alert_policies.close_after_seconds <= 604800
    error_message = "alert_policies.close_after_seconds: got ${var.alert_policies.close_after_seconds}; allowed: 1800 to 604800."
  }
}

variable "topic_schemas" {
  description = <<-TEXT
    Schemas that the topics hold their messages to (`projects/P/schemas/S`), by topic: `alerts`, `retrain`. Make them of the output
    `topic_definitions`, as shown above; a topic without one takes anything.
  TEXT
  type = object({
    alerts  = optional(string)
    retrain = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for schema in values(var.topic_schemas) : schema == null || can(regex("^projects/[^/]+/schemas/[^/]+$", schema))])
    error_message = "topic_schemas: got ${jsonencode(var.topic_schemas)}; allowed: projects/PROJECT/schemas/NAME."
  }
}

variable "dashboard" {
  description = <<-TEXT
    The live page on Cloud Run, for internal callers and a load balancer; `null` for none. `image` holds `bq-monitor[dashboard]`; `viewers` may call it with a
    token of theirs (`gcloud run services proxy` from inside the network). For browsers put Identity-Aware Proxy before it (`iap_audience`; who may pass is
    granted there, by `roles/iap.httpsResourceAccessor`): whom it vouches for may change alerts. Its agent must exist: `gcloud beta services identity create
    --service=iap.googleapis.com`.
  TEXT
  type = object({
    image         = string
    viewers       = optional(set(string), [])
    iap_audience  = optional(string)
    memory        = optional(string, "1Gi")
    cpu           = optional(string, "1")
    max_instances = optional(number, 2)
  })
  default = null

  validation {
    condition     = alltrue([for member in try(var.dashboard.viewers, []) : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):", member))])
    error_message = "dashboard.viewers: got ${jsonencode(try(var.dashboard.viewers, []))}; allowed: user:…, group:…, serviceAccount:…, domain:…; never allUsers."
  }
  validation {
    condition     = try(var.dashboard.iap_audience, null) == null || can(regex("^/projects/[0-9]+/", var.dashboard.iap_audience))
    error_message = "dashboard.iap_audience: got '${try(coalesce(var.dashboard.iap_audience), "")}'; allowed: /projects/NUMBER/global/backendServices/ID, or what IAP shows as the signed header's audience."
  }
}
